//! The node's timers: a table with one place for each kind. Arming replaces, and nothing of a cancelled timer is left
//! anywhere.

use crate::{Duration, Instant};

/// What a node can be waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) enum Timer {
    /// The initializer asks again.
    Join,
    /// The leader has been silent for too long; or, once that is known, the node's turn to claim has come.
    Election,
    /// The probe or the scout asks again.
    Scout,
    /// The commanders ask again.
    Commander,
    /// The leader's next sign of life.
    Heartbeat,
    /// The leader counts who still answers it.
    Quorum,
    /// The replica hands its pending requests to the leader again.
    Propose,
    /// The requesters ask again.
    Request,
    /// The replica asks for decisions that it misses.
    Learn,
    /// A snapshot that nobody fetches any more is dropped.
    Transfer,
}

impl Timer {
    /// Every kind, in the order in which expired ones are served.
    pub(crate) const ALL: [Self; 10] = [
        Self::Join,
        Self::Election,
        Self::Scout,
        Self::Commander,
        Self::Heartbeat,
        Self::Quorum,
        Self::Propose,
        Self::Request,
        Self::Learn,
        Self::Transfer,
    ];

    const fn index(self) -> usize {
        #[expect(clippy::as_conversions, reason = "a fieldless enum's discriminant")]
        {
            self as usize
        }
    }
}

/// When each timer fires; [`Instant::FAR_FUTURE`] for one that is not armed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Timers {
    at: [Instant; Timer::ALL.len()],
}

impl Timers {
    pub(crate) const fn new() -> Self {
        Self {
            at: [Instant::FAR_FUTURE; Timer::ALL.len()],
        }
    }

    pub(crate) fn arm(&mut self, timer: Timer, at: Instant) {
        if let Some(place) = self.at.get_mut(timer.index()) {
            *place = at;
        }
    }

    /// Arms a timer for a while after `now`.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn arm_after(&mut self, timer: Timer, now: &Instant, span: &Duration) {
        self.arm(timer, *now + *span);
    }

    pub(crate) fn cancel(&mut self, timer: Timer) {
        self.arm(timer, Instant::FAR_FUTURE);
    }

    pub(crate) fn cancel_all(&mut self) {
        *self = Self::new();
    }

    pub(crate) fn is_armed(&self, timer: Timer) -> bool {
        self.at
            .get(timer.index())
            .is_some_and(|at| *at != Instant::FAR_FUTURE)
    }

    pub(crate) fn is_expired(&self, timer: Timer, now: Instant) -> bool {
        self.at
            .get(timer.index())
            .is_some_and(|at| *at <= now && *at != Instant::FAR_FUTURE)
    }

    /// The earliest deadline, or `None` when nothing is armed.
    pub(crate) fn next(&self) -> Option<Instant> {
        let mut earliest = Instant::FAR_FUTURE;
        for at in &self.at {
            earliest = earliest.min(*at);
        }
        (earliest != Instant::FAR_FUTURE).then_some(earliest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_timer_has_its_own_place() {
        for (index, timer) in Timer::ALL.into_iter().enumerate() {
            assert_eq!(timer.index(), index);
        }
    }

    #[test]
    fn arming_replaces_and_cancelling_leaves_nothing() {
        let mut timers = Timers::new();
        assert_eq!(timers.next(), None);
        timers.arm(Timer::Scout, Instant::from_micros(9));
        timers.arm(Timer::Scout, Instant::from_micros(5));
        timers.arm(Timer::Learn, Instant::from_micros(7));
        assert_eq!(timers.next(), Some(Instant::from_micros(5)));
        assert!(timers.is_expired(Timer::Scout, Instant::from_micros(5)));
        assert!(!timers.is_expired(Timer::Scout, Instant::from_micros(4)));
        timers.cancel(Timer::Scout);
        assert_eq!(timers.next(), Some(Instant::from_micros(7)));
        assert!(!timers.is_expired(Timer::Scout, Instant::FAR_FUTURE));
    }
}
