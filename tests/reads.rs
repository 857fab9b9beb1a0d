//! Reads that take no slot: the read index at any replica, and the moments at which nothing may be read (rules Q2 to Q5).

use crate::harness::cluster::WasRead::{NotNow, Saw};
use crate::harness::cluster::{Cluster, WasRead, is, millis};
use synod::machines::Key;
use synod::{Message, MessageKind, ReadError, Timer};

/// Longer than a node tries to have a read confirmed, in milliseconds.
const PATIENCE: u64 = 10_000;

/// What key A has in the state of a node.
fn value(c: &Cluster, node: u16) -> Option<i64> {
    c.node(node).machine().get(Key::numbered(0))
}

/// Runs until a read is answered, and returns what the node held of key A when it was.
fn read_at(c: &mut Cluster, node: u16, nonce: u64) -> WasRead {
    c.read(node, nonce).unwrap();
    c.run_until("the read is answered", |c| c.was_read(nonce).is_some());
    c.was_read(nonce).unwrap()
}

#[test]
fn q2_any_replica_reads_without_a_slot() {
    let mut c = Cluster::with_learners(3, 4, 6);
    let client = c.client(0);
    for (round, node) in (0..4).enumerate() {
        let number = u32::try_from(round).unwrap() + 1;
        c.set_and_wait(0, client, number, i64::from(number));
        let decided = c.applied(c.leader().unwrap());
        let seen = read_at(&mut c, node, u64::from(node) + 1);
        assert_eq!(seen, Saw(Some(i64::from(number))), "NODE_{node}");
        c.run_for(millis(500));
        assert_eq!(c.applied(c.leader().unwrap()), decided, "no slot was used");
    }
}

#[test]
fn q2_a_node_alone_reads_at_once() {
    let mut c = Cluster::settled(1, 6);
    let client = c.client(0);
    c.set_and_wait(0, client, 1, 9);
    c.read(0, 1).unwrap();
    assert_eq!(c.was_read(1), Some(Saw(Some(9))), "in the same step");
}

/// The leader is cut off and does not know it; the others have another one, and decide.
#[test]
fn q2_a_leader_that_was_replaced_reads_nothing() {
    for seed in 0..10 {
        let mut c = Cluster::settled(3, seed);
        let old = c.leader().unwrap();
        let client = c.client(old);
        c.set_and_wait(old, client, 1, 1);
        c.isolate(old);
        c.run_until("the others lead", |c| {
            c.leader().is_some_and(|leader| leader != old)
        });
        let leader = c.leader().unwrap();
        c.set_and_wait(leader, client, 2, 2);
        // It may still believe that it leads, or not any more: in neither case does it know.
        c.read(old, 7).unwrap();
        c.run_for(millis(PATIENCE));
        assert_eq!(c.was_read(7), Some(NotNow), "seed {seed}");
        c.heal();
        assert_eq!(read_at(&mut c, old, 8), Saw(Some(2)), "seed {seed}");
    }
}

/// The answers to a round arrive after another question has come, which they say nothing about.
#[test]
fn q2_a_round_confirms_only_the_questions_before_it() {
    let mut c = Cluster::settled(3, 1);
    let old = c.leader().unwrap();
    let client = c.client(old);
    c.set_and_wait(old, client, 1, 1);
    c.hold_matching(|envelope| is(envelope, MessageKind::Confirmed));
    c.read(old, 1).unwrap();
    c.run_until("the round is answered", |c| c.held().len() == 2);
    c.isolate(old);
    let others = [c.follower(0), c.follower(1)];
    c.clear_rules();
    c.run_until("the others lead", |c| {
        others.iter().any(|node| c.node(*node).leading().is_some())
    });
    let leader = c.leader().unwrap();
    c.set_and_wait(leader, client, 2, 2);
    let still_leads = c.node(old).leading().is_some();
    if still_leads {
        c.read(old, 2).unwrap();
    }
    c.release(false);
    if still_leads {
        assert_eq!(c.was_read(1), Some(Saw(Some(1))), "asked before the change");
    }
    assert_eq!(c.was_read(2), None, "asked after it");
    c.run_for(millis(PATIENCE));
    assert!(matches!(c.was_read(2), None | Some(NotNow)));
}

