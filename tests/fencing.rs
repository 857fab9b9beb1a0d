//! Nodes that do not vote: those whose storage failed while they ran, and those that came back without it.

use crate::harness::cluster::{Cluster, Machine, PAGE, is};
use crate::harness::trace::{Fact, What};
use synod::machines::{Key, KvCommand};
use synod::{
    Ballot, Duration, Halt, Message, MessageKind, NodeId, Proposal, Proposals, Reason,
    RequestError, RequestNumber, Role, Slot,
};

/// How long nothing may happen where nothing can.
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
fn d1_a_leader_whose_storage_fails_steps_down_and_serves_its_clients_under_another() {
    for seed in 0..10 {
        let mut c = Cluster::calm(3, seed);
        let old = c.leader().unwrap();
        let client = c.decide(old, 5);
        let set = KvCommand::Set(Key::numbered(0), 77);
        let said = c.fence_after(old, |now, node, outbox, log| {
            node.request(now, client, RequestNumber(6), set, outbox, log)
                .unwrap();
            assert_eq!(outbox.writes.len(), 1, "its own vote");
            assert!(!outbox.messages.is_empty(), "and what it asks of others");
        });
        assert!(said.writes.is_empty() && said.messages.is_empty());
        let node = c.node(old);
        assert_eq!((node.is_voter(), node.leading()), (false, None));
        assert_eq!(node.roles().next(), Some(Role::Replica));
        assert!(!node.roles().any(|role| role == Role::Leader));
        assert!(node.durable().is_none(), "nobody may go on from that");
        assert!(c.saw(old, |what| *what == What::Fenced));
        assert!(c.saw(old, |what| matches!(what, What::SteppedDown(_))));
        c.run_until("another leads", |c| {
            c.leader().is_some_and(|leader| leader != old)
        });
        c.run_until("the request is answered where it was made", |c| {
            c.applied_in(client, 6).is_some()
        });
        c.decide(old, 3);
        c.run_until("all have the same state", agree);
        assert!(c.node(old).halted().is_none() && !c.node(old).is_voter());
        assert_eq!(c.log.count(old, |what| *what == What::Fenced), 1);
    }
}

#[test]
fn d1_a_scout_whose_storage_fails_claims_nothing() {
    let mut c = Cluster::calm(3, 1);
    let old = c.leader().unwrap();
    c.hold(|letter| is(letter, MessageKind::Promise));
    c.stop(old);
    let scouts = |c: &Cluster| {
        c.live()
            .find(|node| c.node(*node).roles().any(|role| role == Role::Scout))
    };
    c.run_until("somebody claims", |c| scouts(c).is_some());
    let scout = scouts(&c).unwrap();
    c.fence(scout);
    assert!(!c.node(scout).roles().any(|role| role == Role::Scout));
    let prepares = c.log.sent(scout, MessageKind::Prepare);
    c.forget_rules();
    c.release(false);
    c.never_for(LONG, "one of three leads", |c| c.leader().is_some());
    assert_eq!(c.log.sent(scout, MessageKind::Prepare), prepares);
    assert!(c.log.ignored(scout, Reason::NotVoting) > 0, "it is probed");
}

/// What a leader of a ballot may ask of a node.
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
        let mut c = Cluster::calm(3, 1);
        let (leader, node) = (c.leader().unwrap(), c.follower(0));
        if fences {
            c.fence(node);
        }
        let ballot = Ballot::new(c.node(node).promised().round() + 1, NodeId(leader));
        let next = c.applied(node).next().unwrap();
        for question in questions(ballot, next) {
            let kind = question.kind();
            let said = c.tell(leader, node, question);
            assert_eq!(said.messages.is_empty(), fences, "{kind:?}");
            assert!(!fences || said.writes.is_empty(), "{kind:?}");
        }
        let ignored = if fences { 2 } else { 0 };
        assert_eq!(c.log.ignored(node, Reason::NotVoting), ignored);
        assert_eq!(c.node(node).leader_hint(), Some(NodeId(leader)));
    }
}

