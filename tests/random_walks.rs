//! Random walks over real nodes: see [`synod_host::storm`].

use synod::Tally;
use synod_host::storm::{Conditions, walk};

/// Walks one seed after the other; a failure names its seed. What happened is counted.
fn walks(seeds: core::ops::Range<u64>) -> Tally {
    let (mut steps, mut total) = (0, Tally::new());
    for seed in seeds.clone() {
        let walked = walk(seed, &Conditions::default());
        if let Some(violation) = walked.broken {
            panic!("walk {seed} found it: {violation}");
        }
        steps += walked.steps;
        total += &walked.tally;
    }
    println!("walks {seeds:?}: {steps} steps, {total:?}");
    total
}

#[test]
fn no_walk_breaks_a_rule() {
    let tally = walks(0..150);
    assert!(
        tally.adopted > 300 && tally.reproposed > 200 && tally.noops > 0 && tally.installed > 300,
        "the walks are too quiet: {tally:?}"
    );
}

/// For long: `STORM=0..100000 cargo test --release -- --ignored --nocapture storm`.
#[test]
#[ignore = "takes as long as it is told to"]
fn no_long_walk_breaks_a_rule() {
    let told = std::env::var("STORM").unwrap_or_default();
    let (start, end) = told.split_once("..").unwrap_or(("0", "10000"));
    walks(start.parse().unwrap()..end.parse().unwrap());
}

/// Nodes that wait for a claim, and a leader that stepped down unnoticed, said no to each other's probes, were taken for
/// those that hear a leader, and passed on proposals in a ring.
#[test]
fn l8_nobody_passes_on_what_goes_round_in_a_ring() {
    for seed in [6, 874, 1_355] {
        walks(seed..seed + 1);
    }
}
