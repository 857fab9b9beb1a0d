//! Many runs in a row: `cargo run --release --example campaign -- --seeds 0..1000`.
//!
//! Each run seed gives one simulated run of the default scenario, with the changes that the options make. A run is good
//! when every client got the right answers and every live node has joined and applied the same decisions. The summary
//! goes to stdout and is the same whatever the number of threads; progress goes to stderr.
//!
//! Exit codes: 0 all runs are good, 1 a run is not (and one line says how to see it again), 2 bad usage, 5 nothing was
//! proven, because nothing ran, or nothing was lost or nobody killed where that was asked for.

use core::fmt::{Display, Write as _};
use core::ops::RangeInclusive;
use core::str::FromStr;
use core::sync::atomic::{AtomicU64, Ordering};
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use synod::machines::Kv;
use synod::simulation::{Kill, KvScript, Scenario, ScenarioError, Simulation, Target, Verdict};
use synod::{Event, Instant, Queue, Record, Tracer};

const PAGE: usize = 2;

type Machine = Kv<64>;
type Run = Simulation<Machine, KvScript, 64, 64, PAGE, 64, 8192>;

/// A simulation is built on the stack before it is used: some megabytes, more without optimisation.
const STACK_BYTES: usize = 128 << 20;

const HELP: &str = "\
Runs the default scenario under many run seeds and checks every one of them.

Usage: cargo run --release --example campaign -- [OPTIONS]

  --seeds A..B      the run seeds, B not included        [default: 0..1000]
  --nodes N         how many nodes, 1 to 64              [default: 14]
  --loss P          how many messages of a hundred are lost, 0 to 99  [default: 5]
  --requests N      requests of each of the 11 clients   [default: 11]
  --kill-leader     kill whoever leads at a moment that the run seed draws
  --threads N       how many runs at once                [default: one a processor]
  --help            this page

Exit codes: 0 all good, 1 a run failed, 2 bad usage, 5 nothing was proven.";

/// What is to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Campaign {
    first: u64,
    end: u64,
    nodes: u16,
    loss_percent: u32,
    requests: u32,
    kill_leader: bool,
    threads: usize,
}

