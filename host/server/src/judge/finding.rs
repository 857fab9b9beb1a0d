//! A violation, and the lines of the records that show it.

use super::source::SourceError;
use crate::record::{Fact, parse};
use core::fmt;
use std::collections::VecDeque;
use std::io::BufRead;
use std::path::PathBuf;
use synod::simulation::Violation;
use synod::{Ballot, Message, NodeId, Slot};

/// The most lines of the other side that are shown.
const SHOWN: usize = 8;

/// A broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// One that simulated runs are held against as well.
    Rule(Violation),
    /// A command has taken effect in two slots (rule X1).
    Twice {
        /// Who has told of the second.
        node: NodeId,
        /// The second slot.
        slot: Slot,
        /// The first slot.
        earlier: Slot,
    },
}

impl Broken {
    /// Returns the name, which does not change.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Rule(violation) => violation.rule().name(),
            Self::Twice { .. } => "applied-twice",
        }
    }

    /// True if it contradicts the past of one node alone.
    fn is_of_one_node(&self) -> bool {
        matches!(
            self,
            Self::Rule(
                Violation::Forgotten { .. }
                    | Violation::UntoldVote { .. }
                    | Violation::UnwrittenVote { .. }
                    | Violation::PrefixWentBack { .. }
                    | Violation::ForgotUnapplied { .. }
            )
        )
    }

    /// Returns the slot and the ballot that it is about.
    fn about(&self) -> (Option<Slot>, Option<Ballot>) {
        match *self {
            Self::Twice { earlier, .. } => (Some(earlier), None),
            Self::Rule(violation) => match violation {
                Violation::TwoValues { slot, ballot, .. }
                | Violation::TwoChosen { slot, ballot, .. }
                | Violation::UnsafeProposal { slot, ballot, .. }
                | Violation::UnwrittenVote { slot, ballot, .. }
                | Violation::UntoldVote { slot, ballot, .. } => (Some(slot), Some(ballot)),
                Violation::Forgotten { slot, ballot, .. } if slot > Slot::ZERO => {
                    (Some(slot), Some(ballot))
                }
                Violation::Forgotten { ballot, .. }
                | Violation::BallotWentBack { ballot, .. }
                | Violation::BallotUsedTwice { ballot, .. }
                | Violation::ClaimTooLow { ballot, .. }
                | Violation::UnwrittenPromise { ballot, .. } => (None, Some(ballot)),
                Violation::NotChosen { slot, .. }
                | Violation::Disagreement { slot, .. }
                | Violation::PrefixWentBack { slot, .. }
                | Violation::ForgotUnapplied { slot, .. } => (Some(slot), None),
                _ => (None, None),
            },
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(violation) => violation.fmt(f),
            Self::Twice {
                node,
                slot,
                earlier,
            } => write!(
                f,
                "{node} tells that a command has taken effect in slot {slot}, and it had in slot {earlier}"
            ),
        }
    }
}

/// A line of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The number of the line, from 1.
    pub line: u64,
    /// The line.
    pub text: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.text)
    }
}

/// A broken rule with its evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub broken: Broken,
    /// The line that breaks it.
    pub at: Place,
    /// Lines that it contradicts, of the same node and of others.
    pub against: Vec<Place>,
}

/// Reads the records again for the lines about a violation.
pub(super) fn explain<R: BufRead>(
    broken: Broken,
    (index, line): (usize, u64),
    paths: &[PathBuf],
    open: impl Fn(&PathBuf) -> std::io::Result<R>,
) -> Result<Finding, SourceError> {
    let mut at = None;
    let mut against = Vec::new();
    let about = broken.about();
    let is_shown = |which| which == index || !broken.is_of_one_node();
    for (which, path) in paths
        .iter()
        .enumerate()
        .filter(|(which, _)| is_shown(*which))
    {
        let reader = open(path).map_err(|error| SourceError::open(path, error))?;
        // Of each record the last lines: those nearest to what they are about.
        let mut found = VecDeque::new();
        for (number, text) in (1..).zip(reader.lines()) {
            let text = text.map_err(|error| SourceError::open(path, error))?;
            let is_this = which == index;
            let place = |text| Place {
                path: path.clone(),
                line: number,
                text,
            };
            if is_this && number == line {
                at = Some(place(text));
                break;
            }
            if parse(&text).is_ok_and(|fact| is_about(&fact, about, is_this)) {
                found.push_back(place(text));
                if found.len() > SHOWN / paths.len().max(1) + 1 {
                    found.pop_front();
                }
            }
        }
        against.extend(found);
    }
    let missing = || Place {
        path: paths.get(index).cloned().unwrap_or_default(),
        line,
        text: String::new(),
    };
    Ok(Finding {
        broken,
        at: at.unwrap_or_else(missing),
        against,
    })
}

/// Whether a fact is about a slot; or, in the record of the node, about a ballot that is as high.
fn is_about(fact: &Fact, (slot, ballot): (Option<Slot>, Option<Ballot>), is_this: bool) -> bool {
    let Some(slot) = slot else {
        let is_as_high = |other: Ballot| is_this && ballot.is_some_and(|ballot| other >= ballot);
        return match fact {
            Fact::Promised(ballot) => is_as_high(*ballot),
            Fact::Voted(vote) | Fact::Held(vote) => is_as_high(vote.ballot),
            Fact::Said(said) => match &**said {
                Message::Prepare { ballot, .. }
                | Message::Promise {
                    promised: ballot, ..
                }
                | Message::ProbeReply {
                    highest: ballot, ..
                }
                | Message::Heartbeat { ballot, .. } => is_as_high(*ballot),
                _ => false,
            },
            _ => false,
        };
    };
    let covers = |first: Slot, count: usize| {
        slot >= first && slot.distance(first) < u64::try_from(count).unwrap_or(u64::MAX)
    };
    match fact {
        Fact::Voted(vote) | Fact::Held(vote) => vote.slot == slot,
        Fact::Applied { slot: applied, .. } => *applied == slot,
        Fact::At(progress) => ballot.is_none() && progress.applied == slot,
        Fact::Said(said) => match &**said {
            Message::Accept {
                first, proposals, ..
            }
            | Message::Decisions {
                first, proposals, ..
            } => covers(*first, proposals.len()),
            Message::Accepted { first, count, .. } => {
                covers(*first, usize::try_from(*count).unwrap_or(usize::MAX))
            }
            _ => false,
        },
        _ => false,
    }
}
