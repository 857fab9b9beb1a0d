//! The simulation: pops what happens next, lets a node take its step, and carries what comes of it.

use super::client::{Client, Progress};
use super::network::Network;
use super::report::{Bound, Mark, Report, Verdict, Violation};
use super::scenario::{CLIENTS_MAX, KILLS_MAX, Kill, Target};
use super::scheduler::{Happening, Scheduler};
use super::workload::Workload;
use crate::window::Window;
use crate::{
    Ballot, Duration, Event, Instant, Node, NodeId, Outbox, Queue, Record, Role, Slot,
    StateMachine, Tracer,
};
use heapless::Vec;

/// One node of the simulation.
#[derive(Clone, Debug)]
pub(super) struct Member<
    M: StateMachine,
    const WINDOW: usize,
    const CLIENTS: usize,
    const PAGE: usize,
> {
    pub(super) node: Node<M, WINDOW, CLIENTS, PAGE>,
    pub(super) live: bool,
    /// When its live wake is due; a popped wake for another time is a stale one.
    pub(super) wake: Instant,
}

/// What a run has come to so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) answered: u64,
    pub(super) right: u64,
    pub(super) deliveries: u64,
    pub(super) events: u64,
    pub(super) writes: u64,
}

/// How many slots back the applied prefixes of the nodes are compared.
pub(super) const LEDGER: usize = 1024;
/// The room of the outbox. [`Node::OUTBOX_MIN`] is compared with it when a simulation is built.
pub(super) const OUTBOX: usize = 256;

/// A simulated cluster of up to `NODES` nodes, with up to `EVENTS` happenings in store.
///
/// The other capacities are those of its [`Node`]s. Fixed as it is, it is a large value: on a host, run it in a thread
/// with a stack to match; on a target, place it in a `static`.
///
/// `EVENTS` should hold what is under way at once: for each node a few broadcasts to all the others, a wake with a
/// handful of stale ones, and the clients. A message for which there is no room is lost and traced.
///
/// ```
/// use synod::machines::Kv;
/// use synod::simulation::{KvScript, Scenario, Simulation, Verdict};
///
/// let scenario = Scenario::of(6, 3);
/// let mut simulation =
///     Simulation::<Kv<16>, KvScript, 16, 16, 2, 3, 256>::new(&scenario, KvScript::new(11))?;
/// assert_eq!(simulation.run(&mut ()), Verdict::Done);
/// assert_eq!(simulation.report().right, 121);
/// # Ok::<(), synod::simulation::ScenarioError>(())
/// ```
#[derive(Debug)]
pub struct Simulation<
    M: StateMachine,
    L: Workload<M>,
    const WINDOW: usize,
    const CLIENTS: usize,
    const PAGE: usize,
    const NODES: usize,
    const EVENTS: usize,
> {
    pub(super) now: Instant,
    pub(super) scheduler: Scheduler<M, PAGE, EVENTS>,
    pub(super) network: Network,
    pub(super) members: Vec<Member<M, WINDOW, CLIENTS, PAGE>, NODES>,
    pub(super) clients: Vec<Client<M::Command>, CLIENTS_MAX>,
    pub(super) workload: Option<L>,
    pub(super) outbox: Outbox<M, PAGE, OUTBOX>,
    pub(super) kills: Vec<Kill, KILLS_MAX>,
    /// The digest of what was applied up to a slot, as the first node to get there had it.
    pub(super) ledger: Window<u64, LEDGER>,
    pub(super) violation: Option<Violation>,
    pub(super) busy_clients: u16,
    pub(super) retry: Duration,
    pub(super) time_max: Duration,
    pub(super) events_max: u64,
    pub(super) counts: Counts,
}

impl<
    M: StateMachine,
    L: Workload<M>,
    const WINDOW: usize,
    const CLIENTS: usize,
    const PAGE: usize,
    const NODES: usize,
    const EVENTS: usize,
