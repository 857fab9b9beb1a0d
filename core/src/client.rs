//! Clients outside of the cluster: what they say and hear, the client itself, and what serves clients beside a node.
//!
//! A client is no member. It has an [`Address`], puts a [`Question`] to any one node, and gets an [`Answer`] with a hint who
//! leads. [`Client`] is one, without a clock, a socket or a heap: it opens its session, numbers its requests, asks again and
//! elsewhere, and says what came of each. [`Service`] stands on the other side, between a link and a node: it hands over what
//! clients ask, and knows to which address an answer goes. [`Frames`](crate::wire::Frames) carries both over a link.
//!
//! ```
//! use synod::client::{Address, QuestionEnvelope, Client, Service};
//! use synod::machines::{Key, Kv, KvCommand, KvReply};
//! use synod::wire::{Frame, Frames};
//! use synod::{Config, Duration, Instant, Node, NodeId, NodeSet, Outbox};
//!
//! // A cluster of one, and a link to it: what arrives there, and what it sends back.
//! type Small = Node<Kv<4>, 8, 2, 2>;
//! let mut node = Small::found(Config::new(NodeId(0), 1), 6, Instant::ZERO)?;
//! let mut outbox = Outbox::<_, 2, { Small::OUTBOX_MIN }>::new();
//! let mut service = Service::<2>::new();
//! let mut frames = Frames::<Kv<4>, 2, 127>::new(node.fingerprint());
//!
//! // The client: whom it may ask, how patient it is, and a nonce.
//! let mut client = Client::<Kv<4>>::new(NodeSet::first(1), Duration::from_millis(500), 0x9e3a_5c41_77d0_2b18)?;
//! let here = Address::FIRST;
//! client.request(Instant::ZERO, KvCommand::Set(Key::new("A").unwrap(), 9))?;
//!
//! let mut now = Instant::ZERO;
//! let done = loop {
//!     let mut buffer = [0; 127];
//!     // The client's loop: what it wants to say leaves; what has arrived for it goes in; time goes in.
//!     if let Some((to, question)) = client.poll_question() {
//!         let len = frames.encode_question(&QuestionEnvelope { from: here, to, question }, &mut buffer)?;
//!         // The node's loop: a question goes to the service, and so does each reply.
//!         if let Ok(Frame::Question(asked)) = frames.decode(&buffer[..len])
//!             && let Some(answered) = service.handle(now, &mut node, &asked, &mut outbox, &mut ())
//!         {
//!             client.handle_answer(now, answered.from, &answered.answer);
//!         }
//!     }
//!     node.handle_timeout(now, &mut outbox, &mut ());
//!     for reply in &outbox.replies {
//!         if let Some(answered) = service.answer(&node, reply) {
//!             client.handle_answer(now, answered.from, &answered.answer);
//!         }
//!     }
//!     outbox.clear();
//!     client.handle_timeout(now);
//!     if let Some(done) = client.poll_done() {
//!         break done;
//!     }
//!     now = now + Duration::from_millis(10);
//! };
//! assert_eq!(done.result.unwrap().output, KvReply::Value(9));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Choosing a nonce
//!
//! A registration carries 64 bits that its client draws, and the session is found by them: a registration that comes again
//! with the same nonce is taken for a retry and gets the session that there is. So a nonce must be one that **nobody else
//! uses, and that this client does not use a second time**, as long as a session of it may be kept.
//!
//! What goes wrong: two clients with one nonce share a session and number their requests on their own. The command of one
//! is then refused as [`Reused`](crate::Outcome::Reused) or [`Stale`](crate::Outcome::Stale), or, where both ask for the same under one
//! number, is applied once for both. Where the two have one address as well, nothing tells their answers apart. The same happens
//! to a board that draws the same nonce after each reset, and hears late answers to what it asked before. No agreement is broken
//! by it, and no other session.
//!
//! - On a host, take it from the operating system (the crate `getrandom`, `/dev/urandom`).
//! - On a board with a true random number generator, take it from there.
//! - On any other board, mix what differs between boards with what differs between resets of one: the number that the chip
//!   was made with, and a count of resets that is kept in flash and raised *before* it is used. What a timer or a floating
//!   pin shows when the first byte arrives may be mixed in, and is not enough alone: boards that are switched on together
//!   tend to show the same. Any mixing will do that loses nothing, a digest of all of it for instance ([`Digest`](crate::Digest)).
//! - A constant is right only for a test that makes one client.
//!
//! Where others may guess a nonce and mean harm, draw it where they cannot guess it. A session is no secret, though: whoever
//! can send frames to the nodes can read others' sessions, and only a link that authenticates keeps them apart.
//!
//! # Several clients on one line
//!
//! Bytes 64 to 255 in the *from* of a question and the *to* of an answer are clients, as many as 192. An operator gives each its
//! own, as with the nodes' numbers. Where a line is heard by all, a client drops what is addressed to another. Two clients with
//! one address hear each other's answers; those name the request that they answer, so that [`Client`] drops what it did not ask.
//!
//! # Withdrawing a request
//!
//! [`Client::withdraw`] stops waiting, and has the node forget who asked (rule X4). It takes nothing out of the log: the request may
//! have been applied, and may yet be. The next request has a later number, and once that is answered the matter is settled:
//! what was withdrawn was applied before it, or never will be.

