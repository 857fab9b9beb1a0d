//! The draws of a campaign.

use rand_core::{Rng, SeedableRng};
use rand_xorshift::XorShiftRng;

/// A stream of draws.
#[derive(Clone, Debug)]
pub struct Random(XorShiftRng);

impl Random {
    /// Creates the stream of a seed for a purpose. Streams of other purposes are independent of it.
    pub fn new(seed: u64, purpose: u64) -> Self {
        let mixed = (seed ^ purpose.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut rng = XorShiftRng::seed_from_u64(mixed);
        // Nearby seeds begin alike.
        for _ in 0..8 {
            rng.next_u64();
        }
        Self(rng)
    }

    /// Draws any number.
    pub fn any(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Draws a number below a bound; zero if the bound is.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.any().checked_rem(bound).unwrap_or(0)
    }

    /// Draws a number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// Draws whether something happens that does so in `percent` of all cases.
    pub fn happens(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Draws an item of a list; `None` if there is none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let index = self.below(u64::try_from(items.len()).unwrap_or(u64::MAX));
        items.get(usize::try_from(index).ok()?)
    }
}
