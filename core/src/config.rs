//! The settings of a node, and the relations that must hold between them.
//!
//! Settings are plain data, and a node takes them as they are. Those that all nodes must share are in the fingerprint;
//! timings may differ from node to node, and only make it slower or busier if they do not fit the network.

use crate::outbox::run_len;
use crate::{Duration, NODES_MAX, NodeId, NodeSet, Sink, StateMachine, Value};
use core::fmt;

/// The settings of a node: its identity, its cluster and its timings.
///
/// Timings never affect safety. They determine how soon a failure is noticed, and how much traffic there is in quiet
/// times. [`Config::with_round_trip`] sets all of them in proportion to the network, and [`Config::validate`] checks
/// their relations.
///
/// ```
/// use synod::{Config, Duration, NodeId};
/// let config = Config::new(NodeId(0), 3).with_round_trip(Duration::from_millis(10));
/// assert_eq!(config.validate(), Ok(()));
/// assert!(Config::new(NodeId(64), 3).validate().is_err(), "nodes are numbered from 0 to 63");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Config {
    /// The number of this node. Other nodes never use it, not even after this node was removed (rule V5).
    pub node: NodeId,
    /// The members at the founding of the cluster. They are part of its identity: equal on all nodes, and the same for
    /// ever, whatever the members are later. A node that is not among them joins as a learner, and votes when it was
    /// made a member by [`Node::reconfigure`](crate::Node::reconfigure).
    pub members: NodeSet,
    /// The node that founds the cluster. The others ask it first when they join; so a node that joins later, when the
    /// founder may be gone, names any node here that is a member by then.
    pub founder: NodeId,
    /// A number that the operator draws for the cluster, equal on all of its nodes. Nodes of different clusters ignore
    /// each other.
    pub cluster: u64,
    /// Interval between two heartbeats of a leader.
    pub heartbeat: Duration,
    /// How long a leader may be silent before it is suspected; also the unit of the back-off between two claims. At
    /// least three heartbeats.
    pub election_timeout: Duration,
    /// Delay before a probe or a prepare is repeated to nodes that have not answered.
    pub prepare_retransmit: Duration,
    /// Delay before an accept is repeated to nodes that have not answered.
    pub accept_retransmit: Duration,
    /// Delay before a replica proposes a request to the leader again.
    pub propose_retransmit: Duration,
    /// Delay before a requester repeats its request.
    pub request_retransmit: Duration,
    /// Delay before an initializer, or a replica that fetches a snapshot, repeats its request.
    pub join_retransmit: Duration,
    /// How long a decision may be missing before it is requested; also the delay before the request is repeated.
    pub learn_delay: Duration,
    /// How long a snapshot is kept for the next page to be requested. At least three `join_retransmit`.
    pub transfer_timeout: Duration,
    /// How many times the back-off doubles at most while rival candidates end each other's elections (rule L5).
    /// Back-off beyond four election timeouts ends early if a quorum grants a probe at its first try. At most 16.
    pub backoff_doublings_max: u8,
}

impl Config {
    /// Creates the settings of node `node` in a cluster that node 0 founds with the nodes 0 to `size` − 1 as members, for
    /// a network with round trips of up to 100 ms. A node with a higher number joins as a learner.
    pub fn new(node: NodeId, size: u16) -> Self {
        let unset = Duration::ZERO;
        Self {
            node,
            members: NodeSet::first(size),
            founder: NodeId(0),
            cluster: 0,
            heartbeat: unset,
            election_timeout: unset,
            prepare_retransmit: unset,
            accept_retransmit: unset,
            propose_retransmit: unset,
            request_retransmit: unset,
            join_retransmit: unset,
            learn_delay: unset,
            transfer_timeout: unset,
            backoff_doublings_max: 4,
        }
        .with_round_trip(Duration::from_millis(100))
    }

