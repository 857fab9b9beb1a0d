//! State machines that are shipped: a key-value store and a bank, and one of nothing for sizes and measures.

mod bank;
mod key;
mod kv;
mod opaque;

pub use bank::{Bank, BankCommand, BankReply};
pub use key::Key;
pub use kv::{Kv, KvCommand, KvReply};
pub use opaque::Opaque;

use heapless::Vec;

/// The [`StateMachine::VERSION`](crate::StateMachine::VERSION) of a machine here, with its capacity.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "conversions are no constants yet, and no machine of 2²⁴ values fits anywhere"
)]
const fn version(machine: u8, capacity: usize) -> u32 {
    (machine as u32) << 24 | capacity as u32 & 0x00ff_ffff
}

/// Puts a value in its place and moves the rest up; says whether there was room. Unlike `Vec::insert` it has no panic for
/// an index behind the end, where it appends.
fn insert<T, const ROOM: usize>(values: &mut Vec<T, ROOM>, index: usize, value: T) -> bool {
    if values.is_full() {
        return false;
    }
    let mut carried = value;
    for place in values.iter_mut().skip(index) {
        core::mem::swap(place, &mut carried);
    }
    values.push(carried).is_ok()
}
