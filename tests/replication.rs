//! Replication: accepting proposals, deciding slots, and catching up (phase 2).

use crate::harness::cluster::{Cluster, TestMessage, TestNode, TestOutbox, is, millis, slot};
use crate::harness::trace::EventKind;
use synod::machines::{Key, KvCommand};
use synod::{
    Ballot, ClientId, Duration, Halt, Message, MessageKind, NodeId, NodeSet, Proposal, Proposals,
    Reason, RequestNumber, Role, Slot, Timer, Write,
};

fn ballot(round: u64, node: u16) -> Ballot {
    Ballot::new(round, NodeId(node))
}

fn proposals(count: usize) -> Proposals<crate::harness::cluster::Machine, 2> {
    (0..count).map(|_| Proposal::Noop).collect()
}

fn accept(ballot: Ballot, first: Slot, count: usize) -> TestMessage {
    Message::Accept {
        ballot,
        first,
        decided: Slot::ZERO,
        proposals: proposals(count),
    }
}

fn prepare(ballot: Ballot) -> TestMessage {
    let from = Slot::FIRST;
    Message::Prepare { ballot, from }
}

#[test]
fn c2_a_cluster_of_any_size_decides() {
    for size in [1, 2, 3, 4, 5, 7] {
        let mut c = Cluster::settled(size, u64::from(size));
        c.decide(size - 1, 3);
        c.run_until("every node has applied the same", Cluster::is_settled);
        assert_eq!(c.applied(0), slot(4), "a registration and three requests");
    }
}

#[test]
fn c2_a_quorum_decides_and_a_minority_does_not() {
    for (size, needed) in [(2, 2), (3, 2), (4, 3), (5, 3), (7, 4)] {
        let mut c = Cluster::settled(size, 1);
        let leader = c.leader().unwrap();
        let client = c.client(leader);
        for _ in needed..size {
            let follower = c.follower(0);
            c.stop(follower);
        }
        c.set_and_wait(leader, client, 1, 7);
        let follower = c.follower(0);
        c.stop(follower);
        c.set(leader, client, 2, 8);
        c.assert_never_within(millis(5_000), "less than a quorum decided", |c| {
            c.outcome(client, 2).is_some()
        });
    }
}

#[test]
fn a1_a_lower_ballot_is_refused_and_an_equal_one_is_answered_again() {
    let mut c = Cluster::settled(4, 1);
    let high = ballot(9, 2);
    let output = c.inject(2, 3, prepare(high));
    assert_eq!(
        output.writes,
        [Write::Promised(high)],
        "written before it is said"
    );
    let promise = output.messages[0].clone();
    assert!(matches!(promise, Message::Promise { promised, last: true, .. } if promised == high));
    let again = c.inject(2, 3, prepare(high));
    assert_eq!(again.messages, [promise]);
    assert!(again.writes.is_empty(), "nothing new to write");
    let refused = c.inject(1, 3, prepare(ballot(8, 1)));
    assert!(refused.writes.is_empty());
    assert!(matches!(
        &refused.messages[0],
        Message::Promise { ballot: of, promised, entries, .. }
            if *of == ballot(8, 1) && *promised == high && entries.is_empty()
    ));
}

#[test]
fn a2_an_accept_raises_the_promise_and_a_promise_stops_lower_accepts() {
    let mut c = Cluster::settled(4, 1);
    let first = slot(c.applied(3).number() + 1);
    let output = c.inject(2, 3, accept(ballot(9, 2), first, 1));
    assert!(matches!(output.writes[..], [Write::Accepted(entry)] if entry.slot == first));
    assert!(matches!(
        output.messages[..],
        [Message::Accepted { count: 1, .. }]
    ));
    assert_eq!(c.node(3).promised(), ballot(9, 2));
    let output = c.inject(1, 3, accept(ballot(8, 1), first, 1));
    assert!(output.writes.is_empty(), "nothing was accepted");
    assert!(matches!(
        output.messages[..],
        [Message::Accepted { ballot: of, promised, count: 0, .. }]
            if of == ballot(8, 1) && promised == ballot(9, 2)
    ));
    let output = c.inject(1, 3, prepare(ballot(8, 1)));
    assert!(matches!(
        output.messages[..],
        [Message::Promise { promised, .. }] if promised == ballot(9, 2)
    ));
}

