//! One run, from options to what came of it, without a word printed.

use crate::exit::Exit;
use crate::history::Checked;
use crate::leadership::Leaderships;
use crate::options::{Machine, Options};
use crate::signals;
use core::fmt;
use std::io;
use std::panic::resume_unwind;
use std::thread;
use synod::machines::{Bank, Kv};
use synod::simulation::{
    BankScript, Bound, DiskFigures, Figures, KvScript, Mark, Network, Report, Rooms, Scenario,
    ScenarioError, Seen, Simulation, Stores, Verdict, Workload,
};
use synod::{Digest, Queue, StateMachine, Tally, Tracer};

/// Entries of a page: what fits in a small message.
pub const PAGE: usize = 2;
/// Slots under way.
pub const WINDOW: usize = 64;
/// Keys of the key-value store and accounts of the bank: one for each client that there can be.
pub const KEYS: usize = 64;
/// The stack of a run. The simulation is one value of several megabytes, which unoptimised builds copy more than once.
pub(crate) const STACK: usize = 64 << 20;

/// How many nodes and clients the smaller of the two simulations has room for, and 1,024 events on their way. The larger
/// one has room for 64 of both and 8,192 events; to touch its memory would take a short run most of its time.
const SMALL_MAX: u16 = 16;
/// The same, as a capacity.
pub(crate) const SMALL_CAPACITY: usize = 16;

/// A tracer for every machine that the host runs.
///
/// Runs take it as `&mut dyn HostTracer`: a run that is compiled once for all tracers costs a virtual call for each record,
/// and saves more than half of the time that the whole program takes to compile.
pub trait HostTracer: Tracer<Kv<KEYS>, PAGE> + Tracer<Bank<KEYS>, PAGE> + Send {}

impl<T: Tracer<Kv<KEYS>, PAGE> + Tracer<Bank<KEYS>, PAGE> + Send> HostTracer for T {}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Finished {
    /// How it ended.
    pub verdict: Verdict,
    /// Where it stood then.
    pub report: Report,
    /// The digest of its trace: equal options give equal digests.
    pub digest: Digest,
    /// What happened how often.
    pub tally: Tally,
    /// Who led, from when to when.
    pub leaderships: Leaderships,
    /// How full each fixed structure was at its fullest.
    pub marks: Vec<Mark>,
    /// Which of the planned faults have begun, as a bit for each from the lowest on.
    pub began: u64,
    /// How many messages were lost on the way, those aside that a planned fault cut off and those that found no room.
    pub lost: u64,
    /// What the checkers have looked at, where there were any.
    pub checks: Option<Checks>,
    /// What a run with faults has taken once they were over, where that can be held against what others took.
    pub pace: Option<Figures>,
    /// How many of the requests were answered in earlier runs on the same files.
    pub earlier: u64,
    /// What happened on the disks of the nodes; nothing where they had none.
    pub disks: DiskFigures,
}

/// What watches every run.
pub(crate) type RunTracers = (Digest, (Tally, Leaderships));

/// What the checkers of a run have looked at.
#[derive(Clone, Copy, Debug)]
pub struct Checks {
    /// How often each rule was checked, and how often it could not be.
    pub seen: Seen,
    /// What the look at the clients' history has covered.
    pub history: Checked,
}

impl Finished {
    /// What came of a run on a network that only loses and delays, with nobody looking on.
    pub(crate) fn of<
        M: StateMachine,
        L: Workload<M>,
        S: Stores<M, WINDOW, CLIENTS, PAGE, Room: Rooms<M, PAGE>>,
        const CLIENTS: usize,
        const NODES: usize,
        const EVENTS: usize,
    >(
        simulation: &Simulation<M, L, WINDOW, CLIENTS, PAGE, NODES, EVENTS, Network, S>,
        verdict: Verdict,
        (digest, (tally, leaderships)): RunTracers,
    ) -> Self {
        Self {
            verdict,
            report: simulation.report(),
            digest,
            lost: tally.lost_total() - tally.full(Queue::Scheduler),
            tally,
            leaderships,
            marks: simulation.marks().collect(),
            checks: None,
            began: 0,
            pace: None,
            earlier: 0,
            disks: DiskFigures::default(),
        }
    }

