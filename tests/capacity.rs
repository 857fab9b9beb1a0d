//! Capacity limits: each fixed-size structure, when full, returns an error value, traces the event and recovers, and
//! its high-water mark can be read.

use crate::harness::cluster::{CLIENTS, Cluster, Machine, WINDOW, is, millis};
use crate::harness::trace::EventKind;
use synod::simulation::{Calm, KvScript, Scenario, Scheduler, SimEvent, Simulation, Verdict};
use synod::{
    Event, Instant, MessageKind, NodeId, Outcome, Proposal, Queue, Reason, Record, RequestError,
    Tracer,
};

fn full(queue: Queue) -> impl Fn(&EventKind) -> bool {
    move |event| *event == EventKind::Full(queue)
}

#[test]
fn a_full_table_of_requesters_refuses_a_registration_until_one_is_answered() {
    let mut c = Cluster::settled(3, 1);
    let node = c.follower(0);
    let nonces: Vec<u64> = (0..CLIENTS).map(|_| c.register(node)).collect();
    let refused = c.register_as(node, 5);
    assert_eq!(refused, Err(RequestError::Full { capacity: CLIENTS }));
    assert_eq!(c.trace.count(node, full(Queue::Requesters)), 1);
    assert_eq!(c.node(node).marks().requesters, CLIENTS);
    c.run_until("all of them are answered", |c| {
        nonces.iter().all(|nonce| c.registered(*nonce).is_some())
    });
    c.register_as(node, 5).unwrap();
    c.run_until("the refused one as well", |c| c.registered(5).is_some());
}

#[test]
fn a_full_table_of_pending_requests_answers_busy_until_one_is_decided() {
    let mut c = Cluster::settled(5, 1);
    let (leader, node) = (c.leader().unwrap(), c.follower(0));
    c.drop_matching(move |envelope| is(envelope, MessageKind::Propose));
    for _ in 0..CLIENTS {
        c.register(node);
    }
    let others = [c.follower(1), c.follower(2)];
    let request = synod::Message::Request {
        proposal: Proposal::Register { nonce: 7 },
    };
    let output = c.inject(others[0], node, request);
    let busy = |message: &crate::harness::cluster::TestMessage| {
        matches!(
            message,
            synod::Message::Response {
                outcome: Outcome::Busy,
                ..
            }
        )
    };
    assert!(output.messages.iter().any(busy), "the one who asks is told");
    assert_eq!(c.trace.count(node, full(Queue::Pending)), 1);
    assert_eq!(c.node(node).marks().pending, CLIENTS);
    c.clear_rules();
    c.run_until("they are decided", |c| c.applied(leader).number() >= 4);
    c.run_for(millis(500));
    let request = synod::Message::Request {
        proposal: Proposal::Register { nonce: 7 },
    };
    let output = c.inject(others[0], node, request);
    assert!(!output.messages.iter().any(busy), "there is room again");
}

#[test]
fn waiting_and_the_window() {
    let mut c = Cluster::settled(5, 1);
    let leader = c.leader().unwrap();
    c.drop_matching(|envelope| is(envelope, MessageKind::Accepted));
    let mut nonces = Vec::new();
    for _ in 0..CLIENTS {
        for node in 0..5 {
            nonces.push(c.register(node));
        }
    }
    c.run_for(millis(200));
    assert!(c.trace.count(leader, full(Queue::Waiting)) > 0);
    assert!(c.trace.ignored(leader, Reason::Full) > 0);
    let marks = c.node(leader).marks();
    assert_eq!((marks.window, marks.waiting), (WINDOW, CLIENTS));
    c.clear_rules();
    c.run_until("all of them are answered", |c| {
        nonces.iter().all(|nonce| c.registered(*nonce).is_some())
    });
    c.run_until("every node agrees", Cluster::is_settled);
}

#[test]
fn votes() {
    let mut c = Cluster::settled(5, 1);
    let voter = c.follower(0);
    c.drop_matching(|envelope| is(envelope, MessageKind::Accepted));
    for _ in 0..CLIENTS {
        for node in 0..5 {
            c.register(node);
        }
    }
    c.run_for(millis(300));
    assert_eq!(c.node(voter).marks().votes, WINDOW);
}

#[test]
fn sessions() {
    let mut c = Cluster::settled(3, 1);
    let node = c.follower(0);
    let clients: Vec<_> = (0..=CLIENTS).map(|_| c.client(node)).collect();
    assert_eq!(c.node(node).marks().sessions, CLIENTS);
    c.set(node, clients[0], 1, 9);
    c.run_until("it is answered", |c| c.outcome(clients[0], 1).is_some());
    assert_eq!(c.outcome(clients[0], 1), Some(Outcome::Evicted));
}

#[test]
fn keys_of_the_machine() {
    use synod::StateMachine;
    use synod::machines::{Key, Kv, KvCommand, KvReply};
    let mut store = Kv::<1>::default();
    store.apply(&KvCommand::Set(Key::numbered(0), 1));
    assert_eq!(
        store.apply(&KvCommand::Set(Key::numbered(1), 1)),
        KvReply::Full
    );
    assert_eq!(
        store.apply(&KvCommand::Set(Key::numbered(0), 2)),
        KvReply::Value(2)
    );
}

#[test]
fn the_scheduler() {
    let mut scheduler = Scheduler::<Machine, 2, 2>::new();
    let at = Instant::ZERO;
    scheduler.push(at, SimEvent::Wake(NodeId(0))).unwrap();
    scheduler.push(at, SimEvent::Wake(NodeId(1))).unwrap();
    assert!(scheduler.push(at, SimEvent::Wake(NodeId(2))).is_err());
    assert_eq!((scheduler.len(), scheduler.peak()), (2, 2));
    scheduler.pop();
    scheduler.push(at, SimEvent::Wake(NodeId(2))).unwrap();
}

/// Counts the events for which the scheduler had no room.
struct Overflows(u64);

impl<M: synod::StateMachine, const PAGE: usize> Tracer<M, PAGE> for Overflows {
    fn record(&mut self, record: &Record<'_, M, PAGE>) {
        if matches!(
            record.event,
            Event::Full {
                queue: Queue::Scheduler
            }
        ) {
            self.0 += 1;
        }
    }
}

#[test]
fn a_simulation_with_too_small_a_scheduler_loses_messages_and_gets_there() {
    let scenario = Scenario::of(6, 5);
    let mut simulation =
        Simulation::<Calm<Machine, KvScript, 5, 40>, 16, 16, 2>::new(&scenario, KvScript::new(11))
            .unwrap();
    let mut overflows = Overflows(0);
    assert_eq!(simulation.run(&mut overflows), Verdict::Done);
    assert!(overflows.0 > 0, "it was full");
    let mark = simulation
        .marks()
        .find(|mark| mark.name == "scheduler")
        .unwrap();
    // Messages leave room for one wake-up of each node and one turn of each client.
    assert!(mark.peak >= 24 && mark.peak <= mark.capacity);
}

#[test]
fn no_mark_is_above_its_capacity() {
    for seed in 0..10 {
        let scenario = Scenario::of(seed, 5);
        let mut simulation = Simulation::<Calm<Machine, KvScript, 5, 512>, 16, 16, 2>::new(
            &scenario,
            KvScript::new(11),
        )
        .unwrap();
        simulation.run(&mut ());
        for mark in simulation.marks() {
            assert!(mark.peak <= mark.capacity, "seed {seed}: {mark:?}");
            assert!(mark.peak > 0, "seed {seed}: {mark:?} was never used");
        }
    }
}
