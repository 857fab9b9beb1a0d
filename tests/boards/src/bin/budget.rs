//! `cargo budget`: the costs of a node as tables, and a check of each figure against its limit.

use clap::Parser;
use clap::builder::PossibleValuesParser;
use std::collections::BTreeMap;
use std::process::ExitCode;
use synod_boards::Failure;
use synod_boards::budget::{Costs, Group, Limits};
use synod_boards::image::compiler;
use synod_figures::command_line::{exit, print, report};
use synod_figures::read;

const LIMITS: &str = "tests/boards/budget.toml";
/// The chapter with the tables.
const COSTS: &str = "core/guide/costs.md";

#[derive(Parser)]
#[command(
    name = "cargo budget",
    about = "Measures the costs of a node: flash, RAM, stack and instructions",
    after_help = "\
Builds the programs of examples/firmware and examples/bare in target/boards and target/stacks, analyses the images, and
runs them under QEMU. This takes some minutes the first time.

  images  text, data and bss, as counted by `size`; fails for an image that can panic, allocates or formats
  stacks  worst: the sum of the frames, as reported by the compiler, along the deepest call path from reset, without
          the panic handler; seen: the used part of a painted stack under QEMU
  memory  sizes of the parts of a node on a board, in three configurations
  work    instructions of one decided command: the difference between two lengths of a run; they repeat exactly

A missing tool is reported with the command that installs it:
  rustup target add thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf
  rustup target add riscv32imc-unknown-none-elf     for images
  rustup component add llvm-tools                   for stacks (llvm-objdump)
  apt-get install qemu-system-arm                   for stacks and work

Exit codes: 0 success, 1 a check failed, 2 a measurement failed."
)]
struct Options {
    /// Groups of figures to measure; all by default
    #[arg(value_parser = PossibleValuesParser::new(Group::ALL.map(Group::name)))]
    groups: Vec<String>,
    /// Exit with 1 if a figure is above its limit in tests/boards/budget.toml, or a table of core/guide/costs.md is out of
    /// date
    #[arg(long)]
    check: bool,
    /// Print limits a little above the figures, in the format of tests/boards/budget.toml, instead of tables
    #[arg(long, conflicts_with_all = ["check", "groups"])]
    limits: bool,
}

fn main() -> ExitCode {
    exit(run(&Options::parse()).map(|is_within| u8::from(!is_within)))
}

/// Measures and prints; returns false if a check was requested and fails.
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
        all.push(group.measure(&mut report)?);
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
        sentences.extend(limits.unused(&figures));
    }
    sentences.extend(outdated_tables(&read(COSTS)?, &all)?);
    for sentence in &sentences {
        report(sentence);
    }
    if sentences.is_empty() {
        report(&format!(
            "{} figures are within their limits",
            figures.len()
        ));
    }
    Ok(sentences.is_empty())
}

/// Returns a sentence for each table that the chapter shows differently. The tables of another compiler may differ, and
/// are not compared.
fn outdated_tables(chapter: &str, all: &[Costs]) -> Result<Vec<String>, Failure> {
    let compiler = compiler()?;
    if !chapter.contains(&compiler) {
        report(&format!(
            "the tables of {COSTS} are not compared: they are not from {compiler}"
        ));
        return Ok(Vec::new());
    }
    let tables = all.iter().flat_map(|costs| &costs.tables);
    let others = tables.filter(|(_, table)| !chapter.contains(&table.to_string()));
    let sentence = |(title, _): &(String, _)| {
        format!("{COSTS} has an outdated table, which `cargo figures` rewrites: {title}")
    };
    Ok(others.map(sentence).collect())
}
