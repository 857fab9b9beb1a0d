//! Gathering proposals into the pages of accepts.

use crate::{NodeSet, Proposal, Proposals, Slot, StateMachine};

/// A page of proposals for consecutive slots, with those who are to have it.
pub(super) struct AcceptPage<M: StateMachine, const PAGE: usize> {
    pub(super) first: Slot,
    pub(super) to: NodeSet,
    pub(super) proposals: Proposals<M, PAGE>,
}

/// Gathers proposals of rising slots into pages without gaps.
pub(super) struct Pages<M: StateMachine, const PAGE: usize> {
    page: AcceptPage<M, PAGE>,
    next: Slot,
}

impl<M: StateMachine, const PAGE: usize> Pages<M, PAGE> {
    pub(super) fn new() -> Self {
        let page = AcceptPage {
            first: Slot::ZERO,
            to: NodeSet::EMPTY,
            proposals: Proposals::<M, PAGE>::new(),
        };
        Self {
            page,
            next: Slot::ZERO,
        }
    }

    /// Adds a proposal; gives back the page before it when that is full or does not reach to its slot.
    pub(super) fn add(
        &mut self,
        slot: Slot,
        proposal: Proposal<M::Command>,
        to: NodeSet,
    ) -> Option<AcceptPage<M, PAGE>> {
        let joins = self.next == slot && !self.page.proposals.is_full();
        let done = if joins { None } else { self.finish() };
        if self.page.proposals.is_empty() {
            self.page.first = slot;
        }
        self.page.to = NodeSet::union(self.page.to, to);
        // A full page was given back above, so that there is room.
        let _ = self.page.proposals.push(proposal);
        self.next = slot.next().unwrap_or(Slot::ZERO);
        done
    }

    pub(super) fn finish(&mut self) -> Option<AcceptPage<M, PAGE>> {
        if self.page.proposals.is_empty() {
            return None;
        }
        let empty = AcceptPage {
            first: Slot::ZERO,
            to: NodeSet::EMPTY,
            proposals: Proposals::<M, PAGE>::new(),
        };
        Some(core::mem::replace(&mut self.page, empty))
    }
}
