//! Trace events: what happened in a node or in the network, as typed values without strings, formatting or allocation.
//!
//! A node passes each event to a [`Tracer`] as it happens. The host turns events into coloured lines, a target into
//! `defmt` frames, a test into assertions; the tracer `()` ignores them and costs nothing.

use crate::simulation::{FaultKind, Planned};
use crate::{
    Ballot, Conflict, Divergence, Duration, Epoch, Instant, Message, MessageKind, NodeId, NodeSet,
    Outcome, Proposal, Slot, StateMachine,
};

/// The role that an event belongs to: one of the eight roles, the node itself, or the simulated network.
///
/// The roles are those of Van Renesse and Altinbuken, *Paxos Made Moderately Complex*, with additional ones to found
/// and join a cluster and to represent a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Role {
    /// Promises ballots and accepts proposals; the memory of the protocol.
    Acceptor,
    /// Stores the log and applies it to the state machine.
    Replica,
    /// Runs for election, leads, or waits for a leader.
    Leader,
    /// Wins a ballot (phase 1).
    Scout,
    /// Drives one slot under one ballot (phase 2).
    Commander,
    /// Represents one request of a client.
    #[doc(alias = "Client")]
    Requester,
    /// Founds a cluster.
    Seed,
    /// Joins a cluster.
    #[doc(alias = "Bootstrap")]
    Initializer,
    /// No role: the node as a whole.
    Node,
    /// No role: the simulated network.
    Network,
}

impl Role {
    /// All roles, then the node and the network, in the order of the variants.
    pub const ALL: [Self; 10] = [
        Self::Acceptor,
        Self::Replica,
        Self::Leader,
        Self::Scout,
        Self::Commander,
        Self::Requester,
        Self::Seed,
        Self::Initializer,
        Self::Node,
        Self::Network,
    ];

    /// Returns the index in [`Role::ALL`].
    pub const fn index(self) -> usize {
        #[expect(clippy::as_conversions, reason = "a fieldless enum's discriminant")]
        {
            self as usize
        }
    }

    /// Returns the name, as in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Acceptor => "Acceptor",
            Self::Replica => "Replica",
            Self::Leader => "Leader",
            Self::Scout => "Scout",
            Self::Commander => "Commander",
            Self::Requester => "Requester",
            Self::Seed => "Seed",
            Self::Initializer => "Initializer",
            Self::Node => "Node",
            Self::Network => "Network",
        }
    }
}

const _: () = assert!(
    Role::Network.index() + 1 == Role::ALL.len(),
    "a role is missing in the list"
);

/// Why a node ignored a message or did not carry out a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Reason {
    /// The message came from another cluster, or from a node with other members.
    ForeignCluster,
    /// It is addressed to another node, or its sender has no number that a node can have, or claims or votes and is no
    /// member.
    NotAMember,
    /// It has a ballot that its sender may not use, a slot that cannot exist, or an empty run.
    Malformed,
    /// The round of its ballot is further above all rounds seen than [`Ballot::ROUND_JUMP_MAX`].
    ImplausibleBallot,
    /// It answers an earlier ballot, probe or transfer.
    StaleReply,
    /// Its ballot is below the highest that was heard of.
    OldBallot,
    /// The node has not joined yet, or has already joined.
    WrongPhase,
    /// Only the leader handles this message, and this node does not lead.
    NotLeading,
    /// It repeats what is known.
    Known,
    /// Its slots are outside the window.
    OutsideWindow,
    /// A fixed table or queue has no room.
    Full,
    /// The outbox has no room for the largest possible step; the message is dropped.
    OutboxFull,
    /// The node has halted.
    Halted,
    /// The node has no such request.
    UnknownRequest,
    /// A probe arrived while the leader was heard.
    LeaderAlive,
    /// It requests a vote that this node must not give, or comes from a node that must not vote: storage has failed or
    /// was lost, or the node is no member.
    NotVoting,
    /// It has a ballot of an earlier epoch, and its sender is told so (rule V7).
    OldEpoch,
    /// It has a ballot of a later epoch: this node is behind, and fetches what it misses (rule V6).
    LaterEpoch,
}

