//! Errors of stores and data directories: the problem, what was expected, and the remedy.
//!
//! A problem is read by an operator whose cluster does not start. So each text says what is wrong
//! and what to do. The remedy differs by what is at stake: the votes of a node cannot be made
//! again, whereas a directory that was named by mistake only has to be named again.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};
use synod::NodeId;
use synod::storage::JOURNAL_RECORD_MAX;

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
    /// The store of a node is missing.
    Gone(NodeId),
    /// The nodes have storage, but the client log is missing.
    ClientLogGone,
    /// The path of a new store already exists.
    Exists,
    /// The path is not a file.
    NotAFile,
    /// Permission to read or write is missing, or the file system is read-only.
    Denied(io::Error),
    /// Another process has it open.
    InUse,
    /// The file is not a store.
    Foreign,
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
    /// The contents have changed since they were written, or are incomplete.
    Damaged(String),
    /// It is an intact but older copy.
    Older {
        /// Number of records found.
        found: u64,
        /// Number of records when the cluster last ran.
        known: u64,
    },
    /// A problem with the client log.
    ClientLog(Box<Self>),
    /// It is the store of another directory.
    OtherDirectory,
    /// A synced record cannot be read, because it has changed or is missing.
    Lost {
        /// Number of records before it, including trimmed ones.
        found: u64,
        /// Number of records synced.
        synced: u64,
    },
    /// A record exceeds the maximum length; its length in bytes. It was not appended.
    TooLong(usize),
    /// There is no room for a record, which was not appended; the capacity in bytes.
    Full(u32),
    /// An operation failed. Writes since the last sync may be present or not.
    Io(io::Error),
    /// An operation failed earlier, and nothing was attempted since.
    Failed,
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

/// Remedy for the loss of a node's votes.
const RESTORE_OR_LEARN: &str = "restore this file as it was when the node last stopped, never an older copy; \
                                or restart the node as a learner, which never votes";

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientLog(problem) => problem.fmt_of_client_log(f),
            Self::Gone(_) | Self::Older { .. } | Self::Damaged(_) | Self::Lost { .. } => {
                self.fmt_loss(f)
            }
            Self::Denied(_)
            | Self::InUse
            | Self::Io(_)
            | Self::Failed
            | Self::Full(_)
            | Self::TooLong(_) => self.fmt_refusal(f),
            Self::NotADirectory
            | Self::NoParent
            | Self::NotEmpty(_)
            | Self::ManifestGone
            | Self::ManifestDamaged(_)
            | Self::NoSuchNode(_)
            | Self::ClientLogGone => self.fmt_of_directory(f),
            Self::Exists
            | Self::NotAFile
            | Self::Foreign
            | Self::Version(_)
            | Self::Other { .. }
            | Self::OtherDirectory => self.fmt_mistake(f),
        }
    }
}

