//! Recording of a run: the fate of each message, in a file for `synod replay` and `synod shrink`.
//!
//! A recorded run is a scenario with a script: it has the fate of each message, so that no random
//! choice is left, and the outcome, with which every replay is compared. It stays the same run when
//! the distribution of faults changes, for as long as the nodes send the same messages.

use crate::case::{self, Case, FileError, Outcome};
use crate::run::{Finished, RunError};
use core::fmt;
use std::path::Path;

/// Reason why a run was not recorded.
#[derive(Debug)]
pub(super) enum RecordError {
    /// The run could not start.
    Run(RunError),
    /// The file could not be written.
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

/// Runs a case and writes it to a file with the fate of each message and the outcome.
pub(super) fn record(case: &Case, path: &Path) -> Result<(), RecordError> {
    // The weather stays in the file although the script contains its effects, because shrinking draws other trials from
    // it.
    // The recorded case is run once more, since the outcome in the file is that of the script, with
    // which a replay is compared.
    let (recorded, _) = case::record(case).map_err(RecordError::Run)?;
    let finished = case::run(&recorded, &mut ()).map_err(RecordError::Run)?;
    case::write(path, &recorded, Some(&outcome(&finished))).map_err(RecordError::File)
}

/// Returns the outcome of a run in the form of a scenario file.
pub(super) fn outcome(finished: &Finished) -> Outcome {
    Outcome {
        verdict: finished.failure().unwrap_or("done").to_owned(),
        digest: finished.digest.to_string(),
    }
}
