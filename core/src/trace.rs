//! What happened, as typed facts: no strings, no formatting, nothing that allocates.
//!
//! A node hands each fact to a [`Tracer`] as it happens. The host turns them into coloured lines, a target into `defmt`
//! frames, a test into assertions; `()` ignores them and costs nothing.

use crate::simulation::{FaultKind, Planned};
use crate::{
    Ballot, Conflict, Divergence, Duration, Instant, Message, MessageKind, NodeId, NodeSet,
    Outcome, Proposal, Slot, StateMachine,
};

/// Who in a node did something: the eight roles, the node itself, or the simulated network.
///
/// The roles are those of Van Renesse and Altinbuken, *Paxos Made Moderately Complex*, with those that found and join a
/// cluster and that stand for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Role {
    /// Promises and accepts; the memory of the protocol.
    Acceptor,
    /// Keeps the log and applies it to the state machine.
    Replica,
    /// Wants to lead, leads, or waits for one who does.
    Leader,
    /// Wins a ballot.
    Scout,
    /// Drives one slot under one ballot.
    Commander,
    /// Stands for one request of a client.
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
    /// Every role, then the node and the network, in the order of the variants.
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

    /// Its place in [`Role::ALL`].
    pub const fn index(self) -> usize {
        #[expect(clippy::as_conversions, reason = "a fieldless enum's discriminant")]
        {
            self as usize
        }
    }

    /// Its name, as in the log.
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

/// Why a node did nothing with something that it received or wanted to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Reason {
    /// It came from another cluster, or from a node that counts other members.
    ForeignCluster,
    /// Its sender or addressee is no member.
    NotAMember,
    /// It carries a ballot that its sender may not use, a slot that no log has, or an empty run.
    Malformed,
    /// Its ballot jumps further than any honest one would.
    ImplausibleBallot,
    /// It answers an attempt that is over.
    StaleReply,
    /// Its ballot is below one that was heard of since.
    OldBallot,
    /// The node has not joined yet, or has already.
    WrongPhase,
    /// Only the leader serves this, and this node does not lead.
    NotLeading,
    /// It repeats what is known.
    Known,
    /// It is about slots that are outside of the window.
    OutsideWindow,
    /// A fixed table or queue has no room.
    Full,
    /// The outbox has no room for the worst that the step might say; as good as lost on the way.
    OutboxFull,
    /// The node has halted.
    Halted,
    /// The node answers to nobody of that name.
    UnknownRequest,
    /// The probe came while the leader was heard.
    LeaderAlive,
    /// It asks for a vote that this node must not give, or came from one that has none: storage failed or was lost.
    NotVoting,
}

impl Reason {
    /// Every one, in the order of the variants.
    pub const ALL: [Self; 16] = [
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
    ];

    /// Its place in [`Reason::ALL`].
    pub const fn index(self) -> usize {
        #[expect(clippy::as_conversions, reason = "a fieldless enum's discriminant")]
        {
            self as usize
        }
    }

    /// Its name in logs: lower case, words joined by underscores.
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
        }
    }
}

/// Why a node stopped for good: something happened that cannot happen while the rules hold, or that it cannot survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Halt<C> {
    /// Another node uses this one's identity.
    DuplicateIdentity,
    /// Two values for one slot, where the protocol allows one.
    Conflict(Conflict<C>),
    /// Its storage failed, and there is nobody else whose memory it could go on with.
    StorageFailed,
    /// It has applied something else than its leader up to the same slot: two nodes share a number, storage of the past was
    /// put back, or the state machine is not deterministic (rules N3, D2 and R5).
    Diverged(Divergence),
}

/// A fixed structure that was full when something was to be put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Queue {
    /// The leader's proposals that wait for a slot.
    Waiting,
    /// The replica's requests that wait for their decision.
    Pending,
    /// The node's requesters.
    Requesters,
    /// The outbox.
    Outbox,
    /// The simulation's scheduler.
    Scheduler,
}

impl Queue {
    /// Every one, in the order of the variants.
    pub const ALL: [Self; 5] = [
        Self::Waiting,
        Self::Pending,
        Self::Requesters,
        Self::Outbox,
        Self::Scheduler,
    ];

    /// Its place in [`Queue::ALL`].
    pub const fn index(self) -> usize {
        #[expect(clippy::as_conversions, reason = "a fieldless enum's discriminant")]
        {
            self as usize
        }
    }

    /// Its name in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Pending => "pending",
            Self::Requesters => "requesters",
            Self::Outbox => "outbox",
            Self::Scheduler => "scheduler",
        }
    }
}

