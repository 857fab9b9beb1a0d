//! The commander: drives one slot under one ballot until a quorum has accepted.
//!
//! Source: Van Renesse and Altinbuken, *Paxos Made Moderately Complex*, figure 6(a).

use crate::mutant::{Count, Mistake, Mutant};
use crate::{NodeId, NodeSet, Proposal};

/// One slot's drive. Its slot is its place in the leader's window, and its ballot is the leader's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Commander<C> {
    pub(crate) proposal: Proposal<C>,
    votes: NodeSet,
    chosen: bool,
    /// Whether it has begun, or heard something, since the retransmission timer last fired.
    fresh: bool,
    /// How many answers there were, whoever they came from.
    answers: Count,
}

impl<C> Commander<C> {
    pub(crate) const fn new(proposal: Proposal<C>) -> Self {
        Self {
            proposal,
            votes: NodeSet::EMPTY,
            chosen: false,
            fresh: true,
            answers: Count::ZERO,
        }
    }

    /// Counts a vote, once for each member (rules C1 and C2); says whether this one made the quorum.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn on_accepted(&mut self, from: NodeId, members: NodeSet) -> bool {
        self.votes.insert(from);
        if self.chosen {
            return false;
        }
        self.chosen = self.votes.is_quorum(members);
        self.chosen
    }

    /// Says whether a mutant that counts otherwise takes the vote that came for the one that makes the quorum.
    pub(crate) fn miscounts(&mut self, mistake: Mistake, members: NodeSet) -> bool {
        self.answers.add_one();
        let half = members.len() / 2;
        let counted = (mistake.is(Mutant::QuorumTooSmall) && self.votes.len() >= half)
            || (mistake.is(Mutant::VotersCountedTwice) && self.answers.value() > half);
        let mistaken = counted && !self.chosen;
        self.chosen |= counted;
        mistaken
    }

    pub(crate) fn is_chosen(&self) -> bool {
        self.chosen
    }

    /// Who is to be asked again: those who have not accepted, unless it was asked only just now.
    pub(crate) fn on_retransmit(&mut self, members: NodeSet) -> NodeSet {
        if self.chosen || core::mem::take(&mut self.fresh) {
            return NodeSet::EMPTY;
        }
        members.minus(self.votes)
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
