//! Leaderships: the time spans in which a node led.
//!
//! A leadership begins when a node has won a ballot, and ends with whatever is traced first: a
//! higher ballot, too few answers, a change of the members, or the end of the node. Two may overlap: a deposed leader does
//! not know of its successor yet.

use synod::{Ballot, Event, Instant, NodeId, Record, StateMachine, Tracer};

/// Number of leaderships that are kept; further ones are only counted. A run whose nodes compete
/// for hours would otherwise fill the memory with them.
const LEADERSHIPS_MAX: usize = 1_000;

/// A span in which one node led.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Leadership {
    /// Ballot of the leader.
    pub ballot: Ballot,
    /// Start: the time at which the leader had adopted what a quorum had accepted.
    pub from: Instant,
    /// End and its reason; `None` if the node led until the run ended.
    pub end: Option<(Instant, Ending)>,
}

/// Reason why a leadership ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The leader received a higher ballot.
    Preempted,
    /// The leader stepped down: it heard from too few nodes, or learnt of decisions that others had made.
    SteppedDown,
    /// The epoch of the ballot ended with a change of the members.
    EpochEnded,
    /// The node crashed.
    Killed,
    /// The node's storage failed.
    Fenced,
    /// The node halted because it saw a violation.
    Halted,
}

impl Ending {
    /// Returns the name: lower case, words joined by underscores.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Preempted => "preempted",
            Self::SteppedDown => "stepped_down",
            Self::EpochEnded => "epoch_ended",
            Self::Killed => "killed",
            Self::Fenced => "fenced",
            Self::Halted => "halted",
        }
    }
}

/// Records all leaderships. They may overlap, because a new leader may be elected before the last one learns of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leaderships {
    /// Leaderships in the order in which they began, at most [`LEADERSHIPS_MAX`].
    leaderships: Vec<Leadership>,
    /// Number of further ones.
    more: u64,
}

impl Leaderships {
    /// Returns the first thousand, in the order in which they began.
    pub fn all(&self) -> &[Leadership] {
        &self.leaderships
    }

    /// Returns the number of leaderships beyond those.
    pub const fn more(&self) -> u64 {
        self.more
    }

    /// Ends the last leadership of a node, unless it has ended already: a node that crashes may
    /// have been preempted before.
    fn end(&mut self, node: NodeId, at: Instant, ending: Ending) {
        let of_node = |leadership: &&mut Leadership| leadership.ballot.leader() == node;
        let mut leaderships = self.leaderships.iter_mut().rev();
        if let Some(leadership) = leaderships.find(of_node) {
            leadership.end.get_or_insert((at, ending));
        }
    }
}

impl<M: StateMachine, const PAGE: usize> Tracer<M, PAGE> for Leaderships {
    #[inline]
    fn record(&mut self, record: &Record<'_, M, PAGE>) {
        let ending = match &record.event {
            Event::Adopted { ballot, .. } if self.leaderships.len() < LEADERSHIPS_MAX => {
                let (ballot, from) = (*ballot, record.at);
                let end = None;
                return self.leaderships.push(Leadership { ballot, from, end });
            }
            Event::Adopted { .. } => {
                self.more += 1;
                return;
            }
            Event::Preempted { .. } => Ending::Preempted,
            Event::SteppedDown { .. } => Ending::SteppedDown,
            Event::Reconfigured { .. } => Ending::EpochEnded,
            Event::Killed => Ending::Killed,
            Event::Fenced => Ending::Fenced,
            Event::Halted { .. } => Ending::Halted,
            _ => return,
        };
        debug_assert!(
            self.more == 0 || self.leaderships.len() == LEADERSHIPS_MAX,
            "only what finds no room is counted instead"
        );
        self.end(record.node, record.at, ending);
    }
}
