//! Command line of `synod run`.

use super::error::UsageError;
use super::{draw_seed, lists, mutants, sweep};
use crate::case::Outcome;
use crate::commands::run::{Colour, OutputFormat, RunCommand, Subject};
use crate::data::Data;
use crate::log::{Filter, Level};
use crate::membership::PlannedChange;
use crate::mutant;
use crate::options::{Machine, Options};
use crate::values;
use clap::Args;
use core::ops::RangeInclusive;
use std::path::PathBuf;
use synod::simulation::{KILLS_MAX, Kill, PLAN_MAX, Placement, Target};
use synod::{Duration, NODES_MAX, NodeId, NodeSet, Role};

// No documentation of the type, as `clap` would print it as the description of the command.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Seed of all random choices, 0 to 18446744073709551615 [default: drawn at random and printed first]
    #[arg(value_parser = values::seed, allow_negative_numbers = true)]
    seed: Option<u64>,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    case: sweep::CaseArgs,
    /// Record the fate of each message in this file, for 'synod replay' and 'synod shrink'; needs --faults or
    /// --scenario
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Keep the durable state of all nodes in this directory, and continue where an earlier run stopped
    ///
    /// The directory has one file for each node and one for the clients. The process may be killed at any instant: no
    /// answer that was shown is lost. A new directory founds a new cluster; later runs must use the same number of
    /// nodes and the same machine. Files that are inconsistent with each other, such as older copies of some of them,
    /// are refused.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["faults", "scenario", "record", "verify", "mutant"])]
    data: Option<PathBuf>,
    /// Restart a node whose file in --data is missing or damaged as a learner, which never votes; can be repeated
    #[arg(long, value_name = "NODE", value_parser = values::node, allow_hyphen_values = true, requires = "data")]
    learner: Vec<NodeId>,
    /// Replace a node whose file in --data is missing or damaged by a new one, which will vote; can be repeated
    ///
    /// The new node gets the next free number and joins with empty storage. Once it has caught up, it becomes a member
    /// and the lost one is removed, in one step. Later runs start the new node and never the lost one, whose number is
    /// not used again. A majority of the members must be left.
    #[arg(long, value_name = "NODE", value_parser = values::node, allow_hyphen_values = true, requires = "data")]
    replace: Vec<NodeId>,
    #[command(flatten)]
    show: ShowArgs,
}

