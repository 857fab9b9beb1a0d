//! What a journal asks of its node.

use super::Node;
use crate::mutant::Mutant;
use crate::roles::snapshot::{PageBytes, State};
use crate::timer::Timer;
use crate::{Entry, Instant, Proposal, Slot, SnapshotId, StateMachine};

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// The state as it is between two steps.
    pub(crate) fn state(&self) -> &State<M, CLIENTS> {
        self.replica.state()
    }

    /// What was accepted in slots that are not applied yet.
    pub(crate) fn votes_ahead(&self) -> impl Iterator<Item = Entry<M::Command>> {
        let applied = self.applied();
        let applied = if self.makes(Mutant::VotesLeftOut) {
            Slot::new(u64::MAX)
        } else {
            applied
        };
        self.votes().filter(move |vote| vote.slot > applied)
    }

    /// What others have passed on of slots that are not applied yet.
    pub(crate) fn decisions_ahead(&self) -> impl Iterator<Item = (Slot, &Proposal<M::Command>)> {
        self.replica.ahead()
    }

    /// Keeps the present state as it is while the node goes on; says which snapshot that is, and how many pages it has.
    /// `None` while the room for it is taken by a snapshot that is being fetched, by this node or in the middle by others.
    pub(crate) fn pin(&mut self, now: Instant) -> Option<(SnapshotId, u32)> {
        let pinned = self.replica.pin(self.config.node)?;
        self.extend_transfer(now);
        Some(pinned)
    }

    /// A page of the state that was kept; `None` where that is no longer there, as another snapshot needed its room.
    pub(crate) fn pinned_page(
        &mut self,
        now: Instant,
        id: SnapshotId,
        page: u32,
    ) -> Option<PageBytes> {
        let bytes = self.replica.pinned_page(self.config.node, id, page)?;
        self.extend_transfer(now);
        Some(bytes)
    }

    /// Who writes a snapshot to storage is one more who fetches it.
    fn extend_transfer(&mut self, now: Instant) {
        self.timers
            .arm_after(Timer::Transfer, &now, &self.config.transfer_timeout);
    }
}
