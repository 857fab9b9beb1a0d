//! Exploration of small worlds, with correct nodes and with forged messages.

use super::*;
use crate::check::world::Action;
use std::collections::BTreeSet;
use synod::{
    Ballot, Config, Envelope, Instant, Message, MessageKind, NodeId, NodeSet, Outbox, Proposal,
    Slot, Timer,
};

const ALL: Bounds = Bounds {
    depth: None,
    states: 1_000_000,
};

fn explorer(scope: Scope) -> Explorer {
    Explorer::new(scope).unwrap()
}

fn searched(scope: Scope) -> Explored {
    search(&explorer(scope), ALL, &Watch::default())
}

/// Returns a message that no node has sent.
fn forged(nodes: u16, from: u16, to: u16, message: Message<Tape, PAGE>) -> Envelope<Tape, PAGE> {
    let (from, to) = (NodeId(from), NodeId(to));
    let cluster = Member::fingerprint_of(&Config::new(to, nodes));
    Envelope {
        cluster,
        from,
        to,
        message,
    }
}

/// First slot after the initial state, and first ballot that node 0 claims.
const NEXT: Slot = Slot::new(3);
const CLAIM: Ballot = Ballot::new(2, NodeId(0));

/// Returns a vote that its sender never cast.
fn forged_vote() -> Envelope<Tape, PAGE> {
    let message = Message::Accepted {
        ballot: CLAIM,
        promised: CLAIM,
        first: NEXT,
        count: 1,
        low_water: Slot::ZERO,
    };
    forged(3, 1, 0, message)
}

/// Returns a promise that conceals the votes of its sender.
fn forged_promise() -> Envelope<Tape, PAGE> {
    let ballot = Ballot::new(3, NodeId(1));
    let message = Message::Promise {
        ballot,
        promised: ballot,
        from: NEXT,
        low_water: Slot::ZERO,
        last: true,
        entries: synod::Entries::<Tape, PAGE>::new(),
    };
    forged(3, 2, 1, message)
}

/// Returns an accept in the name of node 1, which does not lead.
fn forged_accept(proposal: Proposal<u32>) -> Envelope<Tape, PAGE> {
    let ballot = Ballot::new(2, NodeId(1));
    let (first, decided) = (NEXT, Slot::new(2));
    let proposals = [proposal].into_iter().collect();
    forged(
        3,
        1,
        2,
        Message::Accept {
            ballot,
            first,
            decided,
            proposals,
        },
    )
}

#[test]
fn small_worlds_are_explored_completely_without_violations() {
    let small = Scope::small();
    let two = Scope {
        nodes: 2,
        claimants: 2,
        requests: 2,
        lost: Vec::new(),
        ..Scope::small()
    };
    for (scope, at_least) in [
        (
            Scope {
                nodes: 1,
                ..small.clone()
            },
            3,
        ),
        (small.clone(), 1_000),
        (
            Scope {
                nodes: 2,
                network: Network::Again,
                ..small.clone()
            },
            50,
        ),
        (
            Scope {
                crashes: 1,
                requests: 0,
                ..small.clone()
            },
            100,
        ),
        (
            Scope {
                timers: vec![Timer::Election, Timer::Quorum, Timer::Learn],
                ..small
            },
            1_000,
        ),
        (two.clone(), 1_000),
        (
            Scope {
                crashes: 1,
                requests: 1,
                ..two
            },
            1_000,
        ),
    ] {
        let found = searched(scope.clone());
        assert!(
            found.violation.is_none(),
            "{scope:?}: {:?}",
            found.violation
        );
        assert_eq!(found.end, End::Exhausted, "{scope:?}");
        assert!(found.unique >= at_least, "{scope:?}: {found:?}");
        assert!(found.states > found.unique, "{scope:?}: {found:?}");
        let applied = u64::from(scope.requests.min(scope.slots));
        assert!(
            found.applied >= applied,
            "nothing happens in {scope:?}: {found:?}"
        );
    }
}

/// Returns a world in which a single founding node is replaced by a newcomer.
fn replaced() -> Scope {
    Scope {
        nodes: 2,
        newcomers: 1,
        requests: 0,
        changes: 1,
        timers: vec![Timer::Election, Timer::Heartbeat, Timer::Learn],
        lost: vec![MessageKind::Decision],
        ..Scope::small()
    }
}

