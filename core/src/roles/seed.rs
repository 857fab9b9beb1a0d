//! The seed: founds a cluster, once.

use crate::{NodeId, NodeSet};

/// Waits until a quorum wants to join, and then founds the cluster.
///
/// Rule J1: an operator makes one node a seed. It sends snapshots only until the cluster is founded; from then on the
/// replicas answer nodes that join later, with the current state. A seed that has waited for long sends requests to
/// join itself, since another seed may have founded the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Seed {
    /// The nodes that want to join, and the seed itself: it will be a member of what it founds.
    joining: NodeSet,
    /// True once the timer `Join` has fired for the first time. Until then nobody has been told that the seed waits.
    begun: bool,
}

impl Seed {
    /// Creates the seed of a node.
    pub(crate) fn new(node: NodeId) -> Self {
        Self {
            joining: NodeSet::only(node),
            begun: false,
        }
    }

    /// Returns true at its first call, when the wait begins.
    pub(crate) fn begin_waiting(&mut self) -> bool {
        !core::mem::replace(&mut self.begun, true)
    }

    /// Notes a node that wants to join, once: nodes repeat their requests until they have the state. One that has died
    /// since counts all the same. The cluster is then founded, and does nothing until a quorum is up.
    pub(crate) fn on_join(&mut self, from: NodeId) {
        self.joining.insert(from);
    }

    /// Returns the nodes that want to join, including the seed.
    pub(crate) fn joining(&self) -> NodeSet {
        self.joining
    }

    /// True if a quorum wants to join.
    pub(crate) fn can_found(&self, members: NodeSet) -> bool {
        debug_assert!(
            self.joining.minus(members).is_empty(),
            "only members found a cluster (J1)"
        );
        self.joining.is_quorum(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn j1_a_cluster_is_founded_when_a_quorum_is_there() {
        let members = NodeSet::first(5);
        let mut seed = Seed::new(NodeId(0));
        seed.on_join(NodeId(3));
        seed.on_join(NodeId(3));
        assert!(!seed.can_found(members), "two of five");
        seed.on_join(NodeId(4));
        assert!(seed.can_found(members));
        assert!(
            Seed::new(NodeId(0)).can_found(NodeSet::first(1)),
            "one of one"
        );
    }
}
