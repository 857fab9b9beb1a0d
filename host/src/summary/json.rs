//! JSON summary of a run: one object, whose keys [`Summary::json`] lists.
//!
//! The keys are written in the order of the fields, and without a tree in memory. Counts that are
//! zero are left out where there is one for each kind, because a reader takes a missing one for
//! zero anyway.

use super::Summary;
use crate::Finished;
use crate::json::{self, Hex, List, Pairs, Text};
use crate::leadership::Leadership;
use crate::membership::Replacement;
use serde::Serialize;
use synod::{NodeSet, Queue, Reason};

/// Writes the object. Its keys are in the order of the fields of [`Object`].
pub(super) fn write(summary: &Summary<'_>, out: &mut Vec<u8>) {
    let finished = summary.finished;
    let (report, tally) = (&finished.report, &finished.tally);
    let (outcome, reason) = summary.outcome();
    let some = |(name, count): (&'static str, u64)| (count > 0).then_some((name, count));
    let ignored = Reason::ALL.map(|reason| (reason.name(), tally.ignored(reason)));
    let full = Queue::ALL.map(|queue| (queue.name(), tally.full(queue)));
    let replaced = finished.replaced.iter().copied();
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
                read: report.read,
                not_now: report.not_now,
                earlier: (finished.earlier > 0).then_some(finished.earlier),
            },
            slots: Slots {
                decided: report.applied.number(),
                agree: report.agree,
                noops: tally.noops,
                installed: tally.installed,
            },
            messages: messages(summary),
            ignored: Pairs::of(ignored.into_iter().filter_map(some)),
            full: Pairs::of(full.into_iter().filter_map(some)),
            elections: tally.adopted,
            leaders: List::of(finished.leaderships.all().iter().map(Leader::of)),
            members: finished.has_changed_members().then(|| members(finished)),
            epochs: finished.has_changed_members().then(|| epochs(finished)),
            replaced: (replaced.len() > 0).then(|| List::of(replaced.map(Replaced::of))),
            preempted: tally.preempted,
            stepped_down: tally.stepped_down,
            suspected: tally.suspected,
            killed: tally.killed,
            halted: tally.halted,
            t_us: report.at.as_micros(),
            events: report.events,
            deliveries: report.deliveries,
            writes: report.writes,
            marks: marks(finished),
            verified: summary.verified,
            digest: Hex(finished.digest.value()),
        },
    );
}

/// Returns the traffic of each kind of message, by its name.
fn messages(summary: &Summary<'_>) -> impl Serialize {
    Pairs::of(summary.traffic().map(|(kind, [sent, delivered, lost])| {
        let traffic = Traffic {
            sent,
            delivered,
            lost,
        };
        (kind.name(), traffic)
    }))
}

/// Returns the peak use of each fixed capacity, by its name.
fn marks(finished: &Finished) -> impl Serialize {
    Pairs::of(finished.marks.iter().map(|mark| {
        let fullness = Fullness {
            peak: mark.peak,
            capacity: mark.capacity,
        };
        (mark.name, fullness)
    }))
}

/// Returns the membership at the end.
fn members(finished: &Finished) -> impl Serialize {
    Members {
        epoch: finished.members.epoch.0,
        nodes: List::of(numbers(finished.members.members)),
        retired: finished.members.retired,
    }
}

/// Returns the epochs in their order.
fn epochs(finished: &Finished) -> impl Serialize {
    let epochs = finished.epochs.all().iter();
    List::of(epochs.map(|began| EpochObject {
        epoch: began.epoch.0,
        from_us: began.from.as_micros(),
        members: List::of(numbers(began.members)),
    }))
}

/// The summary. Counts by kind leave out zeros. The type parameters are sequences that are written
/// while they are iterated, without a copy in memory.
#[derive(Serialize)]
struct Object<'a, R, M, I, F, L, N, E, X, P> {
    /// `summary`. It tells this line from those of the log, which go to the same output.
    event: &'static str,
    /// `done`, `violated`, `stalled` or `interrupted`.
    outcome: &'static str,
    /// What was violated or which bound was reached; absent if the run is done.
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
    /// Number of claims that were won.
    elections: u64,
    leaders: L,
    /// Membership at the end; absent if all nodes were members throughout.
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<N>,
    /// Epochs that began in the run; absent with `members`.
    #[serde(skip_serializing_if = "Option::is_none")]
    epochs: Option<E>,
    /// Nodes that others took the place of; absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced: Option<X>,
    /// Number of claims and leaderships that a higher ballot ended.
    preempted: u64,
    /// Number of leaders that heard too little and ceased to lead.
    stepped_down: u64,
    /// Number of times that a node missed its leader.
    suspected: u64,
    killed: u64,
    halted: u64,
    /// Simulated time at the end, in microseconds.
    t_us: u64,
    events: u64,
    deliveries: u64,
    /// Number of writes that storage would have to make durable.
    writes: u64,
    /// Peak use of each fixed capacity, by its name.
    marks: P,
    /// Whether a second run had the same digest; absent without `--verify`.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<bool>,
    /// Digest of the trace. It is text, because JSON numbers above 2⁵³ are not exact everywhere.
    digest: Hex,
}

