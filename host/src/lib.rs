//! Host side of Synod: runs simulated Multi-Paxos clusters from a seed, checks them, and prints what every node does.
//!
//! The binary `synod` is a thin wrapper around this library. [`cli`] parses the command line and [`commands`] executes
//! it. [`run()`] runs one simulation and [`sweep()`](sweep::sweep) many; neither prints anything. [`log`] and
//! [`summary`] format the results. The protocol itself is in the package `synod`; nothing here takes part in it.
//!
//! ```
//! use synod_host::sweep::{Seeds, Sweep, sweep};
//! use synod_host::{Exit, Options, run};
//!
//! // One run, as `synod 6 --nodes 3`.
//! let mut options = Options::new(6);
//! options.nodes = 3;
//! assert_eq!(run(&options, &mut ())?.exit(), Exit::Done);
//!
//! // Five runs with drawn faults, each checked.
//! let swept = sweep(&Sweep::new(Seeds { first: 0, end: Some(5) }), &|_| {}, &false.into())?;
//! assert!(swept.failures.is_empty());
//! # Ok::<(), synod_host::run::RunError>(())
//! ```

pub mod case;
pub mod check;
pub mod cli;
pub mod commands;
pub mod data;
pub mod exit;
mod json;
pub mod leadership;
pub mod linearizability;
pub mod log;
pub mod membership;
#[cfg(feature = "mutants")]
pub mod museum;
pub mod mutant;
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
