//! One node among faulty peers: arbitrary messages from any sender, clock jumps, requests, and power loss.
//!
//! Peers may send what no correct node would, and the node may halt because of it. It must not panic, nor break an
//! invariant that depends on itself alone.

use super::choices::Choices;
use std::collections::BTreeMap;
use synod::machines::{Kv, KvCommand, KvReply};
use synod::{
    Ballot, Change, ChangeError, ClientId, Config, Digest, Durable, Duration, Entry, Envelope,
    Epoch, Event, Instant, Message, MessageKind, NODES_MAX, Node, NodeId, NodeSet, Outbox, Outcome,
    Proposal, Record, RequestError, RequestKey, RequestNumber, SNAPSHOT_PAGE, Slot, SnapshotId,
    Tally, Tracer, Write,
};

type Machine = Kv<4>;
type TestProposal = Proposal<KvCommand>;

/// Twice the greatest room that a step of the largest node here may need.
const ROOM: usize = 32;
/// The number of members among the ten nodes.
const MEMBERS: u16 = 3;

/// Runs a node as the bytes say; the first byte chooses its size.
pub fn run(bytes: &[u8]) {
    live(bytes);
}

/// Does the same as [`run`], and counts the events.
pub fn live(bytes: &[u8]) -> Tally {
    let mut choices = Choices::new(bytes);
    match choices.below(3) {
        0 => NodeUnderTest::<4, 2, 2>::new(&mut choices).live(choices),
        1 => NodeUnderTest::<2, 1, 1>::new(&mut choices).live(choices),
        _ => NodeUnderTest::<4, 2, 1>::new(&mut choices).live(choices),
    }
}

/// The events that the node traced in one step.
#[derive(Default)]
struct Facts {
    applied: Vec<(Slot, TestProposal, u64)>,
    installed: Vec<(Slot, u64)>,
    tally: Tally,
}

impl<const PAGE: usize> Tracer<Machine, PAGE> for Facts {
    fn record(&mut self, record: &Record<'_, Machine, PAGE>) {
        self.tally.record(record);
        match record.event {
            Event::Applied {
                slot,
                proposal,
                chain,
                ..
            } => {
                self.applied.push((slot, *proposal, chain));
            }
            Event::Installed { at, chain } => self.installed.push((at, chain)),
            _ => {}
        }
    }
}

/// The durable writes of the node, which must survive a power loss.
#[derive(Clone, Default)]
struct Disk {
    promised: Ballot,
    votes: BTreeMap<Slot, (Ballot, TestProposal)>,
}

impl Disk {
    fn write(&mut self, write: &Write<KvCommand>) {
        match write {
            Write::Promised(ballot) => {
                assert!(self.promised < *ballot, "a promise fell or came twice");
                self.promised = *ballot;
            }
            Write::Accepted(entry) => {
                assert!(self.promised <= entry.ballot, "accepted below the promise");
                self.promised = entry.ballot;
                let vote = (entry.ballot, entry.proposal);
                if let Some(before) = self.votes.insert(entry.slot, vote) {
                    assert!(before.0 <= entry.ballot, "the ballot of a vote fell");
                    assert!(
                        before.0 < entry.ballot || before == vote,
                        "A4: two values under {}",
                        entry.ballot
                    );
                }
            }
            Write::Decided { .. } | Write::Installed(_) => {}
        }
    }

    /// An epoch has begun, and the stored state says so: nothing that was promised or voted for in an earlier one counts any
    /// more.
    fn enter(&mut self, epoch: Epoch) {
        let floor = Ballot::of(epoch, 0, NodeId(0));
        if self.promised < floor {
            self.promised = floor;
            self.votes.clear();
        }
    }

    fn above(&self, low_water: Slot) -> Vec<Entry<KvCommand>> {
        let votes = self.votes.iter().filter(|(slot, _)| **slot > low_water);
        votes
            .map(|(slot, (ballot, proposal))| Entry {
                slot: *slot,
                ballot: *ballot,
                proposal: *proposal,
            })
            .collect()
    }
}

