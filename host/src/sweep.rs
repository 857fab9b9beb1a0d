//! Sweeps: runs of many seeds with faults, each checked, and their common coverage. Prints nothing.
//!
//! Seeds are assigned in rising order, and results are added up in rising order, so that the result of a sweep does not
//! depend on the number of threads.
//!
//! A sweep means something only if its runs came to what they were made for. So there are two
//! judgements besides that on each run: [`Expectations`] names what must have occurred in a sweep
//! of this size, and [`Effort`] has bounds on what its runs take on average.

mod coverage;
mod effort;
mod non_vacuity;
mod seeds;
#[cfg(test)]
mod tests;
mod workers;

pub use coverage::{Coverage, Occurrences, RareEvent};
pub use effort::{Effort, EffortAverages, MANY_RUNS};
pub use non_vacuity::{Expectations, Missing, possible};
pub use seeds::{Seeds, Shard};
pub use workers::{Progress, current_seed, sweep};

use crate::case::Case;
use crate::exit::Exit;
use crate::mutant::{self, Mutant};
use crate::run::Finished;
use crate::shell_quoting;
use core::num::NonZeroUsize;
use core::time::Duration;
use std::path::{Path, PathBuf};
use synod::simulation::{FaultKind, FaultSet, Swarm, Trial, Verdict};
use synod::{Digest, Instant};

/// Options of a sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// Seeds to run.
    ///
    /// A range without an end needs a time budget, which the command line demands.
    pub seeds: Seeds,
    /// Share of the seeds to run.
    pub shard: Shard,
    /// Source of the run of each seed.
    pub source: Source,
    /// Number of runs at a time.
    pub jobs: NonZeroUsize,
    /// Time budget, after which no run begins; `None` for no bound.
    pub time: Option<Duration>,
    /// Whether the sweep continues after a failure.
    pub keep_going: bool,
    /// Whether every seed is run twice and the digests compared.
    pub verify: bool,
}

/// Source of the run of each seed.
///
/// A run follows from its source and its seed, so that any run of a sweep can be repeated alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Each seed draws its trial.
    Swarm(Swarm),
    /// Each seed runs the same scenario.
    Scenario {
        /// The scenario.
        case: Box<Case>,
        /// Path of its file.
        path: PathBuf,
    },
    /// Another source, with a mutant in every node.
    Mutated(Box<Self>, Mutant),
}

impl Source {
    /// Returns the source for a case read from a file.
    pub fn scenario(case: Case, path: &Path) -> Self {
        Self::Scenario {
            case: Box::new(case),
            path: path.to_owned(),
        }
    }

    /// Returns the case of a seed.
    ///
    /// A swarm draws the same case for a seed each time, so that a seed in a report is all that a
    /// reader needs. A scenario is the same under every seed, except for its random choices.
    ///
    /// ```
    /// use synod::simulation::{FaultSet, Swarm};
    /// use synod_host::sweep::Source;
    ///
    /// let source = Source::Swarm(Swarm { faults: FaultSet::ALL, nodes: Some(3) });
    /// let case = source.case(17);
    /// assert_eq!((case.trial.scenario.run_seed, case.trial.scenario.nodes), (17, 3));
    /// assert_eq!(case, source.case(17));
    /// ```
    pub fn case(&self, run_seed: u64) -> Case {
        match self {
            Self::Swarm(swarm) => Case::of(swarm.draw(run_seed)),
            Self::Scenario { case, .. } => {
                let mut case = Case::clone(case);
                case.trial.scenario.run_seed = run_seed;
                case
            }
            Self::Mutated(source, mutant) => {
                let mut case = source.case(run_seed);
                mutant::plant(&mut case.trial.scenario, Some(*mutant));
                case
            }
        }
    }

    /// Returns the source without the mutant, unless the file itself contains one.
    ///
    /// A sweep expects what correct nodes do: a mutant may well keep a rare event from occurring.
    pub(crate) fn unmutated(&self) -> &Self {
        match self {
            Self::Mutated(source, _) => source.unmutated(),
            source => source,
        }
    }

