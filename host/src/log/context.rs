//! Context of a log: state derived from earlier records, from which later ones are annotated.
//!
//! A record is about one event at one node, as the node saw it. A reader wants to know more: which
//! `sent` a `received` belongs to, and why a node probes. That follows from earlier records, and
//! from what the simulation tells about the way of each message.

use std::collections::{BTreeMap, VecDeque};
use synod::{Event, Instant, Message, NodeId, Record, Slot, StateMachine, Way};

/// Annotations of a record: facts that are not in the record itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// The message that the record is about.
    pub id: Option<MessageId>,
    /// Reason why a probe was sent.
    pub reason: Option<ProbeReason>,
}

/// Identifies a message: the `nth` that a node has sent, counted from 0. All its recipients and all its copies share
/// it.
///
/// A message that waits for a disk sync may be extended before it leaves, and an accept may replace a decision. So a
/// received message contains at least what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId {
    /// Sender.
    pub from: NodeId,
    /// Number of messages that it had sent before.
    pub nth: u64,
}

/// Reason why a node probes, that is, asks the others whether they miss their leader as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProbeReason {
    /// The node has not heard of a leader since it started.
    NoLeaderYet,
    /// The node expected to hear of a leader by now, and has not.
    NoLeader,
    /// The node's leader was silent for too long.
    LeaderSilent(NodeId),
    /// A claimant was not heard of as a leader.
    ClaimantSilent(NodeId),
    /// The back-off since the node's last claim is over.
    BackOffOver,
    /// Not all nodes have answered the last probe.
    Again,
}

impl ProbeReason {
    /// Returns the name in JSON: lower case, words joined by underscores.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoLeaderYet => "no_leader_yet",
            Self::NoLeader => "no_leader",
            Self::LeaderSilent(_) => "leader_silent",
            Self::ClaimantSilent(_) => "claimant_silent",
            Self::BackOffOver => "back_off_over",
            Self::Again => "again",
        }
    }

    /// Returns the node that was silent.
    pub const fn silent_node(self) -> Option<NodeId> {
        match self {
            Self::LeaderSilent(silent_node) | Self::ClaimantSilent(silent_node) => {
                Some(silent_node)
            }
            _ => None,
        }
    }

    /// Returns the text before and after the name of the silent node.
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::NoLeaderYet => ("it has heard of no leader yet", ""),
            Self::NoLeader => ("it has heard of no leader for too long", ""),
            Self::LeaderSilent(_) => ("", ", its leader, was silent for too long"),
            Self::ClaimantSilent(_) => ("", " has claimed to lead, and was not heard of since"),
            Self::BackOffOver => ("it has waited for long enough since its last claim", ""),
            Self::Again => ("not all have answered", ""),
        }
    }
}

/// Context of a log.
///
/// It follows each message from its sender to its recipients, since records about one message do
/// not name it.
#[derive(Debug, Default)]
pub(super) struct Context {
    /// What is known of each node that had a record.
    nodes: BTreeMap<NodeId, NodeContext>,
    /// Message of each copy in flight. By the number that the simulation gives to a copy.
    copies: BTreeMap<u64, MessageId>,
    /// The message that left its sender last, or is arriving. Events of the network refer to it.
    present: Option<MessageId>,
}

/// Context of a node.
#[derive(Debug)]
struct NodeContext {
    /// Number of messages sent.
    sent: u64,
    /// Messages that have not left the node, the oldest first.
    waiting: VecDeque<MessageId>,
    /// Reason of a probe that would be sent now.
    reason: ProbeReason,
    /// Round of the last probe.
    probed: Option<u64>,
    /// Last applied slot.
    applied: Slot,
    /// Line of the last received message if it announced a decision, with its time. It is written
    /// only if the node applies a slot at the same time, which is then due to it.
    received: Option<(Instant, Vec<u8>)>,
}

impl NodeContext {
    /// Returns the context of a node that has just started.
    const fn new() -> Self {
        Self {
            sent: 0,
            waiting: VecDeque::new(),
            reason: ProbeReason::NoLeaderYet,
            probed: None,
            applied: Slot::ZERO,
            received: None,
        }
    }

    /// Returns the identity of the next message, which waits until the driver of the node sends it.
    fn send(&mut self, from: NodeId) -> MessageId {
        let id = MessageId {
            from,
            nth: self.sent,
        };
        self.sent += 1;
        self.waiting.push_back(id);
        id
    }

    /// Updates the reason of the next probe. The claim of another node is one, since its claimant
    /// may fail before it leads.
    fn learn<M: StateMachine, const PAGE: usize>(&mut self, record: &Record<'_, M, PAGE>) {
        self.reason = match &record.event {
            Event::Suspected { leader } if *leader == record.node => ProbeReason::NoLeader,
            Event::Suspected { leader } => ProbeReason::LeaderSilent(*leader),
            Event::BackedOff { .. } => ProbeReason::BackOffOver,
            Event::Restarted => ProbeReason::NoLeaderYet,
            Event::Received {
                from,
                message: Message::Prepare { .. },
            } if *from != record.node => ProbeReason::ClaimantSilent(*from),
            _ => self.reason,
        };
    }

