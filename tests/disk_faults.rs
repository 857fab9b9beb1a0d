//! Disk faults in simulated clusters: slow, full, torn, failing and rotting disks, on which nothing that was
//! announced is lost.

use synod::machines::Kv;
use synod::simulation::{
    Disks, Fault, Faults, Fixed, Invariants, KvScript, Planned, Rule, Scenario, Setting,
    Simulation, Target, Verdict, Violation, Weather,
};
use synod::storage::{Journal, Opened, Storage};
use synod::{Duration, Instant, NodeId};

const WINDOW: usize = 4;
const CLIENTS: usize = 4;
const NODES: usize = 3;
/// Little more than four checkpoints, in bytes, so that checkpoints are frequent.
const BYTES: usize = 10_240;

type Machine = Kv<4>;
type Store = Disks<NODES, BYTES>;
type Cluster = Simulation<OnDisks, WINDOW, CLIENTS, 2>;
type Checkers = Invariants<OnDisks, WINDOW, CLIENTS, 2>;

#[derive(Debug)]
struct OnDisks;

impl Setting<WINDOW, CLIENTS, 2> for OnDisks {
    type Machine = Machine;
    type Workload = KvScript;
    type Nemesis = Faults;
    type Stores = Store;
    type Room = Fixed<NODES, 256, 256>;
}

fn with_room<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(64 << 20);
    thread.spawn(work).unwrap().join().unwrap()
}

fn scenario(run_seed: u64) -> Scenario {
    let mut scenario = Scenario::of(run_seed, 3);
    scenario.link.loss_ppm = 0;
    scenario.clients = 2;
    scenario
}

fn planned(begins: u64, lasts: u64, fault: Fault) -> Planned {
    Planned {
        at: Instant::ZERO + Duration::from_millis(begins),
        lasts: Some(Duration::from_millis(lasts)),
        fault,
    }
}

fn node(number: u16) -> Target {
    Target::Node(NodeId(number))
}

fn start(cluster: &mut Cluster, run_seed: u64, requests: u32, plan: &[Planned]) {
    let scenario = scenario(run_seed);
    let faults = Faults::new(&scenario, Weather::CALM, plan);
    cluster
        .start_against(&scenario, KvScript::new(requests), faults)
        .unwrap();
}

/// Runs to the end, which must be a good one, and checks the invariants.
fn finish(cluster: &mut Cluster, checkers: &mut Checkers) {
    let verdict = cluster.run_observed(&mut (), checkers);
    let report = cluster.report();
    assert_eq!(verdict, Verdict::Done, "{report:?}");
    assert_eq!(report.right, report.expected);
    assert_eq!(checkers.ended(cluster.nodes()), Ok(()));
}

fn run(requests: u32, plan: &[Planned]) -> Box<Cluster> {
    let plan = plan.to_vec();
    with_room(move || {
        let mut cluster = Box::new(Cluster::idle());
        start(&mut cluster, 6, requests, &plan);
        let mut checkers = Checkers::new();
        finish(&mut cluster, &mut checkers);
        assert_eq!(checkers.seen().unchecked_total(), 0);
        cluster
    })
}

#[test]
fn t5_storage_stays_within_its_capacity_for_as_long_as_a_cluster_runs() {
    let cluster = run(400, &[]);
    let mark = cluster.marks().find(|mark| mark.name == "storage").unwrap();
    assert_eq!(mark.capacity, BYTES);
    assert!(mark.peak > BYTES / 3 && mark.peak <= BYTES, "{mark:?}");
    let checkpoints = cluster.stores().figures().checkpoints;
    assert!(checkpoints > 20, "{checkpoints}");
}

#[test]
fn what_slow_disks_gather_leaves_together() {
    let slow = |number| Fault::SlowDisk {
        target: node(number),
        sync: Duration::from_millis(80),
    };
    let plan: Vec<_> = (0..3)
        .map(|number| planned(0, 8_000, slow(number)))
        .collect();
    let cluster = run(60, &plan);
    let report = cluster.report();
    assert!(report.grouped > 10, "{report:?}");
    let fast = run(20, &[]);
    assert_eq!(fast.report().grouped, 0);
    assert!(
        fast.report().at < report.at,
        "disks that take no time cost none"
    );
}

