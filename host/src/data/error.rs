//! Why a run on files did not take place, or ended early: one line each.

use crate::run::RunError;
use crate::store::StoreError;
use core::fmt;
use std::path::PathBuf;
use synod::storage::{Damage, JournalError, OpenError};
use synod::{NodeId, RequestKey, RequestNumber, Slot};

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
    /// The clients know answers that too few nodes know of: the stores of the nodes are older copies.
    NodesOld {
        /// The notes of the clients.
        path: PathBuf,
        /// The last request of a client that was answered.
        answered: RequestKey,
        /// The nodes that know of it.
        holders: Vec<NodeId>,
        /// How many must.
        majority: usize,
    },
    /// A node knows of requests that the clients know nothing of: the notes of the clients are an older copy.
    NotesOld {
        /// The notes of the clients.
        path: PathBuf,
        /// The node.
        node: NodeId,
        /// What the node knows was asked for.
        asked: RequestKey,
        /// The last request of that client that was answered, as far as its notes say.
        answered: Option<RequestKey>,
    },
    /// Two nodes have applied as far, and something else.
    Mixed {
        /// The notes of the clients, beside which the stores are.
        path: PathBuf,
        /// A node.
        one: NodeId,
        /// Another.
        other: NodeId,
        /// How far both have applied the log.
        slot: Slot,
    },
    /// The clients were answered, and the manifest names no node's store: it is an older copy.
    Manifest(PathBuf),
    /// The state of a node does not follow from what its clients have asked for.
    State(PathBuf, NodeId),
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
            Self::Manifest(path) => write!(
                f,
                "{}: these notes of the clients know of answers, and the manifest in their directory knows of no node's store: the \
                 manifest is an older copy: {UNFIT}",
                path.display()
            ),
            Self::NodesOld { .. }
            | Self::NotesOld { .. }
            | Self::Mixed { .. }
            | Self::State(..) => self.fmt_unfit(f),
            Self::Run(error) => error.fmt(f),
        }
    }
}

/// What to do about files that do not fit together.
const UNFIT: &str = "put back all of them as they were when the cluster last stopped, and never an older copy of some; or \
                     begin with a new directory";

impl DataError {
    /// Says how files do not fit together.
    fn fmt_unfit(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NodesOld {
                path,
                answered,
                holders,
                majority,
            } => {
                let request = Request(*answered);
                write!(
                    f,
                    "{}: these notes of the clients know that {request} was answered, ",
                    path.display()
                )?;
                match holders.as_slice() {
                    [] => f.write_str(
                        "and no node's store knows of it: the stores of the nodes are older copies",
                    )?,
                    some => {
                        let names: Vec<_> = some.iter().map(ToString::to_string).collect();
                        let names = names.join(", ");
                        write!(
                            f,
                            "which {majority} stores of nodes must know of, and only that of {names} does: the others are older copies"
                        )?;
                    }
                }
                write!(f, " than these notes: {UNFIT}")
            }
            Self::NotesOld {
                path,
                node,
                asked,
                answered,
            } => {
                let (path, asked) = (path.display(), Request(*asked));
                write!(
                    f,
                    "{path}: the store of {node} knows that {asked} was asked for, and these notes of the clients "
                )?;
                match answered {
                    Some(answered) => {
                        write!(f, "know of no answer after that to {}", Request(*answered))?;
                    }
                    None => f.write_str("know nothing of that client")?,
                }
                write!(
                    f,
                    ": these notes are an older copy than the stores of the nodes: {UNFIT}"
                )
            }
            Self::Mixed {
                path,
                one,
                other,
                slot,
            } => write!(
                f,
                "{}: {one} and {other} have applied different logs up to slot {slot}: these are the stores of two clusters, or a \
                 safety rule was broken in an earlier run: {UNFIT}",
                path.display()
            ),
            Self::State(path, node) => write!(
                f,
                "{}: the state of {node} is not what the requests make of it that these notes of the clients tell of: the files are \
                 not of one cluster: {UNFIT}",
                path.display()
            ),
            _ => Ok(()),
        }
    }
}

/// A request as the log names it.
struct Request(RequestKey);

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RequestKey { client, number } = self.0;
        match number {
            RequestNumber::REGISTRATION => write!(f, "the registration of client_{}", client.0),
            number => write!(f, "request {} of client_{}", number.0, client.0),
        }
    }
}

impl core::error::Error for DataError {}

impl From<RunError> for DataError {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}
