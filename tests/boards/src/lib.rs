//! What the tests of boards are made of: images, a QEMU to run them in, and their logs in words; and what is found out about
//! images without running them.

pub mod budget;
pub mod by_hand;
pub mod calls;
pub mod client;
pub mod decode;
pub mod elf;
pub mod hub;
pub mod image;
pub mod qemu;
pub mod rig;
pub mod stack;
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
