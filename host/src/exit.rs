//! Exit codes of the program, and errors on the standard error.
//!
//! The codes are an interface: scripts, build servers and the other programs of this repository
//! decide by them. Where several outcomes apply, each command says which one counts.

use crate::signals;
use std::io;
use std::process::ExitCode;

/// Outcome of a command.
///
/// Scripts and build servers tell outcomes apart by these codes, which the `--help` pages list.
/// They are not to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// Success; also if the reader of the output has closed it.
    Done,
    /// A safety rule was violated.
    Violated,
    /// The command line was invalid, or a file or the output failed.
    Usage,
    /// A run reached a bound before it was done.
    Stalled,
    /// Requests of a benchmark failed.
    Failed,
    /// Two runs of the same seed had different traces.
    Diverged,
    /// A sweep or a check was completed, but something that it should have covered never happened.
    Vacuous,
    /// A check reached a bound before it had visited everything. No rule was violated so far.
    CutShort,
    /// The program was stopped by Ctrl-C, SIGTERM or SIGHUP.
    Interrupted,
}

impl Exit {
    /// Returns the exit code. After a signal it is 128 plus the number of the signal: 130, 143 or 129.
    ///
    /// ```
    /// use synod_host::Exit;
    /// let outcomes = [Exit::Done, Exit::Violated, Exit::Usage, Exit::Stalled, Exit::Vacuous];
    /// assert_eq!(outcomes.map(Exit::code), [0, 1, 2, 3, 5]);
    /// ```
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Violated => 1,
            Self::Usage => 2,
            Self::Stalled | Self::Failed => 3,
            Self::Diverged => 4,
            Self::Vacuous => 5,
            Self::CutShort => 6,
            Self::Interrupted => signals::exit_code(),
        }
    }

    /// Returns the outcome for an error of the standard output. A closed pipe is a success, because its reader has seen
    /// enough; any other error is reported in one line.
    pub fn from_output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::Done;
        }
        print_error(&format_args!(
            "cannot write to the standard output: {error}"
        ));
        Self::Usage
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Prints one line on the standard error. A failure to do so is ignored, as there is nowhere to report it.
pub(crate) fn print_error(what: &impl core::fmt::Display) {
    use io::Write;
    let _ = writeln!(io::stderr().lock(), "synod: {what}");
}
