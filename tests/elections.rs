//! Elections (phase 1): suspicion, probes, promises, adoption, duels of leaders, back-off, and stepping down.

use crate::harness::cluster::{Cluster, TestMessage, WINDOW, is, millis, slot};
use crate::harness::trace::EventKind;
use std::collections::BTreeSet;
use synod::machines::{Key, KvCommand};
use synod::{
    Ballot, Duration, Entries, Entry, Instant, Message, MessageKind, NodeId, NodeSet, Proposal,
    Reason, Role, Slot,
};

fn adopted(event: &EventKind) -> bool {
    matches!(event, EventKind::Adopted { .. })
}

/// Returns the counts of the last adoption of a node: proposals adopted, no-ops, and its next slot.
fn adoption(c: &Cluster, node: u16) -> Option<(u32, u32, Slot)> {
    match c.trace.last(node, adopted)?.event {
        EventKind::Adopted {
            reproposed,
            noops,
            next_slot,
            ..
        } => Some((reproposed, noops, next_slot)),
        _ => None,
    }
}

/// Lets only this node probe for an election.
fn only_claimant(c: &mut Cluster, node: u16) {
    c.drop_matching(move |envelope| is(envelope, MessageKind::Probe) && envelope.from.0 != node);
}

#[test]
fn l1_a_new_leader_drives_adopted_proposals_and_fills_holes_with_noops() {
    for seed in 0..10 {
        let mut c = Cluster::settled(5, seed);
        let leader = c.leader().unwrap();
        let (voter, away) = (c.follower(0), c.follower(3));
        let hole = slot(c.applied(leader).number() + 1);
        let (second, fourth) = (slot(hole.number() + 1), slot(hole.number() + 3));
        // Of four accepts only the second and the fourth are delivered, to one node.
        c.drop_matching(move |envelope| match &envelope.message {
            Message::Accept { first, .. } => {
                envelope.to.0 != voter || !(*first == second || *first == fourth)
            }
            _ => false,
        });
        let nonces: Vec<u64> = (0..4).map(|_| c.register(leader)).collect();
        c.run_for(millis(60));
        c.stop(leader);
        c.clear_rules();
        c.isolate(away);
        c.run_until("another leads", |c| c.leader().is_some());
        let new = c.leader().unwrap();
        let next = slot(hole.number() + 4);
        assert_eq!(adoption(&c, new), Some((2, 2, next)), "seed {seed}");
        // No client sends a request: adopted proposals are driven without one.
        c.run_until("it is decided", |c| c.applied(new).next() == Some(next));
        let value_of = |slot: Slot| {
            let is_it = |event: &EventKind| matches!(event, EventKind::Applied { slot: of, .. } if *of == slot);
            match c.trace.last(new, is_it).unwrap().event {
                EventKind::Applied { proposal, .. } => proposal,
                _ => unreachable!(),
            }
        };
        assert_eq!(value_of(hole), Proposal::Noop);
        assert_eq!(value_of(second), Proposal::Register { nonce: nonces[1] });
        assert_eq!(value_of(fourth), Proposal::Register { nonce: nonces[3] });
        c.heal();
        c.run_until("the one that was away follows", Cluster::is_settled);
    }
}

#[test]
fn l1_a_new_command_is_proposed_after_the_adopted_proposals() {
    let mut c = Cluster::settled(3, 1);
    let (leader, heir) = (c.leader().unwrap(), c.follower(0));
    let client = c.client(heir);
    c.drop_matching(|envelope| is(envelope, MessageKind::Accepted));
    let old = c.register(leader);
    c.run_for(millis(60));
    c.stop(leader);
    c.set(heir, client, 1, 9);
    c.clear_rules();
    c.run_until("both are decided", |c| c.applied_in(client, 1).is_some());
    let heard = c.trace.events.iter().find_map(|traced| match traced.event {
        EventKind::Applied { slot, proposal, .. }
            if proposal == (Proposal::Register { nonce: old }) =>
        {
            Some(slot)
        }
        _ => None,
    });
    assert!(heard < c.applied_in(client, 1) && heard.is_some());
}

#[test]
fn s4_of_two_votes_the_higher_ballot_is_adopted() {
    let mut leaders = BTreeSet::new();
    for seed in 0..12 {
        let mut c = Cluster::settled(5, seed);
        let first = c.leader().unwrap();
        let stale = c.follower(0);
        let rest: Vec<u16> = (1..4).map(|index| c.follower(index)).collect();
        let contested = slot(c.applied(first).number() + 1);
        // The first leader gets one vote for its value.
        c.cut(&[first, stale], &rest);
        c.register(first);
        c.run_for(millis(60));
        c.stop(first);
        // The second leader has its own value chosen and announces it only to its client.
        c.run_until("the rest follows another", |c| {
            let leader = c.leader().map(NodeId);
            leader.is_some()
                && rest
                    .iter()
                    .all(|node| c.node(*node).leader_hint() == leader)
        });
        let second = c.leader().unwrap();
        c.drop_matching(move |envelope| {
            matches!(
                envelope.message,
                Message::Decision { decided, .. } | Message::Heartbeat { decided, .. }
                    if decided >= contested
            )
        });
        let nonce = c.register(second);
        c.run_until("it is chosen", |c| c.registered(nonce).is_some());
        assert_eq!(c.applied(second), contested);
        c.stop(second);
        c.clear_rules();
        c.heal();
        // The remaining three need each other for a quorum, and their votes for the slot differ.
        c.run_until("a third leads", |c| c.leader().is_some());
        c.run_until("every node agrees", |c| {
            c.is_settled() && c.applied(stale) >= contested
        });
        leaders.insert(c.leader() == Some(stale));
    }
    assert_eq!(leaders.len(), 2, "both kinds of nodes got to lead");
}

