//! Messages between nodes: types only, without behaviour.
//!
//! A reply carries the ballot that it answers, so that its receiver can drop it unless it belongs to the current
//! ballot. A refusal is a reply whose `promised` is above that ballot; it has no message kind of its own.

use crate::{
    Ballot, ClientId, Entry, NodeId, Outcome, Proposal, RequestKey, Role, SNAPSHOT_PAGE, Slot,
    StateMachine,
};
use heapless::Vec;

/// The entries of one promise: at most `PAGE`.
pub type Entries<M, const PAGE: usize> = Vec<Entry<<M as StateMachine>::Command>, PAGE, u8>;

/// Proposals for consecutive slots: at most `PAGE`.
pub type Proposals<M, const PAGE: usize> = Vec<Proposal<<M as StateMachine>::Command>, PAGE, u8>;

/// The id of a snapshot: its last slot and a digest of all its pages. All pages of a transfer have the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SnapshotId {
    /// The last slot that is applied in it.
    pub at: Slot,
    /// The digest of its pages.
    pub digest: u64,
}

/// A message from one node to another, for a state machine `M` and pages of `PAGE` entries.
///
/// With a command of 16 bytes and a `PAGE` of 2 it takes at most 144 bytes, so a queue of 256 takes about 45 KB.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Message<M: StateMachine, const PAGE: usize> {
    /// Requests pages of a snapshot, in order to join or to catch up.
    Join {
        /// The snapshot that is being fetched; `None` requests the first page of any snapshot.
        snapshot: Option<SnapshotId>,
        /// The index of the first page, from 0. Without a snapshot, any other value than 0 tells a founder not to count
        /// the sender towards its quorum, as it does not vote.
        page: u32,
        /// The number of consecutive pages, from 1: as many [`Message::Welcome`] answer it, or fewer at the end of the
        /// snapshot. Not used without a snapshot.
        count: u8,
    },
    /// One page of a snapshot.
    Welcome {
        /// The snapshot that the page belongs to.
        snapshot: SnapshotId,
        /// The index of the page, from 0.
        page: u32,
        /// The number of pages.
        pages: u32,
        /// The page.
        bytes: Vec<u8, SNAPSHOT_PAGE, u8>,
    },
    /// Asks whether a ballot would be promised, before it is claimed. Changes nothing.
    Probe {
        /// The ballot that would be claimed.
        ballot: Ballot,
    },
    /// Answers a [`Message::Probe`].
    ProbeReply {
        /// The ballot of the probe.
        ballot: Ballot,
        /// True if the node would promise it, since it hears no leader either.
        granted: bool,
        /// The highest ballot that the node has seen.
        highest: Ballot,
    },
    /// Phase 1a: claims a ballot, and requests the accepted entries from a slot on. Repeated with a later slot, it
    /// requests the next page.
    #[doc(alias = "p1a")]
    #[doc(alias = "1a")]
    Prepare {
        /// The ballot that is claimed.
        ballot: Ballot,
        /// The first slot of the page.
        from: Slot,
    },
    /// Phase 1b: promises to accept nothing below a ballot, with one page of accepted entries; or refuses.
    #[doc(alias = "p1b")]
    #[doc(alias = "1b")]
    Promise {
        /// The ballot of the [`Message::Prepare`] that this answers.
        ballot: Ballot,
        /// The ballot that the acceptor has promised: the same, or a higher one in a refusal.
        promised: Ballot,
        /// The first slot of the page, as requested.
        from: Slot,
        /// The slot up to which the acceptor's node has applied everything. Its votes up to there are no longer
        /// reported.
        low_water: Slot,
        /// True for the last page; only then does the promise count.
        last: bool,
        /// Accepted entries, in rising order of slots. The next page starts after the last of them.
        entries: Entries<M, PAGE>,
    },
    /// Phase 2a: asks acceptors to accept proposals for consecutive slots.
    #[doc(alias = "p2a")]
    #[doc(alias = "2a")]
    Accept {
        /// The leader's ballot.
        ballot: Ballot,
        /// The slot of the first proposal; the others follow without a gap.
        first: Slot,
        /// The slot up to which the log is decided.
        decided: Slot,
        /// The proposals.
        proposals: Proposals<M, PAGE>,
    },
    /// Phase 2b: names the consecutive slots that were accepted; or refuses; or, with a `count` of 0, says that the
    /// acceptor has no room yet.
    #[doc(alias = "p2b")]
    #[doc(alias = "2b")]
    Accepted {
        /// The ballot of the [`Message::Accept`] that this answers.
        ballot: Ballot,
        /// The ballot that the acceptor has promised: the same, or a higher one in a refusal.
        promised: Ballot,
        /// The first slot.
        first: Slot,
        /// The number of slots.
        count: u32,
        /// The slot up to which the acceptor's node has applied everything. It accepts nothing up to there.
        low_water: Slot,
    },
    /// Announces that a prefix of the log is decided.
    Decision {
        /// The leader's ballot.
        ballot: Ballot,
        /// The slot up to which the log is decided.
        decided: Slot,
    },
    /// The periodic message of a leader.
    Heartbeat {
        /// The leader's ballot.
        ballot: Ballot,
        /// The slot up to which the log is decided.
        decided: Slot,
        /// The leader's [`Node::chain`](crate::Node::chain) at `decided`. A node with a different chain at that slot
        /// has applied another history, and halts (rule N3).
        chain: u64,
    },
    /// Answers a [`Message::Heartbeat`], so that a leader knows that it still reaches a quorum, and who has caught up.
    HeartbeatReply {
        /// The ballot of the heartbeat.
        ballot: Ballot,
        /// The slot up to which the node has applied everything (rule V8).
        applied: Slot,
    },
    /// Passes a client's request to the leader.
    Propose {
        /// The proposal.
        proposal: Proposal<M::Command>,
        /// True if it was sent before. The leader then looks for it among the slots in flight.
        retry: bool,
    },
    /// Requests decisions from a slot on.
    Learn {
        /// The first slot that is missing.
        from: Slot,
    },
    /// Decisions for consecutive slots.
    Decisions {
        /// The slot of the first decision; the others follow without a gap.
        first: Slot,
        /// The slot up to which the sender has applied the log.
        applied: Slot,
        /// The decided proposals.
        proposals: Proposals<M, PAGE>,
    },
    /// A client's request, from a requester to a replica.
    Request {
        /// A registration or a request; never a no-op.
        proposal: Proposal<M::Command>,
    },
    /// The answer to a [`Message::Request`].
    Response {
        /// The request that is answered.
        key: RequestKey,
        /// [`Proposal::fingerprint`] of the request. A requester that waits under the same key for another command
        /// ignores the answer (rule X1).
        fingerprint: u32,
        /// The outcome of the request.
        outcome: Outcome<M::Output>,
    },
    /// Answers a message of an earlier epoch than the node's own: the epoch has ended, and its end can be fetched here
    /// (rule V7).
    Superseded {
        /// The ballot of the message that this answers.
        ballot: Ballot,
        /// The slot up to which the node has applied everything.
        applied: Slot,
    },
    /// Asks a member whether it still follows this leader, for those who read (rule Q2).
    Confirm {
        /// The leader's ballot.
        ballot: Ballot,
        /// The number of the leader's round, from 1.
        round: u32,
    },
    /// Answers a [`Message::Confirm`]: no higher ballot is promised.
    Confirmed {
        /// The ballot of the round.
        ballot: Ballot,
        /// The number of the round.
        round: u32,
    },
    /// Asks the leader up to where the log is decided, in order to read (rules Q2 to Q5).
    ReadIndex {
        /// Names the question: the nonce of the newest read that it covers.
        nonce: u64,
        /// The node that reads, which the leader answers. It need not be the sender: a follower passes a question on.
        reader: NodeId,
    },
    /// Answers a [`Message::ReadIndex`].
    ReadIndexReply {
        /// The nonce of the question.
        nonce: u64,
        /// The slot that the node has to apply before it looks into its state.
        index: Slot,
    },
}

