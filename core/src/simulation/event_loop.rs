//! The event loop of a simulation: it pops the next event, runs the step of a node, and dispatches its output.
//!
//! There is one loop and one clock for the whole cluster. An event is handled to its end before the next one is taken:
//! the node takes its step, its output is written and sent, its clients are answered. So nothing is concurrent, and the
//! only order is that of the scheduler, which follows from the seed.

use super::capacities::{Capacity, Clients, EventQueue, Events, Ledger, Nodes, Room, RoomOutbox};
use super::client::{Client, Progress};
use super::nemesis::Nemesis;
use super::node_storage::{Durability, Stores};
use super::observer::{Handled, Observer};
use super::report::{Bound, Mark, Report, Verdict};
use super::scenario::{KILLS_MAX, Kill};
use super::scheduler::SimEvent;
use super::setting::Setting;
use super::violation::Violation;
use super::workload::Workload;
use crate::{
    AnyOutbox, Duration, Envelope, Instant, Node, NodeId, Record, Slot, StateMachine, Tracer, Way,
};
use heapless::Vec;

/// A node of the simulation.
#[derive(Clone, Debug)]
pub(super) struct Member<
    M: StateMachine,
    const WINDOW: usize,
    const CLIENTS: usize,
    const PAGE: usize,
> {
    pub(super) node: Node<M, WINDOW, CLIENTS, PAGE>,
    /// Whether it is up: not killed, and with power. One that is paused is up.
    pub(super) live: bool,
    /// When its current wake is due; a wake for any other time is stale.
    pub(super) wake: Instant,
}

/// The commands of a setting's machine.
pub(super) type Command<S, const W: usize, const C: usize, const P: usize> =
    <<S as Setting<W, C, P>>::Machine as StateMachine>::Command;
/// The outputs of a setting's machine.
pub(super) type Output<S, const W: usize, const C: usize, const P: usize> =
    <<S as Setting<W, C, P>>::Machine as StateMachine>::Output;
/// The durability of the storage in a setting.
type Durable<S, const W: usize, const C: usize, const P: usize> =
    <<S as Setting<W, C, P>>::Stores as Stores<
        <S as Setting<W, C, P>>::Machine, W, C, P>>::Durability;
/// The pending output of the nodes in a setting.
type Pending<S, const W: usize, const C: usize, const P: usize> =
    <Durable<S, W, C, P> as Durability>::Pending<
        <S as Setting<W, C, P>>::Room,
        <S as Setting<W, C, P>>::Machine,
        P,
    >;

/// A node that is up, with the time and the outbox that a step needs.
type Active<'a, S, const W: usize, const C: usize, const P: usize> = (
    &'a mut Member<<S as Setting<W, C, P>>::Machine, W, C, P>,
    Instant,
    &'a mut RoomOutbox<<S as Setting<W, C, P>>::Room, <S as Setting<W, C, P>>::Machine, P>,
);

/// Counters of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    // Each is explained at the field of that name in `Report`.
    pub(super) answered: u64,
    pub(super) right: u64,
    pub(super) deliveries: u64,
    pub(super) events: u64,
    pub(super) writes: u64,
    pub(super) grouped: u64,
    pub(super) gathered: u64,
    pub(super) withdrawn: u64,
    /// Answers that clients read in the state of a node.
    pub(super) read: u64,
    /// Times that a client could not read.
    pub(super) not_now: u64,
}