    /// Returns the command that executes the run of a seed.
    ///
    /// ```
    /// use synod_host::sweep::{Seeds, Sweep};
    ///
    /// let sweep = Sweep::new(Seeds { first: 0, end: Some(100) });
    /// assert_eq!(sweep.source.command(17), "synod run 17 --faults all");
    /// assert_eq!(sweep.command(sweep.seeds), "synod sweep --seeds 0..100 --faults all");
    /// ```
    pub fn command(&self, run_seed: u64) -> String {
        format!(
            "{} run {run_seed}{}",
            shell_quoting::program(),
            self.options()
        )
    }

    /// Returns the options that select this source, each preceded by a space.
    pub fn options(&self) -> String {
        let mut line = String::new();
        match self {
            Self::Swarm(Swarm { faults, nodes }) => {
                shell_quoting::push_option(&mut line, "--faults", faults_text(*faults).as_ref());
                if let Some(nodes) = nodes {
                    shell_quoting::push_option(&mut line, "--nodes", nodes.to_string().as_ref());
                }
            }
            Self::Scenario { path, .. } => {
                shell_quoting::push_option(&mut line, "--scenario", path.as_os_str());
            }
            Self::Mutated(source, mutant) => {
                line = source.options();
                shell_quoting::push_option(&mut line, "--mutant", mutant.name().as_ref());
            }
        }
        line
    }
}

/// Formats a set of faults as on the command line.
///
/// `all` and `none` stand for the two ends. A list of all kinds would be another set as soon as a
/// kind is added.
///
/// ```
/// use synod::simulation::{FaultKind, FaultSet};
/// use synod_host::sweep::faults_text;
///
/// assert_eq!(faults_text(FaultSet::ALL), "all");
/// let two = FaultSet::NONE.with(FaultKind::Restart).with(FaultKind::Pause);
/// assert_eq!(faults_text(two), "restart,pause");
/// ```
pub fn faults_text(faults: FaultSet) -> String {
    if faults == FaultSet::ALL {
        return "all".to_owned();
    }
    if faults.is_empty() {
        return "none".to_owned();
    }
    let names: Vec<_> = faults.iter().map(FaultKind::name).collect();
    names.join(",")
}

impl Sweep {
    /// Returns the command that sweeps these seeds in the same way, without the time budget. A time
    /// budget would end the repetition at another seed.
    ///
    /// The number of threads is left out as well, because the result does not depend on it.
    pub fn command(&self, seeds: Seeds) -> String {
        let mut line = format!("{} sweep --seeds {seeds}", shell_quoting::program());
        if self.shard != Shard::WHOLE {
            shell_quoting::push_option(&mut line, "--shard", self.shard.to_string().as_ref());
        }
        line.push_str(&self.source.options());
        for (flag, is_set) in [
            (" --keep-going", self.keep_going),
            (" --verify", self.verify),
        ] {
            line.push_str(if is_set { flag } else { "" });
        }
        line
    }

    /// Returns the default sweep: all faults, on every processor.
    pub fn new(seeds: Seeds) -> Self {
        Self {
            seeds,
            shard: Shard::WHOLE,
            source: Source::Swarm(Swarm {
                faults: FaultSet::ALL,
                nodes: None,
            }),
            jobs: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            time: None,
            keep_going: false,
            verify: false,
        }
    }
}

/// Result of a sweep. Except for the duration, it depends only on the seeds that were run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swept {
    /// Reason why the sweep ended.
    pub end: End,
    /// Number of seeds that were run.
    pub runs: u64,
    /// Exactly the seeds of the shard below this one were run.
    pub next: u64,
    /// Failed runs, in rising order of their seeds.
    pub failures: Vec<Failure>,
    /// Coverage of all runs.
    pub coverage: Coverage,
    /// Expected faults and events that never occurred; empty if the sweep ended early.
    pub missing: Vec<Missing>,
    /// Averages over all runs.
    pub averages: EffortAverages,
    /// Averages that are out of their bounds; empty if the sweep ended early, or if not all faults and sizes are drawn.
    pub unusual: Vec<Effort>,
    /// Number of answered requests.
    pub answered: u64,
    /// Number of decided slots.
    pub decided: u64,
    /// Number of delivered messages.
    pub deliveries: u64,
    /// Longest simulated time of a run, and its seed.
    pub longest: Option<(Instant, u64)>,
    /// Digest of the digests of all runs.
    pub digest: Digest,
    /// Duration of the sweep.
    pub took: Duration,
}

