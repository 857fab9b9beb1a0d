//! Tests of clients with three nodes on a shared line that loses, duplicates and reorders frames.

extern crate std;

mod changes;

use super::{
    Address, Answer, AnswerEnvelope, Applied, Client, ClientError, Done, Question,
    QuestionEnvelope, Service, Session, Undone, Withdrawn,
};
use crate::machines::{Bank, BankCommand, BankReply, Key};
use crate::wire::{Frame, Frames};
use crate::{
    ClientId, Config, Duration, Envelope, Instant, Node, NodeId, NodeSet, NodeState, Outbox,
    Outcome, Proposal, RequestKey, RequestNumber, Slot, Status,
};
use rand_core::SeedableRng;
use rand_xorshift::XorShiftRng;
use std::boxed::Box;
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

const NODES: u16 = 3;
const CLIENTS: usize = 4;
type Machine = Bank<4>;
type Member = Node<Machine, 8, CLIENTS, 2>;
type Link = Frames<Machine, 2, 127>;
const PATIENCE: Duration = Duration::from_millis(700);

/// So many seeds or requests where there are usually more: an interpreter takes a thousand times as long for each.
const fn few(usual: u64, interpreted: u64) -> u64 {
    if cfg!(miri) { interpreted } else { usual }
}

fn key_of(client: usize) -> Key {
    Key::numbered(u32::try_from(client).unwrap())
}

/// A client with its address, and the answers to its deposits.
struct Outside {
    client: Client<Machine>,
    at: Address,
    account: Key,
    answers: Vec<Result<Applied<BankReply>, Undone>>,
    heard: u32,
}

/// Nodes, clients, and the line between them.
struct World {
    now: Instant,
    nodes: Vec<Option<Box<Member>>>,
    services: Vec<Service<CLIENTS>>,
    clients: Vec<Outside>,
    line: BTreeMap<(Instant, u64), Vec<u8>>,
    sent: u64,
    rng: XorShiftRng,
    /// Percentage of frames to or from a client that are lost, and percentage that are duplicated.
    trouble: u32,
    frames: Link,
}

impl World {
    fn new(seed: u64, trouble: u32) -> Self {
        let config = |number| Config::new(NodeId(number), NODES);
        let node = |number| {
            let config = config(number);
            let made = match number {
                0 => Member::found(config, seed, Instant::ZERO),
                _ => Member::join(config, seed, Instant::ZERO),
            };
            Some(Box::new(made.unwrap()))
        };
        Self {
            now: Instant::ZERO,
            nodes: (0..NODES).map(node).collect(),
            services: vec![Service::new(); usize::from(NODES)],
            clients: Vec::new(),
            line: BTreeMap::new(),
            sent: 0,
            rng: XorShiftRng::seed_from_u64(seed),
            trouble,
            frames: Link::new(Member::fingerprint_of(&config(0))),
        }
    }

    /// Adds a client at an address, with an account of its own.
    fn add(&mut self, address: Address, nonce: u64) -> usize {
        let index = self.clients.len();
        self.clients.push(Outside {
            client: Client::new(NodeSet::first(NODES), PATIENCE, nonce).unwrap(),
            at: address,
            account: key_of(index),
            answers: Vec::new(),
            heard: 0,
        });
        index
    }

    fn deposit(&mut self, index: usize) {
        let now = self.now;
        let outside = &mut self.clients[index];
        let deposit = BankCommand::Deposit(outside.account, 1);
        outside.client.request(now, deposit).unwrap();
    }

    fn node(&self, number: usize) -> &Member {
        self.nodes[number].as_ref().unwrap()
    }

    fn below(&mut self, bound: u32) -> u32 {
        crate::random::below(&mut self.rng, bound)
    }

    /// Puts a frame on the line; frames to or from clients may be lost or duplicated.
    fn put(&mut self, bytes: &[u8], outside: bool) {
        let strikes = outside && self.trouble > 0;
        if strikes && self.below(100) < self.trouble {
            return;
        }
        let copies = 1 + u32::from(strikes && self.below(100) < self.trouble);
        for _ in 0..copies {
            let spread = if strikes && self.below(100) < self.trouble {
                2_000_000
            } else {
                10_000
            };
            let delay = Duration::from_micros(1_000 + u64::from(self.below(spread)));
            self.sent += 1;
            self.line
                .insert((self.now + delay, self.sent), bytes.to_vec());
        }
    }

