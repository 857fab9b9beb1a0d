//! Random walks over real nodes with the smallest windows: see [`synod_host::storm`].

use synod::Tally;
use synod_host::storm::{Conditions, walk};

/// Runs one walk for each seed and counts what happened; a failure names its seed.
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
fn random_walks_find_no_violation() {
    let tally = walks(0..150);
    assert!(
        tally.adopted > 300 && tally.reproposed > 200 && tally.noops > 0 && tally.installed > 300,
        "the walks are too quiet: {tally:?}"
    );
}

/// A walk depends on nothing but its seed, so a seed is enough to repeat it.
#[test]
fn a_walk_is_the_same_alone_and_beside_others_in_any_order() {
    const WALKS: u64 = 24;
    let of = |seed| walk(seed, &Conditions::default());
    let alone = |seed| std::thread::spawn(move || walk(seed, &Conditions::default()));
    let alone: Vec<_> = (0..WALKS).map(|seed| alone(seed).join().unwrap()).collect();
    let again: Vec<_> = (0..WALKS).rev().map(of).collect();
    assert!(again.iter().rev().eq(&alone));
    std::thread::scope(|threads| {
        for first in 0..4 {
            let alone = &alone;
            threads.spawn(move || {
                for (seed, alone) in (0..).zip(alone).skip(first).step_by(3) {
                    assert_eq!(of(seed), *alone, "walk {seed} beside others");
                }
            });
        }
    });
}

/// The long version: `STORM=0..100000 cargo test --release -- --ignored --nocapture random_walks`.
#[test]
#[ignore = "takes as long as it is told to"]
fn many_random_walks_find_no_violation() {
    let told = std::env::var("STORM").unwrap_or_default();
    let (start, end) = told.split_once("..").unwrap_or(("0", "10000"));
    walks(start.parse().unwrap()..end.parse().unwrap());
}

/// A regression: nodes that waited for a claim, and a leader that had stepped down unnoticed, refused each other's
/// probes, were taken for nodes with a live leader, and forwarded proposals in a cycle.
#[test]
fn l8_proposals_are_not_forwarded_in_a_cycle() {
    for seed in [6, 874, 1_355] {
        walks(seed..seed + 1);
    }
}
