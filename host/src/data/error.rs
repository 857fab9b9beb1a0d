//! Errors of runs on files, as one line each: the file, what is wrong with it, and the remedy.
//!
//! Inconsistent files are errors and not violations: what they show is that somebody has copied or
//! deleted some of them. A violation of a rule would look the same, which one text says.

use super::replacement::MembershipError;
use crate::run::RunError;
use crate::store::StoreError;
use core::fmt;
use std::path::PathBuf;
use synod::storage::{Damage, JournalError, OpenError};
use synod::{NodeId, RequestKey, RequestNumber, Slot};
use synod_store::FileLogError;

/// Reason why a run on files did not start, or ended early. Acknowledged requests are still in the directory.
///
/// All of them end the command with exit code 2: an operator has to act before anything can be run.
#[derive(Debug)]
#[non_exhaustive]
pub enum DataError {
    /// The client log, the manifest or the directory cannot be used.
    Store(StoreError),
    /// The store of a node cannot be used.
    Node {
        /// The node.
        node: NodeId,
        /// The problem with its store.
        error: StoreError,
    },
    /// A node cannot be replaced, or the members cannot be changed as asked; with the path of the directory.
    Membership(PathBuf, MembershipError),
    /// A node's store is damaged.
    Damaged {
        /// Path of the store.
        path: PathBuf,
        /// The node.
        node: NodeId,
        /// The damage found.
        damage: Damage,
    },
    /// A node's store cannot be read, or belongs to another node.
    Open(PathBuf, OpenError<FileLogError>),
    /// A node's store cannot be written.
    Write(NodeId, JournalError<FileLogError>),
    /// The client log is damaged.
    ClientLog(PathBuf),
    /// The clients have answers that too few nodes know of: the stores of the nodes are older copies.
    NodesOld {
        /// Path of the client log.
        path: PathBuf,
        /// The last answered request of a client.
        answered: RequestKey,
        /// Nodes that know of it.
        holders: Vec<NodeId>,
        /// Number of nodes that must.
        majority: usize,
    },
    /// A node knows of requests that the client log lacks: the client log is an older copy.
    ClientLogOld {
        /// Path of the client log.
        path: PathBuf,
        /// The node.
        node: NodeId,
        /// The request that the node knows of.
        asked: RequestKey,
        /// The last answered request of that client in the client log.
        answered: Option<RequestKey>,
    },
    /// Two nodes have applied the same slots with different results.
    Mixed {
        /// Path of the client log, in the directory of the stores.
        path: PathBuf,
        /// One node.
        one: NodeId,
        /// The other node.
        other: NodeId,
        /// Last slot that both have applied.
        slot: Slot,
    },
    /// The clients were answered, but the manifest lists no node's store: the manifest is an older copy.
    Manifest(PathBuf),
    /// The state of a node does not follow from the requests of its clients.
    State(PathBuf, NodeId),
    /// The run could not start, for a reason other than its files.
    Run(RunError),
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Open(_, OpenError::Storage(error))
            | Self::Write(_, JournalError::Storage(error)) => error.fmt(f),
            Self::Node { node, error } => {
                error.fmt(f)?;
                if error.is_lost() {
                    write!(f, ", {}", Remedy(*node))?;
                }
                Ok(())
            }
            Self::Membership(path, why) => write!(f, "{}: {why}", path.display()),
            Self::Open(path, OpenError::Foreign { expected, found })
                if expected.version != found.version =>
            {
                write!(
                    f,
                    "{}: this store has records of version {}, and this program reads version {}: use the version of the program \
                     that wrote it, or begin with a new directory",
                    path.display(),
                    found.version,
                    expected.version
                )
            }
            Self::Damaged { path, node, damage } => write!(
                f,
                "{}: the storage of {node} is damaged ({damage}): restore this file as it was when the node last stopped, \
                 or restart the node as a learner, which never votes (--learner {}), {}",
                path.display(),
                node.0,
                Remedy(*node)
            ),
            Self::Open(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Write(node, error) => {
                write!(
                    f,
                    "the durable state of {node} could not be written: {error}"
                )
            }
            Self::ClientLog(path) => write!(
                f,
                "{}: the client log is damaged: restore this file, or begin with a new directory",
                path.display()
            ),
            Self::Manifest(path) => write!(
                f,
                "{}: this client log has answers, but the manifest in its directory lists no node's store: the manifest is an \
                 older copy: {RESTORE_ALL}",
                path.display()
            ),
            Self::NodesOld { .. }
            | Self::ClientLogOld { .. }
            | Self::Mixed { .. }
            | Self::State(..) => self.fmt_inconsistent(f),
            Self::Run(error) => error.fmt(f),
        }
    }
}

/// Remedy for inconsistent files. All are named, as nobody can know how many of them are older copies.
const RESTORE_ALL: &str = "restore all of them as they were when the cluster last stopped, never an older copy of some; or \
                           begin with a new directory";

/// Remedy for a node whose storage is lost, at the end of a list of others.
struct Remedy(NodeId);

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "or have a new node take its place, which will vote (--replace {})",
            self.0.0
        )
    }
}

impl DataError {
    /// Formats the inconsistency of files: what contradicts what, which of them is the older copy, and the remedy.
    fn fmt_inconsistent(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
                    "{}: according to this client log {request} was answered, ",
                    path.display()
                )?;
                fmt_holders(f, holders, *majority)?;
                write!(f, " than this log: {RESTORE_ALL}")
            }
            Self::ClientLogOld {
                path,
                node,
                asked,
                answered,
            } => {
                let (path, asked) = (path.display(), Request(*asked));
                write!(
                    f,
                    "{path}: the store of {node} has {asked}, but this client log "
                )?;
                fmt_last_answer(f, *answered)?;
                write!(
                    f,
                    ": this client log is an older copy than the stores of the nodes: {RESTORE_ALL}"
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
                 safety rule was violated in an earlier run: {RESTORE_ALL}",
                path.display()
            ),
            Self::State(path, node) => write!(
                f,
                "{}: the state of {node} does not follow from the requests in this client log: the files are of different \
                 clusters: {RESTORE_ALL}",
                path.display()
            ),
            // The caller formats all other errors itself.
            _ => Ok(()),
        }
    }
}

/// Formats which stores have an answered request, as the part of a sentence that ends before "than this log".
fn fmt_holders(f: &mut fmt::Formatter<'_>, holders: &[NodeId], majority: usize) -> fmt::Result {
    if holders.is_empty() {
        return f.write_str("but no node's store has it: the stores of the nodes are older copies");
    }
    let names: Vec<_> = holders.iter().map(ToString::to_string).collect();
    let names = names.join(", ");
    write!(
        f,
        "so {majority} stores of nodes must have it, but only that of {names} does: the others are older copies"
    )
}

/// Formats what the client log has of a client, after "this client log".
fn fmt_last_answer(f: &mut fmt::Formatter<'_>, answered: Option<RequestKey>) -> fmt::Result {
    match answered {
        Some(answered) => write!(f, "has no answer after that to {}", Request(answered)),
        None => f.write_str("lacks that client"),
    }
}

/// A request as it is named in errors.
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
