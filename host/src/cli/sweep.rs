//! Command line of `synod sweep`, and of a single run of a sweep.

use super::error::UsageError;
use super::{help, lists, mutants};
use crate::case::{self, Case};
use crate::commands::run::Subject;
use crate::commands::sweep::{ReportFormat, SweepCommand};
use crate::sweep::{Seeds, Shard, Source, Sweep, faults_text, possible};
use crate::values;
use clap::Args;
use core::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use synod::Duration;
use synod::simulation::{FaultSet, Swarm};

/// Seeds of a sweep without `--seeds` and `--for`. They take some seconds, and are the same for
/// everybody.
const SEEDS: Seeds = Seeds {
    first: 0,
    end: Some(1_000),
};

/// Greatest number of nodes of a drawn trial. The smallest capacities that a seed may draw suffice for clusters of this
/// size.
const NODES_MAX: u16 = 16;

// No documentation of the type, as `clap` would print it as the description of the command.
#[derive(Debug, Args)]
#[command(about = help::SWEEP_ABOUT, long_about = help::SWEEP_LONG_ABOUT, after_help = help::SWEEP_AFTER, after_long_help = lists::sweep_after_long())]
#[expect(
    clippy::doc_markdown,
    reason = "clap prints these comments as help, where backticks would be noise"
)]
pub(super) struct SweepArgs {
    /// Seeds from A to B - 1, such as 0..1000, or 1000.. with --for [default: 0..1000; with --for, from a drawn seed
    /// on]
    #[arg(long, value_name = "A..B", value_parser = values::seeds, allow_hyphen_values = true)]
    seeds: Option<Seeds>,
    /// Time budget, above 0, such as 90s or 10m; no run begins after it
    #[arg(long = "for", value_name = "TIME", value_parser = values::time_limit, allow_hyphen_values = true)]
    time: Option<Duration>,
    /// Run only this share of the seeds: 1/4, 2/4, 3/4 and 4/4 together are all of them
    ///
    /// Share I takes every N-th seed, so that expensive seeds are spread evenly over the shares.
    #[arg(long, value_name = "I/N", value_parser = values::shard, allow_hyphen_values = true)]
    shard: Option<Shard>,
    /// Number of runs at a time, 1 to 1024 [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = values::jobs, allow_hyphen_values = true)]
    jobs: Option<NonZeroUsize>,
    /// Faults to inject: all, none, or names with commas between them [default: all]
    #[arg(long, value_name = "LIST", value_parser = values::faults, allow_hyphen_values = true,
        long_help = lists::faults("Faults to inject: all, none, or names with commas between them [default: all]"))]
    faults: Option<FaultSet>,
    /// Number of nodes, 1 to 16 [default: each seed draws it, from 1 to 7]
    #[arg(long, value_name = "N", value_parser = values::nodes, allow_hyphen_values = true)]
    nodes: Option<u16>,
    /// Run this scenario, with its faults, under every seed instead of a drawn cluster; - for the standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["faults", "nodes"])]
    scenario: Option<PathBuf>,
    /// Plant this mistake in every node: see 'synod museum'
    #[arg(long, value_name = "NAME", value_parser = mutants::mutant, hide = cfg!(not(feature = "mutants")), long_help = mutants::help())]
    mutant: Option<mutants::Mutant>,
    /// Continue after a failure
    #[arg(long)]
    keep_going: bool,
    /// Run every seed twice and compare the digests of the two traces
    #[arg(long)]
    verify: bool,
    /// Write a page that plays the first failed run, if one fails: messages and states, for a browser
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Output format: text for people, JSON for programs, or JUnit XML for build servers
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: ReportFormat,
    /// Print only the failures and the result, and show no progress
    #[arg(short, long)]
    quiet: bool,
}

impl SweepArgs {
    /// Returns the command, after the scenario was read.
    pub(super) fn command(self) -> Result<SweepCommand, UsageError> {
        let seeds = self.range()?;
        let source = match &self.scenario {
            Some(path) => scenario(path)?,
            None => Source::Swarm(swarm(self.faults, self.nodes)?),
        };
        // A mutant is planted on top of either source, so that a report can name both.
        let source = match self.mutant {
            Some(mutant) => Source::Mutated(Box::new(source), mutant),
            None => source,
        };
        let new = Sweep::new(seeds);
        let sweep = Sweep {
            shard: self.shard.unwrap_or(new.shard),
            source,
            jobs: self.jobs.unwrap_or(new.jobs),
            time: self
                .time
                .map(|time| core::time::Duration::from_micros(time.as_micros())),
            keep_going: self.keep_going,
            verify: self.verify,
            ..new
        };
        Ok(SweepCommand {
            sweep,
            // The first seed is printed then, since nobody could repeat the sweep otherwise.
            drawn: self.seeds.is_none() && self.time.is_some(),
            quiet: self.quiet,
            html: self.html,
            shape: self.format,
        })
    }