/// Returns a world in which two founding nodes take in a newcomer.
fn grown() -> Scope {
    Scope {
        newcomers: 1,
        requests: 0,
        changes: 1,
        members: Some(NodeSet::first(3)),
        lost: vec![MessageKind::Decision],
        ..Scope::small()
    }
}

#[test]
fn small_worlds_with_a_change_of_the_members_are_explored_completely_without_violations() {
    for scope in [replaced(), grown()] {
        let found = searched(scope.clone());
        let violation = found.violation.map(|violation| violation.broken);
        assert_eq!(violation, None, "{scope:?}");
        assert_eq!(found.end, End::Exhausted, "{scope:?}");
        let changes = found.coverage.of(Situation::Reconfigured);
        assert!(changes > 0 && found.applied == 1, "{scope:?}");
    }
}

#[cfg(feature = "mutants")]
#[test]
fn mistakes_in_a_change_of_the_members_are_found() {
    use synod::Mutant;
    // The founding node alone is no quorum of the next epoch.
    let both = Scope {
        members: Some(NodeSet::first(2)),
        ..replaced()
    };
    // The leader goes on with heartbeats.
    let heard = Scope {
        timers: vec![Timer::Election, Timer::Heartbeat],
        ..grown()
    };
    for (mutant, scope) in [
        (Mutant::FoundersCounted, both),
        (Mutant::LeadershipOutlivesEpoch, heard),
    ] {
        let explorer = Explorer::making(Some(mutant), scope).unwrap();
        let found = search(&explorer, ALL, &Watch::default());
        assert_eq!(found.end, End::Violated, "{mutant}");
    }
}

/// Returns a world in which leaders succeed each other, followers are behind, and clients read.
fn succeeded() -> Scope {
    Scope {
        nodes: 2,
        claimants: 2,
        reads: 2,
        ..Scope::small()
    }
}

#[test]
fn small_worlds_with_reads_are_explored_completely_without_violations() {
    let interrupted = Scope {
        claimants: 1,
        crashes: 1,
        ..succeeded()
    };
    for scope in [succeeded(), interrupted] {
        let found = searched(scope.clone());
        let violation = found.violation.map(|violation| violation.broken);
        assert_eq!(violation, None, "{scope:?}");
        assert_eq!(found.end, End::Exhausted, "{scope:?}");
        assert!(found.coverage.of(Situation::Read) > 100, "{scope:?}");
    }
}

#[cfg(feature = "mutants")]
#[test]
fn mistakes_with_reads_are_found() {
    use synod::Mutant;
    let invariant = |found: Explored| found.violation.map(|found| found.broken.invariant);
    for mutant in [Mutant::LaterReadsCovered, Mutant::ReadBeforeApplied] {
        let explorer = Explorer::making(Some(mutant), succeeded()).unwrap();
        let found = search(&explorer, ALL, &Watch::default());
        assert_eq!(invariant(found), Some(Invariant::Read), "{mutant}");
    }
    // A leader of three that dies has answered what the next one has to adopt.
    let mutant = Some(Mutant::ReadBeforeAdopted);
    let explorer = Explorer::making(mutant, Scope::large_with_reads()).unwrap();
    let found = walks(&explorer, 2_615..=2_615, ALL, &Watch::default());
    assert_eq!(invariant(found), Some(Invariant::Read));
}

#[test]
fn a_search_reports_the_bound_that_ended_it() {
    let shallow = Bounds {
        depth: Some(4),
        ..ALL
    };
    let few = Bounds { states: 100, ..ALL };
    let small = explorer(Scope::small());
    let found = search(&small, shallow, &Watch::default());
    assert_eq!((found.end, found.depth), (End::Depth, 4));
    let deeper = search(
        &small,
        Bounds {
            depth: Some(5),
            ..ALL
        },
        &Watch::default(),
    );
    assert!(deeper.unique > found.unique);
    assert_eq!(search(&small, few, &Watch::default()).end, End::States);
    let watch = Watch::default();
    watch.stop();
    assert_eq!(search(&small, ALL, &watch).end, End::Stopped);
    assert_eq!(walks(&small, 0..=8, ALL, &watch).end, End::Stopped);
}

