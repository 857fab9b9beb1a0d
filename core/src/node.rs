//! The node: one member of a cluster, which owns the protocol roles and timers and routes messages between them.

mod apply;
mod catch_up;
mod elections;
mod exploration_state;
mod fence;
mod invariants;
mod leader_contact;
mod leadership;
mod membership;
mod mutants;
mod persistence;
mod probes;
mod proposals;
mod reads;
mod recover;
mod replication;
mod requests;
mod step;
mod view;

use crate::config::{Config, ConfigError};
use crate::mutant::{Mistake, Mutant};
use crate::random::{Purpose, span_below, stream};
use crate::roles::acceptor::Acceptor;
use crate::roles::initializer::Initializer;
use crate::roles::leader::Leader;
use crate::roles::reader::Reader;
use crate::roles::replica::Replica;
use crate::roles::requester::Requester;
use crate::roles::seed::Seed;
use crate::table::Table;
use crate::timer::{Timer, Timers};
use crate::{
    AnyOutbox, Ballot, Duration, Envelope, Event, Halt, Instant, Message, MessageKind, NODES_MAX,
    NodeId, NodeSet, Outgoing, Reason, Reply, Role, Slot, StateMachine, Tracer,
};
use leader_contact::{LeaderContact, Relay};
use rand_xorshift::XorShiftRng;
pub use recover::Durable;
use step::{LastStep, Step};
pub use view::Marks;

/// One node of a cluster: a deterministic state machine without a clock, sockets, disks or threads.
///
/// # How to drive it
///
/// The methods fall into four groups.
///
/// - **Getters** ([`Node::applied`], [`Node::machine`], [`Node::leader_hint`], [`Node::roles`], [`Node::marks`],
///   [`Node::is_voter`], [`Node::halted`]) change nothing.
/// - **Inputs** ([`Node::handle_message`], [`Node::handle_timeout`], [`Node::fence`]) report events from outside.
/// - **Commands** ([`Node::register`], [`Node::request`], [`Node::read`], [`Node::withdraw`]) make or cancel a request on
///   behalf of a client.
/// - **The deadline** ([`Node::next_deadline`]) is the time at which [`Node::handle_timeout`] is to be called.
///
/// [`Outbox`](crate::Outbox) documents the contract of the driver: the order of these calls, and what to do with the
/// output of each step. The time that is passed in may stand still between calls but must not go back; builds with
/// debug assertions check that. A node that is called late loses time and nothing else.
///
/// # Capacity
///
/// | | bounds | is |
/// |---|---|---|
/// | `WINDOW` | slots in flight at once; decisions that are kept for other nodes | a power of two from 2 to 4096 |
/// | `CLIENTS` | open sessions; requests outstanding at one node | from 1 to 65,535 |
/// | `PAGE` | entries in one message | from 1 to 128 |
/// | [`PAGE_BYTES`](StateMachine::PAGE_BYTES) | bytes in one page of a snapshot | from 28 to [`SNAPSHOT_PAGE`](crate::SNAPSHOT_PAGE) |
///
/// Any other capacity is a compile-time error, see [`Node::FITS`]. A node never takes more memory than
/// `size_of::<Node<…>>()`. An input for which there is no room is rejected and traced, and can be repeated later.
///
/// ```compile_fail,E0080
/// // WINDOW must be a power of two from 2 to 4096
/// const _: () = synod::Node::<synod::machines::Kv<4>, 12, 8, 2>::FITS;
/// ```
///
/// ```compile_fail,E0080
/// // CLIENTS must be from 1 to 65535
/// const ROOM: usize = synod::Node::<synod::machines::Kv<4>, 16, 0, 2>::OUTBOX_MIN;
/// ```
///
/// ```compile_fail,E0080
/// // PAGE must be from 1 to 128
/// const RAM: synod::Ram = synod::Ram::of::<synod::machines::Kv<4>, 16, 8, 129>();
/// ```
///
/// ```
/// use synod::machines::{Key, Kv, KvCommand, KvReply};
/// use synod::{Config, Instant, Node, NodeId, Outbox, Outcome, RequestNumber};
///
/// // A cluster of one, driven by hand.
/// type Small = Node<Kv<4>, 8, 2, 2>;
/// let mut node = Small::found(Config::new(NodeId(0), 1), 6, Instant::ZERO)?;
/// let mut outbox = Outbox::<_, 2, { Small::OUTBOX_MIN }>::new();
/// let mut now = Instant::ZERO;
/// while node.leader_hint().is_none() {
///     now = node.next_deadline().unwrap();
///     node.handle_timeout(now, &mut outbox, &mut ());
///     outbox.clear(); // A driver with storage makes outbox.writes durable here.
/// }
/// node.register(now, 1234, &mut outbox, &mut ())?;
/// let Outcome::Registered { client } = outbox.replies[0].outcome else { panic!() };
/// outbox.clear();
/// let set = KvCommand::Set(Key::new("A").unwrap(), 9);
/// node.request(now, client, RequestNumber(1), set, &mut outbox, &mut ())?;
/// assert!(matches!(outbox.replies[0].outcome, Outcome::Applied { output: KvReply::Value(9), .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Node<
    M: StateMachine,
    const WINDOW: usize = 16,
    const CLIENTS: usize = 8,
    const PAGE: usize = 2,
