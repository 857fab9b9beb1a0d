//! A cluster of three honest nodes whose network, clocks and power follow a byte string.
//!
//! Messages are delayed, duplicated, reordered and lost, and nodes lose power with everything that they had not made
//! durable. Invariants are checked after every step; at the end the faults stop, and the nodes must agree.

use super::choices::Choices;
use std::collections::{BTreeMap, BTreeSet};
use synod::machines::{Kv, KvCommand, KvReply};
use synod::{
    Ballot, ClientId, Config, Durable, Entry, Envelope, Event, Instant, Message, Node, NodeId,
    Outbox, Outcome, Proposal, Record, Reply, RequestKey, RequestNumber, Slot, Tally, Tracer,
    Value, Write, Writer,
};

type Machine = Kv<4>;
type TestProposal = Proposal<KvCommand>;
type TestEnvelope<const PAGE: usize> = Envelope<Machine, PAGE>;

const SIZE: u16 = 3;
const QUORUM: usize = 2;
/// Room for a few steps of the largest of the nodes here.
const ROOM: usize = 48;
/// The greatest number of messages in flight; beyond it the oldest are lost.
const IN_FLIGHT_MAX: usize = 64;
/// The greatest number of steps of a run.
const STEPS_MAX: u32 = 2_000;

/// Runs a cluster as the bytes say; the first byte chooses the size of its nodes.
pub fn run(bytes: &[u8]) {
    live(bytes);
}

/// Does the same as [`run`], and counts the events.
pub fn live(bytes: &[u8]) -> Tally {
    let mut choices = Choices::new(bytes);
    match choices.below(3) {
        0 => World::<4, 2, 2>::new().live(choices),
        1 => World::<2, 2, 1>::new().live(choices),
        _ => World::<4, 2, 1>::new().live(choices),
    }
}

/// An event that a node traced, kept while it may still be forgotten in a power loss.
enum Fact {
    Chosen(Slot, Ballot, TestProposal),
    Applied(Slot, TestProposal, Option<Outcome<KvReply>>, u64),
    Installed(Slot, u64),
}

#[derive(Default)]
struct Facts {
    seen: Vec<Fact>,
    tally: Tally,
}

impl<const PAGE: usize> Tracer<Machine, PAGE> for Facts {
    fn record(&mut self, record: &Record<'_, Machine, PAGE>) {
        self.tally.record(record);
        self.seen.extend(match record.event {
            Event::Chosen {
                slot,
                ballot,
                proposal,
            } => Some(Fact::Chosen(slot, ballot, *proposal)),
            Event::Applied {
                slot,
                proposal,
                outcome,
                chain,
            } => Some(Fact::Applied(slot, *proposal, outcome.copied(), chain)),
            Event::Installed { at, chain } => Some(Fact::Installed(at, chain)),
            _ => None,
        });
    }
}

/// The durable state of a node, as its writes.
#[derive(Default)]
struct Disk {
    promised: Ballot,
    votes: BTreeMap<Slot, (Ballot, TestProposal)>,
    applied: Slot,
}

/// The invariant checks: what was made durable and what was sent, and what must not occur.
#[derive(Default)]
struct InvariantChecks {
    disks: [Disk; 3],
    ballots: BTreeMap<(Slot, Ballot), (TestProposal, BTreeSet<u16>)>,
    chosen: BTreeMap<Slot, (Ballot, TestProposal)>,
    asked: BTreeSet<Vec<u8>>,
    /// The digest and the answer of every applied slot.
    log: BTreeMap<Slot, (u64, Option<Outcome<KvReply>>)>,
    effects: BTreeMap<(ClientId, RequestNumber), Slot>,
    answers: BTreeSet<(u64, u32, String)>,
}

fn encoded(proposal: &TestProposal) -> Vec<u8> {
    let mut buffer = [0; TestProposal::ENCODED_MAX];
    let mut writer = Writer::new(&mut buffer);
    proposal.encode(&mut writer);
    let len = writer.len();
    buffer[..len].to_vec()
}

