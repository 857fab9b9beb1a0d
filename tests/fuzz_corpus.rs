//! The fuzz targets on their kept corpora, and on inputs generated from seeds.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use synod::{Reason, Tally};
use synod_tests::byte_driven::storage::StorageVerdict;
use synod_tests::byte_driven::{cluster, decode, frames, node, storage};

/// Returns the corpus of a target, in the order of file names.
fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let entries = fs::read_dir(folder.join(target)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Returns pseudo-random bytes from Marsaglia's xorshift generator.
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

/// Runs a target on its corpus and on one generated input for each seed.
fn run_inputs(name: &str, seeds: u64, len: usize, mut target: impl FnMut(&[u8])) {
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
fn decoders_accept_any_bytes() {
    run_inputs("decode", 4_000, 120, decode::run);
}

#[test]
fn a_decoded_frame_encodes_to_the_same_bytes() {
    let (mut taken, mut tried) = (0, 0);
    run_inputs("frames", 4_000, 120, |bytes| {
        taken += u32::from(frames::run(bytes));
        tried += 1;
    });
    // Generated inputs are hardly ever messages; most of the corpus is.
    assert!(
        taken >= 16 && tried > 4_000,
        "{taken} of {tried} were frames"
    );
}

#[test]
fn a_node_survives_any_messages() {
    let mut tally = Tally::new();
    run_inputs("node", 300, 2_000, |bytes| tally += &node::live(bytes));
    println!("{tally:?}");
    assert!(
        tally.adopted > 100 && tally.preempted > 100 && tally.chosen > 100 && tally.applied > 1_000,
        "the lives are too quiet"
    );
    assert!(
        tally.installed > 100 && tally.reconfigured > 20 && tally.halted > 20,
        "the liars are too honest"
    );
    let quiet = Reason::ALL
        .iter()
        .find(|reason| tally.ignored(**reason) == 0);
    assert_eq!(quiet, None, "nothing was ignored for this reason");
}

#[test]
fn d3_any_stored_bytes_give_a_consistent_node_or_an_error() {
    let mut ends = BTreeMap::new();
    run_inputs("storage", 3_000, 120, |bytes| {
        *ends.entry(storage::live(bytes)).or_insert(0) += 1;
    });
    println!("{ends:?}");
    for end in [
        StorageVerdict::Damaged,
        StorageVerdict::Intact,
        StorageVerdict::Empty,
    ] {
        assert!(ends.get(&end) > Some(&20), "hardly any is {end:?}");
    }
}

#[test]
fn a_cluster_survives_any_schedule() {
    let mut tally = Tally::new();
    run_inputs("cluster", 100, 1_500, |bytes| {
        tally += &cluster::live(bytes);
    });
    println!("{tally:?}");
    assert!(
        tally.adopted > 300 && tally.reproposed > 50 && tally.preempted > 50 && tally.noops > 0,
        "the schedules are too quiet"
    );
    assert!(tally.chosen > 1_000 && tally.installed > 100 && tally.halted == 0);
}
