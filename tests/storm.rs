//! Random walks: real nodes in weather that no script would think of.
//!
//! A walk draws from its seed how large the cluster is, what may happen, and how likely that is. Each step delivers,
//! repeats or loses any message that was ever sent, lets one node's clock run to its next deadline, or lets a client ask
//! something; the weather keeps some kinds of messages or some links back for long and releases them late. After every
//! step a [`Judge`], who knows only what was written, said and traced, looks for a broken rule. At the end the network
//! heals, and everything that was asked must be answered.

use std::collections::{BTreeMap, BTreeSet};
use synod::machines::{Key, Kv, KvCommand, KvReply};
use synod::{
    Ballot, ClientId, Config, Entry, Envelope, Event, Instant, Message, MessageKind, Node, NodeId,
    Outbox, Outcome, Proposal, Record, Reply, RequestKey, RequestNumber, Role, Slot, Tally, Tracer,
    Write,
};

const KEYS: usize = 4;
/// Room for a few steps of the largest of the nodes that walk here.
const ROOM: usize = 64;
/// How many messages are under way at most; beyond that some are lost.
const BAG_MAX: usize = 250;
/// How many messages of the past are kept, to come once more.
const PAST_MAX: usize = 600;

/// The kinds of messages by which a node catches up.
const CATCHING_UP: u32 = 1 << MessageKind::Join.index()
    | 1 << MessageKind::Welcome.index()
    | 1 << MessageKind::Learn.index()
    | 1 << MessageKind::Decisions.index();

type Machine = Kv<KEYS>;
type Asked = Proposal<KvCommand>;

/// A stream of numbers that follows from a seed: Steele, Lea and Flood's `SplitMix`.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 16) % bound
    }

    fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(u64::try_from(len).unwrap())).unwrap()
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn number(&mut self, bound: u16) -> u16 {
        u16::try_from(self.below(u64::from(bound))).unwrap()
    }

    /// One of a few weights, by its place.
    fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut drawn = self.below(weights.iter().sum());
        weights
            .iter()
            .position(|weight| {
                let here = drawn < *weight;
                drawn = drawn.saturating_sub(*weight);
                here
            })
            .unwrap()
    }
}

/// The facts of one step that the judge wants to see.
#[derive(Default)]
struct Facts {
    seen: Vec<Fact>,
    tally: Tally,
}

enum Fact {
    Chosen {
        slot: Slot,
        ballot: Ballot,
        proposal: Asked,
    },
    Applied {
        slot: Slot,
        proposal: Asked,
        outcome: Option<Outcome<KvReply>>,
        chain: u64,
    },
}

impl<const PAGE: usize> Tracer<Machine, PAGE> for Facts {
    fn record(&mut self, record: &Record<'_, Machine, PAGE>) {
        self.tally.record(record);
        match record.event {
            Event::Chosen {
                slot,
                ballot,
                proposal,
            } => self.seen.push(Fact::Chosen {
                slot,
                ballot,
                proposal: *proposal,
            }),
            Event::Applied {
                slot,
                proposal,
                outcome,
                chain,
            } => self.seen.push(Fact::Applied {
                slot,
                proposal: *proposal,
                outcome: outcome.copied(),
                chain,
            }),
            _ => {}
        }
    }
}

/// A session as the judge keeps it, apart from how the nodes do.
struct Session {
    client: ClientId,
    nonce: u64,
    used: u64,
    number: RequestNumber,
}

/// What an acceptor has written: its promise, and its last vote for each slot.
#[derive(Default)]
struct Memory {
    promised: Ballot,
    votes: BTreeMap<Slot, (Ballot, Asked)>,
}

/// The machine's contents and the log's digest up to a slot.
struct Prefix {
    chain: u64,
    contents: BTreeMap<Key, i64>,
    outcome: Option<Outcome<KvReply>>,
}

/// Knows what was asked, written, said and traced, and what follows from that.
struct Judge {
    quorum: usize,
    memories: Vec<Memory>,
    /// One value for a ballot and a slot, and who has accepted it.
    ballots: BTreeMap<(Slot, Ballot), (Asked, BTreeSet<u16>)>,
    /// The first ballot under which a quorum has accepted, and what.
    chosen: BTreeMap<Slot, (Ballot, Asked)>,
    /// How far each ballot's leader has said that the log is decided.
    claims: BTreeMap<Ballot, Slot>,
    asked: BTreeSet<Vec<u8>>,
    log: Vec<Asked>,
    prefixes: Vec<Prefix>,
    sessions: Vec<Session>,
    clients: usize,
    effects: BTreeMap<(u64, u32), (Slot, KvReply, Asked)>,
    highest: BTreeMap<u64, u32>,
    evicted: BTreeSet<u64>,
    registered: BTreeMap<u64, Vec<ClientId>>,
    applied: Vec<Slot>,
}

