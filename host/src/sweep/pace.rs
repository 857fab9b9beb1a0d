//! What runs take on average: what hides in the spread of single runs shows in the average of many.
//!
//! A node that begins to claim too often, or repeats a message too soon, makes no run fail: some runs take as much anyway. A
//! thousand runs of the same trials take the same on average, give or take a few parts in a hundred.

use crate::run::Finished;
use core::fmt;
use synod::NodeId;
use synod::simulation::Trial;

/// Something that runs take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Take {
    /// Ballots claimed in a run, over all of it.
    Claims,
    /// Ballots claimed in a run after its faults were over and somebody was answered.
    LateClaims,
    /// Messages for each node and each answer or heartbeat, over all of a run.
    Messages,
    /// The same, after the faults were over.
    LateMessages,
    /// Slots for each answer after the faults were over.
    Slots,
    /// Round trips until the first answer after the faults were over.
    FirstAnswer,
    /// Round trips that the slowest request of a run waited after that.
    LongestWait,
    /// Round trips from when the faults were over until a run was done.
    Rest,
}

const TAKES: usize = 8;

/// From so many runs on averages are judged.
pub const MANY_RUNS: u64 = 1_000;

impl Take {
    /// Every one.
    pub const ALL: [Self; TAKES] = [
        Self::Claims,
        Self::LateClaims,
        Self::Messages,
        Self::LateMessages,
        Self::Slots,
        Self::FirstAnswer,
        Self::LongestWait,
        Self::Rest,
    ];

    /// Its name: lower case, words joined by hyphens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Claims => "claims",
            Self::LateClaims => "late-claims",
            Self::Messages => "messages",
            Self::LateMessages => "late-messages",
            Self::Slots => "slots",
            Self::FirstAnswer => "first-answer",
            Self::LongestWait => "longest-wait",
            Self::Rest => "rest",
        }
    }

    /// What it may be on average, in thousandths, from the least to the most, where all faults and sizes are drawn.
    ///
    /// Source: the averages of 20 sweeps of 1,000 seeds each, from 0 on, and a margin of about twice their spread. This prints
    /// them:
    ///
    /// ```sh
    /// cargo test --release -p synod-host --lib the_pace_of_runs_is_printed -- --ignored --nocapture
    /// ```
    pub const fn usual(self) -> (u64, u64) {
        match self {
            Self::Claims => (4_800, 6_600),
            Self::LateClaims => (0, 40),
            Self::Messages => (1_560, 1_780),
            Self::LateMessages => (1_230, 1_460),
            Self::Slots => (930, 1_080),
            Self::FirstAnswer => (1_200, 2_900),
            Self::LongestWait => (1_050, 1_650),
            Self::Rest => (30_000, 48_000),
        }
    }

    const fn index(self) -> usize {
        #[expect(clippy::as_conversions, reason = "a fieldless enum's discriminant")]
        {
            self as usize
        }
    }
}

impl fmt::Display for Take {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a run takes of something, and of how much: an average is the sum of the ones over that of the others.
type Share = (u64, u64);

/// What runs have taken so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paces {
    sums: [Share; TAKES],
    /// How many runs there were whose pace can be held against that of others.
    pub runs: u64,
}

impl Paces {
    /// Adds a run, if its pace can be held against that of others.
    pub fn add(&mut self, trial: &Trial, finished: &Finished) {
        let Some(figures) = finished.pace else {
            return;
        };
        let scenario = &trial.scenario;
        let usual = scenario.link.round_trip_max();
        let trip = scenario
            .round_trip
            .unwrap_or(usual)
            .max(usual)
            .as_micros()
            .max(1);
        let heartbeat = scenario.config(NodeId(0)).heartbeat;
        let nodes = u64::from(scenario.nodes);
        let trips = |span: synod::Duration| span.as_micros().saturating_mul(1_000) / trip;
        let beats = finished.report.at.as_micros() / heartbeat.as_micros().max(1);
        for take in Take::ALL {
            let share = match take {
                Take::Claims => (figures.claims_in_all * 1_000, 1),
                Take::LateClaims => (figures.late_claims * 1_000, 1),
                Take::Messages => (
                    figures.messages_in_all * 1_000,
                    nodes * (finished.report.answered + beats),
                ),
                Take::LateMessages => (figures.messages * 1_000, nodes * figures.work(heartbeat)),
                // Clients for which there are not enough sessions give each other's up.
                Take::Slots if scenario.clients >= trial.room.sessions() => (0, 0),
                Take::Slots => (figures.slots * 1_000, figures.answers),
                Take::FirstAnswer => match figures.first_answer {
                    Some(span) => (trips(span), 1),
                    None => (0, 0),
                },
                Take::LongestWait => (trips(figures.longest_wait), 1),
                Take::Rest => (trips(figures.lasted), 1),
            };
            if let Some(sum) = self.sums.get_mut(take.index()) {
                *sum = (sum.0 + share.0, sum.1 + share.1);
            }
        }
        self.runs += 1;
    }

    /// An average, in thousandths.
    pub fn mean(&self, take: Take) -> u64 {
        let (sum, of) = self.sums.get(take.index()).copied().unwrap_or_default();
        sum.checked_div(of).unwrap_or(0)
    }

    /// The averages that are not what they usually are.
    pub fn unusual(&self) -> impl Iterator<Item = Take> {
        let unusual = |take: &Take| {
            let (least, most) = take.usual();
            let mean = self.mean(*take);
            mean < least || mean > most
        };
        Take::ALL.into_iter().filter(unusual)
    }
}
