//! Progress bars of long commands, on the standard error.
//!
//! A bar is drawn by a thread of its own from counters that the work increments, so that the work
//! never waits for a terminal. Nothing is drawn unless the standard error is a terminal, nor in the
//! first second. The counters order no other memory, and relaxed accesses suffice.

use crate::run::HostTracer;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use synod::{Event, Record, StateMachine, Tracer};

/// Time before a progress bar appears. Shorter commands are over before anybody wants to know.
const PATIENCE: Duration = Duration::from_secs(1);
/// Time between two updates of a progress bar.
const STEP: Duration = Duration::from_millis(100);

/// Number of slots applied by at least one node: a [`Tracer`] written by one thread and read by another.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Greatest slot applied by any node.
    applied: AtomicU64,
    /// Number of slots of a run in which nothing is decided twice; the bar may go beyond.
    expected: u64,
}

impl Progress {
    /// Returns the progress of a run that has not begun, with `requests` requests of each client.
    pub(crate) fn new(clients: u16, requests: u32) -> Self {
        // The session of each client takes a slot, too.
        let slots = u64::from(requests) + 1;
        Self {
            applied: AtomicU64::new(0),
            expected: slots * u64::from(clients),
        }
    }
}

impl<M: StateMachine, const PAGE: usize> Tracer<M, PAGE> for &Progress {
    #[inline]
    fn record(&mut self, record: &Record<'_, M, PAGE>) {
        if let Event::Applied { slot, .. } = &record.event {
            self.applied.fetch_max(slot.number(), Ordering::Relaxed);
        }
    }
}

impl HostTracer for &Progress {}

/// Calls `work`, and shows a bar of the given length and style once it has taken more than a second. `update` is called
/// at each step.
///
/// The bar is drawn by a thread of its own, which ends when `done` is dropped, also by a panic of
/// `work`.
fn shown<T>(
    len: u64,
    template: &str,
    move_on: impl Fn(&ProgressBar) + Send,
    work: impl FnOnce() -> T,
) -> T {
    thread::scope(|scope| {
        let (done, waiting) = mpsc::channel::<()>();
        scope.spawn(move || {
            // The work is over, or has panicked.
            if waiting.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let bar = ProgressBar::with_draw_target(Some(len), ProgressDrawTarget::stderr())
                .with_elapsed(PATIENCE);
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            while waiting.recv_timeout(STEP) == Err(RecvTimeoutError::Timeout) {
                move_on(&bar);
            }
            bar.finish_and_clear();
        });
        let result = work();
        drop(done);
        result
    })
}

/// Executes a run, and shows the number of applied slots once it has taken more than a second.
pub(crate) fn run_shown<T>(progress: &Progress, work: impl FnOnce() -> T) -> T {
    let template = "{elapsed_precise} {wide_bar} {human_pos}/{human_len} slots, {eta} to go";
    let applied = |bar: &ProgressBar| bar.set_position(progress.applied.load(Ordering::Relaxed));
    shown(progress.expected, template, applied, work)
}

/// Progress of a sweep.
#[derive(Debug)]
pub(crate) struct SweepProgress {
    /// Number of runs and time budget; whichever is reached first ends the sweep.
    expected: (Option<u64>, Option<Duration>),
    /// Number of completed runs.
    runs: AtomicU64,
    /// Number of failed runs.
    failed: AtomicU64,
    /// Number of faults that struck.
    struck: AtomicU64,
    /// Time since the sweep began, in milliseconds.
    took_ms: AtomicU64,
}

impl SweepProgress {
    /// Returns the progress of a sweep that has not begun.
    pub(crate) fn new(runs: Option<u64>, time: Option<Duration>) -> Self {
        Self {
            expected: (runs, time),
            runs: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            struck: AtomicU64::new(0),
            took_ms: AtomicU64::new(0),
        }
    }

    /// Stores the current progress.
    pub(crate) fn set(&self, progress: crate::sweep::Progress) {
        let failed = u64::try_from(progress.failed).unwrap_or(u64::MAX);
        self.runs.store(progress.runs, Ordering::Relaxed);
        self.failed.store(failed, Ordering::Relaxed);
        self.struck.store(progress.struck, Ordering::Relaxed);
        let took_ms = u64::try_from(progress.took.as_millis()).unwrap_or(u64::MAX);
        self.took_ms.store(took_ms, Ordering::Relaxed);
    }