impl Default for Campaign {
    fn default() -> Self {
        Self {
            first: 0,
            end: 1_000,
            nodes: 14,
            loss_percent: 5,
            requests: 11,
            kill_leader: false,
            threads: thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

impl Campaign {
    /// Reads the command line; `None` when only help is wanted.
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut campaign = Self::default();
        while let Some(option) = arguments.next() {
            if option == "--help" || option == "-h" {
                return Ok(None);
            }
            if option == "--kill-leader" {
                campaign.kill_leader = true;
                continue;
            }
            let mut value = || {
                let value = arguments.next();
                value.ok_or_else(|| format!("{option} takes a value"))
            };
            match option.as_str() {
                "--seeds" => (campaign.first, campaign.end) = seeds(&value()?)?,
                "--nodes" => campaign.nodes = number(&option, &value()?, &(1..=64))?,
                "--loss" => {
                    let percent = value()?;
                    let digits = percent.strip_suffix('%').unwrap_or(&percent);
                    campaign.loss_percent = number(&option, digits, &(0..=99))?;
                }
                "--requests" => campaign.requests = number(&option, &value()?, &(1..=1_000_000))?,
                "--threads" => campaign.threads = number(&option, &value()?, &(1..=256))?,
                _ => return Err(format!("there is no option {option}; --help lists them")),
            }
        }
        if campaign.kill_leader && campaign.nodes < 3 {
            return Err("--kill-leader takes at least 3 nodes: the rest must be a majority".into());
        }
        Ok(Some(campaign))
    }

    /// The run of one seed.
    fn scenario(&self, run_seed: u64) -> Scenario {
        let mut scenario = Scenario::of(run_seed, self.nodes);
        scenario.link.loss_ppm = self.loss_percent * 10_000;
        if self.kill_leader {
            let kill = Kill {
                target: Target::Leader,
                at: moment(run_seed),
            };
            // There is room for more than one.
            let _ = scenario.kills.push(kill);
        }
        scenario
    }

    /// The command that shows one run again, and nothing else.
    fn reproduction(&self, run_seed: u64) -> String {
        let mut command = format!(
            "cargo run --release --example campaign -- --seeds {run_seed}..{}",
            run_seed.saturating_add(1)
        );
        let default = Self::default();
        // Writing to a string cannot fail.
        if self.nodes != default.nodes {
            let _ = write!(command, " --nodes {}", self.nodes);
        }
        if self.loss_percent != default.loss_percent {
            let _ = write!(command, " --loss {}", self.loss_percent);
        }
        if self.requests != default.requests {
            let _ = write!(command, " --requests {}", self.requests);
        }
        if self.kill_leader {
            command.push_str(" --kill-leader");
        }
        command
    }

    /// Runs everything, on as many threads as wanted.
    fn run(&self) -> Result<Summary, String> {
        let next = AtomicU64::new(self.first);
        let finished = AtomicU64::new(0);
        let total = Mutex::new(Summary::default());
        let work = || {
            loop {
                let run_seed = next.fetch_add(1, Ordering::Relaxed);
                if run_seed >= self.end {
                    return;
                }
                let single = run_one(self, run_seed);
                if let Ok(mut total) = total.lock() {
                    total.add(single);
                    let done = finished.fetch_add(1, Ordering::Relaxed) + 1;
                    self.progress(done, total.failures.len());
                }
            }
        };
        thread::scope(|scope| {
            let mut workers = Vec::new();
            for _ in 0..self.threads {
                let builder = thread::Builder::new().stack_size(STACK_BYTES);
                workers.push(
                    builder
                        .spawn_scoped(scope, work)
                        .map_err(|e| e.to_string())?,
                );
            }
            for worker in workers {
                worker.join().map_err(|_| "a run panicked".to_owned())?;
            }
            Ok::<(), String>(())
        })?;
        let mut total = total
            .into_inner()
            .map_err(|_| "a run panicked".to_owned())?;
        total.failures.sort();
        Ok(total)
    }

    fn progress(&self, done: u64, failures: usize) {
        let count = self.end - self.first;
        let step = (count / 10).max(1);
        if done.is_multiple_of(step) && count >= 100 {
            eprintln!("{done} of {count} runs, {failures} failed");
        }
    }

    /// What was asked for and never happened, if anything.
    fn vacuous(&self, summary: &Summary) -> Option<&'static str> {
        if summary.runs == 0 {
            Some("no run at all")
        } else if summary.applied == 0 {
            Some("no decision was ever applied")
        } else if self.loss_percent > 0 && self.nodes > 1 && summary.lost == 0 {
            Some("no message was lost")
        } else if self.kill_leader && summary.killed == 0 {
            Some("no leader was killed")
        } else {
            None
        }
    }
}

/// When the leader of a run is killed: within the time in which a run founds its cluster and answers its clients.
fn moment(run_seed: u64) -> Instant {
    // The finaliser of SplitMix64, so that neighbouring seeds draw moments that are far apart.
    let mut mixed = run_seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    Instant::from_micros(mixed % 2_000_000)
}

/// Two numbers with two dots between them.
fn seeds(text: &str) -> Result<(u64, u64), String> {
    let range = text.split_once("..").and_then(|(first, end)| {
        let (first, end) = (first.parse().ok()?, end.parse().ok()?);
        (first < end).then_some((first, end))
    });
    range.ok_or_else(|| format!("--seeds takes a range such as 0..1000, not {text:?}"))
}

/// A number within bounds.
fn number<T>(option: &str, text: &str, bounds: &RangeInclusive<T>) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    let number = text.parse().ok().filter(|number| bounds.contains(number));
    number.ok_or_else(|| {
        let (min, max) = (bounds.start(), bounds.end());
        format!("{option} takes a number from {min} to {max}, not {text:?}")
    })
}

/// What became of some runs. Adding them up gives the same in any order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Summary {
    runs: u64,
    /// The seeds that failed, each with the reason.
    failures: Vec<(u64, String)>,
    answered: u64,
    applied: u64,
    deliveries: u64,
    lost: u64,
    elections: u64,
    preemptions: u64,
    snapshots: u64,
    killed: u64,
    full: u64,
    /// The longest run in simulated time, and its seed.
    longest: (u64, u64),
}

impl Summary {
    fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.failures.extend(other.failures);
        self.answered += other.answered;
        self.applied += other.applied;
        self.deliveries += other.deliveries;
        self.lost += other.lost;
        self.elections += other.elections;
        self.preemptions += other.preemptions;
        self.snapshots += other.snapshots;
        self.killed += other.killed;
        self.full += other.full;
        self.longest = self.longest.max(other.longest);
    }
}

/// Counts what shows that a run was put to the test.
impl Tracer<Machine, PAGE> for Summary {
    fn record(&mut self, record: &Record<'_, Machine, PAGE>) {
        match record.event {
            Event::Lost { .. } => self.lost += 1,
            Event::Adopted { .. } => self.elections += 1,
            Event::Preempted { .. } => self.preemptions += 1,
            Event::Installed { .. } => self.snapshots += 1,
            Event::Killed => self.killed += 1,
            Event::Applied { .. } => self.applied += 1,
            // A full scheduler loses a message; the other queues hold somebody back.
            Event::Full { queue } if queue != Queue::Waiting => self.full += 1,
            _ => {}
        }
    }
}

