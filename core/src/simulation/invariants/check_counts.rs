//! Counters of how often each rule was checked, since a rule that is never checked is never broken.
//!
//! A checker whose history is too short, or a rule that no run touches, reports nothing, and looks like one that found all
//! in order. The counts tell the difference, and tests ask for each rule.

use crate::simulation::Rule;
use core::ops::AddAssign;

const RULES: usize = Rule::ALL.len();

/// How often each [`Rule`] was checked, and how often it could not be, because what it is compared with is older than
/// what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    /// By [`Rule::index`], as are those below.
    checked: [u64; RULES],
    unchecked: [u64; RULES],
}

impl Default for Seen {
    fn default() -> Self {
        Self::new()
    }
}

impl Seen {
    /// Nothing seen yet.
    pub const fn new() -> Self {
        Self {
            checked: [0; RULES],
            unchecked: [0; RULES],
        }
    }

    /// How often a rule was looked at and had something to say.
    pub fn checked(&self, rule: Rule) -> u64 {
        self.checked.get(rule.index()).copied().unwrap_or(0)
    }

    /// How often a rule should have been looked at and could not be.
    pub fn unchecked(&self, rule: Rule) -> u64 {
        self.unchecked.get(rule.index()).copied().unwrap_or(0)
    }

    /// Everything that could not be checked.
    /// Where it is 0 a run without a violation has kept every rule that was looked at. Otherwise the history of the
    /// room is too short for it.
    pub fn unchecked_total(&self) -> u64 {
        self.unchecked.iter().sum()
    }

    /// Adds to what was checked.
    #[inline]
    pub fn check(&mut self, rule: Rule) {
        debug_assert!(rule.index() < RULES, "a rule is checked and not counted");
        if let Some(count) = self.checked.get_mut(rule.index()) {
            *count += 1;
        }
    }

    /// Adds to what could not be checked.
    #[cold]
    pub fn skip(&mut self, rule: Rule) {
        if let Some(count) = self.unchecked.get_mut(rule.index()) {
            *count += 1;
        }
    }
}

impl AddAssign<&Self> for Seen {
    /// Adds the counts of another run.
    fn add_assign(&mut self, other: &Self) {
        let pairs = [
            (&mut self.checked, &other.checked),
            (&mut self.unchecked, &other.unchecked),
        ];
        for (counts, others) in pairs {
            for (count, more) in counts.iter_mut().zip(others) {
                *count += more;
            }
        }
    }
}
