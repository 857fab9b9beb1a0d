//! Duties of those who pass on to the leader what has come to them.

use super::Done;
use crate::{Message, NODES_MAX, NodeId, Outgoing, Proposal, StateMachine};

impl<M: StateMachine, const W: usize, const C: usize, const P: usize> Done<'_, M, W, C, P> {
    /// Whom a node that does not lead passes on what is for the leader: another than the sender (rule L8).
    pub(super) fn next_hop(&self) -> Option<NodeId> {
        let leader = self.before.leader.filter(|_| self.before.leading.is_none());
        leader.filter(|leader| *leader != self.from)
    }

    /// Rule L8: a follower passes a proposal on to the leader that it follows, as it came, or answers it. Nobody passes it back.
    pub(super) fn has_passed_on(&self, proposal: &Proposal<M::Command>, retry: bool) -> bool {
        if self.before.leading.is_some() || proposal.key().is_none() {
            return true;
        }
        let is_same = |added: &Outgoing<M, P>| match &added.message {
            Message::Propose {
                proposal: passed,
                retry: again,
            } => passed == proposal && *again == retry && !added.to.contains(self.from),
            _ => true,
        };
        let is_done = |added: &Outgoing<M, P>| match &added.message {
            Message::Propose { .. } => self.next_hop().is_some_and(|hop| added.to.contains(hop)),
            Message::Response { .. } => retry && added.to.contains(self.from),
            _ => false,
        };
        self.added.iter().all(is_same)
            && (self.next_hop().is_none() || self.added.iter().any(is_done))
    }

    /// Rule L8: the same for the question of a node that reads.
    pub(super) fn has_passed_on_question(&self, nonce: u64, reader: NodeId) -> bool {
        let is_of_nobody = reader.0 >= NODES_MAX || reader == self.node.id();
        if self.before.leading.is_some() || is_of_nobody {
            return true;
        }
        let is_same = |added: &Outgoing<M, P>| match &added.message {
            Message::ReadIndex {
                nonce: passed,
                reader: of,
            } => {
                let is_back = added.to.contains(self.from) || added.to.contains(reader);
                (*passed, *of) == (nonce, reader) && !is_back
            }
            _ => true,
        };
        let hop = self.next_hop().filter(|hop| *hop != reader);
        let is_done = |added: &Outgoing<M, P>| {
            matches!(added.message, Message::ReadIndex { .. })
                && hop.is_some_and(|hop| added.to.contains(hop))
        };
        self.added.iter().all(is_same) && (hop.is_none() || self.added.iter().any(is_done))
    }
}
