//! An example of Synod in WebAssembly, which gives JavaScript the digests of the clusters that run on the boards:
//! `cargo build -p example-wasm --release --target wasm32-unknown-unknown`, then `node examples/wasm/digest.mjs
//! target/wasm32-unknown-unknown/release/example_wasm.wasm small 6`.
#![expect(unsafe_code, reason = "JavaScript finds the functions by these names")]

use example_firmware::clusters::{Cluster, Medium, Small, Whole};
use synod::simulation::Verdict;

/// Returns the digest of a run of the small cluster; 0 if the run did not end well.
// SAFETY: no other symbol of the module has this name, or one of those below.
#[unsafe(no_mangle)]
pub extern "C" fn small(seed: u64) -> u64 {
    digest::<Small>(seed)
}

/// Returns the digest of a run of the medium cluster.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub extern "C" fn medium(seed: u64) -> u64 {
    digest::<Medium>(seed)
}

/// Returns the digest of the default run of the command line.
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
