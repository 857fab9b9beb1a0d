//! Duties of those who bring others up to date, and of those who are brought up to date: decisions and pages of snapshots.

use super::{Before, Done};
use crate::roles::replica::SpareUse;
use crate::{Message, NodeId, NodeSet, Outgoing, Slot, SnapshotId, StateMachine};

/// The snapshots that a node sends and fetches, as its messages show it.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulation::invariants) struct Transfers {
    /// The snapshot that it sent last, and the nodes that were sent a page of it and not yet the last one.
    sends: Option<(SnapshotId, NodeSet)>,
    /// The page that it has asked for again, because a later one had come.
    again: Option<(SnapshotId, u32)>,
}

impl Transfers {
    /// Nothing is sent or fetched.
    pub(in crate::simulation::invariants) const NONE: Self = Self {
        sends: None,
        again: None,
    };

    /// A page of a snapshot is sent.
    fn send(&mut self, to: NodeSet, id: SnapshotId, is_last: bool) {
        let fetching = match self.sends {
            Some((known, fetching)) if known == id => fetching,
            _ => NodeSet::EMPTY,
        };
        let fetching = if is_last {
            fetching.minus(to)
        } else {
            fetching.union(to)
        };
        self.sends = Some((id, fetching));
    }

    /// Whether somebody else than `node` is in the middle of the snapshot that is sent, as far as is known.
    fn is_busy_without(&self, node: NodeId) -> bool {
        self.sends
            .is_none_or(|(_, fetching)| !fetching.without(node).is_empty())
    }
}

impl<M: StateMachine, const W: usize, const C: usize, const P: usize> Done<'_, M, W, C, P> {
    /// The transfers as they are after this step.
    pub(super) fn transfers_after(&self, message: &Message<M, P>) -> Transfers {
        let mut transfers = self.transfers;
        for Outgoing { to, message, .. } in self.added {
            if let Message::Welcome {
                snapshot,
                page,
                pages,
                ..
            } = message
            {
                transfers.send(*to, *snapshot, page.saturating_add(1) >= *pages);
            }
        }
        if let Some((id, next)) = self.is_early_page(message) {
            transfers.again = Some((id, next));
        }
        transfers
    }

    /// Rule R2: whoever has a decision tells it, and those after it: half a window, or all that there are. Whoever has not
    /// begins a snapshot, unless it has no room for another one (rule J3).
    pub(super) fn has_taught(&self, first: Slot) -> bool {
        let Before { applied, keeps, .. } = self.before;
        if first == Slot::ZERO || first > applied {
            return true;
        }
        if !keeps {
            return self.has_welcomed();
        }
        let mut next = first;
        for answer in self.answers() {
            if let Message::Decisions {
                first,
                applied: told,
                proposals,
            } = answer
            {
                if *first != next || *told != applied {
                    return false;
                }
                next = next
                    .checked_add(crate::outbox::run_len(proposals.len()))
                    .unwrap_or(next);
            }
        }
        let due = (applied.distance(first) + 1).min(crate::outbox::run_len(W) / 2);
        next.distance(first) >= due
    }

    /// Rule J3: a node sends the first page of a snapshot to whoever needs one, unless it fetches one itself, or is in the
    /// middle of another for somebody else.
    pub(super) fn has_welcomed(&self) -> bool {
        let may_refuse = match self.before.spare {
            SpareUse::Nothing => false,
            SpareUse::Kept { stored } => stored || self.transfers.is_busy_without(self.from),
            SpareUse::Fetched { .. } => true,
        };
        let is_first = |answer: &Message<M, P>| matches!(answer, Message::Welcome { page: 0, .. });
        may_refuse || self.answers().any(is_first)
    }

    /// Rule T4: a node takes the page that it needs next, and goes on with the one after it, or has them all.
    pub(super) fn has_taken_page(&self, snapshot: SnapshotId, page: u32) -> bool {
        let needed = SpareUse::Fetched {
            from: self.from,
            id: snapshot,
            next: page,
        };
        self.before.spare != needed || self.node.spare() != needed
    }

    /// The snapshot and the page that a node needs and has not got, if this message is a later page.
    pub(super) fn is_early_page(&self, message: &Message<M, P>) -> Option<(SnapshotId, u32)> {
        let Message::Welcome { snapshot, page, .. } = message else {
            return None;
        };
        match self.before.spare {
            SpareUse::Fetched { from, id, next } => {
                (from == self.from && id == *snapshot && next < *page).then_some((id, next))
            }
            _ => None,
        }
    }

    /// Rule T4: the first time that a page comes early, the one that is missing is asked for at once.
    pub(super) fn has_asked_again(&self, message: &Message<M, P>) -> bool {
        let Some((id, next)) = self.is_early_page(message) else {
            return true;
        };
        let asks = |answer: &Message<M, P>| matches!(answer, Message::Join { snapshot, page, .. } if (*snapshot, *page) == (Some(id), next));
        self.transfers.again == Some((id, next)) || self.answers().any(asks)
    }
}
