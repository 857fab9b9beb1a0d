//! Keys: short names for the entries of the included machines.
//!
//! A name of seven bytes leaves a byte of a word of eight for its kind, so that a command has two words. No name is
//! empty, and zeros end it.

use crate::{Reader, Sink, Value};
use core::fmt;

/// A name of one to seven bytes of printable ASCII.
///
/// ```
/// use synod::machines::Key;
/// let key = Key::new("A").unwrap();
/// assert_eq!(key.as_str(), "A");
/// assert!(Key::new("too long").is_none() && Key::new("").is_none());
/// assert_eq!((Key::numbered(0).as_str(), Key::numbered(26).as_str()), ("A", "AA"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(
    /// The name, followed by zeros up to the maximum length: so the order of keys is that of their bytes.
    [u8; 7],
);

impl Key {
    /// The maximum length of a key in bytes.
    pub const LEN_MAX: usize = 7;

    /// Returns the key with a name; `None` if the name is empty, too long, or not printable ASCII.
    pub fn new(name: &str) -> Option<Self> {
        if name.len() > Self::LEN_MAX {
            return None;
        }
        let mut bytes = [0; Self::LEN_MAX];
        for (place, byte) in bytes.iter_mut().zip(name.bytes()) {
            *place = byte;
        }
        Self::of(bytes).filter(|key| key.len() == name.len())
    }

    /// Returns the key of bytes padded with zeros; `None` if the bytes before the padding are empty, or not printable
    /// ASCII.
    fn of(bytes: [u8; Self::LEN_MAX]) -> Option<Self> {
        let key = Self(bytes);
        let (mut ended, mut valid) = (false, key.len() > 0);
        for byte in bytes {
            ended |= byte == 0;
            valid &= ended == (byte == 0) && (ended || byte.is_ascii_graphic());
        }
        valid.then_some(key)
    }

    /// Returns the length of the name: the bytes before the first zero.
    fn len(self) -> usize {
        let end = self.0.iter().position(|byte| *byte == 0);
        end.unwrap_or(Self::LEN_MAX)
    }

    /// Returns the name with the given index in the order A to Z, AA to AZ, BA and so on.
    pub fn numbered(index: u32) -> Self {
        // The letters of the index in base 26, the last one first. There is no letter for zero, hence the subtraction.
        // Seven letters are enough for more than 2³² names.
        let mut reversed = [0; Self::LEN_MAX];
        let mut rest = Some(index);
        let mut len = 0;
        for place in &mut reversed {
            let Some(number) = rest else { break };
            *place = b'A' + u8::try_from(number % 26).unwrap_or(0);
            rest = (number / 26).checked_sub(1);
            len += 1;
        }
        let mut bytes = [0; Self::LEN_MAX];
        for (place, letter) in bytes.iter_mut().zip(reversed.iter().take(len).rev()) {
            *place = *letter;
        }
        debug_assert!(
            Self::of(bytes).is_some(),
            "the name of a number is one that `new` accepts"
        );
        Self(bytes)
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        // A key holds nothing but printable ASCII.
        self.0
            .get(..self.len())
            .and_then(|name| core::str::from_utf8(name).ok())
            .unwrap_or("")
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name, as in `Debug`.
#[cfg(feature = "defmt")]
impl defmt::Format for Key {
    fn format(&self, f: defmt::Formatter<'_>) {
        // With a hint, since inside another value a string would have quotation marks.
        defmt::write!(f, "{=str:a}", self.as_str());
    }
}

impl Value for Key {
    const ENCODED_MAX: usize = Self::LEN_MAX;

    fn encode(&self, sink: &mut impl Sink) {
        sink.put(&self.0);
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        Self::of(reader.array()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered_names_are_distinct_and_go_on_after_z() {
        for (index, name) in [
            (0, "A"),
            (10, "K"),
            (25, "Z"),
            (26, "AA"),
            (51, "AZ"),
            (52, "BA"),
            (701, "ZZ"),
            (702, "AAA"),
        ] {
            assert_eq!(Key::numbered(index).as_str(), name);
        }
        assert!(!Key::numbered(u32::MAX).as_str().is_empty());
    }

    #[test]
    fn decode_accepts_exactly_the_keys_that_new_accepts() {
        let mut reader = Reader::new(b"A\0B\0\0\0\0");
        assert_eq!(Key::decode(&mut reader), None, "letters after the end");
        assert_eq!(
            Key::decode(&mut Reader::new(&[0; 7])),
            None,
            "no name at all"
        );
        assert_eq!(
            Key::decode(&mut Reader::new(b"balance")),
            Key::new("balance")
        );
    }
}
