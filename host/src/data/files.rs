//! Stores of the nodes of a simulated cluster, as files.

use super::error::DataError;
use crate::run::{PAGE, WINDOW};
use crate::store::{DataDir, Seen};
use core::mem;
use synod::simulation::{Deferred, Failed, Mark, NodeStart, Refused, Scenario, Stores};
use synod::storage::{Journal, JournalError, Opened, Storage};
use synod::{Config, Durable, Duration, Instant, Node, NodeId, NodeSet, StateMachine, Write};
use synod_store::FileLog;

/// A journal on a file for each node.
///
/// All nodes are on one disk. So the first error ends the run, and not only the node whose file it
/// is.
#[derive(Debug)]
pub(super) struct Files<M: StateMachine, const CLIENTS: usize> {
    /// Files by node.
    nodes: Vec<File<M, CLIENTS>>,
    /// Number of syncs of each file when it was opened.
    opened: Vec<Seen>,
    /// First error of a file since it was asked for.
    error: Option<DataError>,
    /// Members that run, as the directory remembered them.
    present: NodeSet,
}

/// File of a node. It is opened long before the node starts, as all files are compared first.
#[derive(Debug)]
enum File<M: StateMachine, const CLIENTS: usize> {
    /// Opened, but the node has not started.
    Opened(Box<Opened<FileLog, M, WINDOW, CLIENTS>>),
    /// Open while the node is running.
    Open(Box<Journal<FileLog>>),
    /// Unused, because the node is a learner, or does not run.
    None,
    /// Unusable.
    Failed,
}

impl<M: StateMachine, const CLIENTS: usize> Files<M, CLIENTS> {
    /// Opens the files of all nodes of a scenario that run, except the learners.
    pub(super) fn open(
        dir: &mut DataDir,
        scenario: &Scenario,
        learners: &[NodeId],
    ) -> Result<Self, DataError> {
        let mut files = Self {
            nodes: Vec::new(),
            opened: Vec::new(),
            error: None,
            present: present(dir, scenario),
        };
        for node in (0..scenario.nodes).map(NodeId) {
            if learners.contains(&node) || scenario.absent.contains(node) {
                files.nodes.push(File::None);
            } else {
                files.add(dir, scenario, node)?;
            }
        }
        Ok(files)
    }

    /// Opens the file of the next node.
    fn add(
        &mut self,
        dir: &mut DataDir,
        scenario: &Scenario,
        node: NodeId,
    ) -> Result<(), DataError> {
        let (seen, opened) = open_one(dir, scenario, node)?;
        self.opened.push(seen);
        self.nodes.push(File::Opened(opened));
        Ok(())
    }

    /// Creates the files of the nodes of a scenario that are new.
    pub(super) fn add_new(
        &mut self,
        dir: &mut DataDir,
        scenario: &Scenario,
    ) -> Result<(), DataError> {
        let known = u16::try_from(self.nodes.len()).unwrap_or(u16::MAX);
        let mut new = (known..scenario.nodes).map(NodeId);
        new.try_for_each(|node| self.add(dir, scenario, node))
    }

    /// Marks the files of all running nodes, so that decay of what they synced last is noticed, too. The others were
    /// marked when they were opened.
    pub(super) fn mark(&mut self) -> Result<(), DataError> {
        for (node, file) in (0..).map(NodeId).zip(&mut self.nodes) {
            if let File::Open(journal) = file {
                let marked = journal.storage_mut().mark();
                marked.map_err(|error| DataError::Write(node, JournalError::Storage(error)))?;
            }
        }
        Ok(())
    }

    /// Returns the number of syncs of each file. A running node's count is the second for its
    /// store, and the later one is kept.
    pub(super) fn seen(&self) -> Vec<Seen> {
        let mut seen = self.opened.clone();
        for (node, file) in (0..).map(NodeId).zip(&self.nodes) {
            if let File::Open(journal) = file {
                seen.push(Seen::of(node, journal.storage()));
            }
        }
        seen
    }

    /// Returns the durable state of each node before it starts; `None` if it has not joined.
    pub(super) fn remembered(&self) -> impl Iterator<Item = Option<&Durable<M, WINDOW, CLIENTS>>> {
        self.nodes.iter().map(|file| match file {
            File::Opened(opened) => match &**opened {
                Opened::Intact(intact) => intact.durable(),
                _ => None,
            },
            _ => None,
        })
    }