impl InvariantChecks {
    fn check_write(&mut self, node: u16, write: &Write<KvCommand>) {
        let disk = &mut self.disks[usize::from(node)];
        match write {
            Write::Promised(ballot) => {
                assert!(disk.promised < *ballot, "NODE_{node}: its promise fell");
                disk.promised = *ballot;
            }
            Write::Accepted(entry) => {
                assert!(
                    disk.promised <= entry.ballot,
                    "A2: NODE_{node} accepts {entry:?}"
                );
                disk.promised = entry.ballot;
                let vote = (entry.ballot, entry.proposal);
                disk.votes.insert(entry.slot, vote);
                self.check_vote(node, entry);
            }
            Write::Decided { .. } | Write::Installed(_) => {}
        }
    }

    fn check_vote(&mut self, node: u16, entry: &Entry<KvCommand>) {
        let Entry {
            slot,
            ballot,
            proposal,
        } = *entry;
        let asked = proposal == Proposal::Noop || self.asked.contains(&encoded(&proposal));
        assert!(asked, "no client asked for {proposal:?}");
        let (known, voters) = self
            .ballots
            .entry((slot, ballot))
            .or_insert_with(|| (proposal, BTreeSet::new()));
        assert_eq!(*known, proposal, "L2: {slot:?} under {ballot}");
        voters.insert(node);
        if voters.len() >= QUORUM {
            let (_, first) = *self.chosen.entry(slot).or_insert((ballot, proposal));
            assert_eq!(first, proposal, "{slot:?}: two values were chosen");
            let above = self.ballots.range((slot, ballot)..);
            for ((_, above), (other, _)) in above.take_while(|((of, _), _)| *of == slot) {
                assert_eq!(*other, proposal, "{slot:?}: chosen, and another at {above}");
            }
        }
        if let Some((under, chosen)) = self.chosen.get(&slot) {
            assert!(
                ballot < *under || proposal == *chosen,
                "S4: {slot:?}: {chosen:?} was chosen, and {proposal:?} is accepted under {ballot}"
            );
        }
    }

    fn check_fact(&mut self, node: u16, fact: &Fact) {
        let disk = &mut self.disks[usize::from(node)];
        match fact {
            Fact::Chosen(slot, ballot, proposal) => {
                let voters = self.ballots.get(&(*slot, *ballot));
                assert!(
                    voters
                        .is_some_and(|(value, voters)| value == proposal && voters.len() >= QUORUM),
                    "C1: {slot:?} under {ballot} by {voters:?}"
                );
            }
            Fact::Installed(at, chain) => {
                assert!(
                    disk.applied <= *at,
                    "NODE_{node} went back to {at:?} from {:?}",
                    disk.applied
                );
                disk.applied = *at;
                let known = self.log.get(at).map_or(0, |(chain, _)| *chain);
                assert_eq!(known, *chain, "T3: NODE_{node} installed another log");
            }
            Fact::Applied(slot, proposal, outcome, chain) => {
                assert_eq!(disk.applied.next(), Some(*slot), "R2: NODE_{node}");
                disk.applied = *slot;
                let chosen = self.chosen.get(slot).map(|(_, value)| *value);
                assert_eq!(
                    chosen,
                    Some(*proposal),
                    "NODE_{node} applied what was not chosen"
                );
                let known = self.log.entry(*slot).or_insert((*chain, *outcome));
                assert_eq!(*known, (*chain, *outcome), "{slot:?}: {proposal:?}");
                self.check_effect(*slot, proposal, outcome.as_ref());
            }
        }
    }

    fn check_effect(
        &mut self,
        slot: Slot,
        proposal: &TestProposal,
        outcome: Option<&Outcome<KvReply>>,
    ) {
        let (Some(RequestKey { client, number }), Some(outcome)) = (proposal.key(), outcome) else {
            return;
        };
        self.answers
            .insert((client.0, number.0, format!("{outcome:?}")));
        if let Outcome::Applied { slot: effect, .. } = *outcome {
            let first = *self.effects.entry((client, number)).or_insert(effect);
            assert_eq!(
                first, effect,
                "X1: {proposal:?} took effect twice, in {slot:?} again"
            );
        }
    }

