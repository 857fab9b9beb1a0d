//! A case: everything that determines one run with faults, and the execution of that run.
//!
//! A case is a value: a sweep draws one from each seed, a scenario file contains one, and shrinking
//! makes one from another. All of them are executed here, with every check that there is: the
//! invariants of the core after each step, the history of the clients for linearizability, and the
//! effort once the faults are over.

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

use crate::linearizability::{Checked, History, Objects};
use crate::membership::MembersAtEnd;
use crate::options::{Machine, Options};
use crate::run::{self, Checks, Finished, HostTracer, KEYS, PAGE, RunError};
use core::marker::PhantomData;
use synod::machines::{Bank, Kv};
use synod::simulation::{
    BankScript, Budget, Capacities, Contention, Disk, Disks, FaultKind, Faults, Fixed, Invariants,
    KvScript, Nemesis, Pace, Plan, Planned, Room, ScenarioError, Setting, Simulation, Stores,
    Trial, Verdict, Violation, Weather, Workload,
};
use synod::storage::Journal;
use synod::{Duration, Instant, Reason, StateMachine, Tally, Tracer};
use workload::CaseWorkload;

/// A run with faults. Two runs of equal cases have equal traces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The cluster, its clients, and the faults to inject.
    pub trial: Trial,
    /// The fate of each message, if that is recorded and not random.
    pub script: Option<Script>,
}

impl Case {
    /// Returns a case with random message fates.
    pub const fn of(trial: Trial) -> Self {
        Self {
            trial,
            script: None,
        }
    }

    /// Returns the run that options describe, with every check. The capacities are those of runs without checks.
    pub(crate) fn of_options(options: &Options) -> Self {
        Self::of(Trial {
            scenario: options.scenario(),
            weather: Weather::CALM,
            plan: options.plan().collect(),
            requests: options.requests,
            is_bank: options.machine == Machine::Bank,
            contended: 0,
            room: Capacities::Wide,
            has_least_storage: false,
        })
    }

    /// Returns the replicated state machine.
    pub const fn machine(&self) -> Machine {
        if self.trial.is_bank {
            Machine::Bank
        } else {
            Machine::Kv
        }
    }

