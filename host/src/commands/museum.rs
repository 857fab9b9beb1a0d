//! `synod museum`: runs every mutant against each kind of checking, and prints the table of first violations.

use crate::case::in_thread;
use crate::commands::run::OutputFormat;
use crate::exit::Exit;
use crate::json::{self, List, Text};
use crate::museum::Worlds;
use crate::museum::{Catch, Detector, RandomWalks, Trials};
use crate::random_walk::CheckSet;
use crate::shrink::shrink;
use serde::Serialize;
use std::io::{self, Write};
use synod::Mutant;

/// Options of `synod museum`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MuseumCommand {
    /// Mutants to run.
    pub mutants: Vec<Mutant>,
    /// Greatest number of seeds to sweep for each mutant.
    pub seeds: u64,
    /// Greatest number of walks through a world of `synod check` for each mutant.
    pub worlds: u64,
    /// Greatest number of random walks for each mutant.
    pub walks: u64,
    /// Whether the failure found by the sweep is shrunk, to count the lines of its explanation.
    pub shrink: bool,
    /// Output format.
    pub form: OutputFormat,
}

/// Greatest number of runs to shrink one failure.
const TRIES: u64 = 40_000;

impl MuseumCommand {
    /// Returns the detectors, with the greatest number of tries for each.
    fn detectors(&self) -> Vec<(Box<dyn Detector>, u64)> {
        let mut detectors: Vec<(Box<dyn Detector>, u64)> =
            vec![(Box::new(Trials { first: 0 }), self.seeds)];
        detectors.push((Box::new(Worlds { first: 0 }), self.worlds));
        for checks in [CheckSet::All, CheckSet::UserVisible] {
            detectors.push((Box::new(RandomWalks { checks, first: 0 }), self.walks));
        }
        detectors
    }
}

/// A mutant, and the violation found by each detector.
struct Row {
    mutant: Mutant,
    caught: Vec<(&'static str, Option<Catch>)>,
    /// Number of lines of the explanation of the failure that the sweep found.
    lines: Option<u64>,
}

/// Runs all mutants, and prints a line for each as soon as it is done. A mutant that no detector catches violates a rule
/// that no check covers.
pub fn run(command: &MuseumCommand) -> Exit {
    match detect(command) {
        Ok(true) => Exit::Done,
        Ok(false) => Exit::Violated,
        Err(error) => Exit::from_output(&error),
    }
}

/// Returns true if every mutant was caught.
fn detect(command: &MuseumCommand) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    let detectors = command.detectors();
    if command.form == OutputFormat::Text {
        let names = detectors
            .iter()
            .map(|(detector, _)| detector.name().to_owned());
        let rules = detectors.iter().map(|_| "---".to_owned());
        let length = |word: &str| command.shrink.then(|| word.to_owned());
        write!(
            out,
            "{}",
            line("mutant", "rule", names.chain(length("shrunk to")))
        )?;
        write!(out, "{}", line("---", "---", rules.chain(length("---"))))?;
    }
    let mut all = true;
    for mutant in &command.mutants {
        let catch = |(detector, tries): &(Box<dyn Detector>, u64)| {
            (detector.name(), detector.detect(Some(*mutant), *tries))
        };
        let caught: Vec<_> = detectors.iter().map(catch).collect();
        all &= caught.iter().any(|(_, caught)| caught.is_some());
        let lines = match caught.first() {
            Some((_, Some(catch))) if command.shrink => shrunk_lines(*mutant, catch.seed),
            _ => None,
        };
        let row = Row {
            mutant: *mutant,
            caught,
            lines,
        };
        let told = match command.form {
            OutputFormat::Text => row.text(command.shrink),
            OutputFormat::Json => row.object(),
        };
        out.write_all(&told)?;
        out.flush()?;
    }
    Ok(all)
}

/// Returns the number of lines that explain the trial of a seed after it was shrunk.
fn shrunk_lines(mutant: Mutant, seed: u64) -> Option<u64> {
    let case = Trials::case(Some(mutant), seed);
    let shrunk = in_thread(|| shrink(&case, TRIES, &mut |_, _| ()));
    Some(shrunk.ok()??.after.lines)
}

/// Formats a line of a table in Markdown, which the documentation contains as well.
fn line(mutant: &str, rule: &str, cells: impl Iterator<Item = String>) -> String {
    let cells = cells.map(|cell| format!(" {cell:<26} |"));
    format!(
        "| {mutant:<24} | {rule:<4} |{}\n",
        cells.collect::<String>()
    )
}

impl Row {
    fn text(&self, shrink: bool) -> Vec<u8> {
        let cells = self.caught.iter().map(|(detector, caught)| match caught {
            Some(catch) if *detector == Trials::NAME => {
                format!("{}, seed {}", catch.check, catch.seed)
            }
            Some(catch) => format!("{}, walk {}", catch.check, catch.seed),
            None => "-".to_owned(),
        });
        let lines = || self.lines.map_or("-".to_owned(), |lines| lines.to_string());
        let length = shrink.then(lines);
        line(self.mutant.name(), self.mutant.rule(), cells.chain(length)).into_bytes()
    }

    fn object(&self) -> Vec<u8> {
        let caught = self.caught.iter();
        let caught = caught.filter_map(|(detector, caught)| {
            let catch = caught.as_ref()?;
            Some(CatchObject {
                detector,
                check: catch.check,
                seed: catch.seed,
                tries: catch.tries,
                steps: catch.steps,
                what: Text(&catch.what),
            })
        });
        let mut line = Vec::new();
        json::line(
            &mut line,
            &RowObject {
                mutant: self.mutant.name(),
                rule: self.mutant.rule(),
                summary: self.mutant.summary(),
                caught: List::of(caught),
                story_lines: self.lines,
            },
        );
        line
    }
}

#[derive(Serialize)]
struct RowObject<C> {
    mutant: &'static str,
    rule: &'static str,
    summary: &'static str,
    caught: C,
    #[serde(skip_serializing_if = "Option::is_none")]
    story_lines: Option<u64>,
}

#[derive(Serialize)]
struct CatchObject<'a, W> {
    detector: &'a str,
    check: &'a str,
    seed: u64,
    tries: u64,
    steps: u64,
    what: W,
}