/// A simulated cluster, as a [`Setting`] says.
///
/// The capacities are those of its [`Node`]s; how many of these there can be, and of all else, is the
/// [room](Setting::Room) of the setting. Fixed as it is, it is a large value: on a host, run it in a thread with a stack to
/// match; on a target, place it in a `static`.
///
/// ```
/// use synod::machines::Kv;
/// use synod::simulation::{Calm, KvScript, Scenario, Simulation, Verdict};
///
/// let scenario = Scenario::of(6, 3);
/// let mut simulation =
///     Simulation::<Calm<Kv<16>, KvScript, 3, 256>, 16, 16, 2>::new(&scenario, KvScript::new(11))?;
/// assert_eq!(simulation.run(&mut ()), Verdict::Done);
/// assert_eq!(simulation.report().right, 121);
/// # Ok::<(), synod::simulation::ScenarioError>(())
/// ```
#[derive(Debug)]
pub struct Simulation<S: Setting<W, C, P>, const W: usize, const C: usize, const P: usize> {
    /// The time of the event that is being handled; only [`Simulation::step_observed`] moves it.
    pub(super) now: Instant,
    pub(super) scheduler: Events<S::Room, S::Machine, P>,
    pub(super) nemesis: S::Nemesis,
    /// Every node by its number, those included that were killed.
    pub(super) members: Nodes<S::Room, Member<S::Machine, W, C, P>>,
    pub(super) clients: Clients<S::Room, Client<Command<S, W, C, P>, Output<S, W, C, P>>>,
    /// `None` before the first start, as a workload need not have a default.
    pub(super) workload: Option<S::Workload>,
    /// The output of the present step, where it leaves with the step. Where it waits for a sync it is in `pending`
    /// instead.
    pub(super) outbox: RoomOutbox<S::Room, S::Machine, P>,
    pub(super) stores: S::Stores,
    /// Output of each node that waits for its writes to be durable.
    pub(super) pending: Pending<S, W, C, P>,
    pub(super) kills: Vec<Kill, KILLS_MAX>,
    /// For each slot, the digest of the prefix up to it as the first node had applied it.
    pub(super) ledger: Ledger<S::Room, u64>,
    /// Ends the run before the next event. The last one that is found in an event counts: see [`Simulation::dispatch`].
    pub(super) violation: Option<Violation>,
    /// How many clients are not done, so that the end of a run is noticed without asking each of them.
    pub(super) busy_clients: u16,
    pub(super) run_seed: u64,
    pub(super) think: Duration,
    /// How long a client waits before it withdraws its request.
    pub(super) patience: Option<Duration>,
    pub(super) asks_joining: bool,
    /// Whether clients read the state of their nodes.
    pub(super) reads: bool,
    /// How long a client waits before it asks again at a node that did not take its request: the longest round trip.
    pub(super) retry: Duration,
    /// How long output may gather after a first step before it is written; zero if every step is written at once.
    pub(super) gather: Duration,
    pub(super) time_max: Duration,
    pub(super) events_max: u64,
    pub(super) counts: Counts,
}

impl<S: Setting<W, C, P>, const W: usize, const C: usize, const P: usize> Simulation<S, W, C, P> {
    /// Whether the nemesis may have a plan.
    pub(super) const PLANS: bool = S::Nemesis::PLANS;
    /// Whether storage can lose anything or take time.
    pub(super) const DEFERRED: bool = <Durable<S, W, C, P>>::IS_DEFERRED;
    pub(super) const NODES: usize = <S::Room as Room>::Nodes::MAX;
    pub(super) const EVENTS: usize = <S::Room as Room>::Events::MAX;
    pub(super) const OUTBOX: usize = <S::Room as Room>::Outbox::MAX;

    /// Runs to the end: until done, until a rule is broken, or until a bound is reached.
    pub fn run(&mut self, tracer: &mut impl Tracer<S::Machine, P>) -> Verdict {
        self.run_observed(tracer, &mut ())
    }

    /// Runs to the end with an observer.
    pub fn run_observed(
        &mut self,
        tracer: &mut impl Tracer<S::Machine, P>,
        observer: &mut impl Observer<S::Machine, W, C, P>,
    ) -> Verdict {
        loop {
            if let Some(verdict) = self.step_observed(tracer, observer) {
                return verdict;
            }
        }
    }

    /// Handles the next event; returns the verdict once the run has ended.
    pub fn step(&mut self, tracer: &mut impl Tracer<S::Machine, P>) -> Option<Verdict> {
        self.step_observed(tracer, &mut ())
    }

