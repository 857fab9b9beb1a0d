//! Opening of a data directory: all files are read and compared before anything depends on them.

use super::client_log::ClientLog;
use super::consistency::StoredCluster;
use super::error::DataError;
use super::files::Files;
use super::replacement::{self, MembershipError, Pending};
use super::{Data, ROOM, Scripted};
use crate::options::Options;
use crate::run::{PAGE, WINDOW};
use crate::store::{Cluster, DataDir};
use synod::simulation::Scenario;
use synod::{Durable, NodeId, NodeSet, Slot, StateMachine};

/// The files of a directory, found to be consistent.
///
/// Nothing of it has been acted on yet: no node has started, and no record was written.
pub(super) struct Opened<M: StateMachine, const CLIENTS: usize> {
    /// The directory, locked as long as the run lasts.
    pub(super) dir: DataDir,
    /// Answers that the clients have received.
    pub(super) client_log: ClientLog,
    /// Stores of the nodes.
    pub(super) files: Files<M, CLIENTS>,
    /// The scenario, with all nodes that the directory has.
    pub(super) scenario: Scenario,
    /// Nodes that are to take the place of others.
    pub(super) pending: Pending,
}

impl<M: Scripted, const CLIENTS: usize> Opened<M, CLIENTS> {
    /// Opens all files and compares them with each other, before anything depends on them. There is room for `room`
    /// nodes.
    pub(super) fn open(options: &Options, data: &Data, room: u16) -> Result<Self, DataError> {
        let refused = |why| DataError::Membership(data.path.clone(), why);
        // A directory without anything in it is not founded in vain.
        if !DataDir::exists(&data.path) {
            if let Some(node) = data.replace.first() {
                return Err(refused(MembershipError::Unknown(*node)));
            }
            check_learners(data, options.all_nodes()).map_err(refused)?;
        }
        let mut dir = open::<CLIENTS>(options, data)?;
        let client_log = ClientLog::open(&mut dir)?;
        let entries = client_log.pasts();
        // Creating new stores here would found a second cluster beside the one whose answers these
        // are.
        if !entries.is_empty() && !dir.has_nodes() {
            return Err(DataError::Manifest(dir.client_log()));
        }
        let scenario = scenario(options, &dir, NodeSet::EMPTY);
        let lost =
            replacement::asked::<M, CLIENTS>(&mut dir, &scenario, &data.replace, &data.learners)?;
        let gone = gone(&dir).union(lost);
        check_changes(options, &dir, gone).map_err(refused)?;
        dir.admit(options.all_nodes());
        let scenario = self::scenario(options, &dir, gone);
        check_learners(data, dir.nodes()).map_err(refused)?;
        must_fit(&dir, room).map_err(refused)?;
        // Before anything is compared, as all files must be readable for that.
        let mut files = Files::open(&mut dir, &scenario, &data.learners)?;
        let unused = gone.union(data.learners.iter().copied().collect());
        let members = check(&dir, &files, &client_log, unused, options.nodes)?;
        let votes = files.remembered().flatten().flat_map(Durable::votes);
        let known = votes.map(|vote| vote.slot).max().unwrap_or(Slot::ZERO);
        let lost_members = members.intersection(unused);
        let is_replacing = !lost.is_empty() || !Pending::of(&dir, members, gone, known).is_empty();
        if is_replacing && !members.minus(lost_members).is_quorum(members) {
            let lost = lost_members;
            return Err(refused(MembershipError::Majority { members, lost }));
        }
        let no_number = || refused(MembershipError::NoNumber { nodes: room });
        if !dir.replace(lost).map_err(DataError::Store)? {
            return Err(no_number());
        }
        must_fit(&dir, room).map_err(refused)?;
        let scenario = self::scenario(options, &dir, gone);
        files.add_new(&mut dir, &scenario)?;
        let pending = Pending::of(&dir, members, gone, known);
        Ok(Self {
            dir,
            client_log,
            files,
            scenario,
            pending,
        })
    }
}

/// Compares the files with each other and with what the manifest has seen, and returns the members in the latest epoch.
fn check<M: Scripted, const CLIENTS: usize>(
    dir: &DataDir,
    files: &Files<M, CLIENTS>,
    client_log: &ClientLog,
    unused: NodeSet,
    founders: u16,
) -> Result<NodeSet, DataError> {
    let remembered = (0..).map(NodeId).zip(files.remembered());
    let cluster = StoredCluster {
        path: &dir.client_log(),
        entries: &client_log.pasts(),
        nodes: remembered
            .filter_map(|(node, durable)| Some((node, durable?)))
            .collect(),
        unused,
        founders: NodeSet::first(founders),
    };
    cluster.check(|| M::script(u32::MAX))?;
    // Intact files that agree may still be older than the manifest has seen.
    for seen in files.seen() {
        let node = seen.node();
        let of_node = |error| DataError::Node { node, error };
        dir.must_be_newest(seen).map_err(of_node)?;
    }
    dir.must_be_newest(client_log.seen())
        .map_err(DataError::Store)?;
    Ok(cluster.members())
}

/// Returns the nodes that run no more: those that were replaced, and those that were removed and whose file was deleted
/// since.
fn gone(dir: &DataDir) -> NodeSet {
    let removed = dir.members().removed;
    let deleted = removed.iter().filter(|node| !dir.has_store(*node));
    dir.replaced()
        .map(|(lost, _)| lost)
        .chain(deleted)
        .collect()
}

/// Checks that all learners are nodes that there are.
fn check_learners(data: &Data, nodes: u16) -> Result<(), MembershipError> {
    let mut learners = data.learners.iter().copied();
    match learners.find(|node| node.0 >= nodes) {
        Some(node) => Err(MembershipError::NoSuchLearner { node, nodes }),
        None => Ok(()),
    }
}

/// Checks that no change adds a node that cannot be a member any more. A node that was removed is refused by its number
/// even if it is still there.
fn check_changes(options: &Options, dir: &DataDir, gone: NodeSet) -> Result<(), MembershipError> {
    let never = gone.union(dir.members().removed);
    for change in &options.changes {
        if let Some(node) = change.add.intersection(never).nth(0) {
            let (change, free) = (*change, dir.nodes());
            return Err(MembershipError::Removed { change, node, free });
        }
    }
    Ok(())
}

/// Checks that the simulation has room for all nodes.
const fn must_fit(dir: &DataDir, room: u16) -> Result<(), MembershipError> {
    if dir.nodes() <= room {
        Ok(())
    } else {
        Err(MembershipError::NoNumber { nodes: room })
    }
}

/// Returns the scenario of the options with all nodes of a directory.
fn scenario(options: &Options, dir: &DataDir, gone: NodeSet) -> Scenario {
    let mut scenario = options.scenario();
    scenario.nodes = dir.nodes().max(scenario.nodes);
    scenario.founders = (scenario.nodes > options.nodes).then_some(options.nodes);
    scenario.absent = gone;
    scenario
}

/// Opens the directory as that of the cluster of these options. The capacities are part of it, as a
/// node of another size could not read what was written.
fn open<const CLIENTS: usize>(options: &Options, data: &Data) -> Result<DataDir, DataError> {
    let capacities = [WINDOW, CLIENTS, PAGE].map(|capacity| u32::try_from(capacity).unwrap_or(0));
    let cluster = Cluster {
        number: options.scenario().config(NodeId(0)).cluster,
        nodes: options.nodes,
        machine: options.machine.name().to_owned(),
        capacities,
        room: ROOM,
    };
    DataDir::open_or_found(&data.path, &cluster).map_err(DataError::Store)
}
