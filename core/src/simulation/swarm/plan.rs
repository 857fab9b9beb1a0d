//! The plan of a trial: the weather that lasts, the faults that strike once, and the changes of the members.

use super::{Changes, Draw, NODES_OF_TRIAL, push_change};
use crate::simulation::fault::{Fault, FaultKind, FaultSet, PLAN_MAX, Planned, Weather};
use crate::simulation::scenario::Target;
use crate::{Duration, Instant, NodeId, NodeSet};
use heapless::Vec;

impl Draw {
    /// Draws whether the members change, and how many nodes there are besides the founders.
    pub(super) fn changes(&mut self, faults: FaultSet, founders: u16) -> Changes {
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
    pub(super) fn operate(
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

    /// The weather of a trial. The fields are drawn in this order; a storm has five round trips at least, and may go on without
    /// calm.
    pub(super) fn weather(&mut self, faults: FaultSet, unit: Duration, until: Instant) -> Weather {
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
    pub(super) fn plan(
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
    pub(super) fn siege(
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
    pub(super) fn deposition(
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
    pub(super) fn founding(
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
    pub(super) fn fault(
        &mut self,
        kind: FaultKind,
        nodes: u16,
        unit: Duration,
    ) -> Option<(Fault, u64)> {
        let fault = match kind {
            // The numbers are the round trips that a fault lasts at most: up to six election timeouts for what cuts nodes off,
            // and more for what only makes them slow or wrong about the time, or waits for its moment.
            FaultKind::Partition if nodes > 1 => (Fault::Partition(self.side(nodes)), 30),
            FaultKind::OneWay if nodes > 1 => {
                let (from, to) = self.two_sides(nodes);
                (Fault::OneWay { from, to }, 30)
            }
            FaultKind::Partial if nodes > 2 => {
                let (one, other) = self.two_sides_of_a_bridge(nodes);
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

    /// Returns two sides of a cluster, and leaves out one node, which hears both.
    fn two_sides_of_a_bridge(&mut self, nodes: u16) -> (NodeSet, NodeSet) {
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
        (one, other)
    }
}