    /// Returns the source of message fates and planned faults. With `recorded`, the fates are noted
    /// while they take effect.
    fn fates(&self, recorded: bool) -> Fates {
        let Trial {
            scenario,
            weather,
            plan,
            ..
        } = &self.trial;
        let fates = match &self.script {
            // A script has the effects of the weather in it, so that the weather is left out.
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

/// Greatest number of requests of a run whose history is checked. More are counted as unchecked.
/// Drawn runs have far fewer, so that only a long scenario loses the check.
const OPERATIONS_MAX: usize = 4_096;

/// Runs a case in the current thread, which must have a large enough stack: see [`in_thread`].
///
/// # Errors
///
/// [`ScenarioError`] if the run could not start.
pub fn run_here(case: &Case, tracer: &mut dyn HostTracer) -> Result<Finished, ScenarioError> {
    Ok(play(case, tracer, false)?.0)
}

/// Runs a case in a thread with a large enough stack.
///
/// # Errors
///
/// [`RunError`] if the run could not start.
pub fn run(case: &Case, tracer: &mut dyn HostTracer) -> Result<Finished, RunError> {
    Ok(in_thread(|| play(case, tracer, false))?.0)
}

/// Runs a case and records the fate of each message. The returned case is free of randomness.
///
/// # Errors
///
/// [`RunError`] if the run could not start.
///
/// ```
/// use synod::simulation::{FaultSet, Swarm};
/// use synod_host::case::{Case, record, run};
///
/// let swarm = Swarm { faults: FaultSet::ALL, nodes: Some(3) };
/// let (recorded, finished) = record(&Case::of(swarm.draw(17)))?;
/// assert!(recorded.script.is_some());
/// assert_eq!(run(&recorded, &mut ())?.verdict, finished.verdict);
/// # Ok::<(), synod_host::run::RunError>(())
/// ```
pub fn record(case: &Case) -> Result<(Case, Finished), RunError> {
    in_thread(|| record_here(case))
}

/// Like [`record`], but in the current thread, which must have a large enough stack: see [`in_thread`].
///
/// # Errors
///
/// [`ScenarioError`] if the run could not start.
pub fn record_here(case: &Case) -> Result<(Case, Finished), ScenarioError> {
    let (finished, script) = play(case, &mut (), true)?;
    let trial = case.trial.clone();
    Ok((Case { trial, script }, finished))
}

/// Calls a function in a thread with a stack large enough for a simulation.
///
/// # Errors
///
/// [`RunError`] if the function fails or no thread can be created.
pub fn in_thread<T: Send>(
    work: impl FnOnce() -> Result<T, ScenarioError> + Send,
) -> Result<T, RunError> {
    run::in_thread(work)?.map_err(RunError::Scenario)
}

/// Runs a case with its state machine, and returns the fates of its messages if they are recorded.
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

/// Runs the case in the smallest simulation that has the capacities it needs. What a case needs
/// follows from the case alone, so that equal cases have equal traces. Each simulation is compiled
/// for each machine, which is why there are only four.
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
    // Without contention each client knows its answers. With it only the history as a whole can be
    // judged.
    let workload = match case.trial.contended {
        0 => CaseWorkload::Separate(script),
        keys => CaseWorkload::Contention(Contention::new(
            scenario.run_seed,
            case.trial.requests,
            keys,
        )),
    };
    // `limits::check` refuses clusters that are too large for these capacities.
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

/// Setting of the simulation of a case, with the capacities `R` and the storage `D`.
#[derive(Debug)]
struct OnDisks<M, L, R, D>(PhantomData<(M, L, R, D)>);

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
    type Nemesis = Fates;
    type Stores = D;
    type Room = R;
}

/// Returns the time after which no message is lost or delayed by chance. Messages sent before it
/// may still be late. Until then, slow runs are the fault of the weather.
fn calm_from(case: &Case) -> Instant {
    let weather = &case.trial.weather;
    let is_on = |rate_ppm: u32, late| if rate_ppm > 0 { late } else { Duration::ZERO };
    let late =
        is_on(weather.spike_ppm, weather.spike).max(is_on(weather.reorder_ppm, weather.reorder));
    weather.until + late
}

/// True if the duration and effort of the run are comparable with those of others: links without
/// loss, no underestimated round trips, and drivers that gather for less than a round trip. Others
/// are not judged by their effort: see [`Budget`].
fn is_usual(case: &Case) -> bool {
    let scenario = &case.trial.scenario;
    let trip = scenario.link.round_trip_max();
    // A script written by hand does not say when its faults end.
    let has_known_calm = case.script.is_none() || case.trial.weather != Weather::CALM;
    has_known_calm
        && scenario.link.loss_ppm == 0
        && scenario.kills.is_empty()
        && scenario.round_trip.is_none_or(|taken| taken >= trip)
        && scenario.gather <= trip / 4
}

/// Returns the effort that the run may take. Clients that outnumber the sessions evict each other and register again.
///
/// The bounds that are lifted would otherwise fail correct runs; they are those for clients and
/// clocks that make effort of their own.
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
    // A node has as many requesters as sessions. A client that finds none free retries after a round trip, and others may
    // be faster each time. That takes 2 round trips in most runs, and at most 71 in the first 3,526 (seed 3525).
    if scenario.clients > room.sessions() {
        budget.longest_wait *= 3;
    }
    // A long time on the clock of such a node may be a short one in fact, and its messages leave it late.
    let hides_time = |planned: &Planned| {
        matches!(
            planned.kind(),
            FaultKind::Jump | FaultKind::SlowDisk | FaultKind::Skew
        )
    };
    if plan.iter().any(hides_time) {
        budget.hasty_claims = u64::MAX;
        budget.hasty_probes = u64::MAX;
        budget.hasty_repetitions = u64::MAX;
    }
    budget
}

/// Returns the size of each node's disk, in bytes. The least is four checkpoints of the largest state that the clients
/// of the case can create: a header, their sessions, and a key or account each.
///
/// The header is a page, and so are two sessions or three keys: this is the layout of a snapshot in
/// the core.
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

/// Combines the verdict on a finished run with the check of its history. A violation takes
/// precedence over a stall. The reverse would hide a broken rule, of which the stall may be only a
/// consequence.
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

/// Checks that nodes have taken no message of another node for malformed: all arrive as they were sent.
fn understood(tally: &Tally) -> Result<(), Violation> {
    match tally.ignored(Reason::Malformed) {
        0 => Ok(()),
        messages => Err(Violation::Malformed { messages }),
    }
}

/// Runs the simulation to its end and collects the results. It is never inlined, so that no stack frame holds two
/// simulations.
#[inline(never)]
fn play_in<S, const WINDOW: usize, const CLIENTS: usize, const NODES: usize, const BYTES: usize>(
    case: &Case,
    workload: S::Workload,
    tracer: &mut dyn HostTracer,
    recorded: bool,
) -> Result<(Finished, Option<Script>), ScenarioError>
where
    S: Setting<WINDOW, CLIENTS, PAGE, Nemesis = Fates, Stores = Disks<NODES, BYTES>>,
    S::Machine: Objects,
    for<'t> dyn HostTracer + 't: Tracer<S::Machine, PAGE>,
{
    let disks = Disks::sized(storage::<S::Machine, WINDOW, CLIENTS, BYTES>(case));
    let mut simulation = Simulation::<S, WINDOW, CLIENTS, PAGE>::idle_on(disks);
    simulation.start_against(&case.trial.scenario, workload, case.fates(recorded))?;
    let mut tracers = (tracer, run::RunTracers::default());
    let invariants = Invariants::<S, WINDOW, CLIENTS, PAGE>::new();
    let history = History::<S::Machine>::new(OPERATIONS_MAX);
    let mut observers = (invariants, (history, Pace::new()));
    // The effort is measured from the moment at which nothing is wrong any more: when the last fault of the plan has
    // ended, which is later than planned if it waits for a leader.
    let calm = calm_from(case);
    let verdict = run::run_until_verdict(|| {
        let verdict = simulation.step_observed(&mut tracers, &mut observers);
        run::show(&simulation, tracers.0);
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
    let (_, (digest, (tally, (leaderships, epochs)))) = tracers;
    let (mut invariants, (history, pace)) = observers;
    let (verdict, checked) = final_verdict(verdict, || {
        // The states once more at the very end: during the run only some slots are compared.
        invariants.ended(simulation.nodes())?;
        understood(&tally)?;
        history.check()
    });
    // A run that was not done has no end of its work by which it could be measured.
    let effort = (verdict == Verdict::Done && is_usual(case)).then(|| pace.figures());
    // It ends the run as a stall and not as a violation: nothing wrong was decided.
    let over = effort.and_then(|effort| effort.over(&budget(case), &case.trial.scenario));
    let verdict = over.map_or(verdict, Verdict::Stalled);
    let finished = Finished {
        verdict,
        report: simulation.report(),
        digest,
        tally,
        leaderships,
        epochs,
        members: MembersAtEnd::of(&simulation),
        replaced: Vec::new(),
        marks: simulation.marks().collect(),
        earlier: 0,
        checks: Some(Checks {
            seen: *invariants.seen(),
            history: checked,
        }),
        effort,
        began: simulation.nemesis().plan().map_or(0, Plan::began),
        lost: simulation.nemesis().lost(),
        disks: simulation.stores().figures(),
    };
    let script = simulation.nemesis().record().cloned();
    Ok((finished, script))
}
