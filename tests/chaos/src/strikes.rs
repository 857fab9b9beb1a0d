//! The strikes of a plan, carried out.

mod change;

use crate::clock::Clock;
use crate::connection::status;
use crate::nodes::Cluster;
use crate::plan::{Cut, Plan, Planned, Strike, Way, Whom};
use crate::proxy::{Effect, Link, lock};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use rustix::process::Signal;
use serde::Serialize;
use std::sync::Mutex;
use std::thread;

/// How long a node may take to end after SIGTERM. It may be paused meanwhile.
const ENDS_WITHIN: Duration = Duration::from_secs(20);
/// How long after a frozen node its links are back.
const BACK_LATER: Duration = Duration::from_millis(300);
/// How long a rolling restart waits for a node to be back.
const BACK_WITHIN: Duration = Duration::from_secs(10);

/// A strike that was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Struck {
    /// Its kind.
    pub kind: &'static str,
    /// The nodes that it concerned.
    pub nodes: Vec<u16>,
    /// When it began, in microseconds.
    pub begun: u64,
    /// When it had ended, and what it had stopped was started.
    pub ended: u64,
}

/// Whoever strikes a cluster.
#[derive(Debug)]
pub struct Striker<'a> {
    cluster: &'a Cluster,
    clock: Clock,
    stop: &'a AtomicBool,
    /// The last known epoch of the members. Changes are made one at a time.
    epoch: Mutex<u64>,
    struck: Mutex<Vec<Struck>>,
    alarms: Mutex<Vec<String>>,
}

impl<'a> Striker<'a> {
    /// Creates whoever strikes a cluster until `stop` is set.
    pub fn new(cluster: &'a Cluster, clock: Clock, stop: &'a AtomicBool) -> Self {
        Self {
            cluster,
            clock,
            stop,
            epoch: Mutex::new(change::epoch(cluster, clock)),
            struck: Mutex::default(),
            alarms: Mutex::default(),
        }
    }

    /// Carries out a plan. When `stop` is set, every strike is ended, and changes of the members are completed.
    pub fn run(&self, plan: &Plan) {
        thread::scope(|scope| {
            for (number, Planned { at_ms, strike }) in (0..).zip(&plan.strikes) {
                if !self
                    .clock
                    .sleep_until(Duration::from_millis(*at_ms), self.stop)
                {
                    return;
                }
                scope.spawn(move || {
                    let mut begun = self.clock.micros();
                    let nodes = self.strike(number, strike, &mut begun);
                    if !nodes.is_empty() {
                        lock(&self.struck).push(Struck {
                            kind: strike.kind(),
                            nodes,
                            begun,
                            ended: self.clock.micros(),
                        });
                    }
                });
            }
        });
    }

    /// Returns what has struck, and what is wrong.
    pub fn finish(self) -> (Vec<Struck>, Vec<String>) {
        let inner = |mutex: Mutex<Vec<_>>| core::mem::take(&mut *lock(&mutex));
        let mut struck = inner(self.struck);
        struck.sort_by_key(|one: &Struck| one.begun);
        let alarms = core::mem::take(&mut *lock(&self.alarms));
        (struck, alarms)
    }

    fn alarm(&self, text: String) {
        lock(&self.alarms).push(text);
    }

    /// Carries out a strike. Returns the nodes that it struck, none if it could not. A kill begins when it is known whom to
    /// kill.
    fn strike(&self, number: u64, strike: &Strike, begun: &mut u64) -> Vec<u16> {
        match *strike {
            Strike::Kill { whom, down_ms } => {
                let nodes = self.resolve(whom);
                *begun = self.clock.micros();
                self.kill(nodes, Duration::from_millis(down_ms))
            }
            Strike::Pause { whom, for_ms } => self.pause(whom, Duration::from_millis(for_ms)),
            Strike::Freeze { whom, for_ms } => {
                self.freeze(number, whom, Duration::from_millis(for_ms))
            }
            Strike::Isolate {
                whom,
                way,
                cut,
                for_ms,
            } => {
                let nodes = self.resolve(whom);
                let links = self.links_of(&nodes, way);
                self.links(number, links, cut_effect(cut), for_ms, nodes)
            }
            Strike::Partition { sides, cut, for_ms } => {
                let (nodes, links) = self.partition(sides);
                self.links(number, links, cut_effect(cut), for_ms, nodes)
            }
            Strike::Delay {
                whom,
                delay_ms,
                for_ms,
            } => {
                let effect = Effect {
                    delay: Duration::from_millis(delay_ms),
                    ..Effect::default()
                };
                self.slow(number, whom, effect, for_ms)
            }
            Strike::Throttle {
                whom,
                bytes_per_second,
                for_ms,
            } => {
                let effect = Effect {
                    bytes_per_second,
                    ..Effect::default()
                };
                self.slow(number, whom, effect, for_ms)
            }
            Strike::Tear {
                whom,
                once_in,
                for_ms,
            } => {
                let effect = Effect {
                    torn_once_in: once_in,
                    ..Effect::default()
                };
                self.slow(number, whom, effect, for_ms)
            }
            Strike::Rolling => self.rolling(),
            Strike::Add => self.add(),
            Strike::Remove(place) => self.remove(place),
            Strike::Replace(place) => self.replace(place),
        }
    }

