//! Violations of the rules that are checked in a run, and the names of the rules.
//!
//! A violation says which node did something that no node may do, and at which slot and ballot. It is small and has no
//! text of its own but one that never changes, so that checkers run on a microcontroller as well; the words are made when
//! it is displayed.

mod display;

use crate::{Ballot, MessageKind, NodeId, RequestNumber, Slot};

/// A rule that no run may break. Each is checked by what is named beside it; [`Rule::name`] is what reports call it, and
/// does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[expect(
    missing_docs,
    reason = "each is the rule that the violation of that name breaks"
)]
pub enum Rule {
    Disagreement,
    WrongAnswer,
    Divergence,
    Halted,
    TwoValues,
    TwoChosen,
    UnsafeProposal,
    Invented,
    BallotWentBack,
    BallotUsedTwice,
    ClaimTooLow,
    NotVoting,
    UnwrittenPromise,
    UnwrittenVote,
    UntoldVote,
    Forgotten,
    ForgotUnapplied,
    PrefixWentBack,
    NotChosen,
    WrongState,
    WrongReply,
    TooEarly,
    Overfull,
    NotLinearizable,
    StorageLost,
    StorageFull,
    StorageMiscounted,
    Contradiction,
    Garbled,
    Malformed,
    BrokenState,
    HastyChange,
    Neglected,
    WrongSpan,
}

const _: () = {
    let (mut rest, mut index) = (Rule::ALL.as_slice(), 0);
    while let [rule, after @ ..] = rest {
        assert!(
            rule.index() == index,
            "Each rule is in its place, as counters of rules go by it."
        );
        (rest, index) = (after, index + 1);
    }
};

impl Rule {
    /// Every rule, in the order of the variants.
    pub const ALL: [Self; 34] = [
        Self::Disagreement,
        Self::WrongAnswer,
        Self::Divergence,
        Self::Halted,
        Self::TwoValues,
        Self::TwoChosen,
        Self::UnsafeProposal,
        Self::Invented,
        Self::BallotWentBack,
        Self::BallotUsedTwice,
        Self::ClaimTooLow,
        Self::NotVoting,
        Self::UnwrittenPromise,
        Self::UnwrittenVote,
        Self::UntoldVote,
        Self::Forgotten,
        Self::ForgotUnapplied,
        Self::PrefixWentBack,
        Self::NotChosen,
        Self::WrongState,
        Self::WrongReply,
        Self::TooEarly,
        Self::Overfull,
        Self::NotLinearizable,
        Self::StorageLost,
        Self::StorageFull,
        Self::StorageMiscounted,
        Self::Contradiction,
        Self::Garbled,
        Self::Malformed,
        Self::BrokenState,
        Self::HastyChange,
        Self::Neglected,
        Self::WrongSpan,
    ];

    /// Its place in [`Rule::ALL`].
    pub const fn index(self) -> usize {
        #[expect(clippy::as_conversions, reason = "a fieldless enum's discriminant")]
        {
            self as usize
        }
    }

    /// Its name: lower case, words joined by hyphens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disagreement => "disagreement",
            Self::WrongAnswer => "wrong-answer",
            Self::Divergence => "divergence",
            Self::Halted => "halted",
            Self::TwoValues => "two-values",
            Self::TwoChosen => "two-chosen",
            Self::UnsafeProposal => "unsafe-proposal",
            Self::Invented => "invented-value",
            Self::BallotWentBack => "ballot-went-back",
            Self::BallotUsedTwice => "ballot-used-twice",
            Self::ClaimTooLow => "claim-too-low",
            Self::NotVoting => "not-voting",
            Self::UnwrittenPromise => "unwritten-promise",
            Self::UnwrittenVote => "unwritten-vote",
            Self::UntoldVote => "untold-vote",
            Self::Forgotten => "forgotten",
            Self::ForgotUnapplied => "forgot-unapplied",
            Self::PrefixWentBack => "prefix-went-back",
            Self::NotChosen => "not-chosen",
            Self::WrongState => "wrong-state",
            Self::WrongReply => "wrong-reply",
            Self::TooEarly => "too-early",
            Self::Overfull => "overfull",
            Self::NotLinearizable => "not-linearizable",
            Self::StorageLost => "storage-lost",
            Self::StorageFull => "storage-full",
            Self::StorageMiscounted => "storage-miscounted",
            Self::Contradiction => "contradiction",
            Self::Garbled => "garbled",
            Self::Malformed => "malformed",
            Self::BrokenState => "broken-state",
            Self::HastyChange => "hasty-change",
            Self::Neglected => "neglected",
            Self::WrongSpan => "wrong-span",
        }
    }
}

