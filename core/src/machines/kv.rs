//! A key-value store with `get` and `set`, and a fixed number of keys.
//!
//! Entries are in an array sorted by key. A look-up is a binary search, and a new key moves those behind it, which is
//! cheap for tens of keys. Equal contents are equal bytes, as snapshots and comparisons want them.

use super::{Key, version};
use crate::{MalformedPage, Reader, SNAPSHOT_PAGE, Sink, StateMachine, Value, Writer};
use core::fmt;
use heapless::Vec;

/// The commands of a [`Kv`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum KvCommand {
    /// Returns the value of a key.
    Get(Key),
    /// Sets the value of a key and returns it.
    Set(Key, i64),
}

impl fmt::Debug for KvCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get(key) => {
                f.write_str("get(")?;
                f.write_str(key.as_str())?;
            }
            Self::Set(key, value) => {
                f.write_str("set(")?;
                f.write_str(key.as_str())?;
                f.write_str(", ")?;
                value.fmt(f)?;
            }
        }
        f.write_str(")")
    }
}

/// The same words as `Debug`.
#[cfg(feature = "defmt")]
impl defmt::Format for KvCommand {
    fn format(&self, f: defmt::Formatter<'_>) {
        match self {
            Self::Get(key) => defmt::write!(f, "get({})", key),
            Self::Set(key, value) => defmt::write!(f, "set({}, {=i64})", key, value),
        }
    }
}

impl Value for KvCommand {
    const ENCODED_MAX: usize = 1 + Key::ENCODED_MAX + 8;

    fn encode(&self, sink: &mut impl Sink) {
        match self {
            Self::Get(key) => {
                sink.put_u8(0);
                key.encode(sink);
            }
            Self::Set(key, value) => {
                sink.put_u8(1);
                key.encode(sink);
                sink.put(&value.to_le_bytes());
            }
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        Some(match reader.u8()? {
            0 => Self::Get(Key::decode(reader)?),
            1 => Self::Set(Key::decode(reader)?, i64::from_le_bytes(reader.array()?)),
            _ => return None,
        })
    }
}

/// The outputs of a [`Kv`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum KvReply {
    /// The key has no value.
    None,
    /// The value of the key.
    Value(i64),
    /// There is no room for a new key; nothing was set.
    Full,
}

impl fmt::Debug for KvReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Value(value) => value.fmt(f),
            Self::Full => f.write_str("full"),
        }
    }
}

/// The same words as `Debug`.
#[cfg(feature = "defmt")]
#[expect(
    clippy::match_same_arms,
    reason = "the words differ, which the lint does not see"
)]
impl defmt::Format for KvReply {
    fn format(&self, f: defmt::Formatter<'_>) {
        match self {
            Self::None => defmt::write!(f, "none"),
            Self::Value(value) => defmt::write!(f, "{=i64}", value),
            Self::Full => defmt::write!(f, "full"),
        }
    }
}

impl Value for KvReply {
    const ENCODED_MAX: usize = 9;

    fn encode(&self, sink: &mut impl Sink) {
        match self {
            Self::None => sink.put_u8(0),
            Self::Value(value) => {
                sink.put_u8(1);
                sink.put(&value.to_le_bytes());
            }
            Self::Full => sink.put_u8(2),
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        Some(match reader.u8()? {
            0 => Self::None,
            1 => Self::Value(i64::from_le_bytes(reader.array()?)),
            2 => Self::Full,
            _ => return None,
        })
    }
}

/// A key-value store with up to `KEYS` keys.
///
/// ```
/// use synod::StateMachine;
/// use synod::machines::{Key, Kv, KvCommand, KvReply};
///
/// let mut store = Kv::<1>::default();
/// let (a, b) = (Key::new("A").unwrap(), Key::new("B").unwrap());
/// assert_eq!(store.apply(&KvCommand::Get(a)), KvReply::None);
/// assert_eq!(store.apply(&KvCommand::Set(a, 9)), KvReply::Value(9));
/// assert_eq!(store.apply(&KvCommand::Set(b, 1)), KvReply::Full);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Kv<const KEYS: usize> {
    /// In rising order of keys, so that equal contents are equal bytes.
    entries: Vec<(Key, i64), KEYS>,
}

const _: () = assert!(
    Key::ENCODED_MAX + 8 <= SNAPSHOT_PAGE,
    "an entry fits in a page of a snapshot"
);

