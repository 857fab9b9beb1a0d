//! The command line of `cargo chaos`.

use crate::campaign::{self, Outcome};
use crate::history;
use crate::nodes::Settings;
use crate::plan::Plan;
use crate::program;
use crate::proxy::lock;
use crate::report::{Report, line};
use clap::{Parser, ValueEnum};
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use synod_figures::Failure;
use synod_figures::command_line::{exit, print, report};

const PASSED: u8 = 0;
const VIOLATED: u8 = 1;
const VACUOUS: u8 = 5;
/// The exit code after Ctrl-C, by the convention of shells.
const INTERRUPTED: u8 = 130;

#[derive(Parser)]
#[command(
    name = "cargo chaos",
    about = "Strikes clusters of real nodes on this machine with faults drawn from a seed, and holds what their clients were told to linearizability",
    after_help = "\
A campaign that fails leaves its plan, its history, the smallest part of it that no order explains, and the logs and
directories of all nodes in target/chaos/SEED. A campaign that passes leaves nothing. Needs Linux.

Exit codes: 0 every campaign passed, 1 a campaign failed, 2 the command line is invalid or a cluster cannot be started,
5 nothing struck in any campaign, or no operation was acknowledged, 130 Ctrl-C."
)]
struct Options {
    /// Seeds of the campaigns: one, or FIRST..END
    #[arg(long, value_name = "SEEDS", default_value = "0..10", value_parser = seeds)]
    seeds: Range<u64>,
    /// Length of a campaign, such as 20s or 2m; the judgement comes after it
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = time)]
    time: Duration,
    /// Campaigns at the same time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    jobs: u64,
    /// Print the plans, and run nothing
    #[arg(long)]
    plan: bool,
    /// Program to run, with the feature server; without it, it is built
    #[arg(long, value_name = "PATH")]
    synod: Option<PathBuf>,
    /// Another argument for every node, such as --node=--stale-reads
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    node: Vec<String>,
    /// How long after all faults every member may take to answer a write
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    answers_within: Duration,
    /// Have nodes record what they do, and the program judge it
    #[arg(long)]
    record: bool,
    /// Format of plans and of the table
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Reads seeds.
fn seeds(text: &str) -> Result<Range<u64>, String> {
    let number = |text: &str| {
        text.replace('_', "")
            .parse::<u64>()
            .map_err(|error| format!("{text:?}: {error}"))
    };
    let (first, end) = match text.split_once("..") {
        Some((first, end)) => (number(first)?, number(end)?),
        None => (number(text)?, number(text)?.saturating_add(1)),
    };
    if first >= end {
        return Err("there is no seed in it".to_owned());
    }
    Ok(first..end)
}

/// Reads a time.
fn time(text: &str) -> Result<Duration, String> {
    let end = text.find(|letter: char| !letter.is_ascii_digit());
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let number: u64 = number
        .parse()
        .map_err(|_| "expected a number with a unit, such as 20s".to_owned())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => return Err("the unit is ms, s or m".to_owned()),
    };
    Some(Duration::from_millis(number.saturating_mul(millis)))
        .filter(|time| (Duration::from_millis(1)..=Duration::from_hours(24)).contains(time))
        .ok_or_else(|| "expected a time up to a day".to_owned())
}

/// Executes the command line of the process.
pub fn main() -> ExitCode {
    exit(run(&Options::parse()))
}

/// Set by Ctrl-C.
static INTERRUPT: AtomicBool = AtomicBool::new(false);

