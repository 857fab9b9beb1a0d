//! Answers to clients.

use crate::reply::Reply;
use core::fmt;
use synod::{ChangeError, ClientId, Epoch, Outcome};

/// The answer to work, or to a change of the members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A reply to each operation, in their order.
    Replies(Vec<Reply>),
    /// The members have changed, and this epoch has begun.
    Changed(Epoch),
    /// A session of the client's own is open.
    Opened(ClientId),
    /// There is no reply.
    Failed(Failure),
}

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing was changed: too much waits at this node.
    Busy,
    /// Nothing was changed: no majority of the members was reached in time.
    NoLeader,
    /// The operations may have been applied, or may still be.
    OutcomeUnknown,
    /// The node has halted, and answers nothing any more.
    Halted,
    /// Nothing was changed: the change of the members is refused for a reason that passes by itself.
    NotYet(String),
    /// What was asked for was refused.
    Refused(String),
}

impl Answer {
    /// Returns the answer to a change of the members.
    pub(super) fn of_change<O>(outcome: &Outcome<O>) -> Self {
        match outcome {
            Outcome::Reconfigured { epoch } => Self::Changed(*epoch),
            Outcome::Unchanged(error) => Self::Failed(error.into()),
            _ => Self::Failed(Failure::OutcomeUnknown),
        }
    }

    /// Returns the number of operations that it answers.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Replies(replies) => replies.len(),
            Self::Changed(_) | Self::Opened(_) | Self::Failed(_) => 0,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("BUSY nothing was changed: too much waits at this node; ask again later"),
            Self::NoLeader => f.write_str(
                "CLUSTERDOWN nothing was changed: no majority of the members was reached in time",
            ),
            Self::OutcomeUnknown => f.write_str(
                "UNKNOWN the outcome is unknown: the command may have been applied, or may still be",
            ),
            Self::Halted => f.write_str("HALTED this node has halted: see its log"),
            Self::NotYet(why) => write!(f, "TRYAGAIN {why}"),
            Self::Refused(why) => write!(f, "ERR {why}"),
        }
    }
}

impl From<&ChangeError> for Failure {
    fn from(error: &ChangeError) -> Self {
        match error {
            // Nodes catch up, and a node that is behind learns of the present epoch.
            ChangeError::Behind { .. } | ChangeError::Epoch { .. } => {
                Self::NotYet(error.to_string())
            }
            other => Self::Refused(other.to_string()),
        }
    }
}
