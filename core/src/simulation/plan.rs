//! The faults that a nemesis has planned, and what they have made of the cluster at present.

use super::clock::Clock;
use super::fault::{Fault, PLAN_MAX, Planned};
use super::network_conditions::NetworkConditions;
use crate::{Instant, NODES_MAX, NodeId};
use heapless::Vec;

/// What planned faults have made of a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeFaults {
    /// What it takes for the time.
    pub(super) clock: Clock,
    /// Until then it stands still.
    pub(super) paused: Instant,
    /// How often it has started again.
    pub(super) incarnation: u32,
    /// Whether it is down for want of its storage, until a fault of that is over.
    pub(super) is_dark: bool,
}

impl NodeFaults {
    const NONE: Self = Self {
        clock: Clock::RIGHT,
        paused: Instant::ZERO,
        incarnation: 0,
        is_dark: false,
    };
}

/// The faults that a [`Nemesis`](super::Nemesis) has planned, up to [`PLAN_MAX`], and how far they have come.
#[derive(Clone, Debug)]
pub struct Plan {
    faults: Vec<Ahead, PLAN_MAX>,
    /// How many of them are still to begin or to end.
    pub(super) open: u16,
    pub(super) conditions: NetworkConditions,
    strains: [NodeFaults; NODES],
}

#[expect(clippy::as_conversions, reason = "u16 to usize, in a const")]
const NODES: usize = NODES_MAX as usize;

/// A planned fault, and the node that it has struck.
#[derive(Clone, Copy, Debug)]
struct Ahead {
    planned: Planned,
    struck: Option<NodeId>,
    began: bool,
    ended: bool,
    /// Whether what was torn has been torn, so that it ends soon.
    is_spent: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl Plan {
    /// A plan of these faults, in any order; what is beyond [`PLAN_MAX`] is left out.
    pub fn new(faults: &[Planned]) -> Self {
        let ahead = |planned: &Planned| Ahead {
            planned: *planned,
            struck: None,
            began: false,
            ended: false,
            is_spent: false,
        };
        let faults: Vec<Ahead, PLAN_MAX> = faults.iter().take(PLAN_MAX).map(ahead).collect();
        Self {
            open: 0,
            faults,
            conditions: NetworkConditions::default(),
            strains: [NodeFaults::NONE; NODES],
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
        self.faults.iter().map(|ahead| &ahead.planned)
    }

    /// A fault is over; says whether it was not before.
    pub(super) fn end(&mut self, index: u16) -> bool {
        let ahead = self.faults.get_mut(usize::from(index));
        ahead.is_some_and(|ahead| !core::mem::replace(&mut ahead.ended, true))
    }

    /// What a node did was torn. Says by which fault: one that was aimed at the node, or else one that has waited for
    /// whichever node it would be. From now on that fault is about this node.
    pub(super) fn spend_torn(&mut self, node: NodeId) -> Option<u16> {
        let is_torn = |ahead: &Ahead| {
            matches!(ahead.planned.fault, Fault::Torn(_))
                && ahead.began
                && !ahead.ended
                && !ahead.is_spent
        };
        let faults = || self.faults.iter();
        let aimed = faults().position(|ahead| is_torn(ahead) && ahead.struck == Some(node));
        let index = aimed.or_else(|| faults().position(is_torn))?;
        let ahead = self.faults.get_mut(index)?;
        (ahead.is_spent, ahead.struck) = (true, Some(node));
        u16::try_from(index).ok()
    }

    /// Which of the faults have begun, as a bit for each from the lowest on. One whose node was down or stood still by then
    /// was left out.
    pub fn began(&self) -> u64 {
        let bits = self.faults.iter().rev();
        bits.fold(0, |bits, ahead| bits << 1 | u64::from(ahead.began))
    }

    pub(super) fn fault(&self, index: u16) -> Option<Planned> {
        let ahead = self.faults.get(usize::from(index))?;
        Some(ahead.planned)
    }

    /// Which node a fault has struck.
    pub(super) fn struck(&self, index: u16) -> Option<NodeId> {
        self.faults.get(usize::from(index))?.struck
    }

    pub(super) fn strike(&mut self, index: u16, node: Option<NodeId>) {
        if let Some(ahead) = self.faults.get_mut(usize::from(index)) {
            ahead.struck = node;
            ahead.began = true;
        }
    }

    pub(super) fn strain(&self, node: NodeId) -> &NodeFaults {
        self.strains
            .get(usize::from(node.0))
            .unwrap_or(&NodeFaults::NONE)
    }

    pub(super) fn strain_mut(&mut self, node: NodeId) -> Option<&mut NodeFaults> {
        self.strains.get_mut(usize::from(node.0))
    }
}
