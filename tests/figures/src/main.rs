//! `cargo figures`: updates the figures in the documents, or checks that they are current.

use clap::Parser;
use std::process::ExitCode;
use synod_figures::command_line::{exit, print, report};
use synod_figures::sources::{SOURCES, Source};
use synod_figures::{DOCUMENTS, Failure, read, replaced, shown, write};

#[derive(Parser)]
#[command(
    name = "cargo figures",
    about = "Runs the commands that print the figures of the documents, and updates or checks the documents",
    after_help = "\
A document shows a figure between `<!-- figure NAME -->` and `<!-- end -->`. Times are never shown, as they depend on
the machine.

`cargo test` checks the figures that it computes anyway; `cargo figures --check` checks all of them.

Exit codes: 0 success, 1 a document shows another figure (--check), 2 a figure could not be measured."
)]
struct Options {
    /// Sources or figures; all by default. --list prints their names
    names: Vec<String>,
    /// Write nothing, and exit with 1 if a document shows another figure
    #[arg(long)]
    check: bool,
    /// Print the sources with their figures and commands
    #[arg(long, conflicts_with_all = ["check", "names"])]
    list: bool,
}

fn main() -> ExitCode {
    exit(run(&Options::parse()).map(|is_current| u8::from(!is_current)))
}

/// Returns true unless a figure is out of date and only checked.
fn run(options: &Options) -> Result<bool, Failure> {
    if options.list {
        for source in SOURCES {
            print(&format!(
                "{:<15} {}\n",
                source.name,
                source.figures.join(" ")
            ))?;
            print(&format!("                {}\n", source.command))?;
        }
        return Ok(true);
    }
    let mut same = true;
    for source in chosen(&options.names)? {
        report(&format!("{}: {}", source.name, source.command));
        for (name, text) in source.measure()? {
            same &= take(name, &text, options.check)?;
        }
    }
    Ok(same || !options.check)
}

/// Returns the sources with these names, or of figures with these names.
fn chosen(names: &[String]) -> Result<Vec<Source>, Failure> {
    let knows = |source: &Source, name: &String| {
        source.name == name || source.figures.contains(&name.as_str())
    };
    let stranger = |name: &&String| !SOURCES.iter().any(|source| knows(source, name));
    if let Some(name) = names.iter().find(stranger) {
        return Err(Failure::new(format!(
            "there is no figure {name:?}; `cargo figures --list` prints the names"
        )));
    }
    let wanted = |source: &Source| names.is_empty() || names.iter().any(|name| knows(source, name));
    Ok(SOURCES.into_iter().filter(wanted).collect())
}

/// Updates or checks a figure in the documents that show it; returns true if it was current.
fn take(name: &str, text: &str, check: bool) -> Result<bool, Failure> {
    let mut same = true;
    for (document, known) in shown(name)? {
        if known != text {
            same = false;
            report(&format!(
                "{document}: {name} was{}is{}",
                around(&known),
                around(text)
            ));
        }
    }
    if !same && !check {
        for document in DOCUMENTS {
            let before = read(document)?;
            let after = replaced(&before, name, text)?;
            if after != before {
                write(document, &after)?;
            }
        }
    }
    Ok(same)
}

/// Returns a figure with the white space around it.
fn around(text: &str) -> String {
    if text.contains('\n') {
        text.to_owned()
    } else {
        format!(" {text} ")
    }
}