/// A node with all of its output and its durable state.
struct NodeUnderTest<const WINDOW: usize, const CLIENTS: usize, const PAGE: usize> {
    node: Node<Machine, WINDOW, CLIENTS, PAGE>,
    outbox: Outbox<Machine, PAGE, ROOM>,
    now: Instant,
    incarnation: u32,
    disk: Disk,
    /// The state that the node restarts from after a power loss: the last one in which it had a vote.
    durable: Option<Durable<Machine, WINDOW, CLIENTS>>,
    /// True if the storage is lost, with every promise and vote in it.
    lost: bool,
    /// The ballots seen in this life, for messages to refer to.
    ballots: Vec<Ballot>,
    /// The fingerprints of the requests made here, by client or nonce and number.
    asked: BTreeMap<(u64, u32), Vec<u32>>,
    low_water: Slot,
    applied: Slot,
    chain: u64,
    tally: Tally,
}

impl<const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    NodeUnderTest<WINDOW, CLIENTS, PAGE>
{
    const LEAST: usize = Node::<Machine, WINDOW, CLIENTS, PAGE>::OUTBOX_MIN;

    fn new(choices: &mut Choices<'_>) -> Self {
        assert!(ROOM >= 2 * Self::LEAST);
        let mut life = Self {
            node: Self::start(choices.below(MEMBERS)),
            outbox: Outbox::new(),
            now: Instant::ZERO,
            incarnation: 0,
            disk: Disk::default(),
            durable: None,
            lost: false,
            ballots: vec![Ballot::NULL],
            asked: BTreeMap::new(),
            low_water: Slot::ZERO,
            applied: Slot::ZERO,
            chain: 0,
            tally: Tally::new(),
        };
        if choices.chance(240) {
            life.join();
        }
        if choices.chance(128) {
            life.lead();
        }
        life
    }

    fn start(number: u16) -> Node<Machine, WINDOW, CLIENTS, PAGE> {
        let config = Config::new(NodeId(number), MEMBERS);
        let node = if number == 0 {
            Node::found(config, 1, Instant::ZERO)
        } else {
            Node::join(config, 1, Instant::ZERO)
        };
        node.unwrap()
    }

    fn live(mut self, mut choices: Choices<'_>) -> Tally {
        while !choices.is_empty() {
            if self.is_full() && !choices.chance(48) {
                self.outbox.clear();
            }
            match choices.byte() {
                0..=111 => self.hear(&mut choices),
                112..=144 => self.wake(&mut choices),
                145..=179 => self.ask(&mut choices),
                180..=239 => self.answer(&mut choices),
                240..=243 => self.outbox.clear(),
                244..=247 => self.lose_power(&mut choices),
                255 if choices.chance(64) => self.fence(),
                248..=255 => self.lead(),
            }
            if self.node.halted().is_some() && choices.chance(32) {
                self.lose_power(&mut choices);
            }
        }
        self.tally
    }

    /// Takes one step, and checks everything that must hold after it.
    fn act(
        &mut self,
        step: impl FnOnce(
            Instant,
            &mut Node<Machine, WINDOW, CLIENTS, PAGE>,
            &mut Outbox<Machine, PAGE, ROOM>,
            &mut Facts,
        ),
    ) {
        let mut facts = Facts::default();
        let was_halted = self.node.halted().is_some();
        let (starved, before) = (self.is_full(), self.lengths());
        step(self.now, &mut self.node, &mut self.outbox, &mut facts);
        let after = self.lengths();
        self.tally += &facts.tally;
        if starved {
            assert_eq!(before, after, "N4");
            assert!(facts.applied.is_empty() && facts.installed.is_empty(), "N4");
        }
        if was_halted {
            assert_eq!(before, after, "a halted node speaks");
            assert_eq!(self.node.next_deadline(), None);
        }
        let installed = |index: &usize| matches!(self.outbox.writes[*index], Write::Installed(_));
        // The last one has the epoch that the node is in now.
        let entered = (before[0]..after[0]).rfind(installed);
        for index in before[0]..after[0] {
            let write = self.outbox.writes[index];
            // Nothing is written any more by a node whose storage has failed.
            if entered == Some(index) && self.node.is_voter() {
                self.disk.enter(self.node.epoch());
            }
            self.disk.write(&write);
        }
        self.check_messages(before[1]);
        self.check_replies(before[2]);
        self.check_progress(&facts);
        self.check_node();
        if self.node.is_voter() {
            self.durable = self.node.durable();
        }
    }

    /// The storage fails before the pending writes are written.
    fn fence(&mut self) {
        let mut facts = Facts::default();
        self.node.fence(self.now, &mut self.outbox, &mut facts);
        self.tally += &facts.tally;
        assert!(self.outbox.writes.is_empty() && self.outbox.messages.is_empty());
        assert!(!self.node.is_voter() || self.node.halted().is_some());
        self.check_node();
    }

