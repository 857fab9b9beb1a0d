//! Fencing: nodes without a vote, because their storage failed or was lost.

use crate::harness::cluster::{Cluster, Machine, PAGE, is};
use crate::harness::trace::{EventKind, TracedEvent};
use synod::machines::{Key, KvCommand};
use synod::{
    Ballot, Duration, Halt, Message, MessageKind, NodeId, Proposal, Proposals, Reason,
    RequestError, RequestNumber, Role, Slot,
};

/// How long a test waits to see that nothing happens.
const LONG: Duration = Duration::from_secs(20);

fn agree(c: &Cluster) -> bool {
    let first = c.live().next().unwrap();
    let of = |node| {
        (
            c.applied(node),
            c.node(node).chain(),
            c.node(node).machine(),
        )
    };
    c.live().all(|node| of(node) == of(first))
}

#[test]
fn d1_a_leader_whose_storage_fails_steps_down_and_serves_its_clients_as_a_follower() {
    for seed in 0..10 {
        let mut c = Cluster::settled(3, seed);
        let old = c.leader().unwrap();
        let client = c.decide(old, 5);
        let set = KvCommand::Set(Key::numbered(0), 77);
        let output = c.fence_after(old, |now, node, outbox, trace| {
            node.request(now, client, RequestNumber(6), set, outbox, trace)
                .unwrap();
            assert_eq!(outbox.writes.len(), 1, "its own vote");
            assert!(!outbox.messages.is_empty(), "and what it asks of others");
        });
        assert!(output.writes.is_empty() && output.messages.is_empty());
        let node = c.node(old);
        assert_eq!((node.is_voter(), node.leading()), (false, None));
        assert_eq!(node.roles().next(), Some(Role::Replica));
        assert!(!node.roles().any(|role| role == Role::Leader));
        assert!(node.durable().is_none(), "no restart may use it");
        assert!(c.saw(old, |event| *event == EventKind::Fenced));
        assert!(c.saw(old, |event| matches!(event, EventKind::SteppedDown(_))));
        c.run_until("another leads", |c| {
            c.leader().is_some_and(|leader| leader != old)
        });
        c.run_until("the request is answered where it was made", |c| {
            c.applied_in(client, 6).is_some()
        });
        c.decide(old, 3);
        c.run_until("all have the same state", agree);
        assert!(c.node(old).halted().is_none() && !c.node(old).is_voter());
        assert_eq!(c.trace.count(old, |event| *event == EventKind::Fenced), 1);
    }
}

/// A leader follows itself. Once it is fenced it must miss a leader like any other node, or it asks nobody for decisions
/// where it cannot hear the next one (rule L8).
#[test]
fn l8_a_fenced_leader_that_cannot_hear_the_next_one_learns_from_others() {
    for seed in 0..5 {
        let mut c = Cluster::settled(5, seed);
        let (old, friend) = (c.leader().unwrap(), c.follower(0));
        let others: Vec<_> = c
            .live()
            .filter(|node| ![old, friend].contains(node))
            .collect();
        c.cut(&[old], &others);
        c.drop_matching(move |envelope| {
            envelope.from == NodeId(friend) && is(envelope, MessageKind::Probe)
        });
        c.fence(old);
        c.run_until("another leads", |c| {
            c.leader().is_some_and(|leader| leader != old)
        });
        let leader = c.leader().unwrap();
        assert_ne!(leader, friend, "it never probes");
        c.decide(leader, 10);
        let caught_up = |c: &Cluster| c.applied(old) == c.applied(leader);
        assert!(
            c.happens_within(Duration::from_secs(10), caught_up),
            "seed {seed}: it has applied slot {} of {}",
            c.applied(old),
            c.applied(leader)
        );
    }
}

/// Stops the leader, and waits for a node to claim a ballot, whose promises are held. Returns that node.
fn scouting(c: &mut Cluster) -> u16 {
    let old = c.leader().unwrap();
    c.hold_matching(|envelope| is(envelope, MessageKind::Promise));
    c.stop(old);
    let scout = |c: &Cluster| {
        c.live()
            .find(|node| c.node(*node).roles().any(|role| role == Role::Scout))
    };
    c.run_until("a node claims", |c| scout(c).is_some());
    scout(c).unwrap()
}