/// A broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Violation {
    /// A node has applied something else than another up to the same slot.
    Disagreement {
        /// The node that differs from who was there first.
        node: NodeId,
        /// The slot.
        slot: Slot,
    },
    /// A client got an answer that its requests do not imply.
    WrongAnswer {
        /// The client, from 0.
        client: u16,
        /// The number of its request.
        number: RequestNumber,
    },
    /// The state machine of a node is in another state than those of the others, though all have applied the same: it does
    /// not follow from its commands alone.
    Divergence {
        /// The node that differs from the first one.
        node: NodeId,
    },
    /// A node saw something that cannot be, and halted.
    Halted {
        /// The node.
        node: NodeId,
    },
    /// Two values stand in one slot under one ballot (rule L2).
    TwoValues {
        /// The node that brought the second.
        node: NodeId,
        /// The slot.
        slot: Slot,
        /// The ballot.
        ballot: Ballot,
    },
    /// Quorums have accepted two values for one slot: agreement itself (rule C2).
    TwoChosen {
        /// The node whose vote made the second quorum.
        node: NodeId,
        /// The slot.
        slot: Slot,
        /// The ballot of that quorum.
        ballot: Ballot,
    },
    /// A value stands in a slot under a ballot, and another was chosen there under a lower one (rule S4).
    UnsafeProposal {
        /// The node that proposed or accepted it.
        node: NodeId,
        /// The slot.
        slot: Slot,
        /// The ballot of the value that must not be.
        ballot: Ballot,
    },
    /// A value stands in a slot that is no no-op and that no client has asked for.
    Invented {
        /// The node that proposed or accepted it.
        node: NodeId,
        /// The slot.
        slot: Slot,
        /// The ballot.
        ballot: Ballot,
    },
    /// A node promised or accepted a ballot below its promise (rules A1 and A2).
    BallotWentBack {
        /// The node.
        node: NodeId,
        /// The lower ballot.
        ballot: Ballot,
    },
    /// A node that was started again uses a ballot that it had used before (rule S1).
    BallotUsedTwice {
        /// The node.
        node: NodeId,
        /// The ballot.
        ballot: Ballot,
    },
    /// A node claims a ballot whose round is no higher than one that it had named to others since its last start (rule S1).
    ClaimTooLow {
        /// The node.
        node: NodeId,
        /// The ballot that it claims.
        ballot: Ballot,
    },
    /// A node that does not vote says what only a voter may say, or is one of those with whom a cluster is founded (rules D1,
    /// D2 and J1).
    NotVoting {
        /// The node that says so, or that founds.
        node: NodeId,
    },
    /// A node holds or tells a promise, or claims a ballot, that it has not written (rules S1 and A1).
    UnwrittenPromise {
        /// The node.
        node: NodeId,
        /// The ballot that it has promised, or claimed.
        ballot: Ballot,
    },
    /// A node tells a vote that it has not written (rule C4).
    UnwrittenVote {
        /// The node.
        node: NodeId,
        /// The slot.
        slot: Slot,
        /// The ballot.
        ballot: Ballot,
    },
    /// A node has promised, and left out or changed a vote that it had written (rules A3 and S2).
    UntoldVote {
        /// The node.
        node: NodeId,
        /// The slot of the vote.
        slot: Slot,
        /// The ballot that it promised.
        ballot: Ballot,
    },
    /// A node has come back from a crash without a promise or a vote that it had written.
    Forgotten {
        /// The node.
        node: NodeId,
        /// The slot of the vote; zero where it is the promise.
        slot: Slot,
        /// The ballot of the promise or vote.
        ballot: Ballot,
    },
    /// A node has given up votes for slots that it has not applied (rules A5 and T1).
    ForgotUnapplied {
        /// The node.
        node: NodeId,
        /// The slot up to which it has given up its votes.
        slot: Slot,
    },
    /// What a node has applied, or has given up of its votes, has become less (rule R4).
    PrefixWentBack {
        /// The node.
        node: NodeId,
        /// Where it is now.
        slot: Slot,
    },
    /// A node has applied, or passed on as decided, what no quorum has accepted (rule C3).
    NotChosen {
        /// The node.
        node: NodeId,
        /// The slot.
        slot: Slot,
    },
    /// A node's state machine is not in the state that the log gives (rules R5 and T3).
    WrongState {
        /// The node.
        node: NodeId,
        /// The slot up to which it has applied the log.
        slot: Slot,
    },
    /// A node answers a request otherwise than the log does (rules X1 and X2).
    WrongReply {
        /// The node.
        node: NodeId,
        /// The number of the request.
        number: RequestNumber,
    },
    /// A request took effect no later than another that had been answered before it was made.
    TooEarly {
        /// The client, from 0.
        client: u16,
        /// The slot in which its request took effect.
        slot: Slot,
    },
    /// A fixed structure of a node says that it held more than it can.
    Overfull {
        /// The node.
        node: NodeId,
    },
    /// What the clients were answered cannot have come from one state machine that takes one request after the other.
    NotLinearizable {
        /// A client whose answer fits nowhere, from 0.
        client: u16,
        /// The number of its request.
        number: RequestNumber,
    },
    /// Storage that has kept all that was synced holds less than a node must not forget: it opens as damaged, as empty, or
    /// not at all (rules D2 and D3).
    StorageLost {
        /// The node.
        node: NodeId,
    },
    /// Storage with all of its room has none for what a node wants written (rule T5).
    StorageFull {
        /// The node.
        node: NodeId,
    },
    /// A journal takes its storage to have held less than it has: it would begin its checkpoints too late (rule T5).
    StorageMiscounted {
        /// The node.
        node: NodeId,
    },
    /// What a node says of its leader, its leadership and the highest ballot cannot all be so (rules F1 and L4).
    Contradiction {
        /// The node.
        node: NodeId,
    },
    /// A message has no frame, or is read from it otherwise than it was written.
    Garbled {
        /// The node that sends it.
        node: NodeId,
    },
    /// Nodes took messages for malformed that other nodes had sent, and that arrived as they were sent.
    Malformed {
        /// How many messages.
        messages: u64,
    },
    /// A node's own invariants do not hold between two steps: see
    /// [`Node::check_invariants`](crate::Node::check_invariants).
    BrokenState {
        /// The node.
        node: NodeId,
        /// What is wrong with it.
        broken: &'static str,
    },
    /// A leader proposes a change of the members, and has not heard of a quorum of the new ones (rule V8).
    HastyChange {
        /// The leader.
        node: NodeId,
    },
    /// A node has handled a message and has not done what that calls for: it has not answered, or has not taken in what it was
    /// told.
    Neglected {
        /// The node.
        node: NodeId,
        /// The kind of the message.
        message: MessageKind,
    },
    /// A node has armed a timer for earlier or later than its settings say.
    WrongSpan {
        /// The node.
        node: NodeId,
    },
}

