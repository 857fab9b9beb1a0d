//! Text report of a sweep, for people: failures, results, tables of the coverage, and the digest.

use super::{Account, thousandths};
use crate::exit::Exit;
use crate::progress::per_second;
use crate::sweep::{Effort, End, Expectations, Occurrences};
use std::io::{self, Write};

/// Greatest number of failures that are listed. A sweep with more has one cause for most of them.
const FAILURES_MAX: usize = 20;

/// Writes the report. Failures come first, as a reader stops at the first screen, and the digest
/// last, where scripts find it.
pub(super) fn write(account: &Account<'_>, out: &mut Vec<u8>) {
    // Writing to a byte buffer never fails.
    let _ = failures(account, out)
        .and_then(|()| facts(account, out))
        .and_then(|()| coverage(account, out))
        .and_then(|()| writeln!(out, "digest={}", account.swept.digest));
}

/// Writes the failures, each with the command that repeats it.
fn failures(account: &Account<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    let failures = &account.swept.failures;
    for failure in failures.iter().take(FAILURES_MAX) {
        let (what, why) = Account::fault(failure);
        writeln!(out, "seed {} {what}: {why}", failure.run_seed)?;
        writeln!(out, "  digest       {}", failure.digest)?;
        let command = account.sweep.source.command(failure.run_seed);
        writeln!(out, "  repeat it with: {command}")?;
    }
    // With exactly as many as are listed there are no more.
    if let Some(more @ 1..) = failures.len().checked_sub(FAILURES_MAX) {
        writeln!(out, "and {more} more; --format json lists them all")?;
    }
    if failures.is_empty() {
        Ok(())
    } else {
        writeln!(out)
    }
}

/// Writes the results of the sweep, one a line. With `--quiet` only the outcome, the command and
/// the number of runs are left.
fn facts(account: &Account<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    let swept = account.swept;
    let (outcome, reason) = account.outcome();
    write!(out, "outcome     {outcome}")?;
    match reason {
        Some(reason) => writeln!(out, ": {reason}")?,
        None => writeln!(out)?,
    }
    writeln!(out, "command     {}", account.command())?;
    write!(out, "runs        {}", swept.runs)?;
    for (exit, what) in [
        (Exit::Violated, "violated"),
        (Exit::Diverged, "diverged"),
        (Exit::Stalled, "stalled"),
    ] {
        match swept.failed(exit) {
            0 => {}
            count => write!(out, ", {count} {what}")?,
        }
    }
    if account.sweep.verify {
        write!(out, ", each twice")?;
    }
    writeln!(
        out,
        "{}",
        match swept.end {
            End::Through => "",
            End::Time => "; the time budget ended the sweep",
            End::Failed => "; the first failure ended the sweep",
            End::Stopped => "; a signal ended the sweep",
        }
    )?;
    if account.quiet {
        return Ok(());
    }
    writeln!(out, "requests    {} answered", swept.answered)?;
    writeln!(out, "slots       {} decided", swept.decided)?;
    writeln!(out, "messages    {} delivered", swept.deliveries)?;
    if let Some((longest, run_seed)) = swept.longest {
        writeln!(out, "longest     {longest}s simulated, seed {run_seed}")?;
    }
    let rate = per_second(swept.runs, swept.took);
    let millis = swept.took.as_millis();
    let (seconds, tenths) = (millis / 1_000, millis % 1_000 / 100);
    let jobs = account.sweep.jobs;
    writeln!(
        out,
        "time        {seconds}.{tenths} s, {rate} seeds a second, {jobs} at once"
    )
}

/// Writes the coverage: how often each fault and each rare event occurred. The last column says
/// after how many runs an occurrence is expected, so that a zero can be judged.
fn coverage(account: &Account<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    if account.quiet {
        return Ok(());
    }
    let (coverage, due) = (&account.swept.coverage, Expectations::of(account.sweep));
    let heading = "faults that struck";
    writeln!(
        out,
        "\n{heading:<24}{:>12}{:>12}{:>12}",
        "runs", "times", "due from"
    )?;
    for (kind, occurrences) in coverage.faults() {
        line(out, kind.name(), occurrences, due.fault(kind))?;
    }
    let heading = "rare events";
    writeln!(
        out,
        "\n{heading:<24}{:>12}{:>12}{:>12}",
        "runs", "times", "due from"
    )?;
    for (rare_event, occurrences) in coverage.rare_events() {
        line(
            out,
            rare_event.name(),
            occurrences,
            due.rare_event(rare_event),
        )?;
    }
    if due.is_unrestricted() {
        // Their bounds are those of runs that draw all faults and sizes.
        let heading = "averages";
        writeln!(
            out,
            "\n{heading:<24}{:>12}{:>12}{:>12}",
            "average", "at least", "at most"
        )?;
        for effort in Effort::ALL {
            let (least, most) = effort.usual();
            let [mean, least, most] =
                [account.swept.averages.mean(effort), least, most].map(thousandths);
            writeln!(out, "{:<24}{mean:>12}{least:>12}{most:>12}", effort.name())?;
        }
    }
    writeln!(out)
}

/// Writes a row of the coverage; a dash stands for something that is not expected.
fn line(
    out: &mut Vec<u8>,
    name: &str,
    occurrences: Occurrences,
    due: Option<u64>,
) -> io::Result<()> {
    let Occurrences { runs, times } = occurrences;
    let due = due.map_or_else(|| "-".to_owned(), |due| due.to_string());
    writeln!(out, "{name:<24}{runs:>12}{times:>12}{due:>12}")
}
