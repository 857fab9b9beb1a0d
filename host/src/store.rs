//! Storage on a host: what of a node must outlive a loss of power, in a file for each node and a directory for a cluster.
//!
//! [`FileStorage`] is a log of records in a file; the database in it is `redb`. [`DataDir`] is a directory with such a
//! file for each node, and with a manifest that says whose they are.
//!
//! # What a file must never do
//!
//! A node that has forgotten how it voted, and votes again, breaks its cluster. So a file gives back every record that was
//! ever synced, or an error: never an older or a shorter log. Two things are in its way:
//!
//! - `redb` falls back to the commit before the last one where the last is damaged, which is right after a loss of power
//!   and wrong after a synced record has rotted. Therefore each sync ends with a *mark* outside of the database, which
//!   says how many records there have been, and nothing less is ever opened.
//! - `redb` trusts a file that was closed in good order, and panics over bytes that nobody would write. Therefore it is
//!   first given a copy of the file in memory, with every checksum checked, and only if all of that is right the file.
//!   So a damaged file is not changed by an attempt to open it.
//!
//! An older copy of a whole file in the place of the file is noticed by [`DataDir`], whose manifest says how many records
//! there had been when the cluster last started or stopped. What it does not notice: older copies of the file and of the
//! manifest together, and a copy from after that. Nobody may put one there.

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
