//! `cargo figures`: writes the figures of the documents anew, or looks whether they are still true.

use clap::Parser;
use std::io::{self, Write};
use std::process::ExitCode;
use synod_figures::sources::{SOURCES, Source};
use synod_figures::{DOCUMENTS, Failure, read, replaced, shown, write};

#[derive(Parser)]
#[command(
    name = "cargo figures",
    about = "Runs the commands whose figures the documents show, and writes what they print",
    after_help = "\
A document shows a figure between `<!-- figure NAME -->` and `<!-- end -->`. Times are never shown, as they are one
machine's.

`cargo test` compares what it knows anyway; `cargo figures --check` compares all of it.

Exit codes: 0 done, 1 a document shows another figure (--check), 2 something could not be measured."
)]
struct Options {
    /// Which sources or figures; everything, if nothing is named. --list has their names
    names: Vec<String>,
    /// Write nothing, and exit with 1 where a document shows another figure
    #[arg(long)]
    check: bool,
    /// Print the sources with their figures and commands
    #[arg(long, conflicts_with_all = ["check", "names"])]
    list: bool,
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

fn run(options: &Options) -> Result<bool, Failure> {
    if options.list {
        for source in SOURCES {
            print(&format!(
                "{:<8} {}\n",
                source.name,
                source.figures.join(" ")
            ))?;
            print(&format!("         {}\n", source.command))?;
        }
        return Ok(true);
    }
    let mut same = true;
    for source in chosen(&options.names)? {
        say(&format!("{}: {}", source.name, source.command));
        for (name, text) in source.measure()? {
            same &= take(name, &text, options.check)?;
        }
    }
    Ok(same || !options.check)
}

/// The sources of these names, or of figures of these names.
fn chosen(names: &[String]) -> Result<Vec<Source>, Failure> {
    let knows = |source: &Source, name: &String| {
        source.name == name || source.figures.contains(&name.as_str())
    };
    let stranger = |name: &&String| !SOURCES.iter().any(|source| knows(source, name));
    if let Some(name) = names.iter().find(stranger) {
        return Err(Failure::new(format!(
            "there is no figure {name:?}; `cargo figures --list` has those that there are"
        )));
    }
    let wanted = |source: &Source| names.is_empty() || names.iter().any(|name| knows(source, name));
    Ok(SOURCES.into_iter().filter(wanted).collect())
}

/// Writes a figure into the documents that show it, or compares it; whether it was the same.
fn take(name: &str, text: &str, check: bool) -> Result<bool, Failure> {
    let mut same = true;
    for (document, known) in shown(name)? {
        if known != text {
            same = false;
            say(&format!(
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

/// A figure in a sentence, or below it.
fn around(text: &str) -> String {
    if text.contains('\n') {
        text.to_owned()
    } else {
        format!(" {text} ")
    }
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .map_err(|error| Failure::new(format!("the list was cut: {error}")))
}

/// What is under way, and what is wrong.
fn say(sentence: &str) {
    // There is nobody else to tell.
    let _ = writeln!(io::stderr(), "{sentence}");
}
