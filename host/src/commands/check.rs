//! `synod check`: every state of a small cluster, or walks through a larger one.

use super::run::Form;
use crate::check::{
    Bounds, End, Explored, Explorer, Network, Scope, Violation, Watch, schedule, search, walks,
};
use crate::exit::{Exit, complain};
use crate::json::{self, Object};
use crate::log::Output;
use crate::progress;
use crate::shell;
use crate::signals::{self, Runs};
use core::fmt::{self, Write as _};
use core::time::Duration as Elapsed;
use std::io::{self, Write as _};
use std::sync::Arc;
use synod::{Duration, MessageKind, Timer};

/// How many states are followed up, unless told otherwise: about a gigabyte of them.
const STATES: u64 = 10_000_000;
/// How long it takes at most, unless told otherwise.
const TIME: Duration = Duration::from_secs(60);

/// One exploration, and how it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckCommand {
    /// What can happen.
    pub scope: Scope,
    /// How many walks, and the seed of the first; without them, every state.
    pub walks: Option<(u64, u64)>,
    /// How many steps from the start.
    pub depth: Option<u32>,
    /// How many states are followed up.
    pub states: u64,
    /// How long it takes at most.
    pub time: Duration,
    /// How it is shown.
    pub form: Form,
}

impl CheckCommand {
    /// What is done when nothing else is said.
    pub fn new(walks: Option<(u64, u64)>) -> Self {
        Self {
            scope: default_scope(walks.is_some()),
            walks,
            depth: None,
            states: STATES,
            time: TIME,
            form: Form::Text,
        }
    }

    /// The shortest command that does the same.
    pub fn command(&self) -> String {
        let mut line = String::new();
        // A string never refuses.
        let _ = self.write_command(&mut line);
        line
    }

    /// The shortest command that shows a violation again.
    fn again(&self, violation: &Violation) -> String {
        let walks = violation.seed.map(|seed| (1, seed));
        Self {
            walks,
            ..self.clone()
        }
        .command()
    }

    fn write_command(&self, line: &mut String) -> fmt::Result {
        write!(line, "{} check", shell::program())?;
        self.write_scope(line)?;
        if let Some((count, seed)) = self.walks {
            write!(line, " --walks {count}")?;
            if seed != 0 {
                write!(line, " --seed {seed}")?;
            }
        }
        if let Some(depth) = self.depth {
            write!(line, " --depth {depth}")?;
        }
        if self.states != STATES {
            write!(line, " --states {}", self.states)?;
        }
        if self.time != TIME {
            write!(line, " --time {}", self.time)?;
        }
        Ok(())
    }

    fn write_scope(&self, line: &mut String) -> fmt::Result {
        let (scope, default) = (&self.scope, default_scope(self.walks.is_some()));
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
            write!(
                line,
                " --timers {}",
                if all { "all".to_owned() } else { joined(names) }
            )?;
        }
        if scope.lost != default.lost {
            let names = scope.lost.iter().map(|kind: &MessageKind| kind.name());
            let none = scope.lost.is_empty();
            write!(
                line,
                " --lost {}",
                if none {
                    "none".to_owned()
                } else {
                    joined(names)
                }
            )?;
        }
        if scope.network != default.network {
            line.write_str(match scope.network {
                Network::Once => " --network once",
                Network::Again => " --network again",
            })?;
        }
        Ok(())
    }

    fn explore(&self, explorer: &Arc<Explorer>, watch: &Arc<Watch>) -> Explored {
        let bounds = Bounds {
            depth: self.depth.and_then(|depth| usize::try_from(depth).ok()),
            states: self.states,
        };
        match self.walks {
            None => search(explorer, bounds, watch),
            Some((count, seed)) => walks(explorer, seed..seed.saturating_add(count), bounds, watch),
        }
    }
}

fn default_scope(walks: bool) -> Scope {
    if walks {
        Scope::large()
    } else {
        Scope::small()
    }
}

fn joined(names: impl Iterator<Item = &'static str>) -> String {
    names.collect::<Vec<_>>().join(",")
}