#[test]
fn a4_another_value_under_the_same_ballot_halts_the_acceptor() {
    let mut c = Cluster::settled(3, 1);
    let first = slot(c.applied(2).number() + 1);
    c.inject(1, 2, accept(ballot(9, 1), first, 1));
    c.allow_halts();
    let other = Message::Accept {
        ballot: ballot(9, 1),
        first,
        decided: Slot::ZERO,
        proposals: [Proposal::Register { nonce: 5 }].into_iter().collect(),
    };
    c.inject(1, 2, other);
    let Some(Halt::Conflict(conflict)) = c.node(2).halted() else {
        panic!("it went on");
    };
    assert_eq!((conflict.slot, conflict.known), (first, Proposal::Noop));
}

#[test]
fn a5_an_acceptor_without_room_forgets_no_vote_and_heals() {
    let mut c = Cluster::settled(3, 1);
    let applied = c.applied(2).number();
    let mine = ballot(9, 1);
    for page in 0..4 {
        let output = c.inject(1, 2, accept(mine, slot(applied + 1 + 2 * page), 2));
        assert!(matches!(
            output.messages[..],
            [Message::Accepted { count: 2, .. }]
        ));
    }
    let beyond = accept(mine, slot(applied + 9), 1);
    let output = c.inject(1, 2, beyond.clone());
    assert!(matches!(
        output.messages[..],
        [Message::Accepted { count: 0, .. }]
    ));
    assert!(output.writes.is_empty());
    assert_eq!(c.trace.ignored(2, Reason::OutsideWindow), 1);
    assert_eq!(c.node(2).marks().votes, 8);
    let from = slot(applied + 1);
    let output = c.inject(
        0,
        2,
        Message::Prepare {
            ballot: ballot(10, 0),
            from,
        },
    );
    assert!(matches!(
        &output.messages[0],
        Message::Promise { entries, .. } if entries[0].slot == from
    ));
    // The leader announces that the first slot is decided, which frees room.
    let again = ballot(11, 1);
    c.inject(1, 2, accept(again, from, 1));
    c.inject(
        1,
        2,
        Message::Decision {
            ballot: again,
            decided: from,
        },
    );
    assert_eq!(c.applied(2), from);
    let output = c.inject(1, 2, accept(again, slot(applied + 9), 1));
    assert!(matches!(
        output.messages[..],
        [Message::Accepted { count: 1, .. }]
    ));
}

/// Returns a cluster of five whose leader has one request in flight, accepted by itself and one other node.
fn one_vote_of_three() -> (Cluster, u16, u16, Slot, ClientId) {
    let mut c = Cluster::settled(5, 3);
    let leader = c.leader().unwrap();
    let client = c.client(leader);
    c.run_until("every node has applied the same", Cluster::is_settled);
    let next = slot(c.applied(leader).number() + 1);
    let voter = c.follower(0);
    c.drop_matching(move |envelope| is(envelope, MessageKind::Accept) && envelope.to.0 != voter);
    c.set(leader, client, 1, 7);
    c.run_for(millis(200));
    (c, leader, voter, next, client)
}

#[test]
fn c1_a_repeated_vote_counts_once() {
    let (mut c, leader, voter, next, client) = one_vote_of_three();
    let vote = Message::Accepted {
        ballot: c.node(leader).leading().unwrap(),
        promised: c.node(leader).leading().unwrap(),
        first: next,
        count: 1,
        low_water: Slot::ZERO,
    };
    for _ in 0..5 {
        c.inject(voter, leader, vote.clone());
    }
    let drives = |c: &Cluster| c.node(leader).roles().any(|role| role == Role::Commander);
    assert!(drives(&c));
    let chosen =
        move |event: &EventKind| matches!(event, EventKind::Chosen { slot, .. } if *slot == next);
    assert!(!c.saw(leader, chosen), "two nodes of five are no quorum");
    c.inject(c.follower(1), leader, vote);
    assert_eq!(c.trace.count(leader, chosen), 1, "three are");
    assert!(!drives(&c), "nothing is under way");
    assert_eq!(c.applied_in(client, 1), Some(next));
}