/// A node looks for a leader by its own election. Once that has ended because it is fenced, it must ask others.
#[test]
fn l8_a_node_that_is_fenced_in_its_election_learns_from_others() {
    for seed in 0..5 {
        let mut c = Cluster::settled(5, seed);
        let fenced = scouting(&mut c);
        let others: Vec<_> = c.live().filter(|node| *node != fenced).collect();
        let friend = others[0];
        c.fence(fenced);
        c.clear_rules();
        c.release(false);
        c.cut(&[fenced], &others[1..]);
        c.drop_matching(move |envelope| {
            envelope.from == NodeId(friend) && is(envelope, MessageKind::Probe)
        });
        c.run_until("another leads", |c| c.leader().is_some());
        let leader = c.leader().unwrap();
        assert_ne!(leader, friend, "it never probes");
        c.decide(leader, 10);
        let caught_up = |c: &Cluster| c.applied(fenced) == c.applied(leader);
        assert!(
            c.happens_within(Duration::from_secs(10), caught_up),
            "seed {seed}: it has applied slot {} of {}",
            c.applied(fenced),
            c.applied(leader)
        );
    }
}

#[test]
fn d1_a_scout_whose_storage_fails_claims_nothing() {
    let mut c = Cluster::settled(3, 1);
    let scout = scouting(&mut c);
    c.fence(scout);
    assert!(!c.node(scout).roles().any(|role| role == Role::Scout));
    let prepares = c.trace.sent(scout, MessageKind::Prepare);
    c.clear_rules();
    c.release(false);
    c.assert_never_within(LONG, "one of three leads", |c| c.leader().is_some());
    assert_eq!(c.trace.sent(scout, MessageKind::Prepare), prepares);
    assert!(
        c.trace.ignored(scout, Reason::NotVoting) > 0,
        "it is probed"
    );
}

/// Returns the messages by which a leader of a ballot asks for something that depends on storage.
fn questions(ballot: Ballot, next: Slot) -> [Message<Machine, PAGE>; 4] {
    let mut proposals = Proposals::<Machine, PAGE>::new();
    proposals.push(Proposal::Noop).unwrap();
    [
        Message::Probe { ballot },
        Message::Prepare { ballot, from: next },
        Message::Accept {
            ballot,
            first: next,
            decided: Slot::ZERO,
            proposals,
        },
        Message::Heartbeat {
            ballot,
            decided: Slot::ZERO,
            chain: 0,
        },
    ]
}

#[test]
fn d1_a_fenced_node_answers_no_leader() {
    for fences in [false, true] {
        let mut c = Cluster::settled(3, 1);
        let (leader, node) = (c.leader().unwrap(), c.follower(0));
        if fences {
            c.fence(node);
        }
        let ballot = Ballot::new(c.node(node).promised().round() + 1, NodeId(leader));
        let next = c.applied(node).next().unwrap();
        for question in questions(ballot, next) {
            let kind = question.kind();
            let output = c.inject(leader, node, question);
            assert_eq!(output.messages.is_empty(), fences, "{kind:?}");
            assert!(!fences || output.writes.is_empty(), "{kind:?}");
        }
        let ignored = if fences { 2 } else { 0 };
        assert_eq!(c.trace.ignored(node, Reason::NotVoting), ignored);
        assert_eq!(c.node(node).leader_hint(), Some(NodeId(leader)));
    }
}

#[test]
fn d1_fenced_nodes_elect_no_leader() {
    let mut c = Cluster::settled(3, 1);
    let leader = c.leader().unwrap();
    let client = c.decide(leader, 3);
    let applied = c.applied(leader);
    for node in [c.follower(0), c.follower(1)] {
        c.fence(node);
    }
    c.set(leader, client, 4, 9);
    c.assert_never_within(LONG, "one vote of three decides", |c| {
        c.live().any(|node| c.applied(node) > applied)
    });
    assert_eq!(c.leader(), None, "its heartbeats are not answered");
    assert!(c.saw(leader, |event| matches!(event, EventKind::SteppedDown(_))));
}

