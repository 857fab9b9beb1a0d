//! What nodes say to each other: types only, behaviour elsewhere.
//!
//! A reply names the ballot that it answers, so that its receiver can drop it unless it is about the present attempt. A
//! refusal is a reply whose `promised` is above that ballot; there is no kind of its own for it.

use crate::{
    Ballot, ClientId, Entry, NodeId, Outcome, Proposal, RequestKey, Role, SNAPSHOT_PAGE, Slot,
    StateMachine,
};
use heapless::Vec;

/// Entries that an acceptor reports in one promise: at most `PAGE` of them.
pub type Entries<M, const PAGE: usize> = Vec<Entry<<M as StateMachine>::Command>, PAGE, u8>;

/// Proposals of consecutive slots: at most `PAGE` of them.
pub type Proposals<M, const PAGE: usize> = Vec<Proposal<<M as StateMachine>::Command>, PAGE, u8>;

/// Which snapshot a page belongs to: the last slot in it and a digest of all its pages. A transfer is of one snapshot
/// from its first page to its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SnapshotId {
    /// The last slot that is applied in it.
    pub at: Slot,
    /// A digest of its pages.
    pub digest: u64,
}

/// A message from one node to another, for a state machine `M` and pages of `PAGE` entries.
///
/// With a command of 16 bytes and a `PAGE` of 2 it stays at or under 144 bytes, so that a queue of 256 is about 45 KB.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Message<M: StateMachine, const PAGE: usize> {
    /// Asks for a page of a snapshot, in order to join or to catch up.
    Join {
        /// The snapshot that is being fetched; `None` asks for the first page of any.
        snapshot: Option<SnapshotId>,
        /// Which page, from 0. Without a snapshot, anything but 0 says that a founder must not count on the asker, as
        /// that does not vote.
        page: u32,
    },
    /// One page of a snapshot.
    Welcome {
        /// The snapshot that the page belongs to.
        snapshot: SnapshotId,
        /// Which page, from 0.
        page: u32,
        /// How many pages there are.
        pages: u32,
        /// The page.
        bytes: Vec<u8, SNAPSHOT_PAGE, u8>,
    },
    /// Asks whether a claim would be promised, before it is made. Changes nothing.
    Probe {
        /// The ballot that would be claimed.
        ballot: Ballot,
    },
    /// Answers a [`Message::Probe`].
    ProbeReply {
        /// The ballot that was asked about.
        ballot: Ballot,
        /// Whether the node misses its leader as well.
        granted: bool,
        /// The highest ballot that it has seen.
        highest: Ballot,
    },
    /// Claims a ballot, and asks for what was accepted from a slot on. Repeated with a later slot it asks for the next
    /// page.
    #[doc(alias = "p1a")]
    #[doc(alias = "1a")]
    Prepare {
        /// The ballot that is claimed.
        ballot: Ballot,
        /// The first slot of interest.
        from: Slot,
    },
    /// Promises to accept nothing below a ballot, with one page of what was accepted; or refuses.
    #[doc(alias = "p1b")]
    #[doc(alias = "1b")]
    Promise {
        /// The ballot of the [`Message::Prepare`] that this answers.
        ballot: Ballot,
        /// The ballot that the acceptor has promised: the same, or a higher one in a refusal.
        promised: Ballot,
        /// The slot from which the page was asked for.
        from: Slot,
        /// Everything up to here is applied where the acceptor is, and no longer reported.
        low_water: Slot,
        /// Whether this is the last page; only then does the promise count.
        last: bool,
        /// What was accepted, in rising slots. The next page starts after the last of them.
        entries: Entries<M, PAGE>,
    },
    /// Asks the acceptors to accept proposals for a run of slots.
    #[doc(alias = "p2a")]
    #[doc(alias = "2a")]
    Accept {
        /// The leader's ballot.
        ballot: Ballot,
        /// The slot of the first proposal; the others follow without a gap.
        first: Slot,
        /// Everything up to here is decided.
        decided: Slot,
        /// What to accept.
        proposals: Proposals<M, PAGE>,
    },
    /// Says which run of slots was accepted; or refuses; or, with an empty run, says that the acceptor has no room yet.
    #[doc(alias = "p2b")]
    #[doc(alias = "2b")]
    Accepted {
        /// The ballot of the [`Message::Accept`] that this answers.
        ballot: Ballot,
        /// The ballot that the acceptor has promised: the same, or a higher one in a refusal.
        promised: Ballot,
        /// The first slot of the run.
        first: Slot,
        /// How many slots the run has.
        count: u32,
        /// Everything up to here is applied where the acceptor is, and no longer accepted.
        low_water: Slot,
    },
    /// Says that a prefix of the log is decided.
    Decision {
        /// The leader's ballot.
        ballot: Ballot,
        /// Everything up to here is decided.
        decided: Slot,
    },
    /// A leader's sign of life.
    Heartbeat {
        /// The leader's ballot.
        ballot: Ballot,
        /// Everything up to here is decided.
        decided: Slot,
        /// The leader's [`Node::chain`](crate::Node::chain) at `decided`: whoever has another one there follows another
        /// history, and halts (rule N3).
        chain: u64,
    },
    /// Answers a [`Message::Heartbeat`], so that a leader knows that it still reaches a quorum.
    HeartbeatReply {
        /// The ballot of the heartbeat.
        ballot: Ballot,
    },
    /// Hands a client's request to the leader.
    Propose {
        /// What to propose.
        proposal: Proposal<M::Command>,
        /// Whether it was handed over before; the leader then looks for it among what it is already driving.
        retry: bool,
    },
    /// Asks for decisions from a slot on.
    Learn {
        /// The first slot that is missing.
        from: Slot,
    },
    /// Decisions for a run of slots.
    Decisions {
        /// The slot of the first; the others follow without a gap.
        first: Slot,
        /// Everything up to here is applied at the sender.
        applied: Slot,
        /// What was decided.
        proposals: Proposals<M, PAGE>,
    },
    /// A client's request, to a replica.
    Request {
        /// A registration or a request; never a no-op.
        proposal: Proposal<M::Command>,
    },
    /// The answer to a [`Message::Request`].
    Response {
        /// Which request is answered.
        key: RequestKey,
        /// [`Proposal::fingerprint`] of the request that is answered: who waits under that key for something else is not
        /// meant (rule X1).
        fingerprint: u32,
        /// What came of it.
        outcome: Outcome<M::Output>,
    },
}