/// Returns a cluster whose leader stopped with five slots accepted by one of the other two nodes, and by none of the
/// last.
fn five_votes_at_one() -> (Cluster, u16, u16) {
    let mut c = Cluster::settled(3, 2);
    let leader = c.leader().unwrap();
    let (full, empty) = (c.follower(0), c.follower(1));
    c.drop_matching(move |envelope| {
        let accept = is(envelope, MessageKind::Accept) && envelope.to.0 == empty;
        accept || is(envelope, MessageKind::Accepted)
    });
    for node in [leader, leader, leader, leader, full] {
        c.register(node);
        c.run_for(millis(20));
    }
    c.run_for(millis(80));
    c.stop(leader);
    c.clear_rules();
    only_claimant(&mut c, empty);
    (c, full, empty)
}

#[test]
fn s2_a_promise_counts_only_when_its_last_page_has_arrived() {
    let (mut c, full, empty) = five_votes_at_one();
    c.drop_matching(move |envelope| {
        matches!(envelope.message, Message::Promise { last: true, .. })
    });
    c.run_until("the first pages have come", |c| {
        c.trace.received(empty, MessageKind::Promise) >= 2
    });
    c.assert_never_within(millis(400), "it leads without the last page", |c| {
        c.saw(empty, adopted)
    });
    c.clear_rules();
    only_claimant(&mut c, empty);
    c.run_until("it leads", |c| c.leader() == Some(empty));
    let (reproposed, noops, _) = adoption(&c, empty).unwrap();
    assert_eq!((reproposed, noops), (5, 0));
    c.run_until("everything is decided", |c| {
        c.applied(full) == c.applied(empty)
    });
}

#[test]
fn s2_every_lost_page_is_requested_again() {
    for lost in 1..=3 {
        let (mut c, _, empty) = five_votes_at_one();
        let first = slot(c.applied(empty).number() + 1);
        let page = slot(first.number() + 2 * (lost - 1));
        c.drop_matching(
            move |envelope| matches!(envelope.message, Message::Promise { from, .. } if from == page),
        );
        c.run_until("the claim is made", |c| {
            c.trace.sent(empty, MessageKind::Prepare) > 1
        });
        c.run_for(millis(150));
        assert!(!c.saw(empty, adopted));
        c.clear_rules();
        only_claimant(&mut c, empty);
        c.run_until("it leads", |c| c.leader() == Some(empty));
        assert_eq!(adoption(&c, empty).unwrap().0, 5, "page {lost}");
    }
}

/// Acceptors that wait for different pages are all asked again, not only those that wait for the first one.
#[test]
fn s7_a_lost_page_is_requested_again_beside_prepares_to_nodes_that_are_down() {
    for (lost, heard) in [(1, 2), (2, 3)] {
        let mut c = Cluster::settled(5, 2);
        let leader = c.leader().unwrap();
        let [down, other, claims, full] = [0, 1, 2, 3].map(|index| c.follower(index));
        assert!(down < full, "the one that never answers is asked first");
        c.drop_matching(move |envelope| {
            let accept = is(envelope, MessageKind::Accept) && envelope.to.0 != full;
            accept || is(envelope, MessageKind::Accepted)
        });
        for node in [leader, leader, leader, leader, full] {
            c.register(node);
            c.run_for(millis(20));
        }
        c.run_for(millis(80));
        c.stop(leader);
        c.stop(down);
        c.clear_rules();
        let page = slot(c.applied(claims).number() + 1 + 2 * lost);
        only_claimant(&mut c, claims);
        c.drop_matching(
            move |envelope| matches!(envelope.message, Message::Promise { from, .. } if from == page),
        );
        c.run_until("the pages before have come", |c| {
            c.trace.received(claims, MessageKind::Promise) >= heard
        });
        let claimed = c.node(claims).promised();
        c.run_for(millis(30));
        c.clear_rules();
        only_claimant(&mut c, claims);
        c.run_until("it leads", |c| c.leader() == Some(claims));
        assert_eq!(c.node(claims).leading(), Some(claimed), "by the same claim");
        assert_eq!(adoption(&c, claims).unwrap().0, 5, "page {lost}");
        c.run_until("everything is decided", |c| {
            c.applied(other) == c.applied(claims)
        });
    }
}

/// Returns a cluster whose leader is stopped, the claimant, its peer, and the prepare that the peer has not received.
fn claimant() -> (Cluster, u16, u16, TestMessage) {
    let mut c = Cluster::settled(3, 1);
    let (leader, node, peer) = (c.leader().unwrap(), c.follower(0), c.follower(1));
    c.decide(leader, 2);
    c.run_until("every node knows", Cluster::is_settled);
    c.stop(leader);
    only_claimant(&mut c, node);
    c.hold_matching(|envelope| is(envelope, MessageKind::Prepare));
    c.run_until("it claims", |c| !c.held().is_empty());
    let prepare = c.held()[0].message.clone();
    (c, node, peer, prepare)
}

#[test]
fn s2_a_claimant_asks_for_votes_from_the_slot_after_the_applied_prefix() {
    let (c, node, _, prepare) = claimant();
    let Message::Prepare { from, .. } = prepare else {
        unreachable!()
    };
    assert!(c.applied(node) > slot(2));
    assert_eq!(Some(from), c.applied(node).next());
}