impl Reason {
    /// All reasons, in the order of the variants.
    pub const ALL: [Self; 18] = [
        Self::ForeignCluster,
        Self::NotAMember,
        Self::Malformed,
        Self::ImplausibleBallot,
        Self::StaleReply,
        Self::OldBallot,
        Self::WrongPhase,
        Self::NotLeading,
        Self::Known,
        Self::OutsideWindow,
        Self::Full,
        Self::OutboxFull,
        Self::Halted,
        Self::UnknownRequest,
        Self::LeaderAlive,
        Self::NotVoting,
        Self::OldEpoch,
        Self::LaterEpoch,
    ];

    /// Returns the index in [`Reason::ALL`].
    pub const fn index(self) -> usize {
        #[expect(clippy::as_conversions, reason = "a fieldless enum's discriminant")]
        {
            self as usize
        }
    }

    /// Returns the name in logs: lower case, words joined by underscores.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ForeignCluster => "foreign_cluster",
            Self::NotAMember => "not_a_member",
            Self::Malformed => "malformed",
            Self::ImplausibleBallot => "implausible_ballot",
            Self::StaleReply => "stale_reply",
            Self::OldBallot => "old_ballot",
            Self::WrongPhase => "wrong_phase",
            Self::NotLeading => "not_leading",
            Self::Known => "known",
            Self::OutsideWindow => "outside_window",
            Self::Full => "full",
            Self::OutboxFull => "outbox_full",
            Self::Halted => "halted",
            Self::UnknownRequest => "unknown_request",
            Self::LeaderAlive => "leader_alive",
            Self::NotVoting => "not_voting",
            Self::OldEpoch => "old_epoch",
            Self::LaterEpoch => "later_epoch",
        }
    }
}

const _: () = assert!(
    Reason::LaterEpoch.index() + 1 == Reason::ALL.len(),
    "a reason is missing in the list, and would not be counted"
);

/// Why a node has halted for good: it has seen proof that a rule is broken, or cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Halt<C> {
    /// Another node uses this node's number.
    DuplicateIdentity,
    /// Two values for one slot, where the protocol allows only one.
    Conflict(Conflict<C>),
    /// Its storage has failed, and no other node has the state that it would need to go on.
    StorageFailed,
    /// Its history differs from the leader's up to the same slot: two nodes have the same number, an old copy of
    /// storage was used, or the state machine is not deterministic (rules N3, D2 and R5).
    Diverged(Divergence),
}

/// A fixed structure that was full when an item was to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Queue {
    /// Proposals of the leader that wait for a slot.
    Waiting,
    /// Requests of the replica that wait for their decision.
    Pending,
    /// The requesters of the node.
    Requesters,
    /// The reads of the node, or the questions that its leader has to answer.
    Reads,
    /// The outbox.
    Outbox,
    /// The scheduler of the simulation.
    Scheduler,
}

impl Queue {
    /// All queues, in the order of the variants.
    pub const ALL: [Self; 6] = [
        Self::Waiting,
        Self::Pending,
        Self::Requesters,
        Self::Reads,
        Self::Outbox,
        Self::Scheduler,
    ];

    /// Returns the index in [`Queue::ALL`].
    pub const fn index(self) -> usize {
        #[expect(clippy::as_conversions, reason = "a fieldless enum's discriminant")]
        {
            self as usize
        }
    }

    /// Returns the name in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Pending => "pending",
            Self::Requesters => "requesters",
            Self::Reads => "reads",
            Self::Outbox => "outbox",
            Self::Scheduler => "scheduler",
        }
    }
}

const _: () = assert!(
    Queue::Scheduler.index() + 1 == Queue::ALL.len(),
    "a queue is missing in the list, and would not be counted"
);

