//! What became of the requests of a benchmark.

use super::dialect::Answer;
use core::time::Duration;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// The longest latency that is told from longer ones, in nanoseconds: an hour.
const LATENCY_MAX: u64 = 3_600_000_000_000;
/// The number of significant digits of a latency.
const DIGITS: u8 = 3;
/// The greatest number of different reasons of failures that are kept apart.
const REASONS_MAX: usize = 20;

/// The counts of a benchmark, of requests that are measured.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Latencies of requests that were done, in nanoseconds. That of a refusal would flatter the server.
    pub(super) latency: Histogram<u64>,
    /// The number of requests that were done and for which there was no value.
    pub(super) missing: u64,
    /// How often requests failed, by the reason.
    pub(super) failures: BTreeMap<String, u64>,
}

impl Tally {
    /// Returns the counts of no requests; `None` if there is no memory for the histogram.
    pub fn new() -> Option<Self> {
        Some(Self {
            latency: Histogram::new_with_max(LATENCY_MAX, DIGITS).ok()?,
            missing: 0,
            failures: BTreeMap::new(),
        })
    }

    /// Counts an answer.
    pub fn count(&mut self, answer: Answer, latency: Duration) {
        match answer {
            Answer::Refused(reason) => return self.fail(&reason, 1),
            Answer::Missing => self.missing += 1,
            Answer::Done => {}
        }
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.latency.saturating_record(nanos);
    }

    /// Counts requests that failed.
    pub fn fail(&mut self, reason: &str, requests: u64) {
        if requests == 0 {
            return;
        }
        if let Some(count) = self.failures.get_mut(reason) {
            *count += requests;
            return;
        }
        // Reasons may name keys or times, and there are as many of them as requests then.
        let reason = if self.failures.len() < REASONS_MAX {
            reason
        } else {
            "other reasons"
        };
        *self.failures.entry(reason.to_owned()).or_default() += requests;
    }

    /// Returns the number of requests that were done.
    pub fn done(&self) -> u64 {
        self.latency.len()
    }

    /// Returns the number of requests that failed.
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_has_no_latency() {
        let mut tally = Tally::new().unwrap();
        let second = Duration::from_secs(1);
        tally.count(Answer::Done, second);
        tally.count(Answer::Missing, second);
        for reason in ["ERR full", "ERR full", "NOAUTH"] {
            tally.count(Answer::Refused(reason.to_owned()), Duration::ZERO);
        }
        tally.fail("the server has hung up", 4);
        tally.fail("never", 0);
        assert_eq!((tally.done(), tally.missing, tally.failed()), (2, 1, 7));
        let failures: Vec<_> = tally.failures.iter().collect();
        let expected = [
            ("ERR full", 2),
            ("NOAUTH", 1),
            ("the server has hung up", 4),
        ];
        assert!(
            failures
                .iter()
                .map(|(reason, count)| (reason.as_str(), **count))
                .eq(expected)
        );
        assert!(tally.latency.min() > 900_000_000);
    }

    #[test]
    fn reasons_are_kept_apart_up_to_a_bound() {
        let mut tally = Tally::new().unwrap();
        for number in 0..100 {
            tally.fail(&format!("ERR {number}"), 1);
        }
        assert_eq!(tally.failures.len(), REASONS_MAX + 1);
        assert_eq!(tally.failures["other reasons"], 80);
        assert_eq!(tally.failed(), 100);
    }

    #[test]
    fn a_latency_beyond_the_histogram_is_counted_at_its_end() {
        let mut tally = Tally::new().unwrap();
        tally.count(Answer::Done, Duration::from_hours(50));
        assert_eq!(tally.done(), 1);
    }
}
