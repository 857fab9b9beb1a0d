//! Random fault plans and network conditions for simulated runs, drawn from a seed.

use synod::simulation::{Fault, Faults, Placement, Planned, Scenario, Target, Weather};
use synod::{Duration, Instant, NodeId, NodeSet};

/// A pseudo-random number generator: `SplitMix` by Steele, Lea and Flood.
struct Random(u64);

impl Random {
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

/// The time at which all faults are over.
const HEALED: Instant = Instant::from_micros(12_000_000);

/// Draws faults of every kind, in sequence and overlapping, which all end by [`HEALED`]. More than a minority of the
/// nodes may be down at a time: safety must hold all the same.
fn plan(random: &mut Random, nodes: u16) -> Vec<Planned> {
    (0..4 + random.below(10))
        .map(|_| {
            let at = Instant::ZERO + random.millis(9_000);
            let lasts = Some(Duration::from_millis(50 + random.below(2_500)));
            let node = random.node(nodes);
            let (one, other) = (NodeSet::only(node), NodeSet::only(random.node(nodes)));
            let target = match random.below(2) {
                0 => Target::Node(node),
                _ => Target::Leader,
            };
            let fault = match random.below(10) {
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

fn weather(random: &mut Random) -> Weather {
    Weather {
        loss_ppm: random.ppm(300_000),
        duplicate_ppm: random.ppm(400_000),
        spike_ppm: random.ppm(20_000),
        spike: Duration::from_millis(1_500),
        reorder_ppm: random.ppm(300_000),
        reorder: Duration::from_millis(300),
        storm: Duration::from_millis(1_500),
        calm: Duration::from_millis(500),
        until: HEALED,
    }
}

/// Returns a scenario of three to five nodes, with six clients spread over them, and random faults.
pub(crate) fn random_faults(seed: u64) -> (Scenario, Faults) {
    let mut random = Random(seed);
    let nodes = [3, 4, 5][usize::try_from(seed % 3).unwrap()];
    let mut scenario = Scenario::of(seed, nodes);
    scenario.clients = 6;
    scenario.placement = Placement::Spread;
    scenario.think = random.millis(400);
    let faults = Faults::new(&scenario, weather(&mut random), &plan(&mut random, nodes));
    (scenario, faults)
}
