//! A random walk: the nodes, the messages between them, and the steps.
//!
//! A walk drives its nodes as a careless driver may: it delivers messages in any order and again,
//! lets output of several steps gather, advances clocks independently of each other, and cuts the
//! power between and during writes. What it must not do is what no driver may do: it sends nothing
//! before the writes under it are durable, except for what the node says may leave early.

use super::check::{Check, Violation};
use super::checker::Checker;
use super::clients::Clients;
use super::facts::Facts;
use super::network_conditions::{NetworkConditions, WalkParameters};
use super::operator::Operator;
use super::random_source::RandomSource;
use super::{Asked, Conditions, Machine, Power};
use crate::power_cut::PowerCutStorage;
use synod::machines::{KvCommand, KvReply};
use synod::storage::Journal;
use synod::{
    Envelope, Instant, Node, Outbox, Outcome, Reply, RequestKey, RequestNumber, Tally, Write,
};

/// Capacity of an outbox, for a few steps of the largest node. A driver may gather steps before it
/// empties the outbox.
const ROOM: usize = 64;
/// Greatest number of messages in flight; beyond that some are lost. The order and the repetition
/// of messages need a few of them; more only take time.
const IN_FLIGHT_MAX: usize = 250;
/// Greatest number of old messages that are kept to be repeated. A random one makes room for a new
/// one, so that some are very old.
const PAST_MAX: usize = 600;

/// Outbox of a node.
type Room<const PAGE: usize> = Outbox<Machine, PAGE, ROOM>;

/// A node with its environment.
///
/// A node is in one of three states: never started (neither node nor storage), running (node and
/// journal), or without power (storage alone).
pub(super) struct Member<const WINDOW: usize, const CLIENTS: usize, const PAGE: usize> {
    /// The node, unless it has no power.
    pub(super) node: Option<Node<Machine, WINDOW, CLIENTS, PAGE>>,
    /// Its pending output, of one or several steps.
    pub(super) outbox: Room<PAGE>,
    /// Its clock. Clocks differ, and only advance by ticks.
    pub(super) clock: Instant,
    /// Whether it has stopped for good. Its state is then left alone.
    pub(super) stopped: bool,
    /// Journal of the running node.
    pub(super) journal: Option<Journal<PowerCutStorage>>,
    /// Storage of a node without power.
    pub(super) storage: Option<PowerCutStorage>,
    /// Number of storage operations after which power fails, during the next write. Set by a crash
    /// that waits for such a write.
    pub(super) cut: Option<u32>,
    /// Writes during which power failed. Some of them may have become durable, which the checker
    /// finds out when the node is back.
    pub(super) torn: Vec<Write<KvCommand>>,
}

/// State of a walk.
pub(super) struct Walk<'a, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize> {
    pub(super) conditions: &'a Conditions,
    /// Seed of the walk, which is also that of its nodes.
    pub(super) seed: u64,
    /// Number of founding members, 2 to 5.
    pub(super) founders: u16,
    /// Number of all nodes. Those after the founding members join as learners.
    pub(super) size: u16,
    /// All random choices except those about losses of power.
    pub(super) random: RandomSource,
    /// Nodes by number.
    pub(super) members: Vec<Member<WINDOW, CLIENTS, PAGE>>,
    /// Messages that were sent and may arrive, in the order of sending.
    pub(super) in_flight: Vec<Envelope<Machine, PAGE>>,
    /// Messages sent earlier, which may be repeated, including those that were lost.
    pub(super) past: Vec<Envelope<Machine, PAGE>>,
    pub(super) checker: Checker,
    pub(super) clients: Clients,
    pub(super) operator: Operator,
    pub(super) parameters: WalkParameters,
    pub(super) network: NetworkConditions,
    /// Answers to clients so far, in order.
    pub(super) replies: Vec<Reply<KvReply>>,
    /// Whether all faults are suspended, so that the cluster must come to rest.
    pub(super) healing: bool,
    /// Number of steps of all nodes.
    pub(super) steps: u64,
    /// Losses of power, and checkpoints.
    pub(super) power: Power,
    /// Random choices about losses of power.
    pub(super) power_random: RandomSource,
    /// Number of reads without a slot of the log that were answered with the state of a node, before all faults ended.
    pub(super) reads: u64,
    /// Number of decisions learnt from other replicas.
    pub(super) learnt: u64,
    /// Capacity of each storage, in checkpoints.
    pub(super) room: u64,
    /// Facts of the current step, and the tally.
    facts: Facts,
}

