//! Errors of stores and data directories: the problem, what was expected, and the remedy.
//!
//! A problem is read by an operator whose cluster does not start. So each text says what is wrong
//! and what to do. The remedy differs by what is at stake: the votes of a node cannot be made
//! again, whereas a directory that was named by mistake only has to be named again.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};
use synod::NodeId;
use synod_store::{FileLogError, RESTORE_OR_LEARN};

/// Reason why a store or a data directory cannot be used. Nothing in it was changed unless the variant says so.
///
/// Displayed as one line.
#[derive(Debug)]
pub struct StoreError {
    /// Path of the file or directory.
    pub path: PathBuf,
    /// The problem.
    pub problem: Problem,
}

/// Problem with a file or directory.
///
/// Its text says what is wrong and what to do, since it is read by an operator whose cluster does
/// not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// A problem with a file as such.
    File(synod_store::Problem),
    /// The store of a node is missing.
    Gone(NodeId),
    /// The nodes have storage, but the client log is missing.
    ClientLogGone,
    /// It was written in another format; the number of the format.
    Version(u64),
    /// A property differs from the expected one.
    Other {
        /// Name of the property.
        what: &'static str,
        /// Value found.
        found: String,
        /// Value expected.
        expected: String,
    },
    /// It is an intact but older copy.
    Older {
        /// Number of syncs found.
        found: u64,
        /// Number of syncs when the cluster last ran.
        known: u64,
    },
    /// A problem with the client log.
    ClientLog(Box<Self>),
    /// It is the store of another directory.
    OtherDirectory,
    /// The path is not a directory.
    NotADirectory,
    /// The parent directory does not exist.
    NoParent,
    /// The directory has other contents and no manifest.
    NotEmpty(String),
    /// The directory has stores but no manifest.
    ManifestGone,
    /// The manifest is damaged.
    ManifestDamaged(String),
    /// The cluster has no such node.
    NoSuchNode(NodeId),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(problem) => problem.fmt(f),
            Self::ClientLog(problem) => problem.fmt_of_client_log(f),
            Self::Gone(node) => write!(
                f,
                "the storage of {node} is missing, and with it the votes of the node: {RESTORE_OR_LEARN}"
            ),
            Self::ClientLogGone => write!(
                f,
                "the client log is missing, and with it the answers that the clients received: {RESTORE_OR_FOUND}"
            ),
            Self::Version(found) => write!(
                f,
                "this has format {found}, which this program cannot read: use the version of the program that wrote it, or begin with a new directory"
            ),
            Self::Other {
                what,
                found,
                expected,
            } => write!(
                f,
                "this has {what} {found}, but {expected} was expected: use the options of this cluster, or another directory"
            ),
            Self::Older { found, known } => {
                write!(f, "{}: {RESTORE_OR_LEARN}", Older(*found, *known))
            }
            Self::OtherDirectory => f.write_str(
                "this is the store of another directory: restore the original one, or name the directory that it belongs to",
            ),
            Self::NotADirectory => f.write_str("this is not a directory, but one was expected"),
            Self::NoParent => f.write_str(
                "the parent directory does not exist: create it first, or name another directory",
            ),
            Self::NotEmpty(what) => write!(
                f,
                "this directory holds no cluster, but it holds {what}: name an empty directory or a new one"
            ),
            Self::ManifestGone => {
                f.write_str("this directory holds stores, but its manifest is missing: restore it")
            }
            Self::ManifestDamaged(what) => {
                write!(f, "the manifest is damaged ({what}): restore it")
            }
            Self::NoSuchNode(node) => {
                write!(f, "there is no {node} in the cluster of this directory")
            }
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.problem)
    }
}

impl core::error::Error for StoreError {}

impl StoreError {
    /// Returns the error of the client log.
    pub fn of_client_log(error: FileLogError) -> Self {
        Problem::ClientLog(Box::new(error.problem.into())).at(&error.path)
    }

    /// True if the store of a node is missing, damaged or older than it was, so that it is no use to wait.
    pub const fn is_lost(&self) -> bool {
        matches!(
            self.problem,
            Problem::Gone(_)
                | Problem::File(synod_store::Problem::Damaged { .. })
                | Problem::Older { .. }
        )
    }
}

/// Remedy for the loss of the client log.
const RESTORE_OR_FOUND: &str = "restore this file as it was when the cluster last stopped, never an older copy; \
                                or begin with a new directory";

/// Number of syncs of an older copy, and number known before.
struct Older(u64, u64);

impl fmt::Display for Older {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(found, known) = self;
        write!(
            f,
            "this is an older copy (it ends after sync {found}, and there were {known} when the cluster last ran)"
        )
    }
}

impl Problem {
    /// Formats a problem with the client log, where the remedies for nodes do not apply.
    fn fmt_of_client_log(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use synod_store::Problem as File;
        match self {
            Self::File(File::Damaged { at, what }) => write!(
                f,
                "the client log is damaged at byte {at} ({what}): {RESTORE_OR_FOUND}"
            ),
            Self::Older { found, known } => {
                write!(
                    f,
                    "the client log: {}: {RESTORE_OR_FOUND}",
                    Older(*found, *known)
                )
            }
            Self::File(File::Missing) => fmt::Display::fmt(&Self::ClientLogGone, f),
            Self::File(File::NotAFile) => {
                f.write_str("this is not a file, but the client log was expected")
            }
            Self::File(File::Foreign | File::OtherKey(_) | File::OtherCapacity { .. }) => write!(
                f,
                "this is not the client log of this directory: {RESTORE_OR_FOUND}"
            ),
            Self::File(File::Io(error)) => write!(
                f,
                "this cannot be read or written ({error}): check the disk, and repeat the command"
            ),
            Self::File(File::Failed) => f.write_str(
                "an operation on this failed earlier: check the disk, and repeat the command",
            ),
            other => fmt::Display::fmt(other, f),
        }
    }

    /// Returns the error of a file or directory with this problem.
    pub(super) fn at(self, path: &Path) -> StoreError {
        StoreError {
            path: path.to_path_buf(),
            problem: self,
        }
    }

    /// Converts an error of an operation on an existing file or directory.
    pub(super) fn of(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotADirectory => Self::NotADirectory,
            _ => Self::File(error.into()),
        }
    }
}

impl From<synod_store::Problem> for Problem {
    fn from(problem: synod_store::Problem) -> Self {
        match problem {
            synod_store::Problem::Version(found) => Self::Version(found),
            problem => Self::File(problem),
        }
    }
}
