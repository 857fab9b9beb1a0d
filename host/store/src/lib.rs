//! Storage for the records of a node: a log in one preallocated file, with one sync a commit.
//!
//! [`FileLog`] implements [`Storage`](synod::storage::Storage) for nodes whose every answer waits for a disk: servers, and
//! simulated clusters on files. What was appended since the last sync is written as one *block*, by one write and one
//! `fdatasync`.
//!
//! # The file
//!
//! | offset | contents |
//! |---|---|
//! | 0, 4096 | two copies of the superblock: format, capacity, and a key drawn at random |
//! | 8192, 12288 | two marks: which block was synced, and which records are needed |
//! | 16384 | the ring: blocks behind each other, around the end and over what is no longer needed |
//!
//! A file gets its length and all of its bytes when it is created, with permissions for one user. It does not meet a full
//! disk later (except on file systems that never write in place), and `fdatasync` has no metadata to write. It is locked as
//! long as it is open.
//!
//! A block has a sequence number, checksums of its header and of its records, and says which is the first record that is
//! still needed. **It is written only after the sync of the block before it has returned.** So a header with number 8 is a
//! proof that block 7 was synced. To open a log is to search the whole ring for blocks:
//!
//! - The last one is the intact block with the highest number. All blocks from the first that it needs on must be intact.
//! - Anything that proves a later block to be synced (a header two numbers above it, or a mark) means damage.
//! - What else is behind it was torn by a loss of power before its sync returned, in whatever order a file system persists the
//!   pages of a write; it is ignored, and overwritten by the next block.
//!
//! The last block may never have been synced, if only the process was killed. As the node acts on what it reads, the block
//! is written and synced once more. That holds also where the sync has failed, after which a system takes pages for
//! written that are not. A log that was closed has the same bytes after it was opened.
//!
//! The room of dropped records is used again only after a later block or a mark was synced that does not need them. Until
//! then they may reappear, which the contract of storage allows.
//!
//! All checksums start from the key of the file, and those of headers from their places, too. So no record, which a client
//! may have chosen, is taken for a block, nor is a block that a disk has put in the wrong place. An owner of several logs gives
//! each a key of its own, and then tells a file in the place of another by it ([`FileLog::open_with_key`]).
//!
//! # What is noticed, and what is not
//!
//! A log is returned with every record that was synced, or not at all:
//!
//! - **Bit rot** in any needed block but the last is an error. So is rot in the last one if a mark tells of it. One
//!   superblock and one mark may rot without harm.
//! - **Rot in the last block before a mark is not noticed**: it looks like a write that was torn. The log then ends with the
//!   block before. [`FileLog::close`] writes a mark, and a server calls [`FileLog::mark`] when it has nothing else to do, and
//!   a run on files at its end, so that only a block that was written just before a kill or a loss of power can be lost in
//!   this way.
//! - **An older copy of the whole file is not noticed** by the log itself. Nobody must restore one. Whoever has written down
//!   elsewhere how many syncs there were ([`FileLog::syncs`]) notices it.
//! - It is assumed that a disk which loses power while it writes a sector does not change bytes of the sector that are
//!   written as they were: a block and the next one may share a sector. Superblocks and marks have pages of their own.
//! - After an error nothing more is written until the file is opened again.
//!
//! # Why not otherwise
//!
//! - **A mark with each block** would notice more, at the price of a second sync: the mark must not be durable before the
//!   records are, or a torn write would look like damage.
//! - **A mark as an empty block in the ring** would take room that no record pays for, so that the capacity would not be
//!   exact. A mark in a place of its own takes none. It also releases room where a trim is so large that the next block
//!   could not be written before it tells of the trim.
//! - **Blocks that do not go around the end of the ring** would leave a gap as large as a block. One that does takes two
//!   writes, and the same sync.
//! - **Whole pages for each block** would make the assumption about sectors unnecessary. A record would then be counted with
//!   a page beside it, and a checkpoint of thousands would need room for as many.
//!
//! `cargo run --release -p synod-store --example latency` measures what a commit takes on a disk. On ext4 its median is that of
//! a write in place and `fdatasync` without any format, and 1.9 times that with two syncs.

mod block;
mod error;
mod file;
mod file_log;
mod layout;
mod medium;
mod recovery;
#[cfg(test)]
mod tests;

pub use error::{FileLogError, Problem, RESTORE_OR_LEARN};
pub use file_log::{CAPACITY_MAX, CAPACITY_MIN, FileLog};
pub use medium::{Disk, Medium};