impl<'a, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Walk<'a, WINDOW, CLIENTS, PAGE>
{
    /// Returns a walk before its first step, with everything drawn that it draws once.
    pub(super) fn new(seed: u64, conditions: &'a Conditions) -> Self {
        let mut random = RandomSource::new(seed);
        let founders = random.one(&[3, 5, 3, 5, 4, 2, 3, 5]).unwrap_or(3);
        let parameters = WalkParameters::draw(&mut random, CLIENTS);
        // A separate source, so that walks without losses of power do not depend on these draws.
        let mut power_random = RandomSource::new(!seed);
        // Half of the walks have storage of the smallest size, in which checkpoints are not paged.
        let room = power_random.one(&[4, 4, 6, 6]).unwrap_or(4);
        let operator = Operator::draw(seed);
        let size = founders + operator.newcomers;
        let member = |_| Member {
            node: None,
            outbox: Outbox::new(),
            clock: Instant::ZERO,
            stopped: false,
            journal: None,
            storage: None,
            cut: None,
            torn: Vec::new(),
        };
        Self {
            conditions,
            seed,
            founders,
            size,
            random,
            members: (0..size).map(member).collect(),
            in_flight: Vec::new(),
            past: Vec::new(),
            checker: Checker::new(conditions.checks, (size, founders), CLIENTS),
            clients: Clients::new(),
            operator,
            parameters,
            network: NetworkConditions::calm(),
            replies: Vec::new(),
            healing: false,
            steps: 0,
            power: Power::default(),
            power_random,
            reads: 0,
            learnt: 0,
            room,
            facts: Facts::default(),
        }
    }

    /// Returns the number of answers to clients and to the operator, without those to reads.
    pub(super) fn answered(&self) -> u64 {
        let is_read = |reply: &&Reply<KvReply>| reply.key.number == RequestNumber::READ;
        let answered = self.replies.iter().filter(|reply| !is_read(reply));
        u64::try_from(answered.count()).unwrap_or(u64::MAX)
    }

    /// Returns the number of times that a node has heard that its epoch had ended.
    pub(super) fn superseded(&self) -> u64 {
        self.facts.superseded
    }

    /// Returns the counts of all events.
    pub(super) fn into_tally(self) -> Tally {
        self.facts.tally
    }

    /// Performs the whole walk, from the founding to the liveness check at the end.
    pub(super) fn run(&mut self) -> Result<(), Violation> {
        self.start(0)?;
        // In some walks, nodes that a quorum can do without start later, and must catch up.
        // Late ones find a log that has grown, and mostly join by a snapshot.
        let late = self.random.percent(30);
        for number in 1..self.founders {
            if !late || number < self.founders / 2 + 1 {
                self.start(number)?;
            }
        }
        // Half of the newcomers ask to join while the cluster is being founded.
        for number in self.founders..self.size {
            if self.operator.random.percent(50) {
                self.start(number)?;
            }
        }
        if self.parameters.rests_first {
            let at_rest = self.eventually(500, Self::is_at_rest)?;
            self.expect(at_rest, "the cluster is not founded")?;
        }
        // The faults of a walk last for these steps.
        // From 300 to 1,799 steps: enough for several leaders, and short enough for thousands of
        // walks.
        for _ in 0..300 + self.random.below(1_500) {
            self.step()?;
        }
        // All faults end: every node gets its power back, or starts for the first time.
        for number in 0..self.size {
            self.recover(number)?;
            self.start(number)?;
            if let Some(member) = self.member(number) {
                member.cut = None;
            }
        }
        self.switch_off_forgotten();
        self.name_others_to_ask()?;
        self.comes_to_rest()?;
        let served = self.is_served()?;
        self.expect(served, "a client is not served")
    }

