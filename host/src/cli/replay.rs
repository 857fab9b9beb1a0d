//! `synod replay`: its options.

use super::ShowArgs;
use super::error::UsageError;
use crate::case;
use crate::commands::run::{RunCommand, Subject};
use crate::shell_quoting;
use clap::Args;
use std::path::{Path, PathBuf};

/// What `synod replay --help` says beyond its options.
pub(super) const LONG_ABOUT: &str = "\
Runs what was recorded of a run, and says whether the same came of it.

FILE was written by 'synod run --record FILE' or by 'synod shrink': it says what became of each message, so that nothing \
is left to chance, and how the run ended. The log and the summary are those of 'synod run'.";

pub(super) const AFTER_LONG: &str = "\
Examples:
  synod run 17 --faults all --record 17.toml   records what became of each message
  synod replay 17.toml --slot 4                the same run, and of its log what was said about slot 4

Exit codes are those of 'synod run'; 4 is also for a run that did not end as it was recorded.";

#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// What was recorded; - for the standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    show: ShowArgs,
}

/// The command that replays a file.
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

    pub(super) fn command(self) -> Result<RunCommand, UsageError> {
        let (case, recorded) = case::read(&self.file).map_err(|error| UsageError::file(&error))?;
        let subject = Subject::Case {
            case: Box::new(case),
            command: command_of(&self.file),
        };
        self.show.command(subject, false, None, recorded)
    }
}
