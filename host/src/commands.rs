//! What the program can be asked to do, one module a command.

#[cfg(feature = "check")]
pub mod check;
#[cfg(feature = "mutants")]
pub mod museum;
mod record;
pub mod run;
pub mod shrink;
pub mod sweep;