/// An event.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event<'a, M: StateMachine, const PAGE: usize> {
    /// The rounds or the slots are used up: this node claims no more ballots.
    Exhausted,
    /// A role has started.
    Started,
    /// A role has stopped.
    Stopped,
    /// A message left the node; or, if the node itself is among the recipients, was passed inside the node.
    Sent {
        /// The recipients.
        to: NodeSet,
        /// The message.
        message: &'a Message<M, PAGE>,
    },
    /// A message arrived, or was passed inside the node.
    Received {
        /// The sender.
        from: NodeId,
        /// The message.
        message: &'a Message<M, PAGE>,
    },
    /// The network lost a message (the record's node is the sender).
    Lost {
        /// The recipient.
        to: NodeId,
        /// The message.
        message: &'a Message<M, PAGE>,
    },
    /// A message was received and ignored.
    Ignored {
        /// The sender.
        from: NodeId,
        /// The kind of the message.
        kind: MessageKind,
        /// The reason.
        reason: Reason,
    },
    /// The node suspects its leader.
    Suspected {
        /// The last leader that was heard.
        leader: NodeId,
    },
    /// The node does not claim a ballot before a delay has passed.
    BackedOff {
        /// The delay.
        delay: Duration,
    },
    /// A scout has won its ballot: the leader adopts the accepted entries of a quorum.
    Adopted {
        /// The ballot that was won.
        ballot: Ballot,
        /// The number of proposals that it proposes again.
        reproposed: u32,
        /// The number of holes that it fills with no-ops.
        noops: u32,
        /// The first slot for new commands.
        next_slot: Slot,
    },
    /// A higher ballot has ended a scout or a leader.
    Preempted {
        /// The ballot that was lost.
        ballot: Ballot,
        /// The higher ballot.
        by: Ballot,
    },
    /// A leader has stepped down because no quorum answered, or because other nodes have decided slots.
    SteppedDown {
        /// The leader's ballot.
        ballot: Ballot,
    },
    /// The node follows a leader that it did not follow before.
    Accepting {
        /// The leader.
        leader: NodeId,
    },
    /// A quorum has accepted a proposal: nothing else can ever be decided for its slot.
    Chosen {
        /// The slot.
        slot: Slot,
        /// The ballot under which it was chosen.
        ballot: Ballot,
        /// The proposal.
        proposal: &'a Proposal<M::Command>,
    },
    /// A replica has applied a slot.
    Applied {
        /// The slot.
        slot: Slot,
        /// The decided proposal.
        proposal: &'a Proposal<M::Command>,
        /// The outcome; `None` for a no-op.
        outcome: Option<&'a Outcome<M::Output>>,
        /// The digest of everything applied up to here, equal on every node that has applied this slot.
        chain: u64,
    },
    /// A replica has installed a snapshot.
    Installed {
        /// The last slot in it.
        at: Slot,
        /// The digest of everything applied up to there.
        chain: u64,
    },
    /// An epoch has begun for the node: it has applied the change of the members that ended the one before, or installed
    /// a snapshot that includes it.
    Reconfigured {
        /// The epoch that has begun.
        epoch: Epoch,
        /// Its members.
        members: NodeSet,
    },
    /// An item did not fit into a queue.
    Full {
        /// The queue.
        queue: Queue,
    },
    /// The node has halted for good.
    Halted {
        /// The cause.
        cause: &'a Halt<M::Command>,
    },
    /// The node was fenced after a storage failure: from now on it neither votes nor leads, and unsent writes and
    /// messages are dropped.
    Fenced,
    /// The node was stopped from outside: killed, or crashed.
    Killed,
    /// The node restarted from what it had made durable.
    Restarted,
    /// The network duplicated a message (the record's node is the sender).
    Duplicated {
        /// The recipient.
        to: NodeId,
        /// The message.
        message: &'a Message<M, PAGE>,
    },
    /// A message takes longer than usual on its link (the record's node is the sender).
    Delayed {
        /// The recipient.
        to: NodeId,
        /// The message.
        message: &'a Message<M, PAGE>,
        /// The delay.
        by: Duration,
        /// The fault that caused it.
        cause: FaultKind,
    },
    /// A planned fault has begun.
    FaultBegan {
        /// The fault, with its duration.
        planned: Planned,
    },
    /// A planned fault has ended.
    FaultEnded {
        /// The fault.
        planned: Planned,
    },
}

#[expect(
    clippy::expl_impl_clone_on_copy,
    reason = "a derive would ask for a state machine that is Copy"
)]
impl<M: StateMachine, const PAGE: usize> Clone for Event<'_, M, PAGE> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: StateMachine, const PAGE: usize> Copy for Event<'_, M, PAGE> {}

