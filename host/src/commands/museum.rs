//! `synod museum`: runs every mutant against each kind of checking, and prints the table of first violations.
//!
//! A row says how soon each kind of check notices a mistake: as the number of the seed or walk that
//! caught it. It is a test of the checks and not of the nodes: a mutant that nothing catches is a
//! hole in them. The documentation has the same table.

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

/// Greatest number of runs to shrink one failure. It is the default of `synod shrink`.
const TRIES: u64 = 40_000;

impl MuseumCommand {
    /// Returns the detectors, with the greatest number of tries for each. Their order is that of
    /// the columns; the sweep comes first, as its failure is the one that is shrunk.
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
    /// Name of each detector, with the violation that it found within its tries.
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

/// Returns true if every mutant was caught. Each row is written when it is known, as the whole
/// table takes a quarter of an hour.
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
        // One detector is enough. Many mistakes show only to some of them.
        all &= caught.iter().any(|(_, caught)| caught.is_some());
        // Only what the sweep has caught can be shrunk: a walk has no scenario.
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

/// Returns the number of lines that explain the trial of a seed after it was shrunk. `None` if the
/// trial does not fail when it is run again, which would be a mistake of ours.
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
    /// Returns the row as a line of the table. A dash stands for a mutant that a detector did not
    /// catch.
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

    /// Returns the row as a line of JSON. Detectors that caught nothing are left out of `caught`.
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

/// A mutant in JSON, with a list of the detectors that caught it.
#[derive(Serialize)]
struct RowObject<C> {
    mutant: &'static str,
    /// Name of the rule in `core/RULES.md` that it breaks.
    rule: &'static str,
    /// The mistake, in a sentence.
    summary: &'static str,
    caught: C,
    /// Number of lines of the shrunk explanation, with `--shrink`.
    #[serde(skip_serializing_if = "Option::is_none")]
    story_lines: Option<u64>,
}

/// What a detector caught.
#[derive(Serialize)]
struct CatchObject<'a, W> {
    detector: &'a str,
    check: &'a str,
    /// Seed that repeats it.
    seed: u64,
    /// Number of runs or walks until it was caught.
    tries: u64,
    /// Number of steps of the run or walk that caught it.
    steps: u64,
    what: W,
}
