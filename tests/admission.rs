//! Admission: which messages a node accepts, and its behaviour without room for the output.

use crate::harness::cluster::{
    Cluster, Machine, PAGE, TestEnvelope, TestMessage, TestNode, millis, slot,
};
use crate::harness::trace::EventKind;
use synod::{
    Ballot, Config, Halt, Instant, Message, MessageKind, NodeId, NodeSet, Outbox, Outgoing,
    Proposal, Reason, RequestError, Slot, Write,
};

#[test]
fn n1_an_implausibly_high_round_is_ignored() {
    let mut c = Cluster::settled(3, 1);
    let (leader, liar) = (c.leader().unwrap(), c.follower(0));
    let leadership = c.node(leader).leading().unwrap();
    let wild = Ballot::new(
        leadership.round() + Ballot::ROUND_JUMP_MAX + 1,
        NodeId(liar),
    );
    let (from, decided) = (Slot::FIRST, Slot::ZERO);
    let claims: [TestMessage; 6] = [
        Message::Probe { ballot: wild },
        Message::Prepare { ballot: wild, from },
        Message::Heartbeat {
            ballot: wild,
            decided,
            chain: 0,
        },
        Message::Decision {
            ballot: wild,
            decided,
        },
        Message::Accept {
            ballot: wild,
            first: slot(100),
            decided,
            proposals: [Proposal::Noop].into_iter().collect(),
        },
        Message::Accepted {
            ballot: leadership,
            promised: wild,
            first: from,
            count: 0,
            low_water: Slot::ZERO,
        },
    ];
    for claim in claims {
        let known = c.trace.ignored(leader, Reason::ImplausibleBallot);
        let state = c.state(leader);
        let output = c.inject(liar, leader, claim);
        assert!(output.messages.is_empty() && output.writes.is_empty());
        assert_eq!(
            c.trace.ignored(leader, Reason::ImplausibleBallot),
            known + 1
        );
        assert_eq!(c.state(leader), state);
    }
    c.decide(leader, 1);
    assert_eq!(c.node(leader).leading(), Some(leadership));
}

#[test]
fn n1_a_node_without_rounds_left_claims_no_more() {
    let mut c = Cluster::settled(3, 1);
    let liar = c.follower(0);
    let honest = c.follower(1);
    // A faulty node raises the round in plausible steps.
    c.isolate(honest);
    let last = Ballot::ROUND_MAX;
    let mut round = c.node(honest).promised().round();
    while round < last {
        round = last.min(round + Ballot::ROUND_JUMP_MAX);
        let ballot = Ballot::new(round, NodeId(liar));
        c.inject(
            liar,
            honest,
            Message::Prepare {
                ballot,
                from: Slot::FIRST,
            },
        );
    }
    c.run_until("it says so", |c| {
        c.saw(honest, |event| *event == EventKind::Exhausted)
    });
    assert_eq!(
        c.node(honest).promised().round(),
        last,
        "and has not wrapped"
    );
    // Its turn never comes again, so it asks instead what is decided (rule L8).
    let asked = c.trace.sent(honest, MessageKind::Learn);
    c.run_for(millis(3_000));
    assert!(c.trace.sent(honest, MessageKind::Learn) > asked);
}

#[test]
fn a_claim_with_the_ballot_of_another_node_is_malformed() {
    let mut c = Cluster::settled(3, 1);
    let (leader, liar) = (c.leader().unwrap(), c.follower(0));
    let ballot = Ballot::new(7, NodeId(c.follower(1)));
    c.inject(
        liar,
        leader,
        Message::Prepare {
            ballot,
            from: Slot::FIRST,
        },
    );
    assert_eq!(c.trace.ignored(leader, Reason::Malformed), 1);
    assert!(c.node(leader).promised() < ballot);
}

#[test]
fn n2_messages_of_another_cluster_are_ignored() {
    let mut c = Cluster::settled(3, 1);
    let (leader, node) = (c.leader().unwrap(), c.follower(0));
    let ballot = Ballot::new(7, NodeId(leader));
    let foreign = [
        Config {
            cluster: 1,
            ..Config::new(NodeId(leader), 3)
        },
        Config::new(NodeId(leader), 4),
    ];
    for config in foreign {
        let envelope = TestEnvelope {
            cluster: TestNode::fingerprint_of(&config),
            ..c.envelope(
                leader,
                node,
                Message::Prepare {
                    ballot,
                    from: Slot::FIRST,
                },
            )
        };
        let (state, known) = (c.state(node), c.trace.ignored(node, Reason::ForeignCluster));
        let mut outbox = Outbox::<Machine, PAGE, { TestNode::OUTBOX_MIN }>::new();
        let mut trace = core::mem::take(&mut c.trace);
        let now = c.now();
        c.node_mut(node)
            .handle_message(now, &envelope, &mut outbox, &mut trace);
        c.trace = trace;
        assert_eq!(c.trace.ignored(node, Reason::ForeignCluster), known + 1);
        assert!(outbox.is_empty() && c.state(node) == state);
    }
}

