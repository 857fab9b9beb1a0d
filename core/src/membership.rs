//! Membership: the epoch of a cluster, the members that vote in it, and the change that ends it.
//!
//! An epoch is a Multi-Paxos of its own, with one set of members. The last command of an epoch names the members of the
//! next one, so that at any slot there is one quorum rule and one only (rules V1 to V9).
//!
//! Source: stop commands, from Lamport, Malkhi and Zhou, *Stoppable Paxos* (2008) and *Reconfiguring a State Machine*
//! (2010).

use crate::mutant::{Mistake, Mutant};
use crate::{Digest, MalformedPage, NodeId, NodeSet, Proposal, Reader, Sink};
use core::cmp::Ordering;
use core::fmt;

/// The number of an epoch: how many times the members of the cluster have changed.
///
/// ```
/// use synod::Epoch;
/// assert_eq!(Epoch::FIRST.next(), Some(Epoch(1)));
/// assert_eq!(Epoch::LAST.next(), None, "epochs never wrap");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Epoch(pub u16);

impl Epoch {
    /// The epoch that begins with the founding of a cluster.
    pub const FIRST: Self = Self(0);
    /// The last epoch; its members stay for ever (rule N1).
    pub const LAST: Self = Self(u16::MAX);

    /// Returns the following epoch; `None` after the last one.
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A change of the members: a compare-and-set, which takes effect only in the epoch that it names (rule V4).
///
/// The node set may be any one, without a member of the present one if need be: it is not built up step by step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Change {
    /// The epoch that the change ends.
    pub epoch: Epoch,
    /// The members of the next epoch.
    pub members: NodeSet,
}

impl Change {
    /// Returns 32 bits of a digest of the new members, which tell two changes of one epoch apart.
    pub(crate) fn fingerprint(&self) -> u32 {
        let mut digest = Digest::new();
        digest.put_u64(self.members.bits());
        u32::try_from(digest.value() >> 32).unwrap_or(0)
    }

    pub(crate) fn encode(&self, sink: &mut impl Sink) {
        sink.put(&self.epoch.0.to_le_bytes());
        sink.put_u64(self.members.bits());
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            epoch: Epoch(u16::from_le_bytes(reader.array()?)),
            members: NodeSet::from_bits(reader.u64()?),
        })
    }
}

/// Why a change of the members has no effect. The members stay what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ChangeError {
    /// The change names another epoch than the present one, because another change came first: look at the members
    /// that the cluster has by now, and decide anew.
    Epoch {
        /// The present epoch.
        present: Epoch,
    },
    /// The change leaves no member.
    NoMembers,
    /// The change names a node that was a member before and was removed. A number is never used again (rule V5): give
    /// the node a new one.
    Removed {
        /// The node that was removed.
        node: NodeId,
    },
    /// The last epoch has no successor (rule N1).
    LastEpoch,
    /// Too many of the new members have not caught up, or were not heard of by the leader since it was elected: the
    /// change would leave the cluster without a quorum until they have (rule V8). Nothing was proposed. Start the nodes,
    /// and ask again when they have caught up. A copy of the refused request that is still on its way may be taken later,
    /// when they have.
    Behind {
        /// The new member that is farthest behind.
        node: NodeId,
        /// The number of slots that it has to apply; `u16::MAX` if the leader has not heard of it, or if there are more
        /// than 254.
        by: u16,
    },
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the members were not changed: ")?;
        match self {
            Self::Epoch { present } => write!(
                f,
                "the change is for another epoch than the present one, {present}; another change came first"
            ),
            Self::NoMembers => f.write_str("no member would be left"),
            Self::Removed { node } => write!(
                f,
                "{node} was removed before, and a number is never used again: give the node a new one"
            ),
            Self::LastEpoch => f.write_str("there can be no further epoch"),
            Self::Behind { node, by: u16::MAX } => write!(
                f,
                "too many new members have not caught up; {node} is far behind, or the leader has not heard of it: start it, or wait, and ask again"
            ),
            Self::Behind { node, by } => write!(
                f,
                "too many new members have not caught up, {node} by {by} slots: wait, and ask again"
            ),
        }
    }
}

impl core::error::Error for ChangeError {}

impl ChangeError {
    /// Returns the name in logs: lower case, words joined by underscores.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Epoch { .. } => "other_epoch",
            Self::NoMembers => "no_members",
            Self::Removed { .. } => "removed",
            Self::LastEpoch => "last_epoch",
            Self::Behind { .. } => "behind",
        }
    }

    /// Encodes the reason: its kind, then a number for those that have one.
    pub(crate) fn encode(self, sink: &mut impl Sink) {
        let (kind, numbers) = match self {
            Self::Epoch { present } => (0, [present.0, 0]),
            Self::NoMembers => (1, [0; 2]),
            Self::Removed { node } => (2, [node.0, 0]),
            Self::LastEpoch => (3, [0; 2]),
            Self::Behind { node, by } => (4, [node.0, by]),
        };
        sink.put_u8(kind);
        for number in numbers {
            sink.put(&number.to_le_bytes());
        }
    }

    /// Reads a reason. Numbers that its kind does not have must be 0, so that every reason has exactly one encoding.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let kind = reader.u8()?;
        let mut number = || reader.array().map(u16::from_le_bytes);
        Some(match (kind, number()?, number()?) {
            (0, present, 0) => Self::Epoch {
                present: Epoch(present),
            },
            (1, 0, 0) => Self::NoMembers,
            (2, node, 0) => Self::Removed { node: NodeId(node) },
            (3, 0, 0) => Self::LastEpoch,
            (4, node, by) => Self::Behind {
                node: NodeId(node),
                by,
            },
            _ => return None,
        })
    }
}

