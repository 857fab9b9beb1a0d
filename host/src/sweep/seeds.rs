//! Ranges of seeds, and their shards.
//!
//! A shard is every `count`-th seed and not a piece of the range. So a range without an end has
//! shards as well, and expensive seeds are spread over all of them.

use core::fmt;

/// A range of seeds.
///
/// It is displayed as on the command line: `0..1000` or `1000..`.
///
/// ```
/// use synod_host::sweep::{Seeds, Shard};
///
/// let seeds = Seeds { first: 5, end: Some(12) };
/// let second_of_three = Shard { index: 2, count: 3 };
/// let all: Vec<_> = (0..).map_while(|nth| seeds.nth(second_of_three, nth)).collect();
/// assert_eq!(all, [6, 9]);
/// assert_eq!(seeds.count(second_of_three), Some(2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seeds {
    /// First seed.
    pub first: u64,
    /// End of the range, excluded; `None` if only a time budget ends the sweep.
    pub end: Option<u64>,
}

/// A share of the seeds, so that several machines can sweep one range: every `count`-th seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shard {
    /// Number of the share, from 1.
    pub index: u32,
    /// Number of shares.
    pub count: u32,
}

impl Shard {
    /// All seeds.
    pub const WHOLE: Self = Self { index: 1, count: 1 };
}

impl Seeds {
    /// Returns the `nth` seed of a shard, from 0.
    ///
    /// `None` if the range has no such seed, or 64 bits have none.
    pub fn nth(&self, shard: Shard, nth: u64) -> Option<u64> {
        let past = nth.checked_mul(u64::from(shard.count))?;
        let before = u64::from(shard.index.checked_sub(1)?);
        let seed = self.first.checked_add(past)?.checked_add(before)?;
        self.end.is_none_or(|end| seed < end).then_some(seed)
    }

    /// Returns the seed below which the shard has exactly `nth` seeds. The shards of a sweep that
    /// is cut short may end at different seeds.
    ///
    /// Reports call it `next`, and the command that repeats a sweep ends its range there.
    pub(super) fn below(&self, shard: Shard, nth: u64) -> u64 {
        let next = self.nth(shard, nth);
        next.unwrap_or(self.end.unwrap_or(u64::MAX))
    }

    /// Returns the number of seeds of a shard; `None` if only a time budget ends the sweep.
    pub fn count(&self, shard: Shard) -> Option<u64> {
        let all = self.end?.saturating_sub(self.first);
        let before = u64::from(shard.index.saturating_sub(1));
        Some(
            // Rounded up: the shards before the last seed have one more than those after it.
            all.saturating_sub(before)
                .div_ceil(u64::from(shard.count.max(1))),
        )
    }
}

impl fmt::Display for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..", self.first)?;
        self.end.map_or(Ok(()), |end| write!(f, "{end}"))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(seeds: Seeds, index: u32, count: u32) -> Vec<u64> {
        let shard = Shard { index, count };
        let all: Vec<_> = (0..).map_while(|nth| seeds.nth(shard, nth)).collect();
        assert_eq!(seeds.count(shard), u64::try_from(all.len()).ok());
        all
    }

    #[test]
    fn shards_partition_the_seeds() {
        for end in 5..20 {
            let seeds = Seeds {
                first: 5,
                end: Some(end),
            };
            for count in 1..6 {
                let mut all: Vec<_> = (1..=count).flat_map(|of_| of(seeds, of_, count)).collect();
                all.sort_unstable();
                assert!(all.into_iter().eq(5..end), "{seeds} in {count}");
            }
        }
    }

    #[test]
    fn the_greatest_seed_ends_an_open_range() {
        let seeds = Seeds {
            first: u64::MAX - 2,
            end: None,
        };
        assert_eq!(seeds.nth(Shard::WHOLE, 2), Some(u64::MAX));
        assert_eq!(seeds.nth(Shard::WHOLE, 3), None);
        assert_eq!(seeds.count(Shard::WHOLE), None);
    }
}
