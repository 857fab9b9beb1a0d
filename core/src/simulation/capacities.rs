//! Capacities of a simulation as types, so that one type stands for all of them.
//!
//! A `const` parameter for each capacity would have to be repeated wherever a simulation is named, and the language cannot
//! take the length of an array from an associated constant. An associated type can say what has that length.

use super::scenario::CLIENTS_MAX;
use super::scheduler::{Scheduled, Scheduler, SchedulerFull, SimEvent};
use crate::window::Window;
use crate::{AnyOutbox, Instant, Outbox, Slot, StateMachine};
use core::fmt::Debug;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use heapless::Vec;

/// How many of each thing a simulation has room for.
///
/// [`Fixed`] is the usual one. Where memory is dear, as on a board, a room of one's own names all of them:
///
/// ```
/// use synod::simulation::{Room, Size};
///
/// /// Three nodes and two clients.
/// #[derive(Debug)]
/// struct Cramped;
///
/// impl Room for Cramped {
///     type Nodes = Size<3>;
///     type Events = Size<16>;
///     type Outbox = Size<12>;
///     type Ledger = Size<8>;
///     type Clients = Size<2>;
///     type History = Size<8>;
/// }
/// ```
///
/// None of them changes the facts of a run that it has room for.
pub trait Room: Debug {
    /// Nodes.
    type Nodes: Capacity;
    /// Scheduled events; at most 65,536. It should hold what is under way at once: for each node a few broadcasts to all
    /// the others, a wake with a handful of stale ones, and the clients. A message for which there is no room is lost and
    /// traced.
    type Events: Capacity;
    /// Places in an outbox; at least [`Node::OUTBOX_MIN`](crate::Node::OUTBOX_MIN).
    type Outbox: Capacity;
    /// How many slots back the applied prefixes of the nodes are compared; a power of two.
    type Ledger: Capacity;
    /// Clients.
    type Clients: Capacity;
    /// How many slots back [`Invariants`](super::Invariants) checks the rules of the protocol; a power of two. A simulation
    /// without them takes no memory for it.
    type History: Capacity;
}

/// Room for `NODES` nodes and `EVENTS` scheduled events, checkers that look back for `HISTORY` slots, and an ample amount
/// of the rest.
#[derive(Clone, Copy, Debug)]
pub struct Fixed<const NODES: usize, const EVENTS: usize, const HISTORY: usize = 1024>;

impl<const NODES: usize, const EVENTS: usize, const HISTORY: usize> Room
    for Fixed<NODES, EVENTS, HISTORY>
{
    type Nodes = Size<NODES>;
    type Events = Size<EVENTS>;
    type Outbox = Size<256>;
    type Ledger = Size<1024>;
    type Clients = Size<CLIENTS_MAX>;
    type History = Size<HISTORY>;
}

/// A capacity as a type. [`Size`] is the only implementation.
pub trait Capacity: Clone + Debug + sealed::Sealed {
    /// The capacity as a number.
    const MAX: usize;

    /// A list of up to so many values.
    #[doc(hidden)]
    type List<T: Clone + Debug>: List<T>;

    /// A queue of up to so many scheduled events.
    #[doc(hidden)]
    type Queue<M: StateMachine, const PAGE: usize>: EventQueue<M, PAGE>;

    /// An outbox of which each queue has so many places.
    #[doc(hidden)]
    type Outbox<M: StateMachine, const PAGE: usize>: AnyOutbox<M, PAGE>;

    /// A ring with a value for each of so many slots.
    #[doc(hidden)]
    type Ring<T: Clone + Debug>: Ring<T>;
}

/// A capacity of `N`.
#[derive(Clone, Copy, Debug)]
pub struct Size<const N: usize>;

mod sealed {
    pub trait Sealed {}
}

impl<const N: usize> sealed::Sealed for Size<N> {}

impl<const N: usize> Capacity for Size<N> {
    const MAX: usize = N;

    type List<T: Clone + Debug> = Vec<T, N>;
    type Queue<M: StateMachine, const PAGE: usize> = Scheduler<M, PAGE, N>;
    type Outbox<M: StateMachine, const PAGE: usize> = Outbox<M, PAGE, N>;
    type Ring<T: Clone + Debug> = Window<T, N>;
}

/// A list of bounded length.
///
/// It has what a simulation needs of a list, and hides the capacity from its code.
pub trait List<T: Clone + Debug>: Clone + Debug + Deref<Target = [T]> + DerefMut {
    /// An empty list.
    fn new() -> Self;

    /// Appends a value.
    ///
    /// # Errors
    ///
    /// The value, for which there is no room.
    fn push(&mut self, value: T) -> Result<(), T>;

    /// Removes all values.
    fn clear(&mut self);
}

