//! Getters of a node: its state as seen from outside.

use super::leader_contact::LeaderContact;
use super::{Node, Phase};
use crate::mutant::Mutant;
use crate::roles::replica::SpareUse;
use crate::roles::scout::Scout;
use crate::timer::Timers;
use crate::{
    AnyOutbox, Ballot, Config, Duration, Entry, Halt, Message, NodeId, NodeState, Outcome,
    Outgoing, Proposal, Role, Slot, StateMachine, Status,
};

/// How much the fixed structures of a node hold: the most that they have held at once, or what they hold at present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Marks {
    /// Slots in flight while the node led, of `WINDOW`.
    pub window: usize,
    /// Votes of the acceptor, of `WINDOW`.
    pub votes: usize,
    /// Proposals that waited for a slot, of `CLIENTS`.
    pub waiting: usize,
    /// Requests that waited for their decision, of `CLIENTS`.
    pub pending: usize,
    /// Requests outstanding at this node, of `CLIENTS`.
    pub requesters: usize,
    /// Sessions, of `CLIENTS`. Equal to the current number, which never falls.
    pub sessions: usize,
}

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// Returns the node's number.
    pub fn id(&self) -> NodeId {
        self.config.node
    }

    /// Returns the node's settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns 32 bits that all nodes of a cluster have in common: a digest of the cluster's number, its members, and
    /// everything that nodes need to agree on in order to understand each other and to compute the same state from the
    /// log ([`StateMachine::VERSION`], the lengths of commands, outputs and pages, `WINDOW`, `CLIENTS` and `PAGE`).
    /// Every envelope carries it. Nodes that would count quorums over different members, or would keep different
    /// sessions, ignore each other's messages (rule N2).
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

    /// Returns [`Node::fingerprint_of`] this node's settings, which its envelopes carry as their cluster.
    pub fn fingerprint(&self) -> u32 {
        self.fingerprint
    }

    /// True if the node has joined its cluster. From then on it applies decisions and, if it is a voter, promises and
    /// accepts.
    pub fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Active)
    }

    /// True if the node may vote and lead where it is a member, once it has joined: its storage is in order, and what it
    /// writes must be stored. A node whose storage has failed ([`Node::fence`]) or was lost ([`Node::learn`]) only learns
    /// decisions, its writes are dropped, and nothing that its acceptor holds was ever sent to anybody.
    ///
    /// Whether the node is a member at present is another question: see [`Node::is_member`].
    pub fn is_voter(&self) -> bool {
        self.voting.is_allowed
    }

    /// True if the node votes at present, and may lead: its storage is in order (rules D1 and D2), and it is a member (rule
    /// V1).
    pub fn is_voting(&self) -> bool {
        self.voting.is_allowed && self.voting.is_member
    }

    /// True if a message of this node may leave before the writes of its outbox are durable: one of
    /// [`Outbox::early`](crate::Outbox::early), in a node without a mutant.
    pub fn leaves_early(
        &self,
        outbox: &impl AnyOutbox<M, PAGE>,
        outgoing: &Outgoing<M, PAGE>,
    ) -> bool {
        match outgoing.message {
            Message::Accepted { .. } if self.makes(Mutant::VoteSentEarly) => true,
            Message::Prepare { .. } if self.makes(Mutant::PrepareSentEarly) => true,
            _ => outgoing.message.is_early() && !outbox.waits(),
        }
    }

    /// Returns the leader that this node believes in. This is a hint, and may be out of date.
    pub fn leader_hint(&self) -> Option<NodeId> {
        self.leader_hint
    }

    /// Returns the ballot under which this node leads, or `None` if it does not lead.
    pub fn leading(&self) -> Option<Ballot> {
        self.leader.leading()
    }

    /// Returns the highest ballot that this node has promised.
    pub fn promised(&self) -> Ballot {
        self.acceptor.promised()
    }

    /// Returns the accepted entries above the low-water mark, in rising order of slots.
    pub fn votes(&self) -> impl Iterator<Item = Entry<M::Command>> {
        self.acceptor.votes()
    }

    /// Returns the low-water mark: the slot up to which this acceptor has dropped its votes, because the node has
    /// applied them.
    pub fn low_water(&self) -> Slot {
        self.acceptor.low_water()
    }

    /// Returns the decision for a slot that was applied here, as long as it is kept: for about `WINDOW` slots.
    pub fn decision(&self, slot: Slot) -> Option<&Proposal<M::Command>> {
        self.replica.decision(slot)
    }

    /// Returns the last slot that was applied here, or [`Slot::ZERO`]. It never falls while the node runs, but may be
    /// lower after a restart from storage, after which some slots are applied again: see [`storage`](crate::storage).
    pub fn applied(&self) -> Slot {
        self.replica.applied()
    }

    /// Returns a digest of all applied proposals, their outcomes and evicted sessions. It is equal on all nodes that
    /// have applied the same slots. The state is covered by the outputs of the state machine.
    pub fn chain(&self) -> u64 {
        self.replica.chain()
    }

    /// Returns the state machine after the last applied slot.
    pub fn machine(&self) -> &M {
        self.replica.machine()
    }

    /// Returns why the node has halted, if it has. A halted node ignores all input.
    pub fn halted(&self) -> Option<&Halt<M::Command>> {
        self.halt.as_ref()
    }

    /// Returns the number of requests that wait for their decision.
    #[cfg(test)]
    pub(crate) fn pending(&self) -> usize {
        self.replica.pending()
    }

    /// Returns the ballot that this node claims; `None` once it leads, or while it only asks others.
    pub(crate) fn claimed(&self) -> Option<Ballot> {
        self.leader.scout().map(Scout::ballot)
    }

    /// Returns the ballot about which this node asks others before it claims one.
    pub(crate) fn probed(&self) -> Option<Ballot> {
        self.leader.ballot().filter(|_| self.leader.is_probing())
    }

    /// Returns the last slot that this node knows to be decided, whether it has applied it or not.
    pub fn known_decided(&self) -> Slot {
        self.replica.known_decided()
    }

    /// Returns the ballot of the vote for a slot.
    pub(crate) fn voted_under(&self, slot: Slot) -> Option<Ballot> {
        self.acceptor.vote(slot).map(|vote| vote.ballot)
    }

    /// Returns whom the room for a second state is kept for: nobody, if no snapshot is fetched or kept for others.
    pub(crate) fn spare(&self) -> SpareUse {
        self.replica.spare_use(self.config.node)
    }

    /// Returns what this node would answer to a request without applying anything; `None` for one that it would propose.
    pub(crate) fn look_up(
        &self,
        proposal: &Proposal<M::Command>,
        fingerprint: u32,
    ) -> Option<Outcome<M::Output>> {
        self.replica.look_up(proposal, fingerprint)
    }

    /// True if a snapshot is kept for the storage of this node.
    pub(crate) fn keeps_for_storage(&self) -> bool {
        self.spare() == SpareUse::Kept { stored: true }
    }

    /// Returns the timers.
    pub(crate) fn timers(&self) -> &Timers {
        &self.timers
    }

    /// Returns the least and the most that the election timer is armed for, by what this node knows of a leader.
    pub(crate) fn turn_span(&self) -> (Duration, Duration) {
        let timeout = self.config.election_timeout;
        match self.contact {
            // A founder need not wait, and a node that has joined gives a leader twice the time at most.
            LeaderContact::New => (timeout.min(self.config.learn_delay), timeout * 2),
            LeaderContact::Following => (timeout, timeout),
            LeaderContact::Missing => (Duration::ZERO, timeout),
            // Rule L5: a node that has backed off probes after four timeouts at most.
            LeaderContact::Promised | LeaderContact::Waiting => (timeout, timeout * 4),
            LeaderContact::Succeeding => (Duration::ZERO, Duration::ZERO),
        }
    }

    /// Returns the status of the node, for a client or an operator that asks over a link. A halted node has a status as
    /// well.
    pub fn status(&self) -> Status {
        let state = match (self.is_active(), self.is_voting()) {
            _ if self.halt.is_some() => NodeState::Halted,
            (false, _) => NodeState::Joining,
            (true, false) if self.is_retired() => NodeState::Retired,
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
            epoch: self.epoch(),
            members: self.members(),
        }
    }

    /// Returns the high-water marks of the node's fixed structures.
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

    /// Returns how much the fixed structures hold at present, of which [`Node::marks`] says the most.
    pub fn lengths(&self) -> Marks {
        Marks {
            window: self.leader.in_flight(),
            votes: self.acceptor.votes().count(),
            waiting: self.leader.waiting(),
            pending: self.replica.pending(),
            requesters: self.requesters.len(),
            sessions: self.replica.sessions(),
        }
    }

    /// Returns the roles that the node has at present.
    pub fn roles(&self) -> impl Iterator<Item = Role> {
        let active = self.is_active();
        let has = move |role: &Role| match role {
            Role::Replica => active,
            Role::Acceptor | Role::Leader => active && self.is_voting(),
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
