//! Invariants under random faults: no checker may find a violation, and every checker must have had something to
//! check.

use crate::harness::random_faults::random_faults;
use synod::Digest;
use synod::machines::{Bank, Kv};
use synod::simulation::{Contention, Faulty, Invariants, Rule, Seen, Simulation, Verdict};
use synod_host::linearizability::{History, Objects};

type Stormy<M> = Faulty<M, Contention, 5, 512>;

/// Runs one seed with all checkers and once more without them, and asserts that they make no difference.
fn run_checked<M: Objects>(seed: u64) -> Seen
where
    Contention: synod::simulation::Workload<M>,
{
    let (scenario, faults) = random_faults(seed);
    let contest = Contention::new(seed, 40, 3);
    let mut world = Box::new(Simulation::<Stormy<M>, 16, 8, 2>::idle());
    let mut invariants = Box::new(Invariants::<Stormy<M>, 16, 8, 2>::new());
    let mut history = History::new(1_000);
    let mut digest = Digest::new();
    world
        .start_against(&scenario, contest.clone(), faults.clone())
        .unwrap();
    let verdict = world.run_observed(&mut digest, &mut (&mut *invariants, &mut history));
    assert_eq!(verdict, Verdict::Done, "seed {seed}");
    assert_eq!(invariants.ended(world.nodes()), Ok(()), "seed {seed}");
    let checked = history
        .check()
        .unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
    assert!(
        checked.requests >= 240 && checked.unchecked == 0,
        "seed {seed}: {checked:?}"
    );
    world.start_against(&scenario, contest, faults).unwrap();
    let mut unseen = Digest::new();
    world.run(&mut unseen);
    assert_eq!(digest, unseen, "seed {seed}: an observer changed something");
    *invariants.seen()
}

/// The environment variable `CHAOS_SEEDS` sets the number of seeds.
#[test]
fn every_invariant_is_exercised_and_holds_under_random_faults() {
    let count = std::env::var("CHAOS_SEEDS").ok();
    let seeds: u64 = count.and_then(|count| count.parse().ok()).unwrap_or(20);
    let mut seen = Seen::new();
    for seed in 0..seeds {
        seen += &run_checked::<Kv<8>>(seed);
        seen += &run_checked::<Bank<8>>(seed);
    }
    println!("rule                   checked  unchecked");
    for rule in Rule::ALL {
        let (name, checked) = (rule.name(), seen.checked(rule));
        println!("{name:<20} {checked:>9} {:>10}", seen.unchecked(rule));
        let elsewhere = matches!(
            rule,
            Rule::WrongAnswer
                | Rule::Divergence
                | Rule::Halted
                | Rule::NotLinearizable
                | Rule::StorageLost
                | Rule::StorageFull
                | Rule::StorageMiscounted
                | Rule::Malformed
                | Rule::HastyChange
        );
        assert_eq!(checked == 0, elsewhere, "{name}");
    }
    assert_eq!(seen.unchecked_total(), 0);
}
