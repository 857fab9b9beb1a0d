//! An example of Synod on three Cortex-M boards under QEMU: `cargo boards` runs a cluster of them, and `README.md` is
//! a tutorial.
//!
//! A node on a board consists of [`member`], which chooses its type and capacities; the module `boot`, which restores
//! it from flash; and the module `driver`, the loop that connects it to its board. For a board of your own, copy
//! these, and replace the modules `board` and `flash`.
//!
//! The boards are the microbit (Cortex-M0), the lm3s6965evb (Cortex-M3) and the mps2-an386 (Cortex-M4F). All unsafe
//! code is in the modules `semihosting`, `logger`, `handlers`, `stack_usage` and `board`, which exist only on boards.
#![cfg_attr(target_os = "none", no_std)]

#[cfg(target_os = "none")]
pub mod board;
#[cfg(target_os = "none")]
pub mod boot;
pub mod clusters;
pub mod configurations;
#[cfg(target_os = "none")]
pub mod driver;
#[cfg(target_os = "none")]
pub mod event_log;
#[cfg(target_os = "none")]
pub mod flash;
#[cfg(target_os = "none")]
pub mod handlers;
#[cfg(target_os = "none")]
pub mod logger;
pub mod member;
pub mod relays;
#[cfg(target_os = "none")]
pub mod semihosting;
pub mod serial_line;
#[cfg(target_os = "none")]
pub mod stack_usage;
pub mod trio;
