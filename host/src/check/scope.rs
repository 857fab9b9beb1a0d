//! Scopes: the bounds of a cluster whose states are explored.
//!
//! A world without bounds has infinitely many states: rounds, slots and requests are counted
//! upwards. A scope bounds each of them, and everything within is explored. So a search without
//! violations is a proof for its scope and for no larger one, and the worlds of `synod check` are
//! chosen such that each has something that no other one has.

use super::world::CLIENTS;
use synod::{Change, Epoch, MessageKind, NodeId, NodeSet, Proposal, Timer};

/// What the network may do with a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Network {
    /// Deliver it at any time, once or never.
    #[default]
    Once,
    /// Deliver it at any time, any number of times, or never. This gives more states.
    Again,
}

/// Bounds of a small cluster. Within them, every possible action is explored.
///
/// Each field is an option of `synod check`, whose help gives its range. Raising one multiplies the
/// number of states.
///
/// ```
/// use synod_host::check::Scope;
/// let scope = Scope { crashes: 1, ..Scope::small() };
/// assert_eq!((scope.nodes, scope.claimants), (3, 1));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Number of nodes, 1 to 5.
    pub nodes: u16,
    /// Number of nodes, from the last one back, that do not found the cluster: they have joined it as learners before the
    /// initial state. At least node 0 founds it.
    pub newcomers: u16,
    /// Number of nodes, from node 0 on, that may claim a ballot; the others only vote and follow.
    pub claimants: u16,
    /// Number of distinct requests, 0 to 8. Two clients, one at node 0 and one at node 1, take turns; each waits for
    /// its answer before its next request.
    pub requests: u8,
    /// Number of times a client repeats a request, at any node.
    pub retries: u8,
    /// Number of times a client reads the state of a node, any one, without a slot of the log.
    pub reads: u8,
    /// Number of times an operator asks for the change of the members, at any founding node. It is the same change each
    /// time: the one that ends the first epoch.
    pub changes: u8,
    /// Members that the change names; `None` if the newcomers take the places of as many founding nodes, or if the last
    /// node leaves a cluster without newcomers.
    pub members: Option<NodeSet>,
    /// Number of rounds of ballots in each epoch, in the first one above the initial round.
    pub rounds: u8,
    /// Number of slots that the log may grow by.
    pub slots: u8,
    /// Number of losses of power.
    pub crashes: u8,
    /// Timers that may fire, in the order of [`Timer::ALL`].
    pub timers: Vec<Timer>,
    /// Kinds of messages that are always lost, in the order of [`MessageKind::ALL`].
    pub lost: Vec<MessageKind>,
    /// What the network may do with other messages.
    pub network: Network,
}

impl Scope {
    /// Number of clients.
    pub(super) const CLIENTS: u8 = {
        // A number of 8 bits and a capacity, which a constant expression cannot convert into each
        // other without `as`.
        assert!(CLIENTS == 2, "the two are one number");
        2
    };

