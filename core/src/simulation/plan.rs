//! The planned faults of a run, and the state into which they have put the nodes and the network.
//!
//! A fault is planned, begins and is over. `open` counts those that are not over. A fault that finds its node down or
//! paused is left out: it is over and never began, so that a sweep can tell a fault that struck from one that never did.

use super::clock::Clock;
use super::fault::{Fault, PLAN_MAX, Planned};
use super::network_conditions::NetworkConditions;
use crate::{Instant, NODES_MAX, NodeId};
use heapless::Vec;

/// The effect of planned faults on a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeFaults {
    /// Its local clock.
    pub(super) clock: Clock,
    /// It is paused until then; a time that is past if it is not.
    pub(super) paused: Instant,
    /// How often it has restarted, tries that failed included.
    pub(super) incarnation: u32,
    /// Whether it is down until a fault of its storage ends.
    pub(super) is_storage_down: bool,
}

impl NodeFaults {
    const NONE: Self = Self {
        clock: Clock::RIGHT,
        paused: Instant::ZERO,
        incarnation: 0,
        is_storage_down: false,
    };
}

/// The faults that a [`Nemesis`](super::Nemesis) has planned, up to [`PLAN_MAX`], and how far they have come.
///
/// ```
/// use synod::simulation::{Fault, Plan, Planned, Target};
/// use synod::{Duration, Instant, NodeId};
///
/// let pause = Planned {
///     at: Instant::from_micros(500_000),
///     lasts: Some(Duration::from_secs(1)),
///     fault: Fault::Pause(Target::Node(NodeId(2))),
/// };
/// let plan = Plan::new(&[pause]);
/// assert_eq!((plan.len(), plan.began()), (1, 0), "none has begun before a run");
/// ```
#[derive(Clone, Debug)]
pub struct Plan {
    faults: Vec<Entry, PLAN_MAX>,
    /// How many of them have still to begin or to end.
    pub(super) open: u16,
    /// Those of them that are between nodes and under way.
    pub(super) conditions: NetworkConditions,
    /// By the number of the node, of as many as a cluster can have.
    node_faults: [NodeFaults; NODES],
}

#[expect(clippy::as_conversions, reason = "u16 to usize, in a const")]
const NODES: usize = NODES_MAX as usize;

/// A planned fault and its target.
#[derive(Clone, Copy, Debug)]
struct Entry {
    planned: Planned,
    /// Whom it has struck: decided when it begins, as the leader is not known before that.
    target: Option<NodeId>,
    /// It may never begin: where its node is down by then it is left out.
    began: bool,
    ended: bool,
    /// Whether it has torn a write already, so that it ends soon.
    is_spent: bool,
}

impl Entry {
    const fn new(planned: Planned) -> Self {
        Self {
            planned,
            target: None,
            began: false,
            ended: false,
            is_spent: false,
        }
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl Plan {
    /// A plan of these faults, in any order; what is beyond [`PLAN_MAX`] is left out.
    pub fn new(faults: &[Planned]) -> Self {
        let faults = faults.iter().take(PLAN_MAX).copied().map(Entry::new);
        let faults: Vec<Entry, PLAN_MAX> = faults.collect();
        Self {
            open: 0,
            faults,
            conditions: NetworkConditions::default(),
            node_faults: [NodeFaults::NONE; NODES],
        }
    }

    /// How many faults it has.
    pub fn len(&self) -> usize {
        self.faults.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// Whether all of it has begun and ended in the run that it is for; what is for good has ended when it has begun.
    pub fn is_over(&self) -> bool {
        self.open == 0
    }

    /// The faults, in their order.
    pub fn faults(&self) -> impl Iterator<Item = &Planned> {
        self.faults.iter().map(|entry| &entry.planned)
    }

    /// Adds a fault, and returns its index; `None` where there is no room.
    pub(super) fn add(&mut self, planned: Planned) -> Option<u16> {
        let index = u16::try_from(self.faults.len()).ok()?;
        self.faults.push(Entry::new(planned)).ok()?;
        Some(index)
    }

    /// Ends a fault; returns whether it had not ended before.
    pub(super) fn end(&mut self, index: u16) -> bool {
        let entry = self.faults.get_mut(usize::from(index));
        debug_assert!(
            entry.as_ref().is_none_or(|entry| entry.began),
            "a fault ends that never began"
        );
        entry.is_some_and(|entry| !core::mem::replace(&mut entry.ended, true))
    }

    /// Attributes a torn write of a node to a fault, and returns its index: one that targets the node, or else one that waits
    /// for any node, which targets this one from now on.
    pub(super) fn mark_torn(&mut self, node: NodeId) -> Option<u16> {
        let is_torn = |entry: &Entry| {
            matches!(entry.planned.fault, Fault::Torn(_))
                && entry.began
                && !entry.ended
                && !entry.is_spent
        };
        let faults = || self.faults.iter();
        // A trap is on all disks, so it may spring at another node than the one that its fault was aimed at.
        let aimed = faults().position(|entry| is_torn(entry) && entry.target == Some(node));
        let index = aimed.or_else(|| faults().position(is_torn))?;
        let entry = self.faults.get_mut(index)?;
        debug_assert!(
            matches!(entry.planned.fault, Fault::Torn(_)) && !entry.is_spent,
            "a torn write is put down to another fault"
        );
        // Its end then restarts the node that was torn, whichever it was aimed at.
        (entry.is_spent, entry.target) = (true, Some(node));
        u16::try_from(index).ok()
    }

    /// Which of the faults have begun, as a bit for each from the lowest on. One whose node was down or stood still by then
    /// was left out.
    pub fn began(&self) -> u64 {
        // From the last on, so that the first ends up in the lowest bit.
        debug_assert!(
            self.faults.len() <= 64,
            "a fault beyond the bits of a word would push the first one out"
        );
        let bits = self.faults.iter().rev();
        bits.fold(0, |bits, entry| bits << 1 | u64::from(entry.began))
    }

    /// A fault by its index, which is its place in what [`Plan::new`] was given.
    pub(super) fn fault(&self, index: u16) -> Option<Planned> {
        let entry = self.faults.get(usize::from(index))?;
        Some(entry.planned)
    }

    /// The target of a fault.
    pub(super) fn target(&self, index: u16) -> Option<NodeId> {
        self.faults.get(usize::from(index))?.target
    }

    /// Begins a fault that strikes a node, if it is about one.
    pub(super) fn begin(&mut self, index: u16, node: Option<NodeId>) {
        if let Some(entry) = self.faults.get_mut(usize::from(index)) {
            debug_assert!(!entry.began && !entry.ended, "a fault begins twice");
            entry.target = node;
            entry.began = true;
        }
    }

    /// What faults have done to a node; nothing where there can be no such node.
    pub(super) fn node_faults(&self, node: NodeId) -> &NodeFaults {
        self.node_faults
            .get(usize::from(node.0))
            .unwrap_or(&NodeFaults::NONE)
    }

    pub(super) fn node_faults_mut(&mut self, node: NodeId) -> Option<&mut NodeFaults> {
        self.node_faults.get_mut(usize::from(node.0))
    }
}
