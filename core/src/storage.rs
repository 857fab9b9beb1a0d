//! Storage: the durable part of a node, as records in a log.
//!
//! A board may lose power at any instant. The promises and votes of a node must not be lost with it, since other nodes
//! rely on them and agreement would break. A driver with storage therefore keeps a [`Journal`] beside each node.
//!
//! # The contract of a driver
//!
//! 1. **Write, sync, then send.** Every [`Write`](crate::Write) of an outbox is written and synced before any message
//!    or reply of that outbox leaves (rule D1), except for [early](crate::Outbox::early) messages: these rest on earlier
//!    writes, and leave while this outbox is written. The driver may gather several steps in one outbox and sync once
//!    (group commit). After a start it syncs even if there is nothing to write: the journal may have read records that
//!    were never synced.
//! 2. **Nothing else of a failed outbox leaves.** If [`Journal::write`] or [`Journal::sync`] returns an error, the outbox
//!    is not sent: [`Node::fence`](crate::Node::fence) drops its writes and messages, and from then on the node does not
//!    vote. Replies that remain in the outbox depend only on what other nodes have written, and may leave.
//! 3. **A node restarts only from its own storage.** Only [`Intact`] storage makes a voter of a node that was one
//!    before; [`Empty`] storage is given only to nodes that have never voted (rule D2), such as one with a new number that
//!    is to become a member. A node whose storage is lost or damaged returns as a learner, without a journal:
//!    [`Node::learn`](crate::Node::learn).
//! 4. **One node for one storage.** The storage is open only once at a time.
//! 5. **Only a node that has lost its vote writes nothing.** The writes of a fenced node, and of one that has lost its
//!    storage, are dropped with the outbox: [`Node::is_voter`](crate::Node::is_voter) is false. Nobody relies on them, and
//!    appended to the earlier records of the node they would not make the log of an acceptor. So a node from
//!    [`Node::learn`](crate::Node::learn) has no journal, and the storage of a fenced node is left as it is until the node
//!    restarts. A node that is no member yet, or not any more, writes like a member: whether it is one changes with the
//!    log, and when it becomes one it votes with what it has stored.
//! 6. **The order of the loop, time and messages** follow the contract of [`Outbox`](crate::Outbox).
//!
//! In return, a node built by [`Intact::start`] is the same acceptor as before, with every promise and vote that it
//! ever revealed; it claims no round that it has claimed before; its state is that of its last checkpoint and the log
//! after it. The storage never holds more than its capacity.
//!
//! This state may be older than the one that the node had: the applied slot is not written, and follows only in part
//! from the records. So [`Node::applied`](crate::Node::applied) and [`Node::machine`](crate::Node::machine) may fall
//! back in a restart, for a while, and then reach the same state again. Code that acts on them must tolerate seeing a
//! slot twice.

mod error;
mod journal;
mod memory;
mod open;
mod record;
mod replay;
// An interpreter takes minutes for each of these scenarios; the other tests of storage are its part.
#[cfg(test)]
#[cfg(not(miri))]
mod restarts;
#[cfg(test)]
mod tests;

#[cfg(feature = "flash")]
pub mod flash;

use core::fmt::Debug;

pub use error::{Damage, JournalError, OpenError};
pub use journal::Journal;
use journal::Tail;
pub use memory::{Memory, MemoryError};
pub use open::{Damaged, Empty, Intact, Opened};
pub(crate) use record::begins_checkpoint;
pub use record::{Identity, JOURNAL_RECORD_MAX};

/// The storage of a node's records: a log that grows at one end and is trimmed at the other. For example a file, pages
/// of flash, or a simulated disk.
///
/// A record is a sequence of at most [`Storage::RECORD_MAX`] bytes, whose meaning the storage does not know.
///
/// # The contract of an implementation
///
/// 1. Records are read in the order in which they were appended.
/// 2. Records that were appended before a [`Storage::sync`] that returned `Ok` survive any loss of power.
/// 3. Records that were appended since may be missing after a loss of power, from some record on to the end. The first
///    missing one may remain in part, or garbled.
/// 4. A call that returns an error may have done all of its work, a part of it, or nothing.
/// 5. There is room for [`Storage::capacity`] bytes of records that were not trimmed, each counted with
///    [`Storage::OVERHEAD`].
/// 6. **Bit rot in the storage's own metadata never loses records silently.** If a length, a position or a count has
///    changed on its own, so that it is in doubt which records were synced, [`Storage::read`] returns an error. It
///    never returns a log that ends early, or two records as one. Only the oldest records may be missing, which is
///    detected by their numbers.
///
/// # Bit rot
///
/// The storage need not detect changed bytes of a record: records carry a checksum and a number, and the journal
/// implements rule D3. But the journal cannot check a record that it does not receive. A file with a plain length
/// before each record violates the sixth clause: if a length changes, all that follows is lost, and the node restarts
/// from the promise before, as if power had failed just then. So store the complement of each length, or a checksum,
/// beside it. And since the last length of all cannot be distinguished from a torn one, store apart from the records
/// how far they were synced. `examples/file-storage` does both, in a plain file.
///
/// No journal can detect these two faults from the records alone:
///
/// - The last record and the seal after it are both garbled. This looks like a record that was torn before it was
///   synced, and leads to an older state. A mark of how far was synced detects this as well: storage that has such a
///   mark should also keep a checksum of each record, and return an error.
/// - The whole storage was replaced by an older image. **Never start a node from a copy** of its storage, such as a
///   backup or a snapshot: it has forgotten its later votes. A node whose storage is lost returns as a learner.
pub trait Storage {
    /// The error of the storage, which is passed on unchanged.
    type Error: Debug;

    /// The maximum length of a record in bytes, at least 128.
    const RECORD_MAX: usize;

    /// The number of bytes that a record takes besides its own.
    const OVERHEAD: usize;

    /// Returns the capacity in bytes of records; see the fifth clause.
    fn capacity(&self) -> usize;

    /// Reads every record, from the oldest to the newest.
    ///
    /// # Errors
    ///
    /// The records cannot be read; `visit` may have received some of them.
    fn read(&mut self, visit: impl FnMut(&[u8])) -> Result<(), Self::Error>;

    /// Appends a record.
    ///
    /// # Errors
    ///
    /// The record may have been appended or not.
    fn append(&mut self, record: &[u8]) -> Result<(), Self::Error>;

    /// Returns once all appended records are durable.
    ///
    /// # Errors
    ///
    /// The records appended since the last sync may be durable or not.
    fn sync(&mut self) -> Result<(), Self::Error>;

    /// Drops the oldest records, as long as `is_stale` returns true for them. It is called for every record from the
    /// oldest on, until it returns false. Dropped records may reappear after a loss of power.
    ///
    /// # Errors
    ///
    /// Some of these records may have been dropped.
    fn trim(&mut self, is_stale: impl FnMut(&[u8]) -> bool) -> Result<(), Self::Error>;
}
