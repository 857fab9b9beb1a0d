//! Storage: what of a node must outlive a loss of power, as records in a log.
//!
//! A board loses power at any instant. What a node has promised and accepted must not be lost with it, or agreement is:
//! the others rely on it. So a driver with storage keeps a [`Journal`] beside each node.
//!
//! # What a driver owes
//!
//! 1. **Write, then sync, then speak.** Every [`Write`](crate::Write) of an outbox is written and synced before any message
//!    or reply of that outbox leaves (rule D1). It may gather the steps of a while in one outbox, and sync once.
//! 2. **Nothing of a failed outbox leaves.** Where [`Journal::write`] or [`Journal::sync`] answers with an error, the
//!    outbox is not sent: [`Node::fence`](crate::Node::fence) drops it, and from then on the node does not vote. Replies
//!    that it leaves in the outbox rest on what others have written, and may leave.
//! 3. **A node goes on only from its own storage.** Only [`Intact`] storage makes a voter of a node that was one before;
//!    [`Empty`] storage is given to nodes that never voted, and to no others (rule D2). A node whose storage is gone or
//!    damaged comes back as a learner, without a journal: [`Node::learn`](crate::Node::learn).
//! 4. **One node for one storage.** The storage is open once at a time.
//! 5. **Time and messages are as ever:** what [`Outbox`](crate::Outbox) and [`Node`](crate::Node) say of them holds.
//!
//! What it is owed in return: a node built by [`Intact::start`] is the same acceptor as before, with every promise and
//! acceptance that it ever revealed; it claims no round that it has claimed before; its state is that of its last
//! checkpoint and the log behind it. The storage never holds more than its capacity.

mod error;
mod journal;
mod memory;
mod open;
mod record;
mod replay;
#[cfg(test)]
mod tests;

#[cfg(feature = "flash")]
pub mod flash;

use core::fmt::Debug;

pub use error::{Damage, JournalError, OpenError};
pub use journal::Journal;
use journal::Tail;
pub use memory::{Full, Memory};
pub use open::{Damaged, Empty, Intact, Opened};
pub use record::{Identity, RECORD_MAX};

/// Where the records of a node are kept: a log that grows at one end and is dropped at the other. A file, pages of
/// flash, a simulated disk.
///
/// A record is a handful of bytes, at most [`Storage::RECORD_MAX`], whose meaning storage does not know.
///
/// # What storage owes
///
/// 1. Records are read in the order in which they were appended.
/// 2. What was appended before a [`Storage::sync`] that returned `Ok` is there after any loss of power.
/// 3. What was appended since may be missing after a loss of power, from some record on to the end. The first one that is
///    missing may be there in part or garbled.
/// 4. A call that returns an error has perhaps done its work, and perhaps a part of it.
/// 5. It has room for [`Storage::capacity`] bytes of records that were not dropped, each counted with
///    [`Storage::OVERHEAD`].
///
/// It need not notice that bytes have changed on their own: records carry a checksum and a number.
pub trait Storage {
    /// What can go wrong with it. It is handed on as it is.
    type Error: Debug;

    /// The most bytes of one record, at least 128.
    const RECORD_MAX: usize;

    /// How many bytes a record takes besides its own.
    const OVERHEAD: usize;

    /// How many bytes of records it has room for; see the fifth clause.
    fn capacity(&self) -> usize;

    /// Reads every record, from the oldest to the newest.
    ///
    /// # Errors
    ///
    /// What cannot be read; `visit` may have seen some records by then.
    fn read(&mut self, visit: impl FnMut(&[u8])) -> Result<(), Self::Error>;

    /// Appends a record behind all others.
    ///
    /// # Errors
    ///
    /// The record may be there or not.
    fn append(&mut self, record: &[u8]) -> Result<(), Self::Error>;

    /// Returns once everything that was appended is durable.
    ///
    /// # Errors
    ///
    /// What was appended since the last one may be durable or not.
    fn sync(&mut self) -> Result<(), Self::Error>;

    /// Drops the oldest records, as long as `is_stale` says so of them. It is asked about every record from the oldest on,
    /// until it says no. What was dropped may be there again after a loss of power.
    ///
    /// # Errors
    ///
    /// Some of them may be dropped.
    fn trim(&mut self, is_stale: impl FnMut(&[u8]) -> bool) -> Result<(), Self::Error>;
}
