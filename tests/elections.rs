//! Claims: suspicion, probes, promises, adoption, duels, and giving up.

use crate::harness::cluster::{Cluster, Text, WINDOW, is, millis, slot};
use crate::harness::trace::What;
use std::collections::BTreeSet;
use synod::machines::{Key, KvCommand};
use synod::{
    Ballot, Duration, Entries, Entry, Instant, Message, MessageKind, NodeId, NodeSet, Proposal,
    Reason, Role, Slot,
};

fn adopted(what: &What) -> bool {
    matches!(what, What::Adopted { .. })
}

/// What the last adoption of a node took over.
fn adoption(c: &Cluster, node: u16) -> Option<(u32, u32, Slot)> {
    match c.log.last(node, adopted)?.what {
        What::Adopted {
            reproposed,
            noops,
            next_slot,
            ..
        } => Some((reproposed, noops, next_slot)),
        _ => None,
    }
}

/// Only this node asks whether it may claim.
fn only_claimant(c: &mut Cluster, node: u16) {
    c.lose(move |letter| is(letter, MessageKind::Probe) && letter.from.0 != node);
}

#[test]
fn l1_a_new_leader_drives_what_was_accepted_and_fills_the_holes_at_once() {
    for seed in 0..10 {
        let mut c = Cluster::calm(5, seed);
        let leader = c.leader().unwrap();
        let (voter, away) = (c.follower(0), c.follower(3));
        let hole = slot(c.applied(leader).number() + 1);
        let (second, fourth) = (slot(hole.number() + 1), slot(hole.number() + 3));
        // Of four accepts only the second and the fourth reach anybody, and only one node.
        c.lose(move |letter| match &letter.message {
            Message::Accept { first, .. } => {
                letter.to.0 != voter || !(*first == second || *first == fourth)
            }
            _ => false,
        });
        let nonces: Vec<u64> = (0..4).map(|_| c.register(leader)).collect();
        c.run_for(millis(60));
        c.stop(leader);
        c.forget_rules();
        c.isolate(away);
        c.run_until("another leads", |c| c.leader().is_some());
        let new = c.leader().unwrap();
        let next = slot(hole.number() + 4);
        assert_eq!(adoption(&c, new), Some((2, 2, next)), "seed {seed}");
        // Nobody asks for anything: what was adopted is driven all the same.
        c.run_until("it is decided", |c| c.applied(new).next() == Some(next));
        let value_of = |slot: Slot| {
            let is_it = |what: &What| matches!(what, What::Applied { slot: of, .. } if *of == slot);
            match c.log.last(new, is_it).unwrap().what {
                What::Applied { proposal, .. } => proposal,
                _ => unreachable!(),
            }
        };
        assert_eq!(value_of(hole), Proposal::Noop);
        assert_eq!(value_of(second), Proposal::Register { nonce: nonces[1] });
        assert_eq!(value_of(fourth), Proposal::Register { nonce: nonces[3] });
        c.heal();
        c.run_until("the one that was away follows", Cluster::is_calm);
    }
}

