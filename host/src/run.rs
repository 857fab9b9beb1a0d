//! Execution of one simulated run, from its options to its results. Prints nothing.
//!
//! The state machine, the size of the simulation and the tracer are types of the core, and options
//! are values. This module is where one becomes the other: it chooses among four simulations that
//! were compiled, two machines in two sizes.

use crate::case::{self, Case};
use crate::exit::Exit;
use crate::leadership::Leaderships;
use crate::linearizability::Checked;
use crate::membership::{Epochs, MembersAtEnd, Replacement};
use crate::options::{Machine, Options};
use crate::signals;
use core::fmt;
use std::io;
use std::panic::resume_unwind;
use std::thread;
use synod::machines::{Bank, Kv};
use synod::simulation::{
    BankScript, Bound, Calm, DiskFigures, Figures, KvScript, Mark, Network, Perfect, Report,
    Scenario, ScenarioError, Seen, Setting, Simulation, Verdict, Workload,
};
use synod::{Digest, Epoch, NodeSet, Queue, StateMachine, Tally, Tracer};
use synod_viewer::Recorder;

/// Capacity of a page, in entries: as many as fit in a small message. A promise often takes several,
/// each of which can be lost.
pub const PAGE: usize = 2;
/// Capacity of the window, in slots. The default run has far fewer in flight, so that a full window
/// is left to runs with faults.
pub const WINDOW: usize = 64;
/// Capacity of the key-value store, in keys, and of the bank, in accounts: one for each of the most clients.
pub const KEYS: usize = 64;
/// Stack size of a run, in bytes. The simulation is a value of several megabytes, which unoptimised
/// builds copy several times. The system provides memory only for pages that are used, so that a
/// generous size costs nothing.
pub(crate) const STACK: usize = 64 << 20;

/// Capacity of the smaller of the two simulations in nodes and in clients; it queues 1,024 events. The larger one has
/// room for 64 of each and 8,192 events, and initializing its memory would take most of the time of a short run.
pub(crate) const SMALL_MAX: u16 = 16;
/// [`SMALL_MAX`] as a const generic argument.
pub(crate) const SMALL_CAPACITY: usize = 16;

const _: () = assert!(
    SMALL_MAX == 16 && SMALL_CAPACITY == 16,
    "the two are one number"
);

/// A tracer for every state machine that the host runs.
///
/// Runs take it as `&mut dyn HostTracer`. A run compiled once for all tracers costs a virtual call for each record, and
/// saves more than half of the compile time of the whole program.
pub trait HostTracer: Tracer<Kv<KEYS>, PAGE> + Tracer<Bank<KEYS>, PAGE> + Send {
    /// Returns the recorder of a page, if this tracer has one. It is shown the nodes after each event.
    fn recorder(&mut self) -> Option<&mut Recorder> {
        None
    }
}

impl HostTracer for () {}

impl<T: HostTracer + ?Sized> HostTracer for &mut T {
    fn recorder(&mut self) -> Option<&mut Recorder> {
        (**self).recorder()
    }
}

impl<A: HostTracer, B: HostTracer> HostTracer for (A, B) {
    fn recorder(&mut self) -> Option<&mut Recorder> {
        self.0.recorder().or_else(|| self.1.recorder())
    }
}

/// Results of a run.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Verdict on the run.
    pub verdict: Verdict,
    /// State of the cluster at the end.
    pub report: Report,
    /// Digest of the trace. Equal options give equal digests.
    pub digest: Digest,
    /// Number of events of each kind.
    pub tally: Tally,
    /// Leaderships in the run.
    pub leaderships: Leaderships,
    /// Epochs that have begun in the run.
    pub epochs: Epochs,
    /// The membership at the end.
    pub members: MembersAtEnd,
    /// Nodes whose storage was lost, and those in their place; only with stored state.
    pub replaced: Vec<Replacement>,
    /// Peak use of each fixed capacity.
    pub marks: Vec<Mark>,
    /// Planned faults that have begun, one bit each from the lowest on.
    pub began: u64,
    /// Number of messages lost on the network, without those cut off by a planned fault or dropped for lack of room.
    pub lost: u64,
    /// Coverage of the checkers, if there were any.
    pub checks: Option<Checks>,
    /// Effort of a run with faults after they were over, if it is comparable with that of other runs.
    pub effort: Option<Figures>,
    /// Number of requests answered in earlier runs on the same files.
    pub earlier: u64,
    /// Events on the disks of the nodes; all zero without disks.
    pub disks: DiskFigures,
}

/// Tracers of every run, beside that of its caller: the digest, the counts of events, and the
/// leaderships and epochs.
pub(crate) type RunTracers = (Digest, (Tally, (Leaderships, Epochs)));

/// Coverage of the checkers of a run.
#[derive(Clone, Copy, Debug)]
pub struct Checks {
    /// Number of checks of each rule, done and skipped.
    pub seen: Seen,
    /// Coverage of the linearizability check.
    pub history: Checked,
}

impl Finished {
    /// Collects the results of a run without checkers, and without faults besides changes of the members.
    pub(crate) fn of<S: Setting<WINDOW, CLIENTS, PAGE>, const CLIENTS: usize>(
        simulation: &Simulation<S, WINDOW, CLIENTS, PAGE>,
        verdict: Verdict,
        (digest, (tally, (leaderships, epochs))): RunTracers,
    ) -> Self {
        Self {
            verdict,
            report: simulation.report(),
            digest,
            lost: tally.lost_total() - tally.full(Queue::Scheduler),
            tally,
            leaderships,
            epochs,
            members: MembersAtEnd::of(simulation),
            replaced: Vec::new(),
            marks: simulation.marks().collect(),
            checks: None,
            began: 0,
            effort: None,
            earlier: 0,
            disks: DiskFigures::default(),
        }
    }