impl<T: Clone + Debug, const N: usize> List<T> for Vec<T, N> {
    #[inline]
    fn new() -> Self {
        Self::new()
    }

    #[inline]
    fn push(&mut self, value: T) -> Result<(), T> {
        Self::push(self, value)
    }

    #[inline]
    fn clear(&mut self) {
        Self::clear(self);
    }
}

/// A list that has no room and takes none.
/// It stands for the outboxes that no node needs whose writes are durable at once, so that such a simulation has one
/// outbox and not two for each node.
#[derive(Clone, Copy, Debug)]
pub struct NoList<T>(PhantomData<T>);

impl<T> Deref for NoList<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        &[]
    }
}

impl<T> DerefMut for NoList<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut []
    }
}

impl<T: Clone + Debug> List<T> for NoList<T> {
    #[inline]
    fn new() -> Self {
        Self(PhantomData)
    }

    #[inline]
    fn push(&mut self, value: T) -> Result<(), T> {
        Err(value)
    }

    #[inline]
    fn clear(&mut self) {}
}

/// A queue of scheduled events: a [`Scheduler`] of any capacity.
pub trait EventQueue<M: StateMachine, const PAGE: usize>: Debug {
    /// See [`Scheduler::new`].
    fn new() -> Self;

    /// See [`Scheduler::clear`].
    fn clear(&mut self);

    /// See [`Scheduler::push`].
    ///
    /// # Errors
    ///
    /// See there.
    fn push(&mut self, at: Instant, event: SimEvent<M, PAGE>) -> Result<(), SchedulerFull>;

    /// See [`Scheduler::pop`].
    fn pop(&mut self) -> Option<Scheduled<M, PAGE>>;

    /// See [`Scheduler::last`].
    fn last(&self) -> u64;

    /// See [`Scheduler::len`].
    fn queued(&self) -> usize;

    /// See [`Scheduler::peak`].
    fn peak(&self) -> usize;
}

impl<M: StateMachine, const PAGE: usize, const N: usize> EventQueue<M, PAGE>
    for Scheduler<M, PAGE, N>
{
    #[inline]
    fn new() -> Self {
        Self::new()
    }

    #[inline]
    fn clear(&mut self) {
        Self::clear(self);
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    fn push(&mut self, at: Instant, event: SimEvent<M, PAGE>) -> Result<(), SchedulerFull> {
        Self::push(self, at, event)
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    fn pop(&mut self) -> Option<Scheduled<M, PAGE>> {
        Self::pop(self)
    }

    #[inline]
    fn last(&self) -> u64 {
        Self::last(self)
    }

    #[inline]
    fn queued(&self) -> usize {
        self.len()
    }

    #[inline]
    fn peak(&self) -> usize {
        Self::peak(self)
    }
}

/// A ring with a value for each of the latest slots: a [`Window`] of any capacity.
pub trait Ring<T>: Clone + Debug {
    /// An empty ring above slot 0.
    fn new() -> Self;

    /// See [`Window::clear`].
    fn clear(&mut self);

    /// See [`Window::floor`].
    fn floor(&self) -> Slot;

    /// See [`Window::get`].
    fn get(&self, slot: Slot) -> Option<&T>;

    /// The place of a slot, for which older ones are forgotten where needed; `None` where the slot has none.
    fn admit(&mut self, slot: Slot) -> Option<&mut Option<T>>;
}

impl<T: Clone + Debug, const N: usize> Ring<T> for Window<T, N> {
    #[inline]
    fn new() -> Self {
        Self::new(Slot::ZERO)
    }

    #[inline]
    fn clear(&mut self) {
        Self::clear(self);
    }

    #[inline]
    fn floor(&self) -> Slot {
        Self::floor(self)
    }

    #[inline]
    fn get(&self, slot: Slot) -> Option<&T> {
        Self::get(self, slot)
    }

    #[inline]
    fn admit(&mut self, slot: Slot) -> Option<&mut Option<T>> {
        // The limit is the slot itself: nothing waits for older values, unlike in the window of an acceptor, where only
        // applied slots make room (rule A5).
        Self::admit(self, slot, slot)
    }
}

/// The nodes of a room.
pub(super) type Nodes<R, T> = <<R as Room>::Nodes as Capacity>::List<T>;
/// The clients of a room.
pub(super) type Clients<R, T> = <<R as Room>::Clients as Capacity>::List<T>;
/// The event queue of a room.
pub(super) type Events<R, M, const PAGE: usize> = <<R as Room>::Events as Capacity>::Queue<M, PAGE>;
/// An outbox of a room.
pub(super) type RoomOutbox<R, M, const PAGE: usize> =
    <<R as Room>::Outbox as Capacity>::Outbox<M, PAGE>;
/// The ledger of a room.
pub(super) type Ledger<R, T> = <<R as Room>::Ledger as Capacity>::Ring<T>;
