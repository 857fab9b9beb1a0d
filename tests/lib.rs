//! What drives real nodes for tests and for fuzzers alike: bytes decide what happens, and a broken rule panics.

pub mod byte_driven;
