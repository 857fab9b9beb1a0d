//! `synod run`: one simulated run with its log and summary.
//!
//! The order of what happens is chosen for a run that takes hours: the seed is told first, files
//! are tried before the run, and the summary is written before the run is recorded or compared. So
//! whatever fails late leaves what was there before it.

use super::page;
use super::record::{outcome, record};
use crate::case::{self, Case, Outcome};
use crate::data::{self, Data, DataError};
use crate::exit::{Exit, print_error};
use crate::log::{Filter, Format, Json, Log, Output, Player, Text};
use crate::options::Options;
use crate::progress::{self, Progress};
use crate::run::{Finished, HostTracer, run as simulate};
use crate::signals::{self, FirstSignal};
use crate::summary::Summary;
use anstream::{AutoStream, ColorChoice};
use std::io::{self, IsTerminal, Stdout};
use std::path::PathBuf;
use std::process;
use synod::{NODES_MAX, Record, StateMachine, Tracer, Way};

/// Output format of a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum OutputFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line, for programs.
    Json,
}

/// When to colour the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR`, `CLICOLOR=0` or `TERM=dumb` is set; and everywhere if `CLICOLOR_FORCE` is set.
    #[default]
    #[value(
        help = "On a terminal, unless NO_COLOR, CLICOLOR=0 or TERM=dumb is set; everywhere if CLICOLOR_FORCE is set and NO_COLOR is not"
    )]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Colour {
    /// True if the standard output is coloured. Follows the conventions of `anstream`: the first of `NO_COLOR`,
    /// `CLICOLOR_FORCE`, `CLICOLOR` and `TERM` that is set decides.
    pub(crate) fn is_on(self, stdout: &Stdout) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => AutoStream::choice(stdout) != ColorChoice::Never,
        }
    }
}

/// The run to execute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A run without planned faults, described by options.
    Plain(Options),
    /// The same with durable state in the files of a directory.
    Stored {
        /// Options of the run.
        options: Options,
        /// Directory with the durable state of the nodes.
        data: Box<Data>,
    },
    /// A run with faults.
    Case {
        /// The case.
        case: Box<Case>,
        /// Command that repeats it.
        command: String,
    },
}

impl Subject {
    /// Returns the seed of the run.
    pub const fn run_seed(&self) -> u64 {
        match self {
            Self::Plain(options) | Self::Stored { options, .. } => options.run_seed,
            Self::Case { case, .. } => case.trial.scenario.run_seed,
        }
    }

    /// Returns the number of nodes that there can be. A directory may have any number of them.
    pub fn nodes(&self) -> u16 {
        match self {
            Self::Plain(options) => options.all_nodes(),
            Self::Stored { .. } => NODES_MAX,
            Self::Case { case, .. } => case.trial.scenario.nodes,
        }
    }

    /// Returns the shortest command that repeats the run.
    pub fn command(&self) -> String {
        match self {
            Self::Plain(options) => options.command(),
            Self::Stored { options, data } => format!("{}{}", options.command(), data.command()),
            Self::Case { command, .. } => command.clone(),
        }
    }

    /// Executes the run. This blocks until the run has ended or a signal stops it.
    fn run(&self, tracer: &mut dyn HostTracer) -> Result<Finished, DataError> {
        match self {
            Self::Plain(options) => simulate(options, tracer).map_err(DataError::from),
            Self::Stored { options, data } => data::run(options, data, tracer),
            Self::Case { case, .. } => case::run(case, tracer).map_err(DataError::from),
        }
    }

    /// Returns a progress that expects all requests of all clients.
    fn progress(&self) -> Progress {
        match self {
            Self::Plain(options) | Self::Stored { options, .. } => {
                Progress::new(options.clients, options.requests)
            }
            Self::Case { case, .. } => {
                Progress::new(case.trial.scenario.clients, case.trial.requests)
            }
        }
    }
}

