//! The commands of the server: real nodes on sockets and disks, and what measures them.

pub mod backup;
pub mod bench;
pub mod certify;
pub mod cluster;
pub mod door;
pub mod init;
pub mod judge;
pub mod members;
pub mod node;
pub mod status;

use core::hash::BuildHasher;
use std::hash::RandomState;

/// Draws a number from the operating system's randomness.
fn draw() -> u64 {
    RandomState::new().hash_one(())
}
