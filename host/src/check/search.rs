//! Exhaustive breadth-first search of the states of a scope.
//!
//! The search keeps two structures. The queue has the states that were reached and not visited yet,
//! whole. The map has every state that was ever reached, as its fingerprint and the step that led
//! to it: tens of bytes, where a whole state takes kilobytes. A path is found by going back from
//! step to step, and its actions by performing them once more from the beginning.
//!
//! Breadth first takes more memory than depth first, and gives the shortest counterexample, which a
//! person has to read.

use super::{Action, Broken, Coverage, Explorer, World};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::collections::VecDeque;
use std::collections::btree_map::{BTreeMap, Entry};

/// Bounds of an exploration.
///
/// Both are bounds on this process, and not on the cluster as a [`Scope`](super::Scope) is: what
/// they cut off is reported as an incomplete exploration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Greatest number of steps from the initial state.
    pub depth: Option<usize>,
    /// Greatest number of distinct states to expand, each of which takes memory.
    pub states: u64,
}

/// Progress of an exploration, readable by another thread, which can also stop it.
///
/// Neither progress nor the request to stop orders any other memory, so that relaxed accesses
/// suffice. A stop takes effect before the next state or walk.
///
/// The other thread has the clock and the signals: an exploration looks at neither.
#[derive(Debug, Default)]
pub struct Watch {
    /// Number of expanded states, or of steps of walks.
    states: AtomicU64,
    /// Greatest number of slots applied since the initial state.
    applied: AtomicU64,
    /// Set once and never cleared. A watch serves one exploration.
    stopped: AtomicBool,
}

impl Watch {
    /// Returns the number of expanded states.
    pub fn states(&self) -> u64 {
        self.states.load(Ordering::Relaxed)
    }

    /// Requests the exploration to stop.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// True if the exploration was requested to stop.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Adds steps of a walk to the number of states.
    pub fn count(&self, steps: u64) {
        self.states.fetch_add(steps, Ordering::Relaxed);
    }

    /// Returns the greatest number of slots that a node had applied.
    pub(super) fn applied(&self) -> u64 {
        self.applied.load(Ordering::Relaxed)
    }

    /// Counts an expanded state.
    pub(super) fn see(&self, world: &World) {
        self.states.fetch_add(1, Ordering::Relaxed);
        // Counted when a state is expanded and not when it is reached, so that each counts once.
        self.applied.fetch_max(world.applied(), Ordering::Relaxed);
    }
}

/// A violation with its schedule.
///
/// It is found again by the same command, and needs no seed if it was found by a search.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The violated invariant.
    pub broken: Broken,
    /// Actions from the initial state on.
    pub schedule: Vec<Action>,
    /// Seed of the walk that found it.
    pub seed: Option<u64>,
}

/// Reason why an exploration ended.
///
/// Its name is the value of `end` in the JSON report of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// All states were visited.
    Exhausted,
    /// All states within the depth were visited.
    Depth,
    /// The bound on the number of states was reached.
    States,
    /// The exploration was stopped.
    Stopped,
    /// All walks were completed.
    Walked,
    /// An invariant was violated.
    Violated,
}

impl End {
    /// Returns the name, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::Depth => "depth",
            Self::States => "states",
            Self::Stopped => "stopped",
            Self::Walked => "walked",
            Self::Violated => "violated",
        }
    }
}

/// Result of an exploration.
#[derive(Clone, Debug)]
pub struct Explored {
    /// Number of states reached, counted once for each time.
    pub states: u64,
    /// Number of distinct states.
    pub unique: u64,
    /// Number of steps from the initial state to the furthest one.
    pub depth: u64,
    /// Reason why the exploration ended.
    pub end: End,
    /// Greatest number of slots applied by a node since the initial state.
    pub applied: u64,
    /// Number of walks.
    pub walks: u64,
    /// Coverage of all explorations by this explorer.
    pub coverage: Coverage,
    /// First violation.
    pub violation: Option<Violation>,
}

/// Visits every state of a scope in the order of distance from the initial state, until all are visited, an invariant
/// is violated, a bound is reached, or the watch stops it. The schedule of a violation is as short as possible.
///
/// States are told apart by their fingerprints of 64 bits alone, so a state is missed with a probability of about
/// n² / 2⁶⁵ for n states: one in 3,700 for a hundred million.
///
/// A state that is outside of the scope is neither counted nor expanded, and a violation in it is
/// not reported.
///
/// ```
/// use synod_host::check::{Bounds, End, Explorer, Scope, Watch, search};
///
/// let scope = Scope { nodes: 2, ..Scope::small() };
/// let bounds = Bounds { depth: None, states: 1_000_000 };
/// let explored = search(&Explorer::new(scope)?, bounds, &Watch::default());
/// assert_eq!(explored.end, End::Exhausted);
/// # Ok::<(), synod_host::check::StartError>(())
/// ```
pub fn search(explorer: &Explorer, bounds: Bounds, watch: &Watch) -> Explored {
    // The initial state is no result of a step, so that no step checks it.
    if let Some(broken) = explorer.check_liveness(explorer.start()) {
        return Explored::at_the_start(explorer, broken);
    }
    let mut search = Search::new(explorer);
    let violation = search.run(bounds, watch);
    let unique = count(search.reached.len());
    let coverage = explorer.coverage();
    // The path to a violation is walked again only after the coverage was read, because it adds to it.
    let violation = violation.map(|(state, broken)| Violation {
        broken,
        schedule: search.path(state),
        seed: None,
    });
    // Every distinct state is expanded once, unless a bound prevents it.
    let end = if violation.is_some() {
        End::Violated
    } else if watch.states() == unique {
        End::Exhausted
    } else if watch.is_stopped() {
        End::Stopped
    } else if watch.states() >= bounds.states {
        End::States
    } else {
        End::Depth
    };
    Explored {
        states: search.states,
        unique,
        depth: count(search.depth),
        end,
        applied: watch.applied(),
        walks: 0,
        coverage,
        violation,
    }
}

