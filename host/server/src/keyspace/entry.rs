//! An entry of the keyspace: a key, its value, and when it expires.

use crate::op::{KEY_MAX, VALUE_MAX};
use core::hash::{Hash, Hasher};
use synod::{MalformedPage, Sink};

/// When a key expires. Times are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Deadline {
    /// Never.
    Never,
    /// So long after a time that is not known yet; no tick was applied since it was set.
    New(u64),
    /// The same, and a tick was applied since.
    Waiting(u64),
    /// At this elapsed time.
    Elapsed(u64),
    /// At this time since 1970.
    Unix(u64),
}

impl Deadline {
    /// Returns the number of the kind in an encoding, and the time of all kinds but the first.
    fn parts(self) -> (u8, Option<u64>) {
        match self {
            Self::Never => (0, None),
            Self::New(time) => (1, Some(time)),
            Self::Waiting(time) => (2, Some(time)),
            Self::Elapsed(time) => (3, Some(time)),
            Self::Unix(time) => (4, Some(time)),
        }
    }

    /// Reads what follows the number of the kind; `None` if bytes are missing.
    fn decode(kind: u8, bytes: &mut &[u8]) -> Result<Option<Self>, MalformedPage> {
        let of_time = match kind {
            0 => return Ok(Some(Self::Never)),
            1 => Self::New,
            2 => Self::Waiting,
            3 => Self::Elapsed,
            4 => Self::Unix,
            _ => return Err(MalformedPage),
        };
        let Some((time, rest)) = bytes.split_first_chunk() else {
            return Ok(None);
        };
        *bytes = rest;
        Ok(Some(of_time(u64::from_le_bytes(*time))))
    }
}

/// A key with its value, in place.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    deadline: Deadline,
    value_len: u16,
    key_len: u8,
    /// The key, the value behind it, and whatever an earlier value has left behind that.
    bytes: [u8; KEY_MAX + VALUE_MAX],
}

/// The most bytes of an encoded entry besides its key and its value: their lengths, and the deadline.
pub(super) const OVERHEAD_MAX: usize = 1 + 2 + 1 + 8;

/// The most bytes of an encoded entry.
pub(super) const ENTRY_MAX: usize = OVERHEAD_MAX + KEY_MAX + VALUE_MAX;

impl Entry {
    /// Returns an entry; `None` if the key or the value is too long.
    pub(super) fn new(key: &[u8], value: &[u8], deadline: Deadline) -> Option<Self> {
        if key.len() > KEY_MAX {
            return None;
        }
        let mut entry = Self {
            deadline,
            value_len: 0,
            key_len: u8::try_from(key.len()).ok()?,
            bytes: [0; KEY_MAX + VALUE_MAX],
        };
        entry.bytes.get_mut(..key.len())?.copy_from_slice(key);
        entry.set_value(value).then_some(entry)
    }

    pub(super) fn key(&self) -> &[u8] {
        let end = usize::from(self.key_len);
        self.bytes.get(..end).unwrap_or_default()
    }

    pub(super) fn value(&self) -> &[u8] {
        let start = usize::from(self.key_len);
        let end = start + usize::from(self.value_len);
        self.bytes.get(start..end).unwrap_or_default()
    }

    pub(super) fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Replaces the value; returns false if it is too long.
    pub(super) fn set_value(&mut self, value: &[u8]) -> bool {
        let start = usize::from(self.key_len);
        let room = self.bytes.get_mut(start..start + value.len());
        let (Some(room), Ok(len)) = (room, u16::try_from(value.len())) else {
            return false;
        };
        if value.len() > VALUE_MAX {
            return false;
        }
        room.copy_from_slice(value);
        self.value_len = len;
        true
    }

    pub(super) fn set_deadline(&mut self, deadline: Deadline) {
        self.deadline = deadline;
    }

    /// Returns the number of bytes of the key and the value.
    pub(super) fn size(&self) -> usize {
        usize::from(self.key_len) + usize::from(self.value_len)
    }

    /// Returns how many bytes [`Entry::encode`] writes.
    pub(super) fn encoded_len(&self) -> usize {
        let overhead = match self.deadline {
            Deadline::Never => OVERHEAD_MAX - 8,
            _ => OVERHEAD_MAX,
        };
        overhead + self.size()
    }

    pub(super) fn encode(&self, sink: &mut impl Sink) {
        let (kind, time) = self.deadline.parts();
        sink.put_u8(self.key_len);
        sink.put(&self.value_len.to_le_bytes());
        sink.put_u8(kind);
        if let Some(time) = time {
            sink.put_u64(time);
        }
        sink.put(self.key());
        sink.put(self.value());
    }

    /// Reads the entry at the start of `bytes`, which is then after it; `None` if bytes are missing.
    pub(super) fn decode(bytes: &mut &[u8]) -> Result<Option<Self>, MalformedPage> {
        let Some(([key_len, low, high, kind], mut rest)) = bytes.split_first_chunk() else {
            return Ok(None);
        };
        let key_len = usize::from(*key_len);
        let value_len = usize::from(u16::from_le_bytes([*low, *high]));
        if key_len > KEY_MAX || value_len > VALUE_MAX {
            return Err(MalformedPage);
        }
        let Some(deadline) = Deadline::decode(*kind, &mut rest)? else {
            return Ok(None);
        };
        let (Some(key), Some(value)) = (rest.split_off(..key_len), rest.split_off(..value_len))
        else {
            return Ok(None);
        };
        *bytes = rest;
        Self::new(key, value, deadline)
            .ok_or(MalformedPage)
            .map(Some)
    }
}

/// What is behind the value does not count.
impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        let parts = |entry: &Self| (entry.key_len, entry.value_len, entry.deadline);
        parts(self) == parts(other) && self.key() == other.key() && self.value() == other.value()
    }
}

impl Eq for Entry {}

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.key(), self.value(), self.deadline).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_or_a_value_that_is_too_long_makes_no_entry() {
        let (key, value) = ([b'k'; KEY_MAX + 1], [b'v'; VALUE_MAX + 1]);
        assert!(Entry::new(&key, b"", Deadline::Never).is_none());
        assert!(Entry::new(b"", &value, Deadline::Never).is_none());
        let mut entry = Entry::new(&key[1..], &value[1..], Deadline::Never).unwrap();
        assert!(!entry.set_value(&value));
        assert_eq!(entry.size(), KEY_MAX + VALUE_MAX, "it is as before");
    }
}
