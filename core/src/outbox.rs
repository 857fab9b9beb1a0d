//! The outbox of a node: durable writes, messages and replies of one step or more, for the driver to carry out.

use crate::{
    Ballot, Entry, Message, NodeSet, Outcome, Proposal, Queue, RequestKey, Role, Slot, StateMachine,
};
use core::fmt::Debug;
use heapless::Vec;
use heapless::vec::VecView;

/// A record that must be durable before any message or reply of the same outbox leaves, except for
/// [early](Outbox::early) messages.
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
///    messages of [`Outbox::early`], which may leave at once: a decision then waits for one disk, and not for two, one
///    after the other. The node takes no input before its writes are durable or have failed. A
///    [`Journal`](crate::storage::Journal) does this; without one, the node must never be restarted. If a write fails,
///    call [`Node::fence`](crate::Node::fence) before the rest of this turn. The writes of a node that does not vote
///    ([`Node::is_voter`](crate::Node::is_voter): it was fenced, or is a learner) are dropped instead, as nobody relies
///    on them.
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
        self.writes.clear();
        self.messages.clear();
        self.replies.clear();
    }

    /// Removes the writes and the messages; the replies stay.
    pub(crate) fn drop_unsent(&mut self) {
        self.peak = self.peak();
        self.writes.clear();
        self.messages.clear();
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
        let longest = self.writes.len().max(self.messages.len());
        ROOM - longest.max(self.replies.len())
    }

    /// Returns the messages that may leave before the writes are durable: those for which [`Message::is_early`] is true.
    pub fn early(&self) -> impl Iterator<Item = &Outgoing<M, PAGE>> {
        let is_early = |outgoing: &&Outgoing<M, PAGE>| outgoing.message.is_early();
        self.messages.iter().filter(is_early)
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
            move |outgoing: &&Outgoing<M, PAGE>| !outgoing.message.is_early() && !is_page(outgoing);
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

    pub(crate) fn view(&mut self) -> OutboxView<'_, M, PAGE> {
        OutboxView {
            writes: self.writes.as_mut_view(),
            messages: self.messages.as_mut_view(),
            replies: self.replies.as_mut_view(),
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

    #[inline]
    fn new() -> Self {
        Self::new()
    }

    #[inline]
    fn writes(&self) -> &[Write<M::Command>] {
        &self.writes
    }

    #[inline]
    fn messages(&self) -> &[Outgoing<M, PAGE>] {
        &self.messages
    }

    #[inline]
    fn replies(&self) -> &[Reply<M::Output>] {
        &self.replies
    }

    #[inline]
    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }

    #[inline]
    fn clear(&mut self) {
        Self::clear(self);
    }

    #[inline]
    fn clear_writes(&mut self) {
        self.writes.clear();
    }

    #[inline]
    fn drop_unsent(&mut self) {
        Self::drop_unsent(self);
    }

    #[inline]
    fn room(&self) -> usize {
        Self::room(self)
    }

    #[inline]
    fn reset(&mut self) {
        Self::reset(self);
    }

    #[inline]
    fn peak(&self) -> usize {
        Self::peak(self)
    }

    #[inline]
    fn view(&mut self) -> OutboxView<'_, M, PAGE> {
        Self::view(self)
    }
}

/// An outbox without its capacity in the type, so that the code of a node is compiled once.
#[derive(Debug)]
pub struct OutboxView<'a, M: StateMachine, const PAGE: usize> {
    writes: &'a mut VecView<Write<M::Command>>,
    messages: &'a mut VecView<Outgoing<M, PAGE>>,
    replies: &'a mut VecView<Reply<M::Output>>,
}

