//! A small cluster as one value: some nodes, the messages that may come, and what the judge remembers.

use super::Tape;
use super::invariant::Broken;
use super::judge::Ledger;
use super::memo::{Kept, Memo, Memorable, hash_of};
use super::start::Restarted;
use crate::cut::CutStorage;
use core::hash::{Hash, Hasher};
use std::sync::Arc;
use synod::storage::Journal;
use synod::{Envelope, Node, NodeId, Timer};

/// Slots of the window: the fewest that there can be.
pub(super) const WINDOW: usize = 2;
/// Clients, each with a session.
pub(super) const CLIENTS: usize = 2;
/// Entries of a page: so few that a promise may take more than one.
pub const PAGE: usize = 1;

/// A node as it is explored: the real one, with the smallest structures.
pub type Member = Node<Tape, WINDOW, CLIENTS, PAGE>;

/// A node and its storage.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    pub(super) node: Member,
    /// As long as power may still fail: afterwards what is in it makes no difference.
    pub(super) journal: Option<Journal<CutStorage>>,
}

impl Seat {
    /// What is in the storage, and what the journal remembers besides.
    fn records(&self) -> Option<(&CutStorage, impl Eq + Hash)> {
        let journal = self.journal.as_ref()?;
        Some((journal.storage(), journal.exploration_state()))
    }
}

impl Memorable for Seat {
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

    /// The essence of a node leaves out when and by what chance; of two that differ in this the one that came first would
    /// be kept, and what comes of it would depend on that.
    fn distill(&mut self) {
        self.node.canonicalize();
    }
}

impl Memorable for Envelope<Tape, PAGE> {
    fn fingerprint(&self) -> u64 {
        hash_of(self)
    }

    fn is(&self, other: &Self) -> bool {
        self == other
    }
}

impl Memorable for Ledger {
    fn fingerprint(&self) -> u64 {
        hash_of(self)
    }

    fn is(&self, other: &Self) -> bool {
        self == other
    }
}

/// A message that may come.
#[derive(Clone, Debug)]
pub struct Letter(Arc<Kept<Envelope<Tape, PAGE>>>);

impl Letter {
    /// The message with its ends.
    pub fn envelope(&self) -> &Envelope<Tape, PAGE> {
        &self.0.value
    }

    /// A hash of it.
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

/// Whether two values are the same; mostly they are kept at one place or have two hashes.
fn is_same<T: Memorable>(one: &Arc<Kept<T>>, other: &Arc<Kept<T>>) -> bool {
    Arc::ptr_eq(one, other) || (one.hash == other.hash && one.value.is(&other.value))
}

/// One thing that can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A message arrives.
    Deliver(Letter),
    /// An armed timer fires.
    Fire {
        /// Where.
        node: NodeId,
        /// Which one.
        timer: Timer,
        /// What the node draws from.
        chance: u64,
    },
    /// A client makes a request, numbered from 0, for the first time or once more.
    Ask {
        /// Where.
        node: NodeId,
        /// Which one.
        request: u8,
    },
    /// Power is lost between two steps, and comes back.
    Crash {
        /// Where.
        node: NodeId,
    },
    /// Power is lost in the middle of a step, before anything of it has left, and comes back.
    Torn {
        /// How many operations of the storage were done by then.
        kept: u8,
        /// The step: anything but a loss of power.
        step: Box<Self>,
    },
}

impl Action {
    /// What happens, whether power fails in it or not.
    pub(super) fn step(&self) -> &Self {
        match self {
            Self::Torn { step, .. } => step,
            step => step,
        }
    }
}

/// A state: the nodes, the messages that may still come, how much of the scope is used up, and what the judge remembers.
#[derive(Clone, Debug)]
pub struct World {
    nodes: Vec<Arc<Kept<Seat>>>,
    /// In the order in which they were first sent.
    letters: Arc<Vec<Letter>>,
    /// The sum of the letters' hashes, which no order changes.
    letters_hash: u64,
    pub(super) ledger: Arc<Kept<Ledger>>,
    pub(super) used: Used,
    pub(super) broken: Option<Arc<Broken>>,
    /// Whether it lies outside of the scope.
    pub(super) outside: bool,
    /// Whether the network has healed. No such state is followed up.
    pub(super) healing: bool,
}