    /// Serves everything that is due at one instant, and advances to the next.
    fn step(&mut self) {
        let next = self.line.first_key_value().map(|((at, _), _)| *at);
        let nodes = self
            .nodes
            .iter()
            .flatten()
            .filter_map(|node| node.next_deadline());
        let clients = self
            .clients
            .iter()
            .filter_map(|outside| outside.client.next_deadline());
        let next = next.into_iter().chain(nodes).chain(clients).min().unwrap();
        self.now = self.now.max(next);
        while let Some(entry) = self.line.first_entry()
            && entry.key().0 <= self.now
        {
            let bytes = entry.remove();
            self.hear(&bytes);
        }
        for number in 0..self.nodes.len() {
            self.drive(number, |node, _, now, outbox| {
                node.handle_timeout(now, outbox, &mut ());
                None
            });
        }
        for index in 0..self.clients.len() {
            let now = self.now;
            self.clients[index].client.handle_timeout(now);
            self.poll(index);
        }
    }

    /// Delivers a frame to everybody; only its recipient handles it.
    fn hear(&mut self, bytes: &[u8]) {
        match self.frames.decode(bytes).unwrap() {
            Frame::Message(envelope) => self.tell(&envelope),
            Frame::Question(asked) => {
                for number in 0..self.nodes.len() {
                    self.drive(number, |node, service, now, outbox| {
                        service.handle(now, node, &asked, outbox, &mut ())
                    });
                }
            }
            Frame::Answer => {
                let answered = self.frames.decode_answer(bytes).unwrap().unwrap();
                for index in 0..self.clients.len() {
                    let (now, outside) = (self.now, &mut self.clients[index]);
                    if outside.at == answered.to {
                        outside.heard += 1;
                        outside
                            .client
                            .handle_answer(now, answered.from, &answered.answer);
                    }
                    self.poll(index);
                }
            }
        }
    }

    fn tell(&mut self, envelope: &Envelope<Machine, 2>) {
        self.drive(usize::from(envelope.to.0), |node, _, now, outbox| {
            node.handle_message(now, envelope, outbox, &mut ());
            None
        });
    }

    /// One step of a running node, with everything that follows from it.
    fn drive(
        &mut self,
        number: usize,
        step: impl FnOnce(
            &mut Member,
            &mut Service<CLIENTS>,
            Instant,
            &mut Outbox<Machine, 2, { Member::OUTBOX_MIN }>,
        ) -> Option<AnswerEnvelope<BankReply>>,
    ) {
        let Some(node) = self.nodes[number].as_deref_mut() else {
            return;
        };
        let service = &mut self.services[number];
        let mut outbox = Outbox::new();
        let mut answers = Vec::new();
        answers.extend(step(node, service, self.now, &mut outbox));
        let answer = |reply| service.answer(node, reply);
        answers.extend(outbox.replies.iter().filter_map(answer));
        let mut frames = Vec::new();
        let mut buffer = [0; 127];
        for outgoing in &outbox.messages {
            for to in outgoing.to.iter() {
                let envelope = node.envelope(to, outgoing);
                let len = self.frames.encode(&envelope, &mut buffer).unwrap();
                frames.push((buffer[..len].to_vec(), false));
            }
        }
        for answered in answers {
            let len = self.frames.encode_answer(&answered, &mut buffer).unwrap();
            frames.push((buffer[..len].to_vec(), true));
        }
        for (bytes, outside) in frames {
            self.put(&bytes, outside);
        }
    }

    fn poll(&mut self, index: usize) {
        let outside = &mut self.clients[index];
        let from = outside.at;
        let mut questions = Vec::new();
        while let Some((to, question)) = outside.client.poll_question() {
            questions.push(QuestionEnvelope { from, to, question });
        }
        if let Some(done) = outside.client.poll_done() {
            outside.answers.push(done.result);
        }
        for asked in questions {
            self.ask(&asked);
        }
    }

    fn ask(&mut self, asked: &QuestionEnvelope<BankCommand>) {
        let mut buffer = [0; 127];
        let len = self.frames.encode_question(asked, &mut buffer).unwrap();
        self.put(&buffer[..len], true);
    }

    fn run_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        for _ in 0..200_000 {
            if done(self) {
                return;
            }
            self.step();
        }
        panic!("never: {what}");
    }

    fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.step();
        }
    }

    fn lead(&self) -> Option<usize> {
        let leads =
            |node: &Option<Box<Member>>| node.as_ref().is_some_and(|node| node.leading().is_some());
        self.nodes.iter().position(leads)
    }

    /// Returns the balance of a client's account on the node that has applied most.
    fn balance(&self, index: usize) -> u64 {
        let nodes = self.nodes.iter().flatten();
        let newest = nodes.max_by_key(|node| node.applied()).unwrap();
        let account = self.clients[index].account;
        newest.machine().balance(account)
    }
}

