//! The nemesis, which decides the fate of each message and plans faults.
//!
//! It is asked once about each message and recipient, in the order of sending, and answers from streams of random
//! numbers that depend on nothing else. So two runs that differ in the rate of one fault have the same delays.

use super::fault::{Fault, FaultKind, Planned, Weather};
use super::network::{Link, Network};
use super::plan::Plan;
use super::scenario::Target;
use crate::random::{Purpose, below, span_below, stream};
use crate::{Duration, Instant, MessageKind, NodeId};
use core::fmt::Debug;
use rand_xorshift::XorShiftRng;

/// A message in transit, as a [`Nemesis`] sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InTransit {
    /// When it was sent.
    pub at: Instant,
    /// By whom.
    pub from: NodeId,
    /// To whom.
    pub to: NodeId,
    /// What it is.
    pub kind: MessageKind,
}

/// The fate of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fate {
    /// How long it takes; `None` when it is lost.
    pub delay: Option<Duration>,
    /// How long a second copy takes, if there is one.
    pub again: Option<Duration>,
    /// Why it takes longer than its link usually does, if it does.
    pub late: Option<FaultKind>,
}

/// The adversary of a cluster: it decides the fate of each message and has a plan of faults.
///
/// [`Network`] only loses and delays, and costs no more than that. [`Faults`] can do all that there is. A recorder or a
/// script of one's own can stand in their place.
pub trait Nemesis: Default + Debug {
    /// Whether it may have a plan. Where not, the code for planned faults is left out of the program.
    const PLANS: bool;

    /// What it has planned, and how far that has come; `None` where it never plans anything.
    fn plan(&self) -> Option<&Plan> {
        None
    }

    /// The same, for the simulation to go on with.
    fn plan_mut(&mut self) -> Option<&mut Plan> {
        None
    }

    /// Decides the fate of a message. What a node sends to itself is not asked about.
    fn fate(&mut self, passing: InTransit) -> Fate;
}

impl Nemesis for Network {
    const PLANS: bool = false;

    #[cfg_attr(target_pointer_width = "64", inline)]
    fn fate(&mut self, _passing: InTransit) -> Fate {
        Fate {
            delay: self.transit_time(),
            ..Fate::default()
        }
    }
}

/// Every fault that there is, each with a stream and a switch of its own.
///
/// ```
/// use synod::machines::Kv;
/// use synod::simulation::{
///     Fault, Faults, Faulty, KvScript, Planned, Scenario, Simulation, Target, Verdict, Weather,
/// };
/// use synod::{Duration, Instant};
///
/// let scenario = Scenario::of(6, 3);
/// let weather = Weather {
///     duplicate_ppm: 200_000,
///     storm: Duration::from_secs(1),
///     until: Instant::from_micros(5_000_000),
///     ..Weather::CALM
/// };
/// let crash = Planned {
///     at: Instant::from_micros(1_500_000),
///     lasts: Some(Duration::from_millis(700)),
///     fault: Fault::Crash(Target::Leader),
/// };
/// let faults = Faults::new(&scenario, weather, &[crash]);
/// let mut simulation = Simulation::<Faulty<Kv<16>, KvScript, 3, 256>, 16, 16, 2>::idle();
/// simulation.start_against(&scenario, KvScript::new(11), faults)?;
/// assert_eq!(simulation.run(&mut ()), Verdict::Done);
/// # Ok::<(), synod::simulation::ScenarioError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Faults {
    network: Network,
    weather: Weather,
    plan: Plan,
    /// A stream for each kind of trouble, each drawn from as often for every message of a storm. Another rate of one kind
    /// moves nothing of the others then, so that two runs can be compared.
    storm: XorShiftRng,
    duplicate: XorShiftRng,
    spike: XorShiftRng,
    reorder: XorShiftRng,
}

impl Default for Faults {
    fn default() -> Self {
        Self::over(Network::default(), 0, Weather::CALM, Plan::default())
    }
}

