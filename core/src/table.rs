//! A table of fixed capacity for a few values that come and go.
//!
//! It is a hash table whose hash is the number itself and whose collisions go anywhere. Slots and sessions are
//! consecutive numbers, so that collisions hardly occur, and a look-up is one comparison. Nothing is moved when a value
//! goes, so that indices stay valid while the table changes around them.

use crate::invariant::ensure;
use core::hash::{Hash, Hasher};

/// A value with a number by which it is found.
pub(crate) trait Numbered {
    /// Returns the number that decides where the value is stored.
    fn number(&self) -> u64;
}

/// Holds up to `CAPACITY` values. Each is stored at its number modulo `CAPACITY` if that place is free, otherwise at
/// any free place. Values with consecutive numbers are all at their own places, so that one comparison finds them, or
/// finds that they are missing.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Table<T, const CAPACITY: usize> {
    places: [Option<T>; CAPACITY],
    /// The number of values.
    len: usize,
    /// The number of values that are not at their own places. While it is zero, whatever is not at its own place is not
    /// in the table, and nothing has to be searched.
    displaced: usize,
    /// The most values at once.
    peak: usize,
}

/// Compares the values and their places. The peak is a statistic, and the two other counts follow from the places.
impl<T: PartialEq, const CAPACITY: usize> PartialEq for Table<T, CAPACITY> {
    fn eq(&self, other: &Self) -> bool {
        self.places == other.places
    }
}

impl<T: Eq, const CAPACITY: usize> Eq for Table<T, CAPACITY> {}

impl<T: Hash, const CAPACITY: usize> Hash for Table<T, CAPACITY> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.places.hash(state);
    }
}

impl<T: Numbered, const CAPACITY: usize> Table<T, CAPACITY> {
    /// Compiles only if there is a place: the remainder by zero would be a panic.
    const CHECKED: () = assert!(CAPACITY >= 1, "CLIENTS must be at least 1");

    /// Creates an empty table.
    pub(crate) const fn new() -> Self {
        let () = Self::CHECKED;
        Self {
            places: [const { None }; CAPACITY],
            len: 0,
            displaced: 0,
            peak: 0,
        }
    }

    /// Returns the index of a number's own place. It depends on the lower 32 bits, so that it is the same on all
    /// targets, and small ones divide no 64-bit number.
    #[cfg_attr(target_pointer_width = "64", inline)]
    fn home(number: u64) -> usize {
        usize::try_from(number & 0xffff_ffff).unwrap_or(0) % CAPACITY
    }

    /// Returns the number of values.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns the most values that it has held.
    pub(crate) fn peak(&self) -> usize {
        self.peak
    }

