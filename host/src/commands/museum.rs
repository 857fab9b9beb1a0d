//! `synod museum`: lets every mutant loose, hunts it, and prints the table.

use crate::case::in_thread;
use crate::commands::run::OutputFormat;
use crate::exit::Exit;
use crate::json::{self, Object};
#[cfg(feature = "check")]
use crate::museum::Worlds;
use crate::museum::{Catch, Hunter, RandomWalks, Trials};
use crate::random_walk::CheckSet;
use crate::shrink::shrink;
use std::io::{self, Write};
use synod::Mutant;

/// What `synod museum` was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MuseumCommand {
    /// Which mutants are let loose.
    pub mutants: Vec<Mutant>,
    /// How many seeds of a sweep a hunt may take.
    pub seeds: u64,
    /// How many walks through a world of `synod check` a hunt may take.
    #[cfg(feature = "check")]
    pub worlds: u64,
    /// How many random walks a hunt may take.
    pub walks: u64,
    /// Whether what the sweep caught is shrunk, for the lines of its story to be counted.
    pub stories: bool,
    /// Lines for people or JSON for programs.
    pub form: OutputFormat,
}

/// How many runs it may take to shrink one catch.
const TRIES: u64 = 40_000;

impl MuseumCommand {
    /// Who hunts, and how long.
    fn hunters(&self) -> Vec<(Box<dyn Hunter>, u64)> {
        let mut hunters: Vec<(Box<dyn Hunter>, u64)> =
            vec![(Box::new(Trials { first: 0 }), self.seeds)];
        #[cfg(feature = "check")]
        hunters.push((Box::new(Worlds { first: 0 }), self.worlds));
        for checks in [CheckSet::All, CheckSet::UserVisible] {
            hunters.push((Box::new(RandomWalks { checks, first: 0 }), self.walks));
        }
        hunters
    }
}

/// A mutant, and how each hunter caught it.
struct Row {
    mutant: Mutant,
    caught: Vec<(&'static str, Option<Catch>)>,
    /// The lines of the story of what the sweep caught.
    lines: Option<u64>,
}

/// Hunts, and prints a line for each mutant as soon as it is caught. A mutant that no hunter catches is a rule that
/// nobody watches.
pub fn run(command: &MuseumCommand) -> Exit {
    match hunt(command) {
        Ok(true) => Exit::Done,
        Ok(false) => Exit::Violated,
        Err(error) => Exit::from_output(&error),
    }
}

/// Says whether all were caught.
fn hunt(command: &MuseumCommand) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    let hunters = command.hunters();
    if command.form == OutputFormat::Text {
        let names = hunters.iter().map(|(hunter, _)| hunter.name().to_owned());
        let rules = hunters.iter().map(|_| "---".to_owned());
        let story = |word: &str| command.stories.then(|| word.to_owned());
        write!(
            out,
            "{}",
            line("mutant", "rule", names.chain(story("story")))
        )?;
        write!(out, "{}", line("---", "---", rules.chain(story("---"))))?;
    }
    let mut all = true;
    for mutant in &command.mutants {
        let catch = |(hunter, tries): &(Box<dyn Hunter>, u64)| {
            (hunter.name(), hunter.hunt(Some(*mutant), *tries))
        };
        let caught: Vec<_> = hunters.iter().map(catch).collect();
        all &= caught.iter().any(|(_, caught)| caught.is_some());
        let lines = match caught.first() {
            Some((_, Some(catch))) if command.stories => story(*mutant, catch.seed),
            _ => None,
        };
        let row = Row {
            mutant: *mutant,
            caught,
            lines,
        };
        let told = match command.form {
            OutputFormat::Text => row.text(command.stories),
            OutputFormat::Json => row.object(),
        };
        out.write_all(&told)?;
        out.flush()?;
    }
    Ok(all)
}

/// How many lines tell what the trial of a seed shows, when it is shrunk.
fn story(mutant: Mutant, seed: u64) -> Option<u64> {
    let case = Trials::case(Some(mutant), seed);
    let shrunk = in_thread(|| shrink(&case, TRIES, &mut |_, _| ()));
    Some(shrunk.ok()??.after.lines)
}

/// A line of a table that is one in a page of documentation as well.
fn line(mutant: &str, rule: &str, cells: impl Iterator<Item = String>) -> String {
    let cells = cells.map(|cell| format!(" {cell:<26} |"));
    format!(
        "| {mutant:<24} | {rule:<4} |{}\n",
        cells.collect::<String>()
    )
}

impl Row {
    fn text(&self, stories: bool) -> Vec<u8> {
        let cells = self.caught.iter().map(|(hunter, caught)| match caught {
            Some(catch) if *hunter == Trials::NAME => {
                format!("{}, seed {}", catch.check, catch.seed)
            }
            Some(catch) => format!("{}, walk {}", catch.check, catch.seed),
            None => "-".to_owned(),
        });
        let lines = || self.lines.map_or("-".to_owned(), |lines| lines.to_string());
        let story = stories.then(lines);
        line(self.mutant.name(), self.mutant.rule(), cells.chain(story)).into_bytes()
    }

    fn object(&self) -> Vec<u8> {
        let mut line = Vec::new();
        let mut object = Object::begin(&mut line);
        object.word("mutant", self.mutant.name());
        object.word("rule", self.mutant.rule());
        object.text("summary", &self.mutant.summary());
        let out = object.key("caught");
        let catches = self.caught.iter();
        let catches = catches.filter_map(|(hunter, caught)| Some((hunter, caught.as_ref()?)));
        json::list(out, catches, |out, (hunter, catch)| {
            let mut object = Object::begin(out);
            object.word("hunter", hunter);
            object.word("check", catch.check);
            object.number("seed", catch.seed);
            object.number("tries", catch.tries);
            object.number("steps", catch.steps);
            object.text("what", &catch.what);
            object.end();
        });
        if let Some(lines) = self.lines {
            object.number("story_lines", lines);
        }
        object.end();
        line.push(b'\n');
        line
    }
}
