//! The threads of a sweep: each takes the next seed, runs it, and hands in what came of it.

use super::{End, Expectations, Failure, MANY_RUNS, Sweep, Swept};
use crate::case::run_here;
use crate::run::{Finished, RunError, STACK};
use core::cell::Cell;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant as Clock;
use synod::Digest;
use synod::simulation::{ScenarioError, Trial};

/// How many runs may be begun while an earlier one is still under way: what they come to waits for it in memory.
const AHEAD: u64 = 10_000;

thread_local! {
    /// The seed that this thread runs.
    static CURRENT: Cell<Option<u64>> = const { Cell::new(None) };
}

/// The seed that this thread of a sweep runs at present: for a panic to name.
pub fn current_seed() -> Option<u64> {
    CURRENT.get()
}

/// How far a sweep is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Progress {
    /// How many runs are done.
    pub runs: u64,
    /// How many of them failed.
    pub failed: usize,
    /// How often a fault struck.
    pub struck: u64,
    /// How long it took so far.
    pub took: Duration,
}

/// Sweeps. After each run it says how far it is; once `stop` is set no further run is begun,
/// though each thread has begun one.
///
/// Without [`Sweep::keep_going`] it ends with the first failure: the one with the smallest seed, and what is added up is
/// what came of the seeds up to that one.
///
/// # Errors
///
/// [`RunError`] where there were no runs at all. A run that fails is no error but a [`Failure`].
///
/// ```
/// use synod_host::sweep::{Seeds, Sweep, sweep};
/// let sweep_of_ten = Sweep::new(Seeds { first: 0, end: Some(10) });
/// let swept = sweep(&sweep_of_ten, &|_| {}, &false.into())?;
/// assert_eq!((swept.runs, swept.failures.len()), (10, 0));
/// # Ok::<(), synod_host::run::RunError>(())
/// ```
pub fn sweep(
    sweep: &Sweep,
    on_progress: &(dyn Fn(Progress) + Sync),
    stop: &AtomicBool,
) -> Result<Swept, RunError> {
    let shared = Shared {
        sweep,
        began: now(),
        stop,
        on_progress,
        state: Mutex::new(State::new(Swept::new(sweep.seeds.first))),
        progressed: Condvar::new(),
    };
    thread::scope(|scope| {
        let mut workers = Vec::new();
        for _ in 0..sweep.jobs.get() {
            let builder = thread::Builder::new()
                .name("run".to_owned())
                .stack_size(STACK);
            match builder.spawn_scoped(scope, || shared.work()) {
                Ok(worker) => workers.push(worker),
                Err(error) => {
                    shared.fail(RunError::Thread(error));
                    break;
                }
            }
        }
        for worker in workers {
            worker.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
    });
    let state = shared.state.into_inner();
    let State {
        mut swept, error, ..
    } = state.unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = error {
        return Err(error);
    }
    swept.took = shared.began.elapsed();
    if matches!(swept.end, End::Through | End::Time) {
        let due = Expectations::of(sweep);
        swept.missing = due.missing(&swept);
        if due.is_unrestricted() && swept.paces.runs >= MANY_RUNS {
            swept.unusual = swept.paces.unusual().collect();
        }
    }
    Ok(swept)
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a sweep may take is a matter of the wall clock; what a run comes to is not"
)]
fn now() -> Clock {
    Clock::now()
}

/// What a run came to.
struct RunOutcome {
    trial: Trial,
    finished: Finished,
    again: Option<Digest>,
}

struct State {
    /// How many seeds were handed out.
    begun: u64,
    /// What came of seeds, while an earlier one is still under way.
    ahead: BTreeMap<u64, RunOutcome>,
    /// Why no more seeds are handed out.
    over: Option<End>,
    error: Option<RunError>,
    swept: Swept,
}

impl State {
    const fn new(swept: Swept) -> Self {
        Self {
            begun: 0,
            ahead: BTreeMap::new(),
            over: None,
            error: None,
            swept,
        }
    }
}

