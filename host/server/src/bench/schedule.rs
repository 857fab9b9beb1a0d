//! When requests are due, and which of them are measured. Times count from the beginning of the first request.

use super::plan::{Length, Pace, Plan};
use core::time::Duration;

/// Nanoseconds in a second.
const SECOND: u128 = 1_000_000_000;

/// The schedule of the requests of a benchmark, and how far it has come.
#[derive(Clone, Debug)]
pub struct Schedule {
    pace: Pace,
    length: Length,
    warm_up: Duration,
    /// The number of requests that have begun.
    begun: u64,
    /// The number of those that are measured.
    measured: u64,
}

impl Schedule {
    /// Returns the schedule of a plan.
    pub fn new(plan: &Plan) -> Self {
        Self {
            pace: plan.pace,
            length: plan.length,
            warm_up: plan.warm_up,
            begun: 0,
            measured: 0,
        }
    }

    /// Begins a request, if one is due. Returns the time from which its latency counts.
    pub fn begin(&mut self, now: Duration) -> Option<Duration> {
        let due = self.due(now);
        if due > now || self.is_beyond(due) {
            return None;
        }
        self.begun += 1;
        self.measured += u64::from(self.is_measured(due));
        Some(due)
    }

    /// True if no further request will be due.
    pub fn is_over(&self, now: Duration) -> bool {
        self.is_beyond(self.due(now))
    }

    /// Returns when the next request is due, where that does not depend on the clients.
    pub fn next_due(&self) -> Option<Duration> {
        match self.pace {
            Pace::Closed => None,
            Pace::Open { per_second } => {
                let due = nth(self.begun, per_second);
                (!self.is_beyond(due)).then_some(due)
            }
        }
    }

    /// True if a request is measured whose latency counts from `from`.
    pub fn is_measured(&self, from: Duration) -> bool {
        from >= self.warm_up
    }

    /// Returns when the last request is due, where that does not depend on the clients.
    pub fn end(&self) -> Option<Duration> {
        match (self.length, self.pace) {
            (Length::Time(time), _) => Some(self.warm_up + time),
            (Length::Requests(_), Pace::Closed) => None,
            (Length::Requests(requests), Pace::Open { per_second }) => {
                let first = due_before(self.warm_up, per_second);
                Some(nth(first.saturating_add(requests), per_second))
            }
        }
    }

    /// Returns how many requests that are due and measured have not begun, if nothing more begins.
    pub fn not_begun(&self) -> u64 {
        let due = match (self.length, self.pace) {
            (Length::Requests(requests), _) => requests,
            (Length::Time(_), Pace::Closed) => self.measured,
            (Length::Time(time), Pace::Open { per_second }) => {
                let before = |at| due_before(at, per_second);
                before(self.warm_up + time) - before(self.warm_up)
            }
        };
        due.saturating_sub(self.measured)
    }

    /// Returns when the next request is due, at the earliest.
    fn due(&self, now: Duration) -> Duration {
        match self.pace {
            Pace::Closed => now,
            Pace::Open { per_second } => nth(self.begun, per_second),
        }
    }

    /// True if a request that is due at this time is not made any more.
    fn is_beyond(&self, due: Duration) -> bool {
        match self.length {
            Length::Time(time) => due >= self.warm_up + time,
            Length::Requests(requests) => self.measured >= requests,
        }
    }
}

/// Returns when the request with this index is due. It is computed anew for each, so that no rounding adds up.
fn nth(index: u64, per_second: u64) -> Duration {
    let nanos = u128::from(index) * SECOND / u128::from(per_second.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Returns how many requests are due before a time.
fn due_before(at: Duration, per_second: u64) -> u64 {
    let count = (at.as_nanos() * u128::from(per_second.max(1))).div_ceil(SECOND);
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::plan::Operation;
    use super::*;

    fn schedule(pace: Pace, length: Length, warm_up_ms: u64) -> Schedule {
        Schedule::new(&Plan {
            addresses: Vec::new(),
            clients: 1,
            depth: 1,
            pace,
            length,
            warm_up: ms(warm_up_ms),
            operation: Operation::Set,
            keys: 1,
            value_bytes: 1,
            timeout: ms(1),
            trust: None,
        })
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn an_open_loop_is_due_by_the_schedule_however_late_its_clients_are() {
        let pace = Pace::Open { per_second: 100 };
        let mut schedule = schedule(pace, Length::Time(ms(50)), 0);
        assert_eq!(schedule.begin(ms(0)), Some(ms(0)));
        assert_eq!(schedule.begin(ms(9)), None);
        assert_eq!(schedule.next_due(), Some(ms(10)));
        // No client is free for a while: those that were due count from when they were due.
        let late: Vec<_> = core::iter::from_fn(|| schedule.begin(ms(1_000))).collect();
        assert_eq!(late, [ms(10), ms(20), ms(30), ms(40)]);
        assert!(schedule.is_over(ms(1_000)));
        assert_eq!((schedule.next_due(), schedule.not_begun()), (None, 0));
    }

    #[test]
    fn rounding_does_not_add_up() {
        let pace = Pace::Open { per_second: 3 };
        let mut schedule = schedule(pace, Length::Requests(3_000_001), 0);
        let hour = Duration::from_hours(1_000);
        let last = core::iter::from_fn(|| schedule.begin(hour)).last();
        assert_eq!(last, Some(Duration::from_secs(1_000_000)));
    }

    #[test]
    fn requests_that_were_due_and_never_begun_are_known() {
        let pace = Pace::Open { per_second: 1_000 };
        let mut timed = schedule(pace, Length::Time(ms(100)), 50);
        for _ in 0..60 {
            assert!(timed.begin(ms(59)).is_some());
        }
        assert_eq!(timed.begin(ms(59)), None);
        assert_eq!(timed.not_begun(), 90);
        assert_eq!(timed.end(), Some(ms(150)));

        let counted = schedule(pace, Length::Requests(40), 50);
        assert_eq!(counted.not_begun(), 40);
        assert_eq!(counted.end(), Some(ms(90)));
    }

    #[test]
    fn a_closed_loop_is_due_whenever_a_client_is_free() {
        let mut timed = schedule(Pace::Closed, Length::Time(ms(10)), 5);
        assert_eq!(timed.begin(ms(3)), Some(ms(3)));
        assert!(!timed.is_measured(ms(3)));
        assert_eq!(timed.begin(ms(14)), Some(ms(14)));
        assert!(timed.is_measured(ms(14)));
        assert_eq!(timed.begin(ms(15)), None);
        assert!(timed.is_over(ms(15)));
        assert_eq!(timed.not_begun(), 0);
    }

    #[test]
    fn requests_of_the_warm_up_are_not_among_those_that_are_counted() {
        let mut counted = schedule(Pace::Closed, Length::Requests(2), 5);
        let begun = [1, 2, 5, 6, 7].map(|at| counted.begin(ms(at)).is_some());
        assert_eq!(begun, [true, true, true, true, false]);
        assert!(counted.is_over(ms(7)));
    }
}