mod service;
mod session;
#[cfg(test)]
mod tests;

use crate::{NODES_MAX, NodeId, Outcome, Proposal, RequestKey, Status};
use core::fmt;
use core::num::NonZero;
pub use service::Service;
pub use session::{Applied, Client, ClientError, Done, Session, Undone, Withdrawn};

/// The address of a client on a link: a byte from 64 to 255. Nodes have those below.
///
/// ```
/// use synod::client::Address;
/// assert_eq!(Address::new(64), Some(Address::FIRST));
/// assert_eq!(Address::new(63), None, "a node's");
/// assert_eq!(Address::LAST.byte(), 255);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(NonZero<u8>);

impl Address {
    /// The first one, 64.
    pub const FIRST: Self = Self(NonZero::<u8>::MIN.saturating_add(63));
    /// The last one, 255.
    pub const LAST: Self = Self(NonZero::<u8>::MAX);

    /// The address of a byte; `None` where that is a node's.
    pub const fn new(byte: u8) -> Option<Self> {
        match NonZero::new(byte) {
            Some(byte) if byte.get() >= Self::FIRST.byte() => Some(Self(byte)),
            _ => None,
        }
    }

    /// The byte.
    pub const fn byte(self) -> u8 {
        self.0.get()
    }
}

const _: () = assert!(
    NODES_MAX == 64,
    "whatever is no node's number is a client's"
);

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", self.byte())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CLIENT_{}", self.byte())
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Address {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Address({=u8})", self.byte());
    }
}

/// What a client says to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Question<C> {
    /// Asks for a session or for a command to be applied. QuestionEnvelope again, it is answered once more and applied once.
    Request {
        /// A registration or a request; never a no-op.
        proposal: Proposal<C>,
    },
    /// Waits no longer for an answer (rule X4). Is not answered.
    Withdraw {
        /// What was asked.
        key: RequestKey,
    },
    /// Asks how the node is. Needs no session and changes nothing; a node that has halted answers as well.
    Status,
}

/// What a client hears from a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Answer<O> {
    /// Answers a [`Question::Request`].
    Outcome {
        /// Which request is answered.
        key: RequestKey,
        /// [`Proposal::fingerprint`] of it: what was asked under that key (rule X1).
        fingerprint: u32,
        /// What came of it.
        outcome: Outcome<O>,
        /// Who leads, as far as the node knows: it saves time to ask there next.
        leader: Option<NodeId>,
    },
    /// Answers a [`Question::Status`]; and a request, where the node has halted.
    Status(Status),
}

/// A question with its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct QuestionEnvelope<C> {
    /// Who asks.
    pub from: Address,
    /// Which node is asked.
    pub to: NodeId,
    /// What it asks.
    pub question: Question<C>,
}

/// An answer with its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AnswerEnvelope<O> {
    /// Which node answers.
    pub from: NodeId,
    /// Who asked.
    pub to: Address,
    /// What it answers.
    pub answer: Answer<O>,
}
