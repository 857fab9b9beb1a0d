//! `synod judge`: holds the records of all nodes of a real run against the rules of the protocol.

use crate::commands::run::OutputFormat;
use crate::exit::{Exit, print_error};
use crate::json::{self, List, Pairs};
use core::fmt::Write as _;
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::PathBuf;
use std::thread;
use synod::simulation::Rule;
use synod_server::STACK;
use synod_server::capacity::WINDOW;
use synod_server::judge::{Finding, JudgeError, Judgement, OfNode, Place, judge};

/// The records to judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgeCommand {
    /// The records, one of each node.
    pub records: Vec<PathBuf>,
    /// The format of the report.
    pub format: OutputFormat,
}

/// Executes the command.
pub fn run(command: &JudgeCommand) -> Exit {
    let records = command.records.clone();
    // What the checkers keep is a large value, which debug builds move by the stack.
    let builder = thread::Builder::new()
        .name("judge".to_owned())
        .stack_size(STACK);
    let judged = builder.spawn(move || {
        let open = |path: &PathBuf| File::open(path).map(BufReader::new);
        judge::<_, WINDOW>(&records, open)
    });
    match judged.map(thread::JoinHandle::join) {
        Ok(Ok(Ok(judgement))) => report(command, &judgement),
        Ok(Ok(Err(error))) => refuse(&error),
        Ok(Err(_)) => {
            print_error(&"the judge has stopped: this is a mistake in the program");
            Exit::Usage
        }
        Err(error) => {
            print_error(&error);
            Exit::Usage
        }
    }
}

fn refuse(error: &JudgeError) -> Exit {
    print_error(error);
    Exit::Usage
}

/// Returns the outcome: a violation counts more than what is missing.
fn exit(judgement: &Judgement) -> Exit {
    if judgement.finding.is_some() {
        Exit::Violated
    } else if judgement.is_vacuous() {
        Exit::Vacuous
    } else if judgement.is_incomplete() {
        Exit::CutShort
    } else {
        Exit::Done
    }
}

fn report(command: &JudgeCommand, judgement: &Judgement) -> Exit {
    let exit = exit(judgement);
    let mut out = Vec::new();
    match command.format {
        OutputFormat::Json => put_json(&mut out, judgement, exit),
        OutputFormat::Text => out.extend_from_slice(text(judgement, exit).as_bytes()),
    }
    let mut stdout = io::stdout();
    match stdout.write_all(&out).and_then(|()| stdout.flush()) {
        Ok(()) => exit,
        Err(error) => Exit::from_output(&error),
    }
}

/// Returns the rules that were checked, with how often they were and could not be.
fn checks(judgement: &Judgement) -> impl Iterator<Item = (Rule, u64, u64)> {
    let seen = judgement.seen;
    let counts = move |rule| (rule, seen.checked(rule), seen.unchecked(rule));
    Rule::ALL
        .into_iter()
        .map(counts)
        .filter(|(_, checked, _)| *checked > 0)
}

fn text(judgement: &Judgement, exit: Exit) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = put_text(&mut text, judgement, exit);
    text
}

fn put_text(out: &mut String, judgement: &Judgement, exit: Exit) -> core::fmt::Result {
    for of in &judgement.nodes {
        let OfNode {
            node,
            path,
            starts,
            facts,
            cut,
            incomplete,
        } = of;
        write!(out, "{node}  {facts} facts, {starts} starts")?;
        if *cut > 0 {
            write!(out, ", {cut} cut short (killed, or still running)")?;
        }
        if *incomplete > 0 {
            write!(out, ", {incomplete} INCOMPLETE")?;
        }
        writeln!(out, "  {}", path.display())?;
    }
    let Judgement {
        last,
        decided,
        unproven,
        ballots,
        epochs,
        ..
    } = judgement;
    writeln!(
        out,
        "slots   {decided} decided by votes in the records, {unproven} by votes that are not in them, the last {last}"
    )?;
    writeln!(out, "ballots {ballots}, epochs {epochs}")?;
    for (rule, checked, unchecked) in checks(judgement) {
        write!(out, "  {:<18} {checked:>10} checks", rule.name())?;
        if unchecked > 0 {
            write!(out, ", {unchecked} not possible")?;
        }
        writeln!(out)?;
    }
    if let Some(Finding {
        broken,
        at,
        against,
    }) = &judgement.finding
    {
        writeln!(out, "violated: {}: {broken}", broken.name())?;
        writeln!(out, "  by       {at}")?;
        for place in against {
            writeln!(out, "  against  {place}")?;
        }
        return Ok(());
    }
    let verdict = match exit {
        Exit::Vacuous if judgement.nodes.len() < 2 => {
            "nothing to judge: a record of one node agrees with itself; name those of the others"
        }
        Exit::Vacuous => "nothing to judge: no slot was decided",
        Exit::CutShort => "no violation, but facts are missing: a record is incomplete",
        _ => "no violation",
    };
    writeln!(out, "{verdict}")
}

/// The report as a line of JSON.
#[derive(Serialize)]
struct Report<N: Serialize, C: Serialize> {
    kind: &'static str,
    outcome: &'static str,
    nodes: N,
    slots: u64,
    unproven: u64,
    last: u64,
    ballots: usize,
    epochs: usize,
    checks: C,
    violation: Option<Violated>,
}

#[derive(Serialize)]
struct NodeRecord {
    node: u16,
    file: String,
    facts: u64,
    starts: u64,
    cut: u64,
    incomplete: u64,
}

#[derive(Serialize)]
struct Violated {
    rule: &'static str,
    text: String,
    by: PlaceInFile,
    against: Vec<PlaceInFile>,
}

#[derive(Serialize)]
struct PlaceInFile {
    file: String,
    line: u64,
    text: String,
}

impl PlaceInFile {
    fn of(place: &Place) -> Self {
        Self {
            file: place.path.display().to_string(),
            line: place.line,
            text: place.text.clone(),
        }
    }
}

fn put_json(out: &mut Vec<u8>, judgement: &Judgement, exit: Exit) {
    let nodes = judgement.nodes.iter().map(|of| NodeRecord {
        node: of.node.0,
        file: of.path.display().to_string(),
        facts: of.facts,
        starts: of.starts,
        cut: of.cut,
        incomplete: of.incomplete,
    });
    let violation = judgement.finding.as_ref().map(|finding| Violated {
        rule: finding.broken.name(),
        text: finding.broken.to_string(),
        by: PlaceInFile::of(&finding.at),
        against: finding.against.iter().map(PlaceInFile::of).collect(),
    });
    let report = Report {
        kind: "judgement",
        outcome: match exit {
            Exit::Violated => "violated",
            Exit::Vacuous => "vacuous",
            Exit::CutShort => "incomplete",
            _ => "kept",
        },
        nodes: List::of(nodes),
        slots: judgement.decided,
        unproven: judgement.unproven,
        last: judgement.last.number(),
        ballots: judgement.ballots,
        epochs: judgement.epochs,
        checks: Pairs::of(
            checks(judgement).map(|(rule, checked, unchecked)| (rule.name(), [checked, unchecked])),
        ),
        violation,
    };
    json::line(out, &report);
}
