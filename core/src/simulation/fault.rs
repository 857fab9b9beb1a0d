//! The faults that can be injected into a simulated cluster, besides loss and delay.

use super::scenario::{ScenarioError, Target};
use crate::{Duration, Instant, NODES_MAX, NodeSet};
use core::fmt;

/// The most planned faults of one run.
pub const PLAN_MAX: usize = 64;
const _: () = assert!(
    PLAN_MAX <= 64,
    "`Plan::began` has a bit for each of them in a word of 64 bits."
);

/// Something that goes wrong at some time, and stays so for a while or for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Planned {
    /// When it begins.
    pub at: Instant,
    /// How long it lasts; `None` for good. A [`Fault::Jump`] is over at once.
    pub lasts: Option<Duration>,
    /// What it is.
    pub fault: Fault,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Fault {
    /// A node loses power. When it is over the node starts again from what it made durable: see
    /// [`Node::recover`](crate::Node::recover).
    Crash(Target),
    /// A node stands still, as in a long garbage collection; what arrives meanwhile waits for it.
    Pause(Target),
    /// These nodes and all others do not hear each other.
    Partition(NodeSet),
    /// No message gets from any of these nodes to any of those; the other way it does.
    OneWay {
        /// Whose messages are lost.
        from: NodeSet,
        /// On their way to whom.
        to: NodeSet,
    },
    /// The nodes of one set and those of the other do not hear each other; nodes in neither hear both.
    Partial {
        /// The ones.
        one: NodeSet,
        /// The others.
        other: NodeSet,
    },
    /// Messages from these nodes to those are stuck, and arrive when it is over.
    Clog {
        /// Whose messages are stuck.
        from: NodeSet,
        /// On their way to whom.
        to: NodeSet,
    },
    /// A node's clock runs faster (or slower, where negative) by so many millionths; at most half as fast or slow again.
    Skew {
        /// Whose clock.
        target: Target,
        /// By how many millionths.
        rate_ppm: i32,
    },
    /// A node's clock jumps. One that is set back stands still until it is where it was, as a node's time never goes back.
    Jump {
        /// Whose clock.
        target: Target,
        /// By how many microseconds.
        by_micros: i64,
    },
    /// A node loses power in the middle of something that its disk does: this node soon after it begins, if it writes at
    /// all; or whichever node first is in a checkpoint, or has written one over a gap in the decisions, or rests on a decision
    /// that its own vote had lost to, if any comes to that. The node starts again soon after.
    Torn(Target),
    /// A node's disk takes its time.
    SlowDisk {
        /// Whose disk.
        target: Target,
        /// How long a sync takes, give or take half as much.
        sync: Duration,
    },
    /// A node's disk cannot be written. The node is fenced ([`Node::fence`](crate::Node::fence)), and starts again when it
    /// is over.
    FailedWrite(Target),
    /// A node's disk has room for next to nothing more. The node is fenced, and starts again when it is over.
    FullDisk(Target),
    /// A node loses power, and something on its disk rots before it starts again. Where that is missed, it may not vote
    /// ever more.
    Rot(Target),
    /// An operator changes the members. It is planned like a fault, and is over when it has taken effect: the operator asks
    /// again as long as the new members have not caught up, or if another change came first.
    Change {
        /// Who becomes a member; one that was removed before is left out, as its number is never used again.
        add: NodeSet,
        /// Who is removed.
        remove: NodeSet,
    },
}

impl Fault {
    /// The node that it is about, where it is about one.
    pub const fn target(&self) -> Option<Target> {
        match self {
            Self::Crash(target)
            | Self::Pause(target)
            | Self::Skew { target, .. }
            | Self::Jump { target, .. }
            | Self::Torn(target)
            | Self::SlowDisk { target, .. }
            | Self::FailedWrite(target)
            | Self::FullDisk(target)
            | Self::Rot(target) => Some(*target),
            _ => None,
        }
    }

    /// The nodes that it is between, where it is between nodes: from whom, to whom, and whether the other way too.
    pub(super) const fn between(&self) -> Option<(NodeSet, NodeSet, bool)> {
        match *self {
            // All that there can ever be, as a fault does not know how many nodes its cluster has.
            Self::Partition(side) => Some((side, NodeSet::first(NODES_MAX).minus(side), true)),
            Self::OneWay { from, to } | Self::Clog { from, to } => Some((from, to, false)),
            Self::Partial { one, other } => Some((one, other, true)),
            _ => None,
        }
    }
}