/// Does what the command says: the report to the standard output, everything else to the standard error.
pub fn check(command: &CheckCommand) -> Exit {
    let explorer = match Explorer::new(command.scope.clone()) {
        Ok(explorer) => Arc::new(explorer),
        Err(error) => {
            complain(&error);
            return Exit::Usage;
        }
    };
    signals::heed(Runs::Cut);
    let mut output = Output::new(io::stdout());
    let mut exit = Exit::Done;
    output.append(|out| exit = reported(command, &explorer, out));
    match output.finish() {
        Ok(_) => exit,
        Err(error) => Exit::from_output(&error),
    }
}

/// Explores, and appends the report.
fn reported(command: &CheckCommand, explorer: &Arc<Explorer>, out: &mut Vec<u8>) -> Exit {
    let watch = Arc::new(Watch::default());
    let limit = Elapsed::from_micros(command.time.as_micros());
    let (found, elapsed) = progress::timed(
        limit,
        || watch.states(),
        || watch.stop(),
        || command.explore(explorer, &watch),
    );
    let report = Report {
        command,
        explorer,
        explored: &found,
        elapsed,
    };
    match command.form {
        Form::Text => report.text(out),
        Form::Json => report.json(out),
    }
    if found.violation.is_some() {
        Exit::Violated
    } else if report.is_interrupted() {
        Exit::Interrupted
    } else {
        Exit::Done
    }
}

/// What came of an exploration.
struct Report<'a> {
    command: &'a CheckCommand,
    explorer: &'a Explorer,
    explored: &'a Explored,
    elapsed: Elapsed,
}

