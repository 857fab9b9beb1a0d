//! Runs simulated Multi-Paxos clusters from a seed and prints what every node says.
//!
//! The program `synod` is a thin shell around this library: [`cli`] reads the command line, [`commands`] does what it
//! asks for, [`run()`] runs one simulation and [`sweep()`](sweep::sweep) many without printing anything, [`log`] and [`summary`] write down what happened.
//! Nothing here decides anything about the protocol; all of that is in the package `synod`.

pub mod case;
#[cfg(feature = "check")]
pub mod check;
pub mod cli;
pub mod commands;
pub mod data;
pub mod exit;
pub mod history;
mod json;
pub mod leadership;
pub mod log;
#[cfg(feature = "mutants")]
pub mod museum;
pub mod options;
mod power_cut;
mod progress;
pub mod random_walk;
pub mod run;
mod shell_quoting;
pub mod shrink;
mod signals;
pub mod store;
pub mod summary;
pub mod sweep;
mod values;

pub use exit::Exit;
pub use options::{Machine, Options};
pub use run::{Finished, run};