#[test]
fn c1_a_vote_under_another_ballot_is_ignored() {
    let (mut c, leader, _, next, _) = one_vote_of_three();
    let mine = c.node(leader).leading().unwrap();
    let applied = c.applied(leader);
    for (node, other) in [
        (1, ballot(mine.round() + 1, leader)),
        (2, ballot(0, leader)),
    ] {
        let stale = Message::Accepted {
            ballot: other,
            promised: other,
            first: next,
            count: 1,
            low_water: Slot::ZERO,
        };
        let known = c.trace.ignored(leader, Reason::StaleReply);
        c.inject(c.follower(node), leader, stale);
        assert_eq!(c.trace.ignored(leader, Reason::StaleReply), known + 1);
    }
    assert_eq!((c.applied(leader), c.leader()), (applied, Some(leader)));
}

#[test]
fn c1_an_accepted_beyond_the_accept_is_malformed() {
    let (mut c, leader, voter, next, _) = one_vote_of_three();
    let mine = c.node(leader).leading().unwrap();
    let wild = Message::Accepted {
        ballot: mine,
        promised: mine,
        first: next,
        count: u32::MAX,
        low_water: Slot::ZERO,
    };
    c.inject(voter, leader, wild);
    assert_eq!(c.leader(), Some(leader));
}

#[test]
fn c1_a_vote_with_a_lower_promise_is_malformed_but_a_refusal_is_not() {
    let (mut c, leader, _, next, _) = one_vote_of_three();
    let mine = c.node(leader).leading().unwrap();
    let answer = |promised, count| Message::Accepted {
        ballot: mine,
        promised,
        first: next,
        count,
        low_water: Slot::ZERO,
    };
    let malformed = |c: &Cluster| c.trace.ignored(leader, Reason::Malformed);
    let known = malformed(&c);
    for voter in [1, 2, 3] {
        c.inject(c.follower(voter), leader, answer(Ballot::NULL, 1));
    }
    assert_eq!(malformed(&c), known + 3);
    assert!(c.applied(leader) < next, "no node has voted");
    c.inject(c.follower(1), leader, answer(Ballot::NULL, 0));
    c.inject(c.follower(1), leader, answer(mine, 0));
    assert_eq!(malformed(&c), known + 3, "no room is an answer");
    c.inject(c.follower(1), leader, answer(mine, 1));
    assert_eq!(c.applied(leader), next);
}

#[test]
fn n1_an_invalid_range_of_slots_is_malformed() {
    let mut c = Cluster::settled(3, 1);
    let (leader, node) = (c.leader().unwrap(), c.follower(0));
    let mine = c.node(leader).leading().unwrap();
    let next = slot(c.applied(node).number() + 1);
    let ask = |first, decided, count| Message::Accept {
        ballot: mine,
        first,
        decided,
        proposals: proposals(count),
    };
    let tell = |first, applied, count| Message::Decisions {
        first,
        applied,
        proposals: proposals(count),
    };
    let last = slot(u64::MAX);
    for malformed in [
        ask(next, Slot::ZERO, 0),
        ask(Slot::ZERO, Slot::ZERO, 1),
        ask(next, next, 1),
        ask(last, Slot::ZERO, 1),
        tell(next, next, 0),
        tell(Slot::ZERO, next, 1),
        tell(next, next, 2),
        tell(last, last, 1),
    ] {
        let (state, known) = (c.state(node), c.trace.ignored(node, Reason::Malformed));
        let output = c.inject(leader, node, malformed.clone());
        assert_eq!(
            c.trace.ignored(node, Reason::Malformed),
            known + 1,
            "{malformed:?}"
        );
        assert!(output.messages.is_empty() && output.writes.is_empty());
        assert_eq!(c.state(node), state, "nothing has changed");
    }
}

#[test]
fn r2_a_leader_applies_a_learned_decision_once_the_slot_before_it_is_chosen() {
    let (mut c, leader, voter, next, _) = one_vote_of_three();
    let mine = c.node(leader).leading().unwrap();
    let nonce = c.register(leader);
    c.run_for(millis(100));
    let after = slot(next.number() + 1);
    let told = Message::Decisions {
        first: after,
        applied: after,
        proposals: [Proposal::Register { nonce }].into_iter().collect(),
    };
    c.inject(voter, leader, told);
    assert!(c.applied(leader) < next);
    c.inject(
        c.follower(1),
        leader,
        Message::Accepted {
            ballot: mine,
            promised: mine,
            first: next,
            count: 1,
            low_water: Slot::ZERO,
        },
    );
    assert_eq!(c.applied(leader), after);
}

