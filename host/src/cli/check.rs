//! Command line of `synod check`.

use super::error::UsageError;
use super::{help, lists, mutants};
use crate::check::{Network, Scope};
use crate::commands::check::{CheckCommand, Part, node_numbers};
use crate::commands::run::OutputFormat;
use crate::values;
use clap::Args;
use synod::{Duration, MessageKind, NodeSet, Timer};

// No documentation of the type, as `clap` would print it as the description of the command.
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
    /// Plant this mistake in every node: see 'synod museum'
    #[arg(long, value_name = "NAME", value_parser = mutants::mutant, hide = cfg!(not(feature = "mutants")), long_help = mutants::help())]
    mutant: Option<mutants::Mutant>,
    /// Output format: text for people, or JSON, one object in all
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: OutputFormat,
}

/// Options of the world: the cluster and the actions that may happen to it.
#[derive(Debug, Args)]
#[expect(
    clippy::doc_markdown,
    reason = "clap prints these comments as help, where backticks would be noise"
)]
#[command(next_help_heading = "World: the cluster and its actions")]
struct ScopeArgs {
    /// Number of nodes, 1 to 5 [default: 3]
    #[arg(long, value_name = "N", value_parser = values::small_cluster, allow_hyphen_values = true)]
    nodes: Option<u16>,
    /// Number of founding nodes, from node 0 on, 1 to the number of nodes; the others have joined as learners [default:
    /// all; all but one with --walks]
    #[arg(long, value_name = "N", value_parser = values::small_cluster, allow_hyphen_values = true)]
    founders: Option<u16>,
    /// Number of nodes that may claim a ballot, 1 to the number of nodes [default: 1; all with --walks]
    #[arg(long, value_name = "N", value_parser = values::small_cluster, allow_hyphen_values = true)]
    claimants: Option<u16>,
    /// Number of distinct requests, 0 to 8 [default: 1; 4 with --walks]
    ///
    /// Two clients, one at node 0 and one at node 1, take turns. Each waits for the answer to its request before its
    /// next one.
    #[arg(long, value_name = "N", value_parser = values::small_count, allow_hyphen_values = true)]
    requests: Option<u8>,
    /// Number of times a client repeats a request, at any node, 0 to 8 [default: 0; 2 with --walks]
    #[arg(long, value_name = "N", value_parser = values::small_count, allow_hyphen_values = true)]
    retries: Option<u8>,
    /// Number of times a client reads the state of a node without a slot of the log, at any node, 0 to 8 [default: 0]
    #[arg(long, value_name = "N", value_parser = values::small_count, allow_hyphen_values = true)]
    reads: Option<u8>,
    /// Number of times an operator asks for the change of the members, at any founding node, 0 to 8 [default: 0; 1 with
    /// --walks]
    ///
    /// It is the same change each time, and takes effect once at most.
    #[arg(long, value_name = "N", value_parser = values::small_count, allow_hyphen_values = true)]
    changes: Option<u8>,
    /// Members after the change: numbers of nodes with commas between them [default: the nodes that did not found the
    /// cluster take the places of the last founding ones; if there are none, the last node leaves]
    #[arg(long, value_name = "NODES", value_parser = parse_members, allow_hyphen_values = true)]
    members: Option<NodeSet>,
    /// Number of rounds of ballots in each epoch, in the first one above the founding round, 1 to 8 [default: 1; 3 with --walks]
    #[arg(long, value_name = "N", value_parser = values::small_count_from_one, allow_hyphen_values = true)]
    rounds: Option<u8>,
    /// Number of slots the log may grow by, 1 to 8 [default: one for each request; 6 with --walks]
    #[arg(long, value_name = "N", value_parser = values::small_count_from_one, allow_hyphen_values = true)]
    slots: Option<u8>,
    /// Number of times a node loses power and restarts, 0 to 8 [default: 0; 2 with --walks]
    #[arg(long, value_name = "N", value_parser = values::small_count, allow_hyphen_values = true)]
    crashes: Option<u8>,
    /// Timers that may fire: all, or names with commas between them [default: election; all with --walks]
    #[arg(long, value_name = "TIMERS", value_parser = parse_timers, allow_hyphen_values = true, long_help = lists::timers())]
    timers: Option<Timers>,
    /// Kinds of messages that are always lost: none, or names with commas between them [default:
    /// decision,heartbeat,heartbeat_reply; none with --walks]
    #[arg(long, value_name = "KINDS", value_parser = parse_kinds, allow_hyphen_values = true, long_help = lists::messages())]
    lost: Option<Kinds>,
    /// Whether a message may be delivered at most once, or again and again [default: once; again with --walks]
    #[arg(long, value_name = "once|again", value_parser = parse_network, allow_hyphen_values = true)]
    network: Option<Network>,
}

