//! Command line parser: the subcommands, their options, and the validation of each value.
//!
//! `clap` splits the line into options and knows their names and their help. What an option accepts
//! is decided by the parsers in `values`, which scenario files share; what depends on several
//! options is checked by each command. Its errors have several lines and hints, of which
//! [`UsageError`] makes one line of our own form.

mod check;
mod error;
mod help;
mod lists;
mod mutants;
mod replay;
mod run;
mod server;
mod shrink;
mod sweep;

#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod tests;

pub use error::UsageError;
pub(crate) use replay::command_of as replay_command;

use crate::commands;
use crate::commands::check::CheckCommand;
use crate::commands::run::{self as run_command, Colour, RunCommand};
use crate::commands::shrink::ShrinkCommand;
use crate::commands::sweep::SweepCommand;
use crate::exit::{Exit, print_error};
use crate::shell_quoting;
use clap::builder::StyledStr;
use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use core::hash::BuildHasher;
use std::ffi::OsString;
use std::hash::RandomState;
use std::io::{self, Write};

/// A parsed command, ready to be executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `synod run`: one simulation.
    Run(RunCommand),
    /// `synod sweep`: many simulations.
    Sweep(SweepCommand),
    /// `synod shrink`: reduces a failing run to a counterexample.
    Shrink(ShrinkCommand),
    /// `synod check`: model checking of small clusters, and random walks.
    Check(CheckCommand),
    /// `synod init`: writes the file of a new real cluster.
    #[cfg(feature = "server")]
    Init(commands::server::init::InitCommand),
    /// `synod certify`: makes the certificate of a node.
    #[cfg(feature = "server")]
    Certify(commands::server::certify::CertifyCommand),
    /// `synod node`: one node of a real cluster.
    #[cfg(feature = "server")]
    Node(commands::server::node::NodeCommand),
    /// `synod cluster`: a real cluster on this machine.
    #[cfg(feature = "server")]
    Cluster(commands::server::cluster::ClusterCommand),
    /// `synod judge`: judges the records of a real run.
    #[cfg(feature = "server")]
    Judge(commands::server::judge::JudgeCommand),
    /// `synod status`: the status of a real node.
    #[cfg(feature = "server")]
    Status(commands::server::status::StatusCommand),
    /// `synod members`: the members of a real cluster.
    #[cfg(feature = "server")]
    Members(commands::server::members::MembersCommand),
    /// `synod backup`: writes the keys of a real cluster into a file.
    #[cfg(feature = "server")]
    Backup(commands::server::backup::BackupCommand),
    /// `synod restore`: sets the keys of a backup in a new real cluster.
    #[cfg(feature = "server")]
    Restore(commands::server::backup::BackupCommand),
    /// `synod bench`: measures servers.
    #[cfg(feature = "server")]
    Bench(Box<commands::server::bench::BenchCommand>),
    /// `synod museum`: finds out which check catches each mutant.
    #[cfg(feature = "mutants")]
    Museum(commands::museum::MuseumCommand),
}

