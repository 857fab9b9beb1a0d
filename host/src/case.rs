//! A case: everything that decides one run with faults, and the run itself.

mod fates;
mod file;
mod invalid;
mod keys;
mod limits;
mod schema;
mod vacuity;
mod workload;

pub use fates::{Fates, LinkMessage, Script, ScriptedFate};
pub use file::{FileError, keys, parse, print, read, try_write, write};
pub use schema::{Outcome, planned_kinds};

use crate::history::{Checked, History, Objects};
use crate::options::Machine;
use crate::run::{self, Checks, Finished, HostTracer, KEYS, PAGE, RunError};
use synod::Tracer;
use synod::machines::{Bank, Kv};
use synod::simulation::{
    BankScript, Budget, Capacities, Contest, Disk, Disks, FaultKind, Faults, Invariants, KvScript,
    Nemesis, Pace, Plan, Planned, ScenarioError, Simulation, Trial, Verdict, Violation, Weather,
    Workload,
};
use synod::storage::Journal;
use synod::{Duration, Instant};
use workload::CaseWorkload;

/// One run with faults: two runs of equal cases have equal traces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The cluster, its clients, and what is to go wrong.
    pub trial: Trial,
    /// What became of each message, where that is not left to chance.
    pub script: Option<Script>,
}

impl Case {
    /// A case that leaves messages to chance.
    pub const fn of(trial: Trial) -> Self {
        Self {
            trial,
            script: None,
        }
    }

    /// Which state machine is replicated.
    pub const fn machine(&self) -> Machine {
        if self.trial.is_bank {
            Machine::Bank
        } else {
            Machine::Kv
        }
    }

    /// What works against its cluster.
    fn fates(&self, recorded: bool) -> Fates {
        let Trial {
            scenario,
            weather,
            plan,
            ..
        } = &self.trial;
        let fates = match &self.script {
            Some(script) => Fates::scripted(script.clone(), Plan::new(plan)),
            None => Fates::drawn(Faults::new(scenario, *weather, plan)),
        };
        if recorded {
            fates.recorded(scenario.link.delay)
        } else {
            fates
        }
    }
}

/// How many requests of a run are kept for a look at their history.
const OPERATIONS_MAX: usize = 4_096;

/// Runs a case in the present thread, which must have a stack that is large enough: see [`in_thread`].
///
/// # Errors
///
/// [`ScenarioError`] where there was no run at all.
pub fn run_here(case: &Case, tracer: &mut dyn HostTracer) -> Result<Finished, ScenarioError> {
    Ok(play(case, tracer, false)?.0)
}

/// Runs a case, in a thread with a stack that is large enough.
///
/// # Errors
///
/// [`RunError`] where there was no run at all.
pub fn run(case: &Case, tracer: &mut dyn HostTracer) -> Result<Finished, RunError> {
    Ok(in_thread(|| play(case, tracer, false))?.0)
}

/// Runs a case and writes down what became of each message: the case that leaves nothing to chance any more.
///
/// # Errors
///
/// [`RunError`] where there was no run at all.
pub fn record(case: &Case) -> Result<(Case, Finished), RunError> {
    in_thread(|| record_here(case))
}

/// As [`record`], in the present thread, which must have a stack that is large enough: see [`in_thread`].
///
/// # Errors
///
/// [`ScenarioError`] where there was no run at all.
pub fn record_here(case: &Case) -> Result<(Case, Finished), ScenarioError> {
    let (finished, script) = play(case, &mut (), true)?;
    let trial = case.trial.clone();
    Ok((Case { trial, script }, finished))
}

/// Does something in a thread with a stack that is large enough for a simulation.
///
/// # Errors
///
/// [`RunError`] where it fails, or where there is no thread.
pub fn in_thread<T: Send>(
    work: impl FnOnce() -> Result<T, ScenarioError> + Send,
) -> Result<T, RunError> {
    run::in_thread(work)?.map_err(RunError::Scenario)
}