fn balance(applied: Applied<BankReply>) -> u64 {
    match applied.output {
        BankReply::Balance(balance) => balance,
        other => panic!("{other:?}"),
    }
}

#[test]
fn x1_every_deposit_is_made_once_on_a_line_that_loses_doubles_and_reorders() {
    let deposits = few(20, 6);
    for seed in 0..few(12, 1) {
        let mut world = World::new(seed, 25);
        let (first, second) = (Address::FIRST, Address::LAST);
        let clients = [
            world.add(first, seed * 2 + 1),
            world.add(second, seed * 2 + 2),
        ];
        for count in 1..=deposits {
            for index in clients {
                world.deposit(index);
            }
            world.run_until("all are answered", |world| {
                let count = usize::try_from(count).unwrap();
                let answered = |index: &usize| world.clients[*index].answers.len() == count;
                clients.iter().all(answered)
            });
            if count == deposits / 2 {
                // The node that has applied most loses power.
                let leader = world.lead().unwrap_or(0);
                world.nodes[leader] = None;
            }
        }
        for index in clients {
            let answers = world.clients[index].answers.iter();
            let balances: Vec<u64> = answers.map(|answer| balance(answer.unwrap())).collect();
            assert!(
                balances.iter().copied().eq(1..=deposits),
                "seed {seed}: {balances:?}"
            );
            assert_eq!(world.balance(index), deposits, "seed {seed}");
        }
    }
}

#[test]
fn a_client_asks_the_leader_once_a_node_names_it() {
    let mut world = World::new(6, 0);
    let index = world.add(Address::FIRST, 77);
    world.deposit(index);
    world.run_until("it is answered", |world| {
        world.clients[index].answers.len() == 1
    });
    let leader = NodeId(u16::try_from(world.lead().unwrap()).unwrap());
    let client = &mut world.clients[index].client;
    assert_eq!(client.leader(), Some(leader));
    client
        .request(world.now, BankCommand::Balance(key_of(0)))
        .unwrap();
    let (to, _) = client.poll_question().unwrap();
    assert_eq!(to, leader);
}

#[test]
fn two_clients_at_one_address_take_no_answer_of_each_other() {
    let mut world = World::new(9, 10);
    let shared = Address::FIRST;
    let clients = [world.add(shared, 1), world.add(shared, 2)];
    for count in 1..=10 {
        for index in clients {
            world.deposit(index);
        }
        world.run_until("both are answered", |world| {
            let answered = |index: &usize| world.clients[*index].answers.len() == count;
            clients.iter().all(answered)
        });
    }
    for index in clients {
        let last = world.clients[index].answers[9].unwrap();
        assert_eq!((balance(last), world.balance(index)), (10, 10));
        assert!(world.clients[index].heard > 20, "it has heard the other's");
    }
}

#[test]
fn two_clients_with_one_nonce_are_told_and_neither_is_given_the_others_answer() {
    let mut world = World::new(3, 0);
    let clients = [world.add(Address::FIRST, 5), world.add(Address::LAST, 5)];
    for index in clients {
        world.deposit(index);
        world.run_until("it is answered", |world| {
            world.clients[index].answers.len() == 1
        });
    }
    assert!(world.clients[0].answers[0].is_ok());
    assert_eq!(world.clients[1].answers[0], Err(Undone::Reused));
    assert_eq!(world.balance(1), 0, "and nothing of it was applied");
    world.deposit(1);
    world.run_until("it has a session of its own", |world| {
        world.clients[1].answers.len() == 2
    });
    assert_eq!(balance(world.clients[1].answers[1].unwrap()), 1);
}

#[test]
fn an_evicted_session_is_reported_and_the_next_request_opens_a_new_one() {
    let mut world = World::new(4, 0);
    let all: Vec<usize> = (0..=CLIENTS)
        .map(|index| {
            let byte = Address::FIRST.byte() + u8::try_from(index).unwrap();
            world.add(Address::new(byte).unwrap(), 100 + u64::from(byte))
        })
        .collect();
    // One session more than there is room for: that of the first client is evicted.
    for index in all {
        world.clients[index].account = key_of(index.min(3));
        world.deposit(index);
        world.run_until("it is answered", |world| {
            world.clients[index].answers.len() == 1
        });
    }
    let before = world.clients[0].client.session().unwrap();
    world.deposit(0);
    world.run_until("it is answered", |world| {
        world.clients[0].answers.len() == 2
    });
    assert_eq!(world.clients[0].answers[1], Err(Undone::Evicted));
    world.deposit(0);
    world.run_until("it is answered", |world| {
        world.clients[0].answers.len() == 3
    });
    assert_eq!(balance(world.clients[0].answers[2].unwrap()), 2);
    let after = world.clients[0].client.session().unwrap();
    assert!(after.client > before.client);
    assert_eq!(after.number, RequestNumber(1));
}

