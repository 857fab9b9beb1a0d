//! Random numbers of a walk, from its seed.

/// A stream of random numbers: `SplitMix`, by Steele, Lea and Flood.
///
/// It is apart from the generators of the simulation: a change of those leaves the walks that
/// reports and the museum name by their seeds as they are.
#[derive(Clone, Debug)]
pub(super) struct RandomSource(u64);

impl RandomSource {
    /// Returns the stream of a seed. Every seed is a good one, as the state is a counter and each
    /// number a hash of it.
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number, uniform in 64 bits.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below a bound; 0 if the bound is 0. The low bits are left out, and the bias
    /// of the remainder is below one part in 2¹⁶ for bounds that occur.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 16).checked_rem(bound).unwrap_or(0)
    }

    /// Returns an index into a list; 0 if the list is empty.
    pub(super) fn index(&mut self, len: usize) -> usize {
        let drawn = self.below(u64::try_from(len).unwrap_or(u64::MAX));
        usize::try_from(drawn).unwrap_or(0)
    }

    /// True with a probability in percent.
    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Returns the number of a node below a bound.
    pub(super) fn number(&mut self, bound: u16) -> u16 {
        u16::try_from(self.below(u64::from(bound))).unwrap_or(0)
    }

    /// Returns a random element; `None` if there are none.
    pub(super) fn one<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        let index = self.index(of.len());
        of.get(index).copied()
    }

    /// Returns a random element with probability proportional to its weight.
    pub(super) fn weighted<T: Copy>(&mut self, weights: &[(u64, T)]) -> Option<T> {
        let mut drawn = self.below(weights.iter().map(|(weight, _)| weight).sum());
        // The number drawn is reduced by each weight that it is not below.
        let chosen = weights.iter().find(|(weight, _)| {
            let here = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            here
        });
        chosen.map(|(_, thing)| *thing)
    }

    /// Returns a number from 1 to `most` with a probability in percent, and otherwise 0.
    pub(super) fn rarely(&mut self, percent: u64, most: u64) -> u64 {
        if self.percent(percent) {
            1 + self.below(most)
        } else {
            0
        }
    }
}