fn bytes(proposal: &Asked) -> Vec<u8> {
    use synod::Value;
    let mut buffer = [0; Asked::ENCODED_MAX];
    let mut writer = synod::Writer::new(&mut buffer);
    proposal.encode(&mut writer);
    let len = writer.len();
    buffer[..len].to_vec()
}

fn place(slot: Slot) -> usize {
    usize::try_from(slot.number()).unwrap()
}

impl Judge {
    fn new(size: u16, clients: usize) -> Self {
        let genesis = Prefix {
            chain: 0,
            contents: BTreeMap::new(),
            outcome: None,
        };
        Self {
            quorum: usize::from(size) / 2 + 1,
            memories: (0..size).map(|_| Memory::default()).collect(),
            ballots: BTreeMap::new(),
            chosen: BTreeMap::new(),
            claims: BTreeMap::new(),
            asked: BTreeSet::from([bytes(&Proposal::Noop)]),
            log: vec![Proposal::Noop],
            prefixes: vec![genesis],
            sessions: Vec::new(),
            clients,
            effects: BTreeMap::new(),
            highest: BTreeMap::new(),
            evicted: BTreeSet::new(),
            registered: BTreeMap::new(),
            applied: vec![Slot::ZERO; usize::from(size)],
        }
    }

    fn see_write(&mut self, node: u16, write: &Write<KvCommand>) {
        let memory = &mut self.memories[usize::from(node)];
        match write {
            Write::Promised(ballot) => {
                assert!(
                    memory.promised < *ballot,
                    "NODE_{node} promised a lower ballot"
                );
                memory.promised = *ballot;
            }
            Write::Accepted(entry) => {
                assert!(
                    memory.promised <= entry.ballot,
                    "NODE_{node} accepted {entry:?} below its promise"
                );
                memory.promised = entry.ballot;
                memory
                    .votes
                    .insert(entry.slot, (entry.ballot, entry.proposal));
                self.see_vote(node, entry);
            }
        }
    }

    fn see_vote(&mut self, node: u16, entry: &Entry<KvCommand>) {
        let Entry {
            slot,
            ballot,
            proposal,
        } = *entry;
        assert!(
            self.asked.contains(&bytes(&proposal)),
            "nobody asked for {proposal:?}"
        );
        let (known, voters) = self
            .ballots
            .entry((slot, ballot))
            .or_insert_with(|| (proposal, BTreeSet::new()));
        assert_eq!(*known, proposal, "two values for {slot:?} under {ballot}");
        voters.insert(node);
        if let Some((chosen_under, chosen)) = self.chosen.get(&slot) {
            assert!(
                ballot <= *chosen_under || *chosen == proposal,
                "{slot:?}: {chosen:?} was chosen under {chosen_under}, NODE_{node} accepts {proposal:?} under {ballot}"
            );
        }
        if voters.len() >= self.quorum {
            let (_, first) = *self.chosen.entry(slot).or_insert((ballot, proposal));
            assert_eq!(first, proposal, "{slot:?}: two values were chosen");
            let later = self.ballots.range((slot, ballot)..);
            for ((_, above), (other, _)) in later.take_while(|((of, _), _)| *of == slot) {
                assert_eq!(
                    *other, proposal,
                    "{slot:?}: chosen under {ballot}, other value under {above}"
                );
            }
        }
        if self.claims.get(&ballot).is_some_and(|told| slot <= *told) {
            assert_eq!(
                self.log.get(place(slot)),
                Some(&proposal),
                "C3: {slot:?} under {ballot}"
            );
        }
    }

    fn see_chosen(&self, slot: Slot, ballot: Ballot, proposal: &Asked) {
        let voters = self
            .ballots
            .get(&(slot, ballot))
            .map(|(_, voters)| voters.len());
        assert!(
            voters.is_some_and(|voters| voters >= self.quorum),
            "{slot:?}: said to be chosen under {ballot} by {voters:?}"
        );
        assert_eq!(
            self.chosen[&slot].1, *proposal,
            "{slot:?}: another value was chosen"
        );
    }

    fn see_applied(
        &mut self,
        slot: Slot,
        proposal: &Asked,
        outcome: Option<Outcome<KvReply>>,
        chain: u64,
    ) {
        let chosen = self.chosen.get(&slot).map(|(_, chosen)| *chosen);
        assert_eq!(
            chosen,
            Some(*proposal),
            "{slot:?} was applied and not chosen"
        );
        if place(slot) == self.log.len() {
            self.log.push(*proposal);
            let prefix = self.play(slot, proposal, chain);
            self.prefixes.push(prefix);
        }
        let prefix = &self.prefixes[place(slot)];
        assert_eq!(
            self.log[place(slot)],
            *proposal,
            "{slot:?}: applied otherwise elsewhere"
        );
        assert_eq!(
            (prefix.chain, prefix.outcome),
            (chain, outcome),
            "{slot:?}: {proposal:?}"
        );
    }

