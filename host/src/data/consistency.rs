//! Consistency check of a data directory: compares the client log with the state of the nodes, and the nodes with each
//! other.
//!
//! An answered request has been accepted by a majority, so each of their stores has it, voted for or applied. A client
//! makes its next request only after the answer to the last one was logged. So neither side can be far ahead of the
//! other, unless a file was replaced by an older copy. Older copies of all files together are not detected: they are
//! the cluster as it was.

use super::error::DataError;
use crate::run::WINDOW;
use std::path::Path;
use synod::simulation::{ClientResume, Workload};
use synod::{
    ClientId, Durable, NodeId, NodeSet, Proposal, RequestKey, RequestNumber, StateMachine,
};

/// Contents of a data directory.
#[derive(Debug)]
pub(super) struct StoredCluster<'a, M: StateMachine, const CLIENTS: usize> {
    /// Path of the client log.
    pub(super) path: &'a Path,
    /// Last entry of each client.
    pub(super) entries: &'a [ClientResume],
    /// Durable state of each node that has storage and has joined.
    pub(super) nodes: Vec<(NodeId, &'a Durable<M, WINDOW, CLIENTS>)>,
    /// Nodes whose storage is not used.
    pub(super) unused: NodeSet,
    /// Members of the first epoch.
    pub(super) founders: NodeSet,
}

impl<M: StateMachine, const CLIENTS: usize> StoredCluster<'_, M, CLIENTS> {
    /// Checks that all files belong to one cluster and are of the same time.
    ///
    /// The cheapest comparison comes first, and the dearest last: it plays all requests again.
    pub(super) fn check<L: Workload<M>>(&self, script: impl Fn() -> L) -> Result<(), DataError> {
        for entry in self.entries {
            self.check_nodes(entry)?;
        }
        self.check_client_log()?;
        self.check_logs()?;
        for (node, durable) in &self.nodes {
            if !state_follows(durable, self.entries, script()) {
                return Err(DataError::State(self.path.to_path_buf(), *node));
            }
        }
        Ok(())
    }

    /// Returns the members of the latest epoch that a node is in.
    pub(super) fn members(&self) -> NodeSet {
        let furthest = self.furthest();
        furthest.map_or(self.founders, |(_, durable)| durable.members())
    }

    /// Returns the number of members that have every answered request. While a change of the members is on its way it is
    /// one: an answered request was accepted by a majority of the old or of the new ones, and the nodes at hand need not
    /// know all epochs in between.
    fn needed(&self) -> usize {
        let mut epochs = self.nodes.iter().map(|(_, durable)| durable.epoch());
        let first = epochs.next();
        if epochs.all(|epoch| Some(epoch) == first) {
            usize::try_from(self.members().len()).unwrap_or(0) / 2 + 1
        } else {
            1
        }
    }

    /// Checks that enough members have the last answered request of a client. One whose storage is not used might have
    /// had it, so that it counts as if it did.
    fn check_nodes(&self, entry: &ClientResume) -> Result<(), DataError> {
        let has = |durable: &Durable<M, WINDOW, CLIENTS>| newest_of(durable, entry.session);
        let holders = self.nodes.iter();
        let holders = holders.filter(|(_, durable)| has(durable) >= Some(entry.number));
        let holders: NodeSet = holders.map(|(node, _)| *node).collect();
        let furthest = self.furthest();
        let known = furthest.and_then(|(_, durable)| has(durable));
        // If the session table is full, the session may have been evicted.
        let is_full = furthest.is_some_and(|(_, durable)| durable.sessions().count() >= CLIENTS);
        // An answered request was accepted by a majority. A session that was evicted since is in no
        // table any more.
        let (members, majority) = (self.members(), self.needed());
        let may_have_it = holders.union(self.unused).intersection(members);
        let is_known = usize::try_from(may_have_it.len()).is_ok_and(|count| count >= majority);
        if is_known || known.is_none() && is_full {
            return Ok(());
        }
        Err(DataError::NodesOld {
            path: self.path.to_path_buf(),
            answered: key_of(entry),
            holders: holders.iter().collect(),
            majority,
        })
    }

    /// Checks that the clients made every request that a node has: the last answered one, or the
    /// next. More would mean that the log has lost answers.
    fn check_client_log(&self) -> Result<(), DataError> {
        let heard = self.nodes.iter();
        let heard = heard.flat_map(|(node, durable)| newest(durable).map(|key| (*node, key)));
        let unknown = heard.filter(|(node, key)| !self.may_know_of(*node, *key));
        let Some((node, asked)) = unknown.max_by_key(|(_, key)| key.number) else {
            return Ok(());
        };
        Err(DataError::ClientLogOld {
            path: self.path.to_path_buf(),
            node,
            asked,
            answered: self.entry_of(asked).map(key_of),
        })
    }

    /// Returns the last entry of a session. A client that registered again has an entry for its new
    /// session only.
    fn entry_of(&self, key: RequestKey) -> Option<&ClientResume> {
        self.entries
            .iter()
            .find(|entry| entry.session == key.client)
    }

    /// True if a node may have a request, judging by the client log. A client without an entry was
    /// never answered, so that it can have come no further than its registration.
    fn may_know_of(&self, node: NodeId, key: RequestKey) -> bool {
        let known = self.entry_of(key);
        // The log lacks a client that was killed before it received its session.
        let may_be = known.map_or(RequestNumber::REGISTRATION, |entry| {
            RequestNumber(entry.number.0.saturating_add(1))
        });
        // A node that is behind may have a session that was evicted since.
        let is_furthest = self
            .furthest()
            .is_some_and(|(furthest, _)| furthest == node);
        key.number <= may_be || known.is_none() && !is_furthest
    }

    /// Checks that nodes that have applied the same slots have the same state. Nodes at different
    /// slots cannot be compared, and are compared with the requests instead.
    fn check_logs(&self) -> Result<(), DataError> {
        for (one, durable) in &self.nodes {
            let differs = |other: &Durable<M, WINDOW, CLIENTS>| {
                other.applied() == durable.applied()
                    && (other.chain() != durable.chain() || other.machine() != durable.machine())
            };
            if let Some((other, _)) = self.nodes.iter().find(|(_, other)| differs(other)) {
                let path = self.path.to_path_buf();
                let (one, other, slot) = (*one, *other, durable.applied());
                return Err(DataError::Mixed {
                    path,
                    one,
                    other,
                    slot,
                });
            }
        }
        Ok(())
    }

    /// Returns the node that has applied most.
    fn furthest(&self) -> Option<(NodeId, &Durable<M, WINDOW, CLIENTS>)> {
        let nodes = self.nodes.iter().copied();
        nodes.max_by_key(|(_, durable)| durable.applied())
    }
}