/// What the threads share.
struct Shared<'a> {
    sweep: &'a Sweep,
    began: Clock,
    stop: &'a AtomicBool,
    on_progress: &'a (dyn Fn(Progress) + Sync),
    state: Mutex<State>,
    /// Something was handed in.
    progressed: Condvar,
}

impl Shared<'_> {
    fn work(&self) {
        // Where a run panics, the others must not wait for it.
        let _guard = PanicGuard(self);
        // Who stops a sweep that has hardly begun is told of a run for each thread, and not of nothing.
        let mut observes_stop = false;
        while let Some((nth, run_seed)) = self.next_seed(observes_stop) {
            observes_stop = true;
            match self.run(run_seed) {
                Ok(ran) => self.submit(nth, ran),
                Err(error) => self.fail(RunError::Scenario(error)),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next seed, and how many were handed out before it.
    fn next_seed(&self, observes_stop: bool) -> Option<(u64, u64)> {
        let mut state = self.lock();
        while state.over.is_none() && state.begun - state.swept.runs >= AHEAD {
            let waited = self.progressed.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        if state.over.is_some() {
            return None;
        }
        let nth = state.begun;
        let seed = self.sweep.seeds.nth(self.sweep.shard, nth);
        let is_late = |time: Duration| self.began.elapsed() >= time;
        let over = match seed {
            None => Some(End::Through),
            Some(_) if observes_stop && self.stop.load(Ordering::Relaxed) => Some(End::Stopped),
            Some(_) if self.sweep.time.is_some_and(is_late) => Some(End::Time),
            Some(_) => None,
        };
        if let Some(end) = over {
            state.over = over;
            state.swept.end = end;
            return None;
        }
        state.begun += 1;
        seed.map(|seed| (nth, seed))
    }

    fn run(&self, run_seed: u64) -> Result<RunOutcome, ScenarioError> {
        CURRENT.set(Some(run_seed));
        let case = self.sweep.source.case(run_seed);
        let finished = run_here(&case, &mut ())?;
        let again = if self.sweep.verify {
            Some(run_here(&case, &mut ())?.digest)
        } else {
            None
        };
        let trial = case.trial;
        Ok(RunOutcome {
            trial,
            finished,
            again,
        })
    }

    /// Takes in what came of a seed, and adds up what can be added in order.
    fn submit(&self, nth: u64, ran: RunOutcome) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let failed = Failure::of(0, &ran.finished, ran.again).is_some();
        if failed && !self.sweep.keep_going {
            // Every smaller seed has been handed out already.
            state.over.get_or_insert(End::Failed);
        }
        state.ahead.insert(nth, ran);
        loop {
            let runs = state.swept.runs;
            let is_over = state.swept.end == End::Failed || state.error.is_some();
            let Some(ran) = state.ahead.remove(&runs).filter(|_| !is_over) else {
                break;
            };
            state.swept.add(&ran.trial, &ran.finished, ran.again);
            let (seeds, shard) = (&self.sweep.seeds, self.sweep.shard);
            state.swept.next = seeds.below(shard, state.swept.runs);
            let failed = !state.swept.failures.is_empty() && !self.sweep.keep_going;
            if failed && state.swept.end != End::Stopped {
                // What was begun later is left out: whether it was done by now is a matter of luck.
                state.swept.end = End::Failed;
            }
            (self.on_progress)(Progress {
                runs: state.swept.runs,
                failed: state.swept.failures.len(),
                struck: state.swept.coverage.struck(),
                took: self.began.elapsed(),
            });
        }
        drop(guard);
        self.progressed.notify_all();
    }

    fn fail(&self, error: RunError) {
        let mut state = self.lock();
        state.error.get_or_insert(error);
        state.over = Some(End::Failed);
        drop(state);
        self.progressed.notify_all();
    }
}

struct PanicGuard<'a>(&'a Shared<'a>);

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.lock().over = Some(End::Failed);
            self.0.progressed.notify_all();
        }
    }
}
