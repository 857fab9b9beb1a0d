//! JSON values of the log and the reports, written with `serde_json` without a tree in memory.
//!
//! A log of a long run has millions of lines. So values are written straight into the buffer of the
//! line, and sequences are written while they are iterated.

use core::cell::Cell;
use core::fmt;
use serde::ser::{Serialize, Serializer};

/// Appends a value as one line of JSON.
pub(crate) fn line(out: &mut Vec<u8>, value: &impl Serialize) {
    // This cannot fail: a byte buffer takes all bytes, all keys of maps are strings, and no value returns an error.
    let _ = serde_json::to_writer(&mut *out, value);
    out.push(b'\n');
}

/// Sixteen hexadecimal digits, as a string because many JSON readers keep only 53 bits of a number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hex(pub(crate) u64);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits = self.0.to_be_bytes();
        HexBytes(&digits).serialize(serializer)
    }
}

/// Bytes as a string of two hexadecimal digits each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HexBytes<'a>(pub(crate) &'a [u8]);

impl Serialize for HexBytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for HexBytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A displayed value as a string.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<T>(pub(crate) T);

impl<T: fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// The items of an iterator as a list. Can be written once. Serialization has only a shared
/// reference, from which the cell gives the iterator away.
pub(crate) struct List<I>(Cell<Option<I>>);

impl<I: Iterator> List<I> {
    /// Returns the list of some items.
    pub(crate) fn of(items: impl IntoIterator<IntoIter = I>) -> Self {
        Self(Cell::new(Some(items.into_iter())))
    }
}

impl<I: Iterator<Item: Serialize>> Serialize for List<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.take().into_iter().flatten())
    }
}

/// The pairs of an iterator as the entries of an object, in their order. Can be written once.
pub(crate) struct Pairs<I>(Cell<Option<I>>);

impl<I: Iterator> Pairs<I> {
    /// Returns the object of some pairs, whose keys must be strings.
    pub(crate) fn of(pairs: impl IntoIterator<IntoIter = I>) -> Self {
        Self(Cell::new(Some(pairs.into_iter())))
    }
}

impl<K: Serialize, V: Serialize, I: Iterator<Item = (K, V)>> Serialize for Pairs<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.take().into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_expected_json() {
        let mut out = Vec::new();
        line(
            &mut out,
            &Pairs::of([("digest", Hex(255)), ("zero", Hex(0))]),
        );
        line(&mut out, &List::of([Text("a \"b\""), Text("\n\u{1} é")]));
        line(&mut out, &HexBytes(&[0, 0xab]));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"digest\":\"00000000000000ff\",\"zero\":\"0000000000000000\"}\n\
             [\"a \\\"b\\\"\",\"\\n\\u0001 é\"]\n\"00ab\"\n"
        );
    }
}
