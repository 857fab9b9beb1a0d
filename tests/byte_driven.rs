//! Byte-driven tests: drivers of real nodes and decoders in which every decision comes from a byte string. A fuzzer
//! searches for byte strings, and `cargo test` runs the kept ones and some of its own.
//!
//! Each module has a function `run`, which takes bytes, does what they say, and panics if a rule is broken. `run`
//! ends for any bytes, and soon after they end.
//!
//! To add a target: a module here with such a `run`, a file of three lines in `tests/fuzz/fuzz_targets/` with its
//! `[[bin]]` in `tests/fuzz/Cargo.toml`, a folder with a few inputs in `tests/fuzz/corpus/`, and a test in
//! `tests/fuzz_corpus.rs`. `.ci/run` finds it in `cargo fuzz list`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a broken rule panics, and so does a broken driver"
)]

pub mod choices;
pub mod cluster;
pub mod decode;
pub mod frames;
pub mod node;
pub mod storage;
