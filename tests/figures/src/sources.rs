//! Sources of figures: the commands, and the parts of their output that the documents show.

use crate::{Failure, block, grouped, installed, root, sweep};
use core::fmt::Write;
use std::process::Command;

/// A source: one or more commands, and the figures in their output.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Its name on the command line.
    pub name: &'static str,
    /// The command, as a reader would run it.
    pub command: &'static str,
    /// The names of its figures.
    pub figures: &'static [&'static str],
    measure: fn() -> Result<Vec<String>, Failure>,
}

/// Every source, the quick ones first.
pub const SOURCES: [Source; 9] = [
    Source {
        name: "log",
        command: "cargo run --release -- 6 --nodes 3 --clients 1 --requests 3",
        figures: &["election", "log"],
        measure: log,
    },
    Source {
        name: "sweep",
        command: "cargo run --release -- sweep",
        figures: &["sweep"],
        measure: || Ok(vec![sweep(&synod(&["sweep"])?)]),
    },
    Source {
        name: "worlds",
        command: "cargo run --release -- check --format json …",
        figures: &["worlds"],
        measure: worlds,
    },
    Source {
        name: "counterexample",
        command: "cargo run --release --features mutants -- shrink found.toml",
        figures: &["counterexample"],
        measure: counterexample,
    },
    Source {
        name: "power",
        command: "cargo test -p synod-tests every_operation -- --nocapture, and cargo test -p synod --features flash flash -- --nocapture",
        figures: &[
            "cuts-disks",
            "cuts-cluster",
            "cuts-flash",
            "cuts-pages",
            "erases",
        ],
        measure: power,
    },
    Source {
        name: "snapshot",
        command: "cargo test -p synod-tests mebibyte -- --nocapture",
        figures: &["snapshot-pages", "snapshot-runs"],
        measure: snapshot,
    },
    Source {
        name: "latency",
        command: "cargo test -p synod-tests one_disk -- --nocapture",
        figures: &["latency-waiting", "latency-early"],
        measure: latency,
    },
    Source {
        name: "bench",
        command: "cargo bench --bench decide",
        figures: &["bench"],
        measure: bench,
    },
    Source {
        name: "budget",
        command: "cargo budget",
        figures: &["memory", "stacks", "images-boards", "images", "work"],
        measure: budget,
    },
];

impl Source {
    /// Runs the commands and returns the figures by name.
    ///
    /// # Errors
    ///
    /// Returns an error if a command cannot be run or fails, or its output has an unexpected form.
    pub fn measure(&self) -> Result<Vec<(&'static str, String)>, Failure> {
        let texts = (self.measure)()?;
        Ok(self.figures.iter().copied().zip(texts).collect())
    }
}

