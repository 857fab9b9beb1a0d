//! Scenarios of services that are joined by a network which the test controls.

mod harness;

use super::*;
use crate::capacity::LANES;
use crate::op::{Condition, Expiry, Op, SetAnswer};
use crate::reply::Reply;
use harness::{Cluster, add, bulk, get, set};
use synod::{ClientId, NodeId, NodeSet, RequestNumber};

#[test]
fn what_is_set_at_one_node_is_read_at_every_other() {
    let mut cluster = Cluster::started(3);
    assert_eq!(cluster.write(1, &set(b"valve:3", b"open")), [Reply::OK]);
    for node in 0..3 {
        assert_eq!(cluster.read(node, &get(b"valve:3")), [bulk(b"open")]);
    }
}

#[test]
fn a_command_at_a_node_that_has_not_joined_yet_gets_its_reply_later() {
    let mut cluster = Cluster::begun(3);
    cluster.stop(2);
    cluster.run(3_000);
    // So much that it takes a while to fetch.
    for key in 0..300_u16 {
        cluster.write(0, &set(&key.to_le_bytes(), &[b'v'; 256]));
    }
    cluster.add(2);
    for _ in 0..20 {
        cluster.ask(2, &add(b"count", 1), false);
        cluster.run(10);
    }
    for answer in cluster.answers(20) {
        assert!(matches!(answer, Answer::Replies(_)), "{answer:?}");
    }
    assert_eq!(cluster.read(2, &get(b"count")), [bulk(b"20")]);
}

#[test]
fn d1_answers_of_a_node_do_not_wait_for_its_own_disk() {
    let mut cluster = Cluster::started(3);
    for node in 0..3 {
        let before = cluster.early;
        assert_eq!(cluster.write(node, &add(b"count", 1)).len(), 1);
        assert_eq!(cluster.early, before + 1, "at node {node}");
    }
}

#[test]
fn d1_a_lone_voter_answers_when_its_own_vote_is_durable() {
    let mut cluster = Cluster::started(1);
    let before = cluster.early;
    assert_eq!(cluster.write(0, &add(b"count", 1)), [Reply::Integer(1)]);
    assert_eq!(cluster.early, before, "nobody else has stored it");
}

#[test]
fn commands_of_many_clients_share_batches() {
    let mut cluster = Cluster::started(3);
    let leader = cluster.leader();
    let before = cluster.service(leader).counters();
    for _ in 0..64 {
        cluster.ask(leader, &add(b"count", 1), false);
    }
    let sums = cluster.answers(64).into_iter().map(|answer| match answer {
        Answer::Replies(replies) => replies[0].clone(),
        other => panic!("{other:?}"),
    });
    assert!(
        sums.eq((1..=64).map(Reply::Integer)),
        "each once, in their order"
    );
    let after = cluster.service(leader).counters();
    assert_eq!(after.operations - before.operations, 64);
    let batches = after.batches - before.batches;
    assert!(batches <= u64::try_from(LANES).unwrap() * 2, "{batches}");
    assert_eq!(cluster.service(leader).waiting(), 0);
}

#[test]
fn a_command_without_a_majority_changes_nothing_and_is_told_so() {
    let mut cluster = Cluster::started(3);
    let leader = cluster.leader();
    // A batch holds one of these, so that each lane opens its session.
    for _ in 0..LANES {
        cluster.ask(leader, &set(&[b'k'; 128], &[b'v'; 256]), false);
    }
    cluster.answers(LANES);
    let others = [0, 1, 2].into_iter().filter(|node| *node != leader);
    others.for_each(|node| cluster.stop(node));
    // A batch in flight may be decided later. What waits behind it has no place in any batch.
    for _ in 0..LANES {
        cluster.ask(leader, &set(&[b'k'; 128], &[b'v'; 256]), false);
    }
    cluster.run(5);
    cluster.ask(leader, &set(b"late", b"1"), false);
    cluster.ask(leader, &get(b"late"), true);
    let answers = cluster.answers(LANES + 2);
    let count = |failure| {
        let failed = Answer::Failed(failure);
        answers.iter().filter(|answer| **answer == failed).count()
    };
    let (unknown, down) = (count(Failure::OutcomeUnknown), count(Failure::NoLeader));
    assert_eq!((unknown, down), (LANES, 2), "{answers:?}");
}

