//! Non-vacuity of a sweep: the faults and events that it must have covered for its result to mean anything.
//!
//! - At least one run.
//! - At least one answer to a client and, in a scenario, each planned fault in at least one run. A fault that strikes a
//!   node that is down, or waits for a leader that is never elected, proves nothing.
//! - Each kind of fault that was requested by name or is in the scenario, however few the runs.
//! - With all faults: each kind that the size of the cluster allows, after [`LIKELY_AFTER`] runs.
//! - With all faults and all sizes: each [`RareEvent`] that is [due](RareEvent::due) by then.

use super::coverage::{Occurrences, RareEvent};
use super::{Source, Sweep, Swept};
use crate::case::Case;
use core::fmt;
use synod::simulation::{FaultKind, FaultSet, PLAN_MAX, Swarm};

/// Number of runs after which every kind of fault must have struck. Each is drawn for every second run, and changes of the
/// members for every fourth, so that the probability of none in a hundred runs is at most 2⁻⁴¹.
const LIKELY_AFTER: u64 = 100;

/// Something expected that never occurred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Missing {
    /// A run.
    Run,
    /// A kind of fault.
    Fault(FaultKind),
    /// A rare event.
    RareEvent(RareEvent),
    /// A planned fault of a scenario: its number, from 1, and its kind.
    Planned(u32, FaultKind),
    /// An answer to any request.
    Answer,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run => f.write_str("run"),
            Self::Fault(kind) => f.write_str(kind.name()),
            Self::RareEvent(rare_event) => f.write_str(rare_event.name()),
            Self::Planned(number, kind) => write!(f, "fault {number} ({kind})"),
            Self::Answer => f.write_str("answer"),
        }
    }
}

impl RareEvent {
    /// Returns the number of runs with all faults after which the event is expected: at least ten times the average
    /// number of runs for one occurrence, rounded up.
    ///
    /// Counted over 100,000 seeds from 0: `synod sweep --seeds 0..100_000 --keep-going`.
    pub const fn due(self) -> u64 {
        match self {
            Self::Noop | Self::FullRequesters => 2_000,
            Self::FullWaiting => 10_000,
            Self::CutOverruled => 20_000,
            Self::CutOverGap => 100_000,
            // About once in ten thousand runs.
            Self::FullScheduler => 200_000,
            _ => 1_000,
        }
    }
}

/// Returns the kinds of faults that a cluster can have; `None` for a cluster of any size. Faults
/// between nodes need two of them.
pub fn possible(nodes: Option<u16>) -> FaultSet {
    let mut possible = FaultSet::ALL;
    for kind in FaultKind::ALL {
        let least = match kind {
            FaultKind::Pause
            | FaultKind::Skew
            | FaultKind::Jump
            | FaultKind::Restart
            | FaultKind::Torn
            | FaultKind::SlowDisk
            | FaultKind::FailedWrite
            | FaultKind::FullDisk
            // The nodes that are added come on top.
            | FaultKind::Change => 1,
            // A majority must be left.
            // A crash is for good, and rot makes a learner. A partial cut needs a node between its
            // two sides.
            FaultKind::Partial | FaultKind::Crash | FaultKind::Rot => 3,
            _ => 2,
        };
        if nodes.is_some_and(|nodes| nodes < least) {
            possible = possible.without(kind);
        }
    }
    possible
}

/// Returns the kinds of faults in a case. The links of a cluster of one node lose nothing, as it sends no messages.
fn faults_of(case: &Case) -> FaultSet {
    let (weather, scenario) = (&case.trial.weather, &case.trial.scenario);
    let links_lose = if scenario.nodes > 1 {
        scenario.link.loss_ppm
    } else {
        0
    };
    let mut faults = FaultSet::NONE;
    for (kind, rate_ppm) in [
        (FaultKind::Loss, weather.loss_ppm.max(links_lose)),
        (FaultKind::Duplicate, weather.duplicate_ppm),
        (FaultKind::Spike, weather.spike_ppm),
        (FaultKind::Reorder, weather.reorder_ppm),
    ] {
        if rate_ppm > 0 {
            faults = faults.with(kind);
        }
    }
    let planned = case.trial.plan.iter();
    planned.fold(faults, |faults, fault| faults.with(fault.kind()))
}

