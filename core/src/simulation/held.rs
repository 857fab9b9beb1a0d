//! What nodes want done that has not left them yet, as it rests on what is not durable yet.

use super::observer::{Seam, Stand};
use crate::{Instant, Outbox, StateMachine};
use core::fmt::Debug;
use heapless::Vec;

/// The room of an outbox in a simulation that does not name another.
pub(super) const OUTBOX_DEFAULT: usize = 256;

/// What has not left a node: what a sync that is under way covers, and what is gathered meanwhile.
#[derive(Clone, Debug)]
pub struct Held<M: StateMachine, const PAGE: usize, const OUTBOX: usize = OUTBOX_DEFAULT> {
    batches: [Batch<M, PAGE, OUTBOX>; 2],
    /// Whether it is the second of the two that is gathered.
    is_second: bool,
    /// When the sync that is under way is done, or the driver empties what it gathers; [`Instant::FAR_FUTURE`] where it does
    /// neither.
    pub(super) until: Instant,
    /// Whether no sync is under way: the driver gathers steps before it empties the outbox.
    pub(super) is_gathering: bool,
}

/// The steps of a node that leave it together.
#[derive(Clone, Debug)]
pub(super) struct Batch<M: StateMachine, const PAGE: usize, const OUTBOX: usize> {
    pub(super) outbox: Outbox<M, PAGE, OUTBOX>,
    /// Where one step ends in the outbox and the next begins. Each has something more in it than the last. [`Room`], which alone
    /// holds anything, has outboxes of the default.
    pub(super) seams: Vec<Seam, { 2 * OUTBOX_DEFAULT }>,
    /// Where the node stood after the last of the steps.
    pub(super) stand: Stand,
}

impl<M: StateMachine, const PAGE: usize, const OUTBOX: usize> Batch<M, PAGE, OUTBOX> {
    const fn new() -> Self {
        Self {
            outbox: Outbox::new(),
            seams: Vec::new(),
            stand: Stand::NONE,
        }
    }

    pub(super) fn clear(&mut self) {
        self.outbox.clear();
        self.seams.clear();
    }
}

impl<M: StateMachine, const PAGE: usize, const OUTBOX: usize> Default for Held<M, PAGE, OUTBOX> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: StateMachine, const PAGE: usize, const OUTBOX: usize> Held<M, PAGE, OUTBOX> {
    /// Nothing is held.
    pub const fn new() -> Self {
        Self {
            batches: [const { Batch::new() }; 2],
            is_second: false,
            until: Instant::FAR_FUTURE,
            is_gathering: false,
        }
    }

    pub(super) const fn is_syncing(&self) -> bool {
        self.until.as_micros() < Instant::FAR_FUTURE.as_micros() && !self.is_gathering
    }

    /// The driver gathers what steps want done, and empties the outbox at `until`.
    pub(super) fn gather(&mut self, until: Instant) {
        self.until = until;
        self.is_gathering = true;
    }

    /// What was gathered is written now; says whether the driver was waiting for that.
    pub(super) fn end_gathering(&mut self) -> bool {
        if self.is_gathering {
            self.until = Instant::FAR_FUTURE;
        }
        core::mem::take(&mut self.is_gathering)
    }

    /// What a sync that is under way, or was, covers; or else what a step is added to.
    pub(super) const fn batch(&self, covered: bool) -> &Batch<M, PAGE, OUTBOX> {
        let [one, other] = &self.batches;
        if covered == self.is_second {
            one
        } else {
            other
        }
    }

    pub(super) const fn batch_mut(&mut self, covered: bool) -> &mut Batch<M, PAGE, OUTBOX> {
        let [one, other] = &mut self.batches;
        if covered == self.is_second {
            one
        } else {
            other
        }
    }

    /// A step begins: what it wants done goes behind all that is gathered.
    pub(super) fn step(&mut self) -> &mut Outbox<M, PAGE, OUTBOX> {
        let Batch { outbox, seams, .. } = self.batch_mut(false);
        let seam = Seam {
            writes: outbox.writes.len(),
            messages: outbox.messages.len(),
        };
        if seam != Seam::default() && seams.last() != Some(&seam) {
            // There is room: each seam has a write or a message more than the last.
            let _ = seams.push(seam);
        }
        outbox
    }

