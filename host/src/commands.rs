//! Execution of the commands, one module for each.
//!
//! Each has a type for its options, which [`cli`](crate::cli) makes from the command line, and a
//! function that executes it and returns the exit. Reports go to the standard output, everything
//! else to the standard error, so that a report can be piped into another program.

pub mod check;
#[cfg(feature = "mutants")]
pub mod museum;
mod page;
mod record;
pub mod run;
#[cfg(feature = "server")]
pub mod server;
pub mod shrink;
pub mod sweep;
