//! `synod check` on the command line.

use super::error::UsageError;
use super::{help, lists};
use crate::check::{Network, Scope};
use crate::commands::check::CheckCommand;
use crate::commands::run::Form;
use crate::values;
use clap::Args;
use synod::{Duration, MessageKind, Timer};

#[derive(Debug, Args)]
#[command(
    about = help::CHECK_ABOUT,
    long_about = help::CHECK_LONG_ABOUT,
    after_help = help::CHECK_AFTER,
    after_long_help = lists::check_after_long()
)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    bounds: BoundArgs,
    /// Lines for people or JSON for programs
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: Form,
}

/// What can happen.
#[derive(Debug, Args)]
#[expect(
    clippy::doc_markdown,
    reason = "the comments are the help, where backticks would be noise"
)]
#[command(next_help_heading = "The cluster, and what may happen to it")]
struct ScopeArgs {
    /// How many nodes, 1 to 5 [default: 3]
    #[arg(long, value_name = "N", value_parser = values::few_nodes, allow_hyphen_values = true)]
    nodes: Option<u16>,
    /// How many of them may claim to lead [default: 1; all with --walks]
    #[arg(long, value_name = "N", value_parser = values::few_nodes, allow_hyphen_values = true)]
    claimants: Option<u16>,
    /// How many different requests are made, 0 to 8 [default: 1; 4 with --walks]
    ///
    /// There are two clients, one at node 0 and one at node 1, who take turns. Each waits for its answer before it asks
    /// for something else.
    #[arg(long, value_name = "N", value_parser = values::few, allow_hyphen_values = true)]
    requests: Option<u8>,
    /// How often a client asks once more, at any node, 0 to 8 [default: 0; 2 with --walks]
    #[arg(long, value_name = "N", value_parser = values::few, allow_hyphen_values = true)]
    retries: Option<u8>,
    /// How many rounds of ballots, 1 to 8 [default: 1; 3 with --walks]
    #[arg(long, value_name = "N", value_parser = values::some, allow_hyphen_values = true)]
    rounds: Option<u8>,
    /// How many slots the log may grow by, 1 to 8 [default: one for each request; 6 with --walks]
    #[arg(long, value_name = "N", value_parser = values::some, allow_hyphen_values = true)]
    slots: Option<u8>,
    /// How often a node loses its power, 0 to 8 [default: 0; 2 with --walks]
    #[arg(long, value_name = "N", value_parser = values::few, allow_hyphen_values = true)]
    crashes: Option<u8>,
    /// Which timers may fire: all, or some of them by name [default: election; all with --walks]
    #[arg(long, value_name = "TIMERS", value_parser = parse_timers, allow_hyphen_values = true, long_help = lists::timers())]
    timers: Option<Timers>,
    /// Messages of which kinds are always lost: none, or some of them by name [default: decision,heartbeat,heartbeat_reply;
    /// none with --walks]
    #[arg(long, value_name = "KINDS", value_parser = parse_kinds, allow_hyphen_values = true, long_help = lists::messages())]
    lost: Option<Kinds>,
    /// How often a message may come, if it does [default: once; again with --walks]
    #[arg(long, value_name = "once|again", value_parser = parse_network, allow_hyphen_values = true)]
    network: Option<Network>,
}

/// How far it goes.
#[derive(Debug, Args)]
#[command(next_help_heading = "How far it goes")]
struct BoundArgs {
    /// Walk at random, so many times, instead of visiting every state
    #[arg(long, value_name = "N", value_parser = values::events, allow_hyphen_values = true)]
    walks: Option<u64>,
    /// The seed of the first walk; each further one has the next [default: 0]
    #[arg(long, value_name = "SEED", value_parser = values::seed, allow_negative_numbers = true)]
    seed: Option<u64>,
    /// How many steps from the start [default: no bound; 150 with --walks]
    #[arg(long, value_name = "N", value_parser = values::depth, allow_hyphen_values = true)]
    depth: Option<u32>,
    /// How many states are followed up; each different one takes memory [default: 10 million]
    #[arg(long, value_name = "N", value_parser = values::events, allow_hyphen_values = true)]
    states: Option<u64>,
    /// How long it takes at most [default: 1m]
    #[arg(long, value_name = "TIME", value_parser = values::bound, allow_hyphen_values = true)]
    time: Option<Duration>,
}

/// Timers, as asked for; a type of its own, since clap takes a `Vec` in an argument for its repetition.
#[derive(Clone, Debug)]
struct Timers(Vec<Timer>);

/// Kinds of messages, as asked for.
#[derive(Clone, Debug)]
struct Kinds(Vec<MessageKind>);

fn parse_timers(text: &str) -> Result<Timers, String> {
    values::names(text, ("all", &Timer::ALL), &Timer::ALL, Timer::name).map(Timers)
}

fn parse_kinds(text: &str) -> Result<Kinds, String> {
    values::names(text, ("none", &[]), &MessageKind::ALL, MessageKind::name).map(Kinds)
}