/// The groups of problems, by what a person can do about them. A problem never comes to another group than its own.
impl Problem {
    /// Formats the loss of records that a node relies on, which no process can make good.
    fn fmt_loss(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(node) => write!(
                f,
                "the storage of {node} is missing, and with it the votes of the node: {RESTORE_OR_LEARN}"
            ),
            Self::Older { found, known } => {
                write!(f, "{}: {RESTORE_OR_LEARN}", Older(*found, *known))
            }
            Self::Damaged(what) => write!(f, "this store is damaged ({what}): {RESTORE_OR_LEARN}"),
            Self::Lost { found, synced } => write!(
                f,
                "this store is damaged ({}): {RESTORE_OR_LEARN}",
                Cut(*found, *synced)
            ),
            other => {
                debug_assert!(false, "{other:?} is of another group");
                Ok(())
            }
        }
    }

    /// Formats an operation that the system or the store refused, with intact files.
    fn fmt_refusal(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(error) => write!(
                f,
                "this must be readable and writable, and is not ({error}): give this user permission to write it"
            ),
            Self::InUse => f.write_str(
                "another process has this open: stop that process first, or name another directory",
            ),
            Self::Io(error) => write!(
                f,
                "this cannot be read or written ({error}): check the disk, and start the node again"
            ),
            Self::Failed => f.write_str(
                "an operation on this failed earlier: check the disk, and start the node again",
            ),
            Self::Full(capacity) => {
                write!(f, "there is no room for another record in {capacity} bytes")
            }
            Self::TooLong(len) => write!(
                f,
                "a record has {len} bytes, but at most {JOURNAL_RECORD_MAX} are allowed"
            ),
            other => {
                debug_assert!(false, "{other:?} is of another group");
                Ok(())
            }
        }
    }

    /// Formats a problem with the directory as a whole, its manifest or its client log.
    fn fmt_of_directory(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
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
            Self::ClientLogGone => write!(
                f,
                "the client log is missing, and with it the answers that the clients received: {RESTORE_OR_FOUND}"
            ),
            other => {
                debug_assert!(false, "{other:?} is of another group");
                Ok(())
            }
        }
    }

    /// Formats a path that names something else than the store that was meant.
    fn fmt_mistake(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists => {
                f.write_str("a new store cannot be created here: the path already exists")
            }
            Self::NotAFile => {
                f.write_str("this is not a file, but the store of a node was expected")
            }
            Self::Foreign => f.write_str(
                "this is not the store of a node: name the right file or directory",
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
            Self::OtherDirectory => f.write_str(
                "this is the store of another directory: restore the original one, or name the directory that it belongs to",
            ),
            other => {
                debug_assert!(false, "{other:?} is of another group");
                Ok(())
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
    /// True if the store of a node is missing, damaged or older than it was, so that it is no use to wait.
    pub const fn is_lost(&self) -> bool {
        matches!(
            self.problem,
            Problem::Gone(_) | Problem::Damaged(_) | Problem::Lost { .. } | Problem::Older { .. }
        )
    }
}

/// Remedy for the loss of the client log.
const RESTORE_OR_FOUND: &str = "restore this file as it was when the cluster last stopped, never an older copy; \
                                or begin with a new directory";

/// Number of records found in an older copy, and number known before.
struct Older(u64, u64);

impl fmt::Display for Older {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(found, known) = self;
        write!(
            f,
            "this is an older copy (it ends after record {found}, and there were {known} when the cluster last ran)"
        )
    }
}

/// Number of records before the first one that cannot be read, and number synced.
struct Cut(u64, u64);

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(found, synced) = self;
        write!(
            f,
            "it can be read up to record {found}, and {synced} were synced"
        )
    }
}

impl Problem {
    /// Formats a problem with the client log, where the remedies for nodes do not apply.
    fn fmt_of_client_log(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(what) => {
                write!(f, "the client log is damaged ({what}): {RESTORE_OR_FOUND}")
            }
            Self::Lost { found, synced } => {
                let cut = Cut(*found, *synced);
                write!(f, "the client log is damaged ({cut}): {RESTORE_OR_FOUND}")
            }
            Self::Older { found, known } => {
                write!(
                    f,
                    "the client log: {}: {RESTORE_OR_FOUND}",
                    Older(*found, *known)
                )
            }
            Self::Gone(_) => fmt::Display::fmt(&Self::ClientLogGone, f),
            Self::NotAFile => f.write_str("this is not a file, but the client log was expected"),
            Self::Foreign | Self::Other { .. } | Self::OtherDirectory => write!(
                f,
                "this is not the client log of this directory: {RESTORE_OR_FOUND}"
            ),
            Self::Io(error) => write!(
                f,
                "this cannot be read or written ({error}): check the disk, and repeat the command"
            ),
            Self::Failed => f.write_str(
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
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Denied(error)
            }
            io::ErrorKind::IsADirectory => Self::NotAFile,
            io::ErrorKind::NotADirectory => Self::NotADirectory,
            _ => Self::Io(error),
        }
    }
}