impl Planned {
    /// What kind of fault it is.
    pub const fn kind(&self) -> FaultKind {
        match self.fault {
            Fault::Crash(_) if self.lasts.is_none() => FaultKind::Crash,
            Fault::Crash(_) => FaultKind::Restart,
            Fault::Pause(_) => FaultKind::Pause,
            Fault::Partition(_) => FaultKind::Partition,
            Fault::OneWay { .. } => FaultKind::OneWay,
            Fault::Partial { .. } => FaultKind::Partial,
            Fault::Clog { .. } => FaultKind::Clog,
            Fault::Skew { .. } => FaultKind::Skew,
            Fault::Jump { .. } => FaultKind::Jump,
            Fault::Torn(_) => FaultKind::Torn,
            Fault::SlowDisk { .. } => FaultKind::SlowDisk,
            Fault::FailedWrite(_) => FaultKind::FailedWrite,
            Fault::FullDisk(_) => FaultKind::FullDisk,
            Fault::Rot(_) => FaultKind::Rot,
            Fault::Change { .. } => FaultKind::Change,
        }
    }

    /// Whether a node that it has struck votes no more, ever: it is down for good, or has lost what it must not forget.
    pub const fn takes_a_vote(&self) -> bool {
        matches!(self.kind(), FaultKind::Crash | FaultKind::Rot)
    }

    /// Checks that the nodes that it names are there.
    pub(super) fn validate(&self, nodes: u16) -> Result<(), ScenarioError> {
        let all = NodeSet::first(nodes);
        let named = match (self.fault.target(), self.fault) {
            (Some(Target::Node(node)), _) => NodeSet::only(node),
            // `between` gives nodes for the other side that no cluster of this size has, and that nobody has named.
            (_, Fault::Partition(side)) => side,
            (_, Fault::Change { add, remove }) => add.union(remove),
            _ => match self.fault.between() {
                Some((from, to, _)) => from.union(to),
                None => NodeSet::EMPTY,
            },
        };
        named
            .minus(all)
            .nth(0)
            .map_or(Ok(()), |node| Err(ScenarioError::NoSuchNode(node)))
    }
}

/// A kind of fault: what a sweep can be asked for, and what it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FaultKind {
    /// A message that never arrives.
    Loss,
    /// A message that arrives twice.
    Duplicate,
    /// A message that takes many times as long as usual.
    Spike,
    /// A message that others on the same link overtake.
    Reorder,
    /// A partition: two sets of nodes that do not hear each other.
    Partition,
    /// A link that loses everything one way.
    OneWay,
    /// A node that reaches some nodes and not others.
    Partial,
    /// A link on which everything is stuck for a while.
    Clog,
    /// A node that loses power for good.
    Crash,
    /// A node that loses power, and starts again from what it made durable.
    Restart,
    /// A node that stands still.
    Pause,
    /// A clock that runs fast or slow.
    Skew,
    /// A clock that jumps.
    Jump,
    /// A node that loses power in the middle of a write.
    Torn,
    /// A disk that takes its time.
    SlowDisk,
    /// A disk that cannot be written.
    FailedWrite,
    /// A disk without room.
    FullDisk,
    /// A disk that does not keep what was written.
    Rot,
    /// A change of the members.
    Change,
}

const _: () = {
    assert!(
        FaultKind::ALL.len() < 32,
        "A `FaultSet` has a bit for each kind in a word of 32 bits."
    );
    let (mut rest, mut index) = (FaultKind::ALL.as_slice(), 0);
    while let [kind, after @ ..] = rest {
        assert!(
            kind.index() == index,
            "Each kind is in its place, as a `FaultSet` and counters of kinds go by it."
        );
        (rest, index) = (after, index + 1);
    }
};

impl FaultKind {
    /// Every one, in the order of the variants.
    pub const ALL: [Self; 19] = [
        Self::Loss,
        Self::Duplicate,
        Self::Spike,
        Self::Reorder,
        Self::Partition,
        Self::OneWay,
        Self::Partial,
        Self::Clog,
        Self::Crash,
        Self::Restart,
        Self::Pause,
        Self::Skew,
        Self::Jump,
        Self::Torn,
        Self::SlowDisk,
        Self::FailedWrite,
        Self::FullDisk,
        Self::Rot,
        Self::Change,
    ];

    /// Its place in [`FaultKind::ALL`].
    pub const fn index(self) -> usize {
        #[expect(clippy::as_conversions, reason = "a fieldless enum's discriminant")]
        {
            self as usize
        }
    }

