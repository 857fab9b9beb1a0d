//! Whole simulated runs without planned faults: many seeds and cluster sizes, determinism, and the ends of runs.

use core::fmt::Write;
use synod::machines::{Bank, Kv};
use synod::simulation::{
    BankScript, Bound, Calm, Kill, KvScript, Link, Placement, Report, Scenario, Simulation, Target,
    Verdict, Workload,
};
use synod::{Digest, Duration, Instant, NodeId, StateMachine};

/// A simulation is a large value, and a debug build copies it on the way to its place.
const STACK: usize = 256 << 20;

/// The verdict, report and digest of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    verdict: Verdict,
    report: Report,
    digest: Digest,
}

fn run_machine<M, L>(scenario: Scenario, workload: L) -> Run
where
    M: StateMachine,
    L: Workload<M> + Send + 'static,
{
    let run = move || {
        let mut simulation =
            Simulation::<Calm<M, L, 31, 8192>, 16, 16, 2>::new(&scenario, workload).unwrap();
        let mut digest = Digest::new();
        let verdict = simulation.run(&mut digest);
        Run {
            verdict,
            report: simulation.report(),
            digest,
        }
    };
    let thread = std::thread::Builder::new().stack_size(STACK);
    thread.spawn(run).unwrap().join().unwrap()
}

fn run(scenario: Scenario) -> Run {
    run_machine::<Kv<64>, _>(scenario, KvScript::new(11))
}

fn assert_done(run: &Run, what: &str) {
    assert_eq!(run.verdict, Verdict::Done, "{what}: {:?}", run.report);
    let report = run.report;
    assert_eq!(report.right, report.expected, "{what}");
    assert!(report.agree && report.joined == report.live, "{what}");
}

fn with_loss(seed: u64, nodes: u16, percent: u32) -> Scenario {
    let mut scenario = Scenario::of(seed, nodes);
    scenario.link.loss_ppm = percent * 10_000;
    scenario
}

#[test]
fn the_default_run_answers_everything_under_many_seeds() {
    for seed in 0..40 {
        let run = run(Scenario::new(seed));
        assert_done(&run, &format!("seed {seed}"));
        assert_eq!((run.report.right, run.report.joined), (121, 14));
    }
}

#[test]
fn every_size_at_every_loss() {
    for nodes in [1, 2, 3, 4, 5, 7, 31] {
        for percent in [0, 5, 20] {
            let seed = u64::from(nodes) * 100 + u64::from(percent);
            let run = run(with_loss(seed, nodes, percent));
            assert_done(
                &run,
                &format!("{nodes} nodes, {percent} % lost, seed {seed}"),
            );
        }
    }
}

#[test]
fn small_clusters_under_many_seeds() {
    for seed in 0..100 {
        for (nodes, percent) in [(2, 20), (3, 5), (3, 20), (5, 20)] {
            let run = run(with_loss(seed, nodes, percent));
            assert_done(
                &run,
                &format!("{nodes} nodes, {percent} % lost, seed {seed}"),
            );
        }
    }
}

#[test]
fn the_leader_is_killed_at_many_moments() {
    let mut killed = 0;
    for (nodes, seeds) in [(3, 120), (5, 60), (14, 12)] {
        for seed in 0..seeds {
            let mut scenario = Scenario::of(seed, nodes);
            let at = Instant::ZERO + Duration::from_millis(29 * seed);
            let target = Target::Leader;
            scenario.kills.push(Kill { target, at }).unwrap();
            let run = run(scenario);
            assert_done(&run, &format!("{nodes} nodes, leader killed, seed {seed}"));
            killed += u64::from(run.report.live == nodes - 1);
        }
    }
    assert!(
        killed >= 150,
        "{killed} of 192 runs lost their leader before they were done"
    );
}

#[test]
fn spread_clients_survive_the_crash_of_their_node() {
    for seed in 0..10 {
        let mut scenario = Scenario::of(seed, 5);
        scenario.placement = Placement::Spread;
        for (node, millis) in [(1, 1_500), (3, 2_500)] {
            let (target, at) = (
                Target::Node(NodeId(node)),
                Instant::ZERO + Duration::from_millis(millis),
            );
            scenario.kills.push(Kill { target, at }).unwrap();
        }
        assert_done(&run(scenario), &format!("seed {seed}"));
    }
}

#[test]
fn the_bank_keeps_its_books() {
    for seed in 0..10 {
        let run = run_machine::<Bank<64>, _>(Scenario::of(seed, 5), BankScript::new(16));
        assert_done(&run, &format!("seed {seed}"));
        assert_eq!(run.report.right, 11 * 16);
    }
}

#[test]
fn the_digest_depends_on_the_seed_alone() {
    let [first, again, other] = [6, 6, 7].map(|seed| run(Scenario::new(seed)));
    assert_eq!(first, again);
    assert_ne!(first.digest, other.digest);
}

#[test]
fn a_run_that_cannot_end_reports_the_bound_that_it_reached() {
    let mut scenario = Scenario::new(6);
    scenario.events_max = 100;
    let few = run(scenario);
    assert_eq!(few.verdict, Verdict::Stalled(Bound::Events));
    assert_eq!(few.report.events, 100);
    let mut scenario = Scenario::new(6);
    scenario.time_max = Duration::from_millis(500);
    let short = run(scenario);
    assert_eq!(short.verdict, Verdict::Stalled(Bound::Time));
    assert!(short.report.at <= Instant::ZERO + Duration::from_millis(500));
    let mut scenario = Scenario::of(6, 3);
    scenario.link.loss_ppm = Link::LOSS_MAX;
    scenario.time_max = Duration::from_secs(20);
    assert_eq!(run(scenario).verdict, Verdict::Stalled(Bound::Time));
}

#[test]
fn a_cluster_without_a_quorum_stalls() {
    let mut scenario = Scenario::of(6, 3);
    scenario.time_max = Duration::from_secs(30);
    for node in [0, 1] {
        let (target, at) = (
            Target::Node(NodeId(node)),
            Instant::ZERO + Duration::from_millis(600),
        );
        scenario.kills.push(Kill { target, at }).unwrap();
    }
    let run = run(scenario);
    assert_eq!(run.verdict, Verdict::Stalled(Bound::Time));
    assert!(run.report.answered < run.report.expected);
}

/// Compares the digests of a few runs with those in `golden/digests.txt`; the environment variable `UPDATE_GOLDEN=1`
/// rewrites the file. A change of a digest is a change of behaviour: the commit message must give the reason.
#[test]
fn the_digests_match_the_golden_file() {
    let mut found = String::new();
    for (nodes, percent, seeds) in [(1, 0, 1), (3, 0, 2), (3, 5, 3), (5, 20, 3), (14, 5, 2)] {
        for seed in 0..seeds {
            let Run { report, digest, .. } = run(with_loss(seed, nodes, percent));
            let (at, events) = (report.at, report.events);
            writeln!(
                found,
                "nodes={nodes} loss={percent}% seed={seed} events={events} at={at} digest={digest}"
            )
            .unwrap();
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/digests.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &found).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap();
    assert_eq!(
        found, golden,
        "what nodes do has changed: see this test's documentation"
    );
}