fn play(
    case: &Case,
    tracer: &mut dyn HostTracer,
    recorded: bool,
) -> Result<(Finished, Option<Script>), ScenarioError> {
    let requests = case.trial.requests;
    match case.machine() {
        Machine::Kv => play_sized::<Kv<KEYS>, _>(case, KvScript::new(requests), tracer, recorded),
        Machine::Bank => {
            play_sized::<Bank<KEYS>, _>(case, BankScript::new(requests), tracer, recorded)
        }
    }
}

/// Runs in as small a simulation as will do, or in one without room to spare.
fn play_sized<M: Objects, L: Workload<M>>(
    case: &Case,
    script: L,
    tracer: &mut dyn HostTracer,
    recorded: bool,
) -> Result<(Finished, Option<Script>), ScenarioError>
where
    for<'t> dyn HostTracer + 't: Tracer<M, PAGE>,
    Contest: Workload<M>,
{
    let scenario = &case.trial.scenario;
    let is_small = scenario.nodes <= 16 && scenario.clients <= 16;
    let workload = match case.trial.contended {
        0 => CaseWorkload::Separate(script),
        keys => CaseWorkload::Contest(Contest::new(scenario.run_seed, case.trial.requests, keys)),
    };
    if case.trial.room == Capacities::Tight {
        play_in::<M, _, 4, 4, 16, 512, 256, 16_384>(case, workload, tracer, recorded)
    } else if case.trial.room == Capacities::Wide && is_small {
        play_in::<M, _, 64, 16, 16, 1024, 512, 98_304>(case, workload, tracer, recorded)
    } else if is_small {
        play_in::<M, _, 16, 16, 16, 1024, 512, 32_768>(case, workload, tracer, recorded)
    } else {
        play_in::<M, _, 64, 64, 64, 8192, 1024, 98_304>(case, workload, tracer, recorded)
    }
}

/// From when on no message is lost or late by chance. Those that were under way before may be late all the same.
fn calm_from(case: &Case) -> Instant {
    let weather = &case.trial.weather;
    let is_on = |rate_ppm: u32, late| if rate_ppm > 0 { late } else { Duration::ZERO };
    let late =
        is_on(weather.spike_ppm, weather.spike).max(is_on(weather.reorder_ppm, weather.reorder));
    weather.until + late
}

/// Whether the pace of a run can be held against that of others: links that lose nothing, nodes that do not take round trips
/// for shorter than they are, and drivers that do not hold everything back for as long.
fn is_usual(case: &Case) -> bool {
    let scenario = &case.trial.scenario;
    let trip = scenario.link.round_trip_max();
    // Where what becomes of messages was written by hand, nobody says when that is over.
    let has_known_calm = case.script.is_none() || case.trial.weather != Weather::CALM;
    has_known_calm
        && scenario.link.loss_ppm == 0
        && scenario.kills.is_empty()
        && scenario.round_trip.is_none_or(|taken| taken >= trip)
        && scenario.gather <= trip / 4
}

/// What a run may take. Clients for which there are not enough sessions give each other's up, and ask again in new ones.
fn budget(case: &Case) -> Budget {
    let Trial {
        scenario,
        room,
        plan,
        ..
    } = &case.trial;
    let mut budget = Budget::USUAL;
    if scenario.clients >= room.sessions() {
        budget.spare_slots = u64::MAX;
    }
    // A node has as many requesters as sessions. Who finds none free asks again, and the others may be quicker each time.
    if scenario.clients > room.sessions() {
        budget.longest_wait = u64::MAX;
    }
    // What a node takes for a long time may have been a short one, and what it says leaves it late.
    let hides_time = |planned: &Planned| {
        matches!(
            planned.kind(),
            FaultKind::Jump | FaultKind::SlowDisk | FaultKind::Skew
        )
    };
    if plan.iter().any(hides_time) {
        budget.hasty_claims = u64::MAX;
    }
    // An answer to what a node asked in a former life may be taken for one to what it asks now.
    let starts_again = |planned: &Planned| {
        matches!(planned.kind(), FaultKind::Restart) || planned.kind().is_of_disk()
    };
    if plan.iter().any(starts_again) {
        budget.denied_claims = u64::MAX;
    }
    budget
}

