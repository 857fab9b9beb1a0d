//! `synod check`: model checking of small clusters, and random walks through larger ones.
//!
//! The parts complement each other. Small worlds are explored completely, and show nothing about
//! what takes more steps. Walks go deep, and show nothing about the states that they miss. So
//! without options all parts are explored, and each of them has to come to the situations that it
//! is made for.
//!
//! Everything in a report but the time follows from the options, except where the time budget ends
//! a part.

mod parts;
mod report;
#[cfg(test)]
mod tests;

use super::run::OutputFormat;
use crate::check::{Coverage, End, Network, Scope, Situation, Watch};
use crate::exit::Exit;
use crate::log::Output;
use crate::mutant::Mutant;
use crate::progress;
use crate::shell_quoting;
use crate::signals::{self, FirstSignal};
use core::fmt::{self, Write as _};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration as Elapsed;
use parts::{Done, explored};
use report::Report;
use std::io;
use std::sync::Arc;
use synod::{Duration, MessageKind, NodeSet, Timer};

/// Default bound on the distinct states of a world, which take about a gigabyte.
const STATES: u64 = 10_000_000;
/// Default time budget of one part. After it, the part is reported as cut short.
const TIME: Duration = Duration::from_secs(60);
/// Default time budget of all parts together.
const TIME_OF_ALL: Duration = Duration::from_secs(300);
/// Number of walks through the large world if all parts are explored. Together with the storms they
/// take most of the time, and come to every situation many times.
const WALKS: u64 = 2_000;
/// Number of walks in which clients read without the log if all parts are explored.
const WALKS_WITH_READS: u64 = 1_000;
/// Number of walks under drawn network conditions if all parts are explored.
const STORMS: u64 = 6_000;
/// Number of walks after which an expected event must have occurred. Fewer walks may come to none
/// by chance, so that their absence says nothing.
const MANY: u64 = 20;

/// A part of the exploration.
///
/// In the order of [`Part::all`], the parts that take longest begin first, so that all processors
/// are done at about the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Every state of a world.
    World(Scope),
    /// Random walks through a world: their number, and the seed of the first.
    Walks(Scope, u64, u64),
    /// Random walks under drawn network conditions: their number, and the seed of the first. See
    /// [`crate::random_walk`].
    Storms(u64, u64),
}

/// Options of `synod check`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckCommand {
    /// The part to explore; `None` for all parts, which together have the widest coverage.
    pub part: Option<Part>,
    /// Greatest number of steps from the initial state.
    pub depth: Option<u32>,
    /// Greatest number of distinct states of a world.
    pub states: u64,
    /// Time budget.
    pub time: Duration,
    /// Mistake planted in every node.
    pub mutant: Option<Mutant>,
    /// Format of the report.
    pub form: OutputFormat,
}

impl Part {
    /// Returns all parts: small worlds that are explored completely, and random walks through larger ones.
    pub fn all() -> Vec<Self> {
        let mut parts = vec![
            Self::Storms(STORMS, 0),
            Self::Walks(Scope::large(), WALKS, 0),
            Self::Walks(Scope::large_with_reads(), WALKS_WITH_READS, 0),
        ];
        parts.extend(Scope::worlds().into_iter().map(Self::World));
        parts
    }

    /// Returns the situations that must occur, as the absence of violations proves nothing without
    /// them. A world too small for one of them, such as one without elections, is thereby reported
    /// as vacuous, with exit code 5.
    pub fn due(&self) -> Vec<Situation> {
        // Nothing follows without an election.
        let mut due = vec![Situation::Elected];
        let (requests, reads, crashes, changes) = match self {
            Self::Walks(_, count, _) | Self::Storms(count, _) if *count < MANY => {
                return Vec::new();
            }
            Self::World(scope) | Self::Walks(scope, ..) => {
                (scope.requests, scope.reads, scope.crashes, scope.changes)
            }
            Self::Storms(..) => (1, 1, 1, 1),
        };
        if requests > 0 {
            due.extend([Situation::Applied, Situation::Answered]);
        }
        if reads > 0 {
            due.push(Situation::Read);
        }
        if changes > 0 {
            due.extend([Situation::Applied, Situation::Reconfigured]);
        }
        if crashes > 0 {
            due.extend([Situation::Restarted, Situation::Torn]);
        }
        due
    }
}

