//! The account of a sweep for programs: a line for each failure, and one at the end. Its keys are those of [`Shape::Json`](super::Shape::Json).

use super::Account;
use crate::exit::Exit;
use crate::json::{Object, list, string};
use crate::sweep::{Due, Failure, Missing, Sight, Take};

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
        write_sights(account, &mut object);
    }
    list(
        object.key("missing"),
        &swept.missing,
        |out, missing: &Missing| {
            string(out, format_args!("{missing}"));
        },
    );
    if Due::of(sweep).is_wild() {
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

fn write_sights(account: &Account<'_>, object: &mut Object<'_>) {
    let (sights, due) = (&account.swept.sights, Due::of(account.sweep));
    let mut faults = object.object("faults");
    for (kind, sight) in sights.faults() {
        write_sight(&mut faults, kind.name(), sight, due.fault(kind));
    }
    faults.end();
    let mut happened = object.object("happened");
    for (rarity, sight) in sights.rarities() {
        write_sight(&mut happened, rarity.name(), sight, due.rarity(rarity));
    }
    happened.end();
}

fn write_sight(object: &mut Object<'_>, name: &str, sight: Sight, due: Option<u64>) {
    let mut inner = object.object(name);
    inner.number("runs", sight.runs);
    inner.number("times", sight.times);
    if let Some(due) = due {
        inner.number("due_from", due);
    }
    inner.end();
}
