//! The command line of `synod sweep`.

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

/// What is swept unless told otherwise.
const SEEDS: Seeds = Seeds {
    first: 0,
    end: Some(1_000),
};

/// The most nodes of a drawn trial: the least room that its nodes may have comes in clusters of this size.
const NODES_MAX: u16 = 16;

#[derive(Debug, Args)]
#[command(about = help::SWEEP_ABOUT, long_about = help::SWEEP_LONG_ABOUT, after_help = help::SWEEP_AFTER, after_long_help = lists::sweep_after_long())]
#[expect(
    clippy::doc_markdown,
    reason = "the comments are the help, where backticks would be noise"
)]
pub(super) struct SweepArgs {
    /// Which seeds, the last not among them; 1000.. with --for [default: 0..1000, or drawn with --for]
    #[arg(long, value_name = "A..B", value_parser = values::seeds, allow_hyphen_values = true)]
    seeds: Option<Seeds>,
    /// Begin no more runs after so long, such as 90s or 10m
    #[arg(long = "for", value_name = "TIME", value_parser = values::time_limit, allow_hyphen_values = true)]
    time: Option<Duration>,
    /// Only this share of the seeds: 1/4, 2/4, 3/4 and 4/4 are all of them
    ///
    /// Of every N seeds it takes the I-th, so that every share has its part of what is hard.
    #[arg(long, value_name = "I/N", value_parser = values::shard, allow_hyphen_values = true)]
    shard: Option<Shard>,
    /// How many runs at once [default: one for each processor]
    #[arg(long, value_name = "N", value_parser = values::jobs, allow_hyphen_values = true)]
    jobs: Option<NonZeroUsize>,
    /// What may go wrong: all, none, or names with commas between them [default: all]
    #[arg(long, value_name = "LIST", value_parser = values::faults, allow_hyphen_values = true,
        long_help = lists::faults("What may go wrong: all, none, or names with commas between them [default: all]"))]
    faults: Option<FaultSet>,
    /// How many nodes, 1 to 16 [default: each seed draws it, from 1 to 7]
    #[arg(long, value_name = "N", value_parser = values::nodes, allow_hyphen_values = true)]
    nodes: Option<u16>,
    /// Run what this file says under every seed, faults and all, instead of what the seed draws; - for the standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["faults", "nodes"])]
    scenario: Option<PathBuf>,
    /// Have every node make the mistake of this name: see 'synod museum'
    #[arg(long, value_name = "NAME", value_parser = mutants::mutant, hide = cfg!(not(feature = "mutants")), long_help = mutants::help())]
    mutant: Option<mutants::Mutant>,
    /// Go on after a failure
    #[arg(long)]
    keep_going: bool,
    /// Run every seed twice and compare the traces
    #[arg(long)]
    verify: bool,
    /// Lines for people, JSON for programs, or JUnit's XML for build servers
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: ReportFormat,
    /// Only what failed and how it ended; no progress either
    #[arg(short, long)]
    quiet: bool,
}

impl SweepArgs {
    pub(super) fn command(self) -> Result<SweepCommand, UsageError> {
        let seeds = self.range()?;
        let source = match &self.scenario {
            Some(path) => scenario(path)?,
            None => Source::Swarm(swarm(self.faults, self.nodes)?),
        };
        #[cfg(feature = "mutants")]
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
            drawn: self.seeds.is_none() && self.time.is_some(),
            quiet: self.quiet,
            shape: self.format,
        })
    }

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

/// What `synod run` takes in the place of a cluster that is described by options: a run of a sweep.
#[derive(Debug, Args)]
#[command(next_help_heading = "A run of a sweep")]
pub(super) struct CaseArgs {
    /// What the seed draws in a sweep with such faults: all, none, or names with commas between them
    #[arg(long, value_name = "LIST", value_parser = values::faults, allow_hyphen_values = true, conflicts_with_all = CLUSTER,
        long_help = lists::faults("What the seed draws in a sweep with such faults: all, none, or names with commas between \
        them\n\nOf the other options for the cluster only --nodes and --mutant go with it."))]
    faults: Option<FaultSet>,
    /// What this file says, under its seed or the one that is given; - for the standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = CLUSTER, conflicts_with_all = ["faults", "nodes"])]
    pub(super) scenario: Option<PathBuf>,
}

/// What describes a cluster, but for its size.
const CLUSTER: [&str; 10] = [
    "loss", "delay", "jitter", "kill", "machine", "clients", "requests", "place", "until", "events",
];

impl CaseArgs {
    /// What is to be run, if it is one of these.
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

/// What seeds draw from: faults that were asked for by name must be possible.
pub(super) fn swarm(faults: Option<FaultSet>, nodes: Option<u16>) -> Result<Swarm, UsageError> {
    let swarm = Swarm {
        faults: faults.unwrap_or(FaultSet::ALL),
        nodes,
    };
    if let Some(nodes) = nodes.filter(|nodes| *nodes > NODES_MAX) {
        let takes = format!("at most {NODES_MAX} where a seed draws the rest");
        return Err(UsageError::value("--nodes", &nodes.to_string(), &takes));
    }
    let can = possible(nodes);
    let cannot = swarm.faults.iter().find(|kind| !can.contains(*kind));
    match cannot.filter(|_| swarm.faults != FaultSet::ALL) {
        Some(kind) => {
            let takes = format!("what so few nodes can have: {}", faults_text(can));
            Err(UsageError::value("--faults", kind.name(), &takes))
        }
        None => Ok(swarm),
    }
}

fn read(path: &Path) -> Result<Case, UsageError> {
    let (case, _) = case::read(path).map_err(|error| UsageError::file(&error))?;
    Ok(case)
}

/// A scenario for all seeds.
fn scenario(path: &Path) -> Result<Source, UsageError> {
    let case = read(path)?;
    if case.script.is_some() {
        let got = path.display().to_string();
        let takes = "a file without a script, which leaves nothing for seeds to decide";
        return Err(UsageError::value("--scenario", &got, &takes));
    }
    Ok(Source::scenario(case, path))
}
