//! Execution of the commands, one module for each.

pub mod check;
#[cfg(feature = "mutants")]
pub mod museum;
mod record;
pub mod run;
pub mod shrink;
pub mod sweep;