    /// Sets every timing in proportion to the longest usual round trip, of which at least 1 ms is assumed: one round
    /// trip between heartbeats, one and a half before a message is repeated, five before a leader is suspected.
    #[must_use]
    pub fn with_round_trip(self, round_trip: Duration) -> Self {
        let round_trip = round_trip.max(Duration::from_millis(1));
        // A retransmission that is due before an answer can have arrived would double all traffic.
        let retransmit = round_trip.saturating_add(round_trip / 2);
        let config = Self {
            heartbeat: round_trip,
            election_timeout: round_trip * 5,
            prepare_retransmit: retransmit,
            accept_retransmit: retransmit,
            propose_retransmit: retransmit * 2,
            request_retransmit: retransmit * 4,
            join_retransmit: retransmit,
            learn_delay: round_trip / 2,
            transfer_timeout: round_trip * 20,
            ..self
        };
        debug_assert!(
            config.election_timeout >= config.heartbeat * 3,
            "one lost heartbeat would end a leadership"
        );
        debug_assert!(
            config.transfer_timeout >= config.join_retransmit * 3,
            "one lost page would end a transfer"
        );
        config
    }

    /// Returns 32 bits that depend on the cluster's number and members, the state machine, and `sizes`.
    pub(crate) fn fingerprint<M: StateMachine>(&self, sizes: &[usize]) -> u32 {
        // The order is part of the fingerprint, and so of every frame and every storage.
        // Timings are left out: nodes with different ones work together.
        let mut digest = crate::Digest::new();
        digest.put_u64(self.cluster);
        digest.put_u64(self.members.bits());
        digest.put_u32(M::VERSION);
        let values = [M::Command::ENCODED_MAX, M::Output::ENCODED_MAX];
        for size in values.iter().chain(&[M::PAGE_BYTES]).chain(sizes) {
            digest.put_u64(run_len(*size));
        }
        u32::try_from(digest.value() >> 32).unwrap_or(0)
    }

    /// Checks the relations that the node relies on.
    ///
    /// # Errors
    ///
    /// The first relation that does not hold. No node is built from such settings.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.members.is_empty() {
            return Err(ConfigError::NoMembers);
        }
        for node in [self.node, self.founder] {
            if node.0 >= NODES_MAX {
                return Err(ConfigError::NoSuchNode(node));
            }
        }
        // A founder that is no member would found a cluster in which it has no vote.
        if self.founder == self.node && !self.members.contains(self.node) {
            return Err(ConfigError::NotAMember(self.founder));
        }
        // A timing of zero would be overdue again as soon as it is armed, and the driver would never wait.
        let timings = [
            (Timing::Heartbeat, self.heartbeat),
            (Timing::ElectionTimeout, self.election_timeout),
            (Timing::PrepareRetransmit, self.prepare_retransmit),
            (Timing::AcceptRetransmit, self.accept_retransmit),
            (Timing::ProposeRetransmit, self.propose_retransmit),
            (Timing::RequestRetransmit, self.request_retransmit),
            (Timing::JoinRetransmit, self.join_retransmit),
            (Timing::LearnDelay, self.learn_delay),
            (Timing::TransferTimeout, self.transfer_timeout),
        ];
        if let Some((timing, _)) = timings.iter().find(|(_, span)| *span == Duration::ZERO) {
            return Err(ConfigError::ZeroTiming(*timing));
        }
        if self.election_timeout < self.heartbeat * 3 {
            return Err(ConfigError::ElectionTimeoutTooShort);
        }
        if self.transfer_timeout < self.join_retransmit * 3 {
            return Err(ConfigError::TransferTimeoutTooShort);
        }
        if self.backoff_doublings_max > 16 {
            return Err(ConfigError::TooManyDoublings);
        }
        Ok(())
    }
}

/// One of the timings of a [`Config`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[expect(missing_docs, reason = "each is the setting of that name")]
pub enum Timing {
    Heartbeat,
    ElectionTimeout,
    PrepareRetransmit,
    AcceptRetransmit,
    ProposeRetransmit,
    RequestRetransmit,
    JoinRetransmit,
    LearnDelay,
    TransferTimeout,
}

impl Timing {
    /// Returns the name of the setting.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Heartbeat => "heartbeat",
            Self::ElectionTimeout => "election_timeout",
            Self::PrepareRetransmit => "prepare_retransmit",
            Self::AcceptRetransmit => "accept_retransmit",
            Self::ProposeRetransmit => "propose_retransmit",
            Self::RequestRetransmit => "request_retransmit",
            Self::JoinRetransmit => "join_retransmit",
            Self::LearnDelay => "learn_delay",
            Self::TransferTimeout => "transfer_timeout",
        }
    }
}