/// Numbers of nodes at the end.
#[derive(Serialize)]
struct Nodes {
    started: u16,
    /// Those that were not killed.
    live: u16,
    /// Live ones that have the state of the cluster and take part.
    joined: u16,
}

/// True for a number that is left out of the summary of a run to which it does not apply.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Numbers of requests, without registrations.
#[derive(Serialize)]
struct Requests {
    answered: u64,
    /// Those whose answer is what the script of the clients expects.
    right: u64,
    /// Those that the clients make in all; a run is done when all are answered.
    expected: u64,
    /// Those read in the state of a node, without a slot, which are contained in `answered`.
    #[serde(skip_serializing_if = "is_zero")]
    read: u64,
    /// Times that a node could not let its client read.
    #[serde(skip_serializing_if = "is_zero")]
    not_now: u64,
    /// Those answered in earlier runs with the same `--data`, which are contained in `answered`.
    #[serde(skip_serializing_if = "Option::is_none")]
    earlier: Option<u64>,
}

/// The log as the nodes have applied it.
#[derive(Serialize)]
struct Slots {
    /// Last slot that a live node has applied.
    decided: u64,
    /// Whether every live node has applied as much.
    agree: bool,
    /// Number of gaps that new leaders filled.
    noops: u64,
    /// Number of snapshots by which nodes skipped slots.
    installed: u64,
}

/// Numbers of messages of one kind. A duplicated message is delivered more often than sent.
#[derive(Serialize)]
struct Traffic {
    sent: u64,
    delivered: u64,
    lost: u64,
}

/// A leadership: a node that won a ballot, and how it ended.
#[derive(Serialize)]
struct Leader {
    node: u16,
    /// Epoch of its ballot; absent in the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<u16>,
    /// Round of its ballot; with the epoch and the node it is unique in a run.
    round: u64,
    from_us: u64,
    /// Time of its end, in microseconds; absent if the node led to the end of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    to_us: Option<u64>,
    /// Reason of its end, present with `to_us`.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<&'static str>,
}

impl Leader {
    fn of(leadership: &Leadership) -> Self {
        Self {
            node: leadership.ballot.leader().0,
            epoch: Some(leadership.ballot.epoch().0).filter(|epoch| *epoch > 0),
            round: leadership.ballot.round(),
            from_us: leadership.from.as_micros(),
            to_us: leadership.end.map(|(at, _)| at.as_micros()),
            ended: leadership.end.map(|(_, ending)| ending.name()),
        }
    }
}

/// Membership at the end.
#[derive(Serialize)]
struct Members<L> {
    epoch: u16,
    /// Nodes that vote.
    nodes: L,
    /// Number of nodes that know that they were removed.
    retired: u64,
}

/// The beginning of an epoch, at the first node that entered it.
#[derive(Serialize)]
struct EpochObject<L> {
    epoch: u16,
    from_us: u64,
    members: L,
}

/// A node whose storage was lost.
#[derive(Serialize)]
struct Replaced {
    node: u16,
    /// Node in its place.
    by: u16,
    /// Whether that node votes.
    votes: bool,
}

impl Replaced {
    fn of(replacement: Replacement) -> Self {
        let Replacement { lost, by, votes } = replacement;
        Self {
            node: lost.0,
            by: by.0,
            votes,
        }
    }
}

/// Returns the numbers of nodes, in rising order.
fn numbers(nodes: NodeSet) -> impl Iterator<Item = u16> {
    nodes.iter().map(|node| node.0)
}

/// Peak use of a fixed capacity. A peak that equals the capacity means that something had to wait
/// or was refused.
#[derive(Serialize)]
struct Fullness {
    peak: usize,
    capacity: usize,
}