    /// What a slot does, told once more in the simplest words.
    fn play(&mut self, slot: Slot, proposal: &Asked, chain: u64) -> Prefix {
        let mut contents = self.prefixes.last().unwrap().contents.clone();
        let now = slot.number();
        let outcome = match *proposal {
            Proposal::Noop => None,
            Proposal::Register { nonce } => {
                let known = self.sessions.iter().find(|session| session.nonce == nonce);
                let client = if let Some(session) = known {
                    session.client
                } else {
                    if self.sessions.len() == self.clients {
                        let oldest = self.sessions.iter().map(|session| session.used).min();
                        let (gone, kept) = core::mem::take(&mut self.sessions)
                            .into_iter()
                            .partition(|session| Some(session.used) == oldest);
                        let gone: Vec<Session> = gone;
                        self.sessions = kept;
                        self.evicted
                            .extend(gone.iter().map(|session| session.client.0));
                    }
                    let client = ClientId(now);
                    self.sessions.push(Session {
                        client,
                        nonce,
                        used: now,
                        number: RequestNumber(0),
                    });
                    client
                };
                self.registered.entry(nonce).or_default().push(client);
                Some(Outcome::Registered { client })
            }
            Proposal::Request {
                client,
                number,
                command,
            } => Some(self.request(slot, proposal, client, number, command, &mut contents)),
        };
        Prefix {
            chain,
            contents,
            outcome,
        }
    }

    fn request(
        &mut self,
        slot: Slot,
        proposal: &Asked,
        client: ClientId,
        number: RequestNumber,
        command: KvCommand,
        contents: &mut BTreeMap<Key, i64>,
    ) -> Outcome<KvReply> {
        let mut sessions = self.sessions.iter_mut();
        let Some(session) = sessions.find(|session| session.client == client) else {
            return Outcome::Evicted;
        };
        if number < session.number {
            return Outcome::Stale;
        }
        if number == session.number {
            let (slot, output, known) = self.effects[&(client.0, number.0)];
            return if known == *proposal {
                Outcome::Applied { slot, output }
            } else {
                Outcome::Reused
            };
        }
        session.number = number;
        session.used = slot.number();
        let output = match command {
            KvCommand::Get(key) => contents
                .get(&key)
                .map_or(KvReply::None, |value| KvReply::Value(*value)),
            KvCommand::Set(key, _) if !contents.contains_key(&key) && contents.len() == KEYS => {
                KvReply::Full
            }
            KvCommand::Set(key, value) => {
                contents.insert(key, value);
                KvReply::Value(value)
            }
        };
        let before = self
            .effects
            .insert((client.0, number.0), (slot, output, *proposal));
        assert!(before.is_none(), "{proposal:?} took effect twice");
        self.highest.insert(client.0, number.0);
        Outcome::Applied { slot, output }
    }

    /// An answer must be one that the log gives.
    fn see_reply(&self, reply: &Reply<KvReply>) {
        let RequestKey { client, number } = reply.key;
        let right = match reply.outcome {
            Outcome::Applied { slot, output } => self
                .effects
                .get(&(client.0, number.0))
                .is_some_and(|(at, was, _)| (*at, *was) == (slot, output)),
            Outcome::Registered { client: session } => self
                .registered
                .get(&client.0)
                .is_some_and(|sessions| sessions.contains(&session)),
            Outcome::Stale => self
                .highest
                .get(&client.0)
                .is_some_and(|last| *last > number.0),
            Outcome::Evicted => self.evicted.contains(&client.0),
            Outcome::Reused => self.effects.contains_key(&(client.0, number.0)),
            Outcome::Busy => false,
        };
        assert!(right, "the log does not say {reply:?}");
    }

    fn see_promise(
        &self,
        node: u16,
        (ballot, promised): (Ballot, Ballot),
        (from, low_water): (Slot, Slot),
        last: bool,
        entries: &[Entry<KvCommand>],
    ) {
        let memory = &self.memories[usize::from(node)];
        assert_eq!(
            memory.promised, promised,
            "NODE_{node} says what it has not written"
        );
        assert!(
            low_water <= self.applied[usize::from(node)],
            "NODE_{node} forgot (T1)"
        );
        if promised != ballot {
            return;
        }
        let start = from.max(low_water.next().unwrap());
        let mut votes = memory.votes.range(start..);
        for entry in entries {
            let (slot, (under, proposal)) = votes.next().unwrap();
            assert_eq!(
                (entry.slot, entry.ballot, entry.proposal),
                (*slot, *under, *proposal),
                "NODE_{node} reports another vote"
            );
        }
        assert_eq!(last, votes.next().is_none(), "NODE_{node} leaves votes out");
    }

