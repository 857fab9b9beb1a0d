//! Ballots and slots: the two numbers that the rules of the protocol compare.

use crate::{Epoch, NodeId};
use core::fmt;

/// A ballot: an epoch, a round and the node that owns it, ordered in this order.
///
/// All three are stored in one 64-bit word, 16 bits of [epoch](Epoch) above 32 bits of round above 16 bits of node, so
/// that the order is one comparison and an entry of the log stays small. A promise in one epoch therefore refuses every
/// ballot of earlier epochs (rule V1). At one election per second the rounds of an epoch last for 136 years. After the
/// last one, [`Ballot::succeeding`] returns `None` and the node stops claiming ballots. Rounds never wrap around: a
/// ballot that is used twice would allow two values under one ballot.
///
/// Source: the ballot numbers of Van Renesse and Altinbuken, *Paxos Made Moderately Complex*, section 2.2.
///
/// ```
/// use synod::{Ballot, Epoch, NodeId};
/// let old = Ballot::new(1, NodeId(3));
/// let new = Ballot::succeeding(old, NodeId(0)).unwrap();
/// assert!(new > old && old > Ballot::NULL);
/// assert_eq!((new.round(), new.leader()), (2, NodeId(0)));
/// assert_eq!(new.to_string(), "(2, NODE_0)");
///
/// let later = Ballot::of(Epoch(1), 1, NodeId(0));
/// assert!(later > new, "a ballot of a later epoch is above all of an earlier one");
/// assert_eq!(later.to_string(), "(1:1, NODE_0)", "with the epoch, after a change of the members");
/// ```
#[doc(alias = "term")]
#[doc(alias = "view")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ballot(u64);

impl Ballot {
    /// The null ballot, below every ballot that a node can claim: round 0. Real rounds start at 1.
    pub const NULL: Self = Self(0);
    /// The last round of an epoch; a node that has seen it claims no more ballots in that epoch.
    pub const ROUND_MAX: u64 = (1 << 32) - 1;
    /// How far a round may be above all rounds seen in the same epoch and still be plausible. A forged round near the
    /// end is no danger to safety, but would leave no node a higher one. A node that was away for two years in which the
    /// others held an election each second still believes what it hears.
    pub const ROUND_JUMP_MAX: u64 = 1 << 26;

    /// Returns the ballot of a round and a node in the first epoch. A round above [`Ballot::ROUND_MAX`] is clamped to
    /// it.
    pub const fn new(round: u64, leader: NodeId) -> Self {
        Self::of(Epoch::FIRST, round, leader)
    }

    /// Returns the ballot of an epoch, a round and a node. A round above [`Ballot::ROUND_MAX`] is clamped to it.
    pub const fn of(epoch: Epoch, round: u64, leader: NodeId) -> Self {
        let round = if round > Self::ROUND_MAX {
            Self::ROUND_MAX
        } else {
            round
        };
        // Widening a u16 loses nothing, and `From` is not callable in a `const fn`.
        #[expect(clippy::as_conversions, reason = "u16 to u64, in a const fn")]
        Self((epoch.0 as u64) << 48 | round << 16 | leader.0 as u64)
    }

    /// Returns the lower bound of the ballots of an epoch: above all ballots of earlier epochs, and below all that a
    /// node can claim in this one. Of the first epoch it is [`Ballot::NULL`].
    pub(crate) const fn floor(epoch: Epoch) -> Self {
        Self::of(epoch, 0, NodeId(0))
    }

    /// Returns the lowest ballot of `leader` above `highest` in the epoch of `highest`; `None` if the rounds of that
    /// epoch are used up.
    pub const fn succeeding(highest: Self, leader: NodeId) -> Option<Self> {
        if highest.round() >= Self::ROUND_MAX {
            None
        } else {
            Some(Self::of(highest.epoch(), highest.round() + 1, leader))
        }
    }

    /// Returns the epoch.
    pub const fn epoch(self) -> Epoch {
        #[expect(clippy::as_conversions, reason = "the upper 16 bits, in a const fn")]
        Epoch((self.0 >> 48) as u16)
    }

