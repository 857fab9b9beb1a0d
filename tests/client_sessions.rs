//! Client sessions: registration, retries, request numbers, eviction, withdrawal and linearizable reads.

use crate::harness::cluster::{CLIENTS, Cluster, is, millis, slot};
use crate::harness::trace::EventKind;
use synod::machines::{Key, KvCommand, KvReply};
use synod::{
    ClientId, Message, MessageKind, Outcome, Proposal, Reason, RequestError, RequestKey,
    RequestNumber, Role, WithdrawError,
};

fn get() -> KvCommand {
    KvCommand::Get(Key::numbered(0))
}

#[test]
fn x1_a_retry_gets_the_first_answer() {
    let mut c = Cluster::settled(3, 1);
    let node = c.follower(0);
    let (client, other) = (c.client(node), c.client(node));
    c.set_and_wait(node, client, 1, 9);
    c.ask(node, client, 2, get()).unwrap();
    c.run_until("it is answered", |c| c.outcome(client, 2).is_some());
    let first = c.outcome(client, 2);
    c.set_and_wait(node, other, 1, 10);
    c.run_until("every node has applied it", Cluster::is_settled);
    for retried_at in 0..3 {
        c.clear_answers();
        let applied = c.applied(retried_at);
        c.ask(retried_at, client, 2, get()).unwrap();
        c.run_until("the retry is answered", |c| c.outcome(client, 2).is_some());
        assert_eq!(
            c.outcome(client, 2),
            first,
            "though the key has another value now"
        );
        assert_eq!(
            c.applied(retried_at),
            applied,
            "and nothing was decided for it"
        );
    }
}

#[test]
fn x1_a_retry_at_another_node_after_a_crash_is_applied_once() {
    for seed in 0..20 {
        let mut c = Cluster::settled(5, seed);
        let first = c.follower(0);
        let client = c.client(first);
        c.set_and_wait(first, client, 1, 9);
        c.clear_answers();
        c.set(first, client, 2, 10);
        // The node stops at some moment between the receipt of the request and long after its answer.
        c.run_for(millis(10 * seed));
        c.stop(first);
        let second = c.follower(1);
        c.set(second, client, 2, 10);
        c.run_until("the retry is answered", |c| {
            c.applied_in(client, 2).is_some()
        });
        c.run_until("the rest agrees", Cluster::is_settled);
        // The harness checks after every step that a request takes effect only once.
        assert_eq!(c.node(second).machine().get(Key::numbered(0)), Some(10));
    }
}

#[test]
fn x1_a_request_whose_answer_is_lost_is_retried_and_applied_once() {
    // A node that has not joined forwards requests to other nodes, so the answers are messages and can be lost.
    let mut c = Cluster::powered_off(5, 3);
    for node in 0..4 {
        c.start(node);
    }
    c.run_until("four follow one leader", Cluster::is_settled);
    c.drop_matching(|envelope| is(envelope, MessageKind::Welcome));
    c.start(4);
    let client = c.client(4);
    c.drop_matching(|envelope| is(envelope, MessageKind::Response));
    c.set(4, client, 1, 9);
    c.run_for(millis(3_000));
    assert!(c.outcome(client, 1).is_none());
    assert!(c.trace.sent(4, MessageKind::Request) > 2, "it has retried");
    c.clear_rules();
    c.drop_matching(|envelope| is(envelope, MessageKind::Welcome));
    c.run_until("an answer comes", |c| c.applied_in(client, 1).is_some());
}

#[test]
fn x1_stale_and_reused_numbers_are_distinguished() {
    let mut c = Cluster::settled(3, 1);
    let node = c.follower(0);
    let client = c.client(node);
    c.set_and_wait(node, client, 1, 9);
    c.set_and_wait(node, client, 5, 10);
    c.clear_answers();
    c.set(node, client, 5, 11);
    c.run_until("it is answered", |c| c.outcome(client, 5).is_some());
    assert_eq!(c.outcome(client, 5), Some(Outcome::Reused));
    c.set(node, client, 1, 9);
    c.run_until("it is answered", |c| c.outcome(client, 1).is_some());
    assert_eq!(c.outcome(client, 1), Some(Outcome::Stale));
    assert_eq!(c.node(node).machine().get(Key::numbered(0)), Some(10));
    let zero = c.ask(node, client, 0, get());
    assert_eq!(zero, Err(RequestError::NumberZero));
}