/// How large the disk of each node is. The least that will do is four checkpoints of what the clients of a case can bring
/// about: a header, their sessions, and a key or an account for each of them.
fn storage<M: Objects, const WINDOW: usize, const CLIENTS: usize, const BYTES: usize>(
    case: &Case,
) -> usize {
    if !case.trial.has_least_storage {
        return BYTES;
    }
    let keys = u32::from(case.trial.scenario.clients).max(case.trial.contended);
    let sessions = u32::try_from(CLIENTS).unwrap_or(u32::MAX).min(keys);
    let pages = 1 + sessions.div_ceil(2) + keys.div_ceil(3);
    let checkpoint = Journal::<Disk<BYTES>>::checkpoint_max::<M, WINDOW>(pages);
    (checkpoint * 4).min(BYTES)
}

/// The verdict on a run that is over, and what its history has shown: a broken rule outweighs all else.
fn final_verdict(
    verdict: Verdict,
    look: impl FnOnce() -> Result<Checked, Violation>,
) -> (Verdict, Checked) {
    if matches!(verdict, Verdict::Violated(_)) {
        return (verdict, Checked::default());
    }
    match look() {
        Ok(checked) => (verdict, checked),
        Err(violation) => (Verdict::Violated(violation), Checked::default()),
    }
}

/// Runs to the end and gathers what came of it. It is never inlined, so that no stack frame holds two simulations.
#[inline(never)]
fn play_in<
    M: Objects,
    L: Workload<M>,
    const WINDOW: usize,
    const CLIENTS: usize,
    const NODES: usize,
    const EVENTS: usize,
    const SLOTS: usize,
    const BYTES: usize,
>(
    case: &Case,
    workload: L,
    tracer: &mut dyn HostTracer,
    recorded: bool,
) -> Result<(Finished, Option<Script>), ScenarioError>
where
    for<'t> dyn HostTracer + 't: Tracer<M, PAGE>,
{
    let mut simulation = Simulation::<
        M,
        L,
        WINDOW,
        CLIENTS,
        PAGE,
        NODES,
        EVENTS,
        Fates,
        Disks<NODES, BYTES>,
    >::idle_on(Disks::sized(storage::<M, WINDOW, CLIENTS, BYTES>(case)));
    simulation.start_against(&case.trial.scenario, workload, case.fates(recorded))?;
    let mut tracers = (tracer, run::RunTracers::default());
    let invariants = Invariants::<M, WINDOW, CLIENTS, NODES, SLOTS>::new();
    let history = History::<M>::new(OPERATIONS_MAX);
    let mut observers = (invariants, (history, Pace::new()));
    let calm = calm_from(case);
    let verdict = run::run_until_verdict(|| {
        let verdict = simulation.step_observed(&mut tracers, &mut observers);
        let pace = &mut observers.1.1;
        if verdict.is_none()
            && !pace.is_healed()
            && simulation.now() >= calm
            && simulation.nemesis().plan().is_none_or(Plan::is_over)
        {
            pace.heal(simulation.now());
        }
        verdict
    });
    let (_, (digest, (tally, leaderships))) = tracers;
    let (mut invariants, (history, pace)) = observers;
    let (verdict, checked) = final_verdict(verdict, || {
        invariants.ended(simulation.nodes())?;
        history.check()
    });
    let pace = (verdict == Verdict::Done && is_usual(case)).then(|| pace.figures());
    let over = pace.and_then(|pace| pace.over(&budget(case), &case.trial.scenario));
    let verdict = over.map_or(verdict, Verdict::Stalled);
    let finished = Finished {
        verdict,
        report: simulation.report(),
        digest,
        tally,
        leaderships,
        marks: simulation.marks().collect(),
        earlier: 0,
        checks: Some(Checks {
            seen: *invariants.seen(),
            history: checked,
        }),
        pace,
        began: simulation.nemesis().plan().map_or(0, Plan::began),
        lost: simulation.nemesis().lost(),
        disks: simulation.stores().figures(),
    };
    let script = simulation.nemesis().record().cloned();
    Ok((finished, script))
}
