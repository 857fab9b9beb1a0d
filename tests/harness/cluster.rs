//! A scripted cluster: real nodes, one simulated clock, and a network that follows the script of a test.
//!
//! A run is a function of the seed and the script. The [`InvariantChecks`] run after every step.

use crate::harness::invariant_checks::InvariantChecks;
use crate::harness::trace::{EventKind, Trace};
use std::collections::{BTreeMap, BTreeSet};
use synod::machines::{Key, Kv, KvCommand, KvReply};
use synod::{
    Change, ChangeError, ClientId, Config, Duration, Envelope, Instant, Message, MessageKind, Node,
    NodeId, NodeSet, Outbox, Outcome, ReadError, ReconfigureError, Reply, RequestError, RequestKey,
    RequestNumber, Slot, Timer, Write,
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

/// What the network does with the messages that a rule matches.
enum Action {
    Drop,
    Hold,
    Duplicate,
}

/// A rule of the simulated network.
struct NetworkRule {
    matches: Box<dyn Fn(&TestEnvelope) -> bool>,
    action: Action,
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

/// Network conditions.
impl Cluster {
    /// Drops every message in one direction between two nodes.
    pub(crate) fn cut_one_way(&mut self, from: u16, to: u16) {
        self.cuts.insert((from, to));
    }

    /// Drops every message between two groups of nodes.
    pub(crate) fn cut(&mut self, group: &[u16], others: &[u16]) {
        for (from, to) in pairs(group, others) {
            self.cuts.extend([(from, to), (to, from)]);
        }
    }

    /// Drops every message between a node and the others.
    pub(crate) fn isolate(&mut self, node: u16) {
        let others: Vec<u16> = (0..self.size).filter(|other| *other != node).collect();
        self.cut(&[node], &others);
    }

    /// Restores every link; the rules stay in force.
    pub(crate) fn heal(&mut self) {
        self.cuts.clear();
    }

    /// Drops the messages that match, from now on.
    pub(crate) fn drop_matching(&mut self, matches: impl Fn(&TestEnvelope) -> bool + 'static) {
        self.rule(matches, Action::Drop);
    }

    /// Holds back the messages that match, from now on until they are released.
    pub(crate) fn hold_matching(&mut self, matches: impl Fn(&TestEnvelope) -> bool + 'static) {
        self.rule(matches, Action::Hold);
    }

    /// Duplicates the messages that match, from now on.
    pub(crate) fn duplicate_matching(&mut self, matches: impl Fn(&TestEnvelope) -> bool + 'static) {
        self.rule(matches, Action::Duplicate);
    }

    fn rule(&mut self, matches: impl Fn(&TestEnvelope) -> bool + 'static, action: Action) {
        let matches = Box::new(matches);
        self.rules.push(NetworkRule { matches, action });
    }

    /// Sets the share of messages that are lost, in percent.
    pub(crate) fn set_loss_percent(&mut self, percent: u64) {
        self.loss_percent = percent;
    }

    /// Removes all rules and the loss; cut links stay cut, and held messages stay held.
    pub(crate) fn clear_rules(&mut self) {
        self.rules.clear();
        self.loss_percent = 0;
    }

    /// Returns the messages that are held back.
    pub(crate) fn held(&self) -> &[TestEnvelope] {
        &self.held
    }

    /// Drops the held messages that match.
    pub(crate) fn drop_held(&mut self, matches: impl Fn(&TestEnvelope) -> bool) {
        self.held.retain(|envelope| !matches(envelope));
    }

    /// Delivers all held messages at once, the last first if `reversed`.
    pub(crate) fn release(&mut self, reversed: bool) {
        let mut envelopes = core::mem::take(&mut self.held);
        if reversed {
            envelopes.reverse();
        }
        for envelope in envelopes {
            self.deliver(&envelope);
        }
    }

    /// Returns a pseudo-random number below `bound`.
    pub(crate) fn random_below(&mut self, bound: u64) -> u64 {
        // A linear congruential generator with Knuth's constants; its high bits are good enough for network
        // conditions.
        self.chance = self
            .chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 33) % bound
    }

    /// Delivers the first of the held messages.
    pub(crate) fn release_first(&mut self) {
        let envelope = self.held.remove(0);
        self.deliver(&envelope);
    }

    fn send(&mut self, envelope: TestEnvelope) {
        let (delay, again) = (self.random_below(40_000), self.random_below(40_000));
        let lost = self.random_below(100) < self.loss_percent;
        if lost || self.cuts.contains(&(envelope.from.0, envelope.to.0)) {
            return;
        }
        let rule = self.rules.iter().find(|rule| (rule.matches)(&envelope));
        match rule.map(|rule| &rule.action) {
            Some(Action::Drop) => {}
            Some(Action::Hold) => self.held.push(envelope),
            Some(Action::Duplicate) => {
                self.schedule(envelope.clone(), delay);
                self.schedule(envelope, again);
            }
            None => self.schedule(envelope, delay),
        }
    }

    /// Schedules delivery of a message after 10 ms and `delay`, which is in microseconds and below 40 ms.
    fn schedule(&mut self, envelope: TestEnvelope, delay: u64) {
        let at = self.now + Duration::from_micros(10_000 + delay);
        self.sequence += 1;
        self.in_flight.insert((at, self.sequence), envelope);
    }

    fn deliver(&mut self, envelope: &TestEnvelope) -> Option<StepOutput> {
        self.cause = envelope.message.kind().name();
        self.step_node(envelope.to.0, |now, node, outbox, trace| {
            node.handle_message(now, envelope, outbox, trace);
        })
    }

    /// Delivers a message at once, and returns the output of the step.
    pub(crate) fn inject(&mut self, from: u16, to: u16, message: TestMessage) -> StepOutput {
        let envelope = self.envelope(from, to, message);
        self.deliver(&envelope).unwrap()
    }

    pub(crate) fn envelope(&self, from: u16, to: u16, message: TestMessage) -> TestEnvelope {
        TestEnvelope {
            cluster: TestNode::fingerprint_of(&self.config(0)),
            from: NodeId(from),
            to: NodeId(to),
            message,
        }
    }

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

/// Requests.
impl Cluster {
    /// Requests a session, and returns its nonce.
    pub(crate) fn register(&mut self, node: u16) -> u64 {
        self.nonce += 1;
        let nonce = self.nonce;
        self.register_as(node, nonce).unwrap();
        nonce
    }

    /// Requests a session at a node if it runs and has a free requester, and appends the nonce to `nonces`.
    pub(crate) fn register_if_live(&mut self, node: u16, nonces: &mut Vec<(u16, u64)>) {
        self.nonce += 1;
        let nonce = self.nonce;
        if self.live().any(|live| live == node) && self.register_as(node, nonce).is_ok() {
            nonces.push((node, nonce));
        }
    }

    pub(crate) fn register_as(&mut self, node: u16, nonce: u64) -> Result<(), RequestError> {
        let mut result = Ok(());
        self.cause = "command";
        self.step_node(node, |now, node, outbox, trace| {
            result = node.register(now, nonce, outbox, trace);
        });
        result
    }

    /// Requests at a node that these nodes be the members.
    pub(crate) fn reconfigure(
        &mut self,
        node: u16,
        members: &[u16],
    ) -> Result<(), ReconfigureError> {
        let change = Change {
            epoch: self.node(node).epoch(),
            members: node_set(members),
        };
        self.ask_change(node, change)
    }

    /// Requests at a node that these nodes be the members, as soon as the leader knows that they have caught up.
    pub(crate) fn when_caught_up(&mut self, node: u16, members: &[u16]) {
        let key = RequestKey::change(self.node(node).epoch());
        let is_refused = |c: &Self| {
            let told = c.answer(key);
            matches!(told, Some(Outcome::Unchanged(ChangeError::Behind { .. })))
        };
        for _ in 0..100 {
            let answers = self.outcomes_of(key).len();
            if self.reconfigure(node, members).is_ok() {
                self.run_until("the leader answers, or the members have changed", |c| {
                    c.outcomes_of(key).len() > answers
                });
                if !is_refused(self) {
                    return;
                }
            }
            self.run_for(millis(100));
        }
        panic!("seed {}: {members:?} never catch up", self.seed);
    }

    /// Requests a change of the members at a node.
    pub(crate) fn ask_change(&mut self, node: u16, change: Change) -> Result<(), ReconfigureError> {
        let mut result = Ok(());
        self.cause = "command";
        self.step_node(node, |now, node, outbox, trace| {
            result = node.reconfigure(now, change, outbox, trace);
        });
        result
    }

    /// Requests at a node that these nodes be the members, and waits until all running nodes of both sets know it.
    pub(crate) fn change_members(&mut self, node: u16, members: &[u16]) {
        let (set, epoch) = (node_set(members), self.node(node).epoch());
        self.when_caught_up(node, members);
        self.run_until("the members have changed", |c| {
            let knows = |node| c.node(node).epoch() > epoch && c.node(node).members() == set;
            c.is_settled() && c.live().all(knows)
        });
    }

    /// Opens a session at a node and returns its client.
    pub(crate) fn client(&mut self, node: u16) -> ClientId {
        let nonce = self.register(node);
        self.run_until("a session is open", |c| c.registered(nonce).is_some());
        self.registered(nonce).unwrap()
    }

    /// Returns the client of the session that was opened under a nonce.
    pub(crate) fn registered(&self, nonce: u64) -> Option<ClientId> {
        match self.answer(RequestKey::registration(nonce)) {
            Some(Outcome::Registered { client }) => Some(client),
            _ => None,
        }
    }

    pub(crate) fn ask(
        &mut self,
        node: u16,
        client: ClientId,
        number: u32,
        command: KvCommand,
    ) -> Result<(), RequestError> {
        let mut result = Ok(());
        self.cause = "command";
        self.step_node(node, |now, node, outbox, trace| {
            let number = RequestNumber(number);
            result = node.request(now, client, number, command, outbox, trace);
        });
        result
    }

    /// Asks to read at a node.
    pub(crate) fn read(&mut self, node: u16, nonce: u64) -> Result<(), ReadError> {
        let mut result = Ok(());
        self.cause = "command";
        self.step_node(node, |now, node, outbox, trace| {
            result = node.read(now, nonce, outbox, trace);
        });
        result
    }

    /// Returns what came of a read.
    pub(crate) fn was_read(&self, nonce: u64) -> Option<WasRead> {
        let mut reads = self.reads.iter().rev();
        let (_, read) = reads.find(|(known, _)| *known == nonce)?;
        Some(*read)
    }

    /// Requests key A to be set.
    pub(crate) fn set(&mut self, node: u16, client: ClientId, number: u32, value: i64) {
        let command = KvCommand::Set(Key::numbered(0), value);
        self.ask(node, client, number, command).unwrap();
    }

    /// Sets key A and waits for the answer.
    pub(crate) fn set_and_wait(&mut self, node: u16, client: ClientId, number: u32, value: i64) {
        self.set(node, client, number, value);
        self.run_until("the request is answered", |c| {
            c.applied_in(client, number).is_some()
        });
    }

    /// Opens a session at a node, sets `count` keys one after the other, and returns the client.
    pub(crate) fn decide(&mut self, node: u16, count: u32) -> ClientId {
        let client = self.client(node);
        for number in 1..=count {
            let command = KvCommand::Set(Key::numbered(number % 50), i64::from(number));
            self.ask(node, client, number, command).unwrap();
            self.run_until("the request is answered", |c| {
                c.applied_in(client, number).is_some()
            });
        }
        client
    }

    /// Returns the last answer to a request at any node.
    pub(crate) fn answer(&self, key: RequestKey) -> Option<Outcome<KvReply>> {
        let mut replies = self.replies.iter().rev();
        let (_, reply) = replies.find(|(_, reply)| reply.key == key)?;
        Some(reply.outcome)
    }

    pub(crate) fn outcome(&self, client: ClientId, number: u32) -> Option<Outcome<KvReply>> {
        let number = RequestNumber(number);
        self.answer(RequestKey { client, number })
    }

    /// Returns all answers under a key, at any node.
    pub(crate) fn outcomes_of(&self, key: RequestKey) -> Vec<Outcome<KvReply>> {
        let replies = self.replies.iter().filter(|(_, reply)| reply.key == key);
        replies.map(|(_, reply)| reply.outcome).collect()
    }

    /// Runs until a node leads: its rivals are cut off until then.
    pub(crate) fn make_leader(&mut self, node: u16) {
        let all: Vec<u16> = (0..self.size).collect();
        self.make_leader_of(node, &all);
    }

    /// Runs until a node leads with a quorum of `voters`: whenever another one leads, that one is cut off for a while.
    pub(crate) fn make_leader_of(&mut self, node: u16, voters: &[u16]) {
        while self.node(node).leading().is_none() {
            let rival = self.leader().filter(|rival| voters.contains(rival));
            let cuts = self.cuts.clone();
            if let Some(rival) = rival {
                self.isolate(rival);
            }
            self.happens_within(millis(3_000), |c| c.node(node).leading().is_some());
            self.cuts = cuts;
        }
    }

    /// Returns the slot in which a request was applied, as reported to its client.
    pub(crate) fn applied_in(&self, client: ClientId, number: u32) -> Option<Slot> {
        match self.outcome(client, number) {
            Some(Outcome::Applied { slot, .. }) => Some(slot),
            _ => None,
        }
    }

    /// True if any request was answered since the answers were last cleared.
    pub(crate) fn has_answered(&self) -> bool {
        !self.replies.is_empty()
    }

    /// Forgets the answers so far.
    pub(crate) fn clear_answers(&mut self) {
        self.replies.clear();
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

fn pairs(group: &[u16], others: &[u16]) -> Vec<(u16, u16)> {
    let with_others = |from: &u16| {
        let from = *from;
        others.iter().map(move |to| (from, *to))
    };
    group.iter().flat_map(with_others).collect()
}

/// True if a message is of this kind.
pub(crate) fn is(envelope: &TestEnvelope, kind: MessageKind) -> bool {
    envelope.message.kind() == kind
}
