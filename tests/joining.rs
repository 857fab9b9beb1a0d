//! Founding, joining, and snapshot transfer.

use crate::harness::cluster::{Cluster, WINDOW, is, millis, slot};
use crate::harness::load::Load;
use crate::harness::trace::EventKind;
use synod::{Ballot, Duration, Message, MessageKind, Reason, Role, Slot};

fn installed(c: &Cluster, node: u16) -> Vec<Slot> {
    let of = |traced: &crate::harness::trace::TracedEvent| match traced.event {
        EventKind::Installed { at, .. } if traced.node == node => Some(at),
        _ => None,
    };
    c.trace.events.iter().filter_map(of).collect()
}

#[test]
fn j1_a_cluster_is_founded_when_a_quorum_has_asked_to_join() {
    let mut c = Cluster::powered_off(5, 1);
    for (node, roles) in [(0, Role::Seed), (1, Role::Initializer)] {
        c.start(node);
        c.run_for(Duration::from_secs(5));
        assert_eq!(c.node(node).roles().collect::<Vec<_>>(), [roles]);
    }
    let joined = c.live().filter(|node| c.node(*node).is_active()).count();
    assert_eq!(joined, 0, "two of five found nothing");
    c.start(4);
    c.run_until("three follow one leader", Cluster::is_settled);
    for role in [Role::Acceptor, Role::Replica, Role::Leader] {
        assert!(
            c.node(0).roles().any(|has| has == role),
            "the founder joins as well"
        );
    }
    c.decide(4, 3);
    for node in [2, 3] {
        c.start(node);
        c.run_until("all of them follow one leader", Cluster::is_settled);
    }
    c.decide(2, 3);
}

#[test]
fn j1_a_node_whose_welcome_was_lost_receives_the_current_state() {
    let mut c = Cluster::booting(5, 1);
    c.drop_matching(|envelope| is(envelope, MessageKind::Welcome) && envelope.to.0 == 4);
    c.run_until("the others follow a leader", |c| {
        c.leader().is_some() && (0..4).all(|node| c.node(node).is_active())
    });
    c.decide(1, 5);
    assert!(!c.node(4).is_active());
    c.clear_rules();
    c.run_until("it joins", |c| c.node(4).is_active());
    assert!(installed(&c, 4)[0] >= slot(5), "not the beginning again");
    c.run_until("every node agrees", Cluster::is_settled);
}

#[test]
fn j1_founding_and_joining_under_loss() {
    for seed in 0..20 {
        let mut c = Cluster::booting(7, seed);
        c.set_loss_percent(30);
        c.run_until("every node follows one leader", Cluster::is_settled);
    }
}

#[test]
fn j2_a_welcome_makes_no_promise() {
    let mut c = Cluster::powered_off(3, 1);
    c.start(0);
    c.start(1);
    c.run_until("two follow one leader", Cluster::is_settled);
    c.decide(0, 20);
    c.start(2);
    c.run_until("it has joined", |c| c.node(2).is_active());
    assert_eq!(c.node(2).promised(), Ballot::NULL);
    assert!(c.applied(2) > Slot::ZERO);
}

#[test]
fn j1_a_late_joiner_fetches_a_thousand_slots_as_a_paged_snapshot() {
    for loss in [0, 25] {
        let mut c = Cluster::powered_off(3, 1);
        c.start(0);
        c.start(1);
        c.run_until("two follow one leader", Cluster::is_settled);
        c.decide(1, 1_000);
        c.set_loss_percent(loss);
        c.start(2);
        c.run_until("it has caught up", |c| c.applied(2) == c.applied(0));
        assert_eq!(installed(&c, 2), [slot(1_001)]);
        assert!(
            c.trace.received(2, MessageKind::Welcome) >= 9,
            "fifty keys and a session"
        );
        assert_eq!(c.node(2).machine(), c.node(0).machine());
        assert_eq!(c.node(2).chain(), c.node(0).chain());
    }
}