impl CheckCommand {
    /// Returns the default options for a part.
    pub fn new(part: Option<Part>) -> Self {
        Self {
            time: Self::time_of(part.as_ref()),
            part,
            depth: None,
            states: STATES,
            mutant: None,
            form: OutputFormat::Text,
        }
    }

    /// Returns the default time budget, which a printed command leaves out.
    const fn time_of(part: Option<&Part>) -> Duration {
        match part {
            Some(_) => TIME,
            None => TIME_OF_ALL,
        }
    }

    /// Returns the parts to explore, in order.
    pub fn parts(&self) -> Vec<Part> {
        match &self.part {
            Some(part) => vec![part.clone()],
            None => Part::all(),
        }
    }

    /// Returns the shortest command that repeats the exploration.
    pub fn command(&self) -> String {
        let mut line = String::new();
        // Writing to a string never fails.
        let _ = self.write_command(&mut line);
        line
    }

    /// Returns the shortest command that explores one of the parts. Each part then has the time
    /// budget of a part, unless one was given.
    fn alone(&self, part: &Part) -> String {
        Self {
            part: Some(part.clone()),
            time: self.part.as_ref().map_or(TIME, |_| self.time),
            ..self.clone()
        }
        .command()
    }

    /// Returns the shortest command that repeats the violation found by a part. A walk is repeated
    /// by its seed, and a search is repeated whole, as it finds the nearest violation again.
    fn again(&self, done: &Done) -> String {
        let part = match (&done.part, done.bad.as_ref().and_then(|bad| bad.seed)) {
            (Part::Walks(scope, ..), Some(seed)) => Part::Walks(scope.clone(), 1, seed),
            (Part::Storms(..), Some(seed)) => Part::Storms(1, seed),
            (part, _) => part.clone(),
        };
        let is_one = matches!(part, Part::Walks(_, 1, _) | Part::Storms(1, _));
        // With the time budget of the whole check, if it was a search: a smaller one could end
        // before the violation.
        let again = Self {
            // The time that sufficed for all parts suffices for one walk.
            time: if is_one && self.part.is_none() {
                TIME
            } else {
                self.time
            },
            part: Some(part),
            ..self.clone()
        };
        again.command()
    }

    /// Writes the command, with the options that differ from their defaults for this part.
    fn write_command(&self, line: &mut String) -> fmt::Result {
        write!(line, "{} check", shell_quoting::program())?;
        match &self.part {
            None => {}
            Some(Part::World(scope)) => {
                write_scope(line, scope, &Scope::small())?;
                // Without any option the command would explore all parts.
                if *scope == Scope::small() && self.depth.is_none() {
                    write!(line, " --nodes {}", scope.nodes)?;
                }
            }
            Some(Part::Walks(scope, count, seed)) => {
                write_scope(line, scope, &Scope::large())?;
                write_count(line, "walks", *count, *seed)?;
            }
            Some(Part::Storms(count, seed)) => write_count(line, "storms", *count, *seed)?,
        }
        if let Some(depth) = self.depth {
            write!(line, " --depth {depth}")?;
        }
        if self.states != STATES {
            write!(line, " --states {}", self.states)?;
        }
        if self.time != Self::time_of(self.part.as_ref()) {
            write!(line, " --time {}", self.time)?;
        }
        if let Some(mutant) = self.mutant {
            write!(line, " --mutant {mutant}")?;
        }
        Ok(())
    }
}

/// Writes the number of walks and the seed of the first, which is 0 by default.
fn write_count(line: &mut String, what: &str, count: u64, seed: u64) -> fmt::Result {
    write!(line, " --{what} {count}")?;
    if seed != 0 {
        write!(line, " --seed {seed}")?;
    }
    Ok(())
}