#[test]
fn a_forged_vote_is_found_by_the_shortest_schedule() {
    let explorer = explorer(Scope::small()).with_in_flight([forged_vote()]);
    let found = search(&explorer, ALL, &Watch::default());
    let violation = found.violation.expect("one vote is no quorum");
    assert_eq!(found.end, End::Violated);
    assert_eq!(violation.broken.invariant, Invariant::Decision);
    // An election, a probe and its answer, a claim and a promise, a request, and the vote.
    assert_eq!(violation.schedule.len(), 7, "{:?}", violation.schedule);
    let lines = schedule(&explorer, &violation.schedule);
    let whole: Vec<&str> = lines.iter().map(|line| line.what.as_str()).collect();
    assert!(
        whole.contains(&"NODE_0: the election timer fires"),
        "{whole:?}"
    );
    assert!(
        whole.contains(&"a client asks NODE_0 for command 0"),
        "{whole:?}"
    );
    assert!(
        lines
            .last()
            .unwrap()
            .what
            .starts_with("NODE_0 receives accepted(ballot=(2, NODE_0), ")
    );
    let then = &lines.last().unwrap().then;
    assert!(
        then.iter().any(|then| then.starts_with("chosen(slot=3, ")),
        "{then:?}"
    );
}

#[test]
fn two_values_under_one_ballot_halt_a_node() {
    let request = Proposal::Request {
        client: synod::ClientId(1),
        number: synod::RequestNumber(1),
        command: 0,
    };
    let in_flight = [forged_accept(Proposal::Noop), forged_accept(request)];
    let explorer = explorer(Scope::small()).with_in_flight(in_flight);
    let violation = search(&explorer, ALL, &Watch::default()).violation.unwrap();
    // This violation is nearer, because the request was not made yet.
    assert_eq!(violation.broken.invariant, Invariant::Validity);

    let mut world = explorer.start().clone();
    let ask = Action::Ask {
        node: NodeId(0),
        request: 0,
    };
    let in_flight: Vec<Action> = world
        .in_flight()
        .iter()
        .cloned()
        .map(Action::Deliver)
        .collect();
    for action in [&ask, &in_flight[0], &in_flight[1]] {
        assert!(world.broken().is_none() && explorer.can(&world, action));
        world = explorer.step(&world, action);
    }
    assert_eq!(world.broken().unwrap().invariant, Invariant::Halt);
    let mut actions = Vec::new();
    explorer.actions(&world, &mut actions);
    assert!(actions.is_empty(), "nothing follows a broken rule");
}

#[test]
fn walks_find_a_forged_promise_and_shrink_its_schedule() {
    let scope = Scope {
        nodes: 3,
        newcomers: 0,
        changes: 0,
        crashes: 0,
        ..Scope::large()
    };
    let explorer = explorer(scope).with_in_flight([forged_promise()]);
    let found = walks(&explorer, 0..=399, ALL, &Watch::default());
    let violation = found.violation.expect("a vote that is kept back is missed");
    assert!(
        matches!(
            violation.broken.invariant,
            Invariant::Succession | Invariant::Agreement
        ),
        "{}",
        violation.broken
    );
    assert!(violation.schedule.len() < 40, "{:?}", violation.schedule);
    for left_out in 0..violation.schedule.len() {
        let mut rest = violation.schedule.clone();
        rest.remove(left_out);
        let mut world = explorer.start().clone();
        for action in rest {
            if explorer.can(&world, &action) {
                world = explorer.step(&world, &action);
            }
        }
        let same = world
            .broken()
            .is_some_and(|broken| broken.invariant == violation.broken.invariant);
        assert!(!same || !world.is_within(), "step {left_out} is not needed");
    }

    // The walk finds the same violation when it is the first one.
    let seed = violation.seed.unwrap();
    assert!(seed > 0, "the first walk finds it, and nothing is compared");
    let scope = explorer.scope().clone();
    let alone = Explorer::new(scope)
        .unwrap()
        .with_in_flight([forged_promise()]);
    let again = walks(&alone, seed..=seed, ALL, &Watch::default())
        .violation
        .unwrap();
    assert_eq!(again.broken, violation.broken);
    assert_eq!(again.schedule, violation.schedule);
}