fn parse_network(text: &str) -> Result<Network, values::Takes> {
    match text {
        "once" => Ok(Network::Once),
        "again" => Ok(Network::Again),
        _ => Err("once or again"),
    }
}

impl CheckArgs {
    pub(super) fn command(self) -> Result<CheckCommand, UsageError> {
        let bounds = self.bounds;
        if let (Some(seed), None) = (bounds.seed, bounds.walks) {
            let takes = "a seed only with --walks, as nothing else is drawn";
            return Err(UsageError::value("--seed", &seed.to_string(), &takes));
        }
        let default =
            CheckCommand::new(bounds.walks.map(|walks| (walks, bounds.seed.unwrap_or(0))));
        Ok(CheckCommand {
            scope: self.scope.scope(default.scope)?,
            depth: bounds.depth,
            states: bounds.states.unwrap_or(default.states),
            time: bounds.time.unwrap_or(default.time),
            form: self.format,
            ..default
        })
    }
}

impl ScopeArgs {
    /// The scope, once the values have been held against each other.
    fn scope(self, default: Scope) -> Result<Scope, UsageError> {
        let nodes = self.nodes.unwrap_or(default.nodes);
        if let Some(claimants) = self.claimants.filter(|claimants| *claimants > nodes) {
            let takes = format!("at most as many as there are nodes ({nodes})");
            return Err(UsageError::value(
                "--claimants",
                &claimants.to_string(),
                &takes,
            ));
        }
        let requests = self.requests.unwrap_or(default.requests);
        let mut scope = Scope {
            nodes,
            requests,
            claimants: self
                .claimants
                .unwrap_or_else(|| default.claimants_of(nodes)),
            retries: self.retries.unwrap_or(default.retries),
            rounds: self.rounds.unwrap_or(default.rounds),
            slots: default.slots,
            crashes: self.crashes.unwrap_or(default.crashes),
            timers: self.timers.map_or(default.timers, |timers| timers.0),
            lost: self.lost.map_or(default.lost, |kinds| kinds.0),
            network: self.network.unwrap_or(default.network),
        };
        scope.slots = self.slots.unwrap_or(scope.slots.max(requests));
        Ok(scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Command, parse};

    fn check_of(line: &str) -> CheckCommand {
        match parse(line.split_whitespace()) {
            Ok(Command::Check(command)) => command,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn error_of(line: &str) -> String {
        let line = format!("synod check {line}");
        let error = parse(line.split_whitespace()).expect_err(&line);
        error.to_string()
    }

    #[test]
    fn nothing_said_is_the_small_world_and_walks_are_in_the_large_one() {
        let search = check_of("synod check");
        assert_eq!((search.scope, search.walks), (Scope::small(), None));
        let walks = check_of("synod check --walks 9");
        assert_eq!((walks.scope, walks.walks), (Scope::large(), Some((9, 0))));
    }

    #[test]
    fn every_option_arrives_and_the_shortest_command_names_it() {
        for line in [
            "synod check",
            "synod check --nodes 5 --claimants 3 --requests 2 --retries 1 --rounds 2 --slots 3 --crashes 1 \
             --timers election,learn --lost none --network again --depth 9 --states 1000 --time 90s",
            "synod check --nodes 2 --requests 2",
            "synod check --timers all --lost welcome,probe",
            "synod check --walks 1 --seed 57",
            "synod check --nodes 2 --slots 1 --timers election --lost heartbeat --network once --walks 9",
        ] {
            assert_eq!(check_of(line).command(), line);
        }
        let command = check_of("synod check --lost heartbeat,decision --requests 3");
        assert_eq!(
            command.scope.lost,
            [MessageKind::Decision, MessageKind::Heartbeat]
        );
        assert_eq!(command.scope.slots, 3, "a slot for each request");
        let five = check_of("synod check --nodes 5 --walks 1").scope;
        assert_eq!(five.claimants, 5, "everybody");
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (line, part) in [
            (
                "--nodes 6",
                "--nodes got '6', but takes a whole number from 1 to 5",
            ),
            (
                "--nodes 2 --claimants 3",
                "at most as many as there are nodes (2)",
            ),
            ("--rounds 0", "a whole number from 1 to 8"),
            ("--crashes 9", "a whole number from 0 to 8"),
            (
                "--timers scout,tea",
                "all, or with commas between them some of join, election,",
            ),
            ("--timers none", "all, or"),
            (
                "--lost heartbeats",
                "none, or with commas between them some of join, welcome,",
            ),
            ("--network never", "once or again"),
            ("--depth 0", "a whole number from 1 to 1000000"),
            (
                "--seed 6",
                "--seed got '6', but takes a seed only with --walks",
            ),
            ("6", "there is no argument '6' here"),
        ] {
            let error = error_of(line);
            assert!(
                error.contains(part) && !error.contains('\n'),
                "{line}: {error}"
            );
        }
    }
}
