//! Signals that request the program to stop: Ctrl-C, SIGTERM and SIGHUP. The first one stops it in an orderly way, a
//! second one at once.
//!
//! An orderly end matters most for a run on files and for a sweep of hours, whose results would be
//! lost. The second signal is for whoever has lost patience with that.

use crate::exit::print_error;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::io;
use std::process;

/// Number of SIGINT, which Ctrl-C sends.
const INTERRUPT: u8 = 2;

/// Whether a signal has arrived. Never cleared, as the program then comes to its end.
static STOP_REQUESTED: AtomicBool = AtomicBool::new(false);
/// Whether a run in progress is stopped by the first signal.
static STOPS_RUNS: AtomicBool = AtomicBool::new(false);
/// Number of the first signal. Meaningful once a signal has arrived.
static FIRST_SIGNAL: AtomicU8 = AtomicU8::new(INTERRUPT);

/// Effect of the first signal on a run in progress.
///
/// A single run may take hours, and is cut off with a summary of what it did so far. A sweep has
/// many short ones, whose results count only as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FirstSignal {
    /// The run is stopped.
    StopsRun,
    /// The run is finished, and this text is printed.
    FinishesRun(&'static str),
}

/// Installs the signal handlers. If that fails, signals end the program at once, and a message says so.
pub(crate) fn install(first: FirstSignal) {
    STOPS_RUNS.store(first == FirstSignal::StopsRun, Ordering::Relaxed);
    if let Err(error) = watch(move |signal| on_signal(signal, first)) {
        print_error(&format_args!(
            "Ctrl-C will end the program at once: {error}"
        ));
    }
}

/// Returns the flag that is set once a signal has arrived, after which nothing new is begun.
pub(crate) fn stop_flag() -> &'static AtomicBool {
    &STOP_REQUESTED
}

/// Sets that flag as a signal would.
#[cfg(feature = "server")]
pub(crate) fn request_stop() {
    STOP_REQUESTED.store(true, Ordering::Relaxed);
}

/// True if a signal has arrived.
#[inline]
pub(crate) fn is_stop_requested() -> bool {
    STOP_REQUESTED.load(Ordering::Relaxed)
}

/// True if a run in progress must be stopped.
#[inline]
pub(crate) fn must_stop_run() -> bool {
    is_stop_requested() && STOPS_RUNS.load(Ordering::Relaxed)
}

/// Returns the exit code that a shell reports for a process ended by the signal: 130, 143 or 129.
pub(crate) fn exit_code() -> u8 {
    FIRST_SIGNAL.load(Ordering::Relaxed).saturating_add(128)
}

/// Handles a signal, on a thread of its own, so that it may print and exit.
fn on_signal(signal: u8, first: FirstSignal) {
    if STOP_REQUESTED.swap(true, Ordering::Relaxed) {
        process::exit(i32::from(signal) + 128);
    }
    FIRST_SIGNAL.store(signal, Ordering::Relaxed);
    if let FirstSignal::FinishesRun(say) = first {
        print_error(&say);
    }
}

/// Calls a function on each signal that the program handles.
#[cfg(unix)]
fn watch(mut act: impl FnMut(u8) + Send + 'static) -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    let wanted = [SIGINT, SIGTERM, SIGHUP];
    // A program started with `nohup` must survive SIGHUP.
    let ignored = ignored();
    let wanted = wanted
        .into_iter()
        .filter(|signal| ignored >> (signal - 1) & 1 == 0);
    let mut signals = Signals::new(wanted)?;
    let watcher = std::thread::Builder::new().name("signals".to_owned());
    watcher.spawn(move || {
        for signal in signals.forever() {
            act(u8::try_from(signal).unwrap_or(INTERRUPT));
        }
    })?;
    Ok(())
}

/// Returns the signals that are ignored, as bits from the first; none if the system does not tell.
/// The system shows them as a hexadecimal mask in `/proc`, which exists on Linux alone.
#[cfg(unix)]
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bits = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let bits = bits.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    bits.unwrap_or(0)
}

#[cfg(not(unix))]
fn watch(mut act: impl FnMut(u8) + Send + 'static) -> io::Result<()> {
    ctrlc::set_handler(move || act(INTERRUPT)).map_err(io::Error::other)
}
