//! Planned faults in a simulated cluster: each has its effect for its duration, and the cluster recovers.

use crate::harness::trace::{EventKind, Trace, TracedEvent};
use synod::machines::Kv;
use synod::simulation::{
    Calm, Fault, Faults, Faulty, KvScript, Planned, Scenario, ScenarioError, Simulation, Target,
    Verdict, Weather,
};
use synod::{Digest, Duration, Instant, NodeId, NodeSet};

type Quiet = Simulation<Calm<Kv<16>, KvScript, 5, 1024>, 16, 16, 2>;
type Cluster = Simulation<Faulty<Kv<16>, KvScript, 5, 1024>, 16, 16, 2>;

const STACK: usize = 64 << 20;

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

/// Returns a fault that begins at a time and lasts for a time, both in milliseconds.
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

/// Returns a scenario of three nodes without message loss, whose clients are active for about ten seconds.
fn scenario() -> Scenario {
    let mut scenario = Scenario::of(6, 3);
    scenario.link.loss_ppm = 0;
    scenario.think = Duration::from_millis(800);
    scenario
}

/// Runs a closure on a stack with room for a simulation.
fn with_room<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(STACK);
    thread.spawn(work).unwrap().join().unwrap()
}

/// Runs a scenario with a fault plan to its end, which must be a good one.
fn run(scenario: &Scenario, plan: &[Planned]) -> Trace {
    let scenario = scenario.clone();
    let faults = Faults::new(&scenario, Weather::CALM, plan);
    with_room(move || {
        let mut cluster = Cluster::idle();
        cluster
            .start_against(&scenario, KvScript::new(11), faults)
            .unwrap();
        let mut trace = Trace::default();
        let verdict = cluster.run(&mut trace);
        let report = cluster.report();
        assert_eq!(verdict, Verdict::Done, "{report:?}");
        assert_eq!(report.right, 121);
        trace
    })
}

/// Returns the events of a node between two times, in milliseconds.
fn between(trace: &Trace, node: u16, from: u64, to: u64) -> impl Iterator<Item = &TracedEvent> {
    let events = trace
        .events
        .iter()
        .filter(move |traced| traced.node == node);
    events.filter(move |traced| (at(from)..at(to)).contains(&traced.at))
}

/// True if any message from one node reached another between two times.
fn delivers(trace: &Trace, from: u16, to: u16, begin: u64, end: u64) -> bool {
    let from = NodeId(from);
    between(trace, to, begin, end)
        .any(|traced| matches!(traced.event, EventKind::Received { from: who, .. } if who == from))
}

/// Returns the elections between two times: the leader and the round.
fn elected(trace: &Trace, begin: u64, end: u64) -> Vec<(u16, u64)> {
    let window = at(begin)..at(end);
    let events = trace
        .events
        .iter()
        .filter(|traced| window.contains(&traced.at));
    events
        .filter_map(|traced| match traced.event {
            EventKind::Adopted { ballot, .. } => Some((traced.node, ballot.round())),
            _ => None,
        })
        .collect()
}

#[test]
fn an_empty_fault_plan_changes_nothing() {
    let scenario = Scenario::of(6, 3);
    let (plain, calm) = with_room(move || {
        let (mut plain, mut calm) = (Digest::new(), Digest::new());
        let mut cluster = Quiet::new(&scenario, KvScript::new(11)).unwrap();
        assert_eq!(cluster.run(&mut plain), Verdict::Done);
        let faults = Faults::new(&scenario, Weather::CALM, &[]);
        let mut cluster = Cluster::idle();
        cluster
            .start_against(&scenario, KvScript::new(11), faults)
            .unwrap();
        assert_eq!(cluster.run(&mut calm), Verdict::Done);
        (plain, calm)
    });
    assert_eq!(plain, calm);
}

#[test]
fn s1_a_restarted_leader_claims_with_an_unused_round() {
    let trace = run(
        &scenario(),
        &[planned(3_000, 100, Fault::Crash(Target::Leader))],
    );
    let restarted = trace
        .events
        .iter()
        .find(|traced| traced.event == EventKind::Restarted);
    assert_eq!(restarted.unwrap().at, at(3_100));
    let rounds: Vec<u64> = elected(&trace, 0, 60_000).iter().map(|won| won.1).collect();
    assert!(rounds.len() >= 2, "a node leads again");
    assert!(rounds.is_sorted_by(|one, next| one < next), "{rounds:?}");
}

#[test]
fn d1_a_cluster_that_loses_power_resumes_where_it_was() {
    let plan = [0, 1, 2].map(|number| planned(3_000, 700, Fault::Crash(node(number))));
    let trace = run(&scenario(), &plan);
    for number in 0..3 {
        assert_eq!(between(&trace, number, 3_001, 3_700).count(), 0);
        assert!(
            between(&trace, number, 3_700, 3_701)
                .any(|traced| traced.event == EventKind::Restarted)
        );
    }
}

#[test]
fn a_founder_that_loses_power_before_the_founding_founds_later() {
    let trace = run(&scenario(), &[planned(5, 2_000, Fault::Crash(node(0)))]);
    assert!(elected(&trace, 0, 2_000).is_empty());
}