    /// Checks a condition of liveness. The violation contains the state of all nodes, as a lack of
    /// progress has no single cause to point at.
    pub(super) fn expect(&self, holds: bool, what: &str) -> Result<(), Violation> {
        let checks = self.conditions.checks;
        checks.ensure(Check::Liveness, holds, || {
            let line = |number| format!("\n{:?}", self.node(number));
            let nodes: String = self.live().into_iter().map(line).collect();
            format!("{what}{nodes}")
        })
    }

    /// Returns the running nodes.
    pub(super) fn live(&self) -> Vec<u16> {
        let runs = |number: &u16| self.node(*number).is_some();
        (0..self.size).filter(runs).collect()
    }

    /// Draws a running node; `None` if there is none.
    pub(super) fn any_live(&mut self) -> Option<u16> {
        let live = self.live();
        self.random.one(&live)
    }

    /// Returns a node with its environment, running or not.
    pub(super) fn member(&mut self, number: u16) -> Option<&mut Member<WINDOW, CLIENTS, PAGE>> {
        self.members.get_mut(usize::from(number))
    }

    /// Returns a node if it is running.
    pub(super) fn node(&self, number: u16) -> Option<&Node<Machine, WINDOW, CLIENTS, PAGE>> {
        let member = self.members.get(usize::from(number))?;
        member.node.as_ref().filter(|_| !member.stopped)
    }

    /// Performs a step of a node, and checks it.
    ///
    /// The checker sees writes when they are handed out, and messages when they are sent: see
    /// [`Walk::flush`].
    pub(super) fn act(
        &mut self,
        number: u16,
        step: impl FnOnce(
            Instant,
            &mut Node<Machine, WINDOW, CLIENTS, PAGE>,
            &mut Room<PAGE>,
            &mut Facts,
        ),
    ) -> Result<(), Violation> {
        let Some(member) = self.members.get_mut(usize::from(number)) else {
            return Ok(());
        };
        let Some(node) = member.node.as_mut().filter(|_| !member.stopped) else {
            return Ok(());
        };
        self.steps += 1;
        let (facts, checker, outbox) = (&mut self.facts, &mut self.checker, &mut member.outbox);
        // The facts of this step alone are checked below, and the tally goes on.
        facts.seen.clear();
        // The outbox may hold the output of earlier steps, which was checked then.
        let (writes, messages) = (outbox.writes.len(), outbox.messages.len());
        let (replies, before) = (outbox.replies.len(), node.epoch());
        step(member.clock, node, outbox, facts);
        let said = outbox.messages.len().saturating_sub(messages);
        let wrote = outbox.writes.len().saturating_sub(writes);
        // The bound that drivers rely on when they leave room for the next step.
        let least = Node::<Machine, WINDOW, CLIENTS, PAGE>::OUTBOX_MIN;
        let checks = self.conditions.checks;
        checks.ensure(Check::Bounds, said.max(wrote) <= least, || {
            format!("NODE_{number} said {said} and wrote {wrote} in a step, of {least}")
        })?;
        // Writes before facts and messages, since both rest on them.
        for write in outbox.writes.iter().skip(writes) {
            checker.see_write((number, node.epoch()), write)?;
        }
        for fact in &facts.seen {
            checker.see_fact(fact)?;
        }
        checker.see_node(node)?;
        for outgoing in outbox.messages.iter().skip(messages) {
            // A promise is checked now: when it leaves, the node may have accepted more.
            checker.see_promise(number, &outgoing.message)?;
            checker.see_spoken(node, before, &outgoing.message)?;
        }
        for reply in outbox.replies.iter().skip(replies) {
            // A driver looks into the state before it passes anything else to the node.
            let state = node.applied();
            checker.ledger.see_readable(number, reply, state)?;
        }
        // Without room for another step, a driver has to empty the outbox.
        let full = ROOM - outbox.peak() < least;
        if full || self.healing || !self.random.percent(self.parameters.gather) {
            self.flush(number)?;
        }
        Ok(())
    }