/// The members of the present epoch, as part of the replicated state (rule V1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Membership {
    /// The nodes that vote.
    pub(crate) members: NodeSet,
    /// All nodes that are members or have been (rule V5).
    ever: NodeSet,
    pub(crate) epoch: Epoch,
    /// Set by the replica; without the feature `mutants` it has no size.
    pub(crate) mistake: Mistake,
}

impl Membership {
    /// The number of bytes of an encoded membership.
    pub(crate) const LEN: usize = 8 + 8 + 2;

    /// The membership of the first epoch.
    pub(crate) const fn founding(members: NodeSet) -> Self {
        Self {
            members,
            ever: members,
            epoch: Epoch::FIRST,
            mistake: Mistake::NONE,
        }
    }

    /// Returns the nodes that were members and are not any more.
    pub(crate) const fn removed(&self) -> NodeSet {
        self.ever.minus(self.members)
    }

    /// Rule V4: returns the epoch that a change leads to, or why it has no effect. Decides the same on every node that
    /// has applied the same slots, and at any slot of one epoch.
    #[cold]
    #[inline(never)]
    pub(crate) fn check(&self, change: &Change) -> Result<Epoch, ChangeError> {
        let Change { epoch, members } = *change;
        if epoch != self.epoch && !self.mistake.is(Mutant::ChangeUncompared) {
            return Err(ChangeError::Epoch {
                present: self.epoch,
            });
        }
        if members.is_empty() {
            return Err(ChangeError::NoMembers);
        }
        if let Some(node) = self.removed().intersection(members).iter().next()
            && !self.mistake.is(Mutant::NumberReused)
        {
            return Err(ChangeError::Removed { node });
        }
        self.epoch.next().ok_or(ChangeError::LastEpoch)
    }

    /// Rule V2: true if a proposal, decided for whichever slot of the present epoch, ends it.
    pub(crate) fn is_ended_by<C>(&self, proposal: &Proposal<C>) -> bool {
        matches!(proposal, Proposal::Reconfigure(change) if self.check(change).is_ok())
    }

    /// Returns the answer to a change that this state decides: it took effect in this epoch, or it never will. `None` if
    /// it may still be applied.
    #[cold]
    pub(crate) fn look_up(&self, change: &Change) -> Option<Result<Epoch, ChangeError>> {
        // A change that was applied before is found by its result, so that a retry gets the same answer.
        if change.epoch.next() == Some(self.epoch) && change.members == self.members {
            return Some(Ok(self.epoch));
        }
        let is_over = change.epoch < self.epoch && !self.mistake.is(Mutant::ChangeUncompared);
        is_over.then_some(Err(ChangeError::Epoch {
            present: self.epoch,
        }))
    }

    /// Applies a change: the epoch ends, or nothing happens.
    #[cold]
    #[inline(never)]
    pub(crate) fn apply(&mut self, change: &Change) -> Result<Epoch, ChangeError> {
        if let Some(known) = self.look_up(change) {
            return known;
        }
        let epoch = self.check(change)?;
        debug_assert!(epoch > self.epoch, "an epoch never comes again (N1)");
        *self = Self {
            members: change.members,
            ever: self.ever.union(change.members),
            epoch,
            mistake: self.mistake,
        };
        Ok(epoch)
    }

    /// True if a log that goes on from this membership can lead to a later one, so that a snapshot with it can be true.
    pub(crate) fn may_become(&self, later: &Self) -> bool {
        match later.epoch.cmp(&self.epoch) {
            Ordering::Less => false,
            Ordering::Equal => later.members == self.members && later.ever == self.ever,
            Ordering::Greater => self.ever.minus(later.ever).is_empty(),
        }
    }

    pub(crate) fn encode(&self, sink: &mut impl Sink) {
        sink.put_u64(self.members.bits());
        sink.put_u64(self.ever.bits());
        sink.put(&self.epoch.0.to_le_bytes());
    }

    /// Reads a membership, and refuses one that no log gives.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, MalformedPage> {
        let mut read = || {
            Some(Self {
                members: NodeSet::from_bits(reader.u64()?),
                ever: NodeSet::from_bits(reader.u64()?),
                epoch: Epoch(u16::from_le_bytes(reader.array()?)),
                mistake: Mistake::NONE,
            })
        };
        let read = read().ok_or(MalformedPage)?;
        let is_possible = !read.members.is_empty() && read.members.minus(read.ever).is_empty();
        if is_possible {
            Ok(read)
        } else {
            Err(MalformedPage)
        }
    }
}
