//! Random fault plans and network conditions for simulated runs, drawn from a seed.

use synod::simulation::{Fault, Faults, Placement, Planned, Scenario, Target, Weather};
use synod::{Duration, Instant, NodeId, NodeSet};

/// A pseudo-random number generator: `SplitMix` by Steele, Lea and Flood.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 16) % bound
    }

    pub(crate) fn millis(&mut self, bound: u64) -> Duration {
        Duration::from_millis(self.below(bound))
    }

    fn ppm(&mut self, bound: u64) -> u32 {
        u32::try_from(self.below(bound)).unwrap()
    }

    fn node(&mut self, nodes: u16) -> NodeId {
        NodeId(u16::try_from(self.below(u64::from(nodes))).unwrap())
    }

    /// Returns a node, or the leader half of the time.
    fn target(&mut self, nodes: u16) -> Target {
        let node = self.node(nodes);
        match self.below(2) {
            0 => Target::Node(node),
            _ => Target::Leader,
        }
    }

    /// Returns a set of some nodes, and that of all others; neither is empty.
    fn sides(&mut self, nodes: u16) -> (NodeSet, NodeSet) {
        let all = NodeSet::first(nodes);
        let (first, last) = (self.node(nodes), self.node(nodes - 1));
        let drawn = all.iter().filter(|_| self.below(3) == 0);
        let side = drawn.chain([first]).collect::<NodeSet>();
        let other = all.minus(side);
        if other.is_empty() {
            return (all.without(last), NodeSet::only(last));
        }
        (side, other)
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

/// The number of kinds of faults that end by themselves.
pub(crate) const PASSING: usize = 12;

/// Draws one fault of each kind that ends by itself: of the network, of clocks, of power and of disks. They begin within
/// two seconds from a time on, in any order, and each lasts for at most a second and a half.
pub(crate) fn one_of_each(random: &mut Random, nodes: u16, from: Instant) -> [Planned; PASSING] {
    let (side, _) = random.sides(nodes);
    let (sender, receiver) = random.sides(nodes);
    let (one, other) = random.sides(nodes);
    let (stuck, waiting) = random.sides(nodes);
    let mut target = || random.target(nodes);
    let faults = [
        Fault::Partition(side),
        Fault::OneWay {
            from: sender,
            to: receiver,
        },
        Fault::Partial {
            one: NodeSet::only(one.nth(0).unwrap()),
            other: NodeSet::only(other.nth(0).unwrap()),
        },
        Fault::Clog {
            from: stuck,
            to: waiting,
        },
        Fault::Crash(target()),
        Fault::Pause(target()),
        Fault::Skew {
            target: target(),
            rate_ppm: 200_000,
        },
        Fault::Jump {
            target: target(),
            by_micros: 1_000_000,
        },
        Fault::Torn(target()),
        Fault::SlowDisk {
            target: target(),
            sync: Duration::from_millis(60),
        },
        Fault::FailedWrite(target()),
        Fault::FullDisk(target()),
    ];
    faults.map(|fault| Planned {
        at: from + random.millis(2_000),
        lasts: Some(
            random
                .millis(1_450)
                .saturating_add(Duration::from_millis(50)),
        ),
        fault,
    })
}

pub(crate) fn weather(random: &mut Random, until: Instant) -> Weather {
    Weather {
        loss_ppm: random.ppm(300_000),
        duplicate_ppm: random.ppm(400_000),
        spike_ppm: random.ppm(20_000),
        spike: Duration::from_millis(1_500),
        reorder_ppm: random.ppm(300_000),
        reorder: Duration::from_millis(300),
        storm: Duration::from_millis(1_500),
        calm: Duration::from_millis(500),
        until,
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
    let faults = Faults::new(
        &scenario,
        weather(&mut random, HEALED),
        &plan(&mut random, nodes),
    );
    (scenario, faults)
}
