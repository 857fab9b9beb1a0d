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
//! 5. **Who does not vote writes nothing.** The writes of a node that was fenced, or is a learner, are dropped with the
//!    outbox: [`Node::is_voter`](crate::Node::is_voter). Nobody relies on them, and a log in which they followed what the
//!    node has said would be no log of an acceptor any more. So a learner has no journal, and the storage of a fenced node is
//!    left as it is until the node starts again.
//! 6. **The order of the loop, time and messages are as ever:** that of [`Outbox`](crate::Outbox).
//!
//! What it is owed in return: a node built by [`Intact::start`] is the same acceptor as before, with every promise and
//! acceptance that it ever revealed; it claims no round that it has claimed before; its state is that of its last
//! checkpoint and the log behind it. The storage never holds more than its capacity.
//!
//! That state may be older than the one that the node had: how far a node has applied is not written, and follows only in
//! part from what is. So [`Node::applied`](crate::Node::applied) and [`Node::machine`](crate::Node::machine) may fall back
//! in a restart, for a while, and then come to the same again. Whoever acts on what they say must bear to see a slot twice.

mod error;
mod journal;
mod memory;
mod open;
mod record;
mod replay;
#[cfg(test)]
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
/// 6. **What it keeps of records rots as they do, and costs none of them in silence.** Where a length, a place or a count
///    has changed on its own, so that it is in doubt which records were synced, [`Storage::read`] answers with an error:
///    never with a log that ends early, nor with two records as one. Only of the oldest may some be missing, which the
///    numbers tell.
///
/// # Bytes that change on their own
///
/// In the bytes of a record it need not notice them: records carry a checksum and a number, and rule D3 is the journal's. But
/// the journal knows no record that it is not shown. A file in which a plain length stands before each record breaks the
/// sixth clause: where a length rots, all that follows is lost, and the node goes on from the promise before, as if power
/// had failed right then. So keep beside each length its complement or a checksum; and as the last length of all cannot be
/// told from one that was torn, keep apart from the records how far they were synced. `examples/file-storage` does both,
/// in a plain file.
///
/// Two things no journal notices from the records alone:
///
/// - The last record of all, garbled together with the seal behind it, looks like one that power tore before it was synced:
///   what comes of it is an older state. A mark of how far was synced tells these two apart as well; where storage has
///   one, let it keep a checksum of each record, too, and answer with an error.
/// - An older image of all of the storage, put in its place, is in good order. **Never start a node from a copy**, a backup or
///   a snapshot of its storage: it has forgotten how it voted since. A node whose storage is gone comes back as a learner.
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
