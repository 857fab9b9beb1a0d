//! What the benchmarks share: a clock, medians, and numbers that people can read.

use core::time::Duration;
use std::time::Instant;

/// The wall clock. Benchmarks are the one place that has business with it.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures time; nothing that it runs depends on it"
)]
pub(crate) fn clock() -> Instant {
    Instant::now()
}

/// How long something takes, in nanoseconds.
pub(crate) fn nanoseconds(work: impl FnOnce()) -> u64 {
    let start = clock();
    work();
    whole(clock().duration_since(start))
}

fn whole(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// The middle one of some figures; 0 of none.
pub(crate) fn median(mut figures: Vec<u64>) -> u64 {
    figures.sort_unstable();
    figures.get(figures.len() / 2).copied().unwrap_or(0)
}

/// A number with its thousands set apart.
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

/// A quotient with so many decimals, cut off.
pub(crate) fn quotient(dividend: u64, divisor: u64, decimals: u32) -> String {
    let scale = 10_u64.pow(decimals);
    let scaled = dividend.saturating_mul(scale) / divisor.max(1);
    let width = usize::try_from(decimals).unwrap_or(0);
    if decimals == 0 {
        return grouped(scaled);
    }
    format!("{}.{:0width$}", grouped(scaled / scale), scaled % scale)
}

/// PASS or FAIL, with what was to hold.
pub(crate) fn verdict(holds: bool, budget: &str) -> String {
    format!("{} ({budget})", if holds { "PASS" } else { "FAIL" })
}

/// Whether this is a real measurement: `cargo bench` says `--bench`, `cargo test` does not and gets a short run.
pub(crate) fn measures() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}
