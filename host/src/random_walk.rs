//! Random walks over real nodes, under network conditions drawn from a seed.
//!
//! A walk draws the size of the cluster, the possible events and their probabilities. Each step delivers, repeats or
//! loses a message that was sent at any time, advances the clock of a node to its next deadline, cuts or restores the
//! power of a node, or lets a client make a request. The network conditions hold back some kinds of messages or some
//! links for long and release them late. In half of the walks an operator changes the members: the cluster grows by nodes
//! that join as learners, shrinks, and replaces some of its members or all, and retired nodes are switched off. In half of
//! them clients also read the state of nodes without a slot of the log. After every step a checker, which knows only writes, messages and traces,
//! looks for violations. At the end all faults end, and everything that was requested must be answered.
//!
//! ```
//! use synod_host::random_walk::{Conditions, walk};
//! let walked = walk(6, &Conditions::default());
//! assert_eq!(walked.broken, None);
//! assert!(walked.steps > 300);
//! ```
//!
//! Unlike the worlds of [`crate::check`], a walk has clocks, begins before the founding, and has no
//! bounds on rounds and slots. It reaches deep states in thousands of steps, and promises nothing
//! about those that it does not reach.

mod check;
mod checker;
mod clients;
mod facts;
mod ledger;
mod liveness;
mod network_conditions;
mod operator;
mod power_loss;
mod random_source;
mod step;
mod walk;

pub use check::{Check, CheckSet, Violation};

use synod::machines::{Kv, KvCommand};
use synod::{Proposal, Tally};

/// Capacity of the key-value store of the nodes. Clients use 6 keys, so that the store is full at
/// times and refuses a new one.
const KEYS: usize = 4;

/// State machine of the nodes. A reference implementation in `ledger` computes the same outputs
/// independently.
type Machine = Kv<KEYS>;
/// A value of a slot.
type Asked = Proposal<KvCommand>;

/// Settings of a walk beside its seed. The feature `mutants` adds a field.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conditions {
    /// Checks that end a walk.
    pub checks: CheckSet,
    /// Mistake planted in every node, if any.
    #[cfg(feature = "mutants")]
    pub mutant: Option<synod::Mutant>,
}

impl Default for Conditions {
    /// All checks, and no mutant.
    fn default() -> Self {
        Self {
            checks: CheckSet::All,
            #[cfg(feature = "mutants")]
            mutant: None,
        }
    }
}

/// Result of a walk.
///
/// The counts tell whether walks come to what they are made for; a test and `synod check` demand
/// that they do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walked {
    /// Number of steps of all nodes.
    pub steps: u64,
    /// Number of events of each kind.
    pub tally: Tally,
    /// Losses of power, and checkpoints.
    pub power: Power,
    /// Number of answers to clients and to the operator, without those to reads.
    pub answered: u64,
    /// Number of reads without a slot of the log that were answered with the state of a node, before all faults ended.
    pub reads: u64,
    /// Number of times that a node has heard that its epoch had ended.
    pub superseded: u64,
    /// Number of decisions that replicas learnt from each other.
    pub learnt: u64,
    /// Number of slots applied.
    pub slots: u64,
    /// Check that failed, if one did.
    pub broken: Option<Violation>,
}

/// Losses of power, and checkpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Power {
    /// Number of losses of power between two steps, with all pending writes lost.
    pub lost: u64,
    /// Number of losses of power during a write.
    pub torn: u64,
    /// Number of completed checkpoints.
    pub checkpoints: u64,
}

/// Makes one walk. Equal seeds and conditions give equal walks. A quarter of the seeds have a window of two slots, and
/// a quarter pages of two entries; all others have windows of four, and all have two sessions.
pub fn walk(seed: u64, conditions: &Conditions) -> Walked {
    match seed % 4 {
        0 | 1 => walk_of::<4, 2, 1>(seed, conditions),
        2 => walk_of::<2, 2, 1>(seed, conditions),
        _ => walk_of::<4, 2, 2>(seed, conditions),
    }
}

/// Makes a walk with the given capacities of nodes. Each triple of capacities is a copy of nodes
/// and checkers in the program, so that there are only three.
fn walk_of<const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>(
    seed: u64,
    conditions: &Conditions,
) -> Walked {
    let mut walk = walk::Walk::<WINDOW, CLIENTS, PAGE>::new(seed, conditions);
    let broken = walk.run().err();
    Walked {
        steps: walk.steps,
        power: walk.power,
        answered: walk.answered(),
        reads: walk.reads,
        superseded: walk.superseded(),
        learnt: walk.learnt,
        slots: walk.checker.ledger.end(),
        tally: walk.into_tally(),
        broken,
    }
}
