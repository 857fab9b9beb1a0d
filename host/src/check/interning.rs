//! Interning: a table in which parts that millions of states have in common are stored once.
//!
//! A state of three nodes has some kilobytes, and a search of ten million states would take tens of
//! gigabytes. Each step changes one node, so that states consist mostly of parts that thousands of
//! others have as well.

use core::hash::{Hash, Hasher};
use std::collections::BTreeMap;
use std::hash::DefaultHasher;
use std::sync::{Arc, Mutex, PoisonError};

/// Greatest number of interned values. The interner is then cleared, which costs memory and changes
/// nothing else. It bounds the values that are kept only by the interner, after the last state that
/// used them was dropped.
const INTERNED_MAX: usize = 1_000_000;

/// A value that can be interned.
pub(super) trait Internable {
    /// Returns a hash that is the same in every process.
    fn fingerprint(&self) -> u64;
    /// True if two values with equal hashes are equal.
    fn is(&self, other: &Self) -> bool;
    /// Removes the state that equal values may differ in. Two equal values must be identical
    /// afterwards, because either may be stored for both.
    fn distill(&mut self) {}
}

/// Returns the hash of a value, the same in every process. [`DefaultHasher::new`] has fixed keys,
/// unlike the hasher of a `HashMap`. Fingerprints select the states in which liveness is checked,
/// so that results would otherwise differ from process to process.
pub(super) fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// An interned value with its hash. It is a part of every state in which the value is, so that it
/// is computed once.
#[derive(Debug)]
pub(super) struct Interned<T> {
    pub(super) hash: u64,
    pub(super) value: T,
}

/// Stores equal values once, without the state that they may differ in. The returned value therefore does not depend on
/// earlier calls, nor on other threads that share the interner.
///
/// The key of the map is the hash. Of two different values with one hash, the second is returned
/// without being stored: this costs memory, and nothing is taken for equal that is not.
#[derive(Debug)]
pub(super) struct Interner<T>(Mutex<BTreeMap<u64, Arc<Interned<T>>>>);

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Internable> Interner<T> {
    /// Returns the stored value that equals the given one, after storing it if there is none.
    pub(super) fn intern(&self, mut value: T) -> Arc<Interned<T>> {
        value.distill();
        let hash = value.fingerprint();
        // A panic of another thread leaves the map consistent.
        let mut interned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = interned.get(&hash) {
            // Compared, as two values may have one hash.
            if known.value.is(&value) {
                return Arc::clone(known);
            }
            return Arc::new(Interned { hash, value });
        }
        if interned.len() >= INTERNED_MAX {
            // Those in use stay where they are, since each state has its own pointer to them.
            interned.clear();
        }
        debug_assert!(interned.len() < INTERNED_MAX, "it was cleared at the bound");
        let new = Arc::new(Interned { hash, value });
        interned.insert(hash, Arc::clone(&new));
        new
    }
}
