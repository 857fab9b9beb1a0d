//! Report of a check, as text or as JSON.
//!
//! The text comes in the order in which a reader needs it: first the counterexample, which is long,
//! then the outcome and the command right above the prompt of the shell.

use super::parts::Done;
use super::{Account, CheckCommand, Part};
use crate::check::{Line, Situation};
use crate::json::{self, List, Pairs, Text};
use core::time::Duration as Elapsed;
use serde::Serialize;
use std::io::{self, Write as _};

/// Greatest width of a line of the coverage, in columns.
const WIDTH: usize = 100;

/// A report, with what both formats of it show.
pub(super) struct Report<'a> {
    pub(super) command: &'a CheckCommand,
    pub(super) account: &'a Account,
    /// Time on the clock, the only value that differs from run to run.
    pub(super) elapsed: Elapsed,
}

impl Report<'_> {
    /// Appends the report as lines for people: the counterexample if there is one, a line for each
    /// part, the outcome with the command that repeats it, and the coverage.
    pub(super) fn text(&self, out: &mut Vec<u8>) {
        // Writing to a byte buffer never fails.
        let _ = self.write_text(out);
    }

    /// Writes these lines. Scripts rely on none of them; `--format json` has the same in a form that
    /// stays.
    fn write_text(&self, out: &mut Vec<u8>) -> io::Result<()> {
        let account = self.account;
        if let Some(bad) = account.broken().and_then(|done| done.bad.as_ref()) {
            for (step, line) in (1..).zip(&bad.schedule) {
                writeln!(out, "{step:>3}  {}", line.what)?;
                if !line.then.is_empty() {
                    writeln!(out, "       {}", line.then.join("; "))?;
                }
            }
            if !bad.schedule.is_empty() {
                writeln!(out)?;
            }
        }
        if self.command.part.is_none() {
            self.write_parts(out)?;
        }
        writeln!(
            out,
            "outcome     {}: {}",
            account.outcome(),
            account.reason()
        )?;
        match account.broken() {
            Some(done) => writeln!(out, "again       {}", self.command.again(done))?,
            None => writeln!(out, "command     {}", self.command.command())?,
        }
        if let [done] = account.done.as_slice() {
            Self::write_part(out, done)?;
        }
        self.write_reached(out)?;
        let (seconds, millis) = (self.elapsed.as_secs(), self.elapsed.subsec_millis());
        writeln!(out, "time        {seconds}.{millis:03}s")
    }

    /// Writes the numbers of the only part. With several, `write_parts` has a line for each.
    fn write_part(out: &mut Vec<u8>, done: &Done) -> io::Result<()> {
        match done.part {
            Part::Storms(..) => {}
            _ => writeln!(
                out,
                "states      {} reached, {} different",
                done.states, done.unique
            )?,
        }
        writeln!(out, "depth       {} steps", done.depth)?;
        writeln!(out, "slots       {} applied at most", done.applied)?;
        if done.walks > 0 {
            writeln!(out, "walks       {}", done.walks)?;
        }
        Ok(())
    }

    /// Writes a line for each part: its extent, how it ended, and the command that explores it alone.
    fn write_parts(&self, out: &mut Vec<u8>) -> io::Result<()> {
        for done in &self.account.done {
            let (count, what) = match done.part {
                Part::World(_) => (done.unique, "states"),
                Part::Walks(..) => (done.walks, "walks"),
                Part::Storms(..) => (done.walks, "storms"),
            };
            let command = self.command.alone(&done.part);
            writeln!(
                out,
                "{count:>8} {what:<6}  {:>5} steps  {:<9}  {command}",
                done.depth,
                done.end.name(),
            )?;
        }
        writeln!(out)
    }

    /// Writes the coverage: each situation with the number of its occurrences, and the situations that never occurred.
    fn write_reached(&self, out: &mut Vec<u8>) -> io::Result<()> {
        let coverage = |situation: &Situation| self.account.coverage.of(*situation) > 0;
        let words = Situation::ALL.into_iter().filter(coverage);
        let words = words.map(|situation| {
            format!(
                "{} {}",
                situation.name(),
                self.account.coverage.of(situation)
            )
        });
        wrapped(out, "reached", words)?;
        // What a violation has kept from happening is not missing.
        if self.account.broken().is_some() {
            return Ok(());
        }
        let never = Situation::ALL
            .into_iter()
            .filter(|situation| !coverage(situation));
        wrapped(
            out,
            "never",
            never.map(|situation| situation.name().to_owned()),
        )
    }

    /// Appends the report as one JSON object and a line feed.
    ///
    /// States and walks are summed over the parts, and depths are the greatest of any. `exhausted`
    /// is true only if every part was a search that visited all states. `invariant`, `what` and
    /// `schedule` are there only after a violation, and `command` then repeats it.
    pub(super) fn json(&self, out: &mut Vec<u8>) {
        let account = self.account;
        let exhausted = |done: &Done| done.end == crate::check::End::Exhausted;
        // Two worlds may have states in common, which count in both.
        let sum = |of: fn(&Done) -> u64| account.done.iter().map(of).sum();
        let most = |of: fn(&Done) -> u64| account.done.iter().map(of).max().unwrap_or(0);
        let broken = account.broken();
        let bad = broken.and_then(|done| Some((done, done.bad.as_ref()?)));
        let command = bad.map_or_else(
            || self.command.command(),
            |(done, _)| self.command.again(done),
        );
        let bad = bad.map(|(_, bad)| bad);
        let reached = |situation: Situation| (situation.name(), account.coverage.of(situation));
        json::line(
            out,
            &CheckObject {
                event: "check",
                outcome: Text(account.outcome()),
                reason: Text(account.reason()),
                exhausted: account.done.iter().all(exhausted),
                states: sum(|done| done.states),
                unique: sum(|done| done.unique),
                walks: sum(|done| done.walks),
                depth: most(|done| done.depth),
                applied: most(|done| done.applied),
                reached: Pairs::of(Situation::ALL.into_iter().map(reached)),
                missing: List::of(account.missing.iter().map(|situation| situation.name())),
                parts: List::of(account.done.iter().map(|done| self.part_object(done))),
                t_us: u64::try_from(self.elapsed.as_micros()).unwrap_or(u64::MAX),
                command,
                invariant: bad.map(|bad| bad.rule),
                what: bad.map(|bad| bad.what.as_str()),
                schedule: bad.map(|bad| List::of(bad.schedule.iter().map(StepObject::of))),
            },
        );
    }

    /// Returns the entry of a part in the list `parts`.
    fn part_object(&self, done: &Done) -> PartObject {
        PartObject {
            end: done.end.name(),
            states: done.states,
            unique: done.unique,
            depth: done.depth,
            walks: done.walks,
            command: self.command.alone(&done.part),
        }
    }
}