/// The numbers of the rounds tell how many there were.
#[test]
fn q2_one_round_serves_all_that_asked_before_it() {
    let mut c = Cluster::settled(3, 1);
    let (leader, follower) = (c.leader().unwrap(), c.follower(0));
    c.hold_matching(|envelope| is(envelope, MessageKind::Confirmed));
    c.read(leader, 1).unwrap();
    // All of these come while the first round is under way.
    for nonce in 2..5 {
        c.read(leader, nonce).unwrap();
        c.read(follower, 100 + nonce).unwrap();
    }
    c.run_until("the round is answered, and the follower has asked", |c| {
        c.held().len() >= 2 && c.trace.received(leader, MessageKind::ReadIndex) > 0
    });
    c.clear_rules();
    c.release(false);
    c.run_until("all have read", |c| {
        let all = (1..5).chain(102..105);
        all.into_iter().all(|nonce| c.was_read(nonce).is_some())
    });
    c.hold_matching(|envelope| is(envelope, MessageKind::Confirmed));
    c.read(leader, 9).unwrap();
    c.run_until("another round is answered", |c| !c.held().is_empty());
    let Message::Confirmed { round, .. } = c.held()[0].message else {
        unreachable!()
    };
    assert!(round <= 4, "seven reads took {} rounds", round - 1);
}

/// The old leader has answered a client and dies. The new one knows the request from its election, and has not decided it
/// yet.
#[test]
fn q3_a_new_leader_reads_only_when_it_has_decided_what_it_adopted() {
    let mut c = Cluster::settled(3, 2);
    let old = c.leader().unwrap();
    let client = c.client(old);
    c.set_and_wait(old, client, 1, 1);
    c.run_for(millis(500));
    c.drop_matching(move |envelope| {
        let tells = matches!(
            envelope.message.kind(),
            MessageKind::Decision | MessageKind::Heartbeat | MessageKind::Decisions
        );
        tells && envelope.from.0 == old
    });
    c.set_and_wait(old, client, 2, 2);
    c.stop(old);
    // The new leader proposes what it has adopted, and hears no answer.
    c.hold_matching(|envelope| is(envelope, MessageKind::Accepted));
    c.run_until("another one leads", |c| {
        c.live().any(|node| c.node(node).leading().is_some())
    });
    let new = c.leader().unwrap();
    assert_eq!(
        value(&c, new),
        Some(1),
        "it has not applied the request yet"
    );
    c.read(new, 7).unwrap();
    c.run_for(millis(200));
    assert_eq!(c.was_read(7), None, "it does not know yet");
    c.clear_rules();
    c.release(false);
    c.run_until("the read is answered", |c| c.was_read(7).is_some());
    assert_eq!(c.was_read(7), Some(Saw(Some(2))));
}

/// A follower knows the index, and has not applied the log up to there.
#[test]
fn q5_a_follower_waits_until_it_has_applied_the_index() {
    let mut c = Cluster::settled(3, 3);
    let (leader, away) = (c.leader().unwrap(), c.follower(0));
    let client = c.client(leader);
    c.set_and_wait(leader, client, 1, 1);
    c.run_for(millis(500));
    c.drop_matching(move |envelope| {
        let tells = matches!(
            envelope.message.kind(),
            MessageKind::Accept
                | MessageKind::Decision
                | MessageKind::Heartbeat
                | MessageKind::Decisions
        );
        tells && envelope.to.0 == away
    });
    c.set_and_wait(leader, client, 2, 2);
    c.read(away, 7).unwrap();
    c.run_until("it knows the index", |c| {
        c.trace.received(away, MessageKind::ReadIndexReply) == 1
    });
    assert_eq!((c.was_read(7), value(&c, away)), (None, Some(1)));
    c.clear_rules();
    c.run_until("the read is answered", |c| c.was_read(7).is_some());
    assert_eq!(c.was_read(7), Some(Saw(Some(2))));
}

