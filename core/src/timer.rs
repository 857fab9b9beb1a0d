//! The timers of a node: a table with one deadline for each kind. Arming a timer replaces its deadline, and a cancelled
//! timer leaves nothing behind.
//!
//! Eleven deadlines in an array are looked through quickly, and there is nothing to allocate.

use crate::{Duration, Instant};

/// The timers of a node.
///
/// When a timer fires, the node repeats what it has sent before, as any message can be lost. The table names what arms
/// each timer if it is not armed, and what cancels it before it fires: the kind of a message that is handled; `clock`,
/// another timer that fires; `command`, a request of a client; `fence`, a storage failure; `start`, the construction of
/// the node. A halt cancels all of them. A test compares the table with the behaviour of nodes.
///
/// | timer | armed by | cancelled by | if its message is lost |
/// |---|---|---|---|
/// | `Join` | start, welcome | join, welcome | repeats the request, to the founder and other nodes in turn; for a page of a snapshot eight times |
/// | `Election` | start, accept, accepted, clock, confirm, decision, fence, heartbeat, join, prepare, promise, welcome | promise | sends a probe, which is denied while others hear the leader (rule L7) |
/// | `Scout` | clock | accept, confirm, decision, heartbeat, prepare, promise | repeats to nodes that have not answered, five times, then waits (rule L5) |
/// | `Commander` | clock, command, promise, propose, request | accepted, clock, fence, heartbeat, prepare, welcome | repeats to members that have not accepted, for as long as the node leads |
/// | `Heartbeat` | promise | accepted, clock, fence, heartbeat, prepare, welcome | sends the next heartbeat, which also announces how far the log is decided |
/// | `Quorum` | promise | accepted, fence, heartbeat, prepare, welcome | sends nothing: checks whether a quorum has answered, or steps down (rule L6) |
/// | `Propose` | clock, command, request | – | proposes waiting requests again, every other time to another node (rule L8) |
/// | `Request` | command | accept, accepted, decision, decisions, heartbeat, response, welcome | repeats the request to its own replica, or to another node's before it has joined |
/// | `Learn` | accept, accepted, clock, decision, decisions, fence, heartbeat, prepare, probe_reply, promise, read_index_reply, welcome | accept, clock, confirmed, decision, decisions, fence, heartbeat, prepare, promise, welcome | repeats to the leader first, then to others, until nothing is missing (rules R2 and L8) |
/// | `Read` | command | confirmed, decision, decisions, heartbeat, read_index_reply, welcome | repeats the question to the leader, six times, then gives up (rule Q5) |
/// | `Transfer` | join, learn | – | sends nothing: drops the pinned snapshot; a node that still fetches gets another one |
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Timer {
    /// The initializer repeats its request.
    Join,
    /// The leader has been silent for too long; or, once that is known, it is this node's turn to claim a ballot.
    Election,
    /// The probe or the scout repeats its request.
    Scout,
    /// The commanders repeat their accepts.
    Commander,
    /// The leader sends its next heartbeat.
    Heartbeat,
    /// The leader checks whether a quorum still answers.
    Quorum,
    /// The replica proposes its pending requests to the leader again.
    Propose,
    /// The requesters repeat their requests.
    Request,
    /// The replica requests missing decisions.
    Learn,
    /// The reader repeats its question, or gives up its reads.
    Read,
    /// A snapshot that no node fetches any more is dropped.
    Transfer,
}

impl Timer {
    /// All timers, in the order in which expired ones are served.
    pub const ALL: [Self; 11] = [
        Self::Join,
        Self::Election,
        Self::Scout,
        Self::Commander,
        Self::Heartbeat,
        Self::Quorum,
        Self::Propose,
        Self::Request,
        Self::Learn,
        Self::Read,
        Self::Transfer,
    ];

    /// Returns the name in logs: lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Election => "election",
            Self::Scout => "scout",
            Self::Commander => "commander",
            Self::Heartbeat => "heartbeat",
            Self::Quorum => "quorum",
            Self::Propose => "propose",
            Self::Request => "request",
            Self::Learn => "learn",
            Self::Read => "read",
            Self::Transfer => "transfer",
        }
    }

    /// Returns the index in [`Timer::ALL`], and in the table of deadlines.
    const fn index(self) -> usize {
        #[expect(clippy::as_conversions, reason = "a fieldless enum's discriminant")]
        {
            self as usize
        }
    }
}