impl Violation {
    /// Which rule is broken.
    pub const fn rule(&self) -> Rule {
        match self {
            Self::Disagreement { .. } => Rule::Disagreement,
            Self::WrongAnswer { .. } => Rule::WrongAnswer,
            Self::Divergence { .. } => Rule::Divergence,
            Self::Halted { .. } => Rule::Halted,
            Self::TwoValues { .. } => Rule::TwoValues,
            Self::TwoChosen { .. } => Rule::TwoChosen,
            Self::UnsafeProposal { .. } => Rule::UnsafeProposal,
            Self::Invented { .. } => Rule::Invented,
            Self::BallotWentBack { .. } => Rule::BallotWentBack,
            Self::BallotUsedTwice { .. } => Rule::BallotUsedTwice,
            Self::ClaimTooLow { .. } => Rule::ClaimTooLow,
            Self::NotVoting { .. } => Rule::NotVoting,
            Self::UnwrittenPromise { .. } => Rule::UnwrittenPromise,
            Self::UnwrittenVote { .. } => Rule::UnwrittenVote,
            Self::UntoldVote { .. } => Rule::UntoldVote,
            Self::Forgotten { .. } => Rule::Forgotten,
            Self::ForgotUnapplied { .. } => Rule::ForgotUnapplied,
            Self::PrefixWentBack { .. } => Rule::PrefixWentBack,
            Self::NotChosen { .. } => Rule::NotChosen,
            Self::WrongState { .. } => Rule::WrongState,
            Self::WrongReply { .. } => Rule::WrongReply,
            Self::TooEarly { .. } => Rule::TooEarly,
            Self::Overfull { .. } => Rule::Overfull,
            Self::NotLinearizable { .. } => Rule::NotLinearizable,
            Self::StorageLost { .. } => Rule::StorageLost,
            Self::StorageFull { .. } => Rule::StorageFull,
            Self::StorageMiscounted { .. } => Rule::StorageMiscounted,
            Self::Contradiction { .. } => Rule::Contradiction,
            Self::Garbled { .. } => Rule::Garbled,
            Self::Malformed { .. } => Rule::Malformed,
            Self::BrokenState { .. } => Rule::BrokenState,
            Self::HastyChange { .. } => Rule::HastyChange,
            Self::Neglected { .. } => Rule::Neglected,
            Self::WrongSpan { .. } => Rule::WrongSpan,
        }
    }