    /// True if the outbox has less room than a step may need.
    fn is_full(&self) -> bool {
        self.lengths().into_iter().max() > Some(ROOM - Self::LEAST)
    }

    fn lengths(&self) -> [usize; 3] {
        let outbox = &self.outbox;
        [
            outbox.writes.len(),
            outbox.messages.len(),
            outbox.replies.len(),
        ]
    }

    fn check_messages(&mut self, new: usize) {
        let others = NodeSet::first(NODES_MAX).without(self.node.id());
        if !self.node.is_voter() {
            self.check_silence();
        }
        // The last of the pending messages may have been extended by this step.
        let grown = new.saturating_sub(1);
        for (index, outgoing) in self.outbox.messages.iter().enumerate().skip(grown) {
            assert!(!outgoing.to.is_empty() && outgoing.to.minus(others).is_empty());
            self.check_message(&outgoing.message, index >= new);
        }
        let heard = self
            .node
            .leading()
            .into_iter()
            .chain([self.node.promised()]);
        for ballot in heard {
            if !self.ballots.contains(&ballot) {
                self.ballots.push(ballot);
            }
        }
    }

    /// Checks what a message says about the votes and promises of its node, all of which must be written. A message that
    /// is not new was pending before the step, which may have voted again since then.
    fn check_message(&self, message: &Message<Machine, PAGE>, is_new: bool) {
        match message {
            Message::Promise {
                ballot,
                promised,
                from,
                low_water,
                last,
                entries,
            } if is_new => {
                assert!(*promised <= self.disk.promised, "promised and not written");
                let all = self.disk.above((*low_water).max(from.back(1)));
                if ballot == promised {
                    assert!(
                        all.starts_with(entries),
                        "A1: {entries:?} of {all:?} reported"
                    );
                    assert_eq!(*last, entries.len() == all.len(), "A1: {all:?} left out");
                }
            }
            Message::Accepted {
                ballot,
                promised,
                first,
                count,
                ..
            } => {
                assert!(*promised <= self.disk.promised, "promised and not written");
                for offset in 0..u64::from(*count) {
                    let slot = first.checked_add(offset).unwrap();
                    let vote = self.disk.votes.get(&slot);
                    let over = ballot.epoch() < self.node.epoch();
                    let voted = vote.is_some_and(|(under, _)| under >= ballot);
                    assert!(voted || over, "not voted");
                }
            }
            Message::Prepare { ballot, .. } => {
                assert_eq!(ballot.leader(), self.node.id());
                assert!(*ballot <= self.disk.promised, "S1: claimed and not written");
            }
            Message::Accept {
                ballot,
                first,
                proposals,
                ..
            } => {
                assert_eq!(ballot.leader(), self.node.id());
                for (offset, proposal) in (0..).zip(proposals) {
                    let slot = first.checked_add(offset).unwrap();
                    let voted = self.disk.votes.get(&slot);
                    let over = ballot.epoch() < self.node.epoch();
                    let since = !is_new && voted.is_some_and(|voted| voted.0 > *ballot);
                    let is_written = voted == Some(&(*ballot, *proposal));
                    assert!(is_written || since || over, "C4: not written");
                }
            }
            Message::Decisions { applied, .. } => assert!(*applied <= self.node.applied()),
            _ => {}
        }
    }

    /// Checks that a node without a vote sends only the messages of a replica (D1, D2).
    fn check_silence(&self) {
        for outgoing in &self.outbox.messages {
            let kind = outgoing.message.kind();
            let replica = [
                MessageKind::Join,
                MessageKind::Welcome,
                MessageKind::Propose,
                MessageKind::Learn,
                MessageKind::Decisions,
                MessageKind::Request,
                MessageKind::Response,
                MessageKind::Superseded,
                MessageKind::ReadIndex,
            ];
            assert!(
                replica.contains(&kind),
                "it does not vote, and says {kind:?}"
            );
        }
        let votes = |write: &Write<_>| matches!(write, Write::Promised(_) | Write::Accepted(_));
        assert!(!self.outbox.writes.iter().any(votes));
        assert_eq!(self.node.leading(), None);
    }