/// Options of `synod run`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunCommand {
    /// The run.
    pub subject: Subject,
    /// Whether the seed was drawn and must be printed before the run.
    pub drawn: bool,
    /// Whether only the summary is printed.
    pub quiet: bool,
    /// Output format.
    pub form: OutputFormat,
    /// When to colour the log.
    pub colour: Colour,
    /// Records to show in the log.
    pub filter: Filter,
    /// Whether to run twice and compare the digests.
    pub verify: bool,
    /// File for the fate of each message, if it is recorded.
    pub record: Option<PathBuf>,
    /// File for the page that plays the run.
    pub html: Option<PathBuf>,
    /// Outcome in the recorded file, if the run is a replay.
    pub recorded: Option<Outcome>,
}

/// Executes the command. Log and summary go to the standard output, everything else to the standard error.
pub fn run(command: &RunCommand) -> Exit {
    let subject = &command.subject;
    // The seed is told before the run, so that a run that hangs or is killed can be repeated.
    if command.drawn {
        print_error(&format_args!("the seed is {}", subject.run_seed()));
    }
    // An unusable file is reported before the run, which may take long.
    for path in [&command.record, &command.html].into_iter().flatten() {
        if let Err(error) = case::try_write(path) {
            print_error(&format_args!("nothing was run: {error}"));
            return Exit::Usage;
        }
    }
    signals::install(FirstSignal::StopsRun);
    let mut output = Output::new(io::stdout());
    let mut player = command.html.as_ref().map(|_| Player::new());
    let finished = match logged(command, &mut output, player.as_mut()) {
        Ok(finished) => finished,
        Err(error) => return fail(&error),
    };
    // The second run has no log, and no tracer that could change it: a log that had an influence
    // would show.
    let verified = match verify(command, &finished) {
        Ok(verified) => verified,
        Err(error) => return fail(&error),
    };
    let summary = Summary {
        run_seed: subject.run_seed(),
        command: &subject.command(),
        finished: &finished,
        verified,
    };
    output.append(|out| match command.form {
        OutputFormat::Text => {
            if !command.quiet {
                out.push(b'\n');
            }
            summary.text(out);
        }
        OutputFormat::Json => summary.json(out),
    });
    if let Err(error) = output.finish() {
        return Exit::from_output(&error);
    }
    if let (Some(player), Some(path)) = (&player, &command.html)
        && let Err(error) = page::write(path, player, &summary)
    {
        print_error(&error);
        return Exit::Usage;
    }
    // An interrupted run is not recorded: its end depends on the moment of the signal.
    if finished.exit() == Exit::Interrupted {
        return Exit::Interrupted;
    }
    if let (Subject::Case { case, .. }, Some(path)) = (subject, &command.record)
        && let Err(error) = record(case, path)
    {
        print_error(&error);
        return Exit::Usage;
    }
    // Either difference is one between two traces of what should be one run.
    let same = [verified, as_recorded(command, &finished)];
    exit_of(
        finished.exit(),
        same.into_iter().flatten().reduce(|one, other| one && other),
    )
}

/// Compares the outcome of a replay with the recorded one, and reports a difference. `None` if the run is not a replay.
fn as_recorded(command: &RunCommand, finished: &Finished) -> Option<bool> {
    let recorded = command.recorded.as_ref()?;
    let found = outcome(finished);
    if found != *recorded {
        print_error(&format_args!(
            "this run was recorded as {} with the digest {}: another version of the program wrote it, or the file was changed",
            recorded.verdict, recorded.digest
        ));
    }
    Some(found == *recorded)
}

/// Returns the exit of the whole command: a violation takes precedence over different traces, and
/// those over everything else. `verified` is `None` if nothing was compared.
const fn exit_of(finished: Exit, verified: Option<bool>) -> Exit {
    match (finished, verified) {
        (Exit::Violated, _) => Exit::Violated,
        (_, Some(false)) => Exit::Diverged,
        (exit, _) => exit,
    }
}

