//! Chance, drawn once for each purpose: a change in what one purpose draws moves nothing of another's.

use crate::Duration;
use rand_core::{Rng, SeedableRng};
use rand_xorshift::XorShiftRng;

/// What a stream of random numbers is for. Its number is mixed into the seed of the stream and never changes, so that
/// a new purpose leaves the streams of the old ones as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A node's own jitter.
    Node(u16),
    /// Which messages the network loses.
    Loss,
    /// How long the network takes for a message.
    Delay,
    /// What the clients do.
    Workload,
    /// Which messages a storm loses.
    Storm,
    /// Which messages arrive twice.
    Duplicate,
    /// Which messages are late, and by how much.
    Spike,
    /// Which messages are held back, and for how long.
    Reorder,
    /// What a trial is like.
    Swarm,
    /// What a loss of power leaves of a flash's words and pages.
    #[cfg(feature = "flash")]
    Flash,
    /// What disks do.
    Disk,
    /// What is to go wrong with disks.
    DiskSwarm,
    /// The jitter of a client outside.
    Client,
    /// What drivers and storage are like, and what is aimed at them.
    DriverSwarm,
}

impl Purpose {
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    const fn number(self) -> u64 {
        match self {
            Self::Loss => 1,
            Self::Delay => 2,
            Self::Workload => 3,
            Self::Storm => 4,
            Self::Duplicate => 5,
            Self::Spike => 6,
            Self::Reorder => 7,
            Self::Swarm => 8,
            #[cfg(feature = "flash")]
            Self::Flash => 16,
            Self::Disk => 9,
            Self::DiskSwarm => 10,
            Self::Client => 32,
            Self::DriverSwarm => 11,
            #[expect(clippy::as_conversions, reason = "u16 to u64, in a const fn")]
            Self::Node(node) => 1 << 32 | node as u64,
        }
    }
}

/// The stream of one purpose under a run seed.
pub(crate) fn stream(run_seed: u64, purpose: Purpose) -> XorShiftRng {
    XorShiftRng::seed_from_u64(mix(run_seed ^ mix(purpose.number())))
}

/// Spreads a number over 64 bits, one to one: the finalizer of `SplitMix64` (Steele, Lea and Flood, *Fast Splittable
/// Pseudorandom Number Generators*, 2014, with Stafford's variant 13 of the constants).
#[cfg_attr(target_pointer_width = "32", inline(never))]
pub(crate) const fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let word = (word ^ word >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ word >> 31
}

/// A number from 0 to `bound` − 1 (0 where `bound` is 0), from exactly one draw of 32 bits.
///
/// The high half of a product, as in Lemire's *Fast Random Integer Generation in an Interval* (2019) without its
/// rejection step: the bias is below `bound` / 2³², which is nothing for jitter and for loss in millionths.
#[cfg_attr(target_pointer_width = "32", inline(never))]
pub(crate) fn below(rng: &mut impl Rng, bound: u32) -> u32 {
    let product = u64::from(rng.next_u32()) * u64::from(bound);
    u32::try_from(product >> 32).unwrap_or(0)
}

/// A span from zero up to but not including `limit`, in whole microseconds; limits above 71 minutes count as that.
pub(crate) fn span_below(rng: &mut impl Rng, limit: Duration) -> Duration {
    let bound = u32::try_from(limit.as_micros()).unwrap_or(u32::MAX);
    Duration::from_micros(u64::from(below(rng, bound)))
}

/// A span from `span` up to but not including twice that.
#[inline(never)]
pub(crate) fn span_from(rng: &mut impl Rng, span: Duration) -> Duration {
    span.saturating_add(span_below(rng, span))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_seed_and_by_purpose() {
        let first = |seed, purpose| stream(seed, purpose).next_u64();
        let reference = first(6, Purpose::Loss);
        assert_eq!(first(6, Purpose::Loss), reference);
        for other in [
            first(7, Purpose::Loss),
            first(6, Purpose::Delay),
            first(6, Purpose::Node(0)),
            first(6, Purpose::Node(1)),
        ] {
            assert_ne!(other, reference);
        }
    }

    #[test]
    fn draws_stay_below_their_bound() {
        let mut rng = stream(1, Purpose::Workload);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[usize::try_from(below(&mut rng, 5)).unwrap()] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(below(&mut rng, 0), 0);
        assert_eq!(span_below(&mut rng, Duration::ZERO), Duration::ZERO);
    }
}
