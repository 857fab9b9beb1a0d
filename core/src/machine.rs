//! The state machine: the replicated state, to which every replica applies the same commands.

use crate::{MaybeFormat, Reader, Value, Writer};
use core::fmt;
use core::hash::Hash;

/// The maximum length of a snapshot page in bytes, for every state machine.
///
/// With this length, the message that carries a page fits into one frame of IEEE 802.15.4 (127 bytes), and takes no
/// more memory than the largest other message (a promise with two entries of a 16-byte command).
pub const SNAPSHOT_PAGE: usize = 90;

/// A deterministic state machine: the state that is replicated.
///
/// The result of [`StateMachine::apply`] must follow from the state and the command alone: no clock, no randomness, no
/// floats whose rounding differs between targets, no iteration in an unspecified order. Time and random numbers enter
/// as commands. [`Default`] is the state at the founding of a cluster, and must be the same on every node.
///
/// A snapshot is a sequence of pages of at most [`StateMachine::PAGE_BYTES`] bytes each, written and read one by one,
/// so that a state of any size is transferred in small messages. The pages of equal states must be equal bytes on every
/// node.
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
    /// The commands of clients.
    type Command: Value;
    /// The output of a command, which its client gets as the answer. Its encoding must fit in a session's page of a
    /// snapshot: see [`OUTPUT_MAX`](crate::OUTPUT_MAX).
    type Output: Value;

    /// The maximum length of a snapshot page of this machine in bytes, from 28 to [`SNAPSHOT_PAGE`]. Lower it if
    /// messages must fit into small frames; see [`wire`](crate::wire). Must be equal on all nodes of a cluster.
    const PAGE_BYTES: usize = SNAPSHOT_PAGE;

    /// The version of the state machine, including its capacities: everything that determines which state follows from
    /// a log. Raise it with every change that computes another state or another output from the same commands, and
    /// derive it from the capacities of the machine. Nodes with different versions ignore each other (rules N2 and R5).
    const VERSION: u32 = 0;

    /// Applies a command to the state and returns its output.
    fn apply(&mut self, command: &Self::Command) -> Self::Output;

    /// Returns the number of pages of a snapshot of the current state; 0 is allowed for the default state.
    fn snapshot_pages(&self) -> u32;

    /// Writes one page, numbered from 0.
    fn write_page(&self, page: u32, writer: &mut Writer<'_>);

    /// Reads one page into a state that began as the default. The pages come in order, each once.
    ///
    /// # Errors
    ///
    /// [`MalformedPage`] if the bytes are not such a page. The whole state is then dropped.
    fn read_page(&mut self, page: u32, reader: &mut Reader<'_>) -> Result<(), MalformedPage>;
}

/// A page of a snapshot that the state machine cannot read. Nothing of that snapshot was installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MalformedPage;

impl fmt::Display for MalformedPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the page of the snapshot is malformed; nothing was installed")
    }
}

impl core::error::Error for MalformedPage {}