/// Options that determine the trace of a run.
#[derive(Debug, Args)]
#[expect(
    clippy::doc_markdown,
    reason = "clap prints these comments as help, where backticks would be noise"
)]
#[command(next_help_heading = "Cluster and network")]
struct ClusterArgs {
    /// Number of nodes that found the cluster, 1 to 64 [default: 14]
    #[arg(long, value_name = "N", value_parser = values::nodes, allow_hyphen_values = true)]
    nodes: Option<u16>,
    /// Share of messages that are lost, 0% to 100%, such as 5% or 0.5% [default: 5%]
    #[arg(long, value_name = "PERCENT", value_parser = values::percent, allow_hyphen_values = true)]
    loss: Option<u32>,
    /// Mean delay of a message, 0 to 24h [default: 30ms]
    #[arg(long, value_name = "TIME", value_parser = values::delay, allow_hyphen_values = true)]
    delay: Option<Duration>,
    /// Greatest deviation from the delay, up or down; at most the delay and at most 35m [default: 20ms, or the delay if
    /// that is less]
    #[arg(long, value_name = "TIME", value_parser = values::duration, allow_hyphen_values = true)]
    jitter: Option<Duration>,
    /// Crash a node for good: 3@1s, NODE_3@1.5s, or leader@800ms for the leader at that time; up to 8 times
    ///
    /// If no node leads at that time, the next leader is crashed. Clients of a crashed node continue at the next live
    /// one.
    #[arg(long, value_name = "NODE@TIME", value_parser = values::kill, allow_hyphen_values = true)]
    kill: Vec<Kill>,
    /// Change the members: 2s:+4-1 adds node 4 and removes node 1, in one step, from that time on; can be repeated
    ///
    /// --nodes is the number of nodes that found the cluster. A node that a change adds runs from the beginning, as a
    /// learner, and so does every number below it; it votes once the change is decided. A removed node votes no more,
    /// and its number is never used again. The change is asked for until it has taken effect: a leader takes it only
    /// when a majority of the new members has caught up.
    #[arg(long, value_name = "TIME:+N-N", value_parser = values::change, allow_hyphen_values = true)]
    change: Vec<PlannedChange>,
    /// Replicated state machine: a key-value store or a bank
    #[arg(long, value_name = "MACHINE", value_enum, default_value_t)]
    machine: Machine,
    /// Number of clients, 1 to 64 [default: 11]
    #[arg(long, value_name = "N", value_parser = values::clients, allow_hyphen_values = true)]
    clients: Option<u16>,
    /// Number of requests of each client, 1 to 4294967294 [default: 11]
    #[arg(long, value_name = "N", value_parser = values::requests, allow_hyphen_values = true)]
    requests: Option<u32>,
    /// Node that the clients are on: the last one, spread over all, or a given node [default: last]
    #[arg(long, value_name = "last|spread|NODE", value_parser = parse_place, allow_hyphen_values = true)]
    place: Option<Place>,
    /// Have clients read the state of their node, without a slot of the log, for every other command that changes nothing
    ///
    /// The node asks the leader up to where the log is decided, waits until it has applied that, and lets its client look.
    /// The log shows the messages read_index, confirm, confirmed and read_index_reply.
    #[arg(long, conflicts_with = "data")]
    reads: bool,
    /// Stop after this much simulated time, above 0 and at most 1000000h
    ///
    /// [default: 2m; with delays above 50 ms or more than 60 requests for each client: 40 times the longest delay for
    /// each request of a client]
    #[arg(long, value_name = "TIME", value_parser = values::until, allow_hyphen_values = true)]
    until: Option<Duration>,
    /// Stop after this many events, at least 1
    ///
    /// [default: 10 million; with more than 1,000 requests in all: 10,000 for each]
    #[arg(long, value_name = "N", value_parser = values::events, allow_hyphen_values = true)]
    events: Option<u64>,
    /// Plant this mistake in every node: see 'synod museum'
    #[arg(long, value_name = "NAME", value_parser = mutants::mutant, hide = cfg!(not(feature = "mutants")), long_help = mutants::help())]
    mutant: Option<mutants::Mutant>,
}

/// How a log is written.
#[derive(Debug, Args)]
pub(super) struct FormatArgs {
    /// Output format: text for people, or JSON, one object a line
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(super) format: OutputFormat,
    /// Colour of roles in the log
    #[arg(
        long,
        alias = "colour",
        value_name = "WHEN",
        value_enum,
        default_value_t
    )]
    pub(super) color: Colour,
}

/// Options that determine how a run is shown.
#[derive(Debug, Args)]
#[expect(
    clippy::doc_markdown,
    reason = "clap prints these comments as help, where backticks would be noise"
)]
#[command(next_help_heading = "Output")]
pub(super) struct ShowArgs {
    /// Print only the summary
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    format: FormatArgs,
    /// Detail of the log; each level includes those before it
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t)]
    log_level: Level,
    /// Show only this node, such as 3 or NODE_3; can be repeated
    #[arg(long, value_name = "NODE", value_parser = values::node, allow_hyphen_values = true)]
    node: Vec<NodeId>,
    /// Show only this role, such as scout; can be repeated
    #[arg(long, value_name = "ROLE", value_parser = values::role, allow_hyphen_values = true, long_help = lists::roles())]
    role: Vec<Role>,
    /// Show only messages and events about these slots, 7 or 7-12, and what decided them at each node; can be repeated
    #[arg(long, value_name = "SLOT", value_parser = values::slots, allow_hyphen_values = true)]
    slot: Vec<RangeInclusive<u64>>,
    /// Run twice and compare the digests of the two traces
    #[arg(long)]
    verify: bool,
    /// Write a page that plays the run: messages and states, for a browser
    ///
    /// The file has everything in it, and needs no network. It shows the whole run, also where --node, --role, --slot or
    /// --quiet leave parts of the log out; at most the first 400,000 records.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Placement of the clients. A type of its own, because clap treats an `Option` as an optional argument.
