//! Faults of every kind for whole runs, drawn from a seed.

use synod::simulation::{Fault, Faults, Placement, Planned, Scenario, Target, Weather};
use synod::{Duration, Instant, NodeId, NodeSet};

/// A stream of numbers that follows from a seed: Steele, Lea and Flood's `SplitMix`.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 16) % bound
    }

    fn millis(&mut self, bound: u64) -> Duration {
        Duration::from_millis(self.below(bound))
    }

    fn ppm(&mut self, bound: u64) -> u32 {
        u32::try_from(self.below(bound)).unwrap()
    }

    fn node(&mut self, nodes: u16) -> NodeId {
        NodeId(u16::try_from(self.below(u64::from(nodes))).unwrap())
    }
}

/// When all faults are over.
const HEALED: Instant = Instant::from_micros(12_000_000);

/// Faults of every kind, one after the other or at once, all of them over at [`HEALED`]; never more than a minority of
/// the nodes down at a time would be too kind.
fn plan(dice: &mut Dice, nodes: u16) -> Vec<Planned> {
    (0..4 + dice.below(10))
        .map(|_| {
            let at = Instant::ZERO + dice.millis(9_000);
            let lasts = Some(Duration::from_millis(50 + dice.below(2_500)));
            let node = dice.node(nodes);
            let (one, other) = (NodeSet::only(node), NodeSet::only(dice.node(nodes)));
            let target = match dice.below(2) {
                0 => Target::Node(node),
                _ => Target::Leader,
            };
            let fault = match dice.below(10) {
                0..=3 => Fault::Crash(Target::Node(node)),
                4 => Fault::Pause(Target::Node(node)),
                5 => Fault::Partition(one.union(other)),
                6 => Fault::OneWay {
                    from: one,
                    to: other,
                },
                7 => Fault::Partial { one, other },
                8 => Fault::Clog {
                    from: one,
                    to: other,
                },
                _ => Fault::Skew {
                    target,
                    rate_ppm: 200_000,
                },
            };
            Planned { at, lasts, fault }
        })
        .collect()
}

fn weather(dice: &mut Dice) -> Weather {
    Weather {
        loss_ppm: dice.ppm(300_000),
        duplicate_ppm: dice.ppm(400_000),
        spike_ppm: dice.ppm(20_000),
        spike: Duration::from_millis(1_500),
        reorder_ppm: dice.ppm(300_000),
        reorder: Duration::from_millis(300),
        storm: Duration::from_millis(1_500),
        calm: Duration::from_millis(500),
        until: HEALED,
    }
}

/// Three to five nodes and six clients that are spread over them, in trouble.
pub(crate) fn trouble(seed: u64) -> (Scenario, Faults) {
    let mut dice = Dice(seed);
    let nodes = [3, 4, 5][usize::try_from(seed % 3).unwrap()];
    let mut scenario = Scenario::of(seed, nodes);
    scenario.clients = 6;
    scenario.placement = Placement::Spread;
    scenario.think = dice.millis(400);
    let faults = Faults::new(&scenario, weather(&mut dice), &plan(&mut dice, nodes));
    (scenario, faults)
}
