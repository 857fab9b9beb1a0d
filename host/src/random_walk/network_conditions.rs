//! Parameters of a walk, and the network conditions that change during it.
//!
//! Faults that are independent of each other rarely line up. Conditions make them do so: for a
//! while, certain kinds of messages between certain nodes do not arrive at all, and then all of
//! them arrive late. That is how a deposed leader keeps leading in its own eyes, and how an old
//! prepare meets a new log.

use super::Machine;
use super::random_source::RandomSource;
use synod::{Envelope, MessageKind};

/// Kinds of messages by which a node catches up.
const CATCHING_UP: u32 = 1 << MessageKind::Join.index()
    | 1 << MessageKind::Welcome.index()
    | 1 << MessageKind::Learn.index()
    | 1 << MessageKind::Decisions.index();

/// Number of kinds of messages, each of which has a bit in a `Hold`.
const KINDS: usize = MessageKind::ALL.len();

/// Parameters of a walk: weights of the kinds of steps, and percentages.
///
/// They are drawn once for each walk, and most may be 0: walks that lack a kind of fault altogether
/// come to states that others leave too soon (swarm testing: Groce and others, 2012).
#[derive(Clone, Copy, Debug)]
pub(super) struct WalkParameters {
    /// Weight of a delivery.
    pub(super) deliver: u64,
    /// Weight of advancing the clock of a node to its next deadline.
    pub(super) tick: u64,
    /// Weight of a request by a client.
    pub(super) ask: u64,
    /// Weight of starting a node that is not running.
    pub(super) start: u64,
    /// Weight of stopping a node for good.
    pub(super) stop: u64,
    /// Weight of cutting or restoring the power of a node.
    pub(super) crash: u64,
    /// Weight of an unnecessary request to catch up.
    pub(super) stale_request: u64,
    /// Percentage of deliveries that repeat an old message.
    pub(super) again: u64,
    /// Percentage of steps after which a node's outbox is not emptied.
    pub(super) gather: u64,
    /// Number of clients.
    pub(super) clients: usize,
    /// Whether the cluster comes to rest before the walk begins.
    pub(super) rests_first: bool,
    /// Half of the greatest number of steps until the conditions change.
    change: u64,
    /// Greatest number of groups of messages that are held back at a time.
    holds: u64,
    /// Upper bound on the percentage of lost deliveries, which each change of the conditions draws
    /// anew.
    loss: u64,
    /// Upper bound on the percentage of deliveries after which the message stays in flight.
    duplicate: u64,
}

impl WalkParameters {
    /// Draws parameters. The order of draws is a part of what a seed means: a further draw changes
    /// all walks, unless it is made from a source of its own.
    pub(super) fn draw(random: &mut RandomSource, clients: usize) -> Self {
        Self {
            deliver: 100 + random.below(400),
            tick: 3 + random.below(150),
            ask: 5 + random.below(80),
            start: 1 + random.below(6),
            stop: random.rarely(30, 2),
            change: 5 + random.below(120),
            holds: random.below(5),
            loss: random.rarely(60, 25),
            duplicate: random.rarely(60, 40),
            again: random.rarely(60, 15),
            stale_request: random.rarely(50, 40),
            gather: random.rarely(30, 80),
            clients: clients + random.index(3),
            rests_first: random.percent(60),
            crash: random.rarely(50, 12),
        }
    }
}

/// Messages held back: kinds, senders and recipients, as bit sets. A message is held if all three
/// contain it.
#[derive(Clone, Copy)]
struct Hold {
    kinds: u32,
    from: u32,
    to: u32,
}

/// Order of delivery of messages that are not held back.
///
/// Newest first is what delays do at worst: old messages arrive after everything that overtook
/// them.
#[derive(Clone, Copy)]
pub(super) enum Order {
    /// From a random one on.
    Any,
    /// The first one sent.
    Oldest,
    /// The last one sent.
    Newest,
}

