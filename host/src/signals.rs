//! Signals that ask the program to stop: Ctrl-C, SIGTERM, SIGHUP. The first is heeded, the second ends the program at once.

use crate::exit::print_error;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::io;
use std::process;

/// The number of SIGINT: what Ctrl-C sends.
const INTERRUPT: u8 = 2;

/// Whether a signal has come.
static STOP_REQUESTED: AtomicBool = AtomicBool::new(false);
/// Whether runs under way end where they are once a signal has come.
static STOPS_RUNS: AtomicBool = AtomicBool::new(false);
/// Which signal came first.
static FIRST_SIGNAL: AtomicU8 = AtomicU8::new(INTERRUPT);

/// What becomes of a run that is under way when the first signal comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FirstSignal {
    /// It ends where it is.
    StopsRun,
    /// It comes to its end, and this is said.
    FinishesRun(&'static str),
}

/// Heeds signals from now on; where that cannot be, they end the program at once, and that is said.
pub(crate) fn install(first: FirstSignal) {
    STOPS_RUNS.store(first == FirstSignal::StopsRun, Ordering::Relaxed);
    if let Err(error) = watch(move |signal| on_signal(signal, first)) {
        print_error(&format_args!("Ctrl-C will end it at once: {error}"));
    }
}

/// Whether a signal has come: nothing more is to be begun.
pub(crate) fn stop_flag() -> &'static AtomicBool {
    &STOP_REQUESTED
}

/// Whether a signal has come.
#[inline]
pub(crate) fn is_stop_requested() -> bool {
    STOP_REQUESTED.load(Ordering::Relaxed)
}

/// Whether a run that is under way is to end where it is.
#[inline]
pub(crate) fn must_stop_run() -> bool {
    is_stop_requested() && STOPS_RUNS.load(Ordering::Relaxed)
}

/// What a shell calls the end of a process by the signal that came: 130, 143 or 129.
pub(crate) fn exit_code() -> u8 {
    FIRST_SIGNAL.load(Ordering::Relaxed).saturating_add(128)
}

fn on_signal(signal: u8, first: FirstSignal) {
    if STOP_REQUESTED.swap(true, Ordering::Relaxed) {
        process::exit(i32::from(signal) + 128);
    }
    FIRST_SIGNAL.store(signal, Ordering::Relaxed);
    if let FirstSignal::FinishesRun(say) = first {
        print_error(&say);
    }
}

#[cfg(unix)]
fn watch(mut act: impl FnMut(u8) + Send + 'static) -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    let wanted = [SIGINT, SIGTERM, SIGHUP];
    // Whoever starts a program with 'nohup' wants it to outlive that.
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

/// The signals that are ignored, as bits from the first; none where the system does not say.
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