    /// Returns the reason of a probe in a round. Only the first probe of a round has one of its
    /// own.
    fn probes(&mut self, round: u64) -> ProbeReason {
        let is_first = self.probed.replace(round) != Some(round);
        if is_first {
            self.reason
        } else {
            ProbeReason::Again
        }
    }
}

impl Context {
    /// Returns the context of a node, which begins with its first record.
    fn node(&mut self, node: NodeId) -> &mut NodeContext {
        self.nodes.entry(node).or_insert_with(NodeContext::new)
    }

    /// Tracks the location of a message. It is called between the records about a message, in the
    /// order of what happens to it.
    pub(super) fn on_way(&mut self, way: Way) {
        match way {
            Way::Leaves { from, overtaken } => {
                self.present = self.node(from).waiting.remove(overtaken);
            }
            Way::Carried { copy } => {
                if let Some(id) = self.present {
                    self.copies.insert(copy, id);
                }
            }
            Way::PutOff { copy, next } => {
                if let Some(id) = self.copies.remove(&copy) {
                    self.copies.insert(next, id);
                }
            }
            Way::Arrives { copy } => self.present = self.copies.remove(&copy),
        }
    }

    /// Updates the context with a record, and returns the annotations of the record.
    pub(super) fn note<M: StateMachine, const PAGE: usize>(
        &mut self,
        record: &Record<'_, M, PAGE>,
    ) -> Annotations {
        let (node, present) = (record.node, self.present);
        let known = self.node(node);
        known.learn(record);
        // A record about a message of another sender than the one on its way is about an earlier
        // message.
        let from = |from: NodeId| present.filter(|id| id.from == from && from != node);
        let id = match &record.event {
            // A node's message to itself never leaves it.
            Event::Sent { to, .. } => (!to.contains(node)).then(|| known.send(node)),
            Event::Received { from: sender, .. } | Event::Ignored { from: sender, .. } => {
                from(*sender)
            }
            Event::Lost { .. } | Event::Duplicated { .. } | Event::Delayed { .. } => {
                present.filter(|id| id.from == node)
            }
            // Messages that have not left the node are lost.
            Event::Killed | Event::Restarted | Event::Fenced | Event::Halted { .. } => {
                known.waiting.clear();
                None
            }
            _ => None,
        };
        let reason = match &record.event {
            Event::Sent {
                message: Message::Probe { ballot },
                ..
            } => Some(known.probes(ballot.round())),
            _ => None,
        };
        Annotations { id, reason }
    }

    /// Returns the first and the last slot that a node applies with this record. A snapshot applies
    /// all slots from the last applied one on.
    pub(super) fn applies<M: StateMachine, const PAGE: usize>(
        &mut self,
        record: &Record<'_, M, PAGE>,
    ) -> Option<(Slot, Slot)> {
        let known = self.node(record.node);
        let last = match &record.event {
            Event::Applied { slot, .. } => *slot,
            Event::Installed { at, .. } => *at,
            _ => return None,
        };
        let first = if matches!(record.event, Event::Applied { .. }) {
            last
        } else {
            known.applied.next().unwrap_or(last)
        };
        known.applied = last;
        Some((first, last))
    }

    /// Keeps the last received message if it announces decisions, as it may decide a slot that is shown.
    pub(super) fn keep_received<M: StateMachine, const PAGE: usize>(
        &mut self,
        record: &Record<'_, M, PAGE>,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let message = match &record.event {
            // A message of a node to itself follows from one that it received.
            Event::Received { from, message } if *from != record.node => message,
            _ => return,
        };
        let brings = matches!(
            message,
            Message::Accept { .. }
                | Message::Decision { .. }
                | Message::Accepted { .. }
                | Message::Heartbeat { .. }
                | Message::Decisions { .. }
                | Message::Welcome { .. }
        );
        self.node(record.node).received = brings.then(|| {
            let mut line = Vec::new();
            write(&mut line);
            (record.at, line)
        });
    }

    /// Discards the last received message after it was shown.
    pub(super) fn forget_received(&mut self, node: NodeId) {
        self.node(node).received = None;
    }

    /// Returns the message due to which a node applies a slot now, if it was not shown. An earlier
    /// message is not the cause, and is dropped.
    pub(super) fn received(&mut self, node: NodeId, now: Instant) -> Option<Vec<u8>> {
        let (at, line) = self.node(node).received.take()?;
        (at == now).then_some(line)
    }
}

/// Returns the client registered by a slot, if any.
pub(super) fn registered<M: StateMachine, const PAGE: usize>(
    event: &Event<'_, M, PAGE>,
) -> Option<(synod::ClientId, Slot)> {
    match event {
        Event::Applied {
            slot,
            outcome: Some(synod::Outcome::Registered { client }),
            ..
        } => Some((*client, *slot)),
        _ => None,
    }
}
