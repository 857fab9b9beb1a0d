//! The bug museum: runs each mutant against every kind of checking.
//!
//! A [`Detector`] is one kind of checking, such as [`RandomWalks`]. It runs real nodes that contain a planted mistake,
//! and reports which check failed first and after how many tries.
//!
//! Detectors do not know what is planted. They are the very checks that correct nodes pass, with
//! the same seeds in the same order, so that the number of tries of a catch is what it would take
//! to find such a mistake by chance.

use crate::case::{Case, in_thread, run_here};
use crate::check::{Bounds, Explorer, Scope, walks};
use crate::random_walk::{CheckSet, Conditions, walk};
use synod::Mutant;
use synod::simulation::{FaultSet, Swarm};

/// A way to look for violations.
pub trait Detector {
    /// Returns the name.
    fn name(&self) -> &'static str;

    /// Tries to find a violation in nodes with a mutant, or in correct nodes if there is none.
    /// Seeds are tried in rising order, so that the one that is reported is the first of all.
    fn detect(&self, mutant: Option<Mutant>, tries: u64) -> Option<Catch>;
}

/// A violation found in a mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catch {
    /// The check that failed.
    pub check: &'static str,
    /// Description of the violation.
    pub what: String,
    /// Number of tries, including this one.
    pub tries: u64,
    /// Seed that repeats the try.
    pub seed: u64,
    /// Number of steps of all nodes in the try.
    pub steps: u64,
}

/// Random walks with consecutive seeds: see [`crate::random_walk`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RandomWalks {
    /// Checks that end a walk.
    pub checks: CheckSet,
    /// Seed of the first walk.
    pub first: u64,
}

impl Detector for RandomWalks {
    fn name(&self) -> &'static str {
        match self.checks {
            CheckSet::All => "first sign",
            CheckSet::UserVisible => "harm",
        }
    }

    fn detect(&self, mutant: Option<Mutant>, tries: u64) -> Option<Catch> {
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

/// Trials of a sweep with all faults, with consecutive seeds: see [`crate::sweep`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trials {
    /// First seed.
    pub first: u64,
}

/// Bound on the events of a trial, beyond which it counts as stalled: correct nodes take less than a tenth.
const EVENTS_MAX: u64 = 1_000_000;

impl Trials {
    /// Name of this detector.
    pub const NAME: &'static str = "sweep";

    /// Returns the trial of a seed, with a mutant in all nodes.
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

impl Detector for Trials {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn detect(&self, mutant: Option<Mutant>, tries: u64) -> Option<Catch> {
        let detect = || {
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
        // A trial drawn by a swarm always starts.
        in_thread(detect).ok().flatten()
    }
}

/// Random walks of the model checker through its large world, with consecutive seeds: see [`crate::check`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worlds {
    /// Seed of the first walk.
    pub first: u64,
}

impl Detector for Worlds {
    fn name(&self) -> &'static str {
        "check"
    }

    fn detect(&self, mutant: Option<Mutant>, tries: u64) -> Option<Catch> {
        let explorer = Explorer::making(mutant, Scope::large()).ok()?;
        let bounds = Bounds {
            depth: None,
            states: u64::MAX,
        };
        (1..=tries).find_map(|tries| {
            let seed = self.first.checked_add(tries - 1)?;
            // A watch for each walk, so that it counts the steps of that walk alone.
            let watch = crate::check::Watch::default();
            let found = walks(&explorer, seed..=seed, bounds, &watch);
            found.violation.map(|violation| Catch {
                check: violation.broken.invariant.name(),
                what: violation.broken.to_string(),
                tries,
                seed,
                steps: found.states,
            })
        })
    }
}
