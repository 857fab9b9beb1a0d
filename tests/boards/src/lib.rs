//! What the tests of boards are made of: images, a QEMU to run them in, and their logs in words; and what is found out about
//! images without running them.

pub mod board_cluster;
pub mod budget;
pub mod call_graph;
pub mod elf;
pub mod host_client;
pub mod image;
pub mod interactive;
pub mod log_decoder;
pub mod qemu;
pub mod serial_bus;
pub mod stack_depth;
pub mod table;

use core::fmt;

/// What did not work, in one sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(String);

impl Failure {
    /// Of a sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Failure {}