/// A client that has lost count: number 7 is answered at the leader, while another command under number 7 waits at a
/// follower that has not learned the first one.
#[test]
fn x1_a_reused_number_is_refused_at_every_node() {
    for told_by in [MessageKind::Accept, MessageKind::Heartbeat] {
        let mut c = Cluster::settled(3, 1);
        let (leader, follower) = (c.leader().unwrap(), c.follower(0));
        let client = c.client(follower);
        c.run_until("every node knows the client", Cluster::is_settled);
        // The follower accepts the proposal and does not learn that it is decided.
        c.hold_matching(move |envelope| {
            envelope.to.0 == follower
                && (is(envelope, MessageKind::Decision) || is(envelope, told_by))
        });
        c.set(leader, client, 7, 9);
        c.run_until("the leader answers", |c| c.outcome(client, 7).is_some());
        c.clear_answers();
        c.set(follower, client, 7, 11);
        c.clear_rules();
        c.release(false);
        c.run_until("the follower answers", |c| c.outcome(client, 7).is_some());
        assert_eq!(c.outcome(client, 7), Some(Outcome::Reused));
        c.run_until("every node has applied it", Cluster::is_settled);
        let kept = c.node(follower).machine().get(Key::numbered(0));
        assert_eq!(kept, Some(9), "the second command was not applied");
    }
}

/// The converse: a later number was applied, so the waiting request can never be applied.
#[test]
fn x1_a_request_overtaken_by_a_later_number_is_stale() {
    let mut c = Cluster::settled(3, 1);
    let (leader, follower) = (c.leader().unwrap(), c.follower(0));
    let client = c.client(follower);
    c.run_until("every node knows the client", Cluster::is_settled);
    c.drop_matching(move |envelope| is(envelope, MessageKind::Propose));
    c.set(follower, client, 6, 9);
    c.set(leader, client, 7, 11);
    c.run_until("the leader answers", |c| c.outcome(client, 7).is_some());
    c.run_until("the follower answers", |c| c.outcome(client, 6).is_some());
    assert_eq!(c.outcome(client, 6), Some(Outcome::Stale));
}

/// Two nodes send the same replica different commands under one number, and each gets the answer to its own command.
#[test]
fn x1_two_commands_under_one_number_wait_side_by_side() {
    let mut c = Cluster::settled(5, 1);
    let (leader, replica) = (c.leader().unwrap(), c.follower(0));
    let (first, second) = (c.follower(1), c.follower(2));
    let client = c.client(replica);
    c.run_until("every node knows the client", Cluster::is_settled);
    c.drop_matching(move |envelope| {
        is(envelope, MessageKind::Propose) && envelope.from.0 == replica
    });
    c.hold_matching(move |envelope| {
        is(envelope, MessageKind::Response) && envelope.from.0 == replica
    });
    let ask = |value| Proposal::Request {
        client,
        number: RequestNumber(7),
        command: KvCommand::Set(Key::numbered(0), value),
    };
    for (node, value) in [(first, 9), (second, 11)] {
        let proposal = ask(value);
        c.inject(node, replica, Message::Request { proposal });
        assert!(c.held().is_empty(), "it waits");
    }
    // One of them is decided through the leader.
    c.set(leader, client, 7, 11);
    c.run_until("both are answered", |c| c.held().len() == 2);
    let told = |node: u16, value: i64| {
        let envelope = c
            .held()
            .iter()
            .find(|envelope| envelope.to.0 == node)
            .unwrap();
        let Message::Response {
            fingerprint,
            outcome,
            ..
        } = envelope.message
        else {
            panic!("{envelope:?}");
        };
        assert_eq!(fingerprint, ask(value).fingerprint());
        outcome
    };
    assert_eq!(told(first, 9), Outcome::Reused);
    assert!(matches!(told(second, 11), Outcome::Applied { .. }));
}

/// The network repeats an old answer while another command waits under the same number.
#[test]
fn x1_an_answer_to_another_command_is_ignored() {
    let mut c = Cluster::settled(3, 1);
    let (leader, follower) = (c.leader().unwrap(), c.follower(0));
    let client = c.client(follower);
    c.run_until("every node knows the client", Cluster::is_settled);
    c.isolate(follower);
    let (key, mine, other) = (
        RequestKey {
            client,
            number: RequestNumber(7),
        },
        KvCommand::Set(Key::numbered(0), 11),
        KvCommand::Set(Key::numbered(0), 9),
    );
    c.ask(follower, client, 7, mine).unwrap();
    let answer = |command| Message::Response {
        key,
        fingerprint: Proposal::Request {
            client,
            number: RequestNumber(7),
            command,
        }
        .fingerprint(),
        outcome: Outcome::Applied {
            slot: slot(40),
            output: KvReply::Value(9),
        },
    };
    c.inject(leader, follower, answer(other));
    assert_eq!(c.outcome(client, 7), None);
    assert_eq!(c.trace.ignored(follower, Reason::UnknownRequest), 1);
    c.inject(leader, follower, answer(mine));
    assert!(c.outcome(client, 7).is_some(), "this one is its own");
}