    /// Checks that only requests made here are answered.
    fn check_replies(&self, from: usize) {
        for reply in &self.outbox.replies[from..] {
            let mut asked = self.asked.get(&place(reply.key)).into_iter().flatten();
            assert!(
                asked.any(|asked| *asked == reply.fingerprint),
                "no client made the request that {reply:?} answers"
            );
            let reads = reply.key.number == RequestNumber::READ;
            let is_read = matches!(reply.outcome, Outcome::Readable { .. } | Outcome::NotNow);
            assert_eq!(reads, is_read, "{reply:?}");
            if let Outcome::Readable { applied } = reply.outcome {
                assert!(applied <= self.node.applied(), "Q5");
            }
        }
    }

    /// Checks that slots are applied in order, or skipped by a snapshot (R2, R4).
    fn check_progress(&mut self, facts: &Facts) {
        for (at, chain) in &facts.installed {
            let founded = self.applied == Slot::ZERO && *at == Slot::ZERO;
            assert!(
                *at > self.applied || founded,
                "installed what is older than what it had"
            );
            (self.applied, self.chain) = (*at, *chain);
        }
        for (slot, proposal, chain) in &facts.applied {
            assert_eq!(self.applied.next(), Some(*slot), "R2");
            if let Some(decision) = self.node.decision(*slot) {
                assert_eq!(decision, proposal, "R1");
            }
            (self.applied, self.chain) = (*slot, *chain);
        }
        assert_eq!(
            (self.node.applied(), self.node.chain()),
            (self.applied, self.chain)
        );
    }

    fn check_node(&mut self) {
        let node = &self.node;
        if node.is_voter() {
            assert_eq!(node.promised(), self.disk.promised, "its promise fell");
            let votes: Vec<_> = node.votes().collect();
            let kept = self.disk.above(node.low_water());
            assert_eq!(votes, kept, "a vote is gone");
        }
        assert!(
            self.low_water <= node.low_water(),
            "the low-water mark fell"
        );
        assert!(node.low_water() <= node.applied(), "T1");
        self.low_water = node.low_water();
        let marks = node.marks();
        assert!(marks.window <= WINDOW && marks.votes <= WINDOW);
        assert!(marks.waiting <= CLIENTS && marks.pending <= CLIENTS);
        assert!(marks.requesters <= CLIENTS && marks.sessions <= CLIENTS);
        assert!(self.outbox.peak() <= ROOM);
        if node.halted().is_some() {
            assert_eq!(
                (node.next_deadline(), node.leading()),
                (None, None),
                "{node:?}"
            );
        }
    }

    fn envelope(&self, from: u16, message: Message<Machine, PAGE>) -> Envelope<Machine, PAGE> {
        Envelope {
            cluster: self.node.fingerprint(),
            from: NodeId(from),
            to: self.node.id(),
            message,
        }
    }

    fn tell(&mut self, from: u16, message: Message<Machine, PAGE>) {
        let letter = self.envelope(from, message);
        self.act(|now, node, outbox, facts| node.handle_message(now, &letter, outbox, facts));
    }

    /// Joins with the initial empty state, as a founder sends it.
    fn join(&mut self) {
        let founder = self.node.id() == NodeId(0);
        self.wake_next();
        let none = None;
        if founder {
            for peer in 1..MEMBERS {
                self.tell(
                    peer,
                    Message::Join {
                        snapshot: none,
                        page: 0,
                        count: 1,
                    },
                );
            }
        } else {
            let head = head(Slot::ZERO, Epoch::FIRST, NodeSet::first(MEMBERS));
            self.install(&[head], Slot::ZERO);
        }
    }

    /// Sends the pages of a snapshot under their own digest.
    fn install(&mut self, pages: &[Vec<u8>], at: Slot) {
        let mut digest = Digest::new();
        for page in pages {
            synod::Sink::put(&mut digest, page);
        }
        let snapshot = SnapshotId {
            at,
            digest: digest.value(),
        };
        let peer = self.peer(0);
        for (page, bytes) in (0..).zip(pages) {
            self.tell(
                peer,
                Message::Welcome {
                    snapshot,
                    page,
                    pages: u32::try_from(pages.len()).unwrap(),
                    bytes: bytes.iter().copied().collect(),
                },
            );
        }
    }

    /// Returns one of the other members.
    fn peer(&self, index: u16) -> u16 {
        (self.node.id().0 + 1 + index) % MEMBERS
    }

    /// Makes all peers help the node to become leader.
    fn lead(&mut self) {
        for _ in 0..6 {
            if self.node.leading().is_some() {
                return;
            }
            self.outbox.clear();
            self.wake_next();
            let said: Vec<_> = self.outbox.messages.iter().cloned().collect();
            for outgoing in said {
                for index in 0..MEMBERS - 1 {
                    self.agree(self.peer(index), &outgoing.message);
                }
            }
        }
    }

