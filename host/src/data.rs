//! Runs with durable state: a simulated network, and nodes whose journals are files in a directory.
//!
//! The process may be killed at any instant. The next run with the same directory continues: every node from its own
//! file, and every client after the last answer that it has received.
//!
//! What is real here are the files, the locks, and the ways in which a process can end. The network
//! and the clients are simulated, so that a run can be killed a hundred times in a minute, and
//! every answer that was ever shown can be compared with what the next run finds.

mod client_log;
mod consistency;
mod error;
mod files;
mod opened;
mod replacement;

pub use error::DataError;
pub use replacement::MembershipError;

use crate::membership::MembersAtEnd;
use crate::options::{Machine, Options};
use crate::run::{
    Finished, HostTracer, KEYS, PAGE, RunError, RunTracers, SMALL_CAPACITY as FEW, SMALL_MAX,
    WINDOW, in_thread, run_until_verdict, show,
};
use crate::shell_quoting;
use crate::store::{DataDir, Members};
use client_log::ClientLog;
use consistency::state_follows;
use core::marker::PhantomData;
use files::Files;
use opened::Opened;
use std::path::PathBuf;
use synod::machines::{Bank, Kv};
use synod::simulation::{
    BankScript, Bound, ClientResume, Faults, Fixed, KvScript, Scenario, Setting, Simulation,
    Verdict, Violation, Weather, Workload,
};
use synod::{Durable, NODES_MAX, NodeId, StateMachine, Tracer};

/// Capacity of a node's storage, in bytes of records: more than twice the size of four checkpoints
/// of the largest possible state, so that checkpoints are written in pages. It is in every
/// store, so that another value makes existing directories unusable.
const ROOM: u32 = 1 << 18;

/// Directory with the durable state of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// Path of the directory.
    pub path: PathBuf,
    /// Nodes whose storage is not used: they restart as learners, which never vote.
    pub learners: Vec<NodeId>,
    /// Nodes whose storage is lost: a new node takes the place of each.
    pub replace: Vec<NodeId>,
}

impl Data {
    /// Returns the options for this directory on the command line, each preceded by a space.
    pub fn command(&self) -> String {
        let mut line = String::new();
        shell_quoting::push_option(&mut line, "--data", self.path.as_os_str());
        for learner in &self.learners {
            shell_quoting::push_option(&mut line, "--learner", learner.0.to_string().as_ref());
        }
        for lost in &self.replace {
            shell_quoting::push_option(&mut line, "--replace", lost.0.to_string().as_ref());
        }
        line
    }
}

/// Executes a run on the files of a directory, which is created if it does not exist, and continues an earlier run. The
/// run ends early if a file cannot be written.
///
/// # Errors
///
/// [`DataError`] if the directory cannot be used, with the remedy.
///
/// ```
/// use synod_host::Options;
/// use synod_host::data::{Data, run};
/// # let path = std::env::temp_dir().join(format!("synod-data-doc-{}", std::process::id()));
/// let data = Data { path: path.clone(), learners: Vec::new(), replace: Vec::new() };
/// let mut options = Options::new(6);
/// options.nodes = 3;
/// options.clients = 1;
/// let first = run(&options, &data, &mut ())?;
/// assert_eq!((first.report.right, first.earlier), (11, 0));
/// options.requests = 20;
/// let second = run(&options, &data, &mut ())?;
/// assert_eq!((second.report.right, second.earlier), (20, 11));
/// # std::fs::remove_dir_all(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn run(
    options: &Options,
    data: &Data,
    tracer: &mut dyn HostTracer,
) -> Result<Finished, DataError> {
    in_thread(|| match options.machine {
        Machine::Kv => sized::<Kv<KEYS>>(options, data, tracer),
        Machine::Bank => sized::<Bank<KEYS>>(options, data, tracer),
    })?
}

/// Durable state in the directory of a run with at most 16 nodes and clients.
///
/// Tests and tools compare it with what the clients were told.
#[derive(Debug)]
pub struct Contents<M: StateMachine> {
    /// State of each client.
    pub clients: Vec<ClientResume>,
    /// State of each node; `None` if it has not joined.
    pub nodes: Vec<Option<Durable<M, WINDOW, FEW>>>,
}