#[test]
fn c3_a_heartbeat_makes_up_for_a_lost_decision() {
    let mut c = Cluster::settled(3, 1);
    let (leader, follower) = (c.leader().unwrap(), c.follower(0));
    c.drop_matching(move |envelope| {
        is(envelope, MessageKind::Decision) && envelope.to.0 == follower
    });
    c.decide(leader, 3);
    let learns = c.trace.sent(follower, MessageKind::Learn);
    let applied = c.applied(leader);
    c.run_until("the follower has applied it", |c| {
        c.applied(follower) == applied
    });
    assert_eq!(c.trace.received(follower, MessageKind::Decision), 0);
    assert_eq!(
        c.trace.sent(follower, MessageKind::Learn),
        learns,
        "in silence"
    );
}

#[test]
fn c3_the_next_accept_makes_up_for_a_lost_decision() {
    let mut c = Cluster::settled(3, 1);
    let (leader, follower) = (c.leader().unwrap(), c.follower(0));
    let client = c.client(leader);
    c.run_until("every node has applied the same", Cluster::is_settled);
    c.drop_matching(move |envelope| {
        let told = is(envelope, MessageKind::Decision) || is(envelope, MessageKind::Heartbeat);
        told && envelope.to.0 == follower
    });
    c.set_and_wait(leader, client, 1, 7);
    c.run_for(millis(100));
    let first = c.applied_in(client, 1).unwrap();
    assert!(c.applied(follower) < first, "no message has announced it");
    c.set_and_wait(leader, client, 2, 8);
    let came = c.happens_within(millis(60), |c| c.applied(follower) == first);
    assert!(
        came,
        "the accept of the second tells that the first is decided"
    );
}

#[test]
fn c3_a_vote_under_another_ballot_does_not_become_a_decision() {
    let mut c = Cluster::settled(5, 1);
    let (leader, voter) = (c.leader().unwrap(), c.follower(0));
    let rest: Vec<u16> = (1..4).map(|index| c.follower(index)).collect();
    // The voter accepts a value that no other node receives.
    c.cut(&[leader, voter], &rest);
    c.register(leader);
    c.run_for(millis(100));
    c.stop(leader);
    c.run_until("another leads", |c| c.leader().is_some());
    c.decide(rest[0], 1);
    // The voter receives no accepts, only the announcement that its slot is decided.
    c.drop_matching(move |envelope| is(envelope, MessageKind::Accept) && envelope.to.0 == voter);
    c.heal();
    c.run_until("the voter has caught up", Cluster::is_settled);
    assert!(
        c.trace.sent(voter, MessageKind::Learn) > 0,
        "its own vote was not the decision"
    );
}

/// A leader that was deposed without noticing learns what the others decided in a slot in which it has a proposal of
/// its own. It must not announce to its own voters that the value they accepted is decided.
#[test]
fn c3_a_deposed_leader_does_not_announce_the_decisions_of_others_under_its_ballot() {
    // Through a page of decisions, and through a snapshot of a log that is far ahead.
    deposed_leader_learns(1);
    deposed_leader_learns(30);
}

/// Injects answers to heartbeats into a leader that is cut off, and lets time pass. As long as a quorum seems to answer,
/// it does not step down.
fn keep_in_office(c: &mut Cluster, old: u16, others: [u16; 2], beat: &TestMessage, span: Duration) {
    for other in others {
        c.inject(other, old, beat.clone());
    }
    c.run_for(span);
}

/// Lets a follower that has missed a decision become the leader; returns its delayed question for that decision.
fn lead_after_a_missed_decision(c: &mut Cluster, founder: u16, old: u16, slow: u16) -> TestMessage {
    c.drop_matching(move |envelope| is(envelope, MessageKind::Accept) && envelope.to.0 == old);
    c.decide(founder, 1);
    c.run_until("it has caught up", Cluster::is_settled);
    let first = c.applied(old);
    let question = c.envelope(old, slow, Message::Learn { from: first });
    c.clear_rules();
    // It becomes leader while the founder is cut off.
    c.isolate(founder);
    c.drop_matching(move |envelope| is(envelope, MessageKind::Probe) && envelope.from.0 != old);
    c.run_until("it leads", |c| c.node(old).leading().is_some());
    c.run_until("all but the founder follow it", |c| {
        let mut others = c.live().filter(|node| *node != founder);
        others.all(|node| c.node(node).leader_hint() == Some(NodeId(old)))
    });
    c.clear_rules();
    c.heal();
    question.message
}