    /// Returns the index of the value that has this number and satisfies `fits`.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn find(&self, number: u64, fits: impl Fn(&T) -> bool) -> Option<usize> {
        let home = Self::home(number);
        if self.at(home).is_some_and(&fits) {
            return Some(home);
        }
        if self.displaced == 0 {
            debug_assert!(
                self.iter()
                    .all(|(_, value)| value.number() != number || !fits(value)),
                "a value is missed that is at its own place"
            );
            return None;
        }
        self.places
            .iter()
            .position(|place| place.as_ref().is_some_and(&fits))
    }

    /// Returns the value at an index from [`Table::find`].
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn at(&self, index: usize) -> Option<&T> {
        self.places.get(index)?.as_ref()
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn at_mut(&mut self, index: usize) -> Option<&mut T> {
        self.places.get_mut(index)?.as_mut()
    }

    /// Stores a value at its own place, or at the first free one; returns false if the table is full.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn insert(&mut self, value: T) -> bool {
        let home = Self::home(value.number());
        let index = match self.places.get(home) {
            Some(None) => home,
            _ => match self.first_free() {
                Some(index) => {
                    self.displaced += 1;
                    index
                }
                None => return false,
            },
        };
        debug_assert!(self.at(index).is_none(), "stores over another value");
        if let Some(place) = self.places.get_mut(index) {
            *place = Some(value);
        }
        self.len += 1;
        debug_assert!(
            self.displaced <= self.len,
            "more values are displaced than there are"
        );
        debug_assert!(
            self.len <= CAPACITY,
            "more values than there are places (T5)"
        );
        self.peak = self.peak.max(self.len);
        true
    }

    /// Returns the first free place. Clients whose sessions are consecutive do not collide, so it is rarely looked for.
    #[cold]
    fn first_free(&self) -> Option<usize> {
        debug_assert!(
            (self.len == CAPACITY) == self.places.iter().all(Option::is_some),
            "a table is full exactly if it has no free place"
        );
        self.places.iter().position(Option::is_none)
    }

    /// Checks that the two counts follow from the places.
    pub(crate) fn check_invariants(&self) -> Result<(), &'static str> {
        ensure(
            self.len == self.iter().count(),
            "counts other values than it has",
        )?;
        ensure(
            self.len <= self.peak && self.peak <= CAPACITY,
            "the peak is the most values at once, and no more than there is room for (T5)",
        )?;
        let away = |(index, value): &(usize, &T)| Self::home(value.number()) != *index;
        ensure(
            self.displaced == self.iter().filter(away).count(),
            "a displaced value would not be found",
        )?;
        Ok(())
    }

    /// Frees a place; does nothing if it is free.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn remove(&mut self, index: usize) {
        let Some(place) = self.places.get_mut(index) else {
            return;
        };
        if let Some(value) = place {
            debug_assert!(self.len > 0, "counts fewer values than there are");
            self.len -= 1;
            if Self::home(value.number()) != index {
                debug_assert!(self.displaced > 0, "a displaced value was not counted");
                self.displaced -= 1;
            }
            *place = None;
            debug_assert!(
                self.displaced <= self.len,
                "more values are displaced than there are"
            );
        }
    }

    /// Returns the values with their places, in the order of the places.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        let values = self.places.iter().enumerate();
        values.filter_map(|(index, place)| Some((index, place.as_ref()?)))
    }

    /// As [`Table::iter`], without the places. What decides the place of a value must not be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.places.iter_mut().flatten()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    impl Numbered for u64 {
        fn number(&self) -> u64 {
            *self
        }
    }

    fn find(table: &Table<u64, 2>, number: u64) -> Option<usize> {
        table.find(number, |value| *value == number)
    }

    #[test]
    fn full_says_so() {
        let mut table = Table::<u64, 2>::new();
        assert!(table.insert(4));
        assert!(table.insert(6), "the place of 6 is taken, another is free");
        assert!(!table.insert(8));
        assert_eq!(table.len(), 2);
        let index = find(&table, 6).unwrap();
        table.remove(index);
        table.remove(index);
        table.remove(9);
        assert_eq!((table.len(), table.peak(), find(&table, 6)), (1, 2, None));
        assert!(table.insert(8));
    }

    #[test]
    fn a_displaced_value_is_found_even_after_its_own_place_is_free() {
        let mut table = Table::<u64, 2>::new();
        assert!(table.insert(4));
        assert!(table.insert(6));
        let index = find(&table, 4).unwrap();
        table.remove(index);
        assert_eq!(find(&table, 6), Some(1));
        assert!(table.insert(7));
        assert!(find(&table, 7).is_some() && find(&table, 6).is_some());
    }

    proptest! {
        #![proptest_config(crate::properties::cases(400))]

        /// A table is a bounded set that remembers its peak.
        #[test]
        fn a_table_is_a_set_with_a_bound(
            deeds in proptest::collection::vec((any::<bool>(), 0u64..12), 0..60)
        ) {
            let mut table = Table::<u64, 3>::new();
            let (mut set, mut peak) = (BTreeSet::new(), 0);
            for (add, number) in deeds {
                let found = table.find(number, |value| *value == number);
                prop_assert_eq!(found.is_some(), set.contains(&number));
                if let Some(index) = found {
                    prop_assert_eq!(table.at(index), Some(&number));
                    prop_assert_eq!(table.at_mut(index), Some(&mut { number }));
                    if !add {
                        table.remove(index);
                        set.remove(&number);
                    }
                } else if add {
                    let room = set.len() < 3;
                    prop_assert_eq!(table.insert(number), room);
                    if room {
                        set.insert(number);
                    }
                }
                peak = peak.max(set.len());
                prop_assert_eq!((table.len(), table.peak()), (set.len(), peak));
                let kept: BTreeSet<u64> = table.iter().map(|(_, number)| *number).collect();
                prop_assert_eq!(&kept, &set);
                let mutable: Vec<u64> = table.iter_mut().map(|value| *value).collect();
                prop_assert_eq!(mutable.len(), set.len());
                prop_assert_eq!(table.displaced, displaced(&table));
            }
        }
    }

    fn displaced(table: &Table<u64, 3>) -> usize {
        let away = |(index, value): (usize, &Option<u64>)| {
            value.is_some_and(|number| Table::<u64, 3>::home(number) != index)
        };
        let away = table.places.iter().enumerate().map(away);
        away.filter(|away| *away).count()
    }

    #[test]
    fn a_missing_consecutive_number_is_found_missing_at_once() {
        let mut table = Table::<u64, 3>::new();
        for number in [3, 4, 5] {
            assert!(table.insert(number));
        }
        let looks = core::cell::Cell::new(0);
        let found = table.find(7, |_| {
            looks.set(looks.get() + 1);
            false
        });
        assert_eq!((found, looks.get()), (None, 1));
    }
}
