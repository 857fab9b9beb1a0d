//! `synod shrink`: its options.

use super::error::UsageError;
use crate::commands::run::Colour;
use crate::commands::shrink::ShrinkCommand;
use crate::values;
use clap::Args;
use std::path::{Path, PathBuf};

/// What `synod shrink --help` says beyond its options.
pub(super) const LONG_ABOUT: &str = "\
Shrinks a run that fails to the least that still fails in the same way, and tells its story.

FILE is a scenario, or a run that was recorded with 'synod run --record FILE'. Nodes, clients, requests and faults are \
taken away as long as some seed still breaks the same rule; then what became of each message is written down, and \
every delay, loss and message that does not matter is taken back. What is left is written to a file that 'synod replay' \
runs, and told in a few lines: what arrived where, what that changed, and what was done to the cluster.";

pub(super) const AFTER_LONG: &str = "\
Examples:
  synod run 17 --faults all --record 17.toml   records what became of each message
  synod shrink 17.toml                         shrinks it to 17.min.toml
  synod replay 17.min.toml                     runs that, with the whole log

Exit codes:
  0  it was shrunk
  2  bad usage, or a file could not be read or written
  3  the run does not fail, so that there is nothing to shrink
  130, 143 or 129  stopped by Ctrl-C, SIGTERM or SIGHUP; what was left by then is
     written, and a second signal ends it at once";

#[derive(Debug, Args)]
pub(super) struct ShrinkArgs {
    /// The run: a scenario, or what was recorded of one; - for the standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where the least that still fails is written; by default FILE with 'min' in its name
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How many runs it may take
    #[arg(long, value_name = "N", value_parser = values::events, default_value = "40000", allow_hyphen_values = true)]
    tries: u64,
    /// Whether the story is coloured
    #[arg(
        long,
        alias = "colour",
        value_name = "WHEN",
        value_enum,
        default_value_t
    )]
    color: Colour,
}

impl ShrinkArgs {
    pub(super) fn command(self) -> Result<ShrinkCommand, UsageError> {
        let output = match self.output {
            Some(output) => output,
            None if self.file == Path::new("-") => {
                return Err(UsageError::alone("FILE -", "--output, as it has no name"));
            }
            None => self.file.with_extension("min.toml"),
        };
        Ok(ShrinkCommand {
            file: self.file,
            output,
            tries: self.tries,
            colour: self.color,
        })
    }
}