/// How much of a scope is used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Used {
    pub(super) requests: u8,
    pub(super) retries: u8,
    pub(super) crashes: u8,
}

/// What states share.
#[derive(Debug, Default)]
pub(super) struct Memos {
    nodes: Memo<Seat>,
    letters: Memo<Envelope<Tape, PAGE>>,
    ledgers: Memo<Ledger>,
}

impl World {
    /// Some nodes that have come back from a loss of power, and nothing under way. What they forgot by it is held against
    /// them like everything else.
    pub(super) fn new(nodes: Vec<Restarted>, memos: &Memos) -> Self {
        let mut ledger = Ledger::new(nodes.iter().map(|node| &node.before));
        let mut restarts = nodes.iter();
        let judged = restarts.try_for_each(|node| ledger.restart(&node.after.node, false));
        let keep = |node: Restarted| memos.nodes.keep(node.after);
        Self {
            ledger: memos.ledgers.keep(ledger),
            nodes: nodes.into_iter().map(keep).collect(),
            letters: Arc::default(),
            letters_hash: 0,
            used: Used::default(),
            broken: judged.err().map(Arc::new),
            outside: false,
            healing: false,
        }
    }

    /// The nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &Member> {
        self.nodes.iter().map(|kept| &kept.value.node)
    }

    /// The messages that may still come.
    pub fn letters(&self) -> &[Letter] {
        &self.letters
    }

    /// What does not hold in it, if anything does not.
    pub fn broken(&self) -> Option<&Broken> {
        self.broken.as_deref()
    }

    /// How many slots some node has applied since the start, at most.
    pub fn applied(&self) -> u64 {
        self.ledger.value.applied()
    }

    /// Whether it lies in the scope.
    pub fn is_within(&self) -> bool {
        !self.outside
    }

    /// A hash of all that it is.
    pub fn fingerprint(&self) -> u64 {
        hash_of(self)
    }

    /// One node.
    pub(super) fn node(&self, id: NodeId) -> Option<&Member> {
        self.seat(id).map(|seat| &seat.node)
    }

    /// One node, with its storage.
    pub(super) fn seat(&self, id: NodeId) -> Option<&Seat> {
        self.nodes.get(usize::from(id.0)).map(|kept| &kept.value)
    }

    /// Puts a node in the place of the one of its number.
    pub(super) fn put(&mut self, seat: Seat, memos: &Memos) {
        if let Some(place) = self.nodes.get_mut(usize::from(seat.node.id().0)) {
            *place = memos.nodes.keep(seat);
        }
    }

    /// Power fails no more: what is stored makes no difference any longer.
    pub(super) fn drop_storage(&mut self, memos: &Memos) {
        for place in &mut self.nodes {
            if place.value.journal.is_some() {
                let node = place.value.node.clone();
                *place = memos.nodes.keep(Seat {
                    node,
                    journal: None,
                });
            }
        }
    }

    /// All messages that are under way are lost.
    pub(super) fn lose_letters(&mut self) {
        self.letters = Arc::default();
        self.letters_hash = 0;
    }

    /// What the judge remembers from now on.
    pub(super) fn remember(&mut self, ledger: Ledger, memos: &Memos) {
        if ledger != self.ledger.value {
            self.ledger = memos.ledgers.keep(ledger);
        }
    }

    /// Adds a message, unless it is under way already.
    pub(super) fn post(&mut self, envelope: Envelope<Tape, PAGE>, memos: &Memos) {
        let letter = Letter(memos.letters.keep(envelope));
        if !self.letters.contains(&letter) {
            self.letters_hash = self.letters_hash.wrapping_add(letter.0.hash);
            Arc::make_mut(&mut self.letters).push(letter);
        }
    }

    /// Takes a message out of the network.
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
