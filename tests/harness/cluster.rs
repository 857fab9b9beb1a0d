//! A scripted cluster: real nodes, one simulated clock, and a network that follows the script of a test.
//!
//! A run is a function of the seed and the script. The [`InvariantChecks`] run after every step.

mod network;
mod requests;

use crate::harness::invariant_checks::InvariantChecks;
use crate::harness::trace::{EventKind, Trace};
use network::NetworkRule;
use std::collections::{BTreeMap, BTreeSet};
use synod::machines::{Key, Kv, KvCommand, KvReply};
use synod::{
    Config, Duration, Envelope, Instant, Message, MessageKind, Node, NodeId, NodeSet, Outbox,
    Outcome, Reply, Slot, Timer, Write,
};

pub(crate) const WINDOW: usize = 8;
pub(crate) const CLIENTS: usize = 4;
pub(crate) const PAGE: usize = 2;

pub(crate) type Machine = Kv<64>;
pub(crate) type TestNode = Node<Machine, WINDOW, CLIENTS, PAGE>;
pub(crate) type TestEnvelope = Envelope<Machine, PAGE>;
pub(crate) type TestMessage = Message<Machine, PAGE>;
pub(crate) type TestOutbox = Outbox<Machine, PAGE, { TestNode::OUTBOX_MIN }>;

/// The default time limit for an expected condition.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn slot(number: u64) -> Slot {
    Slot::new(number)
}

/// What came of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WasRead {
    /// No leader has confirmed it.
    NotNow,
    /// What key A held in the state of the node, in the step that allowed the look.
    Saw(Option<i64>),
}

/// The output of one step of a node.
#[derive(Clone, Debug)]
pub(crate) struct StepOutput {
    pub(crate) writes: Vec<Write<KvCommand>>,
    pub(crate) messages: Vec<TestMessage>,
}

pub(crate) struct Cluster {
    seed: u64,
    size: u16,
    /// The number of nodes that are members at the founding.
    founders: u16,
    now: Instant,
    nodes: Vec<Option<TestNode>>,
    stopped: BTreeSet<u16>,
    /// The number of restarts so far, of all nodes.
    starts: u32,
    in_flight: BTreeMap<(Instant, u64), TestEnvelope>,
    sequence: u64,
    held: Vec<TestEnvelope>,
    cuts: BTreeSet<(u16, u16)>,
    rules: Vec<NetworkRule>,
    loss_percent: u64,
    chance: u64,
    nonce: u64,
    halts_are_allowed: bool,
    checks: InvariantChecks,
    replies: Vec<(u16, Reply<KvReply>)>,
    /// What was read, with the nonces.
    reads: Vec<(u64, WasRead)>,
    /// The cause of the current step: the name of a message kind, or `clock`, `command` or `fence`.
    cause: &'static str,
    /// The timers that were armed and disarmed, with the cause.
    pub(crate) timers: Timings,
    pub(crate) trace: Trace,
}