    /// Sends the favourable answer to a message of the node.
    fn agree(&mut self, from: u16, message: &Message<Machine, PAGE>) {
        let low_water = Slot::ZERO;
        let answer = match *message {
            Message::Probe { ballot } => Message::ProbeReply {
                ballot,
                granted: true,
                highest: ballot,
            },
            Message::Prepare { ballot, from } => Message::Promise {
                ballot,
                promised: ballot,
                from,
                low_water,
                last: true,
                entries: synod::Entries::<Machine, PAGE>::new(),
            },
            Message::Accept {
                ballot,
                first,
                ref proposals,
                ..
            } => Message::Accepted {
                ballot,
                promised: ballot,
                first,
                count: u32::try_from(proposals.len()).unwrap(),
                low_water,
            },
            Message::Heartbeat {
                ballot, decided, ..
            } => Message::HeartbeatReply {
                ballot,
                applied: decided,
            },
            _ => return,
        };
        self.tell(from, answer);
    }

    /// A peer gives the favourable answer to one of the pending messages.
    fn answer(&mut self, choices: &mut Choices<'_>) {
        if self.outbox.messages.is_empty() {
            return;
        }
        let len = self.outbox.messages.len();
        let outgoing = self.outbox.messages[len - 1 - choices.index(len)].clone();
        let peer = self.peer(choices.below(MEMBERS - 1));
        if let Message::Prepare { ballot, from } = outgoing.message {
            let promise = self.promised(choices, peer, ballot, from);
            return self.tell(peer, promise);
        }
        self.agree(peer, &outgoing.message);
    }

    /// Returns a promise that answers a prepare, with an arbitrary page.
    fn promised(
        &self,
        choices: &mut Choices<'_>,
        peer: u16,
        ballot: Ballot,
        from: Slot,
    ) -> Message<Machine, PAGE> {
        let mut promise = self.promise(choices, peer, ballot);
        if let Message::Promise {
            promised,
            from: first,
            low_water,
            entries,
            ..
        } = &mut promise
        {
            (*promised, *first) = (ballot, from);
            if choices.chance(192) {
                *low_water = Slot::ZERO;
            }
            for entry in entries.iter_mut() {
                entry.ballot = Ballot::of(self.node.epoch(), 1, NodeId(peer)).min(entry.ballot);
            }
        }
        promise
    }

    /// Advances the clock to the next deadline.
    fn wake_next(&mut self) {
        self.now = self.now.max(self.node.next_deadline().unwrap_or(self.now));
        self.act(|now, node, outbox, facts| node.handle_timeout(now, outbox, facts));
    }

    fn wake(&mut self, choices: &mut Choices<'_>) {
        let span = match choices.byte() {
            0..=199 => return self.wake_next(),
            200..=249 => u64::from(choices.byte()) * 10_000,
            250..=254 => 0,
            255 => choices.word(),
        };
        self.now = self.now + Duration::from_micros(span);
        self.act(|now, node, outbox, facts| node.handle_timeout(now, outbox, facts));
    }

    fn ask(&mut self, choices: &mut Choices<'_>) {
        let halted = self.node.halted().is_some();
        let mut answer = Ok(());
        if choices.chance(24) {
            let change = self.change(choices);
            self.note(&Proposal::Reconfigure(change));
            self.act(|now, node, outbox, facts| {
                let asked = node.reconfigure(now, change, outbox, facts);
                assert!(!halted || asked.is_err(), "a halted node takes a change");
            });
            return;
        }
        if choices.chance(96) {
            let nonce = u64::from(choices.below(4));
            self.note(&Proposal::Register { nonce });
            self.act(|now, node, outbox, facts| {
                answer = node.register(now, nonce, outbox, facts);
            });
        } else {
            let client = self.slot(choices).number();
            let number = u32::from(choices.below(4));
            let command = choices.command();
            let (client, number) = (ClientId(client), RequestNumber(number));
            self.note(&Proposal::Request {
                client,
                number,
                command,
            });
            self.act(|now, node, outbox, facts| {
                answer = node.request(now, client, number, command, outbox, facts);
            });
            let zero = number == RequestNumber::REGISTRATION;
            assert_eq!(answer == Err(RequestError::NumberZero), zero);
            if zero {
                self.read(client.0);
            }
        }
        assert!(!halted || answer.is_err(), "a halted node takes a request");
    }