/// Executes the run with a log, and with the recorder of a page where there is one. With `--quiet` it has no log, so that
/// nothing is formatted in vain.
fn logged(
    command: &RunCommand,
    output: &mut Output<Stdout>,
    player: Option<&mut Player>,
) -> Result<Finished, DataError> {
    let stdout = io::stdout();
    let subject = &command.subject;
    let mut nobody = ();
    let player: &mut dyn HostTracer = match player {
        Some(player) => player,
        None => &mut nobody,
    };
    if command.quiet {
        return watched(subject, true, player);
    }
    let format = match command.form {
        OutputFormat::Json => Format::Json(Json),
        OutputFormat::Text if command.colour.is_on(&stdout) => Format::Text(Text::coloured()),
        OutputFormat::Text => Format::Text(Text::plain()),
    };
    let mut screen = Screen(Log::new(format, command.filter.clone(), output));
    let is_free = !stdout.is_terminal();
    if command.html.is_some() {
        return watched(subject, is_free, &mut (screen, player));
    }
    watched(subject, is_free, &mut screen)
}

/// Executes the run a second time without a log, if requested, and compares the digests.
fn verify(command: &RunCommand, first: &Finished) -> Result<Option<bool>, DataError> {
    if !command.verify || first.exit() == Exit::Interrupted {
        return Ok(None);
    }
    let second = watched(&command.subject, true, &mut ())?;
    let is_whole = second.exit() != Exit::Interrupted;
    Ok(is_whole.then_some(second.digest == first.digest))
}

/// Executes the run, with a progress bar if it takes long and the standard error is a terminal.
/// `free` says that no log goes to the terminal, where it would be mixed with the bar.
fn watched(
    subject: &Subject,
    free: bool,
    tracer: &mut dyn HostTracer,
) -> Result<Finished, DataError> {
    if !free || !io::stderr().is_terminal() {
        return subject.run(tracer);
    }
    let progress = subject.progress();
    progress::run_shown(&progress, || subject.run(&mut (tracer, &progress)))
}

/// Reports why there was no run, or why it ended early.
fn fail(error: &DataError) -> Exit {
    print_error(error);
    Exit::Usage
}

/// A log on the standard output, which ends the process once that is closed. A reader such as
/// `head` closes it when it has enough.
struct Screen<'a>(Log<'a, Stdout>);

impl<M: StateMachine, const PAGE: usize> Tracer<M, PAGE> for Screen<'_> {
    #[inline]
    fn record(&mut self, record: &Record<'_, M, PAGE>) {
        self.0.record(record);
        if let Some(error) = self.0.error() {
            // A run of a million requests must not continue without a reader. An immediate exit is safe, as no other
            // file is open.
            process::exit(Exit::from_output(error).code().into());
        }
    }

    #[inline]
    fn on_way(&mut self, way: Way) {
        Tracer::<M, PAGE>::on_way(&mut self.0, way);
    }
}

impl HostTracer for Screen<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use synod::simulation::{Bound, Verdict, Violation};
    use synod::{NodeId, Slot};

    #[test]
    fn the_exit_code_follows_from_the_outcome_of_the_run() {
        let mut finished = simulate(&Options::new(6), &mut ()).unwrap();
        let violation = Violation::Disagreement {
            node: NodeId(3),
            slot: Slot::FIRST,
        };
        for (verdict, verified, code) in [
            (Verdict::Done, None, 0),
            (Verdict::Done, Some(true), 0),
            (Verdict::Done, Some(false), 4),
            (Verdict::Stalled(Bound::Time), Some(true), 3),
            (Verdict::Stalled(Bound::Time), Some(false), 4),
            (Verdict::Violated(violation), Some(false), 1),
        ] {
            finished.verdict = verdict;
            assert_eq!(
                exit_of(finished.exit(), verified).code(),
                code,
                "{verdict:?}"
            );
        }
    }
}
