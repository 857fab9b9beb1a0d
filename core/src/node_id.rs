//! Node numbers, and sets of nodes in which quorums are counted, as bit sets.

use core::fmt;

/// The maximum number of nodes in a cluster: the number of bits of a [`NodeSet`].
pub const NODES_MAX: u16 = 64;

/// [`NODES_MAX`] as the length of an array.
pub(crate) const NODES_LEN: usize = {
    assert!(NODES_MAX == 64, "the two are one number");
    64
};

/// The number of a node in its cluster: 0 to [`NODES_MAX`] − 1. Addresses belong to the transport, not to the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NodeId(pub u16);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NODE_{}", self.0)
    }
}

const _: () = assert!(
    NodeSet::first(NODES_MAX).bits() == u64::MAX,
    "every bit of a set is a node, and every node has a bit"
);

/// A set of nodes, one bit each.
///
/// Votes are collected in a set and not in a counter, which makes a repeated reply harmless (Van Renesse and
/// Altinbuken, *Paxos Made Moderately Complex*, section 2.2).
///
/// ```
/// use synod::{NodeId, NodeSet};
/// let members = NodeSet::first(5);
/// let mut votes = NodeSet::EMPTY;
/// assert!(votes.insert(NodeId(0)));
/// assert!(!votes.insert(NodeId(0)), "a vote counts once");
/// votes.insert(NodeId(3));
/// assert!(!votes.is_quorum(members));
/// votes.insert(NodeId(4));
/// assert!(votes.is_quorum(members), "three of five");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NodeSet(
    /// Bit *n* is node *n*. No other number than that of a node has a bit.
    u64,
);

impl NodeSet {
    /// The empty set.
    pub const EMPTY: Self = Self(0);

    /// Returns the set of the nodes 0 to `count` − 1; at most [`NODES_MAX`] of them.
    pub const fn first(count: u16) -> Self {
        if count >= NODES_MAX {
            Self(u64::MAX)
        } else {
            Self((1 << count) - 1)
        }
    }

    /// Returns the set of one node; empty if its number is out of range.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub const fn only(node: NodeId) -> Self {
        if node.0 < NODES_MAX {
            Self(1 << node.0)
        } else {
            Self::EMPTY
        }
    }

    /// Adds a node and returns true if it was new. A number out of range is not added.
    pub fn insert(&mut self, node: NodeId) -> bool {
        let with = self.0 | Self::only(node).0;
        let new = with != self.0;
        self.0 = with;
        new
    }

    /// Returns the set without one node.
    #[must_use]
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub const fn without(self, node: NodeId) -> Self {
        Self(self.0 & !Self::only(node).0)
    }

    /// Returns the nodes of this set that are not in the other.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns the nodes that are in this set or in the other.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the nodes that are in this set and in the other.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// True if a node is in the set.
    pub const fn contains(self, node: NodeId) -> bool {
        self.0 & Self::only(node).0 != 0
    }

    /// Returns the number of nodes in the set.
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// True if the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True if the set contains a quorum of `members`: more than half of them. Nodes that are not members are not
    /// counted.
    ///
    /// Any two quorums of one membership have a node in common, on which the safety of the protocol rests (Lamport,
    /// *The Part-Time Parliament*, section 2.1).
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub const fn is_quorum(self, members: Self) -> bool {
        // Removes one node on each side until a side is empty. Clusters are small, and most targets have no instruction
        // that counts bits, so this takes a fraction of the time of two bit counts.
        let (mut inside, mut outside) = (self.0 & members.0, members.0 & !self.0);
        while inside != 0 && outside != 0 {
            inside &= inside - 1;
            outside &= outside - 1;
        }
        debug_assert!(
            (inside != 0) == (Self(self.0 & members.0).len() * 2 > members.len()),
            "a quorum is more than half of the members (C2)"
        );
        inside != 0
    }

    /// Returns the nodes in rising order.
    pub fn iter(self) -> impl Iterator<Item = NodeId> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            // Of an empty set it is 64, from which nothing can be subtracted.
            let lowest = u16::try_from(rest.trailing_zeros()).ok()?;
            rest &= rest.checked_sub(1)?;
            Some(NodeId(lowest))
        })
    }

    /// Returns the node with the given index in rising order, or `None` past the end; used to draw one at random.
    pub fn nth(self, index: u32) -> Option<NodeId> {
        let mut rest = self.0;
        for _ in 0..index.min(u64::BITS) {
            // Removes the lowest node; an empty set stays empty.
            rest &= rest.wrapping_sub(1);
        }
        Self(rest).iter().next()
    }

    /// Returns the set as bits, node 0 the lowest.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Returns the set of the nodes whose bits are set, node 0 the lowest.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

impl FromIterator<NodeId> for NodeSet {
    fn from_iter<I: IntoIterator<Item = NodeId>>(nodes: I) -> Self {
        let mut set = Self::EMPTY;
        for node in nodes {
            set.insert(node);
        }
        set
    }
}

impl fmt::Display for NodeSet {
    /// `[NODE_0, NODE_3]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, node) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{node}")?;
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn c2_a_quorum_is_more_than_half_for_every_size() {
        for size in 1..=NODES_MAX {
            let members = NodeSet::first(size);
            assert_eq!(members.len(), u32::from(size));
            let needed = size / 2 + 1;
            assert!(
                NodeSet::first(needed).is_quorum(members),
                "{needed} of {size}"
            );
            assert!(
                !NodeSet::first(needed - 1).is_quorum(members),
                "{} of {size}",
                needed - 1
            );
        }
    }

    #[test]
    fn c1_strangers_do_not_count_towards_a_quorum() {
        let strangers = NodeSet::first(8).minus(NodeSet::first(3));
        assert!(!strangers.is_quorum(NodeSet::first(3)));
    }

    #[test]
    fn a_number_out_of_range_is_in_no_set() {
        let mut set = NodeSet::first(NODES_MAX);
        assert!(!set.insert(NodeId(64)) && !set.contains(NodeId(64)));
        assert_eq!(NodeSet::only(NodeId(u16::MAX)), NodeSet::EMPTY);
    }

    #[test]
    fn iteration_is_in_rising_order() {
        let set: NodeSet = [NodeId(63), NodeId(2), NodeId(10)].into_iter().collect();
        let order: Vec<u16> = set.iter().map(|node| node.0).collect();
        assert_eq!(order, [2, 10, 63]);
        assert_eq!(set.nth(1), Some(NodeId(10)));
        assert_eq!(set.nth(3), None);
    }
}
