//! The reader: the reads that wait at a node until they may be served (rules Q2 to Q5).
//!
//! Reads are asked about together. A question to the leader covers all reads that wait when it is sent; those that come
//! later wait for the next one. The answer, the read index, is the slot that this node has to apply before it looks.

use crate::Slot;
use crate::invariant::ensure;
use crate::mutant::{Mistake, Mutant};
use core::hash::{Hash, Hasher};
use heapless::Deque;

/// The reads that wait at a node, of which there are at most `CLIENTS`.
///
/// They are in the order in which they came, and in three parts: those whose index is known, those that the question
/// under way covers, and those that came after it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Reader<const CLIENTS: usize> {
    /// The nonces of all reads.
    waiting: Deque<u64, CLIENTS>,
    /// How many of them may be served as soon as `index` is applied.
    confirmed: u16,
    /// How many of them are confirmed, or covered by the question under way.
    asked: u16,
    /// The read index of those that are confirmed.
    index: Slot,
    /// How many times the question was repeated, or the index waited for, in vain.
    repeats: u8,
    /// Set by the node; without the feature `mutants` it has no size.
    pub(crate) mistake: Mistake,
}

impl<const CLIENTS: usize> Hash for Reader<CLIENTS> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.waiting.len().hash(state);
        for nonce in &self.waiting {
            nonce.hash(state);
        }
        (self.confirmed, self.asked, self.index, self.repeats).hash(state);
    }
}

/// The verdict of the reader on a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadVerdict {
    /// It waits.
    Waits,
    /// A read with this nonce waits already.
    Known,
    /// As many reads wait as there is room for.
    Full,
}

impl<const CLIENTS: usize> Reader<CLIENTS> {
    pub(crate) const fn new() -> Self {
        Self {
            waiting: Deque::new(),
            confirmed: 0,
            asked: 0,
            index: Slot::ZERO,
            repeats: 0,
            mistake: Mistake::NONE,
        }
    }

    /// True if no read waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// True if a read waits whose index is known.
    pub(crate) const fn is_confirmed(&self) -> bool {
        self.confirmed > 0
    }

    /// Takes a read.
    pub(crate) fn push(&mut self, nonce: u64) -> ReadVerdict {
        if self.waiting.iter().any(|waiting| *waiting == nonce) {
            ReadVerdict::Known
        } else if self.waiting.push_back(nonce).is_ok() {
            ReadVerdict::Waits
        } else {
            ReadVerdict::Full
        }
    }

    /// Returns the question under way, if there is one: the nonce of the newest read that it covers. As nobody uses a
    /// nonce twice, no answer to an earlier question is taken for one to this one, not even after a restart.
    pub(crate) fn question(&self) -> Option<u64> {
        if self.asked == self.confirmed {
            return None;
        }
        let newest = usize::from(self.asked).checked_sub(1)?;
        self.waiting.iter().nth(newest).copied()
    }

    /// Begins a question that covers all reads that wait, unless one is under way or nothing is to be asked.
    pub(crate) fn ask(&mut self) -> Option<u64> {
        let is_free = self.asked == self.confirmed;
        self.asked = if is_free { self.len() } else { self.asked };
        self.question().filter(|_| is_free)
    }

    /// Rule Q4: takes the answer to the question under way. Returns false if it answers another one.
    pub(crate) fn on_index(&mut self, nonce: u64, index: Slot) -> bool {
        if self.question() != Some(nonce) {
            return false;
        }
        self.confirmed = if self.mistake.is(Mutant::LaterReadsCovered) {
            self.len()
        } else {
            self.asked
        };
        self.asked = self.confirmed;
        // A read that was confirmed before may now wait for longer than it has to, and for no later than the others.
        self.index = self.index.max(index);
        self.repeats = 0;
        true
    }

    /// Rule Q5: takes the first read that may be served, now that the log is applied up to a slot.
    pub(crate) fn next_served(&mut self, applied: Slot) -> Option<u64> {
        if self.confirmed == 0
            || applied < self.index && !self.mistake.is(Mutant::ReadBeforeApplied)
        {
            return None;
        }
        self.take_first()
    }

