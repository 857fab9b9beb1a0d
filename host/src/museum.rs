//! The bug museum: every mutant is let loose, and hunted.
//!
//! A [`Hunter`] is a way to look for broken rules. It is handed a mutant, has all nodes make that mistake, and tells how
//! soon a check failed and which. [`RandomWalks`] is one; whatever else runs real nodes under checks can be another.

use crate::case::{Case, in_thread, run_here};
#[cfg(feature = "check")]
use crate::check::{Bounds, Explorer, Scope, walks};
use crate::random_walk::{CheckSet, Conditions, walk};
use synod::Mutant;
use synod::simulation::{FaultSet, Swarm};

/// A way to look for broken rules.
pub trait Hunter {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Tries so many times to catch a mutant, or whatever is to be caught where no node makes a mistake.
    fn hunt(&self, mutant: Option<Mutant>, tries: u64) -> Option<Catch>;
}

/// How a mutant was caught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catch {
    /// The check that failed.
    pub check: &'static str,
    /// What was seen.
    pub what: String,
    /// How many tries it took, this one included.
    pub tries: u64,
    /// What repeats the try: the seed of a walk.
    pub seed: u64,
    /// How many steps the nodes had taken in it.
    pub steps: u64,
}

/// Random walks over seeds from a first one on: see [`crate::random_walk`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RandomWalks {
    /// Which checks count.
    pub checks: CheckSet,
    /// The seed of the first walk.
    pub first: u64,
}

impl Hunter for RandomWalks {
    fn name(&self) -> &'static str {
        match self.checks {
            CheckSet::All => "first sign",
            CheckSet::UserVisible => "harm",
        }
    }

    fn hunt(&self, mutant: Option<Mutant>, tries: u64) -> Option<Catch> {
        let conditions = Conditions {
            checks: self.checks,
            mutant,
        };
        (1..=tries).find_map(|tries| {
            let seed = self.first.checked_add(tries - 1)?;
            let walked = walk(seed, &conditions);
            walked.broken.map(|violation| Catch {
                check: violation.check.name(),
                what: violation.what,
                tries,
                seed,
                steps: walked.steps,
            })
        })
    }
}

/// The trials of a sweep with all faults, over seeds from a first one on: see [`crate::sweep`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trials {
    /// The first seed.
    pub first: u64,
}

/// A trial whose nodes do so much is stuck: honest ones do less than a tenth.
const EVENTS_MAX: u64 = 1_000_000;

impl Trials {
    /// What this hunter is called.
    pub const NAME: &'static str = "sweep";

    /// The trial of a seed, with nodes that make a mistake.
    pub fn case(mutant: Option<Mutant>, seed: u64) -> Case {
        let swarm = Swarm {
            faults: FaultSet::ALL,
            nodes: None,
        };
        let mut trial = swarm.draw(seed);
        trial.scenario.mutant = mutant;
        trial.scenario.events_max = EVENTS_MAX;
        Case::of(trial)
    }
}

impl Hunter for Trials {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn hunt(&self, mutant: Option<Mutant>, tries: u64) -> Option<Catch> {
        let hunt = || {
            for tries in 1..=tries {
                let Some(seed) = self.first.checked_add(tries - 1) else {
                    break;
                };
                let finished = run_here(&Self::case(mutant, seed), &mut ())?;
                if let Some(check) = finished.failure() {
                    return Ok(Some(Catch {
                        check,
                        what: finished.verdict.to_string(),
                        tries,
                        seed,
                        steps: finished.report.events,
                    }));
                }
            }
            Ok(None)
        };
        // What a swarm draws can be run.
        in_thread(hunt).ok().flatten()
    }
}

/// Random walks of the check through its large world, over seeds from a first one on: see [`crate::check`].
#[cfg(feature = "check")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worlds {
    /// The seed of the first walk.
    pub first: u64,
}

#[cfg(feature = "check")]
impl Hunter for Worlds {
    fn name(&self) -> &'static str {
        "check"
    }

    fn hunt(&self, mutant: Option<Mutant>, tries: u64) -> Option<Catch> {
        let explorer = Explorer::making(mutant, Scope::large()).ok()?;
        let bounds = Bounds {
            depth: None,
            states: u64::MAX,
        };
        let seeds = self.first..=self.first.checked_add(tries.checked_sub(1)?)?;
        let found = walks(&explorer, seeds, bounds, &crate::check::Watch::default());
        let violation = found.violation?;
        Some(Catch {
            check: violation.broken.invariant.name(),
            what: violation.broken.to_string(),
            tries: found.walks,
            seed: violation.seed?,
            steps: found.states,
        })
    }
}