    /// Asks to read, under a nonce.
    fn read(&mut self, nonce: u64) {
        let halted = self.node.halted().is_some();
        let asked = self
            .asked
            .entry(place(RequestKey::read(nonce)))
            .or_default();
        asked.push(0);
        self.act(|now, node, outbox, facts| {
            let result = node.read(now, nonce, outbox, facts);
            assert!(!halted || result.is_err(), "a halted node reads");
        });
    }

    /// Records a request made here.
    fn note(&mut self, proposal: &TestProposal) {
        if let Some(key) = proposal.key() {
            let asked = self.asked.entry(place(key)).or_default();
            asked.push(proposal.fingerprint());
        }
    }

    /// Power fails and returns; the node restarts from its durable state alone.
    fn lose_power(&mut self, choices: &mut Choices<'_>) {
        self.outbox = Outbox::new();
        self.incarnation += 1;
        self.now = Instant::from_micros(u64::from(choices.byte()) * 100_000);
        let number = self.node.id().0;
        let config = Config::new(NodeId(number), MEMBERS);
        let voted = self.node.is_voter();
        self.lost |= !voted && self.durable.is_some() && choices.chance(128);
        if self.lost {
            self.node = Node::learn(config, 1, self.now).unwrap();
            self.go_back();
            return;
        }
        let Some(durable) = self.durable.take() else {
            // It has halted before it joined, perhaps in a later epoch, and nobody relies on it yet.
            assert_eq!((self.disk.promised.round(), self.disk.votes.len()), (0, 0));
            self.disk = Disk::default();
            self.node = Self::start(number);
            self.go_back();
            return;
        };
        // A node that has halted may have reached an epoch that it has not entered.
        self.disk.enter(durable.epoch());
        assert_eq!(durable.promised(), self.disk.promised);
        assert!(!voted || durable.applied() == self.applied);
        let node = Node::recover(config, durable, 1, self.incarnation, self.now);
        self.node = node.unwrap();
        if !voted {
            self.go_back();
        }
        self.act(|_, _, _, _| {});
    }

    /// Discards what the node has learned since its storage failed, which is written nowhere.
    fn go_back(&mut self) {
        let node = &self.node;
        (self.applied, self.chain, self.low_water) =
            (node.applied(), node.chain(), node.low_water());
    }

    fn slot(&self, choices: &mut Choices<'_>) -> Slot {
        Slot::new(choices.near(self.applied.number()))
    }

    /// Returns a heartbeat. Only the node knows the chain digest of slots beyond those that it has applied: a false
    /// one would halt it there, which is seldom wanted.
    fn heartbeat(&self, choices: &mut Choices<'_>, ballot: Ballot) -> Message<Machine, PAGE> {
        let mut decided = self.slot(choices);
        if decided > self.applied && !choices.chance(32) {
            decided = self.applied;
        }
        let chain = self.node.chain();
        Message::Heartbeat {
            ballot,
            decided,
            chain,
        }
    }

    /// Returns a ballot that was seen, one that may follow, or any.
    fn ballot(&self, choices: &mut Choices<'_>, from: u16) -> Ballot {
        match choices.byte() {
            0..=127 => self.ballots[self.ballots.len() - 1],
            128..=159 => self.ballots[choices.index(self.ballots.len())],
            160..=239 => {
                let round = self.node.promised().round() + u64::from(choices.below(3));
                Ballot::of(self.node.epoch(), round, NodeId(from))
            }
            240..=254 => {
                let round = choices.near(self.node.promised().round());
                let leader = NodeId(choices.below(MEMBERS + 1));
                Ballot::of(self.epoch(choices), round, leader)
            }
            255 => Ballot::new(choices.word(), NodeId(u16::from(choices.byte()))),
        }
    }

    /// Returns the epoch of the node, mostly, or one near it.
    fn epoch(&self, choices: &mut Choices<'_>) -> Epoch {
        let present = self.node.epoch().0;
        Epoch(match choices.byte() {
            0..=191 => present,
            192..=223 => present.saturating_add(1),
            224..=254 => present.saturating_sub(1),
            255 => u16::from(choices.byte()) << 8,
        })
    }

    fn change(&self, choices: &mut Choices<'_>) -> Change {
        Change {
            epoch: self.epoch(choices),
            members: members(choices),
        }
    }

