//! Injecting faults into nodes: kills, and the faults of a plan.
//!
//! A plan names faults and times, and sometimes the leader instead of a node. Whom a fault strikes is decided when it
//! begins; whatever it does then is undone by an event of its own, unless it lasts for good. A run is not over before
//! its plan is, since a fault that is still to come may break what looks done.

use super::capacities::EventQueue;
use super::client::Progress;
use super::clock::Clock;
use super::event_loop::Simulation;
use super::fault::{Fault, Planned};
use super::nemesis::Nemesis;
use super::node_storage::{NodeStart, Stores};
use super::observer::Observer;
use super::plan::NodeFaults;
use super::scenario::Target;
use super::scheduler::SimEvent;
use super::setting::Setting;
use crate::{Ballot, Duration, Event, Instant, NodeId, Record, Role, Tracer};

/// The delay after which a fault on the leader is retried while no node leads. It is short beside an election, which
/// takes several round trips, so that a new leader does not get far, and long enough that looking costs few events.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

impl<S: Setting<W, C, P>, const W: usize, const C: usize, const P: usize> Simulation<S, W, C, P> {
    /// Kills a node for good. Its clients move to other nodes after a while. A kill of a node that is down has no effect.
    pub(super) fn kill(&mut self, index: u16, tracer: &mut impl Tracer<S::Machine, P>) {
        let Some(kill) = self.kills.get(usize::from(index)) else {
            return;
        };
        match self.resolve_target(kill.target) {
            Some(node) => self.cut_power(node, tracer),
            // Nobody leads now: looks again soon.
            None => self.reschedule(LOOK_AGAIN, SimEvent::Kill(index)),
        }
    }

    /// The node that a target stands for; `None` if that is the leader and no node leads.
    /// Of several that lead, the one with the highest ballot: the others are deposed, and have not heard of it yet.
    fn resolve_target(&self, target: Target) -> Option<NodeId> {
        match target {
            Target::Node(node) => Some(node),
            Target::Leader => {
                let mut highest = Ballot::NULL;
                for member in self.members.iter().filter(|member| member.live) {
                    highest = highest.max(member.node.leading().unwrap_or(Ballot::NULL));
                }
                let leader = (highest != Ballot::NULL).then(|| highest.leader());
                debug_assert!(
                    leader.is_none_or(|leader| {
                        let member = self.members.get(usize::from(leader.0));
                        member.is_some_and(|member| member.live)
                    }),
                    "a node leads under a ballot that is not its own"
                );
                leader
            }
        }
    }

    /// Schedules an event that has just been popped once more.
    fn reschedule(&mut self, after: Duration, event: SimEvent<S::Machine, P>) {
        // There is room: one event has just been taken out, and messages leave some for the faults of a plan.
        let _ = self.scheduler.push(self.now + after, event);
    }

    /// Cuts the power of a node. What it has sent still arrives; what it has not made durable is lost, and what rests
    /// on that never leaves (rule D1).
    pub(super) fn cut_power(&mut self, node: NodeId, tracer: &mut impl Tracer<S::Machine, P>) {
        let Some((member, at, _)) = self.live_member(node) else {
            return;
        };
        // First, so that nothing below finds the node up.
        member.live = false;
        let (role, event) = (Role::Node, Event::Killed);
        tracer.record(&Record {
            at,
            node,
            role,
            event,
        });
        if Self::DEFERRED {
            // A wake or a sync that is still scheduled finds the node down, or another time than its own, and is stale.
            self.stores.crash(node);
            if let Some(pending) = self.pending_of_mut(node) {
                pending.discard();
            }
        }
        // Its clients notice after a while, and go to the next node that is up. One that has a turn by then asks twice, which
        // a node takes for a retry (rule X1).
        for (index, client) in (0..).zip(self.clients.iter()) {
            if client.node == node && client.progress != Progress::Done {
                let _ = self
                    .scheduler
                    .push(at + self.retry, SimEvent::Client(index));
            }
        }
    }

    /// Adds a fault to the plan of a run under way, which is not over before the fault is. It begins at its time, or at once
    /// if that is past. Returns false where nothing is ever planned, or there is no room.
    pub fn plan_fault(&mut self, planned: Planned) -> bool {
        let nodes = u16::try_from(self.members.len()).unwrap_or(u16::MAX);
        if planned.validate(nodes).is_err() {
            return false;
        }
        let added = self.nemesis.plan_mut().and_then(|plan| plan.add(planned));
        let Some(index) = added else {
            return false;
        };
        let at = planned.at.max(self.now);
        let is_scheduled = self.scheduler.push(at, SimEvent::BeginFault(index)).is_ok();
        if let Some(plan) = self.nemesis.plan_mut() {
            plan.open += u16::from(is_scheduled);
        }
        is_scheduled
    }