#[test]
fn d1_nobody_leads_by_the_votes_of_fenced_nodes() {
    let mut c = Cluster::calm(3, 1);
    let leader = c.leader().unwrap();
    let client = c.decide(leader, 3);
    let applied = c.applied(leader);
    for node in [c.follower(0), c.follower(1)] {
        c.fence(node);
    }
    c.set(leader, client, 4, 9);
    c.never_for(LONG, "one vote of three decides", |c| {
        c.live().any(|node| c.applied(node) > applied)
    });
    assert_eq!(c.leader(), None, "nobody has answered its heartbeats");
    assert!(c.saw(leader, |what| matches!(what, What::SteppedDown(_))));
}

#[test]
fn d1_an_answer_rests_on_what_others_have_written_and_leaves_though_the_storage_fails() {
    let mut c = Cluster::calm(3, 1);
    let node = c.follower(0);
    let client = c.decide(node, 2);
    c.run_until("all is calm", Cluster::is_calm);
    c.hold(move |letter| letter.to.0 == node && !is(letter, MessageKind::Accept));
    c.set(node, client, 3, 9);
    let decision = |c: &Cluster| {
        let mut held = c.held().iter();
        held.find(|letter| is(letter, MessageKind::Decision))
            .cloned()
    };
    c.run_until("it would be told", |c| decision(c).is_some());
    assert_eq!(c.applied_in(client, 3), None);
    let told = decision(&c).unwrap();
    c.fence_after(node, |now, node, outbox, log| {
        node.handle_message(now, &told, outbox, log);
        assert_eq!(outbox.replies.len(), 1);
    });
    assert!(
        c.applied_in(client, 3).is_some(),
        "its client has the answer"
    );
}

#[test]
fn d1_who_decides_alone_halts_when_its_storage_fails() {
    let mut c = Cluster::calm(1, 1);
    let client = c.decide(0, 2);
    c.expect_faults();
    let set = KvCommand::Set(Key::numbered(0), 7);
    c.fence_after(0, |now, node, outbox, log| {
        node.request(now, client, RequestNumber(3), set, outbox, log)
            .unwrap();
        assert_eq!(outbox.replies.len(), 1, "applied by its own vote");
    });
    assert_eq!(c.applied_in(client, 3), None, "but nobody has heard of it");
    assert_eq!(c.node(0).halted(), Some(&Halt::StorageFailed));
    assert!(c.saw(0, |what| *what == What::Halted(Halt::StorageFailed)));
    assert_eq!(c.ask(0, client, 4, set), Err(RequestError::Halted));
    assert_eq!(c.node(0).next_deadline(), None);
}

#[test]
fn d1_a_founder_whose_storage_fails_founds_nothing() {
    let mut c = Cluster::dark(3, 1);
    c.expect_faults();
    c.start(0);
    c.run_for(Duration::from_secs(1));
    c.fence(0);
    assert_eq!(c.node(0).halted(), Some(&Halt::StorageFailed));
    c.start(1);
    c.start(2);
    c.never_for(LONG, "somebody joins", |c| {
        c.live().any(|node| c.node(node).is_active())
    });
}

#[test]
fn d1_fencing_twice_is_fencing_once() {
    let mut c = Cluster::calm(3, 1);
    let node = c.follower(0);
    c.fence(node);
    let (state, facts) = (c.state(node), c.log.facts.len());
    c.fence(node);
    assert_eq!((c.state(node), c.log.facts.len()), (state, facts));
}

#[test]
fn d1_a_fenced_node_misses_its_leader_and_follows_the_next() {
    let mut c = Cluster::calm(5, 1);
    let (old, fenced) = (c.leader().unwrap(), c.follower(0));
    c.fence(fenced);
    c.stop(old);
    c.run_until("it notices", |c| {
        c.saw(fenced, |what| *what == What::Suspected(NodeId(old)))
    });
    c.run_until("the rest follows another", Cluster::is_calm);
    c.decide(fenced, 3);
    let claims = [MessageKind::Probe, MessageKind::Prepare];
    let since = c
        .log
        .facts
        .iter()
        .position(|fact| fact.what == What::Fenced);
    let claimed = c.log.facts[since.unwrap()..].iter().any(|fact| {
        fact.node == fenced
            && matches!(fact.what, What::Sent { kind, .. } if claims.contains(&kind))
    });
    assert!(!claimed);
}

