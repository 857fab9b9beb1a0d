//! What a node lets in, and what it does when it has no room to answer.

use crate::harness::cluster::{Cluster, Letter, Machine, PAGE, TestNode, Text, millis, slot};
use crate::harness::trace::What;
use synod::{
    Ballot, Config, Halt, Instant, Message, MessageKind, NodeId, NodeSet, Outbox, Outgoing, Reason,
    RequestError, Slot, Write,
};

#[test]
fn n1_a_round_that_jumps_too_far_is_not_believed() {
    let mut c = Cluster::calm(3, 1);
    let (leader, liar) = (c.leader().unwrap(), c.follower(0));
    let reign = c.node(leader).leading().unwrap();
    let wild = Ballot::new(reign.round() + Ballot::ROUND_JUMP_MAX + 1, NodeId(liar));
    let (from, decided) = (Slot::FIRST, Slot::ZERO);
    let claims: [Text; 6] = [
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
            proposals: [synod::Proposal::Noop].into_iter().collect(),
        },
        Message::Accepted {
            ballot: reign,
            promised: wild,
            first: from,
            count: 0,
            low_water: Slot::ZERO,
        },
    ];
    for claim in claims {
        let known = c.log.ignored(leader, Reason::ImplausibleBallot);
        let state = c.state(leader);
        let said = c.tell(liar, leader, claim);
        assert!(said.messages.is_empty() && said.writes.is_empty());
        assert_eq!(c.log.ignored(leader, Reason::ImplausibleBallot), known + 1);
        assert_eq!(c.state(leader), state);
    }
    c.decide(leader, 1);
    assert_eq!(c.node(leader).leading(), Some(reign));
}

#[test]
fn n1_a_node_that_has_used_up_the_rounds_claims_no_more() {
    let mut c = Cluster::calm(3, 1);
    let liar = c.follower(0);
    let honest = c.follower(1);
    // A liar climbs in plausible jumps.
    c.isolate(honest);
    let last = Ballot::ROUND_MAX;
    let mut round = c.node(honest).promised().round();
    while round < last {
        round = last.min(round + Ballot::ROUND_JUMP_MAX);
        let ballot = Ballot::new(round, NodeId(liar));
        c.tell(
            liar,
            honest,
            Message::Prepare {
                ballot,
                from: Slot::FIRST,
            },
        );
    }
    c.run_until("it says so", |c| {
        c.saw(honest, |what| *what == What::Exhausted)
    });
    assert_eq!(
        c.node(honest).promised().round(),
        last,
        "and has not wrapped"
    );
}

#[test]
fn a_claim_in_the_name_of_another_is_malformed() {
    let mut c = Cluster::calm(3, 1);
    let (leader, liar) = (c.leader().unwrap(), c.follower(0));
    let ballot = Ballot::new(7, NodeId(c.follower(1)));
    c.tell(
        liar,
        leader,
        Message::Prepare {
            ballot,
            from: Slot::FIRST,
        },
    );
    assert_eq!(c.log.ignored(leader, Reason::Malformed), 1);
    assert!(c.node(leader).promised() < ballot);
}

#[test]
fn n2_another_cluster_is_not_heard() {
    let mut c = Cluster::calm(3, 1);
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
        let letter = Letter {
            cluster: TestNode::fingerprint_of(&config),
            ..c.letter(
                leader,
                node,
                Message::Prepare {
                    ballot,
                    from: Slot::FIRST,
                },
            )
        };
        let (state, known) = (c.state(node), c.log.ignored(node, Reason::ForeignCluster));
        let mut outbox = Outbox::<Machine, PAGE, { TestNode::OUTBOX_MIN }>::new();
        let mut log = core::mem::take(&mut c.log);
        let now = c.now();
        c.node_mut(node)
            .handle_message(now, &letter, &mut outbox, &mut log);
        c.log = log;
        assert_eq!(c.log.ignored(node, Reason::ForeignCluster), known + 1);
        assert!(outbox.is_empty() && c.state(node) == state);
    }
}

#[test]
fn n2_strangers_and_wrong_addresses_are_not_heard() {
    let mut c = Cluster::calm(3, 1);
    let node = c.follower(0);
    let state = c.state(node);
    let stranger = c.letter(9, node, Message::Learn { from: Slot::FIRST });
    let astray = c.letter(c.follower(1), 9, Message::Learn { from: Slot::FIRST });
    for letter in [stranger, astray] {
        let mut outbox = Outbox::<Machine, PAGE, { TestNode::OUTBOX_MIN }>::new();
        let mut log = core::mem::take(&mut c.log);
        let now = c.now();
        c.node_mut(node)
            .handle_message(now, &letter, &mut outbox, &mut log);
        c.log = log;
        assert!(outbox.is_empty());
    }
    assert_eq!(c.log.ignored(node, Reason::NotAMember), 2);
    assert_eq!(c.state(node), state);
}