    /// Returns the seeds. A sweep for some time begins at a drawn seed, so that each covers new
    /// ones.
    fn range(&self) -> Result<Seeds, UsageError> {
        match (self.seeds, self.time) {
            (None, None) => Ok(SEEDS),
            (None, Some(_)) => Ok(Seeds {
                first: super::draw_seed(),
                end: None,
            }),
            (Some(Seeds { first, end: None }), None) => Err(UsageError::value(
                "--seeds",
                &format!("{first}.."),
                &format!(
                    "a range with an end, such as {first}..{}, unless --for ends it",
                    first.saturating_add(1_000)
                ),
            )),
            (Some(seeds), _) => Ok(seeds),
        }
    }
}

/// Options of `synod run` that select a run of a sweep instead of describing a cluster.
#[derive(Debug, Args)]
#[command(next_help_heading = "One run of a sweep")]
pub(super) struct CaseArgs {
    /// Run what a sweep with these faults runs under the seed: all, none, or names with commas between them
    #[arg(long, value_name = "LIST", value_parser = values::faults, allow_hyphen_values = true, conflicts_with_all = CLUSTER,
        long_help = lists::faults("Run what a sweep with these faults runs under the seed: all, none, or names with commas between \
        them\n\nOf the other options for the cluster, only --nodes and --mutant can be combined with it."))]
    faults: Option<FaultSet>,
    /// Run this scenario, under its own seed or the given one; - for the standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = CLUSTER, conflicts_with_all = ["faults", "nodes"])]
    pub(super) scenario: Option<PathBuf>,
}

/// Options that describe a cluster, except for its size. A drawn case and a scenario have values of
/// their own for all of these, and ignoring an option would mislead.
const CLUSTER: [&str; 12] = [
    "loss", "delay", "jitter", "kill", "change", "machine", "clients", "requests", "place",
    "reads", "until", "events",
];

impl CaseArgs {
    /// Returns the run that these options select, if any.
    pub(super) fn subject(
        &self,
        run_seed: Option<u64>,
        nodes: Option<u16>,
    ) -> Result<Option<Subject>, UsageError> {
        let (run_seed, source) = match &self.scenario {
            Some(path) => {
                let case = read(path)?;
                let run_seed = run_seed.unwrap_or(case.trial.scenario.run_seed);
                (run_seed, Source::scenario(case, path))
            }
            None if self.faults.is_some() => {
                let run_seed = run_seed.unwrap_or_else(super::draw_seed);
                (run_seed, Source::Swarm(swarm(self.faults, nodes)?))
            }
            None => return Ok(None),
        };
        Ok(Some(Subject::Case {
            case: Box::new(source.case(run_seed)),
            command: source.command(run_seed),
        }))
    }
}

/// Returns the distribution that seeds draw from. Faults requested by name must be possible with this number of nodes.
pub(super) fn swarm(faults: Option<FaultSet>, nodes: Option<u16>) -> Result<Swarm, UsageError> {
    let swarm = Swarm {
        faults: faults.unwrap_or(FaultSet::ALL),
        nodes,
    };
    if let Some(nodes) = nodes.filter(|nodes| *nodes > NODES_MAX) {
        let takes = format!("at most {NODES_MAX} in a drawn cluster");
        return Err(UsageError::value("--nodes", &nodes.to_string(), &takes));
    }
    // A fault that never strikes would make the sweep vacuous, hours later.
    let can = possible(nodes);
    let cannot = swarm.faults.iter().find(|kind| !can.contains(*kind));
    match cannot.filter(|_| swarm.faults != FaultSet::ALL) {
        Some(kind) => {
            let takes = format!("faults that so few nodes can have: {}", faults_text(can));
            Err(UsageError::value("--faults", kind.name(), &takes))
        }
        None => Ok(swarm),
    }
}

/// Reads a case; what is wrong with it is an error of usage.
fn read(path: &Path) -> Result<Case, UsageError> {
    let (case, _) = case::read(path).map_err(|error| UsageError::file(&error))?;
    Ok(case)
}

/// Reads a scenario to run under many seeds.
fn scenario(path: &Path) -> Result<Source, UsageError> {
    let case = read(path)?;
    if case.script.is_some() {
        let got = path.display().to_string();
        let takes = "a file without a [script], as seeds decide nothing in a scripted run";
        return Err(UsageError::value("--scenario", &got, &takes));
    }
    Ok(Source::scenario(case, path))
}