#[test]
fn s2_an_impossible_promise_is_malformed() {
    let (mut c, node, peer, prepare) = claimant();
    let Message::Prepare { ballot, from } = prepare else {
        unreachable!()
    };
    let (under, low_water) = (Ballot::new(1, NodeId(peer)), from.back(1));
    let entry = |offset: u64, ballot| Entry {
        slot: low_water.checked_add(offset).unwrap(),
        ballot,
        proposal: Proposal::Noop,
    };
    let window = u64::try_from(WINDOW).unwrap();
    let promise = |promised, last, entry: Option<Entry<KvCommand>>| -> TestMessage {
        Message::Promise {
            ballot,
            promised,
            from,
            low_water,
            last,
            entries: entry.into_iter().collect(),
        }
    };
    for malformed in [
        promise(under, true, None),
        promise(ballot, false, None),
        promise(ballot, true, Some(entry(1, ballot))),
        promise(ballot, true, Some(entry(0, under))),
    ] {
        let (state, known) = (c.state(node), c.trace.ignored(node, Reason::Malformed));
        c.inject(peer, node, malformed);
        assert_eq!(c.trace.ignored(node, Reason::Malformed), known + 1);
        assert_eq!(c.state(node), state, "nothing has changed");
    }
    c.inject(
        peer,
        node,
        promise(ballot, true, Some(entry(window, under))),
    );
    let next = low_water.checked_add(window + 1).unwrap();
    let noops = u32::try_from(window - 1).unwrap();
    assert_eq!(adoption(&c, node), Some((1, noops, next)));
}

#[test]
fn s2_a_promise_of_slots_beyond_every_window_wins_no_election() {
    for beyond in [1, 1 << 40, u64::MAX / 2] {
        let (mut c, node, peer, prepare) = claimant();
        let Message::Prepare { ballot, from } = prepare else {
            unreachable!()
        };
        let entry = Entry {
            slot: from
                .checked_add(u64::try_from(WINDOW).unwrap() - 1 + beyond)
                .unwrap(),
            ballot: Ballot::new(1, NodeId(peer)),
            proposal: Proposal::Noop,
        };
        c.inject(
            peer,
            node,
            Message::Promise {
                ballot,
                promised: ballot,
                from,
                low_water: from.back(1),
                last: true,
                entries: [entry].into_iter().collect(),
            },
        );
        assert!(!c.saw(node, |event| {
            matches!(event, EventKind::Adopted { ballot: won, .. } if *won == ballot)
        }));
        c.clear_rules();
        only_claimant(&mut c, node);
        c.run_until("it wins another ballot", |c| c.leader() == Some(node));
        c.decide(node, 1);
    }
}

/// Returns a cluster of three whose leader has led before, under an earlier ballot that is returned beside its number.
fn leader_for_the_second_time() -> (Cluster, u16, Ballot) {
    let mut c = Cluster::settled(3, 1);
    let first = c.leader().unwrap();
    let old = c.node(first).leading().unwrap();
    c.isolate(first);
    c.run_until("another leads", |c| {
        c.leader() != Some(first) && c.leader().is_some()
    });
    c.heal();
    c.run_until("every node follows it", Cluster::is_settled);
    let second = c.leader().unwrap();
    c.isolate(second);
    only_claimant(&mut c, first);
    c.run_until("the first leads again", |c| c.leader() == Some(first));
    c.heal();
    c.clear_rules();
    c.run_until("every node follows it again", Cluster::is_settled);
    (c, first, old)
}

#[test]
fn s5_stale_replies_are_ignored() {
    let (mut c, first, old) = leader_for_the_second_time();
    let rival = c.follower(0);
    let leadership = c.node(first).leading().unwrap();
    let high = Ballot::new(leadership.round() + 5, NodeId(rival));
    let refusals: [TestMessage; 4] = [
        Message::Accepted {
            ballot: old,
            promised: high,
            first: Slot::FIRST,
            count: 0,
            low_water: Slot::ZERO,
        },
        Message::Promise {
            ballot: old,
            promised: high,
            from: Slot::FIRST,
            low_water: Slot::ZERO,
            last: true,
            entries: Entries::<crate::harness::cluster::Machine, 2>::new(),
        },
        Message::HeartbeatReply {
            ballot: old,
            applied: Slot::ZERO,
        },
        Message::ProbeReply {
            ballot: old,
            granted: true,
            highest: high,
        },
    ];
    for refusal in refusals {
        let (state, known) = (c.state(first), c.trace.ignored(first, Reason::StaleReply));
        c.inject(rival, first, refusal);
        assert_eq!(c.trace.ignored(first, Reason::StaleReply), known + 1);
        assert_eq!(c.state(first), state, "nothing has changed");
    }
    // A refusal of the current attempt does end it.
    c.inject(
        rival,
        first,
        Message::Accepted {
            ballot: leadership,
            promised: high,
            first: Slot::FIRST,
            count: 0,
            low_water: Slot::ZERO,
        },
    );
    let ended = |event: &EventKind| {
        *event
            == EventKind::Preempted {
                ballot: leadership,
                by: high,
            }
    };
    assert!(c.saw(first, ended));
}