/// Nobody writes to a node under its own name. So on a link where everybody hears everything, what counts is who speaks, and
/// not to whom.
#[test]
fn n3_a_node_that_overhears_its_own_name_halts() {
    let mut c = Cluster::calm(3, 1);
    c.expect_faults();
    let node = c.leader().unwrap();
    let twin = c.letter(node, c.follower(0), Message::Learn { from: Slot::FIRST });
    let mut outbox = Outbox::<Machine, PAGE, { TestNode::OUTBOX_MIN }>::new();
    let now = c.now();
    let mut log = core::mem::take(&mut c.log);
    c.node_mut(node)
        .handle_message(now, &twin, &mut outbox, &mut log);
    c.log = log;
    assert!(outbox.is_empty());
    assert_eq!(c.node(node).halted(), Some(&Halt::DuplicateIdentity));
    assert!(c.saw(node, |what| matches!(
        what,
        What::Halted(Halt::DuplicateIdentity)
    )));
    assert_eq!(c.node(node).leading(), None);
    let ballot = Ballot::new(9, NodeId(c.follower(1)));
    let said = c.tell(
        ballot.leader().0,
        node,
        Message::Prepare {
            ballot,
            from: Slot::FIRST,
        },
    );
    assert!(
        said.messages.is_empty() && said.writes.is_empty(),
        "it votes no more"
    );
    assert_eq!(c.log.ignored(node, Reason::Halted), 1);
    c.run_until("the others carry on", |c| {
        c.leader().is_some_and(|leader| leader != node)
    });
    c.decide(c.leader().unwrap(), 1);
}

/// An outbox that lacks room for one entry in one of its queues.
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
fn n4_a_message_for_which_the_outbox_has_no_room_changes_nothing() {
    for queue in 0..3 {
        let mut c = Cluster::calm(3, 1);
        let (node, rival) = (c.follower(0), c.follower(1));
        let ballot = Ballot::new(7, NodeId(rival));
        let prepare = c.letter(
            rival,
            node,
            Message::Prepare {
                ballot,
                from: Slot::FIRST,
            },
        );
        let mut outbox = nearly_full(queue);
        let (state, full, now) = (c.state(node), outbox.clone(), c.now());
        let mut log = core::mem::take(&mut c.log);
        c.node_mut(node)
            .handle_message(now, &prepare, &mut outbox, &mut log);
        c.log = log;
        assert_eq!(c.state(node), state);
        assert_eq!(outbox, full);
        assert_eq!(c.log.ignored(node, Reason::OutboxFull), 1);
        // It heals: the same message again, with room.
        let said = c.tell(rival, node, prepare.message);
        assert_eq!(said.writes, [Write::Promised(ballot)]);
        assert_eq!(said.messages.len(), 1);
    }
}

#[test]
fn n4_a_request_for_which_the_outbox_has_no_room_is_not_asked() {
    let mut c = Cluster::calm(3, 1);
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
fn n4_a_timer_for_which_the_outbox_has_no_room_stays_due() {
    let mut c = Cluster::calm(3, 1);
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
fn n4_no_step_says_more_than_the_room_that_it_asks_for() {
    // Every outbox of these clusters has exactly that room, and the busiest runs fit.
    let mut c = Cluster::calm(5, 1);
    for _ in 0..4 {
        for node in 0..5 {
            c.register(node);
        }
    }
    c.run_for(millis(3_000));
    assert_eq!(
        c.log
            .count_all(|what| *what == What::Full(synod::Queue::Outbox)),
        0
    );
}

#[test]
fn a_message_for_another_phase_of_life_is_ignored() {
    let mut c = Cluster::dark(3, 1);
    c.start(0);
    c.start(1);
    c.lose(|_| true);
    let ballot = Ballot::new(1, NodeId(2));
    for node in [0, 1] {
        let state = c.state(node);
        let said = c.tell(
            2,
            node,
            Message::Prepare {
                ballot,
                from: Slot::FIRST,
            },
        );
        assert!(said.messages.is_empty(), "who has not joined does not vote");
        assert_eq!(c.log.ignored(node, Reason::WrongPhase), 1);
        assert_eq!(c.state(node), state);
    }
}

#[test]
fn f2_an_overdue_timer_fires_once_and_an_early_call_does_nothing() {
    let mut c = Cluster::calm(3, 1);
    let leader = c.leader().unwrap();
    let now = c.now();
    let due = c.node(leader).next_deadline().unwrap();
    let early = Instant::from_micros(due.as_micros() - 1);
    let state = c.state(leader);
    let mut outbox = Outbox::<Machine, PAGE, { TestNode::OUTBOX_MIN }>::new();
    c.node_mut(leader)
        .handle_timeout(early, &mut outbox, &mut ());
    assert!(outbox.is_empty() && c.state(leader) == state, "too early");
    // Four heartbeats late, it gives one.
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
