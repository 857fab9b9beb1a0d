//! Epochs of a run: when each began and who its members were, and who is a member at the end.

use synod::simulation::{Setting, Simulation};
use synod::{Epoch, Event, Instant, NodeId, NodeSet, Record, StateMachine, Tracer};

/// Number of epochs that are kept; further ones are only counted.
const EPOCHS_MAX: usize = 1_000;

/// The beginning of an epoch at the first node that entered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EpochBegan {
    /// The epoch.
    pub epoch: Epoch,
    /// Time at which the first node entered it.
    pub from: Instant,
    /// Its members.
    pub members: NodeSet,
}

/// Records the epochs that begin in a run.
///
/// Every node enters an epoch by itself, and some skip epochs by a snapshot. The first node to enter one counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epochs {
    /// Epochs in the order in which they began, at most [`EPOCHS_MAX`].
    began: Vec<EpochBegan>,
    /// The latest epoch that has begun.
    latest: Epoch,
    /// Number of further ones.
    more: u64,
}

impl Epochs {
    /// Returns the first thousand, in the order in which they began.
    pub fn all(&self) -> &[EpochBegan] {
        &self.began
    }

    /// Returns the number of epochs beyond those.
    pub const fn more(&self) -> u64 {
        self.more
    }
}

impl<M: StateMachine, const PAGE: usize> Tracer<M, PAGE> for Epochs {
    #[inline]
    fn record(&mut self, record: &Record<'_, M, PAGE>) {
        let Event::Reconfigured { epoch, members } = record.event else {
            return;
        };
        if epoch <= self.latest {
            return;
        }
        self.latest = epoch;
        if self.began.len() < EPOCHS_MAX {
            let from = record.at;
            self.began.push(EpochBegan {
                epoch,
                from,
                members,
            });
        } else {
            self.more += 1;
        }
    }
}

/// The membership at the end of a run, as the node in the latest epoch knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MembersAtEnd {
    /// The latest epoch.
    pub epoch: Epoch,
    /// Its members.
    pub members: NodeSet,
    /// All nodes that were removed.
    pub removed: NodeSet,
    /// Number of nodes that know that they were removed, and have retired.
    pub retired: u64,
}

impl MembersAtEnd {
    /// Returns the membership of a simulation; all empty if no node has joined.
    pub(crate) fn of<S: Setting<W, C, P>, const W: usize, const C: usize, const P: usize>(
        simulation: &Simulation<S, W, C, P>,
    ) -> Self {
        let mut latest = Self::default();
        for node in simulation.nodes().filter(|node| node.is_active()) {
            latest.retired += u64::from(node.is_retired());
            if latest.members.is_empty() || node.epoch() > latest.epoch {
                latest.epoch = node.epoch();
                latest.members = node.members();
                latest.removed = node.removed();
            }
        }
        latest
    }
}

/// A node whose storage was lost, and the node that takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Replacement {
    /// The node that was lost.
    pub lost: NodeId,
    /// The node in its place.
    pub by: NodeId,
    /// Whether that node votes at the end of the run.
    pub votes: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use synod::Role;
    use synod::machines::Opaque;

    #[test]
    fn an_epoch_begins_with_the_first_node_that_enters_it() {
        let mut epochs = Epochs::default();
        for (node, at, epoch, members) in
            [(0, 20, 1, 2), (1, 30, 1, 2), (2, 40, 3, 4), (1, 50, 2, 3)]
        {
            let event: Event<'_, Opaque, 2> = Event::Reconfigured {
                epoch: Epoch(epoch),
                members: NodeSet::first(members),
            };
            epochs.record(&Record {
                at: Instant::from_micros(at),
                node: NodeId(node),
                role: Role::Node,
                event,
            });
        }
        let found = epochs.all().iter();
        let found = found.map(|began| (began.epoch.0, began.from.as_micros()));
        assert!(found.eq([(1, 20), (3, 40)]));
        assert_eq!(epochs.more(), 0);
    }
}
