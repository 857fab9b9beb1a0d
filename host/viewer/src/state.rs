//! The state of a node as a page shows it, and what of it has changed.

use crate::fact::{BallotParts, numbers, parts};
use serde::Serialize;
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet};
use synod::simulation::{Setting, Simulation};
use synod::{Ballot, Node, Role, StateMachine};

/// What a node is that has no power.
const DOWN: &str = "down";

/// The state of a node without its votes, as it is told to a page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NodeState {
    /// What the node is to its cluster: `joining`, `voting`, `leading` and so on; `down` without power.
    pub state: String,
    /// The roles that the node has.
    pub roles: Vec<&'static str>,
    /// The highest ballot that it has promised.
    pub promised: Option<BallotParts>,
    /// The ballot under which it leads.
    pub leading: Option<BallotParts>,
    /// The leader that it follows.
    pub follows: Option<u16>,
    /// The last slot that it has applied.
    pub applied: u64,
    /// The last slot that it knows to be decided.
    pub decided: u64,
    /// The slot up to which its acceptor has dropped its votes.
    pub low: u64,
    /// The epoch that it has entered.
    pub epoch: u16,
    /// The members of that epoch.
    pub members: Vec<u16>,
    /// The number of its slots in flight.
    pub window: usize,
    /// The number of proposals that wait for a slot.
    pub waiting: usize,
    /// The number of requests that wait for their decision.
    pub pending: usize,
    /// The number of requests of its clients.
    pub requesters: usize,
    /// The number of sessions.
    pub sessions: usize,
    /// The number of writes that are not durable.
    pub unsynced: usize,
}

/// What has changed in a node: an entry for each field of [`NodeState`], and the votes.
#[derive(Debug, Serialize)]
pub(crate) struct Change {
    /// When.
    t: u64,
    /// The node.
    n: u16,
    /// The fields that have changed.
    s: Map<String, Json>,
    /// New votes: slot, ballot and proposal.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    votes: Vec<(u64, BallotParts, String)>,
    /// The slots whose votes are gone, although they are above `low`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gone: Vec<u64>,
}

impl NodeState {
    /// Returns the present state of a node of a simulation.
    pub fn of<S, const W: usize, const C: usize, const P: usize>(
        simulation: &Simulation<S, W, C, P>,
        node: &Node<S::Machine, W, C, P>,
    ) -> Self
    where
        S: Setting<W, C, P>,
    {
        Self::with(
            node,
            simulation.is_live(node.id()),
            simulation.unsynced(node.id()),
        )
    }

    /// Returns the state of a node that is up or not, and has writes that are not durable.
    fn with<M: StateMachine, const W: usize, const C: usize, const P: usize>(
        node: &Node<M, W, C, P>,
        is_live: bool,
        unsynced: usize,
    ) -> Self {
        let (status, lengths) = (node.status(), node.lengths());
        if !is_live {
            // Its memory is gone; what it knows is what it will read when it starts again.
            return Self {
                state: DOWN.to_owned(),
                ..Self::default()
            };
        }
        Self {
            state: status.state.to_string(),
            roles: node.roles().map(Role::name).collect(),
            promised: parts(node.promised()),
            leading: node.leading().and_then(parts),
            follows: status.leader.map(|leader| leader.0),
            applied: status.applied.number(),
            decided: node.known_decided().number(),
            low: node.low_water().number(),
            epoch: status.epoch.0,
            members: numbers(status.members),
            window: lengths.window,
            waiting: lengths.waiting,
            pending: lengths.pending,
            requesters: lengths.requesters,
            sessions: lengths.sessions,
            unsynced,
        }
    }
}

/// What was told of a node.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// `None` before anything was told.
    state: Option<NodeState>,
    votes: BTreeMap<u64, Ballot>,
}

/// The votes of a node, each with its slot, its ballot and its proposal.
pub(crate) type Votes = Vec<(u64, Ballot, String)>;

/// Returns the votes of a node whose ballots differ from those that are known, and the slots of all of its votes.
///
/// This is the one part that is compiled for each state machine and size; proposals become text only where they are told.
pub(crate) fn new_votes<M: StateMachine, const W: usize, const C: usize, const P: usize>(
    node: &Node<M, W, C, P>,
    known: &BTreeMap<u64, Ballot>,
) -> (Votes, BTreeSet<u64>) {
    let (mut votes, mut slots) = (Votes::new(), BTreeSet::new());
    for entry in node.votes() {
        let slot = entry.slot.number();
        slots.insert(slot);
        if known.get(&slot) != Some(&entry.ballot) {
            votes.push((slot, entry.ballot, entry.proposal.to_string()));
        }
    }
    (votes, slots)
}

impl Told {
    /// Returns the ballot of each vote, by slot.
    pub(crate) fn votes(&self) -> &BTreeMap<u64, Ballot> {
        &self.votes
    }

    /// Returns what has changed in a node since the last time. `votes` are those that are new and the slots of all; `None`
    /// if none has changed.
    pub(crate) fn change(
        &mut self,
        (t, n): (u64, u16),
        state: NodeState,
        votes: Option<(Votes, BTreeSet<u64>)>,
    ) -> Option<Change> {
        if votes.is_none() && self.state.as_ref() == Some(&state) {
            return None;
        }
        let (added, slots) = match votes {
            _ if state.state == DOWN => (Votes::new(), BTreeSet::new()),
            Some(votes) => votes,
            None => (Votes::new(), self.votes.keys().copied().collect()),
        };
        let is_gone = |slot: &&u64| !slots.contains(slot) && **slot > state.low;
        let gone = self.votes.keys().filter(is_gone).copied().collect();
        self.votes.retain(|slot, _| slots.contains(slot));
        let added = added.into_iter().filter_map(|(slot, ballot, proposal)| {
            self.votes.insert(slot, ballot);
            Some((slot, parts(ballot)?, proposal))
        });
        let change = Change {
            t,
            n,
            votes: added.collect(),
            gone,
            s: self.changed_fields(state),
        };
        let is_same = change.s.is_empty() && change.votes.is_empty() && change.gone.is_empty();
        (!is_same).then_some(change)
    }

    /// Takes a state, and returns the fields that have changed.
    fn changed_fields(&mut self, state: NodeState) -> Map<String, Json> {
        if self.state.as_ref() == Some(&state) {
            return Map::new();
        }
        let old = self.state.as_ref().map(object).unwrap_or_default();
        let mut fields = object(&state);
        fields.retain(|name, value| old.get(name) != Some(value));
        self.state = Some(state);
        fields
    }
}

/// Returns the fields of a state.
fn object(state: &NodeState) -> Map<String, Json> {
    match serde_json::to_value(state) {
        Ok(Json::Object(fields)) => fields,
        // A structure of numbers, words and lists is an object.
        _ => Map::new(),
    }
}