#[test]
fn x1_a_client_has_one_outstanding_request() {
    let mut c = Cluster::settled(3, 1);
    let node = c.follower(0);
    let client = c.client(node);
    c.set(node, client, 1, 9);
    let number = RequestNumber(1);
    assert_eq!(
        c.ask(node, client, 2, get()),
        Err(RequestError::Outstanding { number })
    );
    c.run_until("the first is answered", |c| {
        c.applied_in(client, 1).is_some()
    });
    assert_eq!(c.ask(node, client, 2, get()), Ok(()));
}

#[test]
fn x2_a_full_table_evicts_the_least_recently_used_session() {
    let mut c = Cluster::settled(3, 1);
    let node = c.follower(0);
    let clients: Vec<ClientId> = (0..CLIENTS).map(|_| c.client(node)).collect();
    c.set_and_wait(node, clients[0], 1, 1);
    let newest = c.client(node);
    c.run_until("every node has applied it", Cluster::is_settled);
    for at in 0..3 {
        c.clear_answers();
        c.set(at, clients[1], 1, 2);
        c.run_until("it is answered", |c| c.outcome(clients[1], 1).is_some());
        assert_eq!(
            c.outcome(clients[1], 1),
            Some(Outcome::Evicted),
            "the same on every node"
        );
    }
    c.set_and_wait(node, clients[0], 2, 3);
    c.set_and_wait(node, newest, 1, 4);
    assert_eq!(c.node(node).marks().sessions, CLIENTS);
    // The table recovers: the evicted client opens a new session.
    let again = c.client(node);
    assert!(again > newest);
    c.set_and_wait(node, again, 1, 5);
}

#[test]
fn x2_a_retried_registration_opens_one_session() {
    let mut c = Cluster::settled(3, 1);
    let (here, there) = (c.follower(0), c.follower(1));
    let key = RequestKey::registration(77);
    c.register_as(here, 77).unwrap();
    c.register_as(there, 77).unwrap();
    c.run_until("both are answered", |c| {
        let pending = |node| c.node(node).roles().any(|role| role == Role::Requester);
        !pending(here) && !pending(there)
    });
    let first = c.answer(key);
    c.run_until("every node has applied it", Cluster::is_settled);
    c.register_as(here, 77).unwrap();
    assert_eq!(c.answer(key), first);
    let sessions = c.node(here).marks().sessions;
    assert_eq!(sessions, 1);
}

#[test]
fn x3_a_snapshot_contains_the_answers() {
    let mut c = Cluster::settled(3, 1);
    let (leader, away) = (c.leader().unwrap(), c.follower(0));
    c.isolate(away);
    let client = c.client(leader);
    c.set_and_wait(leader, client, 1, 9);
    let first = c.outcome(client, 1);
    c.decide(leader, 30);
    c.heal();
    c.run_until("it has caught up", |c| c.applied(away) == c.applied(leader));
    c.isolate(away);
    c.clear_answers();
    c.set(away, client, 1, 9);
    assert_eq!(c.outcome(client, 1), first, "from its own table, at once");
}

#[test]
fn a_request_at_a_node_that_has_not_joined_is_served_by_another_node() {
    let mut c = Cluster::powered_off(3, 1);
    c.start(0);
    c.start(1);
    c.run_until("two follow one leader", Cluster::is_settled);
    c.drop_matching(|envelope| is(envelope, MessageKind::Welcome));
    c.start(2);
    let client = c.client(2);
    c.set_and_wait(2, client, 1, 9);
    assert!(!c.node(2).is_active());
    assert!(c.trace.sent(2, MessageKind::Request) >= 2);
    assert!(c.trace.received(2, MessageKind::Response) >= 2);
    let answered = c.outcome(client, 1);
    assert!(matches!(
        answered,
        Some(Outcome::Applied {
            output: KvReply::Value(9),
            ..
        })
    ));
    // The node joins in the middle of a request and uses its own replica from then on.
    c.set(2, client, 2, 10);
    c.clear_rules();
    c.run_until("it has joined and is answered", |c| {
        c.node(2).is_active() && c.applied_in(client, 2).is_some()
    });
}

