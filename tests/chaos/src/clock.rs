//! The clock of a campaign: one monotonic clock, by which all operations and strikes are dated.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::thread;
use std::time::Instant;

/// How often a sleeper looks whether it is to wake up.
const LOOK: Duration = Duration::from_millis(10);

/// A clock that begins at zero.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// Starts a clock.
    #[expect(
        clippy::disallowed_methods,
        reason = "real nodes live by the real time"
    )]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Returns the time since the start, in microseconds.
    pub fn micros(self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Returns the time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// Sleeps until a time. Returns false if `stop` was set before.
    pub fn sleep_until(self, until: Duration, stop: &AtomicBool) -> bool {
        loop {
            if stop.load(Ordering::Relaxed) {
                return false;
            }
            let left = until.saturating_sub(self.elapsed());
            if left.is_zero() {
                return true;
            }
            thread::sleep(left.min(LOOK));
        }
    }

    /// Sleeps for a time. Returns false if `stop` was set before.
    pub fn sleep(self, time: Duration, stop: &AtomicBool) -> bool {
        self.sleep_until(self.elapsed() + time, stop)
    }
}