/// A message with its sender and its recipient.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Envelope<M: StateMachine, const PAGE: usize> {
    /// The [fingerprint](crate::Node::fingerprint_of) of the sender's cluster. A node ignores messages of other
    /// clusters.
    pub cluster: u32,
    /// The sender.
    pub from: NodeId,
    /// The recipient.
    pub to: NodeId,
    /// The message.
    pub message: Message<M, PAGE>,
}

/// The kind of a [`Message`], for counters and filters.
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
    Superseded,
    Confirm,
    Confirmed,
    ReadIndex,
    ReadIndexReply,
}

impl MessageKind {
    /// All kinds, in the order of the variants.
    pub const ALL: [Self; 21] = [
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
        Self::Superseded,
        Self::Confirm,
        Self::Confirmed,
        Self::ReadIndex,
        Self::ReadIndexReply,
    ];

    /// Returns the role that handles this kind, in a node that has joined.
    pub(crate) const fn receiver(self) -> Role {
        match self {
            Self::Join
            | Self::Welcome
            | Self::Decision
            | Self::Learn
            | Self::Decisions
            | Self::Request
            | Self::Superseded
            | Self::Confirm
            | Self::ReadIndexReply
            | Self::Heartbeat => Role::Replica,
            Self::Probe
            | Self::ProbeReply
            | Self::HeartbeatReply
            | Self::Propose
            | Self::Confirmed
            | Self::ReadIndex => Role::Leader,
            Self::Prepare | Self::Accept => Role::Acceptor,
            Self::Promise => Role::Scout,
            Self::Accepted => Role::Commander,
            Self::Response => Role::Requester,
        }
    }