/// A fact.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event<'a, M: StateMachine, const PAGE: usize> {
    /// The rounds or the slots are used up: this node claims no more.
    Exhausted,
    /// A role began.
    Started,
    /// A role ended.
    Stopped,
    /// A message left the node; or, where the node itself is among the recipients, was handed over inside of it.
    Sent {
        /// Its recipients.
        to: NodeSet,
        /// What it says.
        message: &'a Message<M, PAGE>,
    },
    /// A message arrived, or was handed over inside of the node.
    Received {
        /// Its sender.
        from: NodeId,
        /// What it says.
        message: &'a Message<M, PAGE>,
    },
    /// The network lost a message (the record's node is its sender).
    Lost {
        /// Who would have had it.
        to: NodeId,
        /// What it would have said.
        message: &'a Message<M, PAGE>,
    },
    /// A message was received and not acted on.
    Ignored {
        /// Its sender.
        from: NodeId,
        /// Its kind.
        kind: MessageKind,
        /// Why.
        reason: Reason,
    },
    /// The node misses its leader.
    Suspected {
        /// The leader that it had heard last.
        leader: NodeId,
    },
    /// The node will not claim again before so long.
    BackedOff {
        /// How long.
        delay: Duration,
    },
    /// A scout won its ballot: the leader has adopted what a quorum had accepted.
    Adopted {
        /// The ballot that was won.
        ballot: Ballot,
        /// How many proposals it re-proposes.
        reproposed: u32,
        /// How many holes it fills with no-ops.
        noops: u32,
        /// The first slot for new commands.
        next_slot: Slot,
    },
    /// A higher ballot ended a scout or a leader.
    Preempted {
        /// The ballot that was lost.
        ballot: Ballot,
        /// The ballot that won.
        by: Ballot,
    },
    /// A leader gave up because it no longer heard from a quorum, or learnt of decisions that others had made.
    SteppedDown {
        /// Its ballot.
        ballot: Ballot,
    },
    /// The node follows a leader that it did not follow before.
    Accepting {
        /// The leader.
        leader: NodeId,
    },
    /// A quorum accepted a proposal: nothing else can ever be decided for its slot.
    Chosen {
        /// The slot.
        slot: Slot,
        /// The ballot under which it was chosen.
        ballot: Ballot,
        /// What was chosen.
        proposal: &'a Proposal<M::Command>,
    },
    /// A replica applied a slot.
    Applied {
        /// The slot.
        slot: Slot,
        /// What was decided for it.
        proposal: &'a Proposal<M::Command>,
        /// What came of it; `None` for a no-op.
        outcome: Option<&'a Outcome<M::Output>>,
        /// The digest of everything applied up to here: equal on every node that has applied as far.
        chain: u64,
    },
    /// A replica installed a snapshot.
    Installed {
        /// The last slot in it.
        at: Slot,
        /// The digest of everything applied up to there.
        chain: u64,
    },
    /// Something did not fit.
    Full {
        /// Where.
        queue: Queue,
    },
    /// The node stopped for good because of what it saw.
    Halted {
        /// What it saw.
        cause: &'a Halt<M::Command>,
    },
    /// The node's storage failed: from now on it neither votes nor leads, and what it had not sent yet is dropped.
    Fenced,
    /// The node was stopped from outside: killed, or crashed.
    Killed,
    /// The node started again from what it had made durable.
    Restarted,
    /// The network made a second copy of a message (the record's node is its sender).
    Duplicated {
        /// Who has it twice.
        to: NodeId,
        /// What it says.
        message: &'a Message<M, PAGE>,
    },
    /// A message takes longer than its link usually does (the record's node is its sender).
    Delayed {
        /// Who waits for it.
        to: NodeId,
        /// What it says.
        message: &'a Message<M, PAGE>,
        /// How long it takes.
        by: Duration,
        /// Why.
        cause: FaultKind,
    },
    /// A planned fault began.
    FaultBegan {
        /// What goes wrong, and for how long.
        planned: Planned,
    },
    /// A planned fault is over.
    FaultEnded {
        /// What went wrong.
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

/// A fact with its time and place.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Record<'a, M: StateMachine, const PAGE: usize> {
    /// When.
    pub at: Instant,
    /// On which node.
    pub node: NodeId,
    /// In which role.
    pub role: Role,
    /// What.
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

/// Where a message is on its way through a simulated network: it tells apart messages that say the same, which no fact does.
///
/// A node traces what it says when it has said it ([`Event::Sent`]); it leaves the node later, in the same order, unless
/// the node loses its power or its storage before that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// The oldest of the messages that a node has sent, and that have not left it yet, leaves it now: the facts of the
    /// network that follow are about this message.
    Leaves {
        /// Its sender.
        from: NodeId,
    },
    /// A copy of the message that has just left is on its way.
    Carried {
        /// The number of the copy, which no other has.
        copy: u64,
    },
    /// A copy waits for its recipient, which stands still, and goes by another number from now on.
    PutOff {
        /// Its number until now.
        copy: u64,
        /// Its number from now on.
        next: u64,
    },
    /// A copy arrives. If its recipient lives, the first facts that follow are about this message.
    Arrives {
        /// Its number.
        copy: u64,
    },
}

/// Takes the facts as they happen.
///
/// `()` ignores them; a pair of tracers gives each fact to both; a `&mut` of a tracer is one.
///
/// A [`Record`] displays itself as a line of the log, so that this tracer prints one:
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
    /// Takes one fact.
    fn record(&mut self, record: &Record<'_, M, PAGE>);

    /// Takes note of where a message is; whoever need not tell one message from another that says the same does nothing, as
    /// is the default. Only a simulation tells it.
    #[inline]
    fn on_way(&mut self, way: Way) {
        let _ = way;
    }
}

impl<M: StateMachine, const PAGE: usize> Tracer<M, PAGE> for () {
    #[inline]
    fn record(&mut self, _record: &Record<'_, M, PAGE>) {}
}

impl<M: StateMachine, const PAGE: usize, T: Tracer<M, PAGE> + ?Sized> Tracer<M, PAGE> for &mut T {
    #[inline]
    fn record(&mut self, record: &Record<'_, M, PAGE>) {
        (**self).record(record);
    }

    #[inline]
    fn on_way(&mut self, way: Way) {
        (**self).on_way(way);
    }
}

impl<M: StateMachine, const PAGE: usize, A: Tracer<M, PAGE>, B: Tracer<M, PAGE>> Tracer<M, PAGE>
    for (A, B)
{
    #[inline]
    fn record(&mut self, record: &Record<'_, M, PAGE>) {
        self.0.record(record);
        self.1.record(record);
    }

    #[inline]
    fn on_way(&mut self, way: Way) {
        self.0.on_way(way);
        self.1.on_way(way);
    }
}
