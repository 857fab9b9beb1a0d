//! JSON summary of a run.

use super::Summary;
use crate::json::{Object, list};
use crate::leadership::Leadership;
use synod::{Queue, Reason};

pub(super) fn write(summary: &Summary<'_>, out: &mut Vec<u8>) {
    let finished = summary.finished;
    let (report, tally) = (&finished.report, &finished.tally);
    let (outcome, reason) = summary.outcome();
    let mut object = Object::begin(out);
    object.word("event", "summary");
    object.word("outcome", outcome);
    if let Some(reason) = reason {
        object.text("reason", &reason);
    }
    object.number("run_seed", summary.run_seed);
    object.text("command", &summary.command);

    let mut nodes = object.object("nodes");
    nodes.number("started", u64::from(report.nodes));
    nodes.number("live", u64::from(report.live));
    nodes.number("joined", u64::from(report.joined));
    nodes.end();
    let mut requests = object.object("requests");
    requests.number("answered", report.answered);
    requests.number("right", report.right);
    requests.number("expected", report.expected);
    if summary.finished.earlier > 0 {
        requests.number("earlier", summary.finished.earlier);
    }
    requests.end();
    let mut slots = object.object("slots");
    slots.number("decided", report.applied.number());
    slots.flag("agree", report.agree);
    slots.number("noops", tally.noops);
    slots.number("installed", tally.installed);
    slots.end();

    counts(summary, &mut object);

    object.number("elections", tally.adopted);
    let leaderships = finished.leaderships.all();
    list(object.key("leaders"), leaderships, write_leadership);
    object.number("preempted", tally.preempted);
    object.number("stepped_down", tally.stepped_down);
    object.number("suspected", tally.suspected);
    object.number("killed", tally.killed);
    object.number("halted", tally.halted);
    object.number("t_us", report.at.as_micros());
    object.number("events", report.events);
    object.number("deliveries", report.deliveries);
    object.number("writes", report.writes);
    let mut marks = object.object("marks");
    for mark in &finished.marks {
        let mut inner = marks.object(mark.name);
        inner.size("peak", mark.peak);
        inner.size("capacity", mark.capacity);
        inner.end();
    }
    marks.end();
    if let Some(verified) = summary.verified {
        object.flag("verified", verified);
    }
    object.hex("digest", finished.digest.value());
    object.end();
    out.push(b'\n');
}

fn write_leadership(out: &mut Vec<u8>, leadership: &Leadership) {
    let mut object = Object::begin(out);
    object.number("node", u64::from(leadership.ballot.leader().0));
    object.number("round", leadership.ballot.round());
    object.number("from_us", leadership.from.as_micros());
    if let Some((at, ending)) = leadership.end {
        object.number("to_us", at.as_micros());
        object.word("ended", ending.name());
    }
    object.end();
}

/// Writes the counts that are not zero.
fn counts(summary: &Summary<'_>, object: &mut Object<'_>) {
    let tally = &summary.finished.tally;
    let mut messages = object.object("messages");
    for (kind, [sent, delivered, lost]) in summary.traffic() {
        let mut inner = messages.object(kind.name());
        inner.number("sent", sent);
        inner.number("delivered", delivered);
        inner.number("lost", lost);
        inner.end();
    }
    messages.end();
    let mut ignored = object.object("ignored");
    for reason in Reason::ALL {
        if tally.ignored(reason) > 0 {
            ignored.number(reason.name(), tally.ignored(reason));
        }
    }
    ignored.end();
    let mut full = object.object("full");
    for queue in Queue::ALL {
        if tally.full(queue) > 0 {
            full.number(queue.name(), tally.full(queue));
        }
    }
    full.end();
}
