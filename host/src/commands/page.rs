//! Pages that play a run: `--html FILE`.

use crate::case::{self, Case};
use crate::exit::print_error;
use crate::log::Player;
use crate::run::RunError;
use crate::summary::Summary;
use core::fmt;
use std::fs;
use std::io;
use std::path::Path;

/// Reason why there is no page.
#[derive(Debug)]
pub(super) enum PageError {
    /// The run could not start.
    Run(RunError),
    /// The file could not be written.
    File(Box<Path>, io::Error),
}

impl core::error::Error for PageError {}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(error) => write!(f, "{error}"),
            Self::File(path, error) => {
                write!(f, "no page was written: {}: {error}", path.display())
            }
        }
    }
}

/// Writes the page of a run, and says where it is. This goes to the standard error, as the log is for programs as well.
pub(super) fn write(path: &Path, player: &Player, summary: &Summary<'_>) -> Result<(), PageError> {
    fs::write(path, player.page(summary)).map_err(|error| PageError::File(path.into(), error))?;
    print_error(&format_args!("the run can be seen in {}", path.display()));
    Ok(())
}

/// Executes a case once more, and writes its page. `command` repeats the run.
pub(super) fn of_case(path: &Path, case: &Case, command: &str) -> Result<(), PageError> {
    let mut player = Player::new();
    let finished = case::run(case, &mut player).map_err(PageError::Run)?;
    let summary = Summary {
        run_seed: case.trial.scenario.run_seed,
        command,
        finished: &finished,
        verified: None,
    };
    write(path, &player, &summary)
}
