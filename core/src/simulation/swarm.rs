//! The swarm, which draws a whole trial with its faults from a seed.
//!
//! Each seed first draws which kinds of fault there are, each as likely as not, and then how strong each is: runs that have
//! everything at once are stuck most of the time, and find less. Source: Groce, Zhang, Eide, Chen and Regehr, *Swarm
//! Testing* (2012).

mod plan;

use super::fault::{Fault, FaultKind, FaultSet, PLAN_MAX, Planned, Weather};
use super::nemesis::Faults;
use super::network::Link;
use super::scenario::{Placement, Scenario, Target};
use crate::random::{Purpose, below, span_below, stream};
use crate::{Duration, Instant, NodeId, NodeSet};
use heapless::Vec;
use rand_xorshift::XorShiftRng;

/// What a swarm draws from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Swarm {
    /// The kinds of fault that a trial may have.
    pub faults: FaultSet,
    /// How many nodes; `None` for a number that the seed draws, from 1 to 7.
    pub nodes: Option<u16>,
}

/// A drawn trial: everything that decides a run, but for the workload's own script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The cluster, its links and its clients.
    pub scenario: Scenario,
    /// What happens to messages by chance.
    pub weather: Weather,
    /// What is planned.
    pub plan: Vec<Planned, PLAN_MAX>,
    /// How many requests each client makes.
    pub requests: u32,
    /// Whether the state machine is one where the order of commands shows in their outputs, such as a bank.
    pub is_bank: bool,
    /// About how many keys or accounts the clients contend; 0 where each has its own, and knows what it must be answered.
    pub contended: u32,
    /// How much room the nodes have.
    pub room: Capacities,
    /// Whether their storage is about as small as it can be, so that checkpoints are written all the time.
    pub has_least_storage: bool,
}

/// How much room the nodes of a trial have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Capacities {
    /// The least that they can have, so that windows, sessions and queues are full at times.
    Tight,
    /// As much as nodes usually have.
    #[default]
    Roomy,
    /// A window of many pages, so that a promise has more of them than a scout repeats its question.
    Wide,
}

impl Capacities {
    /// How many sessions the nodes of a small cluster keep.
    pub const fn sessions(self) -> u16 {
        match self {
            Self::Tight => 4,
            Self::Roomy | Self::Wide => 16,
        }
    }
}

/// The most nodes that a drawn trial has.
const NODES_OF_TRIAL: u16 = 7;
/// The most clients that a drawn trial has.
const CLIENTS: u32 = 12;
/// The most clients of a tight one, which has as many sessions; those that contend for keys may be two more.
const TIGHT_CLIENTS: u32 = 4;