/// An event with its time, node and role.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Record<'a, M: StateMachine, const PAGE: usize> {
    /// When it happened.
    pub at: Instant,
    /// The node.
    pub node: NodeId,
    /// The role.
    pub role: Role,
    /// The event.
    pub event: Event<'a, M, PAGE>,
}

#[expect(
    clippy::expl_impl_clone_on_copy,
    reason = "a derive would ask for a state machine that is Copy"
)]
impl<M: StateMachine, const PAGE: usize> Clone for Record<'_, M, PAGE> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: StateMachine, const PAGE: usize> Copy for Record<'_, M, PAGE> {}

/// The path of a message through a simulated network. It distinguishes messages with equal contents, which events do
/// not.
///
/// A node traces a message when it has queued it ([`Event::Sent`]). The message leaves the node later, unless the node
/// loses power or its storage fails before that: in the same order, except that messages which may leave
/// [early](Message::is_early) overtake others that wait for writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// One of the messages that a node has queued leaves the node: the network events that follow are about this
    /// message.
    Leaves {
        /// The sender.
        from: NodeId,
        /// The number of messages that were queued before this one, and have not left.
        overtaken: usize,
    },
    /// A copy of the message that has just left is in transit.
    Carried {
        /// The number of the copy, which is unique.
        copy: u64,
    },
    /// A copy waits for its recipient, which is paused, and has another number from now on.
    PutOff {
        /// Its number until now.
        copy: u64,
        /// Its number from now on.
        next: u64,
    },
    /// A copy arrives. If its recipient is alive, the first events that follow are about this message.
    Arrives {
        /// Its number.
        copy: u64,
    },
}

/// Receives events as they happen.
///
/// `()` ignores them; a pair of tracers passes each event to both; a `&mut` of a tracer is a tracer.
///
/// A [`Record`] is displayed as a line of the log, so this tracer prints one:
///
/// ```
/// use synod::machines::Kv;
/// use synod::{Config, Instant, Node, NodeId, Outbox, Record, StateMachine, Tracer};
///
/// #[derive(Default)]
/// struct Print(Vec<String>);
///
/// impl<M: StateMachine, const PAGE: usize> Tracer<M, PAGE> for Print {
///     fn record(&mut self, record: &Record<'_, M, PAGE>) {
///         println!("{record}");
///         self.0.push(record.to_string());
///     }
/// }
///
/// type Small = Node<Kv<4>, 8, 2, 2>;
/// let mut node = Small::found(Config::new(NodeId(0), 1), 6, Instant::ZERO)?;
/// let (mut outbox, mut print) = (Outbox::<_, 2, { Small::OUTBOX_MIN }>::new(), Print::default());
/// node.handle_timeout(Instant::ZERO, &mut outbox, &mut print);
/// assert_eq!(print.0[0], "NODE_0.Seed         ---> T=0.0000 started");
/// # Ok::<(), synod::ConfigError>(())
/// ```
pub trait Tracer<M: StateMachine, const PAGE: usize> {
    /// Receives one event.
    fn record(&mut self, record: &Record<'_, M, PAGE>);

    /// Receives the position of a message in a simulated network. The default does nothing, for tracers that need not
    /// distinguish messages with equal contents.
    fn on_way(&mut self, way: Way) {
        let _ = way;
    }
}

impl<M: StateMachine, const PAGE: usize> Tracer<M, PAGE> for () {
    fn record(&mut self, _record: &Record<'_, M, PAGE>) {}
}

impl<M: StateMachine, const PAGE: usize, T: Tracer<M, PAGE> + ?Sized> Tracer<M, PAGE> for &mut T {
    fn record(&mut self, record: &Record<'_, M, PAGE>) {
        (**self).record(record);
    }

    fn on_way(&mut self, way: Way) {
        (**self).on_way(way);
    }
}

impl<M: StateMachine, const PAGE: usize, A: Tracer<M, PAGE>, B: Tracer<M, PAGE>> Tracer<M, PAGE>
    for (A, B)
{
    fn record(&mut self, record: &Record<'_, M, PAGE>) {
        self.0.record(record);
        self.1.record(record);
    }

    fn on_way(&mut self, way: Way) {
        self.0.on_way(way);
        self.1.on_way(way);
    }
}
