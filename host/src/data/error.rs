//! Why a run on files did not take place, or ended early: one line each.

use crate::run::RunError;
use crate::store::StoreError;
use core::fmt;
use std::path::PathBuf;
use synod::NodeId;
use synod::storage::{Damage, JournalError, OpenError};

/// Why a run on files did not take place, or ended early. What was acknowledged is still in the directory.
#[derive(Debug)]
#[non_exhaustive]
pub enum DataError {
    /// Something about a file or the directory.
    Store(StoreError),
    /// What is in a node's file is not what was written.
    Damaged {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        node: NodeId,
        /// What is wrong.
        damage: Damage,
    },
    /// A node's file cannot be read, or is another node's.
    Open(PathBuf, OpenError<StoreError>),
    /// A node's file could not be written.
    Write(NodeId, JournalError<StoreError>),
    /// The notes of the clients are not what was written.
    Notes(PathBuf),
    /// There was no run, whatever the files are like.
    Run(RunError),
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error)
            | Self::Open(_, OpenError::Storage(error))
            | Self::Write(_, JournalError::Storage(error)) => error.fmt(f),
            Self::Damaged { path, node, damage } => write!(
                f,
                "{}: the storage of {node} is damaged ({damage}): put this very file back, as it was when the node last \
                 stopped, or let the node come back as a learner, which never votes (--learner {})",
                path.display(),
                node.0
            ),
            Self::Open(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Write(node, error) => {
                write!(
                    f,
                    "what {node} must not forget could not be written: {error}"
                )
            }
            Self::Notes(path) => write!(
                f,
                "{}: the notes of the clients are not what was written: put this very file back, or begin with a new directory",
                path.display()
            ),
            Self::Run(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for DataError {}

impl From<RunError> for DataError {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}
