//! Exhaustive search: breadth first, with `stateright`.

use super::{Action, Broken, Coverage, Explorer, World};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::sync::Arc;

/// Bounds of an exploration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Greatest number of steps from the initial state.
    pub depth: Option<usize>,
    /// Greatest number of distinct states to expand, each of which takes memory.
    pub states: u64,
}

/// Progress of an exploration, readable by another thread, which can also stop it.
#[derive(Debug, Default)]
pub struct Watch {
    states: AtomicU64,
    applied: AtomicU64,
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
        self.applied.fetch_max(world.applied(), Ordering::Relaxed);
    }
}

/// A violation with its schedule.
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
/// ```
/// use std::sync::Arc;
/// use synod_host::check::{Bounds, End, Explorer, Scope, Watch, search};
///
/// let scope = Scope { nodes: 2, ..Scope::small() };
/// let bounds = Bounds { depth: None, states: 1_000_000 };
/// let explored = search(&Arc::new(Explorer::new(scope)?), bounds, &Arc::default());
/// assert_eq!(explored.end, End::Exhausted);
/// # Ok::<(), synod_host::check::StartError>(())
/// ```
pub fn search(explorer: &Arc<Explorer>, bounds: Bounds, watch: &Arc<Watch>) -> Explored {
    if let Some(broken) = explorer.check_liveness(explorer.start()) {
        return Explored::at_the_start(explorer, broken);
    }
    let states = Searched {
        explorer: Arc::clone(explorer),
        bounds,
        watch: Arc::clone(watch),
        traces: AtomicBool::new(false),
    };
    let mut builder = states.checker().finish_when(HasDiscoveries::Any);
    if let Some(depth) = bounds.depth {
        // Stateright counts states, and skips the last one unvisited.
        builder = builder.target_max_depth(depth.saturating_add(2));
    }
    let checker = builder.spawn_bfs().join();
    let unique = count(checker.unique_state_count());
    // Every distinct state is expanded once, unless a bound prevents it.
    let cut = if watch.is_stopped() {
        End::Stopped
    } else if watch.states() >= bounds.states {
        End::States
    } else {
        End::Depth
    };
    let end = if watch.states() == unique {
        End::Exhausted
    } else {
        cut
    };
    let states = count(checker.state_count());
    let depth = checker.max_depth().saturating_sub(1);
    let depth = count(bounds.depth.map_or(depth, |bound| depth.min(bound)));
    let coverage = explorer.coverage();
    // The path to a violation is walked again, regardless of the bounds.
    checker.model().traces.store(true, Ordering::Relaxed);
    let violation = checker.discoveries().into_values().next().and_then(|path| {
        let broken = path.last_state().broken()?.clone();
        let schedule = path.into_actions();
        Some(Violation {
            broken,
            schedule,
            seed: None,
        })
    });
    Explored {
        states,
        unique,
        depth,
        end: if violation.is_some() {
            End::Violated
        } else {
            end
        },
        applied: watch.applied(),
        walks: 0,
        coverage,
        violation,
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

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// An explorer as a model of `stateright`. The time limit of `stateright` is not used, because a single thread never
/// checks it.
struct Searched {
    explorer: Arc<Explorer>,
    bounds: Bounds,
    watch: Arc<Watch>,
    /// Whether the search is over and a path is being walked.
    traces: AtomicBool,
}

impl Model for Searched {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.explorer.start().clone()]
    }

    /// Only possible actions are returned, so that each has a next state; `stateright` would report a missing one.
    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if !self.traces.load(Ordering::Relaxed) {
            if self.watch.is_stopped() || self.watch.states() >= self.bounds.states {
                return;
            }
            self.watch.see(world);
        }
        self.explorer.all_actions(world, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        Some(self.explorer.step_and_check_liveness(world, &action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always(
            "no invariant is violated",
            |_, world: &World| world.broken().is_none(),
        )]
    }

    fn within_boundary(&self, world: &World) -> bool {
        world.is_within()
    }
}
