//! Epochs of the log: the members of each, and the slot after which it begins.
//!
//! They follow from the founding members and the changes in the log, and are computed here apart from the membership of
//! a node.

use crate::random_walk::Asked;
use synod::{Change, ChangeError, Epoch, NodeSet, Proposal, Slot};

/// What is known of one epoch.
struct EpochState {
    /// Slot that ended the epoch before. The epoch decides the slots above it.
    after: Slot,
    members: NodeSet,
}

/// All epochs that have begun, by number.
pub(in crate::random_walk) struct Epochs(Vec<EpochState>);

impl Epochs {
    /// Returns the first epoch alone.
    pub(super) fn new(founders: NodeSet) -> Self {
        Self(vec![EpochState {
            after: Slot::ZERO,
            members: founders,
        }])
    }

    /// Returns the last epoch that has begun.
    pub(in crate::random_walk) fn present(&self) -> Epoch {
        self.where_after(|_| true)
    }

    /// Returns the epoch whose members decide a slot, as far as the log is known.
    pub(in crate::random_walk) fn of_slot(&self, slot: Slot) -> Epoch {
        self.where_after(|after| after < slot)
    }

    /// Returns the epoch of a node that has applied the log up to a slot.
    pub(in crate::random_walk) fn at(&self, applied: Slot) -> Epoch {
        self.where_after(|after| after <= applied)
    }

    /// Returns the last epoch that begins after a slot for which the condition holds.
    fn where_after(&self, holds: impl Fn(Slot) -> bool) -> Epoch {
        let begun = self.0.iter().filter(|reign| holds(reign.after)).count();
        Epoch(u16::try_from(begun.saturating_sub(1)).unwrap_or(u16::MAX))
    }

    /// Returns the members of an epoch; none if it has not begun.
    pub(in crate::random_walk) fn members(&self, epoch: Epoch) -> NodeSet {
        let state = self.0.get(usize::from(epoch.0));
        state.map_or(NodeSet::EMPTY, |state| state.members)
    }

    /// Returns the slot after which an epoch begins; `None` if it has not begun.
    pub(in crate::random_walk) fn began(&self, epoch: Epoch) -> Option<Slot> {
        self.0.get(usize::from(epoch.0)).map(|state| state.after)
    }

    /// True if nodes are a majority of the members of an epoch that has begun.
    pub(in crate::random_walk) fn is_quorum(&self, epoch: Epoch, nodes: NodeSet) -> bool {
        is_majority(nodes, self.members(epoch))
    }

    /// Returns the nodes that were members in an epoch and had been removed by then.
    fn removed(&self, epoch: Epoch) -> NodeSet {
        let until = self.0.iter().take(usize::from(epoch.0).saturating_add(1));
        let ever = until.fold(NodeSet::EMPTY, |ever, reign| ever.union(reign.members));
        ever.minus(self.members(epoch))
    }

    /// True if a value, decided in an epoch, ends it.
    pub(in crate::random_walk) fn ends(&self, epoch: Epoch, proposal: &Asked) -> bool {
        matches!(proposal, Proposal::Reconfigure(change) if self.check(epoch, change).is_ok())
    }

    /// Returns the epoch to which a change leads from an epoch, or the reason why it has no effect.
    fn check(&self, epoch: Epoch, change: &Change) -> Result<Epoch, ChangeError> {
        if change.epoch != epoch {
            return Err(ChangeError::Epoch { present: epoch });
        }
        if change.members.is_empty() {
            return Err(ChangeError::NoMembers);
        }
        if let Some(node) = self.removed(epoch).intersection(change.members).nth(0) {
            return Err(ChangeError::Removed { node });
        }
        epoch.next().ok_or(ChangeError::LastEpoch)
    }

    /// Plays a change that is decided for the next slot.
    pub(super) fn play(&mut self, slot: Slot, change: &Change) -> Result<Epoch, ChangeError> {
        let present = self.present();
        let is_same = change.members == self.members(present);
        if change.epoch.next() == Some(present) && is_same {
            return Ok(present);
        }
        let next = self.check(present, change)?;
        self.0.push(EpochState {
            after: slot,
            members: change.members,
        });
        debug_assert_eq!(self.present(), next, "epochs begin one by one");
        Ok(next)
    }

    /// True if the answer "of another epoch" to a change is true of the log: it has not taken effect, or another change
    /// has followed. A leader of an earlier epoch than that of the change speaks of its own.
    pub(super) fn is_late(&self, change: &Change, present: Epoch) -> bool {
        if self.began(present).is_none() || present == change.epoch {
            return false;
        }
        let next = change.epoch.next();
        present < change.epoch || next != Some(present) || self.members(present) != change.members
    }

    /// True if the answer "has taken effect" to a change is true of the log.
    pub(super) fn has_effect(&self, change: &Change, epoch: Epoch) -> bool {
        change.epoch.next() == Some(epoch)
            && self.began(epoch).is_some()
            && self.members(epoch) == change.members
    }

    /// True if a node has been removed in some epoch.
    pub(super) fn was_removed(&self, node: synod::NodeId) -> bool {
        self.removed(self.present()).contains(node)
    }
}

/// True if nodes are more than half of the members.
pub(in crate::random_walk) fn is_majority(nodes: NodeSet, members: NodeSet) -> bool {
    2 * nodes.intersection(members).len() > members.len()
}
