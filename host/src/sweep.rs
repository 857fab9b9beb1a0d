//! A sweep: many seeds with faults, each run checked, and what all of them together have shown. Prints nothing.
//!
//! Seeds are handed out in rising order and what came of them is added up in rising order, so that a sweep comes to the
//! same, whatever the number of its threads.

mod coverage;
mod non_vacuity;
mod pace;
mod seeds;
#[cfg(test)]
mod tests;
mod workers;

pub use coverage::{Coverage, Occurrences, RareEvent};
pub use non_vacuity::{Expectations, Missing, possible};
pub use pace::{MANY_RUNS, Paces, Take};
pub use seeds::{Seeds, Shard};
pub use workers::{Progress, current_seed, sweep};

use crate::case::Case;
use crate::exit::Exit;
use crate::run::Finished;
use crate::shell_quoting;
use core::num::NonZeroUsize;
use core::time::Duration;
use std::path::{Path, PathBuf};
use synod::simulation::{FaultKind, FaultSet, Swarm, Trial, Verdict};
use synod::{Digest, Instant};

/// What is swept, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// Which seeds.
    pub seeds: Seeds,
    /// Which share of them.
    pub shard: Shard,
    /// What is run under each.
    pub source: Source,
    /// How many runs there are at once.
    pub jobs: NonZeroUsize,
    /// After so long no more runs are begun; `None` for no bound.
    pub time: Option<Duration>,
    /// Whether a failure does not end it.
    pub keep_going: bool,
    /// Whether every seed is run twice, and the digests are compared.
    pub verify: bool,
}

/// Where the run of a seed comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// It is drawn.
    Swarm(Swarm),
    /// It is always the same but for its seed.
    Scenario {
        /// What is run.
        case: Box<Case>,
        /// The file that it stands in.
        path: PathBuf,
    },
    /// The same, and every node makes a mistake.
    #[cfg(feature = "mutants")]
    Mutated(Box<Self>, synod::Mutant),
}

impl Source {
    /// A case that stands in a file.
    pub fn scenario(case: Case, path: &Path) -> Self {
        Self::Scenario {
            case: Box::new(case),
            path: path.to_owned(),
        }
    }

    /// What is run under a seed.
    pub fn case(&self, run_seed: u64) -> Case {
        match self {
            Self::Swarm(swarm) => Case::of(swarm.draw(run_seed)),
            Self::Scenario { case, .. } => {
                let mut case = Case::clone(case);
                case.trial.scenario.run_seed = run_seed;
                case
            }
            #[cfg(feature = "mutants")]
            Self::Mutated(source, mutant) => {
                let mut case = source.case(run_seed);
                case.trial.scenario.mutant = Some(*mutant);
                case
            }
        }
    }

    /// The same with nodes that make no mistake, unless a file says so.
    pub(crate) fn unmutated(&self) -> &Self {
        match self {
            #[cfg(feature = "mutants")]
            Self::Mutated(source, _) => source.unmutated(),
            source => source,
        }
    }

    /// The command that shows the run of a seed.
    pub fn command(&self, run_seed: u64) -> String {
        format!(
            "{} run {run_seed}{}",
            shell_quoting::program(),
            self.options()
        )
    }

    /// The options that name it, each with a space before it.
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
            #[cfg(feature = "mutants")]
            Self::Mutated(source, mutant) => {
                line = source.options();
                shell_quoting::push_option(&mut line, "--mutant", mutant.name().as_ref());
            }
        }
        line
    }
}

/// A set of kinds of fault as it is typed.
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
    /// The command that sweeps these seeds in the same way, its time aside.
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

    /// All faults under these seeds, on every processor there is.
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

/// What came of a sweep. But for the time it took it hangs on the seeds alone that were run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swept {
    /// How it ended.
    pub end: End,
    /// How many seeds were run.
    pub runs: u64,
    /// Every seed of the shard that is below this one was run, and no other.
    pub next: u64,
    /// The runs that failed, in rising order of their seeds.
    pub failures: Vec<Failure>,
    /// What the runs have seen.
    pub coverage: Coverage,
    /// What they should have seen, and have not. It is not asked for where the sweep was ended early.
    pub missing: Vec<Missing>,
    /// What the runs took.
    pub paces: Paces,
    /// What they took more of, or less, than runs do on average. It is not asked for where the sweep was ended early, or where
    /// not all faults and sizes are drawn.
    pub unusual: Vec<Take>,
    /// Requests answered.
    pub answered: u64,
    /// Slots decided.
    pub decided: u64,
    /// Messages delivered.
    pub deliveries: u64,
    /// The longest simulated time that a run took, and its seed.
    pub longest: Option<(Instant, u64)>,
    /// The digest of all digests.
    pub digest: Digest,
    /// How long it took.
    pub took: Duration,
}

/// How a sweep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// All seeds were run.
    Through,
    /// Its time was up.
    Time,
    /// A run failed.
    Failed,
    /// It was told to stop.
    Stopped,
}

/// A run that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its seed.
    pub run_seed: u64,
    /// How it ended.
    pub verdict: Verdict,
    /// The digest of its trace.
    pub digest: Digest,
    /// The digest of its second run, where that is another one.
    pub other: Option<Digest>,
}

impl Failure {
    /// What is wrong with a run, if anything; `again` is the digest of a second one.
    fn of(run_seed: u64, finished: &Finished, again: Option<Digest>) -> Option<Self> {
        let failure = Self {
            run_seed,
            verdict: finished.verdict,
            digest: finished.digest,
            other: again.filter(|digest| *digest != finished.digest),
        };
        (failure.exit() != Exit::Done).then_some(failure)
    }

    /// The exit code that it deserves. A broken rule is worse than two traces, and those are worse than a stalled run.
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
    /// Nothing swept yet.
    fn new(first: u64) -> Self {
        Self {
            end: End::Through,
            runs: 0,
            next: first,
            failures: Vec::new(),
            coverage: Coverage::default(),
            missing: Vec::new(),
            paces: Paces::default(),
            unusual: Vec::new(),
            answered: 0,
            decided: 0,
            deliveries: 0,
            longest: None,
            digest: Digest::new(),
            took: Duration::ZERO,
        }
    }

    /// How many failures deserve an exit code.
    pub fn failed(&self, exit: Exit) -> usize {
        let failed = self.failures.iter().filter(|failed| failed.exit() == exit);
        failed.count()
    }

    /// The exit code that it deserves: that of its worst failure; or that it was stopped, or that its runs took too much on
    /// average, or that it has shown too little.
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

    /// Adds a run.
    fn add(&mut self, trial: &Trial, finished: &Finished, again: Option<Digest>) {
        let run_seed = trial.scenario.run_seed;
        self.runs += 1;
        let failure = Failure::of(run_seed, finished, again);
        self.failures.extend(failure);
        self.coverage.add(finished);
        self.paces.add(trial, finished);
        self.answered += finished.report.answered;
        self.decided += finished.report.applied.number();
        self.deliveries += finished.report.deliveries;
        let at = finished.report.at;
        if self.longest.is_none_or(|(longest, _)| longest < at) {
            self.longest = Some((at, run_seed));
        }
        self.digest = folded(self.digest, finished.digest);
    }
}

/// A digest of digests: each is mixed in as the words of a trace are.
fn folded(digests: Digest, digest: Digest) -> Digest {
    let product = (digests.value() ^ digest.value()).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    Digest::resume(product ^ product >> 32)
}
