//! JSON report of a sweep: a line for each failure, and one at the end.
//! [`ReportFormat::Json`](super::ReportFormat::Json) lists the keys.

use super::Account;
use crate::exit::Exit;
use crate::json::{self, Hex, List, Pairs, Text};
use crate::sweep::{Effort, Expectations, Failure, Occurrences};
use serde::Serialize;

/// Writes the report. The failures come first, in rising order of their seeds.
pub(super) fn write(account: &Account<'_>, out: &mut Vec<u8>) {
    // All of them, unlike in the text: a program can count.
    for failure in &account.swept.failures {
        write_failure(account, failure, out);
    }
    write_sweep(account, out);
}

/// A failed run.
#[derive(Serialize)]
struct FailureObject<R> {
    event: &'static str,
    run_seed: u64,
    outcome: &'static str,
    reason: R,
    command: String,
    digest: Hex,
    /// Digest of the second run, if it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    other: Option<Hex>,
}

/// Writes the line of a failed run.
fn write_failure(account: &Account<'_>, failure: &Failure, out: &mut Vec<u8>) {
    let (outcome, reason) = Account::fault(failure);
    json::line(
        out,
        &FailureObject {
            event: "failure",
            run_seed: failure.run_seed,
            outcome,
            reason: Text(reason),
            command: account.sweep.source.command(failure.run_seed),
            digest: Hex(failure.digest.value()),
            other: failure.other.map(|other| Hex(other.value())),
        },
    );
}

/// The sweep as a whole. `faults` and `happened` are missing with `--quiet`; `pace` and `unusual`
/// are missing unless all faults and sizes are drawn, as the bounds are for these.
#[derive(Serialize)]
struct SweepObject<R, F, H, M, P, U> {
    event: &'static str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<R>,
    command: String,
    seeds: Seeds,
    shard: Shard,
    ended: &'static str,
    runs: u64,
    violated: usize,
    diverged: usize,
    stalled: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    faults: Option<F>,
    #[serde(skip_serializing_if = "Option::is_none")]
    happened: Option<H>,
    missing: M,
    #[serde(skip_serializing_if = "Option::is_none")]
    pace: Option<P>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unusual: Option<U>,
    answered: u64,
    decided: u64,
    delivered: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    longest: Option<Longest>,
    jobs: usize,
    /// Time on the clock, in milliseconds. Of two sweeps of the same seeds, only this and `jobs`
    /// may differ.
    took_ms: u64,
    /// Digest of the digests of all runs, in the order of their seeds.
    digest: Hex,
}

/// Seeds that were run: those of the shard from `first` on, below `next`.
#[derive(Serialize)]
struct Seeds {
    first: u64,
    next: u64,
}

/// Share of the seeds: `index` counts from 1 to `count`.
#[derive(Serialize)]
struct Shard {
    index: u64,
    count: u64,
}

/// The average of an effort over all runs, with its bounds; all three in thousandths.
#[derive(Serialize)]
struct AverageObject {
    average: u64,
    least: u64,
    most: u64,
}

/// The run that took the longest simulated time.
#[derive(Serialize)]
struct Longest {
    t_us: u64,
    run_seed: u64,
}

/// How often a fault or rare event occurred.
#[derive(Serialize)]
struct OccurrencesObject {
    /// Number of runs in which it occurred.
    runs: u64,
    /// Number of occurrences in all runs.
    times: u64,
    /// Number of runs after which it is expected; missing if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    due_from: Option<u64>,
}

impl OccurrencesObject {
    fn of(occurrences: Occurrences, due_from: Option<u64>) -> Self {
        Self {
            runs: occurrences.runs,
            times: occurrences.times,
            due_from,
        }
    }
}

/// Writes the last line.
fn write_sweep(account: &Account<'_>, out: &mut Vec<u8>) {
    let (sweep, swept) = (account.sweep, account.swept);
    let (outcome, reason) = account.outcome();
    let due = Expectations::of(sweep);
    let faults = swept.coverage.faults().map(|(kind, occurrences)| {
        let object = OccurrencesObject::of(occurrences, due.fault(kind));
        (kind.name(), object)
    });
    let happened = swept.coverage.rare_events().map(|(event, occurrences)| {
        let object = OccurrencesObject::of(occurrences, due.rare_event(event));
        (event.name(), object)
    });
    let averages = Effort::ALL.into_iter().map(|effort| {
        let (least, most) = effort.usual();
        let average = swept.averages.mean(effort);
        let object = AverageObject {
            average,
            least,
            most,
        };
        (effort.name(), object)
    });
    json::line(
        out,
        &SweepObject {
            event: "sweep",
            outcome,
            reason: reason.map(Text),
            command: account.command(),
            seeds: Seeds {
                first: sweep.seeds.first,
                next: swept.next,
            },
            shard: Shard {
                index: sweep.shard.index.into(),
                count: sweep.shard.count.into(),
            },
            ended: account.end_word(),
            runs: swept.runs,
            violated: swept.failed(Exit::Violated),
            diverged: swept.failed(Exit::Diverged),
            stalled: swept.failed(Exit::Stalled),
            faults: (!account.quiet).then(|| Pairs::of(faults)),
            happened: (!account.quiet).then(|| Pairs::of(happened)),
            missing: List::of(swept.missing.iter().map(Text)),
            pace: due.is_unrestricted().then(|| Pairs::of(averages)),
            unusual: due
                .is_unrestricted()
                .then(|| List::of(swept.unusual.iter().map(Text))),
            answered: swept.answered,
            decided: swept.decided,
            delivered: swept.deliveries,
            longest: swept.longest.map(|(at, run_seed)| Longest {
                t_us: at.as_micros(),
                run_seed,
            }),
            jobs: sweep.jobs.get(),
            took_ms: u64::try_from(swept.took.as_millis()).unwrap_or(u64::MAX),
            digest: Hex(swept.digest.value()),
        },
    );
}
