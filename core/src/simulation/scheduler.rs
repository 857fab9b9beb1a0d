//! What happens next: a fixed heap in the total order of time and sequence.

use crate::{Envelope, Instant, NodeId, StateMachine};
use core::cmp::Ordering;
use core::fmt;
use heapless::binary_heap::{BinaryHeap, Min};

/// What a simulation has in store.
#[derive(Clone, Debug)]
pub enum Happening<M: StateMachine, const PAGE: usize> {
    /// A message arrives.
    Deliver(Envelope<M, PAGE>),
    /// A node's deadline has come.
    Wake(NodeId),
    /// A client does what is next for it.
    Client(u16),
    /// One of the scenario's kills is due.
    Kill(u16),
}

/// A happening with its time. Of two for one instant the one that was scheduled first happens first.
#[derive(Clone, Debug)]
pub struct Scheduled<M: StateMachine, const PAGE: usize> {
    /// When it happens.
    pub at: Instant,
    sequence: u64,
    /// What happens.
    pub happening: Happening<M, PAGE>,
}

impl<M: StateMachine, const PAGE: usize> PartialEq for Scheduled<M, PAGE> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<M: StateMachine, const PAGE: usize> Eq for Scheduled<M, PAGE> {}

impl<M: StateMachine, const PAGE: usize> PartialOrd for Scheduled<M, PAGE> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<M: StateMachine, const PAGE: usize> Ord for Scheduled<M, PAGE> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

/// There was no room for a happening; it was dropped, as a message that is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchedulerFull;

impl fmt::Display for SchedulerFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the scheduler is full; nothing was scheduled")
    }
}

impl core::error::Error for SchedulerFull {}

/// Up to `EVENTS` happenings, in the total order of (time, sequence): no two are ever equal, so that the order does not
/// depend on how the heap is built.
///
/// ```
/// use synod::Instant;
/// use synod::machines::Opaque;
/// use synod::simulation::{Happening, Scheduler};
///
/// let mut scheduler = Scheduler::<Opaque, 2, 3>::new();
/// for (at, client) in [(5, 0), (1, 1), (5, 2)] {
///     scheduler.push(Instant::from_micros(at), Happening::Client(client)).unwrap();
/// }
/// assert!(scheduler.push(Instant::ZERO, Happening::Client(3)).is_err(), "full is a value");
/// let order = core::iter::from_fn(|| scheduler.pop()).map(|next| match next.happening {
///     Happening::Client(client) => client,
///     _ => unreachable!(),
/// });
/// assert_eq!(order.collect::<Vec<_>>(), [1, 0, 2]);
/// ```
#[derive(Clone, Debug)]
pub struct Scheduler<M: StateMachine, const PAGE: usize, const EVENTS: usize> {
    heap: BinaryHeap<Scheduled<M, PAGE>, Min, EVENTS>,
    sequence: u64,
    peak: usize,
}

impl<M: StateMachine, const PAGE: usize, const EVENTS: usize> Default
    for Scheduler<M, PAGE, EVENTS>
{
    fn default() -> Self {
        Self::new()
    }
}

impl<M: StateMachine, const PAGE: usize, const EVENTS: usize> Scheduler<M, PAGE, EVENTS> {
    /// An empty scheduler.
    pub const fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            sequence: 0,
            peak: 0,
        }
    }

    /// Forgets everything in store, and how it came there.
    pub fn clear(&mut self) {
        self.heap.clear();
        self.sequence = 0;
        self.peak = 0;
    }

    /// Schedules a happening.
    ///
    /// # Errors
    ///
    /// [`SchedulerFull`]: there is no room for it, and it will not happen.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub fn push(
        &mut self,
        at: Instant,
        happening: Happening<M, PAGE>,
    ) -> Result<(), SchedulerFull> {
        let sequence = self.sequence;
        match self.heap.push(Scheduled {
            at,
            sequence,
            happening,
        }) {
            Ok(()) => {
                // 2⁶⁴ happenings are more than any run has.
                self.sequence = sequence.wrapping_add(1);
                self.peak = self.peak.max(self.heap.len());
                Ok(())
            }
            Err(_) => Err(SchedulerFull),
        }
    }

    /// Takes the earliest happening.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub fn pop(&mut self) -> Option<Scheduled<M, PAGE>> {
        self.heap.pop()
    }

    /// How many happenings are in store.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing is in store.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// The most that were in store at once, of `EVENTS`.
    pub fn peak(&self) -> usize {
        self.peak
    }
}
