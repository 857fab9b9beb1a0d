//! What was reached while states were explored: without it, that no rule is broken says nothing.

use core::sync::atomic::{AtomicU64, Ordering};

/// Something that a small cluster can come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Situation {
    /// A node took office.
    Elected,
    /// A new leader proposed again what it had adopted.
    Reproposed,
    /// A new leader filled a hole with a no-op.
    Noop,
    /// A claim or a reign was ended by a higher ballot.
    Preempted,
    /// A leader stepped down without one.
    SteppedDown,
    /// A slot was applied somewhere.
    Applied,
    /// A client was answered.
    Answered,
    /// A promise took more than one page.
    Paged,
    /// A node learnt a decision that another one passed on.
    Learnt,
    /// A node went on from another one's snapshot.
    Installed,
    /// Power failed between two steps, and the node came back from its storage.
    Restarted,
    /// Power failed in the middle of what a step wrote, and the node came back from its storage.
    Torn,
    /// A checkpoint was completed.
    Checkpoint,
    /// The network healed, and it was looked whether the cluster comes to rest.
    Healed,
}

impl Situation {
    /// Every one, in the order of the variants.
    pub const ALL: [Self; 14] = [
        Self::Elected,
        Self::Reproposed,
        Self::Noop,
        Self::Preempted,
        Self::SteppedDown,
        Self::Applied,
        Self::Answered,
        Self::Paged,
        Self::Learnt,
        Self::Installed,
        Self::Restarted,
        Self::Torn,
        Self::Checkpoint,
        Self::Healed,
    ];

    /// Its name: lower case, words joined by underscores.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Elected => "elected",
            Self::Reproposed => "reproposed",
            Self::Noop => "noop",
            Self::Preempted => "preempted",
            Self::SteppedDown => "stepped_down",
            Self::Applied => "applied",
            Self::Answered => "answered",
            Self::Paged => "paged",
            Self::Learnt => "learnt",
            Self::Installed => "installed",
            Self::Restarted => "restarted",
            Self::Torn => "torn",
            Self::Checkpoint => "checkpoint",
            Self::Healed => "healed",
        }
    }

    /// What did not happen where it is missing, as the rest of a sentence.
    pub const fn missing(self) -> &'static str {
        match self {
            Self::Elected => "no leader was elected",
            Self::Reproposed => "no new leader had anything to propose again",
            Self::Noop => "no new leader had a hole to fill",
            Self::Preempted => "nobody was preempted",
            Self::SteppedDown => "no leader stepped down",
            Self::Applied => "no slot was applied",
            Self::Answered => "no client was answered",
            Self::Paged => "no promise took more than one page",
            Self::Learnt => "nobody learnt a decision from another replica",
            Self::Installed => "nobody installed a snapshot",
            Self::Restarted => "no node lost its power",
            Self::Torn => "no node lost its power in the middle of a step",
            Self::Checkpoint => "no checkpoint was completed",
            Self::Healed => "it was never looked whether a cluster comes to rest",
        }
    }

    #[expect(clippy::as_conversions, reason = "a fieldless enum's discriminant")]
    const fn index(self) -> usize {
        self as usize
    }
}

/// How often each was reached, each state as often as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage([u64; Situation::ALL.len()]);

impl Coverage {
    /// How often.
    pub fn of(&self, situation: Situation) -> u64 {
        self.0.get(situation.index()).copied().unwrap_or(0)
    }

    /// Counts.
    pub(crate) fn add(&mut self, situation: Situation, times: u64) {
        if let Some(count) = self.0.get_mut(situation.index()) {
            *count = count.saturating_add(times);
        }
    }

    /// Counts what another one has counted.
    pub(crate) fn add_all(&mut self, other: &Self) {
        for situation in Situation::ALL {
            self.add(situation, other.of(situation));
        }
    }
}

/// The same, for several threads at once.
#[derive(Debug, Default)]
pub(super) struct SharedCoverage([AtomicU64; Situation::ALL.len()]);

impl SharedCoverage {
    pub(super) fn add(&self, coverage: &Coverage) {
        for (count, more) in self.0.iter().zip(coverage.0) {
            if more > 0 {
                count.fetch_add(more, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn coverage(&self) -> Coverage {
        let mut coverage = Coverage::default();
        for (sum, count) in coverage.0.iter_mut().zip(&self.0) {
            *sum = count.load(Ordering::Relaxed);
        }
        coverage
    }
}