/// Runs the program: parses `args`, executes the command, and returns the exit status.
///
/// A command line that is invalid is reported in one line on the standard error, with exit code 2.
/// Help and version go to the standard output, with exit code 0.
pub fn main(args: impl IntoIterator<Item = OsString>) -> Exit {
    let args: Vec<_> = args.into_iter().collect();
    // Before anything is printed, as help and errors name the program.
    if let Some(program) = args.first() {
        shell_quoting::set_program(program);
    }
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    match cli.command() {
        Ok(Command::Run(command)) => run_command::run(&command),
        Ok(Command::Sweep(command)) => commands::sweep::run(&command),
        Ok(Command::Shrink(command)) => commands::shrink::shrink(&command),
        Ok(Command::Check(command)) => commands::check::check(&command),
        #[cfg(feature = "server")]
        Ok(Command::Init(command)) => commands::server::init::run(&command),
        #[cfg(feature = "server")]
        Ok(Command::Certify(command)) => commands::server::certify::run(&command),
        #[cfg(feature = "server")]
        Ok(Command::Node(command)) => commands::server::node::run(&command),
        #[cfg(feature = "server")]
        Ok(Command::Cluster(command)) => commands::server::cluster::run(&command),
        #[cfg(feature = "server")]
        Ok(Command::Judge(command)) => commands::server::judge::run(&command),
        #[cfg(feature = "server")]
        Ok(Command::Status(command)) => commands::server::status::run(&command),
        #[cfg(feature = "server")]
        Ok(Command::Members(command)) => commands::server::members::run(&command),
        #[cfg(feature = "server")]
        Ok(Command::Backup(command)) => commands::server::backup::backup(&command),
        #[cfg(feature = "server")]
        Ok(Command::Restore(command)) => commands::server::backup::restore(&command),
        #[cfg(feature = "server")]
        Ok(Command::Bench(command)) => commands::server::bench::run(&command),
        #[cfg(feature = "mutants")]
        Ok(Command::Museum(command)) => commands::museum::run(&command),
        Err(error) => {
            print_error(&error);
            Exit::Usage
        }
    }
}

/// Parses a command line whose first word is the name of the program.
///
/// # Errors
///
/// [`UsageError`] if the command line is invalid, and also if it asks for help or the version.
pub fn parse<T: Into<OsString> + Clone>(
    args: impl IntoIterator<Item = T>,
) -> Result<Command, UsageError> {
    Cli::try_parse_from(args)
        .map_err(|error| UsageError::from(&error))?
        .command()
}

/// Prints the help or the version if that was requested, and otherwise a one-line error. `clap`
/// hands all of them over as errors.
fn refuse(error: &clap::Error) -> Exit {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        return match print(&error.render()) {
            Ok(()) => Exit::Done,
            Err(error) => Exit::from_output(&error),
        };
    }
    print_error(&UsageError::from(error));
    Exit::Usage
}

/// Prints a help page, with the program's name in its examples as the user typed it. Colours follow
/// the same rules as those of the log.
fn print(page: &StyledStr) -> io::Result<()> {
    let mut stdout = io::stdout();
    let text = if Colour::Auto.is_on(&stdout) {
        page.ansi().to_string()
    } else {
        page.to_string()
    };
    stdout.write_all(shell_quoting::with_program(&text).as_bytes())?;
    stdout.flush()
}

// The words of the command line. No documentation here or at its fields, as `clap` would print it
// as help. Without a command the options are those of `run`.
#[derive(Debug, Parser)]
#[command(
    name = "synod",
    bin_name = shell_quoting::program(),
    version,
    about = help::ABOUT,
    long_about = help::LONG_ABOUT,
    after_help = help::AFTER,
    after_long_help = lists::after_long(),
    args_conflicts_with_subcommands = true,
    max_term_width = 120
)]
struct Cli {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    run: run::RunArgs,
}

