//! A campaign: a cluster, its clients and its strikes; then peace, and the judgement.

use crate::check::{Judgement, judge};
use crate::client::{self, Seen};
use crate::clock::Clock;
use crate::history::{Counts, Record};
use crate::nodes::{Cluster, Settings};
use crate::peace;
use crate::plan::{CHANGES_MAX, Plan};
use crate::strikes::{Striker, Struck};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::fs;
use std::io;
use std::path::Path;
use std::thread;

/// How long the founders may take to answer at first.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// How often the processes are looked at.
const LOOK: Duration = Duration::from_millis(50);

/// What a campaign came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The strikes.
    pub struck: Vec<Struck>,
    /// All operations.
    pub records: Vec<Record>,
    /// What clients heard.
    pub counts: Counts,
    /// The judgement of the operations.
    pub judgement: Judgement,
    /// What else is wrong: nodes that ended, that did not answer after all faults, or whose histories differ.
    pub alarms: Vec<String>,
    /// How long it took after all faults until every member had answered a write.
    pub recovery: Duration,
}

impl Outcome {
    /// True if nothing is wrong.
    pub fn is_passed(&self) -> bool {
        self.alarms.is_empty() && self.judgement.violations.is_empty()
    }

    /// True if the campaign says nothing: nothing struck, or no operation was acknowledged.
    pub fn is_vacuous(&self) -> bool {
        self.struck.is_empty() || self.counts.acknowledged == 0
    }
}

/// Runs a campaign, with the files of its nodes in a directory, which is emptied before. It is cut short, without a
/// judgement, when `interrupted` is set.
///
/// # Errors
///
/// The directory cannot be emptied, or the cluster cannot be started.
pub fn run(
    plan: &Plan,
    settings: Settings,
    directory: &Path,
    answers_within: Duration,
    interrupted: &AtomicBool,
) -> io::Result<Option<Outcome>> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let spares = u16::try_from(CHANGES_MAX).unwrap_or(0);
    let cluster = Cluster::create(
        settings,
        directory,
        (plan.nodes, spares),
        (plan.seed, plan.node_patience_ms),
    )?;
    start(&cluster, interrupted)?;
    if interrupted.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let clock = Clock::start();
    let mut outcome = strike(&cluster, plan, clock, interrupted);
    if interrupted.load(Ordering::Relaxed) {
        return Ok(None);
    }
    cluster.heal()?;
    peace::look(&cluster, clock, answers_within, &mut outcome);
    outcome.alarms.extend(ended(&cluster));
    for node in cluster.asked() {
        cluster.terminate(node, Duration::from_secs(10));
    }
    outcome.alarms.extend(cluster.judge_recordings());
    outcome.judgement = judge(&outcome.records);
    Ok(Some(outcome))
}

/// Strikes a cluster while clients use it, and heals it.
fn strike(cluster: &Cluster, plan: &Plan, clock: Clock, interrupted: &AtomicBool) -> Outcome {
    let stop = &AtomicBool::new(false);
    let striker = Striker::new(cluster, clock, stop);
    let mut outcome = Outcome::default();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..)
            .zip(&plan.clients)
            .map(|own| scope.spawn(move || client::run(own, plan, cluster, clock, stop)))
            .collect();
        let struck = scope.spawn(|| striker.run(plan));
        let end = Duration::from_millis(plan.length_ms);
        while clock.sleep_until(end.min(clock.elapsed() + LOOK), interrupted)
            && clock.elapsed() < end
        {
            outcome.alarms.extend(ended(cluster));
        }
        stop.store(true, Ordering::Relaxed);
        let healed = cluster.heal();
        if struck.join().is_err() || healed.is_err() {
            let text = format!("the faults were not ended: {healed:?}");
            outcome.alarms.push(text);
        }
        for client in clients {
            match client.join() {
                Ok(Seen { records, counts }) => {
                    outcome.records.extend(records);
                    outcome.counts.add(counts);
                }
                Err(_) => outcome.alarms.push("a client has panicked".to_owned()),
            }
        }
    });
    let (struck, alarms) = striker.finish();
    outcome.struck = struck;
    outcome.alarms.extend(alarms);
    outcome.alarms.append(&mut outcome.counts.alarms);
    outcome
}

/// Says which nodes have ended by themselves.
fn ended(cluster: &Cluster) -> impl Iterator<Item = String> {
    let ended = cluster.ended().into_iter();
    ended.map(|(node, status)| format!("NODE_{node} has ended by itself: {status}"))
}

/// Starts the founders, and waits until each answers.
fn start(cluster: &Cluster, interrupted: &AtomicBool) -> io::Result<()> {
    let founders = cluster.members();
    for node in &founders {
        cluster.start(*node)?;
    }
    let clock = Clock::start();
    for node in founders {
        while !peace::answers(cluster, clock, node) {
            if let Some(text) = ended(cluster).next() {
                return Err(io::Error::other(text));
            }
            if clock.elapsed() > READY_WITHIN {
                return Err(io::Error::other(format!(
                    "NODE_{node} has not answered within {READY_WITHIN:?}"
                )));
            }
            if !clock.sleep(Duration::from_millis(20), interrupted) {
                return Ok(());
            }
        }
    }
    Ok(())
}
