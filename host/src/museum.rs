//! The bug museum: every mutant is let loose, and hunted.
//!
//! A [`Hunter`] is a way to look for broken rules. It is handed a mutant, has all nodes make that mistake, and tells how
//! soon a check failed and which. [`RandomWalks`] is one; whatever else runs real nodes under checks can be another.

use crate::storm::{Conditions, Watch, walk};
use synod::{Config, Mutant};

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

/// Random walks over seeds from a first one on: see [`crate::storm`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RandomWalks {
    /// Which checks count.
    pub watch: Watch,
    /// The seed of the first walk.
    pub first: u64,
}

impl Hunter for RandomWalks {
    fn name(&self) -> &'static str {
        match self.watch {
            Watch::Everything => "first sign",
            Watch::Harm => "harm",
        }
    }

    fn hunt(&self, mutant: Option<Mutant>, tries: u64) -> Option<Catch> {
        let conditions = Conditions {
            watch: self.watch,
            configure: &|config| Config { mutant, ..config },
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