/// How a state was first reached.
///
/// The action is stored as an index in 4 bytes, since there is an origin for each of millions of
/// states and an action is a heap value. [`Search::path`] makes the actions of a path again.
#[derive(Clone, Copy, Debug)]
struct Origin {
    /// Fingerprint of the state before.
    before: u64,
    /// Index of the action among [`Explorer::all_actions`] of the state before.
    action: u32,
}

/// A state to visit, with its distance from the initial state.
///
/// Only states in the queue are kept whole. Of a visited one no more than fingerprint and origin is
/// left.
struct Visit {
    world: World,
    fingerprint: u64,
    depth: usize,
}

/// A search in progress.
struct Search<'a> {
    explorer: &'a Explorer,
    /// Every distinct state reached so far by its fingerprint; the initial state has no origin.
    reached: BTreeMap<u64, Option<Origin>>,
    /// States to visit, the nearest first.
    queue: VecDeque<Visit>,
    /// Number of states reached, counted once for each time.
    states: u64,
    /// Greatest distance of a visited state.
    depth: usize,
}

impl<'a> Search<'a> {
    /// Returns a search that has reached the initial state and visited none.
    fn new(explorer: &'a Explorer) -> Self {
        let world = explorer.start().clone();
        let fingerprint = world.fingerprint();
        Self {
            explorer,
            reached: BTreeMap::from([(fingerprint, None)]),
            queue: VecDeque::from([Visit {
                world,
                fingerprint,
                depth: 0,
            }]),
            states: 1,
            depth: 0,
        }
    }

    /// Visits the states in turn; returns the fingerprint of the first one that violates an invariant.
    fn run(&mut self, bounds: Bounds, watch: &Watch) -> Option<(u64, Broken)> {
        let mut actions = Vec::new();
        // The queue is in the order of distance: each state adds only states one step further.
        while let Some(visit) = self.queue.pop_front() {
            if bounds.depth.is_some_and(|depth| visit.depth > depth) {
                // All that follow are as far away.
                break;
            }
            debug_assert!(self.depth <= visit.depth, "the nearest is visited first");
            self.depth = visit.depth;
            if let Some(broken) = visit.world.broken() {
                return Some((visit.fingerprint, broken.clone()));
            }
            // States that were reached before the bound are still checked.
            if watch.is_stopped() || watch.states() >= bounds.states {
                continue;
            }
            watch.see(&visit.world);
            debug_assert!(actions.is_empty(), "drained for each state");
            self.explorer.all_actions(&visit.world, &mut actions);
            // The index is the place among all actions, which `path` relies on.
            for (index, action) in (0..).zip(actions.drain(..)) {
                self.reach(&visit, &action, index);
            }
        }
        None
    }

    /// Performs an action; the resulting state is visited later if it is new and within bounds.
    fn reach(&mut self, from: &Visit, action: &Action, index: u32) {
        let world = self.explorer.step_and_check_liveness(&from.world, action);
        if !world.is_within() {
            return;
        }
        self.states += 1;
        let fingerprint = world.fingerprint();
        // Breadth first, so that the way by which a state is reached first is a shortest one.
        if let Entry::Vacant(new) = self.reached.entry(fingerprint) {
            new.insert(Some(Origin {
                before: from.fingerprint,
                action: index,
            }));
            self.queue.push_back(Visit {
                world,
                fingerprint,
                depth: from.depth + 1,
            });
        }
    }

    /// Returns the actions by which a state was first reached.
    fn path(&self, state: u64) -> Vec<Action> {
        let origin = |state: &u64| self.reached.get(state).copied().flatten();
        let steps = core::iter::successors(origin(&state), |step| origin(&step.before));
        let mut indices: Vec<u32> = steps.map(|step| step.action).collect();
        indices.reverse();
        // The order of actions depends on the history of a state, which is the same again.
        let mut world = self.explorer.start().clone();
        let actions = indices.into_iter().map_while(|index| {
            let mut actions = Vec::new();
            self.explorer.all_actions(&world, &mut actions);
            let action = actions.into_iter().nth(usize::try_from(index).ok()?)?;
            // With the same check of liveness, in which the violation may lie.
            world = self.explorer.step_and_check_liveness(&world, &action);
            Some(action)
        });
        actions.collect()
    }
}

impl Explored {
    /// Returns the result if the initial state itself violates an invariant.
    fn at_the_start(explorer: &Explorer, broken: Broken) -> Self {
        Self {
            states: 1,
            unique: 1,
            depth: 0,
            end: End::Violated,
            applied: 0,
            walks: 0,
            coverage: explorer.coverage(),
            violation: Some(Violation {
                broken,
                schedule: Vec::new(),
                seed: None,
            }),
        }
    }
}

/// Converts a count. It never saturates, as every counted thing takes memory.
fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