#[test]
fn x4_a_request_that_was_withdrawn_frees_its_places_and_is_settled_by_the_next() {
    for seed in 0..few(8, 2) {
        let mut world = World::new(seed, 0);
        let index = world.add(Address::FIRST, 77);
        world.deposit(index);
        world.run_until("it is answered", |world| {
            world.clients[index].answers.len() == 1
        });
        // No quorum is left: requests wait.
        let leader = world.lead().unwrap();
        let others: Vec<usize> = (0..3).filter(|number| *number != leader).collect();
        let away = others
            .iter()
            .map(|number| (*number, world.nodes[*number].take()));
        let away: Vec<_> = away.collect();
        world.deposit(index);
        world.run_for(Duration::from_millis(100 * seed));
        let key = RequestKey {
            client: world.clients[index].client.session().unwrap().client,
            number: RequestNumber(2),
        };
        let withdrawn = world.clients[index].client.withdraw();
        assert_eq!(
            withdrawn,
            Ok(if seed == 0 {
                Withdrawn::NeverAsked
            } else {
                Withdrawn::MayBeApplied(key)
            })
        );
        world.poll(index);
        world.run_for(Duration::from_millis(50));
        assert!(
            !world.node(leader).is_outstanding(key),
            "seed {seed} {:?}",
            world.clients[index].client
        );
        assert_eq!(world.node(leader).pending(), 0);
        for (number, node) in away {
            world.nodes[number] = node;
        }
        world.run_for(Duration::from_secs(5));
        assert_eq!(world.clients[index].answers.len(), 1, "no answer comes");
        let applied = world.balance(index);
        assert!(applied == 1 || applied == 2 && seed > 0, "{applied}");
        world.deposit(index);
        world.run_until("the next is answered", |world| {
            world.clients[index].answers.len() == 2
        });
        let next = balance(world.clients[index].answers[1].unwrap());
        assert_eq!(next, applied + 1, "seed {seed}");
        world.run_for(Duration::from_secs(5));
        assert_eq!(world.balance(index), next, "and what was withdrawn is over");
    }
}

#[test]
fn x4_a_later_number_withdraws_the_one_before() {
    let mut world = World::new(2, 0);
    let at = Address::FIRST;
    let node = world.nodes[1].as_deref_mut().unwrap();
    let (service, now) = (&mut world.services[1], Instant::ZERO);
    let mut outbox = Outbox::<Machine, 2, { 8 * Member::OUTBOX_MIN }>::new();
    let mut ask = |client: u64, number: u32, from: Address| {
        let proposal = Proposal::Request {
            client: ClientId(client),
            number: RequestNumber(number),
            command: BankCommand::Balance(key_of(0)),
        };
        let (to, question) = (NodeId(1), Question::Request { proposal });
        let asked = QuestionEnvelope { from, to, question };
        let answer = service.handle(now, node, &asked, &mut outbox, &mut ());
        let outstanding = |number| {
            node.is_outstanding(RequestKey {
                client: ClientId(client),
                number: RequestNumber(number),
            })
        };
        (
            answer.map(|answered| answered.answer),
            [outstanding(1), outstanding(2)],
        )
    };
    assert_eq!(ask(5, 1, at), (None, [true, false]));
    assert_eq!(ask(5, 1, at), (None, [true, false]), "the same again");
    assert_eq!(ask(5, 2, at), (None, [false, true]));
    assert_eq!(ask(5, 1, at), (None, [false, true]), "a late copy");
    for client in 6..=8 {
        assert_eq!(ask(client, 1, at).0, None);
    }
    let (answer, _) = ask(9, 1, at);
    assert!(
        matches!(answer, Some(Answer::Outcome { outcome: Outcome::Busy, key, .. }) if key.client.0 == 9),
        "{answer:?}"
    );
    assert_eq!(ask(5, 3, at).0, None, "its own place is free for it");
}

