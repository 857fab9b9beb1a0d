//! What a step wants done: durable writes, then messages, then replies.

use crate::{Ballot, Entry, Message, NodeSet, Outcome, Queue, RequestKey, StateMachine};
use heapless::Vec;
use heapless::vec::VecView;

/// What must be durable before anything that stands behind it in the outbox may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Write<C> {
    /// The acceptor promised this ballot. A promise of the node's own ballot is also the record that its round is used.
    Promised(Ballot),
    /// The acceptor accepted this, and promised its ballot with it.
    Accepted(Entry<C>),
}

/// A message and who is to have it. The node itself is never among them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Outgoing<M: StateMachine, const PAGE: usize> {
    /// The recipients; the driver sends a copy to each.
    pub to: NodeSet,
    /// What to send.
    pub message: Message<M, PAGE>,
}

/// The answer to a request that was made at this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Reply<O> {
    /// Which request.
    pub key: RequestKey,
    /// What came of it.
    pub outcome: Outcome<O>,
}

/// Where a node puts what it wants done; the driver empties it after a step, or after a few.
///
/// `ROOM` bounds each of the three queues. [`Node::OUTBOX_MIN`](crate::Node::OUTBOX_MIN) is what one step may need; a
/// driver that gathers several steps before it empties the outbox gives more. Steps that find less room than they may
/// need do nothing, as if their input had been lost on the way.
///
/// # What the driver owes
///
/// 1. Every [`Write`] is durable before any message or reply of the same emptying leaves.
/// 2. Messages may be lost, delayed, repeated and reordered after that, but not altered.
/// 3. The outbox is empty before the driver waits for anything.
///
/// Messages of one run are merged while they wait: a second [`Message::Accept`] for the slots that follow joins the
/// first, and so do [`Message::Accepted`] and [`Message::Decision`]. So a driver that gathers sixty-four requests and
/// sends once sends two pages of thirty-two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbox<M: StateMachine, const PAGE: usize, const ROOM: usize> {
    /// To be made durable, in this order, before the rest.
    pub writes: Vec<Write<M::Command>, ROOM>,
    /// To be sent.
    pub messages: Vec<Outgoing<M, PAGE>, ROOM>,
    /// To be handed to the clients of this node.
    pub replies: Vec<Reply<M::Output>, ROOM>,
    peak: usize,
}

impl<M: StateMachine, const PAGE: usize, const ROOM: usize> Default for Outbox<M, PAGE, ROOM> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: StateMachine, const PAGE: usize, const ROOM: usize> Outbox<M, PAGE, ROOM> {
    /// An empty outbox.
    pub const fn new() -> Self {
        Self {
            writes: Vec::new(),
            messages: Vec::new(),
            replies: Vec::new(),
            peak: 0,
        }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.messages.is_empty() && self.replies.is_empty()
    }

    /// Forgets everything in it.
    pub fn clear(&mut self) {
        self.peak = self.peak();
        self.writes.clear();
        self.messages.clear();
        self.replies.clear();
    }

    /// The most that any of the three queues has held; at most `ROOM`.
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

/// An outbox whose capacity is erased, so that the code behind it is compiled once.
#[derive(Debug)]
pub(crate) struct OutboxView<'a, M: StateMachine, const PAGE: usize> {
    writes: &'a mut VecView<Write<M::Command>>,
    messages: &'a mut VecView<Outgoing<M, PAGE>>,
    replies: &'a mut VecView<Reply<M::Output>>,
}

impl<M: StateMachine, const PAGE: usize> OutboxView<'_, M, PAGE> {
    /// How much still fits in the fullest of the three queues.
    pub(crate) fn room(&self) -> usize {
        let writes = self.writes.capacity() - self.writes.len();
        let messages = self.messages.capacity() - self.messages.len();
        let replies = self.replies.capacity() - self.replies.len();
        writes.min(messages).min(replies)
    }

    pub(crate) fn write(&mut self, write: Write<M::Command>) -> Result<(), Queue> {
        self.writes.push(write).map_err(|_| Queue::Outbox)
    }

    pub(crate) fn reply(&mut self, reply: Reply<M::Output>) -> Result<(), Queue> {
        self.replies.push(reply).map_err(|_| Queue::Outbox)
    }

    /// Queues a message, or merges it into the last one where the two say one thing.
    pub(crate) fn send(&mut self, to: NodeSet, message: Message<M, PAGE>) -> Result<(), Queue> {
        if to.is_empty() {
            return Ok(());
        }
        if let Some(last) = self.messages.last_mut()
            && last.to == to
            && merge(&mut last.message, &message)
        {
            return Ok(());
        }
        self.messages
            .push(Outgoing { to, message })
            .map_err(|_| Queue::Outbox)
    }
}

/// Joins `next` to `last` where one message can say both.
fn merge<M: StateMachine, const PAGE: usize>(
    last: &mut Message<M, PAGE>,
    next: &Message<M, PAGE>,
) -> bool {
    match (&mut *last, next) {
        (
            Message::Accept {
                ballot,
                first,
                decided,
                proposals,
            },
            Message::Accept {
                ballot: next_ballot,
                first: next_first,
                decided: next_decided,
                proposals: more,
            },
        ) => {
            let follows = first.checked_add(run_len(proposals.len())) == Some(*next_first);
            let fits = proposals.len() + more.len() <= PAGE;
            if *ballot != *next_ballot || !follows || !fits {
                return false;
            }
            *decided = (*decided).max(*next_decided);
            // It fits: the lengths were compared above.
            proposals.extend_from_slice(more).is_ok()
        }
        (
            Message::Accepted {
                ballot,
                promised,
                first,
                count,
                low_water,
            },
            Message::Accepted {
                ballot: next_ballot,
                promised: next_promised,
                first: next_first,
                count: more,
                low_water: next_low_water,
            },
        ) => {
            let follows = first.checked_add(u64::from(*count)) == Some(*next_first);
            if *ballot != *next_ballot
                || *promised != *next_promised
                || !follows
                || *count == 0
                || *more == 0
            {
                return false;
            }
            *count += *more;
            *low_water = (*low_water).max(*next_low_water);
            true
        }
        (
            Message::Decision { ballot, decided },
            Message::Decision {
                ballot: next_ballot,
                decided: next_decided,
            },
        ) if *ballot == *next_ballot => {
            *decided = (*decided).max(*next_decided);
            true
        }
        (
            Message::Accept {
                ballot,
                first,
                decided,
                ..
            },
            Message::Decision {
                ballot: next_ballot,
                decided: next_decided,
            },
            // An accept never says that what it asks for is decided.
        ) if *ballot == *next_ballot && *next_decided < *first => {
            *decided = (*decided).max(*next_decided);
            true
        }
        (
            Message::Decision { ballot, decided },
            Message::Accept {
                ballot: next_ballot,
                decided: next_decided,
                ..
            },
        ) if *ballot == *next_ballot && *decided <= *next_decided => {
            *last = next.clone();
            true
        }
        _ => false,
    }
}

/// The length of a page as a count of slots; pages are far shorter than 2³² entries.
pub(crate) fn run_len(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
