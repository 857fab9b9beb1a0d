//! JSON report of a sweep: a line for each failure, and one at the end.
//! [`ReportFormat::Json`](super::ReportFormat::Json) lists the keys.

use super::Account;
use crate::exit::Exit;
use crate::json::{Object, list, string};
use crate::sweep::{Expectations, Failure, Missing, Occurrences, Take};

pub(super) fn write(account: &Account<'_>, out: &mut Vec<u8>) {
    for failure in &account.swept.failures {
        write_failure(account, failure, out);
    }
    write_sweep(account, out);
}

fn write_failure(account: &Account<'_>, failure: &Failure, out: &mut Vec<u8>) {
    let (outcome, reason) = Account::fault(failure);
    let mut object = Object::begin(out);
    object.word("event", "failure");
    object.number("run_seed", failure.run_seed);
    object.word("outcome", outcome);
    object.text("reason", &reason);
    let command = account.sweep.source.command(failure.run_seed);
    object.text("command", &command);
    object.hex("digest", failure.digest.value());
    if let Some(other) = failure.other {
        object.hex("other", other.value());
    }
    object.end();
    out.push(b'\n');
}

fn write_sweep(account: &Account<'_>, out: &mut Vec<u8>) {
    let (sweep, swept) = (account.sweep, account.swept);
    let (outcome, reason) = account.outcome();
    let mut object = Object::begin(out);
    object.word("event", "sweep");
    object.word("outcome", outcome);
    if let Some(reason) = reason {
        object.text("reason", &reason);
    }
    object.text("command", &account.command());
    let mut seeds = object.object("seeds");
    seeds.number("first", sweep.seeds.first);
    seeds.number("next", swept.next);
    seeds.end();
    let mut shard = object.object("shard");
    shard.number("index", sweep.shard.index.into());
    shard.number("count", sweep.shard.count.into());
    shard.end();
    object.word("ended", account.end_word());
    object.number("runs", swept.runs);
    object.size("violated", swept.failed(Exit::Violated));
    object.size("diverged", swept.failed(Exit::Diverged));
    object.size("stalled", swept.failed(Exit::Stalled));
    if !account.quiet {
        write_occurrencess(account, &mut object);
    }
    list(
        object.key("missing"),
        &swept.missing,
        |out, missing: &Missing| {
            string(out, format_args!("{missing}"));
        },
    );
    if Expectations::of(sweep).is_unrestricted() {
        let mut pace = object.object("pace");
        for take in Take::ALL {
            let (least, most) = take.usual();
            let mut one = pace.object(take.name());
            one.number("average", swept.paces.mean(take));
            one.number("least", least);
            one.number("most", most);
            one.end();
        }
        pace.end();
        list(object.key("unusual"), &swept.unusual, |out, take: &Take| {
            string(out, format_args!("{take}"));
        });
    }
    object.number("answered", swept.answered);
    object.number("decided", swept.decided);
    object.number("delivered", swept.deliveries);
    if let Some((at, run_seed)) = swept.longest {
        let mut longest = object.object("longest");
        longest.number("t_us", at.as_micros());
        longest.number("run_seed", run_seed);
        longest.end();
    }
    object.size("jobs", sweep.jobs.get());
    let took = u64::try_from(swept.took.as_millis()).unwrap_or(u64::MAX);
    object.number("took_ms", took);
    object.hex("digest", swept.digest.value());
    object.end();
    out.push(b'\n');
}

fn write_occurrencess(account: &Account<'_>, object: &mut Object<'_>) {
    let (coverage, due) = (&account.swept.coverage, Expectations::of(account.sweep));
    let mut faults = object.object("faults");
    for (kind, occurrences) in coverage.faults() {
        write_occurrences(&mut faults, kind.name(), occurrences, due.fault(kind));
    }
    faults.end();
    let mut happened = object.object("happened");
    for (rare_event, occurrences) in coverage.rare_events() {
        write_occurrences(
            &mut happened,
            rare_event.name(),
            occurrences,
            due.rare_event(rare_event),
        );
    }
    happened.end();
}

fn write_occurrences(
    object: &mut Object<'_>,
    name: &str,
    occurrences: Occurrences,
    due: Option<u64>,
) {
    let mut inner = object.object(name);
    inner.number("runs", occurrences.runs);
    inner.number("times", occurrences.times);
    if let Some(due) = due {
        inner.number("due_from", due);
    }
    inner.end();
}
