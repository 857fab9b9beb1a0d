//! The draws of a plan.

use super::{CHANGES_MAX, Client, Cut, OPERATIONS, Plan, Planned, Strike, Way, Whom};
use crate::random::Random;

/// The greatest number of rolling restarts in a campaign.
const ROLLING_MAX: u64 = 2;
/// The greatest number of operations in flight. The search for an order takes longer the more there are.
const FLIGHT_MAX: u64 = 32;

impl Plan {
    /// Draws a campaign.
    pub fn draw(seed: u64, length_ms: u64) -> Self {
        let mut random = Random::new(seed, 1);
        let count = random.between(4, 12);
        let clients = (0..count).map(|_| Client {
            pipeline: random.between(1, (FLIGHT_MAX / count).max(1)),
            patience_ms: random.between(500, 6_000),
            rest_ms: random.between(0, 20),
            reads: random.pick(&[0, 0, 50, 100]).copied().unwrap_or(0),
        });
        let clients = clients.collect();
        // Each campaign leaves out some operations, so that others come in closer succession.
        let mix = [(); OPERATIONS].map(|()| {
            if random.happens(20) {
                0
            } else {
                random.between(1, 10)
            }
        });
        Self {
            seed,
            length_ms,
            nodes: if random.happens(50) { 3 } else { 5 },
            node_patience_ms: random.between(500, 5_000),
            clients,
            mix,
            groups: u32::try_from(random.between(2, 5)).unwrap_or(2),
            generation_ms: random.between(500, 2_000),
            strikes: strikes(&mut random, length_ms),
        }
    }
}

/// Draws the strikes.
fn strikes(random: &mut Random, length_ms: u64) -> Vec<Planned> {
    // Each campaign has some kinds of strikes, so that those meet more often.
    let mut kinds: Vec<Kind> = KINDS.into_iter().filter(|_| random.happens(50)).collect();
    if kinds.len() < 2 {
        kinds = KINDS.into();
    }
    let gap = random.between(500, 2_500);
    let (mut changes, mut rolling) = (0, 0);
    let mut strikes = Vec::new();
    let mut at_ms = random.between(300, 1_000);
    while at_ms + 300 < length_ms {
        let kind = random.pick(&kinds).copied().unwrap_or(KINDS[0]);
        let aim = Aim::draw(random);
        let strike = kind(aim, random);
        changes += u64::from(strike.is_change());
        rolling += u64::from(strike == Strike::Rolling);
        let has_room = (!strike.is_change() || changes <= CHANGES_MAX)
            && (strike != Strike::Rolling || rolling <= ROLLING_MAX);
        if has_room {
            strikes.push(Planned { at_ms, strike });
        }
        at_ms += random.between(100, 2 * gap);
    }
    strikes
}

/// What strikes of all kinds are made of.
#[derive(Clone, Copy)]
struct Aim {
    place: u64,
    cut: Cut,
    /// One node.
    one: Whom,
    /// One node, or all.
    some: Whom,
    down_ms: u64,
    for_ms: u64,
}

impl Aim {
    fn draw(random: &mut Random) -> Self {
        let place = random.below(60);
        let cut = if random.happens(50) {
            Cut::Refused
        } else {
            Cut::Withheld
        };
        let one = if random.happens(50) {
            Whom::Leader
        } else {
            Whom::One(place)
        };
        Self {
            place,
            cut,
            one,
            some: if random.happens(50) { one } else { Whom::All },
            down_ms: random.between(0, 2_500),
            for_ms: random.between(100, 5_000),
        }
    }

    fn kill(self, whom: Whom) -> Strike {
        let down_ms = self.down_ms;
        Strike::Kill { whom, down_ms }
    }

    fn pause(self, whom: Whom) -> Strike {
        let for_ms = self.for_ms;
        Strike::Pause { whom, for_ms }
    }

    fn isolate(self, way: Way) -> Strike {
        Strike::Isolate {
            whom: self.one,
            way,
            cut: self.cut,
            for_ms: self.for_ms,
        }
    }

    fn delay(self, delay_ms: u64) -> Strike {
        Strike::Delay {
            whom: self.some,
            delay_ms,
            for_ms: self.for_ms,
        }
    }
}

/// Draws a strike of a kind.
type Kind = fn(Aim, &mut Random) -> Strike;

/// The kinds of strikes.
const KINDS: [Kind; 16] = [
    |aim, _| aim.kill(Whom::One(aim.place)),
    |aim, _| aim.kill(Whom::Leader),
    |aim, _| aim.kill(Whom::Majority(aim.place)),
    |aim, _| aim.kill(Whom::All),
    |aim, _| aim.pause(Whom::One(aim.place)),
    |aim, _| aim.pause(Whom::Leader),
    |aim, random| {
        aim.isolate(if random.happens(50) {
            Way::To
        } else {
            Way::From
        })
    },
    |aim, _| aim.isolate(Way::Both),
    |aim, random| Strike::Partition {
        sides: random.any(),
        cut: aim.cut,
        for_ms: aim.for_ms,
    },
    |aim, random| aim.delay(random.between(5, 200)),
    |aim, random| Strike::Throttle {
        whom: aim.some,
        bytes_per_second: random.between(2_000, 100_000),
        for_ms: aim.for_ms,
    },
    |aim, random| Strike::Tear {
        whom: aim.some,
        once_in: random.between(5, 200),
        for_ms: aim.for_ms,
    },
    |aim, _| Strike::Freeze {
        whom: aim.one,
        for_ms: aim.for_ms,
    },
    |_, _| Strike::Rolling,
    |aim, random| match random.below(3) {
        0 => Strike::Add,
        1 => Strike::Remove(aim.place),
        _ => Strike::Replace(aim.place),
    },
    // Long enough for elections and changes to happen meanwhile.
    |aim, random| aim.delay(random.between(200, 600)),
];
