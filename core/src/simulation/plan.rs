//! The faults that a nemesis has planned, and what they have made of the cluster at present.

use super::clock::Clock;
use super::conditions::Conditions;
use super::fault::{PLAN_MAX, Planned};
use crate::{Instant, NODES_MAX, NodeId};
use heapless::Vec;

/// What planned faults have made of a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strain {
    /// What it takes for the time.
    pub(super) clock: Clock,
    /// Until then it stands still.
    pub(super) paused: Instant,
    /// How often it has started again.
    pub(super) incarnation: u32,
    /// Whether it is down for want of its storage, until a fault of that is over.
    pub(super) is_dark: bool,
}

impl Strain {
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
    pub(super) conditions: Conditions,
    strains: [Strain; NODES],
}

#[expect(clippy::as_conversions, reason = "u16 to usize, in a const")]
const NODES: usize = NODES_MAX as usize;

/// A planned fault, and the node that it has struck.
#[derive(Clone, Copy, Debug)]
struct Ahead {
    planned: Planned,
    struck: Option<NodeId>,
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
        };
        let faults: Vec<Ahead, PLAN_MAX> = faults.iter().take(PLAN_MAX).map(ahead).collect();
        Self {
            open: 0,
            faults,
            conditions: Conditions::default(),
            strains: [Strain::NONE; NODES],
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

    /// The faults, in their order.
    pub fn faults(&self) -> impl Iterator<Item = &Planned> {
        self.faults.iter().map(|ahead| &ahead.planned)
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
        }
    }

    pub(super) fn strain(&self, node: NodeId) -> &Strain {
        self.strains
            .get(usize::from(node.0))
            .unwrap_or(&Strain::NONE)
    }

    pub(super) fn strain_mut(&mut self, node: NodeId) -> Option<&mut Strain> {
        self.strains.get_mut(usize::from(node.0))
    }
}
