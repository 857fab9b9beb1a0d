//! Errors of a log: the problem, what was expected, and the remedy, for an operator whose node does not start.

use crate::file_log::{CAPACITY_MAX, CAPACITY_MIN};
use core::fmt;
use std::io;
use std::path::{Path, PathBuf};
use synod::storage::JOURNAL_RECORD_MAX;

/// Why a log cannot be used. Displayed as one line.
#[derive(Debug)]
pub struct FileLogError {
    /// The path of the file.
    pub path: PathBuf,
    /// The problem.
    pub problem: Problem,
}

/// A problem with the file of a log.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// There is no file, and with it the votes of a node are missing.
    Missing,
    /// A new log cannot be created, as the path exists.
    Exists,
    /// The directory of a new log does not exist.
    NoDirectory,
    /// The path is not a file.
    NotAFile,
    /// Permission to read or write is missing, or the file system is read-only.
    Denied(io::Error),
    /// Another process has it open.
    InUse,
    /// The file is not a log.
    Foreign,
    /// It was written in another format; the number of the format.
    Version(u64),
    /// The log has another capacity.
    OtherCapacity {
        /// The capacity of the file, in bytes.
        found: u64,
        /// The capacity that was asked for, in bytes.
        expected: usize,
    },
    /// It is a log with another key, and so of another owner; the key of the file.
    OtherKey(u64),
    /// A log cannot have such a capacity, in bytes.
    InvalidCapacity(usize),
    /// The contents have changed since they were synced.
    Damaged {
        /// The offset in the file of the first byte that is in doubt.
        at: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// The disk has no room for a new log.
    DiskFull {
        /// The length of the file, in bytes.
        needed: u64,
        /// What the system answered.
        error: io::Error,
    },
    /// A record is too long, and was not appended; its length in bytes.
    TooLong(usize),
    /// There is no room for a record, and it was not appended; the capacity in bytes.
    Full(usize),
    /// The system refused an operation. What was written since the last sync may be there or not.
    Io(io::Error),
    /// An operation failed earlier, and nothing was attempted since.
    Failed,
}

/// The remedy where the votes of a node are lost, as the end of a sentence.
pub const RESTORE_OR_LEARN: &str = "restore this file as it was when the node last stopped, never an older copy; \
                                or restart the node as a learner, which never votes";

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(
                f,
                "there is no such file, and with it the votes of the node are missing: {RESTORE_OR_LEARN}"
            ),
            Self::Exists => f.write_str(
                "a new log cannot be created here, as the path exists: open it, or name another path",
            ),
            Self::NoDirectory => {
                f.write_str("its directory does not exist: create it first, or name another one")
            }
            Self::NotAFile => f.write_str(
                "this is not a file, but the log of a node was expected: name the right path",
            ),
            Self::Denied(error) => write!(
                f,
                "this must be readable and writable, and is not ({error}): give this user permission to write it"
            ),
            Self::InUse => f.write_str(
                "another process has this open: stop that process first, or name another path",
            ),
            Self::Foreign => {
                f.write_str("this is not the log of a node: name the right path")
            }
            Self::Version(found) => write!(
                f,
                "this has format {found}, which this program cannot read: use the version of the program that wrote it"
            ),
            Self::OtherCapacity { found, expected } => write!(
                f,
                "this has a capacity of {found} bytes, but {expected} were expected: use the capacity that it was created with"
            ),
            Self::OtherKey(_) => {
                f.write_str("this is the log of another node: name the right path")
            }
            Self::InvalidCapacity(capacity) => write!(
                f,
                "a log cannot have a capacity of {capacity} bytes: it must be between {CAPACITY_MIN} and {CAPACITY_MAX}"
            ),
            Self::Damaged { at, what } => {
                write!(f, "this store is damaged at byte {at} ({what}): {RESTORE_OR_LEARN}")
            }
            Self::DiskFull { needed, error } => write!(
                f,
                "there is no room for a file of {needed} bytes ({error}): make room, or name a path on another disk"
            ),
            Self::TooLong(len) => write!(
                f,
                "a record of {len} bytes was not appended: at most {JOURNAL_RECORD_MAX} are allowed"
            ),
            Self::Full(capacity) => write!(
                f,
                "a record was not appended: there is no room in {capacity} bytes until others are dropped"
            ),
            Self::Io(error) => write!(
                f,
                "this cannot be read or written ({error}): check the disk, and start the node again"
            ),
            Self::Failed => f.write_str(
                "an operation on this failed earlier: check the disk, and start the node again",
            ),
        }
    }
}

impl fmt::Display for FileLogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.problem)
    }
}

impl core::error::Error for FileLogError {}

impl FileLogError {
    /// Returns true if synced records are missing, so that only a learner can be started.
    pub const fn is_lost(&self) -> bool {
        matches!(self.problem, Problem::Missing | Problem::Damaged { .. })
    }
}

impl Problem {
    /// Returns the problem of a file that is as it was created only up to this byte, and ends there or should.
    pub(crate) const fn other_length(at: u64) -> Self {
        Self::Damaged {
            at,
            what: "the file has another length",
        }
    }

    pub(crate) fn at(self, path: &Path) -> FileLogError {
        FileLogError {
            path: path.to_path_buf(),
            problem: self,
        }
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Denied(error)
            }
            io::ErrorKind::IsADirectory => Self::NotAFile,
            _ => Self::Io(error),
        }
    }
}
