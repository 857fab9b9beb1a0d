//! Explanation of a run: the few facts of its log that a person needs to understand the failure.
//!
//! A log of a failing run has thousands of lines, of which a person needs perhaps twenty: which
//! values were proposed and promised where, who led, which faults struck, and what came of it.
//! Everything that follows from those is left out.

use crate::run::HostTracer;
use std::collections::{BTreeMap, BTreeSet};
use synod::{Ballot, Event, Message, NodeId, Record, Slot, StateMachine, Tracer, Way};

/// Selects the facts that belong to the explanation.
///
/// Selected are messages from other nodes that changed something, the changes themselves, and injected faults. Left out
/// are facts that follow from others: a message sent (it arrives or does not matter), a proposal forwarded (it is
/// accepted), an accept answered (the value is chosen), a probe before a claim (a prepare follows), a question for
/// missing decisions or a snapshot (the answer follows; of a snapshot with many pages, the first page is selected), a
/// repeated accept, an application of a slot that another node has applied with the same result, heartbeats, and
/// ignored messages.
#[derive(Debug, Default)]
pub struct FactFilter {
    /// Accepts that have arrived, by node, ballot and first slot. A repeated one says nothing new.
    accepts: BTreeSet<(NodeId, Ballot, Slot)>,
    /// Digest of the log up to each slot, as of its first application. Another digest for the same
    /// slot is a violation, and is shown.
    applied: BTreeMap<Slot, u64>,
}

impl FactFilter {
    /// True if a fact belongs to the explanation. The method must be called for each fact, in order.
    pub fn is_shown<M: StateMachine, const PAGE: usize>(
        &mut self,
        record: &Record<'_, M, PAGE>,
    ) -> bool {
        match record.event {
            Event::Received {
                message: Message::Accept { ballot, first, .. },
                ..
            } => self.accepts.insert((record.node, *ballot, *first)),
            Event::Received { from, message } => from != record.node && adds_information(message),
            Event::Applied { slot, chain, .. } => {
                *self.applied.entry(slot).or_insert(chain) != chain
            }
            Event::Adopted { .. }
            | Event::Preempted { .. }
            | Event::SteppedDown { .. }
            | Event::Chosen { .. }
            | Event::Installed { .. }
            | Event::Reconfigured { .. }
            | Event::Halted { .. }
            | Event::Exhausted
            | Event::Fenced
            | Event::Killed
            | Event::Restarted
            | Event::FaultBegan { .. }
            | Event::FaultEnded { .. } => true,
            Event::Started
            | Event::Stopped
            | Event::Sent { .. }
            | Event::Lost { .. }
            | Event::Ignored { .. }
            | Event::Suspected { .. }
            | Event::BackedOff { .. }
            | Event::Accepting { .. }
            | Event::Full { .. }
            | Event::Duplicated { .. }
            | Event::Delayed { .. } => false,
        }
    }
}

/// True if the arrival of a message is not implied by another fact.
const fn adds_information<M: StateMachine, const PAGE: usize>(message: &Message<M, PAGE>) -> bool {
    match message {
        Message::Heartbeat { .. }
        | Message::HeartbeatReply { .. }
        | Message::Propose { .. }
        | Message::Probe { .. }
        | Message::ProbeReply { .. }
        | Message::Join { .. }
        | Message::Learn { .. } => false,
        Message::Welcome { page, pages, .. } => *page == 0 && *pages > 1,

        // An accepted without a run is a refusal.
        Message::Accepted { count, .. } => *count == 0,
        _ => true,
    }
}

/// A tracer that passes on only the facts of the explanation.
///
/// The inner tracer is a log with its own filter, which thereby has the format and the colours of
/// any log.
#[derive(Debug)]
pub struct Explanation<T> {
    /// Receives the facts of the explanation.
    tracer: T,
    /// Decides which facts those are. It must be asked about all of them, in order.
    filter: FactFilter,
}

impl<T> Explanation<T> {
    /// Returns a filter in front of a tracer.
    pub fn new(tracer: T) -> Self {
        Self {
            tracer,
            filter: FactFilter::default(),
        }
    }
}

impl<M: StateMachine, T: Tracer<M, PAGE>, const PAGE: usize> Tracer<M, PAGE> for Explanation<T> {
    fn record(&mut self, record: &Record<'_, M, PAGE>) {
        if self.filter.is_shown(record) {
            self.tracer.record(record);
        }
    }

    fn on_way(&mut self, way: Way) {
        self.tracer.on_way(way);
    }
}

impl<T: HostTracer> HostTracer for Explanation<T> {}

/// Counts the lines of an explanation. It is the measure by which runs are compared, so that
/// thousands of them need no text.
#[derive(Debug, Default)]
pub(super) struct LineCount {
    /// Lines so far.
    count: u64,
    filter: FactFilter,
}

impl LineCount {
    /// Returns the number of lines.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }
}

impl<M: StateMachine, const PAGE: usize> Tracer<M, PAGE> for LineCount {
    fn record(&mut self, record: &Record<'_, M, PAGE>) {
        self.count += u64::from(self.filter.is_shown(record));
    }
}

impl HostTracer for LineCount {}