#[test]
fn x1_another_command_under_the_same_number_is_not_given_the_answer_of_the_first() {
    let mut world = World::new(2, 0);
    let node = world.nodes[1].as_deref_mut().unwrap();
    let (service, now) = (&mut world.services[1], Instant::ZERO);
    let mut outbox = Outbox::<Machine, 2, { 8 * Member::OUTBOX_MIN }>::new();
    let asked = |from: u8, amount| {
        let proposal = Proposal::Request {
            client: ClientId(5),
            number: RequestNumber(7),
            command: BankCommand::Deposit(key_of(0), amount),
        };
        QuestionEnvelope {
            from: Address::new(from).unwrap(),
            to: NodeId(1),
            question: Question::Request { proposal },
        }
    };
    let reply = crate::Reply {
        key: numbered(5, 7),
        fingerprint: 0,
        outcome: Outcome::Applied {
            slot: Slot::new(9),
            output: BankReply::Balance(99),
        },
    };
    for question in [asked(70, 99), asked(71, 7)] {
        let answer = service.handle(now, node, &question, &mut outbox, &mut ());
        assert_eq!(answer, None);
    }
    // The first one is answered while the second one asks once more.
    outbox.replies.push(reply).unwrap();
    node.withdraw(reply.key).unwrap();
    let answer = service.handle(now, node, &asked(71, 7), &mut outbox, &mut ());
    assert_eq!((answer, node.is_outstanding(reply.key)), (None, false));
    let to = service.answer(node, &reply).unwrap().to;
    assert_eq!(to.byte(), 70);
    assert_eq!(service.answer(node, &reply), None);
    // Then it is asked for, and has an answer of its own.
    outbox.clear();
    let answer = service.handle(now, node, &asked(71, 7), &mut outbox, &mut ());
    assert_eq!((answer, node.is_outstanding(reply.key)), (None, true));
    assert_eq!(service.answer(node, &reply).unwrap().to.byte(), 71);
}

#[test]
fn x4_only_the_client_that_asked_can_withdraw() {
    let mut world = World::new(2, 0);
    let node = world.nodes[1].as_deref_mut().unwrap();
    let (service, now) = (&mut world.services[1], Instant::ZERO);
    let mut outbox = Outbox::<Machine, 2, { 8 * Member::OUTBOX_MIN }>::new();
    node.register(now, 8, &mut outbox, &mut ()).unwrap();
    let mut say = |from: u8, question| {
        let (from, to) = (Address::new(from).unwrap(), NodeId(1));
        let asked = QuestionEnvelope { from, to, question };
        assert_eq!(
            service.handle(now, node, &asked, &mut outbox, &mut ()),
            None
        );
        [7, 8].map(|nonce| node.is_outstanding(RequestKey::registration(nonce)))
    };
    let proposal = Proposal::Register { nonce: 7 };
    let withdraw = |nonce| Question::Withdraw {
        key: RequestKey::registration(nonce),
    };
    assert_eq!(say(70, Question::Request { proposal }), [true, true]);
    assert_eq!(say(71, withdraw(7)), [true, true], "another client");
    assert_eq!(
        say(70, withdraw(8)),
        [true, true],
        "what the node's own board asked"
    );
    assert_eq!(
        say(71, Question::Request { proposal }),
        [true, true],
        "it has moved"
    );
    assert_eq!(say(70, withdraw(7)), [true, true]);
    assert_eq!(say(71, withdraw(7)), [false, true]);
}

#[test]
fn the_place_of_a_dropped_reply_is_reused() {
    let mut node = Member::found(Config::new(NodeId(0), 1), 6, Instant::ZERO).unwrap();
    let mut service = Service::<CLIENTS>::new();
    let mut outbox = Outbox::<Machine, 2, { Member::OUTBOX_MIN }>::new();
    let mut now = Instant::ZERO;
    while node.leading().is_none() {
        now = node.next_deadline().unwrap();
        node.handle_timeout(now, &mut outbox, &mut ());
        outbox.clear();
    }
    for nonce in 0..3 * u64::try_from(CLIENTS).unwrap() {
        let proposal = Proposal::Register { nonce };
        let asked = QuestionEnvelope {
            from: Address::FIRST,
            to: NodeId(0),
            question: Question::Request { proposal },
        };
        let answer = service.handle(now, &mut node, &asked, &mut outbox, &mut ());
        assert_eq!(answer, None, "nonce {nonce}");
        assert_eq!(outbox.replies.len(), 1);
        outbox.clear();
    }
}

