//! Included state machines: a key-value store, a bank, and an opaque one for measurements.
//!
//! They are small enough for the smallest board, and keep what they have in arrays of fixed capacity. Each refuses what
//! it has no room for with an answer, since a state machine must do the same on every node and cannot fail.
//!
//! A machine of one's own implements [`StateMachine`](crate::StateMachine), for which [`Opaque`] is the shortest
//! example.

mod bank;
mod key;
mod kv;
mod opaque;

pub use bank::{Bank, BankCommand, BankReply};
pub use key::Key;
pub use kv::{Kv, KvCommand, KvReply};
pub use opaque::Opaque;

use heapless::Vec;

/// Returns the [`StateMachine::VERSION`](crate::StateMachine::VERSION) of one of these machines, which depends on its
/// capacity.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "conversions are no constants yet, and no machine of 2²⁴ values fits anywhere"
)]
const fn version(machine: u8, capacity: usize) -> u32 {
    debug_assert!(
        capacity < 1 << 24,
        "two capacities would have one version (N2)"
    );
    (machine as u32) << 24 | capacity as u32 & 0x00ff_ffff
}

/// Inserts a value and moves the following ones up; returns false if there was no room. Unlike `Vec::insert` it
/// contains no panic for an index past the end, but appends.
fn insert<T, const ROOM: usize>(values: &mut Vec<T, ROOM>, index: usize, value: T) -> bool {
    if values.is_full() {
        return false;
    }
    // Each value that is carried takes the next place, and the value of that place is carried on; the last one is
    // added.
    let mut carried = value;
    for place in values.iter_mut().skip(index) {
        core::mem::swap(place, &mut carried);
    }
    values.push(carried).is_ok()
}
