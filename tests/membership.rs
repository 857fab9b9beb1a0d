//! Membership changes: clusters that grow, shrink and replace their members (rules V1 to V9).

use crate::harness::cluster::{Cluster, is, millis, node_set, slot};
use crate::harness::trace::EventKind;
use synod::machines::{Key, KvCommand};
use synod::{
    Ballot, ChangeError, Epoch, Message, MessageKind, NodeId, NodeState, Outcome, Proposal, Reason,
    ReconfigureError, RequestKey, Role,
};

/// Returns the outcome of the change that ends an epoch.
fn outcome(c: &Cluster, epoch: u16) -> Option<Outcome<synod::machines::KvReply>> {
    c.answer(RequestKey::change(Epoch(epoch)))
}

fn state(c: &Cluster, node: u16) -> NodeState {
    c.node(node).status().state
}

#[test]
fn v1_a_cluster_of_one_grows_to_three_without_a_restart() {
    let mut c = Cluster::with_learners(1, 3, 6);
    assert_eq!(state(&c, 1), NodeState::Learning);
    let client = c.decide(0, 5);
    c.change_members(0, &[0, 1, 2]);
    assert_eq!(
        outcome(&c, 0),
        Some(Outcome::Reconfigured { epoch: Epoch(1) })
    );
    c.set_and_wait(0, client, 6, 66);
    // A quorum is two of three by now: the first node may go.
    c.stop(0);
    c.run_until("another node leads", |c| c.leader().is_some());
    c.set_and_wait(1, client, 7, 77);
    assert_eq!(c.node(1).epoch(), Epoch(1));
}

#[test]
fn v1_any_set_follows_any_other() {
    for (from, to) in [
        (vec![0, 1, 2], vec![3, 4, 5]),
        (vec![0, 1, 2], vec![0, 3, 4]),
        (vec![0, 1, 2], vec![1]),
        (vec![0, 1, 2], vec![0, 1, 2, 3, 4, 5]),
        (vec![0, 1, 2], vec![0, 1, 2]),
    ] {
        for seed in 0..4 {
            let mut c = Cluster::with_learners(u16::try_from(from.len()).unwrap(), 6, seed);
            let client = c.decide(5, 3);
            c.change_members(2, &to);
            c.set_and_wait(5, client, 4, 44);
            let leader = c.leader().unwrap();
            assert!(to.contains(&leader), "NODE_{leader} leads {to:?}");
            for node in 0..6 {
                assert_eq!(c.node(node).is_voting(), to.contains(&node), "NODE_{node}");
            }
        }
    }
}

/// The flash of a board is gone: another board joins, takes its place, and votes.
#[test]
fn v5_a_lost_member_is_replaced_by_a_new_one() {
    let mut c = Cluster::with_learners(3, 4, 6);
    let client = c.decide(0, 5);
    let lost = c.follower(0);
    assert!(lost < 3);
    c.stop(lost);
    let others: Vec<u16> = (0..4).filter(|node| *node != lost).collect();
    let leader = c.leader().unwrap();
    c.change_members(leader, &others);
    assert!(c.node(leader).removed().contains(NodeId(lost)));
    // Three vote again: any of them may fail.
    c.stop(leader);
    c.run_until("another leader", |c| {
        c.leader().is_some_and(|new| new != leader)
    });
    c.set_and_wait(3, client, 6, 66);
    // The number of the lost board is not used again.
    let new = c.leader().unwrap();
    let back = c.reconfigure(new, &[lost, 3]);
    let node = NodeId(lost);
    assert_eq!(
        back,
        Err(ReconfigureError::Change(ChangeError::Removed { node }))
    );
}

#[test]
fn v5_a_removed_node_goes_on_as_a_replica_until_it_may_leave() {
    let mut c = Cluster::with_learners(3, 3, 6);
    let client = c.decide(0, 3);
    let removed = c.follower(0);
    let others: Vec<u16> = (0..3).filter(|node| *node != removed).collect();
    assert!(!c.node(removed).may_leave() && !c.node(removed).is_retired());
    // Whoever leads the next epoch is not heard by it yet.
    let silent = NodeId(removed);
    c.drop_matching(move |envelope| {
        let led = matches!(envelope.message, Message::Heartbeat { ballot, .. } if ballot.epoch() > Epoch(0));
        led && envelope.to == silent
    });
    c.reconfigure(others[0], &others).unwrap();
    c.run_until("it knows that it is removed", |c| {
        state(c, removed) == NodeState::Retired
    });
    assert!(!c.node(removed).may_leave(), "nobody else may know of it");
    c.clear_rules();
    c.run_until("it hears of a later leader", |c| {
        c.node(removed).may_leave()
    });
    // It still serves a client, and what it has applied.
    c.set_and_wait(removed, client, 4, 44);
    assert!(!c.node(removed).is_voting() && c.node(removed).is_voter());
    let stops = c.trace.count(removed, |event| *event == EventKind::Stopped);
    assert!(stops >= 2, "its acceptor and its leader have stopped");
}

