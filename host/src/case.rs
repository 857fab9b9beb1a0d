//! A case: everything that decides one run with faults, and the run itself.

mod asking;
mod effect;
mod file;
mod keys;
mod limits;
mod nature;
mod table;
mod wrong;

pub use file::{FileError, keys, parse, print, read, try_write, write};
pub use nature::{Choice, Nature, Passage, Script};
pub use table::{Outcome, planned_kinds};

use crate::history::{Checked, History, Objects};
use crate::options::Machine;
use crate::run::{self, Finished, HostTracer, KEYS, Looks, PAGE, RunError};
use asking::Asking;
use core::marker::PhantomData;
use synod::machines::{Bank, Kv};
use synod::simulation::{
    BankScript, Budget, Capacities, Contention, Disk, Disks, FaultKind, Faults, Fixed, Invariants,
    KvScript, Nemesis, Pace, Plan, Planned, Room, ScenarioError, Setting, Simulation, Stores,
    Trial, Verdict, Violation, Weather, Workload,
};
use synod::storage::Journal;
use synod::{Duration, Instant, StateMachine, Tracer};

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
    fn nature(&self, recorded: bool) -> Nature {
        let Trial {
            scenario,
            weather,
            plan,
            ..
        } = &self.trial;
        let nature = match &self.script {
            Some(script) => Nature::scripted(script.clone(), Plan::new(plan)),
            None => Nature::drawn(Faults::new(scenario, *weather, plan)),
        };
        if recorded {
            nature.recorded(scenario.link.delay)
        } else {
            nature
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
    Contention: Workload<M>,
{
    let scenario = &case.trial.scenario;
    let is_small = scenario.nodes <= 16 && scenario.clients <= 16;
    let workload = match case.trial.contended {
        0 => Asking::Apart(script),
        keys => Asking::Contention(Contention::new(
            scenario.run_seed,
            case.trial.requests,
            keys,
        )),
    };
    if case.trial.room == Capacities::Tight {
        play_in::<OnDisks<M, _, Fixed<16, 512, 256>, Disks<16, 16_384>>, 4, 4, _, _>(
            case, workload, tracer, recorded,
        )
    } else if case.trial.room == Capacities::Wide && is_small {
        play_in::<OnDisks<M, _, Fixed<16, 1024, 512>, Disks<16, 98_304>>, 64, 16, _, _>(
            case, workload, tracer, recorded,
        )
    } else if is_small {
        play_in::<OnDisks<M, _, Fixed<16, 1024, 512>, Disks<16, 32_768>>, 16, 16, _, _>(
            case, workload, tracer, recorded,
        )
    } else {
        play_in::<OnDisks<M, _, Fixed<64, 8192>, Disks<64, 98_304>>, 64, 64, _, _>(
            case, workload, tracer, recorded,
        )
    }
}

/// The simulation of a case, in a room `R` and with `D` as storage.
#[derive(Debug)]
struct OnDisks<M, L, R, D>(PhantomData<fn() -> (M, L, R, D)>);

impl<M, L, R, D, const WINDOW: usize, const CLIENTS: usize> Setting<WINDOW, CLIENTS, PAGE>
    for OnDisks<M, L, R, D>
where
    M: StateMachine,
    L: Workload<M>,
    R: Room,
    D: Stores<M, WINDOW, CLIENTS, PAGE>,
{
    type Machine = M;
    type Workload = L;
    type Nemesis = Nature;
    type Stores = D;
    type Room = R;
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
    let is_told = case.script.is_none() || case.trial.weather != Weather::CALM;
    is_told
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
    // A node has as many requesters as sessions. Who finds none free asks again after a round trip, and the others may be quicker
    // each time: that takes 2 round trips in most runs, and 71 at most in the first 3,526 (seed 3525).
    if scenario.clients > room.sessions() {
        budget.longest_wait *= 3;
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
        budget.hasty_probes = u64::MAX;
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
fn judge(
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
fn play_in<S, const WINDOW: usize, const CLIENTS: usize, const NODES: usize, const BYTES: usize>(
    case: &Case,
    workload: S::Workload,
    tracer: &mut dyn HostTracer,
    recorded: bool,
) -> Result<(Finished, Option<Script>), ScenarioError>
where
    S: Setting<WINDOW, CLIENTS, PAGE, Nemesis = Nature, Stores = Disks<NODES, BYTES>>,
    S::Machine: Objects,
    for<'t> dyn HostTracer + 't: Tracer<S::Machine, PAGE>,
{
    let disks = Disks::sized(storage::<S::Machine, WINDOW, CLIENTS, BYTES>(case));
    let mut simulation = Simulation::<S, WINDOW, CLIENTS, PAGE>::idle_on(disks);
    simulation.start_against(&case.trial.scenario, workload, case.nature(recorded))?;
    let mut tracers = (tracer, run::Watchers::default());
    let invariants = Invariants::<S, WINDOW, CLIENTS, PAGE>::new();
    let history = History::<S::Machine>::new(OPERATIONS_MAX);
    let mut observers = (invariants, (history, Pace::new()));
    let calm = calm_from(case);
    let verdict = run::to_the_end(|| {
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
    let (_, (digest, (tally, reigns))) = tracers;
    let (mut invariants, (history, pace)) = observers;
    let (verdict, checked) = judge(verdict, || {
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
        reigns,
        marks: simulation.marks().collect(),
        earlier: 0,
        looks: Some(Looks {
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
