//! A case: everything that decides one run with faults, and the run itself.

mod file;
mod nature;
mod table;

pub use file::{FileError, parse, print, read, write};
pub use nature::{Choice, Nature, Passage, Script};
pub use table::Outcome;

use crate::options::Machine;
use crate::run::{Finished, KEYS, PAGE, RunError, STACK};
use std::panic::resume_unwind;
use std::thread;
use synod::machines::{Bank, Kv};
use synod::simulation::{
    BankScript, Faults, KvScript, Plan, ScenarioError, Simulation, Trial, Workload,
};
use synod::{Digest, StateMachine, Tally, Tracer};

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
    thread::scope(|scope| {
        thread::Builder::new()
            .name("run".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, work)
            .map_err(RunError::Thread)?
            .join()
            .unwrap_or_else(|panic| resume_unwind(panic))
            .map_err(RunError::Scenario)
    })
}

fn play(
    case: &Case,
    tracer: &mut dyn CaseTracer,
    recorded: bool,
) -> Result<(Finished, Option<Script>), ScenarioError> {
    let (requests, is_tight) = (case.trial.requests, case.trial.is_tight);
    let few = case.trial.scenario.nodes <= 16 && case.trial.scenario.clients <= 16;
    let (kv, bank) = (KvScript::new(requests), BankScript::new(requests));
    match (case.machine(), is_tight, few) {
        (Machine::Kv, true, _) => play_in::<Kv<KEYS>, _, 4, 4, 16, 512>(case, kv, tracer, recorded),
        (Machine::Kv, _, true) => {
            play_in::<Kv<KEYS>, _, 16, 16, 16, 1024>(case, kv, tracer, recorded)
        }
        (Machine::Kv, ..) => play_in::<Kv<KEYS>, _, 64, 64, 64, 8192>(case, kv, tracer, recorded),
        (Machine::Bank, true, _) => {
            play_in::<Bank<KEYS>, _, 4, 4, 16, 512>(case, bank, tracer, recorded)
        }
        (Machine::Bank, _, true) => {
            play_in::<Bank<KEYS>, _, 16, 16, 16, 1024>(case, bank, tracer, recorded)
        }
        (Machine::Bank, ..) => {
            play_in::<Bank<KEYS>, _, 64, 64, 64, 8192>(case, bank, tracer, recorded)
        }
    }
}

/// Runs to the end and gathers what came of it. It is never inlined, so that no stack frame holds two simulations.
#[inline(never)]
fn play_in<
    M: StateMachine,
    L: Workload<M>,
    const WINDOW: usize,
    const CLIENTS: usize,
    const NODES: usize,
    const EVENTS: usize,
>(
    case: &Case,
    workload: L,
    tracer: &mut dyn CaseTracer,
    recorded: bool,
) -> Result<(Finished, Option<Script>), ScenarioError>
where
    for<'t> dyn CaseTracer + 't: Tracer<M, PAGE>,
{
    let mut simulation = Simulation::<M, L, WINDOW, CLIENTS, PAGE, NODES, EVENTS, Nature>::idle();
    simulation.start_against(&case.trial.scenario, workload, case.nature(recorded))?;
    let mut observers = (tracer, (Digest::new(), Tally::new()));
    let verdict = simulation.run(&mut observers);
    let (_, (digest, tally)) = observers;
    let finished = Finished {
        verdict,
        report: simulation.report(),
        digest,
        tally,
        marks: simulation.marks().collect(),
        lost: simulation.nemesis().lost(),
    };
    let script = simulation.nemesis().record().cloned();
    Ok((finished, script))
}
