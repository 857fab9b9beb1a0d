//! Output of a node that is held back until the writes that it rests on are durable.
//!
//! Two batches are enough. One is covered by the sync that is under way and cannot change any more; the other takes the
//! steps since. When the sync is done, the first is dispatched and cleared, and the two change places. A third could
//! only hold what the second has room for.

use super::capacities::{Capacity, List};
use super::observer::{NodeProgress, StepBoundary};
use crate::{AnyOutbox, Instant, StateMachine};

/// The pending output of a node: a batch that the current sync covers, and one that is gathered meanwhile.
#[derive(Clone, Debug)]
pub struct PendingOutput<O: Capacity, M: StateMachine, const PAGE: usize> {
    /// They change places with each sync, as an outbox is too large to be moved.
    batches: [Batch<O, M, PAGE>; 2],
    /// Whether the second of the two batches is the one that is gathered.
    is_second: bool,
    /// When the current sync is done, or gathering ends; [`Instant::FAR_FUTURE`] if neither is going on.
    pub(super) until: Instant,
    /// Whether the driver gathers steps before it empties the outbox, and no sync is going on.
    pub(super) is_gathering: bool,
    /// Whether the driver sends early messages while it makes writes durable, and the node takes no input meanwhile.
    pub(super) sends_early: bool,
    /// The number of messages that left early in this run.
    pub(super) early: u64,
}

/// Steps of a node whose output is dispatched together.
#[derive(Clone, Debug)]
pub(super) struct Batch<O: Capacity, M: StateMachine, const PAGE: usize> {
    pub(super) outbox: O::Outbox<M, PAGE>,
    /// The boundaries between the steps in the outbox. Each has at least one more write or message than the one before. A node
    /// that does not vote also takes writes back, and so may have too many of them; they are cleared before anybody looks.
    pub(super) boundaries: StepBoundaries<O>,
    /// The progress of the node after the last of the steps.
    pub(super) progress: NodeProgress,
    /// When the first of the steps was taken.
    pub(super) began: Instant,
    /// Whether the messages that need not wait for the writes have left.
    pub(super) early_left: bool,
    /// The number of replies that were handed out before the writes were durable.
    pub(super) early_replies: usize,
}

/// The boundaries between steps: up to two for each place of an outbox, as each step adds a write or a message.
///
/// They are stored in pairs, since the language cannot double a capacity that is a type.
#[derive(Clone, Debug)]
pub(super) struct StepBoundaries<O: Capacity> {
    pairs: O::List<[StepBoundary; 2]>,
    /// Whether the second of the last pair is not used yet.
    is_odd: bool,
}

impl<O: Capacity> StepBoundaries<O> {
    fn new() -> Self {
        Self {
            pairs: List::new(),
            is_odd: false,
        }
    }

    /// The boundaries in the order of the steps.
    pub(super) fn as_slice(&self) -> &[StepBoundary] {
        let all = self.pairs.as_flattened();
        // No underflow: only a push makes it odd, and there is a pair from then on.
        debug_assert!(
            !self.is_odd || !all.is_empty(),
            "half of a pair is free, and there is no pair"
        );
        let len = all.len() - usize::from(self.is_odd);
        all.get(..len).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    fn push(&mut self, boundary: StepBoundary) {
        if self.is_odd
            && let Some([_, second]) = self.pairs.last_mut()
        {
            *second = boundary;
            self.is_odd = false;
        } else {
            // There is room, unless the node does not vote: each boundary has a write or a message more than the last.
            self.is_odd = self.pairs.push([boundary; 2]).is_ok();
        }
    }

    pub(super) fn clear(&mut self) {
        self.pairs.clear();
        self.is_odd = false;
    }
}

impl<O: Capacity, M: StateMachine, const PAGE: usize> Batch<O, M, PAGE> {
    fn new() -> Self {
        Self {
            outbox: AnyOutbox::new(),
            boundaries: StepBoundaries::new(),
            progress: NodeProgress::NONE,
            began: Instant::ZERO,
            early_left: false,
            early_replies: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        self.outbox.clear();
        self.boundaries.clear();
        self.early_left = false;
        self.early_replies = 0;
    }
}

impl<O: Capacity, M: StateMachine, const PAGE: usize> PendingOutput<O, M, PAGE> {
    /// No pending output.
    pub(super) fn new() -> Self {
        Self {
            batches: [Batch::new(), Batch::new()],
            is_second: false,
            until: Instant::FAR_FUTURE,
            is_gathering: false,
            sends_early: false,
            early: 0,
        }
    }