    fn proposal(&self, choices: &mut Choices<'_>) -> TestProposal {
        match choices.byte() {
            0..=15 => Proposal::Noop,
            16..=31 => Proposal::Reconfigure(self.change(choices)),
            32..=95 => Proposal::Register {
                nonce: u64::from(choices.below(5)),
            },
            96..=255 => Proposal::Request {
                client: ClientId(self.slot(choices).number()),
                number: RequestNumber(u32::from(choices.below(5))),
                command: choices.command(),
            },
        }
    }

    fn proposals(&self, choices: &mut Choices<'_>) -> synod::Proposals<Machine, PAGE> {
        let count = choices.index(PAGE + 1);
        (0..count).map(|_| self.proposal(choices)).collect()
    }

    fn outcome(&self, choices: &mut Choices<'_>) -> Outcome<KvReply> {
        match choices.below(8) {
            6 => Outcome::Reconfigured {
                epoch: self.epoch(choices),
            },
            7 => Outcome::Unchanged(ChangeError::NoMembers),
            0 => Outcome::Applied {
                slot: self.slot(choices),
                output: KvReply::Value(i64::from(choices.byte())),
            },
            1 => Outcome::Registered {
                client: ClientId(self.slot(choices).number()),
            },
            2 => Outcome::Stale,
            3 => Outcome::Evicted,
            4 => Outcome::Reused,
            _ => Outcome::Busy,
        }
    }

    /// Delivers an arbitrary message from any sender, or all pages of an arbitrary snapshot.
    fn hear(&mut self, choices: &mut Choices<'_>) {
        let from = match choices.byte() {
            0..=119 => self.peer(0),
            120..=239 => self.peer(1),
            // A node that is no member, or, very rarely, the node itself.
            240..=254 => MEMBERS + choices.below(7),
            255 => choices.below(MEMBERS),
        };
        if choices.chance(8) {
            return self.hear_snapshot(choices);
        }
        let message = self.message(choices, from);
        let mut letter = self.envelope(from, message);
        match choices.byte() {
            254 => letter.cluster ^= 1,
            255 => letter.to = NodeId(choices.below(MEMBERS)),
            _ => {}
        }
        self.act(|now, node, outbox, facts| node.handle_message(now, &letter, outbox, facts));
    }

    fn hear_snapshot(&mut self, choices: &mut Choices<'_>) {
        let at = self.slot(choices);
        let (epoch, members) = (self.epoch(choices), members(choices));
        let mut head = head(at, epoch, members);
        head[8] = choices.byte();
        head[16] = choices.byte() % 3;
        let mut pages = vec![head];
        for _ in 0..choices.below(4) {
            let len = choices.index(SNAPSHOT_PAGE + 1);
            pages.push(choices.take(len).to_vec());
        }
        self.install(&pages, at);
    }

    fn message(&self, choices: &mut Choices<'_>, from: u16) -> Message<Machine, PAGE> {
        let ballot = self.ballot(choices, from);
        match choices.below(17) {
            16 => match choices.below(5) {
                4 => Message::Superseded {
                    ballot,
                    applied: self.slot(choices),
                },
                number => self.of_reads(choices, number, ballot),
            },
            0 => Message::Join {
                snapshot: self.snapshot(choices),
                page: u32::from(choices.below(3)),
                count: u8::try_from(choices.below(4)).unwrap_or(1),
            },
            1 => self.welcome(choices),
            2 => Message::Probe { ballot },
            3 => Message::ProbeReply {
                ballot,
                granted: choices.chance(200),
                highest: self.ballot(choices, from),
            },
            4 => Message::Prepare {
                ballot,
                from: self.slot(choices),
            },
            5 => self.promise(choices, from, ballot),
            6 => Message::Accept {
                ballot,
                first: self.slot(choices),
                decided: self.slot(choices),
                proposals: self.proposals(choices),
            },
            7 => Message::Accepted {
                ballot,
                promised: self.answered(choices, from, ballot),
                first: self.slot(choices),
                count: u32::try_from(choices.near(1) & 0xffff_ffff).unwrap(),
                low_water: self.slot(choices),
            },
            8 => Message::Decision {
                ballot,
                decided: self.slot(choices),
            },
            9 => self.heartbeat(choices, ballot),
            10 => Message::HeartbeatReply {
                ballot,
                applied: self.slot(choices),
            },
            11 => Message::Propose {
                proposal: self.proposal(choices),
                retry: choices.chance(128),
            },
            12 => Message::Learn {
                from: self.slot(choices),
            },
            13 => Message::Decisions {
                first: self.slot(choices),
                applied: self.slot(choices),
                proposals: self.proposals(choices),
            },
            14 => Message::Request {
                proposal: self.proposal(choices),
            },
            _ => self.response(choices),
        }
    }

