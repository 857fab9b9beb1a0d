//! Replacement of nodes whose storage is lost for good, each by a new node under the next free number.
//!
//! The lost node's number is never used again, as others may count on its votes. The new node joins as a learner with
//! storage of its own, and a change of the members puts it in the place of the lost one once it has caught up. A majority
//! of the members must be left: nobody else can decide the change, or knows all that was answered.

use super::error::DataError;
use super::files;
use crate::membership::{Named, PlannedChange, Replacement};
use crate::run::{PAGE, WINDOW};
use crate::store::{DataDir, Problem};
use core::fmt;
use synod::simulation::{Fault, Planned, Scenario, Setting, Simulation};
use synod::{NodeId, NodeSet, Slot, StateMachine};
use synod_store::Problem as FileProblem;

/// Number of slots by which a node that has caught up may be behind the furthest one: those that are under way at any time.
const LAG_MAX: u64 = 16;

/// Reason why options about nodes do not fit a directory: a replacement, a learner, or a change of the members.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MembershipError {
    /// The directory has no storage of a node of this number.
    Unknown(NodeId),
    /// Another node has taken its place already.
    Replaced {
        /// The node.
        node: NodeId,
        /// The node in its place.
        by: NodeId,
    },
    /// Its storage is intact.
    Intact(NodeId),
    /// It is to restart as a learner at the same time.
    Learner(NodeId),
    /// A learner that the directory does not have.
    NoSuchLearner {
        /// The learner.
        node: NodeId,
        /// Number of nodes that there are.
        nodes: u16,
    },
    /// Too few members are left.
    Majority {
        /// The members.
        members: NodeSet,
        /// Those of them that are lost.
        lost: NodeSet,
    },
    /// There is no free number.
    NoNumber {
        /// Number of nodes that there can be.
        nodes: u16,
    },
    /// A change adds a node that was removed or replaced.
    Removed {
        /// The change.
        change: PlannedChange,
        /// The node.
        node: NodeId,
        /// The next free number.
        free: u16,
    },
}

impl fmt::Display for MembershipError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(node) => write!(
                f,
                "--replace {}: no {node} has storage in this directory: name the node whose file is lost, such as --replace 2",
                node.0
            ),
            Self::Replaced { node, by } => write!(
                f,
                "--replace {}: {by} has taken the place of {node}, whose number is never used again: leave out --replace {0}",
                node.0
            ),
            Self::Intact(node) => write!(
                f,
                "--replace {}: the storage of {node} is intact: leave out --replace {0}, or remove the node with --change",
                node.0
            ),
            Self::Learner(node) => write!(
                f,
                "--replace {}: {node} cannot restart as a learner and be replaced: leave out --learner {0}",
                node.0
            ),
            Self::NoSuchLearner { node, nodes: 1 } => write!(
                f,
                "--learner got '{}', but takes only node 0: there is one node",
                node.0
            ),
            Self::NoSuchLearner { node, nodes } => write!(
                f,
                "--learner got '{}', but takes a node from 0 to {}: there are {nodes} nodes",
                node.0,
                nodes.saturating_sub(1)
            ),
            Self::Majority { members, lost } => write!(
                f,
                "the storage of {} is lost, and with it a majority of the members {}: what the others have may lack answered \
                 requests: restore one of the lost files as it was when its node last stopped, or begin with a new directory",
                Named(*lost),
                Named(*members)
            ),
            Self::NoNumber { nodes } => write!(
                f,
                "there are numbers for {nodes} nodes in this directory, and all are taken or too low: a number is never used \
                 again: begin with a new directory"
            ),
            Self::Removed { change, node, free } => write!(
                f,
                "--change {change}: {node} was a member before, and a number is never used again: name a new one, such as \
                 +{free}"
            ),
        }
    }
}

/// Returns the nodes to replace. The storage of each must be lost, so that no node with its votes is given up.
pub(super) fn asked<M: StateMachine, const CLIENTS: usize>(
    dir: &mut DataDir,
    scenario: &Scenario,
    replace: &[NodeId],
    learners: &[NodeId],
) -> Result<NodeSet, DataError> {
    for node in replace.iter().copied() {
        let refused = |why| Err(DataError::Membership(dir.path().to_path_buf(), why));
        if let Some(by) = dir.replacement(node) {
            return refused(MembershipError::Replaced { node, by });
        }
        if !dir.is_provisioned(node) {
            return refused(MembershipError::Unknown(node));
        }
        if learners.contains(&node) {
            return refused(MembershipError::Learner(node));
        }
        if !is_lost::<M, CLIENTS>(dir, scenario, node)? {
            return Err(DataError::Membership(
                dir.path().to_path_buf(),
                MembershipError::Intact(node),
            ));
        }
    }
    Ok(replace.iter().copied().collect())
}

