//! Formatting of numbers and names into a byte buffer. Logs consist mostly of these, and `core::fmt` would be slow.

use core::fmt::{self, Write};
use synod::{Ballot, Duration, Epoch, Instant, NodeId};

/// Appends a number in decimal. Most numbers in a log have one or two digits, which are cheaper to push than to copy.
///
/// `itoa` writes the longer ones, without the machinery of `core::fmt`.
#[inline]
pub(crate) fn number(out: &mut Vec<u8>, number: u64) {
    match u8::try_from(number) {
        Ok(digit @ 0..10) => out.push(b'0' + digit),
        Ok(digits @ 10..100) => out.extend_from_slice(&[b'0' + digits / 10, b'0' + digits % 10]),
        // Three digits and more: slots of long runs, and spans in microseconds.
        _ => out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
    }
}

/// Appends sixteen hexadecimal digits.
pub(crate) fn hex(out: &mut Vec<u8>, word: u64) {
    let mut digits = [0; 16];
    let mut rest = word;
    for digit in digits.iter_mut().rev() {
        *digit = nibble(rest);
        rest >>= 4;
    }
    out.extend_from_slice(&digits);
}

/// Returns the hexadecimal digit of the lowest four bits. There are only sixteen values, so that
/// `?` never appears.
fn nibble(word: u64) -> u8 {
    match u8::try_from(word & 0xf) {
        Ok(digit @ 0..10) => b'0' + digit,
        Ok(letter) => b'a' - 10 + letter,
        Err(_) => b'?',
    }
}

/// Appends `NODE_3`.
#[inline]
pub(crate) fn node(out: &mut Vec<u8>, node: NodeId) {
    out.extend_from_slice(b"NODE_");
    number(out, u64::from(node.0));
}

/// Appends `(1, NODE_3)`; with the epoch before the round, `(1:1, NODE_3)`, unless it is the first.
pub(crate) fn ballot(out: &mut Vec<u8>, ballot: Ballot) {
    out.push(b'(');
    if ballot.epoch() > Epoch::FIRST {
        number(out, u64::from(ballot.epoch().0));
        out.push(b':');
    }
    number(out, ballot.round());
    out.extend_from_slice(b", ");
    node(out, ballot.leader());
    out.push(b')');
}

/// Appends seconds with four decimal places: `1.0518`, as [`Instant`] displays itself. They are
/// truncated, so that the times of lines never decrease.
pub(crate) fn seconds(out: &mut Vec<u8>, at: Instant) {
    let micros = at.as_micros();
    number(out, micros / 1_000_000);
    let mut fraction = *b".0000";
    let mut rest = micros % 1_000_000 / 100;
    for place in fraction.iter_mut().skip(1).rev() {
        *place = nibble(rest % 10);
        rest /= 10;
    }
    out.extend_from_slice(&fraction);
}

/// Appends a duration as [`Duration`] displays itself: `350ms`.
pub(crate) fn duration(out: &mut Vec<u8>, span: Duration) {
    display(out, &span);
}

/// Appends a displayed value.
pub(crate) fn display(out: &mut Vec<u8>, value: &impl fmt::Display) {
    // Writing to a byte buffer never fails.
    let _ = write!(Bytes(out), "{value}");
}

/// Appends a value in its debug format, in which commands and outputs are logged.
#[inline]
pub(crate) fn debug(out: &mut Vec<u8>, value: &impl fmt::Debug) {
    let _ = write!(Bytes(out), "{value:?}");
}

/// A byte buffer as the target of `write!`.
struct Bytes<'a>(&'a mut Vec<u8>);

impl Write for Bytes<'_> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_formatting_agrees_with_that_of_the_core() {
        for micros in [0, 99, 100, 1_051_899, 999_999_999, 10_000_000, u64::MAX] {
            let at = Instant::from_micros(micros);
            assert_eq!(written(|out| seconds(out, at)), at.to_string());
        }
        for number in [0, 1, 63, 64, 65_535] {
            let id = NodeId(number);
            assert_eq!(written(|out| node(out, id)), id.to_string());
            let claim = Ballot::new(u64::from(number) * 1000, id);
            assert_eq!(written(|out| ballot(out, claim)), claim.to_string());
            let later = Ballot::of(Epoch(number), 7, id);
            assert_eq!(written(|out| ballot(out, later)), later.to_string());
        }
        assert_eq!(
            written(|out| hex(out, 0x00c0_ffee_0123_4567)),
            "00c0ffee01234567"
        );
    }
}