#[test]
fn a_leader_that_dies_is_replaced_and_the_clients_of_others_go_on() {
    let mut cluster = Cluster::started(3);
    let leader = cluster.leader();
    assert_eq!(cluster.write(leader, &set(b"a", b"1")), [Reply::OK]);
    cluster.stop(leader);
    let other = (leader + 1) % 3;
    assert_eq!(cluster.write(other, &set(b"b", b"2")), [Reply::OK]);
    assert_eq!(cluster.read(other, &get(b"a")), [bulk(b"1")]);
    assert_ne!(cluster.leader(), leader);
}

#[test]
fn a_restarted_node_has_what_was_answered() {
    let mut cluster = Cluster::started(3);
    assert_eq!(cluster.write(0, &set(b"a", b"1")), [Reply::OK]);
    for node in 0..3 {
        cluster.stop(node);
    }
    for node in 0..3 {
        cluster.start(node);
    }
    assert_eq!(cluster.read(2, &get(b"a")), [bulk(b"1")]);
}

fn lock(milliseconds: u64) -> Op<'static> {
    Op::Set {
        key: b"lock",
        value: b"me",
        condition: Condition::Absent,
        expiry: Expiry::In(milliseconds),
        answer: SetAnswer::Status,
    }
}

#[test]
fn a_lock_is_held_for_its_time_and_then_free() {
    let mut cluster = Cluster::started(3);
    assert_eq!(cluster.write(0, &lock(2_000)), [Reply::OK]);
    cluster.run(1_900);
    assert_eq!(cluster.write(1, &lock(2_000)), [Reply::Nil]);
    cluster.run(300);
    assert_eq!(cluster.write(2, &lock(2_000)), [Reply::OK]);
}

#[test]
fn a_clock_that_is_set_does_not_end_a_lock() {
    let mut cluster = Cluster::started(3);
    assert_eq!(cluster.write(0, &lock(2_000)), [Reply::OK]);
    cluster.unix += 3_600_000;
    cluster.run(1_000);
    assert_eq!(cluster.write(1, &lock(2_000)), [Reply::Nil]);
}

#[test]
fn a_lock_outlives_the_leader_that_has_measured_its_time() {
    let mut cluster = Cluster::started(3);
    assert_eq!(cluster.write(0, &lock(3_000)), [Reply::OK]);
    cluster.run(500);
    let leader = cluster.leader();
    cluster.stop(leader);
    let other = (leader + 1) % 3;
    cluster.run(2_000);
    assert_eq!(cluster.write(other, &lock(3_000)), [Reply::Nil]);
    cluster.run(3_000);
    assert_eq!(cluster.write(other, &lock(3_000)), [Reply::OK]);
}

#[test]
fn a_request_that_is_repeated_at_another_node_is_applied_once() {
    let mut cluster = Cluster::started(3);
    let opened = cluster.asked(0, &Asked::Session { nonce: 77 });
    let Answer::Opened(client) = opened else {
        panic!("{opened:?}");
    };
    let request = Asked::request(client, RequestNumber(1), &add(b"count", 5)).unwrap();
    for node in 0..3 {
        let answer = cluster.asked(node, &request);
        assert_eq!(answer, Answer::Replies(vec![Reply::Integer(5)]));
    }
    let other = Asked::request(client, RequestNumber(1), &add(b"count", 6)).unwrap();
    let answer = cluster.asked(1, &other);
    assert!(
        matches!(answer, Answer::Failed(Failure::Refused(_))),
        "{answer:?}"
    );
    assert_eq!(cluster.read(2, &get(b"count")), [bulk(b"5")]);
}

