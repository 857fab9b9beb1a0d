//! An example of custom storage, a plain file that a node keeps its journal in, with a counter that outlives its
//! process: `cargo run -p example-file-storage -- counter.log`.
//!
//! [`FileLog`] is a complete [`Storage`](synod::storage::Storage) in three hundred lines, with everything that a
//! driver of your own must do. [`count`] runs a node on it.

mod counter;
mod file_log;

pub use counter::{Counter, PAGE, count};
pub use file_log::{FileError, FileLog};
