//! How far a long run is, on the standard error, for a person who waits.

use crate::options::Options;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use synod::{Event, Record, StateMachine, Tracer};

/// Runs that take less than this are over before anybody wonders.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the bar moves.
const STEP: Duration = Duration::from_millis(100);

/// How many slots have been applied somewhere: a [`Tracer`] that one thread feeds and another one reads.
#[derive(Debug)]
pub(crate) struct Progress {
    applied: AtomicU64,
    expected: u64,
}

impl Progress {
    /// Nothing done yet of a run.
    pub(crate) fn new(options: &Options) -> Self {
        // A client's session takes a slot, too.
        let slots = u64::from(options.requests) + 1;
        Self {
            applied: AtomicU64::new(0),
            expected: slots * u64::from(options.clients),
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

/// Does some work, and shows how far it is once it has taken more than a second.
pub(crate) fn shown<T>(progress: &Progress, work: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        let (done, waiting) = mpsc::channel::<()>();
        scope.spawn(move || {
            if waiting.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let bar = ProgressBar::with_draw_target(
                Some(progress.expected),
                ProgressDrawTarget::stderr(),
            )
            .with_elapsed(PATIENCE);
            if let Ok(style) = ProgressStyle::with_template(
                "{elapsed_precise} {wide_bar} {human_pos}/{human_len} slots, {eta} to go",
            ) {
                bar.set_style(style);
            }
            while waiting.recv_timeout(STEP) == Err(RecvTimeoutError::Timeout) {
                bar.set_position(progress.applied.load(Ordering::Relaxed));
            }
            bar.finish_and_clear();
        });
        let result = work();
        drop(done);
        result
    })
}

/// Does some work that counts what it has done, beside a bar that comes up after a second where the standard error is a
/// terminal. The work is given a function to call with how much is done and what is to be shown beside it.
pub(crate) fn counted<T>(
    what: &'static str,
    len: u64,
    work: impl FnOnce(&(dyn Fn(u64, &dyn core::fmt::Display) + Sync)) -> T,
) -> T {
    if !std::io::stderr().is_terminal() {
        return work(&|_, _| {});
    }
    let bar = ProgressBar::with_draw_target(Some(len), ProgressDrawTarget::hidden());
    let template =
        format!("{{elapsed_precise}} {{wide_bar}} {{human_pos}}/{{human_len}} {what}, {{msg}}");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    let result = work(&|done, note| {
        if bar.is_hidden() && bar.elapsed() >= PATIENCE {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        bar.set_message(note.to_string());
        bar.set_position(done);
    });
    bar.finish_and_clear();
    result
}
