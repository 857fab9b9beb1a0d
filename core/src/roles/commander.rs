//! The commander: drives one slot under one ballot until a quorum has accepted its proposal.
//!
//! Source: Van Renesse and Altinbuken, *Paxos Made Moderately Complex*, figure 6(a).

use crate::mutant::{Count, Mistake, Mutant};
use crate::{NodeId, NodeSet, Proposal};

/// The state of one slot in phase 2. Its slot is its place in the leader's window, and its ballot is the leader's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Commander<C> {
    /// What is proposed for the slot under this ballot, now and in every repetition (rule L2).
    pub(crate) proposal: Proposal<C>,
    /// The members that have accepted; the leader's own vote is counted like any other (rule C4). A set and not a
    /// number, so that an answer that arrives twice counts once.
    votes: NodeSet,
    /// True once the votes were a quorum. It is kept, and not computed from the votes each time, so that exactly one
    /// vote is told to have completed the quorum.
    chosen: bool,
    /// True if it was started, or received an answer, since the retransmission timer last fired.
    fresh: bool,
    /// The number of answers, whoever sent them.
    answers: Count,
}

impl<C> Commander<C> {
    /// Starts to drive a proposal. The accept leaves in the same step, so it counts as sent since the timer last fired.
    pub(crate) const fn new(proposal: Proposal<C>) -> Self {
        Self {
            proposal,
            votes: NodeSet::EMPTY,
            chosen: false,
            fresh: true,
            answers: Count::ZERO,
        }
    }

    /// Counts a vote, once for each member (rules C1 and C2). Returns true if this vote completes the quorum.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn on_accepted(&mut self, from: NodeId, members: NodeSet) -> bool {
        self.votes.insert(from);
        if self.chosen {
            return false;
        }
        self.chosen = self.votes.is_quorum(members);
        self.chosen
    }

    /// Returns true if a mutant that counts votes wrongly takes this vote for the one that completes the quorum.
    pub(crate) fn miscounts(&mut self, mistake: Mistake, members: NodeSet) -> bool {
        self.answers.add_one();
        let half = members.len() / 2;
        let counted = (mistake.is(Mutant::QuorumTooSmall) && self.votes.len() >= half)
            || (mistake.is(Mutant::VotersCountedTwice) && self.answers.value() > half);
        let mistaken = counted && !self.chosen;
        self.chosen |= counted;
        mistaken
    }

    /// True if a quorum has accepted the proposal: nothing else can be decided for this slot any more. It is decided
    /// for the replica when all slots before it are, too.
    pub(crate) fn is_chosen(&self) -> bool {
        self.chosen
    }

    /// True if what is kept of the votes agrees with them (rule C2).
    pub(crate) fn is_consistent(&self, members: NodeSet) -> bool {
        self.chosen == self.votes.is_quorum(members)
    }

    /// True if this member has accepted.
    pub(crate) fn has_vote_of(&self, node: NodeId) -> bool {
        self.votes.contains(node)
    }

    /// Returns the members to send the accept to again: those that have not accepted, or none if the accept is recent.
    ///
    /// One timer serves all commanders of a leader. It may fire just after an accept was sent for the first time, so
    /// each commander lets one firing pass: an accept is repeated after one to two spans of the timer.
    pub(crate) fn on_retransmit(&mut self, members: NodeSet) -> NodeSet {
        if self.chosen || core::mem::take(&mut self.fresh) {
            return NodeSet::EMPTY;
        }
        let missing = members.minus(self.votes);
        debug_assert!(
            !missing.is_empty(),
            "all members have accepted, and the slot is not chosen (C2)"
        );
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c1_a_member_counts_once_and_the_quorum_is_told_once() {
        let members = NodeSet::first(3);
        let mut commander = Commander::<u32>::new(Proposal::Noop);
        assert!(!commander.on_accepted(NodeId(0), members));
        assert!(
            !commander.on_accepted(NodeId(0), members),
            "the same vote again is no quorum"
        );
        assert!(
            !commander.on_accepted(NodeId(7), members),
            "a stranger is no quorum"
        );
        assert!(commander.on_accepted(NodeId(2), members));
        assert!(
            !commander.on_accepted(NodeId(1), members),
            "chosen once is chosen"
        );
        assert!(commander.is_chosen());
    }

    #[test]
    fn only_the_missing_are_asked_again() {
        let members = NodeSet::first(3);
        let mut commander = Commander::<u32>::new(Proposal::Noop);
        commander.on_accepted(NodeId(0), members);
        assert!(
            commander.on_retransmit(members).is_empty(),
            "asked only just now"
        );
        assert_eq!(commander.on_retransmit(members), members.without(NodeId(0)));
    }
}
