//! `synod check`: every state of small clusters, and walks through larger ones.

mod parts;
mod report;
#[cfg(test)]
mod tests;

use super::run::OutputFormat;
use crate::check::{Coverage, End, Network, Scope, Situation, Watch};
use crate::exit::Exit;
use crate::log::Output;
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
use synod::{Duration, MessageKind, Timer};

/// How many states of a world are followed up, unless told otherwise: about a gigabyte of them.
const STATES: u64 = 10_000_000;
/// How long it takes at most, unless told otherwise.
const TIME: Duration = Duration::from_secs(60);
/// The same for all parts together.
const TIME_OF_ALL: Duration = Duration::from_secs(300);
/// How many walks are taken where nothing is said.
const WALKS: u64 = 2_000;
/// How many storms are weathered where nothing is said.
const STORMS: u64 = 6_000;
/// From so many walks on something must have happened in them.
const MANY: u64 = 20;

/// What is explored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Every state of a world.
    World(Scope),
    /// Walks through a world at random: how many, and the seed of the first.
    Walks(Scope, u64, u64),
    /// Walks under weather, with time in them, through clusters of all sizes: how many, and the seed of the first. See
    /// [`crate::random_walk`].
    Storms(u64, u64),
}

/// What is explored, how far, and how it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckCommand {
    /// One part; without it, each of those that are chosen so that together they see the most.
    pub part: Option<Part>,
    /// How many steps from the start.
    pub depth: Option<u32>,
    /// How many states of a world are followed up.
    pub states: u64,
    /// How long it takes at most.
    pub time: Duration,
    /// The mistake that every node makes.
    #[cfg(feature = "mutants")]
    pub mutant: Option<synod::Mutant>,
    /// How it is shown.
    pub form: OutputFormat,
}

impl Part {
    /// The parts that are explored where nothing is said: small worlds, each visited whole, and walks through larger ones.
    pub fn all() -> Vec<Self> {
        let mut parts = vec![
            Self::Storms(STORMS, 0),
            Self::Walks(Scope::large(), WALKS, 0),
        ];
        parts.extend(Scope::worlds().into_iter().map(Self::World));
        parts
    }

    /// What must have happened in it, or that no rule is broken says nothing.
    pub fn due(&self) -> Vec<Situation> {
        let mut due = vec![Situation::Elected];
        let (requests, crashes) = match self {
            Self::World(scope) => (scope.requests, scope.crashes),
            Self::Walks(scope, count, _) if *count >= MANY => (scope.requests, scope.crashes),
            Self::Storms(count, _) if *count >= MANY => (1, 1),
            Self::Walks(..) | Self::Storms(..) => return Vec::new(),
        };
        if requests > 0 {
            due.extend([Situation::Applied, Situation::Answered]);
        }
        if crashes > 0 {
            due.extend([Situation::Restarted, Situation::Torn]);
        }
        due
    }
}

impl CheckCommand {
    /// What is done where nothing but the part is said.
    pub fn new(part: Option<Part>) -> Self {
        Self {
            time: Self::time_of(part.as_ref()),
            part,
            depth: None,
            states: STATES,
            #[cfg(feature = "mutants")]
            mutant: None,
            form: OutputFormat::Text,
        }
    }

    const fn time_of(part: Option<&Part>) -> Duration {
        match part {
            Some(_) => TIME,
            None => TIME_OF_ALL,
        }
    }

    /// The parts, in their order.
    pub fn parts(&self) -> Vec<Part> {
        match &self.part {
            Some(part) => vec![part.clone()],
            None => Part::all(),
        }
    }

    /// The shortest command that does the same.
    pub fn command(&self) -> String {
        let mut line = String::new();
        // A string never refuses.
        let _ = self.write_command(&mut line);
        line
    }

    /// The shortest command that explores one of the parts.
    fn alone(&self, part: &Part) -> String {
        Self {
            part: Some(part.clone()),
            time: self.part.as_ref().map_or(TIME, |_| self.time),
            ..self.clone()
        }
        .command()
    }

    /// The shortest command that shows again what a part has found.
    fn again(&self, done: &Done) -> String {
        let part = match (&done.part, done.bad.as_ref().and_then(|bad| bad.seed)) {
            (Part::Walks(scope, ..), Some(seed)) => Part::Walks(scope.clone(), 1, seed),
            (Part::Storms(..), Some(seed)) => Part::Storms(1, seed),
            (part, _) => part.clone(),
        };
        self.alone(&part)
    }