/// True if the storage of a node is missing, damaged or old. A file that only cannot be read at present is an error, as
/// it may be intact.
fn is_lost<M: StateMachine, const CLIENTS: usize>(
    dir: &mut DataDir,
    scenario: &Scenario,
    node: NodeId,
) -> Result<bool, DataError> {
    match files::open_one::<M, CLIENTS>(dir, scenario, node) {
        Ok((seen, _)) => Ok(dir.must_be_newest(seen).is_err()),
        Err(DataError::Damaged { .. }) => Ok(true),
        Err(DataError::Node { error, .. }) => match error.problem {
            Problem::Gone(_)
            | Problem::File(
                FileProblem::Damaged { .. } | FileProblem::Foreign | FileProblem::NotAFile,
            )
            | Problem::Older { .. }
            | Problem::Other { .. }
            | Problem::OtherDirectory => Ok(true),
            _ => Err(DataError::Node { node, error }),
        },
        Err(error) => Err(error),
    }
}

/// The replacements of a run that have not taken effect.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    /// Each lost node, with the node in its place.
    pairs: Vec<(NodeId, NodeId)>,
    /// Last slot that any node at hand has voted for. A node that has restarted may have applied far less.
    known: Slot,
    /// Whether the change of the members is planned.
    is_planned: bool,
}

impl Pending {
    /// Returns those of a directory whose members are known by the nodes.
    pub(super) fn of(dir: &DataDir, members: NodeSet, gone: NodeSet, known: Slot) -> Self {
        let pairs = dir.replaced().filter(|(lost, by)| {
            let took_place = !members.contains(*lost) && members.contains(*by);
            !took_place && !gone.contains(*by)
        });
        Self {
            pairs: pairs.collect(),
            known,
            is_planned: false,
        }
    }

    /// True if there are none.
    pub(super) const fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// True if the change of the members is still to be planned.
    pub(super) const fn waits(&self) -> bool {
        !self.is_planned && !self.pairs.is_empty()
    }

    /// Plans the change as soon as the new nodes have caught up, which they have once all is done. Returns true if it has
    /// been planned just now.
    pub(super) fn plan<S, const CLIENTS: usize>(
        &mut self,
        simulation: &mut Simulation<S, WINDOW, CLIENTS, PAGE>,
        is_done: bool,
    ) -> bool
    where
        S: Setting<WINDOW, CLIENTS, PAGE>,
    {
        if !self.waits() {
            return false;
        }
        let active = simulation.nodes().filter(|node| node.is_active());
        let furthest = active.max_by_key(|node| node.applied());
        let Some((applied, removed)) = furthest.map(|node| (node.applied(), node.removed())) else {
            return false;
        };
        // An earlier run may have made the change without its effect on any file.
        self.pairs.retain(|(lost, _)| !removed.contains(*lost));
        let has_caught_up = |node: NodeId| {
            simulation.node(node).is_some_and(|node| {
                let is_near = node.applied().number() + LAG_MAX >= applied.number();
                node.is_active() && is_near && (is_done || node.applied() >= self.known)
            })
        };
        if self.pairs.is_empty() || !self.pairs.iter().all(|(_, by)| has_caught_up(*by)) {
            return false;
        }
        let add = self.pairs.iter().map(|(_, by)| *by).collect();
        let remove = self.pairs.iter().map(|(lost, _)| *lost).collect();
        self.is_planned = simulation.plan_fault(Planned {
            at: simulation.now(),
            lasts: None,
            fault: Fault::Change { add, remove },
        });
        self.is_planned
    }

    /// Returns the results at the end of a run.
    pub(super) fn results<S, const CLIENTS: usize>(
        &self,
        simulation: &Simulation<S, WINDOW, CLIENTS, PAGE>,
    ) -> Vec<Replacement>
    where
        S: Setting<WINDOW, CLIENTS, PAGE>,
    {
        let result = |&(lost, by): &(NodeId, NodeId)| {
            let node = simulation.node(by);
            let votes = node.is_some_and(synod::Node::is_voting);
            Replacement { lost, by, votes }
        };
        self.pairs.iter().map(result).collect()
    }
}