/// True if the state of a node follows from the requests that it has applied, or if that cannot be determined.
pub(super) fn state_follows<M: StateMachine, L: Workload<M>, const CLIENTS: usize>(
    durable: &Durable<M, WINDOW, CLIENTS>,
    entries: &[ClientResume],
    mut script: L,
) -> bool {
    let mut expected = M::default();
    for entry in entries {
        let (answered, last_noted) = (u64::from(entry.answered), u64::from(entry.number.0));
        // An entry counts answers over all sessions of a client, and numbers count from each
        // registration. Their difference is therefore what earlier sessions were answered, to which
        // the node adds its last number.
        let applied = match durable.last_request(entry.session) {
            Some(last) => (answered + u64::from(last.0)).checked_sub(last_noted),
            None => (answered == last_noted).then_some(0),
        };
        // The node has not applied the client's current session, and the client had another one before.
        let Some(applied) = applied else {
            return true;
        };
        for number in 1..=u32::try_from(applied).unwrap_or(u32::MAX) {
            if let Some(command) = script.command(entry.client, number) {
                expected.apply(&command);
            }
        }
    }
    *durable.machine() == expected
}

/// Returns the key of the request of an entry.
fn key_of(entry: &ClientResume) -> RequestKey {
    RequestKey {
        client: entry.session,
        number: entry.number,
    }
}

/// Returns the newest request of each client that a node has applied or voted for.
fn newest<M: StateMachine, const CLIENTS: usize>(
    durable: &Durable<M, WINDOW, CLIENTS>,
) -> impl Iterator<Item = RequestKey> {
    let applied = durable.sessions();
    let applied = applied.map(|(client, number)| RequestKey { client, number });
    let voted = durable.votes().filter_map(|vote| match vote.proposal {
        Proposal::Request { client, number, .. } => Some(RequestKey { client, number }),
        _ => None,
    });
    applied.chain(voted)
}

/// Returns the newest request of a client that a node has applied or voted for. The registration counts as the first.
fn newest_of<M: StateMachine, const CLIENTS: usize>(
    durable: &Durable<M, WINDOW, CLIENTS>,
    session: ClientId,
) -> Option<RequestNumber> {
    let voted = durable.votes().filter_map(|vote| match vote.proposal {
        Proposal::Register { .. } => {
            (vote.slot.number() == session.0).then_some(RequestNumber::REGISTRATION)
        }
        Proposal::Request { client, number, .. } => (client == session).then_some(number),
        Proposal::Noop | Proposal::Reconfigure(_) => None,
    });
    voted.max().max(durable.last_request(session))
}