#[test]
fn l6_a_leader_in_the_minority_steps_down_and_the_majority_elects_another() {
    let side = Fault::Partition(nodes([0]));
    let trace = run(&scenario(), &[planned(3_000, 4_000, side)]);
    assert_eq!(
        elected(&trace, 0, 3_000),
        [(0, 1)],
        "node 0 founds and leads"
    );
    assert!(!delivers(&trace, 0, 1, 3_060, 7_000) && !delivers(&trace, 2, 0, 3_060, 7_000));
    assert!(delivers(&trace, 1, 2, 3_060, 7_000));
    assert!(
        between(&trace, 0, 3_000, 7_000)
            .any(|traced| matches!(traced.event, EventKind::SteppedDown(_)))
    );
    let others = elected(&trace, 3_000, 7_000);
    assert!(!others.is_empty() && others.iter().all(|won| won.0 != 0));
    assert!(delivers(&trace, 0, 1, 7_000, 60_000), "the cut ends");
}

#[test]
fn l6_a_leader_that_receives_nothing_steps_down() {
    let deaf = Fault::OneWay {
        from: nodes([1, 2]),
        to: nodes([0]),
    };
    let trace = run(&scenario(), &[planned(3_000, 4_000, deaf)]);
    assert!(delivers(&trace, 0, 1, 3_060, 4_000) && !delivers(&trace, 1, 0, 3_060, 7_000));
    assert!(
        between(&trace, 0, 3_000, 7_000)
            .any(|traced| matches!(traced.event, EventKind::SteppedDown(_)))
    );
    assert!(elected(&trace, 3_000, 7_000).iter().any(|won| won.0 != 0));
}

#[test]
fn a_leader_that_reaches_both_sides_of_a_partial_partition_stays() {
    let cut = Fault::Partial {
        one: nodes([1]),
        other: nodes([2]),
    };
    let trace = run(&scenario(), &[planned(3_000, 4_000, cut)]);
    assert!(!delivers(&trace, 1, 2, 3_060, 7_000) && !delivers(&trace, 2, 1, 3_060, 7_000));
    assert!(delivers(&trace, 0, 1, 3_060, 7_000) && delivers(&trace, 0, 2, 3_060, 7_000));
    assert_eq!(elected(&trace, 0, 7_000), [(0, 1)]);
}

#[test]
fn messages_on_a_clogged_link_arrive_when_it_clears() {
    let clog = Fault::Clog {
        from: nodes([0]),
        to: nodes([1]),
    };
    let trace = run(&scenario(), &[planned(3_000, 1_000, clog)]);
    assert!(!delivers(&trace, 0, 1, 3_060, 4_000) && delivers(&trace, 0, 2, 3_060, 4_000));
    assert!(delivers(&trace, 0, 1, 4_000, 4_001));
    assert!(
        trace
            .events
            .iter()
            .any(|traced| matches!(traced.event, EventKind::Delayed(_)))
    );
}

#[test]
fn a_paused_node_does_nothing_until_it_resumes() {
    let trace = run(&scenario(), &[planned(3_000, 2_000, Fault::Pause(node(0)))]);
    let network = |traced: &&TracedEvent| traced.role != synod::Role::Network;
    assert_eq!(between(&trace, 0, 3_001, 5_000).filter(network).count(), 0);
    let woken = between(&trace, 0, 5_000, 5_001).filter(network).count();
    assert!(woken > 0, "what came meanwhile waited for it");
    assert!(elected(&trace, 3_000, 5_500).iter().any(|won| won.0 != 0));
}

#[test]
fn a_clock_jump_makes_only_its_own_node_suspect_the_leader() {
    let jump = Fault::Jump {
        target: node(1),
        by_micros: 5_000_000,
    };
    let trace = run(&scenario(), &[planned(3_000, 0, jump)]);
    let suspects = |number| {
        between(&trace, number, 3_000, 3_200)
            .any(|traced| matches!(traced.event, EventKind::Suspected(_)))
    };
    assert!(suspects(1) && !suspects(2));
    assert_eq!(
        elected(&trace, 3_000, 60_000),
        [],
        "L7: its probe is refused"
    );
}

#[test]
fn a_slow_clock_makes_heartbeats_rarer() {
    let beats = |rate_ppm| {
        let target = node(0);
        let skew = Fault::Skew { target, rate_ppm };
        let trace = run(&scenario(), &[planned(2_000, 4_000, skew)]);
        let sent = |traced: &&TracedEvent| {
            matches!(
                traced.event,
                EventKind::Sent {
                    kind: synod::MessageKind::Heartbeat,
                    ..
                }
            )
        };
        between(&trace, 0, 2_000, 6_000).filter(sent).count()
    };
    let (slow, fast) = (beats(-400_000), beats(400_000));
    assert!(slow * 3 < fast * 2, "{slow} and {fast}");
}

#[test]
fn a_plan_that_names_an_unknown_node_is_refused() {
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
        let started =
            with_room(move || Cluster::idle().start_against(&scenario, KvScript::new(11), faults));
        assert_eq!(started, Err(ScenarioError::NoSuchNode(NodeId(3))));
    }
}