#[test]
fn a_lost_member_is_replaced_by_a_node_with_a_new_number() {
    let mut cluster = Cluster::started(3);
    assert_eq!(cluster.write(0, &set(b"a", b"1")), [Reply::OK]);
    cluster.stop(2);
    cluster.add(3);
    cluster.run(2_000);
    let members: NodeSet = [0, 1, 3].map(NodeId).into_iter().collect();
    let epoch = cluster.service(0).node().epoch();
    let answer = cluster.change(0, Change { epoch, members });
    assert!(matches!(answer, Answer::Changed(_)), "{answer:?}");
    // Its vote is needed: with one of the old members gone, two of three are left.
    cluster.stop(1);
    assert_eq!(cluster.write(3, &set(b"a", b"2")), [Reply::OK]);
    assert_eq!(cluster.read(3, &get(b"a")), [bulk(b"2")]);
}

#[test]
fn more_than_can_wait_is_refused_and_nothing_is_lost() {
    let mut cluster = Cluster::started(1);
    for _ in 0..=WAITING_MAX {
        cluster.ask(0, &add(b"count", 1), false);
    }
    let answers = cluster.answers(WAITING_MAX + 1);
    let busy = Answer::Failed(Failure::Busy);
    assert_eq!(answers.iter().filter(|answer| **answer == busy).count(), 1);
    let count = WAITING_MAX.to_string().into_bytes();
    assert_eq!(cluster.read(0, &get(b"count")), [Reply::Bulk(count)]);
}

#[test]
fn a_failed_disk_takes_the_vote_and_not_the_cluster() {
    let mut cluster = Cluster::started(3);
    cluster.fail_disk(1);
    assert_eq!(cluster.write(0, &set(b"a", b"1")), [Reply::OK]);
    cluster.run(1_000);
    assert!(!cluster.service(1).is_durable());
    assert_eq!(cluster.read(1, &get(b"a")), [bulk(b"1")]);
}

#[test]
fn a_node_alone_whose_disk_fails_confirms_nothing() {
    let mut cluster = Cluster::started(1);
    assert_eq!(cluster.write(0, &set(b"a", b"1")), [Reply::OK]);
    cluster.fail_disk(0);
    cluster.ask(0, &set(b"a", b"2"), false);
    let unknown = Answer::Failed(Failure::OutcomeUnknown);
    assert_eq!(cluster.answers(1), [unknown]);
    cluster.ask(0, &set(b"a", b"3"), false);
    let halted = Answer::Failed(Failure::Halted);
    assert_eq!(cluster.answers(1), [halted]);
}

#[test]
fn a_leader_without_a_majority_does_not_spin_over_a_key_that_is_due() {
    let mut cluster = Cluster::started(3);
    let leader = cluster.leader();
    assert_eq!(cluster.write(leader, &lock(2_000)), [Reply::OK]);
    cluster.stop((leader + 1) % 3);
    cluster.stop((leader + 2) % 3);
    // The network of the test looks after each turn whether another one is asked for at once.
    cluster.run(10_000);
}

#[test]
fn what_has_no_room_in_a_turn_does_not_wait_for_an_event() {
    let mut cluster = Cluster::started(1);
    assert_eq!(cluster.write(0, &set(b"a", b"1")), [Reply::OK]);
    cluster.fill_outbox(0);
    cluster.ask(0, &set(b"a", b"2"), false);
    // One step of the clock, in which a node makes turns as long as it asks for them.
    cluster.run(1);
    assert!(cluster.is_answered());
}

#[test]
fn a_client_that_asks_in_the_sessions_of_the_node_does_not_stop_the_others() {
    let mut cluster = Cluster::started(3);
    let long = |cluster: &mut Cluster| {
        // A batch holds one of these, so that each lane has one.
        for _ in 0..LANES {
            cluster.ask(0, &set(&[b'k'; 128], &[b'v'; 256]), false);
        }
    };
    long(&mut cluster);
    cluster.answers(LANES);
    let opened = cluster.asked(0, &Asked::Session { nonce: 77 });
    let Answer::Opened(client) = opened else {
        panic!("{opened:?}");
    };
    let sessions = usize::try_from(client.0).unwrap();
    for session in 0..client.0 {
        let op = add(b"count", 1);
        let asked = Asked::request(ClientId(session), RequestNumber(1_000), &op);
        cluster.take_asked(0, &asked.unwrap());
    }
    cluster.run(5);
    long(&mut cluster);
    cluster.answers(sessions + LANES);
    assert_eq!(cluster.write(0, &set(b"a", b"1")), [Reply::OK]);
}
