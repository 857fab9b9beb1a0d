//! What a walk may do, how likely that is, and what the network does for a while.

use super::Machine;
use super::random_source::RandomSource;
use synod::{Envelope, MessageKind};

/// The kinds of messages by which a node catches up.
const CATCHING_UP: u32 = 1 << MessageKind::Join.index()
    | 1 << MessageKind::Welcome.index()
    | 1 << MessageKind::Learn.index()
    | 1 << MessageKind::Decisions.index();

const KINDS: usize = MessageKind::ALL.len();

/// What a walk does, and how likely: weights of the kinds of steps, and of a hundred.
#[derive(Clone, Copy, Debug)]
pub(super) struct WalkParameters {
    pub(super) deliver: u64,
    pub(super) tick: u64,
    pub(super) ask: u64,
    /// A node is started that was not.
    pub(super) start: u64,
    /// A node is stopped for good.
    pub(super) stop: u64,
    /// A node loses power, or gets it back.
    pub(super) crash: u64,
    /// A node asks to be brought up although it need not.
    pub(super) stale_request: u64,
    /// Of a hundred, how often a message of the past comes once more.
    pub(super) again: u64,
    /// Of a hundred, how often a node's outbox is not emptied after a step.
    pub(super) gather: u64,
    /// How many clients there are.
    pub(super) clients: usize,
    /// Whether the cluster comes to rest before it begins.
    pub(super) rests_first: bool,
    change: u64,
    holds: u64,
    loss: u64,
    duplicate: u64,
}

impl WalkParameters {
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

/// Messages that are kept back: of these kinds, from these nodes, to these nodes.
#[derive(Clone, Copy)]
struct Hold {
    kinds: u32,
    from: u32,
    to: u32,
}

/// In which order the messages come that are not kept back.
#[derive(Clone, Copy)]
pub(super) enum Order {
    Any,
    Oldest,
    Newest,
}

/// What the network does for a while.
pub(super) struct NetworkConditions {
    lasts: u64,
    holds: Vec<Hold>,
    pub(super) order: Order,
    pub(super) loss: u64,
    pub(super) duplicate: u64,
    /// Whose clock runs faster than the others'.
    pub(super) fast_node: u16,
    pub(super) fast_percent: u64,
}

pub(super) fn bit(index: usize) -> u32 {
    u32::try_from(index)
        .ok()
        .and_then(|index| 1_u32.checked_shl(index))
        .unwrap_or(0)
}

impl NetworkConditions {
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

    /// Whether it is over with this step.
    pub(super) fn passes(&mut self) -> bool {
        let over = self.lasts == 0;
        self.lasts = self.lasts.saturating_sub(1);
        over
    }

    pub(super) fn holds<const PAGE: usize>(&self, envelope: &Envelope<Machine, PAGE>) -> bool {
        let kind = bit(envelope.message.kind().index());
        let (from, to) = (
            bit(usize::from(envelope.from.0)),
            bit(usize::from(envelope.to.0)),
        );
        let mut holds = self.holds.iter();
        holds.any(|hold| hold.kinds & kind != 0 && hold.from & from != 0 && hold.to & to != 0)
    }

    /// Another weather, in which those who lead are in the way more often than others.
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
                // Whatever has a ballot; who is behind still catches up.
                2 | 3 => !CATCHING_UP,
                _ => u32::MAX,
            };
            let group = match random.below(3) {
                0 => u32::try_from(random.below(u64::from(all))).unwrap_or(0) + 1,
                _ => one(random),
            };
            let hold = |from, to| Hold { kinds, from, to };
            match random.below(5) {
                0 => holds.push(hold(group, all)),
                1 => holds.push(hold(all, group)),
                2 => holds.push(hold(group, one(random))),
                // A partition, or one that only some kinds cannot cross.
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