> {
    /// The settings, which never change.
    config: Config,
    /// [`Node::fingerprint_of`] the settings. Compared with every envelope, so it is computed once.
    fingerprint: u32,
    /// Whether the node has joined. It never goes back.
    phase: Phase,
    /// What this node has promised and accepted. Untouched until it has joined, and of no consequence unless it is a
    /// voter.
    acceptor: Acceptor<M::Command, WINDOW>,
    /// The state, the log around it, and the requests that wait for their decision.
    replica: Replica<M, WINDOW, CLIENTS>,
    /// An election or a leadership of this node, if there is one.
    leader: Leader<M::Command, WINDOW, CLIENTS>,
    /// The requests of this node's own clients. Kept until they are answered, whatever happens to the other roles.
    requesters: Table<Requester<M::Command>, CLIENTS>,
    /// The reads of this node's own clients. They are given up if nobody confirms them.
    reader: Reader<CLIENTS>,
    /// The highest ballot that this node has heard of: at least what its acceptor has promised. Its owner is the only
    /// one that is followed (rule F1), and the next claim is above it (rule S1).
    highest_seen: Ballot,
    /// The leader that is followed, or this node if it leads. Where a ballot was only promised there is none yet.
    leader_hint: Option<NodeId>,
    /// Whether the node votes.
    voting: Voting,
    /// Contact with a leader, which decides what the election timer is for.
    contact: LeaderContact,
    /// The node that proposals are sent to while no leader is heard (rule L8).
    relay: Option<Relay>,
    /// True if the next retransmission of pending requests goes to a node other than the leader (rule L8).
    bypass_leader: bool,
    /// Consecutive heartbeats under one ballot, sent or received.
    heartbeats_in_row: u8,
    /// Consecutive elections of this node that a rival ended.
    failures: u8,
    /// Until this time a probe must be granted by a quorum at its first try (rule L5).
    patience: Instant,
    /// Requests for missing decisions that have brought nothing so far.
    learn_repeats: u8,
    /// The slot up to which decisions were last requested.
    learn_until: Slot,
    /// Why the node has halted. It is never reset: only another start from storage goes on.
    halt: Option<Halt<M::Command>>,
    /// When the node will do something by itself.
    timers: Timers,
    /// Draws jitter and random nodes. What is safe never depends on it.
    rng: XorShiftRng,
    /// The most votes that the acceptor has held at once.
    votes_peak: usize,
    /// The time of the last step, to assert that time does not go back.
    last_step: LastStep,
    /// Outside of [`Config`], so that a literal of `Config` is the same with the feature `mutants` and without it.
    mistake: Mistake,
}

/// Whether a node votes, and whether its vote is all that is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Voting {
    /// True if the node may vote and lead where it is a member (rules D1 and D2).
    is_allowed: bool,
    /// True if the node is a member of the epoch that it has entered (rule V1).
    is_member: bool,
    /// True if a promise or a vote of this node alone was a quorum, and may not be durable yet: no other member has
    /// answered since (rule D1).
    is_alone: bool,
}