/// The answer to a question of an earlier life arrives when the node asks again.
#[test]
fn q4_no_answer_to_an_earlier_question_is_taken_for_one_to_a_later_one() {
    let mut c = Cluster::settled(3, 4);
    let (leader, reader) = (c.leader().unwrap(), c.follower(0));
    let client = c.client(leader);
    c.set_and_wait(leader, client, 1, 1);
    c.hold_matching(|envelope| is(envelope, MessageKind::ReadIndexReply));
    c.read(reader, 1).unwrap();
    c.run_until("it is answered", |c| !c.held().is_empty());
    c.stop(reader);
    c.restart(reader);
    c.set_and_wait(leader, client, 2, 2);
    c.run_until("it has joined again", |c| {
        c.node(reader).leader_hint().is_some()
    });
    c.read(reader, 2).unwrap();
    c.clear_rules();
    c.drop_held(|envelope| !matches!(envelope.message, Message::ReadIndexReply { nonce: 1, .. }));
    let before = c.was_read(2);
    c.release(false);
    assert_eq!(c.was_read(2), before, "that answer is for another question");
    c.run_until("the read is answered", |c| c.was_read(2).is_some());
    assert_eq!(c.was_read(2), Some(Saw(Some(2))));
}

#[test]
fn q5_without_a_leader_nothing_is_read_and_the_client_is_told() {
    let mut c = Cluster::settled(3, 5);
    let node = c.follower(0);
    c.isolate(node);
    c.read(node, 1).unwrap();
    c.run_for(millis(PATIENCE));
    assert_eq!(c.was_read(1), Some(NotNow));
    assert!(!c.node(node).is_reading());
    assert!(c.node(node).armed().all(|timer| timer != Timer::Read));
}

/// A learner that hears no leader hands its question to a node that does.
#[test]
fn l8_a_question_is_passed_on_to_the_leader() {
    let mut c = Cluster::settled(3, 7);
    let (leader, reader) = (c.leader().unwrap(), c.follower(0));
    let client = c.client(leader);
    c.set_and_wait(leader, client, 1, 1);
    c.cut_one_way(reader, leader);
    assert_eq!(read_at(&mut c, reader, 1), Saw(Some(1)));
    let via = c.follower(1);
    assert!(c.trace.sent(via, MessageKind::ReadIndex) > 0);
}

#[test]
fn reads_have_a_fixed_room_and_a_full_one_is_a_value() {
    let mut c = Cluster::settled(3, 8);
    let node = c.follower(0);
    c.isolate(node);
    let mut nonce = 0;
    let error = loop {
        if let Err(error) = c.read(node, nonce) {
            break error;
        }
        nonce += 1;
    };
    let capacity = usize::try_from(nonce).unwrap();
    assert_eq!(error, ReadError::Full { capacity });
    assert_eq!(c.read(node, 0), Err(ReadError::Outstanding));
    c.heal();
    c.run_until("all are answered", |c| {
        (0..nonce).all(|nonce| c.was_read(nonce).is_some())
    });
    assert_eq!(c.read(node, 0), Ok(()), "the nonce is free again");
}

/// Members change between the question and the answer: the round counts the members of the leader's epoch.
#[test]
fn v1_a_read_outlives_a_change_of_the_members() {
    let mut c = Cluster::with_learners(3, 4, 6);
    let client = c.client(0);
    c.set_and_wait(0, client, 1, 1);
    c.change_members(c.leader().unwrap(), &[0, 1, 3]);
    for node in 0..4 {
        assert_eq!(read_at(&mut c, node, 10 + u64::from(node)), Saw(Some(1)));
    }
}