    /// True if not all nodes were members from the beginning to the end.
    pub fn has_changed_members(&self) -> bool {
        let members = &self.members;
        let are_all = members.members == NodeSet::first(self.report.nodes);
        let is_known = !members.members.is_empty();
        is_known && (members.epoch > Epoch::FIRST || !are_all) || !self.replaced.is_empty()
    }

    /// Returns the kind of failure as one word, which stays the same when the run is shrunk: the name of the exceeded
    /// bound, such as `stalled`, or of the violated rule; `stopped` after a signal; `None` if the run did not fail.
    ///
    /// Shrinking compares it: a smaller run that fails in another way is another failure.
    pub const fn failure(&self) -> Option<&'static str> {
        match self.verdict {
            Verdict::Done => None,
            Verdict::Stalled(bound) => Some(bound.name()),
            Verdict::Violated(violation) => Some(violation.name()),
        }
    }

    /// Returns the exit status for the run.
    pub const fn exit(&self) -> Exit {
        match self.verdict {
            Verdict::Done => Exit::Done,
            Verdict::Violated(_) => Exit::Violated,
            Verdict::Stalled(Bound::Stopped) => Exit::Interrupted,
            Verdict::Stalled(_) => Exit::Stalled,
        }
    }
}

/// Reason why a run could not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError {
    /// The simulation refuses the options.
    Scenario(ScenarioError),
    /// The operating system refused to create a thread.
    Thread(io::Error),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scenario(error) => write!(f, "nothing was run: {error}"),
            Self::Thread(error) => {
                write!(f, "nothing was run: no thread could be created: {error}")
            }
        }
    }
}

impl core::error::Error for RunError {}

/// Executes a run in a thread with a large enough stack, and passes every record to `tracer`.
///
/// # Errors
///
/// [`RunError`] if the run could not start. A run that stalls or violates a rule is not an error but has a [`Verdict`].
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
    // A change of the members is planned like a fault, and a simulation with a plan is that of a case.
    if !options.changes.is_empty() || options.reads {
        return case::run(&Case::of_options(options), tracer);
    }
    let scenario = options.scenario();
    let requests = options.requests;
    in_thread(|| match options.machine {
        Machine::Kv => simulate::<Kv<KEYS>, _>(&scenario, KvScript::new(requests), tracer),
        Machine::Bank => simulate::<Bank<KEYS>, _>(&scenario, BankScript::new(requests), tracer),
    })?
    .map_err(RunError::Scenario)
}

/// Calls a function in a thread with a stack large enough for a simulation. A panic of the function
/// goes on in the caller.
///
/// The main thread has a stack of eight megabytes on most systems, and other threads have two,
/// which a simulation may exceed.
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

/// Calls `step` until it returns a verdict or a signal requests to stop. The signal is looked for
/// after each step, and a step takes microseconds.
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

/// Shows the nodes to the recorder of a page after an event, if there is one.
#[inline]
pub(crate) fn show<S: Setting<W, C, PAGE>, const W: usize, const C: usize>(
    simulation: &Simulation<S, W, C, PAGE>,
    tracer: &mut dyn HostTracer,
) {
    if let Some(recorder) = tracer.recorder() {
        recorder.look(simulation);
    }
}

/// True if the smaller of the two simulations has room for the scenario.
const fn is_small(scenario: &Scenario) -> bool {
    scenario.nodes <= SMALL_MAX && scenario.clients <= SMALL_MAX
}

/// Executes the run in the smaller simulation if that suffices. The choice follows from the options, so equal options
/// still have equal traces.
fn simulate<M: StateMachine, L: Workload<M>>(
    scenario: &Scenario,
    workload: L,
    tracer: &mut dyn HostTracer,
) -> Result<Finished, ScenarioError>
where
    for<'t> dyn HostTracer + 't: Tracer<M, PAGE>,
{
    if is_small(scenario) {
        simulate_in::<Calm<M, L, SMALL_CAPACITY, 1024>, SMALL_CAPACITY>(scenario, workload, tracer)
    } else {
        simulate_in::<Calm<M, L, 64, 8192>, 64>(scenario, workload, tracer)
    }
}

/// Executes the run to its end and collects the results.
///
/// It is never inlined: inlined twice into one function, the stack frame would hold simulations of both sizes, and
/// entering it would touch every page of both.
#[inline(never)]
fn simulate_in<S, const CLIENTS: usize>(
    scenario: &Scenario,
    workload: S::Workload,
    tracer: &mut dyn HostTracer,
) -> Result<Finished, ScenarioError>
where
    S: Setting<WINDOW, CLIENTS, PAGE, Nemesis = Network, Stores = Perfect>,
    for<'t> dyn HostTracer + 't: Tracer<S::Machine, PAGE>,
{
    let mut simulation = Simulation::<S, WINDOW, CLIENTS, PAGE>::idle();
    simulation.start(scenario, workload)?;
    let mut observers = (tracer, RunTracers::default());
    let verdict = run_until_verdict(|| {
        let verdict = simulation.step(&mut observers);
        show(&simulation, observers.0);
        verdict
    });
    Ok(Finished::of(&simulation, verdict, observers.1))
}