/// Numbers of runs after which a sweep must have covered each fault and event.
///
/// They follow from the options of the sweep alone. What is expected later than the sweep ends is
/// not missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Expectations {
    /// Faults expected in the first run.
    asked: FaultSet,
    /// Faults expected after [`LIKELY_AFTER`] runs.
    likely: FaultSet,
    /// Whether rare events are expected as well.
    is_unrestricted: bool,
    /// Kinds of the planned faults of a scenario, in their order.
    planned: [Option<FaultKind>; PLAN_MAX],
}

impl Expectations {
    /// Returns the expectations for a sweep.
    pub fn of(sweep: &Sweep) -> Self {
        let mut planned = [None; PLAN_MAX];
        if let Source::Scenario { case, .. } = sweep.source.unmutated() {
            // In the order of the file, in which the coverage has a bit for each.
            for (place, fault) in planned.iter_mut().zip(&case.trial.plan) {
                *place = Some(fault.kind());
            }
        }
        let (asked, likely, is_unrestricted) = match sweep.source.unmutated() {
            Source::Scenario { case, .. } => (faults_of(case), FaultSet::NONE, false),
            Source::Swarm(Swarm { faults, nodes }) if *faults == FaultSet::ALL => {
                (FaultSet::NONE, possible(*nodes), nodes.is_none())
            }
            Source::Swarm(Swarm { faults, .. }) => (*faults, FaultSet::NONE, false),
            Source::Mutated(..) => (FaultSet::NONE, FaultSet::NONE, false),
        };
        Self {
            asked,
            likely,
            is_unrestricted,
            planned,
        }
    }

    /// True if all faults and sizes are drawn.
    pub const fn is_unrestricted(self) -> bool {
        self.is_unrestricted
    }

    /// Returns the number of runs after which a kind of fault is expected, if it is.
    pub fn fault(self, kind: FaultKind) -> Option<u64> {
        if self.asked.contains(kind) {
            Some(1)
        } else {
            self.likely.contains(kind).then_some(LIKELY_AFTER)
        }
    }

    /// Returns the number of runs after which a rare event is expected, if it is.
    pub fn rare_event(self, rare_event: RareEvent) -> Option<u64> {
        self.is_unrestricted.then(|| rare_event.due())
    }

    /// Returns what was expected by now and never occurred. Faults come first, in the order of
    /// their kinds, then rare events, and then what was planned.
    pub(super) fn missing(self, swept: &Swept) -> Vec<Missing> {
        if swept.runs == 0 {
            // Everything else is missing as well, and would only hide the cause.
            return vec![Missing::Run];
        }
        let lacks = |occurrences: Occurrences, due: Option<u64>| {
            occurrences.runs == 0 && due.is_some_and(|due| due <= swept.runs)
        };
        let faults = swept.coverage.faults();
        let faults = faults.filter(|(kind, occurrences)| lacks(*occurrences, self.fault(*kind)));
        let rare_events = swept.coverage.rare_events();
        let rare_events = rare_events
            .filter(|(rare_event, occurrences)| lacks(*occurrences, self.rare_event(*rare_event)));
        let planned = (0..).zip(self.planned.iter().flatten());
        let planned = planned.filter(|(index, _)| !swept.coverage.has_begun(*index));
        let planned = planned.map(|(index, kind)| Missing::Planned(index + 1, *kind));
        // After a failure the sweep may have ended before anybody was answered.
        let nobody = swept.answered == 0 && swept.failures.is_empty();
        let answer = nobody.then_some(Missing::Answer);
        faults
            .map(|(kind, _)| Missing::Fault(kind))
            .chain(rare_events.map(|(rare_event, _)| Missing::RareEvent(rare_event)))
            .chain(planned)
            .chain(answer)
            .collect()
    }
}