    /// Returns the index in [`MessageKind::ALL`].
    pub const fn index(self) -> usize {
        #[expect(clippy::as_conversions, reason = "a fieldless enum's discriminant")]
        {
            self as usize
        }
    }

    /// Returns the name in logs: lower case, words joined by underscores.
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
            Self::Superseded => "superseded",
            Self::Confirm => "confirm",
            Self::Confirmed => "confirmed",
            Self::ReadIndex => "read_index",
            Self::ReadIndexReply => "read_index_reply",
        }
    }
}

impl<M: StateMachine, const PAGE: usize> Message<M, PAGE> {
    /// True if the message may leave before the writes of the same outbox are durable (rule D1).
    ///
    /// That holds for what only a leader says: accepts, decisions and heartbeats. They claim two things, the ballot, and
    /// up to where the log is decided, and both rest on writes of earlier turns. The leader's promise of its ballot was
    /// durable before the prepare left, and so before any answer could elect it. Each slot up to the mark was chosen with
    /// votes of others, who answered accepts of an earlier turn; the leader's own votes for these slots were written in
    /// that turn as well. Its votes for the slots of an accept itself are counted by nobody else: a leader that loses
    /// them with its power has lost votes that it never told of.
    pub const fn is_early(&self) -> bool {
        matches!(
            self,
            Self::Accept { .. } | Self::Decision { .. } | Self::Heartbeat { .. }
        )
    }

    /// True if a node takes the message before it has joined: a founder counts who wants to join, a joining node takes
    /// the state, and both may have passed on a request of a client, which is answered by a response.
    pub(crate) const fn may_precede_joining(&self) -> bool {
        matches!(
            self,
            Self::Join { .. } | Self::Welcome { .. } | Self::Response { .. }
        )
    }

