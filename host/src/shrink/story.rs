//! The story of a run: the few facts of its log that a person needs to follow what went wrong.

use synod::{Event, MessageKind, Record, StateMachine, Tracer};

/// Whether a fact belongs to the story: what arrived from another node, what it changed, and what was done to the cluster.
/// That something was sent shows where it arrives, and signs of life and what was ignored tell nothing.
pub fn is_told<M: StateMachine, const PAGE: usize>(record: &Record<'_, M, PAGE>) -> bool {
    match record.event {
        Event::Received { from, message } => {
            from != record.node
                && !matches!(
                    message.kind(),
                    MessageKind::Heartbeat | MessageKind::HeartbeatReply
                )
        }
        Event::Adopted { .. }
        | Event::Preempted { .. }
        | Event::SteppedDown { .. }
        | Event::Chosen { .. }
        | Event::Applied { .. }
        | Event::Installed { .. }
        | Event::Halted { .. }
        | Event::Exhausted
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

/// Hands on only what belongs to the story.
#[derive(Debug)]
pub struct Story<T>(pub T);

impl<M: StateMachine, T: Tracer<M, PAGE>, const PAGE: usize> Tracer<M, PAGE> for Story<T> {
    fn record(&mut self, record: &Record<'_, M, PAGE>) {
        if is_told(record) {
            self.0.record(record);
        }
    }
}

/// Counts the lines of a story.
#[derive(Debug, Default)]
pub(super) struct Lines(u64);

impl Lines {
    pub(super) const fn count(&self) -> u64 {
        self.0
    }
}

impl<M: StateMachine, const PAGE: usize> Tracer<M, PAGE> for Lines {
    fn record(&mut self, record: &Record<'_, M, PAGE>) {
        self.0 += u64::from(is_told(record));
    }
}
