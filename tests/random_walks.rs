//! Random walks over real nodes: see [`synod_host::random_walk`].

use synod::Tally;
use synod_host::random_walk::{Conditions, walk};

/// Walks with one seed after the other; a failure names its seed. Events are counted.
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
fn random_walks_violate_no_rule() {
    let tally = walks(0..150);
    assert!(
        tally.adopted > 300 && tally.reproposed > 200 && tally.noops > 0 && tally.installed > 300,
        "the walks are too quiet: {tally:?}"
    );
}

/// A walk depends on its seed alone, so that the seed suffices to repeat it.
#[test]
fn a_walk_does_not_depend_on_walks_before_or_beside_it() {
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

/// For long: `STORM=0..100000 cargo test --release -- --ignored --nocapture random_walks`.
#[test]
#[ignore = "takes as long as it is told to"]
fn many_random_walks_violate_no_rule() {
    let told = std::env::var("STORM").unwrap_or_default();
    let (start, end) = told.split_once("..").unwrap_or(("0", "10000"));
    walks(start.parse().unwrap()..end.parse().unwrap());
}

/// Nodes waiting for a claim and a leader that stepped down unnoticed denied each other's probes, were taken for nodes
/// that hear a leader, and passed on proposals in a ring.
#[test]
fn l8_no_node_forwards_a_proposal_in_a_ring() {
    for seed in [6, 874, 1_355] {
        walks(seed..seed + 1);
    }
}
