//! Who led, from when to when.

use synod::{Ballot, Event, Instant, NodeId, Record, StateMachine, Tracer};

/// How many reigns are kept one by one.
const LEADERSHIPS_MAX: usize = 1_000;

/// The time for which a node led.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Leadership {
    /// Who led, and in which round.
    pub ballot: Ballot,
    /// From when on: when it had adopted what a quorum had accepted.
    pub from: Instant,
    /// When it ended, and how; `None` where it led to the end.
    pub end: Option<(Instant, Ending)>,
}

/// How a reign ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// It heard of a higher ballot.
    Preempted,
    /// It gave up: it heard from too few, or learnt of decisions that others had made.
    SteppedDown,
    /// It was stopped from outside.
    Killed,
    /// Its storage failed.
    Fenced,
    /// It halted because of what it saw.
    Halted,
}

impl Ending {
    /// Its name: lower case, words joined by underscores.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Preempted => "preempted",
            Self::SteppedDown => "stepped_down",
            Self::Killed => "killed",
            Self::Fenced => "fenced",
            Self::Halted => "halted",
        }
    }
}

/// Takes note of who leads. A new leader may be elected before the one before it has heard of that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leaderships {
    leaderships: Vec<Leadership>,
    more: u64,
}

impl Leaderships {
    /// The first thousand, in the order in which they began.
    pub fn all(&self) -> &[Leadership] {
        &self.leaderships
    }

    /// How many there were after those.
    pub const fn more(&self) -> u64 {
        self.more
    }

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
            Event::Killed => Ending::Killed,
            Event::Fenced => Ending::Fenced,
            Event::Halted { .. } => Ending::Halted,
            _ => return,
        };
        self.end(record.node, record.at, ending);
    }
}
