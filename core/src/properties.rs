//! The configuration of property tests: the same cases in every run, and nothing written to disk.

use proptest::test_runner::{Config, RngSeed};

/// Returns a configuration with `count` cases; only a few where each takes long.
pub(crate) fn cases(count: u32) -> Config {
    Config {
        cases: if cfg!(miri) { 4 } else { count },
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(6),
        ..Config::default()
    }
}
