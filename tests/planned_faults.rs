//! Faults in a simulated cluster: each does what it says, for as long as it says, and the cluster gets over it.

use crate::harness::trace::{Fact, Log, What};
use synod::machines::Kv;
use synod::simulation::{
    Fault, Faults, KvScript, Planned, Scenario, ScenarioError, Simulation, Target, Verdict, Weather,
};
use synod::{Digest, Duration, Instant, NodeId, NodeSet};

type Cluster<N> = Simulation<Kv<16>, KvScript, 16, 16, 2, 5, 1024, N>;

const STACK: usize = 64 << 20;

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

/// A fault that begins at a time and lasts for another, both in milliseconds.
fn planned(begins: u64, lasts: u64, fault: Fault) -> Planned {
    Planned {
        at: at(begins),
        lasts: Some(Duration::from_millis(lasts)),
        fault,
    }
}

fn node(number: u16) -> Target {
    Target::Node(NodeId(number))
}

fn nodes<const N: usize>(numbers: [u16; N]) -> NodeSet {
    numbers.into_iter().map(NodeId).collect()
}

/// Three nodes that lose nothing, and clients that are at work for some ten seconds.
fn scenario() -> Scenario {
    let mut scenario = Scenario::of(6, 3);
    scenario.link.loss_ppm = 0;
    scenario.think = Duration::from_millis(800);
    scenario
}

/// Does something with a stack that has room for a simulation.
fn with_room<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(STACK);
    thread.spawn(work).unwrap().join().unwrap()
}

/// Runs a scenario against a plan to its end, which must be a good one.
fn run(scenario: &Scenario, plan: &[Planned]) -> Log {
    let scenario = scenario.clone();
    let faults = Faults::new(&scenario, Weather::CALM, plan);
    with_room(move || {
        let mut cluster = Cluster::<Faults>::idle();
        cluster
            .start_against(&scenario, KvScript::new(11), faults)
            .unwrap();
        let mut log = Log::default();
        let verdict = cluster.run(&mut log);
        let report = cluster.report();
        assert_eq!(verdict, Verdict::Done, "{report:?}");
        assert_eq!(report.right, 121);
        log
    })
}

/// The facts of a node between two times, in milliseconds.
fn between(log: &Log, node: u16, from: u64, to: u64) -> impl Iterator<Item = &Fact> {
    let facts = log.facts.iter().filter(move |fact| fact.node == node);
    facts.filter(move |fact| (at(from)..at(to)).contains(&fact.at))
}

/// Whether anything got from one node to another between two times.
fn hears(log: &Log, from: u16, to: u16, begin: u64, end: u64) -> bool {
    let from = NodeId(from);
    between(log, to, begin, end)
        .any(|fact| matches!(fact.what, What::Received { from: who, .. } if who == from))
}

/// Who won ballots between two times, and which.
fn elected(log: &Log, begin: u64, end: u64) -> Vec<(u16, u64)> {
    let window = at(begin)..at(end);
    let facts = log.facts.iter().filter(|fact| window.contains(&fact.at));
    facts
        .filter_map(|fact| match fact.what {
            What::Adopted { ballot, .. } => Some((fact.node, ballot.round())),
            _ => None,
        })
        .collect()
}

#[test]
fn a_nemesis_that_does_nothing_changes_nothing() {
    let scenario = Scenario::of(6, 3);
    let (plain, calm) = with_room(move || {
        let (mut plain, mut calm) = (Digest::new(), Digest::new());
        let mut cluster = Cluster::new(&scenario, KvScript::new(11)).unwrap();
        assert_eq!(cluster.run(&mut plain), Verdict::Done);
        let faults = Faults::new(&scenario, Weather::CALM, &[]);
        let mut cluster = Cluster::<Faults>::idle();
        cluster
            .start_against(&scenario, KvScript::new(11), faults)
            .unwrap();
        assert_eq!(cluster.run(&mut calm), Verdict::Done);
        (plain, calm)
    });
    assert_eq!(plain, calm);
}

#[test]
fn s1_a_leader_that_starts_again_claims_with_a_round_that_it_never_used() {
    let log = run(
        &scenario(),
        &[planned(3_000, 100, Fault::Crash(Target::Leader))],
    );
    let restarted = log.facts.iter().find(|fact| fact.what == What::Restarted);
    assert_eq!(restarted.unwrap().at, at(3_100));
    let rounds: Vec<u64> = elected(&log, 0, 60_000).iter().map(|won| won.1).collect();
    assert!(rounds.len() >= 2, "somebody leads again");
    assert!(rounds.is_sorted_by(|one, next| one < next), "{rounds:?}");
}

#[test]
fn d1_a_whole_cluster_that_loses_power_goes_on_where_it_was() {
    let plan = [0, 1, 2].map(|number| planned(3_000, 700, Fault::Crash(node(number))));
    let log = run(&scenario(), &plan);
    for number in 0..3 {
        assert_eq!(between(&log, number, 3_001, 3_700).count(), 0);
        assert!(between(&log, number, 3_700, 3_701).any(|fact| fact.what == What::Restarted));
    }
}

#[test]
fn a_founder_that_loses_power_before_it_has_founded_anything_founds_it_later() {
    let log = run(&scenario(), &[planned(5, 2_000, Fault::Crash(node(0)))]);
    assert!(elected(&log, 0, 2_000).is_empty());
}

