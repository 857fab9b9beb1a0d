//! Storage in a plain file, and a counter that outlives its process.
//!
//! [`FileLog`] is a whole [`Storage`](synod::storage::Storage) of three hundred lines: what a driver of one's own must look
//! after, and nothing else. [`count`] is a node on it.

mod counter;
mod log;

pub use counter::{Counter, PAGE, count};
pub use log::{FileError, FileLog};
