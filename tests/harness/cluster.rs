//! A cluster that a test drives by hand: real nodes, one simulated clock, and a network that does as the script says.
//!
//! Everything follows from the seed and the script. After every step the [`Oracle`] looks for a broken rule.

use crate::harness::invariant_checks::Oracle;
use crate::harness::trace::{Log, What};
use std::collections::{BTreeMap, BTreeSet};
use synod::machines::{Key, Kv, KvCommand, KvReply};
use synod::{
    ClientId, Config, Duration, Envelope, Instant, Message, MessageKind, Node, NodeId, Outbox,
    Outcome, Reply, RequestError, RequestKey, RequestNumber, Slot, Timer, Write,
};

pub(crate) const WINDOW: usize = 8;
pub(crate) const CLIENTS: usize = 4;
pub(crate) const PAGE: usize = 2;

pub(crate) type Machine = Kv<64>;
pub(crate) type TestNode = Node<Machine, WINDOW, CLIENTS, PAGE>;
pub(crate) type Letter = Envelope<Machine, PAGE>;
pub(crate) type Text = Message<Machine, PAGE>;
pub(crate) type TestOutbox = Outbox<Machine, PAGE, { TestNode::OUTBOX_MIN }>;

/// How long a test waits for what must happen, unless it says otherwise.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn slot(number: u64) -> Slot {
    Slot::new(number)
}

/// What the network does with some of the messages.
enum Fate {
    Lose,
    Hold,
    Twice,
}

/// A part of the script: what becomes of the messages that it names.
struct Rule {
    names: Box<dyn Fn(&Letter) -> bool>,
    fate: Fate,
}

/// What a node wanted done in one step.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) writes: Vec<Write<KvCommand>>,
    pub(crate) messages: Vec<Text>,
}

pub(crate) struct Cluster {
    seed: u64,
    size: u16,
    now: Instant,
    nodes: Vec<Option<TestNode>>,
    stopped: BTreeSet<u16>,
    /// How often a node that was stopped was switched on again.
    starts: u32,
    under_way: BTreeMap<(Instant, u64), Letter>,
    sequence: u64,
    held: Vec<Letter>,
    cuts: BTreeSet<(u16, u16)>,
    rules: Vec<Rule>,
    loss_percent: u64,
    chance: u64,
    nonce: u64,
    faults_are_expected: bool,
    oracle: Oracle,
    replies: Vec<(u16, Reply<KvReply>)>,
    /// What the present step is about: the kind of a message, or else a word.
    cause: &'static str,
    /// Which timers were begun and ended, by what.
    pub(crate) timers: Timings,
    pub(crate) log: Log,
}