/// The timers that each cause armed, and those that it disarmed before they fired.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timings {
    pub(crate) armed: BTreeSet<(Timer, &'static str)>,
    pub(crate) disarmed: BTreeSet<(Timer, &'static str)>,
}

/// Construction, restarts and time.
impl Cluster {
    /// Returns a cluster of `size` members, none of them powered on.
    pub(crate) fn powered_off(size: u16, seed: u64) -> Self {
        Self {
            seed,
            size,
            founders: size,
            now: Instant::ZERO,
            nodes: (0..size).map(|_| None).collect(),
            stopped: BTreeSet::new(),
            starts: 0,
            in_flight: BTreeMap::new(),
            sequence: 0,
            held: Vec::new(),
            cuts: BTreeSet::new(),
            rules: Vec::new(),
            loss_percent: 0,
            chance: seed ^ 0x9E37_79B9_7F4A_7C15,
            nonce: 1_000,
            halts_are_allowed: false,
            checks: InvariantChecks::default(),
            replies: Vec::new(),
            reads: Vec::new(),
            cause: "",
            timers: Timings::default(),
            trace: Trace::default(),
        }
    }

    /// Returns a cluster whose members have all just been powered on; node 0 is the founder.
    pub(crate) fn booting(size: u16, seed: u64) -> Self {
        let mut cluster = Self::powered_off(size, seed);
        for node in 0..size {
            cluster.start(node);
        }
        cluster
    }

    /// Returns a cluster in which every node has joined and follows one leader.
    pub(crate) fn settled(size: u16, seed: u64) -> Self {
        let mut cluster = Self::booting(size, seed);
        cluster.run_until("every node follows one leader", Self::is_settled);
        cluster
    }

    /// Returns a cluster that the first `founders` of `size` nodes have founded; the others have joined as learners.
    pub(crate) fn with_learners(founders: u16, size: u16, seed: u64) -> Self {
        let mut cluster = Self::powered_off(size, seed);
        cluster.founders = founders;
        for node in 0..size {
            cluster.start(node);
        }
        cluster.run_until("every node follows one leader", Self::is_settled);
        cluster
    }

    /// Powers on a node for the first time.
    pub(crate) fn start(&mut self, node: u16) {
        let config = self.config(node);
        let built = if node == 0 {
            TestNode::found(config, self.seed, self.now)
        } else {
            TestNode::join(config, self.seed, self.now)
        };
        let place = &mut self.nodes[usize::from(node)];
        assert!(place.is_none(), "NODE_{node} has a past");
        *place = Some(built.unwrap());
    }

    /// Powers on a node as a founder, whatever state it had before.
    pub(crate) fn start_as_founder(&mut self, node: u16) {
        let founder = TestNode::found(self.config(node), self.seed, self.now);
        self.nodes[usize::from(node)] = Some(founder.unwrap());
        self.stopped.remove(&node);
    }

    /// Stops a node until it is restarted.
    pub(crate) fn stop(&mut self, node: u16) {
        self.stopped.insert(node);
    }

    /// Restarts a stopped node from its durable state; everything else is lost.
    pub(crate) fn restart(&mut self, node: u16) {
        let config = self.config(node);
        let place = &mut self.nodes[usize::from(node)];
        let durable = place.as_ref().and_then(TestNode::durable);
        if durable.is_none() && place.as_ref().is_some_and(|node| !node.is_voter()) {
            // It is unknown what the node voted for before its storage failed.
            return self.start_as_learner(node);
        }
        self.starts += 1;
        let (seed, starts, now) = (self.seed, self.starts, self.now);
        let built = match durable {
            Some(durable) => TestNode::recover(config, durable, seed, starts, now),
            None if node == 0 => TestNode::found(config, seed, now),
            None => TestNode::join(config, seed, now),
        };
        *place = Some(built.unwrap());
        self.stopped.remove(&node);
    }

    /// Powers on a node that has lost its durable state, as a learner.
    pub(crate) fn start_as_learner(&mut self, node: u16) {
        let learner = TestNode::learn(self.config(node), self.seed, self.now);
        self.nodes[usize::from(node)] = Some(learner.unwrap());
        self.stopped.remove(&node);
    }

    /// Fails the storage of a node after a step, before the output of the step is written or sent.
    pub(crate) fn fence_after(
        &mut self,
        node: u16,
        step: impl FnOnce(Instant, &mut TestNode, &mut TestOutbox, &mut Trace),
    ) -> StepOutput {
        self.cause = "fence";
        let fenced = self.step_node(node, |now, node, outbox, trace| {
            step(now, node, outbox, trace);
            node.fence(now, outbox, trace);
        });
        fenced.unwrap()
    }

    /// Fails the storage of a node that has no pending output.
    pub(crate) fn fence(&mut self, node: u16) {
        self.fence_after(node, |_, _, _, _| {});
    }

    pub(crate) fn config(&self, node: u16) -> Config {
        Config::new(NodeId(node), self.founders)
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    /// Processes the next message or timeout, if it is due by `end`.
    fn step_by(&mut self, end: Instant) -> bool {
        let deadline = |(index, node): (usize, &Option<TestNode>)| {
            let number = u16::try_from(index).unwrap();
            let node = node.as_ref().filter(|_| !self.stopped.contains(&number))?;
            Some((node.next_deadline()?.max(self.now), number))
        };
        let wake = self.nodes.iter().enumerate().filter_map(deadline).min();
        let arrival = self.in_flight.keys().next().copied();
        match (arrival, wake) {
            (Some((at, sequence)), wake)
                if at <= end && wake.is_none_or(|(wake, _)| at <= wake) =>
            {
                self.now = at;
                let envelope = self.in_flight.remove(&(at, sequence)).unwrap();
                self.deliver(&envelope);
                true
            }
            (_, Some((at, node))) if at <= end => {
                self.now = at;
                self.cause = "clock";
                self.step_node(node, |now, node, outbox, trace| {
                    node.handle_timeout(now, outbox, trace);
                });
                true
            }
            _ => {
                self.now = end;
                false
            }
        }
    }

    pub(crate) fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        while self.step_by(end) {}
    }

    /// Runs until the condition holds, and fails the test after [`PATIENCE`].
    pub(crate) fn run_until(&mut self, goal: &str, is_so: impl Fn(&Self) -> bool) {
        let came = self.happens_within(PATIENCE, is_so);
        assert!(
            came,
            "seed {}: not reached: {goal}\n{}",
            self.seed,
            self.describe_nodes()
        );
    }

    /// Runs until the condition holds, for at most `span`; returns true if it does.
    pub(crate) fn happens_within(&mut self, span: Duration, is_so: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + span;
        while !is_so(self) {
            if !self.step_by(end) {
                return is_so(self);
            }
        }
        true
    }

    /// Asserts that the condition does not hold at any time during `span`.
    pub(crate) fn assert_never_within(
        &mut self,
        span: Duration,
        unwanted: &str,
        is_so: impl Fn(&Self) -> bool,
    ) {
        let came = self.happens_within(span, is_so);
        assert!(
            !came,
            "seed {}: happened: {unwanted}\n{}",
            self.seed,
            self.describe_nodes()
        );
    }

    /// Returns one line for each node, for failure messages.
    fn describe_nodes(&self) -> String {
        let line = |(number, node): (usize, &Option<TestNode>)| match node {
            None => format!("NODE_{number} dark\n"),
            Some(node) => format!(
                "NODE_{number} stopped={} active={} applied={} promised={} leading={:?} hint={:?}\n",
                self.stopped.contains(&u16::try_from(number).unwrap()),
                node.is_active(),
                node.applied(),
                node.promised(),
                node.leading(),
                node.leader_hint(),
            ),
        };
        self.nodes.iter().enumerate().map(line).collect()
    }
}

/// Steps.
impl Cluster {
    /// Takes a step of a node, performs its output, and checks the invariants.
    fn step_node<R>(
        &mut self,
        number: u16,
        step: impl FnOnce(Instant, &mut TestNode, &mut TestOutbox, &mut Trace) -> R,
    ) -> Option<StepOutput> {
        if self.stopped.contains(&number) {
            return None;
        }
        let now = self.now;
        let known = self.trace.events.len();
        let node = self.nodes[usize::from(number)].as_mut()?;
        let before: BTreeSet<Timer> = node.armed().collect();
        let is_over = |timer: &Timer| self.cause == "clock" && node.is_due(*timer, now);
        let fired: BTreeSet<Timer> = Timer::ALL.into_iter().filter(is_over).collect();
        let mut outbox = TestOutbox::new();
        step(now, node, &mut outbox, &mut self.trace);
        if node.halted().is_none() {
            let after: BTreeSet<Timer> = node.armed().collect();
            let cause = |timer: &Timer| (*timer, self.cause);
            self.timers
                .armed
                .extend(after.difference(&before).map(cause));
            let gone = before.difference(&after);
            let disarmed = gone.filter(|timer| !fired.contains(timer));
            self.timers.disarmed.extend(disarmed.map(cause));
        }
        for traced in &self.trace.events[known..] {
            self.checks.check_event(traced);
        }
        self.checks.check_outbox(node, &outbox);
        self.checks.check_node(node);
        assert!(
            node.halted().is_none() || self.halts_are_allowed,
            "NODE_{number} halted: {:?}",
            node.halted()
        );
        let envelopes: Vec<TestEnvelope> = outbox
            .messages
            .iter()
            .flat_map(|outgoing| outgoing.to.iter().map(|to| node.envelope(to, outgoing)))
            .collect();
        for reply in &outbox.replies {
            let nonce = reply.key.client.0;
            match reply.outcome {
                Outcome::Readable { applied } => {
                    assert!(applied <= node.applied(), "NODE_{number} allows too much");
                    let value = node.machine().get(Key::numbered(0));
                    self.reads.push((nonce, WasRead::Saw(value)));
                }
                Outcome::NotNow => self.reads.push((nonce, WasRead::NotNow)),
                _ => {}
            }
        }
        for envelope in envelopes {
            assert_ne!(envelope.to.0, number, "a node sent to itself");
            self.send(envelope);
        }
        self.replies
            .extend(outbox.replies.iter().map(|reply| (number, *reply)));
        Some(StepOutput {
            writes: outbox.writes.to_vec(),
            messages: outbox
                .messages
                .iter()
                .map(|outgoing| outgoing.message.clone())
                .collect(),
        })
    }

    /// Allows nodes to halt from now on.
    pub(crate) fn allow_halts(&mut self) {
        self.halts_are_allowed = true;
    }
}

/// Observation.
impl Cluster {
    pub(crate) fn node(&self, node: u16) -> &TestNode {
        self.nodes[usize::from(node)].as_ref().unwrap()
    }

    pub(crate) fn node_mut(&mut self, node: u16) -> &mut TestNode {
        self.nodes[usize::from(node)].as_mut().unwrap()
    }

    /// Returns the nodes that are powered on.
    pub(crate) fn live(&self) -> impl Iterator<Item = u16> + Clone + '_ {
        let runs =
            |node: &u16| !self.stopped.contains(node) && self.nodes[usize::from(*node)].is_some();
        (0..self.size).filter(runs)
    }

    /// Returns the running leader with the highest ballot.
    pub(crate) fn leader(&self) -> Option<u16> {
        let leaderships = self.live().filter_map(|node| self.node(node).leading());
        leaderships.max().map(|ballot| ballot.leader().0)
    }

    /// Returns the `index`th running node that is not the leader.
    pub(crate) fn follower(&self, index: usize) -> u16 {
        let leader = self.leader();
        let mut followers = self.live().filter(|node| Some(*node) != leader);
        followers.nth(index).unwrap()
    }

    pub(crate) fn applied(&self, node: u16) -> Slot {
        self.node(node).applied()
    }

    /// True if every running node has joined, follows the same running leader, and has applied the same slots.
    pub(crate) fn is_settled(&self) -> bool {
        let Some(leader) = self.leader() else {
            return false;
        };
        let applied = self.applied(leader);
        self.live().all(|node| {
            let node = self.node(node);
            let follows = node.leader_hint() == Some(NodeId(leader));
            node.is_active() && follows && node.applied() == applied
        })
    }

    /// Returns everything that determines a node's behaviour, in a comparable form.
    pub(crate) fn state(&self, node: u16) -> String {
        format!("{:?}", self.node(node))
    }

    pub(crate) fn saw(&self, node: u16, is: impl Fn(&EventKind) -> bool) -> bool {
        self.trace.count(node, is) > 0
    }
}

/// Returns a set of nodes.
pub(crate) fn node_set(nodes: &[u16]) -> NodeSet {
    nodes.iter().copied().map(NodeId).collect()
}

/// True if a message is of this kind.
pub(crate) fn is(envelope: &TestEnvelope, kind: MessageKind) -> bool {
    envelope.message.kind() == kind
}