impl<M: StateMachine, const PAGE: usize> OutboxView<'_, M, PAGE> {
    /// Returns the room of the fullest of the three queues.
    pub(crate) fn room(&self) -> usize {
        // All three queues have the same capacity.
        let longest = self.writes.len().max(self.messages.len());
        self.writes.capacity() - longest.max(self.replies.len())
    }

    pub(crate) fn write(&mut self, write: Write<M::Command>) -> Result<(), Queue> {
        self.writes.push(write).map_err(|_| Queue::Outbox)
    }

    /// Removes the writes.
    pub(crate) fn drop_writes(&mut self) {
        self.writes.clear();
    }

    /// Removes the last message.
    pub(crate) fn drop_last_message(&mut self) {
        self.messages.pop();
    }

    pub(crate) fn reply(&mut self, reply: Reply<M::Output>) -> Result<(), Queue> {
        self.replies.push(reply).map_err(|_| Queue::Outbox)
    }

    /// Queues a message.
    pub(crate) fn send(&mut self, outgoing: Outgoing<M, PAGE>) -> Result<(), Queue> {
        if cfg!(not(target_pointer_width = "32")) {
            return self.messages.push(outgoing).map_err(|_| Queue::Outbox);
        }
        // To move a message costs a copy on small targets; to build it in place does not.
        let Outgoing { role, to, message } = outgoing;
        *self.place(role, to).ok_or(Queue::Outbox)? = message;
        Ok(())
    }

    /// Adds a message with a small placeholder, and returns a reference to it.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn place(&mut self, role: Role, to: NodeSet) -> Option<&mut Message<M, PAGE>> {
        let message = Message::Learn { from: Slot::ZERO };
        self.messages.push(Outgoing { role, to, message }).ok()?;
        self.messages.last_mut().map(|last| &mut last.message)
    }

    /// Returns the number of queued messages.
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Returns the messages from an index on.
    pub(crate) fn since(&self, index: usize) -> &[Outgoing<M, PAGE>] {
        self.messages.get(index..).unwrap_or_default()
    }

    /// Returns the last message, if it has the same recipients.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn last(&mut self, to: NodeSet) -> Option<&mut Message<M, PAGE>> {
        let last = self.messages.last_mut()?;
        (last.to == to).then_some(&mut last.message)
    }

    /// Queues an accept for one proposal, in the page that waits already if the slot follows it there.
    pub(crate) fn accept(
        &mut self,
        to: NodeSet,
        ballot: Ballot,
        slot: Slot,
        decided: Slot,
        proposal: &Proposal<M::Command>,
    ) -> Result<(), Queue> {
        match self.last(to) {
            Some(Message::Accept {
                ballot: known,
                first,
                decided: told,
                proposals,
            }) if *known == ballot
                && !proposals.is_full()
                && first.checked_add(run_len(proposals.len())) == Some(slot) =>
            {
                // An accept never announces as decided what it asks for.
                *told = (*told).max(decided.min(first.back(1)));
                return proposals.push(*proposal).map_err(|_| Queue::Outbox);
            }
            // The accept that replaces it announces as much.
            Some(Message::Decision {
                ballot: known,
                decided: told,
            }) if *known == ballot && *told <= decided => {
                self.messages.pop();
            }
            _ => {}
        }
        let message = Message::Accept {
            ballot,
            first: slot,
            decided,
            proposals: Vec::new(),
        };
        self.send(Outgoing {
            role: Role::Commander,
            to,
            message,
        })?;
        match self.messages.last_mut().map(|last| &mut last.message) {
            Some(Message::Accept { proposals, .. }) => {
                proposals.push(*proposal).map_err(|_| Queue::Outbox)
            }
            _ => Err(Queue::Outbox),
        }
    }

    /// Queues an answer to an accept, merged with the answer that waits already if the slots are consecutive.
    pub(crate) fn accepted(
        &mut self,
        to: NodeSet,
        ballot: Ballot,
        promised: Ballot,
        run: (Slot, u32),
        low_water: Slot,
    ) -> Result<(), Queue> {
        let (first, count) = run;
        if let Some(Message::Accepted {
            ballot: known,
            promised: told,
            first: start,
            count: so_far,
            low_water: mark,
        }) = self.last(to)
            && (*known, *told) == (ballot, promised)
            && count > 0
            && *so_far > 0
            && start.checked_add(u64::from(*so_far)) == Some(first)
        {
            *so_far += count;
            *mark = low_water;
            return Ok(());
        }
        let message = Message::Accepted {
            ballot,
            promised,
            first,
            count,
            low_water,
        };
        self.send(Outgoing {
            role: Role::Acceptor,
            to,
            message,
        })
    }

    /// Announces how far the log is decided, in the last message if that can carry it.
    pub(crate) fn decision(
        &mut self,
        to: NodeSet,
        ballot: Ballot,
        decided: Slot,
    ) -> Result<(), Queue> {
        match self.last(to) {
            Some(Message::Decision {
                ballot: known,
                decided: told,
            }) if *known == ballot => {
                *told = (*told).max(decided);
                Ok(())
            }
            Some(Message::Accept {
                ballot: known,
                first,
                decided: told,
                ..
            }) if *known == ballot && decided < *first => {
                *told = (*told).max(decided);
                Ok(())
            }
            _ => {
                let message = Message::Decision { ballot, decided };
                self.send(Outgoing {
                    role: Role::Commander,
                    to,
                    message,
                })
            }
        }
    }
}

