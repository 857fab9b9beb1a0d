//! The trace of a cluster as owned events, for tests to search.

use synod::machines::{KvCommand, KvReply};
use synod::simulation::Planned;
use synod::{
    Ballot, Duration, Epoch, Event, Halt, Instant, MessageKind, NodeId, NodeSet, Outcome, Proposal,
    Queue, Reason, Record, Role, Slot, StateMachine, Tracer,
};

/// An event with its time, node and role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TracedEvent {
    pub(crate) at: Instant,
    pub(crate) node: u16,
    pub(crate) role: Role,
    pub(crate) event: EventKind,
}

/// An owned [`Event`], in which messages are reduced to their kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
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
    Reconfigured {
        epoch: Epoch,
        members: NodeSet,
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

/// All events of a run, in order.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) events: Vec<TracedEvent>,
}

impl Trace {
    /// Returns the number of events of a node that match.
    pub(crate) fn count(&self, node: u16, is: impl Fn(&EventKind) -> bool) -> usize {
        let of_node = self.events.iter().filter(|traced| traced.node == node);
        of_node.filter(|traced| is(&traced.event)).count()
    }

    /// Returns the number of events of all nodes that match.
    pub(crate) fn count_all(&self, is: impl Fn(&EventKind) -> bool) -> usize {
        self.events
            .iter()
            .filter(|traced| is(&traced.event))
            .count()
    }

    /// Returns the last event of a node that matches.
    pub(crate) fn last(&self, node: u16, is: impl Fn(&EventKind) -> bool) -> Option<&TracedEvent> {
        let mut events = self.events.iter();
        events.rfind(|traced| traced.node == node && is(&traced.event))
    }

    /// Returns how often a node sent a kind of message; a broadcast counts once.
    pub(crate) fn sent(&self, node: u16, kind: MessageKind) -> usize {
        self.count(
            node,
            |event| matches!(event, EventKind::Sent { kind: sent, .. } if *sent == kind),
        )
    }

    /// Returns how often a node received a kind of message.
    pub(crate) fn received(&self, node: u16, kind: MessageKind) -> usize {
        self.count(
            node,
            |event| matches!(event, EventKind::Received { kind: received, .. } if *received == kind),
        )
    }

    /// Returns how often a node ignored a message for a reason.
    pub(crate) fn ignored(&self, node: u16, reason: Reason) -> usize {
        self.count(
            node,
            |event| matches!(event, EventKind::Ignored { reason: why, .. } if *why == reason),
        )
    }
}

impl<M, const PAGE: usize> Tracer<M, PAGE> for Trace
where
    M: StateMachine<Command = KvCommand, Output = KvReply>,
{
    fn record(&mut self, record: &Record<'_, M, PAGE>) {
        let event = match record.event {
            Event::Started => EventKind::Started,
            Event::Stopped => EventKind::Stopped,
            Event::Sent { to, message } => EventKind::Sent {
                to,
                kind: message.kind(),
            },
            Event::Received { from, message } => EventKind::Received {
                from,
                kind: message.kind(),
            },
            Event::Lost { message, .. } => EventKind::Lost(message.kind()),
            Event::Ignored { from, kind, reason } => EventKind::Ignored { from, kind, reason },
            Event::Reconfigured { epoch, members } => EventKind::Reconfigured { epoch, members },
            Event::Suspected { leader } => EventKind::Suspected(leader),
            Event::BackedOff { delay } => EventKind::BackedOff(delay),
            Event::Adopted {
                ballot,
                reproposed,
                noops,
                next_slot,
            } => EventKind::Adopted {
                ballot,
                reproposed,
                noops,
                next_slot,
            },
            Event::Preempted { ballot, by } => EventKind::Preempted { ballot, by },
            Event::SteppedDown { ballot } => EventKind::SteppedDown(ballot),
            Event::Accepting { leader } => EventKind::Accepting(leader),
            Event::Chosen {
                slot,
                ballot,
                proposal,
            } => EventKind::Chosen {
                slot,
                ballot,
                proposal: *proposal,
            },
            Event::Applied {
                slot,
                proposal,
                outcome,
                chain,
            } => EventKind::Applied {
                slot,
                proposal: *proposal,
                outcome: outcome.copied(),
                chain,
            },
            Event::Installed { at, chain } => EventKind::Installed { at, chain },
            Event::Full { queue } => EventKind::Full(queue),
            Event::Halted { cause } => EventKind::Halted(*cause),
            Event::Fenced => EventKind::Fenced,
            Event::Killed => EventKind::Killed,
            Event::Restarted => EventKind::Restarted,
            Event::Duplicated { message, .. } => EventKind::Duplicated(message.kind()),
            Event::Delayed { message, .. } => EventKind::Delayed(message.kind()),
            Event::FaultBegan { planned } => EventKind::FaultBegan(planned),
            Event::FaultEnded { planned } => EventKind::FaultEnded(planned),
            Event::Exhausted => EventKind::Exhausted,
        };
        self.events.push(TracedEvent {
            at: record.at,
            node: record.node.0,
            role: record.role,
            event,
        });
    }
}