/// The phase in the life of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase {
    /// The founder waits for a quorum. It answers nodes that want to join, and nothing else.
    Founding(Seed),
    /// The node fetches the state of its cluster. Nobody relies on it yet.
    Joining(Initializer),
    /// The node has joined: it has all its roles, as far as it votes.
    Active,
}

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// Creates the node that founds a cluster. The operator names one founder, once in the life of a cluster (rule J1);
    /// it must never have been a member of that cluster before. If the cluster exists already, or a second founder was
    /// named by mistake, the node joins it instead.
    ///
    /// `run_seed` seeds the jitter of the node. All nodes of a cluster may be given the same seed, since the node's
    /// number is mixed in. On boards, draw it from a source that differs between starts: otherwise boards that boot
    /// together may start their elections together, each time.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: the first check of the settings that fails.
    pub fn found(config: Config, run_seed: u64, now: Instant) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self::founding(config, run_seed, now))
    }

    /// Creates a founder from validated settings; see [`Node::found`].
    pub(crate) fn founding(config: Config, run_seed: u64, now: Instant) -> Self {
        let rng = stream(run_seed, Purpose::Node(config.node.0));
        let phase = Phase::Founding(Seed::new(config.node));
        let mut timers = Timers::new();
        timers.arm(Timer::Join, now);
        let past = Durable::nothing(config.members);
        Self::new(config, phase, (rng, timers), true, past)
    }

    /// Creates a node that joins a cluster, which may be about to be founded or may have run for years. The node must
    /// never have been a member of that cluster: a node that has voted and forgotten its votes breaks agreement.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: the first check of the settings that fails.
    pub fn join(config: Config, run_seed: u64, now: Instant) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self::joining(config, run_seed, now, true))
    }

    /// Creates a joining node from validated settings, see [`Node::join`]; or a learner, if `votes` is false.
    pub(crate) fn joining(config: Config, run_seed: u64, now: Instant, votes: bool) -> Self {
        let mut rng = stream(run_seed, Purpose::Node(config.node.0));
        // Rule J3: boards that are switched on together must not all ask at the same time.
        let jitter = span_below(&mut rng, config.join_retransmit);
        let mut timers = Timers::new();
        timers.arm_after(Timer::Join, &now, &jitter);
        let phase = Phase::Joining(Initializer::new());
        let past = Durable::nothing(config.members);
        Self::new(config, phase, (rng, timers), votes, past)
    }

    /// Builds the node in one expression, and in one place. If it were modified or moved afterwards, the compiler might
    /// keep two copies on the stack for a moment, which small targets have no room for.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn new(
        config: Config,
        phase: Phase,
        (rng, timers): (XorShiftRng, Timers),
        voter: bool,
        past: Durable<M, WINDOW, CLIENTS>,
    ) -> Self {
        let () = Self::FITS;
        debug_assert!(
            config.validate().is_ok(),
            "builds a node from settings that were not validated"
        );
        debug_assert!(
            past.acceptor.mistake.is_any() || past.acceptor.low_water() <= past.state.applied,
            "dropped votes for slots that the stored state does not include (T1)"
        );
        debug_assert!(
            past.acceptor.mistake.is_any()
                || past.acceptor.promised().epoch() == past.state.membership.epoch,
            "has promised a ballot in an epoch of which the stored state knows nothing, or has not entered its own (V6)"
        );
        let is_member = past.state.membership.members.contains(config.node);
        Self {
            fingerprint: Self::fingerprint_of(&config),
            phase,
            highest_seen: past.acceptor.promised(),
            acceptor: past.acceptor,
            replica: Replica::new(past.state),
            leader: Leader::new(),
            requesters: Table::new(),
            reader: Reader::new(),
            leader_hint: None,
            voting: Voting {
                is_allowed: voter,
                is_member,
                is_alone: false,
            },
            contact: LeaderContact::New,
            relay: None,
            bypass_leader: false,
            heartbeats_in_row: 0,
            failures: 0,
            patience: Instant::ZERO,
            learn_repeats: 0,
            learn_until: Slot::ZERO,
            halt: None,
            timers,
            rng,
            votes_peak: 0,
            last_step: LastStep::NONE,
            mistake: Mistake::NONE,
            config,
        }
    }

    /// Handles a message that has arrived. No message can make the node panic or break its own rules; a message that
    /// the node does not act on is traced with the reason.
    ///
    /// The driver passes on every message from its link, whatever its recipient: on a shared medium, a node that hears
    /// another node use its own number halts (rule N3). A node's own messages must not be passed back to it, so a link
    /// with an echo filters them out.
    ///
    /// A message is dropped if the outbox has less than [`Node::OUTBOX_MIN`] of room (rule N4).
    pub fn handle_message<T: Tracer<M, PAGE>>(
        &mut self,
        now: Instant,
        envelope: &Envelope<M, PAGE>,
        outbox: &mut impl AnyOutbox<M, PAGE>,
        tracer: &mut T,
    ) {
        let mut step = self.step(now, outbox, tracer);
        let (from, message) = (envelope.from, &envelope.message);
        // The door comes before the question of room: to halt because of a duplicate takes none.
        if let Err(reason) = self.admit(envelope) {
            self.refuse(&mut step, envelope, reason);
        } else if step.room() < Self::OUTBOX_MIN {
            step.ignore(Role::Node, from, message.kind(), Reason::OutboxFull);
        } else {
            step.trace(
                self.receiver(message.kind()),
                Event::Received { from, message },
            );
            if let Err(reason) = self.dispatch(&mut step, from, message) {
                step.ignore(self.receiver(message.kind()), from, message.kind(), reason);
            }
        }
        debug_assert!(
            self.mistake.is_any() || step.messages() <= Self::OUTBOX_MIN,
            "says more in one step than there has to be room for (N4)"
        );
        step.finish();
        self.invariants();
    }

    /// Rule N2: checks the cluster, the sender and the recipient of a message. A sender need not be a member, or not
    /// any more: learners ask for the state, and retired nodes serve it.
    fn admit(&self, envelope: &Envelope<M, PAGE>) -> Result<(), Reason> {
        if self.halt.is_some() {
            return Err(Reason::Halted);
        }
        if envelope.cluster != self.fingerprint {
            return Err(Reason::ForeignCluster);
        }
        let (me, from) = (self.config.node, envelope.from);
        if envelope.to == me && from != me && from.0 < NODES_MAX {
            Ok(())
        } else {
            Err(Reason::NotAMember)
        }
    }

    /// Rule N3: ignores a message that was not admitted, or halts if its sender uses this node's number. Nobody sends a
    /// message to a node under that node's own number, so a duplicate is only noticed when it talks to other nodes.
    #[cold]
    #[inline(never)]
    fn refuse<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        envelope: &Envelope<M, PAGE>,
        reason: Reason,
    ) {
        let (from, kind) = (envelope.from, envelope.message.kind());
        if reason == Reason::NotAMember && from == self.config.node {
            self.halt(step, Halt::DuplicateIdentity);
        } else {
            step.ignore(self.receiver(kind), from, kind, reason);
        }
    }

    /// Rules J2, V1, V6 and V7: checks that the node is in a phase in which it takes a message of this kind, that a claim is
    /// one of its own epoch, and that whoever claims or is counted is a member of that epoch.
    fn check_sender<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        from: NodeId,
        message: &Message<M, PAGE>,
    ) -> Result<(), Reason> {
        if !self.is_active() && !message.may_precede_joining() {
            return Err(Reason::WrongPhase);
        }
        let claimed = message.claimed();
        if let Some(ballot) = claimed
            && ballot.epoch() != self.epoch()
            && !self.makes(Mutant::VotesInAnyEpoch)
        {
            return self.on_other_epoch(step, from, ballot, message);
        }
        let is_for_members = claimed.is_some() || message.is_counted();
        if is_for_members && !self.members().contains(from) {
            return Err(Reason::NotAMember);
        }
        Ok(())
    }

    /// Passes each kind of message to its handler.
    fn dispatch<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        from: NodeId,
        message: &Message<M, PAGE>,
    ) -> Result<(), Reason> {
        self.check_sender(step, from, message)?;
        match message {
            Message::Join { .. } => self.on_join(step, from, message),
            Message::Welcome { .. } => self.on_welcome(step, from, message),
            Message::Probe { ballot } => self.on_probe(step, from, *ballot),
            Message::ProbeReply {
                ballot,
                granted,
                highest,
            } => self.on_probe_reply(step, from, *ballot, *granted, *highest),
            Message::Prepare { ballot, from: slot } => self.on_prepare(step, from, *ballot, *slot),
            Message::Promise { .. } => self.on_promise(step, from, message),
            Message::Accept { .. } => self.on_accept(step, from, message),
            Message::Accepted { .. } => self.on_accepted(step, from, message),
            Message::Decision { ballot, decided } => {
                self.on_decision(step, from, *ballot, *decided)
            }
            Message::Heartbeat {
                ballot,
                decided,
                chain,
            } => self.on_heartbeat(step, from, *ballot, (*decided, *chain)),
            Message::HeartbeatReply { ballot, applied } => {
                self.on_heartbeat_reply(from, *ballot, *applied)
            }
            Message::Superseded { ballot, applied } => {
                self.on_superseded(step, from, *ballot, *applied)
            }
            Message::Confirm { ballot, round } => self.on_confirm(step, from, (*ballot, *round)),
            Message::Confirmed { ballot, round } => {
                self.on_confirmed(step, from, (*ballot, *round))
            }
            Message::ReadIndex { nonce, reader } => {
                self.on_read_index(step, from, (*nonce, *reader))
            }
            Message::ReadIndexReply { nonce, index } => {
                self.on_read_index_reply(step, (*nonce, *index))
            }
            Message::Propose { proposal, retry } => self.on_propose(step, from, proposal, *retry),
            Message::Learn { from: slot } => self.on_learn(step, from, *slot),
            Message::Decisions {
                first,
                applied,
                proposals,
            } => self.on_decisions(step, from, *first, *applied, proposals),
            Message::Request { proposal } => {
                self.on_request(step, from, (proposal, proposal.fingerprint()))
            }
            Message::Response {
                key,
                fingerprint,
                outcome,
            } => {
                let reply = Reply {
                    key: *key,
                    fingerprint: *fingerprint,
                    outcome: *outcome,
                };
                self.on_response(step, reply)
            }
        }
    }

    /// Returns the role that handles a kind of message, or [`Role::Node`] if this node does not have that role yet.
    fn receiver(&self, kind: MessageKind) -> Role {
        match kind {
            _ if self.is_active() => kind.receiver(),
            MessageKind::Join if matches!(self.phase, Phase::Founding(_)) => Role::Seed,
            MessageKind::Welcome if matches!(self.phase, Phase::Joining(_)) => Role::Initializer,
            // Before it has joined, a node has none of the other roles.
            _ => Role::Node,
        }
    }

    /// Handles the passage of time: serves every expired timer, in a fixed order. A call before the deadline does
    /// nothing.
    ///
    /// If the outbox has no room for a timer, that timer stays expired and [`Node::next_deadline`] still returns its
    /// deadline: empty the outbox and call again.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub fn handle_timeout<T: Tracer<M, PAGE>>(
        &mut self,
        now: Instant,
        outbox: &mut impl AnyOutbox<M, PAGE>,
        tracer: &mut T,
    ) {
        if self.halt.is_some() {
            return;
        }
        let mut step = self.step(now, outbox, tracer);
        for timer in Timer::ALL {
            // If a handler halts the node, it cancels all timers, and none that is armed later is due in this step.
            if !self.timers.is_expired(timer, now) || step.room() < Self::OUTBOX_MIN {
                continue;
            }
            // Rule F2: cancelled before it is served, so that it fires once, and its handler may arm it again.
            self.timers.cancel(timer);
            match timer {
                Timer::Join => self.on_join_timeout(&mut step),
                Timer::Election => self.on_election_timeout(&mut step),
                Timer::Scout => self.on_scout_timeout(&mut step),
                Timer::Commander => self.on_commander_timeout(&mut step),
                Timer::Heartbeat => self.on_heartbeat_timeout(&mut step),
                Timer::Quorum => self.on_quorum_timeout(&mut step),
                Timer::Propose => self.on_propose_timeout(&mut step),
                Timer::Request => self.on_request_timeout(&mut step),
                Timer::Learn => self.on_learn_timeout(&mut step),
                Timer::Read => self.on_read_timeout(&mut step),
                Timer::Transfer => self.replica.unpin(),
            }
        }
        step.finish();
        self.invariants();
    }

    /// Returns the time at which [`Node::handle_timeout`] is to be called, or `None` if no timer is armed, or the node has
    /// halted.
    pub fn next_deadline(&self) -> Option<Instant> {
        // A step that halts the node may arm a timer afterwards.
        self.timers.next().filter(|_| self.halt.is_none())
    }

    /// Wraps a message from the outbox in an envelope for one of its recipients.
    #[inline(never)] // A call writes the copy to its destination; inlined code would make a second one.
    pub fn envelope(&self, to: NodeId, outgoing: &Outgoing<M, PAGE>) -> Envelope<M, PAGE> {
        Envelope {
            cluster: self.fingerprint,
            from: self.config.node,
            to,
            message: outgoing.message.clone(),
        }
    }

    /// Halts the node for good: it has seen proof that a rule is broken, and to go on would spread the error. The first
    /// cause is kept.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn halt<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        cause: Halt<M::Command>,
    ) {
        if self.halt.is_none() {
            step.trace(Role::Node, Event::Halted { cause: &cause });
            self.halt = Some(cause);
        }
        self.leader.resign();
        self.leader_hint = None;
        self.timers.cancel_all();
    }

    /// Returns a span with jitter: `span` plus up to half of it (rule S7).
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn jittered(&mut self, span: Duration) -> Duration {
        span.saturating_add(span_below(&mut self.rng, span / 2))
    }

    /// Returns one of the other members, drawn at random.
    fn random_peer(&mut self) -> Option<NodeId> {
        self.random_of(self.peers())
    }

    /// Returns one of `nodes`, drawn at random.
    fn random_of(&mut self, nodes: NodeSet) -> Option<NodeId> {
        nodes.nth(crate::random::below(&mut self.rng, nodes.len()))
    }
}
