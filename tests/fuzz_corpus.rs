//! The fuzzers' targets with bytes that are at hand: inputs that were kept, and some from a seed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use synod::{Reason, Tally};
use synod_tests::byte_driven::storage::End;
use synod_tests::byte_driven::{cluster, decode, frames, node, storage};

/// The inputs that are kept for a target, in the order of their names.
fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let entries = fs::read_dir(folder.join(target)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Bytes that follow from a seed: Marsaglia's xorshift.
fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    core::iter::repeat_with(next).take(len).collect()
}

/// Runs what is kept for a target, and so many inputs from seeds.
fn try_out(name: &str, seeds: u64, len: usize, mut target: impl FnMut(&[u8])) {
    for path in corpus(name) {
        println!("{}", path.display());
        target(&fs::read(path).unwrap());
    }
    for seed in 0..seeds {
        println!("seed {seed}");
        target(&bytes(seed, len));
    }
}

#[test]
fn no_bytes_break_a_decoder() {
    try_out("decode", 4_000, 120, decode::run);
}

#[test]
fn no_bytes_pass_for_another_message() {
    let (mut taken, mut tried) = (0, 0);
    try_out("frames", 4_000, 120, |bytes| {
        taken += u32::from(frames::run(bytes));
        tried += 1;
    });
    // What is drawn is hardly ever a message; what is kept mostly is.
    assert!(
        taken >= 16 && tried > 4_000,
        "{taken} of {tried} were frames"
    );
}

#[test]
fn no_lies_break_a_node() {
    let mut tally = Tally::new();
    try_out("node", 300, 2_000, |bytes| tally += &node::live(bytes));
    println!("{tally:?}");
    assert!(
        tally.adopted > 100 && tally.preempted > 100 && tally.chosen > 100 && tally.applied > 1_000,
        "the lives are too quiet"
    );
    assert!(
        tally.installed > 100 && tally.halted > 20,
        "the liars are too honest"
    );
    let quiet = Reason::ALL
        .iter()
        .find(|reason| tally.ignored(**reason) == 0);
    assert_eq!(quiet, None, "nothing was ignored for this reason");
}

#[test]
fn d3_no_storage_breaks_what_is_built_from_it() {
    let mut ends = BTreeMap::new();
    try_out("storage", 3_000, 120, |bytes| {
        *ends.entry(storage::live(bytes)).or_insert(0) += 1;
    });
    println!("{ends:?}");
    for end in [End::Damaged, End::Intact, End::Empty] {
        assert!(ends.get(&end) > Some(&20), "hardly any is {end:?}");
    }
}

#[test]
fn no_schedule_breaks_a_cluster() {
    let mut tally = Tally::new();
    try_out("cluster", 100, 1_500, |bytes| {
        tally += &cluster::live(bytes);
    });
    println!("{tally:?}");
    assert!(
        tally.adopted > 300 && tally.reproposed > 50 && tally.preempted > 50 && tally.noops > 0,
        "the schedules are too quiet"
    );
    assert!(tally.chosen > 1_000 && tally.installed > 100 && tally.halted == 0);
}
