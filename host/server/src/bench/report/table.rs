//! Figures as tables for people.

use super::{Comparison, Figures, Ratio, Summary};
use core::fmt;

/// The figures of a round as a table, with the reasons of failures below.
#[derive(Clone, Copy, Debug)]
pub struct SummaryTable<'a>(pub &'a Summary);

/// Rounds of two servers as a table, with medians and ratios.
#[derive(Clone, Copy, Debug)]
pub struct ComparisonTable<'a> {
    /// The names of the servers.
    pub names: [&'a str; 2],
    /// Their rounds.
    pub rounds: [&'a [Summary]; 2],
}

impl fmt::Display for SummaryTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(summary) = self;
        header(f, 0)?;
        row(f, "", 0, Some(summary), &summary.figures)?;
        notes(f, "", summary)
    }
}

impl fmt::Display for ComparisonTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = self.rounds;
        let compared = Comparison::new(first, second);
        let [first_name, second_name] = self.names;
        let labels = |name: &str| {
            let rounds = first.len().max(second.len());
            let mut labels: Vec<_> = (1..=rounds)
                .map(|round| format!("{name}  round {round}"))
                .collect();
            labels.push(format!("{name}  median"));
            labels
        };
        let labels = [labels(first_name), labels(second_name)];
        let width = labels.iter().flatten().map(|label| label.chars().count());
        let width = width.max().unwrap_or(0);
        header(f, width)?;
        let sides = labels
            .iter()
            .zip([first, second])
            .zip([&compared.first, &compared.second]);
        for ((labels, rounds), medians) in sides {
            for (label, round) in labels.iter().zip(rounds) {
                row(f, label, width, Some(round), &round.figures)?;
            }
            if let Some(label) = labels.last() {
                row(f, label, width, None, medians)?;
            }
        }
        ratios(f, width, &compared.ratio)?;
        let sides = self.names.iter().zip(self.rounds);
        for (name, rounds) in sides {
            for (round, number) in rounds.iter().zip(1..) {
                notes(f, &format!("{name}, round {number}: "), round)?;
            }
        }
        Ok(())
    }
}

/// Writes the names of the columns, behind a label of this width.
fn header(f: &mut fmt::Formatter<'_>, width: usize) -> fmt::Result {
    let names = [
        "done",
        "failed",
        "per second",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "max",
    ];
    line(f, "", width, &names.map(str::to_owned))
}

/// Writes a row. Medians have no counts.
fn row(
    f: &mut fmt::Formatter<'_>,
    label: &str,
    width: usize,
    round: Option<&Summary>,
    figures: &Figures,
) -> fmt::Result {
    let count = |count: fn(&Summary) -> u64| round.map(count).map(grouped).unwrap_or_default();
    let cells = [
        count(|round| round.done),
        count(|round| round.failed),
        grouped(figures.per_second),
        short(figures.p50_ns),
        short(figures.p90_ns),
        short(figures.p99_ns),
        short(figures.p99_9_ns),
        short(figures.max_ns),
    ];
    line(f, label, width, &cells)
}

fn ratios(f: &mut fmt::Formatter<'_>, width: usize, ratio: &Ratio) -> fmt::Result {
    let cell = |permille: Option<u64>| {
        permille.map_or_else(
            || "-".to_owned(),
            |permille| format!("{}.{:03}", permille / 1_000, permille % 1_000),
        )
    };
    let cells = [
        String::new(),
        String::new(),
        cell(ratio.per_second_permille),
        cell(ratio.p50_permille),
        cell(ratio.p90_permille),
        cell(ratio.p99_permille),
        cell(ratio.p99_9_permille),
        cell(ratio.max_permille),
    ];
    line(f, "first divided by second", width, &cells)
}

fn line(f: &mut fmt::Formatter<'_>, label: &str, width: usize, cells: &[String]) -> fmt::Result {
    write!(f, "{label:<width$}")?;
    for (cell, width) in cells.iter().zip([11, 9, 12, 10, 10, 10, 10, 10]) {
        write!(f, "{cell:>width$}")?;
    }
    writeln!(f)
}

/// Writes what the table has no place for.
fn notes(f: &mut fmt::Formatter<'_>, whose: &str, summary: &Summary) -> fmt::Result {
    for (reason, count) in &summary.failures {
        writeln!(f, "{whose}{} failed: {reason}", grouped(*count))?;
    }
    if summary.missing > 0 {
        let missing = grouped(summary.missing);
        writeln!(f, "{whose}{missing} reads found no value")?;
    }
    Ok(())
}

/// Returns a number with commas between the thousands.
fn grouped(number: u64) -> String {
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

/// Returns a time with three digits and its unit. No request takes a time of zero, which stands for no requests.
fn short(nanos: u64) -> String {
    let (unit, name) = match nanos {
        0 => return "-".to_owned(),
        1..1_000 => return format!("{nanos} ns"),
        1_000..1_000_000 => (1_000, "µs"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    let hundredths = u128::from(nanos) * 100 / unit;
    let (whole, rest) = (hundredths / 100, hundredths % 100);
    match whole {
        0..10 => format!("{whole}.{rest:02} {name}"),
        10..100 => format!("{whole}.{} {name}", rest / 10),
        _ => format!("{whole} {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::dialect::Answer;
    use super::super::super::tally::Tally;
    use super::*;
    use core::time::Duration;

    fn summary() -> Summary {
        let mut tally = Tally::new().unwrap();
        for _ in 0..1_200 {
            tally.count(Answer::Done, Duration::from_micros(250));
        }
        tally.fail("ERR full", 3);
        Summary::new(&tally, Duration::from_secs(1))
    }

    #[test]
    fn a_round_is_a_table_with_the_reasons_of_failures() {
        let text = SummaryTable(&summary()).to_string();
        let expected = "       done   failed  per second       p50       p90       p99     p99.9       max\n      \
             1,200        3       1,200    250 µs    250 µs    250 µs    250 µs    250 µs\n3 failed: ERR full\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_comparison_ends_with_its_ratios() {
        let rounds = [summary(), summary()];
        let table = ComparisonTable {
            names: ["ours", "theirs"],
            rounds: [&rounds, &rounds],
        };
        let text = table.to_string();
        let lines: Vec<_> = text.lines().collect();
        let begins = |line: usize, label: &str| lines[line].starts_with(label);
        assert!(
            begins(1, "ours  round 1") && begins(3, "ours  median"),
            "{text}"
        );
        assert!(
            begins(5, "theirs  round 2") && begins(6, "theirs  median"),
            "{text}"
        );
        assert!(begins(7, "first divided by second"), "{text}");
        assert!(lines[7].contains("1.000"), "{text}");
        assert_eq!(lines[8], "ours, round 1: 3 failed: ERR full");
    }

    #[test]
    fn numbers_are_short_and_grouped() {
        let grouped = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(grouped, ["0", "999", "1,000", "1,234,567"]);
        let short = [0, 999, 1_000, 12_345, 999_999, 1_234_567, 2_000_000_000].map(short);
        assert_eq!(
            short,
            [
                "-", "999 ns", "1.00 µs", "12.3 µs", "999 µs", "1.23 ms", "2.00 s"
            ]
        );
    }
}