    /// Returns a scope that is explored completely in a second: three nodes, one claimant, no heartbeats.
    pub fn small() -> Self {
        Self {
            nodes: 3,
            newcomers: 0,
            claimants: 1,
            requests: 1,
            retries: 0,
            reads: 0,
            changes: 0,
            members: None,
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

    /// Returns small scopes that together have the widest coverage, each explored completely in seconds: elections,
    /// competing claims, several slots, promises of several pages, losses of power anywhere, heartbeats, reads without the
    /// log, and changes of the members.
    pub fn worlds() -> Vec<Self> {
        let mut worlds = Self::worlds_of_fixed_members();
        worlds.extend(Self::worlds_with_reads());
        worlds.extend(Self::worlds_of_changing_members());
        worlds
    }

    fn worlds_of_fixed_members() -> Vec<Self> {
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

    fn worlds_with_reads() -> Vec<Self> {
        let small = Self::small();
        vec![
            // Leaders succeed each other, and followers are behind.
            Self {
                nodes: 2,
                claimants: 2,
                reads: 2,
                ..small.clone()
            },
            // The answer to a read may come when its node has lost its power and asks again.
            Self {
                nodes: 2,
                reads: 2,
                crashes: 1,
                ..small.clone()
            },
            // A quorum of three confirms what the leader reads.
            Self {
                reads: 1,
                lost: vec![
                    MessageKind::Decision,
                    MessageKind::Heartbeat,
                    MessageKind::HeartbeatReply,
                    MessageKind::ReadIndex,
                    MessageKind::ReadIndexReply,
                ],
                ..small
            },
        ]
    }

    fn worlds_of_changing_members() -> Vec<Self> {
        let small = Self::small();
        vec![
            // Two nodes leave, and go on as long as they do not know it.
            Self {
                changes: 1,
                slots: 2,
                members: Some(NodeSet::first(1)),
                ..small.clone()
            },
            // One of three leaves, beside a request. The other one has to say by a heartbeat reply that it has caught up.
            Self {
                changes: 1,
                slots: 2,
                lost: vec![MessageKind::Decision, MessageKind::Propose],
                ..small.clone()
            },
            // A newcomer takes the place of one of two nodes, once it has said that it has caught up.
            Self {
                newcomers: 1,
                requests: 0,
                changes: 1,
                timers: vec![Timer::Election, Timer::Heartbeat, Timer::Learn],
                lost: vec![
                    MessageKind::Propose,
                    MessageKind::Decisions,
                    MessageKind::Superseded,
                ],
                ..small.clone()
            },
            // Two claimants take in a newcomer.
            Self {
                newcomers: 1,
                claimants: 2,
                requests: 0,
                changes: 1,
                members: Some(NodeSet::first(3)),
                lost: vec![MessageKind::Decision],
                ..small.clone()
            },
            // The same with a loss of power anywhere, also of the leader that has ended the epoch.
            Self {
                newcomers: 1,
                requests: 0,
                changes: 1,
                members: Some(NodeSet::first(3)),
                rounds: 2,
                crashes: 1,
                lost: vec![MessageKind::Decision],
                ..small.clone()
            },
            // A single node is replaced, with a loss of power anywhere: no member of the next epoch is one of the first.
            Self {
                nodes: 2,
                newcomers: 1,
                requests: 0,
                changes: 1,
                crashes: 1,
                timers: vec![Timer::Election, Timer::Heartbeat, Timer::Learn],
                lost: vec![MessageKind::Decision],
                ..small
            },
        ]
    }

    /// Returns a scope for random walks, too large for a search: everything that three nodes and a newcomer, which takes
    /// the place of one of them, can do in a few rounds. Every timer may fire, and no kind of message is lost for certain.
    pub fn large() -> Self {
        Self {
            nodes: 4,
            newcomers: 1,
            claimants: 4,
            requests: 4,
            retries: 2,
            reads: 0,
            changes: 1,
            members: None,
            rounds: 3,
            slots: 7,
            crashes: 2,
            timers: Timer::ALL.to_vec(),
            lost: Vec::new(),
            network: Network::Again,
        }
    }

    /// Returns a scope for random walks in which clients read without the log: three nodes that may all lead, in a few rounds.
    /// There is no change of the members, so that walks come to many reads and leaders.
    pub fn large_with_reads() -> Self {
        Self {
            nodes: 3,
            newcomers: 0,
            claimants: 3,
            reads: 4,
            changes: 0,
            ..Self::large()
        }
    }

    /// Returns the default number of claimants for a number of nodes, if the rest is as in this
    /// scope. The option `--nodes` alone thereby keeps the character of the scope: either all nodes
    /// may claim, or as few as before.
    pub(crate) fn claimants_of(&self, nodes: u16) -> u16 {
        if self.claimants == self.nodes {
            nodes
        } else {
            self.claimants.min(nodes)
        }
    }

    /// Returns the default number of newcomers for a number of nodes, of which at least one is no newcomer.
    pub(crate) fn newcomers_of(&self, nodes: u16) -> u16 {
        self.newcomers.min(nodes.saturating_sub(1))
    }

    /// Returns the default number of slots, of which there are at least so many: one for each request and for the change.
    pub(crate) fn slots_of(&self, at_least: u8) -> u8 {
        let change = u8::from(self.changes > 0);
        at_least.max(self.requests.saturating_add(change))
    }

    /// Returns the number of founding nodes.
    pub(crate) fn founders(&self) -> u16 {
        self.nodes.saturating_sub(self.newcomers).max(1)
    }

    /// Returns the members that the change names.
    pub fn members(&self) -> NodeSet {
        self.members.unwrap_or_else(|| {
            let founders = self.founders();
            let newcomers = NodeSet::first(self.nodes).minus(NodeSet::first(founders));
            let leaving = u16::try_from(newcomers.len()).unwrap_or(0).max(1);
            let staying = NodeSet::first(founders.saturating_sub(leaving));
            let members = staying.union(newcomers);
            if members.is_empty() {
                NodeSet::first(founders)
            } else {
                members
            }
        })
    }

    /// Returns the change that an operator asks for.
    pub(super) fn change(&self) -> Change {
        Change {
            epoch: Epoch::FIRST,
            members: self.members(),
        }
    }

    /// Returns the node at which a request is made first. The clients are at different nodes, so
    /// that some request begins at a node that does not lead.
    pub(super) fn home(&self, request: u8) -> NodeId {
        NodeId(u16::from(request % Self::CLIENTS) % self.nodes.max(1))
    }

    /// True if a client waits for the answer to this request before its next one. The client of the
    /// last requests makes no further one, so that it makes no difference whether they were
    /// answered.
    pub(super) fn awaits(&self, asked: &Proposal<u32>) -> bool {
        match asked {
            Proposal::Request { command, .. } => {
                command.saturating_add(u32::from(Self::CLIENTS)) < u32::from(self.requests)
            }
            _ => false,
        }
    }
}