/// Returns scopes for walks that differ in nodes, crashes and network.
fn worlds() -> [Scope; 4] {
    let large = Scope::large();
    [
        large.clone(),
        Scope {
            crashes: 8,
            ..large.clone()
        },
        Scope {
            nodes: 5,
            claimants: 5,
            rounds: 8,
            crashes: 0,
            ..large.clone()
        },
        Scope {
            nodes: 2,
            claimants: 2,
            network: Network::Once,
            ..large
        },
    ]
}

#[test]
fn a_walk_does_not_depend_on_walks_before_or_beside_it() {
    const WALKS: u64 = 10;
    for scope in worlds() {
        let alone = |seed| walk::trace(&explorer(scope.clone()), seed);
        let alone: Vec<_> = (0..WALKS).map(alone).collect();
        let shared = explorer(scope.clone());
        for seed in (0..WALKS).rev() {
            let among = walk::trace(&shared, seed);
            let index = usize::try_from(seed).unwrap();
            assert!(among == alone[index], "walk {seed} through {scope:?}");
        }
        let shared = explorer(scope.clone());
        let (shared, alone) = (&shared, &alone);
        std::thread::scope(|threads| {
            for first in 0..4 {
                threads.spawn(move || {
                    for (seed, alone) in (0..).zip(alone).skip(first).step_by(3) {
                        let among = walk::trace(shared, seed);
                        assert!(among == *alone, "walk {seed} beside others");
                    }
                });
            }
        });
    }
}

#[test]
fn an_interned_node_does_not_depend_on_equal_nodes_interned_before() {
    use super::interning::{Internable, Interner};
    use super::world::StoredNode;
    // Two joining nodes that differ in their random draws and times, which the state of an exploration leaves out.
    let joining = |seed, at| StoredNode {
        node: Member::join(Config::new(NodeId(0), 2), seed, Instant::from_micros(at)).unwrap(),
        journal: None,
    };
    let (first, second) = (joining(6, 0), joining(7, 9));
    assert!(first.is(&second) && first.fingerprint() == second.fingerprint());
    let text = |stored: &StoredNode| format!("{:?}", stored.node);
    assert_ne!(text(&first), text(&second));
    let alone = Interner::default().intern(joining(7, 9));
    let shared = Interner::default();
    let _ = shared.intern(first);
    let after = shared.intern(second);
    assert_eq!(text(&after.value), text(&alone.value));
}

/// An interned value stands for all equal ones, which must therefore have the same successors.
#[test]
fn a_search_does_not_depend_on_states_visited_before() {
    let scope = Scope {
        nodes: 2,
        claimants: 2,
        rounds: 2,
        crashes: 1,
        timers: Timer::ALL.to_vec(),
        ..Scope::small()
    };
    let bounds = Bounds {
        depth: Some(9),
        ..ALL
    };
    let fresh = explorer(scope.clone());
    let first = search(&fresh, bounds, &Watch::default());
    let walked = explorer(scope);
    let _ = walks(&walked, 0..=99, ALL, &Watch::default());
    let second = search(&walked, bounds, &Watch::default());
    let counts = |found: &Explored| (found.states, found.unique, found.end, found.applied);
    assert_eq!(counts(&first), counts(&second));
}

#[test]
fn random_walks_violate_no_invariant() {
    let found = walks(&explorer(Scope::large()), 0..=59, ALL, &Watch::default());
    assert!(found.violation.is_none(), "{:?}", found.violation);
    assert_eq!(
        (found.end, found.walks, found.depth),
        (End::Walked, 60, 150)
    );
    assert!(found.applied >= 3, "the walks are too quiet: {found:?}");
    assert!(found.unique > 5_000, "the walks go in circles: {found:?}");
}