    /// Its name: lower case, words joined by hyphens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Duplicate => "duplicate",
            Self::Spike => "spike",
            Self::Reorder => "reorder",
            Self::Partition => "partition",
            Self::OneWay => "one-way",
            Self::Partial => "partial",
            Self::Clog => "clog",
            Self::Crash => "crash",
            Self::Restart => "restart",
            Self::Pause => "pause",
            Self::Skew => "skew",
            Self::Jump => "jump",
            Self::Torn => "torn",
            Self::SlowDisk => "slow-disk",
            Self::FailedWrite => "failed-write",
            Self::FullDisk => "full-disk",
            Self::Rot => "rot",
            Self::Change => "change",
        }
    }

    /// Whether it is one of a disk. Storage that is [`Perfect`](super::Perfect) has none of them.
    pub const fn is_of_disk(self) -> bool {
        matches!(
            self,
            Self::Torn | Self::SlowDisk | Self::FailedWrite | Self::FullDisk | Self::Rot
        )
    }
}

/// A set of kinds of fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FaultSet(
    /// The bit of a kind is the one at its [`FaultKind::index`], counted from the lowest.
    u32,
);

impl FaultSet {
    /// None.
    pub const NONE: Self = Self(0);
    /// Every kind that there is.
    pub const ALL: Self = Self((1 << FaultKind::ALL.len()) - 1);

    /// The set with one more kind.
    #[must_use]
    pub const fn with(self, kind: FaultKind) -> Self {
        Self(self.0 | 1 << kind.index())
    }

    /// The set with one kind less.
    #[must_use]
    pub const fn without(self, kind: FaultKind) -> Self {
        Self(self.0 & !(1 << kind.index()))
    }

    /// The kinds that are in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a kind is in it.
    pub const fn contains(self, kind: FaultKind) -> bool {
        self.0 & 1 << kind.index() != 0
    }

    /// Whether no kind is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The kinds, in the order of [`FaultKind::ALL`].
    pub fn iter(self) -> impl Iterator<Item = FaultKind> {
        let all = FaultKind::ALL.into_iter();
        all.filter(move |kind| self.contains(*kind))
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What happens to messages by chance, while there is a storm. Storms and calm take turns, beginning with calm, until a
/// time after which it is always calm: so a cluster also gets quiet time, and must make use of it.
///
/// Each kind of trouble draws from a stream of its own, for every message, so that to switch one on or off moves nothing of
/// the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Weather {
    /// How many messages of a million are lost, besides those that the link loses at all times.
    pub loss_ppm: u32,
    /// How many messages of a million arrive twice.
    pub duplicate_ppm: u32,
    /// How many messages of a million are late by up to `spike`.
    pub spike_ppm: u32,
    /// The most that a spike adds.
    pub spike: Duration,
    /// How many messages of a million are held back by up to `reorder`, so that others overtake them.
    pub reorder_ppm: u32,
    /// The most that a message is held back.
    pub reorder: Duration,
    /// How long a storm lasts.
    pub storm: Duration,
    /// How long the calm before it lasts.
    pub calm: Duration,
    /// From here on it is calm.
    pub until: Instant,
}

impl Weather {
    /// Always calm.
    pub const CALM: Self = Self {
        loss_ppm: 0,
        duplicate_ppm: 0,
        spike_ppm: 0,
        spike: Duration::ZERO,
        reorder_ppm: 0,
        reorder: Duration::ZERO,
        storm: Duration::ZERO,
        calm: Duration::ZERO,
        until: Instant::ZERO,
    };

    /// Whether there is a storm at some time.
    pub fn is_storm(&self, now: Instant) -> bool {
        // A turn begins with its calm. Without storm and calm there are no turns, and division by zero gives no phase.
        let turn = self.storm.saturating_add(self.calm).as_micros();
        now < self.until
            && now
                .as_micros()
                .checked_rem(turn)
                .is_some_and(|phase| phase >= self.calm.as_micros())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storms_and_calm_take_turns_until_it_is_calm_for_good() {
        let weather = Weather {
            storm: Duration::from_micros(3),
            calm: Duration::from_micros(2),
            until: Instant::from_micros(9),
            ..Weather::CALM
        };
        let storms = (0..12).filter(|at| weather.is_storm(Instant::from_micros(*at)));
        assert!(storms.eq([2, 3, 4, 7, 8]));
        assert!(!Weather::CALM.is_storm(Instant::ZERO));
    }
}
