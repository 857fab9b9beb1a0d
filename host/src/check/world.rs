//! World: a state of a small cluster as one value, with its nodes, the messages in flight, and the ledger.
//!
//! Worlds are values: a step makes a new one and leaves the old one as it was. A search keeps
//! millions of them, so that their parts are shared. A step changes one node, a few messages, and
//! mostly nothing of the ledger; everything else is a pointer to what the world before has.
//!
//! Equality decides how many states there are. Two worlds are equal if the same can follow from
//! both, which leaves out how they came about, the order of messages, and whatever only decides
//! when something happens.

use super::Tape;
use super::initial_state::Restarted;
use super::interning::{Internable, Interned, Interner, hash_of};
use super::invariant::Broken;
use super::ledger::Ledger;
use crate::power_cut::PowerCutStorage;
use core::hash::{Hash, Hasher};
use std::sync::Arc;
use synod::storage::Journal;
use synod::{Envelope, Node, NodeId, Timer};

/// Capacity of the window, in slots: the smallest possible. With it, a node runs out of room for
/// votes within a few slots, and must forget and catch up.
pub(super) const WINDOW: usize = 2;
/// Number of clients, each with a session.
pub(super) const CLIENTS: usize = 2;
/// Capacity of a page, in entries: so small that a promise may take several pages.
pub const PAGE: usize = 1;

/// A node of an explored cluster, with the smallest capacities.
pub type Member = Node<Tape, WINDOW, CLIENTS, PAGE>;

/// A node with its journal.
#[derive(Clone, Debug)]
pub(super) struct StoredNode {
    pub(super) node: Member,
    /// Journal; dropped once power cannot fail any more, as its contents then make no difference.
    pub(super) journal: Option<Journal<PowerCutStorage>>,
}

impl StoredNode {
    /// Returns the contents of the storage, and the other state of the journal. Two nodes with
    /// equal views differ if their storage does, as they would be different after a loss of power.
    fn records(&self) -> Option<(&PowerCutStorage, impl Eq + Hash)> {
        let journal = self.journal.as_ref()?;
        Some((journal.storage(), journal.exploration_state()))
    }
}

impl Internable for StoredNode {
    // Times and random draws are left out: a timer may fire at any time, and choices are made by
    // the explorer.
    fn fingerprint(&self) -> u64 {
        hash_of(&(
            self.node.id(),
            self.node.exploration_state(),
            self.records(),
        ))
    }

    fn is(&self, other: &Self) -> bool {
        self.node.id() == other.node.id()
            && self.node.exploration_state() == other.node.exploration_state()
            && self.records() == other.records()
    }

    /// The essence of a node leaves out times and random draws. The interner would keep those of the first of two equal
    /// nodes, and later steps would depend on them.
    fn distill(&mut self) {
        self.node.canonicalize();
    }
}

impl Internable for Envelope<Tape, PAGE> {
    fn fingerprint(&self) -> u64 {
        hash_of(self)
    }

    fn is(&self, other: &Self) -> bool {
        self == other
    }
}

impl Internable for Ledger {
    fn fingerprint(&self) -> u64 {
        hash_of(self)
    }

    fn is(&self, other: &Self) -> bool {
        self == other
    }
}

/// A message in flight.
///
/// It is a pointer to an interned message, since thousands of states have it in flight.
#[derive(Clone, Debug)]
pub struct InFlight(Arc<Interned<Envelope<Tape, PAGE>>>);

impl InFlight {
    /// Returns the message with its sender and recipient.
    pub fn envelope(&self) -> &Envelope<Tape, PAGE> {
        &self.0.value
    }

    /// Returns a hash of the message. It stands for the message where a rare mix-up only makes a
    /// walk less varied.
    pub(super) fn hash(&self) -> u64 {
        self.0.hash
    }
}

impl PartialEq for InFlight {
    fn eq(&self, other: &Self) -> bool {
        is_same(&self.0, &other.0)
    }
}

impl Eq for InFlight {}

/// True if two values are equal. Mostly they are interned at one place or have different hashes.
/// The deep comparison then runs only for values that fell out of the interner at its bound.
fn is_same<T: Internable>(one: &Arc<Interned<T>>, other: &Arc<Interned<T>>) -> bool {
    Arc::ptr_eq(one, other) || (one.hash == other.hash && one.value.is(&other.value))
}

/// Returns the sum of the hashes of messages, which is independent of their order.
fn hash_of_all(messages: &[InFlight]) -> u64 {
    let hashes = messages.iter().map(InFlight::hash);
    hashes.fold(0, u64::wrapping_add)
}