> Simulation<M, L, WINDOW, CLIENTS, PAGE, NODES, EVENTS>
{
    /// Runs to the end: until done, until a rule is broken, or until a bound is reached.
    pub fn run(&mut self, tracer: &mut impl Tracer<M, PAGE>) -> Verdict {
        loop {
            if let Some(verdict) = self.step(tracer) {
                return verdict;
            }
        }
    }

    /// Lets one thing happen; answers how the run ended, once it has.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub fn step(&mut self, tracer: &mut impl Tracer<M, PAGE>) -> Option<Verdict> {
        if let Some(violation) = self.violation {
            return Some(Verdict::Violated(violation));
        }
        if self.busy_clients == 0 && self.agree() {
            return Some(match self.diverged() {
                Some(node) => Verdict::Violated(Violation::Divergence { node }),
                None => Verdict::Done,
            });
        }
        if self.counts.events >= self.events_max {
            return Some(Verdict::Stalled(Bound::Events));
        }
        let Some(next) = self.scheduler.pop() else {
            return Some(Verdict::Stalled(Bound::Idle));
        };
        if next.at > Instant::ZERO + self.time_max {
            return Some(Verdict::Stalled(Bound::Time));
        }
        debug_assert!(next.at >= self.now, "time goes back");
        self.now = next.at;
        self.counts.events += 1;
        match next.happening {
            Happening::Deliver(envelope) => {
                let to = envelope.to;
                if let Some(member) = self.live(to) {
                    let (now, outbox) = (member.1, member.2);
                    member.0.node.handle_message(now, &envelope, outbox, tracer);
                    self.counts.deliveries += 1;
                    self.after_step(to, tracer);
                }
            }
            Happening::Wake(node) => self.wake(node, tracer),
            Happening::Client(index) => self.client_acts(index, tracer),
            Happening::Kill(index) => self.kill(index, tracer),
        }
        None
    }

    /// The simulated time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// A node, killed or not.
    pub fn node(&self, node: NodeId) -> Option<&Node<M, WINDOW, CLIENTS, PAGE>> {
        self.members
            .get(usize::from(node.0))
            .map(|member| &member.node)
    }

    /// Where the run stands.
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
        Report {
            at: self.now,
            nodes: count(self.members.len()),
            live,
            joined,
            applied,
            agree: self.agree(),
            answered: self.counts.answered,
            right: self.counts.right,
            expected,
            deliveries: self.counts.deliveries,
            events: self.counts.events,
            writes: self.counts.writes,
        }
    }

    /// How full each fixed structure became.
    pub fn marks(&self) -> impl Iterator<Item = Mark> {
        let most = |of: fn(&crate::Marks) -> usize| {
            self.members
                .iter()
                .map(|member| of(&member.node.marks()))
                .max()
                .unwrap_or(0)
        };
        [
            ("window", most(|marks| marks.window), WINDOW),
            ("votes", most(|marks| marks.votes), WINDOW),
            ("waiting", most(|marks| marks.waiting), CLIENTS),
            ("pending", most(|marks| marks.pending), CLIENTS),
            ("requesters", most(|marks| marks.requesters), CLIENTS),
            ("sessions", most(|marks| marks.sessions), CLIENTS),
            ("outbox", self.outbox.peak(), OUTBOX),
            ("scheduler", self.scheduler.peak(), EVENTS),
        ]
        .into_iter()
        .map(|(name, peak, capacity)| Mark {
            name,
            peak,
            capacity,
        })
    }

    /// A node that was not killed, with what its step needs.
    pub(super) fn live(
        &mut self,
        node: NodeId,
    ) -> Option<(
        &mut Member<M, WINDOW, CLIENTS, PAGE>,
        Instant,
        &mut Outbox<M, PAGE, OUTBOX>,
    )> {
        let member = self
            .members
            .get_mut(usize::from(node.0))
            .filter(|member| member.live)?;
        Some((member, self.now, &mut self.outbox))
    }

    /// A node's wake has come, unless it is a stale one; a deadline that has moved on only moves the wake.
    fn wake(&mut self, node: NodeId, tracer: &mut impl Tracer<M, PAGE>) {
        let Some((member, now, outbox)) = self.live(node) else {
            return;
        };
        if member.wake != now {
            return;
        }
        member.wake = Instant::FAR_FUTURE;
        if member
            .node
            .next_deadline()
            .is_some_and(|deadline| deadline <= now)
        {
            member.node.handle_timeout(now, outbox, tracer);
            self.after_step(node, tracer);
        } else {
            self.schedule_wake(node);
        }
    }

    /// Keeps a wake in store at or before the node's deadline. A later deadline is left to the wake that is there.
    pub(super) fn schedule_wake(&mut self, node: NodeId) {
        let Some(member) = self.members.get_mut(usize::from(node.0)) else {
            return;
        };
        let Some(deadline) = member.node.next_deadline() else {
            return;
        };
        let at = deadline.max(self.now);
        if at < member.wake && self.scheduler.push(at, Happening::Wake(node)).is_ok() {
            member.wake = at;
        }
    }

    /// Carries what a step wants done, in order: writes, messages, replies.
    pub(super) fn after_step(&mut self, node: NodeId, tracer: &mut impl Tracer<M, PAGE>) {
        self.schedule_wake(node);
        self.check(node);
        self.counts.writes += crate::outbox::run_len(self.outbox.writes.len());
        let Some(member) = self.members.get(usize::from(node.0)) else {
            return;
        };
        // A message may be lost; a turn of a client, or a wake, would never come again. Room is kept for those.
        let spare = self.clients.len() + self.members.len();
        for outgoing in &self.outbox.messages {
            for to in outgoing.to.iter() {
                let Some(delay) = self.network.carry(node, to) else {
                    let event = Event::Lost {
                        to,
                        message: &outgoing.message,
                    };
                    tracer.record(&Record {
                        at: self.now,
                        node,
                        role: Role::Network,
                        event,
                    });
                    continue;
                };
                let envelope = member.node.envelope(to, outgoing);
                let is_full = self.scheduler.len() + spare >= EVENTS;
                if is_full
                    || self
                        .scheduler
                        .push(self.now + delay, Happening::Deliver(envelope))
                        .is_err()
                {
                    let full = Event::Full {
                        queue: Queue::Scheduler,
                    };
                    let lost = Event::Lost {
                        to,
                        message: &outgoing.message,
                    };
                    for event in [full, lost] {
                        tracer.record(&Record {
                            at: self.now,
                            node,
                            role: Role::Network,
                            event,
                        });
                    }
                }
            }
        }
        for index in 0..self.outbox.replies.len() {
            if let Some(reply) = self.outbox.replies.get(index).copied() {
                self.client_hears(reply.key, reply.outcome);
            }
        }
        self.outbox.clear();
    }

    /// Stops a node for good. Its clients go elsewhere after a while.
    fn kill(&mut self, index: u16, tracer: &mut impl Tracer<M, PAGE>) {
        let Some(kill) = self.kills.get(usize::from(index)) else {
            return;
        };
        let node = match kill.target {
            Target::Node(node) => Some(node),
            Target::Leader => {
                let mut highest = Ballot::NULL;
                for member in self.members.iter().filter(|member| member.live) {
                    highest = highest.max(member.node.leading().unwrap_or(Ballot::NULL));
                }
                (highest != Ballot::NULL).then(|| highest.leader())
            }
        };
        let Some(node) = node else {
            // Nobody leads now: looks again soon.
            let _ = self
                .scheduler
                .push(self.now + Duration::from_millis(10), Happening::Kill(index));
            return;
        };
        let Some((member, at, _)) = self.live(node) else {
            return;
        };
        member.live = false;
        tracer.record(&Record {
            at,
            node,
            role: Role::Node,
            event: Event::Killed,
        });
        for (index, client) in (0..).zip(&self.clients) {
            if client.node == node && client.progress != Progress::Done {
                let _ = self
                    .scheduler
                    .push(at + self.retry, Happening::Client(index));
            }
        }
    }
}
