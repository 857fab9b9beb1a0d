//! `synod sweep`: many seeds, what failed, and what they have shown.

mod json;
mod junit;
#[cfg(test)]
mod tests;
mod text;

use crate::exit::{Exit, print_error};
use crate::progress::{self, SweepProgress};
use crate::signals::{self, FirstSignal};
use crate::sweep::{self, End, Failure, Seeds, Source, Sweep, Swept};
use core::sync::atomic::AtomicBool;
use std::io::{self, IsTerminal, Write};
use std::panic;
use synod::simulation::Verdict;

/// What the account of a sweep looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum ReportFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line, for programs: one for each run that failed, and one at the end.
    ///
    /// The keys of a line of the event `failure`: `event`, `run_seed`, `outcome` (`violated`, `diverged` or `stalled`), `reason`,
    /// `command` (which shows the run again), `digest`, and `other` (the digest of its second run, where that is another one).
    ///
    /// Those of the last line: `event` (`sweep`), `outcome` (`done`, `violated`, `diverged`, `stalled`, `vacuous` or
    /// `interrupted`), `reason` (where it is not done), `command`, `seeds` (`first`, and `next`: all seeds of the shard below it
    /// were run), `shard` (`index` and `count`), `ended` (`through`, `time`, `failed` or `stopped`), `runs`, `violated`,
    /// `diverged`, `stalled` (how many), `faults` and `happened` (for each thing `runs`, `times`, and `due_from` where it is
    /// due from some number of runs on), `missing` (the names of what is due and was not seen), `pace` (for each thing that runs take its average and what that may
    /// be, `least` and `most`, in thousandths) and `unusual` (the names of those that are not), `answered`, `decided`,
    /// `delivered`, `longest` (`t_us` and `run_seed`), `jobs`, `took_ms` and `digest`. With `--quiet`, `faults` and `happened`
    /// are left out.
    #[value(help = "One JSON object a line, for programs")]
    Json,
    /// The XML of `JUnit`, for build servers.
    #[value(help = "The XML of JUnit, for build servers")]
    Junit,
}

/// A sweep, and how it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepCommand {
    /// What is swept.
    pub sweep: Sweep,
    /// Whether the first seed was drawn, and must be told first.
    pub drawn: bool,
    /// Whether only what failed and the end are shown.
    pub quiet: bool,
    /// What the account looks like.
    pub shape: ReportFormat,
}

/// Does what the command says: the account to the standard output, everything else to the standard error.
pub fn run(command: &SweepCommand) -> Exit {
    let sweep = &command.sweep;
    signals::install(FirstSignal::FinishesRun(
        "the runs under way come to their end; Ctrl-C once more ends it at once",
    ));
    name_seeds_that_panic(&sweep.source);
    if command.drawn {
        print_error(&format_args!("the first seed is {}", sweep.seeds.first));
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
    let mut out = Vec::new();
    match command.shape {
        ReportFormat::Text => text::write(&account, &mut out),
        ReportFormat::Json => json::write(&account, &mut out),
        ReportFormat::Junit => junit::write(&account, &mut out),
    }
    let mut stdout = io::stdout().lock();
    match stdout.write_all(&out).and_then(|()| stdout.flush()) {
        Err(error) if Exit::from_output(&error) != Exit::Done => Exit::Usage,
        _ => swept.exit(),
    }
}

/// A run that panics takes the whole process with it: so at least its seed is named.
fn name_seeds_that_panic(source: &Source) {
    let source = source.clone();
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        usual(info);
        if let Some(run_seed) = sweep::current_seed() {
            let command = source.command(run_seed);
            print_error(&format_args!(
                "the run of seed {run_seed} panicked; see it again: {command}"
            ));
        }
    }));
}

/// Sweeps, and shows how far it is where that takes long and a person is watching.
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

/// A number of thousandths with its decimals.
fn thousandths(number: u64) -> String {
    format!("{}.{:03}", number / 1_000, number % 1_000)
}

/// Everything that the account of a sweep is made of.
struct Account<'a> {
    sweep: &'a Sweep,
    swept: &'a Swept,
    quiet: bool,
}

impl Account<'_> {
    /// How it ended, in a word, and why.
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
            Exit::Done | Exit::Usage | Exit::CutShort => ("done", None),
        }
    }

    /// What never happened though it should have.
    fn missing(&self) -> String {
        let names: Vec<_> = self.swept.missing.iter().map(ToString::to_string).collect();
        names.join(", ")
    }

    /// What the runs took more of, or less, than they usually do.
    fn unusual(&self) -> String {
        let told = self.swept.unusual.iter().map(|take| {
            let (least, most) = take.usual();
            let [mean, least, most] = [self.swept.paces.mean(*take), least, most].map(thousandths);
            format!("{take} {mean} on average, and not from {least} to {most}")
        });
        told.collect::<Vec<_>>().join("; ")
    }

    /// The seeds that were run.
    fn seeds(&self) -> Seeds {
        Seeds {
            end: Some(self.swept.next),
            ..self.sweep.seeds
        }
    }

    /// The command that runs the same seeds again.
    fn command(&self) -> String {
        self.sweep.command(self.seeds())
    }

    /// What is wrong with a run, in a word and in a few.
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

    /// How it ended.
    const fn end_word(&self) -> &'static str {
        match self.swept.end {
            End::Through => "through",
            End::Time => "time",
            End::Failed => "failed",
            End::Stopped => "stopped",
        }
    }
}