/// Returns the length of a page as a number of slots; pages are far shorter than 2³² entries.
pub(crate) fn run_len(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::machines::Opaque;
    use crate::{MessageKind, NodeId};
    use proptest::prelude::*;
    use std::vec;

    type Said = Message<Opaque, 3>;
    type Full = Outbox<Opaque, 3, 16>;

    /// One output of a step.
    #[derive(Clone, Debug)]
    enum Deed {
        Accept(Slot, Slot),
        Accepted((Slot, u32), Slot),
        Decision(Slot),
        Learn,
    }

    fn to_and_ballot() -> impl Strategy<Value = (NodeSet, Ballot)> {
        let to = (1u16..3).prop_map(|node| NodeSet::only(NodeId(node)));
        let ballot = (1u64..3).prop_map(|round| Ballot::new(round, NodeId(0)));
        (to, ballot)
    }

    fn deed() -> impl Strategy<Value = Deed> {
        prop_oneof![
            6 => (1u64..7, 0u64..7).prop_map(|(slot, decided)| {
                Deed::Accept(Slot::new(slot), Slot::new(decided.min(slot - 1)))
            }),
            4 => (1u64..7, 0u32..3, 0u64..7).prop_map(|(first, count, low_water)| {
                Deed::Accepted((Slot::new(first), count), Slot::new(low_water))
            }),
            3 => (0u64..7).prop_map(|decided| Deed::Decision(Slot::new(decided))),
            1 => Just(Deed::Learn),
        ]
    }

    /// Returns the content of messages, one slot at a time, without announcements of decisions.
    fn singles(said: &[Outgoing<Opaque, 3>]) -> vec::Vec<(NodeSet, Said)> {
        let mut singles = vec![];
        for Outgoing { to, message, .. } in said {
            let mut say = |message| singles.push((*to, message));
            match message {
                Message::Accept {
                    ballot,
                    first,
                    proposals,
                    ..
                } => {
                    for (offset, proposal) in (0..).zip(proposals) {
                        say(accept(
                            *ballot,
                            Slot::new(first.number() + offset),
                            *proposal,
                        ));
                    }
                }
                Message::Accepted {
                    ballot,
                    promised,
                    first,
                    count: 0,
                    ..
                } => say(accepted(*ballot, *promised, *first, 0)),
                Message::Accepted {
                    ballot,
                    promised,
                    first,
                    count,
                    ..
                } => {
                    for offset in 0..u64::from(*count) {
                        let slot = Slot::new(first.number() + offset);
                        say(accepted(*ballot, *promised, slot, 1));
                    }
                }
                Message::Decision { .. } => {}
                other => say(other.clone()),
            }
        }
        singles
    }

    fn accept(ballot: Ballot, first: Slot, proposal: Proposal<[u8; 16]>) -> Said {
        Message::Accept {
            ballot,
            first,
            decided: Slot::ZERO,
            proposals: [proposal].into_iter().collect(),
        }
    }

    fn accepted(ballot: Ballot, promised: Ballot, first: Slot, count: u32) -> Said {
        Message::Accepted {
            ballot,
            promised,
            first,
            count,
            low_water: Slot::ZERO,
        }
    }

    /// Returns the slot up to which the messages for a node announce decisions under a ballot.
    fn told(said: &[Outgoing<Opaque, 3>], node: NodeSet, under: Ballot) -> Slot {
        let told = |outgoing: &Outgoing<Opaque, 3>| match outgoing.message {
            Message::Accept {
                ballot, decided, ..
            }
            | Message::Decision { ballot, decided }
                if ballot == under && outgoing.to == node =>
            {
                Some(decided)
            }
            _ => None,
        };
        said.iter().filter_map(told).max().unwrap_or(Slot::ZERO)
    }

    /// Returns a summary of the outbox: for each message its kind, first slot, length, and decided slot.
    fn sketch(outbox: &Full) -> vec::Vec<(MessageKind, u64, usize, u64)> {
        let of = |outgoing: &Outgoing<Opaque, 3>| match &outgoing.message {
            Message::Accept {
                first,
                decided,
                proposals,
                ..
            } => (first.number(), proposals.len(), decided.number()),
            Message::Accepted {
                first,
                count,
                low_water,
                ..
            } => {
                let count = usize::try_from(*count).unwrap();
                (first.number(), count, low_water.number())
            }
            Message::Decision { decided, .. } => (0, 0, decided.number()),
            _ => (0, 0, 0),
        };
        let messages = outbox.messages.iter();
        messages
            .map(|outgoing| {
                let (first, len, decided) = of(outgoing);
                (outgoing.message.kind(), first, len, decided)
            })
            .collect()
    }

    #[test]
    fn consecutive_slots_are_merged_with_a_waiting_message() {
        let (to, ballot) = (NodeSet::only(NodeId(1)), Ballot::new(1, NodeId(0)));
        let slot = Slot::new;
        let mut outbox = Full::new();
        let mut view = outbox.view();
        view.decision(to, ballot, slot(1)).unwrap();
        view.decision(to, ballot, slot(2)).unwrap();
        assert_eq!(sketch(&outbox), [(MessageKind::Decision, 0, 0, 2)]);
        let mut view = outbox.view();
        for number in 4..=7 {
            let decided = slot(number - 2);
            let noop = Proposal::Noop;
            view.accept(to, ballot, slot(number), decided, &noop)
                .unwrap();
        }
        view.decision(to, ballot, slot(6)).unwrap();
        let accepts = [
            (MessageKind::Accept, 4, 3, 3),
            (MessageKind::Accept, 7, 1, 6),
        ];
        assert_eq!(sketch(&outbox), accepts, "full pages, and no decisions");
        outbox.clear();
        let mut view = outbox.view();
        for (first, count) in [(4, 2), (6, 1), (7, 0), (7, 1)] {
            let run = (slot(first), count);
            view.accepted(to, ballot, ballot, run, slot(first)).unwrap();
        }
        let answers = [
            (MessageKind::Accepted, 4, 3, 6),
            (MessageKind::Accepted, 7, 0, 7),
            (MessageKind::Accepted, 7, 1, 7),
        ];
        assert_eq!(
            sketch(&outbox),
            answers,
            "that there is no room stands alone"
        );
    }

    proptest! {
        #![proptest_config(crate::properties::cases(600))]

        /// Merged messages have the same content as the single ones: in the same order, for the same nodes. They
        /// announce no more decisions than were known, and no fewer than were to be announced.
        #[test]
        fn what_is_merged_says_the_same(
            deeds in proptest::collection::vec((to_and_ballot(), deed()), 0..40)
        ) {
            let mut outbox = Full::new();
            let mut expected = vec![];
            for (number, ((to, ballot), deed)) in (0..).zip(deeds) {
                let before = told(&outbox.messages, to, ballot);
                let (room, len) = (outbox.view().room(), outbox.view().len());
                prop_assert_eq!(len, outbox.messages.len());
                prop_assert_eq!(room, 16 - outbox.messages.len());
                let mut view = outbox.view();
                let (result, known, least, says) = match deed {
                    Deed::Accept(slot, decided) => {
                        let proposal = Proposal::Register { nonce: number };
                        let result = view.accept(to, ballot, slot, decided, &proposal);
                        (result, decided, Slot::ZERO, vec![accept(ballot, slot, proposal)])
                    }
                    Deed::Accepted((first, count), low_water) => {
                        let result = view.accepted(to, ballot, ballot, (first, count), low_water);
                        let slot = |offset| Slot::new(first.number() + u64::from(offset));
                        let says = match count {
                            0 => vec![accepted(ballot, ballot, first, 0)],
                            _ => (0..count).map(|offset| accepted(ballot, ballot, slot(offset), 1)).collect(),
                        };
                        if result.is_ok() {
                            let last = outbox.messages.last().map(|last| last.message.clone());
                            let mark = match last {
                                Some(Message::Accepted { low_water, .. }) => Some(low_water),
                                _ => None,
                            };
                            prop_assert_eq!(mark, Some(low_water), "the newest mark");
                        }
                        (result, Slot::ZERO, Slot::ZERO, says)
                    }
                    Deed::Decision(decided) => {
                        (view.decision(to, ballot, decided), decided, decided, vec![])
                    }
                    Deed::Learn => {
                        let message = Message::Learn { from: Slot::FIRST };
                        let role = Role::Replica;
                        let result = view.send(Outgoing { role, to, message: message.clone() });
                        (result, Slot::ZERO, Slot::ZERO, vec![message])
                    }
                };
                if result.is_err() {
                    prop_assert_eq!(room, 0, "it was full");
                    break;
                }
                expected.extend(says.into_iter().map(|message| (to, message)));
                prop_assert_eq!(singles(&outbox.messages), &expected[..]);
                let after = told(&outbox.messages, to, ballot);
                prop_assert!(after <= before.max(known), "nobody knew that much");
                prop_assert!(after >= before.max(least), "what was told is gone");
                for outgoing in &outbox.messages {
                    if let Message::Accept { first, decided, .. } = &outgoing.message {
                        prop_assert!(decided < first, "it asks for what it says is decided");
                    }
                }
            }
            let most = outbox.messages.len();
            prop_assert_eq!(outbox.peak(), most);
            outbox.clear();
            prop_assert_eq!((outbox.peak(), outbox.is_empty()), (most, true));
            outbox.reset();
            prop_assert_eq!(outbox.peak(), 0);
        }
    }
}