    /// Returns the kind of the message.
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
            Self::Superseded { .. } => MessageKind::Superseded,
            Self::Confirm { .. } => MessageKind::Confirm,
            Self::Confirmed { .. } => MessageKind::Confirmed,
            Self::ReadIndex { .. } => MessageKind::ReadIndex,
            Self::ReadIndexReply { .. } => MessageKind::ReadIndexReply,
        }
    }

    /// Returns the ballot of a message that only its owner sends: a claim of it, or what a leader says under it.
    pub(crate) const fn claimed(&self) -> Option<Ballot> {
        match self {
            Self::Probe { ballot }
            | Self::Prepare { ballot, .. }
            | Self::Accept { ballot, .. }
            | Self::Decision { ballot, .. }
            | Self::Heartbeat { ballot, .. }
            | Self::Confirm { ballot, .. } => Some(*ballot),
            _ => None,
        }
    }

    /// Returns the ballot of a message that a node sends only as a member of the ballot's epoch (rules V1 and V6): a claim,
    /// what a leader says, or what is counted towards a quorum.
    ///
    /// ```
    /// use synod::machines::Kv;
    /// use synod::{Ballot, Message, NodeId, Slot};
    ///
    /// let ballot = Ballot::new(1, NodeId(0));
    /// let prepare = Message::<Kv<4>, 2>::Prepare { ballot, from: Slot::FIRST };
    /// assert_eq!(prepare.ballot_of_member(), Some(ballot));
    /// // Any node asks for decisions, and a learner answers heartbeats as well.
    /// assert_eq!(Message::<Kv<4>, 2>::Learn { from: Slot::FIRST }.ballot_of_member(), None);
    /// ```
    pub const fn ballot_of_member(&self) -> Option<Ballot> {
        match self {
            Self::Promise { ballot, .. }
            | Self::Accepted { ballot, .. }
            | Self::ProbeReply { ballot, .. }
            | Self::Confirmed { ballot, .. } => Some(*ballot),
            _ => self.claimed(),
        }
    }

    /// True for an answer that counts towards a quorum, or tells how a member stands.
    pub(crate) const fn is_counted(&self) -> bool {
        matches!(
            self,
            Self::ProbeReply { .. }
                | Self::Promise { .. }
                | Self::Accepted { .. }
                | Self::Confirmed { .. }
        )
    }
}

/// Asserts the size of the largest answer, for which the memory budget of messages was made.
const _: () = {
    use crate::machines::Opaque;
    assert!(
        size_of::<Message<Opaque, 2>>() <= 144,
        "a queue of 256 messages must stay near 45 KB"
    );
    assert!(size_of::<ClientId>() == 8, "a client is a slot");
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machines::Opaque;

    /// A promise and a vote rest on the write beside them, and so does a claim: only what a leader says may leave before.
    #[test]
    fn d1_only_accepts_decisions_and_heartbeats_are_early() {
        let ballot = Ballot::new(1, NodeId(0));
        let slot = Slot::FIRST;
        let early: [Message<Opaque, 2>; 3] = [
            Message::Accept {
                ballot,
                first: slot,
                decided: Slot::ZERO,
                proposals: Vec::new(),
            },
            Message::Decision {
                ballot,
                decided: slot,
            },
            Message::Heartbeat {
                ballot,
                decided: slot,
                chain: 0,
            },
        ];
        let late: [Message<Opaque, 2>; 6] = [
            Message::Prepare { ballot, from: slot },
            Message::Promise {
                ballot,
                promised: ballot,
                from: slot,
                low_water: Slot::ZERO,
                last: true,
                entries: Vec::new(),
            },
            Message::Accepted {
                ballot,
                promised: ballot,
                first: slot,
                count: 1,
                low_water: Slot::ZERO,
            },
            Message::Decisions {
                first: slot,
                applied: slot,
                proposals: Vec::new(),
            },
            Message::HeartbeatReply {
                ballot,
                applied: slot,
            },
            Message::Learn { from: slot },
        ];
        assert!(early.iter().all(Message::is_early));
        assert!(!late.iter().any(Message::is_early));
    }
}