    /// Returns the nodes of one side, and the links between both sides; no nodes if a side has no member.
    fn partition(&self, sides: u64) -> (Vec<u16>, Vec<Link>) {
        let all = self.cluster.all();
        let (one, other): (Vec<u16>, Vec<u16>) =
            all.partition(|node| sides >> (node % 64) & 1 == 0);
        let there = self.cluster.links_between(&one, &other);
        let back = self.cluster.links_between(&other, &one);
        let members = self.cluster.members();
        let has_member = |side: &[u16]| side.iter().any(|node| members.contains(node));
        let is_real = has_member(&one) && has_member(&other);
        (
            if is_real { one } else { Vec::new() },
            [there, back].concat(),
        )
    }

    /// Returns the nodes that are meant.
    fn resolve(&self, whom: Whom) -> Vec<u16> {
        let members = self.cluster.members();
        let around = |place: u64, count: usize| {
            let start = usize::try_from(place).unwrap_or(0) % members.len().max(1);
            let rotated = members.iter().cycle().skip(start).copied();
            rotated.take(count).collect()
        };
        match whom {
            Whom::One(place) => around(place, 1),
            Whom::Majority(place) => around(place, members.len() / 2 + 1),
            Whom::All => members,
            Whom::Leader => members
                .iter()
                .filter_map(|node| status(self.cluster.clients(*node), self.clock))
                .find_map(|status| status.get("leader")?.strip_prefix("NODE_")?.parse().ok())
                .into_iter()
                .collect(),
        }
    }

    fn kill(&self, mut nodes: Vec<u16>, down: Duration) -> Vec<u16> {
        nodes.retain(|node| self.cluster.kill(*node));
        self.clock.sleep(down, self.stop);
        for node in &nodes {
            self.start(*node);
        }
        nodes
    }

    fn start(&self, node: u16) {
        if let Err(error) = self.cluster.start(node) {
            self.alarm(format!("NODE_{node} cannot be started: {error}"));
        }
    }

    fn pause(&self, whom: Whom, time: Duration) -> Vec<u16> {
        let mut nodes = self.resolve(whom);
        nodes.retain(|node| self.cluster.signal(*node, Signal::STOP));
        self.clock.sleep(time, self.stop);
        for node in &nodes {
            self.cluster.signal(*node, Signal::CONT);
        }
        nodes
    }

    fn freeze(&self, number: u64, whom: Whom, time: Duration) -> Vec<u16> {
        let nodes = self.resolve(whom);
        let links = self.links_of(&nodes, Way::Both);
        let cut = cut_effect(Cut::Refused);
        self.cluster.links.strike(number, links, cut);
        for node in &nodes {
            self.cluster.signal(*node, Signal::STOP);
        }
        self.clock.sleep(time, self.stop);
        for node in &nodes {
            self.cluster.signal(*node, Signal::CONT);
        }
        self.clock.sleep(BACK_LATER, self.stop);
        self.cluster.links.heal(number);
        nodes
    }

    /// Returns the links of nodes.
    fn links_of(&self, nodes: &[u16], way: Way) -> Vec<Link> {
        let all: Vec<_> = self.cluster.all().collect();
        let to = self.cluster.links_between(&all, nodes);
        let from = self.cluster.links_between(nodes, &all);
        match way {
            Way::To => to,
            Way::From => from,
            Way::Both => [to, from].concat(),
        }
    }

    /// Strikes all links of nodes.
    fn slow(&self, number: u64, whom: Whom, effect: Effect, for_ms: u64) -> Vec<u16> {
        let nodes = self.resolve(whom);
        let links = self.links_of(&nodes, Way::Both);
        self.links(number, links, effect, for_ms, nodes)
    }

    /// Strikes links, because of these nodes.
    fn links(
        &self,
        number: u64,
        links: Vec<Link>,
        effect: Effect,
        for_ms: u64,
        nodes: Vec<u16>,
    ) -> Vec<u16> {
        if !nodes.is_empty() {
            self.cluster.links.strike(number, links, effect);
            self.clock.sleep(Duration::from_millis(for_ms), self.stop);
            self.cluster.links.heal(number);
        }
        nodes
    }

    fn rolling(&self) -> Vec<u16> {
        let mut restarted = Vec::new();
        for node in self.cluster.members() {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            if !self.cluster.terminate(node, ENDS_WITHIN) {
                self.alarm(format!(
                    "NODE_{node} has not ended {ENDS_WITHIN:?} after SIGTERM"
                ));
            }
            self.start(node);
            restarted.push(node);
            let until = self.clock.elapsed() + BACK_WITHIN;
            let is_back = || {
                let status = status(self.cluster.clients(node), self.clock);
                status
                    .is_some_and(|status| status.get("leader").is_some_and(|one| one != "unknown"))
            };
            while !is_back() && self.clock.elapsed() < until {
                if !self.clock.sleep(Duration::from_millis(50), self.stop) {
                    break;
                }
            }
        }
        restarted
    }
}

/// Returns the effect of a cut.
fn cut_effect(cut: Cut) -> Effect {
    Effect {
        refused: cut == Cut::Refused,
        withheld: cut == Cut::Withheld,
        ..Effect::default()
    }
}