/// Network conditions for a number of steps.
pub(super) struct NetworkConditions {
    /// Number of steps that they still last.
    lasts: u64,
    /// Messages held back.
    holds: Vec<Hold>,
    /// Order of the others.
    pub(super) order: Order,
    /// Percentage of deliveries that are lost.
    pub(super) loss: u64,
    /// Percentage of deliveries after which the message stays in flight.
    pub(super) duplicate: u64,
    /// Node whose clock is faster than those of the others.
    pub(super) fast_node: u16,
    /// Percentage of ticks that are of this node.
    pub(super) fast_percent: u64,
}

/// Returns the bit of an index; no bit from 32 on. There are fewer kinds of messages, and fewer
/// nodes.
pub(super) fn bit(index: usize) -> u32 {
    u32::try_from(index)
        .ok()
        .and_then(|index| 1_u32.checked_shl(index))
        .unwrap_or(0)
}

impl NetworkConditions {
    /// Returns conditions without faults, which end with the first step.
    pub(super) fn calm() -> Self {
        Self {
            lasts: 0,
            holds: Vec::new(),
            order: Order::Any,
            loss: 0,
            duplicate: 0,
            fast_node: 0,
            fast_percent: 0,
        }
    }

    /// True if the conditions end with this step.
    pub(super) fn passes(&mut self) -> bool {
        let over = self.lasts == 0;
        self.lasts = self.lasts.saturating_sub(1);
        over
    }

    /// True if a message is held back.
    pub(super) fn holds<const PAGE: usize>(&self, envelope: &Envelope<Machine, PAGE>) -> bool {
        let kind = bit(envelope.message.kind().index());
        let (from, to) = (
            bit(usize::from(envelope.from.0)),
            bit(usize::from(envelope.to.0)),
        );
        let mut holds = self.holds.iter();
        holds.any(|hold| hold.kinds & kind != 0 && hold.from & from != 0 && hold.to & to != 0)
    }

    /// Draws new conditions. Leaders are affected more often than other nodes.
    pub(super) fn draw(
        random: &mut RandomSource,
        parameters: &WalkParameters,
        size: u16,
        leaders: &[u16],
    ) -> Self {
        let all = bit(usize::from(size)).wrapping_sub(1);
        let one = |random: &mut RandomSource| {
            let leader = if random.percent(50) {
                random.one(leaders)
            } else {
                None
            };
            bit(usize::from(leader.unwrap_or_else(|| random.number(size))))
        };
        let mut holds = Vec::new();
        for _ in 0..random.below(parameters.holds + 1) {
            let kind = |random: &mut RandomSource| bit(random.index(KINDS));
            let kinds = match random.below(6) {
                0 => kind(random),
                1 => kind(random) | kind(random) | kind(random),
                // All messages with a ballot; a node that is behind can still catch up.
                2 | 3 => !CATCHING_UP,
                _ => u32::MAX,
            };
            let group = match random.below(3) {
                // Any group that is not empty.
                // From 1 to all nodes, as a bit set.
                0 => u32::try_from(random.below(u64::from(all))).unwrap_or(0) + 1,
                _ => one(random),
            };
            let hold = |from, to| Hold { kinds, from, to };
            match random.below(5) {
                0 => holds.push(hold(group, all)),
                1 => holds.push(hold(all, group)),
                2 => holds.push(hold(group, one(random))),
                // A partition, possibly only for some kinds of messages.
                _ => holds.extend([hold(group, all & !group), hold(all & !group, group)]),
            }
        }
        Self {
            lasts: random.below(2 * parameters.change),
            holds,
            order: match random.below(4) {
                0 => Order::Oldest,
                1 => Order::Newest,
                _ => Order::Any,
            },
            loss: random.below(parameters.loss + 1),
            duplicate: random.below(parameters.duplicate + 1),
            fast_node: random.number(size),
            fast_percent: random.below(100),
        }
    }
}
