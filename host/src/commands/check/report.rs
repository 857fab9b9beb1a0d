//! Report of a check, as text or as JSON.

use super::parts::Done;
use super::{Account, CheckCommand, Part};
use crate::check::Situation;
use crate::json::{self, Object};
use core::time::Duration as Elapsed;
use std::io::{self, Write as _};

/// Greatest width of a line of the coverage, in columns.
const WIDTH: usize = 100;

pub(super) struct Report<'a> {
    pub(super) command: &'a CheckCommand,
    pub(super) account: &'a Account,
    pub(super) elapsed: Elapsed,
}

impl Report<'_> {
    pub(super) fn text(&self, out: &mut Vec<u8>) {
        // Writing to a byte buffer never fails.
        let _ = self.write_text(out);
    }

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

    pub(super) fn json(&self, out: &mut Vec<u8>) {
        let account = self.account;
        let mut object = Object::begin(out);
        object.word("event", "check");
        object.text("outcome", &account.outcome());
        object.text("reason", &account.reason());
        let exhausted = |done: &Done| done.end == crate::check::End::Exhausted;
        object.flag("exhausted", account.done.iter().all(exhausted));
        let sum = |of: fn(&Done) -> u64| account.done.iter().map(of).sum();
        object.number("states", sum(|done| done.states));
        object.number("unique", sum(|done| done.unique));
        object.number("walks", sum(|done| done.walks));
        let most = |of: fn(&Done) -> u64| account.done.iter().map(of).max().unwrap_or(0);
        object.number("depth", most(|done| done.depth));
        object.number("applied", most(|done| done.applied));
        let mut coverage = object.object("reached");
        for situation in Situation::ALL {
            coverage.number(situation.name(), account.coverage.of(situation));
        }
        coverage.end();
        json::list(
            object.key("missing"),
            account.missing.iter(),
            |out, situation| {
                json::string(out, format_args!("{}", situation.name()));
            },
        );
        json::list(object.key("parts"), account.done.iter(), |out, done| {
            self.part_json(out, done);
        });
        let micros = u64::try_from(self.elapsed.as_micros()).unwrap_or(u64::MAX);
        object.number("t_us", micros);
        match account
            .broken()
            .and_then(|done| Some((done, done.bad.as_ref()?)))
        {
            None => object.text("command", &self.command.command()),
            Some((done, bad)) => {
                object.text("command", &self.command.again(done));
                object.word("invariant", bad.rule);
                object.text("what", &bad.what);
                json::list(object.key("schedule"), bad.schedule.iter(), |out, line| {
                    let mut step = Object::begin(out);
                    step.text("what", &line.what);
                    json::list(step.key("then"), line.then.iter(), |out, then| {
                        json::string(out, format_args!("{then}"));
                    });
                    step.end();
                });
            }
        }
        object.end();
        out.push(b'\n');
    }

    fn part_json(&self, out: &mut Vec<u8>, done: &Done) {
        let mut object = Object::begin(out);
        object.word("end", done.end.name());
        object.number("states", done.states);
        object.number("unique", done.unique);
        object.number("depth", done.depth);
        object.number("walks", done.walks);
        object.text("command", &self.command.alone(&done.part));
        object.end();
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
