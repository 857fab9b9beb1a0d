//! Where the keys are: a hash table with open addressing.
//!
//! A slot is a tag, which is a part of the hash of a key, and the place of its entry. Nothing depends on the order of the
//! slots, so that every process can draw its own hash function: nobody can know keys that would end in the same slots.

use super::KEYS_MAX;
use core::hash::BuildHasher;
use std::hash::RandomState;

/// Twice as many slots as there are keys, so that searches are short.
const SLOTS: usize = 2 * KEYS_MAX;

const _: () = assert!(
    SLOTS.is_power_of_two() && SLOTS <= 1 << u16::BITS,
    "a tag says where a key belongs, and one place is left to mean that there is none"
);

/// A slot without a key.
const EMPTY: Slot = Slot {
    tag: 0,
    place: u16::MAX,
};

/// The places of up to [`KEYS_MAX`] keys.
#[derive(Clone)]
pub(super) struct Index {
    slots: Vec<Slot>,
    hasher: RandomState,
}

#[derive(Clone, Copy)]
struct Slot {
    tag: u16,
    place: u16,
}

/// A part of the hash of a key.
#[derive(Clone, Copy)]
pub(super) struct Tag(u16);

impl Index {
    /// The memory that the index takes, in bytes.
    pub(super) const MEMORY: usize = SLOTS * size_of::<Slot>();

    pub(super) fn new() -> Self {
        Self {
            slots: vec![EMPTY; SLOTS],
            hasher: RandomState::new(),
        }
    }

    pub(super) fn tag(&self, key: &[u8]) -> Tag {
        let [low, high, ..] = self.hasher.hash_one(key).to_le_bytes();
        Tag(u16::from_le_bytes([low, high]))
    }

    /// Returns the place of the key with this tag that `is_key` recognises.
    pub(super) fn find(&self, tag: Tag, is_key: impl Fn(u16) -> bool) -> Option<u16> {
        let number = self.search(tag, is_key)?;
        Some(self.slot(number).place)
    }

    /// Adds a key that is absent. There has to be room.
    pub(super) fn insert(&mut self, tag: Tag, place: u16) {
        let mut number = home(tag.0);
        while self.slot(number).place != EMPTY.place {
            number = next(number);
        }
        let Tag(tag) = tag;
        self.put(number, Slot { tag, place });
    }

    /// Gives another place to the key with this tag and place.
    pub(super) fn replace(&mut self, tag: Tag, old: u16, new: u16) {
        if let Some(number) = self.search(tag, |place| place == old) {
            let Tag(tag) = tag;
            self.put(number, Slot { tag, place: new });
        }
    }

    /// Removes the key with this tag and place.
    pub(super) fn remove(&mut self, tag: Tag, place: u16) {
        let Some(mut hole) = self.search(tag, |known| known == place) else {
            return;
        };
        // A search ends at an empty slot, so those behind the hole move up as far as they belong.
        let mut number = next(hole);
        loop {
            let slot = self.slot(number);
            if slot.place == EMPTY.place {
                break;
            }
            if distance(home(slot.tag), number) >= distance(hole, number) {
                self.put(hole, slot);
                hole = number;
            }
            number = next(number);
        }
        self.put(hole, EMPTY);
    }

    /// Returns the number of the slot with this tag whose place is recognised.
    fn search(&self, Tag(tag): Tag, is_it: impl Fn(u16) -> bool) -> Option<usize> {
        let mut number = home(tag);
        loop {
            let slot = self.slot(number);
            if slot.place == EMPTY.place {
                return None;
            }
            if slot.tag == tag && is_it(slot.place) {
                return Some(number);
            }
            number = next(number);
        }
    }

    fn slot(&self, number: usize) -> Slot {
        self.slots.get(number).copied().unwrap_or(EMPTY)
    }

    fn put(&mut self, number: usize, slot: Slot) {
        if let Some(place) = self.slots.get_mut(number) {
            *place = slot;
        }
    }
}

/// Returns the number of the slot where a search for a tag begins.
fn home(tag: u16) -> usize {
    usize::from(tag) % SLOTS
}

/// Returns the number of the slot behind another.
fn next(number: usize) -> usize {
    (number + 1) % SLOTS
}

/// Returns how many slots a search passes from one to another.
fn distance(from: usize, to: usize) -> usize {
    to.wrapping_sub(from) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn keys_with_near_tags_are_found_whichever_were_removed(
            steps in vec((0..12_u16, any::<bool>()), 1..200),
        ) {
            // The tags are around the end of the table, and two keys have each of them.
            let tag = |key: u16| Tag(u16::MAX.wrapping_add(key / 2).wrapping_sub(3));
            let (mut index, mut plain) = (Index::new(), BTreeMap::new());
            for (step, (key, is_added)) in (0_u16..).zip(steps) {
                match plain.remove(&key) {
                    Some(old) if is_added => {
                        index.replace(tag(key), old, step);
                        plain.insert(key, step);
                    }
                    Some(old) => index.remove(tag(key), old),
                    None => {
                        index.insert(tag(key), step);
                        plain.insert(key, step);
                    }
                }
                for key in 0..12 {
                    let place = plain.get(&key).copied();
                    let found = index.find(tag(key), |found| Some(found) == place);
                    prop_assert_eq!(found, place);
                }
            }
            let used = index.slots.iter().filter(|slot| slot.place != EMPTY.place);
            prop_assert_eq!(used.count(), plain.len());
        }
    }
}
