//! What the program can be asked to do, one module a command.

pub mod run;
pub mod shrink;
pub mod sweep;
