//! Epochs as the log tells of them: who votes in which, which slots each governs, and what it leaves void.

use super::{Asked, Ledger, Poll};
use crate::check::world::Member;
use crate::check::{Broken, Invariant};
use synod::{Ballot, Epoch, NodeId, NodeSet, Proposal, Slot};

impl Ledger {
    /// Notes the epoch that a node has entered. It promises nothing in earlier ones any more.
    pub(super) fn see_entered(&mut self, node: &Member) {
        let floor = Ballot::of(node.epoch(), 0, NodeId(0));
        if let Some(promised) = self.promised(node.id()) {
            *promised = floor.max(*promised);
        }
    }

    /// True if a majority of the members of the ballot's epoch voted for the value, and it is therefore chosen in that
    /// epoch. A node that is no member writes votes as well, which count for nothing.
    pub(super) fn is_quorum(&self, poll: &Poll) -> bool {
        let members = self.members_of(poll.ballot.epoch());
        2 * poll.voters.intersection(members).len() > members.len()
    }

    /// True if a value was chosen in the epoch that has its slot. What is chosen in an earlier epoch is void, as the slot is
    /// above the change that has ended that epoch.
    pub(super) fn is_decided_by(&self, poll: &Poll) -> bool {
        self.is_quorum(poll) && self.epoch_of(poll.slot) == poll.ballot.epoch()
    }

    /// Returns the members of an epoch; none if it has not begun.
    pub(super) fn members_of(&self, epoch: Epoch) -> NodeSet {
        let reign = self.epochs.get(usize::from(epoch.0));
        reign.map_or(NodeSet::EMPTY, |reign| reign.members)
    }

    /// Returns the epoch whose members decide a slot, as far as the log is known.
    pub(super) fn epoch_of(&self, slot: Slot) -> Epoch {
        self.epoch_where(|after| after < slot)
    }

    /// Returns the epoch of a node that has applied the log up to a slot.
    pub(super) fn epoch_after(&self, applied: Slot) -> Epoch {
        self.epoch_where(|after| after <= applied)
    }

    /// Returns the last epoch that follows a slot for which the condition holds.
    pub(super) fn epoch_where(&self, holds: impl Fn(Slot) -> bool) -> Epoch {
        let begun = self.epochs.iter().filter(|reign| holds(reign.after));
        Epoch(u16::try_from(begun.count().saturating_sub(1)).unwrap_or(u16::MAX))
    }

    /// True if a vote is void in an epoch: an earlier epoch than that of its ballot has ended below its slot, or it is of an
    /// earlier epoch that has.
    pub(super) fn is_void_in(&self, epoch: Epoch, poll: &Poll) -> bool {
        let next = poll.ballot.epoch().next();
        let ended = next.filter(|next| *next <= epoch);
        let reign = ended.and_then(|next| self.epochs.get(usize::from(next.0)));
        reign.is_some_and(|reign| poll.slot > reign.after)
    }

    /// True if a proposal, decided in an epoch, ends it.
    pub(super) fn ends(&self, epoch: Epoch, proposal: &Asked) -> bool {
        let Proposal::Reconfigure(change) = proposal else {
            return false;
        };
        let ever = self
            .epochs
            .iter()
            .take(usize::from(epoch.0).saturating_add(1))
            .fold(NodeSet::EMPTY, |ever, reign| ever.union(reign.members));
        let removed = ever.minus(self.members_of(epoch));
        change.epoch == epoch
            && !change.members.is_empty()
            && removed.intersection(change.members).is_empty()
    }

    /// Checks the epoch of a written ballot: a node promises and accepts nothing in an epoch that it has not entered.
    pub(super) fn see_epoch(node: &Member, ballot: Ballot) -> Result<(), Broken> {
        must!(
            ballot.epoch() <= node.epoch(),
            Membership,
            "{} writes {ballot}, and is in epoch {}",
            node.id(),
            node.epoch()
        );
        Ok(())
    }
}