/// Lets nodes elect a leader beside one that is cut off and kept in office, and decide so many slots.
fn decide_beside(c: &mut Cluster, old: u16, others: [u16; 2], beat: &TestMessage, slots: u32) {
    let at = others[1];
    let nonce = c.register(at);
    for _ in 0..100 {
        keep_in_office(c, old, others, beat, millis(50));
        if c.registered(nonce).is_some() {
            break;
        }
    }
    let client = c.registered(nonce).expect("the others decide");
    for number in 1..slots {
        c.set(at, client, number, 5);
        for _ in 0..50 {
            keep_in_office(c, old, others, beat, millis(20));
            if c.outcome(client, number).is_some() {
                break;
            }
        }
    }
}

/// Hands the answers to a question to a node, and answers the questions for a snapshot that follow from them.
fn hand_over(c: &mut Cluster, slow: u16, old: u16, mut answers: Vec<TestMessage>) {
    while let Some(answer) = answers.pop() {
        for message in c.inject(slow, old, answer).messages {
            if message.kind() == MessageKind::Join {
                answers.extend(c.inject(old, slow, message).messages);
            }
        }
    }
}

fn deposed_leader_learns(slots: u32) {
    let mut c = Cluster::settled(5, 1);
    let founder = c.leader().unwrap();
    let (old, voter) = (c.follower(0), c.follower(1));
    let others = [c.follower(2), c.follower(3)];
    let slow = others[0];
    let question = lead_after_a_missed_decision(&mut c, founder, old, slow);
    // It is cut off with one voter. Both accept a value that no quorum receives.
    c.cut(&[old, voter], &[founder, others[0], others[1]]);
    let mine = c.register(old);
    c.run_for(millis(60));
    let leadership = c.node(old).leading();
    assert!(leadership.is_some(), "it has not noticed yet");
    let nobody = c.registered(mine).is_none();
    assert!(nobody);
    c.drop_matching(move |envelope| is(envelope, MessageKind::Probe) && envelope.from.0 == founder);
    let beat = Message::HeartbeatReply {
        ballot: leadership.unwrap(),
        applied: Slot::ZERO,
    };
    decide_beside(&mut c, old, others, &beat, slots);
    assert_eq!(
        c.node(old).leading(),
        leadership,
        "the old leader does not know"
    );
    // The answer to the old question arrives.
    let mut answers = Vec::new();
    while answers.is_empty() {
        // Another node may be in the middle of a snapshot transfer.
        keep_in_office(&mut c, old, others, &beat, millis(20));
        answers = c.inject(old, slow, question.clone()).messages;
    }
    c.clear_rules();
    hand_over(&mut c, slow, old, answers);
    assert_eq!(c.node(old).leading(), None, "it knows now");
    c.run_for(millis(90));
    c.heal();
    c.run_until("every node agrees", Cluster::is_settled);
}

#[test]
fn r1_a_decision_that_contradicts_a_known_one_halts_the_node() {
    let mut c = Cluster::settled(3, 1);
    let leader = c.leader().unwrap();
    c.decide(leader, 1);
    c.run_until("every node has applied the same", Cluster::is_settled);
    let (liar, node) = (c.follower(0), c.follower(1));
    let known = c.applied(node);
    c.allow_halts();
    let lie = Message::Decisions {
        first: known,
        applied: known,
        proposals: proposals(1),
    };
    c.inject(liar, node, lie.clone());
    assert!(c.saw(node, |event| matches!(
        event,
        EventKind::Halted(Halt::Conflict(_))
    )));
    let Some(Halt::Conflict(conflict)) = c.node(node).halted() else {
        panic!("it went on");
    };
    assert_eq!((conflict.slot, conflict.new), (known, Proposal::Noop));
    assert_eq!(c.node(node).next_deadline(), None);
    let state = c.state(node);
    let output = c.inject(liar, node, lie);
    assert!(
        output.messages.is_empty() && c.state(node) == state,
        "it does nothing more"
    );
    assert!(c.register_as(node, 9).is_err());
    c.run_for(millis(2_000));
    c.decide(leader, 1);
}

