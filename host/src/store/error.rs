//! Why a store or a data directory cannot be used: what is wrong, what was expected, and what to do about it.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};
use synod::NodeId;
use synod::storage::JOURNAL_RECORD_MAX;

/// Why a store or a data directory cannot be used. Nothing was changed in it, unless it says so.
///
/// Its text is one line.
#[derive(Debug)]
pub struct StoreError {
    /// The file or directory.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a file or directory.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// A node has storage, and its file is not there.
    Gone(NodeId),
    /// The nodes have storage, and the notes of their clients are not there.
    NotesGone,
    /// There is something already where a store is to be made.
    Exists,
    /// It is no file.
    NotAFile,
    /// It may not be read and written, or is on something that cannot be written.
    Denied(io::Error),
    /// Another process has it open.
    InUse,
    /// It never was a store.
    Foreign,
    /// A program with another format wrote it; its number.
    Version(u64),
    /// It is another one than was expected.
    Other {
        /// What differs.
        what: &'static str,
        /// How it is here.
        found: String,
        /// How it was expected to be.
        expected: String,
    },
    /// Its bytes have changed since they were written, or some are missing.
    Damaged(String),
    /// It is in order, but an older copy of what was here.
    Older {
        /// How many records there have been, as far as it knows.
        found: u64,
        /// How many there had been when the cluster last ran.
        known: u64,
    },
    /// The notes of the clients, with what is wrong with them.
    Notes(Box<Self>),
    /// It is the store of another directory.
    OtherDirectory,
    /// It is in order, but as it was earlier: records that were synced are missing.
    Lost {
        /// How many records there have been, as far as it knows.
        found: u64,
        /// How many have been synced.
        synced: u64,
    },
    /// A record that is larger than any may be; how many bytes. It was not appended.
    TooLong(usize),
    /// It has no room for a record, which was not appended; how many bytes it has room for.
    Full(u32),
    /// An operation failed. What was not synced before may be there or not.
    Io(io::Error),
    /// An operation failed earlier, and nothing was tried since.
    Failed,
    /// It is no directory.
    NotADirectory,
    /// The directory that it is to be made in is not there.
    NoParent,
    /// A directory without a manifest that holds something else.
    NotEmpty(String),
    /// A directory that holds stores, and whose manifest is not there.
    ManifestGone,
    /// A manifest that is not as it was written.
    ManifestDamaged(String),
    /// The cluster has no such node.
    NoSuchNode(NodeId),
}

/// What to do when what a node voted is gone.
const AMNESIA: &str = "put this very file back, as it was when the node last stopped, and never an older copy of it; \
                       or let the node come back as a learner, which never votes";

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(node) => write!(
                f,
                "the storage of {node} is gone, and with it what the node voted: {AMNESIA}"
            ),
            Self::NotesGone => write!(
                f,
                "the notes of the clients are gone, and with them which requests were answered: {FORGETFUL}"
            ),
            Self::Notes(problem) => problem.fmt_of_notes(f),
            Self::Older { found, known } => write!(f, "{}: {AMNESIA}", Older(*found, *known)),
            Self::OtherDirectory => f.write_str(
                "this is the store of another directory: put back the one that was here, or name the directory that it is of",
            ),
            Self::Exists => f.write_str("there is something already where a new store was to be made"),
            Self::NotAFile => f.write_str("this is no file, where the store of a node was expected"),
            Self::Denied(error) => write!(
                f,
                "this must be readable and writable, and is not ({error}): give this user the right to write it"
            ),
            Self::InUse => f.write_str(
                "another process has this open: stop that one first, or name another directory",
            ),
            Self::Foreign => f.write_str(
                "this is not the store of a node, where one was expected: name the right file or directory",
            ),
            Self::Version(found) => write!(
                f,
                "this has format {found}, which this program does not read: use the program that wrote it"
            ),
            Self::Other {
                what,
                found,
                expected,
            } => write!(
                f,
                "this has {what} {found}, where {expected} was expected: name its own options or another directory"
            ),
            Self::Damaged(what) => write!(f, "this store is damaged ({what}): {AMNESIA}"),
            Self::Lost { found, synced } => {
                write!(f, "this store is damaged ({}): {AMNESIA}", Cut(*found, *synced))
            }
            Self::TooLong(len) => write!(f, "a record of {len} bytes, where {JOURNAL_RECORD_MAX} are the most"),
            Self::Full(capacity) => {
                write!(f, "there is no room for another record in {capacity} bytes")
            }
            Self::Io(error) => write!(
                f,
                "this cannot be read or written ({error}): see to the disk, and start the node again"
            ),
            Self::Failed => {
                f.write_str("an operation on this failed earlier: see to the disk, and start the node again")
            }
            Self::NoParent => f.write_str(
                "this is to be made in a directory that does not exist: make that one first, or name another",
            ),
            Self::NotADirectory => f.write_str("this is no directory, where one was expected"),
            Self::NotEmpty(what) => write!(
                f,
                "there is no cluster in this directory, but there is {what}: name an empty directory or a new one"
            ),
            Self::ManifestGone => f.write_str(
                "there are stores in this directory, but the manifest that says whose they are is gone: put it back",
            ),
            Self::ManifestDamaged(what) => write!(
                f,
                "the manifest is not as it was written ({what}): put back the one that was here"
            ),
            Self::NoSuchNode(node) => write!(f, "there is no {node} in the cluster of this directory"),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.problem)
    }
}

impl core::error::Error for StoreError {}

/// What to do when it is gone what the clients know.
const FORGETFUL: &str = "put this very file back, as it was when the cluster last stopped, and never an older copy of it; \
                         or begin with a new directory";

/// How many records a store has, and how many it had.
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

/// Where a store ends, and how many records were synced.
struct Cut(u64, u64);

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(found, synced) = self;
        write!(f, "it ends after record {found}, and {synced} were synced")
    }
}

impl Problem {
    /// Says it of the notes of the clients: nothing that is said of nodes is of use here.
    fn fmt_of_notes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(what) => {
                write!(f, "the notes of the clients are damaged ({what}): {FORGETFUL}")
            }
            Self::Lost { found, synced } => {
                let cut = Cut(*found, *synced);
                write!(f, "the notes of the clients are damaged ({cut}): {FORGETFUL}")
            }
            Self::Older { found, known } => {
                write!(f, "of the notes of the clients {}: {FORGETFUL}", Older(*found, *known))
            }
            Self::Gone(_) => fmt::Display::fmt(&Self::NotesGone, f),
            Self::NotAFile => f.write_str("this is no file, where the notes of the clients were expected"),
            Self::Foreign | Self::Other { .. } | Self::OtherDirectory => write!(
                f,
                "these are not the notes of the clients of this directory: {FORGETFUL}"
            ),
            Self::Io(error) => write!(
                f,
                "this cannot be read or written ({error}): see to the disk, and give the same command again"
            ),
            Self::Failed => f.write_str(
                "an operation on this failed earlier: see to the disk, and give the same command again",
            ),
            other => fmt::Display::fmt(other, f),
        }
    }

    pub(super) fn at(self, path: &Path) -> StoreError {
        StoreError {
            path: path.to_path_buf(),
            problem: self,
        }
    }

    /// What an error says of a file or directory that is there.
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

impl From<redb::Error> for Problem {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error) => Self::Io(error),
            redb::Error::PreviousIo => Self::Failed,
            other => Self::Damaged(other.to_string().replace('\n', " ")),
        }
    }
}
