//! Random walks: real nodes in weather that no script would think of.
//!
//! A walk draws from its seed how large the cluster is, what may happen, and how likely that is. Each step delivers,
//! repeats or loses any message that was ever sent, lets one node's clock run to its next deadline, takes the power from a
//! node or gives it back, or lets a client ask something; the weather keeps some kinds of messages or some links back for
//! long and releases them late. After every step a judge, who knows only what was written, said and traced, looks for a
//! broken rule. At the end the network heals, and everything that was asked must be answered.
//!
//! ```
//! use synod_host::random_walk::{Conditions, walk};
//! let walked = walk(6, &Conditions::default());
//! assert_eq!(walked.broken, None);
//! assert!(walked.steps > 300);
//! ```

mod check;
mod checker;
mod clients;
mod facts;
mod ledger;
mod liveness;
mod network_conditions;
mod power_loss;
mod random_source;
mod walk;

pub use check::{Check, CheckSet, Violation};

use synod::machines::{Kv, KvCommand};
use synod::{Proposal, Tally};

/// How many keys the nodes that walk have room for.
const KEYS: usize = 4;

type Machine = Kv<KEYS>;
type Asked = Proposal<KvCommand>;

/// What a walk is told beside its seed. There is more in it under the feature `mutants`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conditions {
    /// Which checks end it.
    pub checks: CheckSet,
    /// The mistake that every node makes, if they make one.
    #[cfg(feature = "mutants")]
    pub mutant: Option<synod::Mutant>,
}

impl Default for Conditions {
    /// All checks, and nodes that make no mistake.
    fn default() -> Self {
        Self {
            checks: CheckSet::All,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }
}

/// What came of a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walked {
    /// How many steps the nodes took in all.
    pub steps: u64,
    /// What happened how often.
    pub tally: Tally,
    /// What happened to power, and to storage.
    pub power: Power,
    /// How many answers clients were given.
    pub answered: u64,
    /// How many decisions replicas learnt from each other.
    pub learnt: u64,
    /// How many slots were applied.
    pub slots: u64,
    /// The check that failed, if one did.
    pub broken: Option<Violation>,
}

/// How often power failed, and what was kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Power {
    /// How often it failed between two steps, with what waited to be written lost.
    pub lost: u64,
    /// How often it failed while something was being written.
    pub torn: u64,
    /// How many checkpoints were completed.
    pub checkpoints: u64,
}

/// Walks once. Equal seeds and conditions give equal walks. A quarter of the seeds have a window of two slots, a quarter
/// pages of two entries; all others have windows of four, and all have two sessions.
pub fn walk(seed: u64, conditions: &Conditions) -> Walked {
    match seed % 4 {
        0 | 1 => walk_of::<4, 2, 1>(seed, conditions),
        2 => walk_of::<2, 2, 1>(seed, conditions),
        _ => walk_of::<4, 2, 2>(seed, conditions),
    }
}

fn walk_of<const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>(
    seed: u64,
    conditions: &Conditions,
) -> Walked {
    let mut walk = walk::Walk::<WINDOW, CLIENTS, PAGE>::new(seed, conditions);
    let broken = walk.run().err();
    Walked {
        steps: walk.steps,
        power: walk.power,
        answered: u64::try_from(walk.replies.len()).unwrap_or(u64::MAX),
        learnt: walk.learnt,
        slots: walk.checker.ledger.end(),
        tally: walk.into_tally(),
        broken,
    }
}