#[test]
fn v4_of_two_competing_changes_one_takes_effect_and_the_other_is_told() {
    for seed in 0..8 {
        let mut c = Cluster::with_learners(3, 5, seed);
        c.decide(0, 2);
        // Both are asked for in the first epoch, at different nodes.
        c.reconfigure(0, &[0, 1, 3]).unwrap();
        c.reconfigure(1, &[0, 1, 4]).unwrap();
        c.run_until("both are answered", |c| {
            let answered = |node| !c.node(node).is_outstanding(RequestKey::change(Epoch(0)));
            answered(0) && answered(1)
        });
        c.run_until("the epoch has begun everywhere", |c| {
            (0..5).all(|node| c.node(node).epoch() == Epoch(1))
        });
        let members = c.node(0).members();
        assert!(members == node_set(&[0, 1, 3]) || members == node_set(&[0, 1, 4]));
        let changes = c.outcomes_of(RequestKey::change(Epoch(0)));
        let present = Epoch(1);
        assert_eq!(changes.len(), 2);
        assert!(changes.contains(&Outcome::Reconfigured { epoch: present }));
        assert!(changes.contains(&Outcome::Unchanged(ChangeError::Epoch { present })));
    }
}

#[test]
fn v4_a_change_that_is_asked_for_again_is_answered_as_before() {
    let mut c = Cluster::with_learners(3, 4, 6);
    c.decide(0, 2);
    let first = synod::Change {
        epoch: Epoch::FIRST,
        members: node_set(&[0, 1, 3]),
    };
    c.change_members(0, &[0, 1, 3]);
    let applied = c.applied(0);
    c.clear_answers();
    assert_eq!(c.ask_change(1, first), Ok(()));
    let epoch = Epoch(1);
    assert_eq!(outcome(&c, 0), Some(Outcome::Reconfigured { epoch }));
    assert_eq!(c.applied(0), applied, "it took no slot");
    // Another change of that epoch is too late, and is told so at once.
    let late = synod::Change {
        members: node_set(&[0, 1]),
        ..first
    };
    assert_eq!(c.ask_change(1, late), Ok(()));
    let present = Epoch(1);
    let refused = Outcome::Unchanged(ChangeError::Epoch { present });
    assert_eq!(outcome(&c, 0), Some(refused));
}

#[test]
fn v8_a_change_waits_until_a_majority_of_the_new_members_has_caught_up() {
    let mut c = Cluster::with_learners(3, 5, 6);
    // Two of the three new members do not run.
    for node in [3, 4] {
        c.stop(node);
    }
    c.decide(0, 20);
    let leader = c.leader().unwrap();
    let refused = c.reconfigure(leader, &[0, 3, 4]);
    let Err(ReconfigureError::Change(ChangeError::Behind { node, by })) = refused else {
        panic!("{refused:?}");
    };
    assert!(node == NodeId(3) || node == NodeId(4));
    assert_eq!(by, u16::MAX, "it was not heard of");
    // At another node the leader refuses it, and the answer comes back.
    let follower = c.follower(0);
    c.reconfigure(follower, &[0, 3, 4]).unwrap();
    c.run_until("it is answered", |c| outcome(c, 0).is_some());
    assert!(matches!(
        outcome(&c, 0),
        Some(Outcome::Unchanged(ChangeError::Behind { .. }))
    ));
    assert_eq!(c.node(leader).epoch(), Epoch::FIRST);
    c.clear_answers();
    c.restart(3);
    c.run_until("it has caught up", Cluster::is_settled);
    c.run_for(millis(1_000));
    c.change_members(leader, &[0, 3, 4]);
}