#[test]
fn r2_missed_decisions_are_learned_in_pages() {
    for lossy in [false, true] {
        let mut c = Cluster::settled(3, 1);
        let (leader, away) = (c.leader().unwrap(), c.follower(0));
        c.isolate(away);
        c.decide(leader, 6);
        let applied = c.applied(leader);
        c.heal();
        if lossy {
            // The first attempt to send each page of decisions is lost; the retry arrives.
            let missing = slot(c.applied(away).number() + 1);
            c.drop_matching(move |envelope| {
                matches!(&envelope.message, Message::Decisions { first, .. } if *first == missing)
                    && envelope.from.0 == leader
            });
        }
        c.run_until("it has caught up", |c| c.applied(away) == applied);
        assert!(
            c.trace.received(away, MessageKind::Decisions) >= 3,
            "seven in pages of two"
        );
        let installed = c
            .trace
            .count(away, |event| matches!(event, EventKind::Installed { .. }));
        assert_eq!(installed, 1, "no snapshot but the one that it joined with");
    }
}

/// Returns a cluster in which a follower has missed six decisions, the leader and that follower, of which all messages of
/// one kind are held back from now on.
fn behind(kind: MessageKind) -> (Cluster, u16, u16) {
    let mut c = Cluster::settled(3, 1);
    let (leader, away) = (c.leader().unwrap(), c.follower(0));
    c.isolate(away);
    c.decide(leader, 6);
    c.heal();
    c.hold_matching(move |envelope| {
        is(envelope, kind) && (envelope.from.0 == away || envelope.to.0 == away)
    });
    c.run_until("something is held", |c| !c.held().is_empty());
    (c, leader, away)
}

#[test]
fn r2_each_question_begins_at_the_slot_after_the_applied_prefix() {
    let (mut c, leader, away) = behind(MessageKind::Learn);
    let mut asked = Vec::new();
    while c.applied(away) < c.applied(leader) {
        c.run_until("it asks, or has caught up", |c| {
            !c.held().is_empty() || c.applied(away) == c.applied(leader)
        });
        for envelope in c.held().to_vec() {
            let Message::Learn { from } = envelope.message else {
                unreachable!()
            };
            assert_eq!(Some(from), c.applied(away).next());
            asked.push(from);
            c.release_first();
        }
        c.run_for(millis(60));
    }
    asked.dedup();
    assert!(asked.len() > 1, "at once for all of it: {asked:?}");
}

#[test]
fn r2_a_replica_asks_for_more_once_all_that_it_asked_for_has_arrived() {
    let (mut c, _, away) = behind(MessageKind::Decisions);
    let asked = |c: &Cluster| c.trace.sent(away, MessageKind::Learn);
    // A question is answered with half a window, in pages of two.
    assert_eq!(c.held().len(), 2);
    let before = asked(&c);
    c.release_first();
    assert_eq!(asked(&c), before, "the second page is on its way");
    c.release_first();
    assert_eq!(asked(&c), before + 1, "without waiting for its timer");
}

#[test]
fn r2_a_replica_passes_on_all_that_it_has_applied_and_no_more() {
    let mut c = Cluster::settled(3, 1);
    let (leader, node, asks) = (c.leader().unwrap(), c.follower(0), c.follower(1));
    c.decide(leader, 2);
    c.run_until("every node knows", Cluster::is_settled);
    let last = c.applied(node);
    let output = c.inject(asks, node, Message::Learn { from: last });
    assert!(matches!(
        &output.messages[..],
        [Message::Decisions { first, applied, proposals }]
            if *first == last && *applied == last && proposals.len() == 1
    ));
    let from = last.next().unwrap();
    let output = c.inject(asks, node, Message::Learn { from });
    assert!(output.messages.is_empty());
}

/// Whoever pauses finds all the questions of its pause waiting, and answers each with a burst.
#[test]
fn r2_a_replica_that_is_not_answered_asks_less_and_less_often() {
    let (mut c, _, away) = behind(MessageKind::Learn);
    let delay = c.config(away).learn_delay;
    let asked = |c: &Cluster| c.trace.sent(away, MessageKind::Learn);
    let before = asked(&c);
    c.run_for(delay * 6);
    let soon = asked(&c) - before;
    assert!(soon >= 2, "one lost answer costs little: {soon}");
    c.run_for(delay * 64);
    let late = asked(&c) - before - soon;
    assert!(
        (5..=12).contains(&late),
        "it goes on, every eight delays or a little later: {late}"
    );
    c.clear_rules();
    c.release(false);
    c.run_until("it has caught up", Cluster::is_settled);
}