impl Swarm {
    /// Draws the trial of a seed. The same swarm draws the same trial.
    ///
    /// ```
    /// use synod::simulation::{FaultSet, Swarm};
    ///
    /// let swarm = Swarm { faults: FaultSet::ALL, nodes: Some(5) };
    /// let trial = swarm.draw(17);
    /// assert_eq!((trial.scenario.run_seed, trial.scenario.nodes), (17, 5));
    /// assert_eq!(trial, swarm.draw(17));
    /// ```
    pub fn draw(&self, run_seed: u64) -> Trial {
        // The order of all draws below is a part of every seed that was ever reported: a draw that is added, left out or moved
        // makes other trials of all seeds. So what was thought of later has a stream of its own.
        let mut draw = Draw(stream(run_seed, Purpose::Swarm));
        // What is to go wrong with disks is drawn apart, so that it moves nothing of the rest.
        let mut disks = Draw(stream(run_seed, Purpose::DiskSwarm));
        let faults = draw.subset(self.faults, |kind| !kind.is_of_disk());
        let disk_faults = disks.subset(self.faults, FaultKind::is_of_disk);
        // What is full at times is where most mistakes of bookkeeping show.
        let is_tight = draw.chance(2, 5);
        let is_bank = draw.chance(1, 2);
        let drawn = draw.size();
        let founders = self.nodes.unwrap_or(drawn);
        let mut operator = Draw(stream(run_seed, Purpose::MemberSwarm));
        let changes = operator.changes(self.faults, founders);
        let nodes = founders + changes.newcomers;
        let link = draw.link();
        // All times of a trial are in round trips, so that trouble is as bad for slow links as for fast ones.
        let unit = link.round_trip_max();
        // Half of the trials have no contention, since 0, 1 and 2 all give 0; the others have 1 to 3 keys.
        let contended = draw.below(6).saturating_sub(2);
        let mut drivers = Draw(stream(run_seed, Purpose::DriverSwarm));
        let room = match (is_tight, drivers.chance(1, 8)) {
            (true, _) => Capacities::Tight,
            (false, true) => Capacities::Wide,
            (false, false) => Capacities::Roomy,
        };
        let has_least_storage = drivers.chance(1, 2);
        let clients = draw.clients(is_tight, contended);
        let requests = 5 + draw.below(40);
        // From 40 to 200 round trips: eight to forty election timeouts, as nodes are set by default.
        let storms = unit * u64::from(40 + draw.below(160));
        let mut scenario = Scenario::of(run_seed, nodes);
        scenario.founders = (founders < nodes).then_some(founders);
        scenario.link = link;
        scenario.clients = u16::try_from(clients).unwrap_or(1);
        scenario.placement = Placement::Spread;
        draw.timings(&mut scenario, storms / u64::from(requests));
        drivers.drivers(&mut scenario);
        Draw(stream(run_seed, Purpose::ClientSwarm)).manners(&mut scenario);
        let until = Instant::ZERO + storms;
        let weather = draw.weather(faults, unit, until);
        // Nodes that do not vote at the end; a majority must be left.
        let spare_at_first = u32::from(founders.saturating_sub(1) / 2);
        // Who loses a vote where the members change is up to the operator.
        let mut spare = if changes.is_on { 0 } else { spare_at_first };
        let mut plan = Vec::new();
        operator.operate(changes, unit, until, &mut plan);
        draw.plan(faults, unit, until, nodes, &mut spare, &mut plan);
        disks.plan(disk_faults, unit, until, nodes, &mut spare, &mut plan);
        let all = faults.union(disk_faults);
        drivers.siege(all, unit, until, nodes, &mut plan);
        drivers.deposition(all, unit, until, nodes, &mut plan);
        drivers.founding(all, unit, nodes, &mut spare, &mut plan);
        assert_bounded(&plan, spare_at_first, until);
        let healed = Faults::new(&scenario, weather, &plan).healed(&scenario);
        scenario.time_max = time_max(&scenario, healed, requests);
        Trial {
            scenario,
            weather,
            plan,
            requests,
            is_bank,
            contended,
            room,
            has_least_storage,
        }
    }
}

/// The changes of the members that are drawn for a trial, before anything else is known of it.
#[derive(Clone, Copy, Debug)]
struct Changes {
    /// Whether there are any.
    is_on: bool,
    /// The number of nodes that found the cluster.
    founders: u16,
    /// The number of further nodes, which join as learners.
    newcomers: u16,
}

/// Plans a change of the members.
fn push_change(plan: &mut Vec<Planned, PLAN_MAX>, at: Instant, add: NodeSet, remove: NodeSet) {
    let (lasts, fault) = (None, Fault::Change { add, remove });
    let _ = plan.push(Planned { at, lasts, fault });
}

/// Asserts that a plan leaves a majority that votes, of so many nodes to spare, and is over in time.
fn assert_bounded(plan: &[Planned], spare: u32, until: Instant) {
    debug_assert!(
        plan.iter().filter(|fault| fault.takes_a_vote()).count()
            <= usize::try_from(spare).unwrap_or(0),
        "a majority of the nodes is left that vote"
    );
    debug_assert!(
        plan.iter()
            .all(|fault| fault.at + fault.lasts.unwrap_or_default() <= until),
        "every fault that ends has ended when the storms are over"
    );
}

/// The simulated time after which a trial is stalled, when its faults are healed at some time.
fn time_max(scenario: &Scenario, healed: Instant, requests: u32) -> Duration {
    let settles = scenario.settles_within(requests);
    // A node that takes round trips to be shorter than they are repeats itself, and elects, more often than it helps.
    let unit = scenario.link.round_trip_max();
    let is_hasty = scenario.round_trip.is_some_and(|taken| taken < unit);
    let settles = if is_hasty { settles * 3 } else { settles };
    healed.since(Instant::ZERO).saturating_add(settles)
}

/// Draws one thing after the other.
#[derive(Debug)]
struct Draw(XorShiftRng);

impl Draw {
    /// Draws the links of a trial, with delays from 1 to 51 milliseconds.
    fn link(&mut self) -> Link {
        let delay = Duration::from_micros(1_000 + u64::from(self.below(50_000)));
        // Below the delay, as a scenario demands: a message arrives after it was sent.
        let jitter = self.span(delay);
        Link {
            delay,
            jitter,
            // All loss is that of the weather, which ends.
            loss_ppm: 0,
        }
    }