/// Reads the directory of a run without starting its nodes, and without changing its records.
///
/// # Errors
///
/// [`DataError`], as [`run`].
pub fn inspect<M: Scripted>(options: &Options, data: &Data) -> Result<Contents<M>, DataError> {
    let Opened {
        client_log, files, ..
    } = Opened::<M, FEW>::open(options, data, SMALL_MAX)?;
    let clients = client_log.pasts();
    let nodes = files.remembered().map(Option::<&_>::cloned).collect();
    Ok(Contents { clients, nodes })
}

/// A state machine whose clients follow a script.
pub trait Scripted: StateMachine {
    /// The script.
    type Script: Workload<Self>;

    /// Returns the script of clients that make `requests` requests each.
    fn script(requests: u32) -> Self::Script;
}

impl Scripted for Kv<KEYS> {
    type Script = KvScript;

    fn script(requests: u32) -> KvScript {
        KvScript::new(requests)
    }
}

impl Scripted for Bank<KEYS> {
    type Script = BankScript;

    fn script(requests: u32) -> BankScript {
        BankScript::new(requests)
    }
}

/// Executes the run in the smaller simulation if that suffices, as runs without files do.
fn sized<M: Scripted>(
    options: &Options,
    data: &Data,
    tracer: &mut dyn HostTracer,
) -> Result<Finished, DataError>
where
    for<'t> dyn HostTracer + 't: Tracer<M, PAGE>,
{
    // By what stays the same when the members change, as the capacities are part of the directory.
    if options.nodes <= SMALL_MAX && options.clients <= SMALL_MAX {
        simulate::<M, FEW, FEW, 1024>(options, data, tracer)
    } else {
        simulate::<M, 64, 64, 8192>(options, data, tracer)
    }
}

/// A simulation whose nodes keep what they must not forget in files.
struct OnFiles<M, const NODES: usize, const EVENTS: usize>(PhantomData<fn() -> M>);

impl<M: Scripted, const NODES: usize, const EVENTS: usize, const CLIENTS: usize>
    Setting<WINDOW, CLIENTS, PAGE> for OnFiles<M, NODES, EVENTS>
{
    type Machine = M;
    type Workload = M::Script;
    type Nemesis = Faults;
    type Stores = Files<M, CLIENTS>;
    type Room = Fixed<NODES, EVENTS>;
}

/// Opens the files, executes the run on them, and stores what was seen of them. It is never inlined,
/// so that no stack frame holds simulations of both sizes.
#[inline(never)]
fn simulate<M: Scripted, const CLIENTS: usize, const NODES: usize, const EVENTS: usize>(
    options: &Options,
    data: &Data,
    tracer: &mut dyn HostTracer,
) -> Result<Finished, DataError>
where
    for<'t> dyn HostTracer + 't: Tracer<M, PAGE>,
{
    let room = u16::try_from(NODES).unwrap_or(NODES_MAX);
    let Opened {
        mut dir,
        mut client_log,
        files,
        scenario,
        mut pending,
    } = Opened::<M, CLIENTS>::open(options, data, room)?;
    // Now and at the end, so that an older copy of a store is noticed as long as the manifest is
    // newer.
    remember(&mut dir, &files, &client_log)?;
    let mut simulation =
        Simulation::<OnFiles<M, NODES, EVENTS>, WINDOW, CLIENTS, PAGE>::idle_on(files);
    let plan: Vec<_> = options.plan().collect();
    let faults = Faults::new(&scenario, Weather::CALM, &plan);
    let script = M::script(options.requests);
    // The error of a file is the cause, and the refusal of the simulation its consequence.
    if let Err(error) = simulation.start_against(&scenario, script, faults) {
        let failed = simulation.stores_mut().take_error();
        return Err(failed.unwrap_or(DataError::Run(RunError::Scenario(error))));
    }
    let (earlier, beyond) = resume(&mut simulation, &scenario, &client_log, options.requests);
    let mut observers = (tracer, RunTracers::default());
    let mut failed = None;
    let mut verdict = run_until_verdict(|| {
        let ended = simulation.step_observed(&mut observers, &mut client_log);
        show(&simulation, observers.0);
        // The first error suffices, as a cause of one file's failure usually affects all.
        failed = simulation.stores_mut().take_error();
        failed = failed.take().or_else(|| client_log.take_error());
        let is_planned = pending.plan(&mut simulation, ended.is_some());
        // A run that is done goes on for a change that is planned only then.
        let ended = ended.filter(|_| !is_planned);
        ended.or(failed.is_some().then_some(Verdict::Stalled(Bound::Stopped)))
    });
    if let Some(error) = failed {
        return Err(error);
    }
    // A run that is killed does not come here, and the numbers of its beginning stay.
    simulation.stores_mut().mark()?;
    client_log.mark()?;
    remember(&mut dir, simulation.stores(), &client_log)?;
    // The states are compared with the answers only now, when all of these are in the log.
    if verdict == Verdict::Done {
        let entries = client_log.pasts();
        let wrong = simulation.nodes().find(|node| {
            let durable = node.durable();
            durable.is_some_and(|durable| !state_follows(&durable, &entries, M::script(u32::MAX)))
        });
        if let Some(node) = wrong {
            let (node, slot) = (node.id(), node.applied());
            verdict = Verdict::Violated(Violation::WrongState { node, slot });
        }
    }
    let mut finished = Finished::of(&simulation, verdict, observers.1);
    finished.earlier = earlier;
    // Otherwise more would be answered than were expected.
    finished.report.expected += beyond;
    finished.replaced = pending.results(&simulation);
    remember_members(&mut dir, &finished.members)?;
    Ok(finished)
}