    /// Takes the first error, if there was one.
    pub(super) fn take_error(&mut self) -> Option<DataError> {
        self.error.take()
    }
}

/// Returns the members that run, as the directory remembers them.
fn present(dir: &DataDir, scenario: &Scenario) -> NodeSet {
    dir.members().members.minus(scenario.absent)
}

/// Has a node that has no state ask a present member for it first, as the founder may be gone. The founder itself stays
/// one, and no other node becomes one.
fn asking(mut config: Config, present: NodeSet) -> Config {
    if config.node != config.founder
        && let Some(member) = present.without(config.node).nth(0)
    {
        config.founder = member;
    }
    config
}

/// A journal that has been read, and not started.
type Unstarted<M, const CLIENTS: usize> = Box<Opened<FileLog, M, WINDOW, CLIENTS>>;

/// Opens the file of a node. Damaged or older storage is refused: such a node must not vote, and whether it goes on as a
/// learner or is replaced is for the operator to say.
pub(super) fn open_one<M: StateMachine, const CLIENTS: usize>(
    dir: &mut DataDir,
    scenario: &Scenario,
    node: NodeId,
) -> Result<(Seen, Unstarted<M, CLIENTS>), DataError> {
    let of_node = |error| DataError::Node { node, error };
    let storage = dir.storage(node).map_err(of_node)?;
    let path = storage.path().to_path_buf();
    let seen = Seen::of(node, &storage);
    let config = asking(scenario.config(node), present(dir, scenario));
    let opened = Journal::open(storage, config);
    match opened.map_err(|error| DataError::Open(path.clone(), error))? {
        Opened::Damaged(damaged) => Err(DataError::Damaged {
            path,
            node,
            damage: damaged.damage(),
        }),
        opened => Ok((seen, Box::new(opened))),
    }
}

impl<M: StateMachine, const CLIENTS: usize> Stores<M, WINDOW, CLIENTS, PAGE> for Files<M, CLIENTS> {
    type Durability = Deferred;

    fn start(
        &mut self,
        start: NodeStart,
        _before: Option<&Node<M, WINDOW, CLIENTS, PAGE>>,
    ) -> Result<Node<M, WINDOW, CLIENTS, PAGE>, Refused> {
        let NodeStart {
            now,
            config,
            run_seed,
            ..
        } = start;
        let node = config.node;
        // A node of a run on files starts once: no fault of a plan restarts it.
        let file = self.nodes.get_mut(usize::from(node.0)).ok_or(Refused)?;
        // Whatever goes wrong from here on, the file is not used again.
        let opened = match mem::replace(file, File::Failed) {
            File::Opened(opened) => *opened,
            File::None => {
                *file = File::None;
                let config = asking(config, self.present);
                return Node::learn(config, run_seed, now).map_err(|_| Refused);
            }
            File::Open(_) | File::Failed => return Err(Refused),
        };
        let started = match opened {
            Opened::Intact(intact) => intact.start(run_seed, now),
            Opened::Empty(empty) => empty.provision(run_seed, now),
            Opened::Damaged(_) => return Err(Refused),
        };
        match started {
            Ok((journal, node)) => {
                *file = File::Open(Box::new(journal));
                Ok(node)
            }
            Err(error) => {
                self.error.get_or_insert(DataError::Write(node, error));
                Err(Refused)
            }
        }
    }

    // Simulated time does not pass: the disk is real, and its time has no meaning in a simulated
    // run.
    fn write(
        &mut self,
        now: Instant,
        node: &mut Node<M, WINDOW, CLIENTS, PAGE>,
        writes: &[Write<M::Command>],
    ) -> Result<Duration, Failed> {
        let id = node.id();
        let Some(File::Open(journal)) = self.nodes.get_mut(usize::from(id.0)) else {
            return Err(Failed::Storage);
        };
        match journal
            .write(now, node, writes)
            .and_then(|()| journal.sync())
        {
            Ok(()) => Ok(Duration::ZERO),
            Err(error) => {
                self.error.get_or_insert(DataError::Write(id, error));
                Err(Failed::Storage)
            }
        }
    }

    fn mark(&self) -> Option<Mark> {
        let journals = self.nodes.iter().filter_map(|file| match file {
            File::Open(journal) => Some((journal.peak(), journal.storage().capacity())),
            _ => None,
        });
        let (peak, capacity) = journals.max()?;
        Some(Mark {
            name: "storage",
            peak,
            capacity,
        })
    }
}
