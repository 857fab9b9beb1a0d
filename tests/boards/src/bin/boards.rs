//! `cargo boards`: an interactive cluster of three boards under QEMU.

use clap::{Parser, ValueEnum};
use core::hash::{BuildHasher, Hasher};
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::hash::RandomState;
use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{self, Sender};
use std::thread;
use synod_boards::Failure;
use synod_boards::interactive::{Colour, Command, Console, HELP, Screen, Settings};
use synod_figures::command_line::{exit, report};

/// The exit code if a command failed.
const COMMAND_FAILED: u8 = 1;
/// The exit code after Ctrl-C, by the convention of shells.
const INTERRUPTED: u8 = 130;

#[derive(Parser)]
#[command(
    name = "cargo boards",
    about = "Runs an interactive cluster of three boards under QEMU, on one serial line: a microbit (0), an lm3s6965evb (1) and an mps2-an386 (2)",
    after_help = after_help()
)]
struct Options {
    /// Keep the boards' flash in this folder and continue from it next time; without it, the boards start with new
    /// flash
    #[arg(long, value_name = "FOLDER")]
    flash: Option<PathBuf>,
    /// Seconds after which an unanswered command is withdrawn
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    patience: u64,
    /// When to colour the lines of each board; auto respects the environment
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        help = "When to colour the lines of each board; auto respects NO_COLOR and CLICOLOR_FORCE"
    )]
    color: When,
}

#[derive(Clone, Copy, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

fn after_help() -> String {
    format!(
        "\
Builds the program `node` of examples/firmware for each board (some minutes the first time), starts the boards, prints
their logs, and executes commands, one a line. BOARD is 0, 1 or 2, or the number of a board that replace has added:

{HELP}

Commands may also come from a file or a pipe; # begins a comment. Each command is completed before the next one is
read, so the output is a transcript:

  printf 'set speed 7\\nkill 0\\nget speed\\nrestart 1\\nstatus\\n' | cargo boards

A missing tool is reported with the command that installs it:
  apt-get install -y qemu-system-arm
  rustup target add thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf

Exit codes: 0 every command succeeded, 1 a command failed (those after it were executed), 2 the boards cannot be started,
or a line of a file or pipe is not a command (those after it were not executed), 130 Ctrl-C."
    )
}

/// An event of the main loop.
enum Input {
    Line(String),
    Interrupted,
    End,
}

fn main() -> ExitCode {
    exit(run(&Options::parse()))
}

fn run(options: &Options) -> Result<u8, Failure> {
    let is_terminal = io::stdin().is_terminal();
    report("building the images");
    let mut boards = Console::start(&Settings {
        patience: Duration::from_secs(options.patience),
        flash: options.flash.clone(),
        colour: match options.color {
            When::Auto => Colour::Auto,
            When::Always => Colour::Always,
            When::Never => Colour::Never,
        },
        // Randomly keyed by the operating system.
        nonce: RandomState::new().build_hasher().finish(),
    })?;
    let screen = boards.screen();
    if is_terminal {
        screen.say("three boards are running; enter help for the commands");
    }
    let (sender, inputs) = mpsc::channel();
    let (interrupted, stop) = (sender.clone(), boards.stop());
    ctrlc::set_handler(move || {
        stop.store(true, Ordering::Relaxed);
        let _ = interrupted.send(Input::Interrupted);
    })
    .map_err(|error| Failure::new(format!("Ctrl-C cannot be caught: {error}")))?;
    thread::spawn(move || read(&sender));
    let mut account = Summary::default();
    for input in inputs {
        let line = match input {
            Input::Line(line) => line,
            Input::Interrupted => return Ok(INTERRUPTED),
            Input::End => break,
        };
        match Command::parse(&line) {
            Ok(None) => {}
            Ok(Some(command)) => {
                account.run(&mut boards, &line, command, is_terminal);
                if boards.stop().load(Ordering::Relaxed) {
                    return Ok(INTERRUPTED);
                }
                if command == Command::Quit {
                    break;
                }
            }
            Err(error) if is_terminal => screen.say(error),
            Err(error) => return Err(Failure::new(format!("{line}: {error}"))),
        }
    }
    Ok(account.close(screen, is_terminal))
}

/// Sends each input line to the main loop.
fn read(inputs: &Sender<Input>) {
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        if inputs.send(Input::Line(line)).is_err() {
            return;
        }
    }
    let _ = inputs.send(Input::End);
}

/// The numbers of commands that succeeded and failed.
#[derive(Default)]
struct Summary {
    done: u32,
    failed: u32,
}

impl Summary {
    fn run(&mut self, boards: &mut Console, line: &str, command: Command, is_terminal: bool) {
        let screen = boards.screen();
        if !is_terminal {
            screen.say(format_args!("> {}", line.trim()));
        }
        match boards.run(command) {
            Ok(said) => {
                self.done += 1;
                if command == Command::Help {
                    screen.line(said);
                } else {
                    screen.say(said);
                }
            }
            Err(failure) => {
                self.failed += 1;
                screen.say(format_args!("not done: {failure}"));
            }
        }
    }

    /// Prints the numbers, unless the input is a terminal, and returns the exit code.
    fn close(&self, screen: Screen, is_terminal: bool) -> u8 {
        if is_terminal {
            return 0;
        }
        screen.say(format_args!("{} done, {} not done", self.done, self.failed));
        if self.failed > 0 { COMMAND_FAILED } else { 0 }
    }
}
