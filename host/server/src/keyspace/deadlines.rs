//! The places of the keys that expire, in the order in which they do.

use super::entry::Deadline;
use std::collections::BTreeSet;

/// The places of all keys that expire. It follows from the entries.
#[derive(Clone, Default)]
pub(super) struct Deadlines {
    new: BTreeSet<u16>,
    waiting: BTreeSet<u16>,
    elapsed: BTreeSet<(u64, u16)>,
    unix: BTreeSet<(u64, u16)>,
}

impl Deadlines {
    /// The most memory that a key takes, in bytes: its share of a leaf with five of eleven items of 16 bytes, and of the
    /// nodes above.
    pub(super) const MEMORY_PER_KEY: usize = 56;

    pub(super) fn insert(&mut self, deadline: Deadline, place: u16) {
        match deadline {
            Deadline::Never => false,
            Deadline::New(_) => self.new.insert(place),
            Deadline::Waiting(_) => self.waiting.insert(place),
            Deadline::Elapsed(time) => self.elapsed.insert((time, place)),
            Deadline::Unix(time) => self.unix.insert((time, place)),
        };
    }

    pub(super) fn remove(&mut self, deadline: Deadline, place: u16) {
        match deadline {
            Deadline::Never => false,
            Deadline::New(_) => self.new.remove(&place),
            Deadline::Waiting(_) => self.waiting.remove(&place),
            Deadline::Elapsed(time) => self.elapsed.remove(&(time, place)),
            Deadline::Unix(time) => self.unix.remove(&(time, place)),
        };
    }

    /// Returns how many keys expire.
    pub(super) fn len(&self) -> usize {
        self.new.len() + self.waiting.len() + self.elapsed.len() + self.unix.len()
    }

    /// True if a deadline is not known yet.
    pub(super) fn is_any_open(&self) -> bool {
        !self.new.is_empty() || !self.waiting.is_empty()
    }

    /// Returns the places whose deadlines are new.
    pub(super) fn new_places(&self) -> Vec<u16> {
        self.new.iter().copied().collect()
    }

    /// Returns the places whose deadlines are waiting.
    pub(super) fn waiting_places(&self) -> Vec<u16> {
        self.waiting.iter().copied().collect()
    }

    /// Returns the earliest deadlines: in elapsed time, and since 1970.
    pub(super) fn earliest(&self) -> (Option<u64>, Option<u64>) {
        let first = |times: &BTreeSet<(u64, u16)>| times.first().map(|(time, _)| *time);
        (first(&self.elapsed), first(&self.unix))
    }

    /// Returns the place of a key that expires at these times, or before.
    pub(super) fn first_due(&self, elapsed: u64, unix: u64) -> Option<u16> {
        let due = |times: &BTreeSet<(u64, u16)>, now| {
            let first = times.first().filter(|(time, _)| *time <= now);
            first.map(|(_, place)| *place)
        };
        due(&self.elapsed, elapsed).or_else(|| due(&self.unix, unix))
    }
}
