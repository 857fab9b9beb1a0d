//! What can be seen of a node from outside: getters only, which change nothing.

use super::{Node, Phase};
use crate::{
    Ballot, Config, Entry, Halt, NodeId, NodeState, Proposal, Role, Slot, StateMachine, Status,
};

/// The most that a node's fixed structures have held, beside what they can hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Marks {
    /// Slots under way at once, of the window; while the node led.
    pub window: usize,
    /// Votes that the acceptor held at once, of the window.
    pub votes: usize,
    /// Proposals that waited for a slot, of `CLIENTS`.
    pub waiting: usize,
    /// Requests that waited for their decision, of `CLIENTS`.
    pub pending: usize,
    /// Requests outstanding at this node, of `CLIENTS`.
    pub requesters: usize,
    /// Sessions, of `CLIENTS`: as many as there are now, as their number never falls.
    pub sessions: usize,
}

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// The node's number.
    pub fn id(&self) -> NodeId {
        self.config.node
    }

    /// The node's settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Thirty-two bits that all nodes of a cluster share: its number, its members, and what nodes must have in common to
    /// understand each other and to make the same of the log, which is [`StateMachine::VERSION`], how long its commands,
    /// outputs and pages are, `WINDOW`, `CLIENTS` and `PAGE`. Every envelope carries them, so that nodes that would count
    /// quorums over different sets, or keep other sessions, do not talk to each other (rule N2).
    ///
    /// ```
    /// use synod::machines::Kv;
    /// use synod::{Config, Node, NodeId};
    ///
    /// let config = Config::new(NodeId(0), 3);
    /// let cluster = Node::<Kv<4>, 8, 2, 2>::fingerprint_of(&config);
    /// assert_eq!(cluster, Node::<Kv<4>, 8, 2, 2>::fingerprint_of(&Config::new(NodeId(2), 3)));
    /// assert_ne!(cluster, Node::<Kv<4>, 8, 4, 2>::fingerprint_of(&config), "another number of sessions");
    /// ```
    pub fn fingerprint_of(config: &Config) -> u32 {
        config.fingerprint::<M>(&[WINDOW, CLIENTS, PAGE])
    }

    /// What its envelopes carry as their cluster: [`Node::fingerprint_of`] its settings.
    pub fn fingerprint(&self) -> u32 {
        self.fingerprint
    }

    /// Whether the node has joined its cluster: from then on it applies and, unless it is no voter, promises and accepts.
    pub fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Active)
    }

    /// Whether the node may vote and lead, as soon as it has joined. One whose storage failed ([`Node::fence`]) or was lost
    /// ([`Node::learn`]) only learns what is decided, and what its acceptor holds was never said to anybody.
    pub fn is_voter(&self) -> bool {
        self.voter
    }

    /// Who leads, as far as this node believes; a hint, and possibly an old one.
    pub fn leader_hint(&self) -> Option<NodeId> {
        self.leader_hint
    }

    /// The ballot under which this node leads, if it does.
    pub fn leading(&self) -> Option<Ballot> {
        self.leader.leading()
    }

    /// The highest ballot that this node has promised.
    pub fn promised(&self) -> Ballot {
        self.acceptor.promised()
    }

    /// Everything that this node has accepted above its low-water mark, in the order of the slots.
    pub fn votes(&self) -> impl Iterator<Item = Entry<M::Command>> {
        self.acceptor.votes()
    }

    /// Up to here this node's acceptor has forgotten what it accepted, as it is applied here.
    pub fn low_water(&self) -> Slot {
        self.acceptor.low_water()
    }

    /// The decision for a slot that was applied here, as long as it is kept: for about a window.
    pub fn decision(&self, slot: Slot) -> Option<&Proposal<M::Command>> {
        self.replica.decision(slot)
    }

    /// The last slot that was applied here; [`Slot::ZERO`] when none was. It only rises while the node lives, but a node that
    /// starts again from storage may be further back than it was, and apply some slots once more: see [`storage`](crate::storage).
    pub fn applied(&self) -> Slot {
        self.replica.applied()
    }

    /// A digest of everything that was applied, of what was answered, and of the sessions that were given up: equal on every node
    /// that has applied as far. The state itself is covered by what it answers.
    pub fn chain(&self) -> u64 {
        self.replica.chain()
    }

    /// The state machine, as far as it is applied here.
    pub fn machine(&self) -> &M {
        self.replica.machine()
    }

    /// Why the node has stopped for good, if it has: then it ignores everything.
    pub fn halted(&self) -> Option<&Halt<M::Command>> {
        self.halt.as_ref()
    }

    /// How many requests wait here for their decision.
    #[cfg(test)]
    pub(crate) fn pending(&self) -> usize {
        self.replica.pending()
    }

    /// How the node is, for a client or an operator who asks over a link. It answers, too, when it has halted.
    pub fn status(&self) -> Status {
        let state = match (self.is_active(), self.voter) {
            _ if self.halt.is_some() => NodeState::Halted,
            (false, _) => NodeState::Joining,
            (true, false) => NodeState::Learning,
            (true, true) if self.leader.leading().is_some() => NodeState::Leading,
            (true, true) => NodeState::Voting,
        };
        Status {
            state,
            leader: self.leader_hint,
            applied: self.replica.applied(),
            chain: self.replica.chain(),
            highest: self.highest_seen,
        }
    }

    /// The most that its fixed structures have held.
    pub fn marks(&self) -> Marks {
        Marks {
            window: self.leader.in_flight_peak(),
            votes: self.votes_peak,
            waiting: self.leader.waiting_peak(),
            pending: self.replica.pending_peak(),
            requesters: self.requesters.peak(),
            sessions: self.replica.sessions(),
        }
    }

    /// The roles that the node has now.
    pub fn roles(&self) -> impl Iterator<Item = Role> {
        let active = self.is_active();
        let has = move |role: &Role| match role {
            Role::Replica => active,
            Role::Acceptor | Role::Leader => active && self.voter,
            Role::Scout => self.leader.scout().is_some(),
            Role::Commander => self.leader.in_flight() > 0,
            Role::Requester => self.requesters.len() > 0,
            Role::Seed => matches!(self.phase, Phase::Founding(_)),
            Role::Initializer => matches!(self.phase, Phase::Joining(_)),
            Role::Node | Role::Network => false,
        };
        Role::ALL.into_iter().filter(has)
    }
}