    fn see_message<const PAGE: usize>(&mut self, node: u16, message: &Message<Machine, PAGE>) {
        match message {
            Message::Accepted {
                ballot,
                promised,
                first,
                count,
                low_water,
            } => {
                let memory = &self.memories[usize::from(node)];
                assert!(
                    *promised <= memory.promised,
                    "NODE_{node} says what it has not written"
                );
                assert!(
                    *low_water <= self.applied[usize::from(node)],
                    "NODE_{node} forgot (T1)"
                );
                for offset in 0..u64::from(*count) {
                    let key = (first.checked_add(offset).unwrap(), *ballot);
                    let voted = self.ballots.get(&key);
                    assert!(
                        voted.is_some_and(|(_, voters)| voters.contains(&node)),
                        "NODE_{node} claims a vote that it has not written"
                    );
                }
            }
            Message::Decision { ballot, decided }
            | Message::Heartbeat { ballot, decided }
            | Message::Accept {
                ballot, decided, ..
            } => self.see_claim(node, *ballot, *decided),
            Message::Decisions {
                first,
                applied,
                proposals,
            } => {
                assert!(*applied <= self.applied[usize::from(node)]);
                for (proposal, known) in proposals.iter().zip(&self.log[place(*first)..]) {
                    assert_eq!(proposal, known, "NODE_{node} tells what was not decided");
                }
            }
            _ => {}
        }
    }

    /// Rule C3: what the leader of a ballot says to be decided is that, and so is every vote under this ballot in it.
    fn see_claim(&mut self, node: u16, ballot: Ballot, decided: Slot) {
        assert!(
            decided <= self.applied[usize::from(node)],
            "NODE_{node} claims too much"
        );
        let told = self.claims.entry(ballot).or_default();
        while *told < decided {
            *told = told.next().unwrap();
            if let Some((vote, voters)) = self.ballots.get(&(*told, ballot)) {
                assert_eq!(
                    self.log[place(*told)],
                    *vote,
                    "C3: NODE_{node} passes {told:?} under {ballot} off as decided to {voters:?}"
                );
            }
        }
    }
}

/// Messages that are kept back: of these kinds, from these nodes, to these nodes.
struct Hold {
    kinds: u32,
    from: u32,
    to: u32,
}

/// In which order the messages come that are not kept back.
#[derive(Clone, Copy)]
enum Order {
    Any,
    Oldest,
    Newest,
}

/// What the network does for a while.
struct Weather {
    lasts: u64,
    holds: Vec<Hold>,
    order: Order,
    loss: u64,
    twice: u64,
    /// Whose clock runs faster than the others'.
    hasty: u16,
    haste: u64,
}

impl Weather {
    fn holds<const PAGE: usize>(&self, letter: &Envelope<Machine, PAGE>) -> bool {
        let kind = bit(letter.message.kind().index());
        let (from, to) = (
            bit(usize::from(letter.from.0)),
            bit(usize::from(letter.to.0)),
        );
        let mut holds = self.holds.iter();
        holds.any(|hold| hold.kinds & kind != 0 && hold.from & from != 0 && hold.to & to != 0)
    }
}

/// What a walk does, and how likely.
struct Habits {
    deliver: u64,
    tick: u64,
    ask: u64,
    start: u64,
    stop: u64,
    change: u64,
    holds: u64,
    loss: u64,
    twice: u64,
    again: u64,
    wonder: u64,
    gather: u64,
    clients: usize,
    calm: bool,
}

struct Client {
    nonce: u64,
    id: Option<ClientId>,
    number: u32,
    last: Option<KvCommand>,
}

struct Storm<const WINDOW: usize, const CLIENTS: usize, const PAGE: usize> {
    seed: u64,
    size: u16,
    dice: Dice,
    nodes: Vec<Option<Node<Machine, WINDOW, CLIENTS, PAGE>>>,
    outboxes: Vec<Outbox<Machine, PAGE, ROOM>>,
    clocks: Vec<Instant>,
    stopped: Vec<bool>,
    bag: Vec<Envelope<Machine, PAGE>>,
    past: Vec<Envelope<Machine, PAGE>>,
    judge: Judge,
    clients: Vec<Client>,
    habits: Habits,
    weather: Weather,
    replies: Vec<Reply<KvReply>>,
    nonce: u64,
    value: i64,
    healing: bool,
    steps: u64,
    facts: Facts,
}

fn bit(index: usize) -> u32 {
    1 << u32::try_from(index).unwrap()
}

