//! One of each: what millions of states have in common is kept once.

use core::hash::{Hash, Hasher};
use std::collections::BTreeMap;
use std::hash::DefaultHasher;
use std::sync::{Arc, Mutex, PoisonError};

/// How many values are kept; beyond that it begins anew, which costs memory and nothing else.
const KEPT_MAX: usize = 1_000_000;

/// What can be kept.
pub(super) trait Memorable {
    /// A hash that is the same in every process.
    fn fingerprint(&self) -> u64;
    /// Whether two of equal hash are the same.
    fn is(&self, other: &Self) -> bool;
    /// Leaves out what tells this value from others that are the same.
    fn distill(&mut self) {}
}

/// The hash of a value, the same in every process.
pub(super) fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A value, and the hash by which it is found.
#[derive(Debug)]
pub(super) struct Kept<T> {
    pub(super) hash: u64,
    pub(super) value: T,
}

/// Keeps values, each once, without what tells it from others that are the same. So what it gives back is what it was given,
/// whatever was kept before and whoever shares it: one of them is as good as another.
#[derive(Debug)]
pub(super) struct Memo<T>(Mutex<BTreeMap<u64, Arc<Kept<T>>>>);

impl<T> Default for Memo<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Memorable> Memo<T> {
    /// Keeps a value, or gives back the same one that is kept already.
    pub(super) fn keep(&self, mut value: T) -> Arc<Kept<T>> {
        value.distill();
        let hash = value.fingerprint();
        // Nobody is interrupted half-way through a change of the map.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.get(&hash) {
            if known.value.is(&value) {
                return Arc::clone(known);
            }
            return Arc::new(Kept { hash, value });
        }
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        let new = Arc::new(Kept { hash, value });
        kept.insert(hash, Arc::clone(&new));
        new
    }
}
