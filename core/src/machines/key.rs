//! Short names for the entries of the shipped machines.

use crate::{Reader, Sink, Value};
use core::fmt;

/// A name of up to seven bytes of printable ASCII.
///
/// ```
/// use synod::machines::Key;
/// let key = Key::new("A").unwrap();
/// assert_eq!(key.as_str(), "A");
/// assert!(Key::new("too long").is_none() && Key::new("").is_none());
/// assert_eq!((Key::numbered(0).as_str(), Key::numbered(26).as_str()), ("A", "AA"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Key([u8; 7]);

impl Key {
    /// How many bytes a key has at most.
    pub const LEN_MAX: usize = 7;

    /// The key of a name; `None` where the name is empty, too long, or not printable ASCII.
    pub fn new(name: &str) -> Option<Self> {
        let printable = name.bytes().all(|byte| byte.is_ascii_graphic());
        if name.is_empty() || !printable {
            return None;
        }
        let mut bytes = [0; Self::LEN_MAX];
        bytes
            .get_mut(..name.len())?
            .copy_from_slice(name.as_bytes());
        Some(Self(bytes))
    }

    /// The `index`th name in the order A to Z, AA to AZ, BA and so on.
    pub fn numbered(index: u32) -> Self {
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
        Self(bytes)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        let len = self
            .0
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(Self::LEN_MAX);
        // Only printable ASCII ever gets in.
        self.0
            .get(..len)
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

impl Value for Key {
    const ENCODED_MAX: usize = Self::LEN_MAX;

    fn encode(&self, sink: &mut impl Sink) {
        sink.put(&self.0);
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let bytes = reader.array::<{ Self::LEN_MAX }>()?;
        let len = bytes
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(Self::LEN_MAX);
        let (name, rest) = bytes.split_at_checked(len)?;
        let valid = rest.iter().all(|byte| *byte == 0);
        if valid {
            Self::new(core::str::from_utf8(name).ok()?)
        } else {
            None
        }
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
    fn only_what_new_accepts_is_decoded() {
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
