//! The clocks of the system.

use crate::service::Now;
use core::time::Duration as Wait;
use std::time::{SystemTime, UNIX_EPOCH};
use synod::Instant;

/// The clocks of the system. This is the only place where they are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// The start of the process.
    start: std::time::Instant,
    /// The time of that, in microseconds since 1970.
    pub(super) base: u64,
}

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "a server is where the clock is read"
    )]
    pub(super) fn start() -> Self {
        Self {
            start: std::time::Instant::now(),
            base: unix_micros(),
        }
    }

    /// Returns the present time. The monotonic one begins at that of the wall clock, so that the logs of several machines
    /// can be read together.
    pub(super) fn now(self) -> Now {
        let since = micros(self.start.elapsed());
        Now {
            monotonic: Instant::from_micros(self.base.saturating_add(since)),
            unix: unix_micros() / 1_000,
        }
    }
}

fn micros(wait: Wait) -> u64 {
    u64::try_from(wait.as_micros()).unwrap_or(u64::MAX)
}

/// Returns the time since 1970; zero where the clock is set to earlier.
#[expect(
    clippy::disallowed_methods,
    reason = "a server is where the clock is read"
)]
fn unix_micros() -> u64 {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH);
    micros(unix.unwrap_or_default())
}
