//! The time of the keyspace, which only ticks of leaders advance.

use super::entry::Deadline;
use crate::op::{Expiry, Tick};

/// The time of the keyspace, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Time {
    /// The time in which the cluster had a leader that ticked. It never passes faster than real time.
    pub elapsed: u64,
    /// The highest ballot of a tick.
    pub ballot: u64,
    /// The last time since the beginning of the leadership under that ballot.
    pub since: u64,
    /// True if elapsed time counts from there on: at least two ticks of the leadership were applied.
    pub is_counting: bool,
    /// The latest time since 1970 that any tick told.
    pub unix: u64,
}

/// How long a key lives, in terms that do not depend on the time of a keyspace. Times are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// It does not expire.
    Forever,
    /// For at least so long.
    Left(u64),
    /// Until this time since 1970.
    Until(u64),
}

/// What a tick means for the elapsed time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing: it is of an earlier leader, or was told before.
    None,
    /// It is the first one of a leadership.
    Begun,
    /// It is a later one, and was created after the one before it was applied.
    Advanced,
}

impl Time {
    /// Takes a tick.
    ///
    /// Nobody can tell how much time has passed between the ticks of two leaders, so it does not count: an outage lets
    /// keys live longer, never shorter. Time counts from the second tick of a leadership. The first one may be older
    /// than the last tick of the leader before, and time between the two would count twice; the second one was created
    /// after the first was applied, when all ticks of that leader were over.
    pub(super) fn advance(&mut self, tick: Tick) -> Progress {
        self.unix = self.unix.max(tick.unix);
        let before = (self.ballot, self.since);
        if (tick.ballot, tick.since) <= before {
            return Progress::None;
        }
        (self.ballot, self.since) = (tick.ballot, tick.since);
        if tick.ballot != before.0 {
            self.is_counting = false;
            return Progress::Begun;
        }
        if self.is_counting {
            self.elapsed = self.elapsed.saturating_add(tick.since - before.1);
        }
        self.is_counting = true;
        Progress::Advanced
    }

    /// Returns the deadline of a key with this expiry; `None` if it expires at once.
    pub(super) fn deadline(self, expiry: Expiry, old: Deadline) -> Option<Deadline> {
        match expiry {
            Expiry::Never => Some(Deadline::Never),
            Expiry::Keep => Some(old),
            Expiry::In(ms) => (ms > 0).then_some(Deadline::New(ms)),
            Expiry::At(unix) => (unix > self.unix).then_some(Deadline::Unix(unix)),
        }
    }

    /// Returns how long a key with this deadline lives, `extra_ms` after the last tick; `None` if it does not expire.
    pub(super) fn left(self, deadline: Deadline, extra_ms: u64) -> Option<u64> {
        let left = |time: u64, now: u64| time.saturating_sub(now).saturating_sub(extra_ms);
        match deadline {
            Deadline::Never => None,
            Deadline::New(ms) | Deadline::Waiting(ms) => Some(ms),
            Deadline::Elapsed(time) => Some(left(time, self.elapsed)),
            Deadline::Unix(time) => Some(left(time, self.unix)),
        }
    }

    /// Returns how long a key with this deadline lives, as another cluster can be told.
    pub(super) fn lifetime(self, deadline: Deadline, extra_ms: u64) -> Lifetime {
        match (deadline, self.left(deadline, extra_ms)) {
            (Deadline::Unix(unix), _) => Lifetime::Until(unix),
            (_, None) => Lifetime::Forever,
            // No tick has removed it yet, so it is there.
            (_, Some(ms)) => Lifetime::Left(ms.max(1)),
        }
    }

    /// True if a key that is there can have this deadline.
    pub(super) fn is_ahead(self, deadline: Deadline) -> bool {
        match deadline {
            Deadline::Never => true,
            Deadline::New(ms) | Deadline::Waiting(ms) => ms > 0,
            Deadline::Elapsed(time) => time > self.elapsed,
            Deadline::Unix(time) => time > self.unix,
        }
    }
}
