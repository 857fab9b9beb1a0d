//! Drivers whose every decision comes from bytes: a fuzzer looks for the bytes, and `cargo test` brings some of its own.
//!
//! Each of the modules below has one function, `run`, which takes bytes, does as they say, and panics where a rule is
//! broken. Whatever the bytes are, `run` ends; where they end early, it ends soon.
//!
//! To add one: a module here with such a `run`, a file of three lines in
//! `tests/fuzz/fuzz_targets/` with its `[[bin]]` in `tests/fuzz/Cargo.toml`, a folder of a few inputs in
//! `tests/fuzz/corpus/`, and a test in `tests/fuzz_corpus.rs`. `.ci/run` finds it in `cargo fuzz list`.

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
