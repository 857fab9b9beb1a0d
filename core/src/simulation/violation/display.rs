//! Violations as text: one sentence each, which names the nodes and the slots.

use super::Violation;
use core::fmt;

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TwoValues { .. }
            | Self::TwoChosen { .. }
            | Self::UnsafeProposal { .. }
            | Self::Invented { .. } => self.fmt_value(f),
            Self::BallotWentBack { .. }
            | Self::BallotUsedTwice { .. }
            | Self::ClaimTooLow { .. }
            | Self::NotVoting { .. }
            | Self::UnwrittenPromise { .. }
            | Self::UnwrittenVote { .. }
            | Self::UntoldVote { .. }
            | Self::Forgotten { .. }
            | Self::ForgotUnapplied { .. } => self.fmt_acceptor(f),
            Self::Disagreement { .. }
            | Self::Divergence { .. }
            | Self::PrefixWentBack { .. }
            | Self::NotChosen { .. }
            | Self::WrongState { .. } => self.fmt_replica(f),
            Self::WrongAnswer { .. }
            | Self::WrongReply { .. }
            | Self::TooEarly { .. }
            | Self::NotLinearizable { .. } => self.fmt_answer(f),
            Self::Halted { .. }
            | Self::Overfull { .. }
            | Self::StorageLost { .. }
            | Self::StorageFull { .. }
            | Self::StorageMiscounted { .. } => self.fmt_limit(f),
            Self::Contradiction { .. }
            | Self::Garbled { .. }
            | Self::Malformed { .. }
            | Self::BrokenState { .. }
            | Self::HastyChange { .. }
            | Self::Neglected { .. }
            | Self::WrongSpan { .. } => self.fmt_saying(f),
        }
    }
}

impl Violation {
    /// Describes what stands in a slot under a ballot, and must not.
    fn fmt_value(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TwoValues { node, slot, ballot } => write!(
                f,
                "{node} has a second value for slot {slot} under ballot {ballot}"
            ),
            Self::TwoChosen { node, slot, ballot } => write!(
                f,
                "with the vote of {node} a second value is chosen for slot {slot}, under ballot {ballot}"
            ),
            Self::UnsafeProposal { node, slot, ballot } => write!(
                f,
                "{node} has a value for slot {slot} under ballot {ballot} that is not the one chosen before"
            ),
            Self::Invented { node, slot, ballot } => write!(
                f,
                "{node} has a value for slot {slot} under ballot {ballot} that nobody has asked for"
            ),
            _ => f.write_str(self.name()),
        }
    }

    /// Describes what an acceptor has promised or accepted otherwise than it may, wrote or says.
    fn fmt_acceptor(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BallotWentBack { node, ballot } => write!(
                f,
                "{node} promised or accepted ballot {ballot}, below its promise"
            ),
            Self::BallotUsedTwice { node, ballot } => {
                write!(f, "{node} uses ballot {ballot} again after its restart")
            }
            Self::ClaimTooLow { node, ballot } => write!(
                f,
                "{node} claims ballot {ballot}, and has heard of a round as high"
            ),
            Self::NotVoting { node } => {
                write!(f, "{node} says what only nodes that vote can answer for")
            }
            Self::UnwrittenPromise { node, ballot } => {
                write!(f, "{node} has not written its promise of ballot {ballot}")
            }
            Self::UnwrittenVote { node, slot, ballot } => write!(
                f,
                "{node} has not written its vote for slot {slot} under ballot {ballot}"
            ),
            Self::UntoldVote { node, slot, ballot } => write!(
                f,
                "{node} promised ballot {ballot} and did not tell its vote for slot {slot} as it is"
            ),
            Self::Forgotten { node, slot, ballot } => write!(
                f,
                "{node} came back without what it had written for slot {slot} under ballot {ballot}"
            ),
            Self::ForgotUnapplied { node, slot } => write!(
                f,
                "{node} gave up its votes up to slot {slot}, which it has not applied"
            ),
            _ => f.write_str(self.name()),
        }
    }

    /// Describes what a node has applied, or has come to by that.
    fn fmt_replica(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disagreement { node, slot } => write!(
                f,
                "{node} has applied something else than the others up to slot {slot}"
            ),
            Self::Divergence { node } => write!(
                f,
                "{node} has another state than the others after the same commands"
            ),
            Self::PrefixWentBack { node, slot } => write!(f, "{node} went back to slot {slot}"),
            Self::NotChosen { node, slot } => write!(
                f,
                "{node} takes for decided what was not chosen for slot {slot}"
            ),
            Self::WrongState { node, slot } => write!(
                f,
                "{node} has another state than the log gives up to slot {slot}"
            ),
            _ => f.write_str(self.name()),
        }
    }

    /// Describes what a client was answered.
    fn fmt_answer(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongAnswer { client, number } => write!(
                f,
                "client {client} got a wrong answer to its request {}",
                number.0
            ),
            Self::WrongReply { node, number } => write!(
                f,
                "{node} answers request {} otherwise than the log does",
                number.0
            ),
            Self::TooEarly { client, slot } => write!(
                f,
                "a request of client {client} took effect in slot {slot}, before it was made"
            ),
            Self::NotLinearizable { client, number } => write!(
                f,
                "the answer to request {} of client {client} fits into no order of the requests",
                number.0
            ),
            _ => f.write_str(self.name()),
        }
    }

    /// Describes a node that cannot go on, or holds more than it can.
    fn fmt_limit(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Halted { node } => write!(f, "{node} halted over what cannot be"),
            Self::Overfull { node } => write!(f, "{node} says that it held more than it can"),
            Self::StorageLost { node } => write!(
                f,
                "{node} cannot go on from its storage, which has kept everything"
            ),
            Self::StorageFull { node } => write!(
                f,
                "{node} has no room for what it writes, on storage that has all of its room"
            ),
            Self::StorageMiscounted { node } => write!(
                f,
                "{node} takes its storage to have held less than it has held"
            ),
            _ => f.write_str(self.name()),
        }
    }

    /// Describes what a node says of itself, or says so that others do not understand it; and what it does not say.
    fn fmt_saying(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Contradiction { node } => write!(
                f,
                "what {node} says of its leader, its leadership and the highest ballot cannot all be so"
            ),
            Self::Garbled { node } => {
                write!(f, "{node} says what no frame gives back as it was said")
            }
            Self::Malformed { messages } => write!(
                f,
                "{messages} messages of nodes were taken for malformed, and arrived as they were sent"
            ),
            Self::BrokenState { node, broken } => {
                write!(f, "{node} is in a state that it must not be in: {broken}")
            }
            Self::HastyChange { node } => write!(
                f,
                "{node} proposes new members, of which no quorum has said how far it is"
            ),
            Self::Neglected { node, message } => write!(
                f,
                "{node} has received a {} and has not done what that calls for",
                message.name()
            ),
            Self::WrongSpan { node } => {
                write!(f, "{node} waits for less or for more than its settings say")
            }
            _ => f.write_str(self.name()),
        }
    }
}