/// An action: a step of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A message arrives.
    Deliver(InFlight),
    /// An armed timer fires.
    Fire {
        /// The node.
        node: NodeId,
        /// The timer.
        timer: Timer,
        /// Random choice of the node.
        chance: u64,
    },
    /// A client makes or repeats a request, numbered from 0.
    Ask {
        /// The node.
        node: NodeId,
        /// The request.
        request: u8,
    },
    /// A client reads the state of a node, without a slot of the log.
    Read {
        /// The node.
        node: NodeId,
    },
    /// An operator asks for the change of the members.
    Change {
        /// The node.
        node: NodeId,
    },
    /// Power fails between two steps, and the node restarts.
    Crash {
        /// The node.
        node: NodeId,
    },
    /// Power fails during a step, before any message of it was sent, and the node restarts.
    Torn {
        /// Number of storage operations that were done.
        kept: u8,
        /// The step: any action except a loss of power.
        step: Box<Self>,
    },
}

impl Action {
    /// Returns the action without its loss of power.
    pub(super) fn step(&self) -> &Self {
        match self {
            Self::Torn { step, .. } => step,
            step => step,
        }
    }
}

/// A state: the nodes, the messages in flight, the used part of the scope, and the ledger.
///
/// Two states are equal if their nodes, messages, ledgers, used bounds and violations are. Neither
/// the order of messages nor the way to a state counts.
#[derive(Clone, Debug)]
pub struct World {
    /// Nodes with their journals, by number.
    nodes: Vec<Arc<Interned<StoredNode>>>,
    /// Messages in the order in which they were first sent. No two are equal. The order is a matter
    /// of history, and not compared.
    in_flight: Arc<Vec<InFlight>>,
    /// Sum of the messages' hashes, which is independent of their order. Kept up to date with each
    /// message, as hashing all of them anew for every state would take far longer.
    in_flight_hash: u64,
    /// What must be known about the past to check the next step.
    pub(super) ledger: Arc<Interned<Ledger>>,
    /// Part of the scope's bounds that the schedule has used up.
    pub(super) used: Used,
    /// Violation in the last step. No action is possible after it.
    pub(super) broken: Option<Arc<Broken>>,
    /// Whether the state is outside of the scope. Such a state is dropped, even if an invariant is
    /// violated in it: a larger scope has it within.
    pub(super) outside: bool,
    /// Whether liveness is being checked. Such a state is not expanded.
    pub(super) healing: bool,
}

/// Used part of a scope. It is a part of the state: with more of the bounds left, more can follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Used {
    /// Number of distinct requests made; they are numbered in this order.
    pub(super) requests: u8,
    /// Number of repetitions of requests.
    pub(super) retries: u8,
    /// Number of times the change of the members was asked for.
    pub(super) changes: u8,
    /// Number of losses of power, whether between or during steps.
    pub(super) crashes: u8,
}

/// Interners of the parts that states share.
#[derive(Debug, Default)]
pub(super) struct Interners {
    nodes: Interner<StoredNode>,
    in_flight: Interner<Envelope<Tape, PAGE>>,
    ledgers: Interner<Ledger>,
}

impl World {
    /// Returns a state of nodes that have restarted after a loss of power, without messages. The ledger is of the time
    /// before, so that anything they lost is a violation.
    pub(super) fn new(nodes: Vec<Restarted>, interners: &Interners) -> Self {
        // From the nodes before their restart, so that the restart itself is the first step that is
        // checked.
        let mut ledger = Ledger::new(nodes.iter().map(|node| &node.before));
        let mut restarts = nodes.iter();
        let judged = restarts.try_for_each(|node| ledger.restart(&node.after.node, false));
        let keep = |node: Restarted| interners.nodes.intern(node.after);
        Self {
            ledger: interners.ledgers.intern(ledger),
            nodes: nodes.into_iter().map(keep).collect(),
            in_flight: Arc::default(),
            in_flight_hash: 0,
            used: Used::default(),
            broken: judged.err().map(Arc::new),
            outside: false,
            healing: false,
        }
    }

