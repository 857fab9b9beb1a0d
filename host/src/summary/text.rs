//! Text summary of a run, for people: lines of facts, a table of messages, a table of capacities, and the digest.
//!
//! The name of each fact is in the first twelve columns, so that a person finds it by looking down,
//! and `grep` by its name.

use super::Summary;
use crate::membership::{MembersAtEnd, Named, Replacement};
use crate::run::Finished;
use core::fmt;
use std::io::{self, Write};
use synod::{Ballot, Epoch, Queue, Reason};

/// Greatest number of leaderships and of epochs that are listed. A run with more is a struggle, of which the
/// first ones and the number say enough.
const LEADERS_MAX: usize = 20;

/// Writes the summary. The digest comes last, alone on its line, so that scripts find it with `tail
/// -1`.
pub(super) fn write(summary: &Summary<'_>, out: &mut Vec<u8>) {
    // Writing to a byte buffer never fails.
    let _ = facts(summary, out)
        .and_then(|()| traffic(summary, out))
        .and_then(|()| marks(summary, out))
        .and_then(|()| writeln!(out, "digest={}", summary.finished.digest));
}

/// Writes the results of the run: a line for each, its name in the first twelve columns.
fn facts(summary: &Summary<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    let finished = summary.finished;
    identity(summary, out)?;
    service(finished, out)?;
    elections(finished, out)?;
    refusals(finished, out)?;
    let report = &finished.report;
    writeln!(
        out,
        "time        {}s simulated, {} events",
        report.at, report.events
    )
}

/// Writes how the run ended, and how to repeat it.
fn identity(summary: &Summary<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    let (outcome, reason) = summary.outcome();
    write!(out, "outcome     {outcome}")?;
    match reason {
        Some(reason) => writeln!(out, ": {reason}")?,
        None => writeln!(out)?,
    }
    writeln!(out, "seed        {}", summary.run_seed)?;
    writeln!(out, "command     {}", summary.command)?;
    // Without `--verify` there is no line, as there was nothing to compare.
    match summary.verified {
        Some(true) => writeln!(out, "verified    two runs, one trace"),
        Some(false) => writeln!(out, "verified    two runs, two traces"),
        None => Ok(()),
    }
}

/// Writes what the cluster did for its clients.
fn service(finished: &Finished, out: &mut Vec<u8>) -> io::Result<()> {
    // Requests of earlier runs on the same files are among those that are answered.
    let (report, earlier) = (&finished.report, finished.earlier);
    writeln!(
        out,
        "nodes       {} of {} live, {} joined",
        report.live, report.nodes, report.joined
    )?;
    writeln!(
        out,
        "requests    {} of {} answered, {} right",
        report.answered, report.expected, report.right
    )?;
    if report.read > 0 || report.not_now > 0 {
        writeln!(
            out,
            "reads       {} of them without a slot, {} times not now",
            report.read, report.not_now
        )?;
    }
    if earlier > 0 {
        writeln!(
            out,
            "earlier     {earlier} of them answered in earlier runs"
        )?;
    }
    let agree = if report.agree {
        "applied alike by every live node"
    } else {
        "not yet applied by every live node"
    };
    writeln!(out, "slots       {} decided, {agree}", report.applied)
}

/// Writes who led, what leaders left to each other, and what had to be durable for that.
fn elections(finished: &Finished, out: &mut Vec<u8>) -> io::Result<()> {
    let tally = &finished.tally;
    writeln!(
        out,
        "elections   {} won, {} preempted, {} stepped down, {} suspected",
        tally.adopted, tally.preempted, tally.stepped_down, tally.suspected
    )?;
    leaders(finished, out)?;
    membership(finished, out)?;
    writeln!(
        out,
        "recovery    {} re-proposed, {} holes filled, {} snapshots installed",
        tally.reproposed, tally.noops, tally.installed
    )?;
    writeln!(out, "writes      {} made durable", finished.report.writes)
}

/// Writes the reasons for which messages were ignored, and the queues that were full; nothing if there were none.
fn refusals(finished: &Finished, out: &mut Vec<u8>) -> io::Result<()> {
    let tally = &finished.tally;
    listed(
        out,
        "ignored",
        Reason::ALL.map(|reason| (reason.name(), tally.ignored(reason))),
    )?;
    listed(
        out,
        "full",
        Queue::ALL.map(|queue| (queue.name(), tally.full(queue))),
    )
}

