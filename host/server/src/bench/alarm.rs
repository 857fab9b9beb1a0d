//! An alarm for the next request of an open loop, more exact than the waits of the poll.
//!
//! On Linux the wait of a poll is whole milliseconds, rounded up: requests of a fast schedule would leave in bursts, and the
//! time of the benchmark would count as latency of the server. A timer among the polled files is exact. To ask again and
//! again instead would take the processor from servers on the same machine.

use core::time::Duration;
use mio::{Registry, Token};
use std::io;

#[cfg(target_os = "linux")]
pub(super) use linux::Alarm;
#[cfg(not(target_os = "linux"))]
pub(super) use other::Alarm;

#[cfg(target_os = "linux")]
mod linux {
    use super::{Duration, Registry, Token, io};
    use mio::Interest;
    use mio::unix::SourceFd;
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use std::os::fd::{AsRawFd, OwnedFd};

    /// A timer among the polled files.
    #[derive(Debug)]
    pub(in super::super) struct Alarm {
        timer: OwnedFd,
        /// When it goes off, if it is set.
        set: Option<Duration>,
    }

    impl Alarm {
        pub(in super::super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            registry.register(&mut SourceFd(&timer.as_raw_fd()), token, Interest::READABLE)?;
            Ok(Self { timer, set: None })
        }

        /// Returns how long to poll, at most `wait` and not beyond `next`.
        pub(in super::super) fn wait(
            &mut self,
            now: Duration,
            next: Option<Duration>,
            wait: Duration,
        ) -> io::Result<Duration> {
            let Some(next) = next.filter(|next| *next < now + wait) else {
                return Ok(wait);
            };
            if next <= now {
                return Ok(Duration::ZERO);
            }
            if self.set != Some(next) {
                self.set = Some(next);
                let after =
                    Timespec::try_from(next.saturating_sub(now)).map_err(io::Error::other)?;
                let timer = Itimerspec {
                    it_interval: Timespec::default(),
                    it_value: after,
                };
                timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &timer)?;
            }
            Ok(wait)
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use super::{Duration, Registry, Token, io};

    /// The wait of the poll itself.
    #[derive(Debug)]
    pub(in super::super) struct Alarm;

    impl Alarm {
        pub(in super::super) fn new(_registry: &Registry, _token: Token) -> io::Result<Self> {
            Ok(Self)
        }

        /// Returns how long to poll, at most `wait` and not beyond `next`.
        pub(in super::super) fn wait(
            &mut self,
            now: Duration,
            next: Option<Duration>,
            wait: Duration,
        ) -> io::Result<Duration> {
            Ok(next.map_or(wait, |next| next.saturating_sub(now).min(wait)))
        }
    }
}
