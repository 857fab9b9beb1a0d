//! `synod sweep`: runs many seeds, and reports failures and coverage.
//!
//! The report has three formats for three readers: a person at a terminal, a program, and a build
//! server. All take their words from one account of the results, so that they never contradict each
//! other.

mod json;
mod junit;
#[cfg(test)]
mod tests;
mod text;

use super::page::{self, PageError};
use crate::case;
use crate::exit::{Exit, print_error};
use crate::progress::{self, SweepProgress};
use crate::signals::{self, FirstSignal};
use crate::sweep::{self, End, Failure, Seeds, Source, Sweep, Swept};
use core::sync::atomic::AtomicBool;
use std::io::{self, IsTerminal, Write};
use std::panic;
use std::path::{Path, PathBuf};
use synod::simulation::Verdict;

/// Format of the report of a sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum ReportFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line, for programs: one for each failed run, and one at the end.
    ///
    /// The keys of a line of the event `failure`: `event`, `run_seed`, `outcome` (`violated`, `diverged` or `stalled`),
    /// `reason`, `command` (which repeats the run), `digest`, and `other` (the digest of the second run, if it
    /// differs).
    ///
    /// The keys of the last line: `event` (`sweep`), `outcome` (`done`, `violated`, `diverged`, `stalled`, `vacuous` or
    /// `interrupted`), `reason` (unless done), `command`, `seeds` (`first`, and `next`: all seeds of the shard below it
    /// were run), `shard` (`index` and `count`), `ended` (`through`, `time`, `failed` or `stopped`), `runs`,
    /// `violated`, `diverged`, `stalled` (numbers of runs), `faults` and `happened` (for each fault or rare event
    /// `runs`, `times`, and `due_from`, the number of runs after which it is expected, if it is), `missing` (names of
    /// what was expected and never occurred), `pace` (for each measured quantity its average, and the bounds `least`
    /// and `most`, in thousandths) and `unusual` (names of the quantities out of bounds), `answered`, `decided`,
    /// `delivered`, `longest` (`t_us` and `run_seed`), `jobs`, `took_ms` and `digest`. With `--quiet`, `faults` and
    /// `happened` are left out.
    #[value(help = "One JSON object a line, for programs")]
    Json,
    /// `JUnit` XML, for build servers.
    #[value(help = "JUnit XML, for build servers")]
    Junit,
}

/// Options of `synod sweep`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepCommand {
    /// The sweep.
    pub sweep: Sweep,
    /// Whether the first seed was drawn and must be printed before the sweep.
    pub drawn: bool,
    /// Whether only failures and the result are printed.
    pub quiet: bool,
    /// File for the page that plays the first failed run.
    pub html: Option<PathBuf>,
    /// Format of the report.
    pub shape: ReportFormat,
}

/// Executes the command. The report goes to the standard output, everything else to the standard error.
pub fn run(command: &SweepCommand) -> Exit {
    let sweep = &command.sweep;
    signals::install(FirstSignal::FinishesRun(
        "finishing the runs in progress; Ctrl-C again ends the program at once",
    ));
    // Before the first thread is started, since the hook is that of the process.
    name_seeds_that_panic(&sweep.source);
    if command.drawn {
        print_error(&format_args!("the first seed is {}", sweep.seeds.first));
    }
    if let Some(Err(error)) = command.html.as_deref().map(case::try_write) {
        print_error(&format_args!("nothing was run: {error}"));
        return Exit::Usage;
    }
    let swept = match watched(command, signals::stop_flag()) {
        Ok(swept) => swept,
        Err(error) => {
            print_error(&error);
            return Exit::Usage;
        }
    };
    let account = Account {
        sweep,
        swept: &swept,
        quiet: command.quiet,
    };
    // Formatted as a whole, so that a report is either written or not.
    let mut out = Vec::new();
    match command.shape {
        ReportFormat::Text => text::write(&account, &mut out),
        ReportFormat::Json => json::write(&account, &mut out),
        ReportFormat::Junit => junit::write(&account, &mut out),
    }
    let page = command
        .html
        .as_deref()
        .map(|path| first_failure(path, &account));
    if let Some(Err(error)) = page {
        print_error(&error);
        return Exit::Usage;
    }
    let mut stdout = io::stdout().lock();
    match stdout.write_all(&out).and_then(|()| stdout.flush()) {
        // A failed output is an error, but a reader that has seen enough does not hide that runs
        // failed.
        Err(error) if Exit::from_output(&error) != Exit::Done => Exit::Usage,
        _ => swept.exit(),
    }
}

