//! What a process says with its exit code.

use crate::signals;
use std::io;
use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// Everything was done, and as it should be; also where nobody reads the output any more.
    Done,
    /// A rule that must always hold was broken.
    Violated,
    /// The command line makes no sense, or the output failed.
    Usage,
    /// A run came to a bound before it was done.
    Stalled,
    /// The same seed gave two different traces.
    Diverged,
    /// A sweep or a check went through, and something that it was to show never happened.
    Vacuous,
    /// A bound ended a check before everything was visited that it was to visit. No rule was broken so far.
    CutShort,
    /// It was stopped from outside: by Ctrl-C, SIGTERM or SIGHUP.
    Interrupted,
}

impl Exit {
    /// The exit code; of what was stopped from outside it is 128 and the number of the signal: 130, 143 or 129.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Violated => 1,
            Self::Usage => 2,
            Self::Stalled => 3,
            Self::Diverged => 4,
            Self::Vacuous => 5,
            Self::CutShort => 6,
            Self::Interrupted => signals::exit_code(),
        }
    }

    /// What an error of the standard output means: a reader that has gone away has seen what it wanted, anything else is
    /// reported in one line.
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

/// Says one line on the standard error. Where that fails too, there is nobody left to tell.
pub(crate) fn print_error(what: &impl core::fmt::Display) {
    use io::Write;
    let _ = writeln!(io::stderr().lock(), "synod: {what}");
}