#[test]
fn l6_a_leader_on_the_smaller_side_steps_down_and_the_larger_side_elects_another() {
    let side = Fault::Partition(nodes([0]));
    let log = run(&scenario(), &[planned(3_000, 4_000, side)]);
    assert_eq!(elected(&log, 0, 3_000), [(0, 1)], "node 0 founds and leads");
    assert!(!hears(&log, 0, 1, 3_060, 7_000) && !hears(&log, 2, 0, 3_060, 7_000));
    assert!(hears(&log, 1, 2, 3_060, 7_000));
    assert!(between(&log, 0, 3_000, 7_000).any(|fact| matches!(fact.what, What::SteppedDown(_))));
    let others = elected(&log, 3_000, 7_000);
    assert!(!others.is_empty() && others.iter().all(|won| won.0 != 0));
    assert!(hears(&log, 0, 1, 7_000, 60_000), "the cut ends");
}

#[test]
fn l6_a_leader_that_can_send_but_not_hear_steps_down() {
    let deaf = Fault::OneWay {
        from: nodes([1, 2]),
        to: nodes([0]),
    };
    let log = run(&scenario(), &[planned(3_000, 4_000, deaf)]);
    assert!(hears(&log, 0, 1, 3_060, 4_000) && !hears(&log, 1, 0, 3_060, 7_000));
    assert!(between(&log, 0, 3_000, 7_000).any(|fact| matches!(fact.what, What::SteppedDown(_))));
    assert!(elected(&log, 3_000, 7_000).iter().any(|won| won.0 != 0));
}

#[test]
fn a_leader_that_both_sides_of_a_partial_cut_hear_goes_on() {
    let cut = Fault::Partial {
        one: nodes([1]),
        other: nodes([2]),
    };
    let log = run(&scenario(), &[planned(3_000, 4_000, cut)]);
    assert!(!hears(&log, 1, 2, 3_060, 7_000) && !hears(&log, 2, 1, 3_060, 7_000));
    assert!(hears(&log, 0, 1, 3_060, 7_000) && hears(&log, 0, 2, 3_060, 7_000));
    assert_eq!(elected(&log, 0, 7_000), [(0, 1)]);
}

#[test]
fn what_is_stuck_arrives_when_it_comes_loose() {
    let clog = Fault::Clog {
        from: nodes([0]),
        to: nodes([1]),
    };
    let log = run(&scenario(), &[planned(3_000, 1_000, clog)]);
    assert!(!hears(&log, 0, 1, 3_060, 4_000) && hears(&log, 0, 2, 3_060, 4_000));
    assert!(hears(&log, 0, 1, 4_000, 4_001));
    assert!(
        log.facts
            .iter()
            .any(|fact| matches!(fact.what, What::Delayed(_)))
    );
}

#[test]
fn a_node_that_stands_still_does_nothing_until_it_goes_on() {
    let log = run(&scenario(), &[planned(3_000, 2_000, Fault::Pause(node(0)))]);
    let network = |fact: &&Fact| fact.role != synod::Role::Network;
    assert_eq!(between(&log, 0, 3_001, 5_000).filter(network).count(), 0);
    let woken = between(&log, 0, 5_000, 5_001).filter(network).count();
    assert!(woken > 0, "what came meanwhile waited for it");
    assert!(elected(&log, 3_000, 5_500).iter().any(|won| won.0 != 0));
}

#[test]
fn a_clock_that_jumps_makes_its_node_miss_the_leader_and_nobody_else() {
    let jump = Fault::Jump {
        target: node(1),
        by_micros: 5_000_000,
    };
    let log = run(&scenario(), &[planned(3_000, 0, jump)]);
    let suspects = |number| {
        between(&log, number, 3_000, 3_200).any(|fact| matches!(fact.what, What::Suspected(_)))
    };
    assert!(suspects(1) && !suspects(2));
    assert_eq!(elected(&log, 3_000, 60_000), [], "L7: its probe is refused");
}

#[test]
fn a_slow_clock_makes_signs_of_life_rarer() {
    let beats = |rate_ppm| {
        let target = node(0);
        let skew = Fault::Skew { target, rate_ppm };
        let log = run(&scenario(), &[planned(2_000, 4_000, skew)]);
        let sent = |fact: &&Fact| {
            matches!(
                fact.what,
                What::Sent {
                    kind: synod::MessageKind::Heartbeat,
                    ..
                }
            )
        };
        between(&log, 0, 2_000, 6_000).filter(sent).count()
    };
    let (slow, fast) = (beats(-400_000), beats(400_000));
    assert!(slow * 3 < fast * 2, "{slow} and {fast}");
}

#[test]
fn a_plan_that_names_a_node_that_is_not_there_is_refused() {
    let scenario = scenario();
    for fault in [
        Fault::Pause(node(3)),
        Fault::Partition(nodes([0, 3])),
        Fault::Clog {
            from: nodes([0]),
            to: nodes([3]),
        },
    ] {
        let faults = Faults::new(&scenario, Weather::CALM, &[planned(0, 1, fault)]);
        let scenario = scenario.clone();
        let started = with_room(move || {
            Cluster::<Faults>::idle().start_against(&scenario, KvScript::new(11), faults)
        });
        assert_eq!(started, Err(ScenarioError::NoSuchNode(NodeId(3))));
    }
}
