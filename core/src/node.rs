//! A node: its roles, its timers, and the routing between them.

mod apply;
mod catch_up;
mod elections;
mod exploration_state;
mod fence;
mod leader_contact;
mod leadership;
mod mutants;
mod persistence;
mod recover;
mod replication;
mod requests;
mod step;
mod view;

use crate::config::{Config, ConfigError};
use crate::mutant::Mistake;
use crate::random::{Purpose, span_below, stream};
use crate::roles::acceptor::Acceptor;
use crate::roles::initializer::Initializer;
use crate::roles::leader::Leader;
use crate::roles::replica::Replica;
use crate::roles::requester::Requester;
use crate::roles::seed::Seed;
use crate::table::Table;
use crate::timer::{Timer, Timers};
use crate::{
    AnyOutbox, Ballot, Duration, Envelope, Event, Halt, Instant, Message, MessageKind, NodeId,
    NodeSet, Outgoing, Reason, Reply, Role, Slot, StateMachine, Tracer,
};
use leader_contact::{LeaderContact, Relay};
use rand_xorshift::XorShiftRng;
pub use recover::Durable;
use step::{LastStep, Step};
pub use view::Marks;

/// One node of a cluster: a deterministic state machine without clock, socket, disk or thread.
///
/// # How to drive it
///
/// Its methods are of four kinds.
///
/// - **Getters** ([`Node::applied`], [`Node::machine`], [`Node::leader_hint`], [`Node::roles`], [`Node::marks`],
///   [`Node::is_voter`], [`Node::halted`]) change nothing.
/// - **Inputs** ([`Node::handle_message`], [`Node::handle_timeout`], [`Node::fence`]) tell it what happened outside.
/// - **Commands** ([`Node::register`], [`Node::request`]) ask something of it for a client.
/// - **The deadline** ([`Node::next_deadline`]) says when it wants [`Node::handle_timeout`] to be called.
///
/// In which order they are called, and what is done with what they leave in the [`Outbox`](crate::Outbox), is the contract that stands
/// there. Time may stand still between calls but must not go back, which builds with debug assertions assert; a node that
/// is called late loses time and nothing else.
///
/// # Capacity
///
/// | | bounds | is |
/// |---|---|---|
/// | `WINDOW` | the slots that are under way at once; the decisions that are kept for others | a power of two from 2 to 4096 |
/// | `CLIENTS` | the sessions that are kept; the requests that are outstanding at one node | from 1 to 65,535 |
/// | `PAGE` | the entries that travel in one message | from 1 to 128 |
/// | [`PAGE_BYTES`](StateMachine::PAGE_BYTES) | the bytes of a page of a snapshot | from 28 to [`SNAPSHOT_PAGE`](crate::SNAPSHOT_PAGE) |
///
/// Anything else is an error of the compiler, [`Node::FITS`]. The memory is `size_of::<Node<…>>()` for ever; what does not
/// fit is refused as a value and traced, and heals.
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
    config: Config,
    fingerprint: u32,
    phase: Phase,
    acceptor: Acceptor<M::Command, WINDOW>,
    replica: Replica<M, WINDOW, CLIENTS>,
    leader: Leader<M::Command, WINDOW, CLIENTS>,
    requesters: Table<Requester<M::Command>, CLIENTS>,
    /// The highest ballot that was heard of.
    highest_seen: Ballot,
    leader_hint: Option<NodeId>,
    /// Whether it may speak as an acceptor and as a leader (rules D1 and D2).
    voter: bool,
    /// What the election timer is for.
    contact: LeaderContact,
    /// Whom it turns to while it hears no leader (rule L8).
    relay: Option<Relay>,
    /// Whether what has waited is handed to another than the leader next time.
    bypass_leader: bool,
    /// Heartbeats in a row under one ballot, sent or heard.
    heartbeats_in_row: u8,
    /// Claims in a row that another one ended.
    failures: u8,
    /// Until then it claims only where a quorum answers its probe at once (rule L5).
    patience: Instant,
    /// Questions for missing decisions that brought nothing.
    learn_repeats: u8,
    /// Up to where decisions were last asked for.
    learn_until: Slot,
    halt: Option<Halt<M::Command>>,
    timers: Timers,
    rng: XorShiftRng,
    /// The most votes that the acceptor has held.
    votes_peak: usize,
    last_step: LastStep,
    /// Beside the settings, so that a literal of those is the same with the feature and without.
    mistake: Mistake,
}