    /// The node under which a planned fault is traced: its target, or the first of a set.
    /// A record is always one of a node, and a fault between nodes has none that is more its own than the others.
    fn primary_node(fault: &Fault, struck: Option<NodeId>) -> NodeId {
        let first = fault.between().and_then(|(from, ..)| from.nth(0));
        struck.or(first).unwrap_or(NodeId(0))
    }

    /// Begins a planned fault. Whoever leads is found only here, so that a plan can strike leaders without knowing who
    /// they are.
    pub(super) fn begin_fault(&mut self, index: u16, tracer: &mut impl Tracer<S::Machine, P>) {
        let Some(planned) = self.nemesis.plan().and_then(|plan| plan.fault(index)) else {
            return;
        };
        let fault = planned.fault;
        let struck = match fault.target().map(|target| self.resolve_target(target)) {
            None => None,
            // It stays open: a run is not done before its fault has found a leader, or it is stalled.
            Some(None) => return self.reschedule(LOOK_AGAIN, SimEvent::BeginFault(index)),
            Some(Some(node)) if self.is_up(node) => Some(node),
            // What is down or stands still already is left alone: a second fault would end in the middle of the first.
            // The plan says that this one never began.
            Some(Some(_)) => {
                self.close_fault();
                return;
            }
        };
        let node = Self::primary_node(&fault, struck);
        let (at, role, event) = (self.now, Role::Network, Event::FaultBegan { planned });
        tracer.record(&Record {
            at,
            node,
            role,
            event,
        });
        // Where it lasts for good nothing ends it, and whatever is clogged never arrives.
        let until = planned
            .lasts
            .map_or(Instant::FAR_FUTURE, |lasts| at + lasts);
        if let Some(plan) = self.nemesis.plan_mut() {
            plan.begin(index, struck);
            plan.conditions.begin(index, &fault, until);
        }
        self.strike(&fault, node, until, tracer);
        if matches!(fault, Fault::Change { .. }) {
            return self.reschedule(Duration::ZERO, SimEvent::EndFault(index));
        }
        match planned.lasts {
            Some(lasts) if !matches!(fault, Fault::Jump { .. }) => {
                self.reschedule(lasts, SimEvent::EndFault(index));
            }
            // What lasts for good is over for the run when it has begun: waiting for its end would never be done.
            _ => self.close_fault(),
        }
    }

    /// Does to a node what a fault does when it begins.
    fn strike(
        &mut self,
        fault: &Fault,
        node: NodeId,
        until: Instant,
        tracer: &mut impl Tracer<S::Machine, P>,
    ) {
        match *fault {
            Fault::Crash(_) => self.cut_power(node, tracer),
            // In this order: a disk rots while nobody has it, and what is left of it is decided by then.
            Fault::Rot(_) => {
                self.cut_power(node, tracer);
                self.stores.inject_fault(node, fault, true);
            }
            Fault::Torn(_)
            | Fault::SlowDisk { .. }
            | Fault::FailedWrite(_)
            | Fault::FullDisk(_) => self.stores.inject_fault(node, fault, true),
            Fault::Pause(_) => {
                if let Some(faults) = self.node_faults(node) {
                    // Events for the node are postponed as they come: see `recipient_resumes_at`. So a pause needs no
                    // end of its own.
                    faults.paused = until;
                }
            }
            Fault::Skew { rate_ppm, .. } => {
                self.set_clock(node, |clock, now| clock.skew(now, rate_ppm));
            }
            Fault::Jump { by_micros, .. } => {
                self.set_clock(node, |clock, now| clock.jump(now, by_micros));
            }
            // The conditions of the network have them, and ask each message; and the operator asks for a change until it
            // has taken effect: see `end_fault`.
            Fault::Change { .. }
            | Fault::Partition(_)
            | Fault::OneWay { .. }
            | Fault::Partial { .. }
            | Fault::Clog { .. } => {}
        }
    }