    /// Returns the message of reads with a number from 0 to 3.
    fn of_reads(
        &self,
        choices: &mut Choices<'_>,
        number: u16,
        ballot: Ballot,
    ) -> Message<Machine, PAGE> {
        match number {
            0 => Message::Confirm {
                ballot,
                round: u32::from(choices.below(4)),
            },
            1 => Message::Confirmed {
                ballot,
                round: u32::from(choices.below(4)),
            },
            2 => Message::ReadIndex {
                nonce: u64::from(choices.below(3)),
                reader: NodeId(u16::from(choices.byte())),
            },
            _ => Message::ReadIndexReply {
                nonce: u64::from(choices.below(3)),
                index: self.slot(choices),
            },
        }
    }

    /// Returns an answer to the last request under a key.
    fn response(&self, choices: &mut Choices<'_>) -> Message<Machine, PAGE> {
        let (key, outcome) = (self.key(choices), self.outcome(choices));
        let asked = self.asked.get(&place(key));
        let fingerprint = asked.and_then(|asked| asked.last()).copied().unwrap_or(0);
        Message::Response {
            key,
            fingerprint,
            outcome,
        }
    }

    /// Returns the answered ballot, mostly.
    fn answered(&self, choices: &mut Choices<'_>, from: u16, ballot: Ballot) -> Ballot {
        if choices.chance(64) {
            self.ballot(choices, from)
        } else {
            ballot
        }
    }

    fn snapshot(&self, choices: &mut Choices<'_>) -> Option<SnapshotId> {
        choices.chance(64).then(|| SnapshotId {
            at: self.slot(choices),
            digest: choices.word(),
        })
    }

    fn welcome(&self, choices: &mut Choices<'_>) -> Message<Machine, PAGE> {
        let snapshot = SnapshotId {
            at: self.slot(choices),
            digest: u64::from(choices.byte()),
        };
        let (page, pages) = (u32::from(choices.below(3)), u32::from(choices.below(4)));
        let len = choices.index(SNAPSHOT_PAGE + 1);
        Message::Welcome {
            snapshot,
            page,
            pages,
            bytes: choices.take(len).iter().copied().collect(),
        }
    }

    fn promise(
        &self,
        choices: &mut Choices<'_>,
        from: u16,
        ballot: Ballot,
    ) -> Message<Machine, PAGE> {
        let promised = self.answered(choices, from, ballot);
        let count = choices.index(PAGE + 1);
        let entry = |choices: &mut Choices<'_>| Entry {
            slot: self.slot(choices),
            ballot: self.ballot(choices, from),
            proposal: self.proposal(choices),
        };
        Message::Promise {
            ballot,
            promised,
            from: self.slot(choices),
            low_water: self.slot(choices),
            last: choices.chance(200),
            entries: (0..count).map(|_| entry(choices)).collect(),
        }
    }

    fn key(&self, choices: &mut Choices<'_>) -> RequestKey {
        if choices.chance(96) {
            RequestKey::registration(u64::from(choices.below(4)))
        } else {
            RequestKey {
                client: ClientId(self.slot(choices).number()),
                number: RequestNumber(u32::from(choices.below(4))),
            }
        }
    }
}

/// Returns the key under which a request is recorded.
fn place(key: RequestKey) -> (u64, u32) {
    (key.client.0, key.number.0)
}

/// Returns the first page of a snapshot without sessions, in which all that ever were members are members still.
fn head(at: Slot, epoch: Epoch, members: NodeSet) -> Vec<u8> {
    let mut head = vec![0; 20];
    head[..8].copy_from_slice(&at.number().to_le_bytes());
    for set in [members, members.union(NodeSet::first(MEMBERS))] {
        head.extend(set.bits().to_le_bytes());
    }
    head.extend(epoch.0.to_le_bytes());
    head
}

/// Returns the first members, mostly, or any of the ten nodes.
fn members(choices: &mut Choices<'_>) -> NodeSet {
    if choices.chance(192) {
        NodeSet::first(MEMBERS)
    } else {
        NodeSet::from_bits(u64::from(choices.byte()))
    }
}
