//! Storage on a host: the durable state of each node in a file, and of a cluster in a directory.
//!
//! [`FileStorage`] is a log of records in a file. [`DataDir`] is a directory with such a file for each node, and a
//! manifest that identifies the cluster.
//!
//! # The file
//!
//! | offset | contents |
//! |---|---|
//! | 0 | the label: the owner of the store and its capacity |
//! | 4096, 8192 | two marks: the area in use, and how many records were synced |
//! | 12288 | the first area |
//! | then | the second area |
//!
//! One area holds the log, as records with digests, and zeros behind them. The file has its full length from its
//! creation on, and it is never replaced, so that its lock holds as long as it is open.
//!
//! - **A sync** writes the new records behind the log, makes them durable, writes a mark over the older one, and makes
//!   that durable.
//! - **A trim** writes the records that stay to the other area, and zeros behind them, makes them durable, and then
//!   marks that area twice, each mark durable before the next write.
//!
//! So at any time one mark is intact, and so is the log that it names: up to the number of synced records in the mark,
//! and beyond, as far as records can be read. What cannot be read beyond was not synced; it is overwritten with zeros
//! when the store is opened, so that it does not become readable by what is appended before it.
//!
//! # What a file must never do
//!
//! A node that has lost its votes and votes again violates the safety of its cluster. So a file returns every record
//! that was ever synced, or an error: never an older or a shorter log.
//!
//! - A loss of power leaves one mark and its log, as above. It is assumed that a write to a sector that is interrupted
//!   does not change those bytes of the sector that are written as they were. The marks do not rely on that: each has a
//!   page of its own.
//! - A record that has decayed ends the readable part of the log before the number in the mark, which is an error.
//! - A mark that has decayed is like one that was torn. The other one names the same area, and the records after it are
//!   found by reading on.
//! - A file is changed only after everything in it was verified.
//!
//! An older copy of a whole file is detected by [`DataDir`], whose manifest contains the number of records when the
//! cluster last started or stopped. Two cases are not detected: older copies of the file and of the manifest together,
//! and a copy made after that. Nobody must restore such a copy. Decay that affects the last mark and also the records
//! that only this mark counts is detected only if the manifest counts them, too.

mod area;
mod data_dir;
mod error;
mod file;
mod inspection;
mod locked_file;
mod log;
mod manifest;
mod medium;
mod superblock;
#[cfg(test)]
mod tests;

pub use data_dir::{DataDir, Seen};
pub use error::{Problem, StoreError};
pub use file::FileStorage;
pub use manifest::{Cluster, Members};
pub use superblock::Label;