const _: () = assert!(
    Timer::Transfer.index() + 1 == Timer::ALL.len(),
    "a timer without a place would never fire"
);

/// The deadline of each timer, stored as its distance before [`Instant::FAR_FUTURE`], so that a table of zeros has no
/// timer armed and the earliest deadline is the greatest number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Timers {
    /// For each timer, the time from its deadline to the end of time; zero if it is not armed.
    before: [Duration; Timer::ALL.len()],
}

impl Timers {
    /// Creates the table with no timer armed.
    pub(crate) const fn new() -> Self {
        Self {
            before: [Duration::ZERO; Timer::ALL.len()],
        }
    }

    /// Arms a timer for `at`, whatever it was armed for before. [`Instant::FAR_FUTURE`] is never: the timer is
    /// cancelled.
    pub(crate) fn arm(&mut self, timer: Timer, at: Instant) {
        if let Some(place) = self.before.get_mut(timer.index()) {
            *place = Instant::FAR_FUTURE.since(at);
        }
        debug_assert!(
            self.is_armed(timer) == (at != Instant::FAR_FUTURE),
            "a timer is cancelled exactly by being armed for never"
        );
    }

    /// Arms a timer for `at`, unless it is armed for a later instant. A greater distance from the end of time is an
    /// earlier instant.
    pub(crate) fn postpone(&mut self, timer: Timer, at: Instant) {
        let before = Instant::FAR_FUTURE.since(at);
        if let Some(place) = self.before.get_mut(timer.index())
            && (*place == Duration::ZERO || *place > before)
        {
            *place = before;
        }
        debug_assert!(
            self.is_armed(timer) || at == Instant::FAR_FUTURE,
            "a timer that was postponed never fires"
        );
    }