#[derive(Clone, Copy, Debug)]
struct Place(Option<Placement>);

/// Parses the value of `--place`.
fn parse_place(text: &str) -> Result<Place, values::Expected> {
    values::place(text).map(Place)
}

impl RunArgs {
    /// Returns the command. The run is described by the options for the cluster, unless `--faults`
    /// or `--scenario` selects one of a sweep; `--data` puts it on files.
    pub(super) fn command(self) -> Result<RunCommand, UsageError> {
        // A scenario has a seed of its own, which is 0 if the file names none.
        let drawn = self.seed.is_none() && self.case.scenario.is_none();
        // Taken out before the options are, which a plain run consumes.
        let mutant = self.cluster.mutant;
        let selected = self.case.subject(self.seed, self.cluster.nodes)?;
        let subject = if let Some(subject) = selected {
            subject
        } else {
            let run_seed = self.seed.unwrap_or_else(draw_seed);
            Subject::Plain(self.cluster.options(run_seed, self.data.is_some())?)
        };
        let subject = match (subject, self.data) {
            (Subject::Plain(options), Some(path)) => Subject::Stored {
                data: Box::new(Data {
                    path,
                    learners: self.learner,
                    replace: self.replace,
                }),
                options,
            },
            (subject, _) => subject,
        };
        // The options of a plain run have the mutant already.
        let subject = match (subject, mutant) {
            (Subject::Case { mut case, command }, Some(mutant)) => {
                mutant::plant(&mut case.trial.scenario, Some(mutant));
                let command = format!("{command} --mutant {mutant}");
                Subject::Case { case, command }
            }
            (subject, _) => subject,
        };
        if self.record.is_some() && matches!(subject, Subject::Plain(_)) {
            return Err(UsageError::alone("--record", "--faults or --scenario"));
        }
        self.show.command(subject, drawn, self.record, None)
    }
}

impl ShowArgs {
    /// Returns the command that shows a run as these options say. `drawn` is whether its seed was
    /// drawn, `record` the file for the fates of its messages, and `recorded` the outcome to
    /// compare it with.
    pub(super) fn command(
        self,
        subject: Subject,
        drawn: bool,
        record: Option<PathBuf>,
        recorded: Option<Outcome>,
    ) -> Result<RunCommand, UsageError> {
        for node in &self.node {
            check_node("--node", *node, &node.0, subject.nodes())?;
        }
        Ok(RunCommand {
            subject,
            drawn,
            quiet: self.quiet,
            form: self.format.format,
            colour: self.format.color,
            filter: Filter {
                level: self.log_level,
                nodes: self.node.into_iter().collect(),
                roles: self.role,
                slots: self.slot,
            },
            verify: self.verify,
            html: self.html,
            record,
            recorded,
        })
    }
}