/// Runs a command and returns its output. It may exit with any of the codes.
fn run(program: &str, args: &[&str], codes: &[i32]) -> Result<String, Failure> {
    let line = format!("{program} {}", args.join(" "));
    let output = Command::new(program)
        .args(args)
        .current_dir(root())
        .output()
        .map_err(|error| Failure::new(format!("`{line}` cannot be run: {error}")))?;
    if output
        .status
        .code()
        .is_none_or(|code| !codes.contains(&code))
    {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::new(format!("`{line}` failed: {said}")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn synod(args: &[&str]) -> Result<String, Failure> {
    let mut line = vec!["run", "--locked", "--quiet", "--release", "--"];
    line.extend(args);
    run("cargo", &line, &[0])
}

/// Returns the text between two markers.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Result<&'a str, Failure> {
    text.split_once(before)
        .and_then(|(_, rest)| rest.split_once(after))
        .map(|(found, _)| found.trim())
        .ok_or_else(|| Failure::new(format!("{before:?} and {after:?} are not in the output")))
}

fn number(text: &str) -> Result<String, Failure> {
    let digits = text.replace(',', "");
    let number = digits
        .parse()
        .map_err(|_| Failure::new(format!("{text:?} is not a number")))?;
    Ok(grouped(number))
}

/// Returns two parts of the golden log: the first election, and the first command.
fn log() -> Result<Vec<String>, Failure> {
    let log = synod(&[
        "6",
        "--nodes",
        "3",
        "--clients",
        "1",
        "--requests",
        "3",
        "--color",
        "never",
    ])?;
    Ok(vec![first_election(&log)?, first_command(&log)?])
}

/// Returns the first election of a log, up to the first accept that a node receives.
///
/// # Errors
///
/// Returns an error if there is none.
pub fn first_election(log: &str) -> Result<String, Failure> {
    let begins = |line: &str| line.contains(".Scout ") && line.ends_with(" started");
    let ends = |line: &str| line.contains(".Acceptor ") && line.contains(" received accept(");
    piece(log, begins, ends, 1).ok_or_else(|| Failure::new("the log has no election"))
}

/// The first command of a log, from the leader's queue to the third node that applies it.
///
/// # Errors
///
/// Returns an error if there is none, or fewer than three nodes apply it.
pub fn first_command(log: &str) -> Result<String, Failure> {
    let begins = |line: &str| line.contains(".Leader ") && line.contains(" received propose(");
    let ends = |line: &str| line.contains(" applied(slot=1,");
    piece(log, begins, ends, 3).ok_or_else(|| Failure::new("the log has no command"))
}

/// The lines from the first one that begins a piece to the nth one that ends it.
fn piece(
    log: &str,
    begins: impl Fn(&str) -> bool,
    ends: impl Fn(&str) -> bool,
    nth: usize,
) -> Option<String> {
    let lines: Vec<&str> = log.lines().collect();
    let start = lines.iter().position(|line| begins(line))?;
    let (end, _) = lines
        .iter()
        .enumerate()
        .skip(start)
        .filter(|(_, line)| ends(line))
        .nth(nth - 1)?;
    Some(block(&lines.get(start..=end)?.join("\n")))
}

/// The worlds that are explored, as options of `synod check`.
const WORLDS: [&str; 8] = [
    "--nodes 3",
    "--crashes 1",
    "--requests 2",
    "--nodes 2 --claimants 2 --rounds 2 --crashes 1",
    "--nodes 2 --claimants 2 --reads 2",
    "--nodes 2 --reads 2 --crashes 1",
    "--founders 2 --requests 0 --changes 1 --rounds 2 --crashes 1 --members 0,1,2 --lost decision",
    "--nodes 2 --founders 1 --requests 0 --changes 1 --crashes 1 --timers election,heartbeat,learn --lost decision",
];

fn worlds() -> Result<Vec<String>, Failure> {
    let mut table =
        String::from("\n| options | different states | reached | steps |\n|---|---:|---:|---:|\n");
    for options in WORLDS {
        let mut args = vec!["check", "--format", "json"];
        args.extend(options.split_whitespace());
        let said = synod(&args)?;
        let field = |name: &str| {
            let rest = said
                .split_once(&format!("\"{name}\":"))
                .map(|(_, rest)| rest);
            let digits =
                rest.map(|rest| rest.split(|letter: char| !letter.is_ascii_digit()).next());
            number(digits.flatten().unwrap_or_default())
        };
        let all = if said.contains("\"exhausted\":true") {
            ", all"
        } else {
            ""
        };
        let _ = writeln!(
            table,
            "| `{options}` | {}{all} | {} | {} |",
            field("unique")?,
            field("states")?,
            field("depth")?
        );
    }
    Ok(vec![table])
}

/// Returns the shrunk counterexample of a mutant.
fn counterexample() -> Result<Vec<String>, Failure> {
    let folder = std::env::temp_dir().join(format!("synod-figures-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| Failure::new(error.to_string()))?;
    let found = folder.join("found.toml");
    let found = found
        .to_str()
        .ok_or_else(|| Failure::new("no path to write to"))?;
    let mutant = |args: &[&str], codes: &[i32]| {
        let mut line = vec![
            "run",
            "--locked",
            "--quiet",
            "--release",
            "--features",
            "mutants",
            "--",
        ];
        line.extend(args);
        run("cargo", &line, codes)
    };
    let case = [
        "run",
        "0",
        "--faults",
        "all",
        "--mutant",
        "adopted-ignored",
        "--quiet",
    ];
    mutant(&[&case[..], &["--record", found]].concat(), &[1])?;
    let text = mutant(&["shrink", found, "--color", "never"], &[0, 1]);
    let _ = std::fs::remove_dir_all(&folder);
    let text = text?.replace(found.trim_end_matches("found.toml"), "");
    Ok(vec![block(&installed(&text))])
}

fn power() -> Result<Vec<String>, Failure> {
    let disks = printed_by_tests("every_operation")?;
    let flash = run(
        "cargo",
        &[
            "test",
            "--locked",
            "--quiet",
            "-p",
            "synod",
            "--features",
            "flash",
            "--lib",
            "flash",
            "--",
            "--nocapture",
            "--test-threads",
            "1",
        ],
        &[0],
    )?;
    Ok(vec![
        number(between(&disks, "power failed at ", " points")?)?,
        number(between(&flash, "cluster: cut at ", " words")?)?,
        number(between(&flash, "log: cut at ", " words")?)?,
        number(between(&flash, "pages: cut at ", " words")?)?,
        between(&flash, "30000 records: between ", " erases")?.replace(" and ", " to "),
    ])
}

/// Returns what the tests of clusters with a word in their name print.
fn printed_by_tests(word: &str) -> Result<String, Failure> {
    let mut line = vec!["test", "--locked", "--quiet", "-p", "synod-tests"];
    line.extend([word, "--", "--nocapture"]);
    run("cargo", &line, &[0])
}

fn latency() -> Result<Vec<String>, Failure> {
    let said = printed_by_tests("one_disk")?;
    Ok(vec![
        number(between(&said, "a decision takes ", " ms if every")?)?,
        number(between(&said, "for the disk, and ", " ms if accepts")?)?,
    ])
}

fn snapshot() -> Result<Vec<String>, Failure> {
    let said = printed_by_tests("mebibyte")?;
    Ok(vec![
        between(&said, "over a link of 30 ms: ", " s page by page")?.into(),
        between(&said, "page by page, ", " s in runs")?.into(),
    ])
}

fn bench() -> Result<Vec<String>, Failure> {
    let said = run(
        "cargo",
        &[
            "bench", "--locked", "--quiet", "-p", "synod", "--bench", "decide",
        ],
        &[0],
    )?;
    let mut table = String::from(
        "\n| one decided command | instructions | messages | allocations |\n|---|---:|---:|---:|\n",
    );
    for part in said
        .split("\n\n")
        .filter(|part| part.contains(" outstanding, "))
    {
        let (case, _) = part.trim().split_once(':').unwrap_or((part, ""));
        let field = |name: &str| -> Result<&str, Failure> {
            let line = part.lines().find_map(|line| line.trim().strip_prefix(name));
            let first = line.and_then(|rest| rest.split_whitespace().next());
            first.ok_or_else(|| Failure::new(format!("{name} is not printed for {case}")))
        };
        let _ = writeln!(
            table,
            "| {case} | {} | {} | {} |",
            field("instructions")?,
            field("messages")?,
            field("allocations")?
        );
    }
    Ok(vec![table])
}

/// Returns the tables of `cargo budget`, each after its title.
fn budget() -> Result<Vec<String>, Failure> {
    let said = run("cargo", &["budget"], &[0])?;
    let table = |title: &str| {
        let rest = said.split_once(title).map(|(_, rest)| rest);
        let lines = rest.into_iter().flat_map(|rest| {
            let lines = rest.lines().skip_while(|line| !line.starts_with('|'));
            lines.take_while(|line| line.starts_with('|'))
        });
        let table: Vec<&str> = lines.collect();
        if table.is_empty() {
            return Err(Failure::new(format!(
                "`cargo budget` prints no table {title:?}"
            )));
        }
        Ok(format!("\n{}\n", table.join("\n")))
    };
    TITLES.iter().map(|title| table(title)).collect()
}

/// The beginnings of the titles of `cargo budget`, in the order of the figures.
const TITLES: [&str; 5] = [
    "A node, part by part",
    "Their RAM",
    "The programs of `examples/firmware`",
    "The images of `examples/bare`",
    "Instructions of one decided command",
];
