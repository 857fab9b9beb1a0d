//! The figures of a benchmark: of one round, and of two servers side by side.

mod table;

use super::tally::Tally;
use core::time::Duration;
use serde::Serialize;
use std::collections::BTreeMap;

pub use table::{ComparisonTable, SummaryTable};

/// The figures of one round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The number of requests that were done.
    pub done: u64,
    /// Of these, the number of reads for which there was no value.
    pub missing: u64,
    /// The number of requests that failed.
    pub failed: u64,
    /// How often requests failed, by the reason.
    pub failures: BTreeMap<String, u64>,
    /// The time that was measured.
    pub elapsed_us: u64,
    /// Throughput and latencies.
    #[serde(flatten)]
    pub figures: Figures,
}

/// What two servers are compared by. Latencies are those of requests that were done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Requests that were done, a second.
    pub per_second: u64,
    /// The median of the latencies.
    pub p50_ns: u64,
    /// Nine in ten are at most so long.
    pub p90_ns: u64,
    /// 99 in a hundred are at most so long.
    pub p99_ns: u64,
    /// 999 in a thousand are at most so long.
    pub p99_9_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

impl Summary {
    /// Returns the figures of what was counted in this time.
    pub fn new(tally: &Tally, elapsed: Duration) -> Self {
        let at = |quantile| tally.latency.value_at_quantile(quantile);
        let nanos = elapsed.as_nanos().max(1);
        let per_second = u128::from(tally.done()) * 1_000_000_000 / nanos;
        Self {
            done: tally.done(),
            missing: tally.missing,
            failed: tally.failed(),
            failures: tally.failures.clone(),
            elapsed_us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            figures: Figures {
                per_second: u64::try_from(per_second).unwrap_or(u64::MAX),
                p50_ns: at(0.5),
                p90_ns: at(0.9),
                p99_ns: at(0.99),
                p99_9_ns: at(0.999),
                max_ns: tally.latency.max(),
            },
        }
    }
}

impl Figures {
    /// Returns one value of each kind, each made of all those of that kind.
    fn combine(rounds: &[Self], combine: impl Fn(&[u64]) -> u64) -> Self {
        let of = |figure: fn(&Self) -> u64| {
            let values: Vec<_> = rounds.iter().map(figure).collect();
            combine(&values)
        };
        Self {
            per_second: of(|figures| figures.per_second),
            p50_ns: of(|figures| figures.p50_ns),
            p90_ns: of(|figures| figures.p90_ns),
            p99_ns: of(|figures| figures.p99_ns),
            p99_9_ns: of(|figures| figures.p99_9_ns),
            max_ns: of(|figures| figures.max_ns),
        }
    }
}

/// Two servers side by side: medians of their rounds, and the first in relation to the second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The medians of the first server, each figure by itself.
    pub first: Figures,
    /// Those of the second one.
    pub second: Figures,
    /// The first divided by the second, in thousandths.
    pub ratio: Ratio,
    /// The number of requests of both that failed.
    pub failed: u64,
}

/// Figures of one server divided by those of another, in thousandths; `None` where the other has zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Ratio {
    /// That of the throughput: above 1000 the first server is faster.
    pub per_second_permille: Option<u64>,
    /// That of the medians of the latencies: below 1000 the first server is faster.
    pub p50_permille: Option<u64>,
    /// That of the latencies of nine in ten.
    pub p90_permille: Option<u64>,
    /// That of 99 in a hundred.
    pub p99_permille: Option<u64>,
    /// That of 999 in a thousand.
    pub p99_9_permille: Option<u64>,
    /// That of the longest ones.
    pub max_permille: Option<u64>,
}

impl Comparison {
    /// Compares the rounds of two servers.
    pub fn new(first: &[Summary], second: &[Summary]) -> Self {
        let medians = |rounds: &[Summary]| {
            let figures: Vec<_> = rounds.iter().map(|round| round.figures).collect();
            Figures::combine(&figures, median)
        };
        let failed = first.iter().chain(second).map(|round| round.failed).sum();
        let (first, second) = (medians(first), medians(second));
        let ratio = |figure: fn(&Figures) -> u64| permille(figure(&first), figure(&second));
        Self {
            ratio: Ratio {
                per_second_permille: ratio(|figures| figures.per_second),
                p50_permille: ratio(|figures| figures.p50_ns),
                p90_permille: ratio(|figures| figures.p90_ns),
                p99_permille: ratio(|figures| figures.p99_ns),
                p99_9_permille: ratio(|figures| figures.p99_9_ns),
                max_permille: ratio(|figures| figures.max_ns),
            },
            first,
            second,
            failed,
        }
    }
}

/// Returns the median; zero of nothing.
fn median(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let at = |index: usize| sorted.get(index).copied().unwrap_or(0);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        at(middle.saturating_sub(1)).midpoint(at(middle))
    } else {
        at(middle)
    }
}

/// Returns thousandths of a ratio, rounded.
fn permille(value: u64, of: u64) -> Option<u64> {
    let half = u128::from(of / 2);
    let permille = (u128::from(value) * 1_000 + half).checked_div(u128::from(of))?;
    Some(u64::try_from(permille).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