impl ClusterArgs {
    /// Returns the options, after checks of values that depend on each other. A directory with the files of an earlier
    /// run may have nodes that the options do not name; those are looked up when it is read.
    fn options(self, run_seed: u64, is_stored: bool) -> Result<Options, UsageError> {
        let default = Options::new(run_seed);
        let options = Options {
            run_seed,
            nodes: self.nodes.unwrap_or(default.nodes),
            loss_ppm: self.loss.unwrap_or(default.loss_ppm),
            delay: self.delay.unwrap_or(default.delay),
            jitter: self.jitter,
            machine: self.machine,
            requests: self.requests.unwrap_or(default.requests),
            clients: self.clients.unwrap_or(default.clients),
            placement: self.place.and_then(|place| place.0),
            reads: self.reads,
            kills: self.kill,
            changes: self.change,
            until: self.until,
            events: self.events,
            mutant: self.mutant,
        };
        // Values of one option are checked by its parser; these depend on several.
        if options.jitter() > values::JITTER_MAX {
            let got = options.jitter().to_string();
            return Err(UsageError::value("--jitter", &got, &"at most 35m"));
        }
        let until = options.until.unwrap_or_else(|| options.default_until());
        // A cluster of one node sends no messages over links.
        if options.nodes > 1 && options.delay >= until {
            let takes = format!("less than --until ({until}), as nothing would arrive in time");
            let got = options.delay.to_string();
            return Err(UsageError::value("--delay", &got, &takes));
        }
        if options.jitter() > options.delay {
            let takes = format!("at most the delay ({})", options.delay);
            return Err(UsageError::value(
                "--jitter",
                &options.jitter().to_string(),
                &takes,
            ));
        }
        let nodes = if is_stored {
            NODES_MAX
        } else {
            options.all_nodes()
        };
        if let Some(Placement::One(node)) = options.placement {
            check_node("--place", node, &node.0, nodes)?;
        }
        if options.kills.len() > KILLS_MAX {
            let got = format!("{} kills", options.kills.len());
            let takes = format!("at most {KILLS_MAX}");
            return Err(UsageError::value("--kill", &got, &takes));
        }
        check_changes(&options, until, nodes)?;
        // In the order of the line, so that the first wrong one is named.
        for kill in &options.kills {
            let at = Duration::from_micros(kill.at.as_micros());
            let got = match kill.target {
                Target::Node(node) => format!("{}@{at}", node.0),
                Target::Leader => format!("leader@{at}"),
            };
            if let Target::Node(node) = kill.target {
                check_node("--kill", node, &got, nodes)?;
            }
            if at >= until {
                let takes = format!("a time before --until ({until}), when the run is given up");
                return Err(UsageError::value("--kill", &got, &takes));
            }
        }
        Ok(options)
    }
}

/// Checks that each change of the members can have an effect before the run is given up. `nodes` is the number of nodes
/// that there can be.
fn check_changes(options: &Options, until: Duration, nodes: u16) -> Result<(), UsageError> {
    if options.changes.len() > PLAN_MAX {
        let got = format!("{} changes", options.changes.len());
        let takes = format!("at most {PLAN_MAX}");
        return Err(UsageError::value("--change", &got, &takes));
    }
    let founders = NodeSet::first(options.nodes);
    let ever = if nodes == options.all_nodes() {
        let added = options.changes.iter().map(|change| change.add);
        added.fold(founders, NodeSet::union)
    } else {
        NodeSet::first(nodes)
    };
    let refused = |change: &PlannedChange, takes: &str| {
        let takes = format!(
            "{takes}, such as 2s:+{}-0",
            options.nodes.min(NODES_MAX - 1)
        );
        Err(UsageError::value("--change", &change.to_string(), &takes))
    };
    for change in &options.changes {
        if change.at >= until {
            let takes = format!("a time before --until ({until}), when the run is given up");
            return refused(change, &takes);
        }
        if let Some(node) = change.remove.minus(NodeSet::first(nodes)).nth(0) {
            let takes = format!(
                "nodes that there are, 0 to {}, and not {}",
                nodes - 1,
                node.0
            );
            return refused(change, &takes);
        }
        if let Some(why) = change.vacuity(founders, ever) {
            return refused(change, &format!("a change with an effect ({why})"));
        }
    }
    Ok(())
}

/// Checks that a node named by an option exists. `got` is the value as it was given, which may be
/// more than the node.
fn check_node(
    option: &str,
    node: NodeId,
    got: &dyn core::fmt::Display,
    nodes: u16,
) -> Result<(), UsageError> {
    if node.0 < nodes {
        return Ok(());
    }
    let takes = match nodes {
        1 => "only node 0: there is one node".to_owned(),
        _ => format!("a node from 0 to {}: there are {nodes} nodes", nodes - 1),
    };
    Err(UsageError::value(option, &got.to_string(), &takes))
}