/// Reason why a sweep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// All seeds were run.
    Through,
    /// The time budget was spent.
    Time,
    /// A run failed.
    Failed,
    /// The sweep was requested to stop.
    Stopped,
}

/// A failed run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Seed of the run.
    pub run_seed: u64,
    /// Verdict on the run.
    pub verdict: Verdict,
    /// Digest of the trace.
    pub digest: Digest,
    /// Digest of the second run, if it differs.
    pub other: Option<Digest>,
}

impl Failure {
    /// Returns the failure of a run, if it failed; `again` is the digest of a second run.
    fn of(run_seed: u64, finished: &Finished, again: Option<Digest>) -> Option<Self> {
        let failure = Self {
            run_seed,
            verdict: finished.verdict,
            digest: finished.digest,
            other: again.filter(|digest| *digest != finished.digest),
        };
        (failure.exit() != Exit::Done).then_some(failure)
    }

    /// Returns the exit status. A violation takes precedence over different traces, and those over a stall.
    pub const fn exit(&self) -> Exit {
        match (self.verdict, self.other) {
            (Verdict::Violated(_), _) => Exit::Violated,
            (_, Some(_)) => Exit::Diverged,
            (Verdict::Stalled(_), None) => Exit::Stalled,
            (Verdict::Done, None) => Exit::Done,
        }
    }
}

impl Swept {
    /// Returns the result of a sweep that has not begun. `first` is the seed that is run first.
    fn new(first: u64) -> Self {
        Self {
            end: End::Through,
            runs: 0,
            next: first,
            failures: Vec::new(),
            coverage: Coverage::default(),
            missing: Vec::new(),
            averages: EffortAverages::default(),
            unusual: Vec::new(),
            answered: 0,
            decided: 0,
            deliveries: 0,
            longest: None,
            digest: Digest::new(),
            took: Duration::ZERO,
        }
    }

    /// Returns the number of failures with an exit status.
    pub fn failed(&self, exit: Exit) -> usize {
        let failed = self.failures.iter().filter(|failed| failed.exit() == exit);
        failed.count()
    }

    /// Returns the exit status: that of the worst failure, or else interrupted, averages out of bounds, or vacuous.
    pub fn exit(&self) -> Exit {
        let worst = [Exit::Violated, Exit::Diverged, Exit::Stalled];
        let worst = worst.into_iter().find(|exit| self.failed(*exit) > 0);
        match (self.end, worst) {
            (End::Stopped, _) => Exit::Interrupted,
            (_, Some(worst)) => worst,
            _ if !self.unusual.is_empty() => Exit::Stalled,
            _ if self.missing.is_empty() => Exit::Done,
            _ => Exit::Vacuous,
        }
    }

    /// Adds the results of a run. Runs must be added in rising order of their seeds, on which the
    /// digest and the first failure depend.
    fn add(&mut self, trial: &Trial, finished: &Finished, again: Option<Digest>) {
        let run_seed = trial.scenario.run_seed;
        debug_assert!(
            self.failures
                .last()
                .is_none_or(|last| last.run_seed < run_seed),
            "runs are added in the order of their seeds"
        );
        self.runs += 1;
        let failure = Failure::of(run_seed, finished, again);
        self.failures.extend(failure);
        // Failed runs count as well: what struck in them did strike.
        self.coverage.add(finished);
        self.averages.add(trial, finished);
        self.answered += finished.report.answered;
        self.decided += finished.report.applied.number();
        self.deliveries += finished.report.deliveries;
        let at = finished.report.at;
        // Of two runs that take as long, the one with the smaller seed stays.
        if self.longest.is_none_or(|(longest, _)| longest < at) {
            self.longest = Some((at, run_seed));
        }
        self.digest = folded(self.digest, finished.digest);
    }
}

/// Mixes a digest into the digest of all runs, in the same way as the words of a trace. The order
/// counts, so that two sweeps with equal digests have run the same seeds with the same results.
fn folded(digests: Digest, digest: Digest) -> Digest {
    let product = (digests.value() ^ digest.value()).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    Digest::resume(product ^ product >> 32)
}
