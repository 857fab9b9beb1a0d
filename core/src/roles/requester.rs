//! The requester: represents one request of a client until it is answered.

use crate::table::Numbered;
use crate::{Proposal, RequestKey, Value};

/// One request that was made at this node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Requester<C> {
    /// What is proposed, again and again until an answer arrives: the node of a client keeps the request even if its
    /// replica has none of it, for example before it has joined.
    pub(crate) proposal: Proposal<C>,
    /// [`Proposal::key`] of it, under which the client is answered.
    pub(crate) key: RequestKey,
    /// Distinguishes its answer from one to another command under the same key (rule X1).
    pub(crate) fingerprint: u32,
    /// True if the request was sent since the retransmission timer last fired.
    fresh: bool,
}

/// Found by its client. Two at most have the same number: a session's request, and a registration whose nonce happens
/// to be the number of that session.
impl<C> Numbered for Requester<C> {
    fn number(&self) -> u64 {
        self.key.client.0
    }
}

impl<C: Value> Requester<C> {
    /// Creates the requester of a proposal, which is sent in the same step.
    pub(crate) fn new(proposal: Proposal<C>, key: RequestKey) -> Self {
        debug_assert!(
            proposal.key() == Some(key),
            "a request has the key of its proposal"
        );
        Self {
            fingerprint: proposal.fingerprint(),
            proposal,
            key,
            fresh: true,
        }
    }

    /// Returns true if the request is to be sent again. One timer serves all requesters, so each lets its first firing
    /// pass.
    pub(crate) fn on_retransmit(&mut self) -> bool {
        !core::mem::take(&mut self.fresh)
    }
}
