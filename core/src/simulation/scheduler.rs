//! The event queue: a heap of fixed capacity in the total order of time and sequence number.
//!
//! The order of events is the whole of the determinism of a simulation, and so it is total: by time, and within an
//! instant by the order of scheduling. Heaps do not keep the order of equals, and here no two are equal.

use crate::{Envelope, Instant, NodeId, StateMachine};
use core::cmp::Ordering;
use core::fmt;
use heapless::Vec;
use heapless::binary_heap::{BinaryHeap, Min};

/// An event of a simulation.
#[derive(Clone, Debug)]
pub enum SimEvent<M: StateMachine, const PAGE: usize> {
    /// A message arrives.
    Deliver(Envelope<M, PAGE>),
    /// The deadline of a node is due.
    Wake(NodeId),
    /// A client takes its next turn.
    Client(u16),
    /// A client loses its patience, if it still waits for what it waited for when this was scheduled.
    Impatient(u16),
    /// One of the scenario's kills is due.
    Kill(u16),
    /// A planned fault begins.
    BeginFault(u16),
    /// A planned fault ends.
    EndFault(u16),
    /// The sync of a node, or its gathering, is done.
    Synced(NodeId),
}

/// An event with its time. Of two for one instant the one that was scheduled first happens first.
#[derive(Clone, Debug)]
pub struct Scheduled<M: StateMachine, const PAGE: usize> {
    /// When it happens.
    pub at: Instant,
    /// How many were scheduled before it.
    pub number: u64,
    /// What happens.
    pub event: SimEvent<M, PAGE>,
}

/// An entry of the heap. It is small, so that sifting moves little; the event itself stays in its place until its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Turn {
    at: Instant,
    /// Orders the events of one instant, and so decides which of two runs of one seed it is: it must not depend on anything
    /// but the order of the calls of [`Scheduler::push`].
    sequence: u64,
    /// The index of the event in `places`.
    place: u16,
}

const _: () = assert!(
    size_of::<Turn>() <= 24,
    "Sifting a turn is cheap because it is three words and not an event."
);

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Turn {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

/// There was no room for an event; it was dropped, as a message that is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchedulerFull;

impl fmt::Display for SchedulerFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the scheduler is full; nothing was scheduled")
    }
}

impl core::error::Error for SchedulerFull {}

/// Up to `EVENTS` events, in the total order of (time, sequence): no two are ever equal, so that the order does not
/// depend on how the heap is built.
///
/// ```
/// use synod::Instant;
/// use synod::machines::Opaque;
/// use synod::simulation::{SimEvent, Scheduler};
///
/// let mut scheduler = Scheduler::<Opaque, 2, 3>::new();
/// for (at, client) in [(5, 0), (1, 1), (5, 2)] {
///     scheduler.push(Instant::from_micros(at), SimEvent::Client(client)).unwrap();
/// }
/// assert!(scheduler.push(Instant::ZERO, SimEvent::Client(3)).is_err(), "full is a value");
/// let order = core::iter::from_fn(|| scheduler.pop()).map(|next| match next.event {
///     SimEvent::Client(client) => client,
///     _ => unreachable!(),
/// });
/// assert_eq!(order.collect::<Vec<_>>(), [1, 0, 2]);
/// ```
#[derive(Clone, Debug)]
pub struct Scheduler<M: StateMachine, const PAGE: usize, const EVENTS: usize> {
    turns: BinaryHeap<Turn, Min, EVENTS>,
    /// `None` for a place that is free. They are filled one after the other as needed, so that what no run has needed is not
    /// touched.
    places: Vec<Option<SimEvent<M, PAGE>>, EVENTS>,
    /// Places that were used and are free again.
    free: Vec<u16, EVENTS>,
    /// The number of the next event.
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
    const CHECKED: () = assert!(EVENTS <= 65_536, "EVENTS must be at most 65,536");

    /// An empty scheduler.
    pub const fn new() -> Self {
        let () = Self::CHECKED;
        Self {
            turns: BinaryHeap::new(),
            places: Vec::new(),
            free: Vec::new(),
            sequence: 0,
            peak: 0,
        }
    }

    /// Removes all events, and resets the sequence and the peak.
    pub fn clear(&mut self) {
        // The sequence begins anew as well: a run must not depend on the one before it.
        self.turns.clear();
        self.places.clear();
        self.free.clear();
        self.sequence = 0;
        self.peak = 0;
    }

    /// Schedules an event.
    ///
    /// # Errors
    ///
    /// [`SchedulerFull`]: there is no room for it, and it will not happen.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub fn push(&mut self, at: Instant, event: SimEvent<M, PAGE>) -> Result<(), SchedulerFull> {
        // No place is taken without a turn: the heap is as large as the list of places.
        let place = self.store(event).ok_or(SchedulerFull)?;
        let sequence = self.sequence;
        let turn = Turn {
            at,
            sequence,
            place,
        };
        self.turns.push(turn).map_err(|_| SchedulerFull)?;
        // 2⁶⁴ events are more than any run has.
        self.sequence = sequence.wrapping_add(1);
        self.peak = self.peak.max(self.turns.len());
        debug_assert!(
            self.peak <= EVENTS,
            "more events were scheduled at once than there is room for (T5)"
        );
        self.assert_places();
        Ok(())
    }

    /// Asserts that every place is either free or has a turn, so that there is room for an event as long as there is for a
    /// turn.
    #[inline]
    fn assert_places(&self) {
        debug_assert_eq!(
            self.places.len(),
            self.turns.len() + self.free.len(),
            "a place is lost, or is used twice"
        );
    }

    /// Stores an event in the place where it stays until its turn.
    #[cfg_attr(target_pointer_width = "64", inline)]
    fn store(&mut self, event: SimEvent<M, PAGE>) -> Option<u16> {
        if let Some(place) = self.free.pop() {
            debug_assert!(
                self.places
                    .get(usize::from(place))
                    .is_some_and(Option::is_none),
                "an event takes the place of another"
            );
            *self.places.get_mut(usize::from(place))? = Some(event);
            return Some(place);
        }
        let place = u16::try_from(self.places.len()).ok()?;
        self.places.push(Some(event)).ok()?;
        Some(place)
    }

    /// Takes the earliest event.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub fn pop(&mut self) -> Option<Scheduled<M, PAGE>> {
        let Turn {
            at,
            sequence,
            place,
        } = self.turns.pop()?;
        let event = self.places.get_mut(usize::from(place))?.take()?;
        let freed = self.free.push(place);
        debug_assert!(freed.is_ok(), "more places are free than there are");
        debug_assert!(sequence < self.sequence, "an event comes before its push");
        debug_assert!(
            self.turns
                .peek()
                .is_none_or(|next| (at, sequence) < (next.at, next.sequence)),
            "an event overtakes an earlier one, or two are equal in the order"
        );
        self.assert_places();
        Some(Scheduled {
            at,
            number: sequence,
            event,
        })
    }

    /// The number of the event that was scheduled last: how many were scheduled before it.
    #[inline]
    pub fn last(&self) -> u64 {
        self.sequence.wrapping_sub(1)
    }

    /// How many events are scheduled.
    pub fn len(&self) -> usize {
        self.turns.len()
    }

    /// Whether no event is scheduled.
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// The most events that were scheduled at once, of `EVENTS`.
    pub fn peak(&self) -> usize {
        self.peak
    }
}
