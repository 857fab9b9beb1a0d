//! Endurance: a cluster that decides for a very long time under repeated power loss keeps its memory and storage
//! bounded.

use std::fs;
use synod::machines::Kv;
use synod::simulation::{
    Disks, Fault, Faults, Fixed, Invariants, KvScript, PLAN_MAX, Planned, Scenario, Setting,
    Simulation, Target, Verdict, Weather,
};
use synod::{Duration, Instant, NodeId, Tally};

const NODES: usize = 3;
const CLIENTS: usize = 16;
/// The storage of a node, in bytes.
const BYTES: usize = 1 << 16;

#[derive(Debug)]
struct OnDisks;

impl Setting<16, CLIENTS, 2> for OnDisks {
    type Machine = Kv<16>;
    type Workload = KvScript;
    type Nemesis = Faults;
    type Stores = Disks<NODES, BYTES>;
    type Room = Fixed<NODES, 1024>;
}

type Cluster = Simulation<OnDisks, 16, CLIENTS, 2>;
type Checkers = Invariants<OnDisks, 16, CLIENTS, 2>;

/// The environment variable with the number of requests of each of the ten clients, in the long version.
const LONG: &str = "ENDURANCE";

/// Returns the peak resident memory of this process in KiB, where the system reports it.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Ten clients make `requests` requests each; the nodes lose power in turn for a second, half of the time in the
/// middle of a write.
fn endure(requests: u32, is_alone: bool) {
    let mut scenario = Scenario::of(6, 3);
    scenario.clients = 10;
    scenario.link.loss_ppm = 1_000;
    // A request takes about two message delays, and a lost one longer.
    let long = Duration::from_millis(75) * u64::from(requests);
    scenario.time_max = (long * 4).saturating_add(Duration::from_secs(600));
    scenario.events_max = u64::MAX;
    let crashes = u64::try_from(PLAN_MAX).unwrap();
    let plan: Vec<Planned> = (0..crashes)
        .map(|nth| {
            let target = Target::Node(NodeId(u16::try_from(nth % 3).unwrap()));
            let fault = match nth % 2 {
                0 => Fault::Crash(target),
                _ => Fault::Torn(target),
            };
            Planned {
                at: Instant::ZERO + long * (nth + 1) / (crashes + 2),
                lasts: Some(Duration::from_secs(1)),
                fault,
            }
        })
        .collect();
    let faults = Faults::new(&scenario, Weather::CALM, &plan);
    let mut cluster = Box::new(Cluster::idle());
    cluster
        .start_against(&scenario, KvScript::new(requests), faults)
        .unwrap();
    let (mut checkers, mut tally) = (Box::new(Checkers::new()), Tally::new());
    let mut early = None;
    let verdict = loop {
        if let Some(verdict) = cluster.step_observed(&mut tally, &mut *checkers) {
            break verdict;
        }
        if early.is_none() && tally.applied > 100_000 {
            early = Some(peak_memory());
        }
    };
    let report = cluster.report();
    assert_eq!(verdict, Verdict::Done, "{report:?}");
    assert_eq!((report.right, report.agree), (report.expected, true));
    let mark = cluster.marks().find(|mark| mark.name == "storage").unwrap();
    assert!(mark.peak <= mark.capacity, "{mark:?}");
    let figures = cluster.stores().figures();
    println!(
        "{} requests answered, {} slots decided, {} restarts, {} torn writes, {} checkpoints; storage at most {} of {} bytes a node",
        report.right,
        report.applied,
        tally.restarted,
        figures.torn,
        figures.checkpoints,
        mark.peak,
        mark.capacity
    );
    if let (Some(Some(early)), Some(late)) = (early, peak_memory()) {
        println!(
            "memory at most {early} KiB after 100,000 slots were applied, and {late} KiB in the end"
        );
        // Other tests of the same process have memory of their own.
        assert!(!is_alone || late <= early + 1_024, "memory has grown");
    }
    assert!(tally.restarted > crashes / 2);
}

fn with_room(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(64 << 20);
    thread.spawn(work).unwrap().join().unwrap();
}

#[test]
fn t5_neither_memory_nor_storage_grows() {
    with_room(|| endure(1_500, false));
}

#[test]
#[ignore = "a hundred million requests, or ten times what ENDURANCE says"]
fn t5_neither_memory_nor_storage_grows_over_a_hundred_million_requests() {
    let requests = std::env::var(LONG).map_or(10_000_000, |requests| requests.parse().unwrap());
    with_room(move || endure(requests, true));
}