    /// Counts a repetition, or a span of waiting for the index. Returns true once there were so many that the reads which
    /// were asked about are given up: [`Reader::next_given_up`] takes them.
    pub(crate) fn is_given_up(&mut self, repeats_max: u8) -> bool {
        if self.asked == 0 {
            self.repeats = 0;
            return false;
        }
        self.repeats = self.repeats.saturating_add(1);
        self.repeats > repeats_max
    }

    /// Takes the first of the reads that were asked about.
    pub(crate) fn next_given_up(&mut self) -> Option<u64> {
        if self.asked == 0 {
            self.repeats = 0;
            return None;
        }
        self.take_first()
    }

    fn take_first(&mut self) -> Option<u64> {
        let first = self.waiting.pop_front()?;
        self.confirmed = self.confirmed.saturating_sub(1);
        self.asked = self.asked.saturating_sub(1);
        Some(first)
    }

    /// Returns the number of reads.
    fn len(&self) -> u16 {
        u16::try_from(self.waiting.len()).unwrap_or(u16::MAX)
    }

    /// Checks the invariants that hold between steps.
    pub(crate) fn check_invariants(&self, applied: Slot) -> Result<(), &'static str> {
        ensure(
            self.confirmed <= self.asked && self.asked <= self.len(),
            "a read has its index without a question, or a question covers none (Q4)",
        )?;
        ensure(
            self.confirmed == 0 || applied < self.index,
            "a read that may be served still waits (Q5)",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Small = Reader<3>;

    fn slot(number: u64) -> Slot {
        Slot::new(number)
    }

    #[test]
    fn q4_a_question_covers_the_reads_that_wait_when_it_is_sent() {
        let mut reader = Small::new();
        assert_eq!(reader.push(7), ReadVerdict::Waits);
        assert_eq!(reader.ask(), Some(7));
        assert_eq!(reader.push(8), ReadVerdict::Waits);
        assert_eq!(reader.ask(), None, "one is under way");
        assert!(!reader.on_index(8, slot(1)), "it was not asked about");
        assert!(reader.on_index(7, slot(3)));
        assert!(!reader.on_index(7, slot(9)), "an answer that comes twice");
        assert_eq!(reader.next_served(slot(2)), None);
        assert_eq!(reader.next_served(slot(3)), Some(7));
        assert_eq!(reader.next_served(slot(3)), None, "no index yet");
        assert_eq!(reader.ask(), Some(8));
    }

    #[test]
    fn q5_reads_that_are_confirmed_later_delay_those_before_and_never_hasten_them() {
        let mut reader = Small::new();
        reader.push(1);
        reader.ask();
        assert!(reader.on_index(1, slot(5)));
        reader.push(2);
        assert_eq!(reader.ask(), Some(2));
        assert!(reader.on_index(2, slot(4)), "from another leader");
        assert_eq!(reader.next_served(slot(4)), None);
        assert_eq!(reader.next_served(slot(5)), Some(1));
        assert_eq!(reader.next_served(slot(5)), Some(2));
        assert!(reader.is_empty());
    }

    #[test]
    fn reads_that_nobody_confirms_are_given_up_and_later_ones_are_asked_about() {
        let mut reader = Small::new();
        reader.push(1);
        reader.push(2);
        reader.ask();
        reader.push(3);
        assert_eq!(reader.push(4), ReadVerdict::Full);
        assert_eq!(reader.push(2), ReadVerdict::Known);
        assert!(!reader.is_given_up(1));
        assert!(reader.is_given_up(1));
        assert_eq!(reader.next_given_up(), Some(1));
        assert_eq!(reader.next_given_up(), Some(2));
        assert_eq!(reader.next_given_up(), None);
        assert_eq!(reader.ask(), Some(3));
        assert!(!reader.is_given_up(1), "it counts anew");
    }
}
