//! What became of each message of a run, written to a file that `synod replay` runs and `synod shrink` shrinks.

use crate::case::{self, Case, FileError, Outcome};
use crate::run::{Finished, RunError};
use core::fmt;
use std::path::Path;

/// Why nothing was recorded.
#[derive(Debug)]
pub(super) enum RecordError {
    /// There was no run.
    Run(RunError),
    /// It could not be written.
    File(FileError),
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(error) => write!(f, "{error}"),
            Self::File(error) => write!(f, "nothing was recorded: {error}"),
        }
    }
}

/// Runs a case, and writes it down as one that leaves nothing to chance, with what comes of that.
pub(super) fn record(case: &Case, path: &Path) -> Result<(), RecordError> {
    // The weather stays, though the script says all that it did: a shrinker looks for other trials in it.
    let (recorded, _) = case::record(case).map_err(RecordError::Run)?;
    let finished = case::run(&recorded, &mut ()).map_err(RecordError::Run)?;
    case::write(path, &recorded, Some(&outcome(&finished))).map_err(RecordError::File)
}

/// How a run ended, as a file says it.
pub(super) fn outcome(finished: &Finished) -> Outcome {
    Outcome {
        verdict: finished.failure().unwrap_or("done").to_owned(),
        digest: finished.digest.to_string(),
    }
}