/// Has the clients continue after their last answers. Returns the number of requests that were answered in earlier runs,
/// and how many of them are beyond what a client makes in this one.
fn resume<S, const CLIENTS: usize>(
    simulation: &mut Simulation<S, WINDOW, CLIENTS, PAGE>,
    scenario: &Scenario,
    client_log: &ClientLog,
    requests: u32,
) -> (u64, u64)
where
    S: Setting<WINDOW, CLIENTS, PAGE>,
{
    let (mut earlier, mut beyond) = (0, 0);
    for past in client_log.pasts() {
        if past.client < scenario.clients {
            earlier += u64::from(past.answered);
            // A client that made more requests in an earlier run has been answered those, too.
            beyond += u64::from(past.answered.saturating_sub(requests));
            simulation.resume(past);
        }
    }
    (earlier, beyond)
}

/// Stores the membership at the end of a run in the manifest, if any node has joined.
fn remember_members(dir: &mut DataDir, at_end: &MembersAtEnd) -> Result<(), DataError> {
    if at_end.members.is_empty() {
        return Ok(());
    }
    let members = Members {
        epoch: at_end.epoch,
        members: at_end.members,
        removed: at_end.removed,
    };
    dir.remember_members(members).map_err(DataError::Store)
}

/// Stores the number of syncs of each file in the manifest.
fn remember<M: StateMachine, const CLIENTS: usize>(
    dir: &mut DataDir,
    files: &Files<M, CLIENTS>,
    client_log: &ClientLog,
) -> Result<(), DataError> {
    let seen = files.seen().into_iter().chain([client_log.seen()]);
    dir.remember(seen).map_err(DataError::Store)
}

#[cfg(test)]
mod tests {
    use super::*;
    use synod::machines::{Key, KvCommand};
    use synod::storage::Journal;
    use synod_store::FileLog;

    #[test]
    fn storage_has_room_for_four_checkpoints_of_the_largest_state() {
        let mut machine = Kv::<KEYS>::default();
        for key in (0..).take(KEYS) {
            machine.apply(&KvCommand::Set(Key::numbered(key), i64::MAX));
        }
        // A header, and at most a page for the session of each of 64 clients.
        let pages = 1 + 64 + machine.snapshot_pages();
        let largest = Journal::<FileLog>::checkpoint_max::<Kv<KEYS>, WINDOW>(pages);
        let room = usize::try_from(ROOM).unwrap();
        assert!(largest * 4 * 2 < room, "{largest}");
    }
}
