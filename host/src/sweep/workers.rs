//! Worker threads of a sweep: each takes the next seed, runs it, and submits the result.
//!
//! Threads finish in any order, and results count in the order of the seeds: one that is early
//! waits in `State::ahead` until all before it are there. Everything that threads share is behind
//! one lock, which a thread takes twice for each run. A run takes milliseconds, so that a finer
//! division would gain nothing.
//!
//! A sweep that is to end assigns no further seed, and completes the runs that have begun. So the
//! seeds that count are always all of those below some seed, and none above it.

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

/// Greatest number of runs begun while an earlier one is still in progress, as their results wait
/// for it in memory. Without the bound, one run that takes for ever would fill the memory with the
/// results of others.
const AHEAD: u64 = 10_000;

thread_local! {
    /// Seed of the run in progress on this thread. It is read by the panic hook, which runs on the
    /// thread that panics.
    static CURRENT: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Returns the seed that this thread is running, for the panic message.
pub fn current_seed() -> Option<u64> {
    CURRENT.get()
}

/// Progress of a sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Progress {
    /// Number of completed runs.
    pub runs: u64,
    /// Number of failed runs.
    pub failed: usize,
    /// Number of faults that struck.
    pub struck: u64,
    /// Duration so far.
    pub took: Duration,
}

/// Executes a sweep, and calls `on_progress` after each run. Once `stop` is set, no further run begins, but each thread
/// has begun at least one.
///
/// Without [`Sweep::keep_going`], the sweep ends with its first failure: the one with the smallest seed. The results
/// then cover exactly the seeds up to that one.
///
/// # Errors
///
/// [`RunError`] if runs could not start. A failed run is not an error but a [`Failure`].
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
        if due.is_unrestricted() && swept.averages.runs >= MANY_RUNS {
            swept.unusual = swept.averages.unusual().collect();
        }
    }
    Ok(swept)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the time budget uses the wall clock; the results of runs do not depend on it"
)]
// The only place of a sweep that reads the clock.
fn now() -> Clock {
    Clock::now()
}

/// Result of a run. It waits for those of smaller seeds.
struct RunOutcome {
    /// The trial, without which its effort cannot be judged.
    trial: Trial,
    finished: Finished,
    /// Digest of a second run of the same seed, with `--verify`.
    again: Option<Digest>,
}

/// State of the sweep, behind a lock. Runs take milliseconds and the lock microseconds, so that
/// threads hardly ever wait for it.
struct State {
    /// Number of seeds assigned.
    begun: u64,
    /// Results of seeds that wait for an earlier one.
    ahead: BTreeMap<u64, RunOutcome>,
    /// Reason why no more seeds are assigned.
    over: Option<End>,
    /// First error that kept a run from starting.
    error: Option<RunError>,
    /// Results of all runs up to the first seed whose run is not completed.
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

/// State shared by the threads.
struct Shared<'a> {
    sweep: &'a Sweep,
    /// Time on the clock at the beginning.
    began: Clock,
    /// Set by a signal, after which no further run begins.
    stop: &'a AtomicBool,
    /// Called with the lock held, so that it sees runs in order.
    on_progress: &'a (dyn Fn(Progress) + Sync),
    state: Mutex<State>,
    /// Signals that a result was submitted.
    progressed: Condvar,
}

impl Shared<'_> {
    /// Runs seeds until none is assigned any more.
    fn work(&self) {
        // The other threads must not wait for a run that panicked.
        let _guard = PanicGuard(self);
        // A sweep that is stopped early still reports a run of each thread.
        let mut observes_stop = false;
        while let Some((nth, run_seed)) = self.next_seed(observes_stop) {
            observes_stop = true;
            // Both results wake the threads that wait for room, since either may end the sweep.
            match self.run(run_seed) {
                Ok(ran) => self.submit(nth, ran),
                Err(error) => self.fail(RunError::Scenario(error)),
            }
        }
    }

    /// Locks the state. A thread that panicked while it held the lock left the state consistent;
    /// `PanicGuard` ends the sweep.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the next seed and the number of seeds assigned before it.
    fn next_seed(&self, observes_stop: bool) -> Option<(u64, u64)> {
        let mut state = self.lock();
        while state.over.is_none() && state.begun - state.swept.runs >= AHEAD {
            let waited = self.progressed.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        if state.over.is_some() {
            return None;
        }
        debug_assert!(
            state.swept.runs <= state.begun,
            "a run is counted after it was begun"
        );
        let nth = state.begun;
        // Results are kept by this place and not by the seed: places have no gaps, so that `submit`
        // knows which one is next.
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

    /// Runs a seed once, or twice if the digests are compared.
    fn run(&self, run_seed: u64) -> Result<RunOutcome, ScenarioError> {
        // Set until the next run of this thread: only a panic reads it.
        CURRENT.set(Some(run_seed));
        let case = self.sweep.source.case(run_seed);
        let finished = run_here(&case, &mut ())?;
        // From the same case and not from the seed: what is compared is the execution, not the
        // drawing.
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

    /// Stores the result of a seed, and adds up all results that are next in order.
    fn submit(&self, nth: u64, ran: RunOutcome) {
        // Held until all results in order are added, since `on_progress` must see them one after
        // the other.
        let mut guard = self.lock();
        let state = &mut *guard;
        // The seed does not matter here; the failure is made again when the run is counted.
        let failed = Failure::of(0, &ran.finished, ran.again).is_some();
        if failed && !self.sweep.keep_going {
            // Every smaller seed has been assigned already.
            state.over.get_or_insert(End::Failed);
        }
        state.ahead.insert(nth, ran);
        loop {
            let runs = state.swept.runs;
            // Runs after a failure are left out, because which of them are completed by now depends on timing.
            let has_failed = !state.swept.failures.is_empty() && !self.sweep.keep_going;
            let is_over = has_failed || state.error.is_some();
            let Some(ran) = state.ahead.remove(&runs).filter(|_| !is_over) else {
                break;
            };
            state.swept.add(&ran.trial, &ran.finished, ran.again);
            let (seeds, shard) = (&self.sweep.seeds, self.sweep.shard);
            state.swept.next = seeds.below(shard, state.swept.runs);
            let failed = !state.swept.failures.is_empty() && !self.sweep.keep_going;
            if failed && state.swept.end != End::Stopped {
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

    /// Ends the sweep with an error. Runs in progress are completed, and not counted.
    fn fail(&self, error: RunError) {
        let mut state = self.lock();
        // The first error counts. Later ones mostly have the same cause, such as a cluster that no
        // simulation has room for.
        state.error.get_or_insert(error);
        state.over = Some(End::Failed);
        drop(state);
        self.progressed.notify_all();
    }
}

/// Ends the sweep when its thread panics, so that others do not wait for a result that never comes.
struct PanicGuard<'a>(&'a Shared<'a>);

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.lock().over = Some(End::Failed);
            self.0.progressed.notify_all();
        }
    }
}