/// Options that bound the exploration.
#[derive(Debug, Args)]
#[command(next_help_heading = "Bounds")]
struct BoundArgs {
    /// Make this many random walks through the world, at least 1, instead of visiting every state
    #[arg(long, value_name = "N", value_parser = values::events, allow_hyphen_values = true)]
    walks: Option<u64>,
    /// Make this many random walks under drawn network conditions, at least 1: 2 to 5 nodes with clocks, from the
    /// founding on
    #[arg(long, value_name = "N", value_parser = values::events, allow_hyphen_values = true, conflicts_with = "walks")]
    storms: Option<u64>,
    /// Seed of the first walk, 0 to 18446744073709551615; each further walk has the next one [default: 0]
    #[arg(long, value_name = "SEED", value_parser = values::seed, allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Number of steps from the initial state, 1 to 1000000 [default: no bound; 150 with --walks]
    #[arg(long, value_name = "N", value_parser = values::depth, allow_hyphen_values = true)]
    depth: Option<u32>,
    /// Number of distinct states to expand in a world, at least 1; each takes memory [default: 10 million]
    #[arg(long, value_name = "N", value_parser = values::events, allow_hyphen_values = true)]
    states: Option<u64>,
    /// Time budget, above 0, such as 90s or 10m [default: 1m; 5m for all parts]
    #[arg(long, value_name = "TIME", value_parser = values::time_limit, allow_hyphen_values = true)]
    time: Option<Duration>,
}

/// A list of timers. A type of its own, because clap treats a `Vec` as a repeated argument.
#[derive(Clone, Debug)]
struct Timers(Vec<Timer>);

/// A list of kinds of messages.
#[derive(Clone, Debug)]
struct Kinds(Vec<MessageKind>);

/// Parses the value of `--timers`.
fn parse_timers(text: &str) -> Result<Timers, String> {
    values::names(text, ("all", &Timer::ALL), &Timer::ALL, Timer::name).map(Timers)
}

/// Parses the value of `--lost`.
fn parse_kinds(text: &str) -> Result<Kinds, String> {
    values::names(text, ("none", &[]), &MessageKind::ALL, MessageKind::name).map(Kinds)
}

/// Parses the value of `--members`.
fn parse_members(text: &str) -> Result<NodeSet, values::Expected> {
    let members = text.split(',').map(values::small_node);
    let members: Option<NodeSet> = members
        .map(Result::ok)
        .collect::<Option<Vec<_>>>()
        .map(|members| members.into_iter().collect());
    members.ok_or("numbers of nodes from 0 to 4, with commas between them")
}

/// Parses the value of `--network`.
fn parse_network(text: &str) -> Result<Network, values::Expected> {
    match text {
        "once" => Ok(Network::Once),
        "again" => Ok(Network::Again),
        _ => Err("once or again"),
    }
}

impl CheckArgs {
    /// Returns the command. Defaults depend on the part: one alone has less time than all of them.
    pub(super) fn command(self) -> Result<CheckCommand, UsageError> {
        let part = self.part()?;
        let bounds = self.bounds;
        let default = CheckCommand::new(part);
        Ok(CheckCommand {
            depth: bounds.depth,
            states: bounds.states.unwrap_or(default.states),
            time: bounds.time.unwrap_or(default.time),
            mutant: self.mutant,
            form: self.format,
            ..default
        })
    }