#[test]
fn a_lost_snapshot_page_is_requested_again() {
    let mut c = Cluster::powered_off(3, 1);
    c.start(0);
    c.start(1);
    c.run_until("two follow one leader", Cluster::is_settled);
    c.decide(1, 60);
    c.start(2);
    c.drop_matching(|envelope| matches!(envelope.message, Message::Welcome { page: 4, .. }));
    c.run_until("it asks for the fifth page again", |c| {
        c.trace.sent(2, MessageKind::Join) >= 7
    });
    assert!(!c.node(2).is_active());
    c.clear_rules();
    c.run_until("it joins", |c| c.node(2).is_active());
}

#[test]
fn a_node_joins_without_the_founder() {
    let mut c = Cluster::powered_off(5, 1);
    for node in 0..4 {
        c.start(node);
    }
    c.run_until("four follow one leader", Cluster::is_settled);
    c.decide(1, 20);
    c.stop(0);
    c.start(4);
    c.run_until("the late one has joined", |c| c.node(4).is_active());
    c.run_until("the rest agrees", Cluster::is_settled);
    c.decide(4, 1);
}

#[test]
fn a_node_joins_although_its_source_crashes_during_the_transfer() {
    let mut c = Cluster::powered_off(5, 1);
    for node in 0..4 {
        c.start(node);
    }
    c.run_until("four follow one leader", Cluster::is_settled);
    c.decide(1, 60);
    c.start(4);
    c.run_until("three pages have come", |c| {
        c.trace.received(4, MessageKind::Welcome) == 3
    });
    c.stop(0);
    c.run_until("it has joined from another", |c| c.node(4).is_active());
    c.run_until("the rest agrees", Cluster::is_settled);
}

#[test]
fn t4_the_source_keeps_applying_while_its_snapshot_is_fetched() {
    let mut c = Cluster::powered_off(3, 1);
    c.start(0);
    c.start(1);
    c.run_until("two follow one leader", Cluster::is_settled);
    c.decide(0, 60);
    let before = c.applied(0);
    let mut load = Load::new(&mut c, 0, 2);
    c.start(2);
    for _ in 0..200 {
        load.run_for(&mut c, millis(20));
        if c.node(2).is_active() {
            break;
        }
    }
    let at = installed(&c, 2)[0];
    assert!(
        c.applied(0) > slot(at.number() + 5),
        "it has applied more meanwhile"
    );
    assert!(at >= before);
    c.run_until("it catches up", Cluster::is_settled);
}

/// Two nodes fetch a snapshot from one source at the same time, while the log grows between any two questions:
/// neither may make the source discard the snapshot that the other is fetching. (If nothing were decided between two
/// questions, the source would keep one snapshot for both by chance, and clients that wait for each other leave such
/// gaps.)
#[test]
fn j3_two_late_joiners_do_not_prevent_each_other_from_joining() {
    for (seed, later) in [(0, 0), (1, 1), (2, 3), (3, 6), (4, 12), (5, 20)] {
        let mut c = Cluster::powered_off(5, seed);
        for node in 0..3 {
            c.start(node);
        }
        c.run_until("three follow one leader", Cluster::is_settled);
        let client = c.decide(0, 60);
        // The founder is the only node that they reach.
        c.cut(&[3, 4], &[1, 2]);
        c.hold_matching(|envelope| is(envelope, MessageKind::Join));
        c.start(3);
        let mut number = 60;
        while !(c.node(3).is_active() && number > 60 + later && c.node(4).is_active()) {
            if number == 60 + later {
                c.start(4);
            }
            number += 1;
            assert!(number < 160, "seed {seed}: not joined");
            c.set_and_wait(0, client, number, 7);
            c.run_until("one of them asks", |c| !c.held().is_empty());
            c.release_first();
        }
        c.clear_rules();
        c.release(false);
        c.heal();
        c.run_until("every node agrees", Cluster::is_settled);
    }
}

