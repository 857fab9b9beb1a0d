//! Storage on a host: the durable state of each node in a file, and of a cluster in a directory.
//!
//! [`FileStorage`] is a log of records in a file, kept by the database `redb`. [`DataDir`] is a directory with such a
//! file for each node, and a manifest that identifies the cluster.
//!
//! # What a file must never do
//!
//! A node that has lost its votes and votes again violates the safety of its cluster. So a file returns every record
//! that was ever synced, or an error: never an older or a shorter log. Two properties of `redb` are in the way:
//!
//! - `redb` falls back to the commit before the last one if the last one is damaged. That is right after a loss of
//!   power, and wrong after a synced record has decayed. Therefore each sync ends with a *mark* outside of the
//!   database, which contains the number of records so far, and a file with fewer is never opened.
//! - `redb` trusts a file that was closed properly, and panics over bytes that it would never write. Therefore it is
//!   first given a copy of the file in memory, with every checksum verified, and the file itself only if the copy is
//!   intact. So a damaged file is not changed by an attempt to open it.
//!
//! An older copy of a whole file is detected by [`DataDir`], whose manifest contains the number of records when the
//! cluster last started or stopped. Two cases are not detected: older copies of the file and of the manifest together,
//! and a copy made after that. Nobody must restore such a copy.

mod backend;
mod data_dir;
mod error;
mod file;
mod inspection;
mod log;
mod manifest;
mod medium;
mod superblock;
#[cfg(test)]
mod tests;

pub use data_dir::{DataDir, Seen};
pub use error::{Problem, StoreError};
pub use file::FileStorage;
pub use manifest::Cluster;
pub use superblock::Label;