#[test]
fn d1_an_answer_that_depends_only_on_the_votes_of_others_is_sent_although_the_storage_fails() {
    let mut c = Cluster::settled(3, 1);
    let node = c.follower(0);
    let client = c.decide(node, 2);
    c.run_until("all is calm", Cluster::is_settled);
    c.hold_matching(move |envelope| envelope.to.0 == node && !is(envelope, MessageKind::Accept));
    c.set(node, client, 3, 9);
    let decision = |c: &Cluster| {
        let mut held = c.held().iter();
        held.find(|envelope| is(envelope, MessageKind::Decision))
            .cloned()
    };
    c.run_until("it would be told", |c| decision(c).is_some());
    assert_eq!(c.applied_in(client, 3), None);
    let told = decision(&c).unwrap();
    c.fence_after(node, |now, node, outbox, trace| {
        node.handle_message(now, &told, outbox, trace);
        assert_eq!(outbox.replies.len(), 1);
    });
    assert!(
        c.applied_in(client, 3).is_some(),
        "its client has the answer"
    );
}

#[test]
fn d1_a_cluster_of_one_halts_when_its_storage_fails() {
    let mut c = Cluster::settled(1, 1);
    let client = c.decide(0, 2);
    c.allow_halts();
    let set = KvCommand::Set(Key::numbered(0), 7);
    c.fence_after(0, |now, node, outbox, trace| {
        node.request(now, client, RequestNumber(3), set, outbox, trace)
            .unwrap();
        assert_eq!(outbox.replies.len(), 1, "applied by its own vote");
    });
    assert_eq!(c.applied_in(client, 3), None, "but no node has received it");
    assert_eq!(c.node(0).halted(), Some(&Halt::StorageFailed));
    assert!(c.saw(0, |event| *event == EventKind::Halted(Halt::StorageFailed)));
    assert_eq!(c.ask(0, client, 4, set), Err(RequestError::Halted));
    assert_eq!(c.node(0).next_deadline(), None);
}

#[test]
fn d1_a_founder_whose_storage_fails_founds_nothing() {
    let mut c = Cluster::powered_off(3, 1);
    c.allow_halts();
    c.start(0);
    c.run_for(Duration::from_secs(1));
    c.fence(0);
    assert_eq!(c.node(0).halted(), Some(&Halt::StorageFailed));
    c.start(1);
    c.start(2);
    c.assert_never_within(LONG, "a node joins", |c| {
        c.live().any(|node| c.node(node).is_active())
    });
}

#[test]
fn d1_fencing_is_idempotent() {
    let mut c = Cluster::settled(3, 1);
    let node = c.follower(0);
    c.fence(node);
    let (state, events) = (c.state(node), c.trace.events.len());
    c.fence(node);
    assert_eq!((c.state(node), c.trace.events.len()), (state, events));
}

#[test]
fn d1_a_fenced_node_suspects_its_leader_and_follows_the_next_one() {
    let mut c = Cluster::settled(5, 1);
    let (old, fenced) = (c.leader().unwrap(), c.follower(0));
    c.fence(fenced);
    c.stop(old);
    c.run_until("it notices", |c| {
        c.saw(fenced, |event| *event == EventKind::Suspected(NodeId(old)))
    });
    c.run_until("the rest follows another", Cluster::is_settled);
    c.decide(fenced, 3);
    let claims = [MessageKind::Probe, MessageKind::Prepare];
    let since = c
        .trace
        .events
        .iter()
        .position(|traced| traced.event == EventKind::Fenced);
    let claimed = c.trace.events[since.unwrap()..].iter().any(|traced| {
        traced.node == fenced
            && matches!(traced.event, EventKind::Sent { kind, .. } if claims.contains(&kind))
    });
    assert!(!claimed);
}

#[test]
fn d1_a_fenced_node_helps_others_to_join() {
    let mut c = Cluster::powered_off(5, 1);
    for node in 0..4 {
        c.start(node);
    }
    c.run_until("four follow one leader", Cluster::is_settled);
    c.decide(1, 20);
    let fenced = c.follower(0);
    c.fence(fenced);
    let others: Vec<u16> = (0..4).filter(|node| *node != fenced).collect();
    c.cut(&[4], &others);
    c.start(4);
    c.run_until("the late one has joined", |c| c.node(4).is_active());
    assert!(c.node(4).is_voter() && c.applied(4) >= c.applied(fenced));
    c.heal();
    c.run_until("all agree", Cluster::is_settled);
}

