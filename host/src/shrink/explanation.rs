//! The story of a run: the few facts of its log that a person needs to follow what went wrong.

use std::collections::{BTreeMap, BTreeSet};
use synod::{Ballot, Event, Message, NodeId, Record, Slot, StateMachine, Tracer, Way};

/// Tells which facts belong to the story.
///
/// It is told what arrived from another node and changed something there, what that was, and what was done to the cluster.
/// It is not told what shows anyway: that something was sent (it arrives, or is of no account), was on its way to be
/// proposed (it is accepted), or was accepted (it is chosen then); that somebody asked before it claimed (it prepares), or
/// asked for what it misses (that comes), or fetched a snapshot (it installs it, unless that takes many pages: then it is told when they begin to come); that an
/// accept came once more; that a node applied what another one had applied before it; signs of life, and what was ignored.
#[derive(Debug, Default)]
pub struct FactFilter {
    /// Which accepts have arrived where: by node, ballot and first slot.
    accepts: BTreeSet<(NodeId, Ballot, Slot)>,
    /// What came of each slot where it was applied first.
    applied: BTreeMap<Slot, u64>,
}

impl FactFilter {
    /// Whether a fact belongs to the story. It must be asked about each, in their order.
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

/// Whether that a message arrived says something that no other fact does.
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

        // One without a run is a refusal.
        Message::Accepted { count, .. } => *count == 0,
        _ => true,
    }
}

/// Hands on only what belongs to the story.
#[derive(Debug)]
pub struct Explanation<T> {
    tracer: T,
    filter: FactFilter,
}

impl<T> Explanation<T> {
    /// A story for a tracer.
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

/// Counts the lines of a story.
#[derive(Debug, Default)]
pub(super) struct LineCount {
    count: u64,
    filter: FactFilter,
}

impl LineCount {
    pub(super) const fn count(&self) -> u64 {
        self.count
    }
}

impl<M: StateMachine, const PAGE: usize> Tracer<M, PAGE> for LineCount {
    fn record(&mut self, record: &Record<'_, M, PAGE>) {
        self.count += u64::from(self.filter.is_shown(record));
    }
}