#[test]
fn j3_a_replica_that_fetches_a_snapshot_serves_none() {
    let mut c = Cluster::powered_off(5, 1);
    for node in 0..4 {
        c.start(node);
    }
    c.run_until("four follow one leader", Cluster::is_settled);
    let away = if c.leader() == Some(3) { 2 } else { 3 };
    c.isolate(away);
    c.decide(0, 60);
    c.heal();
    c.run_until("it fetches", |c| {
        c.trace.received(away, MessageKind::Welcome) >= 3
    });
    let known = c.trace.ignored(away, Reason::Full);
    let output = c.inject(
        4,
        away,
        Message::Join {
            snapshot: None,
            page: 0,
            count: 1,
        },
    );
    assert!(output.messages.is_empty());
    assert_eq!(c.trace.ignored(away, Reason::Full), known + 1);
    c.run_until("it has caught up", |c| c.applied(away) == c.applied(0));
    let output = c.inject(
        4,
        away,
        Message::Join {
            snapshot: None,
            page: 0,
            count: 1,
        },
    );
    assert!(
        matches!(output.messages[..], [Message::Welcome { page: 0, .. }]),
        "it heals"
    );
}

#[test]
fn a_replica_needs_a_snapshot_only_when_it_is_more_than_a_window_behind() {
    let window = u32::try_from(WINDOW).unwrap();
    for (slots, snapshots) in [(window - 1, 1), (window + 8, 2)] {
        let mut c = Cluster::settled(3, 1);
        let (leader, away) = (c.leader().unwrap(), c.follower(0));
        c.isolate(away);
        c.decide(leader, slots);
        c.heal();
        c.run_until("it has caught up", |c| c.applied(away) == c.applied(leader));
        assert_eq!(
            installed(&c, away).len(),
            snapshots,
            "{slots} slots and a session"
        );
    }
}

#[test]
fn t4_a_request_for_a_discarded_snapshot_is_answered_with_the_first_page_of_a_new_one() {
    let mut c = Cluster::settled(3, 1);
    c.decide(0, 60);
    let join = |snapshot, page| Message::Join {
        snapshot,
        page,
        count: 1,
    };
    let welcome = |c: &mut Cluster, message| match c.inject(1, 0, message).messages[..] {
        [Message::Welcome { snapshot, page, .. }] => (snapshot, page),
        _ => panic!("no page"),
    };
    let (old, first) = welcome(&mut c, join(None, 0));
    assert_eq!((first, welcome(&mut c, join(Some(old), 3))), (0, (old, 3)));
    c.decide(0, 3);
    let kept = welcome(&mut c, join(Some(old), 4));
    assert_eq!(kept, (old, 4), "it is kept while it is fetched");
    c.run_for(Duration::from_secs(2));
    let (new, page) = welcome(&mut c, join(Some(old), 5));
    assert!(
        page == 0 && new.at > old.at,
        "discarded when it is not requested for long"
    );
    let again = welcome(&mut c, join(Some(old), 5));
    assert_eq!(
        again,
        (new, 0),
        "and the pages of one are never passed off as another's"
    );
    let beyond = c.inject(1, 0, join(Some(new), 1_000));
    assert!(beyond.messages.is_empty(), "there is no such page");
}

#[test]
fn t4_a_corrupt_snapshot_is_not_installed() {
    let mut c = Cluster::powered_off(3, 1);
    c.start(0);
    c.start(1);
    c.run_until("two follow one leader", Cluster::is_settled);
    c.decide(0, 30);
    c.drop_matching(|envelope| is(envelope, MessageKind::Join));
    c.start(2);
    for damaged in [true, false] {
        let mut wanted = Some((None, 0, 1));
        while let Some((snapshot, page, count)) = wanted.take() {
            let join = Message::Join {
                snapshot,
                page,
                count,
            };
            for mut message in c.inject(2, 0, join).messages {
                if let Message::Welcome { page: 3, bytes, .. } = &mut message
                    && damaged
                {
                    bytes[8] ^= 1;
                }
                let output = c.inject(0, 2, message);
                if let Some(Message::Join {
                    snapshot,
                    page,
                    count,
                }) = output.messages.first()
                {
                    wanted = Some((*snapshot, *page, *count));
                }
            }
        }
        assert_eq!(c.node(2).is_active(), !damaged);
    }
    assert_eq!(c.trace.ignored(2, Reason::Malformed), 1);
    assert_eq!(installed(&c, 2).len(), 1);
}

