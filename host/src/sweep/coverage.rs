//! What the runs of a sweep have seen: which faults struck, and what happened that does not happen in a quiet run.

use crate::run::Finished;
use synod::Queue;
use synod::simulation::FaultKind;

/// Something that a quiet run never sees, and that a protocol must get right all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RareEvent {
    /// An election beyond the first.
    Reelection,
    /// A scout or a leader that a higher ballot ended.
    Preemption,
    /// A leader that gave up because it no longer heard from a quorum.
    StepDown,
    /// A proposal that a new leader proposed again.
    Reproposal,
    /// A hole that a new leader filled with a no-op.
    Noop,
    /// A promise that did not fit into one page.
    PagedPromise,
    /// A node that was brought up by a snapshot.
    Snapshot,
    /// A node that started again from what it had made durable.
    Restart,
    /// A loss of power after which something was missing that had been written.
    LostWrite,
    /// Several steps of a node whose writes were made durable by one sync.
    GroupCommit,
    /// A snapshot that was written, after which the log before it was dropped.
    Checkpoint,
    /// A loss of power in the middle of a checkpoint.
    CutCheckpoint,
    /// A loss of power after a checkpoint that was written over a gap in the decisions.
    CutOverGap,
    /// A vote of a node that lost to what was decided, as another one told it.
    Overruled,
    /// A loss of power of such a node, which starts from that decision.
    CutOverruled,
    /// Several steps of a node that its driver gathered before it emptied the outbox.
    Gathered,
    /// A node that stopped voting as its disk failed.
    Fenced,
    /// A node that came back and may not vote, as its disk had lost something.
    LostStorage,
    /// A client that was told that its session was given up.
    Eviction,
    /// A window with all of its slots in use.
    FullWindow,
    /// A table of sessions with no room left.
    FullSessions,
    /// A table of requests that wait for their decision, with no room left.
    FullPending,
    /// A leader's proposals that wait for a slot, of which one did not fit.
    FullWaiting,
    /// A node's requesters, of which one did not fit.
    FullRequesters,
    /// The simulation's scheduler, for which a message was one too many.
    FullScheduler,
}

const RARE_EVENTS: usize = 25;

impl RareEvent {
    /// Every one.
    pub const ALL: [Self; RARE_EVENTS] = [
        Self::Reelection,
        Self::Preemption,
        Self::StepDown,
        Self::Reproposal,
        Self::Noop,
        Self::PagedPromise,
        Self::Snapshot,
        Self::Restart,
        Self::LostWrite,
        Self::GroupCommit,
        Self::Checkpoint,
        Self::CutCheckpoint,
        Self::CutOverGap,
        Self::Overruled,
        Self::CutOverruled,
        Self::Gathered,
        Self::Fenced,
        Self::LostStorage,
        Self::Eviction,
        Self::FullWindow,
        Self::FullSessions,
        Self::FullPending,
        Self::FullWaiting,
        Self::FullRequesters,
        Self::FullScheduler,
    ];

