//! The outbox of a node: durable writes, messages and replies of one step or more, for the driver to carry out.

mod merging;

use crate::{
    Ballot, Entry, Message, NodeSet, Outcome, Proposal, RequestKey, Role, Slot, StateMachine,
};
use core::fmt::Debug;
use heapless::Vec;
pub(crate) use merging::OutboxView;

/// A record that must be durable before any message or reply of the same outbox leaves, except for
/// [early](Outbox::early) messages and [early replies](Outbox::early_replies).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Write<C> {
    /// The acceptor has promised this ballot. A promise of the node's own ballot also records that its round is used.
    Promised(Ballot),
    /// The acceptor has accepted this entry, and has promised its ballot with it.
    Accepted(Entry<C>),
    /// The replica has received a decision from another node, which need not be the proposal that was accepted here.
    /// For all other applied slots, the proposal that was accepted last is the decision.
    Decided {
        /// The slot.
        slot: Slot,
        /// The decided proposal.
        proposal: Proposal<C>,
    },
    /// The whole state was replaced: the node has joined, or has installed a snapshot of this slot. The complete state
    /// must be made durable ([`Node::durable`](crate::Node::durable)), not only the changes.
    Installed(Slot),
}

/// A message with its recipients, which never include the node itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Outgoing<M: StateMachine, const PAGE: usize> {
    /// The role that sends it.
    pub role: Role,
    /// The recipients. The driver sends a copy to each of them.
    pub to: NodeSet,
    /// The message.
    pub message: Message<M, PAGE>,
}

/// The reply to a request that was made at this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Reply<O> {
    /// The request that is answered.
    pub key: RequestKey,
    /// [`Proposal::fingerprint`] of the request, which identifies the command under that key (rule X1).
    pub fingerprint: u32,
    /// The outcome of the request.
    pub outcome: Outcome<O>,
}

