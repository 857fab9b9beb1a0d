//! What can go wrong where a caller must know: typed, and saying what did not happen.

use crate::{Proposal, RequestNumber, Slot};
use core::fmt;

/// Two values where the protocol allows one: proof that a rule was broken somewhere. A node that sees it halts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Conflict<C> {
    /// The slot.
    pub slot: Slot,
    /// What the node knew.
    pub known: Proposal<C>,
    /// What it was told.
    pub new: Proposal<C>,
}

/// Two histories where the protocol allows one: proof that a rule was broken somewhere. A node that sees it halts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Divergence {
    /// The slot up to which both have applied the log.
    pub slot: Slot,
    /// The node's own [`chain`](crate::Node::chain) there.
    pub known: u64,
    /// What the leader has there.
    pub told: u64,
}

/// Why a request was not taken. Nothing was asked or proposed; the caller may try again as each variant says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RequestError {
    /// All requesters of this node are busy: try again when a reply has come.
    Full {
        /// How many there are.
        capacity: usize,
    },
    /// This client's request of this number is still being answered here: wait for its reply.
    Outstanding {
        /// The number that is outstanding.
        number: RequestNumber,
    },
    /// Requests are numbered from 1; 0 is the registration's.
    NumberZero,
    /// The outbox has no room for what the step may say: empty it and try again.
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
            Self::OutboxFull => f.write_str("nothing was asked: the outbox must be emptied first"),
            Self::Halted => f.write_str("nothing was asked: this node has halted"),
        }
    }
}

impl core::error::Error for RequestError {}

/// Why a request was not withdrawn; nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WithdrawError {
    /// No such request is outstanding at this node: it was answered already, or never made here.
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
