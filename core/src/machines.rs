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