/// Node 2 misses the end of the epoch: it votes in the next one only when it has applied it.
#[test]
fn v6_a_member_that_is_behind_catches_up_before_it_votes() {
    let mut c = Cluster::with_learners(3, 3, 6);
    c.decide(0, 3);
    c.isolate(2);
    c.run_until("the others lead", |c| {
        c.leader().is_some_and(|leader| leader < 2)
    });
    c.reconfigure(0, &[0, 1, 2]).unwrap();
    c.run_until("they are in the next epoch", |c| {
        c.leader().is_some() && (0..2).all(|node| c.node(node).epoch() == Epoch(1))
    });
    let leader = c.leader().unwrap();
    let ballot = c.node(leader).leading().unwrap();
    let applied = c.applied(2);
    let out = c.inject(
        leader,
        2,
        Message::Prepare {
            ballot,
            from: slot(1),
        },
    );
    assert!(
        matches!(out.messages[..], [Message::Learn { .. }]),
        "it asks, and does not promise: {:?}",
        out.messages
    );
    assert!(out.writes.is_empty());
    assert_eq!((c.applied(2), c.node(2).epoch()), (applied, Epoch::FIRST));
    assert_eq!(c.trace.ignored(2, Reason::LaterEpoch), 1);
    c.heal();
    c.run_until("it is in the next epoch", Cluster::is_settled);
    assert_eq!(c.node(2).epoch(), Epoch(1));
}

/// The leader is cut off while the others replace it, and comes back with all that it had.
#[test]
fn v7_a_removed_leader_that_comes_back_is_told() {
    for seed in 0..8 {
        let mut c = Cluster::with_learners(3, 4, seed);
        let client = c.decide(3, 4);
        let old = c.leader().unwrap();
        c.isolate(old);
        c.run_until("others lead", |c| {
            let new = c.live().filter(|node| *node != old);
            new.into_iter().any(|node| c.node(node).leading().is_some())
        });
        let members: Vec<u16> = (0..4).filter(|node| *node != old).collect();
        c.when_caught_up(members[0], &members);
        c.run_until("the members have changed", |c| {
            members.iter().all(|node| c.node(*node).epoch() == Epoch(1))
        });
        c.set_and_wait(3, client, 5, 55);
        // It claims higher and higher ballots of its epoch meanwhile.
        c.run_for(millis(20_000));
        c.heal();
        let told = move |c: &Cluster| state(c, old) == NodeState::Retired;
        assert!(c.happens_within(millis(5_000), told), "seed {seed}");
        c.run_until("all have applied the same", Cluster::is_settled);
        assert!(c.leader().is_some_and(|leader| leader != old));
    }
}

#[test]
fn v7_a_claim_of_an_earlier_epoch_is_answered_and_changes_nothing() {
    let mut c = Cluster::with_learners(3, 4, 6);
    c.decide(0, 2);
    c.change_members(0, &[0, 1, 3]);
    c.run_for(millis(500));
    let before = c.node(0).promised();
    // Node 2 was removed, and claims under the highest round of its epoch.
    let ballot = Ballot::new(Ballot::ROUND_MAX, NodeId(2));
    let applied = c.applied(0);
    let out = c.inject(
        2,
        0,
        Message::Prepare {
            ballot,
            from: slot(1),
        },
    );
    assert_eq!(out.messages, [Message::Superseded { ballot, applied }]);
    assert!(out.writes.is_empty());
    assert_eq!(c.node(0).promised(), before);
    // In the present epoch it has no vote to claim for.
    let ballot = Ballot::succeeding(before, NodeId(2)).unwrap();
    let out = c.inject(2, 0, Message::Probe { ballot });
    assert!(out.messages.is_empty());
    assert_eq!(c.trace.ignored(0, Reason::NotAMember), 1);
}

