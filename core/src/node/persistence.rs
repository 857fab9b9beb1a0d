//! Persistence: the parts of a node that a journal reads in order to write them to storage.

use super::Node;
use crate::mutant::Mutant;
use crate::roles::snapshot::{PageBytes, State};
use crate::timer::Timer;
use crate::{Entry, Instant, Proposal, Slot, SnapshotId, StateMachine};

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// Returns the replicated state as it stands between two steps.
    pub(crate) fn state(&self) -> &State<M, CLIENTS> {
        self.replica.state()
    }

    /// Returns the accepted entries for slots that are not applied yet.
    pub(crate) fn votes_ahead(&self) -> impl Iterator<Item = Entry<M::Command>> {
        // Slots that are applied are in the snapshot beside which these votes are written (rule T1).
        let applied = self.applied();
        let applied = if self.makes(Mutant::VotesLeftOut) {
            Slot::new(u64::MAX)
        } else {
            applied
        };
        self.votes().filter(move |vote| vote.slot > applied)
    }

    /// Returns the decisions received from other nodes for slots that are not applied yet.
    pub(crate) fn decisions_ahead(&self) -> impl Iterator<Item = (Slot, &Proposal<M::Command>)> {
        self.replica.ahead()
    }

    /// Pins the current state as a snapshot while the node goes on. Returns the id of the snapshot and its number of
    /// pages; `None` while its room is taken by a snapshot that this node fetches, or that other nodes are in the
    /// middle of fetching.
    pub(crate) fn pin(&mut self, now: Instant) -> Option<(SnapshotId, u32)> {
        let pinned = self.replica.pin(self.config.node)?;
        self.extend_transfer(now);
        Some(pinned)
    }

    /// Returns a page of the pinned snapshot; `None` if it is no longer pinned, because its room was needed for another
    /// one.
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

    /// A snapshot that is being written to storage is kept like one that another node fetches: each page puts off the
    /// end of the transfer.
    fn extend_transfer(&mut self, now: Instant) {
        self.timers
            .arm_after(Timer::Transfer, &now, &self.config.transfer_timeout);
    }
}
