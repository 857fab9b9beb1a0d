//! `synod museum`: lets every mutant loose, hunts it, and prints the table.

use crate::commands::run::Form;
use crate::exit::Exit;
use crate::json::{self, Object};
use crate::museum::{Catch, Hunter, RandomWalks};
use crate::storm::Watch;
use std::io::{self, Write};
use synod::Mutant;

/// What `synod museum` was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MuseumCommand {
    /// Which mutants are let loose.
    pub mutants: Vec<Mutant>,
    /// How many walks a hunt may take.
    pub walks: u64,
    /// Lines for people or JSON for programs.
    pub form: Form,
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
    if command.form == Form::Text {
        let line = "---";
        write!(out, "{}", row("mutant", "rule", "first sign", "harm"))?;
        write!(out, "{}", row(line, line, line, line))?;
    }
    let mut all = true;
    for mutant in &command.mutants {
        let caught = [Watch::Everything, Watch::Harm].map(|watch| {
            let hunter = RandomWalks { watch, first: 0 };
            (hunter, hunter.hunt(Some(*mutant), command.walks))
        });
        all &= caught.iter().any(|(_, caught)| caught.is_some());
        let line = match command.form {
            Form::Text => text(*mutant, &caught),
            Form::Json => object(*mutant, &caught),
        };
        out.write_all(&line)?;
        out.flush()?;
    }
    Ok(all)
}

/// A row of a table that is one in a page of documentation as well.
fn row(mutant: &str, rule: &str, sign: &str, harm: &str) -> String {
    format!("| {mutant:<24} | {rule:<4} | {sign:<24} | {harm:<24} |\n")
}

type Caught = [(RandomWalks, Option<Catch>); 2];

fn text(mutant: Mutant, caught: &Caught) -> Vec<u8> {
    let [sign, harm] = caught.each_ref().map(|(_, caught)| match caught {
        Some(catch) => format!("{}, walk {}", catch.check, catch.seed),
        None => "-".to_owned(),
    });
    row(mutant.name(), mutant.rule(), &sign, &harm).into_bytes()
}

fn object(mutant: Mutant, caught: &Caught) -> Vec<u8> {
    let mut line = Vec::new();
    let mut object = Object::begin(&mut line);
    object.word("mutant", mutant.name());
    object.word("rule", mutant.rule());
    object.text("summary", &mutant.summary());
    let out = object.key("caught");
    let catches = caught
        .iter()
        .filter_map(|(hunter, caught)| caught.as_ref().map(|catch| (hunter, catch)));
    json::list(out, catches, |out, (hunter, catch)| {
        let mut object = Object::begin(out);
        object.word("hunter", hunter.name());
        object.word("check", catch.check);
        object.number("seed", catch.seed);
        object.number("tries", catch.tries);
        object.number("steps", catch.steps);
        object.text("what", &catch.what);
        object.end();
    });
    object.end();
    line.push(b'\n');
    line
}