    /// Ends a planned fault. The end of one that tore a write comes twice, soon after that and when it was planned, and
    /// only the first counts.
    pub(super) fn end_fault<T: Tracer<S::Machine, P>, O: Observer<S::Machine, W, C, P>>(
        &mut self,
        index: u16,
        tracer: &mut T,
        observer: &mut O,
    ) {
        let Some(planned) = self.nemesis.plan().and_then(|plan| plan.fault(index)) else {
            return;
        };
        let fault = planned.fault;
        if let Fault::Change { add, remove } = fault
            && !self.change_members(add, remove, tracer, observer)
        {
            return self.reschedule(self.retry * 2, SimEvent::EndFault(index));
        }
        let is_first = self.nemesis.plan_mut().is_some_and(|plan| plan.end(index));
        if !is_first {
            return;
        }
        self.close_fault();
        let mut struck = None;
        if let Some(plan) = self.nemesis.plan_mut() {
            plan.conditions.end(index);
            struck = plan.target(index);
        }
        let node = Self::primary_node(&fault, struck);
        let (at, role, event) = (self.now, Role::Network, Event::FaultEnded { planned });
        tracer.record(&Record {
            at,
            node,
            role,
            event,
        });
        match fault {
            Fault::Crash(_) | Fault::Rot(_) => self.restart(node, tracer, observer),
            Fault::Torn(_)
            | Fault::SlowDisk { .. }
            | Fault::FailedWrite(_)
            | Fault::FullDisk(_) => self.end_storage_fault(node, &fault, tracer, observer),
            Fault::Skew { .. } => self.set_clock(node, |clock, now| clock.skew(now, 0)),
            _ => {}
        }
    }

    /// Schedules the end of a fault that has torn a write, so that its node is up again soon.
    /// Its clients have moved to other nodes by then, as they do after one span of `retry`.
    pub(super) fn end_torn(&mut self, node: NodeId) {
        let after = self.retry * 2;
        let plan = self.nemesis.plan_mut();
        if let Some(index) = plan.and_then(|plan| plan.mark_torn(node)) {
            self.reschedule(after, SimEvent::EndFault(index));
        }
    }

    /// Counts a fault as over. Each is counted once: when it ends, when it has begun for good, or when it was left out.
    fn close_fault(&mut self) {
        if let Some(plan) = self.nemesis.plan_mut() {
            debug_assert!(plan.open > 0, "a fault is over twice");
            plan.open -= 1;
        }
    }

    /// `None` where the nemesis never plans anything, as then no node has faults.
    fn node_faults(&mut self, node: NodeId) -> Option<&mut NodeFaults> {
        self.nemesis.plan_mut()?.node_faults_mut(node)
    }

    /// Whether a fault can strike a node: it has power and does not stand still.
    fn is_up(&self, node: NodeId) -> bool {
        let member = self.members.get(usize::from(node.0));
        member.is_some_and(|member| member.live) && self.paused_until(node).is_none()
    }

    /// Until when a node is paused, if it is.
    fn paused_until(&self, node: NodeId) -> Option<Instant> {
        let until = self.nemesis.plan()?.node_faults(node).paused;
        (until > self.now).then_some(until)
    }

    /// Changes the clock of a node. The clock goes on while the node is down, as one with a battery does.
    fn set_clock(&mut self, node: NodeId, set: impl FnOnce(&mut Clock, Instant)) {
        let now = self.now;
        if let Some(faults) = self.node_faults(node) {
            set(&mut faults.clock, now);
        }
        if let Some((member, ..)) = self.live_member(node) {
            // The wake that is there was for the clock as it was.
            member.wake = Instant::FAR_FUTURE;
            self.schedule_wake(node);
        }
    }

