//! Storage of the nodes of a simulation, for the state that must survive a loss of power.
//!
//! There are two kinds. [`Perfect`] storage keeps the node itself, in which every step is durable when it is over. All
//! other storage keeps what the node has written and nothing else, and a restart is what its journal makes of that.
//! Which kind it is, is known to the compiler, so that a simulation without disks has none of the code for them.

use super::capacities::{List, NoList, Nodes, Room};
use super::fault::Fault;
use super::pending_output::PendingOutput;
use super::report::Mark;
use super::scenario::Scenario;
use super::violation::Violation;
use crate::{Config, Duration, Instant, Node, NodeId, StateMachine, Write};
use core::fmt::{self, Debug};

/// The parameters with which a node starts, for the first time or again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStart {
    /// The time on its local clock.
    pub now: Instant,
    /// Its settings.
    pub config: Config,
    /// The seed of the run.
    pub run_seed: u64,
    /// How often it has started before in this run.
    pub incarnation: u32,
}

/// A node cannot start from its storage, or must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a node was not started, as its storage cannot be used")
    }
}

impl core::error::Error for Refused {}

/// The reason why a write is not durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failed {
    /// Storage has failed: the node is fenced ([`Node::fence`]).
    Storage,
    /// Power was lost during the write, and the node is down.
    Power,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Storage => "storage failed; what was written is not durable",
            Self::Power => "power failed; what was written is not durable",
        })
    }
}

impl core::error::Error for Failed {}

/// When what a node writes is durable. [`Immediate`] and [`Deferred`] are the only implementations.
pub trait Durability: Debug + sealed::Sealed {
    /// Whether anything can be lost or take time. Where not, the code for that is left out of the program.
    const IS_DEFERRED: bool;

    /// The pending output of each node.
    #[doc(hidden)]
    type Pending<R: Room, M: StateMachine, const PAGE: usize>: List<
        PendingOutput<R::Outbox, M, PAGE>,
    >;
}

/// Storage in which everything is durable as soon as it is written, so that no output of a node waits.
#[derive(Clone, Copy, Debug)]
pub struct Immediate;

/// Storage that takes time or loses what it has: the output of a node waits until what it rests on is durable.
#[derive(Clone, Copy, Debug)]
pub struct Deferred;

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Immediate {}
    impl Sealed for super::Deferred {}
}

impl Durability for Immediate {
    const IS_DEFERRED: bool = false;

    type Pending<R: Room, M: StateMachine, const PAGE: usize> =
        NoList<PendingOutput<R::Outbox, M, PAGE>>;
}

impl Durability for Deferred {
    const IS_DEFERRED: bool = true;

    type Pending<R: Room, M: StateMachine, const PAGE: usize> =
        Nodes<R, PendingOutput<R::Outbox, M, PAGE>>;
}

/// Storage for the state of nodes that must survive a loss of power.
///
/// [`Perfect`] forgets nothing, takes no time and costs nothing. [`Disks`](super::Disks) are simulated ones, which can do
/// all that disks do; real files can stand in their place.
///
/// # Group commit
///
/// What a step wants written is handed to [`Stores::write`] when the step is over, and is durable after as long as that
/// says. Until then the node goes on, and what it wants done gathers; then [`Stores::synced`] is called, what was covered
/// leaves the node, and all that was gathered is written at once. A loss of power in between forgets what has not left.
pub trait Stores<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>:
    Debug
{
    /// When what is written is durable: [`Immediate`] or [`Deferred`].
    type Durability: Durability;

    /// Begins a run.
    fn begin(&mut self, scenario: &Scenario) {
        let _ = scenario;
    }

    /// Starts a node, for the first time or again. `before` is the node as it was when it lost power; only perfect storage may
    /// read it.
    ///
    /// # Errors
    ///
    /// [`Refused`]: the node stays down.
    fn start(
        &mut self,
        start: NodeStart,
        before: Option<&Node<M, WINDOW, CLIENTS, PAGE>>,
    ) -> Result<Node<M, WINDOW, CLIENTS, PAGE>, Refused>;

    /// Begins the writes of a node, of which there may be none, and returns the time until they are durable. Unless that is
    /// zero, nothing more is written for the node before [`Stores::synced`]. `now` is the time on the node's local clock.
    ///
    /// # Errors
    ///
    /// [`Failed`]: none of it may be relied on.
    fn write(
        &mut self,
        now: Instant,
        node: &mut Node<M, WINDOW, CLIENTS, PAGE>,
        writes: &[Write<M::Command>],
    ) -> Result<Duration, Failed>;

    /// Completes the writes that [`Stores::write`] has begun: they are durable now.
    ///
    /// # Errors
    ///
    /// [`Failed`]: it is not durable after all.
    fn synced(&mut self, node: NodeId) -> Result<(), Failed> {
        let _ = node;
        Ok(())
    }

    /// A violation that storage has found since the run began: a loss or a lack of room that no fault accounts for. It is
    /// asked for after each restart and each failed write.
    fn broken(&self) -> Option<Violation> {
        None
    }

    /// Cuts the power of a node: what is not durable may be lost.
    fn crash(&mut self, node: NodeId) {
        let _ = node;
    }

    /// Begins or ends a fault of a node's storage.
    fn inject_fault(&mut self, node: NodeId, fault: &Fault, begins: bool) {
        let _ = (node, fault, begins);
    }

    /// The high-water mark of the fullest storage of all nodes, in bytes.
    fn mark(&self) -> Option<Mark> {
        None
    }
}

/// Storage that loses nothing and takes no time: a node that loses power restarts with the state that it had between two
/// steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Perfect;

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Stores<M, WINDOW, CLIENTS, PAGE> for Perfect
{
    type Durability = Immediate;

    #[inline]
    fn start(
        &mut self,
        start: NodeStart,
        before: Option<&Node<M, WINDOW, CLIENTS, PAGE>>,
    ) -> Result<Node<M, WINDOW, CLIENTS, PAGE>, Refused> {
        let NodeStart {
            now,
            config,
            run_seed,
            incarnation,
        } = start;
        // A node that has not joined has nothing that others rely on, and starts as a new one.
        let built = match before.and_then(Node::durable) {
            Some(durable) => Node::recover(config, durable, run_seed, incarnation, now),
            None if config.node == config.founder => Node::found(config, run_seed, now),
            None => Node::join(config, run_seed, now),
        };
        built.map_err(|_| Refused)
    }

    #[inline]
    fn write(
        &mut self,
        _now: Instant,
        _node: &mut Node<M, WINDOW, CLIENTS, PAGE>,
        _writes: &[Write<M::Command>],
    ) -> Result<Duration, Failed> {
        Ok(Duration::ZERO)
    }
}