impl<const KEYS: usize> Kv<KEYS> {
    /// Entries in a page: each is a key and eight bytes of value.
    const ENTRIES_A_PAGE: usize = SNAPSHOT_PAGE / (Key::ENCODED_MAX + 8);

    /// Returns the index of a key; or where it belongs, if it has no value.
    fn find(&self, key: Key) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&key, |(known, _)| *known)
    }

    /// Returns the value of a key.
    pub fn get(&self, key: Key) -> Option<i64> {
        let index = self.find(key).ok()?;
        self.entries.get(index).map(|(_, value)| *value)
    }

    /// Returns the keys and their values, in rising order of keys.
    pub fn iter(&self) -> impl Iterator<Item = (Key, i64)> {
        self.entries.iter().copied()
    }

    /// Sets the value of a key. A key that is known needs no room, so it can be set in a full store as well.
    fn set(&mut self, key: Key, value: i64) -> KvReply {
        match self.find(key) {
            Ok(index) => {
                if let Some(entry) = self.entries.get_mut(index) {
                    entry.1 = value;
                }
            }
            Err(index) => {
                if !super::insert(&mut self.entries, index, (key, value)) {
                    return KvReply::Full;
                }
            }
        }
        debug_assert!(
            self.entries.is_sorted_by(|(one, _), (next, _)| one < next),
            "equal contents are equal bytes only in one order (R5)"
        );
        KvReply::Value(value)
    }
}

impl<const KEYS: usize> StateMachine for Kv<KEYS> {
    type Command = KvCommand;
    type Output = KvReply;

    /// Depends on the capacity, since a larger store takes a key that a full one rejects.
    const VERSION: u32 = version(b'k', KEYS);

    fn apply(&mut self, command: &KvCommand) -> KvReply {
        match command {
            KvCommand::Get(key) => self.get(*key).map_or(KvReply::None, KvReply::Value),
            KvCommand::Set(key, value) => self.set(*key, *value),
        }
    }

    fn snapshot_pages(&self) -> u32 {
        u32::try_from(self.entries.len().div_ceil(Self::ENTRIES_A_PAGE)).unwrap_or(u32::MAX)
    }

    fn write_page(&self, page: u32, writer: &mut Writer<'_>) {
        // Pages are cut by the number of entries and not by bytes, so that no entry is in two.
        let skip = usize::try_from(page)
            .unwrap_or(usize::MAX)
            .saturating_mul(Self::ENTRIES_A_PAGE);
        for (key, value) in self.entries.iter().skip(skip).take(Self::ENTRIES_A_PAGE) {
            key.encode(writer);
            writer.put(&value.to_le_bytes());
        }
    }

    fn read_page(&mut self, _page: u32, reader: &mut Reader<'_>) -> Result<(), MalformedPage> {
        while !reader.is_empty() {
            // Each page is appended to what the pages before it gave. A page out of order would still give the same
            // store.
            let key = Key::decode(reader).ok_or(MalformedPage)?;
            let value = i64::from_le_bytes(reader.array().ok_or(MalformedPage)?);
            if self.set(key, value) == KvReply::Full {
                return Err(MalformedPage);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_carries_every_key() {
        let mut store = Kv::<40>::default();
        for index in (0..40).rev() {
            store.apply(&KvCommand::Set(Key::numbered(index), i64::from(index) - 7));
        }
        let mut copy = Kv::<40>::default();
        for page in 0..store.snapshot_pages() {
            let mut buffer = [0; SNAPSHOT_PAGE];
            let mut writer = Writer::new(&mut buffer);
            store.write_page(page, &mut writer);
            assert!(!writer.overflowed());
            let len = writer.len();
            copy.read_page(page, &mut Reader::new(&buffer[..len]))
                .unwrap();
        }
        assert_eq!(copy, store);
        let mut small = Kv::<2>::default();
        let mut buffer = [0; SNAPSHOT_PAGE];
        store.write_page(0, &mut Writer::new(&mut buffer));
        assert_eq!(
            small.read_page(0, &mut Reader::new(&buffer[..90])),
            Err(MalformedPage)
        );
    }

    #[test]
    fn the_order_of_writes_leaves_no_trace_in_the_state() {
        let (a, b) = (Key::numbered(0), Key::numbered(1));
        let (mut first, mut second) = (Kv::<4>::default(), Kv::<4>::default());
        first.apply(&KvCommand::Set(a, 1));
        first.apply(&KvCommand::Set(b, 2));
        second.apply(&KvCommand::Set(b, 2));
        second.apply(&KvCommand::Set(a, 1));
        assert_eq!(first, second);
    }
}