/// Returns a cluster whose members are powered on within a moment, some as founders and the others as joining nodes.
fn founded_by(size: u16, founders: &[u16], seed: u64) -> Cluster {
    let mut c = Cluster::powered_off(size, seed);
    c.set_loss_percent(20 * (seed % 2));
    let first = u16::try_from(seed % u64::from(size)).unwrap();
    for node in (0..size).map(|node| (node + first) % size) {
        if founders.contains(&node) {
            c.start_as_founder(node);
        } else {
            c.start(node);
        }
        let pause = c.random_below(120);
        c.run_for(millis(pause));
    }
    c
}

#[test]
fn j1_founders_of_one_membership_found_one_cluster() {
    for (size, founders) in [
        (3, &[0, 1][..]),
        (3, &[0, 1, 2]),
        (5, &[0, 3]),
        (5, &[0, 1, 2, 4]),
    ] {
        for seed in 0..50 {
            let mut c = founded_by(size, founders, seed);
            c.run_until("all have joined and follow one leader", Cluster::is_settled);
            assert!((0..size).all(|node| c.node(node).is_voter()));
            c.clear_rules();
            c.decide(1, 3);
            c.run_until("all agree", Cluster::is_settled);
        }
    }
}

#[test]
fn j1_two_founders_without_other_members_found_a_cluster() {
    for seed in 0..20 {
        let mut c = Cluster::powered_off(3, seed);
        c.start_as_founder(0);
        c.start_as_founder(1);
        c.run_until("two of three follow one leader", Cluster::is_settled);
        c.decide(1, 3);
    }
}

#[test]
fn j1_a_founder_of_an_existing_cluster_joins_it() {
    for seed in 0..10 {
        let mut c = Cluster::powered_off(3, seed);
        c.start(0);
        c.start(1);
        c.run_until("two follow one leader", Cluster::is_settled);
        c.decide(0, 60);
        c.start_as_founder(2);
        c.run_until("it has joined", |c| c.node(2).is_active());
        assert!(installed(&c, 2)[0] >= slot(60), "with the state as it is");
        assert_eq!(c.node(2).promised(), Ballot::NULL, "and no memory of votes");
        c.run_until("all follow one leader", Cluster::is_settled);
        c.stop(c.leader().unwrap());
        c.run_until("it counts", Cluster::is_settled);
    }
}

#[test]
fn j1_a_founder_that_crashes_during_the_founding_is_replaced_and_rejoins() {
    for welcomes in [0, 1] {
        let mut c = Cluster::powered_off(3, 7);
        c.hold_matching(|envelope| is(envelope, MessageKind::Welcome));
        (0..3).for_each(|node| c.start(node));
        c.run_until("it has founded", |c| c.node(0).is_active());
        c.stop(0);
        c.clear_rules();
        if welcomes == 0 {
            c.drop_held(|_| true);
        }
        c.release(false);
        c.assert_never_within(Duration::from_secs(5), "two decide who need another", |c| {
            welcomes == 0 && c.leader().is_some()
        });
        if welcomes == 0 {
            c.start_as_founder(1);
        }
        c.run_until("two follow one leader", Cluster::is_settled);
        c.decide(1, 3);
        c.restart(0);
        c.run_until("three follow one leader", Cluster::is_settled);
    }
}

#[test]
fn j1_a_founder_that_restarts_before_the_founding_founds() {
    let mut c = Cluster::powered_off(3, 1);
    c.start(0);
    c.run_for(Duration::from_secs(2));
    c.stop(0);
    c.restart(0);
    c.start(1);
    c.run_until("two follow one leader", Cluster::is_settled);
}

#[test]
fn j1_a_learner_between_two_founders_counts_for_neither() {
    let mut c = Cluster::powered_off(5, 1);
    c.start_as_founder(0);
    c.start_as_learner(2);
    c.run_for(Duration::from_secs(5));
    assert!(!c.node(0).is_active());
    c.start_as_founder(1);
    c.assert_never_within(Duration::from_secs(5), "two of five found", |c| {
        c.node(0).is_active()
    });
    c.start(3);
    c.run_until("three found, and four follow", Cluster::is_settled);
    assert!(!c.node(2).is_voter());
    c.start(4);
    c.run_until("all follow", Cluster::is_settled);
}
