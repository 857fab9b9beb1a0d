//! What the program can be asked to do, one module a command.

#[cfg(feature = "check")]
pub mod check;
pub mod run;
pub mod shrink;
pub mod sweep;