#[test]
fn d1_what_power_took_before_it_was_synced_was_never_said() {
    // The leader's disk is so slow that it loses power repeatedly with much pending output.
    let mut plan = vec![planned(
        0,
        12_600,
        Fault::SlowDisk {
            target: node(0),
            sync: Duration::from_millis(150),
        },
    )];
    for crash in 1..14 {
        plan.push(planned(900 * crash, 200, Fault::Crash(node(0))));
    }
    let cluster = run(60, &plan);
    assert!(
        cluster.stores().figures().torn > 3,
        "{:?}",
        cluster.stores().figures()
    );
}

#[test]
fn d1_a_founder_whose_founding_is_not_written_founds_once_more() {
    // Nodes that were told of a founding that never happened would wait for ever.
    let cluster = run(5, &[planned(0, 1_500, Fault::FullDisk(node(0)))]);
    assert_eq!(cluster.stores().figures().full, 1);
    assert_eq!(cluster.report().joined, 3);
}

#[test]
fn d2_a_node_whose_disk_rots_never_votes_again() {
    let cluster = run(20, &[planned(2_000, 500, Fault::Rot(node(1)))]);
    let voters: Vec<_> = cluster.nodes().map(synod::Node::is_voter).collect();
    assert_eq!(voters, [true, false, true]);
    let disk = cluster.stores().disk(NodeId(1)).unwrap().clone();
    let config = cluster.node(NodeId(1)).unwrap().config().clone();
    let opened = Journal::open::<Machine, WINDOW, CLIENTS>(disk, config).unwrap();
    assert!(
        matches!(opened, Opened::Damaged(_)),
        "nobody touched it since"
    );
}

/// Cuts the power during each single operation of each disk of a run, and runs to the end each time.
#[test]
fn d2_power_may_fail_in_every_operation_of_every_disk() {
    // A node without power has it back at the next of these times.
    let end = |tick: u64, number| {
        let fault = Fault::SlowDisk {
            target: node(number),
            sync: Duration::ZERO,
        };
        planned(0, 400 * tick, fault)
    };
    let points = with_room(move || {
        let mut cluster = Box::new(Cluster::idle());
        let mut checkers = Box::new(Checkers::new());
        let (mut points, mut torn, mut checkpoints) = (0, 0, 0);
        for number in 0..3 {
            let plan: Vec<_> = (1..=20).map(|tick| end(tick, number)).collect();
            let (node, mut cut) = (NodeId(number), 0);
            loop {
                start(&mut cluster, 6 + cut, 36, &plan);
                checkers.reset();
                while cluster.now() == Instant::ZERO {
                    assert_eq!(cluster.step_observed(&mut (), &mut *checkers), None);
                }
                let disk = cluster.stores_mut().disk_mut(node).unwrap();
                disk.cut_power_in(cut);
                finish(&mut cluster, &mut checkers);
                assert_eq!(checkers.seen().unchecked_total(), 0);
                let figures = cluster.stores().figures();
                if checkers.seen().checked(Rule::Forgotten) == 0 {
                    break;
                }
                torn += figures.torn;
                checkpoints += figures.checkpoints;
                cut += 1;
            }
            points += cut;
        }
        assert!(torn * 4 > points, "{torn} of {points} lost anything");
        assert!(checkpoints > points, "{checkpoints}");
        points
    });
    println!("power failed at {points} points, each in a run of its own");
    assert!(points > 600, "{points}");
    synod_figures::assert_shown("cuts-disks", &synod_figures::grouped(points));
}

/// Checks that a journal needs no more capacity from a disk than from any other storage.
#[test]
fn a_disk_has_the_capacity_that_a_journal_needs() {
    let least = Journal::<synod::simulation::Disk<BYTES>>::checkpoint_max::<Machine, WINDOW>(8);
    let disk = synod::simulation::Disk::<BYTES>::new();
    assert!(least * 4 <= disk.capacity(), "{least}");
}

/// Returns how a run ends in which the disk of node 1 is wiped while the node is down.
fn wiped(fault: Fault) -> Verdict {
    with_room(move || {
        let mut cluster = Box::new(Cluster::idle());
        start(&mut cluster, 6, 20, &[planned(2_000, 500, fault)]);
        loop {
            if let Some(verdict) = cluster.step(&mut ()) {
                return verdict;
            }
            if (2_100..2_400).contains(&(cluster.now().as_micros() / 1_000)) {
                cluster.stores_mut().disk_mut(NodeId(1)).unwrap().replace();
            }
        }
    })
}

#[test]
fn d3_storage_that_is_gone_without_rot_is_a_broken_rule() {
    let node = NodeId(1);
    let lost = Verdict::Violated(Violation::StorageLost { node });
    assert_eq!(wiped(Fault::Crash(Target::Node(node))), lost);
    assert_eq!(wiped(Fault::Rot(Target::Node(node))), Verdict::Done);
}

