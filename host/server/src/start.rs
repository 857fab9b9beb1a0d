//! The start of a node from its directory: creates or opens the storage, and refuses what would break agreement.

use crate::capacity::{CLIENTS, Member, WINDOW};
use crate::keyspace::Keyspace;
use crate::server::Options;
use core::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use synod::storage::{Journal, JournalError, OpenError, Opened};
use synod::{Config, Instant};
use synod_store::{FileLog, FileLogError, Problem};

/// The name of the log of a node in its directory.
const LOG: &str = "node.log";

/// How the operator starts a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// From what is in the directory.
    Existing,
    /// Under a number that was never used: the directory is created.
    New,
    /// Whichever of the two the directory is for. Only for clusters to try things with, where nobody exchanges disks.
    Either,
}

/// Why a node was not started. Nothing was changed.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// There is no storage of a node in the directory.
    Missing(PathBuf),
    /// There is storage of a node in the directory already.
    Exists(PathBuf),
    /// The directory cannot be created or read.
    Directory(PathBuf, io::Error),
    /// The log cannot be created, opened or read.
    Log(PathBuf, String),
    /// The log belongs to another node or another cluster, or was written with other capacities.
    Foreign(PathBuf, String),
    /// The log is damaged: the node must not vote again.
    Damaged(PathBuf, String),
    /// The settings of the node are invalid.
    Settings(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(
                f,
                "{} has no storage of a node. If this node has never run, start it with --new. If its storage was lost, it must \
                 not vote again: replace it by a node with a new number (synod members replace)",
                path.display()
            ),
            Self::Exists(path) => write!(
                f,
                "{} has storage of a node already: start it without --new, or name another directory",
                path.display()
            ),
            Self::Directory(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Log(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Foreign(path, what) => write!(
                f,
                "{} belongs to another node or cluster ({what}): check --id, --data and the file of the cluster",
                path.display()
            ),
            Self::Damaged(path, what) => write!(
                f,
                "{} is damaged ({what}), so the node may have forgotten votes and must not vote again: keep the file, and replace \
                 the node by one with a new number (synod members replace)",
                path.display()
            ),
            Self::Settings(error) => f.write_str(error),
        }
    }
}

impl core::error::Error for StartError {}

/// A node that was started, with its journal.
#[derive(Debug)]
pub(crate) struct Started {
    /// The node.
    pub node: Box<Member>,
    /// Its journal.
    pub journal: Journal<FileLog>,
    /// True if its storage was created.
    pub is_new: bool,
}

/// Starts a node from its directory.
///
/// # Errors
///
/// [`StartError`]: the node was not started.
pub(crate) fn start(
    options: &Options,
    config: &Config,
    (run_seed, now): (u64, Instant),
) -> Result<Started, StartError> {
    config
        .validate()
        .map_err(|error| StartError::Settings(error.to_string()))?;
    let (directory, capacity) = (options.directory.as_path(), options.log_capacity);
    let path = directory.join(LOG);
    let exists = path
        .try_exists()
        .map_err(|error| StartError::Directory(path.clone(), error))?;
    let is_new = match (options.start, exists) {
        (Start::Existing, false) => return Err(StartError::Missing(directory.to_owned())),
        (Start::New, true) => return Err(StartError::Exists(directory.to_owned())),
        (_, exists) => !exists,
    };
    let of_log = |error: FileLogError| of_log(&path, &error);
    if is_new {
        create_directory(directory)
            .map_err(|error| StartError::Directory(directory.to_owned(), error))?;
        FileLog::create(&path, capacity).map_err(of_log)?;
    }
    let log = FileLog::open(&path, capacity).map_err(of_log)?;
    let opened = Journal::open::<Keyspace, WINDOW, CLIENTS>(log, config.clone());
    let started = match opened {
        Ok(Opened::Intact(intact)) => intact.start(run_seed, now),
        // The process was killed when it had created the log and said nothing yet.
        Ok(Opened::Empty(empty)) => empty.provision(run_seed, now),
        Ok(Opened::Damaged(damaged)) => {
            let damage = damaged.damage().to_string();
            return Err(StartError::Damaged(path, damage));
        }
        Err(OpenError::Foreign { expected, found }) => {
            let what = format!("expected {expected:?}, found {found:?}");
            return Err(StartError::Foreign(path, what));
        }
        Err(OpenError::Storage(error)) => return Err(of_log(error)),
        Err(error) => return Err(StartError::Log(path, error.to_string())),
    };
    let (journal, node) = started.map_err(|error: JournalError<FileLogError>| {
        StartError::Log(path.clone(), error.to_string())
    })?;
    Ok(Started {
        node: Box::new(node),
        journal,
        is_new,
    })
}

/// Returns why the log of a node is not used. The path and the remedy are those of a server, which knows of other nodes.
fn of_log(path: &Path, error: &FileLogError) -> StartError {
    match &error.problem {
        Problem::Damaged { at, what } => {
            StartError::Damaged(path.to_owned(), format!("at byte {at}: {what}"))
        }
        // It has the name of a log, and was one.
        Problem::Foreign => {
            let what = "it is cut off, or does not begin as a log does";
            StartError::Damaged(path.to_owned(), what.to_owned())
        }
        problem => StartError::Log(path.to_owned(), problem.to_string()),
    }
}

/// Creates a directory that only its owner can read.
fn create_directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