/// The leader is asked first, at each gap, and another node when its answer does not come.
#[test]
fn r2_a_replica_asks_the_leader_first_whenever_it_misses_something() {
    let mut c = Cluster::settled(3, 1);
    let (leader, away) = (c.leader().unwrap(), c.follower(0));
    for gap in 0..6 {
        let known = c.trace.events.len();
        c.isolate(away);
        c.decide(leader, 2);
        c.heal();
        c.run_until("it has caught up", Cluster::is_settled);
        let first = c.trace.events[known..]
            .iter()
            .find_map(|traced| match traced.event {
                EventKind::Sent {
                    to,
                    kind: MessageKind::Learn,
                } if traced.node == away => Some(to),
                _ => None,
            });
        assert_eq!(first, Some(NodeSet::only(NodeId(leader))), "gap {gap}");
        assert!(
            c.node(away).armed().all(|timer| timer != Timer::Learn),
            "nothing is missing any more"
        );
    }
}

#[test]
fn r2_a_replica_behind_the_window_catches_up_by_snapshot() {
    for loss in [0, 25] {
        let mut c = Cluster::settled(3, 1);
        let (leader, away) = (c.leader().unwrap(), c.follower(0));
        c.isolate(away);
        c.decide(leader, 40);
        c.heal();
        c.set_loss_percent(loss);
        c.run_until("it has caught up", |c| c.applied(away) == c.applied(leader));
        let at_of =
            |event: &EventKind| matches!(event, EventKind::Installed { at, .. } if *at > slot(30));
        assert!(c.saw(away, at_of));
        assert!(
            c.trace.received(away, MessageKind::Welcome) > 5,
            "page by page"
        );
        assert_eq!(c.node(away).machine(), c.node(leader).machine());
    }
}

#[test]
fn r2_no_catch_up_starts_while_decisions_are_in_flight() {
    let mut c = Cluster::settled(3, 1);
    let leader = c.leader().unwrap();
    c.decide(leader, 20);
    assert_eq!(
        c.trace.count_all(|event| sends(event, MessageKind::Learn)),
        0
    );
}

fn sends(event: &EventKind, kind: MessageKind) -> bool {
    matches!(event, EventKind::Sent { kind: sent, .. } if *sent == kind)
}

#[test]
fn duplicated_and_reordered_messages_are_harmless() {
    for seed in 0..10 {
        let mut c = Cluster::settled(3, seed);
        c.duplicate_matching(|_| true);
        let leader = c.leader().unwrap();
        let client = c.decide(leader, 5);
        c.clear_rules();
        c.hold_matching(|envelope| !is(envelope, MessageKind::Heartbeat));
        c.set(leader, client, 6, 60);
        for round in 0..12 {
            c.run_for(millis(150));
            c.release(round % 2 == 0);
        }
        c.clear_rules();
        c.run_until("it is answered", |c| c.applied_in(client, 6).is_some());
    }
}

#[test]
fn l3_a_full_window_delays_proposals_and_recovers() {
    let mut c = Cluster::settled(5, 1);
    let leader = c.leader().unwrap();
    // Votes do not reach the leader.
    c.drop_matching(|envelope| is(envelope, MessageKind::Accepted));
    let mut nonces = Vec::new();
    for _ in 0..4 {
        for node in 0..5 {
            nonces.push(c.register(node));
        }
    }
    c.run_for(millis(200));
    let next = slot(c.applied(leader).number() + 9);
    let marks = c.node(leader).marks();
    assert_eq!(
        (marks.window, marks.waiting),
        (8, 4),
        "as many as fit and no more"
    );
    let voted_beyond =
        |event: &EventKind| matches!(event, EventKind::Chosen { slot, .. } if *slot >= next);
    assert_eq!(c.trace.count_all(voted_beyond), 0);
    c.clear_rules();
    c.run_until("every request is answered", |c| {
        nonces.iter().all(|nonce| c.registered(*nonce).is_some())
    });
    assert_eq!(c.node(leader).marks().window, 8);
}