    /// How the run failed, in one word that stays the same when the run shrinks: the name of the bound that it ran into, such
    /// as `stalled`, or of the rule that was broken; `stopped` where it was stopped from outside; `None` where it did not fail.
    pub const fn failure(&self) -> Option<&'static str> {
        match self.verdict {
            Verdict::Done => None,
            Verdict::Stalled(bound) => Some(bound.name()),
            Verdict::Violated(violation) => Some(violation.name()),
        }
    }

    /// The exit code that the run deserves.
    pub const fn exit(&self) -> Exit {
        match self.verdict {
            Verdict::Done => Exit::Done,
            Verdict::Violated(_) => Exit::Violated,
            Verdict::Stalled(Bound::Stopped) => Exit::Interrupted,
            Verdict::Stalled(_) => Exit::Stalled,
        }
    }
}

/// Why there was no run.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError {
    /// The simulation does not take such options.
    Scenario(ScenarioError),
    /// The operating system gave no thread to run in.
    Thread(io::Error),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scenario(error) => write!(f, "nothing was run: {error}"),
            Self::Thread(error) => write!(f, "nothing was run: there is no thread for it: {error}"),
        }
    }
}

impl core::error::Error for RunError {}

/// Runs what the options say, in a thread with a stack that is large enough, and gives every record to `tracer`.
///
/// # Errors
///
/// [`RunError`] where there was no run at all. A run that stalls or breaks a rule is no error but a [`Verdict`].
///
/// ```
/// use synod_host::{Options, run};
/// let mut options = Options::new(6);
/// options.nodes = 3;
/// let (first, second) = (run(&options, &mut ())?, run(&options, &mut ())?);
/// assert_eq!(first.digest, second.digest);
/// # Ok::<(), synod_host::run::RunError>(())
/// ```
pub fn run(options: &Options, tracer: &mut dyn HostTracer) -> Result<Finished, RunError> {
    let scenario = options.scenario();
    let requests = options.requests;
    in_thread(|| match options.machine {
        Machine::Kv => simulate::<Kv<KEYS>, _>(&scenario, KvScript::new(requests), tracer),
        Machine::Bank => simulate::<Bank<KEYS>, _>(&scenario, BankScript::new(requests), tracer),
    })?
    .map_err(RunError::Scenario)
}

/// Does something in a thread with a stack that is large enough for a simulation.
pub(crate) fn in_thread<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, RunError> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("run".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, work)
            .map_err(RunError::Thread)?;
        Ok(thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// Lets one thing after the other happen until a run has ended, or is to be cut short.
#[inline]
pub(crate) fn run_until_verdict(mut step: impl FnMut() -> Option<Verdict>) -> Verdict {
    loop {
        if let Some(verdict) = step() {
            return verdict;
        }
        if signals::must_stop_run() {
            return Verdict::Stalled(Bound::Stopped);
        }
    }
}

/// Whether the smaller of the two simulations has room for it.
pub(crate) const fn is_small(scenario: &Scenario) -> bool {
    scenario.nodes <= SMALL_MAX && scenario.clients <= SMALL_MAX
}

/// Runs in as small a simulation as will do. Which one that is follows from the options, so it cannot part two traces.
fn simulate<M: StateMachine, L: Workload<M>>(
    scenario: &Scenario,
    workload: L,
    tracer: &mut dyn HostTracer,
) -> Result<Finished, ScenarioError>
where
    for<'t> dyn HostTracer + 't: Tracer<M, PAGE>,
{
    if is_small(scenario) {
        simulate_in::<M, L, SMALL_CAPACITY, SMALL_CAPACITY, 1024>(scenario, workload, tracer)
    } else {
        simulate_in::<M, L, 64, 64, 8192>(scenario, workload, tracer)
    }
}

/// Runs to the end and gathers what came of it.
///
/// It is never inlined: in one function with its twin, the stack frame would hold a simulation of each size, and the
/// entry would touch every page of both.
#[inline(never)]
fn simulate_in<
    M: StateMachine,
    L: Workload<M>,
    const CLIENTS: usize,
    const NODES: usize,
    const EVENTS: usize,
>(
    scenario: &Scenario,
    workload: L,
    tracer: &mut dyn HostTracer,
) -> Result<Finished, ScenarioError>
where
    for<'t> dyn HostTracer + 't: Tracer<M, PAGE>,
{
    let mut simulation = Simulation::<M, L, WINDOW, CLIENTS, PAGE, NODES, EVENTS>::idle();
    simulation.start(scenario, workload)?;
    let mut observers = (tracer, RunTracers::default());
    let verdict = run_until_verdict(|| simulation.step(&mut observers));
    Ok(Finished::of(&simulation, verdict, observers.1))
}