/// Returns nodes that follow a leader, whose number is returned beside them.
fn led_world() -> (World, usize) {
    let mut world = World::new(6, 0);
    world.run_until("all have joined", |world| {
        (0..3).all(|number| world.node(number).is_active()) && world.lead().is_some()
    });
    world.run_for(Duration::from_secs(1));
    let leader = world.lead().unwrap();
    (world, leader)
}

/// Returns the status of a node, and asserts that the question has changed nothing.
fn status_of(world: &mut World, number: usize) -> Status {
    let asked = QuestionEnvelope {
        from: Address::LAST,
        to: NodeId(u16::try_from(number).unwrap()),
        question: Question::Status,
    };
    let node = world.nodes[number].as_deref_mut().unwrap();
    let before = node.clone();
    let mut outbox = Outbox::<Machine, 2, { Member::OUTBOX_MIN }>::new();
    let service = &mut world.services[number];
    let answer = service.handle(world.now, node, &asked, &mut outbox, &mut ());
    assert!(outbox.is_empty() && node.exploration_state() == before.exploration_state());
    match answer.unwrap().answer {
        Answer::Status(status) => status,
        other @ Answer::Outcome { .. } => panic!("{other:?}"),
    }
}

/// Halts a node by a message of its own number from elsewhere (rule N3); returns its number.
fn halt(world: &mut World, number: usize) -> NodeId {
    let node = world.nodes[number].as_deref_mut().unwrap();
    let me = node.id();
    let mut own = node.envelope(
        me,
        &crate::Outgoing {
            role: crate::Role::Replica,
            to: NodeSet::EMPTY,
            message: crate::Message::Learn { from: Slot::FIRST },
        },
    );
    own.to = me;
    let mut outbox = Outbox::<Machine, 2, { Member::OUTBOX_MIN }>::new();
    node.handle_message(world.now, &own, &mut outbox, &mut ());
    assert!(node.halted().is_some());
    me
}

#[test]
fn a_status_changes_nothing() {
    let (mut world, leader) = led_world();
    for number in 0..3 {
        let status = status_of(&mut world, number);
        let expected = if number == leader {
            NodeState::Leading
        } else {
            NodeState::Voting
        };
        assert_eq!(status.state, expected);
        assert_eq!(status.leader, Some(NodeId(u16::try_from(leader).unwrap())));
        assert_eq!(status.highest, world.node(leader).leading().unwrap());
        let node = world.node(number);
        assert_eq!(
            (status.applied, status.chain),
            (node.applied(), node.chain())
        );
        assert_eq!(
            (status.epoch, status.members),
            (node.epoch(), node.members())
        );
    }
}

#[test]
fn a_node_that_has_halted_answers_and_its_clients_go_on_at_once() {
    let (mut world, leader) = led_world();
    let me = halt(&mut world, leader);
    let now = world.now;
    assert_eq!(status_of(&mut world, leader).state, NodeState::Halted);
    // A client that asks it is told at once, and goes on at another node.
    let index = world.add(Address::FIRST, 3);
    let believes = Status {
        leader: Some(me),
        ..world.node(0).status()
    };
    let outside = &mut world.clients[index].client;
    outside.handle_answer(now, NodeId(0), &Answer::Status(believes));
    world.deposit(index);
    let question = world.clients[index].client.poll_question();
    let (to, question) = question.unwrap();
    assert_eq!(to, me);
    let from = world.clients[index].at;
    world.ask(&QuestionEnvelope { from, to, question });
    let told = |world: &World| world.clients[index].client.leader() != Some(me);
    world.run_until("it is told", told);
    assert!(world.now < now + PATIENCE, "and not only kept waiting");
    world.run_until("it is answered", |world| {
        world.clients[index].answers.len() == 1
    });
}

/// A client that is driven by hand.
fn alone() -> Client<Machine> {
    Client::new(NodeSet::first(3), PATIENCE, 77).unwrap()
}

/// Returns the answer to a request: mostly the balance of the first account.
fn outcome(key: RequestKey, outcome: Outcome<BankReply>) -> Answer<BankReply> {
    answer_to(BankCommand::Balance(key_of(0)), key, outcome)
}

fn answer_to(
    command: BankCommand,
    key: RequestKey,
    outcome: Outcome<BankReply>,
) -> Answer<BankReply> {
    let RequestKey { client, number } = key;
    let asked = Proposal::Request {
        client,
        number,
        command,
    };
    let registers = number == RequestNumber::REGISTRATION;
    Answer::Outcome {
        key,
        fingerprint: if registers { 0 } else { asked.fingerprint() },
        outcome,
        leader: None,
    }
}

