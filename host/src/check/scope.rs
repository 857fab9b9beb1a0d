//! How small a cluster must be for all of its states to be visited.

use super::world::CLIENTS;
use synod::{MessageKind, NodeId, Proposal, Timer};

/// What the network may do with a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Network {
    /// Deliver it at any time, once or never.
    #[default]
    Once,
    /// Deliver it at any time, any number of times, or never: more states.
    Again,
}

/// The bounds of a small cluster. Within them everything happens that can happen.
///
/// ```
/// use synod_host::check::Scope;
/// let scope = Scope { crashes: 1, ..Scope::small() };
/// assert_eq!((scope.nodes, scope.claimants), (3, 1));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// How many nodes there are, 1 to 5.
    pub nodes: u16,
    /// How many of them, from node 0 on, may claim to lead; the others only vote and follow.
    pub claimants: u16,
    /// How many different requests are made, 0 to 8. There are two clients, the one at node 0 and the other at node 1, who
    /// take turns; each waits for its answer before it asks for something else.
    pub requests: u8,
    /// How often a client asks once more, at any node, for what it has asked for already.
    pub retries: u8,
    /// How many rounds of ballots there are above the first one.
    pub rounds: u8,
    /// How many slots the log may grow by.
    pub slots: u8,
    /// How often power is lost at a node.
    pub crashes: u8,
    /// Which timers may fire, in the order of [`Timer::ALL`].
    pub timers: Vec<Timer>,
    /// Of which kinds all messages are lost, in the order of [`MessageKind::ALL`].
    pub lost: Vec<MessageKind>,
    /// What the network may do with the others.
    pub network: Network,
}

impl Scope {
    /// How many clients there are.
    pub(super) const CLIENTS: u8 = {
        assert!(CLIENTS == 2, "the two are one number");
        2
    };

    /// So small that a search visits all of it in a second: three nodes, one of which claims to lead, and no signs of life.
    pub fn small() -> Self {
        Self {
            nodes: 3,
            claimants: 1,
            requests: 1,
            retries: 0,
            rounds: 1,
            slots: 1,
            crashes: 0,
            timers: vec![Timer::Election],
            lost: vec![
                MessageKind::Decision,
                MessageKind::Heartbeat,
                MessageKind::HeartbeatReply,
            ],
            network: Network::Once,
        }
    }

    /// Small worlds that together see the most, each of which a search visits whole in seconds: elections, claims against
    /// each other, more than one slot, pages that follow each other, power that fails anywhere, and signs of life.
    pub fn worlds() -> Vec<Self> {
        let small = Self::small();
        vec![
            small.clone(),
            Self {
                crashes: 1,
                ..small.clone()
            },
            Self {
                network: Network::Again,
                ..small.clone()
            },
            Self {
                requests: 2,
                slots: 2,
                ..small.clone()
            },
            Self {
                nodes: 2,
                claimants: 2,
                requests: 2,
                slots: 2,
                lost: Vec::new(),
                ..small.clone()
            },
            Self {
                nodes: 2,
                claimants: 2,
                requests: 1,
                rounds: 2,
                crashes: 1,
                ..small.clone()
            },
            Self {
                nodes: 2,
                requests: 3,
                slots: 3,
                crashes: 1,
                timers: vec![Timer::Election, Timer::Learn],
                lost: vec![MessageKind::Heartbeat, MessageKind::HeartbeatReply],
                ..small.clone()
            },
            Self {
                timers: vec![Timer::Election, Timer::Quorum, Timer::Learn],
                ..small
            },
        ]
    }

    /// So large that no search visits all of it, for walks: whatever three nodes can do in a few rounds.
    pub fn large() -> Self {
        Self {
            nodes: 3,
            claimants: 3,
            requests: 4,
            retries: 2,
            rounds: 3,
            slots: 6,
            crashes: 2,
            timers: Timer::ALL.to_vec(),
            lost: Vec::new(),
            network: Network::Again,
        }
    }

    /// How many of so many nodes may claim where this scope is what is not told otherwise.
    pub(crate) fn claimants_of(&self, nodes: u16) -> u16 {
        if self.claimants == self.nodes {
            nodes
        } else {
            self.claimants.min(nodes)
        }
    }

    /// Where a request is made the first time.
    pub(super) fn home(&self, request: u8) -> NodeId {
        NodeId(u16::from(request % Self::CLIENTS) % self.nodes.max(1))
    }

    /// Whether a client waits for the answer to this before it asks for something else.
    pub(super) fn awaits(&self, asked: &Proposal<u32>) -> bool {
        match asked {
            Proposal::Request { command, .. } => {
                command.saturating_add(u32::from(Self::CLIENTS)) < u32::from(self.requests)
            }
            _ => false,
        }
    }
}