/// Writes the page of the first failed run, if one has failed.
fn first_failure(path: &Path, account: &Account<'_>) -> Result<(), PageError> {
    let Some(failure) = account.swept.failures.first() else {
        return Ok(());
    };
    let source = &account.sweep.source;
    page::of_case(
        path,
        &source.case(failure.run_seed),
        &source.command(failure.run_seed),
    )
}

/// Installs a panic hook that names the seed of the run, as a panic ends the whole process. Without
/// it, a panic of one in a million runs could not be repeated.
fn name_seeds_that_panic(source: &Source) {
    let source = source.clone();
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        usual(info);
        if let Some(run_seed) = sweep::current_seed() {
            let command = source.command(run_seed);
            print_error(&format_args!(
                "the run of seed {run_seed} panicked; repeat it with: {command}"
            ));
        }
    }));
}

/// Executes the sweep, with a progress bar if it takes long and the standard error is a terminal.
fn watched(command: &SweepCommand, stop: &AtomicBool) -> Result<Swept, crate::run::RunError> {
    let sweep = &command.sweep;
    if command.quiet || !io::stderr().is_terminal() {
        return sweep::sweep(sweep, &|_| {}, stop);
    }
    let progress = SweepProgress::new(sweep.seeds.count(sweep.shard), sweep.time);
    progress::sweep_shown(&progress, || {
        sweep::sweep(sweep, &|now| progress.set(now), stop)
    })
}

/// Formats a number of thousandths as a decimal. All averages are kept so, because results must not
/// depend on the rounding of floats.
fn thousandths(number: u64) -> String {
    format!("{}.{:03}", number / 1_000, number % 1_000)
}

/// Contents of the report of a sweep. The three formats take words and reasons from it, so that
/// they agree.
struct Account<'a> {
    sweep: &'a Sweep,
    swept: &'a Swept,
    /// Whether coverage and averages are left out.
    quiet: bool,
}

impl Account<'_> {
    /// Returns the outcome as a word, and the reason for it.
    fn outcome(&self) -> (&'static str, Option<String>) {
        let swept = self.swept;
        let failures = |what: &str| {
            Some(format!(
                "{} of {} runs {what}",
                swept.failures.len(),
                swept.runs
            ))
        };
        match swept.exit() {
            Exit::Interrupted => ("interrupted", None),
            Exit::Violated => ("violated", failures("failed")),
            Exit::Diverged => ("diverged", failures("failed")),
            Exit::Stalled if swept.failures.is_empty() => ("stalled", Some(self.unusual())),
            Exit::Stalled => ("stalled", failures("failed")),
            Exit::Vacuous => ("vacuous", Some(format!("never seen: {}", self.missing()))),
            Exit::Done | Exit::Usage | Exit::CutShort | Exit::Failed => ("done", None),
        }
    }

    /// Returns the names of what was expected and never occurred.
    fn missing(&self) -> String {
        let names: Vec<_> = self.swept.missing.iter().map(ToString::to_string).collect();
        names.join(", ")
    }

    /// Returns the averages that are out of their bounds.
    fn unusual(&self) -> String {
        let told = self.swept.unusual.iter().map(|effort| {
            let (least, most) = effort.usual();
            let [mean, least, most] =
                [self.swept.averages.mean(*effort), least, most].map(thousandths);
            format!("{effort} is {mean} on average, outside of {least} to {most}")
        });
        told.collect::<Vec<_>>().join("; ")
    }

    /// Returns the seeds that were run. It may be fewer than were asked for, if the sweep ended
    /// early.
    ///
    /// Of a sweep that a signal or a time budget has ended, these are the seeds below the first one
    /// that was not run.
    fn seeds(&self) -> Seeds {
        Seeds {
            end: Some(self.swept.next),
            ..self.sweep.seeds
        }
    }

    /// Returns the command that runs the same seeds again. A sweep that a time budget ended is
    /// thereby repeated exactly.
    fn command(&self) -> String {
        self.sweep.command(self.seeds())
    }

    /// Returns the kind of a failure as a word, and its description.
    fn fault(failure: &Failure) -> (&'static str, String) {
        match (failure.exit(), failure.verdict, failure.other) {
            (Exit::Diverged, _, Some(other)) => {
                ("diverged", format!("a second run has the digest {other}"))
            }
            (_, Verdict::Violated(violation), _) => ("violated", violation.to_string()),
            (_, Verdict::Stalled(bound), _) => ("stalled", bound.to_string()),
            (_, Verdict::Done, _) => ("done", String::new()),
        }
    }

    /// Returns the reason why the sweep ended, as a word.
    const fn end_word(&self) -> &'static str {
        match self.swept.end {
            End::Through => "through",
            End::Time => "time",
            End::Failed => "failed",
            End::Stopped => "stopped",
        }
    }
}
