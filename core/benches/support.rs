//! Shared parts of the benchmarks: a clock, medians, and formatted numbers.

use core::time::Duration;
use std::time::Instant;

/// Returns the wall-clock time. Benchmarks are the only place that may read it.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures time; nothing that it runs depends on it"
)]
pub(crate) fn clock() -> Instant {
    Instant::now()
}

/// Returns the duration of a closure in nanoseconds.
pub(crate) fn nanoseconds(work: impl FnOnce()) -> u64 {
    let start = clock();
    work();
    whole(clock().duration_since(start))
}

fn whole(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Returns the median of some figures; 0 of none.
pub(crate) fn median(mut figures: Vec<u64>) -> u64 {
    figures.sort_unstable();
    figures.get(figures.len() / 2).copied().unwrap_or(0)
}

/// Returns a number with thousands separators.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a quotient with this many decimals, truncated.
pub(crate) fn quotient(dividend: u64, divisor: u64, decimals: u32) -> String {
    let scale = 10_u64.pow(decimals);
    let scaled = dividend.saturating_mul(scale) / divisor.max(1);
    let width = usize::try_from(decimals).unwrap_or(0);
    if decimals == 0 {
        return grouped(scaled);
    }
    format!("{}.{:0width$}", grouped(scaled / scale), scaled % scale)
}

/// Returns PASS or FAIL with the budget.
pub(crate) fn verdict(holds: bool, budget: &str) -> String {
    format!("{} ({budget})", if holds { "PASS" } else { "FAIL" })
}

/// True in a real measurement: `cargo bench` passes `--bench`; `cargo test` does not, and gets a short run.
pub(crate) fn measures() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}