#[test]
fn r3_a_request_that_lost_its_slot_is_proposed_again_and_applied_once() {
    let mut c = Cluster::settled(3, 1);
    let (leader, asking) = (c.leader().unwrap(), c.follower(0));
    let client = c.client(asking);
    // The leader receives the request and stops before any other node learns of it.
    c.drop_matching(|envelope| is(envelope, MessageKind::Accept));
    let command = KvCommand::Set(Key::numbered(0), 5);
    c.ask(asking, client, 1, command).unwrap();
    c.run_for(millis(100));
    c.stop(leader);
    c.clear_rules();
    c.run_until("it is answered", |c| c.applied_in(client, 1).is_some());
    let key = Proposal::Request {
        client,
        number: RequestNumber(1),
        command,
    }
    .key();
    let slots = c.trace.count(
        asking,
        |event| matches!(event, EventKind::Applied { proposal, .. } if proposal.key() == key),
    );
    assert_eq!(slots, 1);
}

#[test]
fn t2_a_leader_learns_the_slots_that_a_voter_has_compacted() {
    let (mut c, leader, voter, next, _) = one_vote_of_three();
    let mine = c.node(leader).leading().unwrap();
    let learns = c.trace.sent(leader, MessageKind::Learn);
    let compacted = Message::Accepted {
        ballot: mine,
        promised: mine,
        first: next,
        count: 0,
        low_water: slot(next.number() + 2),
    };
    c.inject(voter, leader, compacted);
    c.run_for(millis(100));
    assert!(c.trace.sent(leader, MessageKind::Learn) > learns);
}

/// Makes a request at a node and returns the output of the step before it is performed.
fn request(c: &mut Cluster, node: u16, client: ClientId, number: u32) -> TestOutbox {
    let (now, mut outbox) = (c.now(), TestOutbox::new());
    let command = KvCommand::Set(Key::numbered(0), 9);
    c.node_mut(node)
        .request(
            now,
            client,
            RequestNumber(number),
            command,
            &mut outbox,
            &mut (),
        )
        .unwrap();
    outbox
}

#[test]
fn c4_a_node_writes_its_own_vote_before_anything_that_depends_on_it() {
    for size in [1, 3] {
        let mut c = Cluster::settled(size, 1);
        let leader = c.leader().unwrap();
        let client = c.client(leader);
        let next = c.applied(leader).next().unwrap();
        let outbox = request(&mut c, leader, client, 1);
        assert!(
            matches!(outbox.writes[..], [Write::Accepted(entry)] if entry.slot == next),
            "{size} nodes"
        );
        // A single node is a quorum and answers at once; in a larger cluster the leader sends accepts.
        assert_eq!(outbox.replies.len(), usize::from(size == 1));
        assert_eq!(outbox.messages.len(), usize::from(size > 1));
    }
}

#[test]
fn t1_an_acceptor_forgets_only_votes_for_applied_slots() {
    let mut c = Cluster::settled(3, 1);
    c.decide(0, 30);
    c.run_until("all have applied the same", Cluster::is_settled);
    for node in 0..3 {
        let claimant = (node + 1) % 3;
        let output = c.inject(claimant, node, prepare(ballot(99, claimant)));
        let Some(Message::Promise {
            low_water, entries, ..
        }) = output.messages.first()
        else {
            panic!("NODE_{node} does not promise");
        };
        assert!(
            *low_water > Slot::FIRST,
            "30 slots do not fit in a window of 8"
        );
        assert!(*low_water <= c.applied(node));
        assert_eq!(
            entries[0].slot,
            low_water.next().unwrap(),
            "nothing else is forgotten"
        );
    }
}

#[test]
fn d2_a_restarted_node_keeps_its_promises_and_votes() {
    let mut c = Cluster::settled(3, 1);
    c.decide(0, 30);
    for number in 0..3 {
        let node = c.node(number);
        let durable = node.durable().unwrap();
        let again = TestNode::recover(c.config(number), durable, 1, 1, c.now()).unwrap();
        assert!(node.votes().count() > 0 && node.promised() > Ballot::NULL);
        assert_eq!(again.promised(), node.promised());
        assert!(again.votes().eq(node.votes()));
        assert_eq!(
            (again.low_water(), again.applied(), again.chain()),
            (node.low_water(), node.applied(), node.chain())
        );
        assert_eq!(again.leading(), None, "who led leads no more");
    }
}
