//! The status of a node, in a few words for clients and operators.

use crate::{Ballot, Epoch, NodeId, NodeSet, Slot};
use core::fmt;

/// The status of a node: what it knows, which may be out of date. The protocol does not depend on it.
///
/// Two nodes with the same `applied` slot have the same `chain`. If they do not, their histories differ, and an
/// operator should look into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Status {
    /// The state of the node in the cluster.
    pub state: NodeState,
    /// The leader that the node believes in.
    pub leader: Option<NodeId>,
    /// The last slot that it has applied; may be lower after a restart.
    pub applied: Slot,
    /// A digest of everything that it has applied: see [`Node::chain`](crate::Node::chain).
    pub chain: u64,
    /// The highest ballot that it has heard of.
    pub highest: Ballot,
    /// The present epoch, as far as it has applied the log: a [`Change`](crate::Change) of the members names it.
    pub epoch: Epoch,
    /// The members of that epoch. Before the node has joined, these are the founding members of its settings.
    pub members: NodeSet,
}

/// The state of a node in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NodeState {
    /// It has not joined its cluster yet. Requests are taken, and passed to other nodes.
    Joining,
    /// It only learns decisions: it is not a member yet, or its storage has failed or was lost.
    Learning,
    /// It votes and does not lead.
    Voting,
    /// It votes and leads.
    Leading,
    /// It has halted for good: see [`Node::halted`](crate::Node::halted). It takes no requests.
    Halted,
    /// It was a member, and was removed: it only learns decisions, and can be switched off when others have taken over.
    /// See [`Node::may_leave`](crate::Node::may_leave).
    Retired,
}

impl NodeState {
    /// All states, in the order of the variants.
    pub const ALL: [Self; 6] = [
        Self::Joining,
        Self::Learning,
        Self::Voting,
        Self::Leading,
        Self::Halted,
        Self::Retired,
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
            Self::Retired => "retired",
        })
    }
}
