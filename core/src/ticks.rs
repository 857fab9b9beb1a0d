//! A monotonic clock from a counter that wraps around.

/// Widens a counter of up to 32 bits, which wraps around after `MAX`, to 64 bits, since the time of a
/// [`Node`](crate::Node) must never go back.
///
/// The counter must be read at least once in each of its rounds, even if nothing happens: a driver that sleeps has to
/// wake up for that. If a round is missed, the clock is late by that round; it never goes back.
///
/// A round of 32 bits takes 71 minutes at 1 MHz, 4 minutes and 17 seconds at 16.7 MHz, 42 seconds at 100 MHz.
///
/// ```
/// use synod::{Instant, Ticks};
///
/// // A timer of 24 bits that counts 25 ticks in 2 microseconds.
/// let mut ticks = Ticks::<0xFF_FFFF>::new(0xFF_FFF0);
/// let mut now = |counter| Instant::from_micros(ticks.widen(counter) * 2 / 25);
/// assert_eq!(now(0xFF_FFF0), Instant::ZERO);
/// assert_eq!(now(0x00_000A), Instant::from_micros(2), "26 ticks later it has gone around");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ticks<const MAX: u32 = { u32::MAX }> {
    /// The last value of the counter.
    counter: u32,
    /// All ticks up to that value.
    passed: u64,
}

impl<const MAX: u32> Ticks<MAX> {
    /// Starts with the current value of a counter, which wraps to 0 after `MAX`. Time begins at zero.
    pub const fn new(counter: u32) -> Self {
        Self { counter, passed: 0 }
    }

    /// Returns the number of ticks since the start, from the current value of the counter.
    ///
    /// The counter counts up. For a counter that counts down, pass `MAX` minus its value.
    pub const fn widen(&mut self, counter: u32) -> u64 {
        let mut passed = counter.wrapping_sub(self.counter);
        if counter < self.counter {
            // The counter has wrapped around; a 32-bit difference wraps in the same way.
            passed = passed.wrapping_add(MAX.wrapping_add(1));
        }
        self.counter = counter;
        #[expect(clippy::as_conversions, reason = "u32 to u64, in a const")]
        let passed = passed as u64;
        // No counter gets that far in the life of a board.
        self.passed = self.passed.wrapping_add(passed);
        self.passed
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// Returns what `widen` returns, beside the values of a counter that does not wrap.
    fn widened<const MAX: u32>(start: u32, spans: &[u32]) -> Vec<(u64, u64)> {
        let round = u64::from(MAX) + 1;
        let start = u64::from(start) % round;
        let counter = |time: u64| u32::try_from((start + time) % round).unwrap();
        let mut ticks = Ticks::<MAX>::new(counter(0));
        let mut time = 0;
        let mut read = |span: &u32| {
            // Less than a round.
            time += u64::from(*span) % round;
            (ticks.widen(counter(time)), time)
        };
        spans.iter().map(&mut read).collect()
    }

    proptest! {
        #![proptest_config(crate::properties::cases(400))]

        /// For any size of the counter and any start.
        #[test]
        fn a_clock_of_a_counter_goes_on_as_time_does(
            start in any::<u32>(),
            spans in proptest::collection::vec(any::<u32>(), 0..40),
        ) {
            for read in [
                widened::<{ u32::MAX }>(start, &spans),
                widened::<0xFF_FFFF>(start, &spans),
                widened::<999>(start, &spans),
                widened::<1>(start, &spans),
            ] {
                for (ticks, time) in read {
                    prop_assert_eq!(ticks, time);
                }
            }
        }
    }

    #[test]
    fn a_round_that_was_missed_is_lost_and_time_does_not_go_back() {
        let mut ticks = Ticks::<99>::new(50);
        assert_eq!(ticks.widen(60), 10);
        assert_eq!(ticks.widen(70), 20, "of 110");
        assert_eq!(ticks.widen(70), 20, "it may stand still");
    }
}
