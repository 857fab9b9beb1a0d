//! World: a state of a small cluster as one value, with its nodes, the messages in flight, and the ledger.

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

/// Capacity of the window, in slots: the smallest possible.
pub(super) const WINDOW: usize = 2;
/// Number of clients, each with a session.
pub(super) const CLIENTS: usize = 2;
/// Capacity of a page, in entries: so small that a promise may take several pages.
pub const PAGE: usize = 1;

/// A node of an explored cluster, with the smallest capacities.
pub type Member = Node<Tape, WINDOW, CLIENTS, PAGE>;

/// A node with its journal.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    pub(super) node: Member,
    /// Journal; dropped once power cannot fail any more, as its contents then make no difference.
    pub(super) journal: Option<Journal<PowerCutStorage>>,
}

impl Seat {
    /// Returns the contents of the storage, and the other state of the journal.
    fn records(&self) -> Option<(&PowerCutStorage, impl Eq + Hash)> {
        let journal = self.journal.as_ref()?;
        Some((journal.storage(), journal.exploration_state()))
    }
}

impl Internable for Seat {
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
#[derive(Clone, Debug)]
pub struct Letter(Arc<Interned<Envelope<Tape, PAGE>>>);

impl Letter {
    /// Returns the message with its sender and recipient.
    pub fn envelope(&self) -> &Envelope<Tape, PAGE> {
        &self.0.value
    }

    /// Returns a hash of the message.
    pub(super) fn hash(&self) -> u64 {
        self.0.hash
    }
}

impl PartialEq for Letter {
    fn eq(&self, other: &Self) -> bool {
        is_same(&self.0, &other.0)
    }
}

impl Eq for Letter {}

/// True if two values are equal. Mostly they are interned at one place or have different hashes.
fn is_same<T: Internable>(one: &Arc<Interned<T>>, other: &Arc<Interned<T>>) -> bool {
    Arc::ptr_eq(one, other) || (one.hash == other.hash && one.value.is(&other.value))
}

/// An action: a step of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A message arrives.
    Deliver(Letter),
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
#[derive(Clone, Debug)]
pub struct World {
    nodes: Vec<Arc<Interned<Seat>>>,
    /// Messages in the order in which they were first sent.
    letters: Arc<Vec<Letter>>,
    /// Sum of the messages' hashes, which is independent of their order.
    letters_hash: u64,
    pub(super) ledger: Arc<Interned<Ledger>>,
    pub(super) used: Used,
    pub(super) broken: Option<Arc<Broken>>,
    /// Whether the state is outside of the scope.
    pub(super) outside: bool,
    /// Whether liveness is being checked. Such a state is not expanded.
    pub(super) healing: bool,
}

/// Used part of a scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Used {
    pub(super) requests: u8,
    pub(super) retries: u8,
    pub(super) crashes: u8,
}

/// Interners of the parts that states share.
#[derive(Debug, Default)]
pub(super) struct Interners {
    nodes: Interner<Seat>,
    letters: Interner<Envelope<Tape, PAGE>>,
    ledgers: Interner<Ledger>,
}

impl World {
    /// Returns a state of nodes that have restarted after a loss of power, without messages. The ledger is of the time
    /// before, so that anything they lost is a violation.
    pub(super) fn new(nodes: Vec<Restarted>, interners: &Interners) -> Self {
        let mut ledger = Ledger::new(nodes.iter().map(|node| &node.before));
        let mut restarts = nodes.iter();
        let judged = restarts.try_for_each(|node| ledger.restart(&node.after.node, false));
        let keep = |node: Restarted| interners.nodes.intern(node.after);
        Self {
            ledger: interners.ledgers.intern(ledger),
            nodes: nodes.into_iter().map(keep).collect(),
            letters: Arc::default(),
            letters_hash: 0,
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
    pub fn letters(&self) -> &[Letter] {
        &self.letters
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

    /// Returns a hash of the whole state.
    pub fn fingerprint(&self) -> u64 {
        hash_of(self)
    }

    /// Returns a node.
    pub(super) fn node(&self, id: NodeId) -> Option<&Member> {
        self.seat(id).map(|seat| &seat.node)
    }

    /// Returns a node with its journal.
    pub(super) fn seat(&self, id: NodeId) -> Option<&Seat> {
        self.nodes.get(usize::from(id.0)).map(|kept| &kept.value)
    }

    /// Replaces a node.
    pub(super) fn put(&mut self, seat: Seat, interners: &Interners) {
        if let Some(place) = self.nodes.get_mut(usize::from(seat.node.id().0)) {
            *place = interners.nodes.intern(seat);
        }
    }

    /// Drops the journals once power cannot fail any more, as their contents then make no difference.
    pub(super) fn drop_storage(&mut self, interners: &Interners) {
        for place in &mut self.nodes {
            if place.value.journal.is_some() {
                let node = place.value.node.clone();
                *place = interners.nodes.intern(Seat {
                    node,
                    journal: None,
                });
            }
        }
    }

    /// Removes all messages in flight.
    pub(super) fn lose_letters(&mut self) {
        self.letters = Arc::default();
        self.letters_hash = 0;
    }

    /// Replaces the ledger.
    pub(super) fn remember(&mut self, ledger: Ledger, interners: &Interners) {
        if ledger != self.ledger.value {
            self.ledger = interners.ledgers.intern(ledger);
        }
    }

    /// Adds a message unless an equal one is in flight.
    pub(super) fn post(&mut self, envelope: Envelope<Tape, PAGE>, interners: &Interners) {
        let letter = Letter(interners.letters.intern(envelope));
        if !self.letters.contains(&letter) {
            self.letters_hash = self.letters_hash.wrapping_add(letter.0.hash);
            Arc::make_mut(&mut self.letters).push(letter);
        }
    }

    /// Removes a message.
    pub(super) fn forget(&mut self, letter: &Letter) {
        if self.letters.contains(letter) {
            self.letters_hash = self.letters_hash.wrapping_sub(letter.0.hash);
            Arc::make_mut(&mut self.letters).retain(|other| other != letter);
        }
    }
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        let nodes = || {
            let mut pairs = self.nodes.iter().zip(&other.nodes);
            pairs.all(|(one, other)| is_same(one, other))
        };
        let letters = || {
            self.letters
                .iter()
                .all(|letter| other.letters.contains(letter))
        };
        self.used == other.used
            && self.nodes.len() == other.nodes.len()
            && self.letters_hash == other.letters_hash
            && self.letters.len() == other.letters.len()
            && is_same(&self.ledger, &other.ledger)
            && self.broken == other.broken
            && nodes()
            && letters()
    }
}

impl Eq for World {}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for kept in &self.nodes {
            kept.hash.hash(state);
        }
        self.letters_hash.hash(state);
        self.ledger.hash.hash(state);
        self.used.hash(state);
        self.broken.hash(state);
    }
}
