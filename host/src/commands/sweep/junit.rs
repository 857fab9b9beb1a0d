//! `JUnit` XML report of a sweep, for build servers.
//!
//! It has two suites. Their names include the shard if there are several, so that reports of all shards can be
//! combined. The suite `runs` has a test case for each failed run, with the command that repeats it, and one for all
//! passed runs together, as a case for each of a million seeds would be useless. The suite `sights` has a case for each
//! kind of fault and each rare event: it fails if the event was expected and never occurred, and is skipped if it
//! neither occurred nor was expected.

use super::Account;
use crate::sweep::{End, Expectations, Failure, Occurrences, Shard};
use core::time::Duration;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use std::io;

/// Result of a test case. Build servers show the message in a list, and the text on the page of a
/// case.
enum Result {
    Passed,
    /// The run failed, or an expected event never occurred.
    Failed {
        kind: String,
        message: String,
        text: String,
    },
    /// Not decided, with the reason.
    Skipped(String),
}

/// A test case; its name and that of its suite identify it between reports.
struct Case {
    name: String,
    result: Result,
}

/// Writes the report.
pub(super) fn write(account: &Account<'_>, out: &mut Vec<u8>) {
    // Writing to a byte buffer never fails.
    let _ = write_suites(account, out);
    out.push(b'\n');
}

/// Writes the document. The counts of the root element are the sums of those of the suites, which
/// some build servers check.
fn write_suites(account: &Account<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    let mut writer = Writer::new_with_indent(out, b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let (runs, coverage) = (runs(account), coverage(account));
    let took = account.swept.took;
    let (of_runs, of_sights) = (counts(&runs), counts(&coverage));
    let both = of_runs.iter().zip(of_sights);
    let both = both.map(|(one, other)| (one + other).to_string());
    let counted = ["tests", "failures", "skipped"].into_iter().zip(both);
    let counted: Vec<_> = counted.collect();
    writer
        .create_element("testsuites")
        .with_attribute(("name", account.command().as_str()))
        .with_attributes(counted.iter().map(|(key, count)| (*key, count.as_str())))
        .with_attribute(("time", seconds(took).as_str()))
        .write_inner_content(|writer| {
            let shard = account.sweep.shard;
            // Reports of several shards are merged by the names of their suites.
            let of_shard = |name: &str| match shard {
                Shard::WHOLE => name.to_owned(),
                shard => format!("{name} of shard {shard}"),
            };
            write_suite(writer, &of_shard("runs"), &runs, took)?;
            write_suite(writer, &of_shard("sights"), &coverage, Duration::ZERO)
        })?;
    Ok(())
}

/// Returns the cases of the suite `runs`.
fn runs(account: &Account<'_>) -> Vec<Case> {
    let swept = account.swept;
    let failed = |failure: &Failure| {
        let (outcome, reason) = Account::fault(failure);
        let command = account.sweep.source.command(failure.run_seed);
        Case {
            name: format!("seed {}", failure.run_seed),
            result: Result::Failed {
                kind: outcome.to_owned(),
                message: format!("{outcome}: {reason}"),
                text: format!("repeat it with: {command}\ndigest: {}", failure.digest),
            },
        }
    };
    let mut cases: Vec<_> = swept.failures.iter().map(failed).collect();
    let failures = u64::try_from(swept.failures.len()).unwrap_or(u64::MAX);
    debug_assert!(failures <= swept.runs, "a run fails once");
    let good = swept.runs.saturating_sub(failures);
    cases.push(Case {
        name: format!("{good} of {} seeds of {}", swept.runs, account.seeds()),
        result: match swept.end {
            End::Stopped => Result::Skipped("stopped before it was complete".to_owned()),
            _ => Result::Passed,
        },
    });
    cases
}

/// Returns the cases of the suite `sights`.
fn coverage(account: &Account<'_>) -> Vec<Case> {
    let (swept, due) = (account.swept, Expectations::of(account.sweep));
    let faults = swept.coverage.faults();
    let faults = faults.map(|(kind, occurrences)| (kind.name(), occurrences, due.fault(kind)));
    let rare_events = swept.coverage.rare_events();
    let rare_events = rare_events.map(|(rare_event, occurrences)| {
        (rare_event.name(), occurrences, due.rare_event(rare_event))
    });
    let seen = |(name, occurrences, due): (&str, Occurrences, Option<u64>)| Case {
        name: name.to_owned(),
        result: match due {
            // What occurred has passed, whether it was expected or not.
            _ if occurrences.runs > 0 => Result::Passed,
            Some(due) if swept.runs >= due => Result::Failed {
                kind: "vacuous".to_owned(),
                message: format!("never seen in {} runs", swept.runs),
                text: format!("expected after {due} runs"),
            },
            Some(due) => Result::Skipped(format!("expected after {due} runs")),
            None => Result::Skipped("not due".to_owned()),
        },
    };
    faults.chain(rare_events).map(seen).collect()
}

/// Returns the numbers of all cases, of failed ones, and of skipped ones.
fn counts(cases: &[Case]) -> [usize; 3] {
    let count = |is: fn(&Result) -> bool| cases.iter().filter(|case| is(&case.result)).count();
    [
        cases.len(),
        count(|result| matches!(result, Result::Failed { .. })),
        count(|result| matches!(result, Result::Skipped(_))),
    ]
}

/// Formats a duration in seconds, as the attribute `time` wants it.
fn seconds(took: Duration) -> String {
    format!("{}.{:03}", took.as_secs(), took.subsec_millis())
}

/// Writes a suite. Coverage takes no time of its own, so that its suite has 0.
fn write_suite(
    writer: &mut Writer<&mut Vec<u8>>,
    name: &str,
    cases: &[Case],
    took: Duration,
) -> io::Result<()> {
    let [tests, failures, skipped] = counts(cases).map(|count| count.to_string());
    writer
        .create_element("testsuite")
        .with_attribute(("name", name))
        .with_attribute(("tests", tests.as_str()))
        .with_attribute(("failures", failures.as_str()))
        .with_attribute(("skipped", skipped.as_str()))
        .with_attribute(("time", seconds(took).as_str()))
        .write_inner_content(|writer| {
            for case in cases {
                write_case(writer, name, case)?;
            }
            Ok(())
        })?;
    Ok(())
}

/// Writes a case. Its class is the suite, by which build servers group cases.
fn write_case(writer: &mut Writer<&mut Vec<u8>>, suite: &str, case: &Case) -> io::Result<()> {
    let element = writer
        .create_element("testcase")
        .with_attribute(("classname", suite))
        .with_attribute(("name", case.name.as_str()));
    match &case.result {
        Result::Passed => element.write_empty()?,
        Result::Skipped(message) => element.write_inner_content(|writer| {
            let skipped = writer.create_element("skipped");
            let skipped = skipped.with_attribute(("message", message.as_str()));
            skipped.write_empty()?;
            Ok(())
        })?,
        Result::Failed {
            kind,
            message,
            text,
        } => element.write_inner_content(|writer| {
            writer
                .create_element("failure")
                .with_attribute(("type", kind.as_str()))
                .with_attribute(("message", message.as_str()))
                .write_text_content(BytesText::new(text))?;
            Ok(())
        })?,
    };
    Ok(())
}