/// Why no node can be built from some settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConfigError {
    /// The cluster has no members.
    NoMembers,
    /// The node, or the founder, has a number that no node can have: nodes are numbered from 0 to 63.
    NoSuchNode(NodeId),
    /// The founder is not a member.
    NotAMember(NodeId),
    /// The named timing is zero: its timer would fire without end.
    ZeroTiming(Timing),
    /// `election_timeout` is below three heartbeats: one lost heartbeat would end a leadership.
    ElectionTimeoutTooShort,
    /// `transfer_timeout` is below three `join_retransmit`: one lost page would end a transfer.
    TransferTimeoutTooShort,
    /// `backoff_doublings_max` is above 16.
    TooManyDoublings,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMembers => f.write_str("the cluster has no members"),
            Self::NoSuchNode(node) => {
                write!(
                    f,
                    "there is no {node}: nodes are numbered 0 to {}",
                    NODES_MAX - 1
                )
            }
            Self::NotAMember(node) => {
                write!(f, "{node} founds a cluster of which it is no member")
            }
            Self::ZeroTiming(timing) => write!(f, "{} must be longer than zero", timing.name()),
            Self::ElectionTimeoutTooShort => {
                f.write_str("election_timeout must be at least three heartbeats")
            }
            Self::TransferTimeoutTooShort => {
                f.write_str("transfer_timeout must be at least three join_retransmit")
            }
            Self::TooManyDoublings => f.write_str("backoff_doublings_max must be at most 16"),
        }
    }
}

impl core::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Node;
    use crate::machines::{Bank, Kv};

    #[test]
    fn each_broken_relation_is_named() {
        let good = Config::new(NodeId(1), 3);
        assert_eq!(good.validate(), Ok(()));
        let broken = |change: fn(&mut Config)| {
            let mut config = good.clone();
            change(&mut config);
            config.validate().unwrap_err()
        };
        assert_eq!(
            broken(|c| c.members = NodeSet::EMPTY),
            ConfigError::NoMembers
        );
        assert_eq!(
            broken(|c| c.node = NodeId(64)),
            ConfigError::NoSuchNode(NodeId(64))
        );
        assert_eq!(
            broken(|c| c.founder = NodeId(64)),
            ConfigError::NoSuchNode(NodeId(64))
        );
        assert_eq!(
            broken(|c| (c.node, c.founder) = (NodeId(9), NodeId(9))),
            ConfigError::NotAMember(NodeId(9)),
            "it would found a cluster in which it has no vote"
        );
        assert_eq!(
            broken(|c| c.learn_delay = Duration::ZERO),
            ConfigError::ZeroTiming(Timing::LearnDelay)
        );
        assert_eq!(
            broken(|c| c.heartbeat = c.election_timeout),
            ConfigError::ElectionTimeoutTooShort
        );
        assert_eq!(
            broken(|c| c.transfer_timeout = c.join_retransmit),
            ConfigError::TransferTimeoutTooShort
        );
        assert_eq!(
            broken(|c| c.backoff_doublings_max = 17),
            ConfigError::TooManyDoublings
        );
    }

    #[test]
    fn n2_the_fingerprint_tells_clusters_and_memberships_apart() {
        type Member = Node<Kv<4>, 8, 2, 2>;
        let here = Config::new(NodeId(0), 3);
        let of = Member::fingerprint_of;
        assert_eq!(of(&here), of(&Config::new(NodeId(2), 3)));
        assert_ne!(of(&here), of(&Config::new(NodeId(0), 4)));
        let other = Config {
            cluster: 1,
            ..here.clone()
        };
        assert_ne!(of(&here), of(&other));
    }

    #[test]
    fn n2_the_fingerprint_tells_nodes_of_another_make_apart() {
        let config = Config::new(NodeId(0), 3);
        let makes = [
            Node::<Kv<4>, 8, 2, 2>::fingerprint_of(&config),
            Node::<Kv<4>, 16, 2, 2>::fingerprint_of(&config),
            Node::<Kv<4>, 8, 4, 2>::fingerprint_of(&config),
            Node::<Kv<4>, 8, 2, 4>::fingerprint_of(&config),
            Node::<Kv<5>, 8, 2, 2>::fingerprint_of(&config),
            Node::<Bank<4>, 8, 2, 2>::fingerprint_of(&config),
        ];
        for (index, make) in makes.iter().enumerate() {
            assert!(!makes[..index].contains(make), "make {index}");
        }
    }
}