    /// Returns the part to explore, or `None` for all parts if no option selects one. Any option of
    /// the world selects one, also `--depth`, as a bound on the depth of walks under drawn
    /// conditions has no meaning.
    fn part(&self) -> Result<Option<Part>, UsageError> {
        let bounds = &self.bounds;
        let count = bounds.walks.or(bounds.storms);
        // Walks have consecutive seeds, so that the same command makes the same walks.
        let first = bounds.seed.unwrap_or(0);
        match count {
            None => {
                if let Some(seed) = bounds.seed {
                    let takes = "a seed only with --walks or --storms; nothing else is random";
                    return Err(UsageError::value("--seed", &seed.to_string(), &takes));
                }
            }
            // The last walk must have a seed, too.
            Some(count) if first.checked_add(count - 1).is_none() => {
                let most = u64::MAX - (count - 1);
                let takes = format!("at most {most}, so that {count} seeds follow");
                return Err(UsageError::value("--seed", &first.to_string(), &takes));
            }
            Some(_) => {}
        }
        if let Some(count) = bounds.storms {
            if let Some(option) = self.scope.first().or(bounds.depth.map(|_| "--depth")) {
                return Err(UsageError::alone(
                    option,
                    "a world; --storms draws its clusters from the seed",
                ));
            }
            return Ok(Some(Part::Storms(count, first)));
        }
        if let Some(count) = bounds.walks {
            let scope = self.scope.scope(Scope::large())?;
            return Ok(Some(Part::Walks(scope, count, first)));
        }
        // A time budget alone selects nothing: it gives all parts more time.
        if self.scope.first().is_none() && bounds.depth.is_none() {
            return Ok(None);
        }
        Ok(Some(Part::World(self.scope.scope(Scope::small())?)))
    }
}

