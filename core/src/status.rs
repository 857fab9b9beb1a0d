//! How a node is, in a few words for clients and operators.

use crate::{Ballot, NodeId, Slot};
use core::fmt;

/// How a node is: what it believes, and possibly an old belief. Nothing of the protocol rests on it.
///
/// Two nodes that have applied as far have the same `chain`; where they have not, one of them was told something else, and
/// somebody should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Status {
    /// What it can do.
    pub state: NodeState,
    /// Who leads, as far as it knows.
    pub leader: Option<NodeId>,
    /// The last slot that it has applied; after a restart it may be an earlier one than before.
    pub applied: Slot,
    /// A digest of everything that it has applied.
    pub chain: u64,
    /// The highest ballot that it has heard of.
    pub highest: Ballot,
}

/// What a node can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NodeState {
    /// It has not joined its cluster yet. Requests are taken, and passed on.
    Joining,
    /// It only learns what is decided: it lost its storage, or that failed.
    Learning,
    /// It votes.
    Voting,
    /// It votes and leads.
    Leading,
    /// It has stopped for good: see [`Node::halted`](crate::Node::halted). It takes no request.
    Halted,
}

impl NodeState {
    /// All of them, in the order of the variants.
    pub const ALL: [Self; 5] = [
        Self::Joining,
        Self::Learning,
        Self::Voting,
        Self::Leading,
        Self::Halted,
    ];
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Joining => "joining",
            Self::Learning => "learning",
            Self::Voting => "voting",
            Self::Leading => "leading",
            Self::Halted => "halted",
        })
    }
}
