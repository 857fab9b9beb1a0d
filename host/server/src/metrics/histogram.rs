//! How long something took, counted in classes.

use core::fmt::{self, Write};
use synod::Duration;

/// The upper bounds of the classes, in microseconds, and as Prometheus writes them, in seconds. A sync takes a tenth of a
/// millisecond on a good disk, and an election timeout is the longest that a node can afford.
const BOUNDS: [(u64, &str); 12] = [
    (100, "0.0001"),
    (250, "0.00025"),
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (1_000_000, "1"),
];

/// A histogram of times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Histogram {
    /// How many times were in each class, and in none of those before.
    classes: [u64; BOUNDS.len()],
    /// How many there were, those above all bounds included.
    count: u64,
    sum_us: u64,
}

impl Histogram {
    /// Counts a time.
    pub(crate) fn observe(&mut self, time: Duration) {
        let time = time.as_micros();
        self.count += 1;
        self.sum_us = self.sum_us.saturating_add(time);
        let class = BOUNDS.iter().zip(&mut self.classes);
        if let Some((_, count)) = class.into_iter().find(|((bound, _), _)| time <= *bound) {
            *count += 1;
        }
    }

    /// Writes the lines of the histogram for Prometheus.
    pub(super) fn write(&self, text: &mut String, name: &str) -> fmt::Result {
        let mut below = 0;
        for ((_, bound), count) in BOUNDS.iter().zip(self.classes) {
            below += count;
            writeln!(text, "{name}_bucket{{le=\"{bound}\"}} {below}")?;
        }
        writeln!(text, "{name}_bucket{{le=\"+Inf\"}} {}", self.count)?;
        let (seconds, rest) = (self.sum_us / 1_000_000, self.sum_us % 1_000_000);
        writeln!(text, "{name}_sum {seconds}.{rest:06}")?;
        writeln!(text, "{name}_count {}", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_holds_its_bound_and_counts_all_below() {
        let mut histogram = Histogram::default();
        for us in [100, 101, 1_000_000, 1_000_001] {
            histogram.observe(Duration::from_micros(us));
        }
        let mut text = String::new();
        histogram.write(&mut text, "t").unwrap();
        for line in [
            "t_bucket{le=\"0.0001\"} 1",
            "t_bucket{le=\"0.00025\"} 2",
            "t_bucket{le=\"1\"} 3",
            "t_bucket{le=\"+Inf\"} 4",
            "t_sum 2.000202",
            "t_count 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
    }
}