fn numbered(client: u64, number: u32) -> RequestKey {
    RequestKey {
        client: ClientId(client),
        number: RequestNumber(number),
    }
}

#[test]
fn a_client_ignores_answers_to_other_questions() {
    let (mut client, now) = (alone(), Instant::ZERO);
    let command = BankCommand::Balance(key_of(0));
    let applied = Outcome::Applied {
        slot: Slot::new(9),
        output: BankReply::Balance(1),
    };
    let session = Session {
        client: ClientId(4),
        number: RequestNumber(7),
    };
    client.resume(session);
    client.handle_answer(now, NodeId(0), &outcome(numbered(4, 7), applied));
    assert_eq!(client.poll_done(), None, "nothing is asked");
    client.request(now, command).unwrap();
    assert_eq!(client.request(now, command), Err(ClientError::Outstanding));
    let registered = Outcome::Registered {
        client: ClientId(5),
    };
    for (key, told) in [
        (numbered(4, 7), applied),
        (numbered(4, 9), applied),
        (numbered(5, 8), applied),
        (RequestKey::registration(77), registered),
        (numbered(4, 8), registered),
    ] {
        client.handle_answer(now, NodeId(0), &outcome(key, told));
        assert_eq!(client.poll_done(), None, "{key:?} {told:?}");
    }
    let other = BankCommand::Deposit(key_of(0), 1);
    client.handle_answer(now, NodeId(0), &answer_to(other, numbered(4, 8), applied));
    assert_eq!(client.poll_done(), None, "it did not ask for a deposit");
    let right = outcome(numbered(4, 8), applied);
    client.handle_answer(now, NodeId(2), &right);
    assert_eq!(client.request(now, command), Err(ClientError::NotTaken));
    let (slot, output) = (Slot::new(9), BankReply::Balance(1));
    let done = Done {
        key: numbered(4, 8),
        result: Ok(Applied { slot, output }),
    };
    assert_eq!(client.poll_done(), Some(done));
    client.handle_answer(now, NodeId(2), &right);
    assert_eq!((client.poll_done(), client.next_deadline()), (None, None));
    assert_eq!(client.withdraw(), Err(ClientError::NothingOutstanding));
}

#[test]
fn a_client_that_is_kept_waiting_asks_everybody_and_less_and_less_often() {
    let (mut client, mut now) = (alone(), Instant::ZERO);
    client
        .request(now, BankCommand::Balance(key_of(0)))
        .unwrap();
    let mut waits = Vec::new();
    let mut asked = Vec::new();
    for _ in 0..18 {
        let (to, question) = client.poll_question().unwrap();
        assert!(matches!(question, Question::Request { .. }));
        asked.push(to.0);
        let deadline = client.next_deadline().unwrap();
        client.handle_timeout(Instant::from_micros(deadline.as_micros() - 1));
        assert_eq!(client.poll_question(), None, "it waits");
        waits.push(deadline.since(now).as_micros() / PATIENCE.as_micros());
        now = deadline;
        client.handle_timeout(now);
    }
    assert_eq!(asked[..6], [0, 1, 2, 0, 1, 2]);
    for (round, waits) in waits.chunks(3).enumerate() {
        let least = 1 << round.min(3);
        let range = least..=least + least / 2;
        assert!(waits.iter().all(|wait| range.contains(wait)), "{waits:?}");
    }
}

#[test]
fn a_request_after_a_long_wait_gives_each_node_the_usual_time() {
    let (mut client, mut now) = (alone(), Instant::ZERO);
    client.resume(Session {
        client: ClientId(7),
        number: RequestNumber(1),
    });
    client
        .request(now, BankCommand::Balance(key_of(0)))
        .unwrap();
    for _ in 0..9 {
        now = client.next_deadline().unwrap();
        client.handle_timeout(now);
    }
    client.withdraw().unwrap();
    client
        .request(now, BankCommand::Balance(key_of(0)))
        .unwrap();
    let wait = client.next_deadline().unwrap().since(now);
    assert!(wait < PATIENCE * 2, "{wait}");
}

#[test]
fn a_client_waits_and_tries_another_node_when_one_is_busy() {
    let (mut client, now) = (alone(), Instant::ZERO);
    client.resume(Session {
        client: ClientId(4),
        number: RequestNumber(0),
    });
    client
        .request(now, BankCommand::Balance(key_of(0)))
        .unwrap();
    assert_eq!(client.poll_question().unwrap().0, NodeId(0));
    let busy = outcome(numbered(4, 1), Outcome::Busy);
    client.handle_answer(now, NodeId(2), &busy);
    client.handle_answer(now, NodeId(0), &busy);
    assert_eq!(client.poll_question(), None);
    let deadline = client.next_deadline().unwrap();
    assert!(deadline >= now + PATIENCE);
    client.handle_timeout(deadline);
    assert_eq!(client.poll_question().unwrap().0, NodeId(1));
}