    /// Handles the next event with an observer; returns the verdict once the run has ended.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub fn step_observed<T: Tracer<S::Machine, P>, O: Observer<S::Machine, W, C, P>>(
        &mut self,
        tracer: &mut T,
        observer: &mut O,
    ) -> Option<Verdict> {
        if let Some(verdict) = self.ended() {
            return Some(verdict);
        }
        let Some(next) = self.scheduler.pop() else {
            return Some(Verdict::Stalled(Bound::Idle));
        };
        // The event is taken out already, so a run that was stalled by time cannot be continued with more time. It is
        // over, and nobody asks for that.
        if next.at > Instant::ZERO + self.time_max {
            return Some(Verdict::Stalled(Bound::Time));
        }
        debug_assert!(next.at >= self.now, "time goes back");
        self.now = next.at;
        // An event that is postponed counts each time, so that a run of nothing else ends.
        self.counts.events += 1;
        if let Some(until) = self.recipient_resumes_at(&next.event) {
            let is_message = matches!(next.event, SimEvent::Deliver(_));
            self.postpone(next.event, until);
            if is_message {
                tracer.on_way(Way::PutOff {
                    copy: next.number,
                    next: self.scheduler.last(),
                });
            }
            return None;
        }
        match next.event {
            SimEvent::Deliver(envelope) => {
                tracer.on_way(Way::Arrives { copy: next.number });
                self.deliver(&envelope, tracer, observer);
            }
            SimEvent::Wake(node) => self.wake(node, tracer, observer),
            SimEvent::Client(index) => self.run_client(index, tracer, observer),
            SimEvent::Kill(index) => self.kill(index, tracer),
            SimEvent::Impatient(index) if Self::PLANS => self.withdraw(index, tracer, observer),
            SimEvent::BeginFault(index) if Self::PLANS => self.begin_fault(index, tracer),
            SimEvent::EndFault(index) if Self::PLANS => self.end_fault(index, tracer, observer),
            SimEvent::Synced(node) if Self::DEFERRED => self.synced(node, tracer, observer),
            // Never scheduled where nothing is planned or nothing takes time; the code for them is left out there.
            SimEvent::Impatient(_)
            | SimEvent::BeginFault(_)
            | SimEvent::EndFault(_)
            | SimEvent::Synced(_) => {}
        }
        debug_assert!(
            usize::from(self.busy_clients) <= self.clients.len(),
            "more clients are busy than there are"
        );
        debug_assert!(
            self.counts.deliveries <= self.counts.events,
            "an event delivers one message at most"
        );
        None
    }

    /// The verdict, if the run has ended.
    fn ended(&self) -> Option<Verdict> {
        if let Some(violation) = self.violation {
            return Some(Verdict::Violated(violation));
        }
        // A fault that is still to come may undo what looks like the end. `all_agree` comes last, as it costs most and
        // is mostly not asked.
        let waits = self.nemesis.plan().is_some_and(|plan| plan.open > 0);
        if self.busy_clients == 0 && !waits && self.all_agree() {
            debug_assert!(
                self.clients
                    .iter()
                    .all(|client| client.progress == Progress::Done),
                "a client is not done that was counted as done"
            );
            return Some(match self.diverged() {
                Some(node) => Verdict::Violated(Violation::Divergence { node }),
                None => Verdict::Done,
            });
        }
        // Last, so that a run which is done with its very last event is done.
        (self.counts.events >= self.events_max).then_some(Verdict::Stalled(Bound::Events))
    }

    /// Delivers a message.
    #[expect(
        clippy::inline_always,
        reason = "called in one place; a call of its own would cost more than it does"
    )]
    #[inline(always)]
    fn deliver<T: Tracer<S::Machine, P>, O: Observer<S::Machine, W, C, P>>(
        &mut self,
        envelope: &Envelope<S::Machine, P>,
        tracer: &mut T,
        observer: &mut O,
    ) {
        let to = envelope.to;
        let local = self.local_time(to);
        // A message to a node that is down is lost, as it would be on a network that does not store it.
        if let Some((member, now, outbox)) = self.live_member(to) {
            let (has_room, added) = (
                outbox.room() >= Node::<S::Machine, W, C, P>::OUTBOX_MIN,
                outbox.messages().len(),
            );
            if has_room {
                observer.arrives(&member.node, envelope);
            }
            if Self::PLANS {
                let mut tracer = Stamped {
                    at: now,
                    tracer: &mut *tracer,
                };
                member
                    .node
                    .handle_message(local, envelope, outbox, &mut tracer);
            } else {
                member.node.handle_message(local, envelope, outbox, tracer);
            }
            // A node without that room ignores what it is told (rule N4).
            let handled = if has_room {
                observer.handled(&Handled {
                    now: local,
                    node: &member.node,
                    envelope,
                    waiting: outbox.messages(),
                    added,
                })
            } else {
                Ok(())
            };
            self.counts.deliveries += 1;
            self.after_step(to, tracer, observer);
            // Closer to the cause than what is found in what the node says.
            if let Err(violation) = handled {
                self.violation = Some(violation);
            }
        }
    }

    /// The simulated time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The nemesis, and what it has recorded.
    pub fn nemesis(&self) -> &S::Nemesis {
        &self.nemesis
    }

    /// The storage of the nodes.
    pub fn stores(&self) -> &S::Stores {
        &self.stores
    }

    /// The storage of the nodes, to change it.
    pub fn stores_mut(&mut self) -> &mut S::Stores {
        &mut self.stores
    }

    /// A node, killed or not.
    pub fn node(&self, node: NodeId) -> Option<&Node<S::Machine, W, C, P>> {
        self.members
            .get(usize::from(node.0))
            .map(|member| &member.node)
    }

    /// Every node, killed or not, in the order of their numbers.
    pub fn nodes(&self) -> impl Iterator<Item = &Node<S::Machine, W, C, P>> {
        self.members.iter().map(|member| &member.node)
    }

    /// True if a node is up: neither killed nor without power. One that is paused is up.
    pub fn is_live(&self, node: NodeId) -> bool {
        let member = self.members.get(usize::from(node.0));
        member.is_some_and(|member| member.live)
    }

    /// The state of the run.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub fn report(&self) -> Report {
        let count = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
        let (mut live, mut joined, mut applied) = (0, 0, Slot::ZERO);
        for member in self.members.iter().filter(|member| member.live) {
            live += 1;
            joined += u16::from(member.node.is_active());
            applied = applied.max(member.node.applied());
        }
        let mut expected = 0;
        if let Some(workload) = &self.workload {
            for client in 0..count(self.clients.len()) {
                expected += workload.requests(client);
            }
        }
        debug_assert!(
            joined <= live && usize::from(live) <= self.members.len(),
            "of all nodes some are up, and of these some have joined"
        );
        Report {
            at: self.now,
            nodes: count(self.members.len()),
            live,
            joined,
            applied,
            agree: self.all_agree(),
            answered: self.counts.answered,
            right: self.counts.right,
            expected,
            deliveries: self.counts.deliveries,
            events: self.counts.events,
            writes: self.counts.writes,
            grouped: self.counts.grouped,
            gathered: self.counts.gathered,
            withdrawn: self.counts.withdrawn,
            read: self.counts.read,
            not_now: self.counts.not_now,
            early: self.pending.iter().map(|pending| pending.early).sum(),
        }
    }

    /// The high-water mark of each fixed structure.
    pub fn marks(&self) -> impl Iterator<Item = Mark> {
        let most = |of: fn(&crate::Marks) -> usize| {
            self.members
                .iter()
                .map(|member| of(&member.node.marks()))
                .max()
                .unwrap_or(0)
        };
        [
            // The names are those of reports, and are not to change.
            ("window", most(|marks| marks.window), W),
            ("votes", most(|marks| marks.votes), W),
            ("waiting", most(|marks| marks.waiting), C),
            ("pending", most(|marks| marks.pending), C),
            ("requesters", most(|marks| marks.requesters), C),
            ("sessions", most(|marks| marks.sessions), C),
            ("outbox", self.outbox_peak(), Self::OUTBOX),
            ("scheduler", self.scheduler.peak(), Self::EVENTS),
        ]
        .into_iter()
        .map(|(name, peak, capacity)| Mark {
            name,
            peak,
            capacity,
        })
        .chain(self.stores.mark())
    }

    /// The time on the local clock of a node.
    pub(super) fn local_time(&self, node: NodeId) -> Instant {
        let plan = self.nemesis.plan();
        plan.map_or(self.now, |plan| plan.node_faults(node).clock.at(self.now))
    }

    /// A node that is up, with the time and the outbox that a step needs.
    /// Where output waits for syncs this begins a step in the pending output of the node. That is harmless if no step
    /// follows: the next one begins at the same place.
    pub(super) fn live_member(&mut self, node: NodeId) -> Option<Active<'_, S, W, C, P>> {
        let member = self
            .members
            .get_mut(usize::from(node.0))
            .filter(|member| member.live)?;
        let outbox = if Self::DEFERRED {
            self.pending
                .get_mut(usize::from(node.0))?
                .begin_step(self.now)
        } else {
            &mut self.outbox
        };
        Some((member, self.now, outbox))
    }

    /// Handles the wake of a node, unless it is stale. If the deadline has moved, the wake moves with it.
    fn wake<T: Tracer<S::Machine, P>, O: Observer<S::Machine, W, C, P>>(
        &mut self,
        node: NodeId,
        tracer: &mut T,
        observer: &mut O,
    ) {
        let local = self.local_time(node);
        let Some((member, now, outbox)) = self.live_member(node) else {
            return;
        };
        if member.wake != now {
            return;
        }
        // From here on no wake is scheduled, so that `schedule_wake` finds any deadline to be earlier.
        member.wake = Instant::FAR_FUTURE;
        if member
            .node
            .next_deadline()
            .is_some_and(|deadline| deadline <= local)
        {
            observer.fires(&member.node);
            if Self::PLANS {
                let mut tracer = Stamped {
                    at: now,
                    tracer: &mut *tracer,
                };
                member.node.handle_timeout(local, outbox, &mut tracer);
            } else {
                member.node.handle_timeout(local, outbox, tracer);
            }
            let fired = observer.fired(local, &member.node);
            self.after_step(node, tracer, observer);
            if let Err(violation) = fired {
                self.violation = Some(violation);
            }
        } else {
            self.schedule_wake(node);
        }
    }

    /// Schedules a wake at the deadline of a node, unless an earlier wake is scheduled already.
    pub(super) fn schedule_wake(&mut self, node: NodeId) {
        if Self::DEFERRED && !self.has_room(node) {
            // It could do nothing now. It is woken when what it holds has left it.
            return;
        }
        let Some(member) = self.members.get_mut(usize::from(node.0)) else {
            return;
        };
        let Some(deadline) = member.node.next_deadline() else {
            return;
        };
        let at = match self.nemesis.plan() {
            // The deadline is one of the local clock, and events are in the order of the simulated time.
            Some(plan) => plan.node_faults(node).clock.when(deadline, self.now),
            None => deadline.max(self.now),
        };
        debug_assert!(at >= self.now, "a wake is scheduled in the past");
        // A wake that is there already and comes first finds the deadline and schedules the next one.
        if at < member.wake && self.scheduler.push(at, SimEvent::Wake(node)).is_ok() {
            member.wake = at;
        }
    }
}

/// A tracer whose records carry the time of the simulation instead of that of the node's local clock. It is used where clocks
/// can be wrong: logs then stay in the order of what happened, whatever a node takes for the time.
#[derive(Debug)]
pub(super) struct Stamped<'a, T> {
    pub(super) at: Instant,
    pub(super) tracer: &'a mut T,
}

impl<M: StateMachine, const PAGE: usize, T: Tracer<M, PAGE>> Tracer<M, PAGE> for Stamped<'_, T> {
    #[inline]
    fn record(&mut self, record: &Record<'_, M, PAGE>) {
        self.tracer.record(&Record {
            at: self.at,
            ..*record
        });
    }

    #[inline]
    fn on_way(&mut self, way: Way) {
        self.tracer.on_way(way);
    }
}