impl<const WINDOW: usize, const CLIENTS: usize, const PAGE: usize> Storm<WINDOW, CLIENTS, PAGE> {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let size = [3, 5, 3, 5, 4, 2, 3, 5][dice.index(8)];
        let rarely = |dice: &mut Dice, often: u64, often_as: u64| {
            if dice.percent(often) {
                1 + dice.below(often_as)
            } else {
                0
            }
        };
        let habits = Habits {
            deliver: 100 + dice.below(400),
            tick: 3 + dice.below(150),
            ask: 5 + dice.below(80),
            start: 1 + dice.below(6),
            stop: rarely(&mut dice, 30, 2),
            change: 5 + dice.below(120),
            holds: dice.below(5),
            loss: rarely(&mut dice, 60, 25),
            twice: rarely(&mut dice, 60, 40),
            again: rarely(&mut dice, 60, 15),
            wonder: rarely(&mut dice, 50, 40),
            gather: rarely(&mut dice, 30, 80),
            clients: CLIENTS + dice.index(3),
            calm: dice.percent(60),
        };
        let weather = Weather {
            lasts: 0,
            holds: Vec::new(),
            order: Order::Any,
            loss: 0,
            twice: 0,
            hasty: 0,
            haste: 0,
        };
        Self {
            seed,
            size,
            dice,
            nodes: (0..size).map(|_| None).collect(),
            outboxes: (0..size).map(|_| Outbox::new()).collect(),
            clocks: vec![Instant::ZERO; usize::from(size)],
            stopped: vec![false; usize::from(size)],
            bag: Vec::new(),
            past: Vec::new(),
            judge: Judge::new(size, CLIENTS),
            clients: Vec::new(),
            habits,
            weather,
            replies: Vec::new(),
            nonce: 1 << 40,
            value: 0,
            healing: false,
            steps: 0,
            facts: Facts::default(),
        }
    }

    fn live(&self) -> Vec<u16> {
        let runs = |number: &u16| {
            let index = usize::from(*number);
            !self.stopped[index] && self.nodes[index].is_some()
        };
        (0..self.size).filter(runs).collect()
    }

    fn node(&self, number: u16) -> &Node<Machine, WINDOW, CLIENTS, PAGE> {
        self.nodes[usize::from(number)].as_ref().unwrap()
    }

    fn start(&mut self, number: u16) {
        let index = usize::from(number);
        let config = Config::new(NodeId(number), self.size);
        // Clocks that were never set alike.
        let now = Instant::from_micros(self.dice.below(5_000_000));
        self.clocks[index] = now;
        let node = if number == 0 {
            Node::found(config, self.seed, now)
        } else {
            Node::join(config, self.seed, now)
        };
        self.nodes[index] = Some(node.unwrap());
    }

    /// Lets a node take a step, and judges it.
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
        let index = usize::from(number);
        let Some(node) = self.nodes[index].as_mut().filter(|_| !self.stopped[index]) else {
            return;
        };
        self.steps += 1;
        let facts = &mut self.facts;
        facts.seen.clear();
        let outbox = &mut self.outboxes[index];
        let (writes, messages) = (outbox.writes.len(), outbox.messages.len());
        step(self.clocks[index], node, outbox, facts);
        let said = outbox.messages.len().saturating_sub(messages);
        let least = Node::<Machine, WINDOW, CLIENTS, PAGE>::OUTBOX_MIN;
        assert!(
            said.max(outbox.writes.len() - writes) <= least,
            "more than OUTBOX_MIN"
        );
        for write in &outbox.writes[writes..] {
            self.judge.see_write(number, write);
        }
        for fact in &facts.seen {
            match fact {
                Fact::Chosen {
                    slot,
                    ballot,
                    proposal,
                } => self.judge.see_chosen(*slot, *ballot, proposal),
                Fact::Applied {
                    slot,
                    proposal,
                    outcome,
                    chain,
                } => self.judge.see_applied(*slot, proposal, *outcome, *chain),
            }
        }
        assert!(
            node.halted().is_none(),
            "NODE_{number} halted: {:?}",
            node.halted()
        );
        let memory = &self.judge.memories[index];
        assert_eq!(
            node.promised(),
            memory.promised,
            "NODE_{number} promised and did not write"
        );
        let (before, applied) = (self.judge.applied[index], node.applied());
        assert!(before <= applied, "NODE_{number} went back");
        self.judge.applied[index] = applied;
        let prefix = &self.judge.prefixes[place(applied)];
        assert_eq!(
            node.chain(),
            prefix.chain,
            "NODE_{number} has applied something else"
        );
        assert!(
            node.machine()
                .iter()
                .eq(prefix.contents.iter().map(|(key, value)| (*key, *value))),
            "NODE_{number} has another state at {applied:?}"
        );
        for outgoing in outbox.messages.iter().skip(messages) {
            if let Message::Promise {
                ballot,
                promised,
                from,
                low_water,
                last,
                entries,
            } = &outgoing.message
            {
                let (ballots, slots) = ((*ballot, *promised), (*from, *low_water));
                self.judge
                    .see_promise(number, ballots, slots, *last, entries);
            }
        }
        let full = ROOM - outbox.peak() < least;
        if full || self.healing || !self.dice.percent(self.habits.gather) {
            self.flush(number);
        }
    }

    fn flush(&mut self, number: u16) {
        let index = usize::from(number);
        let outbox = core::mem::take(&mut self.outboxes[index]);
        let node = self.nodes[index].as_ref().unwrap();
        for outgoing in &outbox.messages {
            self.judge.see_message(number, &outgoing.message);
            for letter in outgoing.to.iter().map(|to| node.envelope(to, outgoing)) {
                if self.habits.again > 0 && !self.healing {
                    if self.past.len() == PAST_MAX {
                        let forgotten = self.dice.index(PAST_MAX);
                        self.past.swap_remove(forgotten);
                    }
                    self.past.push(letter.clone());
                }
                self.bag.push(letter);
            }
        }
        for reply in &outbox.replies {
            self.judge.see_reply(reply);
            self.see_session(reply);
            self.replies.push(*reply);
        }
        while !self.healing && self.bag.len() > BAG_MAX {
            let lost = self.dice.index(self.bag.len());
            self.bag.remove(lost);
        }
    }

    /// The client learns its identity, or that it must register anew.
    fn see_session(&mut self, reply: &Reply<KvReply>) {
        for client in &mut self.clients {
            match reply.outcome {
                Outcome::Registered { client: id }
                    if reply.key == RequestKey::registration(client.nonce)
                        && client.id != Some(id) =>
                {
                    (client.id, client.number, client.last) = (Some(id), 0, None);
                }
                Outcome::Evicted if client.id == Some(reply.key.client) => {
                    self.nonce += 1;
                    (client.nonce, client.id) = (self.nonce, None);
                }
                _ => {}
            }
        }
    }

    fn tick(&mut self, number: u16) {
        let index = usize::from(number);
        let Some(deadline) = self.node(number).next_deadline() else {
            return;
        };
        self.clocks[index] = self.clocks[index].max(deadline);
        self.act(number, |now, node, outbox, facts| {
            node.handle_timeout(now, outbox, facts);
        });
    }

    fn deliver(&mut self, letter: &Envelope<Machine, PAGE>) {
        self.act(letter.to.0, |now, node, outbox, facts| {
            node.handle_message(now, letter, outbox, facts);
        });
    }

    fn ask(&mut self, number: u16, proposal: Asked) {
        self.judge.asked.insert(bytes(&proposal));
        self.act(number, |now, node, outbox, facts| {
            // What does not fit now is asked again some day.
            let _ = match proposal {
                Proposal::Noop => Ok(()),
                Proposal::Register { nonce } => node.register(now, nonce, outbox, facts),
                Proposal::Request {
                    client,
                    number,
                    command,
                } => node.request(now, client, number, command, outbox, facts),
            };
        });
    }

    /// A client does something: mostly what it should.
    fn ask_something(&mut self) {
        let live = self.live();
        let node = live[self.dice.index(live.len())];
        if self.clients.len() < self.habits.clients {
            self.nonce += 1;
            self.clients.push(Client {
                nonce: self.nonce,
                id: None,
                number: 0,
                last: None,
            });
        }
        let which = self.dice.index(self.clients.len());
        self.value += 1;
        let key = Key::numbered(u32::from(self.dice.number(6)));
        let command = if self.dice.percent(20) {
            KvCommand::Get(key)
        } else {
            KvCommand::Set(key, self.value)
        };
        let habit = self.dice.below(100);
        let client = &mut self.clients[which];
        let Some(id) = client.id.filter(|_| habit > 0) else {
            let nonce = client.nonce;
            return self.ask(node, Proposal::Register { nonce });
        };
        let (number, command) = match (habit, client.last) {
            // The last once more, perhaps elsewhere.
            (1..30, Some(last)) => (client.number, last),
            // Another command under the same number, or an old number.
            (30..34, Some(_)) => (client.number, command),
            (34..38, Some(_)) if client.number > 1 => (client.number - 1, command),
            _ => {
                client.number += 1;
                client.last = Some(command);
                (client.number, command)
            }
        };
        let number = RequestNumber(number);
        let proposal = Proposal::Request {
            client: id,
            number,
            command,
        };
        self.ask(node, proposal);
    }

    /// The weather changes.
    fn change(&mut self) {
        let dice = &mut self.dice;
        let size = usize::from(self.size);
        let leaders: Vec<usize> = (0..size)
            .filter(|index| {
                self.nodes[*index]
                    .as_ref()
                    .is_some_and(|node| node.leading().is_some())
            })
            .collect();
        let all = bit(size) - 1;
        let one = |dice: &mut Dice| {
            if !leaders.is_empty() && dice.percent(50) {
                leaders[dice.index(leaders.len())]
            } else {
                dice.index(size)
            }
        };
        let count = dice.below(self.habits.holds + 1);
        let mut holds = Vec::new();
        for _ in 0..count {
            let kinds = match dice.below(6) {
                0 => bit(dice.index(16)),
                1 => bit(dice.index(16)) | bit(dice.index(16)) | bit(dice.index(16)),
                // Whatever has a ballot; who is behind still catches up.
                2 | 3 => !CATCHING_UP,
                _ => u32::MAX,
            };
            let group = match dice.below(3) {
                0 => u32::try_from(dice.below(u64::from(all))).unwrap() + 1,
                _ => bit(one(dice)),
            };
            match dice.below(5) {
                0 => holds.push(Hold {
                    kinds,
                    from: group,
                    to: all,
                }),
                1 => holds.push(Hold {
                    kinds,
                    from: all,
                    to: group,
                }),
                2 => holds.push(Hold {
                    kinds,
                    from: group,
                    to: bit(one(dice)),
                }),
                _ => {
                    // A partition, or one that only some kinds cannot cross.
                    let others = all & !group;
                    holds.push(Hold {
                        kinds,
                        from: group,
                        to: others,
                    });
                    holds.push(Hold {
                        kinds,
                        from: others,
                        to: group,
                    });
                }
            }
        }
        let order = match dice.below(4) {
            0 => Order::Oldest,
            1 => Order::Newest,
            _ => Order::Any,
        };
        self.weather = Weather {
            lasts: 1 + dice.below(2 * self.habits.change),
            holds,
            order,
            loss: dice.below(self.habits.loss + 1),
            twice: dice.below(self.habits.twice + 1),
            hasty: dice.number(self.size),
            haste: dice.below(100),
        };
    }

    fn is_held(&self, index: usize) -> bool {
        self.weather.holds(&self.bag[index])
    }

    fn pick(&mut self) -> Option<usize> {
        let len = self.bag.len();
        match self.weather.order {
            _ if len == 0 => None,
            Order::Oldest => (0..len).find(|index| !self.is_held(*index)),
            Order::Newest => (0..len).rev().find(|index| !self.is_held(*index)),
            Order::Any => {
                let start = self.dice.index(len);
                (start..len)
                    .chain(0..start)
                    .find(|index| !self.is_held(*index))
            }
        }
    }

    /// A question for decisions or for a snapshot, as the node may have asked it before it led.
    fn wonder(&mut self) {
        let live = self.live();
        let number = live[self.dice.index(live.len())];
        let to = NodeId(self.dice.number(self.size));
        let node = self.node(number);
        if !node.is_active() || to == node.id() {
            return;
        }
        let (cluster, from) = (node.config().fingerprint(), node.id());
        let next = node.applied().next().unwrap();
        let message = if self.dice.percent(70) {
            Message::Learn { from: next }
        } else {
            Message::Join {
                snapshot: None,
                page: 0,
            }
        };
        self.bag.push(Envelope {
            cluster,
            from,
            to,
            message,
        });
    }

    /// A message that came long ago, or never came, comes once more.
    fn repeat(&mut self) {
        let letter = self.past[self.dice.index(self.past.len())].clone();
        if !self.weather.holds(&letter) {
            self.deliver(&letter);
        }
    }

    fn pass_on(&mut self) {
        if !self.past.is_empty() && self.dice.percent(self.habits.again) {
            return self.repeat();
        }
        let Some(index) = self.pick() else {
            let live = self.live();
            let number = live[self.dice.index(live.len())];
            return self.tick(number);
        };
        if self.dice.percent(self.weather.loss) {
            self.bag.remove(index);
        } else if self.dice.percent(self.weather.twice) {
            let letter = self.bag[index].clone();
            self.deliver(&letter);
        } else {
            let letter = self.bag.remove(index);
            self.deliver(&letter);
        }
    }

    fn step(&mut self) {
        if self.weather.lasts == 0 {
            self.change();
        }
        self.weather.lasts -= 1;
        let Habits {
            deliver,
            tick,
            ask,
            start,
            stop,
            wonder,
            ..
        } = self.habits;
        match self
            .dice
            .weighted(&[deliver, tick, ask, start, stop, wonder])
        {
            0 => self.pass_on(),
            1 => {
                let live = self.live();
                let hasty = self.weather.hasty;
                let number = if live.contains(&hasty) && self.dice.percent(self.weather.haste) {
                    hasty
                } else {
                    live[self.dice.index(live.len())]
                };
                self.tick(number);
            }
            2 => self.ask_something(),
            3 => {
                let dark = (0..self.size).find(|number| self.nodes[usize::from(*number)].is_none());
                if let Some(number) = dark {
                    self.start(number);
                }
            }
            5 => self.wonder(),
            _ => {
                // A quorum of nodes that have joined goes on.
                let gone = self.dice.number(self.size);
                let mut rest = self.live();
                rest.retain(|number| *number != gone && self.node(*number).is_active());
                if rest.len() >= self.judge.quorum && self.nodes[usize::from(gone)].is_some() {
                    self.stopped[usize::from(gone)] = true;
                }
            }
        }
    }

    /// From now on every message arrives, in the order in which they were sent, before any clock moves.
    fn comes_true(&mut self, ticks: u64, is_so: impl Fn(&Self) -> bool) -> bool {
        self.healing = true;
        for number in self.live() {
            self.flush(number);
        }
        for _ in 0..ticks {
            let mut budget = 20_000;
            while !self.bag.is_empty() {
                for letter in core::mem::take(&mut self.bag) {
                    self.deliver(&letter);
                    budget -= 1;
                    assert!(budget > 0, "the nodes do not stop talking");
                }
            }
            if is_so(self) {
                self.healing = false;
                return true;
            }
            let live = self.live();
            let rest = |number: &u16| {
                let deadline = self.node(*number).next_deadline()?;
                Some((deadline.since(self.clocks[usize::from(*number)]), *number))
            };
            let (span, number) = live.iter().filter_map(rest).min().unwrap();
            for number in live {
                self.clocks[usize::from(number)] = self.clocks[usize::from(number)] + span;
            }
            self.act(number, |now, node, outbox, facts| {
                node.handle_timeout(now, outbox, facts);
            });
        }
        self.healing = false;
        false
    }

    fn is_calm(&self) -> bool {
        let live = self.live();
        let reigns = live
            .iter()
            .filter_map(|number| self.node(*number).leading());
        let Some(leader) = reigns.max() else {
            return false;
        };
        let applied = self.node(leader.leader().0).applied();
        live.iter().all(|number| {
            let node = self.node(*number);
            let follows = node.leader_hint() == Some(leader.leader());
            let waits = node.roles().any(|role| role == Role::Requester);
            node.is_active() && follows && node.applied() == applied && !waits
        })
    }

    fn sketch(&self) -> String {
        let line = |number: &u16| format!("{:?}\n", self.node(*number));
        self.live().iter().map(line).collect()
    }

    /// A new client gets a session and an answer.
    fn is_served(&mut self) -> bool {
        let live = self.live();
        let node = live[self.dice.index(live.len())];
        self.nonce += 1;
        let nonce = self.nonce;
        self.ask(node, Proposal::Register { nonce });
        let answer = |storm: &Self, key| {
            let mut replies = storm.replies.iter().rev();
            replies
                .find(|reply: &&Reply<KvReply>| reply.key == key)
                .map(|reply| reply.outcome)
        };
        let key = RequestKey::registration(nonce);
        if !self.comes_true(500, |storm| answer(storm, key).is_some()) {
            return false;
        }
        let Some(Outcome::Registered { client }) = answer(self, key) else {
            return false;
        };
        let number = RequestNumber(1);
        let command = KvCommand::Get(Key::numbered(0));
        self.ask(
            node,
            Proposal::Request {
                client,
                number,
                command,
            },
        );
        let key = RequestKey { client, number };
        self.comes_true(500, |storm| answer(storm, key).is_some())
            && matches!(answer(self, key), Some(Outcome::Applied { .. }))
    }

    fn walk(&mut self) {
        self.start(0);
        let late = self.dice.percent(30);
        for number in 1..self.size {
            if !late || usize::from(number) < self.judge.quorum {
                self.start(number);
            }
        }
        if self.habits.calm {
            assert!(self.comes_true(500, Self::is_calm), "no start");
        }
        for _ in 0..300 + self.dice.below(1_500) {
            self.step();
        }
        for number in 0..self.size {
            if self.nodes[usize::from(number)].is_none() {
                self.start(number);
            }
        }
        assert!(
            self.comes_true(3_000, Self::is_calm),
            "the cluster does not come to rest\n{}",
            self.sketch()
        );
        assert!(
            self.is_served(),
            "a client is not served\n{}",
            self.sketch()
        );
    }
}