    /// Its name: lower case, words joined by hyphens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reelection => "reelection",
            Self::Preemption => "preemption",
            Self::StepDown => "step-down",
            Self::Reproposal => "reproposal",
            Self::Noop => "noop",
            Self::PagedPromise => "paged-promise",
            Self::Snapshot => "snapshot",
            Self::Restart => "node-restart",
            Self::LostWrite => "lost-write",
            Self::GroupCommit => "group-commit",
            Self::Checkpoint => "checkpoint",
            Self::CutCheckpoint => "cut-checkpoint",
            Self::CutOverGap => "cut-over-gap",
            Self::Overruled => "overruled",
            Self::CutOverruled => "cut-overruled",
            Self::Gathered => "gathered",
            Self::Fenced => "fenced",
            Self::LostStorage => "lost-storage",
            Self::Eviction => "eviction",
            Self::FullWindow => "full-window",
            Self::FullSessions => "full-sessions",
            Self::FullPending => "full-pending",
            Self::FullWaiting => "full-waiting",
            Self::FullRequesters => "full-requesters",
            Self::FullScheduler => "full-scheduler",
        }
    }

    /// How often it happened in a run; of what stays full, once.
    fn times(self, finished: &Finished) -> u64 {
        let tally = &finished.tally;
        let full = |name: &str| {
            let mark = finished.marks.iter().find(|mark| mark.name == name);
            u64::from(mark.is_some_and(|mark| mark.peak >= mark.capacity))
        };
        match self {
            Self::Reelection => tally.adopted.saturating_sub(1),
            Self::Preemption => tally.preempted,
            Self::StepDown => tally.stepped_down,
            Self::Reproposal => tally.reproposed,
            Self::Noop => tally.noops,
            Self::PagedPromise => tally.paged,
            Self::Snapshot => tally.installed,
            Self::Restart => tally.restarted,
            Self::LostWrite => finished.disks.torn,
            Self::GroupCommit => finished.report.grouped,
            Self::Checkpoint => finished.disks.checkpoints,
            Self::CutCheckpoint => finished.disks.cut_checkpoints,
            Self::CutOverGap => finished.disks.cut_over_gaps,
            Self::Overruled => finished.disks.overruled,
            Self::CutOverruled => finished.disks.cut_overruled,
            Self::Gathered => finished.report.gathered,
            Self::Fenced => tally.fenced,
            Self::LostStorage => finished.disks.damaged,
            Self::Eviction => tally.evicted,
            Self::FullWindow => full("window"),
            Self::FullSessions => full("sessions"),
            Self::FullPending => full("pending"),
            Self::FullWaiting => tally.full(Queue::Waiting),
            Self::FullRequesters => tally.full(Queue::Requesters),
            Self::FullScheduler => tally.full(Queue::Scheduler),
        }
    }
}

/// In how many runs something happened, and how often in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Occurrences {
    /// In how many runs.
    pub runs: u64,
    /// How often in all.
    pub times: u64,
}

impl Occurrences {
    fn add(&mut self, times: u64) {
        self.runs += u64::from(times > 0);
        self.times += times;
    }
}

/// What runs have seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    faults: [Occurrences; FaultKind::ALL.len()],
    rare_events: [Occurrences; RARE_EVENTS],
    /// Which of the planned faults have begun in any run.
    began: u64,
}

impl Coverage {
    /// The kinds of fault, with how often each struck.
    pub fn faults(&self) -> impl Iterator<Item = (FaultKind, Occurrences)> {
        FaultKind::ALL.into_iter().zip(self.faults)
    }

    /// What does not happen in a quiet run, with how often it did.
    pub fn rare_events(&self) -> impl Iterator<Item = (RareEvent, Occurrences)> {
        RareEvent::ALL.into_iter().zip(self.rare_events)
    }

    /// Whether the planned fault at this place of its plan has begun in any run. It says nothing where each run has a plan of
    /// its own.
    pub fn has_begun(&self, index: u32) -> bool {
        self.began
            .checked_shr(index)
            .is_some_and(|bits| bits & 1 == 1)
    }

    /// How often anything went wrong.
    pub fn struck(&self) -> u64 {
        self.faults
            .iter()
            .map(|occurrences| occurrences.times)
            .sum()
    }

    pub(super) fn add(&mut self, finished: &Finished) {
        self.began |= finished.began;
        for (occurrences, kind) in self.faults.iter_mut().zip(FaultKind::ALL) {
            occurrences.add(match kind {
                // What a partition cuts off is not for want of luck.
                FaultKind::Loss => finished.lost,
                _ => finished.tally.faults(kind),
            });
        }
        for (occurrences, rare_event) in self.rare_events.iter_mut().zip(RareEvent::ALL) {
            occurrences.add(rare_event.times(finished));
        }
    }
}
