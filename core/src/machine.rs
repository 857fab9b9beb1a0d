//! The state machine that every replica applies the same commands to.

use crate::{MaybeFormat, Reader, Value, Writer};
use core::fmt;
use core::hash::Hash;

/// How many bytes one page of a snapshot holds at most, whatever the state machine.
///
/// Chosen so that the message which carries a page fits into one frame of IEEE 802.15.4 (127 bytes), and is no larger in
/// memory than the one that bounds the queues anyway (a promise with two entries of a 16-byte command).
pub const SNAPSHOT_PAGE: usize = 90;

/// A deterministic state machine: the thing that is replicated.
///
/// What [`StateMachine::apply`] does must follow from the state and the command alone: no clock, no chance, no floats
/// whose rounding differs between targets, no iteration in an order that may differ. Time and chance enter as commands.
/// [`Default`] is the state at the founding of a cluster and must be the same on every node.
///
/// A snapshot is a number of pages of at most [`StateMachine::PAGE_BYTES`] bytes each, produced and taken one by one, so that state
/// of any size travels in small messages. The pages of an unchanged state must be the same bytes on every node.
///
/// ```
/// use synod::{MalformedPage, Reader, Sink, StateMachine, Writer};
///
/// /// Counts up and answers the count.
/// #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
/// struct Counter(u64);
///
/// impl StateMachine for Counter {
///     type Command = u32;
///     type Output = u64;
///
///     fn apply(&mut self, step: &u32) -> u64 {
///         self.0 = self.0.wrapping_add(u64::from(*step));
///         self.0
///     }
///     fn snapshot_pages(&self) -> u32 {
///         1
///     }
///     fn write_page(&self, _page: u32, writer: &mut Writer<'_>) {
///         writer.put_u64(self.0);
///     }
///     fn read_page(&mut self, _page: u32, reader: &mut Reader<'_>) -> Result<(), MalformedPage> {
///         self.0 = reader.u64().ok_or(MalformedPage)?;
///         Ok(())
///     }
/// }
///
/// let mut counter = Counter::default();
/// assert_eq!((counter.apply(&2), counter.apply(&3)), (2, 5));
/// ```
pub trait StateMachine: Clone + Default + Eq + Hash + fmt::Debug + MaybeFormat {
    /// What clients ask for.
    type Command: Value;
    /// What they are answered. Encoded, it must fit in a session's page of a snapshot: see
    /// [`OUTPUT_MAX`](crate::OUTPUT_MAX).
    type Output: Value;

    /// How many bytes a page of this machine's snapshots holds at most: from 28 to [`SNAPSHOT_PAGE`]. Lower it where
    /// messages must fit into small frames; see [`wire`](crate::wire). All nodes of a cluster must be made with the same.
    const PAGE_BYTES: usize = SNAPSHOT_PAGE;

    /// Which state machine this is, its capacities included: whatever decides what state a log gives. Raise it with every
    /// change that makes another state or another answer of the same commands, and derive it from the capacities that the
    /// machine has, so that nodes that would part ways do not talk to each other (rules N2 and R5).
    const VERSION: u32 = 0;

    /// Changes the state as the command says and answers it.
    fn apply(&mut self, command: &Self::Command) -> Self::Output;

    /// How many pages a snapshot of the present state has; 0 for a state that is still the default.
    fn snapshot_pages(&self) -> u32;

    /// Writes one page, numbered from 0.
    fn write_page(&self, page: u32, writer: &mut Writer<'_>);

    /// Takes one page into a state that began as the default; the pages come in order, each once.
    ///
    /// # Errors
    ///
    /// [`MalformedPage`] where the bytes are no such page. The state is then thrown away as a whole.
    fn read_page(&mut self, page: u32, reader: &mut Reader<'_>) -> Result<(), MalformedPage>;
}

/// A page of a snapshot was not what the state machine writes; nothing of that snapshot was installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MalformedPage;

impl fmt::Display for MalformedPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the page of the snapshot is malformed; nothing was installed")
    }
}

impl core::error::Error for MalformedPage {}