    fn check_message<const PAGE: usize>(&self, node: u16, message: &Message<Machine, PAGE>) {
        let disk = &self.disks[usize::from(node)];
        match message {
            Message::Promise {
                ballot,
                promised,
                from,
                low_water,
                last,
                entries,
            } if ballot == promised && *promised == disk.promised => {
                assert!(*low_water <= disk.applied, "T1: NODE_{node}");
                let start = (*from).max(low_water.next().unwrap());
                let votes = disk.votes.range(start..);
                let known = votes.map(|(slot, (ballot, proposal))| Entry {
                    slot: *slot,
                    ballot: *ballot,
                    proposal: *proposal,
                });
                let known: Vec<_> = known.collect();
                assert!(known.starts_with(entries), "NODE_{node}: {entries:?}");
                assert!(!last || known.len() == entries.len(), "NODE_{node}");
            }
            Message::Promise { promised, .. } => {
                assert!(*promised <= disk.promised, "NODE_{node} says unwritten");
            }
            Message::Accepted {
                ballot,
                promised,
                first,
                count,
                low_water,
            } => {
                assert!(*promised <= disk.promised, "NODE_{node} says unwritten");
                assert!(*low_water <= disk.applied, "T1: NODE_{node}");
                for offset in 0..u64::from(*count) {
                    let key = (first.checked_add(offset).unwrap(), *ballot);
                    let voted = self.ballots.get(&key);
                    assert!(
                        voted.is_some_and(|(_, voters)| voters.contains(&node)),
                        "D1: NODE_{node} has not written {key:?}"
                    );
                }
            }
            Message::Decision { decided, .. }
            | Message::Heartbeat { decided, .. }
            | Message::Accept { decided, .. } => {
                assert!(*decided <= disk.applied, "C3: NODE_{node}");
            }
            _ => {}
        }
    }

    fn check_reply(&self, reply: &Reply<KvReply>) {
        let RequestKey { client, number } = reply.key;
        let known = (client.0, number.0, format!("{:?}", reply.outcome));
        let by_the_log = self.answers.contains(&known);
        // An answer from the session table, without a slot.
        let by_the_table = matches!(
            reply.outcome,
            Outcome::Evicted | Outcome::Stale | Outcome::Reused
        );
        assert!(by_the_log || by_the_table, "the log does not say {reply:?}");
    }
}

/// A node with its pending output.
struct Place<const WINDOW: usize, const CLIENTS: usize, const PAGE: usize> {
    node: Node<Machine, WINDOW, CLIENTS, PAGE>,
    outbox: Outbox<Machine, PAGE, ROOM>,
    facts: Facts,
    now: Instant,
    durable: Option<Durable<Machine, WINDOW, CLIENTS>>,
    incarnation: u32,
}

struct World<const WINDOW: usize, const CLIENTS: usize, const PAGE: usize> {
    places: Vec<Place<WINDOW, CLIENTS, PAGE>>,
    bag: Vec<TestEnvelope<PAGE>>,
    referee: InvariantChecks,
    clients: BTreeSet<u64>,
    value: i64,
    tally: Tally,
}

impl<const WINDOW: usize, const CLIENTS: usize, const PAGE: usize> World<WINDOW, CLIENTS, PAGE> {
    fn new() -> Self {
        let place = |number| Place {
            node: Self::start(number, Instant::ZERO),
            outbox: Outbox::new(),
            facts: Facts::default(),
            now: Instant::ZERO,
            durable: None,
            incarnation: 0,
        };
        Self {
            places: (0..SIZE).map(place).collect(),
            bag: Vec::new(),
            referee: InvariantChecks::default(),
            clients: BTreeSet::new(),
            value: 0,
            tally: Tally::new(),
        }
    }

    fn start(number: u16, now: Instant) -> Node<Machine, WINDOW, CLIENTS, PAGE> {
        let config = Config::new(NodeId(number), SIZE);
        let node = if number == 0 {
            Node::found(config, 1, now)
        } else {
            Node::join(config, 1, now)
        };
        node.unwrap()
    }