/// The output of a node's steps, which the driver carries out and clears after each step, or after a few.
///
/// # The contract of a driver
///
/// Each turn of a driver's loop consists of the same five parts, in this order:
///
/// 1. **Wait**, with an empty outbox, until input arrives or [`Node::next_deadline`](crate::Node::next_deadline) has
///    passed. Then read the clock once. It may stand still but must not go back; [`Ticks`](crate::Ticks) turns a
///    counter that wraps around into such a clock.
/// 2. **Timers**: call [`Node::handle_timeout`](crate::Node::handle_timeout). A timer without room in the outbox waits
///    for the next turn.
/// 3. **Input**: pass on messages and requests, one by one, as long as [`Outbox::room`] is at least
///    [`Node::OUTBOX_MIN`](crate::Node::OUTBOX_MIN). Keep the others for the next turn: a message that is passed on
///    without that room is dropped.
/// 4. **Writes**: every [`Write`] becomes durable before any message or reply of the same outbox leaves, except for the
///    messages of [`Outbox::early`] and [`Outbox::early_replies`], which may leave at once: a decision then waits for one
///    disk, and not for two, one after the other, and its client for no further one. A driver that sends them at once passes nothing to the node until its writes are durable or have
///    failed; one that lets all messages wait may go on meanwhile, with another outbox. A
///    [`Journal`](crate::storage::Journal) writes; without one, the node must never be restarted. If a write fails,
///    call [`Node::fence`](crate::Node::fence) before the rest of this turn. The writes of a node for which
///    [`Node::is_voter`](crate::Node::is_voter) is false (it was fenced, or has lost its storage) are dropped instead, as
///    nobody relies on them. Those of every other node are stored, also while it is no member: it may be made one, and
///    then votes with what it has stored.
/// 5. **Output**: send the messages, then hand out the replies, then call [`Outbox::clear`]. Messages may be lost,
///    delayed, duplicated and reordered on their way, but not altered.
///
/// ```
/// use synod::machines::Kv;
/// use synod::storage::{Journal, Storage};
/// use synod::{Envelope, Instant, Node, Outbox};
///
/// type Member = Node<Kv<4>, 8, 2, 2>;
/// /// Room for four steps, which are made durable with one sync.
/// type Room = Outbox<Kv<4>, 2, { 4 * Member::OUTBOX_MIN }>;
///
/// /// One turn of the loop, after the wait. What is not taken stays in the inbox.
/// fn turn<S: Storage>(
///     now: Instant,
///     node: &mut Member,
///     journal: &mut Option<Journal<S>>,
///     outbox: &mut Room,
///     inbox: &mut Vec<Envelope<Kv<4>, 2>>,
/// ) -> Vec<Envelope<Kv<4>, 2>> {
///     node.handle_timeout(now, outbox, &mut ());
///     while outbox.room() >= Member::OUTBOX_MIN && !inbox.is_empty() {
///         node.handle_message(now, &inbox.remove(0), outbox, &mut ());
///     }
///     if let Some(open) = journal
///         && open.write(now, node, &outbox.writes).and_then(|()| open.sync()).is_err()
///     {
///         node.fence(now, outbox, &mut ());
///         *journal = None;
///     }
///     let sent = outbox.messages.iter().flat_map(|outgoing| {
///         outgoing.to.iter().map(|to| node.envelope(to, outgoing))
///     });
///     let sent = sent.collect();
///     // Here outbox.replies are handed to who waits for them.
///     outbox.clear();
///     sent
/// }
/// # use synod::storage::{Memory, Opened};
/// # use synod::{Config, NodeId};
/// # let Opened::Empty(empty) = Journal::open::<Kv<4>, 8, 2>(Memory::<16384>::new(), Config::new(NodeId(0), 1))? else { panic!() };
/// # let (journal, mut node) = empty.provision(6, Instant::ZERO)?;
/// # let (mut journal, mut outbox) = (Some(journal), Room::new());
/// # while node.leading().is_none() {
/// #     let now = node.next_deadline().unwrap();
/// #     turn(now, &mut node, &mut journal, &mut outbox, &mut Vec::new());
/// # }
/// # assert!(journal.is_some_and(|journal| journal.peak() > 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Room
///
/// `ROOM` is the capacity of each of the three queues. One step needs up to
/// [`Node::OUTBOX_MIN`](crate::Node::OUTBOX_MIN); a driver that gathers several steps before it clears the outbox
/// provides more. An outbox with less does not compile where it is passed to a node, and the error names the number
/// that the node needs:
///
/// ```compile_fail,E0080
/// use synod::{Instant, Node, Outbox, machines::Kv};
/// fn tick(node: &mut Node<Kv<4>, 16, 8, 2>) {
///     // ROOM of the outbox must be at least OUTBOX_MIN of the node, which is 30
///     let mut outbox = Outbox::<_, 2, 29>::new();
///     node.handle_timeout(Instant::ZERO, &mut outbox, &mut ());
/// }
/// # tick(&mut Node::found(synod::Config::new(synod::NodeId(0), 1), 6, Instant::ZERO).unwrap());
/// ```
///
/// `cargo build` and `cargo test` report this error. `cargo check` does not evaluate the bodies of generic functions,
/// and reports it only for types and constants. So write the room as `{ Member::OUTBOX_MIN }`, which is always enough,
/// and for which `cargo check` reports capacities of `Member` that are out of bounds. A room that is written as a
/// literal can be checked in a constant:
///
/// ```
/// # type Member = synod::Node<synod::machines::Kv<4>, 16, 8, 2>;
/// const ROOM: usize = 64;
/// const _: () = assert!(ROOM >= Member::OUTBOX_MIN);
/// ```
///
/// Code that owns an outbox and is generic over the capacities takes `ROOM` as one more parameter: see
/// [`outbox_min`](crate::outbox_min). Code that is only passed an outbox takes [`AnyOutbox`].
///
/// Messages for consecutive slots are merged while they wait: a second [`Message::Accept`] for the following slots is
/// appended to the first, and so are [`Message::Accepted`] and [`Message::Decision`]. A driver that gathers sixty-four
/// requests with a `PAGE` of 32 sends two pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbox<M: StateMachine, const PAGE: usize, const ROOM: usize> {
    /// Writes to be made durable, in this order, before anything else.
    pub writes: Vec<Write<M::Command>, ROOM>,
    /// Messages to be sent.
    pub messages: Vec<Outgoing<M, PAGE>, ROOM>,
    /// Replies for the clients of this node.
    pub replies: Vec<Reply<M::Output>, ROOM>,
    /// True if a promise or a vote among the writes is a quorum alone, so that all messages rest on the writes.
    waits: bool,
    /// The most that any of the queues had held when it was last cleared.
    peak: usize,
}

