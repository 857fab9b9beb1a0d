//! The swarm, which draws a whole trial with its faults from a seed.
//!
//! Each seed first draws which kinds of fault there are, each as likely as not, and then how strong each is: runs that have
//! everything at once are stuck most of the time, and find less. Source: Groce, Zhang, Eide, Chen and Regehr, *Swarm
//! Testing* (2012).

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

    /// Draws whether clients withdraw what is not answered soon, and whether they ask nodes that have not joined.
    fn manners(&mut self, scenario: &mut Scenario) {
        let unit = scenario.link.round_trip_max();
        // Longer than a request takes in a quiet cluster, as each one that is made again may fill a slot more; up to several
        // elections.
        let (withdraws, patience) = (self.chance(1, 4), self.between(unit * 5, unit * 40));
        scenario.patience = withdraws.then_some(patience);
        scenario.asks_joining = self.chance(1, 4);
    }

    /// Draws whether the members change, and how many nodes there are besides the founders.
    fn changes(&mut self, faults: FaultSet, founders: u16) -> Changes {
        // Everything is drawn whether it is on or not.
        let (is_on, newcomers) = (self.chance(1, 4), self.below(4));
        let is_on = is_on && faults.contains(FaultKind::Change);
        let room = NODES_OF_TRIAL.saturating_sub(founders);
        let newcomers = u16::try_from(newcomers).unwrap_or(0).min(room);
        Changes {
            is_on,
            founders,
            newcomers: if is_on { newcomers } else { 0 },
        }
    }

    /// Plans up to four changes of the members: the cluster grows, shrinks, replaces a member, or all of them at once. In
    /// some trials the disk of a member is lost first, and another node takes its place.
    fn operate(
        &mut self,
        changes: Changes,
        unit: Duration,
        until: Instant,
        plan: &mut Vec<Planned, PLAN_MAX>,
    ) {
        if !changes.is_on {
            return;
        }
        let founders = NodeSet::first(changes.founders);
        let all = NodeSet::first(changes.founders + changes.newcomers);
        let newcomers = all.minus(founders);
        let span = until.since(Instant::ZERO);
        let mut at = Instant::ZERO + self.span(span / 2);
        let mut members = founders;
        // Without the founder there might never be a cluster; and where a member is lost, a majority of the others must be
        // left until it is replaced.
        let loses = self.chance(1, 3) && changes.founders > 2 && !newcomers.is_empty();
        if loses {
            let lost = self.node_of(founders.without(NodeId(0)));
            let new = self.node_of(newcomers);
            let lasts = Some(self.between(unit / 4, unit * 30).min(until.since(at)));
            let fault = Fault::Rot(Target::Node(lost));
            let _ = plan.push(Planned { at, lasts, fault });
            at = at + self.span(unit * 40);
            members = members.without(lost).union(NodeSet::only(new));
            let (add, remove) = (NodeSet::only(new), NodeSet::only(lost));
            push_change(plan, at.min(until), add, remove);
        }
        for _ in 0..=self.below(3) {
            at = at + self.span(span / 4);
            let (old, unused) = (self.node_of(members), newcomers.minus(members));
            let (new, kind) = (self.node_of(unused), self.below(4));
            let add = if unused.is_empty() {
                NodeSet::EMPTY
            } else {
                NodeSet::only(new)
            };
            let (add, remove) = match kind {
                0 if !add.is_empty() => (add, NodeSet::EMPTY),
                // The order of two changes is not certain, so nobody is removed for nothing while a lost member counts.
                1 if !loses && members.len() > 1 => (NodeSet::EMPTY, NodeSet::only(old)),
                2 if !unused.is_empty() && !loses => (unused, members),
                _ if !add.is_empty() => (add, NodeSet::only(old)),
                // Nothing is left to change.
                _ => continue,
            };
            members = members.union(add).minus(remove);
            push_change(plan, at.min(until), add, remove);
        }
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

    /// The weather of a trial. The fields are drawn in this order; a storm has five round trips at least, and may go on without
    /// calm.
    fn weather(&mut self, faults: FaultSet, unit: Duration, until: Instant) -> Weather {
        Weather {
            loss_ppm: self.rate(faults.contains(FaultKind::Loss), 400_000),
            duplicate_ppm: self.rate(faults.contains(FaultKind::Duplicate), 500_000),
            spike_ppm: self.rate(faults.contains(FaultKind::Spike), 50_000),
            spike: self.between(unit * 2, unit * 30),
            reorder_ppm: self.rate(faults.contains(FaultKind::Reorder), 300_000),
            reorder: self.between(unit / 2, unit * 4),
            storm: self.between(unit * 5, unit * 60),
            calm: self.between(Duration::ZERO, unit * 40),
            until,
        }
    }

    /// Plans up to four faults of each kind that was drawn, in the order of the kinds.
    ///
    /// `spare` counts the nodes that may still lose their vote for good; when it is used up, no more such faults are planned.
    fn plan(
        &mut self,
        faults: FaultSet,
        unit: Duration,
        until: Instant,
        nodes: u16,
        spare: &mut u32,
        plan: &mut Vec<Planned, PLAN_MAX>,
    ) {
        for kind in FaultKind::ALL {
            if !faults.contains(kind) {
                continue;
            }
            let times = 1 + self.below(4);
            for _ in 0..times {
                let takes_a_vote = matches!(kind, FaultKind::Crash | FaultKind::Rot);
                // Nothing more is drawn for the kind then, so what was planned before decides what the rest of the draws are.
                if takes_a_vote && *spare == 0 {
                    break;
                }
                let Some((fault, most)) = self.fault(kind, nodes, unit) else {
                    break;
                };
                let left = until.since(Instant::ZERO);
                let at = Instant::ZERO + self.span(left);
                // Cut off, so that every fault is over when the storms are.
                let lasts = self.between(unit / 4, unit * most).min(until.since(at));
                // A node whose disk rots starts again, as one that may not vote.
                let for_good = kind == FaultKind::Crash;
                debug_assert!(*spare > 0 || !takes_a_vote, "a majority would be gone");
                *spare -= u32::from(takes_a_vote);
                let planned = Planned {
                    at,
                    lasts: (!for_good).then_some(lasts),
                    fault,
                };
                if plan.push(planned).is_err() {
                    return;
                }
            }
        }
    }

    /// Now and then the same node loses power again and again in the middle of what its disk does.
    fn siege(
        &mut self,
        faults: FaultSet,
        unit: Duration,
        until: Instant,
        nodes: u16,
        plan: &mut Vec<Planned, PLAN_MAX>,
    ) {
        // Everything is drawn whether the siege is on or not.
        let (is_on, node) = (self.chance(1, 2), self.node(nodes));
        let mut at = Instant::ZERO + self.span(until.since(Instant::ZERO));
        // Three to six times, each soon after the node can be up again.
        for _ in 0..3 + self.below(4) {
            let lasts = self.between(unit * 2, unit * 40);
            let fault = Fault::Torn(Target::Node(node));
            if is_on && faults.contains(FaultKind::Torn) && at < until {
                let lasts = Some(lasts.min(until.since(at)));
                let _ = plan.push(Planned { at, lasts, fault });
            }
            at = at + self.between(unit, unit * 20);
        }
    }

    /// Now and then one node after the other is alone for about as long as it takes the others to elect and decide: whoever
    /// led has votes then that lost to what was decided.
    fn deposition(
        &mut self,
        faults: FaultSet,
        unit: Duration,
        until: Instant,
        nodes: u16,
        plan: &mut Vec<Planned, PLAN_MAX>,
    ) {
        // Of two nodes neither can go on without the other.
        let is_on = self.chance(1, 2) && nodes > 2 && faults.contains(FaultKind::Partition);
        for _ in 0..2 + self.below(3) {
            let at = Instant::ZERO + self.span(until.since(Instant::ZERO));
            let lasts = self.between(unit * 8, unit * 20).min(until.since(at));
            let fault = Fault::Partition(NodeSet::only(self.node(nodes)));
            if is_on {
                let lasts = Some(lasts);
                let _ = plan.push(Planned { at, lasts, fault });
            }
        }
    }

    /// Now and then trouble begins with the founding: the founder or somebody else loses power then, or somebody's disk is
    /// rotten by the time that a cluster is founded, so that a node that only learns is among the first.
    fn founding(
        &mut self,
        faults: FaultSet,
        unit: Duration,
        nodes: u16,
        spare: &mut u32,
        plan: &mut Vec<Planned, PLAN_MAX>,
    ) {
        let is_on = self.chance(1, 3);
        for _ in 0..=self.below(3) {
            // A cluster is founded within a few round trips.
            let at = Instant::ZERO + self.span(unit * 6);
            let lasts = Some(self.between(unit / 4, unit * 15));
            let (node, is_founder) = (self.node(nodes), self.chance(1, 2));
            let target = Target::Node(if is_founder { NodeId(0) } else { node });
            let fault = match self.below(3) {
                0 => Fault::Torn(target),
                // Without its founder there would never be a cluster.
                1 if node != NodeId(0) => Fault::Rot(Target::Node(node)),
                _ => Fault::Crash(target),
            };
            let planned = Planned { at, lasts, fault };
            let takes_a_vote = planned.takes_a_vote();
            if !is_on || !faults.contains(planned.kind()) || takes_a_vote && *spare == 0 {
                continue;
            }
            *spare -= u32::from(takes_a_vote);
            let _ = plan.push(planned);
        }
    }

    /// A fault of a kind, and how many round trips it lasts at most; `None` where so few nodes cannot have it, or where the
    /// kind is one of the weather's.
    fn fault(&mut self, kind: FaultKind, nodes: u16, unit: Duration) -> Option<(Fault, u64)> {
        let fault = match kind {
            // The numbers are the round trips that a fault lasts at most: up to six election timeouts for what cuts nodes off,
            // and more for what only makes them slow or wrong about the time, or waits for its moment.
            FaultKind::Partition if nodes > 1 => (Fault::Partition(self.side(nodes)), 30),
            FaultKind::OneWay if nodes > 1 => {
                let (from, to) = self.two_sides(nodes);
                (Fault::OneWay { from, to }, 30)
            }
            FaultKind::Partial if nodes > 2 => {
                // One node hears both sides.
                let bridge = self.node(nodes);
                let others = NodeSet::first(nodes).without(bridge);
                let one = self.node_of(others);
                let mut one = NodeSet::only(one);
                for node in others.iter() {
                    if self.chance(1, 3) && one.len() + 1 < others.len() {
                        one.insert(node);
                    }
                }
                let other = others.minus(one);
                debug_assert!(
                    !one.is_empty() && !other.is_empty() && !one.union(other).contains(bridge),
                    "two sides, and a node between them"
                );
                (Fault::Partial { one, other }, 30)
            }
            FaultKind::Clog if nodes > 1 => {
                let (from, to) = self.two_sides(nodes);
                (Fault::Clog { from, to }, 20)
            }
            // For good, so that its span is drawn and not used.
            FaultKind::Crash => (Fault::Crash(self.mortal(nodes)), 1),
            FaultKind::Restart => (Fault::Crash(self.target(nodes)), 30),
            FaultKind::Pause => (Fault::Pause(self.target(nodes)), 30),
            // From a fifth too slow to a fifth too fast. Timeouts are several heartbeats long, so such nodes still hear each other
            // in time.
            FaultKind::Skew => {
                let target = self.target(nodes);
                let ppm = i32::try_from(self.below(400_000)).unwrap_or(0);
                // A clock that is right is no fault.
                let rate_ppm = if ppm == 200_000 { 1 } else { ppm - 200_000 };
                (Fault::Skew { target, rate_ppm }, 60)
            }
            FaultKind::Jump => {
                let target = self.target(nodes);
                // By up to four election timeouts, either way, and never by nothing. It is over at once, and its span not used.
                let by = i64::try_from(self.span(unit * 20).as_micros()).unwrap_or(0);
                let by = by.max(1);
                let by_micros = if self.chance(1, 2) { -by } else { by };
                (Fault::Jump { target, by_micros }, 1)
            }
            FaultKind::Torn => (Fault::Torn(self.target(nodes)), 90),
            FaultKind::SlowDisk => {
                let target = self.target(nodes);
                // Up to two round trips: an answer is late by then, and a leader is not missed yet.
                let sync = self.between(unit / 16, unit * 2);
                (Fault::SlowDisk { target, sync }, 60)
            }
            FaultKind::FailedWrite => (Fault::FailedWrite(self.target(nodes)), 30),
            FaultKind::FullDisk => (Fault::FullDisk(self.target(nodes)), 30),
            FaultKind::Rot => (Fault::Rot(self.mortal(nodes)), 30),
            _ => return None,
        };
        Some(fault)
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