/// The schedule of rule V3: a value is chosen above a change that is not decided yet, and is void.
///
/// Leader 0 has its change in slot s accepted by itself alone. Leader 1 sees nothing of it, and drives slots s and s + 1;
/// the latter is chosen by {1, 2}, the former stays at 1 alone. Leader 0 comes back, adopts the change from its own vote,
/// and drives nothing above it. The change is decided, and slot s + 1 gets another value in the next epoch.
#[test]
fn v3_what_was_chosen_above_a_change_is_void() {
    let mut c = Cluster::with_learners(3, 4, 6);
    let client = c.decide(0, 3);
    let other = c.client(1);
    c.run_for(millis(500));
    let end = c.applied(0);
    let leads = move |c: &Cluster, node: u16| c.node(node).leading().is_some();
    c.make_leader(0);
    // Nobody hears of the change.
    c.drop_matching(|envelope| is(envelope, MessageKind::Accept) && envelope.from.0 == 0);
    c.reconfigure(0, &[0, 1, 3]).unwrap();
    c.isolate(0);
    c.run_until("node 1 or 2 leads", |c| leads(c, 1) || leads(c, 2));
    c.clear_rules();
    let second = if leads(&c, 1) { 1 } else { 2 };
    let third = 3 - second;
    // It drives two slots, and only the second is accepted by anybody else.
    let first_slot = end.next().unwrap();
    c.drop_matching(move |envelope| {
        matches!(envelope.message, Message::Accept { first, .. } if first == first_slot)
    });
    c.clear_answers();
    c.set(second, client, 4, 44);
    c.set(second, other, 1, 11);
    c.run_until("the second slot is chosen", |c| {
        let above = first_slot.next().unwrap();
        c.saw(
            second,
            |event| matches!(event, EventKind::Chosen { slot, .. } if *slot == above),
        )
    });
    assert_eq!(
        c.applied(second),
        end,
        "nothing is applied: the first slot is open"
    );
    // Leader 0 comes back, and node `second`, which knows of the first slot, is gone for a while.
    c.clear_rules();
    c.heal();
    c.isolate(second);
    c.make_leader_of(0, &[0, third]);
    c.run_until("the epoch has ended", |c| c.node(0).epoch() == Epoch(1));
    let change = c.node(0).decision(first_slot).copied();
    assert!(
        matches!(change, Some(Proposal::Reconfigure(_))),
        "{change:?}"
    );
    c.heal();
    c.run_until("both are answered", |c| {
        c.applied_in(client, 4).is_some() && c.applied_in(other, 1).is_some()
    });
    c.run_until("all have applied the same", Cluster::is_settled);
    assert!(c.applied_in(client, 4).unwrap() > first_slot);
    assert!(c.applied_in(other, 1).unwrap() > first_slot);
}

/// Rule V2: what waits behind a change gets its slot in the next epoch.
#[test]
fn v2_a_leader_assigns_no_slot_above_its_change() {
    let mut c = Cluster::with_learners(3, 4, 6);
    let client = c.decide(0, 3);
    let leader = c.leader().unwrap();
    let end = c.applied(leader).next().unwrap();
    c.hold_matching(|envelope| is(envelope, MessageKind::Accepted));
    c.reconfigure(leader, &[0, 1, 2, 3]).unwrap();
    c.set(leader, client, 4, 44);
    c.run_for(millis(300));
    let above = c.trace.count(
        leader,
        |event| matches!(event, EventKind::Chosen { slot, .. } if *slot > end),
    );
    assert_eq!(above, 0);
    assert_eq!(
        c.node(leader).votes().map(|vote| vote.slot).max(),
        Some(end)
    );
    c.clear_rules();
    c.release(false);
    c.run_until("it is answered", |c| c.applied_in(client, 4).is_some());
    assert!(c.applied_in(client, 4).unwrap() > end);
    assert_eq!(c.node(leader).epoch(), Epoch(1));
}

/// Rule V9: the leader that has ended the epoch leads the next one after a round trip, and not after a timeout.
#[test]
fn v9_the_leader_of_the_old_epoch_claims_the_new_one_at_once() {
    for seed in 0..8 {
        let mut c = Cluster::with_learners(3, 4, seed);
        c.decide(0, 3);
        let leader = c.leader().unwrap();
        let peer = (0..3).find(|node| *node != leader).unwrap();
        c.reconfigure(leader, &[leader, peer, 3]).unwrap();
        c.run_until("the epoch has ended", |c| {
            c.node(leader).epoch() == Epoch(1)
        });
        let claims = |c: &Cluster| c.node(leader).roles().any(|role| role == Role::Scout);
        assert!(c.happens_within(millis(1), claims), "seed {seed}");
        // A claim that overtakes the decision is repeated once.
        let leads = |c: &Cluster| c.node(leader).leading().is_some();
        assert!(c.happens_within(millis(400), leads), "seed {seed}");
        let ballot = c.node(leader).leading().unwrap();
        assert_eq!((ballot.epoch(), ballot.round()), (Epoch(1), 1));
    }
}

/// All members lose power just after the change, when the next epoch has begun.
#[test]
fn v6_an_epoch_outlives_a_loss_of_power_of_all_members() {
    for seed in 0..8 {
        let mut c = Cluster::with_learners(3, 4, seed);
        let client = c.decide(0, 3);
        c.change_members(0, &[0, 1, 3]);
        for node in 0..4 {
            c.stop(node);
        }
        for node in 0..4 {
            c.restart(node);
            let expected = c.node(node).is_voting();
            assert_eq!(expected, [0, 1, 3].contains(&node), "NODE_{node}");
        }
        c.run_until("all go on", Cluster::is_settled);
        c.set_and_wait(1, client, 4, 44);
    }
}

/// Whether a node has installed a snapshot, besides that of the founders.
fn has_installed(c: &Cluster, node: u16) -> bool {
    c.saw(
        node,
        |event| matches!(event, EventKind::Installed { at, .. } if *at > slot(10)),
    )
}