fn run(options: &Options) -> Result<u8, Failure> {
    let length_ms = u64::try_from(options.time.as_millis()).unwrap_or(u64::MAX);
    if options.plan {
        for seed in options.seeds.clone() {
            show_plan(&Plan::draw(seed, length_ms), options.format)?;
        }
        return Ok(PASSED);
    }
    ctrlc::set_handler(|| INTERRUPT.store(true, Ordering::Relaxed))
        .map_err(|error| Failure::new(error.to_string()))?;
    let synod = match &options.synod {
        Some(path) => fs::canonicalize(path)
            .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?,
        None => program::build(program::Build::Optimized)?,
    };
    let settings = Settings {
        synod,
        node_arguments: options.node.clone(),
        record: options.record,
    };
    let next = AtomicU64::new(options.seeds.start);
    let sum = Mutex::new(Report::default());
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..options.jobs {
            scope.spawn(|| {
                while !INTERRUPT.load(Ordering::Relaxed) && lock(&failures).is_empty() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if !options.seeds.contains(&seed) {
                        return;
                    }
                    let plan = Plan::draw(seed, length_ms);
                    match one(&plan, &settings, options, &INTERRUPT) {
                        Ok(Some(outcome)) => lock(&sum).add(seed, length_ms, &outcome),
                        Ok(None) => return,
                        Err(error) => {
                            lock(&failures).push(format!("seed {seed}: {error}"));
                        }
                    }
                }
            });
        }
    });
    if let Some(failure) = lock(&failures).first() {
        return Err(Failure::new(failure.clone()));
    }
    let sum = core::mem::take(&mut *lock(&sum));
    match options.format {
        Format::Text => print(&sum.to_string())?,
        Format::Json => print(&format!("{}\n", json(&sum)?))?,
    }
    Ok(if INTERRUPT.load(Ordering::Relaxed) {
        INTERRUPTED
    } else if !sum.failed.is_empty() {
        VIOLATED
    } else if sum.strikes.is_empty() || sum.acknowledged == 0 {
        VACUOUS
    } else {
        PASSED
    })
}

fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::new(error.to_string()))
}

fn show_plan(plan: &Plan, format: Format) -> Result<(), Failure> {
    match format {
        Format::Text => print(&plan.to_string()),
        Format::Json => print(&format!("{}\n", json(plan)?)),
    }
}

/// Runs one campaign, says what it came to, and leaves its files if it failed. Returns `None` if it was cut short.
fn one(
    plan: &Plan,
    settings: &Settings,
    options: &Options,
    interrupted: &AtomicBool,
) -> io::Result<Option<Outcome>> {
    let directory = program::target().join("chaos").join(plan.seed.to_string());
    let clock = crate::clock::Clock::start();
    let outcome = campaign::run(
        plan,
        settings.clone(),
        &directory,
        options.answers_within,
        interrupted,
    )?;
    let Some(outcome) = outcome else {
        fs::remove_dir_all(&directory)?;
        return Ok(None);
    };
    report(&line(plan.seed, &outcome, clock.elapsed()));
    if outcome.is_passed() {
        fs::remove_dir_all(&directory)?;
        return Ok(Some(outcome));
    }
    let problems = leave(plan, &outcome, &directory)?;
    report(&problems);
    report(&format!("see {}, and repeat it with", directory.display()));
    report(&format!("    {}", repetition(plan, options)));
    Ok(Some(outcome))
}

/// Writes what a failed campaign leaves. Returns what was wrong.
fn leave(plan: &Plan, outcome: &Outcome, directory: &Path) -> io::Result<String> {
    let create = |name: &str| File::create(directory.join(name)).map(BufWriter::new);
    fs::write(directory.join("plan.txt"), plan.to_string())?;
    history::write(create("history.jsonl")?, &outcome.records)?;
    let mut strikes = create("strikes.jsonl")?;
    for struck in &outcome.struck {
        serde_json::to_writer(&mut strikes, struck)?;
        io::Write::write_all(&mut strikes, b"\n")?;
    }
    let mut problems = outcome.alarms.clone();
    for violation in &outcome.judgement.violations {
        let name = format!("group-{}.jsonl", violation.group);
        history::write(create(&name)?, &violation.records)?;
        problems.push(format!(
            "nothing explains the operations of group {}: none passes {:?} ({name} has {} operations that are enough)",
            violation.group,
            violation.blocked,
            violation.records.len()
        ));
    }
    let problems = problems.join("\n");
    fs::write(directory.join("problems.txt"), &problems)?;
    Ok(problems)
}

/// Returns the command that repeats a campaign.
fn repetition(plan: &Plan, options: &Options) -> String {
    let mut command = format!(
        "cargo chaos --seeds {} --time {}ms",
        plan.seed, plan.length_ms
    );
    for argument in &options.node {
        command.push_str(" --node=");
        command.push_str(argument);
    }
    if options.record {
        command.push_str(" --record");
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_and_times_are_read_and_nonsense_is_refused() {
        assert_eq!(seeds("7"), Ok(7..8));
        assert_eq!(seeds("0..1_000"), Ok(0..1_000));
        assert!(seeds("7..7").is_err());
        assert!(seeds("x").is_err());
        assert_eq!(time("20s"), Ok(Duration::from_secs(20)));
        assert_eq!(time("300ms"), Ok(Duration::from_millis(300)));
        assert!(time("20").is_err());
        assert!(time("0s").is_err());
    }
}