#[test]
fn l1_a_new_command_waits_behind_what_was_adopted() {
    let mut c = Cluster::calm(3, 1);
    let (leader, heir) = (c.leader().unwrap(), c.follower(0));
    let client = c.client(heir);
    c.lose(|letter| is(letter, MessageKind::Accepted));
    let old = c.register(leader);
    c.run_for(millis(60));
    c.stop(leader);
    c.set(heir, client, 1, 9);
    c.forget_rules();
    c.run_until("both are decided", |c| c.applied_in(client, 1).is_some());
    let heard = c.log.facts.iter().find_map(|fact| match fact.what {
        What::Applied { slot, proposal, .. } if proposal == (Proposal::Register { nonce: old }) => {
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
        let mut c = Cluster::calm(5, seed);
        let first = c.leader().unwrap();
        let stale = c.follower(0);
        let rest: Vec<u16> = (1..4).map(|index| c.follower(index)).collect();
        let contested = slot(c.applied(first).number() + 1);
        // The first leader gets one vote for its value.
        c.cut(&[first, stale], &rest);
        c.register(first);
        c.run_for(millis(60));
        c.stop(first);
        // The second has its own value chosen, and tells only its client.
        c.run_until("the rest follows another", |c| {
            let leader = c.leader().map(NodeId);
            leader.is_some()
                && rest
                    .iter()
                    .all(|node| c.node(*node).leader_hint() == leader)
        });
        let second = c.leader().unwrap();
        c.lose(move |letter| {
            matches!(
                letter.message,
                Message::Decision { decided, .. } | Message::Heartbeat { decided, .. }
                    if decided >= contested
            )
        });
        let nonce = c.register(second);
        c.run_until("it is chosen", |c| c.registered(nonce).is_some());
        assert_eq!(c.applied(second), contested);
        c.stop(second);
        c.forget_rules();
        c.heal();
        // The three that are left need each other, and their votes for the slot differ.
        c.run_until("a third leads", |c| c.leader().is_some());
        c.run_until("everybody agrees", |c| {
            c.is_calm() && c.applied(stale) >= contested
        });
        leaders.insert(c.leader() == Some(stale));
    }
    assert_eq!(leaders.len(), 2, "both kinds of nodes got to lead");
}

/// A leader that died with five slots accepted by one of the two others; the other one has none of them.
fn five_votes_at_one() -> (Cluster, u16, u16) {
    let mut c = Cluster::calm(3, 2);
    let leader = c.leader().unwrap();
    let (full, empty) = (c.follower(0), c.follower(1));
    c.lose(move |letter| {
        let accept = is(letter, MessageKind::Accept) && letter.to.0 == empty;
        accept || is(letter, MessageKind::Accepted)
    });
    for node in [leader, leader, leader, leader, full] {
        c.register(node);
        c.run_for(millis(20));
    }
    c.run_for(millis(80));
    c.stop(leader);
    c.forget_rules();
    only_claimant(&mut c, empty);
    (c, full, empty)
}

#[test]
fn s2_a_promise_counts_only_when_its_last_page_has_come() {
    let (mut c, full, empty) = five_votes_at_one();
    c.lose(move |letter| matches!(letter.message, Message::Promise { last: true, .. }));
    c.run_until("the first pages have come", |c| {
        c.log.received(empty, MessageKind::Promise) >= 2
    });
    c.never_for(millis(400), "it leads without the last page", |c| {
        c.saw(empty, adopted)
    });
    c.forget_rules();
    only_claimant(&mut c, empty);
    c.run_until("it leads", |c| c.leader() == Some(empty));
    let (reproposed, noops, _) = adoption(&c, empty).unwrap();
    assert_eq!((reproposed, noops), (5, 0));
    c.run_until("everything is decided", |c| {
        c.applied(full) == c.applied(empty)
    });
}

#[test]
fn s2_every_lost_page_is_asked_for_again() {
    for lost in 1..=3 {
        let (mut c, _, empty) = five_votes_at_one();
        let first = slot(c.applied(empty).number() + 1);
        let page = slot(first.number() + 2 * (lost - 1));
        c.lose(
            move |letter| matches!(letter.message, Message::Promise { from, .. } if from == page),
        );
        c.run_until("the claim is made", |c| {
            c.log.sent(empty, MessageKind::Prepare) > 1
        });
        c.run_for(millis(150));
        assert!(!c.saw(empty, adopted));
        c.forget_rules();
        only_claimant(&mut c, empty);
        c.run_until("it leads", |c| c.leader() == Some(empty));
        assert_eq!(adoption(&c, empty).unwrap().0, 5, "page {lost}");
    }
}

/// A cluster whose leader is gone, the node that claims, its peer, and the prepare that this has not had.
fn claimant() -> (Cluster, u16, u16, Text) {
    let mut c = Cluster::calm(3, 1);
    let (leader, node, peer) = (c.leader().unwrap(), c.follower(0), c.follower(1));
    c.decide(leader, 2);
    c.run_until("everybody knows", Cluster::is_calm);
    c.stop(leader);
    only_claimant(&mut c, node);
    c.hold(|letter| is(letter, MessageKind::Prepare));
    c.run_until("it claims", |c| !c.held().is_empty());
    let prepare = c.held()[0].message.clone();
    (c, node, peer, prepare)
}

#[test]
fn s2_a_promise_that_no_acceptor_could_make_is_malformed() {
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
    let promise = |promised, last, entry: Option<Entry<KvCommand>>| -> Text {
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
        let (state, known) = (c.state(node), c.log.ignored(node, Reason::Malformed));
        c.tell(peer, node, malformed);
        assert_eq!(c.log.ignored(node, Reason::Malformed), known + 1);
        assert_eq!(c.state(node), state, "nothing has changed");
    }
    c.tell(
        peer,
        node,
        promise(ballot, true, Some(entry(window, under))),
    );
    let next = low_water.checked_add(window + 1).unwrap();
    let noops = u32::try_from(window - 1).unwrap();
    assert_eq!(adoption(&c, node), Some((1, noops, next)));
}

#[test]
fn s2_a_promise_of_slots_beyond_every_window_wins_no_office() {
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
        c.tell(
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
        assert!(!c.saw(node, |what| {
            matches!(what, What::Adopted { ballot: won, .. } if *won == ballot)
        }));
        c.forget_rules();
        only_claimant(&mut c, node);
        c.run_until("it wins another ballot", |c| c.leader() == Some(node));
        c.decide(node, 1);
    }
}

#[test]
fn s5_old_replies_are_noise() {
    let mut c = Cluster::calm(3, 1);
    // Whoever leads in the end has led before, so that it has a ballot of its own that is over.
    let first = c.leader().unwrap();
    let old = c.node(first).leading().unwrap();
    let rival = c.follower(0);
    c.isolate(first);
    c.run_until("another leads", |c| {
        c.leader() != Some(first) && c.leader().is_some()
    });
    c.heal();
    c.run_until("everybody follows it", Cluster::is_calm);
    let second = c.leader().unwrap();
    c.isolate(second);
    only_claimant(&mut c, first);
    c.run_until("the first leads again", |c| c.leader() == Some(first));
    c.heal();
    c.forget_rules();
    c.run_until("everybody follows it again", Cluster::is_calm);
    let reign = c.node(first).leading().unwrap();
    let high = Ballot::new(reign.round() + 5, NodeId(rival));
    let refusals: [Text; 4] = [
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
        Message::HeartbeatReply { ballot: old },
        Message::ProbeReply {
            ballot: old,
            granted: true,
            highest: high,
        },
    ];
    for refusal in refusals {
        let (state, known) = (c.state(first), c.log.ignored(first, Reason::StaleReply));
        c.tell(rival, first, refusal);
        assert_eq!(c.log.ignored(first, Reason::StaleReply), known + 1);
        assert_eq!(c.state(first), state, "nothing has changed");
    }
    // A refusal of the present attempt does end it.
    c.tell(
        rival,
        first,
        Message::Accepted {
            ballot: reign,
            promised: high,
            first: Slot::FIRST,
            count: 0,
            low_water: Slot::ZERO,
        },
    );
    let ended = |what: &What| {
        *what
            == What::Preempted {
                ballot: reign,
                by: high,
            }
    };
    assert!(c.saw(first, ended));
}

#[test]
fn s1_a_new_claim_is_above_everything_that_was_seen() {
    let mut c = Cluster::calm(3, 1);
    let (leader, heir) = (c.leader().unwrap(), c.follower(0));
    let high = Ballot::new(40, NodeId(c.follower(1)));
    c.tell(
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
        let mut c = Cluster::calm(3, seed);
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
        // Only the one that is behind may claim, and what it misses is slow to come.
        only_claimant(&mut c, behind);
        c.lose(|letter| is(letter, MessageKind::Welcome) || is(letter, MessageKind::Decisions));
        c.run_until("it claims", |c| {
            c.log.sent(behind, MessageKind::Prepare) > 0
        });
        c.never_for(millis(700), "it leads behind the mark", |c| {
            c.saw(behind, adopted)
        });
        c.forget_rules();
        only_claimant(&mut c, behind);
        c.run_until("it leads", |c| c.leader() == Some(behind));
        let (_, noops, next_slot) = adoption(&c, behind).unwrap();
        assert!(
            next_slot > end && noops == 0,
            "seed {seed}: nothing decided is driven again"
        );
        c.decide(behind, 2);
        c.run_until("both agree", Cluster::is_calm);
    }
}

#[test]
fn s6_what_is_missing_is_asked_for_at_once_and_the_office_taken_with_it() {
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
    let said = c.tell(peer, node, promise);
    assert_eq!(said.messages, [Message::Learn { from }]);
    assert!(c.node(node).leading().is_none());
    let told = Message::Decisions {
        first: from,
        applied: low_water,
        proposals: [Proposal::Noop, Proposal::Noop].into_iter().collect(),
    };
    c.tell(peer, node, told);
    assert_eq!(c.node(node).leading(), Some(ballot));
}

#[test]
fn s7_only_those_who_have_not_answered_are_asked_again() {
    let mut c = Cluster::calm(5, 1);
    let leader = c.leader().unwrap();
    let (claims, answers) = (c.follower(0), c.follower(1));
    c.stop(leader);
    c.lose(move |letter| {
        let others_claim = is(letter, MessageKind::Probe) && letter.from.0 != claims;
        others_claim || is(letter, MessageKind::Prepare) && letter.to.0 != answers
    });
    c.run_until("it has asked three times", |c| {
        c.log.sent(claims, MessageKind::Prepare) >= 3
    });
    let asked: Vec<NodeSet> = c
        .log
        .facts
        .iter()
        .filter_map(|fact| match fact.what {
            What::Sent {
                to,
                kind: MessageKind::Prepare,
            } if fact.node == claims => Some(to),
            _ => None,
        })
        .collect();
    let (first, again) = asked.split_last().unwrap();
    assert!(!first.contains(NodeId(answers)), "it has answered");
    assert!(again[0].contains(NodeId(answers)));
    assert_eq!(first.len(), 3, "the others, the dead one among them");
    c.forget_rules();
    c.run_until("somebody leads", |c| c.leader().is_some());
}

#[test]
fn s7_accepts_are_repeated_to_those_who_have_not_voted() {
    let mut c = Cluster::calm(3, 1);
    let (leader, deaf) = (c.leader().unwrap(), c.follower(0));
    let other = c.follower(1);
    c.lose(|letter| is(letter, MessageKind::Accept));
    let nonce = c.register(leader);
    c.run_for(millis(120));
    c.forget_rules();
    c.lose(move |letter| is(letter, MessageKind::Accept) && letter.to.0 == deaf);
    c.run_until("the retry is chosen", |c| c.registered(nonce).is_some());
    assert_eq!(c.log.received(other, MessageKind::Accept), 1);
}

/// Two nodes that claim at once, neither having heard of the other's claim.
fn duel(seed: u64) -> Cluster {
    let mut c = Cluster::calm(5, seed);
    c.stop(c.leader().unwrap());
    c.hold(|letter| is(letter, MessageKind::Prepare));
    let claims = |c: &Cluster| {
        c.log
            .facts
            .iter()
            .filter(|fact| is_claim(fact.role, fact.what))
            .count()
    };
    let before = claims(&c);
    let came = c.comes_true(millis(2_500), |c| claims(c) >= before + 2);
    assert!(came, "seed {seed}: no two claims");
    c.forget_rules();
    if seed.is_multiple_of(3) {
        // The two hear of each other from refusals only.
        let claimants: Vec<NodeId> = c.held().iter().map(|letter| letter.from).collect();
        c.drop_held(|letter| claimants.contains(&letter.to));
    }
    c.release(seed.is_multiple_of(2));
    c
}

fn is_claim(role: Role, what: What) -> bool {
    role == Role::Scout && what == What::Started
}

#[test]
fn l5_duelling_leaders_settle() {
    let mut preempted = 0;
    for seed in 0..30 {
        let mut c = duel(seed);
        c.run_until("one of them leads", Cluster::is_calm);
        preempted += c
            .log
            .count_all(|what| matches!(what, What::Preempted { .. }));
        let leader = c.leader().unwrap();
        let reign = c.node(leader).leading();
        c.run_for(millis(3_000));
        assert_eq!(
            (c.leader(), c.node(leader).leading()),
            (Some(leader), reign),
            "seed {seed}"
        );
        c.decide(leader, 1);
    }
    assert!(preempted >= 20, "{preempted} of 30 duels had a loser");
}

#[test]
fn l4_who_is_preempted_waits_before_it_claims_again() {
    let mut delays = BTreeSet::new();
    for seed in 0..30 {
        let mut c = duel(seed);
        c.run_for(millis(6_000));
        for (index, fact) in c.log.facts.iter().enumerate() {
            let What::BackedOff(delay) = fact.what else {
                continue;
            };
            delays.insert(delay);
            let timeout = millis(500);
            assert!(delay >= timeout && delay < timeout * (2 << 4), "{delay}");
            let until = fact.at + delay;
            let again = c.log.facts[index..]
                .iter()
                .find(|later| later.node == fact.node && is_claim(later.role, later.what));
            assert!(
                again.is_none_or(|again| again.at >= until),
                "seed {seed}: it did not wait"
            );
        }
    }
    assert!(delays.len() >= 20, "the delays are spread");
}

/// How long a node has waited after each of its attempts.
fn waits(c: &Cluster, node: u16) -> Vec<Duration> {
    let of = |fact: &crate::harness::trace::Fact| match fact.what {
        What::BackedOff(delay) if fact.node == node => Some(delay),
        _ => None,
    };
    c.log.facts.iter().filter_map(of).collect()
}

#[test]
fn l5_who_has_no_rival_does_not_wait_longer_each_time() {
    let mut c = Cluster::calm(3, 1);
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

/// A node whose claims are refused so many times, as a rival claims more each time.
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
        c.tell(peer, node, refusal);
        // The dead leader is one of those whom it asks.
        c.drop_held(|letter| letter.to.0 != peer);
    }
    (c, node)
}

#[test]
fn l5_who_is_refused_again_and_again_looks_whether_a_quorum_answers_at_once() {
    let (mut c, node) = refused(6);
    let timeout = millis(500);
    for (index, wait) in waits(&c, node).iter().enumerate() {
        let least = if index == 0 { timeout } else { timeout * 2 };
        assert!(*wait >= least && *wait < least * 2, "{index}: {wait}");
    }
    // From now on nobody answers in time: it has eight seconds of patience, and asks once in each attempt.
    c.lose(|letter| is(letter, MessageKind::ProbeReply));
    let (probes, tries) = (c.log.sent(node, MessageKind::Probe), waits(&c, node).len());
    let claims = c.held().len();
    c.run_for(Duration::from_secs(7));
    let tries = waits(&c, node).len() - tries;
    let probes = c.log.sent(node, MessageKind::Probe) - probes;
    assert!(
        tries >= 3 && probes.abs_diff(tries) <= 1,
        "{probes} in {tries}"
    );
    c.run_for(Duration::from_secs(20));
    let again = c.log.sent(node, MessageKind::Probe) - probes;
    assert!(again > 40, "then it asks as it did at first");
    assert_eq!(c.held().len(), claims);
}

#[test]
fn l5_back_off_starts_anew_under_a_leader() {
    for (reigns, long) in [(150, true), (1_000, false)] {
        let (mut c, node) = refused(4);
        c.forget_rules();
        c.drop_held(|_| true);
        only_claimant(&mut c, node);
        c.run_until("it leads", |c| c.leader() == Some(node));
        c.run_for(millis(reigns));
        let tries = waits(&c, node).len();
        let rival = NodeId(c.follower(0));
        let ballot = Ballot::new(c.node(node).promised().round() + 1, rival);
        let from = Slot::FIRST;
        c.tell(rival.0, node, Message::Prepare { ballot, from });
        assert_eq!(waits(&c, node)[tries] >= millis(1_000), long, "{reigns}");
    }
}

fn stepped_down(what: &What) -> bool {
    matches!(what, What::SteppedDown(_))
}

#[test]
fn l6_a_leader_that_hears_no_quorum_steps_down() {
    for one_way in [false, true] {
        let mut c = Cluster::calm(5, 1);
        let leader = c.leader().unwrap();
        let others: Vec<u16> = (0..4).map(|index| c.follower(index)).collect();
        if one_way {
            // They hear it, and it does not hear them: it would keep them from ever electing another.
            for other in &others {
                c.cut_one_way(*other, leader);
            }
        } else {
            c.isolate(leader);
        }
        let came = c.comes_true(millis(1_100), |c| c.saw(leader, stepped_down));
        assert!(came && c.node(leader).leading().is_none());
        c.run_until("another leads", |c| c.leader().is_some());
        c.decide(others[0], 2);
        c.heal();
        c.run_until("everybody follows it", Cluster::is_calm);
    }
}

#[test]
fn l6_a_leader_whom_nobody_hears_is_deposed() {
    let mut c = Cluster::calm(5, 1);
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
    c.run_until("everybody follows the new one", Cluster::is_calm);
}

#[test]
fn l6_a_leader_that_a_quorum_answers_stays() {
    let mut c = Cluster::calm(5, 1);
    let leader = c.leader().unwrap();
    let reign = c.node(leader).leading();
    let (away, stopped) = (c.follower(0), c.follower(1));
    c.isolate(away);
    c.stop(stopped);
    c.run_for(Duration::from_secs(20));
    assert_eq!(c.node(leader).leading(), reign);
}

#[test]
fn l7_a_node_that_returns_does_not_depose_a_healthy_leader() {
    for seed in 0..5 {
        let mut c = Cluster::calm(5, seed);
        let leader = c.leader().unwrap();
        let reign = c.node(leader).leading();
        let away = c.follower(0);
        for _ in 0..3 {
            c.isolate(away);
            c.run_for(Duration::from_secs(10));
            assert!(
                c.log.sent(away, MessageKind::Probe) > 0,
                "it has looked for others"
            );
            assert_eq!(
                c.node(away).promised(),
                reign.unwrap(),
                "and claimed nothing"
            );
            c.heal();
            c.run_until("it follows", Cluster::is_calm);
        }
        assert_eq!(c.node(leader).leading(), reign, "seed {seed}");
        let preempted = |what: &What| matches!(what, What::Preempted { .. });
        assert_eq!(c.log.count(leader, preempted), 0);
    }
}

#[test]
fn l7_who_hears_its_leader_grants_nothing() {
    let mut c = Cluster::calm(3, 1);
    let (node, asks) = (c.follower(0), c.follower(1));
    let ballot = Ballot::new(50, NodeId(asks));
    let (promised, deadline) = (c.node(node).promised(), c.node(node).next_deadline());
    let said = c.tell(asks, node, Message::Probe { ballot });
    assert!(matches!(
        said.messages[..],
        [Message::ProbeReply { granted: false, .. }]
    ));
    assert!(said.writes.is_empty());
    assert_eq!(
        (c.node(node).promised(), c.node(node).next_deadline()),
        (promised, deadline)
    );
    assert_eq!(c.log.ignored(node, Reason::LeaderAlive), 1);
    c.stop(c.leader().unwrap());
    c.lose(|letter| is(letter, MessageKind::Probe));
    c.run_until("it misses its leader", |c| {
        c.saw(node, |what| matches!(what, What::Suspected(_)))
    });
    let said = c.tell(asks, node, Message::Probe { ballot });
    assert!(matches!(
        said.messages[..],
        [Message::ProbeReply { granted: true, .. }]
    ));
    assert!(
        said.writes.is_empty() && c.node(node).promised() == promised,
        "still no promise"
    );
}

/// A claim reached one node only, and whoever made it knows nothing of it any more. Nobody asks for anything, so that no answer
/// tells the leader of it.
#[test]
fn l7_who_has_promised_more_than_the_leader_claims_is_not_left_behind() {
    for seed in 0..5 {
        let mut c = Cluster::calm(3, seed);
        let (node, claimant) = (c.follower(0), c.follower(1));
        let ballot = Ballot::new(50, NodeId(claimant));
        let from = slot(c.applied(node).number() + 1);
        c.tell(claimant, node, Message::Prepare { ballot, from });
        assert_eq!(c.node(node).promised(), ballot);
        c.run_until("all follow one whom it can follow", |c| {
            let reign = c.leader().and_then(|leader| c.node(leader).leading());
            c.is_calm() && reign > Some(ballot)
        });
    }
}

#[test]
fn f1_only_the_owner_of_the_highest_ballot_is_heard() {
    let mut c = Cluster::calm(3, 1);
    let (old, node) = (c.leader().unwrap(), c.follower(0));
    let reign = c.node(old).leading().unwrap();
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
    // The old leader goes on saying that it is alive: that is no reason not to miss the new one.
    let beat = Message::Heartbeat {
        ballot: reign,
        decided: Slot::ZERO,
        chain: 0,
    };
    for _ in 0..20 {
        let said = c.tell(old, follower, beat.clone());
        assert!(said.messages.is_empty(), "no answer either");
        c.run_for(millis(50));
    }
    assert_eq!(c.log.ignored(follower, Reason::OldBallot), 20);
    assert!(c.saw(follower, |what| *what == What::Suspected(NodeId(new))));
}

#[test]
fn kill_the_leader_at_any_moment_and_the_rest_carries_on() {
    for seed in 0..40 {
        let mut c = Cluster::lit(3 + 2 * u16::try_from(seed % 2).unwrap(), seed);
        c.lose_percent(5);
        let moment = Instant::ZERO + millis(23 * seed);
        c.run_until("it is time, and somebody leads", |c| {
            c.now() >= moment && c.leader().is_some()
        });
        // Followers that have not joined yet ask others.
        c.register(c.follower(0));
        c.register(c.follower(1));
        c.run_for(millis(7 * (seed % 20)));
        c.run_until("somebody leads", |c| c.leader().is_some());
        let leader = c.leader().unwrap();
        c.stop(leader);
        let asking = c.follower(0);
        let nonce = c.register(asking);
        c.run_until("the rest decides", |c| c.registered(nonce).is_some());
        c.run_until("the rest agrees", Cluster::is_calm);
    }
}

#[test]
fn kill_the_leader_while_it_has_commands_under_way() {
    for seed in 0..40 {
        let mut c = Cluster::calm(5, seed);
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
        c.run_until("the rest agrees", Cluster::is_calm);
    }
}

#[test]
fn l4_requests_that_wait_go_to_the_new_leader_at_once() {
    for seed in 0..5 {
        let mut c = Cluster::calm(3, seed);
        let (leader, heir, asking) = (c.leader().unwrap(), c.follower(0), c.follower(1));
        only_claimant(&mut c, heir);
        c.stop(leader);
        c.register(asking);
        c.run_until("it follows the new leader", |c| {
            c.node(asking).leader_hint() == Some(NodeId(heir))
        });
        let at = |is: fn(&What) -> bool| c.log.last(asking, is).map(|fact| fact.at);
        let accepting = at(|what| matches!(what, What::Accepting(_)));
        let proposed = at(|what| {
            matches!(
                what,
                What::Sent {
                    kind: MessageKind::Propose,
                    ..
                }
            )
        });
        assert_eq!(accepting, proposed, "seed {seed}");
    }
}

#[test]
fn r3_a_retry_of_what_is_under_way_takes_no_second_slot() {
    let mut c = Cluster::calm(3, 1);
    let (leader, asking) = (c.leader().unwrap(), c.follower(0));
    let before = c.applied(leader);
    c.lose(|letter| is(letter, MessageKind::Accepted));
    let nonce = c.register(asking);
    c.run_until("it has proposed again", |c| {
        c.log.sent(asking, MessageKind::Propose) >= 2
    });
    c.run_until("the leader knows it", |c| {
        c.log.ignored(leader, Reason::Known) > 0
    });
    c.forget_rules();
    c.run_until("it is answered", |c| c.registered(nonce).is_some());
    c.run_for(millis(1_000));
    assert_eq!(c.applied(leader).distance(before), 1);
}

#[test]
fn l4_a_leader_that_resigns_keeps_no_proposals() {
    let mut c = Cluster::calm(5, 1);
    let leader = c.leader().unwrap();
    let others: Vec<u16> = (0..4).map(|index| c.follower(index)).collect();
    c.lose(|letter| is(letter, MessageKind::Accept));
    let mut nonces = Vec::new();
    for node in [0, 1, 2, 3] {
        for _ in 0..4 {
            nonces.push(c.register(others[node]));
        }
    }
    c.run_for(millis(100));
    assert_eq!(c.node(leader).marks().waiting, 4);
    c.forget_rules();
    c.isolate(leader);
    let all_answered = move |c: &Cluster| nonces.iter().all(|n| c.registered(*n).is_some());
    c.run_until("the others have decided it all", all_answered);
    c.heal();
    c.run_until("everybody agrees", Cluster::is_calm);
    let end = c.applied(leader);
    // It leads again, and has nothing to propose.
    c.isolate(c.leader().unwrap());
    only_claimant(&mut c, leader);
    c.run_until("it leads again", |c| c.node(leader).leading().is_some());
    c.run_for(millis(500));
    assert_eq!(c.applied(leader), end);
}
