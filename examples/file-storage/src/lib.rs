//! Storage in a plain file, and a counter that outlives its process.
//!
//! [`FileLog`] is a whole [`Storage`](synod::storage::Storage) of three hundred lines: what a driver of one's own must look
//! after, and nothing else. [`count`] is a node on it.

mod counter;
mod file_log;

pub use counter::{Counter, PAGE, count};
pub use file_log::{FileError, FileLog};
