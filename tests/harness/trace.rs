//! What a cluster's nodes traced, kept as owned facts that a test can look for.

use synod::machines::{KvCommand, KvReply};
use synod::simulation::Planned;
use synod::{
    Ballot, Duration, Event, Halt, Instant, MessageKind, NodeId, NodeSet, Outcome, Proposal, Queue,
    Reason, Record, Role, Slot, StateMachine, Tracer,
};

/// A fact with its time and place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) at: Instant,
    pub(crate) node: u16,
    pub(crate) role: Role,
    pub(crate) what: What,
}

/// What happened: an [`Event`] whose messages are cut down to their kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Started,
    Stopped,
    Sent {
        to: NodeSet,
        kind: MessageKind,
    },
    Received {
        from: NodeId,
        kind: MessageKind,
    },
    Lost(MessageKind),
    Ignored {
        from: NodeId,
        kind: MessageKind,
        reason: Reason,
    },
    Suspected(NodeId),
    BackedOff(Duration),
    Adopted {
        ballot: Ballot,
        reproposed: u32,
        noops: u32,
        next_slot: Slot,
    },
    Preempted {
        ballot: Ballot,
        by: Ballot,
    },
    SteppedDown(Ballot),
    Accepting(NodeId),
    Chosen {
        slot: Slot,
        ballot: Ballot,
        proposal: Proposal<KvCommand>,
    },
    Applied {
        slot: Slot,
        proposal: Proposal<KvCommand>,
        outcome: Option<Outcome<KvReply>>,
        chain: u64,
    },
    Installed {
        at: Slot,
        chain: u64,
    },
    Full(Queue),
    Halted(Halt<KvCommand>),
    Fenced,
    Killed,
    Restarted,
    Duplicated(MessageKind),
    Delayed(MessageKind),
    FaultBegan(Planned),
    FaultEnded(Planned),
    Exhausted,
}

/// Every fact of a run, in order.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) facts: Vec<Fact>,
}

impl Log {
    /// How many facts of a node are as asked.
    pub(crate) fn count(&self, node: u16, is: impl Fn(&What) -> bool) -> usize {
        let of_node = self.facts.iter().filter(|fact| fact.node == node);
        of_node.filter(|fact| is(&fact.what)).count()
    }

    /// How many facts of all nodes are as asked.
    pub(crate) fn count_all(&self, is: impl Fn(&What) -> bool) -> usize {
        self.facts.iter().filter(|fact| is(&fact.what)).count()
    }

    /// The last fact of a node that is as asked.
    pub(crate) fn last(&self, node: u16, is: impl Fn(&What) -> bool) -> Option<&Fact> {
        let mut facts = self.facts.iter();
        facts.rfind(|fact| fact.node == node && is(&fact.what))
    }

    /// How often a node sent a kind of message; a broadcast counts once.
    pub(crate) fn sent(&self, node: u16, kind: MessageKind) -> usize {
        self.count(
            node,
            |what| matches!(what, What::Sent { kind: sent, .. } if *sent == kind),
        )
    }

    /// How often a node received a kind of message.
    pub(crate) fn received(&self, node: u16, kind: MessageKind) -> usize {
        self.count(
            node,
            |what| matches!(what, What::Received { kind: received, .. } if *received == kind),
        )
    }

    /// How often a node ignored something for a reason.
    pub(crate) fn ignored(&self, node: u16, reason: Reason) -> usize {
        self.count(
            node,
            |what| matches!(what, What::Ignored { reason: why, .. } if *why == reason),
        )
    }
}

impl<M, const PAGE: usize> Tracer<M, PAGE> for Log
where
    M: StateMachine<Command = KvCommand, Output = KvReply>,
{
    fn record(&mut self, record: &Record<'_, M, PAGE>) {
        let what = match record.event {
            Event::Started => What::Started,
            Event::Stopped => What::Stopped,
            Event::Sent { to, message } => What::Sent {
                to,
                kind: message.kind(),
            },
            Event::Received { from, message } => What::Received {
                from,
                kind: message.kind(),
            },
            Event::Lost { message, .. } => What::Lost(message.kind()),
            Event::Ignored { from, kind, reason } => What::Ignored { from, kind, reason },
            Event::Suspected { leader } => What::Suspected(leader),
            Event::BackedOff { delay } => What::BackedOff(delay),
            Event::Adopted {
                ballot,
                reproposed,
                noops,
                next_slot,
            } => What::Adopted {
                ballot,
                reproposed,
                noops,
                next_slot,
            },
            Event::Preempted { ballot, by } => What::Preempted { ballot, by },
            Event::SteppedDown { ballot } => What::SteppedDown(ballot),
            Event::Accepting { leader } => What::Accepting(leader),
            Event::Chosen {
                slot,
                ballot,
                proposal,
            } => What::Chosen {
                slot,
                ballot,
                proposal: *proposal,
            },
            Event::Applied {
                slot,
                proposal,
                outcome,
                chain,
            } => What::Applied {
                slot,
                proposal: *proposal,
                outcome: outcome.copied(),
                chain,
            },
            Event::Installed { at, chain } => What::Installed { at, chain },
            Event::Full { queue } => What::Full(queue),
            Event::Halted { cause } => What::Halted(*cause),
            Event::Fenced => What::Fenced,
            Event::Killed => What::Killed,
            Event::Restarted => What::Restarted,
            Event::Duplicated { message, .. } => What::Duplicated(message.kind()),
            Event::Delayed { message, .. } => What::Delayed(message.kind()),
            Event::FaultBegan { planned } => What::FaultBegan(planned),
            Event::FaultEnded { planned } => What::FaultEnded(planned),
            Event::Exhausted => What::Exhausted,
        };
        self.facts.push(Fact {
            at: record.at,
            node: record.node.0,
            role: record.role,
            what,
        });
    }
}
