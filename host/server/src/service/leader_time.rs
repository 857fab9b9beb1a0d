//! The time of a leader, which it enters into the log for keys that expire.
//!
//! A state machine has no clock. The leader proposes how far its own time has come, when a key was given a time to live and
//! when one is due. What counts is the time since its leadership began, so that a clock which is set does not end a lock.

use super::Now;
use crate::capacity::Member;
use crate::keyspace::NextTick;
use crate::op::Tick;
use synod::{Ballot, Duration, Instant};

/// The time of this node's leadership, and of the last tick.
#[derive(Debug, Default)]
pub(super) struct LeaderTime {
    /// The ballot under which this node leads, and since when.
    leading: Option<(Ballot, Instant)>,
    /// The position of the last tick in the keyspace, and when it was seen to have come.
    last: (u64, u64),
    seen: Instant,
}

impl LeaderTime {
    /// Notes whether the node leads.
    pub(super) fn observe(&mut self, node: &Member, now: Now) {
        let ballot = node.leading();
        if self.leading.map(|(ballot, _)| ballot) != ballot {
            self.leading = ballot.map(|ballot| (ballot, now.monotonic));
        }
    }

    /// Notes whether a tick was applied, whoever has proposed it.
    pub(super) fn note_ticks(&mut self, node: &Member, now: Now) {
        let machine = node.machine();
        let last = (machine.time().ballot, machine.time().since);
        if self.last != last {
            self.last = last;
            self.seen = now.monotonic;
        }
    }

    /// Returns how long ago the last tick was applied here, in milliseconds.
    pub(super) fn since_last_tick(&self, now: Now) -> u64 {
        now.monotonic.since(self.seen).as_micros() / 1_000
    }

    /// Returns the tick that the leader proposes now; `None` if none is due, or another node leads.
    pub(super) fn due(&self, node: &Member, now: Now) -> Option<Tick> {
        let (at, tick) = self.next(node, now)?;
        (at <= now.monotonic).then_some(tick)
    }

    /// Returns when the next tick is due.
    pub(super) fn next_deadline(&self, node: &Member, now: Now) -> Option<Instant> {
        self.next(node, now).map(|(at, _)| at)
    }

    /// Returns when the next tick is due, and the tick that would be proposed now.
    fn next(&self, node: &Member, now: Now) -> Option<(Instant, Tick)> {
        let (ballot, began) = self.leading?;
        let machine = node.machine();
        let next = machine.next_tick(ballot.bits())?;
        let since = now.monotonic.since(began).as_micros() / 1_000;
        let tick = Tick {
            ballot: ballot.bits(),
            since,
            unix: now.unix,
        };
        let at = match next {
            NextTick::Now => now.monotonic,
            NextTick::At { elapsed, unix } => {
                let come = machine.time().elapsed + since.saturating_sub(machine.time().since);
                let waits = elapsed.map(|at| at.saturating_sub(come));
                let wall = unix.map(|at| at.saturating_sub(now.unix));
                let wait = [waits, wall].into_iter().flatten().min()?;
                now.monotonic + Duration::from_millis(wait)
            }
        };
        Some((at, tick))
    }
}