    /// Restarts a node from its durable state, or as a new one where no other node relied on it yet.
    fn restart<T: Tracer<S::Machine, P>, O: Observer<S::Machine, W, C, P>>(
        &mut self,
        node: NodeId,
        tracer: &mut T,
        observer: &mut O,
    ) {
        let (now, local, run_seed) = (self.now, self.local_time(node), self.run_seed);
        let mut incarnation = 0;
        if let Some(faults) = self.node_faults(node) {
            // Another one for each start, even one that fails, so that the jitter of no two starts is drawn alike.
            faults.incarnation = faults.incarnation.saturating_add(1);
            // A node that is started runs, whatever kept it from that before.
            faults.paused = Instant::ZERO;
            faults.is_storage_down = false;
            incarnation = faults.incarnation;
        }
        let config = self.restart_config(node);
        let Some((config, member)) = config.zip(self.members.get_mut(usize::from(node.0))) else {
            return;
        };
        debug_assert!(!member.live, "a node is started that is up");
        let start = NodeStart {
            now: local,
            config,
            run_seed,
            incarnation,
        };
        let built = self.stores.start(start, Some(&member.node));
        // Before what the node gives: where storage has lost something, whatever follows from that is no news.
        self.violation = self.violation.or(self.stores.broken());
        let Ok(built) = built else {
            // A later end of a fault of its storage tries again.
            return self.mark_storage_down(node);
        };
        // A mutant is a property of the program, which is the same after a restart.
        let mistake = member.node.mistake();
        member.node = built;
        member.node.set_mistake(mistake);
        member.live = true;
        // The wake that is there, if any, was for the node as it was.
        member.wake = Instant::FAR_FUTURE;
        let (at, role, event) = (now, Role::Node, Event::Restarted);
        tracer.record(&Record {
            at,
            node,
            role,
            event,
        });
        // A violation of storage is nearer to the cause than what an observer makes of the node that comes of it.
        if let Err(violation) = observer.recovered(now, &member.node) {
            self.violation.get_or_insert(violation);
        }
        self.schedule_wake(node);
    }

    /// Ends a fault of a node's storage. A node that is down or fenced because of it is restarted.
    fn end_storage_fault<T: Tracer<S::Machine, P>, O: Observer<S::Machine, W, C, P>>(
        &mut self,
        node: NodeId,
        fault: &Fault,
        tracer: &mut T,
        observer: &mut O,
    ) {
        self.stores.inject_fault(node, fault, false);
        let is_storage_down = self
            .node_faults(node)
            .is_some_and(|faults| faults.is_storage_down);
        let member = self.members.get(usize::from(node.0));
        // Only these two faults fence. A node that never voted looks the same, and starts again as what it was.
        let is_fenced = matches!(fault, Fault::FailedWrite(_) | Fault::FullDisk(_))
            && member.is_some_and(|member| member.live && !member.node.is_voter());
        if is_fenced {
            self.cut_power(node, tracer);
        }
        if is_storage_down || is_fenced {
            self.restart(node, tracer, observer);
        }
    }

    /// Marks a node as down until a fault of its storage ends.
    pub(super) fn mark_storage_down(&mut self, node: NodeId) {
        if let Some(faults) = self.node_faults(node) {
            faults.is_storage_down = true;
        }
    }

    /// When the node that an event is for resumes, if it is paused.
    /// Kills and faults come from outside, and strike a node that stands still as well.
    pub(super) fn recipient_resumes_at(&self, event: &SimEvent<S::Machine, P>) -> Option<Instant> {
        if !Self::DEFERRED && self.nemesis.plan().is_none() {
            return None;
        }
        let node = match event {
            SimEvent::Deliver(envelope) => envelope.to,
            SimEvent::Wake(node) | SimEvent::Synced(node) => *node,
            SimEvent::Client(index) | SimEvent::Impatient(index) => {
                self.clients.get(usize::from(*index))?.node
            }
            SimEvent::Kill(_) | SimEvent::BeginFault(_) | SimEvent::EndFault(_) => return None,
        };
        let is_input = Self::DEFERRED && !matches!(event, SimEvent::Synced(_));
        let synced = || self.waits_for_sync_until(node).filter(|_| is_input);
        self.paused_until(node).or_else(synced)
    }

    /// Postpones an event until the node that it is for resumes.
    /// The times by which a node tells its present wake and sync from stale ones move with them; a stale one is
    /// postponed as it is, and stays stale.
    pub(super) fn postpone(&mut self, event: SimEvent<S::Machine, P>, until: Instant) {
        if let SimEvent::Wake(node) = &event
            && let Some(member) = self.members.get_mut(usize::from(node.0))
            && member.wake == self.now
        {
            member.wake = until;
        }
        if let SimEvent::Synced(node) = &event
            && let (node, now) = (*node, self.now)
            && let Some(pending) = self.pending_of_mut(node)
            && pending.until == now
        {
            pending.until = until;
        }
        // Of one that is due when a sync ends, it may be now: the end of the sync is queued, and comes first.
        debug_assert!(until >= self.now, "an event is postponed to the past");
        let pushed = self.scheduler.push(until, event);
        debug_assert!(pushed.is_ok(), "there is room: it has just been taken out");
    }
}