impl Report<'_> {
    /// Whether a signal has ended it.
    fn is_interrupted(&self) -> bool {
        self.explored.end == End::Stopped && signals::have_come()
    }

    /// Why it ended, in words.
    fn outcome(&self) -> &'static str {
        if self.is_interrupted() {
            return "interrupted: no rule is broken so far";
        }
        match self.explored.end {
            End::Exhausted => "done: every state was visited, and no rule is broken",
            End::Walked => "done: every walk was taken, and no rule is broken",
            End::Depth => "done: every state within the depth was visited, and no rule is broken",
            End::States => "cut short by --states: no rule is broken so far",
            End::Stopped => "cut short by --time: no rule is broken so far",
            End::Violated => "violated",
        }
    }

    fn text(&self, out: &mut Vec<u8>) {
        // A byte buffer never refuses.
        let _ = self.write_text(out);
    }

    fn write_text(&self, out: &mut Vec<u8>) -> io::Result<()> {
        let explored = self.explored;
        if let Some(violation) = &explored.violation {
            self.write_schedule(out, violation)?;
        }
        write!(out, "outcome     {}", self.outcome())?;
        if let Some(violation) = &explored.violation {
            writeln!(out, ": {}", violation.broken)?;
            writeln!(out, "again       {}", self.command.again(violation))?;
        } else {
            writeln!(out)?;
            writeln!(out, "command     {}", self.command.command())?;
        }
        writeln!(
            out,
            "states      {} reached, {} different",
            explored.states, explored.unique
        )?;
        writeln!(out, "depth       {} steps", explored.depth)?;
        writeln!(out, "slots       {} applied at most", explored.applied)?;
        if explored.walks > 0 {
            writeln!(out, "walks       {}", explored.walks)?;
        }
        writeln!(
            out,
            "time        {}.{:03}s",
            self.elapsed.as_secs(),
            self.elapsed.subsec_millis()
        )
    }

    fn write_schedule(&self, out: &mut Vec<u8>, violation: &Violation) -> io::Result<()> {
        for (step, line) in (1..).zip(schedule(self.explorer, &violation.schedule)) {
            writeln!(out, "{step:>3}  {}", line.what)?;
            if !line.then.is_empty() {
                writeln!(out, "       {}", line.then.join("; "))?;
            }
        }
        writeln!(out)
    }

    fn json(&self, out: &mut Vec<u8>) {
        let explored = self.explored;
        let mut object = Object::begin(out);
        object.word("event", "check");
        object.word(
            "outcome",
            if explored.violation.is_some() {
                "violated"
            } else if self.is_interrupted() {
                "interrupted"
            } else {
                "done"
            },
        );
        object.word("end", explored.end.name());
        object.flag("exhausted", explored.end == End::Exhausted);
        object.number("states", explored.states);
        object.number("unique", explored.unique);
        object.number("depth", explored.depth);
        object.number("applied", explored.applied);
        object.number("walks", explored.walks);
        object.number(
            "t_us",
            u64::try_from(self.elapsed.as_micros()).unwrap_or(u64::MAX),
        );
        match &explored.violation {
            None => object.text("command", &self.command.command()),
            Some(violation) => {
                object.text("command", &self.command.again(violation));
                object.word("invariant", violation.broken.invariant.name());
                object.text("what", &violation.broken.what);
                let lines = schedule(self.explorer, &violation.schedule);
                json::list(object.key("schedule"), lines, |out, line| {
                    let mut step = Object::begin(out);
                    step.text("what", &line.what);
                    json::list(step.key("then"), line.then, |out, then| {
                        json::string(out, format_args!("{then}"));
                    });
                    step.end();
                });
            }
        }
        object.end();
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Member;
    use synod::{Ballot, Config, Envelope, Message, NodeId, Slot};

    /// A small world in which node 1 is said to have accepted what it has not.
    fn forged(network: Network) -> Arc<Explorer> {
        let ballot = Ballot::new(2, NodeId(0));
        let message = Message::Accepted {
            ballot,
            promised: ballot,
            first: Slot::new(3),
            count: 1,
            low_water: Slot::ZERO,
        };
        let letter = Envelope {
            cluster: Member::fingerprint_of(&Config::new(NodeId(0), 3)),
            from: NodeId(1),
            to: NodeId(0),
            message,
        };
        let scope = Scope {
            network,
            ..Scope::small()
        };
        let explorer = Explorer::new(scope).unwrap();
        Arc::new(explorer.with_letters([letter]))
    }

    fn reported_of(command: &CheckCommand, explorer: &Arc<Explorer>) -> (String, Exit) {
        let mut out = Vec::new();
        let exit = reported(command, explorer, &mut out);
        (String::from_utf8(out).unwrap(), exit)
    }

    #[test]
    fn a_violation_is_told_step_by_step_with_the_command_that_shows_it_again() {
        let (text, exit) = reported_of(&CheckCommand::new(None), &forged(Network::Once));
        assert_eq!(exit, Exit::Violated);
        assert!(text.starts_with("  1  "), "{text}");
        assert!(
            text.contains("\n\noutcome     violated: decision: NODE_0 says that slot 3 is chosen")
        );
        assert!(text.contains("\nagain       synod check\n"), "{text}");
        assert!(text.lines().count() < 60, "{text}");
    }

    #[test]
    fn a_walk_is_shown_again_by_its_seed() {
        let command = CheckCommand {
            scope: Scope {
                network: Network::Again,
                ..Scope::small()
            },
            form: Form::Json,
            ..CheckCommand::new(Some((500, 7)))
        };
        let (text, exit) = reported_of(&command, &forged(Network::Again));
        assert_eq!(exit, Exit::Violated, "{text}");
        assert!(text.ends_with("}\n") && text.lines().count() == 1);
        assert!(text.contains(r#""outcome":"violated","end":"violated","exhausted":false,"#));
        assert!(text.contains(r#""invariant":"decision","#), "{text}");
        let (_, seed) = text.split_once("--walks 1 --seed ").unwrap();
        let seed: u64 = seed.split(['"', ' ']).next().unwrap().parse().unwrap();
        assert!((7..507).contains(&seed));
        let alone = CheckCommand {
            walks: Some((1, seed)),
            ..command
        };
        let (again, _) = reported_of(&alone, &forged(Network::Again));
        let schedule = |text: &str| text.split_once("\"schedule\"").unwrap().1.to_owned();
        assert_eq!(schedule(&again), schedule(&text));
    }

    #[test]
    fn what_is_whole_and_what_is_cut_short_are_told_apart() {
        let explorer = Arc::new(Explorer::new(Scope::small()).unwrap());
        let whole = reported_of(&CheckCommand::new(None), &explorer);
        assert!(
            whole
                .0
                .starts_with("outcome     done: every state was visited, and no rule is broken\n")
        );
        let cut = CheckCommand {
            states: 100,
            ..CheckCommand::new(None)
        };
        let cut = reported_of(&cut, &explorer);
        assert!(
            cut.0.starts_with("outcome     cut short by --states: "),
            "{}",
            cut.0
        );
        assert_eq!((whole.1, cut.1), (Exit::Done, Exit::Done));
    }
}