// The commands. Their documentation is their help in the list of commands.
#[derive(Debug, Subcommand)]
enum Action {
    /// Runs one simulation; the default when no command is named
    #[command(
        long_about = help::LONG_ABOUT,
        after_help = help::AFTER,
        after_long_help = lists::after_long()
    )]
    Run(Box<run::RunArgs>),
    Sweep(sweep::SweepArgs),
    /// Replays a recorded run and reports whether the outcome is the same
    #[command(long_about = replay::LONG_ABOUT, after_long_help = replay::AFTER_LONG)]
    Replay(replay::ReplayArgs),
    /// Shrinks a failing run to a smaller one that fails in the same way
    #[command(long_about = shrink::LONG_ABOUT, after_long_help = shrink::AFTER_LONG)]
    Shrink(shrink::ShrinkArgs),
    /// Model checks small clusters of real nodes, and walks through larger ones at random
    Check(check::CheckArgs),
    /// Writes the file of a new real cluster
    Init(server::InitArgs),
    /// Makes the certificate of a node of a real cluster
    Certify(server::CertifyArgs),
    /// Runs one node of a real cluster, and serves Redis clients
    Node(server::NodeArgs),
    /// Runs a real cluster on this machine, one process a node, to try it out
    Cluster(server::ClusterArgs),
    /// Judges the records of a real run: whether the nodes have kept the rules of agreement
    Judge(server::JudgeArgs),
    /// Shows who leads a real cluster, how far a node is, and what is full
    Status(server::StatusArgs),
    /// Shows or changes the members of a real cluster
    Members(server::MembersArgs),
    /// Writes the keys of a real cluster into a file
    Backup(server::BackupArgs),
    /// Sets the keys of a backup in a new real cluster
    Restore(server::RestoreArgs),
    /// Measures the throughput and the latencies of servers that speak RESP
    #[cfg_attr(feature = "server", command(long_about = server::BENCH_LONG_ABOUT))]
    Bench(Box<server::BenchArgs>),
    /// Runs nodes that each contain a planted mistake, and shows which check catches it first
    #[command(hide = cfg!(not(feature = "mutants")))]
    Museum(mutants::MuseumArgs),
}

impl Cli {
    /// Returns the command, after all checks that `clap` cannot make.
    fn command(self) -> Result<Command, UsageError> {
        match self.action {
            Some(Action::Run(args)) => args.command().map(Command::Run),
            Some(Action::Sweep(args)) => args.command().map(Command::Sweep),
            Some(Action::Replay(args)) => args.command().map(Command::Run),
            Some(Action::Shrink(args)) => args.command().map(Command::Shrink),
            Some(Action::Check(args)) => args.command().map(Command::Check),
            #[cfg(feature = "server")]
            Some(Action::Init(args)) => Ok(Command::Init(args.command())),
            #[cfg(feature = "server")]
            Some(Action::Certify(args)) => Ok(Command::Certify(args.command())),
            #[cfg(feature = "server")]
            Some(Action::Node(args)) => Ok(Command::Node(args.command())),
            #[cfg(feature = "server")]
            Some(Action::Cluster(args)) => Ok(Command::Cluster(args.command())),
            #[cfg(feature = "server")]
            Some(Action::Judge(args)) => Ok(Command::Judge(args.command())),
            #[cfg(feature = "server")]
            Some(Action::Status(args)) => Ok(Command::Status(args.command())),
            #[cfg(feature = "server")]
            Some(Action::Members(args)) => Ok(Command::Members(args.command())),
            #[cfg(feature = "server")]
            Some(Action::Backup(args)) => Ok(Command::Backup(args.command())),
            #[cfg(feature = "server")]
            Some(Action::Restore(args)) => Ok(Command::Restore(args.command())),
            #[cfg(feature = "server")]
            Some(Action::Bench(args)) => args.command().map(Box::new).map(Command::Bench),
            #[cfg(not(feature = "server"))]
            Some(
                Action::Init(_)
                | Action::Certify(_)
                | Action::Node(_)
                | Action::Cluster(_)
                | Action::Judge(_)
                | Action::Status(_)
                | Action::Members(_)
                | Action::Backup(_)
                | Action::Restore(_)
                | Action::Bench(_),
            ) => Err(UsageError::without_server()),
            #[cfg(feature = "mutants")]
            Some(Action::Museum(args)) => Ok(Command::Museum(args.command())),
            #[cfg(not(feature = "mutants"))]
            Some(Action::Museum(_)) => Err(UsageError::without_mutants()),
            None => self.run.command().map(Command::Run),
        }
    }
}

/// Draws a seed from the operating system's randomness, short enough to be typed. This is the only choice that no seed
/// determines.
///
/// 24 bits are at most eight digits, and enough that two users hardly ever draw the same.
fn draw_seed() -> u64 {
    RandomState::new().hash_one(()) >> 40
}
