//! The epochs of a run: the members of each, and the slot after which it began.

use crate::{Change, ChangeError, Epoch, NodeId, NodeSet, Slot};
use heapless::Vec;

/// How many epochs are kept. A check that asks for an older one is counted as not done.
const KEPT: usize = 16;

/// What the log says of the epochs, written apart from the membership of a replica and more plainly; and what nodes have
/// said of epochs to which the log is not played yet.
#[derive(Clone, Debug)]
pub(super) struct Epochs {
    /// In rising order.
    known: Vec<Era, KEPT>,
    /// The epoch at the end of what is played of the log.
    present: Epoch,
    /// The nodes that were members in any epoch up to that one.
    ever: NodeSet,
}

/// One epoch.
#[derive(Clone, Copy, Debug)]
struct Era {
    epoch: Epoch,
    members: NodeSet,
    /// The slot that ended the epoch before; `None` as long as the log is not played up to there.
    began: Option<Slot>,
}

impl Epochs {
    /// No epoch is known.
    pub(super) const fn new() -> Self {
        Self {
            known: Vec::new(),
            present: Epoch::FIRST,
            ever: NodeSet::EMPTY,
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    /// The epoch at the end of what is played of the log.
    pub(super) const fn present(&self) -> Epoch {
        self.present
    }

    /// A node that was founded by `founders` is in an epoch with these members. Returns false if it was told otherwise.
    pub(super) fn enter(&mut self, founders: NodeSet, epoch: Epoch, members: NodeSet) -> bool {
        if self.known.is_empty() {
            self.ever = founders;
            self.add(Epoch::FIRST, founders, Some(Slot::ZERO));
        }
        if let Some(known) = self.members(epoch) {
            return known == members;
        }
        // An epoch that was forgotten is older than all that are kept. One may be told of after a later one, by records.
        if !self.known.is_full() || self.known.last().is_none_or(|last| last.epoch < epoch) {
            self.add(epoch, members, None);
        }
        true
    }

    fn add(&mut self, epoch: Epoch, members: NodeSet, began: Option<Slot>) {
        if self.known.is_full() {
            self.known.remove(0);
        }
        let era = Era {
            epoch,
            members,
            began,
        };
        let later = self.known.iter().position(|known| known.epoch > epoch);
        let index = later.unwrap_or(self.known.len());
        let added = self.known.insert(index, era);
        debug_assert!(added.is_ok(), "room was made");
    }

    fn era(&self, epoch: Epoch) -> Option<&Era> {
        self.known.iter().rev().find(|era| era.epoch == epoch)
    }

    /// The members of an epoch, if it is known.
    pub(super) fn members(&self, epoch: Epoch) -> Option<NodeSet> {
        Some(self.era(epoch)?.members)
    }

    /// Whether a node votes in an epoch, as far as that is known.
    pub(super) fn is_member(&self, epoch: Epoch, node: NodeId) -> bool {
        self.members(epoch)
            .is_none_or(|members| members.contains(node))
    }

    /// The slot that ended the epoch before, if the log is played up to there.
    pub(super) fn began(&self, epoch: Epoch) -> Option<Slot> {
        self.era(epoch)?.began
    }

    /// Plays a change that is decided for a slot (rules V4 and V5).
    pub(super) fn play(&mut self, slot: Slot, change: &Change) -> Result<Epoch, ChangeError> {
        let Change { epoch, members } = *change;
        let present = self.present;
        let old = self.members(present).unwrap_or(NodeSet::EMPTY);
        // The same once more: whoever asks again is told what came of it.
        if present.0.checked_sub(1) == Some(epoch.0) && members == old {
            return Ok(present);
        }
        if epoch != present {
            return Err(ChangeError::Epoch { present });
        }
        if members == NodeSet::EMPTY {
            return Err(ChangeError::NoMembers);
        }
        if let Some(node) = members.iter().find(|node| {
            let is_new = !self.ever.contains(*node);
            !is_new && !old.contains(*node)
        }) {
            return Err(ChangeError::Removed { node });
        }
        let Some(next) = present.next() else {
            return Err(ChangeError::LastEpoch);
        };
        self.present = next;
        self.ever = self.ever.union(members);
        match self.known.iter_mut().find(|era| era.epoch == next) {
            // A node has told of it, and is found out if it was wrong: the log decides.
            Some(era) => (era.members, era.began) = (members, Some(slot)),
            None => self.add(next, members, Some(slot)),
        }
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v4_the_log_and_a_replica_make_the_same_of_every_change() {
        let founders = NodeSet::first(3);
        let mut epochs = Epochs::new();
        assert!(epochs.enter(founders, Epoch::FIRST, founders));
        let mut membership = crate::membership::Membership::founding(founders);
        // Changes of nearby epochs to small sets: repeated, competing, empty, and back to removed nodes.
        let mut state = 6_u64;
        let mut taken = 0;
        for slot in 1..=4_000 {
            state = crate::random::mix(state.wrapping_add(slot));
            let epoch = u16::try_from(state % 3).unwrap();
            let change = Change {
                epoch: Epoch((membership.epoch.0 + epoch).saturating_sub(1)),
                members: NodeSet::from_bits(state >> 8 & 0xff & state >> 16),
            };
            let expected = membership.apply(&change);
            let played = epochs.play(Slot::new(slot), &change);
            assert_eq!(played, expected, "slot {slot}: {change:?}");
            assert_eq!(epochs.members(epochs.present()), Some(membership.members));
            taken += u32::from(epochs.began(epochs.present()) == Some(Slot::new(slot)));
        }
        assert!(taken > 4, "{taken} changes took effect");
    }

    #[test]
    fn a_node_that_names_other_members_is_found_out() {
        let mut epochs = Epochs::new();
        let (three, two) = (NodeSet::first(3), NodeSet::first(2));
        assert!(epochs.enter(three, Epoch(1), two));
        assert!(epochs.enter(three, Epoch(1), two));
        assert!(!epochs.enter(three, Epoch(1), three));
        assert!(!epochs.enter(three, Epoch::FIRST, two));
    }
}