#[test]
fn a_client_does_not_ask_without_pause_when_all_nodes_have_halted() {
    let (mut client, now) = (alone(), Instant::ZERO);
    client
        .request(now, BankCommand::Balance(key_of(0)))
        .unwrap();
    let halted = Answer::Status(Status {
        state: NodeState::Halted,
        leader: None,
        applied: Slot::ZERO,
        chain: 0,
        highest: crate::Ballot::NULL,
        epoch: crate::Epoch::FIRST,
        members: NodeSet::first(3),
    });
    let mut asked = Vec::new();
    while let Some((to, _)) = client.poll_question() {
        asked.push(to.0);
        client.handle_answer(now, to, &halted);
    }
    assert_eq!(asked, [0, 1, 2, 0], "each at once, and then no more");
    let deadline = client.next_deadline().unwrap();
    assert!(deadline >= now + PATIENCE * 2);
    client.handle_timeout(deadline);
    assert_eq!(client.poll_question().unwrap().0, NodeId(1));
}

#[test]
fn a_registration_is_withdrawn_as_well() {
    let (mut client, now) = (alone(), Instant::ZERO);
    let command = BankCommand::Balance(key_of(0));
    client.request(now, command).unwrap();
    assert_eq!(client.withdraw(), Ok(Withdrawn::NeverAsked));
    assert_eq!(client.poll_question(), None, "nothing had left");
    client.request(now, command).unwrap();
    let (first, _) = client.poll_question().unwrap();
    let deadline = client.next_deadline().unwrap();
    client.handle_timeout(deadline);
    let (second, _) = client.poll_question().unwrap();
    assert_eq!(client.withdraw(), Ok(Withdrawn::NeverAsked));
    let key = RequestKey::registration(77);
    for node in [first, second] {
        let withdraw = Question::Withdraw { key };
        assert_eq!(client.poll_question(), Some((node, withdraw)));
    }
    assert_eq!(client.poll_question(), None);
    let registered = Outcome::Registered {
        client: ClientId(5),
    };
    client.handle_answer(now, first, &outcome(key, registered));
    assert_eq!((client.poll_question(), client.session()), (None, None));
}

#[test]
fn two_clients_that_had_one_nonce_part_when_they_are_refused() {
    let nonces = [1, 2].map(|at| {
        let (mut client, now) = (alone(), Instant::from_micros(at));
        let command = BankCommand::Balance(key_of(0));
        client.resume(Session {
            client: ClientId(4),
            number: RequestNumber(6),
        });
        client.request(now, command).unwrap();
        let reused = outcome(numbered(4, 7), Outcome::Reused);
        client.handle_answer(now, NodeId(0), &reused);
        assert_eq!(client.poll_done().unwrap().result, Err(Undone::Reused));
        client.request(now, command).unwrap();
        match client.poll_question() {
            Some((
                _,
                Question::Request {
                    proposal: Proposal::Register { nonce },
                },
            )) => nonce,
            other => panic!("{other:?}"),
        }
    });
    assert_ne!(nonces[0], nonces[1]);
}

#[test]
fn numbers_that_are_used_up_end_the_session_and_not_the_client() {
    let (mut client, now) = (alone(), Instant::ZERO);
    client.resume(Session {
        client: ClientId(4),
        number: RequestNumber(u32::MAX),
    });
    client
        .request(now, BankCommand::Balance(key_of(0)))
        .unwrap();
    let (_, question) = client.poll_question().unwrap();
    let Question::Request {
        proposal: Proposal::Register { nonce },
    } = question
    else {
        panic!("{question:?}");
    };
    assert_ne!(
        nonce, 77,
        "an answer to the old one would be taken for this"
    );
}

#[test]
fn invalid_client_settings_are_rejected() {
    let none = Client::<Machine>::new(NodeSet::EMPTY, PATIENCE, 1);
    assert_eq!(none.err(), Some(ClientError::NoMembers));
    let hasty = Client::<Machine>::new(NodeSet::first(1), Duration::ZERO, 1);
    assert_eq!(hasty.err(), Some(ClientError::NoPatience));
    assert!(Address::new(0).is_none() && Address::new(63).is_none());
}
