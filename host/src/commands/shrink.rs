//! `synod shrink`: reduces a failing run to a small counterexample, and explains it.

use super::page;
use super::record::outcome;
use super::run::Colour;
use crate::case;
use crate::cli::replay_command;
use crate::exit::{Exit, print_error};
use crate::log::{Filter, Format, Log, Output, Text};
use crate::progress;
use crate::shrink::{Explanation, Shrunk, shrink as shrink_case};
use crate::signals::{self, FirstSignal};
use std::io::{self, Write};
use std::path::PathBuf;

/// Options of `synod shrink`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShrinkCommand {
    /// File of the failing run.
    pub file: PathBuf,
    /// File for the counterexample.
    pub output: PathBuf,
    /// Greatest number of runs to try.
    pub tries: u64,
    /// File for the page that plays the counterexample.
    pub html: Option<PathBuf>,
    /// When to colour the explanation.
    pub colour: Colour,
}

/// Shrinks a run, writes the counterexample, and prints its explanation.
pub fn shrink(command: &ShrinkCommand) -> Exit {
    match try_shrink(command) {
        Ok(exit) => exit,
        Err(error) => {
            print_error(&error);
            Exit::Usage
        }
    }
}

/// Shrinks a run, and returns the exit. A file that cannot be written is noticed first, and not
/// after minutes of shrinking.
fn try_shrink(command: &ShrinkCommand) -> Result<Exit, Box<dyn core::error::Error>> {
    let (case, _) = case::read(&command.file)?;
    for path in [Some(&command.output), command.html.as_ref()]
        .into_iter()
        .flatten()
    {
        case::try_write(path)?;
    }
    signals::install(FirstSignal::FinishesRun(
        "writing the smallest run so far; Ctrl-C again ends the program at once",
    ));
    let shrunk = progress::counted("runs", command.tries, |count| {
        case::in_thread(|| {
            shrink_case(&case, command.tries, &mut |tries, size| {
                count(tries, &format_args!("{} lines", size.lines));
            })
        })
    })?;
    // There is nothing to shrink in a run that does not fail, which has an exit code of its own so
    // that scripts can tell.
    let Some(shrunk) = shrunk else {
        print_error(&format_args!(
            "{}: this run does not fail",
            command.file.display()
        ));
        return Ok(Exit::Stalled);
    };
    case::write(
        &command.output,
        &shrunk.case,
        Some(&outcome(&shrunk.finished)),
    )?;
    if let Some(path) = &command.html {
        page::of_case(path, &shrunk.case, &replay_command(&command.output))?;
    }
    match tell(command, &shrunk) {
        // The smallest run so far was written.
        Ok(()) if signals::is_stop_requested() => Ok(Exit::Interrupted),
        Ok(()) => Ok(Exit::Done),
        Err(error) => Ok(Exit::from_output(&error)),
    }
}

/// Prints the explanation of the counterexample, and its outcome. The run is performed again with a
/// log that shows only the explanation.
fn tell(command: &ShrinkCommand, shrunk: &Shrunk) -> io::Result<()> {
    let stdout = io::stdout();
    let text = if command.colour.is_on(&stdout) {
        Text::coloured()
    } else {
        Text::plain()
    };
    let mut output = Output::new(stdout);
    let mut explanation =
        Explanation::new(Log::new(Format::Text(text), Filter::default(), &mut output));
    case::run(&shrunk.case, &mut explanation).map_err(io::Error::other)?;
    let (before, after) = (shrunk.before, shrunk.after);
    output.append(|out| {
        // Writing to a vector never fails.
        let _ = writeln!(out, "\n{}", shrunk.finished.verdict);
        let _ = writeln!(
            out,
            "lines {} (of {}), faults {} (of {}), choices {}, runs {}",
            after.lines, before.lines, after.planned, before.planned, after.choices, shrunk.tries
        );
        let _ = writeln!(out, "{}", replay_command(&command.output));
    });
    output.finish().map(drop)
}