#[test]
fn s1_a_new_claim_is_above_every_ballot_seen() {
    let mut c = Cluster::settled(3, 1);
    let (leader, heir) = (c.leader().unwrap(), c.follower(0));
    let high = Ballot::new(40, NodeId(c.follower(1)));
    c.inject(
        high.leader().0,
        heir,
        Message::Prepare {
            ballot: high,
            from: Slot::FIRST,
        },
    );
    c.stop(leader);
    c.run_until("another leads", |c| c.leader().is_some());
    let new = c.leader().unwrap();
    assert!(c.node(new).leading().unwrap() > high);
}

#[test]
fn s6_a_leader_behind_the_low_water_mark_catches_up_before_it_proposes() {
    for seed in 0..5 {
        let mut c = Cluster::settled(3, seed);
        let leader = c.leader().unwrap();
        let (ahead, behind) = (c.follower(0), c.follower(1));
        c.isolate(behind);
        c.decide(leader, 20);
        c.run_until("one follower has it all", |c| {
            c.applied(ahead) == c.applied(leader)
        });
        let end = c.applied(leader);
        c.stop(leader);
        c.heal();
        // Only the node that is behind may claim, and the decisions that it lacks arrive late.
        only_claimant(&mut c, behind);
        c.drop_matching(|envelope| {
            is(envelope, MessageKind::Welcome) || is(envelope, MessageKind::Decisions)
        });
        c.run_until("it claims", |c| {
            c.trace.sent(behind, MessageKind::Prepare) > 0
        });
        c.assert_never_within(millis(700), "it leads behind the mark", |c| {
            c.saw(behind, adopted)
        });
        c.clear_rules();
        only_claimant(&mut c, behind);
        c.run_until("it leads", |c| c.leader() == Some(behind));
        let (_, noops, next_slot) = adoption(&c, behind).unwrap();
        assert!(
            next_slot > end && noops == 0,
            "seed {seed}: nothing decided is driven again"
        );
        c.decide(behind, 2);
        c.run_until("both agree", Cluster::is_settled);
    }
}

#[test]
fn s6_a_new_leader_requests_missing_decisions_at_once_and_leads_when_they_arrive() {
    let (mut c, node, peer, prepare) = claimant();
    let Message::Prepare { ballot, from } = prepare else {
        unreachable!()
    };
    let low_water = from.next().unwrap();
    let promise = Message::Promise {
        ballot,
        promised: ballot,
        from,
        low_water,
        last: true,
        entries: Entries::<crate::harness::cluster::Machine, 2>::new(),
    };
    let output = c.inject(peer, node, promise);
    assert_eq!(output.messages, [Message::Learn { from }]);
    assert!(c.node(node).leading().is_none());
    let told = Message::Decisions {
        first: from,
        applied: low_water,
        proposals: [Proposal::Noop, Proposal::Noop].into_iter().collect(),
    };
    c.inject(peer, node, told);
    assert_eq!(c.node(node).leading(), Some(ballot));
}

#[test]
fn s7_prepares_are_repeated_only_to_nodes_that_have_not_answered() {
    let mut c = Cluster::settled(5, 1);
    let leader = c.leader().unwrap();
    let (claims, answers) = (c.follower(0), c.follower(1));
    c.stop(leader);
    c.drop_matching(move |envelope| {
        let others_claim = is(envelope, MessageKind::Probe) && envelope.from.0 != claims;
        others_claim || is(envelope, MessageKind::Prepare) && envelope.to.0 != answers
    });
    c.run_until("it has asked three times", |c| {
        c.trace.sent(claims, MessageKind::Prepare) >= 3
    });
    let asked: Vec<NodeSet> = c
        .trace
        .events
        .iter()
        .filter_map(|traced| match traced.event {
            EventKind::Sent {
                to,
                kind: MessageKind::Prepare,
            } if traced.node == claims => Some(to),
            _ => None,
        })
        .collect();
    let (first, again) = asked.split_last().unwrap();
    assert!(!first.contains(NodeId(answers)), "it has answered");
    assert!(again[0].contains(NodeId(answers)));
    assert_eq!(first.len(), 3, "the others, the dead one among them");
    c.clear_rules();
    c.run_until("a node leads", |c| c.leader().is_some());
}

#[test]
fn s7_accepts_are_repeated_only_to_nodes_that_have_not_voted() {
    let mut c = Cluster::settled(3, 1);
    let (leader, deaf) = (c.leader().unwrap(), c.follower(0));
    let other = c.follower(1);
    c.drop_matching(|envelope| is(envelope, MessageKind::Accept));
    let nonce = c.register(leader);
    c.run_for(millis(120));
    c.clear_rules();
    c.drop_matching(move |envelope| is(envelope, MessageKind::Accept) && envelope.to.0 == deaf);
    c.run_until("the retry is chosen", |c| c.registered(nonce).is_some());
    assert_eq!(c.trace.received(other, MessageKind::Accept), 1);
}

/// Returns a cluster in which two nodes claim at once, before either has learned of the other's claim.
fn duel(seed: u64) -> Cluster {
    let mut c = Cluster::settled(5, seed);
    c.stop(c.leader().unwrap());
    c.hold_matching(|envelope| is(envelope, MessageKind::Prepare));
    let claims = |c: &Cluster| {
        c.trace
            .events
            .iter()
            .filter(|traced| is_claim(traced.role, traced.event))
            .count()
    };
    let before = claims(&c);
    let came = c.happens_within(millis(2_500), |c| claims(c) >= before + 2);
    assert!(came, "seed {seed}: no two claims");
    c.clear_rules();
    if seed.is_multiple_of(3) {
        // The two claimants learn of each other only through refusals.
        let claimants: Vec<NodeId> = c.held().iter().map(|envelope| envelope.from).collect();
        c.drop_held(|envelope| claimants.contains(&envelope.to));
    }
    c.release(seed.is_multiple_of(2));
    c
}

