//! Exploration of the parts of a check, as many at a time as there are processors.
//!
//! A part is explored by one thread from its beginning to its end. Dividing a search among threads
//! would need a shared map of all states, at which they would wait for each other; parts share
//! nothing but the counter by which they are taken.

use super::{CheckCommand, Part};
use crate::check::{
    Bounds, Coverage, End, Explored, Explorer, Line, Scope, Situation, Watch, schedule, search,
    walks,
};
use crate::random_walk::{self, Conditions, walk};
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Result of a part.
///
/// The numbers are those of [`Explored`]; for storms, `states` and `depth` count steps of nodes.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) part: Part,
    /// Reason why its exploration ended.
    pub(super) end: End,
    /// Number of states reached, counted once for each time.
    pub(super) states: u64,
    /// Number of distinct states, if known.
    pub(super) unique: u64,
    /// Greatest number of steps from the initial state.
    pub(super) depth: u64,
    /// Greatest number of slots applied.
    pub(super) applied: u64,
    /// Number of walks; 0 for a search.
    pub(super) walks: u64,
    /// Situations that it came to.
    pub(super) coverage: Coverage,
    /// First violation, if there is one.
    pub(super) bad: Option<Bad>,
}

/// A violation with its counterexample.
#[derive(Debug)]
pub(super) struct Bad {
    /// Name of the violated invariant or check.
    pub(super) rule: &'static str,
    /// Evidence, in one line.
    pub(super) what: String,
    /// Steps that lead to it; empty for storms, whose steps are far too many to be read.
    pub(super) schedule: Vec<Line>,
    /// Seed that repeats the walk; `None` for a search.
    pub(super) seed: Option<u64>,
}

impl Done {
    /// Returns the result of a part that has not begun. Storms add to it as they go.
    fn new(part: &Part, end: End) -> Self {
        Self {
            part: part.clone(),
            end,
            states: 0,
            unique: 0,
            depth: 0,
            applied: 0,
            walks: 0,
            coverage: Coverage::default(),
            bad: None,
        }
    }

    /// Returns the result of a search or of walks. The schedule is performed again to describe each
    /// step.
    fn of(part: &Part, explorer: &Explorer, found: Explored) -> Self {
        let bad = found.violation.map(|violation| Bad {
            rule: violation.broken.invariant.name(),
            what: violation.broken.what,
            schedule: schedule(explorer, &violation.schedule),
            seed: violation.seed,
        });
        Self {
            part: part.clone(),
            end: found.end,
            states: found.states,
            unique: found.unique,
            depth: found.depth,
            applied: found.applied,
            walks: found.walks,
            coverage: found.coverage,
            bad,
        }
    }

    /// True if the part ended before it was complete.
    pub(super) fn is_cut(&self) -> bool {
        matches!(self.end, End::Stopped | End::States | End::Depth)
    }
}

/// Explores all parts. A violation stops the parts after it but not those before it, so that the first one reported
/// does not depend on the number of processors.
pub(super) fn explored(
    command: &CheckCommand,
    parts: &[Part],
    watches: &[Arc<Watch>],
) -> Vec<Done> {
    // Threads take parts in order, so that the first violation in that order is never skipped.
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, Done)>> = Mutex::default();
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let (Some(part), Some(watch)) = (parts.get(index), watches.get(index)) else {
                return;
            };
            let done = if watch.is_stopped() {
                Done::new(part, End::Stopped)
            } else {
                explore(command, part, watch)
            };
            // Those before it go on: they may have a violation, too, which is then the first.
            if done.bad.is_some() {
                watches
                    .iter()
                    .skip(index + 1)
                    .for_each(|later| later.stop());
            }
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            results.push((index, done));
        }
    };
    // This thread works as well, so that one part needs no other.
    let jobs = thread::available_parallelism().map_or(1, |jobs| jobs.get().min(parts.len()));
    thread::scope(|scope| {
        for _ in 1..jobs {
            scope.spawn(work);
        }
        work();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    debug_assert_eq!(results.len(), parts.len(), "each part has one result");
    results.into_iter().map(|(_, done)| done).collect()
}

/// Explores a part. Nodes that cannot found a cluster without faults violate progress: with a
/// mutant, that is a catch like any other.
fn explore(command: &CheckCommand, part: &Part, watch: &Watch) -> Done {
    match part {
        Part::World(scope) | Part::Walks(scope, ..) => match explorer(command, scope) {
            Ok(explorer) => explore_with(command, part, &explorer, watch),
            Err(what) => {
                let mut done = Done::new(part, End::Violated);
                done.bad = Some(Bad {
                    rule: "progress",
                    what,
                    schedule: Vec::new(),
                    seed: None,
                });
                done
            }
        },
        Part::Storms(count, first) => storms(command, part, (*count, *first), watch),
    }
}

/// Returns the explorer of a world. If its nodes cannot found a cluster without faults, that is a violation of
/// progress.
fn explorer(
    #[cfg_attr(
        not(feature = "mutants"),
        expect(unused_variables, reason = "used only under the feature `mutants`")
    )]
    command: &CheckCommand,
    scope: &Scope,
) -> Result<Explorer, String> {
    #[cfg(feature = "mutants")]
    let explorer = Explorer::making(command.mutant, scope.clone());
    #[cfg(not(feature = "mutants"))]
    let explorer = Explorer::new(scope.clone());
    explorer.map_err(|error| error.to_string())
}

