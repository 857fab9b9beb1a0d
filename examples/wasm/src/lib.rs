//! The simulation in WebAssembly: the digest of a seed, for JavaScript (`digest.mjs` beside this), from the very clusters
//! that run on the boards.
#![expect(
    unsafe_code,
    reason = "JavaScript looks for the functions under names of their own"
)]

use example_firmware::clusters::{Cluster, Medium, Small, Whole};
use synod::simulation::Verdict;

/// The digest of a run of the small cluster; 0 where the run was not done.
// SAFETY: nothing else in the module has this name; nor the names below.
#[unsafe(no_mangle)]
pub extern "C" fn small(seed: u64) -> u64 {
    digest::<Small>(seed)
}

/// The same, of the medium cluster.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub extern "C" fn medium(seed: u64) -> u64 {
    digest::<Medium>(seed)
}

/// The same, of the default run of the command line.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub extern "C" fn whole(seed: u64) -> u64 {
    digest::<Whole>(seed)
}

fn digest<C: Cluster>(seed: u64) -> u64 {
    match C::idle().digest(seed) {
        (Verdict::Done, digest) => digest.value(),
        _ => 0,
    }
}