#[test]
fn n2_messages_of_no_node_and_for_other_nodes_are_ignored() {
    let mut c = Cluster::settled(3, 1);
    let node = c.follower(0);
    let state = c.state(node);
    let stranger = c.envelope(64, node, Message::Learn { from: Slot::FIRST });
    let astray = c.envelope(c.follower(1), 9, Message::Learn { from: Slot::FIRST });
    for envelope in [stranger, astray] {
        let mut outbox = Outbox::<Machine, PAGE, { TestNode::OUTBOX_MIN }>::new();
        let mut trace = core::mem::take(&mut c.trace);
        let now = c.now();
        c.node_mut(node)
            .handle_message(now, &envelope, &mut outbox, &mut trace);
        c.trace = trace;
        assert!(outbox.is_empty());
    }
    assert_eq!(c.trace.ignored(node, Reason::NotAMember), 2);
    assert_eq!(c.state(node), state);
}

/// The node halts in the first of several slots that one message decides: it applies and answers none of the others.
#[test]
fn n3_a_node_that_halts_applies_nothing_further_in_the_same_step() {
    let mut c = Cluster::settled(3, 1);
    c.allow_halts();
    let (leader, node) = (c.leader().unwrap(), c.follower(0));
    let ballot = c.node(leader).leading().unwrap();
    let applied = c.node(node).applied();
    let next = applied.next().unwrap();
    // The history of another cluster, one slot further on.
    let heartbeat = Message::Heartbeat {
        ballot,
        decided: next,
        chain: 1,
    };
    c.inject(leader, node, heartbeat);
    let decisions = Message::Decisions {
        first: next,
        applied: next.next().unwrap(),
        proposals: [Proposal::Noop, Proposal::Noop].into_iter().collect(),
    };
    c.inject(leader, node, decisions);
    assert!(matches!(c.node(node).halted(), Some(Halt::Diverged(_))));
    assert_eq!(c.node(node).applied(), next);
    assert_eq!(
        c.node(node).next_deadline(),
        None,
        "no timer is served any more"
    );
}

/// A node never sends to itself. On a shared link, a message from a node's own id is therefore from another node of
/// that id, whatever its recipient.
#[test]
fn n3_a_node_that_receives_a_message_from_its_own_id_halts() {
    let mut c = Cluster::settled(3, 1);
    c.allow_halts();
    let node = c.leader().unwrap();
    let twin = c.envelope(node, c.follower(0), Message::Learn { from: Slot::FIRST });
    let mut outbox = Outbox::<Machine, PAGE, { TestNode::OUTBOX_MIN }>::new();
    let now = c.now();
    let mut trace = core::mem::take(&mut c.trace);
    c.node_mut(node)
        .handle_message(now, &twin, &mut outbox, &mut trace);
    c.trace = trace;
    assert!(outbox.is_empty());
    assert_eq!(c.node(node).halted(), Some(&Halt::DuplicateIdentity));
    assert!(c.saw(node, |event| matches!(
        event,
        EventKind::Halted(Halt::DuplicateIdentity)
    )));
    assert_eq!(c.node(node).leading(), None);
    let ballot = Ballot::new(9, NodeId(c.follower(1)));
    let output = c.inject(
        ballot.leader().0,
        node,
        Message::Prepare {
            ballot,
            from: Slot::FIRST,
        },
    );
    assert!(
        output.messages.is_empty() && output.writes.is_empty(),
        "it votes no more"
    );
    assert_eq!(c.trace.ignored(node, Reason::Halted), 1);
    c.run_until("the others carry on", |c| {
        c.leader().is_some_and(|leader| leader != node)
    });
    c.decide(c.leader().unwrap(), 1);
}

/// Returns an outbox with room for one entry less than required, in one of its queues.
fn nearly_full(queue: usize) -> Outbox<Machine, PAGE, { TestNode::OUTBOX_MIN }> {
    let mut outbox = Outbox::new();
    match queue {
        0 => {
            let write = Write::Promised(Ballot::NULL);
            outbox.writes.push(write).unwrap();
        }
        1 => {
            let (to, message) = (
                NodeSet::only(NodeId(0)),
                Message::Learn { from: Slot::FIRST },
            );
            let role = synod::Role::Replica;
            outbox
                .messages
                .push(Outgoing { role, to, message })
                .unwrap();
        }
        _ => {
            let key = synod::RequestKey::registration(0);
            let outcome = synod::Outcome::Stale;
            outbox
                .replies
                .push(synod::Reply {
                    key,
                    fingerprint: 0,
                    outcome,
                })
                .unwrap();
        }
    }
    outbox
}