/// Explores a world, or walks through it, with an explorer of its scope. A test passes one with
/// forged messages.
pub(super) fn explore_with(
    command: &CheckCommand,
    part: &Part,
    explorer: &Explorer,
    watch: &Watch,
) -> Done {
    let bounds = Bounds {
        depth: command.depth.and_then(|depth| usize::try_from(depth).ok()),
        states: command.states,
    };
    let found = match part {
        Part::World(_) => search(explorer, bounds, watch),
        Part::Walks(_, count, first) => {
            // The command line has checked that the last seed exists.
            let last = first.saturating_add(count.saturating_sub(1));
            walks(explorer, *first..=last, bounds, watch)
        }
        Part::Storms(..) => return Done::new(part, End::Stopped),
    };
    Done::of(part, explorer, found)
}

/// Makes random walks under drawn network conditions. Their checks are those of [`random_walk`],
/// and their counts are added to the same coverage.
fn storms(
    #[cfg_attr(
        not(feature = "mutants"),
        expect(unused_variables, reason = "used only under the feature `mutants`")
    )]
    command: &CheckCommand,
    part: &Part,
    (count, first): (u64, u64),
    watch: &Watch,
) -> Done {
    let mut done = Done::new(part, End::Walked);
    let conditions = Conditions {
        checks: random_walk::CheckSet::All,
        #[cfg(feature = "mutants")]
        mutant: command.mutant,
    };
    for nth in 0..count {
        if watch.is_stopped() {
            done.end = End::Stopped;
            break;
        }
        let seed = first.saturating_add(nth);
        let walked = walk(seed, &conditions);
        let (tally, power) = (&walked.tally, &walked.power);
        for (situation, times) in [
            (Situation::Elected, tally.adopted),
            (Situation::Reproposed, tally.reproposed),
            (Situation::Noop, tally.noops),
            (Situation::Preempted, tally.preempted),
            (Situation::SteppedDown, tally.stepped_down),
            (Situation::Applied, tally.applied),
            (Situation::Answered, walked.answered),
            (Situation::Read, walked.reads),
            (Situation::Paged, tally.paged),
            (Situation::Learnt, walked.learnt),
            (Situation::Installed, tally.installed),
            (Situation::Reconfigured, tally.reconfigured),
            (Situation::Superseded, walked.superseded),
            (Situation::Restarted, power.lost),
            (Situation::Torn, power.torn),
            (Situation::Checkpoint, power.checkpoints),
            // A walk ends with the check of liveness, unless it ends before.
            (Situation::Healed, u64::from(walked.broken.is_none())),
        ] {
            done.coverage.add(situation, times);
        }
        watch.count(walked.steps);
        done.walks += 1;
        done.states += walked.steps;
        done.depth = done.depth.max(walked.steps);
        done.applied = done.applied.max(walked.slots);
        if let Some(broken) = walked.broken {
            done.end = End::Violated;
            done.bad = Some(Bad {
                rule: broken.check.name(),
                // The further lines are the debug output of the nodes.
                what: broken.what.lines().next().unwrap_or_default().to_owned(),
                schedule: Vec::new(),
                seed: Some(seed),
            });
            break;
        }
    }
    done
}
