//! Every state, breadth first, by `stateright`.

use super::{Action, Broken, Coverage, Explorer, World};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use stateright::{Checker, HasDiscoveries, Model, Property};
use std::sync::Arc;

/// How far an exploration goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How many steps from the start.
    pub depth: Option<usize>,
    /// How many different states are followed up, as each of them takes memory.
    pub states: u64,
}

/// How far an exploration is, for one thread to read while another one explores; and the way to end it early.
#[derive(Debug, Default)]
pub struct Watch {
    states: AtomicU64,
    applied: AtomicU64,
    stopped: AtomicBool,
}

impl Watch {
    /// How many states were followed up.
    pub fn states(&self) -> u64 {
        self.states.load(Ordering::Relaxed)
    }

    /// Ends the exploration soon.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether it is to end soon.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Counts steps that are no states.
    pub fn count(&self, steps: u64) {
        self.states.fetch_add(steps, Ordering::Relaxed);
    }

    /// How many slots some node had applied, at most.
    pub(super) fn applied(&self) -> u64 {
        self.applied.load(Ordering::Relaxed)
    }

    /// Counts a state that is followed up.
    pub(super) fn see(&self, world: &World) {
        self.states.fetch_add(1, Ordering::Relaxed);
        self.applied.fetch_max(world.applied(), Ordering::Relaxed);
    }
}

/// A broken rule, and the way to it.
#[derive(Clone, Debug)]
pub struct Violation {
    /// What does not hold.
    pub broken: Broken,
    /// What happened, from the start on.
    pub schedule: Vec<Action>,
    /// The seed of the walk that found it.
    pub seed: Option<u64>,
}

/// Why an exploration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// There are no more states.
    Exhausted,
    /// There are no more states within the depth that was asked for.
    Depth,
    /// As many states were followed up as was asked for.
    States,
    /// It was stopped.
    Stopped,
    /// All walks were taken.
    Walked,
    /// A rule was broken.
    Violated,
}

impl End {
    /// Its name: lower case.
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

/// What came of an exploration.
#[derive(Clone, Debug)]
pub struct Explored {
    /// How many states were reached, each as often as it was.
    pub states: u64,
    /// How many different ones.
    pub unique: u64,
    /// How many steps the furthest of them is from the start.
    pub depth: u64,
    /// Why it ended.
    pub end: End,
    /// How many slots some node has applied since the start, in the state in which that is the most.
    pub applied: u64,
    /// How many walks there were.
    pub walks: u64,
    /// What was reached, by all that this explorer has explored.
    pub coverage: Coverage,
    /// The first broken rule.
    pub violation: Option<Violation>,
}

/// Visits every state of a scope, the nearest to the start first, until there are no more, a rule is broken, a bound is
/// reached, or the watch says so. The schedule of a violation is as short as can be.
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
        // It counts states, and skips the last of them unseen.
        builder = builder.target_max_depth(depth.saturating_add(2));
    }
    let checker = builder.spawn_bfs().join();
    let unique = count(checker.unique_state_count());
    // Every different state is followed up once, unless something keeps it from that.
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
    // The path to a violation is walked once more, whatever the bounds are.
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
    /// Something does not hold before anything has happened.
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

/// An explorer in the words of `stateright`. Its own bound on time is not used: a single thread never looks at it.
struct Searched {
    explorer: Arc<Explorer>,
    bounds: Bounds,
    watch: Arc<Watch>,
    /// Whether the search is over and only a path is walked once more.
    traces: AtomicBool,
}

impl Model for Searched {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.explorer.start().clone()]
    }

    /// Only what is possible is offered, so that there is a next state for each action: its absence would be taken ill.
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
        vec![Property::always("no rule is broken", |_, world: &World| {
            world.broken().is_none()
        })]
    }

    fn within_boundary(&self, world: &World) -> bool {
        world.is_within()
    }
}
