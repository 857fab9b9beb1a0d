//! The report on a run: its verdict, its counters, and its high-water marks.

use super::violation::Violation;
use crate::{Instant, Slot};
use core::fmt;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Verdict {
    /// Every client has its answers, and every live node has joined and applied the same.
    Done,
    /// A rule was broken.
    Violated(Violation),
    /// It was not done in time.
    Stalled(Bound),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Violated(violation) => write!(f, "violated: {violation}"),
            Self::Stalled(bound) => write!(f, "stalled: {bound}"),
        }
    }
}

/// What a stalled run ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Bound {
    /// The scenario's `time_max`.
    Time,
    /// The scenario's `events_max`.
    Events,
    /// Nothing was left to happen.
    Idle,
    /// Whoever drives the simulation has stopped it; a simulation never says so itself.
    Stopped,
    /// Once all faults were over an answer took longer than it may: see [`Budget`](super::Budget).
    Answer,
    /// Once all faults were over nodes claimed more ballots than they may.
    Claims,
    /// Once all faults were over nodes sent more messages than they may.
    Messages,
    /// Once all faults were over more slots were filled than may be.
    Slots,
}

impl Bound {
    /// What reports call a run that ran into it: lower case, words joined by hyphens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Time | Self::Events | Self::Idle => "stalled",
            Self::Stopped => "stopped",
            Self::Answer => "slow-answer",
            Self::Claims => "many-claims",
            Self::Messages => "many-messages",
            Self::Slots => "many-slots",
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Time => "the simulated time is up",
            Self::Events => "the number of events is used up",
            Self::Idle => "nothing is left to happen",
            Self::Stopped => "it was stopped from outside",
            Self::Answer => "an answer took too long after all faults were over",
            Self::Claims => "too many ballots were claimed after all faults were over",
            Self::Messages => "too many messages were sent after all faults were over",
            Self::Slots => "too many slots were filled after all faults were over",
        })
    }
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Report {
    /// The simulated time.
    pub at: Instant,
    /// How many nodes there are.
    pub nodes: u16,
    /// How many of them were not killed.
    pub live: u16,
    /// How many of the live ones have joined.
    pub joined: u16,
    /// The furthest slot that a live node has applied.
    pub applied: Slot,
    /// Whether every live node has joined and applied the same.
    pub agree: bool,
    /// Requests that were answered, registrations not counted.
    pub answered: u64,
    /// Those of them whose answer was right.
    pub right: u64,
    /// Requests that the clients make in all.
    pub expected: u64,
    /// Messages that arrived.
    pub deliveries: u64,
    /// Happenings of all kinds.
    pub events: u64,
    /// Writes that a driver with storage would have made durable.
    pub writes: u64,
    /// Syncs that took time and covered more than one step.
    pub grouped: u64,
    /// Times that a driver emptied an outbox in which it had gathered more than one step.
    pub gathered: u64,
    /// Requests that clients withdrew.
    pub withdrawn: u64,
    /// Answers that clients read in the state of a node, without a slot of the log.
    pub read: u64,
    /// Times that a client was told that it cannot read now.
    pub not_now: u64,
    /// Messages that left a node while it made the writes of the same steps durable.
    pub early: u64,
}

/// How full a fixed structure became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mark {
    /// Its name.
    pub name: &'static str,
    /// The most that it held at once; of the nodes, whichever held most.
    pub peak: usize,
    /// What it can hold.
    pub capacity: usize,
}