fn is_claim(role: Role, event: EventKind) -> bool {
    role == Role::Scout && event == EventKind::Started
}

#[test]
fn l5_duelling_leaders_settle() {
    let mut preempted = 0;
    for seed in 0..30 {
        let mut c = duel(seed);
        c.run_until("one of them leads", Cluster::is_settled);
        preempted += c
            .trace
            .count_all(|event| matches!(event, EventKind::Preempted { .. }));
        let leader = c.leader().unwrap();
        let leadership = c.node(leader).leading();
        c.run_for(millis(3_000));
        assert_eq!(
            (c.leader(), c.node(leader).leading()),
            (Some(leader), leadership),
            "seed {seed}"
        );
        c.decide(leader, 1);
    }
    assert!(preempted >= 20, "{preempted} of 30 duels had a loser");
}

#[test]
fn l4_a_preempted_claimant_backs_off() {
    let mut delays = BTreeSet::new();
    for seed in 0..30 {
        let mut c = duel(seed);
        c.run_for(millis(6_000));
        for (index, traced) in c.trace.events.iter().enumerate() {
            let EventKind::BackedOff(delay) = traced.event else {
                continue;
            };
            delays.insert(delay);
            let timeout = millis(500);
            assert!(delay >= timeout && delay < timeout * (2 << 4), "{delay}");
            let until = traced.at + delay;
            let again = c.trace.events[index..]
                .iter()
                .find(|later| later.node == traced.node && is_claim(later.role, later.event));
            assert!(
                again.is_none_or(|again| again.at >= until),
                "seed {seed}: it did not wait"
            );
        }
    }
    assert!(delays.len() >= 20, "the delays are spread");
}

/// Returns the back-off delays of a node, in order.
fn waits(c: &Cluster, node: u16) -> Vec<Duration> {
    let of = |traced: &crate::harness::trace::TracedEvent| match traced.event {
        EventKind::BackedOff(delay) if traced.node == node => Some(delay),
        _ => None,
    };
    c.trace.events.iter().filter_map(of).collect()
}

#[test]
fn l5_back_off_does_not_grow_without_a_rival() {
    let mut c = Cluster::settled(3, 1);
    let alone = c.follower(0);
    c.isolate(alone);
    c.run_for(Duration::from_secs(120));
    let waits = waits(&c, alone);
    assert!(waits.len() >= 50);
    let timeout = millis(500);
    assert!(
        waits
            .iter()
            .all(|wait| *wait >= timeout && *wait < timeout * 2)
    );
}

/// Returns a node whose claims were refused `times` times, as a rival claims a higher ballot each time.
fn refused(times: usize) -> (Cluster, u16) {
    let (mut c, node, peer, _) = claimant();
    for time in 1..=times {
        c.run_until("it claims", |c| c.held().len() >= time);
        let Message::Prepare { ballot, from } = c.held()[time - 1].message else {
            unreachable!()
        };
        let refusal = Message::Promise {
            ballot,
            promised: Ballot::new(ballot.round() + 1, NodeId(peer)),
            from,
            low_water: Slot::ZERO,
            last: true,
            entries: Entries::<crate::harness::cluster::Machine, 2>::new(),
        };
        c.inject(peer, node, refusal);
        // The stopped leader is one of the recipients.
        c.drop_held(|envelope| envelope.to.0 != peer);
    }
    (c, node)
}

#[test]
fn l5_a_claimant_that_is_refused_repeatedly_probes_a_quorum_at_once() {
    let (mut c, node) = refused(6);
    let timeout = millis(500);
    for (index, wait) in waits(&c, node).iter().enumerate() {
        let least = if index == 0 { timeout } else { timeout * 2 };
        assert!(*wait >= least && *wait < least * 2, "{index}: {wait}");
    }
    // From now on no node answers in time: the claimant has a patience of eight seconds, and probes once in each
    // attempt.
    c.drop_matching(|envelope| is(envelope, MessageKind::ProbeReply));
    let (probes, tries) = (
        c.trace.sent(node, MessageKind::Probe),
        waits(&c, node).len(),
    );
    let claims = c.held().len();
    c.run_for(Duration::from_secs(7));
    let tries = waits(&c, node).len() - tries;
    let probes = c.trace.sent(node, MessageKind::Probe) - probes;
    assert!(
        tries >= 3 && probes.abs_diff(tries) <= 1,
        "{probes} in {tries}"
    );
    c.run_for(Duration::from_secs(20));
    let again = c.trace.sent(node, MessageKind::Probe) - probes;
    assert!(again > 40, "then it asks as it did at first");
    assert_eq!(c.held().len(), claims);
}

#[test]
fn l5_back_off_is_reset_under_a_leader() {
    for (leaderships, long) in [(150, true), (1_000, false)] {
        let (mut c, node) = refused(4);
        c.clear_rules();
        c.drop_held(|_| true);
        only_claimant(&mut c, node);
        c.run_until("it leads", |c| c.leader() == Some(node));
        c.run_for(millis(leaderships));
        let tries = waits(&c, node).len();
        let rival = NodeId(c.follower(0));
        let ballot = Ballot::new(c.node(node).promised().round() + 1, rival);
        let from = Slot::FIRST;
        c.inject(rival.0, node, Message::Prepare { ballot, from });
        assert_eq!(
            waits(&c, node)[tries] >= millis(1_000),
            long,
            "{leaderships}"
        );
    }
}

