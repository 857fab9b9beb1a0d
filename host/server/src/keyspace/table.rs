//! The entries of the keyspace, in places from 0 without gaps, and what is needed to find them.
//!
//! A new key takes the place behind the last one. When a key is removed, the last entry moves to its place. So the places
//! follow from the operations alone, and a table that reads entries in the order of their places equals the one that
//! wrote them. Everything else in a table follows from its entries.

use super::deadlines::Deadlines;
use super::entry::{Deadline, Entry};
use super::index::{Index, Tag};
use super::lengths::Lengths;
use super::{BYTES_MAX, KEYS_MAX};
use core::hash::{Hash, Hasher};

/// Up to [`KEYS_MAX`] entries with up to [`BYTES_MAX`] bytes of keys and values.
pub(super) struct Table {
    entries: Vec<Entry>,
    index: Index,
    lengths: Lengths,
    deadlines: Deadlines,
    /// The bytes of all keys and values.
    bytes: usize,
}

/// A key that is absent.
#[derive(Clone, Copy)]
pub(super) struct Absent(Tag);

impl Table {
    /// The most memory that a table takes, in bytes.
    pub(super) const MEMORY_MAX: usize = Lengths::MEMORY
        + Index::MEMORY
        + KEYS_MAX * (size_of::<Entry>() + Deadlines::MEMORY_PER_KEY);

    pub(super) fn new() -> Self {
        Self {
            entries: Vec::with_capacity(KEYS_MAX),
            index: Index::new(),
            lengths: Lengths::new(),
            deadlines: Deadlines::default(),
            bytes: 0,
        }
    }

    /// Returns the number of keys.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns how many bytes all keys and values have.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns how many bytes all encoded entries have.
    pub(super) fn encoded_len(&self) -> usize {
        self.lengths.total()
    }

    pub(super) fn deadlines(&self) -> &Deadlines {
        &self.deadlines
    }

    /// Returns the entries in the order of their places.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the entries from the one that contains this byte of all encoded entries, and how many bytes of that
    /// entry are before it.
    pub(super) fn entries_from(&self, byte: usize) -> (&[Entry], usize) {
        let (place, skipped) = self.lengths.find(byte);
        (self.entries.get(place..).unwrap_or_default(), skipped)
    }

    /// Returns the place of a key.
    pub(super) fn find(&self, key: &[u8]) -> Result<u16, Absent> {
        let tag = self.index.tag(key);
        let is_key = |place| self.entry(place).is_some_and(|entry| entry.key() == key);
        self.index.find(tag, is_key).ok_or(Absent(tag))
    }

    /// Returns the entry of a key.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Entry> {
        self.entry(self.find(key).ok()?)
    }

    /// Returns the entry at a place.
    pub(super) fn entry(&self, place: u16) -> Option<&Entry> {
        self.entries.get(usize::from(place))
    }

    /// True if so many keys and bytes fit when so many bytes are freed.
    pub(super) fn has_room(&self, keys: usize, bytes: usize, freed: usize) -> bool {
        let bytes = self.bytes.saturating_add(bytes).saturating_sub(freed);
        self.len().saturating_add(keys) <= KEYS_MAX && bytes <= BYTES_MAX
    }

    /// Adds an entry whose key is absent; returns false, and does nothing, if there is no room.
    pub(super) fn insert(&mut self, Absent(tag): Absent, entry: &Entry) -> bool {
        let place = u16::try_from(self.len()).ok();
        let Some(place) = place.filter(|_| self.has_room(1, entry.size(), 0)) else {
            return false;
        };
        self.index.insert(tag, place);
        self.lengths.replace(place, 0, entry.encoded_len());
        self.deadlines.insert(entry.deadline(), place);
        self.bytes += entry.size();
        self.entries.push(*entry);
        true
    }

    /// Replaces the value and the deadline at a place; returns false, and does nothing, if there is no room.
    pub(super) fn replace(&mut self, place: u16, value: &[u8], deadline: Deadline) -> bool {
        let old = self.entry(place).map_or(0, |entry| entry.value().len());
        if !self.has_room(0, value.len(), old) {
            return false;
        }
        let bytes = (self.bytes + value.len()).saturating_sub(old);
        let Some(entry) = self.entries.get_mut(usize::from(place)) else {
            return false;
        };
        let encoded_len = entry.encoded_len();
        if !entry.set_value(value) {
            return false;
        }
        if entry.deadline() != deadline {
            self.deadlines.remove(entry.deadline(), place);
            self.deadlines.insert(deadline, place);
            entry.set_deadline(deadline);
        }
        self.lengths
            .replace(place, encoded_len, entry.encoded_len());
        self.bytes = bytes;
        true
    }

    /// Replaces the deadline at a place.
    pub(super) fn set_deadline(&mut self, place: u16, deadline: Deadline) {
        if let Some(entry) = self.entries.get_mut(usize::from(place)) {
            let encoded_len = entry.encoded_len();
            self.deadlines.remove(entry.deadline(), place);
            self.deadlines.insert(deadline, place);
            entry.set_deadline(deadline);
            self.lengths
                .replace(place, encoded_len, entry.encoded_len());
        }
    }

    /// Removes the entry at a place, which the last entry takes; returns whether there was one.
    pub(super) fn remove(&mut self, place: u16) -> bool {
        let entry = self.entries.get(usize::from(place));
        let (Some(entry), Some(moved)) = (entry, self.entries.last()) else {
            return false;
        };
        let last = u16::try_from(self.entries.len() - 1).unwrap_or(u16::MAX);
        let (deadline, encoded_len) = (entry.deadline(), entry.encoded_len());
        self.bytes = self.bytes.saturating_sub(entry.size());
        self.index.remove(self.index.tag(entry.key()), place);
        self.deadlines.remove(deadline, place);
        if last == place {
            self.lengths.replace(place, encoded_len, 0);
        } else {
            let (moved_deadline, moved_len) = (moved.deadline(), moved.encoded_len());
            self.index.replace(self.index.tag(moved.key()), last, place);
            self.deadlines.remove(moved_deadline, last);
            self.deadlines.insert(moved_deadline, place);
            self.lengths.replace(last, moved_len, 0);
            self.lengths.replace(place, encoded_len, moved_len);
        }
        self.entries.swap_remove(usize::from(place));
        true
    }
}

/// With the same room as the original, so that a copy never grows either.
impl Clone for Table {
    fn clone(&self) -> Self {
        let mut copy = Self {
            entries: Vec::with_capacity(KEYS_MAX),
            index: self.index.clone(),
            lengths: self.lengths.clone(),
            deadlines: self.deadlines.clone(),
            bytes: self.bytes,
        };
        copy.entries.extend_from_slice(&self.entries);
        copy
    }
}

impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl Eq for Table {}

impl Hash for Table {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.entries.hash(state);
    }
}
