//! The initializer: asks its way into a cluster.

use crate::NodeId;

/// Asks the founder and the others in turn for a snapshot, until one has come whole.
///
/// Rule J2: what it is given feeds the replica only. The acceptor is built from this node's own storage, which is empty
/// for a node that was never a member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Initializer {
    attempts: u32,
}

impl Initializer {
    pub(crate) const fn new() -> Self {
        Self { attempts: 0 }
    }

    /// Whether it has not asked anybody yet.
    pub(crate) const fn is_new(&self) -> bool {
        self.attempts == 0
    }

    /// Whom to ask next: the founder first and every other time, someone else in between, as the founder may be gone.
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
