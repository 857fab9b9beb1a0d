//! Coverage of an exploration. Without it, the absence of violations proves nothing.
//!
//! It counts what happened, not what was visited: a part that visits a million states without an
//! election has shown nothing about elections. The explorer counts after each step, and the walks
//! of [`crate::random_walk`] add what their traces have.

use core::sync::atomic::{AtomicU64, Ordering};

/// A situation that a small cluster can get into.
///
/// Reports print the names of those that occurred, with their counts, and of those that never did.
/// `synod check` exits with 5 if a part lacks one that it has to reach: see
/// [`Part::due`](crate::commands::check::Part::due).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Situation {
    /// A node became leader.
    Elected,
    /// A new leader proposed an adopted value again.
    Reproposed,
    /// A new leader filled a gap with a no-op.
    Noop,
    /// A claim or a leadership was ended by a higher ballot.
    Preempted,
    /// A leader stepped down without a higher ballot.
    SteppedDown,
    /// A node applied a slot.
    Applied,
    /// A client received an answer.
    Answered,
    /// A client read the state of a node, without a slot of the log.
    Read,
    /// A promise took more than one page.
    Paged,
    /// A node learnt a decision from another replica.
    Learnt,
    /// A node installed a snapshot of another one.
    Installed,
    /// A node entered an epoch.
    Reconfigured,
    /// A node heard that its epoch had ended.
    Superseded,
    /// Power failed between two steps, and the node restarted from its storage.
    Restarted,
    /// Power failed during the writes of a step, and the node restarted from its storage.
    Torn,
    /// A checkpoint was completed.
    Checkpoint,
    /// Liveness was checked.
    Healed,
}

impl Situation {
    /// All situations, in the order of the variants.
    pub const ALL: [Self; 17] = [
        Self::Elected,
        Self::Reproposed,
        Self::Noop,
        Self::Preempted,
        Self::SteppedDown,
        Self::Applied,
        Self::Answered,
        Self::Read,
        Self::Paged,
        Self::Learnt,
        Self::Installed,
        Self::Reconfigured,
        Self::Superseded,
        Self::Restarted,
        Self::Torn,
        Self::Checkpoint,
        Self::Healed,
    ];

    /// Returns the name: lower case, words joined by underscores.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Elected => "elected",
            Self::Reproposed => "reproposed",
            Self::Noop => "noop",
            Self::Preempted => "preempted",
            Self::SteppedDown => "stepped_down",
            Self::Applied => "applied",
            Self::Answered => "answered",
            Self::Read => "read",
            Self::Paged => "paged",
            Self::Learnt => "learnt",
            Self::Installed => "installed",
            Self::Reconfigured => "reconfigured",
            Self::Superseded => "superseded",
            Self::Restarted => "restarted",
            Self::Torn => "torn",
            Self::Checkpoint => "checkpoint",
            Self::Healed => "healed",
        }
    }

    /// Returns the statement that the situation never occurred.
    pub const fn missing(self) -> &'static str {
        match self {
            Self::Elected => "no leader was elected",
            Self::Reproposed => "no new leader had anything to propose again",
            Self::Noop => "no new leader had a gap to fill",
            Self::Preempted => "no node was preempted",
            Self::SteppedDown => "no leader stepped down",
            Self::Applied => "no slot was applied",
            Self::Answered => "no client was answered",
            Self::Read => "no client read the state of a node",
            Self::Paged => "no promise took more than one page",
            Self::Learnt => "no node learnt a decision from another replica",
            Self::Installed => "no node installed a snapshot",
            Self::Reconfigured => "no node entered an epoch",
            Self::Superseded => "no node heard that its epoch had ended",
            Self::Restarted => "no node lost power",
            Self::Torn => "no node lost power during a step",
            Self::Checkpoint => "no checkpoint was completed",
            Self::Healed => "liveness was never checked",
        }
    }

    /// Returns the place among the counts. Discriminants rise from 0 in the order of
    /// [`Situation::ALL`], so that every place exists.
    #[expect(clippy::as_conversions, reason = "a fieldless enum's discriminant")]
    const fn index(self) -> usize {
        self as usize
    }
}

/// Number of occurrences of each situation, counted once for each time that a state is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage([u64; Situation::ALL.len()]);

impl Coverage {
    /// Returns the number of occurrences of a situation.
    pub fn of(&self, situation: Situation) -> u64 {
        self.0.get(situation.index()).copied().unwrap_or(0)
    }

    /// Adds occurrences of a situation.
    pub(crate) fn add(&mut self, situation: Situation, times: u64) {
        if let Some(count) = self.0.get_mut(situation.index()) {
            // A search of a day does not come near the end of 64 bits, and a report must not fail
            // over a count.
            *count = count.saturating_add(times);
        }
    }

    /// Adds the occurrences counted elsewhere.
    pub(crate) fn add_all(&mut self, other: &Self) {
        for situation in Situation::ALL {
            self.add(situation, other.of(situation));
        }
    }
}

/// Coverage shared by several threads.
///
/// The counts are independent of each other and are read only for reports, so that no order of
/// memory has to be kept between them.
#[derive(Debug, Default)]
pub(super) struct SharedCoverage([AtomicU64; Situation::ALL.len()]);

impl SharedCoverage {
    /// Adds the counts of one step. Most of them are 0, and skipping those spares the threads
    /// contention.
    pub(super) fn add(&self, coverage: &Coverage) {
        for (count, more) in self.0.iter().zip(coverage.0) {
            if more > 0 {
                count.fetch_add(more, Ordering::Relaxed);
            }
        }
    }

    /// Returns the sums. While other threads add to them, they may be of different moments.
    pub(super) fn coverage(&self) -> Coverage {
        let mut coverage = Coverage::default();
        for (sum, count) in coverage.0.iter_mut().zip(&self.0) {
            *sum = count.load(Ordering::Relaxed);
        }
        coverage
    }
}