#[test]
fn n4_a_message_without_room_in_the_outbox_changes_nothing() {
    for queue in 0..3 {
        let mut c = Cluster::settled(3, 1);
        let (node, rival) = (c.follower(0), c.follower(1));
        let ballot = Ballot::new(7, NodeId(rival));
        let prepare = c.envelope(
            rival,
            node,
            Message::Prepare {
                ballot,
                from: Slot::FIRST,
            },
        );
        let mut outbox = nearly_full(queue);
        let (state, full, now) = (c.state(node), outbox.clone(), c.now());
        let mut trace = core::mem::take(&mut c.trace);
        c.node_mut(node)
            .handle_message(now, &prepare, &mut outbox, &mut trace);
        c.trace = trace;
        assert_eq!(c.state(node), state);
        assert_eq!(outbox, full);
        assert_eq!(c.trace.ignored(node, Reason::OutboxFull), 1);
        // It recovers: the same message is handled once there is room.
        let output = c.inject(rival, node, prepare.message);
        assert_eq!(output.writes, [Write::Promised(ballot)]);
        assert_eq!(output.messages.len(), 1);
    }
}

#[test]
fn n4_a_request_without_room_in_the_outbox_is_refused() {
    let mut c = Cluster::settled(3, 1);
    let (node, now) = (c.follower(0), c.now());
    let mut outbox = nearly_full(1);
    let state = c.state(node);
    let result = c.node_mut(node).register(now, 5, &mut outbox, &mut ());
    assert_eq!(result, Err(RequestError::OutboxFull));
    assert_eq!(c.state(node), state);
    c.register_as(node, 5).unwrap();
    c.run_until("it is answered", |c| c.registered(5).is_some());
}

#[test]
fn n4_a_timeout_without_room_in_the_outbox_stays_due() {
    let mut c = Cluster::settled(3, 1);
    let leader = c.leader().unwrap();
    let due = c.node(leader).next_deadline().unwrap();
    let mut outbox = nearly_full(1);
    let state = c.state(leader);
    c.node_mut(leader).handle_timeout(due, &mut outbox, &mut ());
    assert_eq!(
        (c.state(leader), c.node(leader).next_deadline()),
        (state, Some(due))
    );
    outbox.clear();
    c.node_mut(leader).handle_timeout(due, &mut outbox, &mut ());
    assert!(!outbox.is_empty() && c.node(leader).next_deadline() > Some(due));
}

#[test]
fn n4_no_step_needs_more_than_the_required_room() {
    // Every outbox of these clusters has exactly the required room, and the busiest runs fit.
    let mut c = Cluster::settled(5, 1);
    for _ in 0..4 {
        for node in 0..5 {
            c.register(node);
        }
    }
    c.run_for(millis(3_000));
    assert_eq!(
        c.trace
            .count_all(|event| *event == EventKind::Full(synod::Queue::Outbox)),
        0
    );
}

#[test]
fn a_message_for_another_phase_is_ignored() {
    let mut c = Cluster::powered_off(3, 1);
    c.start(0);
    c.start(1);
    c.drop_matching(|_| true);
    let ballot = Ballot::new(1, NodeId(2));
    for node in [0, 1] {
        let state = c.state(node);
        let output = c.inject(
            2,
            node,
            Message::Prepare {
                ballot,
                from: Slot::FIRST,
            },
        );
        assert!(
            output.messages.is_empty(),
            "who has not joined does not vote"
        );
        assert_eq!(c.trace.ignored(node, Reason::WrongPhase), 1);
        assert_eq!(c.state(node), state);
    }
}

#[test]
fn f2_an_overdue_timer_fires_once_and_an_early_call_does_nothing() {
    let mut c = Cluster::settled(3, 1);
    let leader = c.leader().unwrap();
    let now = c.now();
    let due = c.node(leader).next_deadline().unwrap();
    let early = Instant::from_micros(due.as_micros() - 1);
    let state = c.state(leader);
    let mut outbox = Outbox::<Machine, PAGE, { TestNode::OUTBOX_MIN }>::new();
    c.node_mut(leader)
        .handle_timeout(early, &mut outbox, &mut ());
    assert!(outbox.is_empty() && c.state(leader) == state, "too early");
    // Four heartbeats late, it sends one.
    let late = now + millis(400);
    let mut beats = 0;
    for _ in 0..3 {
        c.node_mut(leader)
            .handle_timeout(late, &mut outbox, &mut ());
        let is_beat =
            |sent: &&Outgoing<Machine, PAGE>| sent.message.kind() == MessageKind::Heartbeat;
        beats += outbox.messages.iter().filter(is_beat).count();
        outbox.clear();
    }
    assert_eq!(beats, 1);
    assert!(c.node(leader).next_deadline() > Some(late));
}
