//! The initializer: joins an existing cluster.

use crate::NodeId;

/// Requests a snapshot from the founder and from other nodes in turn, until one is complete.
///
/// Rule J2: the snapshot initializes the replica only. The acceptor is built from this node's own storage, which is
/// empty for a node that was never a member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Initializer {
    /// Nodes asked so far, which only decides whose turn it is: it may wrap around.
    attempts: u32,
}

impl Initializer {
    /// Begins to look for a cluster.
    pub(crate) const fn new() -> Self {
        Self { attempts: 0 }
    }

    /// True if no node has been asked yet.
    pub(crate) const fn is_new(&self) -> bool {
        self.attempts == 0
    }

    /// Returns the next node to ask: the founder first and then every other time, another node in between, since the
    /// founder may have failed.
    pub(crate) fn next_target(&mut self, founder: NodeId, other: Option<NodeId>) -> NodeId {
        let founders_turn = self.attempts.is_multiple_of(2);
        self.attempts = self.attempts.wrapping_add(1);
        match other {
            Some(other) if !founders_turn => other,
            _ => founder,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_founder_is_asked_first_and_others_in_between() {
        let mut initializer = Initializer::new();
        let targets =
            [5, 6, 7, 8].map(|other| initializer.next_target(NodeId(0), Some(NodeId(other))));
        assert_eq!(targets, [NodeId(0), NodeId(6), NodeId(0), NodeId(8)]);
        assert_eq!(initializer.next_target(NodeId(0), None), NodeId(0));
    }
}