impl ScopeArgs {
    /// Returns the name of the first of these options that was given.
    fn first(&self) -> Option<&'static str> {
        let given = [
            ("--nodes", self.nodes.is_some()),
            ("--founders", self.founders.is_some()),
            ("--claimants", self.claimants.is_some()),
            ("--requests", self.requests.is_some()),
            ("--retries", self.retries.is_some()),
            ("--reads", self.reads.is_some()),
            ("--changes", self.changes.is_some()),
            ("--members", self.members.is_some()),
            ("--rounds", self.rounds.is_some()),
            ("--slots", self.slots.is_some()),
            ("--crashes", self.crashes.is_some()),
            ("--timers", self.timers.is_some()),
            ("--lost", self.lost.is_some()),
            ("--network", self.network.is_some()),
        ];
        let mut given = given.into_iter().filter(|(_, given)| *given);
        given.next().map(|(name, _)| name)
    }

    /// Returns the scope, after checks of values that depend on each other.
    fn scope(&self, default: Scope) -> Result<Scope, UsageError> {
        let nodes = self.nodes.unwrap_or(default.nodes);
        for (option, number) in [
            ("--founders", self.founders),
            ("--claimants", self.claimants),
        ] {
            if let Some(number) = number.filter(|number| *number > nodes) {
                let takes = format!("at most as many as there are nodes ({nodes})");
                return Err(UsageError::value(option, &number.to_string(), &takes));
            }
        }
        if let Some(members) = self.members
            && !members.minus(NodeSet::first(nodes)).is_empty()
        {
            let takes = format!("only nodes that there are, from 0 to {}", nodes - 1);
            return Err(UsageError::value(
                "--members",
                &node_numbers(members),
                &takes,
            ));
        }
        let requests = self.requests.unwrap_or(default.requests);
        let mut scope = Scope {
            nodes,
            newcomers: self
                .founders
                .map_or_else(|| default.newcomers_of(nodes), |founders| nodes - founders),
            requests,
            claimants: self
                .claimants
                .unwrap_or_else(|| default.claimants_of(nodes)),
            retries: self.retries.unwrap_or(default.retries),
            reads: self.reads.unwrap_or(default.reads),
            changes: self.changes.unwrap_or(default.changes),
            members: None,
            rounds: self.rounds.unwrap_or(default.rounds),
            slots: default.slots,
            crashes: self.crashes.unwrap_or(default.crashes),
            timers: self
                .timers
                .as_ref()
                .map_or(default.timers, |timers| timers.0.clone()),
            lost: self
                .lost
                .as_ref()
                .map_or(default.lost, |kinds| kinds.0.clone()),
            network: self.network.unwrap_or(default.network),
        };
        // The members that follow from the other options are not noted, so that equal worlds are equal.
        let usual = scope.members();
        scope.members = self.members.filter(|members| *members != usual);
        // A log that could not hold the requests and a change would make most of the scope unreachable.
        scope.slots = self.slots.unwrap_or(scope.slots_of(default.slots));
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

    fn world_of(line: &str) -> Scope {
        match check_of(line).part {
            Some(Part::World(scope) | Part::Walks(scope, ..)) => scope,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn no_option_explores_all_parts_and_a_world_option_explores_that_world() {
        assert_eq!(check_of("synod check").part, None);
        assert_eq!(check_of("synod check --time 9m --states 7").part, None);
        for small in ["synod check --nodes 3", "synod check --depth 4"] {
            assert_eq!(world_of(small), Scope::small(), "{small}");
        }
        let walks = check_of("synod check --walks 9");
        assert_eq!(walks.part, Some(Part::Walks(Scope::large(), 9, 0)));
        let storms = check_of("synod check --storms 9 --seed 4");
        assert_eq!(storms.part, Some(Part::Storms(9, 4)));
    }

    #[test]
    fn every_option_is_parsed_and_appears_in_the_shortest_command() {
        for line in [
            "synod check",
            "synod check --time 600s",
            "synod check --nodes 5 --claimants 3 --requests 2 --retries 1 --reads 1 --rounds 2 --slots 3 --crashes 1 \
             --timers election,learn --lost none --network again --depth 9 --states 1000 --time 90s",
            "synod check --nodes 4 --founders 3 --changes 2 --slots 4 --members 0,3",
            "synod check --founders 2 --changes 1",
            "synod check --nodes 5 --founders 5 --changes 0 --walks 3",
            "synod check --nodes 3 --founders 3 --reads 4 --changes 0 --walks 1000",
            "synod check --nodes 2 --requests 2",
            "synod check --nodes 3",
            "synod check --timers all --lost welcome,probe",
            "synod check --walks 1 --seed 57",
            "synod check --walks 1 --seed 18446744073709551615",
            "synod check --storms 3 --seed 57 --time 300s",
            "synod check --nodes 2 --slots 1 --timers election --lost heartbeat --network once --walks 9",
        ] {
            assert_eq!(check_of(line).command(), line);
        }
        let scope = world_of("synod check --lost heartbeat,decision --requests 3");
        assert_eq!(scope.lost, [MessageKind::Decision, MessageKind::Heartbeat]);
        assert_eq!(scope.slots, 3, "a slot for each request");
        let five = world_of("synod check --nodes 5 --walks 1");
        assert_eq!((five.claimants, five.newcomers), (5, 1), "all nodes");
        let changes = world_of("synod check --founders 2 --changes 1 --members 2,0");
        assert_eq!(
            (changes.slots, changes.members),
            (2, None),
            "the usual change"
        );
    }

    #[test]
    fn invalid_options_are_named_in_the_error() {
        for (line, part) in [
            (
                "--nodes 6",
                "--nodes got '6', but takes a whole number from 1 to 5",
            ),
            (
                "--nodes 2 --claimants 3",
                "at most as many as there are nodes (2)",
            ),
            (
                "--nodes 2 --founders 3",
                "at most as many as there are nodes (2)",
            ),
            (
                "--members 0,3",
                "--members got '0,3', but takes only nodes that there are, from 0 to 2",
            ),
            (
                "--members 0;1",
                "numbers of nodes from 0 to 4, with commas between them",
            ),
            ("--rounds 0", "a whole number from 1 to 8"),
            ("--crashes 9", "a whole number from 0 to 8"),
            ("--reads 9", "a whole number from 0 to 8"),
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
            (
                "--walks 3 --seed 18446744073709551615",
                "at most 18446744073709551613, so that 3 seeds follow",
            ),
            (
                "--storms 2 --seed 18446744073709551615",
                "at most 18446744073709551614, so that 2 seeds follow",
            ),
            ("--storms 3 --nodes 3", "--nodes needs a world"),
            ("--storms 3 --depth 3", "--depth needs a world"),
            ("--storms 3 --walks 3", "--walks"),
            ("--walks 0", "a whole number from 1"),
            ("--storms 0", "a whole number from 1"),
            ("--claimants 0", "a whole number from 1 to 5"),
            ("--time 0s", "a duration above zero"),
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
