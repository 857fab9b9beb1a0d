//! What a log remembers of the records before one, to say of it what is not in it.

use std::collections::{BTreeMap, VecDeque};
use synod::{Event, Instant, Message, NodeId, Record, Slot, StateMachine, Way};

/// What is said of a record besides what is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// The message that the record is about.
    pub id: Option<MessageId>,
    /// Why a probe went out.
    pub reason: Option<ProbeReason>,
}

/// Which message: the `nth` that a node has sent, counted from 0. All of its recipients and all of its copies share it.
///
/// Where a message waits for a disk before it leaves, it may have grown by then, or an accept may have taken the place of a
/// decision: what arrives says at least what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId {
    /// Its sender.
    pub from: NodeId,
    /// How many it had sent before.
    pub nth: u64,
}

/// Why a node probes: asks the others whether they miss their leader, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProbeReason {
    /// It has heard of no leader since it started.
    NoLeaderYet,
    /// It was to hear of a leader by now, and has heard of none.
    NoLeader,
    /// Its leader was silent for too long.
    LeaderSilent(NodeId),
    /// Somebody has claimed to lead, and was not heard of as a leader.
    ClaimantSilent(NodeId),
    /// It has claimed before, and waited for long enough since.
    BackOffOver,
    /// Not all have answered.
    Again,
}

impl ProbeReason {
    /// Its name for programs: lower case, words joined by underscores.
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

    /// Who was silent.
    pub const fn silent_node(self) -> Option<NodeId> {
        match self {
            Self::LeaderSilent(silent_node) | Self::ClaimantSilent(silent_node) => {
                Some(silent_node)
            }
            _ => None,
        }
    }

    /// In words: what comes before the name of whom it is about, if it is about anybody, and what comes after it.
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

/// What a log remembers.
#[derive(Debug, Default)]
pub(super) struct Context {
    nodes: BTreeMap<NodeId, NodeContext>,
    /// Which message each copy is that is on its way.
    copies: BTreeMap<u64, MessageId>,
    /// The message that has left its sender last, or arrives: what the network does is done to it.
    present: Option<MessageId>,
}

/// What is known of a node.
#[derive(Debug)]
struct NodeContext {
    /// How many messages it has sent.
    sent: u64,
    /// Those that have not left it.
    waiting: VecDeque<MessageId>,
    /// Why it would probe now.
    reason: ProbeReason,
    /// The round of its last probe.
    probed: Option<u64>,
    /// Up to where it has applied the log.
    applied: Slot,
    /// What it has received last, in words, where it said that something is decided, and when.
    received: Option<(Instant, Vec<u8>)>,
}

impl NodeContext {
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

    fn send(&mut self, from: NodeId) -> MessageId {
        let id = MessageId {
            from,
            nth: self.sent,
        };
        self.sent += 1;
        self.waiting.push_back(id);
        id
    }

    /// Takes note of what makes it probe.
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
    fn node(&mut self, node: NodeId) -> &mut NodeContext {
        self.nodes.entry(node).or_insert_with(NodeContext::new)
    }

    /// Takes note of where a message is.
    pub(super) fn on_way(&mut self, way: Way) {
        match way {
            Way::Leaves { from } => self.present = self.node(from).waiting.pop_front(),
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

    /// Takes note of a record, and says what is to be said of it.
    pub(super) fn note<M: StateMachine, const PAGE: usize>(
        &mut self,
        record: &Record<'_, M, PAGE>,
    ) -> Annotations {
        let (node, present) = (record.node, self.present);
        let known = self.node(node);
        known.learn(record);
        let from = |from: NodeId| present.filter(|id| id.from == from && from != node);
        let id = match &record.event {
            // What it tells itself never leaves it.
            Event::Sent { to, .. } => (!to.contains(node)).then(|| known.send(node)),
            Event::Received { from: sender, .. } | Event::Ignored { from: sender, .. } => {
                from(*sender)
            }
            Event::Lost { .. } | Event::Duplicated { .. } | Event::Delayed { .. } => {
                present.filter(|id| id.from == node)
            }
            // What has not left it never will.
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

    /// The slots that a node applies with this record, from the first to the last.
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

    /// Keeps what a node has received last, if it says that something is decided: it may bring a slot that is asked for.
    pub(super) fn keep_received<M: StateMachine, const PAGE: usize>(
        &mut self,
        record: &Record<'_, M, PAGE>,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let message = match &record.event {
            // What a node tells itself comes of what it has received.
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

    /// Forgets what a node has received last, as it was shown.
    pub(super) fn forget_received(&mut self, node: NodeId) {
        self.node(node).received = None;
    }

    /// What has brought what a node applies now, if it was not shown.
    pub(super) fn received(&mut self, node: NodeId, now: Instant) -> Option<Vec<u8>> {
        let (at, line) = self.node(node).received.take()?;
        (at == now).then_some(line)
    }
}

/// The client that a slot has registered, if it has.
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
