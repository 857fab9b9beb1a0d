//! Snapshot transfer under load: several nodes fetch a snapshot from one source while the cluster decides.

use synod::machines::Kv;
use synod::simulation::{
    Fault, Faults, KvScript, Perfect, Placement, Planned, Room, Scenario, Setting, Simulation,
    Size, Weather,
};
use synod::{Duration, Instant, NodeId, NodeSet};

const WINDOW: usize = 256;

/// Five nodes, and more room in an outbox than is usual.
#[derive(Debug)]
struct Five;

impl Setting<WINDOW, 64, 4> for Five {
    type Machine = Kv<64>;
    type Workload = KvScript;
    type Nemesis = Faults;
    type Stores = Perfect;
    type Room = Self;
}

impl Room for Five {
    type Nodes = Size<5>;
    type Events = Size<8192>;
    type Outbox = Size<512>;
    type Ledger = Size<1024>;
    type Clients = Size<64>;
    type History = Size<1024>;
}

type World = Simulation<Five, WINDOW, 64, 4>;

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

/// Returns a partition of one node from all others, from one time to another in milliseconds.
fn away(node: u16, from: u64, to: u64) -> Planned {
    Planned {
        at: at(from),
        lasts: Some(Duration::from_millis(to - from)),
        fault: Fault::Partition(NodeSet::only(NodeId(node))),
    }
}

/// Returns a scenario of five nodes, round trips of 20 ms, and about 400 commands a second at node 0.
fn scenario() -> Scenario {
    let mut scenario = Scenario::of(6, 5);
    scenario.link.delay = Duration::from_micros(9_500);
    scenario.link.jitter = Duration::from_micros(500);
    scenario.link.loss_ppm = 0;
    scenario.clients = 48;
    scenario.placement = Placement::One(NodeId(0));
    scenario.think = Duration::from_millis(100);
    scenario.time_max = Duration::from_secs(60);
    scenario
}

/// Returns the number of slots by which a node is behind.
fn behind(world: &World, node: u16) -> u64 {
    let applied = |node: u16| world.node(NodeId(node)).unwrap().applied();
    applied(0).distance(applied(node))
}

/// Runs until a time, in milliseconds.
fn run_until(world: &mut World, millis: u64) {
    while world.now() < at(millis) {
        assert_eq!(world.step(&mut ()), None, "the clients are at work");
    }
}

/// Two nodes return far behind, the second at `begins` in milliseconds, and both must catch up within three seconds.
fn two_come_back(plan: &[Planned], begins: u64) {
    let plan = plan.to_vec();
    // A simulation needs a larger stack than a test thread has.
    let thread = std::thread::Builder::new().stack_size(64 << 20);
    let both = thread.spawn(move || both_catch_up(&plan, begins));
    both.unwrap().join().unwrap();
}

fn both_catch_up(plan: &[Planned], begins: u64) {
    let scenario = scenario();
    let faults = Faults::new(&scenario, Weather::CALM, plan);
    let mut world = Box::new(World::idle());
    let workload = KvScript::new(1_000_000);
    world.start_against(&scenario, workload, faults).unwrap();
    run_until(&mut world, begins);
    assert!(behind(&world, 4) > 1_000, "{}", behind(&world, 4));
    run_until(&mut world, begins + 3_000);
    for node in [3, 4] {
        let behind = behind(&world, node);
        assert!(behind < 256, "NODE_{node} is {behind} slots behind");
    }
}

#[test]
fn j3_two_who_come_back_far_behind_both_catch_up() {
    let plan = [
        away(3, 1_000, 6_000),
        away(3, 6_300, 6_650),
        away(4, 1_000, 6_700),
    ];
    two_come_back(&plan, 6_700);
}

#[test]
fn j3_two_who_come_back_at_other_moments_both_catch_up() {
    for (back, loses, hears) in [
        (6_600, 6_690, 6_695),
        (6_650, 6_660, 6_900),
        (6_000, 6_200, 6_800),
    ] {
        let plan = [
            away(3, 1_000, back),
            away(3, loses, hears),
            away(4, 1_000, 6_700),
        ];
        two_come_back(&plan, 6_700);
    }
}

/// Only the leader's own snapshot can be reached.
#[test]
fn j3_two_who_reach_only_one_source_both_catch_up() {
    let cut = |node: u16| Planned {
        at: at(5_000),
        lasts: Some(Duration::from_secs(30)),
        fault: Fault::Partial {
            one: NodeSet::only(NodeId(node)),
            other: [1, 2].into_iter().map(NodeId).collect(),
        },
    };
    let plan = [
        away(3, 1_000, 6_000),
        away(3, 6_300, 6_650),
        away(4, 1_000, 6_700),
        cut(3),
        cut(4),
    ];
    two_come_back(&plan, 6_700);
}
