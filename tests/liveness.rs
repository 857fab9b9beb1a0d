//! Liveness: the time bound within which a healthy cluster must have answered everything, and that it is not reached
//! without healing.

use crate::harness::random_faults::random_faults;
use synod::machines::Kv;
use synod::simulation::{
    Bound, Contention, Fault, Faults, Faulty, Planned, Scenario, Simulation, Target, Verdict,
    Weather,
};
use synod::{Duration, Instant, NodeId, NodeSet};

const REQUESTS: u32 = 40;

type World = Simulation<Faulty<Kv<8>, Contention, 5, 512>, 16, 16, 2>;

/// Runs a scenario until all requests are answered or the bound is reached; returns the verdict and the time since
/// the faults ended.
fn settle(mut scenario: Scenario, faults: Faults) -> (Verdict, Duration) {
    let healed = faults.healed(&scenario);
    let bound = scenario.settles_within(REQUESTS);
    scenario.time_max = healed.since(Instant::ZERO).saturating_add(bound);
    let mut world = Box::new(World::idle());
    let contest = Contention::new(scenario.run_seed, REQUESTS, 3);
    world.start_against(&scenario, contest, faults).unwrap();
    let verdict = world.run(&mut ());
    (verdict, world.now().since(healed))
}

/// The environment variable `CHAOS_SEEDS` sets the number of seeds.
#[test]
fn after_random_faults_all_requests_are_answered_within_the_bound() {
    let count = std::env::var("CHAOS_SEEDS").ok();
    let seeds: u64 = count.and_then(|count| count.parse().ok()).unwrap_or(30);
    let mut worst = 0;
    for seed in 0..seeds {
        for loss in [0, 5, 20] {
            let (mut scenario, _) = random_faults(seed);
            scenario.link.loss_ppm = loss * 10_000;
            let (_, faults) = random_faults(seed);
            let bound = scenario.settles_within(REQUESTS);
            let (verdict, took) = settle(scenario, faults);
            assert_eq!(verdict, Verdict::Done, "seed {seed}, {loss} % lost");
            worst = worst.max(took.as_micros() * 100 / bound.as_micros());
        }
    }
    println!("at most {worst} % of the bound was needed");
}

/// Returns partitions that last this long, or for ever.
fn cut(lasts: Option<Duration>) -> Faults {
    let fault = Fault::Partition(NodeSet::only(NodeId(2)));
    let at = Instant::from_micros(2_000_000);
    let also = Fault::Partition(NodeSet::only(NodeId(0)));
    let plan = [fault, also].map(|fault| Planned { at, lasts, fault });
    Faults::new(&Scenario::of(6, 3), Weather::CALM, &plan)
}

#[test]
fn a_cluster_that_never_heals_stalls_at_the_bound() {
    let scenario = Scenario::of(6, 3);
    let bound = scenario.settles_within(REQUESTS);
    let (verdict, took) = settle(scenario, cut(None));
    assert_eq!(verdict, Verdict::Stalled(Bound::Time));
    assert!(took <= bound);
    let (verdict, _) = settle(Scenario::of(6, 3), cut(Some(Duration::from_secs(5))));
    assert_eq!(verdict, Verdict::Done, "and who heals has");
}

#[test]
fn a_plan_is_healed_when_its_last_fault_has_ended() {
    let scenario = Scenario::of(6, 3);
    let healed = |weather, plan: &[Planned]| {
        let faults = Faults::new(&scenario, weather, plan);
        faults.healed(&scenario).as_micros() / 1_000
    };
    let planned = |millis: u64, lasts: Option<u64>, fault| Planned {
        at: Instant::from_micros(millis * 1_000),
        lasts: lasts.map(Duration::from_millis),
        fault,
    };
    let node = Target::Node(NodeId(1));
    assert_eq!(
        healed(Weather::CALM, &[]),
        200,
        "copies of messages come so much later"
    );
    let crash = planned(3_000, Some(700), Fault::Crash(node));
    assert_eq!(healed(Weather::CALM, &[crash]), 3_700);
    let back = Fault::Jump {
        target: node,
        by_micros: -4_000_000,
    };
    assert_eq!(
        healed(Weather::CALM, &[crash, planned(2_000, None, back)]),
        6_000
    );
    let ahead = Fault::Jump {
        target: node,
        by_micros: 4_000_000,
    };
    assert_eq!(
        healed(Weather::CALM, &[crash, planned(2_000, None, ahead)]),
        3_700
    );
    let weather = Weather {
        until: Instant::from_micros(5_000_000),
        spike: Duration::from_secs(2),
        ..Weather::CALM
    };
    assert_eq!(healed(weather, &[crash]), 7_200);
    let leader = planned(3_000, Some(700), Fault::Crash(Target::Leader));
    assert!(
        healed(weather, &[leader]) > 7_900,
        "it may have to wait for a leader"
    );
}

#[test]
fn more_loss_and_more_requests_take_longer() {
    let of = |loss: u32, requests| {
        let mut scenario = Scenario::of(6, 3);
        scenario.link.loss_ppm = loss * 10_000;
        scenario.settles_within(requests)
    };
    assert!(of(0, 10) < of(5, 10) && of(5, 10) < of(20, 10) && of(20, 10) < of(50, 10));
    assert!(of(5, 10) < of(5, 11));
    assert!(
        of(100, 10) > Duration::from_secs(3_600),
        "nothing ever arrives"
    );
}