#[test]
fn d1_a_fenced_node_helps_others_to_join() {
    let mut c = Cluster::dark(5, 1);
    for node in 0..4 {
        c.start(node);
    }
    c.run_until("four follow one leader", Cluster::is_calm);
    c.decide(1, 20);
    let fenced = c.follower(0);
    c.fence(fenced);
    let others: Vec<u16> = (0..4).filter(|node| *node != fenced).collect();
    c.cut(&[4], &others);
    c.start(4);
    c.run_until("the late one has joined", |c| c.node(4).is_active());
    assert!(c.node(4).is_voter() && c.applied(4) >= c.applied(fenced));
    c.heal();
    c.run_until("all agree", Cluster::is_calm);
}

#[test]
fn d2_a_learner_catches_up_and_is_in_no_quorum() {
    for (seed, loss) in [(1, 0), (2, 0), (3, 20), (4, 20)] {
        let mut c = Cluster::calm(3, seed);
        c.lose_percent(loss);
        let (lost, other) = (c.follower(0), c.follower(1));
        c.decide(other, 30);
        c.stop(lost);
        c.decide(other, 20);
        c.learn(lost);
        assert!(!c.node(lost).is_voter() && c.node(lost).durable().is_none());
        let client = c.decide(other, 5);
        c.run_until("it has caught up", |c| {
            c.applied(lost) == c.applied(other) && agree(c)
        });
        assert_eq!(c.node(lost).roles().collect::<Vec<_>>(), [Role::Replica]);
        let begun = |role| {
            let began = |fact: &&Fact| fact.role == role && fact.what == What::Started;
            let facts = c.log.facts.iter().filter(|fact| fact.node == lost);
            facts.filter(began).count()
        };
        assert_eq!((begun(Role::Replica), begun(Role::Acceptor)), (2, 1));
        c.isolate(other);
        let applied = c.live().map(|node| c.applied(node)).max().unwrap();
        c.set(lost, client, 6, 9);
        c.never_for(LONG, "a learner and one more decide", |c| {
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
fn d2_a_learner_follows_by_what_it_overhears() {
    let mut c = Cluster::calm(3, 1);
    let learner = c.follower(0);
    c.stop(learner);
    c.learn(learner);
    c.run_until("it follows", Cluster::is_calm);
    let before = c.log.sent(learner, MessageKind::Learn);
    c.decide(learner, 40);
    let asked = c.log.sent(learner, MessageKind::Learn) - before;
    assert!(asked < 20, "it asked {asked} times for 41 slots");
}

#[test]
fn d2_the_founder_that_lost_its_memory_founds_nothing_and_asks_the_others() {
    let mut c = Cluster::calm(3, 1);
    c.decide(1, 10);
    c.stop(0);
    c.learn(0);
    c.run_until("it has caught up", |c| c.applied(0) == c.applied(1));
    assert_eq!(c.node(0).roles().collect::<Vec<_>>(), [Role::Replica]);
    c.run_until("two lead the three", Cluster::is_calm);
    c.decide(0, 3);
    assert_ne!(c.leader(), Some(0));
}

#[test]
fn j1_nothing_is_founded_with_a_learner() {
    let mut c = Cluster::dark(3, 1);
    c.start(0);
    c.learn(1);
    c.never_for(LONG, "one of three founds", |c| {
        c.live().any(|node| c.node(node).is_active())
    });
    assert!(c.log.ignored(0, Reason::NotVoting) > 0, "it has asked");
    c.start(2);
    c.run_until("two found, and three follow", Cluster::is_calm);
    assert!(!c.node(1).is_voter());
    c.decide(1, 3);
}

#[test]
fn j1_a_node_whose_storage_fails_before_it_has_joined_is_not_founded_with() {
    let mut c = Cluster::dark(3, 1);
    c.start(1);
    c.run_for(Duration::from_secs(1));
    c.fence(1);
    c.start(0);
    c.never_for(LONG, "one of three founds", |c| {
        c.live().any(|node| c.node(node).is_active())
    });
    c.start(2);
    c.run_until("two found, and three follow", Cluster::is_calm);
    assert!(!c.node(1).is_voter());
}

#[test]
fn d2_a_learner_of_one_waits_for_ever_and_asks_nobody() {
    let mut c = Cluster::dark(1, 1);
    c.learn(0);
    c.never_for(LONG, "it is alone", |c| c.node(0).is_active());
    assert_eq!(c.log.sent(0, MessageKind::Join), 0);
}
