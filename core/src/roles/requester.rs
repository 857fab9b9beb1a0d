//! The requester: stands for one request of a client until it is answered.

use crate::Proposal;
use crate::table::Numbered;

/// One request that was made at this node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Requester<C> {
    pub(crate) proposal: Proposal<C>,
    /// Whether it was asked since the retransmission timer last fired.
    fresh: bool,
}

impl<C> Numbered for Requester<C> {
    fn number(&self) -> u64 {
        self.proposal.key().map_or(0, |key| key.client.0)
    }
}

impl<C> Requester<C> {
    pub(crate) const fn new(proposal: Proposal<C>) -> Self {
        Self {
            proposal,
            fresh: true,
        }
    }

    /// Whether it is time to ask again.
    pub(crate) fn on_retransmit(&mut self) -> bool {
        !core::mem::take(&mut self.fresh)
    }
}
