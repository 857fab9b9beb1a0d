//! State machines that are shipped: a key-value store and a bank, and one of nothing for sizes and measures.

mod bank;
mod key;
mod kv;
mod opaque;

pub use bank::{Bank, BankCommand, BankReply};
pub use key::Key;
pub use kv::{Kv, KvCommand, KvReply};
pub use opaque::Opaque;
