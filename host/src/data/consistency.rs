//! Holds what the clients know against what the nodes have: a run says nothing about earlier ones that it has not looked at.
//!
//! What a client was answered a majority has accepted, and so each of their stores has it, as a vote or applied; and a
//! client asks for nothing before the answer to what it asked last is noted. So neither side can be far ahead of the other,
//! unless somebody has put an older copy in the place of a file. Whoever puts older copies in the place of all of them is not
//! noticed: that is the cluster as it was.

use super::error::DataError;
use crate::run::WINDOW;
use std::path::Path;
use synod::simulation::{Past, Workload};
use synod::{ClientId, Durable, NodeId, Proposal, RequestKey, RequestNumber, StateMachine};

/// What is in a directory.
#[derive(Debug)]
pub(super) struct StoredCluster<'a, M: StateMachine, const CLIENTS: usize> {
    /// The file of the clients' notes.
    pub(super) path: &'a Path,
    /// The last note of each client.
    pub(super) notes: &'a [Past],
    /// What each node must not forget, where it has storage and has joined.
    pub(super) nodes: Vec<(NodeId, &'a Durable<M, WINDOW, CLIENTS>)>,
    /// How many nodes have storage that is not used.
    pub(super) learners: usize,
    /// How many are a majority.
    pub(super) majority: usize,
}

impl<M: StateMachine, const CLIENTS: usize> StoredCluster<'_, M, CLIENTS> {
    /// Checks that all of it is of one cluster, and of one time.
    pub(super) fn check<L: Workload<M>>(&self, script: impl Fn() -> L) -> Result<(), DataError> {
        for note in self.notes {
            self.check_nodes(note)?;
        }
        self.check_notes()?;
        self.check_logs()?;
        for (node, durable) in &self.nodes {
            if !follows(durable, self.notes, script()) {
                return Err(DataError::State(self.path.to_path_buf(), *node));
            }
        }
        Ok(())
    }

    /// What a client was answered, enough nodes have.
    fn check_nodes(&self, note: &Past) -> Result<(), DataError> {
        let has = |durable: &Durable<M, WINDOW, CLIENTS>| newest_of(durable, note.session);
        let holders = self.nodes.iter();
        let holders = holders.filter(|(_, durable)| has(durable) >= Some(note.number));
        let holders: Vec<_> = holders.map(|(node, _)| *node).collect();
        let furthest = self.furthest();
        let known = furthest.and_then(|(_, durable)| has(durable));
        // Where the table is full, the session may have been given up for another.
        let is_full = furthest.is_some_and(|(_, durable)| durable.sessions().count() >= CLIENTS);
        if holders.len() + self.learners >= self.majority || known.is_none() && is_full {
            return Ok(());
        }
        Err(DataError::NodesOld {
            path: self.path.to_path_buf(),
            answered: key_of(note),
            holders,
            majority: self.majority,
        })
    }

    /// What a node has heard of, the client has asked for: what was answered last, or the next thing.
    fn check_notes(&self) -> Result<(), DataError> {
        let heard = self.nodes.iter();
        let heard = heard.flat_map(|(node, durable)| newest(durable).map(|key| (*node, key)));
        let unknown = heard.filter(|(node, key)| !self.may_know_of(*node, *key));
        let Some((node, asked)) = unknown.max_by_key(|(_, key)| key.number) else {
            return Ok(());
        };
        Err(DataError::NotesOld {
            path: self.path.to_path_buf(),
            node,
            asked,
            answered: self.note_of(asked).map(key_of),
        })
    }

    fn note_of(&self, key: RequestKey) -> Option<&Past> {
        self.notes.iter().find(|note| note.session == key.client)
    }

    /// Whether a node may have heard of a request, going by the notes.
    fn may_know_of(&self, node: NodeId, key: RequestKey) -> bool {
        let known = self.note_of(key);
        // Of a client that was killed before it heard of its session nobody knows.
        let may_be = known.map_or(RequestNumber::REGISTRATION, |note| {
            RequestNumber(note.number.0.saturating_add(1))
        });
        // A node that is behind may have a session that was given up since.
        let is_furthest = self
            .furthest()
            .is_some_and(|(furthest, _)| furthest == node);
        key.number <= may_be || known.is_none() && !is_furthest
    }

    /// Nodes that have applied as far have applied the same.
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

    /// The node that has applied most.
    fn furthest(&self) -> Option<(NodeId, &Durable<M, WINDOW, CLIENTS>)> {
        let nodes = self.nodes.iter().copied();
        nodes.max_by_key(|(_, durable)| durable.applied())
    }
}

/// Whether the state of a node is what the requests make of it that it has applied; `true` where that cannot be said.
pub(super) fn follows<M: StateMachine, L: Workload<M>, const CLIENTS: usize>(
    durable: &Durable<M, WINDOW, CLIENTS>,
    notes: &[Past],
    mut script: L,
) -> bool {
    let mut expected = M::default();
    for note in notes {
        let (answered, last_noted) = (u64::from(note.answered), u64::from(note.number.0));
        let applied = match durable.last_request(note.session) {
            Some(last) => (answered + u64::from(last.0)).checked_sub(last_noted),
            None => (answered == last_noted).then_some(0),
        };
        // It has not seen the client's present session, and the client had another before.
        let Some(applied) = applied else {
            return true;
        };
        for number in 1..=u32::try_from(applied).unwrap_or(u32::MAX) {
            if let Some(command) = script.command(note.client, number) {
                expected.apply(&command);
            }
        }
    }
    *durable.machine() == expected
}

fn key_of(note: &Past) -> RequestKey {
    RequestKey {
        client: note.session,
        number: note.number,
    }
}

/// The newest request of each client that a node has applied or voted for.
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

/// The newest request of a client that a node has applied or voted for; its registration is the first.
fn newest_of<M: StateMachine, const CLIENTS: usize>(
    durable: &Durable<M, WINDOW, CLIENTS>,
    session: ClientId,
) -> Option<RequestNumber> {
    let voted = durable.votes().filter_map(|vote| match vote.proposal {
        Proposal::Register { .. } => {
            (vote.slot.number() == session.0).then_some(RequestNumber::REGISTRATION)
        }
        Proposal::Request { client, number, .. } => (client == session).then_some(number),
        Proposal::Noop => None,
    });
    voted.max().max(durable.last_request(session))
}