impl<M: StateMachine, const PAGE: usize, const ROOM: usize> Default for Outbox<M, PAGE, ROOM> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: StateMachine, const PAGE: usize, const ROOM: usize> Outbox<M, PAGE, ROOM> {
    /// Creates an empty outbox.
    pub const fn new() -> Self {
        Self {
            writes: Vec::new(),
            messages: Vec::new(),
            replies: Vec::new(),
            waits: false,
            peak: 0,
        }
    }

    /// True if all three queues are empty.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.messages.is_empty() && self.replies.is_empty()
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.peak = self.peak();
        debug_assert!(self.peak <= ROOM, "a queue has held more than it can");
        self.writes.clear();
        self.messages.clear();
        self.replies.clear();
        self.waits = false;
    }

    /// Removes the writes and the messages; the replies stay.
    pub(crate) fn drop_unsent(&mut self) {
        self.peak = self.peak();
        self.writes.clear();
        self.messages.clear();
        self.waits = false;
    }

    /// Returns the room of the fullest of the three queues. As long as it is at least
    /// [`Node::OUTBOX_MIN`](crate::Node::OUTBOX_MIN), one more step can be gathered; a step that finds less room does
    /// nothing.
    ///
    /// ```
    /// use synod::machines::Kv;
    /// use synod::{Outbox, Slot, Write};
    ///
    /// let mut outbox = Outbox::<Kv<4>, 2, 30>::new();
    /// assert_eq!(outbox.room(), 30);
    /// let _ = outbox.writes.push(Write::Installed(Slot::ZERO));
    /// assert_eq!(outbox.room(), 29);
    /// ```
    pub fn room(&self) -> usize {
        // No queue is longer than its capacity.
        let longest = self.writes.len().max(self.messages.len());
        ROOM - longest.max(self.replies.len())
    }

    /// Returns the messages that may leave before the writes are durable: those for which [`Message::is_early`] is true.
    /// There are none if a promise or a vote of the node itself, among these writes, was a quorum alone (rule D1): a lone
    /// voter tells learners what is decided, and nobody else has written it.
    pub fn early(&self) -> impl Iterator<Item = &Outgoing<M, PAGE>> {
        let is_early = |outgoing: &&Outgoing<M, PAGE>| self.is_early(outgoing);
        self.messages.iter().filter(is_early)
    }

    /// Returns the replies that may be handed out before the writes are durable: all, or none where a promise or a vote of
    /// this node was a quorum alone (rule D1). An outcome rests on votes of others, which have answered what left in an
    /// earlier turn. A driver that hands them out early hands out the replies behind them once the writes are durable.
    pub fn early_replies(&self) -> &[Reply<M::Output>] {
        if self.waits { &[] } else { &self.replies }
    }

    /// True if a message of this outbox may leave before the writes are durable.
    pub(crate) fn is_early(&self, outgoing: &Outgoing<M, PAGE>) -> bool {
        !self.waits && outgoing.message.is_early()
    }

    /// Returns the messages that leave when the writes are durable: all that are not [early](Outbox::early). The pages of
    /// snapshots come last, in their order: up to a window of them answer one request, and nobody waits for them as for
    /// a promise or a vote.
    ///
    /// ```
    /// use synod::machines::Kv;
    /// use synod::{Ballot, Message, NodeId, NodeSet, Outbox, Outgoing, Role, Slot, SnapshotId};
    ///
    /// let (to, snapshot) = (NodeSet::only(NodeId(1)), SnapshotId { at: Slot::FIRST, digest: 0 });
    /// let page = |page| Message::Welcome { snapshot, page, pages: 3, bytes: Default::default() };
    /// let learn = Message::Learn { from: Slot::FIRST };
    /// let decision = Message::Decision { ballot: Ballot::new(1, NodeId(0)), decided: Slot::FIRST };
    /// let mut outbox = Outbox::<Kv<4>, 2, 30>::new();
    /// for message in [page(0), page(1), learn.clone(), decision.clone()] {
    ///     outbox.messages.push(Outgoing { role: Role::Replica, to, message }).unwrap();
    /// }
    /// let early: Vec<_> = outbox.early().map(|outgoing| &outgoing.message).collect();
    /// assert_eq!(early, [&decision]);
    /// let late: Vec<_> = outbox.late().map(|outgoing| &outgoing.message).collect();
    /// assert_eq!(late, [&learn, &page(0), &page(1)]);
    /// ```
    pub fn late(&self) -> impl Iterator<Item = &Outgoing<M, PAGE>> {
        let is_page =
            |outgoing: &&Outgoing<M, PAGE>| matches!(outgoing.message, Message::Welcome { .. });
        let waits =
            move |outgoing: &&Outgoing<M, PAGE>| !self.is_early(outgoing) && !is_page(outgoing);
        let others = self.messages.iter().filter(waits);
        others.chain(self.messages.iter().filter(is_page))
    }

    /// Removes everything, and resets the peak.
    pub(crate) fn reset(&mut self) {
        self.clear();
        self.peak = 0;
    }

    /// Returns the most that any of the three queues has held, at most `ROOM`.
    pub fn peak(&self) -> usize {
        self.peak
            .max(self.writes.len())
            .max(self.messages.len())
            .max(self.replies.len())
    }

    /// Returns the queues without their capacity in the type, for a step.
    pub(crate) fn view(&mut self) -> OutboxView<'_, M, PAGE> {
        OutboxView {
            writes: self.writes.as_mut_view(),
            messages: self.messages.as_mut_view(),
            replies: self.replies.as_mut_view(),
            waits: &mut self.waits,
        }
    }
}