/// The round of a ballot as it is named in the list of leaderships: with its epoch, unless that is the first.
struct Round(Ballot);

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.round())?;
        match self.0.epoch() {
            Epoch::FIRST => Ok(()),
            epoch => write!(f, " of epoch {epoch}"),
        }
    }
}

/// Writes a line for each leadership, of which the first one names the list.
fn leaders(finished: &Finished, out: &mut Vec<u8>) -> io::Result<()> {
    let leaderships = finished.leaderships.all();
    let mut name = "leaders";
    for leadership in leaderships.iter().take(LEADERS_MAX) {
        let ballot = leadership.ballot;
        let (node, round) = (ballot.leader(), Round(ballot));
        write!(out, "{name:<12}{node} from {}s to ", leadership.from)?;
        match leadership.end {
            None => writeln!(out, "the end, round {round}")?,
            Some((at, ending)) => {
                let ending = ending.name().replace('_', " ");
                writeln!(out, "{at}s, round {round}: {ending}")?;
            }
        }
        name = "";
    }
    let hidden = leaderships.len().saturating_sub(LEADERS_MAX);
    let more = finished.leaderships.more() + u64::try_from(hidden).unwrap_or(u64::MAX);
    match more {
        0 => Ok(()),
        more => writeln!(out, "{:<12}and {more} more; --format json names them", ""),
    }
}

/// Writes who votes at the end, a line for each epoch that began, and who took the place of whom. Nothing if all nodes have
/// been members throughout, as in most runs.
fn membership(finished: &Finished, out: &mut Vec<u8>) -> io::Result<()> {
    if !finished.has_changed_members() {
        return Ok(());
    }
    let MembersAtEnd { epoch, members, .. } = finished.members;
    writeln!(
        out,
        "{:<12}{} vote in epoch {epoch}",
        "members",
        Named(members)
    )?;
    let mut name = "epochs";
    let epochs = finished.epochs.all();
    for began in epochs.iter().take(LEADERS_MAX) {
        let (epoch, from, members) = (began.epoch, began.from, Named(began.members));
        writeln!(out, "{name:<12}{epoch} from {from}s: {members}")?;
        name = "";
    }
    let hidden = epochs.len().saturating_sub(LEADERS_MAX);
    match finished.epochs.more() + u64::try_from(hidden).unwrap_or(u64::MAX) {
        0 => {}
        more => writeln!(out, "{:<12}and {more} more; --format json names them", "")?,
    }
    let mut name = "replaced";
    for Replacement { lost, by, votes } in &finished.replaced {
        let votes = if *votes { "votes" } else { "does not vote yet" };
        writeln!(out, "{name:<12}{lost} by {by}, which {votes}")?;
        name = "";
    }
    Ok(())
}

/// Writes the counts that are not zero in one line, or nothing. In most runs nothing was ignored or
/// full, and a line of zeros would hide that.
fn listed<const N: usize>(
    out: &mut Vec<u8>,
    name: &str,
    counts: [(&str, u64); N],
) -> io::Result<()> {
    let mut separator = "";
    for (what, count) in counts {
        if count > 0 {
            if separator.is_empty() {
                write!(out, "{name:<12}")?;
            }
            write!(out, "{separator}{count} {what}")?;
            separator = ", ";
        }
    }
    if separator.is_empty() {
        Ok(())
    } else {
        writeln!(out)
    }
}

/// Writes the messages by kind. The total is the sum of the lines above it, as kinds without
/// messages are left out.
fn traffic(summary: &Summary<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    writeln!(
        out,
        "\n{:<16}{:>12}{:>12}{:>12}",
        "messages", "sent", "delivered", "lost"
    )?;
    for (kind, [sent, delivered, lost]) in summary.traffic() {
        writeln!(
            out,
            "{:<16}{sent:>12}{delivered:>12}{lost:>12}",
            kind.name()
        )?;
    }
    let tally = &summary.finished.tally;
    writeln!(
        out,
        "{:<16}{:>12}{:>12}{:>12}",
        "total",
        tally.sent_total(),
        tally.delivered_total(),
        tally.lost_total()
    )
}

/// Writes the peak use of each fixed capacity. A peak near the capacity says that a busier run
/// would have to wait.
fn marks(summary: &Summary<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    writeln!(out, "\n{:<16}{:>12}{:>12}", "queues", "peak", "capacity")?;
    for mark in &summary.finished.marks {
        writeln!(
            out,
            "{:<16}{:>12}{:>12}",
            mark.name, mark.peak, mark.capacity
        )?;
    }
    writeln!(out)
}