/// Which timers were begun by what, and which were ended by what without having fired.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timings {
    pub(crate) begun: BTreeSet<(Timer, &'static str)>,
    pub(crate) ended: BTreeSet<(Timer, &'static str)>,
}

/// Building and clocks.
impl Cluster {
    /// A cluster of so many members, none of which has been switched on.
    pub(crate) fn dark(size: u16, seed: u64) -> Self {
        Self {
            seed,
            size,
            now: Instant::ZERO,
            nodes: (0..size).map(|_| None).collect(),
            stopped: BTreeSet::new(),
            starts: 0,
            under_way: BTreeMap::new(),
            sequence: 0,
            held: Vec::new(),
            cuts: BTreeSet::new(),
            rules: Vec::new(),
            loss_percent: 0,
            chance: seed ^ 0x9E37_79B9_7F4A_7C15,
            nonce: 1_000,
            faults_are_expected: false,
            oracle: Oracle::default(),
            replies: Vec::new(),
            cause: "",
            timers: Timings::default(),
            log: Log::default(),
        }
    }

    /// A cluster whose members were all switched on just now; node 0 founds it.
    pub(crate) fn lit(size: u16, seed: u64) -> Self {
        let mut cluster = Self::dark(size, seed);
        for node in 0..size {
            cluster.start(node);
        }
        cluster
    }

    /// A cluster in which everybody has joined and follows one leader.
    pub(crate) fn calm(size: u16, seed: u64) -> Self {
        let mut cluster = Self::lit(size, seed);
        cluster.run_until("everybody follows one leader", Self::is_calm);
        cluster
    }

    /// Switches a node on for the first time.
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

    /// Switches a node on that an operator has made a founder, whatever there is already.
    pub(crate) fn found(&mut self, node: u16) {
        let founder = TestNode::found(self.config(node), self.seed, self.now);
        self.nodes[usize::from(node)] = Some(founder.unwrap());
        self.stopped.remove(&node);
    }

    /// Stops a node for good.
    pub(crate) fn stop(&mut self, node: u16) {
        self.stopped.insert(node);
    }

    /// Switches a node on again that was stopped, with all that it had made durable: it has lost its memory of the rest.
    pub(crate) fn restart(&mut self, node: u16) {
        let config = self.config(node);
        let place = &mut self.nodes[usize::from(node)];
        let durable = place.as_ref().and_then(TestNode::durable);
        if durable.is_none() && place.as_ref().is_some_and(|node| !node.is_voter()) {
            // What it voted before its storage failed nobody knows.
            return self.learn(node);
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

    /// Switches a node on that has a past, but no memory of it.
    pub(crate) fn learn(&mut self, node: u16) {
        let learner = TestNode::learn(self.config(node), self.seed, self.now);
        self.nodes[usize::from(node)] = Some(learner.unwrap());
        self.stopped.remove(&node);
    }

    /// The storage of a node fails before it can write or send what it wants after a step.
    pub(crate) fn fence_after(
        &mut self,
        node: u16,
        step: impl FnOnce(Instant, &mut TestNode, &mut TestOutbox, &mut Log),
    ) -> Said {
        self.cause = "fence";
        let fenced = self.act(node, |now, node, outbox, log| {
            step(now, node, outbox, log);
            node.fence(now, outbox, log);
        });
        fenced.unwrap()
    }

    /// The storage of a node fails, with nothing under way.
    pub(crate) fn fence(&mut self, node: u16) {
        self.fence_after(node, |_, _, _, _| {});
    }

    pub(crate) fn config(&self, node: u16) -> Config {
        Config::new(NodeId(node), self.size)
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    /// Lets the next thing happen, if it is due by then.
    fn step_by(&mut self, end: Instant) -> bool {
        let deadline = |(index, node): (usize, &Option<TestNode>)| {
            let number = u16::try_from(index).unwrap();
            let node = node.as_ref().filter(|_| !self.stopped.contains(&number))?;
            Some((node.next_deadline()?.max(self.now), number))
        };
        let wake = self.nodes.iter().enumerate().filter_map(deadline).min();
        let arrival = self.under_way.keys().next().copied();
        match (arrival, wake) {
            (Some((at, sequence)), wake)
                if at <= end && wake.is_none_or(|(wake, _)| at <= wake) =>
            {
                self.now = at;
                let letter = self.under_way.remove(&(at, sequence)).unwrap();
                self.deliver(&letter);
                true
            }
            (_, Some((at, node))) if at <= end => {
                self.now = at;
                self.cause = "clock";
                self.act(node, |now, node, outbox, log| {
                    node.handle_timeout(now, outbox, log);
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

    /// Runs until it is so; a run that does not get there within `PATIENCE` is a failure.
    pub(crate) fn run_until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let came = self.comes_true(PATIENCE, is_so);
        assert!(
            came,
            "seed {}: not so: {what}\n{}",
            self.seed,
            self.sketch()
        );
    }

    /// Runs until it is so, though no longer than `span`; says whether it came.
    pub(crate) fn comes_true(&mut self, span: Duration, is_so: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + span;
        while !is_so(self) {
            if !self.step_by(end) {
                return is_so(self);
            }
        }
        true
    }

    /// Asserts that it does not come true for a while.
    pub(crate) fn never_for(&mut self, span: Duration, what: &str, is_so: impl Fn(&Self) -> bool) {
        let came = self.comes_true(span, is_so);
        assert!(
            !came,
            "seed {}: it came true: {what}\n{}",
            self.seed,
            self.sketch()
        );
    }

    /// A line for each node, for the message of a failure.
    fn sketch(&self) -> String {
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

/// The network.
impl Cluster {
    /// Nothing passes from one node to another any more, in this direction.
    pub(crate) fn cut_one_way(&mut self, from: u16, to: u16) {
        self.cuts.insert((from, to));
    }

    /// Nothing passes between the two groups.
    pub(crate) fn cut(&mut self, group: &[u16], others: &[u16]) {
        for (from, to) in pairs(group, others) {
            self.cuts.extend([(from, to), (to, from)]);
        }
    }

    /// Nothing passes between a node and any other.
    pub(crate) fn isolate(&mut self, node: u16) {
        let others: Vec<u16> = (0..self.size).filter(|other| *other != node).collect();
        self.cut(&[node], &others);
    }

    /// Every link works again; the rules stay.
    pub(crate) fn heal(&mut self) {
        self.cuts.clear();
    }

    /// The messages that `names` says are lost from now on.
    pub(crate) fn lose(&mut self, names: impl Fn(&Letter) -> bool + 'static) {
        self.rule(names, Fate::Lose);
    }

    /// The messages that `names` says are kept back from now on, until they are released.
    pub(crate) fn hold(&mut self, names: impl Fn(&Letter) -> bool + 'static) {
        self.rule(names, Fate::Hold);
    }

    /// The messages that `names` says arrive twice from now on.
    pub(crate) fn double(&mut self, names: impl Fn(&Letter) -> bool + 'static) {
        self.rule(names, Fate::Twice);
    }

    fn rule(&mut self, names: impl Fn(&Letter) -> bool + 'static, fate: Fate) {
        let names = Box::new(names);
        self.rules.push(Rule { names, fate });
    }

    /// So many of a hundred messages are lost.
    pub(crate) fn lose_percent(&mut self, percent: u64) {
        self.loss_percent = percent;
    }

    /// The network forgets its rules; cuts stay, and what is held stays held.
    pub(crate) fn forget_rules(&mut self) {
        self.rules.clear();
        self.loss_percent = 0;
    }

    /// What is held back now.
    pub(crate) fn held(&self) -> &[Letter] {
        &self.held
    }

    /// Some of what is held back is lost.
    pub(crate) fn drop_held(&mut self, names: impl Fn(&Letter) -> bool) {
        self.held.retain(|letter| !names(letter));
    }

    /// What was held arrives at once, the last first if `reversed`.
    pub(crate) fn release(&mut self, reversed: bool) {
        let mut letters = core::mem::take(&mut self.held);
        if reversed {
            letters.reverse();
        }
        for letter in letters {
            self.deliver(&letter);
        }
    }

    /// A number below `bound`, from the cluster's own stream.
    pub(crate) fn draw(&mut self, bound: u64) -> u64 {
        // A linear congruential generator with Knuth's constants; its high bits are good enough for a network.
        self.chance = self
            .chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 33) % bound
    }

    /// The first of what was held arrives.
    pub(crate) fn release_first(&mut self) {
        let letter = self.held.remove(0);
        self.deliver(&letter);
    }

    fn post(&mut self, letter: Letter) {
        let (delay, again) = (self.draw(40_000), self.draw(40_000));
        let lost = self.draw(100) < self.loss_percent;
        if lost || self.cuts.contains(&(letter.from.0, letter.to.0)) {
            return;
        }
        let rule = self.rules.iter().find(|rule| (rule.names)(&letter));
        match rule.map(|rule| &rule.fate) {
            Some(Fate::Lose) => {}
            Some(Fate::Hold) => self.held.push(letter),
            Some(Fate::Twice) => {
                self.carry(letter.clone(), delay);
                self.carry(letter, again);
            }
            None => self.carry(letter, delay),
        }
    }

    /// A message takes from 10 to 50 ms.
    fn carry(&mut self, letter: Letter, delay: u64) {
        let at = self.now + Duration::from_micros(10_000 + delay);
        self.sequence += 1;
        self.under_way.insert((at, self.sequence), letter);
    }

    fn deliver(&mut self, letter: &Letter) -> Option<Said> {
        self.cause = letter.message.kind().name();
        self.act(letter.to.0, |now, node, outbox, log| {
            node.handle_message(now, letter, outbox, log);
        })
    }

    /// Hands a message over as if it had just arrived, and gives back what the node wanted done.
    pub(crate) fn tell(&mut self, from: u16, to: u16, message: Text) -> Said {
        let letter = self.letter(from, to, message);
        self.deliver(&letter).unwrap()
    }

    pub(crate) fn letter(&self, from: u16, to: u16, message: Text) -> Letter {
        Letter {
            cluster: TestNode::fingerprint_of(&self.config(0)),
            from: NodeId(from),
            to: NodeId(to),
            message,
        }
    }

    /// Lets a node take a step, does what it wants done, and looks for a broken rule.
    fn act<R>(
        &mut self,
        number: u16,
        step: impl FnOnce(Instant, &mut TestNode, &mut TestOutbox, &mut Log) -> R,
    ) -> Option<Said> {
        if self.stopped.contains(&number) {
            return None;
        }
        let now = self.now;
        let known = self.log.facts.len();
        let node = self.nodes[usize::from(number)].as_mut()?;
        let before: BTreeSet<Timer> = node.armed().collect();
        let is_over = |timer: &Timer| self.cause == "clock" && node.is_due(*timer, now);
        let fired: BTreeSet<Timer> = Timer::ALL.into_iter().filter(is_over).collect();
        let mut outbox = TestOutbox::new();
        step(now, node, &mut outbox, &mut self.log);
        if node.halted().is_none() {
            let after: BTreeSet<Timer> = node.armed().collect();
            let cause = |timer: &Timer| (*timer, self.cause);
            self.timers
                .begun
                .extend(after.difference(&before).map(cause));
            let gone = before.difference(&after);
            let ended = gone.filter(|timer| !fired.contains(timer));
            self.timers.ended.extend(ended.map(cause));
        }
        for fact in &self.log.facts[known..] {
            self.oracle.see_fact(fact);
        }
        self.oracle.see_outbox(node, &outbox);
        self.oracle.see_node(node);
        assert!(
            node.halted().is_none() || self.faults_are_expected,
            "NODE_{number} halted: {:?}",
            node.halted()
        );
        let letters: Vec<Letter> = outbox
            .messages
            .iter()
            .flat_map(|outgoing| outgoing.to.iter().map(|to| node.envelope(to, outgoing)))
            .collect();
        for letter in letters {
            assert_ne!(letter.to.0, number, "a node sent to itself");
            self.post(letter);
        }
        self.replies
            .extend(outbox.replies.iter().map(|reply| (number, *reply)));
        Some(Said {
            writes: outbox.writes.to_vec(),
            messages: outbox
                .messages
                .iter()
                .map(|outgoing| outgoing.message.clone())
                .collect(),
        })
    }

    /// From now on a node may halt.
    pub(crate) fn expect_faults(&mut self) {
        self.faults_are_expected = true;
    }
}

/// Clients.
impl Cluster {
    /// Asks for a session, under a nonce that this gives back.
    pub(crate) fn register(&mut self, node: u16) -> u64 {
        self.nonce += 1;
        let nonce = self.nonce;
        self.register_as(node, nonce).unwrap();
        nonce
    }

    /// Asks for a session at a node, if that runs and has a requester free, and notes the nonce.
    pub(crate) fn nonce_of_live(&mut self, node: u16, nonces: &mut Vec<(u16, u64)>) {
        self.nonce += 1;
        let nonce = self.nonce;
        if self.live().any(|live| live == node) && self.register_as(node, nonce).is_ok() {
            nonces.push((node, nonce));
        }
    }

    pub(crate) fn register_as(&mut self, node: u16, nonce: u64) -> Result<(), RequestError> {
        let mut result = Ok(());
        self.cause = "command";
        self.act(node, |now, node, outbox, log| {
            result = node.register(now, nonce, outbox, log);
        });
        result
    }

    /// A client with a session, opened at a node.
    pub(crate) fn client(&mut self, node: u16) -> ClientId {
        let nonce = self.register(node);
        self.run_until("a session is open", |c| c.registered(nonce).is_some());
        self.registered(nonce).unwrap()
    }

    /// The session that was opened under a nonce.
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
        self.act(node, |now, node, outbox, log| {
            let number = RequestNumber(number);
            result = node.request(now, client, number, command, outbox, log);
        });
        result
    }

    /// Asks for the key A to be set.
    pub(crate) fn set(&mut self, node: u16, client: ClientId, number: u32, value: i64) {
        let command = KvCommand::Set(Key::numbered(0), value);
        self.ask(node, client, number, command).unwrap();
    }

    /// Sets the key A and waits for the answer.
    pub(crate) fn set_and_wait(&mut self, node: u16, client: ClientId, number: u32, value: i64) {
        self.set(node, client, number, value);
        self.run_until("the request is answered", |c| {
            c.applied_in(client, number).is_some()
        });
    }

    /// Lets a new client at a node set so many keys, one after the other.
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

    /// The last answer to a request, at whatever node.
    pub(crate) fn answer(&self, key: RequestKey) -> Option<Outcome<KvReply>> {
        let mut replies = self.replies.iter().rev();
        let (_, reply) = replies.find(|(_, reply)| reply.key == key)?;
        Some(reply.outcome)
    }

    pub(crate) fn outcome(&self, client: ClientId, number: u32) -> Option<Outcome<KvReply>> {
        let number = RequestNumber(number);
        self.answer(RequestKey { client, number })
    }

    /// In which slot a request was applied, as its client was told.
    pub(crate) fn applied_in(&self, client: ClientId, number: u32) -> Option<Slot> {
        match self.outcome(client, number) {
            Some(Outcome::Applied { slot, .. }) => Some(slot),
            _ => None,
        }
    }

    /// Whether anybody was answered.
    pub(crate) fn has_answered(&self) -> bool {
        !self.replies.is_empty()
    }

    /// Forgets the answers so far, so that the next is a new one.
    pub(crate) fn forget_answers(&mut self) {
        self.replies.clear();
    }
}

/// What can be seen.
impl Cluster {
    pub(crate) fn node(&self, node: u16) -> &TestNode {
        self.nodes[usize::from(node)].as_ref().unwrap()
    }

    pub(crate) fn node_mut(&mut self, node: u16) -> &mut TestNode {
        self.nodes[usize::from(node)].as_mut().unwrap()
    }

    /// The numbers of the nodes that were switched on and not stopped.
    pub(crate) fn live(&self) -> impl Iterator<Item = u16> + Clone + '_ {
        let runs =
            |node: &u16| !self.stopped.contains(node) && self.nodes[usize::from(*node)].is_some();
        (0..self.size).filter(runs)
    }

    /// The live leader of the highest ballot.
    pub(crate) fn leader(&self) -> Option<u16> {
        let reigns = self.live().filter_map(|node| self.node(node).leading());
        reigns.max().map(|ballot| ballot.leader().0)
    }

    /// Some live node that does not lead: the `index`th of them.
    pub(crate) fn follower(&self, index: usize) -> u16 {
        let leader = self.leader();
        let mut followers = self.live().filter(|node| Some(*node) != leader);
        followers.nth(index).unwrap()
    }

    pub(crate) fn applied(&self, node: u16) -> Slot {
        self.node(node).applied()
    }

    /// Whether every live node has joined, follows the same live leader, and has applied the same.
    pub(crate) fn is_calm(&self) -> bool {
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

    /// Everything that decides a node's behaviour, in a form that can be compared.
    pub(crate) fn state(&self, node: u16) -> String {
        format!("{:?}", self.node(node))
    }

    pub(crate) fn saw(&self, node: u16, is: impl Fn(&What) -> bool) -> bool {
        self.log.count(node, is) > 0
    }
}

fn pairs(group: &[u16], others: &[u16]) -> Vec<(u16, u16)> {
    let with_others = |from: &u16| {
        let from = *from;
        others.iter().map(move |to| (from, *to))
    };
    group.iter().flat_map(with_others).collect()
}

/// Whether a message is of a kind.
pub(crate) fn is(letter: &Letter, kind: MessageKind) -> bool {
    letter.message.kind() == kind
}