#[test]
fn every_peer_is_asked_for_some_random_choice() {
    for nodes in [2, 3, 4, 5] {
        let explorer = explorer(Scope {
            nodes,
            ..Scope::small()
        });
        for (id, node) in (0..).zip(explorer.start().nodes()) {
            let leader = (id + 1) % nodes;
            let decided = Message::Decision {
                ballot: Ballot::new(2, NodeId(leader)),
                decided: NEXT,
            };
            let (mut node, mut outbox) = (node.clone(), Outbox::<_, PAGE, 64>::new());
            let message = forged(nodes, leader, id, decided);
            node.handle_message(Instant::ZERO, &message, &mut outbox, &mut ());
            // The leader is asked first, and then any node.
            node.fire(Timer::Learn, 0, &mut outbox, &mut ());
            let asked = |chance| {
                let (mut node, mut outbox) = (node.clone(), Outbox::<_, PAGE, 64>::new());
                node.fire(Timer::Learn, chance, &mut outbox, &mut ());
                outbox.messages[0].to.bits()
            };
            let peers: BTreeSet<u64> = (0..Explorer::chances(Timer::Learn, &node))
                .map(asked)
                .collect();
            assert_eq!(peers.len(), usize::from(nodes) - 1, "NODE_{id} of {nodes}");
        }
    }
}

#[test]
fn a_waiting_request_or_read_is_handed_to_each_peer_by_some_random_choice() {
    for nodes in [2, 3, 4, 5] {
        let explorer = explorer(Scope {
            nodes,
            ..Scope::small()
        });
        for (id, node) in (0_u16..).zip(explorer.start().nodes()) {
            let (mut node, mut outbox) = (node.clone(), Outbox::<_, PAGE, 64>::new());
            let (client, number) = (synod::ClientId(1), synod::RequestNumber(1));
            node.request(Instant::ZERO, client, number, 0, &mut outbox, &mut ())
                .unwrap();
            node.read(Instant::ZERO, 1, &mut outbox, &mut ()).unwrap();
            // No leader is known. A new request waits for one more timer.
            node.fire(Timer::Propose, 0, &mut outbox, &mut ());
            for timer in [Timer::Propose, Timer::Read] {
                let handed = |chance| {
                    let (mut node, mut outbox) = (node.clone(), Outbox::<_, PAGE, 64>::new());
                    node.fire(timer, chance, &mut outbox, &mut ());
                    outbox.messages[0].to.bits()
                };
                let peers: BTreeSet<u64> =
                    (0..Explorer::chances(timer, &node)).map(handed).collect();
                assert_eq!(peers.len(), usize::from(nodes) - 1, "NODE_{id} of {nodes}");
            }
        }
    }
}

#[test]
fn a_failed_assertion_in_a_node_is_a_violation() {
    let explorer = explorer(Scope::small());
    let world = explorer.panicked(NodeId(1));
    assert_eq!(world.broken().unwrap().invariant, Invariant::Assertion);
}

#[test]
fn states_that_differ_only_in_their_history_are_equal() {
    let explorer = explorer(Scope {
        claimants: 2,
        ..Scope::small()
    });
    let fire = |node| Action::Fire {
        node: NodeId(node),
        timer: Timer::Election,
        chance: 0,
    };
    let step = |world: &World, node| explorer.step(world, &fire(node));
    let one = step(&step(explorer.start(), 0), 1);
    let other = step(&step(explorer.start(), 1), 0);
    assert!(one == other && one.fingerprint() == other.fingerprint());
    assert!(one != step(explorer.start(), 0));
    let crash = explorer.step(&one, &Action::Crash { node: NodeId(0) });
    assert!(one != crash, "a node that forgot its probe");
}

#[test]
fn newcomers_have_joined_before_the_start() {
    for (nodes, newcomers) in [(2, 1), (3, 1), (3, 2), (4, 1), (5, 2)] {
        let scope = Scope {
            nodes,
            newcomers,
            ..Scope::small()
        };
        let explorer = explorer(scope);
        assert_eq!(explorer.start().broken(), None, "{newcomers} of {nodes}");
        for (id, node) in (0..).zip(explorer.start().nodes()) {
            assert_eq!(node.applied(), Slot::new(2));
            assert_eq!(node.is_member(), id < nodes - newcomers);
        }
    }
}