#[test]
fn a_request_before_the_founding_is_answered_after_it() {
    let mut c = Cluster::powered_off(3, 1);
    c.start(2);
    let nonce = c.register(2);
    c.run_for(millis(3_000));
    c.start(1);
    c.start(0);
    c.run_until("it is answered", |c| c.registered(nonce).is_some());
    assert_eq!(c.registered(nonce), Some(ClientId(1)));
}

#[test]
fn a_request_survives_the_snapshot_that_its_node_installs() {
    // The slots that a snapshot skips are answered from the sessions in it.
    let mut c = Cluster::settled(3, 1);
    let (leader, away) = (c.leader().unwrap(), c.follower(0));
    let client = c.client(away);
    // The request leaves the node, which is then cut off before it learns of the proposal.
    c.drop_matching(move |envelope| is(envelope, MessageKind::Accept) && envelope.to.0 == away);
    c.set(away, client, 1, 9);
    c.run_until("the leader has it", |c| {
        c.trace.received(leader, MessageKind::Propose) >= 2
    });
    c.isolate(away);
    c.decide(leader, 30);
    assert!(c.outcome(client, 1).is_none());
    c.heal();
    c.clear_rules();
    c.drop_matching(move |envelope| is(envelope, MessageKind::Propose));
    let skips =
        |event: &EventKind| matches!(event, EventKind::Installed { at, .. } if *at > slot(20));
    c.run_until("the snapshot is installed", |c| c.saw(away, skips));
    let answer = c.applied_in(client, 1);
    assert!(
        answer.is_some_and(|answer| answer < slot(10)),
        "in the same step"
    );
}

#[test]
fn x4_a_withdrawn_request_is_not_answered_and_frees_its_place() {
    let mut c = Cluster::settled(3, 1);
    let node = c.leader().unwrap();
    let clients: Vec<ClientId> = (0..CLIENTS).map(|_| c.client(node)).collect();
    c.isolate(node);
    let of = |client, number| RequestKey {
        client,
        number: RequestNumber(number),
    };
    // Twice as many requests as there is room for, one after the other.
    for number in 1..=2 {
        for client in &clients {
            c.set(node, *client, number, i64::from(number));
        }
        for client in &clients {
            assert_eq!(c.node_mut(node).withdraw(of(*client, number)), Ok(()));
        }
    }
    let again = c.node_mut(node).withdraw(of(clients[0], 1));
    assert_eq!(again, Err(WithdrawError::NotOutstanding));
    assert!(c.node(node).roles().all(|role| role != Role::Requester));
    c.heal();
    c.run_until("the node follows again", Cluster::is_settled);
    c.run_for(millis(3_000));
    for client in &clients {
        assert_eq!(c.outcome(*client, 1), None);
        assert_eq!(c.outcome(*client, 2), None);
    }
    // The answer to a later number settles the withdrawn requests: each was applied before it, or never will be.
    c.set_and_wait(node, clients[0], 3, 9);
    let value = c.node(node).machine().get(Key::numbered(0));
    c.clear_answers();
    for number in 1..=2 {
        c.set(node, clients[0], number, i64::from(number));
        c.run_until("it is answered", |c| {
            c.outcome(clients[0], number).is_some()
        });
        assert_eq!(c.outcome(clients[0], number), Some(Outcome::Stale));
    }
    assert_eq!(c.node(node).machine().get(Key::numbered(0)), value);
}

#[test]
fn q1_a_partitioned_leader_answers_no_read() {
    let mut c = Cluster::settled(3, 1);
    let leader = c.leader().unwrap();
    let (reader, writer) = (c.client(leader), c.client(leader));
    c.set_and_wait(leader, writer, 1, 9);
    c.run_until("every node has applied it", Cluster::is_settled);
    c.isolate(leader);
    c.ask(leader, reader, 1, get()).unwrap();
    c.assert_never_within(millis(3_000), "it is answered", |c| {
        c.outcome(reader, 1).is_some()
    });
    let other = (leader + 1) % 3;
    c.set_and_wait(other, writer, 2, 10);
    c.heal();
    c.run_until("the read is answered", |c| c.outcome(reader, 1).is_some());
    assert!(
        matches!(
            c.outcome(reader, 1),
            Some(Outcome::Applied {
                output: KvReply::Value(10),
                ..
            })
        ),
        "what it knew when it was asked is old by now"
    );
}
