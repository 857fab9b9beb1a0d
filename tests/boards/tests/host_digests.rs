//! The digests of simulated runs on the host, which other targets must reproduce.

use core::ops::Range;
use example_firmware::clusters::Cluster;
use std::thread;
use synod::Digest;
use synod::simulation::Verdict;

/// The seeds whose digests are compared.
pub(crate) const SEEDS: Range<u64> = 6..38;

/// Returns the seeds as a program argument.
pub(crate) fn seeds() -> String {
    format!("{}..{}", SEEDS.start, SEEDS.end)
}

/// Returns the verdict and digest of the run of each seed.
pub(crate) fn digests<C: Cluster>() -> Vec<(u64, Verdict, Digest)> {
    with_room(|| {
        let mut cluster = C::idle();
        let digests = SEEDS.map(|seed| (seed, cluster.digest(seed)));
        digests
            .map(|(seed, (outcome, digest))| (seed, outcome, digest))
            .collect()
    })
}

/// Runs a closure in a thread whose stack has room for a cluster.
pub(crate) fn with_room<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = thread::Builder::new().stack_size(64 << 20).spawn(work);
    thread.unwrap().join().unwrap()
}