#[test]
fn t5_a_sound_disk_without_room_is_a_broken_rule() {
    let verdict = |bytes| {
        with_room(move || {
            let mut cluster = Box::new(Cluster::idle_on(Store::sized(bytes)));
            start(&mut cluster, 6, 40, &[]);
            cluster.run(&mut ())
        })
    };
    let least = Journal::<synod::simulation::Disk<BYTES>>::checkpoint_max::<Machine, WINDOW>(4) * 4;
    assert_eq!(verdict(least), Verdict::Done);
    let full = verdict(least / 2);
    assert!(
        matches!(full, Verdict::Violated(Violation::StorageFull { .. })),
        "{full:?}"
    );
    let full = planned(1_000, 400, Fault::FullDisk(node(1)));
    assert_eq!(
        run(20, &[full]).stores().figures().full,
        1,
        "and is none where it was filled"
    );
}

/// A window whose decisions take more than one message: if one of them is lost or late, the others are known beyond a
/// gap.
const WIDE: usize = 16;

type WideStore = Disks<NODES, 20_480>;
type WideCluster = Simulation<OnWideDisks, WIDE, CLIENTS, 2>;

#[derive(Debug)]
struct OnWideDisks;

impl Setting<WIDE, CLIENTS, 2> for OnWideDisks {
    type Machine = Machine;
    type Workload = KvScript;
    type Nemesis = Faults;
    type Stores = WideStore;
    type Room = Fixed<NODES, 256, 512>;
}

/// Nodes lose power during checkpoints, with gaps in the log and with superseded votes, on disks with just enough room.
#[test]
fn power_losses_in_checkpoints_over_gaps_and_superseded_votes_lose_nothing() {
    let [checkpoints, over_gaps, overruled] = with_room(|| {
        let mut sum = [0; 3];
        let least = Journal::<synod::simulation::Disk<BYTES>>::checkpoint_max::<Machine, WIDE>(4);
        let mut cluster = Box::new(WideCluster::idle_on(WideStore::sized(least * 4)));
        for seed in 0..40 {
            let mut scenario = scenario(seed);
            scenario.link.loss_ppm = 100_000;
            scenario.clients = 4;
            scenario.think = Duration::from_millis(50);
            let torn = |number: u16| {
                let begins = 700 * u64::from(number);
                planned(begins, 600, Fault::Torn(node(number % 3)))
            };
            let cut = |number: u16| {
                let side = [NodeId(number % 3)].into_iter().collect();
                planned(2_000 * u64::from(number), 900, Fault::Partition(side))
            };
            let plan: Vec<_> = (0..20).map(torn).chain((0..7).map(cut)).collect();
            let faults = Faults::new(&scenario, Weather::CALM, &plan);
            let workload = KvScript::new(100);
            cluster.start_against(&scenario, workload, faults).unwrap();
            let mut checkers = Invariants::<OnWideDisks, WIDE, CLIENTS, 2>::new();
            let verdict = cluster.run_observed(&mut (), &mut checkers);
            let report = cluster.report();
            assert_eq!(verdict, Verdict::Done, "seed {seed}: {report:?}");
            assert_eq!(report.right, report.expected, "seed {seed}");
            assert_eq!(checkers.ended(cluster.nodes()), Ok(()), "seed {seed}");
            let figures = cluster.stores().figures();
            sum[0] += figures.cut_checkpoints;
            sum[1] += figures.cut_over_gaps;
            sum[2] += figures.cut_overruled;
        }
        sum
    });
    assert!(checkpoints > 5, "{checkpoints}");
    assert!(over_gaps > 0 && overruled > 0, "{over_gaps}, {overruled}");
}

#[test]
fn drivers_that_gather_change_nothing_of_what_is_decided() {
    let gathered = with_room(|| {
        let mut cluster = Box::new(Cluster::idle());
        let mut scenario = scenario(6);
        scenario.gather = Duration::from_millis(20);
        let crash = planned(1_500, 400, Fault::Crash(node(0)));
        let faults = Faults::new(&scenario, Weather::CALM, &[crash]);
        cluster
            .start_against(&scenario, KvScript::new(20), faults)
            .unwrap();
        finish(&mut cluster, &mut Checkers::new());
        cluster.report().gathered
    });
    assert!(gathered > 20, "{gathered}");
    assert_eq!(run(20, &[]).report().gathered, 0);
}
