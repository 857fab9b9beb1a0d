//! A case: everything that decides one run with faults, and the run itself.

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
use crate::run::{self, Finished, KEYS, Looks, PAGE, RunError};
use synod::Tracer;
use synod::machines::{Bank, Kv};
use synod::simulation::{
    BankScript, Contest, Disks, Faults, Invariants, KvScript, Plan, ScenarioError, Simulation,
    Trial, Verdict, Violation, Workload,
};

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

/// A tracer for both machines that a case can have, whatever it is.
pub trait CaseTracer: Tracer<Kv<KEYS>, PAGE> + Tracer<Bank<KEYS>, PAGE> + Send {}

impl<T: Tracer<Kv<KEYS>, PAGE> + Tracer<Bank<KEYS>, PAGE> + Send> CaseTracer for T {}

/// Runs a case in the present thread, which must have a stack that is large enough: see [`in_thread`].
///
/// # Errors
///
/// [`ScenarioError`] where there was no run at all.
pub fn run_here(case: &Case, tracer: &mut dyn CaseTracer) -> Result<Finished, ScenarioError> {
    Ok(play(case, tracer, false)?.0)
}

/// Runs a case, in a thread with a stack that is large enough.
///
/// # Errors
///
/// [`RunError`] where there was no run at all.
pub fn run(case: &Case, tracer: &mut dyn CaseTracer) -> Result<Finished, RunError> {
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
    tracer: &mut dyn CaseTracer,
    recorded: bool,
) -> Result<(Finished, Option<Script>), ScenarioError> {
    let Trial {
        requests,
        contended,
        ..
    } = case.trial;
    let run_seed = case.trial.scenario.run_seed;
    let contest = Contest::new(run_seed, requests, contended);
    match (case.machine(), contended) {
        (Machine::Kv, 0) => {
            play_sized::<Kv<KEYS>, _>(case, KvScript::new(requests), tracer, recorded)
        }
        (Machine::Kv, _) => play_sized::<Kv<KEYS>, _>(case, contest, tracer, recorded),
        (Machine::Bank, 0) => {
            play_sized::<Bank<KEYS>, _>(case, BankScript::new(requests), tracer, recorded)
        }
        (Machine::Bank, _) => play_sized::<Bank<KEYS>, _>(case, contest, tracer, recorded),
    }
}

/// Runs in as small a simulation as will do, or in one without room to spare.
fn play_sized<M: Objects, L: Workload<M>>(
    case: &Case,
    workload: L,
    tracer: &mut dyn CaseTracer,
    recorded: bool,
) -> Result<(Finished, Option<Script>), ScenarioError>
where
    for<'t> dyn CaseTracer + 't: Tracer<M, PAGE>,
{
    let scenario = &case.trial.scenario;
    if case.trial.is_tight {
        play_in::<M, L, 4, 4, 16, 512, 256, 16_384>(case, workload, tracer, recorded)
    } else if scenario.nodes <= 16 && scenario.clients <= 16 {
        play_in::<M, L, 16, 16, 16, 1024, 512, 32_768>(case, workload, tracer, recorded)
    } else {
        play_in::<M, L, 64, 64, 64, 8192, 1024, 98_304>(case, workload, tracer, recorded)
    }
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
    tracer: &mut dyn CaseTracer,
    recorded: bool,
) -> Result<(Finished, Option<Script>), ScenarioError>
where
    for<'t> dyn CaseTracer + 't: Tracer<M, PAGE>,
{
    let mut simulation = Simulation::<
        M,
        L,
        WINDOW,
        CLIENTS,
        PAGE,
        NODES,
        EVENTS,
        Nature,
        Disks<NODES, BYTES>,
    >::idle();
    simulation.start_against(&case.trial.scenario, workload, case.nature(recorded))?;
    let mut tracers = (tracer, run::Watchers::default());
    let invariants = Invariants::<M, WINDOW, CLIENTS, NODES, SLOTS>::new();
    let mut observers = (invariants, History::<M>::new(OPERATIONS_MAX));
    let verdict = run::to_the_end(|| simulation.step_observed(&mut tracers, &mut observers));
    let (_, (digest, (tally, reigns))) = tracers;
    let (mut invariants, history) = observers;
    let (verdict, checked) = judge(verdict, || {
        invariants.ended(simulation.nodes())?;
        history.check()
    });
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
        lost: simulation.nemesis().lost(),
        disks: simulation.stores().figures(),
    };
    let script = simulation.nemesis().record().cloned();
    Ok((finished, script))
}
