//! Effort of runs, averaged over a sweep, which reveals a change that the variance of single runs hides.
//!
//! A node that claims too often, or repeats a message too soon, makes no single run fail, as some runs take as much
//! anyway. But averages over a thousand runs of the same distribution differ by only a few percent.

use crate::run::Finished;
use core::fmt;
use synod::NodeId;
use synod::simulation::Trial;

/// A quantity that is averaged over runs.
///
/// All are numbers of things that a cluster does or waits for; more of any is worse, and much less
/// is a sign that something does not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effort {
    /// Ballots claimed in a run.
    Claims,
    /// Ballots claimed in a run after its faults were over and a client was answered.
    LateClaims,
    /// Messages per node and per answer or heartbeat, in the whole run.
    Messages,
    /// The same after the faults were over.
    LateMessages,
    /// Slots per answer after the faults were over.
    Slots,
    /// Round trips until the first answer after the faults were over.
    FirstAnswer,
    /// Round trips of the slowest request after that.
    LongestWait,
    /// Round trips from the end of the faults until the run was done.
    Rest,
}

/// Number of efforts.
const EFFORTS: usize = 8;

/// Number of runs after which averages are checked. Averages of fewer differ so much that bounds
/// would have to be too wide to mean anything.
pub const MANY_RUNS: u64 = 1_000;

impl Effort {
    /// All quantities.
    pub const ALL: [Self; EFFORTS] = [
        Self::Claims,
        Self::LateClaims,
        Self::Messages,
        Self::LateMessages,
        Self::Slots,
        Self::FirstAnswer,
        Self::LongestWait,
        Self::Rest,
    ];

    /// Returns the name: lower case, words joined by hyphens.
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

    /// Returns the bounds on the average, in thousandths, with all faults and sizes.
    ///
    /// Source: the averages of 20 sweeps of 1,000 seeds each, from 0 on, with a margin of about twice their spread.
    /// Printed by:
    ///
    /// ```sh
    /// cargo test --release -p synod-host --lib the_pace_of_runs_is_printed -- --ignored --nocapture
    /// ```
    pub const fn usual(self) -> (u64, u64) {
        match self {
            Self::Claims => (4_450, 5_300),
            Self::LateClaims => (0, 40),
            Self::Messages => (1_600, 1_790),
            Self::LateMessages => (1_270, 1_480),
            Self::Slots => (985, 1_010),
            Self::FirstAnswer => (1_500, 2_800),
            Self::LongestWait => (1_080, 1_900),
            Self::Rest => (32_000, 47_000),
        }
    }

    /// Returns the place among the sums. Discriminants rise from 0 in the order of [`Effort::ALL`].
    const fn index(self) -> usize {
        #[expect(clippy::as_conversions, reason = "a fieldless enum's discriminant")]
        {
            self as usize
        }
    }
}

impl fmt::Display for Effort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A numerator and a denominator: the average is the sum of the first over the sum of the second.
/// The numerator is in thousandths. A share of zeros leaves a run out.
type Share = (u64, u64);

/// Averages over the runs so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EffortAverages {
    /// Sums of the shares of all runs, by effort.
    sums: [Share; EFFORTS],
    /// Number of runs with comparable figures.
    pub runs: u64,
}

impl EffortAverages {
    /// Adds a run, if its figures are comparable.
    pub fn add(&mut self, trial: &Trial, finished: &Finished) {
        let Some(figures) = finished.effort else {
            return;
        };
        let scenario = &trial.scenario;
        // All spans are counted in round trips, so that slow links and fast ones have one average.
        let usual = scenario.link.round_trip_max();
        // Nodes that take the round trip for longer than it is wait for longer, too.
        let trip = scenario
            .round_trip
            .unwrap_or(usual)
            .max(usual)
            .as_micros()
            .max(1);
        let heartbeat = scenario.config(NodeId(0)).heartbeat;
        let nodes = u64::from(scenario.nodes);
        let trips = |span: synod::Duration| span.as_micros().saturating_mul(1_000) / trip;
        // A cluster without requests sends heartbeats all the same.
        let beats = finished.report.at.as_micros() / heartbeat.as_micros().max(1);
        for effort in Effort::ALL {
            let share = match effort {
                Effort::Claims => (figures.claims_in_all * 1_000, 1),
                Effort::LateClaims => (figures.late_claims * 1_000, 1),
                Effort::Messages => (
                    figures.messages_in_all * 1_000,
                    // The work that a cluster has in any case: its answers, and the heartbeats of
                    // an idle leader.
                    nodes * (finished.report.answered + beats),
                ),
                Effort::LateMessages => (figures.messages * 1_000, nodes * figures.work(heartbeat)),
                // Clients that outnumber the sessions evict each other and need more slots.
                Effort::Slots if scenario.clients >= trial.room.sessions() => (0, 0),
                Effort::Slots => (figures.slots * 1_000, figures.answers),
                Effort::FirstAnswer => match figures.first_answer {
                    Some(span) => (trips(span), 1),
                    None => (0, 0),
                },
                Effort::LongestWait => (trips(figures.longest_wait), 1),
                Effort::Rest => (trips(figures.lasted), 1),
            };
            if let Some(sum) = self.sums.get_mut(effort.index()) {
                // Not an average of averages, in which the few messages of a short run would weigh
                // as much as the many of a long one.
                *sum = (sum.0 + share.0, sum.1 + share.1);
            }
        }
        self.runs += 1;
    }

    /// Returns an average, in thousandths.
    ///
    /// It is 0 as long as no run has a share in it.
    pub fn mean(&self, effort: Effort) -> u64 {
        let (sum, of) = self.sums.get(effort.index()).copied().unwrap_or_default();
        sum.checked_div(of).unwrap_or(0)
    }

    /// Returns the quantities whose averages are out of bounds.
    ///
    /// They mean nothing after fewer than [`MANY_RUNS`] runs, nor in a sweep that draws only some
    /// of the faults. The caller has to check both.
    pub fn unusual(&self) -> impl Iterator<Item = Effort> {
        let unusual = |effort: &Effort| {
            let (least, most) = effort.usual();
            let mean = self.mean(*effort);
            // Too little is suspicious as well: something is not done any more, or not counted.
            mean < least || mean > most
        };
        Effort::ALL.into_iter().filter(unusual)
    }
}