/// A message with its ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Envelope<M: StateMachine, const PAGE: usize> {
    /// The [fingerprint](crate::Node::fingerprint_of) of the sender's cluster; a node ignores what comes from another.
    pub cluster: u32,
    /// Who sent it.
    pub from: NodeId,
    /// Who is to have it.
    pub to: NodeId,
    /// What it says.
    pub message: Message<M, PAGE>,
}

/// The kind of a [`Message`], for counting and for filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[expect(missing_docs, reason = "each is the kind of the message of that name")]
pub enum MessageKind {
    Join,
    Welcome,
    Probe,
    ProbeReply,
    Prepare,
    Promise,
    Accept,
    Accepted,
    Decision,
    Heartbeat,
    HeartbeatReply,
    Propose,
    Learn,
    Decisions,
    Request,
    Response,
}

impl MessageKind {
    /// Every kind, in the order of the variants.
    pub const ALL: [Self; 16] = [
        Self::Join,
        Self::Welcome,
        Self::Probe,
        Self::ProbeReply,
        Self::Prepare,
        Self::Promise,
        Self::Accept,
        Self::Accepted,
        Self::Decision,
        Self::Heartbeat,
        Self::HeartbeatReply,
        Self::Propose,
        Self::Learn,
        Self::Decisions,
        Self::Request,
        Self::Response,
    ];

    /// The role that it is for, in a node that has joined.
    pub(crate) const fn receiver(self) -> Role {
        match self {
            Self::Join
            | Self::Welcome
            | Self::Decision
            | Self::Learn
            | Self::Decisions
            | Self::Request
            | Self::Heartbeat => Role::Replica,
            Self::Probe | Self::ProbeReply | Self::HeartbeatReply | Self::Propose => Role::Leader,
            Self::Prepare | Self::Accept => Role::Acceptor,
            Self::Promise => Role::Scout,
            Self::Accepted => Role::Commander,
            Self::Response => Role::Requester,
        }
    }

    /// Its place in [`MessageKind::ALL`].
    pub const fn index(self) -> usize {
        #[expect(clippy::as_conversions, reason = "a fieldless enum's discriminant")]
        {
            self as usize
        }
    }

    /// Its name in logs: lower case, words joined by underscores.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Welcome => "welcome",
            Self::Probe => "probe",
            Self::ProbeReply => "probe_reply",
            Self::Prepare => "prepare",
            Self::Promise => "promise",
            Self::Accept => "accept",
            Self::Accepted => "accepted",
            Self::Decision => "decision",
            Self::Heartbeat => "heartbeat",
            Self::HeartbeatReply => "heartbeat_reply",
            Self::Propose => "propose",
            Self::Learn => "learn",
            Self::Decisions => "decisions",
            Self::Request => "request",
            Self::Response => "response",
        }
    }
}

impl<M: StateMachine, const PAGE: usize> Message<M, PAGE> {
    /// Which kind of message it is.
    pub const fn kind(&self) -> MessageKind {
        match self {
            Self::Join { .. } => MessageKind::Join,
            Self::Welcome { .. } => MessageKind::Welcome,
            Self::Probe { .. } => MessageKind::Probe,
            Self::ProbeReply { .. } => MessageKind::ProbeReply,
            Self::Prepare { .. } => MessageKind::Prepare,
            Self::Promise { .. } => MessageKind::Promise,
            Self::Accept { .. } => MessageKind::Accept,
            Self::Accepted { .. } => MessageKind::Accepted,
            Self::Decision { .. } => MessageKind::Decision,
            Self::Heartbeat { .. } => MessageKind::Heartbeat,
            Self::HeartbeatReply { .. } => MessageKind::HeartbeatReply,
            Self::Propose { .. } => MessageKind::Propose,
            Self::Learn { .. } => MessageKind::Learn,
            Self::Decisions { .. } => MessageKind::Decisions,
            Self::Request { .. } => MessageKind::Request,
            Self::Response { .. } => MessageKind::Response,
        }
    }
}

/// The largest answer to a registration or request has the size that the budget was made for.
const _: () = {
    use crate::machines::Opaque;
    assert!(
        size_of::<Message<Opaque, 2>>() <= 144,
        "a queue of 256 messages must stay near 45 KB"
    );
    assert!(size_of::<ClientId>() == 8, "a client is a slot");
};