/// One walk; how many steps it took, and what happened.
fn walk(seed: u64) -> (u64, Tally) {
    fn go<const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>(seed: u64) -> (u64, Tally) {
        let mut storm = Storm::<WINDOW, CLIENTS, PAGE>::new(seed);
        storm.walk();
        (storm.steps, storm.facts.tally)
    }
    match seed % 4 {
        0 | 1 => go::<4, 2, 1>(seed),
        2 => go::<2, 2, 1>(seed),
        _ => go::<4, 2, 2>(seed),
    }
}

/// Walks one seed after the other; a failure names its seed. What happened is counted.
fn walks(seeds: core::ops::Range<u64>) -> Tally {
    let (mut steps, mut total) = (0, Tally::new());
    for seed in seeds.clone() {
        match std::panic::catch_unwind(|| walk(seed)) {
            Ok((took, tally)) => {
                steps += took;
                total += &tally;
            }
            Err(cause) => {
                println!("walk {seed} found it, the first of {}", seeds.start);
                std::panic::resume_unwind(cause);
            }
        }
    }
    println!("walks {seeds:?}: {steps} steps, {total:?}");
    total
}

#[test]
fn no_walk_breaks_a_rule() {
    let tally = walks(0..150);
    assert!(
        tally.adopted > 300 && tally.reproposed > 200 && tally.noops > 0 && tally.installed > 300,
        "the walks are too quiet: {tally:?}"
    );
}

/// For long: `STORM=0..100000 cargo test --release -- --ignored --nocapture storm`.
#[test]
#[ignore = "takes as long as it is told to"]
fn no_long_walk_breaks_a_rule() {
    let told = std::env::var("STORM").unwrap_or_default();
    let (start, end) = told.split_once("..").unwrap_or(("0", "10000"));
    walks(start.parse().unwrap()..end.parse().unwrap());
}