    /// Draws how many clients there are.
    fn clients(&mut self, is_tight: bool, contended: u32) -> u32 {
        1 + match (is_tight, contended) {
            (false, _) => self.below(CLIENTS),
            // Whoever loses its session cannot know whether it was heard: then no answer can be foretold.
            (true, 0) => self.below(TIGHT_CLIENTS),
            (true, _) => self.below(TIGHT_CLIENTS + 2),
        }
    }

    /// Draws how long clients think, where a request has a share of the time with trouble, and what the nodes take for a
    /// round trip.
    fn timings(&mut self, scenario: &mut Scenario, share: Duration) {
        let unit = scenario.link.round_trip_max();
        // The work lasts as long as the trouble; now and then it is over sooner, and trouble meets an idle cluster.
        // None, a third, two thirds or all of its share: with all of it, requests are spread over the whole of the trouble.
        scenario.think = share.saturating_sub(unit) * u64::from(self.below(4)) / 3;
        scenario.round_trip = self.chance(1, 4).then(|| {
            // Nodes that are set for links three times as fast, or up to four times as slow.
            let tenths = *self.pick(&[3, 5, 20, 40]).unwrap_or(&10);
            unit * tenths / 10
        });
    }

    /// Draws how long drivers gather output, whether an operator has made a second founder by mistake, and what drivers do
    /// while they make writes durable.
    fn drivers(&mut self, scenario: &mut Scenario) {
        let unit = scenario.link.round_trip_max();
        // A quarter of a round trip is short beside all timings of a node, so that gathering does not look like a fault.
        let gathers = self.chance(1, 3);
        let gather = self.between(unit / 64, unit / 4);
        scenario.gather = if gathers { gather } else { Duration::ZERO };
        let is_misled = self.chance(1, 8);
        scenario.second_founder = (is_misled && scenario.founders() > 1).then_some(NodeId(1));
        scenario.early = self.chance(1, 2);
    }

    /// Draws whether clients withdraw what is not answered soon, whether they ask nodes that have not joined, and whether they
    /// read without the log.
    fn manners(&mut self, scenario: &mut Scenario) {
        let unit = scenario.link.round_trip_max();
        // Longer than a request takes in a quiet cluster, as each one that is made again may fill a slot more; up to several
        // elections.
        let (withdraws, patience) = (self.chance(1, 4), self.between(unit * 5, unit * 40));
        scenario.patience = withdraws.then_some(patience);
        scenario.asks_joining = self.chance(1, 4);
        scenario.reads = self.chance(1, 2);
    }

    /// The number of founders. Mostly three, the smallest cluster that survives anything; an even number and two for their
    /// larger quorums; and one, which has nobody to ask.
    fn size(&mut self) -> u16 {
        *self
            .pick(&[3, 3, 3, 3, 3, 5, 5, 5, 4, 7, 7, 2, 1])
            .unwrap_or(&3)
    }

    /// A number below a bound; one draw, as for all that follow up to `pick`.
    fn below(&mut self, bound: u32) -> u32 {
        below(&mut self.0, bound)
    }

    /// True `of` times in `in_all`.
    fn chance(&mut self, of: u32, in_all: u32) -> bool {
        debug_assert!(of <= in_all, "more often than always");
        self.below(in_all) < of
    }

    /// A span below a limit, which counts as 71 minutes if it is longer.
    fn span(&mut self, limit: Duration) -> Duration {
        span_below(&mut self.0, limit)
    }