/// Writes the options of a world that differ from those of `default`. The default of `--slots`
/// depends on `--requests`, as on the command line.
fn write_scope(line: &mut String, scope: &Scope, default: &Scope) -> fmt::Result {
    // What is left out of the command here is filled in there by the same rule.
    let slots = scope.slots_of(default.slots);
    let founders = scope.nodes - default.newcomers_of(scope.nodes);
    let numbers = [
        ("nodes", scope.nodes, default.nodes),
        ("founders", scope.founders(), founders),
        (
            "claimants",
            scope.claimants,
            default.claimants_of(scope.nodes),
        ),
        ("requests", scope.requests.into(), default.requests.into()),
        ("retries", scope.retries.into(), default.retries.into()),
        ("reads", scope.reads.into(), default.reads.into()),
        ("changes", scope.changes.into(), default.changes.into()),
        ("rounds", scope.rounds.into(), default.rounds.into()),
        ("slots", scope.slots.into(), slots.into()),
        ("crashes", scope.crashes.into(), default.crashes.into()),
    ];
    for (name, number, default) in numbers {
        if number != default {
            write!(line, " --{name} {number}")?;
        }
    }
    if let Some(members) = scope.members {
        write!(line, " --members {}", node_numbers(members))?;
    }
    if scope.timers != default.timers {
        let all = scope.timers == Timer::ALL;
        let names = scope.timers.iter().map(|timer| timer.name());
        let names = if all { "all".to_owned() } else { joined(names) };
        write!(line, " --timers {names}")?;
    }
    if scope.lost != default.lost {
        let none = scope.lost.is_empty();
        let names = scope.lost.iter().map(|kind: &MessageKind| kind.name());
        let names = if none {
            "none".to_owned()
        } else {
            joined(names)
        };
        write!(line, " --lost {names}")?;
    }
    if scope.network != default.network {
        line.write_str(match scope.network {
            Network::Once => " --network once",
            Network::Again => " --network again",
        })?;
    }
    Ok(())
}

/// Returns a set of nodes as the value of an option.
pub(crate) fn node_numbers(nodes: NodeSet) -> String {
    let numbers: Vec<String> = nodes.iter().map(|node| node.0.to_string()).collect();
    numbers.join(",")
}

/// Returns names as the value of an option.
fn joined(names: impl Iterator<Item = &'static str>) -> String {
    names.collect::<Vec<_>>().join(",")
}

/// Executes the command. The report goes to the standard output, everything else to the standard error.
///
/// The exit code is that of the outcome, or 2 if the report could not be written.
pub fn check(command: &CheckCommand) -> Exit {
    signals::install(FirstSignal::StopsRun);
    let mut output = Output::new(io::stdout());
    let mut exit = Exit::Done;
    output.append(|out| exit = reported(command, signals::stop_flag(), out));
    match output.finish() {
        Ok(_) => exit,
        Err(error) => Exit::from_output(&error),
    }
}

/// Explores and appends the report to `out`.
///
/// The clock is watched by a thread of its own, which stops the explorations through their watches.
fn reported(command: &CheckCommand, interrupted: &AtomicBool, out: &mut Vec<u8>) -> Exit {
    let parts = command.parts();
    // One for each part, so that the first violation stops only those after it.
    let watches: Vec<Arc<Watch>> = parts.iter().map(|_| Arc::default()).collect();
    let limit = Elapsed::from_micros(command.time.as_micros());
    let (done, elapsed) = progress::timed(
        |elapsed| elapsed >= limit || interrupted.load(Ordering::Relaxed),
        || watches.iter().map(|watch| watch.states()).sum(),
        || watches.iter().for_each(|watch| watch.stop()),
        || explored(command, &parts, &watches),
    );
    // Read once more: a signal may have arrived after the last part was done.
    let account = Account::of(command, done, interrupted.load(Ordering::Relaxed));
    let report = Report {
        command,
        account: &account,
        elapsed,
    };
    match command.form {
        OutputFormat::Text => report.text(out),
        OutputFormat::Json => report.json(out),
    }
    account.exit()
}