    /// Returns the round.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub const fn round(self) -> u64 {
        self.0 >> 16 & Self::ROUND_MAX
    }

    /// Returns the node that owns the ballot.
    pub const fn leader(self) -> NodeId {
        #[expect(clippy::as_conversions, reason = "the low 16 bits, in a const fn")]
        NodeId((self.0 & 0xffff) as u16)
    }

    /// Returns the ballot as one word, in the same order: the epoch in the upper 16 bits, the round in the 32 below
    /// them, the node in the lowest 16.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Returns the ballot of a word from [`Ballot::bits`].
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// True if a node that has seen ballots up to `seen` accepts this ballot as honest: of the same epoch, and at most
    /// [`Ballot::ROUND_JUMP_MAX`] rounds higher.
    pub const fn is_plausible(self, seen: Self) -> bool {
        self.epoch().0 == seen.epoch().0
            && self.round() >= 1
            && self.round().saturating_sub(seen.round()) <= Self::ROUND_JUMP_MAX
    }
}

impl fmt::Display for Ballot {
    /// `(2, NODE_0)`; with the epoch before the round, `(1:2, NODE_0)`, unless it is the first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        if self.epoch() > Epoch::FIRST {
            write!(f, "{}:", self.epoch())?;
        }
        write!(f, "{}, {})", self.round(), self.leader())
    }
}

/// A position in the replicated log, counted from 1. As the end of a prefix, [`Slot::ZERO`] means that the prefix is
/// empty.
///
/// ```
/// use synod::Slot;
/// assert_eq!(Slot::ZERO.next(), Some(Slot::FIRST));
/// assert_eq!(Slot::new(u64::MAX).next(), None, "the log never wraps");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Slot(u64);

impl Slot {
    /// Before the first slot: the end of an empty prefix. It never holds a command.
    pub const ZERO: Self = Self(0);
    /// The first slot of the log.
    pub const FIRST: Self = Self(1);

    /// Returns the slot with a number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number of the slot.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Returns the following slot, or `None` after the last number.
    pub const fn next(self) -> Option<Self> {
        self.checked_add(1)
    }

    /// Returns the slot `count` positions later, or `None` past the last number.
    pub const fn checked_add(self, count: u64) -> Option<Self> {
        match self.0.checked_add(count) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Returns the slot `count` positions earlier, or [`Slot::ZERO`].
    #[must_use]
    pub const fn back(self, count: u64) -> Self {
        Self(self.0.saturating_sub(count))
    }

    /// Returns the number of slots in (`earlier`, `self`]; 0 if `earlier` is not earlier.
    pub const fn distance(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s1_a_succeeding_ballot_is_above_everything_seen() {
        for seen in [
            Ballot::NULL,
            Ballot::new(1, NodeId(63)),
            Ballot::new(7, NodeId(0)),
        ] {
            for me in [NodeId(0), NodeId(63)] {
                assert!(Ballot::succeeding(seen, me).unwrap() > seen);
            }
        }
    }

    #[test]
    fn v1_a_ballot_of_a_later_epoch_is_above_all_of_an_earlier_one() {
        let last = Ballot::of(Epoch(6), Ballot::ROUND_MAX, NodeId(63));
        let floor = Ballot::floor(Epoch(7));
        let first = Ballot::succeeding(floor, NodeId(0)).unwrap();
        assert!(last < floor && floor < first);
        assert_eq!((first.epoch(), first.round()), (Epoch(7), 1));
        assert_eq!(Ballot::from_bits(first.bits()), first);
        assert_eq!(Ballot::floor(Epoch::FIRST), Ballot::NULL);
        let end = Ballot::of(Epoch::LAST, Ballot::ROUND_MAX, NodeId(u16::MAX));
        assert_eq!(end.bits(), u64::MAX);
    }

    #[test]
    fn n1_rounds_end_and_never_wrap() {
        let last = Ballot::new(u64::MAX, NodeId(1));
        assert_eq!(last.round(), Ballot::ROUND_MAX);
        assert_eq!(Ballot::succeeding(last, NodeId(2)), None);
    }

    #[test]
    fn n1_a_forged_jump_is_not_plausible() {
        let seen = Ballot::new(5, NodeId(0));
        assert!(Ballot::new(5 + Ballot::ROUND_JUMP_MAX, NodeId(1)).is_plausible(seen));
        assert!(!Ballot::new(6 + Ballot::ROUND_JUMP_MAX, NodeId(1)).is_plausible(seen));
        assert!(
            !Ballot::NULL.is_plausible(Ballot::NULL),
            "round 0 is nobody's"
        );
    }
}
