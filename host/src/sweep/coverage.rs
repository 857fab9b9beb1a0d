//! Coverage of a sweep: the faults that struck, and rare events of the protocol.
//!
//! Both are read off the results of a run: what a node has traced, and what the simulation has
//! seen. Each is counted as runs and as times, because a thousand occurrences in one run show less
//! than one occurrence in each of a thousand runs.

use crate::run::Finished;
use synod::Queue;
use synod::simulation::FaultKind;

/// A rare event: one that never occurs without faults, and that the protocol must handle.
///
/// Each is a place where mistakes are likely, and which a change to the protocol or to the
/// distribution of faults may cut off unnoticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RareEvent {
    /// An election after the first.
    Reelection,
    /// A scout or a leader preempted by a higher ballot.
    Preemption,
    /// A leader that stepped down because it no longer heard from a quorum.
    StepDown,
    /// A proposal that a new leader proposed again.
    Reproposal,
    /// A gap that a new leader filled with a no-op.
    Noop,
    /// A promise of more than one page.
    PagedPromise,
    /// A snapshot installed by a node.
    Snapshot,
    /// A restart of a node from its durable state.
    Restart,
    /// A loss of power that lost written data.
    LostWrite,
    /// Writes of several steps made durable by one sync.
    GroupCommit,
    /// A checkpoint, after which the log before it was trimmed.
    Checkpoint,
    /// A loss of power during a checkpoint.
    CutCheckpoint,
    /// A loss of power after a checkpoint that was written with a gap in the decisions.
    CutOverGap,
    /// A vote of a node superseded by a decision that it learnt from another node.
    Overruled,
    /// A loss of power of such a node, which restarts from that decision.
    CutOverruled,
    /// Several steps of a node gathered by its driver before the outbox was emptied.
    Gathered,
    /// A message that left a node while the node made the writes of the same steps durable.
    EarlyMessage,
    /// A request that a client withdrew.
    Withdrawal,
    /// An answer that a client read in the state of a node, without a slot.
    Read,
    /// A client informed that it cannot read now.
    NotNow,
    /// A node fenced because its disk failed.
    Fenced,
    /// A node that restarted as a learner because its disk had lost data.
    LostStorage,
    /// An epoch that began at a node with a change of the members.
    Epoch,
    /// A node that was removed by a change, and has retired by the end of the run.
    Retired,
    /// A client informed of the eviction of its session.
    Eviction,
    /// A window with all slots in use.
    FullWindow,
    /// A full session table.
    FullSessions,
    /// A full table of pending requests.
    FullPending,
    /// A proposal that found no room in a leader's queue of waiting proposals.
    FullWaiting,
    /// A request that found no free requester.
    FullRequesters,
    /// A message that found no room in the scheduler of the simulation.
    FullScheduler,
}

/// Number of rare events. The length of [`RareEvent::ALL`] is compared with it by the compiler.
const RARE_EVENTS: usize = 31;

impl RareEvent {
    /// All rare events.
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
        Self::EarlyMessage,
        Self::Withdrawal,
        Self::Read,
        Self::NotNow,
        Self::Fenced,
        Self::LostStorage,
        Self::Epoch,
        Self::Retired,
        Self::Eviction,
        Self::FullWindow,
        Self::FullSessions,
        Self::FullPending,
        Self::FullWaiting,
        Self::FullRequesters,
        Self::FullScheduler,
    ];

    /// Returns the name: lower case, words joined by hyphens.
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
            Self::EarlyMessage => "early-message",
            Self::Withdrawal => "withdrawal",
            Self::Read => "read",
            Self::NotNow => "not-now",
            Self::Fenced => "fenced",
            Self::LostStorage => "lost-storage",
            Self::Epoch => "epoch",
            Self::Retired => "retired",
            Self::Eviction => "eviction",
            Self::FullWindow => "full-window",
            Self::FullSessions => "full-sessions",
            Self::FullPending => "full-pending",
            Self::FullWaiting => "full-waiting",
            Self::FullRequesters => "full-requesters",
            Self::FullScheduler => "full-scheduler",
        }
    }

    /// Returns the number of occurrences in a run; a peak counts once. The names of marks are those
    /// of the simulation.
    fn times(self, finished: &Finished) -> u64 {
        let tally = &finished.tally;
        let full = |name: &str| {
            // A name that the simulation does not have would never be full, which a long sweep
            // reports as missing.
            let mark = finished.marks.iter().find(|mark| mark.name == name);
            u64::from(mark.is_some_and(|mark| mark.peak >= mark.capacity))
        };
        match self {
            // The first election founds the cluster, and every run has it.
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
            Self::EarlyMessage => finished.report.early,
            Self::Withdrawal => finished.report.withdrawn,
            Self::Read => finished.report.read,
            Self::NotNow => finished.report.not_now,
            Self::Fenced => tally.fenced,
            Self::LostStorage => finished.disks.damaged,
            Self::Epoch => tally.reconfigured,
            Self::Retired => finished.members.retired,
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

/// Occurrences of a fault or rare event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Occurrences {
    /// Number of runs in which it occurred.
    pub runs: u64,
    /// Number of occurrences in all runs.
    pub times: u64,
}

impl Occurrences {
    /// Adds a run in which it occurred that often.
    fn add(&mut self, times: u64) {
        self.runs += u64::from(times > 0);
        self.times += times;
    }
}

/// Coverage of all runs so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Occurrences of each kind of fault, in the order of [`FaultKind::ALL`].
    faults: [Occurrences; FaultKind::ALL.len()],
    /// Occurrences of each rare event, in the order of [`RareEvent::ALL`].
    rare_events: [Occurrences; RARE_EVENTS],
    /// Planned faults that have begun in any run, one bit each. A plan has at most 64 faults.
    began: u64,
}

impl Coverage {
    /// Returns the occurrences of each kind of fault.
    pub fn faults(&self) -> impl Iterator<Item = (FaultKind, Occurrences)> {
        FaultKind::ALL.into_iter().zip(self.faults)
    }

    /// Returns the occurrences of each rare event.
    pub fn rare_events(&self) -> impl Iterator<Item = (RareEvent, Occurrences)> {
        RareEvent::ALL.into_iter().zip(self.rare_events)
    }

    /// True if the planned fault at an index has begun in any run. Meaningless if each run has a plan of its own.
    pub fn has_begun(&self, index: u32) -> bool {
        self.began
            .checked_shr(index)
            .is_some_and(|bits| bits & 1 == 1)
    }

    /// Returns the number of faults that struck in all runs.
    pub fn struck(&self) -> u64 {
        self.faults
            .iter()
            .map(|occurrences| occurrences.times)
            .sum()
    }

    /// Adds a run.
    pub(super) fn add(&mut self, finished: &Finished) {
        self.began |= finished.began;
        for (occurrences, kind) in self.faults.iter_mut().zip(FaultKind::ALL) {
            occurrences.add(match kind {
                // A message cut off by a partition is not a random loss.
                FaultKind::Loss => finished.lost,
                _ => finished.tally.faults(kind),
            });
        }
        for (occurrences, rare_event) in self.rare_events.iter_mut().zip(RareEvent::ALL) {
            occurrences.add(rare_event.times(finished));
        }
    }
}