    /// The name of the rule that is broken: see [`Rule::name`].
    pub const fn name(&self) -> &'static str {
        self.rule().name()
    }
}

/// The texts of a violation, by what it is about. Each function has those of its own violations and gives any other its
/// name, which it is never asked for.
impl Violation {}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::collections::BTreeSet;
    use std::string::ToString;

    #[test]
    fn every_rule_has_a_name_of_its_own_and_its_place() {
        let names: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        assert_eq!(names.len(), Rule::ALL.len());
        for (index, rule) in Rule::ALL.into_iter().enumerate() {
            assert_eq!(rule.index(), index);
        }
        let halted = Violation::Halted { node: NodeId(1) };
        assert_eq!((halted.rule(), halted.name()), (Rule::Halted, "halted"));
    }

    #[test]
    fn every_violation_has_a_text_of_its_own() {
        let (node, slot, ballot) = (NodeId(1), Slot::new(7), Ballot::NULL);
        let (client, number) = (2, RequestNumber(3));
        let all = [
            Violation::Disagreement { node, slot },
            Violation::WrongAnswer { client, number },
            Violation::Divergence { node },
            Violation::Halted { node },
            Violation::TwoValues { node, slot, ballot },
            Violation::TwoChosen { node, slot, ballot },
            Violation::UnsafeProposal { node, slot, ballot },
            Violation::Invented { node, slot, ballot },
            Violation::BallotWentBack { node, ballot },
            Violation::BallotUsedTwice { node, ballot },
            Violation::ClaimTooLow { node, ballot },
            Violation::NotVoting { node },
            Violation::UnwrittenPromise { node, ballot },
            Violation::UnwrittenVote { node, slot, ballot },
            Violation::UntoldVote { node, slot, ballot },
            Violation::Forgotten { node, slot, ballot },
            Violation::ForgotUnapplied { node, slot },
            Violation::PrefixWentBack { node, slot },
            Violation::NotChosen { node, slot },
            Violation::WrongState { node, slot },
            Violation::WrongReply { node, number },
            Violation::TooEarly { client, slot },
            Violation::Overfull { node },
            Violation::NotLinearizable { client, number },
            Violation::StorageLost { node },
            Violation::StorageFull { node },
            Violation::StorageMiscounted { node },
            Violation::Contradiction { node },
            Violation::Garbled { node },
            Violation::Malformed { messages: 2 },
            Violation::BrokenState {
                node,
                broken: "is odd",
            },
            Violation::HastyChange { node },
            Violation::Neglected {
                node,
                message: MessageKind::Learn,
            },
            Violation::WrongSpan { node },
        ];
        assert_eq!(all.map(|violation| violation.rule()), Rule::ALL);
        let texts: BTreeSet<_> = all.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), all.len());
        for violation in all {
            assert!(!texts.contains(violation.name()), "{violation:?}");
        }
    }
}
