//! What campaigns came to, as a table or as JSON.

use crate::campaign::Outcome;
use crate::history::Record;
use core::fmt;
use core::time::Duration;
use serde::Serialize;
use std::collections::BTreeMap;

/// The sum of campaigns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How many there were.
    pub campaigns: u64,
    /// Those in which something was wrong.
    pub failed: Vec<u64>,
    /// Those in which nothing struck, or no operation was acknowledged.
    pub vacuous: Vec<u64>,
    /// How often each kind of strike struck.
    pub strikes: BTreeMap<&'static str, u64>,
    /// Operations that were acknowledged.
    pub acknowledged: u64,
    /// Operations whose outcome is unknown.
    pub unknown: u64,
    /// Operations that were refused, by the code of the error.
    pub refused: BTreeMap<String, u64>,
    /// Operations that an order explains, those of the readers at the end among them.
    pub explained: u64,
    /// Locks that were taken, none before its time.
    pub locks: u64,
    /// Operations of groups that were too large to be judged.
    pub unchecked: u64,
    /// The longest time in which no operation was acknowledged, in milliseconds.
    pub longest_gap_ms: u64,
    /// After each kill of a leader, how long it took until an operation was acknowledged that was sent after it.
    pub after_leader_kill_ms: Gaps,
    /// The longest time without an acknowledgement during each rolling restart.
    pub rolling_restart_ms: Gaps,
    /// The longest time without an acknowledgement during each change of the members.
    pub change_ms: Gaps,
    /// The longest time after all faults until every member had answered a write.
    pub recovery_ms: u64,
}

/// Times in milliseconds. Other strikes may fall into any of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps(Vec<u64>);

impl Gaps {
    fn push(&mut self, micros: u64) {
        self.0.push(micros / 1_000);
        self.0.sort_unstable();
    }

    /// Returns the median, and the greatest.
    fn summary(&self) -> Option<(u64, u64)> {
        Some((*self.0.get(self.0.len() / 2)?, *self.0.last()?))
    }
}

impl Serialize for Gaps {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (median, worst) = self.summary().unzip();
        let fields = [("median", median), ("worst", worst)];
        serializer.collect_map(fields)
    }
}

impl fmt::Display for Gaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.summary() {
            Some((median, worst)) => {
                write!(
                    f,
                    "median {median} ms, worst {worst} ms, of {}",
                    self.0.len()
                )
            }
            None => f.write_str("none"),
        }
    }
}

impl Report {
    /// Adds a campaign.
    pub fn add(&mut self, seed: u64, length_ms: u64, outcome: &Outcome) {
        self.campaigns += 1;
        if !outcome.is_passed() {
            self.failed.push(seed);
            self.failed.sort_unstable();
        }
        if outcome.is_vacuous() {
            self.vacuous.push(seed);
            self.vacuous.sort_unstable();
        }
        self.acknowledged += outcome.counts.acknowledged;
        self.unknown += outcome.counts.unknown;
        for (code, count) in &outcome.counts.refused {
            *self.refused.entry(code.clone()).or_default() += count;
        }
        self.explained += outcome.judgement.explained;
        self.locks += outcome.judgement.locks;
        self.unchecked += outcome.judgement.unchecked;
        let recovery = u64::try_from(outcome.recovery.as_millis()).unwrap_or(u64::MAX);
        self.recovery_ms = self.recovery_ms.max(recovery);
        let answers = answers(&outcome.records);
        let end = length_ms * 1_000;
        let gap = longest_gap(&answers, 0, end);
        self.longest_gap_ms = self.longest_gap_ms.max(gap / 1_000);
        for struck in &outcome.struck {
            *self.strikes.entry(struck.kind).or_default() += 1;
            let gap = longest_gap(&answers, struck.begun, struck.ended.min(end));
            match struck.kind {
                "kill the leader" => {
                    if let Some(gap) = first_answer(&outcome.records, struck.begun) {
                        self.after_leader_kill_ms.push(gap);
                    }
                }
                "rolling restart" => self.rolling_restart_ms.push(gap),
                "add a member" | "remove a member" | "replace a member" => self.change_ms.push(gap),
                _ => {}
            }
        }
    }
}

