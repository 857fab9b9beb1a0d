//! The place of one node among the disks: its disk, the journal that is open on it, and what is to go wrong with it.

use super::{DiskFigures, SEAL_AND_SYNC, TORN_WITHIN};
use crate::random::{Purpose, span_below, stream};
use crate::simulation::disk::Disk;
use crate::storage::Journal;
use crate::{Duration, Node, Slot, StateMachine, Write};
use rand_core::Rng;
use rand_xorshift::XorShiftRng;

/// What a loss of power waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trap {
    /// A checkpoint that has begun.
    Checkpoint,
    /// A checkpoint that is complete and began while decisions were known beyond one that was missing: how many were
    /// completed when one began so, and how many when that was last looked at.
    Gap { since: Option<u32>, seen: u32 },
    /// A vote that lost to what was decided for its slot, and a record of a slot that is a window further on.
    Overruled(Option<Slot>),
}

/// The disk of one node, and what is to happen on it. It stays when the node is down.
#[derive(Debug)]
pub(super) struct Place<const BYTES: usize> {
    pub(super) disk: Kept<BYTES>,
    /// How long a sync takes, give or take half as much.
    pub(super) slow: Duration,
    /// The most bytes that were in use.
    pub(super) peak: usize,
    /// Whether the node has ever been given it.
    pub(super) is_used: bool,
    /// Whether something on it has changed on its own.
    pub(super) is_rotten: bool,
    /// What the next loss of power waits for. It is the same on all disks, as any node may come to it: see
    /// [`Disks::arm`].
    pub(super) trap: Option<Trap>,
    /// A stream of its own for each node, so that what happens to one disk moves nothing of the others. It is drawn
    /// from once for each loss of power and for each begin and end of a fault, and for each sync while the disk is
    /// slow.
    pub(super) rng: XorShiftRng,
}

/// A disk, and who has it.
#[derive(Debug)]
pub(super) enum Kept<const BYTES: usize> {
    /// Nobody; the node is down, or does not vote.
    Closed(Disk<BYTES>),
    /// The journal of a node that is up and votes.
    Open(Journal<Disk<BYTES>>),
}

impl<const BYTES: usize> Kept<BYTES> {
    pub(super) fn disk(&self) -> &Disk<BYTES> {
        match self {
            Self::Closed(disk) => disk,
            Self::Open(journal) => journal.storage(),
        }
    }

    pub(super) fn disk_mut(&mut self) -> &mut Disk<BYTES> {
        match self {
            Self::Closed(disk) => disk,
            Self::Open(journal) => journal.storage_mut(),
        }
    }
}

impl<const BYTES: usize> Place<BYTES> {
    pub(super) fn new() -> Self {
        Self {
            disk: Kept::Closed(Disk::new()),
            slow: Duration::ZERO,
            peak: 0,
            is_used: false,
            is_rotten: false,
            trap: None,
            // Set to that of the node when a run begins.
            rng: stream(0, Purpose::Disk),
        }
    }

    /// Takes the disk from whoever has it.
    /// What the journal has counted is kept, as it ends here. In its place there is an empty disk until the caller puts
    /// the one back that it was given.
    #[inline(never)] // LLVM takes minutes to compile a caller with the moves of these large values inlined.
    pub(super) fn close(&mut self, figures: &mut DiskFigures) -> Disk<BYTES> {
        match core::mem::replace(&mut self.disk, Kept::Closed(Disk::new())) {
            Kept::Closed(disk) => disk,
            Kept::Open(journal) => {
                self.peak = self.peak.max(journal.peak());
                figures.checkpoints += u64::from(journal.checkpoints());
                journal.into_storage()
            }
        }
    }

    /// The most bytes that were in use in this run, by whichever journal.
    pub(super) fn peak(&self) -> usize {
        match &self.disk {
            Kept::Open(journal) => self.peak.max(journal.peak()),
            Kept::Closed(_) => self.peak,
        }
    }

    /// Checks whether the condition of a trap holds; returns the trap if power is to fail now. Called after each write
    /// of a node and before its sync, with the vote that was overruled in it.
    ///
    /// [`Trap::Checkpoint`] is sprung by the disk itself, which sees the record that begins a checkpoint.
    pub(super) fn check_trap<
        M: StateMachine,
        const WINDOW: usize,
        const CLIENTS: usize,
        const PAGE: usize,
    >(
        &mut self,
        node: &Node<M, WINDOW, CLIENTS, PAGE>,
        writes: &[Write<M::Command>],
        overruled: Option<Slot>,
    ) -> Option<Trap> {
        let Kept::Open(journal) = &mut self.disk else {
            return None;
        };
        let completed = journal.checkpoints();
        let sprung = match &mut self.trap {
            None | Some(Trap::Checkpoint) => false,
            Some(Trap::Gap { since, seen }) => {
                let has_gap = node.decisions_ahead().next().is_some();
                if journal.is_checkpointing() && has_gap {
                    // The first such checkpoint counts; the gap may be closed by the time that it is complete.
                    since.get_or_insert(completed);
                }
                // One that is written at once is complete already.
                let at_once = has_gap && completed > *seen;
                *seen = completed;
                at_once || since.is_some_and(|since| completed > since)
            }
            Some(Trap::Overruled(lost)) => {
                *lost = lost.or(overruled);
                // A record of a slot implies that the slot a window before it is applied: from then on a replay takes
                // the decision for the slot that was lost, and the vote must not be taken for it (rule C3).
                let slots = writes.iter().map(|write| match write {
                    Write::Decided { slot, .. } => *slot,
                    Write::Accepted(entry) => entry.slot,
                    Write::Promised(_) | Write::Installed(_) => Slot::ZERO,
                });
                let newest = slots.max().unwrap_or(Slot::ZERO);
                let window = crate::outbox::run_len(WINDOW);
                lost.is_some_and(|lost| newest.distance(lost) >= window)
            }
        };
        if !sprung {
            return None;
        }
        // What was written has its sync: a node whose record is lost with the power would prove nothing.
        let after = SEAL_AND_SYNC + self.rng.next_u64() % TORN_WITHIN;
        journal.storage_mut().cut_power_in(after);
        self.trap.take()
    }

    /// How long the next sync takes.
    pub(super) fn latency(&mut self) -> Duration {
        if self.slow == Duration::ZERO {
            // Without a draw, so that a disk that is never slow leaves its stream to the other faults.
            return self.slow;
        }
        let jitter = span_below(&mut self.rng, self.slow);
        // A sync that takes no time is done at once by `Stores::write`, which this one is not.
        let one = Duration::from_micros(1);
        let latency = (self.slow / 2).saturating_add(jitter).max(one);
        debug_assert!(
            latency <= self.slow.saturating_add(self.slow / 2).max(one),
            "a sync takes half as long again at most"
        );
        latency
    }
}