    fn live(mut self, mut choices: Choices<'_>) -> Tally {
        if choices.chance(192) {
            assert!(self.quiesce(), "no start");
        }
        let mut steps = 0;
        while !choices.is_empty() && steps < STEPS_MAX {
            steps += 1;
            match choices.byte() {
                0..=99 => self.deliver(0),
                100..=149 => {
                    let index = choices.below(64);
                    self.deliver(usize::from(index));
                }
                150..=165 => self.lose(choices.below(64)),
                166..=181 => self.repeat(choices.below(64)),
                182..=213 => self.tick(choices.below(SIZE)),
                214..=237 => self.ask(&mut choices),
                238..=245 => self.flush(choices.below(SIZE)),
                246..=249 => self.lose_power(&mut choices),
                250..=253 => self.isolate(&mut choices),
                254..=255 => {
                    for _ in 0..choices.byte() / 8 {
                        self.deliver(0);
                    }
                }
            }
        }
        assert!(
            self.quiesce(),
            "no agreement in the end\n{}",
            self.describe_nodes()
        );
        self.tally
    }

    fn act(
        &mut self,
        number: u16,
        step: impl FnOnce(
            Instant,
            &mut Node<Machine, WINDOW, CLIENTS, PAGE>,
            &mut Outbox<Machine, PAGE, ROOM>,
            &mut Facts,
        ),
    ) {
        let place = &mut self.places[usize::from(number)];
        let least = Node::<Machine, WINDOW, CLIENTS, PAGE>::OUTBOX_MIN;
        if place.outbox.peak() + least > ROOM {
            self.flush(number);
        }
        let place = &mut self.places[usize::from(number)];
        step(
            place.now,
            &mut place.node,
            &mut place.outbox,
            &mut place.facts,
        );
        let node = &place.node;
        assert!(node.halted().is_none(), "{:?}", node.halted());
    }

    /// Makes the node's writes durable, and only then sends its messages.
    fn flush(&mut self, number: u16) {
        let place = &mut self.places[usize::from(number)];
        let outbox = core::mem::take(&mut place.outbox);
        let facts = core::mem::take(&mut place.facts);
        place.durable = place.node.durable();
        for write in &outbox.writes {
            self.referee.check_write(number, write);
        }
        self.tally += &facts.tally;
        for fact in &facts.seen {
            self.referee.check_fact(number, fact);
        }
        let disk = &self.referee.disks[usize::from(number)];
        assert_eq!(disk.promised, place.node.promised());
        assert_eq!(disk.applied, place.node.applied());
        for outgoing in &outbox.messages {
            self.referee.check_message(number, &outgoing.message);
            let envelopes = outgoing
                .to
                .iter()
                .map(|to| place.node.envelope(to, outgoing));
            self.bag.extend(envelopes);
        }
        let extra = self.bag.len().saturating_sub(IN_FLIGHT_MAX);
        self.bag.drain(..extra);
        for reply in &outbox.replies {
            self.referee.check_reply(reply);
            if let Outcome::Registered { client } = reply.outcome {
                self.clients.insert(client.0);
            }
        }
    }

    fn hand_over(&mut self, letter: &TestEnvelope<PAGE>) {
        let to = letter.to.0;
        self.act(to, |now, node, outbox, facts| {
            node.handle_message(now, letter, outbox, facts);
        });
        self.flush(to);
    }

    fn deliver(&mut self, index: usize) {
        if !self.bag.is_empty() {
            let letter = self.bag.remove(index % self.bag.len());
            self.hand_over(&letter);
        }
    }

    fn lose(&mut self, index: u16) {
        if !self.bag.is_empty() {
            self.bag.remove(usize::from(index) % self.bag.len());
        }
    }

    fn repeat(&mut self, index: u16) {
        if !self.bag.is_empty() {
            let letter = self.bag[usize::from(index) % self.bag.len()].clone();
            self.hand_over(&letter);
        }
    }

    /// Loses every message in flight to and from a node.
    fn isolate(&mut self, choices: &mut Choices<'_>) {
        let node = NodeId(choices.below(SIZE));
        match choices.below(3) {
            0 => self.bag.retain(|letter| letter.to != node),
            1 => self.bag.retain(|letter| letter.from != node),
            _ => self
                .bag
                .retain(|letter| letter.to != node && letter.from != node),
        }
    }

