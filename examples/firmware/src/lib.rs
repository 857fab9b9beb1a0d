//! What the programs for the boards share: the simulated clusters that they run, the nodes that they are, and how they speak
//! to the outside.
//!
//! A node on a board is [`member`], which says how large it is; the module `start`, which finds it again in flash; and the
//! module `drive`, the loop that joins it to its board. To begin on a board of one's own, copy that, and replace the
//! modules `board` and `flash`.
//!
//! The boards are those that QEMU has: the microbit (Cortex-M0), the lm3s6965evb (Cortex-M3) and the mps2-an386
//! (Cortex-M4F). All that is not safe Rust is in the modules `semihosting`, `logger`, `handlers`, `stack` and
//! `board`, which only they have.
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