/// Returns when operations were acknowledged, in order.
fn answers(records: &[Record]) -> Vec<u64> {
    let mut answers: Vec<u64> = records
        .iter()
        .filter_map(|record| Some(record.answered.as_ref()?.0))
        .collect();
    answers.sort_unstable();
    answers
}

/// Returns the longest time without an acknowledgement between two times.
fn longest_gap(answers: &[u64], from: u64, to: u64) -> u64 {
    let within = answers.iter().copied().filter(|at| (from..to).contains(at));
    let mut last = from;
    let mut longest = 0;
    for at in within.chain([to]) {
        longest = longest.max(at.saturating_sub(last));
        last = at;
    }
    longest
}

/// Returns how long after a time an operation was acknowledged that had been sent after it.
fn first_answer(records: &[Record], from: u64) -> Option<u64> {
    let later = records.iter().filter(|record| record.invoked >= from);
    let answers = later.filter_map(|record| Some(record.answered.as_ref()?.0));
    answers.min().map(|at| at - from)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} campaigns, {} failed {:?}",
            self.campaigns,
            self.failed.len(),
            self.failed
        )?;
        writeln!(f)?;
        for (kind, count) in &self.strikes {
            writeln!(f, "  {kind:<20} {count:>8}")?;
        }
        writeln!(f)?;
        writeln!(f, "  acknowledged         {:>8}", self.acknowledged)?;
        writeln!(f, "  outcome unknown      {:>8}", self.unknown)?;
        for (code, count) in &self.refused {
            writeln!(f, "  refused: {code:<11} {count:>8}")?;
        }
        writeln!(f, "  explained            {:>8}", self.explained)?;
        writeln!(f, "  locks taken          {:>8}", self.locks)?;
        writeln!(f, "  not judged           {:>8}", self.unchecked)?;
        writeln!(f)?;
        writeln!(
            f,
            "  longest time without an acknowledgement   {} ms",
            self.longest_gap_ms
        )?;
        writeln!(
            f,
            "  after the kill of a leader                {}",
            self.after_leader_kill_ms
        )?;
        writeln!(
            f,
            "  in a rolling restart                      {}",
            self.rolling_restart_ms
        )?;
        writeln!(
            f,
            "  in a change of the members                {}",
            self.change_ms
        )?;
        writeln!(
            f,
            "  after all faults, until every member wrote  at most {} ms",
            self.recovery_ms
        )
    }
}

/// Returns a line about one campaign.
pub fn line(seed: u64, outcome: &Outcome, took: Duration) -> String {
    let verdict = match (outcome.is_passed(), outcome.is_vacuous()) {
        (false, _) => "FAILED",
        (true, true) => "vacuous",
        (true, false) => "passed",
    };
    format!(
        "seed {seed}: {verdict}, {} strikes, {} acknowledged, {} unknown, {} refused, {} not judged, {} s",
        outcome.struck.len(),
        outcome.counts.acknowledged,
        outcome.counts.unknown,
        outcome.counts.refusals(),
        outcome.judgement.unchecked,
        took.as_secs()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Operation;
    use crate::resp::Reply;

    #[test]
    fn gaps_are_between_acknowledgements_and_the_ends() {
        assert_eq!(longest_gap(&[5, 10, 40], 0, 50), 30);
        assert_eq!(longest_gap(&[5, 10, 40], 12, 30), 18);
        let record = |invoked, at| Record {
            client: 1,
            group: 1,
            operation: Operation::Get(0),
            invoked,
            answered: Some((at, Reply::Nil)),
        };
        // The first was sent before.
        let records = [record(5, 12), record(11, 30), record(20, 25)];
        assert_eq!(first_answer(&records, 10), Some(15));
    }

    #[test]
    fn the_median_and_the_worst_are_shown() {
        let mut gaps = Gaps::default();
        assert_eq!(
            serde_json::to_string(&gaps).unwrap(),
            r#"{"median":null,"worst":null}"#
        );
        for micros in [9_000, 1_000, 5_000] {
            gaps.push(micros);
        }
        assert_eq!(gaps.to_string(), "median 5 ms, worst 9 ms, of 3");
    }
}
