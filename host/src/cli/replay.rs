//! Command line of `synod replay`.
//!
//! A replay is a run like any other, of which the outcome is known before. So it has the options
//! that show a run, and none that would change it.

use super::error::UsageError;
use super::run::ShowArgs;
use crate::case;
use crate::commands::run::{RunCommand, Subject};
use crate::shell_quoting;
use clap::Args;
use std::path::{Path, PathBuf};

/// Long description of `synod replay --help`.
pub(super) const LONG_ABOUT: &str = "\
Replays a recorded run and reports whether the outcome is the same.

FILE was written by 'synod run --record FILE' or by 'synod shrink'. It holds the fate of each message, so that nothing is \
random, and the outcome of the run. The log and the summary are those of 'synod run'.";

/// Examples and exit codes in `synod replay --help`.
pub(super) const AFTER_LONG: &str = "\
Examples:
  synod run 17 --faults all --record 17.toml   records the fate of each message
  synod replay 17.toml --slot 4                the same run; shows only slot 4 in the log

Exit codes are those of 'synod run'; 4 also means that the outcome differs from the recorded one.";

// No documentation of the type, as `clap` would print it as the description of the command.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// Recorded run; - for the standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    show: ShowArgs,
}

/// Returns the command that replays a file.
pub(crate) fn command_of(file: &Path) -> String {
    let mut line = format!("{} replay", shell_quoting::program());
    shell_quoting::push_operand(&mut line, file.as_os_str());
    line
}

impl ReplayArgs {
    #[cfg(test)]
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Returns the command, after the file was read: a file that is invalid is an error of usage.
    pub(super) fn command(self) -> Result<RunCommand, UsageError> {
        let (case, recorded) = case::read(&self.file).map_err(|error| UsageError::file(&error))?;
        let subject = Subject::Case {
            case: Box::new(case),
            command: command_of(&self.file),
        };
        self.show.command(subject, false, None, recorded)
    }
}