/// A node misses the change and all that is decided around it: a snapshot brings the members with the state.
#[test]
fn v1_a_snapshot_carries_the_members() {
    let mut c = Cluster::with_learners(3, 4, 6);
    c.decide(0, 3);
    c.isolate(2);
    c.run_until("the others lead", |c| {
        c.leader().is_some_and(|leader| leader < 2)
    });
    c.reconfigure(0, &[0, 1, 2, 3]).unwrap();
    c.run_until("they are in the next epoch", |c| {
        (0..2).all(|node| c.node(node).epoch() == Epoch(1)) && c.leader().is_some()
    });
    let client = c.client(0);
    for number in 1..=30 {
        let command = KvCommand::Set(Key::numbered(number % 50), i64::from(number));
        c.ask(0, client, number, command).unwrap();
        c.run_until("the request is answered", |c| {
            c.applied_in(client, number).is_some()
        });
    }
    c.heal();
    c.run_until("all have applied the same", Cluster::is_settled);
    assert!(has_installed(&c, 2));
    assert_eq!(c.node(2).members(), node_set(&[0, 1, 2, 3]));
    assert!(c.node(2).is_voting());
}

/// Node 2 has voted for a slot above the change when a snapshot takes it past both: it cannot know where the epoch has
/// ended, and tells nobody of that vote.
#[test]
fn v3_no_vote_of_an_earlier_epoch_outlives_a_snapshot() {
    let mut c = Cluster::with_learners(3, 4, 6);
    c.decide(0, 3);
    c.run_for(millis(500));
    let end = c.applied(2);
    c.make_leader(0);
    let ballot = c.node(0).leading().unwrap();
    c.isolate(2);
    let above = end.next().unwrap().next().unwrap();
    c.inject(
        0,
        2,
        Message::Accept {
            ballot,
            first: above,
            decided: end,
            proposals: [Proposal::Noop].into_iter().collect(),
        },
    );
    assert!(c.node(2).votes().any(|vote| vote.slot == above));
    c.reconfigure(0, &[0, 1, 2, 3]).unwrap();
    c.run_until("they are in the next epoch", |c| {
        (0..2).all(|node| c.node(node).epoch() == Epoch(1)) && c.leader().is_some()
    });
    c.decide(0, 30);
    c.heal();
    c.run_until("a snapshot is installed", |c| has_installed(c, 2));
    assert!(
        c.node(2)
            .votes()
            .all(|vote| vote.ballot.epoch() == Epoch(1))
    );
    c.run_until("all have applied the same", Cluster::is_settled);
}

/// A node is told of another history at the very slot of a change, and halts when it has applied that: what it would store
/// is whole.
#[test]
fn v6_a_node_that_halts_at_a_change_has_a_promise_of_the_new_epoch() {
    let mut c = Cluster::with_learners(3, 3, 6);
    c.allow_halts();
    c.decide(0, 3);
    c.run_for(millis(500));
    let (leader, node) = (c.leader().unwrap(), c.follower(0));
    let ballot = c.node(leader).leading().unwrap();
    let decided = c.applied(node).next().unwrap();
    let chain = 0xbad;
    c.inject(
        leader,
        node,
        Message::Heartbeat {
            ballot,
            decided,
            chain,
        },
    );
    c.reconfigure(leader, &[0, 1, 2]).unwrap();
    c.run_until("it has halted", |c| c.node(node).halted().is_some());
    let durable = c.node(node).durable().unwrap();
    assert_eq!((durable.applied(), durable.epoch()), (decided, Epoch(1)));
    assert_eq!(durable.promised().epoch(), Epoch(1));
}

/// Each of the original members is replaced, one after the other; then all at once.
#[test]
fn v5_no_original_member_is_needed() {
    for seed in 0..3 {
        let mut c = Cluster::with_learners(3, 9, seed);
        let client = c.decide(8, 3);
        let mut members = vec![0, 1, 2];
        for (step, (old, new)) in (1..).zip([(0, 3), (1, 4), (2, 5)]) {
            members.retain(|node| *node != old);
            members.push(new);
            c.change_members(new, &members);
            c.stop(old);
            c.set_and_wait(8, client, 3 + step, i64::from(step));
        }
        c.change_members(5, &[6, 7, 8]);
        for old in members {
            c.stop(old);
        }
        c.set_and_wait(8, client, 7, 77);
        assert_eq!(c.node(8).epoch(), Epoch(4));
        assert_eq!(c.node(8).removed(), node_set(&[0, 1, 2, 3, 4, 5]));
    }
}
