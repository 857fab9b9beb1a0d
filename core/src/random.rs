//! Random number streams, one for each purpose: a change in the draws of one purpose does not affect the others.
//!
//! All randomness of a node or a simulation comes from one seed. If everything were drawn from one stream, one more
//! draw anywhere would change everything that follows, and no two runs could be compared.

use crate::Duration;
use rand_core::{Rng, SeedableRng};
use rand_xorshift::XorShiftRng;

/// The purpose of a random number stream. Its number is mixed into the seed of the stream and never changes, so that a
/// new purpose leaves existing streams as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The jitter of a node.
    Node(u16),
    /// Messages that the network loses.
    Loss,
    /// Delays of messages in the network.
    Delay,
    /// Actions of the clients.
    Workload,
    /// Messages that are lost during a storm.
    Storm,
    /// Messages that are duplicated.
    Duplicate,
    /// Messages that are delayed by a spike, and by how much.
    Spike,
    /// Messages that are held back so that others overtake them, and for how long.
    Reorder,
    /// Parameters of a trial.
    Swarm,
    /// Words and pages of a flash after a loss of power.
    #[cfg(feature = "flash")]
    Flash,
    /// Behaviour of disks.
    Disk,
    /// Planned faults of disks.
    DiskSwarm,
    /// The jitter of a client outside the cluster.
    Client,
    /// Behaviour of drivers and storage, and faults that are aimed at certain moments.
    DriverSwarm,
    /// Changes of the members, and the nodes that are there for them.
    MemberSwarm,
    /// The manners of clients.
    ClientSwarm,
}

impl Purpose {
    /// Returns the number that is mixed into the seed. Those of nodes are above 2³², out of the way of all others.
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
            Self::MemberSwarm => 12,
            Self::ClientSwarm => 13,
            #[expect(clippy::as_conversions, reason = "u16 to u64, in a const fn")]
            Self::Node(node) => 1 << 32 | node as u64,
        }
    }
}

/// Returns the stream of one purpose for a run seed.
///
/// The purpose is mixed before it meets the seed: otherwise the seeds 6 and 7 would share streams, under two purposes.
pub(crate) fn stream(run_seed: u64, purpose: Purpose) -> XorShiftRng {
    XorShiftRng::seed_from_u64(mix(run_seed ^ mix(purpose.number())))
}

/// Maps a number to 64 well-mixed bits, one to one: the finalizer of `SplitMix64` (Steele, Lea and Flood, *Fast
/// Splittable Pseudorandom Number Generators*, 2014, with Stafford's variant 13 of the constants).
#[cfg_attr(target_pointer_width = "32", inline(never))]
pub(crate) const fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let word = (word ^ word >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ word >> 31
}

/// Returns a number from 0 to `bound` − 1 (0 if `bound` is 0), from exactly one draw of 32 bits.
///
/// It is the high half of a product, as in Lemire's *Fast Random Integer Generation in an Interval* (2019) without the
/// rejection step. The bias is below `bound` / 2³², which is negligible for jitter and for loss in millionths.
#[cfg_attr(target_pointer_width = "32", inline(never))]
pub(crate) fn below(rng: &mut impl Rng, bound: u32) -> u32 {
    // One draw in any case, whatever the bound, so that streams stay in step.
    let product = u64::from(rng.next_u32()) * u64::from(bound);
    debug_assert!(
        bound == 0 || product >> 32 < u64::from(bound),
        "drew a number that is not below its bound"
    );
    u32::try_from(product >> 32).unwrap_or(0)
}

/// Returns a duration from zero up to but not including `limit`, in whole microseconds; a limit above 71 minutes counts
/// as that.
pub(crate) fn span_below(rng: &mut impl Rng, limit: Duration) -> Duration {
    let bound = u32::try_from(limit.as_micros()).unwrap_or(u32::MAX);
    Duration::from_micros(u64::from(below(rng, bound)))
}

/// Returns a duration from `span` up to but not including twice that.
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
