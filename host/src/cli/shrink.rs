//! Command line of `synod shrink`.
//!
//! There is little to choose: what is left of a run follows from the run and from the number of
//! tries.

use super::error::UsageError;
use crate::commands::run::Colour;
use crate::commands::shrink::ShrinkCommand;
use crate::values;
use clap::Args;
use std::path::{Path, PathBuf};

/// Long description of `synod shrink --help`.
pub(super) const LONG_ABOUT: &str = "\
Shrinks a failing run to a smaller one that fails in the same way, and explains it.

FILE is a scenario, or a run that was recorded with 'synod run --record FILE'. Nodes, clients, requests and faults are \
removed as long as some seed still violates the same rule. Then the fate of each message is recorded, and every delay, \
loss and message that the failure does not need is removed. The counterexample is written to a file for 'synod replay', \
and explained in a few lines: which messages arrived where, what they changed, and which faults struck the cluster.";

/// Examples and exit codes in `synod shrink --help`.
pub(super) const AFTER_LONG: &str = "\
Examples:
  synod run 17 --faults all --record 17.toml   records the fate of each message
  synod shrink 17.toml                         shrinks it to 17.min.toml
  synod replay 17.min.toml                     runs that, with the whole log

Exit codes:
  0  the run was shrunk
  2  bad usage, or a file could not be read or written
  3  the run does not fail: there is nothing to shrink
  130, 143 or 129  stopped by Ctrl-C, SIGTERM or SIGHUP; the smallest run so far is
     written, and a second signal ends the program at once";

// No documentation of the type, as `clap` would print it as the description of the command.
#[derive(Debug, Args)]
pub(super) struct ShrinkArgs {
    /// Failing run: a scenario or a recorded run; - for the standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// File to write the shrunk run to [default: FILE with the extension min.toml]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Greatest number of runs to try, at least 1
    #[arg(long, value_name = "N", value_parser = values::events, default_value = "40000", allow_hyphen_values = true)]
    tries: u64,
    /// Write a page that plays the shrunk run: messages and states, for a browser
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Colour of roles in the explanation
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
    /// Returns the command. The file for the result is named after the original, which is not
    /// overwritten.
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
            html: self.html,
            colour: self.color,
        })
    }
}
