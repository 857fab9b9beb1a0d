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

/// A late denial of an earlier probe closed a ring of relays, around which proposals went until the next probe of one of
/// them: time has to pass for it.
#[test]
fn l8_a_ring_of_relays_ends_with_the_next_probe() {
    walks(1_195_647..1_195_648);
}

/// Nodes that waited to join asked founding members that were all switched off, which no node can help: one was a member, one
/// was to be one.
#[test]
fn operators_name_others_to_nodes_that_have_nobody_left_to_ask() {
    for seed in [105_620, 1_094_036, 1_371_042] {
        walks(seed..seed + 1);
    }
}

/// Without these draws nobody would look at reads and at epochs under network conditions.
#[test]
fn random_walks_have_reads_and_changes_of_the_members() {
    let (mut reads, mut superseded, mut total) = (0, 0, Tally::new());
    for seed in 0..40 {
        let walked = walk(seed, &Conditions::default());
        assert_eq!(walked.broken, None, "walk {seed}");
        reads += walked.reads;
        superseded += walked.superseded;
        total += &walked.tally;
    }
    assert!(
        reads > 0 && total.reconfigured > 0 && superseded > 0,
        "{reads} reads, {superseded} superseded, {total:?}"
    );
}

/// A deposed leader installed a snapshot of the next epoch, and announced all slots up to there as decided under its own
/// ballot, under which others had votes that had lost.
#[test]
fn c3_a_leader_that_a_snapshot_takes_to_the_next_epoch_announces_nothing() {
    walks(5_533..5_534);
}

/// A new member heard the leader of its epoch, and asked only the members of an earlier one for what it missed: one was
/// switched off, and the other as far behind.
#[test]
fn v6_a_node_asks_whom_it_hears_of_a_later_epoch_when_its_own_members_do_not_help() {
    walks(11_949..11_950);
}

/// The same, and there was no leader: a claim of the later epoch waited for the vote of the node that was behind.
#[test]
fn v6_a_node_asks_whoever_claims_a_ballot_of_a_later_epoch() {
    walks(315_811..315_812);
}

/// What an accept announced as decided ended the epoch at a learner, which then answered in the epoch that was over.
#[test]
fn v7_an_accept_that_ends_its_own_epoch_gets_no_vote() {
    walks(71_152..71_153);
}
