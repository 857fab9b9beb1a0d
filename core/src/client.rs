//! Clients outside the cluster: their questions and answers, the client itself, and the service for clients beside a
//! node.
//!
//! A client is not a member. It has an [`Address`], sends a [`Question`] to any one node, and receives an [`Answer`]
//! that names the leader if the node knows it. [`Client`] implements one without a clock, a socket or a heap: it opens
//! its session, numbers its requests, retries at the same node and at others, and reports the result of each request.
//! [`Service`] sits between a link and a node: it passes questions to the node, and knows which address an answer goes
//! to. [`Frames`](crate::wire::Frames) encodes both for a link.
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
//! A registration carries 64 bits that its client draws, and the session is found by them: a second registration with
//! the same nonce is taken for a retry and gets the existing session. So a nonce must be one that **no other client
//! uses, and that this client does not use a second time**, as long as a session with it may be kept.
//!
//! If two clients use one nonce, they share a session but number their requests independently. The command of one of
//! them is then rejected as [`Reused`](crate::Outcome::Reused) or [`Stale`](crate::Outcome::Stale); or, if both make
//! the same request under one number, it is applied once for both. If the two have the same address as well, nothing
//! distinguishes their answers. The same happens to a board that draws the same nonce after each reset, and receives
//! late answers to its earlier requests. Neither agreement nor any other session is affected.
//!
//! - On a host, take it from the operating system (the crate `getrandom`, `/dev/urandom`).
//! - On a board with a true random number generator, take it from there.
//! - On any other board, mix what differs between boards with what differs between resets of one board: the serial
//!   number of the chip, and a count of resets that is kept in flash and raised *before* it is used. The value of a
//!   timer or of a floating pin when the first byte arrives may be mixed in, but is not enough alone: boards that are
//!   switched on together tend to read the same values. Any mixing that loses nothing will do, for instance a digest of
//!   all of it ([`Digest`](crate::Digest)).
//! - A constant is right only for a test that creates one client.
//!
//! If an attacker may guess nonces, draw them from a source that cannot be guessed. A session is no secret, though:
//! anybody who can send frames to the nodes can use the sessions of others, and only a link that authenticates its
//! senders prevents that.
//!
//! # Several clients on one line
//!
//! Bytes 64 to 255 in the *from* field of a question and the *to* field of an answer are clients, 192 in all. The
//! operator assigns each client its own address, as with the numbers of the nodes. On a shared medium, a client ignores
//! frames for other addresses. Two clients with the same address receive each other's answers; an answer names its
//! request, so [`Client`] ignores those to requests that it did not make.
//!
//! # Changing the members
//!
//! An operator is a client, too: [`Client::reconfigure`] requests a change of the members, and the [`Status`] of any node
//! has the epoch and the members to begin with. A refusal is a [`ChangeError`](crate::ChangeError). No node asks who
//! may change the members: that is for the link to decide, as [`wire`](crate::wire) says.
//!
//! # Withdrawing a request
//!
//! [`Client::withdraw`] stops waiting, and lets the nodes forget the request (rule X4). It removes nothing from the
//! log: the request may have been applied, and may still be. The next request has a later number, and once that one is
//! answered, the withdrawn one was either applied before it or never will be.

mod service;
mod session;
#[cfg(test)]
mod tests;

use crate::{NODES_MAX, NodeId, Outcome, Proposal, RequestKey, Status};
use core::fmt;
use core::num::NonZero;
pub use service::Service;
pub use session::{Applied, Client, ClientError, Done, Session, Undone, Withdrawn};

/// The address of a client on a link: a byte from 64 to 255. Lower bytes are the numbers of nodes.
///
/// ```
/// use synod::client::Address;
/// assert_eq!(Address::new(64), Some(Address::FIRST));
/// assert_eq!(Address::new(63), None, "a node's");
/// assert_eq!(Address::LAST.byte(), 255);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(
    /// Never zero, so that an optional address takes one byte.
    NonZero<u8>,
);

impl Address {
    /// The first address, 64.
    pub const FIRST: Self = Self(NonZero::<u8>::MIN.saturating_add(63));
    /// The last address, 255.
    pub const LAST: Self = Self(NonZero::<u8>::MAX);

    /// Returns the address of a byte; `None` if the byte is the number of a node.
    pub const fn new(byte: u8) -> Option<Self> {
        match NonZero::new(byte) {
            Some(byte) if byte.get() >= Self::FIRST.byte() => Some(Self(byte)),
            _ => None,
        }
    }

    /// Returns the address as a byte.
    pub const fn byte(self) -> u8 {
        self.0.get()
    }
}

const _: () = assert!(
    NODES_MAX == 64,
    "whatever is no node's number is a client's"
);
const _: () = assert!(
    Address::FIRST.byte() == 64,
    "the first client follows the last node"
);
const _: () = assert!(
    size_of::<Option<Address>>() == 1,
    "an optional address is as long as an address"
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

/// A question from a client to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Question<C> {
    /// Requests a session, that a command be applied, or a change of the members. A repeated request is answered again
    /// but applied once.
    Request {
        /// A registration, a request or a change of the members; never a no-op.
        proposal: Proposal<C>,
    },
    /// Withdraws a request (rule X4). Not answered.
    Withdraw {
        /// The request that is withdrawn.
        key: RequestKey,
    },
    /// Asks for the status of the node. Needs no session and changes nothing; a halted node answers as well.
    Status,
}

/// An answer from a node to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Answer<O> {
    /// The answer to a [`Question::Request`].
    Outcome {
        /// The request that is answered.
        key: RequestKey,
        /// [`Proposal::fingerprint`] of the request, which identifies the command under that key (rule X1).
        fingerprint: u32,
        /// The outcome of the request.
        outcome: Outcome<O>,
        /// The leader, if the node knows it: the client should ask there next.
        leader: Option<NodeId>,
    },
    /// The answer to a [`Question::Status`]; also to a request, if the node has halted.
    Status(Status),
}

/// A question with its sender and its recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct QuestionEnvelope<C> {
    /// The client that asks.
    pub from: Address,
    /// The node that is asked.
    pub to: NodeId,
    /// The question.
    pub question: Question<C>,
}

/// An answer with its sender and its recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AnswerEnvelope<O> {
    /// The node that answers.
    pub from: NodeId,
    /// The client that has asked.
    pub to: Address,
    /// The answer.
    pub answer: Answer<O>,
}