    /// Whether a sync is going on. Gathering has a time as well, and is none.
    pub(super) const fn is_syncing(&self) -> bool {
        self.until.as_micros() < Instant::FAR_FUTURE.as_micros() && !self.is_gathering
    }

    /// Begins to gather the output of steps until a time.
    pub(super) fn gather(&mut self, until: Instant) {
        debug_assert!(
            self.until == Instant::FAR_FUTURE && !self.is_gathering,
            "the driver gathers while a sync is going on, or gathers already"
        );
        self.until = until;
        self.is_gathering = true;
    }

    /// Ends gathering; returns whether it was going on.
    pub(super) fn end_gathering(&mut self) -> bool {
        if self.is_gathering {
            self.until = Instant::FAR_FUTURE;
        }
        core::mem::take(&mut self.is_gathering)
    }

    /// The batch that the latest sync covers, or else the one that steps are added to.
    pub(super) const fn batch(&self, covered: bool) -> &Batch<O, M, PAGE> {
        let [one, other] = &self.batches;
        if covered == self.is_second {
            one
        } else {
            other
        }
    }

    /// The same, to change it.
    pub(super) const fn batch_mut(&mut self, covered: bool) -> &mut Batch<O, M, PAGE> {
        let [one, other] = &mut self.batches;
        if covered == self.is_second {
            one
        } else {
            other
        }
    }

    /// Begins a step, whose output is appended to what is gathered. A step that adds nothing leaves no boundary, and
    /// the very first one has none before it.
    pub(super) fn begin_step(&mut self, now: Instant) -> &mut O::Outbox<M, PAGE> {
        let Batch {
            outbox,
            boundaries,
            began,
            ..
        } = self.batch_mut(false);
        if outbox.is_empty() {
            *began = now;
        }
        let boundary = StepBoundary {
            writes: outbox.writes().len(),
            messages: outbox.messages().len(),
        };
        if boundary != StepBoundary::default() && boundaries.as_slice().last() != Some(&boundary) {
            boundaries.push(boundary);
        }
        outbox
    }

    /// Begins a sync that covers all that is gathered.
    pub(super) fn begin_sync(&mut self, until: Instant) {
        debug_assert!(
            self.until == Instant::FAR_FUTURE && !self.is_gathering,
            "a sync begins while another is going on"
        );
        debug_assert!(
            self.batch(true).outbox.is_empty(),
            "output that the last sync has covered would count as gathered"
        );
        self.is_second = !self.is_second;
        self.until = until;
        debug_assert!(
            self.is_syncing(),
            "a sync that never ends would keep its output for ever"
        );
    }

    /// Discards all pending output, as the node has lost power or has halted. Its peaks stay.
    pub(super) fn discard(&mut self) {
        for batch in &mut self.batches {
            batch.clear();
        }
        (self.until, self.is_gathering) = (Instant::FAR_FUTURE, false);
        debug_assert!(
            self.batches.iter().all(|batch| batch.outbox.is_empty()) && !self.is_syncing(),
            "what was not durable leaves a node that has lost its power (D1)"
        );
    }

    /// Discards all pending output and the peaks, for the next run.
    pub(super) fn reset(&mut self) {
        for batch in &mut self.batches {
            batch.outbox.reset();
            batch.clear();
        }
        (self.until, self.is_gathering) = (Instant::FAR_FUTURE, false);
        self.early = 0;
    }

    /// The high-water mark of the two outboxes.
    pub(super) fn peak(&self) -> usize {
        let [one, other] = &self.batches;
        one.outbox.peak().max(other.outbox.peak())
    }
}