/// Where a node is in its life.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Founding(Seed),
    Joining(Initializer),
    Active,
}

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// The node that founds a cluster. An operator makes one the founder, once in the life of a cluster (rule J1), and it must
    /// have no past in it. Where there is another by mistake, or the cluster is there already, it joins that.
    ///
    /// `run_seed` decides the node's jitter. Every node of a cluster may be given the same: it is mixed with the node's
    /// number. On boards, draw it from something that differs between starts, so that boards that boot together do not
    /// duel in step.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: the first relation of the settings that does not hold.
    pub fn found(config: Config, run_seed: u64, now: Instant) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self::founding(config, run_seed, now))
    }

    /// As [`Node::found`], of settings that are sound.
    pub(crate) fn founding(config: Config, run_seed: u64, now: Instant) -> Self {
        let rng = stream(run_seed, Purpose::Node(config.node.0));
        let phase = Phase::Founding(Seed::new(config.node));
        let mut timers = Timers::new();
        timers.arm(Timer::Join, now);
        Self::new(config, phase, (rng, timers), true, Durable::nothing())
    }

    /// A node that joins a cluster, whether that is being founded or has run for years. It must have no past in it: a
    /// node that voted and forgot would break agreement.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: the first relation of the settings that does not hold.
    pub fn join(config: Config, run_seed: u64, now: Instant) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self::joining(config, run_seed, now, true))
    }

    /// As [`Node::join`], of settings that are sound; or one that only learns.
    pub(crate) fn joining(config: Config, run_seed: u64, now: Instant, votes: bool) -> Self {
        let mut rng = stream(run_seed, Purpose::Node(config.node.0));
        // Rule J3: boards that are switched on together do not ask together.
        let jitter = span_below(&mut rng, config.join_retransmit);
        let mut timers = Timers::new();
        timers.arm_after(Timer::Join, &now, &jitter);
        let phase = Phase::Joining(Initializer::new());
        Self::new(config, phase, (rng, timers), votes, Durable::nothing())
    }

    /// The one place where a node is made, in one go: a node that is changed after that, or put into something else,
    /// may be there twice for a moment, and small targets have no stack for that.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn new(
        config: Config,
        phase: Phase,
        (rng, timers): (XorShiftRng, Timers),
        voter: bool,
        past: Durable<M, WINDOW, CLIENTS>,
    ) -> Self {
        let () = Self::FITS;
        Self {
            fingerprint: Self::fingerprint_of(&config),
            phase,
            highest_seen: past.acceptor.promised(),
            acceptor: past.acceptor,
            replica: Replica::new(past.state),
            leader: Leader::new(),
            requesters: Table::new(),
            leader_hint: None,
            voter,
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

    /// Tells the node that a message arrived. Nothing that a message says can make it panic or break its own rules; what
    /// it does not act on it traces with the reason.
    ///
    /// A driver hands over what its link brings, whomever it is for: where everybody hears everything, a node that hears
    /// another one speak under its own number halts (rule N3). What the node itself has sent must not come back to it; a
    /// link that echoes leaves that out.
    ///
    /// An outbox without [`Node::OUTBOX_MIN`] of room makes the message as good as lost (rule N4).
    pub fn handle_message<T: Tracer<M, PAGE>>(
        &mut self,
        now: Instant,
        envelope: &Envelope<M, PAGE>,
        outbox: &mut impl AnyOutbox<M, PAGE>,
        tracer: &mut T,
    ) {
        let mut step = self.step(now, outbox, tracer);
        let (from, message) = (envelope.from, &envelope.message);
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
        step.finish();
        self.invariants();
    }

    /// Rule N2: what may come in at all.
    fn admit(&self, envelope: &Envelope<M, PAGE>) -> Result<(), Reason> {
        if self.halt.is_some() {
            return Err(Reason::Halted);
        }
        if envelope.cluster != self.fingerprint {
            return Err(Reason::ForeignCluster);
        }
        let (me, from) = (self.config.node, envelope.from);
        if envelope.to == me && from != me && self.config.members.contains(from) {
            Ok(())
        } else {
            Err(Reason::NotAMember)
        }
    }

    /// Rule N3: what does not come in may be the word of another node of this number, whomever that speaks to. Nobody writes to a
    /// node under that node's own number, so that it is only heard where it writes to others.
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

    /// One match, one line an arm: each kind goes to its handler, if the node's phase has the role for it.
    fn dispatch<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        from: NodeId,
        message: &Message<M, PAGE>,
    ) -> Result<(), Reason> {
        let may_come_early = matches!(
            message,
            Message::Join { .. } | Message::Welcome { .. } | Message::Response { .. }
        );
        if !self.is_active() && !may_come_early {
            return Err(Reason::WrongPhase);
        }
        match message {
            Message::Join { snapshot, page } => self.on_join(step, from, *snapshot, *page),
            Message::Welcome { .. } => self.on_welcome(step, from, message),
            Message::Probe { .. } | Message::Prepare { .. } if !self.voter => {
                Err(Reason::NotVoting)
            }
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
            Message::HeartbeatReply { ballot } => self.on_heartbeat_reply(from, *ballot),
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
                let (key, fingerprint, outcome) = (*key, *fingerprint, *outcome);
                self.on_response(
                    step,
                    Reply {
                        key,
                        fingerprint,
                        outcome,
                    },
                )
            }
        }
    }

    /// Which role a kind of message is for; the node itself, where it has no such role yet.
    fn receiver(&self, kind: MessageKind) -> Role {
        match kind {
            _ if self.is_active() => kind.receiver(),
            MessageKind::Join if matches!(self.phase, Phase::Founding(_)) => Role::Seed,
            MessageKind::Welcome if matches!(self.phase, Phase::Joining(_)) => Role::Initializer,
            // It has none of the other roles before it has joined.
            _ => Role::Node,
        }
    }

    /// Tells the node that time has passed. It serves every timer that has expired, in a fixed order, and none that has
    /// not; to call it early is harmless.
    ///
    /// A timer for which the outbox has no room stays expired, and [`Node::next_deadline`] still names it: empty the
    /// outbox and call again.
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
            if !self.timers.is_expired(timer, now) || step.room() < Self::OUTBOX_MIN {
                continue;
            }
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
                Timer::Transfer => self.replica.unpin(),
            }
        }
        step.finish();
        self.invariants();
    }

    /// When [`Node::handle_timeout`] is to be called, at the earliest; `None` when nothing is awaited.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Puts a message from the outbox in an envelope for one of its recipients.
    #[inline(never)] // As a call it writes the copy where the caller wants it; inlined it would make a second one.
    pub fn envelope(&self, to: NodeId, outgoing: &Outgoing<M, PAGE>) -> Envelope<M, PAGE> {
        Envelope {
            cluster: self.fingerprint,
            from: self.config.node,
            to,
            message: outgoing.message.clone(),
        }
    }

    /// Stops the node for good: something happened that cannot happen while the rules hold, and to go on would spread
    /// it. The first cause is kept.
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

    /// A span with jitter: from `span` up to half as much again (rule S7).
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn jittered(&mut self, span: Duration) -> Duration {
        span.saturating_add(span_below(&mut self.rng, span / 2))
    }

    /// One of the others at random.
    fn random_peer(&mut self) -> Option<NodeId> {
        self.random_of(self.config.peers())
    }

    /// One of some nodes at random.
    #[inline(never)]
    fn random_of(&mut self, nodes: NodeSet) -> Option<NodeId> {
        nodes.nth(crate::random::below(&mut self.rng, nodes.len()))
    }

    /// What must hold between steps; checked in builds with debug assertions.
    fn invariants(&self) {
        // A node that makes a mistake must get past these, to be caught from outside.
        if cfg!(debug_assertions) && self.halt.is_none() && !self.mistake.is_any() {
            self.acceptor.invariants(self.replica.applied());
            self.replica.invariants();
            self.leader.invariants(self.replica.applied());
            debug_assert!(
                self.highest_seen >= self.acceptor.promised(),
                "promised what was not seen"
            );
            debug_assert!(
                self.leader
                    .leading()
                    .is_none_or(|ballot| ballot >= self.acceptor.promised()),
                "leads under a ballot that its own acceptor has left behind"
            );
        }
    }
}