/// The report in JSON. The type parameters are sequences that are written without a copy in memory.
#[derive(Serialize)]
struct CheckObject<'a, O, R, C, M, P, S> {
    /// `check`.
    event: &'static str,
    /// `violated`, `interrupted`, `vacuous`, `cut short` or `done`.
    outcome: O,
    reason: R,
    exhausted: bool,
    states: u64,
    unique: u64,
    walks: u64,
    depth: u64,
    applied: u64,
    /// Number of occurrences of each situation, also of those that never occurred.
    reached: C,
    /// Names of the situations that were expected and never occurred.
    missing: M,
    parts: P,
    /// Time on the clock, in microseconds; not simulated time, of which a world has none.
    t_us: u64,
    command: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    invariant: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<&'a str>,
    /// Steps of the counterexample; an empty list for storms.
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<S>,
}

/// A part: how far it was explored, and the command that explores it alone.
#[derive(Serialize)]
struct PartObject {
    /// `exhausted`, `depth`, `states`, `stopped`, `walked` or `violated`.
    end: &'static str,
    states: u64,
    unique: u64,
    depth: u64,
    walks: u64,
    command: String,
}

/// A step of a counterexample with its effects. `what` is the action, and `then` are the reactions
/// of the node in order.
#[derive(Serialize)]
struct StepObject<'a> {
    what: &'a str,
    then: &'a [String],
}

impl<'a> StepObject<'a> {
    fn of(line: &'a Line) -> Self {
        Self {
            what: &line.what,
            then: &line.then,
        }
    }
}

/// Writes a heading and a list of words separated by commas, wrapped to [`WIDTH`].
fn wrapped(
    out: &mut Vec<u8>,
    heading: &str,
    words: impl Iterator<Item = String>,
) -> io::Result<()> {
    let mut line = format!("{heading:<11}");
    let mut first = true;
    for word in words {
        if !first && line.len() + word.len() + 2 > WIDTH {
            writeln!(out, "{line},")?;
            line = format!("{:<11}", "");
        } else if !first {
            line.push(',');
        }
        line.push(' ');
        line.push_str(&word);
        first = false;
    }
    if first {
        return Ok(());
    }
    writeln!(out, "{line}")
}