/// An [`Outbox`] with any room, for code that does not depend on it. `Outbox` is the only implementation.
pub trait AnyOutbox<M: StateMachine, const PAGE: usize>: Clone + Debug + sealed::Sealed {
    /// The capacity of each of the three queues.
    const ROOM: usize;

    /// See [`Outbox::new`].
    fn new() -> Self;

    /// Writes to be made durable.
    fn writes(&self) -> &[Write<M::Command>];

    /// Messages to be sent.
    fn messages(&self) -> &[Outgoing<M, PAGE>];

    /// Replies for clients.
    fn replies(&self) -> &[Reply<M::Output>];

    /// See [`Outbox::is_empty`].
    fn is_empty(&self) -> bool;

    /// True if a vote among the writes is a quorum alone, so that all messages rest on the writes.
    #[doc(hidden)]
    fn waits(&self) -> bool;

    /// See [`Outbox::clear`].
    fn clear(&mut self);

    /// Removes the writes.
    #[doc(hidden)]
    fn clear_writes(&mut self);

    /// Removes the writes and the messages; the replies stay.
    #[doc(hidden)]
    fn drop_unsent(&mut self);

    /// See [`Outbox::room`].
    fn room(&self) -> usize;

    /// Removes everything, and resets the peak.
    #[doc(hidden)]
    fn reset(&mut self);

    /// See [`Outbox::peak`].
    fn peak(&self) -> usize;

    /// Returns the queues without their capacity in the type.
    #[doc(hidden)]
    fn view(&mut self) -> OutboxView<'_, M, PAGE>;
}

/// Keeps [`AnyOutbox`] from being implemented elsewhere: a step relies on three queues of one capacity.
mod sealed {
    pub trait Sealed {}
}

impl<M: StateMachine, const PAGE: usize, const ROOM: usize> sealed::Sealed
    for Outbox<M, PAGE, ROOM>
{
}

impl<M: StateMachine, const PAGE: usize, const ROOM: usize> AnyOutbox<M, PAGE>
    for Outbox<M, PAGE, ROOM>
{
    const ROOM: usize = ROOM;

    fn new() -> Self {
        Self::new()
    }

    fn writes(&self) -> &[Write<M::Command>] {
        &self.writes
    }

    fn messages(&self) -> &[Outgoing<M, PAGE>] {
        &self.messages
    }

    fn replies(&self) -> &[Reply<M::Output>] {
        &self.replies
    }

    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }

    fn waits(&self) -> bool {
        self.waits
    }

    fn clear(&mut self) {
        Self::clear(self);
    }

    fn clear_writes(&mut self) {
        self.writes.clear();
    }

    fn drop_unsent(&mut self) {
        Self::drop_unsent(self);
    }

    fn room(&self) -> usize {
        Self::room(self)
    }

    fn reset(&mut self) {
        Self::reset(self);
    }

    fn peak(&self) -> usize {
        Self::peak(self)
    }

    fn view(&mut self) -> OutboxView<'_, M, PAGE> {
        Self::view(self)
    }
}

/// Returns the length of a page as a number of slots; pages are far shorter than 2³² entries.
pub(crate) fn run_len(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
