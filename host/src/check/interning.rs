//! One of each: what millions of states have in common is kept once.

use core::hash::{Hash, Hasher};
use std::collections::BTreeMap;
use std::hash::DefaultHasher;
use std::sync::{Arc, Mutex, PoisonError};

/// How many values are kept; beyond that it begins anew, which costs memory and nothing else.
const INTERNED_MAX: usize = 1_000_000;

/// What can be kept.
pub(super) trait Internable {
    /// A hash that is the same in every process.
    fn fingerprint(&self) -> u64;
    /// Whether two of equal hash are the same.
    fn is(&self, other: &Self) -> bool;
}

/// The hash of a value, the same in every process.
pub(super) fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A value, and the hash by which it is found.
#[derive(Debug)]
pub(super) struct Interned<T> {
    pub(super) hash: u64,
    pub(super) value: T,
}

/// Keeps values, each once. What it gives back is the same as what it was given, so that nothing depends on what was kept
/// before.
#[derive(Debug)]
pub(super) struct Interner<T>(Mutex<BTreeMap<u64, Arc<Interned<T>>>>);

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Internable> Interner<T> {
    /// Keeps a value, or gives back the same one that is kept already.
    pub(super) fn intern(&self, value: T) -> Arc<Interned<T>> {
        let hash = value.fingerprint();
        // Nobody is interrupted half-way through a change of the map.
        let mut interned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = interned.get(&hash) {
            if known.value.is(&value) {
                return Arc::clone(known);
            }
            return Arc::new(Interned { hash, value });
        }
        if interned.len() >= INTERNED_MAX {
            interned.clear();
        }
        let new = Arc::new(Interned { hash, value });
        interned.insert(hash, Arc::clone(&new));
        new
    }
}