    /// Advances a node's clock to its next deadline. The output stays pending: the node may lose power first.
    fn tick(&mut self, number: u16) {
        let place = &mut self.places[usize::from(number)];
        if let Some(deadline) = place.node.next_deadline() {
            place.now = place.now.max(deadline);
            self.act(number, |now, node, outbox, facts| {
                node.handle_timeout(now, outbox, facts);
            });
        }
    }

    fn ask(&mut self, choices: &mut Choices<'_>) {
        let node = choices.below(SIZE);
        let known: Vec<u64> = self.clients.iter().copied().collect();
        let proposal = if known.is_empty() || choices.chance(40) {
            Proposal::Register {
                nonce: 1 << 40 | u64::from(choices.below(8)),
            }
        } else {
            let client = ClientId(known[choices.index(known.len())]);
            let number = RequestNumber(1 + u32::from(choices.below(12)));
            self.value += 1;
            let command = match choices.command() {
                KvCommand::Set(key, _) => KvCommand::Set(key, self.value),
                get @ KvCommand::Get(_) => get,
            };
            Proposal::Request {
                client,
                number,
                command,
            }
        };
        self.referee.asked.insert(encoded(&proposal));
        self.act(node, |now, node, outbox, facts| {
            // A request without room is lost, as requests may be.
            let _ = node.ask(now, proposal, outbox, facts);
        });
    }

    /// A node loses power and its pending output, and restarts from its durable state.
    fn lose_power(&mut self, choices: &mut Choices<'_>) {
        let number = choices.below(SIZE);
        let place = &mut self.places[usize::from(number)];
        place.outbox = Outbox::new();
        place.facts = Facts::default();
        place.incarnation += 1;
        place.now = Instant::from_micros(u64::from(choices.byte()) * 10_000);
        let Some(durable) = place.durable.clone() else {
            place.node = Self::start(number, place.now);
            return;
        };
        let config = Config::new(NodeId(number), SIZE);
        let node = Node::recover(config, durable, 1, place.incarnation, place.now);
        place.node = node.unwrap();
        let disk = &self.referee.disks[usize::from(number)];
        let low_water = place.node.low_water();
        let votes = disk.votes.iter().filter(|(slot, _)| **slot > low_water);
        let votes: Vec<_> = votes.map(|(slot, vote)| (*slot, *vote)).collect();
        let kept = place.node.votes();
        let kept: Vec<_> = kept
            .map(|entry| (entry.slot, (entry.ballot, entry.proposal)))
            .collect();
        assert_eq!(
            (place.node.promised(), kept),
            (disk.promised, votes),
            "NODE_{number} forgot"
        );
    }

    fn is_settled(&self) -> bool {
        let reign = self.places.iter().filter_map(|place| place.node.leading());
        let Some(leader) = reign.max().map(Ballot::leader) else {
            return false;
        };
        let applied = self.places[usize::from(leader.0)].node.applied();
        self.places.iter().all(|Place { node, .. }| {
            node.is_active() && node.leader_hint() == Some(leader) && node.applied() == applied
        })
    }

    /// Stops all faults: every message is delivered from now on, and the node with the earliest deadline is the next
    /// to act.
    fn quiesce(&mut self) -> bool {
        for number in 0..SIZE {
            self.flush(number);
        }
        for _ in 0..600 {
            let mut budget = 5_000;
            while !self.bag.is_empty() {
                self.deliver(0);
                budget -= 1;
                assert!(budget > 0, "the nodes do not stop talking");
            }
            if self.is_settled() {
                return true;
            }
            let waits = |(number, place): (u16, &Place<WINDOW, CLIENTS, PAGE>)| {
                Some((place.node.next_deadline()?.since(place.now), number))
            };
            let Some((span, number)) = (0..).zip(&self.places).filter_map(waits).min() else {
                return false;
            };
            for place in &mut self.places {
                place.now = place.now + span;
            }
            self.tick(number);
            self.flush(number);
        }
        false
    }

    fn describe_nodes(&self) -> String {
        let nodes = self.places.iter();
        let lines: Vec<String> = nodes.map(|place| format!("{:?}", place.node)).collect();
        lines.join("\n")
    }
}