/// One run.
fn run_one(campaign: &Campaign, run_seed: u64) -> Summary {
    let mut summary = Summary {
        runs: 1,
        ..Summary::default()
    };
    let scenario = campaign.scenario(run_seed);
    let failure = match Run::new(&scenario, KvScript::new(campaign.requests)) {
        Ok(mut run) => {
            let verdict = run.run(&mut summary);
            let report = run.report();
            summary.answered = report.right;
            summary.deliveries = report.deliveries;
            summary.longest = (report.at.as_micros(), run_seed);
            match verdict {
                Verdict::Done if report.right != report.expected => Some(format!(
                    "only {} of {} answers are right",
                    report.right, report.expected
                )),
                Verdict::Done if report.joined != report.live || !report.agree => {
                    Some("it says done, but not everybody has joined and applied the same".into())
                }
                Verdict::Done => None,
                Verdict::Violated(violation) => Some(format!("a rule was broken: {violation}")),
                Verdict::Stalled(bound) => Some(format!(
                    "it stalled: {bound}; {} of {} answers, {} of {} live nodes joined",
                    report.right, report.expected, report.joined, report.live
                )),
            }
        }
        Err(error) => Some(refused(error)),
    };
    summary.failures.extend(failure.map(|why| (run_seed, why)));
    summary
}

fn refused(error: ScenarioError) -> String {
    format!("it cannot be run: {error}")
}

/// What is printed at the end.
fn print(campaign: &Campaign, summary: &Summary) {
    for (run_seed, why) in summary.failures.iter().take(10) {
        println!("seed {run_seed} failed: {why}");
        println!("  see it again: {}", campaign.reproduction(*run_seed));
    }
    if summary.failures.len() > 10 {
        println!("… and {} more", summary.failures.len() - 10);
    }
    let good = summary.runs - u64::try_from(summary.failures.len()).unwrap_or(0);
    println!(
        "{good} of {} runs are good: seeds {}..{}, {} nodes, {} % loss{}",
        summary.runs,
        campaign.first,
        campaign.end,
        campaign.nodes,
        campaign.loss_percent,
        if campaign.kill_leader {
            ", the leader killed"
        } else {
            ""
        }
    );
    println!(
        "right answers {}, slots applied {}, deliveries {}, lost {}, elections {}, preemptions {}, \
         snapshots installed {}, leaders killed {}, full queues {}",
        summary.answered,
        summary.applied,
        summary.deliveries,
        summary.lost,
        summary.elections,
        summary.preemptions,
        summary.snapshots,
        summary.killed,
        summary.full
    );
    let (micros, run_seed) = summary.longest;
    println!(
        "longest run: {} of simulated time, seed {run_seed}",
        synod::Duration::from_micros(micros)
    );
}

fn main() -> ExitCode {
    let campaign = match Campaign::parse(std::env::args().skip(1)) {
        Ok(Some(campaign)) => campaign,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("campaign: {error}");
            return ExitCode::from(2);
        }
    };
    let summary = match campaign.run() {
        Ok(summary) => summary,
        Err(error) => {
            eprintln!("campaign: {error}");
            return ExitCode::FAILURE;
        }
    };
    print(&campaign, &summary);
    if !summary.failures.is_empty() {
        return ExitCode::FAILURE;
    }
    if let Some(reason) = campaign.vacuous(&summary) {
        println!("nothing was proven: {reason}");
        return ExitCode::from(5);
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<Campaign>, String> {
        Campaign::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_command_line_is_read_and_given_back() {
        let line = "--seeds 7..8 --nodes 5 --loss 20% --kill-leader";
        let campaign = parsed(line).unwrap().unwrap();
        assert_eq!((campaign.first, campaign.end), (7, 8));
        assert_eq!((campaign.nodes, campaign.loss_percent), (5, 20));
        let command = campaign.reproduction(7);
        let (_, options) = command.split_once(" -- ").unwrap();
        assert_eq!(parsed(options).unwrap().unwrap(), campaign);
    }

    #[test]
    fn bad_usage_is_named() {
        for line in [
            "--seeds 5..5",
            "--seeds five",
            "--nodes 0",
            "--nodes 1000",
            "--loss 200%",
            "--nodes",
            "--speed 3",
            "--kill-leader --nodes 2",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
        assert_eq!(parsed("--help"), Ok(None));
    }

    #[test]
    fn the_summary_does_not_depend_on_the_threads() {
        let line = "--seeds 0..6 --nodes 3 --kill-leader --threads 1";
        let alone = parsed(line).unwrap().unwrap();
        let together = Campaign {
            threads: 3,
            ..alone.clone()
        };
        let summary = alone.run().unwrap();
        assert_eq!(summary, together.run().unwrap());
        assert_eq!(summary.failures, []);
        assert_eq!(summary.runs, 6);
        assert_eq!(alone.vacuous(&summary), None);
    }

    #[test]
    fn a_campaign_without_what_it_is_for_proves_nothing() {
        let campaign = Campaign::default();
        let summary = Summary {
            runs: 1,
            applied: 1,
            ..Summary::default()
        };
        assert_eq!(campaign.vacuous(&summary), Some("no message was lost"));
        assert!(campaign.vacuous(&Summary::default()).is_some());
    }
}