impl Faults {
    /// The links of a scenario, under some weather and with a plan: see [`Plan::new`].
    pub fn new(scenario: &super::Scenario, weather: Weather, plan: &[Planned]) -> Self {
        let network = Network::new(scenario.link, scenario.run_seed);
        Self::over(network, scenario.run_seed, weather, Plan::new(plan))
    }

    fn over(network: Network, run_seed: u64, weather: Weather, plan: Plan) -> Self {
        Self {
            network,
            weather,
            plan,
            storm: stream(run_seed, Purpose::Storm),
            duplicate: stream(run_seed, Purpose::Duplicate),
            spike: stream(run_seed, Purpose::Spike),
            reorder: stream(run_seed, Purpose::Reorder),
        }
    }

    /// When the last of it is over in a scenario, if what is planned for good leaves a majority that hears each other: the
    /// time from which [`Scenario::settles_within`](super::Scenario::settles_within) counts. Messages may be under way from
    /// before, and a fault that strikes the leader may have to wait for one.
    pub fn healed(&self, scenario: &super::Scenario) -> Instant {
        let weather = &self.weather;
        // A message that is both held and spiked is late by the sum. That is rare, and not allowed for.
        // What is sent in the last instant of a storm arrives after it.
        let late = weather.spike.max(weather.reorder);
        let late = late.saturating_add(TWINS_APART);
        let mut healed = weather.until + late;
        let elects = scenario.elects_within();
        let wait = |target: Option<Target>, lasts: Duration| match target {
            Some(Target::Leader) => elects.saturating_add(lasts),
            _ => Duration::ZERO,
        };
        let mut waits = Duration::ZERO;
        for Planned { at, lasts, fault } in self.plan.faults() {
            let lasts = match fault {
                // A clock that is set back stands still for as long; one that is set forward is right at once.
                Fault::Jump { by_micros, .. } => {
                    Duration::from_micros(by_micros.min(&0).unsigned_abs())
                }
                // A sync that has begun by then takes its time.
                Fault::SlowDisk { sync, .. } => lasts.unwrap_or_default().saturating_add(*sync * 2),
                _ => lasts.unwrap_or_default(),
            };
            healed = healed.max(*at + lasts);
            waits = waits.saturating_add(match fault {
                // A change waits for a leader, for learners to catch up, and for the leader of the next epoch.
                Fault::Change { .. } => elects * 3,
                _ => wait(fault.target(), lasts),
            });
        }
        for kill in &scenario.kills {
            healed = healed.max(kill.at);
            waits = waits.saturating_add(wait(Some(kill.target), Duration::ZERO));
        }
        debug_assert!(healed >= weather.until, "a storm outlasts the faults");
        healed + waits
    }

    /// What the weather makes of a message. Every stream is drawn from as often for every message.
    fn storm(&mut self, mut fate: Fate) -> Fate {
        let weather = &self.weather;
        let draw = |rng: &mut XorShiftRng, rate_ppm| below(rng, Link::LOSS_MAX) < rate_ppm;
        let lost = draw(&mut self.storm, weather.loss_ppm);
        let twice = draw(&mut self.duplicate, weather.duplicate_ppm);
        let apart = span_below(&mut self.duplicate, TWINS_APART);
        let spiked = draw(&mut self.spike, weather.spike_ppm);
        let spike = span_below(&mut self.spike, weather.spike);
        let held = draw(&mut self.reorder, weather.reorder_ppm);
        let reorder = span_below(&mut self.reorder, weather.reorder);
        let Some(mut delay) = fate.delay.filter(|_| !lost) else {
            return Fate::default();
        };
        // Where both strike, the spike is what is told: it is the longer one as a rule.
        if held {
            delay = delay.saturating_add(reorder);
            fate.late = Some(FaultKind::Reorder);
        }
        if spiked {
            delay = delay.saturating_add(spike);
            fate.late = Some(FaultKind::Spike);
        }
        fate.delay = Some(delay);
        fate.again = twice.then(|| delay.saturating_add(apart));
        debug_assert!(
            fate.again.is_none_or(|again| again >= delay),
            "a copy of a message overtakes it"
        );
        fate
    }
}

