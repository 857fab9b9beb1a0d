//! `cargo boards`: three boards by hand.

use clap::{Parser, ValueEnum};
use core::hash::{BuildHasher, Hasher};
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::hash::RandomState;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{self, Sender};
use std::thread;
use synod_boards::Failure;
use synod_boards::interactive::{ByHand, Colour, Command, HELP, Screen, Settings};

/// The exit code where something that was said was not done.
const UNDONE: u8 = 1;
/// The exit code where something that was said is no command, or the boards cannot be started.
const USAGE: u8 = 2;
/// The exit code where somebody pressed Ctrl-C, as shells have it.
const INTERRUPTED: u8 = 130;

#[derive(Parser)]
#[command(
    name = "cargo boards",
    about = "Three boards by hand: a microbit (0), an lm3s6965evb (1) and an mps2-an386 (2) under QEMU, on one serial line",
    after_help = after_help()
)]
struct Options {
    /// Keep flash in this folder, and go on from it next time; without it the boards are new each time
    #[arg(long, value_name = "FOLDER")]
    flash: Option<PathBuf>,
    /// How many seconds a command may take before it is withdrawn
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    patience: u64,
    /// Whether lines have their board's colour; auto heeds the environment
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        help = "Whether lines have their board's colour; auto heeds NO_COLOR and CLICOLOR_FORCE"
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
Builds the program `node` of examples/firmware for each board (the first time takes some minutes), starts the boards,
shows what they log, and does what it reads, a line at a time. BOARD is 0, 1 or 2:

{HELP}

Lines may also come from a file or a pipe; what begins with # is passed over. Each is answered before the next one is
read, so that the output is an account:

  printf 'set speed 7\\nkill 0\\nget speed\\nrestart 1\\nstatus\\n' | cargo boards

What is missing is named, with the command that installs it:
  apt-get install -y qemu-system-arm
  rustup target add thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf

Exit codes: 0 everything was done, 1 something was not (the rest was tried all the same), 2 the boards cannot be
started, or input that is no terminal had a line that is no command (nothing after it was done), 130 Ctrl-C."
    )
}

/// What reaches the loop.
enum Input {
    Line(String),
    Interrupted,
    End,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            // There is nobody else to tell.
            let _ = writeln!(io::stderr(), "{failure}");
            ExitCode::from(USAGE)
        }
    }
}

fn run(options: &Options) -> Result<u8, Failure> {
    let is_terminal = io::stdin().is_terminal();
    let _ = writeln!(io::stderr(), "building the images");
    let mut boards = ByHand::start(&Settings {
        patience: Duration::from_secs(options.patience),
        flash: options.flash.clone(),
        colour: match options.color {
            When::Auto => Colour::Auto,
            When::Always => Colour::Always,
            When::Never => Colour::Never,
        },
        // Keyed by the operating system.
        nonce: RandomState::new().build_hasher().finish(),
    })?;
    let screen = boards.screen();
    if is_terminal {
        screen.say("three boards run: say help, or quit");
    }
    let (sender, inputs) = mpsc::channel();
    let (interrupted, stop) = (sender.clone(), boards.stop());
    ctrlc::set_handler(move || {
        stop.store(true, Ordering::Relaxed);
        let _ = interrupted.send(Input::Interrupted);
    })
    .map_err(|error| Failure::new(format!("Ctrl-C cannot be caught: {error}")))?;
    thread::spawn(move || read(&sender));
    let mut account = Account::default();
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

/// Hands over lines until there are no more.
fn read(inputs: &Sender<Input>) {
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        if inputs.send(Input::Line(line)).is_err() {
            return;
        }
    }
    let _ = inputs.send(Input::End);
}

/// What was done of what was said.
#[derive(Default)]
struct Account {
    done: u32,
    undone: u32,
}

impl Account {
    fn run(&mut self, boards: &mut ByHand, line: &str, command: Command, is_terminal: bool) {
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
                self.undone += 1;
                screen.say(format_args!("not done: {failure}"));
            }
        }
    }

    /// Says how many were done, where nobody saw each; the exit code.
    fn close(&self, screen: Screen, is_terminal: bool) -> u8 {
        if is_terminal {
            return 0;
        }
        screen.say(format_args!("{} done, {} not done", self.done, self.undone));
        if self.undone > 0 { UNDONE } else { 0 }
    }
}