fn stepped_down(event: &EventKind) -> bool {
    matches!(event, EventKind::SteppedDown(_))
}

#[test]
fn l6_a_leader_without_answers_from_a_quorum_steps_down() {
    for one_way in [false, true] {
        let mut c = Cluster::settled(5, 1);
        let leader = c.leader().unwrap();
        let others: Vec<u16> = (0..4).map(|index| c.follower(index)).collect();
        if one_way {
            // The others receive its heartbeats and it does not receive theirs: it would prevent an election for
            // ever.
            for other in &others {
                c.cut_one_way(*other, leader);
            }
        } else {
            c.isolate(leader);
        }
        let came = c.happens_within(millis(1_100), |c| c.saw(leader, stepped_down));
        assert!(came && c.node(leader).leading().is_none());
        c.run_until("another leads", |c| c.leader().is_some());
        c.decide(others[0], 2);
        c.heal();
        c.run_until("every node follows it", Cluster::is_settled);
    }
}

#[test]
fn l6_a_leader_whose_messages_are_lost_is_deposed() {
    let mut c = Cluster::settled(5, 1);
    let leader = c.leader().unwrap();
    let others: Vec<u16> = (0..4).map(|index| c.follower(index)).collect();
    for other in &others {
        c.cut_one_way(leader, *other);
    }
    c.run_until("another leads", |c| {
        c.leader().is_some_and(|new| new != leader)
    });
    c.decide(others[0], 2);
    c.run_until("the old one has given up", |c| {
        c.node(leader).leading().is_none()
    });
    c.heal();
    c.run_until("every node follows the new one", Cluster::is_settled);
}

#[test]
fn l6_a_leader_answered_by_a_quorum_stays() {
    let mut c = Cluster::settled(5, 1);
    let leader = c.leader().unwrap();
    let leadership = c.node(leader).leading();
    let (away, stopped) = (c.follower(0), c.follower(1));
    c.isolate(away);
    c.stop(stopped);
    c.run_for(Duration::from_secs(20));
    assert_eq!(c.node(leader).leading(), leadership);
}

#[test]
fn l7_a_returning_node_does_not_depose_a_healthy_leader() {
    for seed in 0..5 {
        let mut c = Cluster::settled(5, seed);
        let leader = c.leader().unwrap();
        let leadership = c.node(leader).leading();
        let away = c.follower(0);
        for _ in 0..3 {
            c.isolate(away);
            c.run_for(Duration::from_secs(10));
            assert!(
                c.trace.sent(away, MessageKind::Probe) > 0,
                "it has looked for others"
            );
            assert_eq!(
                c.node(away).promised(),
                leadership.unwrap(),
                "and claimed nothing"
            );
            c.heal();
            c.run_until("it follows", Cluster::is_settled);
        }
        assert_eq!(c.node(leader).leading(), leadership, "seed {seed}");
        let preempted = |event: &EventKind| matches!(event, EventKind::Preempted { .. });
        assert_eq!(c.trace.count(leader, preempted), 0);
    }
}

#[test]
fn l7_a_follower_with_a_live_leader_refuses_probes() {
    let mut c = Cluster::settled(3, 1);
    let (node, asks) = (c.follower(0), c.follower(1));
    let ballot = Ballot::new(50, NodeId(asks));
    let (promised, deadline) = (c.node(node).promised(), c.node(node).next_deadline());
    let output = c.inject(asks, node, Message::Probe { ballot });
    assert!(matches!(
        output.messages[..],
        [Message::ProbeReply { granted: false, .. }]
    ));
    assert!(output.writes.is_empty());
    assert_eq!(
        (c.node(node).promised(), c.node(node).next_deadline()),
        (promised, deadline)
    );
    assert_eq!(c.trace.ignored(node, Reason::LeaderAlive), 1);
    c.stop(c.leader().unwrap());
    c.drop_matching(|envelope| is(envelope, MessageKind::Probe));
    c.run_until("it misses its leader", |c| {
        c.saw(node, |event| matches!(event, EventKind::Suspected(_)))
    });
    let output = c.inject(asks, node, Message::Probe { ballot });
    assert!(matches!(
        output.messages[..],
        [Message::ProbeReply { granted: true, .. }]
    ));
    assert!(
        output.writes.is_empty() && c.node(node).promised() == promised,
        "still no promise"
    );
}

/// Returns whether a node grants a probe of another one.
fn grants(c: &mut Cluster, node: u16, asks: u16) -> bool {
    let ballot = Ballot::new(c.node(node).promised().round() + 9, NodeId(asks));
    let output = c.inject(asks, node, Message::Probe { ballot });
    let [Message::ProbeReply { granted, .. }] = output.messages[..] else {
        panic!("one answer: {:?}", output.messages)
    };
    granted
}

#[test]
fn l7_a_claimant_denies_the_probes_of_others_until_its_claim_is_refused() {
    let (mut c, node, peer, prepare) = claimant();
    let Message::Prepare { ballot, from } = prepare else {
        unreachable!()
    };
    assert!(!grants(&mut c, node, peer), "its claim may still win");
    c.run_for(millis(100));
    assert!(!grants(&mut c, node, peer), "however often it is asked");
    let refusal = Message::Promise {
        ballot,
        promised: Ballot::new(ballot.round() + 1, NodeId(peer)),
        from,
        low_water: Slot::ZERO,
        last: true,
        entries: Entries::<crate::harness::cluster::Machine, 2>::new(),
    };
    c.inject(peer, node, refusal);
    assert!(grants(&mut c, node, peer), "its claim has failed");
}