/// How far apart the two copies of a message arrive at most: two round trips of the default link, so that the second one often
/// finds a later state.
const TWINS_APART: Duration = Duration::from_millis(200);

impl Nemesis for Faults {
    const PLANS: bool = true;

    fn plan(&self) -> Option<&Plan> {
        Some(&self.plan)
    }

    fn plan_mut(&mut self) -> Option<&mut Plan> {
        Some(&mut self.plan)
    }

    #[inline]
    fn fate(&mut self, passing: InTransit) -> Fate {
        let fate = self.network.fate(passing);
        if self.weather.is_storm(passing.at) {
            self.storm(fate)
        } else {
            fate
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::NodeId;
    use crate::simulation::Scenario;
    use std::vec::Vec;

    fn fates(weather: Weather) -> Vec<Fate> {
        let mut faults = Faults::new(&Scenario::of(6, 3), weather, &[]);
        (0..4_000)
            .map(|at| {
                faults.fate(InTransit {
                    at: Instant::from_micros(at),
                    from: NodeId(0),
                    to: NodeId(1),
                    kind: MessageKind::Accept,
                })
            })
            .collect()
    }

    const STORM: Weather = Weather {
        loss_ppm: 100_000,
        duplicate_ppm: 100_000,
        spike_ppm: 50_000,
        spike: Duration::from_secs(3),
        reorder_ppm: 50_000,
        reorder: Duration::from_millis(200),
        storm: Duration::from_millis(2),
        calm: Duration::from_millis(1),
        until: Instant::from_micros(3_000),
    };

    fn count(fates: &[Fate], is: impl Fn(&Fate) -> bool) -> usize {
        fates.iter().filter(|fate| is(fate)).count()
    }

    #[test]
    fn a_storm_loses_repeats_delays_and_reorders() {
        let all = fates(STORM);
        let (calm, storm) = (&all[..1_000], &all[1_000..3_000]);
        assert_eq!(
            count(calm, |fate| fate.again.is_some() || fate.late.is_some()),
            0
        );
        assert_eq!(count(&all[3_000..], |fate| fate.again.is_some()), 0);
        assert!((150..400).contains(&count(storm, |fate| fate.delay.is_none())));
        assert!((100..300).contains(&count(storm, |fate| fate.again.is_some())));
        assert!((50..200).contains(&count(storm, |fate| fate.late == Some(FaultKind::Spike))));
        assert!((50..200).contains(&count(storm, |fate| fate.late == Some(FaultKind::Reorder))));
        assert!(
            storm
                .iter()
                .any(|fate| fate.delay > Some(Duration::from_secs(2)))
        );
    }

    #[test]
    fn one_switch_moves_nothing_of_the_others() {
        let all = fates(STORM);
        for (name, weather) in [
            (
                "duplicate",
                Weather {
                    duplicate_ppm: 0,
                    ..STORM
                },
            ),
            (
                "loss",
                Weather {
                    loss_ppm: 0,
                    ..STORM
                },
            ),
        ] {
            for (with, without) in all.iter().zip(fates(weather)) {
                if let (Some(with), Some(without)) = (with.delay, without.delay) {
                    assert_eq!(with, without, "{name}");
                }
            }
        }
        for (with, without) in all.iter().zip(fates(Weather {
            spike_ppm: 0,
            ..STORM
        })) {
            assert_eq!(with.again.is_some(), without.again.is_some());
            let held = |fate: &Fate| fate.late == Some(FaultKind::Reorder);
            assert!(!held(with) || held(&without));
        }
    }
}
