//! Shared parts of the command-line tools of the tests: failures, exit codes and output.

use core::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// The exit code of a tool that could not do its work.
const FAILED: u8 = 2;

/// An error of a tool, as a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(String);

impl Failure {
    /// Creates a failure with this sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Failure {}

/// Returns the exit code of a tool: that of its result, or 2 after a failure, which it reports.
pub fn exit(result: Result<u8, Failure>) -> ExitCode {
    ExitCode::from(result.unwrap_or_else(|failure| {
        report(&failure.to_string());
        FAILED
    }))
}

/// Writes a line about progress or a problem to the standard error stream.
pub fn report(sentence: &str) {
    // A failure to write it cannot be reported either.
    let _ = writeln!(io::stderr(), "{sentence}");
}

/// Writes text to the standard output.
///
/// # Errors
///
/// Returns an error if the output is closed.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .map_err(|error| Failure::new(format!("the output cannot be written: {error}")))
}