    /// Returns the nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &Member> {
        self.nodes.iter().map(|kept| &kept.value.node)
    }

    /// Returns the messages in flight.
    pub fn in_flight(&self) -> &[InFlight] {
        &self.in_flight
    }

    /// Returns the violated invariant, if any.
    pub fn broken(&self) -> Option<&Broken> {
        self.broken.as_deref()
    }

    /// Returns the greatest number of slots that a node has applied since the initial state.
    pub fn applied(&self) -> u64 {
        self.ledger.value.applied()
    }

    /// True if the state is within the scope.
    pub fn is_within(&self) -> bool {
        !self.outside
    }

    /// Returns a hash of the whole state. The same in every process, and independent of the order
    /// in which messages were sent.
    pub fn fingerprint(&self) -> u64 {
        hash_of(self)
    }

    /// Returns a node.
    pub(super) fn node(&self, id: NodeId) -> Option<&Member> {
        self.stored(id).map(|stored| &stored.node)
    }

    /// Returns a node with its journal.
    pub(super) fn stored(&self, id: NodeId) -> Option<&StoredNode> {
        self.nodes.get(usize::from(id.0)).map(|kept| &kept.value)
    }

    /// Replaces a node.
    pub(super) fn put(&mut self, stored: StoredNode, interners: &Interners) {
        debug_assert!(
            usize::from(stored.node.id().0) < self.nodes.len(),
            "a scope has all of its nodes from the beginning"
        );
        if let Some(place) = self.nodes.get_mut(usize::from(stored.node.id().0)) {
            // Interned in any case: a node that is as it was gets its old place in memory back.
            *place = interners.nodes.intern(stored);
        }
    }

    /// Drops the journals once power cannot fail any more, as their contents then make no
    /// difference. States that differ only in them become equal, which saves many.
    pub(super) fn drop_storage(&mut self, interners: &Interners) {
        for place in &mut self.nodes {
            if place.value.journal.is_some() {
                let node = place.value.node.clone();
                *place = interners.nodes.intern(StoredNode {
                    node,
                    journal: None,
                });
            }
        }
    }

    /// Removes all messages in flight.
    pub(super) fn lose_in_flight(&mut self) {
        self.in_flight = Arc::default();
        self.in_flight_hash = 0;
    }

    /// Replaces the ledger. Most steps change nothing in it, and a comparison is cheaper than
    /// interning.
    pub(super) fn remember(&mut self, ledger: Ledger, interners: &Interners) {
        // Compared as a whole and not by fingerprint, as a collision would forget a fact.
        if ledger != self.ledger.value {
            self.ledger = interners.ledgers.intern(ledger);
        }
    }

    /// Adds a message unless an equal one is in flight. A network that repeats messages needs only
    /// one of each, and one that does not would lose a copy without anybody noticing.
    pub(super) fn post(&mut self, envelope: Envelope<Tape, PAGE>, interners: &Interners) {
        let message = InFlight(interners.in_flight.intern(envelope));
        if !self.in_flight.contains(&message) {
            self.in_flight_hash = self.in_flight_hash.wrapping_add(message.0.hash);
            Arc::make_mut(&mut self.in_flight).push(message);
            debug_assert_eq!(self.in_flight_hash, hash_of_all(&self.in_flight));
        }
    }

    /// Removes a message. It arrives at most once on this network, unless a node sends it again.
    pub(super) fn forget(&mut self, message: &InFlight) {
        if self.in_flight.contains(message) {
            self.in_flight_hash = self.in_flight_hash.wrapping_sub(message.0.hash);
            Arc::make_mut(&mut self.in_flight).retain(|other| other != message);
            debug_assert_eq!(self.in_flight_hash, hash_of_all(&self.in_flight));
        }
    }
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        // Cheap comparisons come first; most different states differ in one of those.
        let nodes = || {
            let mut pairs = self.nodes.iter().zip(&other.nodes);
            pairs.all(|(one, other)| is_same(one, other))
        };
        let in_flight = || {
            self.in_flight
                .iter()
                .all(|message| other.in_flight.contains(message))
        };
        self.used == other.used
            && self.nodes.len() == other.nodes.len()
            && self.in_flight_hash == other.in_flight_hash
            && self.in_flight.len() == other.in_flight.len()
            && is_same(&self.ledger, &other.ledger)
            && self.broken == other.broken
            && nodes()
            && in_flight()
    }
}

impl Eq for World {}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The hashes of the parts stand for the parts. `outside` and `healing` are left out: no
        // such state is compared with others.
        for kept in &self.nodes {
            kept.hash.hash(state);
        }
        self.in_flight_hash.hash(state);
        self.ledger.hash.hash(state);
        self.used.hash(state);
        self.broken.hash(state);
    }
}
