//! JSON summary of a run.

use super::Summary;
use crate::json::{self, Hex, List, Pairs, Text};
use crate::leadership::Leadership;
use serde::Serialize;
use synod::{Queue, Reason};

pub(super) fn write(summary: &Summary<'_>, out: &mut Vec<u8>) {
    let finished = summary.finished;
    let (report, tally) = (&finished.report, &finished.tally);
    let (outcome, reason) = summary.outcome();
    let some = |(name, count): (&'static str, u64)| (count > 0).then_some((name, count));
    let ignored = Reason::ALL.map(|reason| (reason.name(), tally.ignored(reason)));
    let full = Queue::ALL.map(|queue| (queue.name(), tally.full(queue)));
    let leaders = finished.leaderships.all();
    let marks = finished.marks.iter();
    json::line(
        out,
        &Object {
            event: "summary",
            outcome,
            reason: reason.map(Text),
            run_seed: summary.run_seed,
            command: summary.command,
            nodes: Nodes {
                started: report.nodes,
                live: report.live,
                joined: report.joined,
            },
            requests: Requests {
                answered: report.answered,
                right: report.right,
                expected: report.expected,
                earlier: (finished.earlier > 0).then_some(finished.earlier),
            },
            slots: Slots {
                decided: report.applied.number(),
                agree: report.agree,
                noops: tally.noops,
                installed: tally.installed,
            },
            messages: Pairs::of(summary.traffic().map(|(kind, [sent, delivered, lost])| {
                let traffic = Traffic {
                    sent,
                    delivered,
                    lost,
                };
                (kind.name(), traffic)
            })),
            ignored: Pairs::of(ignored.into_iter().filter_map(some)),
            full: Pairs::of(full.into_iter().filter_map(some)),
            elections: tally.adopted,
            leaders: List::of(leaders.iter().map(Leader::of)),
            preempted: tally.preempted,
            stepped_down: tally.stepped_down,
            suspected: tally.suspected,
            killed: tally.killed,
            halted: tally.halted,
            t_us: report.at.as_micros(),
            events: report.events,
            deliveries: report.deliveries,
            writes: report.writes,
            marks: Pairs::of(marks.map(|mark| {
                let fullness = Fullness {
                    peak: mark.peak,
                    capacity: mark.capacity,
                };
                (mark.name, fullness)
            })),
            verified: summary.verified,
            digest: Hex(finished.digest.value()),
        },
    );
}

/// The summary. Counts by kind leave out zeros.
#[derive(Serialize)]
struct Object<'a, R, M, I, F, L, P> {
    event: &'static str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<R>,
    run_seed: u64,
    command: &'a str,
    nodes: Nodes,
    requests: Requests,
    slots: Slots,
    messages: M,
    ignored: I,
    full: F,
    elections: u64,
    leaders: L,
    preempted: u64,
    stepped_down: u64,
    suspected: u64,
    killed: u64,
    halted: u64,
    t_us: u64,
    events: u64,
    deliveries: u64,
    writes: u64,
    marks: P,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<bool>,
    digest: Hex,
}

#[derive(Serialize)]
struct Nodes {
    started: u16,
    live: u16,
    joined: u16,
}

#[derive(Serialize)]
struct Requests {
    answered: u64,
    right: u64,
    expected: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    earlier: Option<u64>,
}

#[derive(Serialize)]
struct Slots {
    decided: u64,
    agree: bool,
    noops: u64,
    installed: u64,
}

#[derive(Serialize)]
struct Traffic {
    sent: u64,
    delivered: u64,
    lost: u64,
}

#[derive(Serialize)]
struct Leader {
    node: u16,
    round: u64,
    from_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<&'static str>,
}

impl Leader {
    fn of(leadership: &Leadership) -> Self {
        Self {
            node: leadership.ballot.leader().0,
            round: leadership.ballot.round(),
            from_us: leadership.from.as_micros(),
            to_us: leadership.end.map(|(at, _)| at.as_micros()),
            ended: leadership.end.map(|(_, ending)| ending.name()),
        }
    }
}

/// Peak use of a fixed capacity.
#[derive(Serialize)]
struct Fullness {
    peak: usize,
    capacity: usize,
}