#[test]
fn l7_a_node_that_probes_grants_the_probes_of_others() {
    let mut c = Cluster::settled(3, 1);
    let (node, peer) = (c.follower(0), c.follower(1));
    c.stop(c.leader().unwrap());
    c.drop_matching(|envelope| is(envelope, MessageKind::Probe));
    c.run_until("it probes", |c| c.trace.sent(node, MessageKind::Probe) > 0);
    assert!(grants(&mut c, node, peer), "it has claimed nothing yet");
}

/// A node that is asking the others itself promises the ballot of another node. Its own question comes to nothing, and
/// it still gives that candidate the time to win.
#[test]
fn l7_a_node_that_promised_while_it_probed_denies_probes_once_its_own_has_failed() {
    for seed in 0..5 {
        let mut c = Cluster::settled(3, seed);
        let (node, candidate) = (c.follower(0), c.follower(1));
        c.stop(c.leader().unwrap());
        c.drop_matching(|_| true);
        c.run_until("it probes", |c| c.trace.sent(node, MessageKind::Probe) > 0);
        let ballot = Ballot::new(50, NodeId(candidate));
        let from = slot(c.applied(node).number() + 1);
        let has_failed =
            |c: &Cluster| c.saw(node, |event| matches!(event, EventKind::BackedOff(_)));
        while !has_failed(&c) {
            c.inject(candidate, node, Message::Prepare { ballot, from });
            c.run_for(millis(10));
        }
        let third = Ballot::new(51, NodeId(candidate));
        let output = c.inject(candidate, node, Message::Probe { ballot: third });
        assert!(
            matches!(
                output.messages[..],
                [Message::ProbeReply { granted: false, .. }]
            ),
            "seed {seed}: {:?}",
            output.messages
        );
        // It lasts no longer than its own timer.
        let probes = c.trace.sent(node, MessageKind::Probe);
        c.run_until("it probes again", |c| {
            c.trace.sent(node, MessageKind::Probe) > probes
        });
    }
}

/// A claim reached one node only, and the claimant has forgotten it. No client sends a request, so the leader learns
/// of the promise from no answer.
#[test]
fn l7_a_node_with_a_higher_promise_than_the_leaders_ballot_is_not_left_behind() {
    for seed in 0..5 {
        let mut c = Cluster::settled(3, seed);
        let (node, claimant) = (c.follower(0), c.follower(1));
        let ballot = Ballot::new(50, NodeId(claimant));
        let from = slot(c.applied(node).number() + 1);
        c.inject(claimant, node, Message::Prepare { ballot, from });
        assert_eq!(c.node(node).promised(), ballot);
        c.run_until(
            "every node follows a leader that the node can follow",
            |c| {
                let leadership = c.leader().and_then(|leader| c.node(leader).leading());
                c.is_settled() && leadership > Some(ballot)
            },
        );
    }
}

#[test]
fn f1_whatever_a_leader_says_under_its_ballot_is_a_sign_of_life() {
    let mut c = Cluster::settled(3, 1);
    let (leader, node) = (c.leader().unwrap(), c.follower(0));
    let (ballot, decided) = (c.node(leader).leading().unwrap(), c.applied(node));
    let chain = c.node(node).chain();
    c.isolate(node);
    c.run_for(millis(60));
    let accept = Message::Accept {
        ballot,
        first: decided.next().unwrap(),
        decided,
        proposals: [Proposal::Noop].into_iter().collect(),
    };
    let heartbeat = Message::Heartbeat {
        ballot,
        decided,
        chain,
    };
    let said: [TestMessage; 3] = [accept, Message::Decision { ballot, decided }, heartbeat];
    for message in said {
        c.run_for(millis(300));
        c.inject(leader, node, message.clone());
        c.run_for(millis(400));
        assert_eq!(
            c.node(node).leader_hint(),
            Some(NodeId(leader)),
            "{message:?}"
        );
        c.inject(
            leader,
            node,
            Message::Heartbeat {
                ballot,
                decided,
                chain,
            },
        );
    }
    c.run_for(millis(501));
    assert_eq!(c.node(node).leader_hint(), None);
}

#[test]
fn l4_a_follower_that_promises_another_claim_proposes_nothing_to_its_leader() {
    let mut c = Cluster::settled(3, 1);
    let (leader, node, rival) = (c.leader().unwrap(), c.follower(0), c.follower(1));
    assert_eq!(c.node(node).leader_hint(), Some(NodeId(leader)));
    let ballot = Ballot::new(c.node(node).promised().round() + 1, NodeId(rival));
    let from = c.applied(node).next().unwrap();
    c.inject(rival, node, Message::Prepare { ballot, from });
    assert_eq!(c.node(node).leader_hint(), None);
    c.register(node);
    assert_eq!(c.trace.sent(node, MessageKind::Propose), 0);
}