#[test]
fn d2_a_learner_catches_up_and_counts_in_no_quorum() {
    for (seed, loss) in [(1, 0), (2, 0), (3, 20), (4, 20)] {
        let mut c = Cluster::settled(3, seed);
        c.set_loss_percent(loss);
        let (lost, other) = (c.follower(0), c.follower(1));
        c.decide(other, 30);
        c.stop(lost);
        c.decide(other, 20);
        c.start_as_learner(lost);
        assert!(!c.node(lost).is_voter() && c.node(lost).durable().is_none());
        let client = c.decide(other, 5);
        c.run_until("it has caught up", |c| {
            c.applied(lost) == c.applied(other) && agree(c)
        });
        assert_eq!(c.node(lost).roles().collect::<Vec<_>>(), [Role::Replica]);
        let begun = |role| {
            let began =
                |traced: &&TracedEvent| traced.role == role && traced.event == EventKind::Started;
            let events = c.trace.events.iter().filter(|traced| traced.node == lost);
            events.filter(began).count()
        };
        assert_eq!((begun(Role::Replica), begun(Role::Acceptor)), (2, 1));
        c.isolate(other);
        let applied = c.live().map(|node| c.applied(node)).max().unwrap();
        c.set(lost, client, 6, 9);
        c.assert_never_within(LONG, "a learner and one more decide", |c| {
            c.live().any(|node| c.applied(node) > applied)
        });
        assert_eq!(c.leader(), None);
        c.heal();
        c.run_until("the request is answered", |c| {
            c.applied_in(client, 6).is_some()
        });
        c.run_until("all have the same state", agree);
    }
}

#[test]
fn d2_a_learner_keeps_up_from_the_messages_of_the_leader() {
    let mut c = Cluster::settled(3, 1);
    let learner = c.follower(0);
    c.stop(learner);
    c.start_as_learner(learner);
    c.run_until("it follows", Cluster::is_settled);
    let before = c.trace.sent(learner, MessageKind::Learn);
    c.decide(learner, 40);
    let asked = c.trace.sent(learner, MessageKind::Learn) - before;
    assert!(asked < 20, "it asked {asked} times for 41 slots");
}

#[test]
fn d2_a_founder_that_lost_its_storage_founds_nothing_and_learns() {
    let mut c = Cluster::settled(3, 1);
    c.decide(1, 10);
    c.stop(0);
    c.start_as_learner(0);
    c.run_until("it has caught up", |c| c.applied(0) == c.applied(1));
    assert_eq!(c.node(0).roles().collect::<Vec<_>>(), [Role::Replica]);
    c.run_until("two lead the three", Cluster::is_settled);
    c.decide(0, 3);
    assert_ne!(c.leader(), Some(0));
}

#[test]
fn j1_a_learner_does_not_count_towards_the_founding() {
    let mut c = Cluster::powered_off(3, 1);
    c.start(0);
    c.start_as_learner(1);
    c.assert_never_within(LONG, "one of three founds", |c| {
        c.live().any(|node| c.node(node).is_active())
    });
    assert!(c.trace.ignored(0, Reason::NotVoting) > 0, "it has asked");
    c.start(2);
    c.run_until("two found, and three follow", Cluster::is_settled);
    assert!(!c.node(1).is_voter());
    c.decide(1, 3);
}

#[test]
fn j1_a_node_whose_storage_fails_before_it_has_joined_does_not_count_towards_the_founding() {
    let mut c = Cluster::powered_off(3, 1);
    c.start(1);
    c.run_for(Duration::from_secs(1));
    c.fence(1);
    c.start(0);
    c.assert_never_within(LONG, "one of three founds", |c| {
        c.live().any(|node| c.node(node).is_active())
    });
    c.start(2);
    c.run_until("two found, and three follow", Cluster::is_settled);
    assert!(!c.node(1).is_voter());
}

#[test]
fn d2_a_learner_in_a_cluster_of_one_waits_for_ever() {
    let mut c = Cluster::powered_off(1, 1);
    c.start_as_learner(0);
    c.assert_never_within(LONG, "it is alone", |c| c.node(0).is_active());
    assert_eq!(c.trace.sent(0, MessageKind::Join), 0);
}
