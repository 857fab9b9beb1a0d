//! The local clock of a node, which may drift and jump.
//!
//! Nodes compare instants of their own clock only, and never one with that of another node. So clocks may differ by any
//! amount. What matters is that each is monotonic, which jumps put to the test, and that a timeout is longer than a round
//! trip on it, which drift does.

use crate::{Duration, Instant};

/// The microseconds in a second, and so the rate of a clock that is right.
const MILLION: u64 = 1_000_000;
/// The most by which a clock is fast or slow, in millionths: it runs at least half and at most one and a half times as fast
/// as time.
pub const SKEW_MAX: i32 = 500_000;
const _: () = assert!(
    0 < SKEW_MAX && SKEW_MAX < 1_000_000,
    "A clock neither stands still nor runs back."
);

/// What a node takes for the time. It never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    /// When its rate or its reading was last set. What it says is counted from there and not from the last reading, so
    /// that roundings do not add up.
    set: Instant,
    /// What it said then, or would have said if it could go back.
    said: Instant,
    /// How many microseconds it counts in a second.
    rate: u64,
    /// It says no less than this: what it said before it was set back.
    floor: Instant,
}

impl Clock {
    /// A clock that is right.
    pub(super) const RIGHT: Self = Self {
        set: Instant::ZERO,
        said: Instant::ZERO,
        rate: MILLION,
        floor: Instant::ZERO,
    };

    /// What it says at a time.
    pub(super) fn at(&self, now: Instant) -> Instant {
        let ran = scaled(now.since(self.set), self.rate, MILLION);
        (self.said + ran).max(self.floor)
    }

    /// When it will say `local`, at the earliest from now on.
    pub(super) fn when(&self, local: Instant, now: Instant) -> Instant {
        // A node without a deadline is never woken, however fast its clock.
        if local == Instant::FAR_FUTURE {
            return local;
        }
        // This includes a deadline up to the floor, at which a clock stands still that was set back.
        if local <= self.at(now) {
            return now;
        }
        // One more than the quotient, so that it has surely come to it then.
        let wait = scaled(local.since(self.said), MILLION, self.rate);
        let one = Duration::from_micros(u64::from(self.rate != MILLION));
        let when = (self.set + wait + one).max(now);
        debug_assert!(
            when == Instant::FAR_FUTURE || self.at(when) >= local,
            "a node would be woken before its deadline, and again and again"
        );
        when
    }

    /// From now on it runs at another rate.
    pub(super) fn skew(&mut self, now: Instant, rate_ppm: i32) {
        // A plan may ask for more; a rate of 0 would divide by zero in [`Clock::when`].
        let rate_ppm = rate_ppm.clamp(-SKEW_MAX, SKEW_MAX);
        debug_assert!(now >= self.set, "a clock is set in the past");
        let (running, before) = (self.reading(now), self.at(now));
        self.set = now;
        self.said = running;
        self.rate = MILLION.saturating_add_signed(i64::from(rate_ppm));
        debug_assert_eq!(
            self.at(now),
            before,
            "another rate makes no difference yet to what the clock says"
        );
        debug_assert!(
            self.rate >= MILLION / 2 && self.rate <= MILLION / 2 * 3,
            "a clock is fast or slow by more than half"
        );
    }

    /// Now it says something else; or, where that is in its past, the same until it has caught up.
    pub(super) fn jump(&mut self, now: Instant, by_micros: i64) {
        debug_assert!(now >= self.set, "a clock is set in the past");
        self.floor = self.at(now);
        let reading = self.reading(now).as_micros();
        self.set = now;
        // Before the beginning of time it says 0, and the floor hides the difference.
        self.said = Instant::from_micros(reading.saturating_add_signed(by_micros));
    }

    /// What it would say if it could go back.
    fn reading(&self, now: Instant) -> Instant {
        self.said + scaled(now.since(self.set), self.rate, MILLION)
    }
}

/// Multiplies a span by a fraction, rounding down. The product of any span and any rate is below 2⁸⁵, as a rate is at
/// most 1,500,000; a quotient that no span can hold is cut off.
fn scaled(span: Duration, by: u64, of: u64) -> Duration {
    let micros = u128::from(span.as_micros()) * u128::from(by) / u128::from(of);
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Instant {
        Instant::from_micros(micros)
    }

    #[test]
    fn a_right_clock_says_the_time() {
        let clock = Clock::RIGHT;
        assert_eq!(clock.at(at(77)), at(77));
        assert_eq!(clock.when(at(77), at(5)), at(77));
        assert_eq!(clock.when(Instant::FAR_FUTURE, at(5)), Instant::FAR_FUTURE);
    }

    #[test]
    fn a_fast_clock_is_ahead_and_then_keeps_its_lead() {
        let mut clock = Clock::RIGHT;
        clock.skew(at(1_000), 200_000);
        assert_eq!(clock.at(at(2_000)), at(2_200));
        clock.skew(at(2_000), 0);
        assert_eq!(clock.at(at(3_000)), at(3_200));
    }

    #[test]
    fn a_clock_that_is_set_back_stands_still_until_it_has_caught_up() {
        let mut clock = Clock::RIGHT;
        clock.jump(at(1_000), -300);
        assert_eq!(clock.at(at(1_000)), at(1_000));
        assert_eq!(clock.at(at(1_300)), at(1_000));
        assert_eq!(clock.at(at(1_301)), at(1_001));
        clock.jump(at(2_000), 500);
        assert_eq!(clock.at(at(2_000)), at(2_200));
    }

    #[test]
    fn a_clock_has_come_to_a_time_when_it_was_said_to() {
        let mut clock = Clock::RIGHT;
        clock.skew(at(10), -333_333);
        clock.jump(at(50), 17);
        clock.skew(at(90), 123_457);
        clock.jump(at(95), -40);
        for local in 60..2_000 {
            let when = clock.when(at(local), at(95));
            assert!(clock.at(when) >= at(local), "{local}");
            assert!(when == at(95) || clock.at(at(when.as_micros() - 3)) <= at(local));
        }
    }
}