    /// A sync begins that covers all that is gathered.
    pub(super) fn sync(&mut self, until: Instant) {
        self.is_second = !self.is_second;
        self.until = until;
    }

    /// Forgets everything: the node has lost power.
    pub(super) fn lose(&mut self) {
        for batch in &mut self.batches {
            batch.clear();
        }
        (self.until, self.is_gathering) = (Instant::FAR_FUTURE, false);
    }

    /// Forgets everything, the peaks too.
    pub(super) fn reset(&mut self) {
        for batch in &mut self.batches {
            batch.outbox.reset();
            batch.seams.clear();
        }
        (self.until, self.is_gathering) = (Instant::FAR_FUTURE, false);
    }

    /// The most that either outbox has held.
    pub(super) fn peak(&self) -> usize {
        let [one, other] = &self.batches;
        one.outbox.peak().max(other.outbox.peak())
    }
}

/// Room for what nodes hold, in a simulation with an outbox of `OUTBOX` places.
pub trait Rooms<M: StateMachine, const PAGE: usize, const OUTBOX: usize = OUTBOX_DEFAULT>:
    Default + Debug
{
    /// Each node's.
    fn all(&self) -> &[Held<M, PAGE, OUTBOX>];

    /// The same, to put something in.
    fn all_mut(&mut self) -> &mut [Held<M, PAGE, OUTBOX>];

    /// Where a step of a node puts what it wants done, behind all that is gathered.
    fn step(&mut self, node: usize) -> Option<&mut Outbox<M, PAGE, OUTBOX>>;

    /// What a sync that is under way, or was, covers; or else what a step is added to.
    fn outbox(&self, node: usize, covered: bool) -> Option<&Outbox<M, PAGE, OUTBOX>>;

    /// Makes room for so many nodes, of which none holds anything.
    fn reset(&mut self, nodes: usize);
}

/// No room, where nothing is ever held.
impl<M: StateMachine, const PAGE: usize, const OUTBOX: usize> Rooms<M, PAGE, OUTBOX> for () {
    fn all(&self) -> &[Held<M, PAGE, OUTBOX>] {
        &[]
    }

    fn all_mut(&mut self) -> &mut [Held<M, PAGE, OUTBOX>] {
        &mut []
    }

    fn step(&mut self, _node: usize) -> Option<&mut Outbox<M, PAGE, OUTBOX>> {
        None
    }

    fn outbox(&self, _node: usize, _covered: bool) -> Option<&Outbox<M, PAGE, OUTBOX>> {
        None
    }

    fn reset(&mut self, _nodes: usize) {}
}

/// Room for what up to `NODES` nodes hold.
#[derive(Clone, Debug)]
pub struct Room<M: StateMachine, const PAGE: usize, const NODES: usize>(Vec<Held<M, PAGE>, NODES>);

impl<M: StateMachine, const PAGE: usize, const NODES: usize> Default for Room<M, PAGE, NODES> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<M: StateMachine, const PAGE: usize, const NODES: usize> Rooms<M, PAGE>
    for Room<M, PAGE, NODES>
{
    fn all(&self) -> &[Held<M, PAGE>] {
        &self.0
    }

    fn all_mut(&mut self) -> &mut [Held<M, PAGE>] {
        &mut self.0
    }

    fn step(&mut self, node: usize) -> Option<&mut Outbox<M, PAGE, OUTBOX_DEFAULT>> {
        Some(self.0.get_mut(node)?.step())
    }

    fn outbox(&self, node: usize, covered: bool) -> Option<&Outbox<M, PAGE, OUTBOX_DEFAULT>> {
        Some(&self.0.get(node)?.batch(covered).outbox)
    }

    fn reset(&mut self, nodes: usize) {
        for held in &mut self.0 {
            held.reset();
        }
        // What no run has needed yet is not touched: it is large.
        while self.0.len() < nodes && self.0.push(Held::new()).is_ok() {}
    }
}