    /// A span from `least` up to but not including `most`.
    fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = least.saturating_add(self.span(most.saturating_sub(least)));
        debug_assert!(span >= least && span <= least.max(most), "out of bounds");
        span
    }

    /// One of several things; `None` where there are none.
    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let len = u32::try_from(from.len()).unwrap_or(u32::MAX);
        from.get(usize::try_from(self.below(len)).unwrap_or(0))
    }

    /// Every kind is as likely as not. The draw for each is made whether it is asked for or not, so that what one seed draws
    /// for a kind does not hang on which others are asked for.
    fn subset(&mut self, of: FaultSet, is_drawn: fn(FaultKind) -> bool) -> FaultSet {
        let mut subset = FaultSet::NONE;
        for kind in FaultKind::ALL.into_iter().filter(|kind| is_drawn(*kind)) {
            if self.chance(1, 2) && of.contains(kind) {
                subset = subset.with(kind);
            }
        }
        subset
    }

    /// A rate of something in a million: a hundredth of the most at least, so that what is on shows. It is drawn whether it is on
    /// or not.
    fn rate(&mut self, is_on: bool, most_ppm: u32) -> u32 {
        let rate = most_ppm / 100 + self.below(most_ppm);
        if is_on { rate.min(most_ppm) } else { 0 }
    }

    /// Any node of so many.
    fn node(&mut self, nodes: u16) -> NodeId {
        self.node_of(NodeSet::first(nodes))
    }

    /// Any node of a set.
    fn node_of(&mut self, nodes: NodeSet) -> NodeId {
        let index = self.below(nodes.len());
        nodes.nth(index).unwrap_or(NodeId(0))
    }

    /// The leader, as often as any node. The node is drawn in both cases.
    fn target(&mut self, nodes: u16) -> Target {
        let node = self.node(nodes);
        if self.chance(1, 2) {
            Target::Leader
        } else {
            Target::Node(node)
        }
    }

    /// Who may be down for good: not the founder, unless it leads already, as without it there might never be a cluster.
    fn mortal(&mut self, nodes: u16) -> Target {
        match self.target(nodes) {
            Target::Node(NodeId(0)) => Target::Leader,
            target => target,
        }
    }

    /// Some of the nodes, but not all: often one alone.
    fn side(&mut self, nodes: u16) -> NodeSet {
        let mut side = NodeSet::only(self.node(nodes));
        if self.chance(1, 2) {
            for node in NodeSet::first(nodes).iter() {
                if self.chance(1, 3) && side.len() + 1 < u32::from(nodes) {
                    side.insert(node);
                }
            }
        }
        debug_assert!(
            nodes < 2 || side.len() < u32::from(nodes),
            "there is nobody on the other side"
        );
        side
    }

    /// Some of the nodes, and one or all of the others. There are two nodes at least.
    fn two_sides(&mut self, nodes: u16) -> (NodeSet, NodeSet) {
        let from = self.side(nodes);
        let rest = NodeSet::first(nodes).minus(from);
        let to = if self.chance(1, 2) {
            NodeSet::only(self.node_of(rest))
        } else {
            rest
        };
        debug_assert!(
            !to.is_empty() && to.minus(from) == to,
            "the two sides have nodes, and none in common"
        );
        (from, to)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    const ALL: Swarm = Swarm {
        faults: FaultSet::ALL,
        nodes: None,
    };

    #[test]
    fn a_seed_draws_the_same_trial_again() {
        assert_eq!(ALL.draw(6), ALL.draw(6));
        assert_ne!(ALL.draw(6), ALL.draw(7));
    }

    #[test]
    fn every_kind_of_fault_is_drawn_now_and_then_and_none_that_was_not_asked_for() {
        let mut planned = FaultSet::NONE;
        for seed in 0..200 {
            for fault in &ALL.draw(seed).plan {
                planned = planned.with(fault.kind());
            }
        }
        let weather = [
            FaultKind::Loss,
            FaultKind::Duplicate,
            FaultKind::Spike,
            FaultKind::Reorder,
        ];
        for kind in FaultKind::ALL {
            assert_ne!(planned.contains(kind), weather.contains(&kind), "{kind}");
        }
        let only = Swarm {
            faults: FaultSet::NONE.with(FaultKind::Pause),
            ..ALL
        };
        let trial = only.draw(3);
        assert!(
            trial
                .plan
                .iter()
                .all(|fault| fault.kind() == FaultKind::Pause)
        );
        assert_eq!((trial.weather.loss_ppm, trial.weather.spike_ppm), (0, 0));
    }

    #[test]
    fn a_majority_is_left_and_everything_else_ends() {
        for seed in 0..500 {
            let trial = ALL.draw(seed);
            let mut for_good = trial.plan.iter().filter(|fault| fault.lasts.is_none());
            assert!(
                for_good
                    .all(|fault| { matches!(fault.kind(), FaultKind::Crash | FaultKind::Change) })
            );
            let down = trial.plan.iter().filter(|fault| fault.takes_a_vote());
            assert!(down.count() * 2 < usize::from(trial.scenario.nodes));
            let ends = |fault: &Planned| fault.at + fault.lasts.unwrap_or(Duration::ZERO);
            assert!(
                trial
                    .plan
                    .iter()
                    .all(|fault| ends(fault) <= trial.weather.until)
            );
        }
    }

    #[test]
    fn what_is_drawn_can_be_run() {
        for seed in 0..500 {
            let trial = ALL.draw(seed);
            assert_eq!(trial.scenario.validate(7, 12), Ok(()));
            for fault in &trial.plan {
                assert_eq!(fault.validate(trial.scenario.nodes), Ok(()));
            }
        }
    }
}