    /// Makes the pending writes of a node durable, and sends its messages. Messages leave only
    /// after the writes before them are durable, and not at all if power fails first.
    pub(super) fn flush(&mut self, number: u16) -> Result<(), Violation> {
        let Some(member) = self.members.get_mut(usize::from(number)) else {
            return Ok(());
        };
        debug_assert_eq!(
            member.node.is_some(),
            member.journal.is_some(),
            "a node has a journal as long as it has power"
        );
        if !self.healing && member.cut.is_some() && !member.outbox.writes.is_empty() {
            let cut = member.cut;
            self.lose_power(number, cut);
            return Ok(());
        }
        // Taken out, so that what the flush does to the walk cannot touch it.
        let outbox = core::mem::take(&mut member.outbox);
        let (Some(node), Some(journal)) = (&mut member.node, &mut member.journal) else {
            return Ok(());
        };
        let checkpoints = journal.checkpoints();
        let written = journal.write(member.clock, node, &outbox.writes);
        let kept = written.and_then(|()| journal.sync());
        let learnt = |write: &&Write<KvCommand>| matches!(write, Write::Decided { .. });
        let learnt = outbox.writes.iter().filter(learnt).count();
        self.learnt += u64::try_from(learnt).unwrap_or(u64::MAX);
        // Every checkpoint that is completed, whichever write it was completed by.
        self.power.checkpoints += u64::from(journal.checkpoints() > checkpoints);
        self.conditions
            .checks
            .ensure(Check::Storage, kept.is_ok(), || {
                format!("NODE_{number} cannot write, and its storage is in order: {kept:?}")
            })?;
        let node = &*node;
        self.checker.see_kept(number, &outbox.writes)?;
        for outgoing in &outbox.messages {
            self.checker.see_message(number, &outgoing.message)?;
            for envelope in outgoing.to.iter().map(|to| node.envelope(to, outgoing)) {
                if self.parameters.again > 0 && !self.healing {
                    debug_assert!(self.past.len() <= PAST_MAX, "each new one replaces another");
                    if self.past.len() == PAST_MAX {
                        self.past.swap_remove(self.random.index(PAST_MAX));
                    }
                    self.past.push(envelope.clone());
                }
                self.in_flight.push(envelope);
            }
        }
        for reply in &outbox.replies {
            self.checker.ledger.see_reply(number, reply)?;
            self.clients.see_reply(reply);
            // A read by which liveness is checked says nothing about the walk.
            let is_read = matches!(reply.outcome, Outcome::Readable { .. });
            self.reads += u64::from(is_read && !self.healing);
            self.replies.push(*reply);
        }
        // Surplus messages are lost at random.
        while !self.healing && self.in_flight.len() > IN_FLIGHT_MAX {
            self.in_flight.remove(self.random.index(IN_FLIGHT_MAX));
        }
        Ok(())
    }

    /// Advances the clock of a node to its next deadline. Nothing could happen before it.
    pub(super) fn tick(&mut self, number: u16) -> Result<(), Violation> {
        let Some(deadline) = self.node(number).and_then(Node::next_deadline) else {
            return Ok(());
        };
        if let Some(member) = self.member(number) {
            member.clock = member.clock.max(deadline);
        }
        self.act(number, |now, node, outbox, facts| {
            node.handle_timeout(now, outbox, facts);
        })
    }

    /// Delivers a message. It is lost if the node has no power.
    pub(super) fn deliver(&mut self, envelope: &Envelope<Machine, PAGE>) -> Result<(), Violation> {
        self.act(envelope.to.0, |now, node, outbox, facts| {
            node.handle_message(now, envelope, outbox, facts);
        })
    }

    /// Makes a request of a client at a node.
    pub(super) fn ask(&mut self, number: u16, proposal: Asked) -> Result<(), Violation> {
        self.checker.see_asked(&proposal);
        self.act(number, |now, node, outbox, facts| {
            // A request that finds no room is repeated later.
            let _ = node.ask(now, proposal, outbox, facts);
        })
    }

    /// Lets a client read the state of a node without a slot of the log. Returns the key of the answer; `None` if the node
    /// refuses to read.
    pub(super) fn read(&mut self, number: u16) -> Result<Option<RequestKey>, Violation> {
        let nonce = self.checker.ledger.ask_read(number);
        let mut is_refused = false;
        self.act(number, |now, node, outbox, facts| {
            is_refused = node.read(now, nonce, outbox, facts).is_err();
        })?;
        if is_refused {
            self.checker.ledger.refuse_read(nonce);
            return Ok(None);
        }
        Ok(Some(RequestKey::read(nonce)))
    }
}