/// Results of all parts.
///
/// It decides the outcome, from which the exit code and both formats of the report follow.
struct Account {
    /// Results in the order of the parts.
    done: Vec<Done>,
    /// Coverage of all parts together.
    coverage: Coverage,
    /// Expected situations that never occurred.
    missing: Vec<Situation>,
    /// Whether a signal cut the exploration short.
    interrupted: bool,
}

impl Account {
    /// Returns the account of the results. A part that was cut short cannot be blamed for what it
    /// did not come to, if others were explored besides.
    fn of(command: &CheckCommand, done: Vec<Done>, interrupted: bool) -> Self {
        let mut coverage = Coverage::default();
        for done in &done {
            coverage.add_all(&done.coverage);
        }
        // With parts missing, only what every exploration comes to within seconds is demanded of
        // the rest.
        let cut = done.iter().any(Done::is_cut);
        let mut missing: Vec<Situation> = Vec::new();
        for done in &done {
            // In a check of several parts, a part that was cut short is reported as such instead.
            if command.part.is_some() || !done.is_cut() {
                let due = done.part.due().into_iter();
                missing.extend(due.filter(|situation| done.coverage.of(*situation) == 0));
            }
        }
        if command.part.is_none() {
            let due = if cut {
                vec![Situation::Elected, Situation::Answered]
            } else {
                Situation::ALL.to_vec()
            };
            missing.extend(
                due.into_iter()
                    .filter(|situation| coverage.of(*situation) == 0),
            );
        }
        missing.sort();
        missing.dedup();
        Self {
            done,
            coverage,
            missing,
            // A part that was complete when the signal arrived counts as complete.
            interrupted: interrupted && cut,
        }
    }

    /// Returns the first part, in their order, with a violation.
    fn broken(&self) -> Option<&Done> {
        self.done.iter().find(|done| done.bad.is_some())
    }

    /// Returns the exit of the command. What is worse comes first: a violation counts even if the
    /// rest is incomplete, and an incomplete exploration that came to nothing is vacuous.
    fn exit(&self) -> Exit {
        if self.broken().is_some() {
            Exit::Violated
        } else if self.interrupted {
            Exit::Interrupted
        } else if !self.missing.is_empty() {
            Exit::Vacuous
        } else if self.done.iter().any(Done::is_cut) {
            Exit::CutShort
        } else {
            Exit::Done
        }
    }

    /// Returns the outcome as a word.
    ///
    /// It follows from the exit, so that the code and the word never differ.
    fn outcome(&self) -> &'static str {
        match self.exit() {
            Exit::Violated => "violated",
            Exit::Interrupted => "interrupted",
            Exit::Vacuous => "vacuous",
            Exit::CutShort => "cut short",
            _ => "done",
        }
    }

    /// Returns the reason of the outcome as text. It completes the line `outcome`, after a colon.
    fn reason(&self) -> String {
        let end = |end: End| self.done.iter().any(|done| done.end == end);
        if let Some(bad) = self.broken().and_then(|done| done.bad.as_ref()) {
            return format!("{}: {}", bad.rule, bad.what);
        }
        if !self.interrupted && !self.missing.is_empty() {
            let missing: Vec<_> = self
                .missing
                .iter()
                .map(|situation| situation.missing())
                .collect();
            return format!("{}, so that the check proves nothing", missing.join(", "));
        }
        let visited = if self.interrupted {
            "the exploration is incomplete"
        } else if end(End::Stopped) {
            "--time was over before the exploration was complete"
        } else if end(End::States) {
            "there are more states than --states"
        } else if end(End::Depth) {
            "there are states beyond --depth"
        } else if self.done.iter().all(|done| done.end == End::Exhausted) {
            "every state was visited"
        } else if self.done.iter().all(|done| done.end == End::Walked) {
            "every walk was completed"
        } else {
            "every state was visited, every walk was completed"
        };
        format!("{visited}, and no invariant is violated")
    }
}