    /// Returns the completed part of a bar of length `whole`. Of runs and time, the one that is
    /// further decides, because it ends the sweep.
    fn position(&self, whole: u64) -> u64 {
        let part = |of: u128, all: u128| {
            let part = of * u128::from(whole) / all.max(1);
            u64::try_from(part).unwrap_or(whole)
        };
        let (runs, time) = self.expected;
        let done = u128::from(self.runs.load(Ordering::Relaxed));
        let by_runs = runs.map_or(0, |runs| part(done, runs.into()));
        let took = self.took().as_millis();
        let by_time = time.map_or(0, |time| part(took, time.as_millis()));
        by_runs.max(by_time).min(whole)
    }

    /// Returns the time since the sweep began, as of the last run.
    fn took(&self) -> Duration {
        Duration::from_millis(self.took_ms.load(Ordering::Relaxed))
    }

    /// Returns the text behind the bar.
    fn message(&self) -> String {
        let runs = self.runs.load(Ordering::Relaxed);
        let rate = per_second(runs, self.took());
        let struck = self.struck.load(Ordering::Relaxed);
        let done = format!("{runs} seeds, {rate}/s, {struck} faults");
        match self.failed.load(Ordering::Relaxed) {
            0 => done,
            failed => format!("{done}, {failed} failed"),
        }
    }
}

/// Returns the rate per second, rounded down.
pub(crate) fn per_second(count: u64, took: Duration) -> u64 {
    let millis = took.as_millis().max(1);
    u64::try_from(u128::from(count) * 1_000 / millis).unwrap_or(u64::MAX)
}

/// Executes a sweep, and shows its progress once it has taken more than a second.
pub(crate) fn sweep_shown<T>(progress: &SweepProgress, work: impl FnOnce() -> T) -> T {
    // Length of the bar. Neither runs nor milliseconds would do, as either may have no bound.
    const WHOLE: u64 = 10_000;
    let template = "{elapsed_precise} {wide_bar} {msg}, {eta} to go";
    let move_on = |bar: &ProgressBar| {
        bar.set_message(progress.message());
        bar.set_position(progress.position(WHOLE));
    };
    shown(WHOLE, template, move_on, work)
}

/// Calls `work`, and shows a count and a note once it has taken more than a second. `work` is given a function that
/// sets both.
pub(crate) fn counted<T>(
    what: &'static str,
    len: u64,
    work: impl FnOnce(&(dyn Fn(u64, &dyn fmt::Display) + Sync)) -> T,
) -> T {
    let template =
        format!("{{elapsed_precise}} {{wide_bar}} {{human_pos}}/{{human_len}} {what}, {{msg}}");
    let (done, note) = (AtomicU64::new(0), Mutex::new(String::new()));
    let move_on = |bar: &ProgressBar| {
        if let Ok(note) = note.lock() {
            bar.set_message(note.clone());
        }
        bar.set_position(done.load(Ordering::Relaxed));
    };
    let count = |so_far: u64, say: &dyn fmt::Display| {
        done.store(so_far, Ordering::Relaxed);
        if let Ok(mut note) = note.lock() {
            *note = say.to_string();
        }
    };
    if !std::io::stderr().is_terminal() {
        return work(&|_, _| {});
    }
    shown(len, &template, move_on, || work(&count))
}

/// Calls `work` and returns how long it took. Once `over`, given the time so far, returns true,
/// `stop` is called. The progress is shown once it has taken more than a second. `over` is asked
/// every tenth of a second.
pub(crate) fn timed<T>(
    over: impl Fn(Duration) -> bool + Sync,
    states: impl Fn() -> u64 + Sync,
    stop: impl Fn() + Sync,
    work: impl FnOnce() -> T,
) -> (T, Duration) {
    // Nothing is drawn unless the standard error is a terminal.
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) =
        ProgressStyle::with_template("{elapsed_precise} {human_pos} states, {per_sec}")
    {
        bar.set_style(style);
    }
    thread::scope(|scope| {
        let (done, waiting) = mpsc::channel::<()>();
        scope.spawn(|| {
            let waiting = waiting;
            while waiting.recv_timeout(STEP) == Err(RecvTimeoutError::Timeout) {
                // Asked again after it was true: a stop that is requested twice is one.
                if over(bar.elapsed()) {
                    stop();
                }
                if bar.elapsed() >= PATIENCE {
                    bar.set_position(states());
                }
            }
        });
        let result = work();
        let elapsed = bar.elapsed();
        drop(done);
        bar.finish_and_clear();
        (result, elapsed)
    })
}