    fn write_command(&self, line: &mut String) -> fmt::Result {
        write!(line, "{} check", shell_quoting::program())?;
        match &self.part {
            None => {}
            Some(Part::World(scope)) => {
                write_scope(line, scope, &Scope::small())?;
                // Without any option it would be all parts.
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
        #[cfg(feature = "mutants")]
        if let Some(mutant) = self.mutant {
            write!(line, " --mutant {mutant}")?;
        }
        Ok(())
    }
}

fn write_count(line: &mut String, what: &str, count: u64, seed: u64) -> fmt::Result {
    write!(line, " --{what} {count}")?;
    if seed != 0 {
        write!(line, " --seed {seed}")?;
    }
    Ok(())
}

fn write_scope(line: &mut String, scope: &Scope, default: &Scope) -> fmt::Result {
    let slots = default.slots.max(scope.requests);
    let numbers = [
        ("nodes", scope.nodes, default.nodes),
        (
            "claimants",
            scope.claimants,
            default.claimants_of(scope.nodes),
        ),
        ("requests", scope.requests.into(), default.requests.into()),
        ("retries", scope.retries.into(), default.retries.into()),
        ("rounds", scope.rounds.into(), default.rounds.into()),
        ("slots", scope.slots.into(), slots.into()),
        ("crashes", scope.crashes.into(), default.crashes.into()),
    ];
    for (name, number, default) in numbers {
        if number != default {
            write!(line, " --{name} {number}")?;
        }
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

fn joined(names: impl Iterator<Item = &'static str>) -> String {
    names.collect::<Vec<_>>().join(",")
}

/// Does what the command says: the report to the standard output, everything else to the standard error.
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

/// Explores, and appends the report.
fn reported(command: &CheckCommand, interrupted: &AtomicBool, out: &mut Vec<u8>) -> Exit {
    let parts = command.parts();
    let watches: Vec<Arc<Watch>> = parts.iter().map(|_| Arc::default()).collect();
    let limit = Elapsed::from_micros(command.time.as_micros());
    let (done, elapsed) = progress::timed(
        |elapsed| elapsed >= limit || interrupted.load(Ordering::Relaxed),
        || watches.iter().map(|watch| watch.states()).sum(),
        || watches.iter().for_each(|watch| watch.stop()),
        || explored(command, &parts, &watches),
    );
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

/// What came of all parts.
struct Account {
    done: Vec<Done>,
    coverage: Coverage,
    /// What should have happened, and did not.
    missing: Vec<Situation>,
    interrupted: bool,
}

impl Account {
    fn of(command: &CheckCommand, done: Vec<Done>, interrupted: bool) -> Self {
        let mut coverage = Coverage::default();
        for done in &done {
            coverage.add_all(&done.coverage);
        }
        let cut = done.iter().any(Done::is_cut);
        let mut missing: Vec<Situation> = Vec::new();
        for done in &done {
            // A part of many that was cut short says that it was.
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
            // What was through by then was not interrupted.
            interrupted: interrupted && cut,
        }
    }

    /// The first part, in their order, in which a rule is broken.
    fn broken(&self) -> Option<&Done> {
        self.done.iter().find(|done| done.bad.is_some())
    }

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

    /// How it ended, in a word.
    fn outcome(&self) -> &'static str {
        match self.exit() {
            Exit::Violated => "violated",
            Exit::Interrupted => "interrupted",
            Exit::Vacuous => "vacuous",
            Exit::CutShort => "cut short",
            _ => "done",
        }
    }

    /// Why it ended, in words.
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
            return format!("{}, so that nothing is shown by it", missing.join(", "));
        }
        let visited = if self.interrupted {
            "not everything was visited"
        } else if end(End::Stopped) {
            "--time was over before everything was visited"
        } else if end(End::States) {
            "there are more states than --states"
        } else if end(End::Depth) {
            "there are states beyond --depth"
        } else if self.done.iter().all(|done| done.end == End::Exhausted) {
            "every state was visited"
        } else if self.done.iter().all(|done| done.end == End::Walked) {
            "every walk was taken"
        } else {
            "every state was visited, and every walk taken"
        };
        format!("{visited}, and no rule is broken")
    }
}