#[test]
fn f1_only_the_owner_of_the_highest_ballot_counts_as_leader() {
    let mut c = Cluster::settled(3, 1);
    let (old, node) = (c.leader().unwrap(), c.follower(0));
    let leadership = c.node(old).leading().unwrap();
    c.isolate(old);
    c.run_until("another leads", |c| {
        c.leader().is_some_and(|new| new != old)
    });
    c.run_for(millis(300));
    let new = c.leader().unwrap();
    let follower = if node == new { c.follower(0) } else { node };
    let follower = if follower == old {
        c.follower(1)
    } else {
        follower
    };
    c.stop(new);
    // The old leader still sends heartbeats, which must not hide the silence of the new one.
    let beat = Message::Heartbeat {
        ballot: leadership,
        decided: Slot::ZERO,
        chain: 0,
    };
    for _ in 0..20 {
        let output = c.inject(old, follower, beat.clone());
        assert!(output.messages.is_empty(), "no answer either");
        c.run_for(millis(50));
    }
    assert_eq!(c.trace.ignored(follower, Reason::OldBallot), 20);
    assert!(c.saw(follower, |event| *event
        == EventKind::Suspected(NodeId(new))));
}

#[test]
fn the_cluster_survives_a_crash_of_the_leader_at_any_moment() {
    for seed in 0..40 {
        let mut c = Cluster::booting(3 + 2 * u16::try_from(seed % 2).unwrap(), seed);
        c.set_loss_percent(5);
        let moment = Instant::ZERO + millis(23 * seed);
        c.run_until("it is time, and a node leads", |c| {
            c.now() >= moment && c.leader().is_some()
        });
        // Followers that have not joined forward their requests.
        c.register(c.follower(0));
        c.register(c.follower(1));
        c.run_for(millis(7 * (seed % 20)));
        c.run_until("a node leads", |c| c.leader().is_some());
        let leader = c.leader().unwrap();
        c.stop(leader);
        let asking = c.follower(0);
        let nonce = c.register(asking);
        c.run_until("the rest decides", |c| c.registered(nonce).is_some());
        c.run_until("the rest agrees", Cluster::is_settled);
    }
}

#[test]
fn the_cluster_survives_a_crash_of_the_leader_with_commands_in_flight() {
    for seed in 0..40 {
        let mut c = Cluster::settled(5, seed);
        let leader = c.leader().unwrap();
        let asking = c.follower(usize::try_from(seed % 4).unwrap());
        let clients = [c.client(asking), c.client(asking), c.client(asking)];
        for (index, client) in (0..).zip(clients) {
            let command = KvCommand::Set(Key::numbered(index), 7);
            c.ask(asking, client, 1, command).unwrap();
        }
        c.run_for(millis(4 * seed));
        c.stop(leader);
        c.run_until("every request is answered", |c| {
            clients
                .iter()
                .all(|client| c.applied_in(*client, 1).is_some())
        });
        c.run_until("the rest agrees", Cluster::is_settled);
    }
}

#[test]
fn l4_waiting_requests_are_sent_to_the_new_leader_at_once() {
    for seed in 0..5 {
        let mut c = Cluster::settled(3, seed);
        let (leader, heir, asking) = (c.leader().unwrap(), c.follower(0), c.follower(1));
        only_claimant(&mut c, heir);
        c.stop(leader);
        c.register(asking);
        c.run_until("it follows the new leader", |c| {
            c.node(asking).leader_hint() == Some(NodeId(heir))
        });
        let at = |is: fn(&EventKind) -> bool| c.trace.last(asking, is).map(|traced| traced.at);
        let accepting = at(|event| matches!(event, EventKind::Accepting(_)));
        let proposed = at(|event| {
            matches!(
                event,
                EventKind::Sent {
                    kind: MessageKind::Propose,
                    ..
                }
            )
        });
        assert_eq!(accepting, proposed, "seed {seed}");
    }
}

#[test]
fn r3_a_retry_of_a_request_in_flight_takes_no_second_slot() {
    let mut c = Cluster::settled(3, 1);
    let (leader, asking) = (c.leader().unwrap(), c.follower(0));
    let before = c.applied(leader);
    c.drop_matching(|envelope| is(envelope, MessageKind::Accepted));
    let nonce = c.register(asking);
    c.run_until("it has proposed again", |c| {
        c.trace.sent(asking, MessageKind::Propose) >= 2
    });
    c.run_until("the leader knows it", |c| {
        c.trace.ignored(leader, Reason::Known) > 0
    });
    c.clear_rules();
    c.run_until("it is answered", |c| c.registered(nonce).is_some());
    c.run_for(millis(1_000));
    assert_eq!(c.applied(leader).distance(before), 1);
}

#[test]
fn l4_a_leader_that_resigns_keeps_no_proposals() {
    let mut c = Cluster::settled(5, 1);
    let leader = c.leader().unwrap();
    let others: Vec<u16> = (0..4).map(|index| c.follower(index)).collect();
    c.drop_matching(|envelope| is(envelope, MessageKind::Accept));
    let mut nonces = Vec::new();
    for node in [0, 1, 2, 3] {
        for _ in 0..4 {
            nonces.push(c.register(others[node]));
        }
    }
    c.run_for(millis(100));
    assert_eq!(c.node(leader).marks().waiting, 4);
    c.clear_rules();
    c.isolate(leader);
    let all_answered = move |c: &Cluster| nonces.iter().all(|n| c.registered(*n).is_some());
    c.run_until("the others have decided it all", all_answered);
    c.heal();
    c.run_until("every node agrees", Cluster::is_settled);
    let end = c.applied(leader);
    // It becomes leader again and has nothing to propose.
    c.isolate(c.leader().unwrap());
    only_claimant(&mut c, leader);
    c.run_until("it leads again", |c| c.node(leader).leading().is_some());
    c.run_for(millis(500));
    assert_eq!(c.applied(leader), end);
}
