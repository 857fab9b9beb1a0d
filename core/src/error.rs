//! Errors that callers have to handle. Each type says what was not done.

use crate::{ChangeError, Proposal, RequestNumber, Slot};
use core::fmt;

/// Two values for one slot: proof that a rule was broken somewhere. A node that sees it halts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Conflict<C> {
    /// The slot.
    pub slot: Slot,
    /// The value that the node knew.
    pub known: Proposal<C>,
    /// The value that the node received.
    pub new: Proposal<C>,
}

/// Two histories of the log: proof that a rule was broken somewhere. A node that sees it halts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Divergence {
    /// The slot up to which both nodes have applied the log.
    pub slot: Slot,
    /// The node's own [`chain`](crate::Node::chain) at that slot.
    pub known: u64,
    /// The leader's chain at that slot.
    pub told: u64,
}

/// Why a request was not taken. Nothing was proposed; each variant says when the caller may try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RequestError {
    /// All requesters of this node are in use: try again after a reply.
    Full {
        /// The number of requesters.
        capacity: usize,
    },
    /// A request of this client is outstanding here: wait for its reply.
    Outstanding {
        /// The number of the outstanding request.
        number: RequestNumber,
    },
    /// Requests are numbered from 1; 0 is reserved for registrations.
    NumberZero,
    /// The greatest number is reserved for reads: register again, and begin at 1.
    NumbersUsedUp,
    /// The outbox has less than [`Node::OUTBOX_MIN`](crate::Node::OUTBOX_MIN) of room: empty it and try again.
    OutboxFull,
    /// The node has halted: see [`Node::halted`](crate::Node::halted).
    Halted,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { capacity } => {
                write!(
                    f,
                    "nothing was asked: all {capacity} requesters of this node are busy"
                )
            }
            Self::Outstanding { number } => {
                write!(
                    f,
                    "nothing was asked: request {} of this client is still outstanding",
                    number.0
                )
            }
            Self::NumberZero => f.write_str("nothing was asked: requests are numbered from 1"),
            Self::NumbersUsedUp => f.write_str(
                "nothing was asked: all numbers of the session are used up, so register again",
            ),
            Self::OutboxFull => f.write_str("nothing was asked: the outbox must be emptied first"),
            Self::Halted => f.write_str("nothing was asked: this node has halted"),
        }
    }
}

impl core::error::Error for RequestError {}

/// Why a read was not asked for; each variant says when the caller may try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ReadError {
    /// As many reads wait at this node as there is room for: try again after a reply.
    Full {
        /// The greatest number of reads.
        capacity: usize,
    },
    /// A read with this nonce waits here: draw another nonce.
    Outstanding,
    /// The outbox has less than [`Node::OUTBOX_MIN`](crate::Node::OUTBOX_MIN) of room: empty it and try again.
    OutboxFull,
    /// The node has halted: see [`Node::halted`](crate::Node::halted).
    Halted,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { capacity } => {
                write!(
                    f,
                    "nothing was read: {capacity} reads wait at this node, as many as there is room for"
                )
            }
            Self::Outstanding => {
                f.write_str("nothing was read: a read with this nonce waits at this node already")
            }
            Self::OutboxFull => f.write_str("nothing was read: the outbox must be emptied first"),
            Self::Halted => f.write_str("nothing was read: this node has halted"),
        }
    }
}

impl core::error::Error for ReadError {}

/// Why a change of the members was not requested; nothing was proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ReconfigureError {
    /// The change can have no effect, or would stop the cluster.
    Change(ChangeError),
    /// The node cannot take a request at present.
    Request(RequestError),
}

impl From<ChangeError> for ReconfigureError {
    fn from(error: ChangeError) -> Self {
        Self::Change(error)
    }
}

impl From<RequestError> for ReconfigureError {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl fmt::Display for ReconfigureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change(error) => error.fmt(f),
            Self::Request(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ReconfigureError {}

/// Why a request was not withdrawn; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WithdrawError {
    /// The request is not outstanding at this node: it was answered already, or never made here.
    NotOutstanding,
}

impl fmt::Display for WithdrawError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOutstanding => {
                f.write_str("nothing was withdrawn: no such request is outstanding at this node")
            }
        }
    }
}

impl core::error::Error for WithdrawError {}
