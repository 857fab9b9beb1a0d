//! `cargo budget`: what a node costs, as tables, and whether every figure is within its limit.

use clap::Parser;
use clap::builder::PossibleValuesParser;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;
use synod_boards::Failure;
use synod_boards::budget::{Costs, Group, Limits};
use synod_boards::image::{compiler, root};

const LIMITS: &str = "tests/boards/budget.toml";
/// The chapter with the tables.
const COSTS: &str = "core/guide/costs.md";

#[derive(Parser)]
#[command(
    name = "cargo budget",
    about = "What a node costs: flash, RAM, stack and instructions",
    after_help = "\
Builds the programs of examples/firmware and examples/bare into target/boards and target/stacks, looks into
the images, and runs them under QEMU. The first time takes some minutes.

  images  text, data and bss, as `size` counts. Refuses an image that can panic, allocates or formats
  stacks  worst: the frames along the deepest path of calls from the reset on, as the compiler says them;
          it ends at the panic handler. seen: how much of a painted stack was used under QEMU
  memory  the parts of a node in three configurations, as the compiler lays them out for a board
  work    instructions of a decided command: two lengths of a run, and the difference; they repeat exactly

What is missing is named, with the command that installs it:
  rustup target add thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf
  rustup target add riscv32imc-unknown-none-elf     for images
  rustup component add llvm-tools                   for stacks (llvm-objdump)
  apt-get install qemu-system-arm                   for stacks and work

Exit codes: 0 done, 1 a limit is broken, 2 something could not be measured."
)]
struct Options {
    /// What to measure; everything, if nothing is named
    #[arg(value_parser = PossibleValuesParser::new(Group::ALL.map(Group::name)))]
    groups: Vec<String>,
    /// Exit with 1 where a figure is above its limit in tests/boards/budget.toml, or core/guide/costs.md shows another table
    #[arg(long)]
    check: bool,
    /// Print limits a little above the figures, in the form of tests/boards/budget.toml, in place of tables
    #[arg(long, conflicts_with_all = ["check", "groups"])]
    limits: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(failure) => {
            say(&failure.to_string());
            ExitCode::from(2)
        }
    }
}

/// Measures and prints; whether everything is within its limits, where that is asked.
fn run(options: &Options) -> Result<bool, Failure> {
    let named: Vec<Group> = options
        .groups
        .iter()
        .filter_map(|name| Group::of(name))
        .collect();
    let is_all = named.is_empty();
    let groups = if is_all { Group::ALL.to_vec() } else { named };
    let mut all = Vec::new();
    for group in groups {
        all.push(group.measure(&mut say)?);
    }
    let mut figures = BTreeMap::new();
    for costs in &all {
        figures.extend(costs.figures.clone());
    }
    if options.limits {
        print(&Limits::above(&figures).to_toml())?;
        return Ok(true);
    }
    for costs in &all {
        print(&costs.to_string())?;
    }
    if !options.check {
        return Ok(true);
    }
    let limits = Limits::parse(&read(LIMITS)?)?;
    let mut sentences = limits.broken(&figures);
    if is_all {
        sentences.extend(limits.idle(&figures));
    }
    sentences.extend(untrue(&read(COSTS)?, &all)?);
    for sentence in &sentences {
        say(sentence);
    }
    if sentences.is_empty() {
        say(&format!(
            "{} figures are within their limits",
            figures.len()
        ));
    }
    Ok(sentences.is_empty())
}

/// The tables that the chapter shows differently. Another compiler may produce other figures.
fn untrue(chapter: &str, all: &[Costs]) -> Result<Vec<String>, Failure> {
    let compiler = compiler()?;
    if !chapter.contains(&compiler) {
        say(&format!(
            "the tables of {COSTS} were not made with {compiler}, and are not compared"
        ));
        return Ok(Vec::new());
    }
    let tables = all.iter().flat_map(|costs| &costs.tables);
    let others = tables.filter(|(_, table)| !chapter.contains(&table.to_string()));
    let sentence = |(title, _): &(String, _)| {
        format!("{COSTS} has another table (cargo budget prints the new one): {title}")
    };
    Ok(others.map(sentence).collect())
}

fn read(path: &str) -> Result<String, Failure> {
    fs::read_to_string(root().join(path))
        .map_err(|error| Failure::new(format!("{path} cannot be read: {error}")))
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .map_err(|error| Failure::new(format!("the tables were cut: {error}")))
}

/// What is under way, and what is wrong.
fn say(sentence: &str) {
    // There is nobody else to tell.
    let _ = writeln!(io::stderr(), "{sentence}");
}