    /// Arms a timer for a delay after `now`.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(
        target_pointer_width = "64",
        expect(
            clippy::trivially_copy_pass_by_ref,
            reason = "a caller has both in memory, and small targets have no four registers for them"
        )
    )]
    pub(crate) fn arm_after(&mut self, timer: Timer, now: &Instant, span: &Duration) {
        self.arm(timer, *now + *span);
    }

    /// Cancels a timer; does nothing if it is not armed.
    pub(crate) fn cancel(&mut self, timer: Timer) {
        self.arm(timer, Instant::FAR_FUTURE);
        debug_assert!(!self.is_armed(timer), "a cancelled timer fires");
    }

    /// Cancels all timers, for a node that has halted.
    pub(crate) fn cancel_all(&mut self) {
        *self = Self::new();
        debug_assert!(self.next().is_none(), "a cancelled timer fires");
    }

    /// Makes one armed timer overdue, and postpones all others as far as possible.
    pub(crate) fn make_only_due(&mut self, timer: Timer) {
        self.postpone_all();
        if self.is_armed(timer) {
            self.arm(timer, Instant::ZERO);
        }
        debug_assert!(
            Timer::ALL
                .into_iter()
                .all(|other| other == timer || !self.is_expired(other, Instant::ZERO)),
            "another timer fires as well"
        );
    }

    /// Postpones all armed timers as far as possible.
    pub(crate) fn postpone_all(&mut self) {
        let last = Instant::FAR_FUTURE.back(Duration::from_micros(1));
        for timer in Timer::ALL {
            if self.is_armed(timer) {
                self.arm(timer, last);
            }
        }
        debug_assert!(
            self.next().is_none_or(|next| next == last),
            "an armed timer fires before the end of time"
        );
    }

    /// True if a timer has a deadline, be it overdue.
    pub(crate) fn is_armed(&self, timer: Timer) -> bool {
        self.before
            .get(timer.index())
            .is_some_and(|before| *before != Duration::ZERO)
    }

    /// True if a timer is armed for `now` or an earlier instant. At the end of time a timer that is not armed would
    /// look expired, hence the second comparison.
    pub(crate) fn is_expired(&self, timer: Timer, now: Instant) -> bool {
        let due = Instant::FAR_FUTURE.since(now);
        self.before
            .get(timer.index())
            .is_some_and(|before| *before >= due && *before != Duration::ZERO)
    }

    /// Returns the deadline of a timer, or `None` if it is not armed.
    pub(crate) fn deadline(&self, timer: Timer) -> Option<Instant> {
        let before = self.before.get(timer.index()).copied()?;
        (before != Duration::ZERO).then(|| Instant::FAR_FUTURE.back(before))
    }

    /// Returns the earliest deadline, or `None` if no timer is armed.
    pub(crate) fn next(&self) -> Option<Instant> {
        let mut earliest = Duration::ZERO;
        for before in &self.before {
            earliest = earliest.max(*before);
        }
        (earliest != Duration::ZERO).then(|| Instant::FAR_FUTURE.back(earliest))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Deed {
        Arm(Instant),
        Postpone(Instant),
        ArmAfter(Instant, Duration),
        Cancel,
        CancelAll,
    }

    fn instant() -> impl Strategy<Value = Instant> {
        prop_oneof![
            8 => 0u64..20,
            1 => Just(u64::MAX),
            1 => Just(u64::MAX - 1),
            1 => any::<u64>(),
        ]
        .prop_map(Instant::from_micros)
    }

    fn deed() -> impl Strategy<Value = (Timer, Deed)> {
        let deed = prop_oneof![
            instant().prop_map(Deed::Arm),
            instant().prop_map(Deed::Postpone),
            (instant(), 0u64..9)
                .prop_map(|(now, span)| Deed::ArmAfter(now, Duration::from_micros(span))),
            Just(Deed::Cancel),
            Just(Deed::CancelAll),
        ];
        (proptest::sample::select(&Timer::ALL[..4]), deed)
    }

    proptest! {
        #![proptest_config(crate::properties::cases(400))]

        /// Timers are a map from each kind to its deadline, in which the last instant means none.
        #[test]
        fn timers_are_a_map(deeds in proptest::collection::vec(deed(), 0..30), now in instant()) {
            let mut timers = Timers::new();
            let mut map: BTreeMap<Timer, Instant> = BTreeMap::new();
            for (timer, deed) in deeds {
                match deed {
                    Deed::Arm(at) => {
                        timers.arm(timer, at);
                        map.insert(timer, at);
                    }
                    Deed::Postpone(at) => {
                        timers.postpone(timer, at);
                        let known = map.entry(timer).or_insert(at);
                        *known = at.max(*known);
                    }
                    Deed::ArmAfter(now, span) => {
                        timers.arm_after(timer, &now, &span);
                        map.insert(timer, now + span);
                    }
                    Deed::Cancel => {
                        timers.cancel(timer);
                        map.remove(&timer);
                    }
                    Deed::CancelAll => {
                        timers.cancel_all();
                        map.clear();
                    }
                }
                map.retain(|_, at| *at < Instant::FAR_FUTURE);
                prop_assert_eq!(timers.next(), map.values().min().copied());
                for timer in Timer::ALL {
                    let at = map.get(&timer);
                    prop_assert_eq!(timers.is_armed(timer), at.is_some());
                    prop_assert_eq!(timers.is_expired(timer, now), at.is_some_and(|at| *at <= now));
                }
            }
        }
    }

    #[test]
    fn only_one_timer_is_overdue_and_the_others_stay_armed() {
        let mut timers = Timers::new();
        for timer in [Timer::Scout, Timer::Learn] {
            timers.arm(timer, Instant::from_micros(5));
        }
        timers.make_only_due(Timer::Learn);
        let expired = |timer| timers.is_expired(timer, Instant::ZERO);
        assert_eq!(
            Timer::ALL.map(expired),
            Timer::ALL.map(|timer| timer == Timer::Learn)
        );
        let armed = Timer::ALL.map(|timer| timers.is_armed(timer));
        assert_eq!(armed.iter().filter(|armed| **armed).count(), 2);
    }

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
        timers.postpone(Timer::Scout, Instant::from_micros(3));
        assert_eq!(
            timers.next(),
            Some(Instant::from_micros(5)),
            "it is armed for later"
        );
        timers.postpone(Timer::Join, Instant::from_micros(4));
        assert_eq!(
            timers.next(),
            Some(Instant::from_micros(4)),
            "it was not armed"
        );
        timers.cancel(Timer::Join);
        timers.cancel(Timer::Scout);
        assert_eq!(timers.next(), Some(Instant::from_micros(7)));
        assert!(!timers.is_expired(Timer::Scout, Instant::FAR_FUTURE));
    }
}
