//! A window of slots: a ring buffer in which every slot above a floor has a place that is found in constant time.
//!
//! ```text
//! WINDOW = 4, floor = 10         slots 11 to 14 have places
//!
//! place      0    1    2    3
//! slot      12   13   14   11    the place of a slot is its number modulo 4
//! ```
//!
//! A window that advances drops the value of the slot below, and gives its place to a new one. What may be dropped is
//! for the caller to say, as a limit: an acceptor must not lose a vote that its node has not applied (rule A5).

use crate::Slot;

/// Holds a value for each of the `WINDOW` slots above a floor. The floor rises and never falls; values at or below it
/// are dropped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Window<T, const WINDOW: usize> {
    /// The last slot below the window.
    floor: Slot,
    /// The place of a slot is its number modulo `WINDOW`, so that a rising floor moves no value. The place of a slot
    /// that has left the window is that of the one that has entered it, and is empty until that one has a value.
    places: [Option<T>; WINDOW],
}

impl<T, const WINDOW: usize> Window<T, WINDOW> {
    /// Compiles only if the size is a possible one.
    const CHECKED: () = assert!(
        crate::capacity::is_window(WINDOW),
        "WINDOW must be a power of two from 2 to 4096"
    );
    /// `WINDOW` as a number of slots.
    #[expect(clippy::as_conversions, reason = "usize to u64, in a const")]
    const SIZE: u64 = WINDOW as u64;

    /// Creates an empty window above a floor.
    pub(crate) const fn new(floor: Slot) -> Self {
        let () = Self::CHECKED;
        Self {
            floor,
            places: [const { None }; WINDOW],
        }
    }

    /// Returns the index of a slot's place. Whether the slot has it at present is up to [`Window::covers`].
    #[cfg_attr(target_pointer_width = "64", inline)]
    fn index(slot: Slot) -> usize {
        // The remainder is below `WINDOW`, which is a `usize`.
        let index = usize::try_from(slot.number() & (Self::SIZE - 1)).unwrap_or(0);
        debug_assert!(
            index < WINDOW,
            "a mask is a remainder only for a power of two"
        );
        index
    }

    /// Returns the last slot below the window. It never falls.
    pub(crate) fn floor(&self) -> Slot {
        self.floor
    }

    /// True if a slot has a place in the window.
    #[cfg_attr(target_pointer_width = "64", inline)]
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn covers(&self, slot: Slot) -> bool {
        // One comparison: at or below the floor, the difference wraps around to more than any window.
        let above = slot.number().wrapping_sub(self.floor.number());
        above.wrapping_sub(1) < Self::SIZE
    }

    /// Returns the value of a slot; `None` if it has none, or no place.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn get(&self, slot: Slot) -> Option<&T> {
        if !self.covers(slot) {
            return None;
        }
        self.places.get(Self::index(slot))?.as_ref()
    }

    /// As [`Window::get`], to change the value.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        if !self.covers(slot) {
            return None;
        }
        self.places.get_mut(Self::index(slot))?.as_mut()
    }

    /// Stores a value at a slot's place; returns false if the slot has none.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn put(&mut self, slot: Slot, value: T) -> bool {
        if !self.covers(slot) {
            return false;
        }
        match self.places.get_mut(Self::index(slot)) {
            Some(place) => {
                *place = Some(value);
                true
            }
            None => false,
        }
    }

    /// Returns the place of a slot. Raises the floor if necessary, but not above `limit`. `None` if the slot has no
    /// place.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn admit(&mut self, slot: Slot, limit: Slot) -> Option<&mut Option<T>> {
        let beyond = slot.number().wrapping_sub(self.floor.number());
        let beyond = beyond.wrapping_sub(1);
        if beyond == Self::SIZE && self.floor < limit {
            // A full window advances by one slot: the place of the slot is that of the dropped one.
            self.floor = self.floor.next()?;
            debug_assert!(
                self.floor <= limit,
                "drops a value that is still needed (A5)"
            );
            debug_assert!(self.covers(slot), "has made room for another slot");
            let place = self.places.get_mut(Self::index(slot))?;
            *place = None;
            return Some(place);
        }
        if beyond >= Self::SIZE && !self.make_room(slot, limit) {
            return None;
        }
        debug_assert!(
            self.covers(slot),
            "returns the place of a slot outside of the window"
        );
        self.places.get_mut(Self::index(slot))
    }

    /// Raises the floor until a slot above the window has a place; all or nothing, as a refusal must drop no value. For
    /// a slot at or below the floor there is no room to be made.
    #[cold]
    fn make_room(&mut self, slot: Slot, limit: Slot) -> bool {
        let floor = slot.back(Self::SIZE);
        let may = slot > self.floor && floor <= limit;
        if may {
            self.raise(floor);
        }
        debug_assert!(
            !may || self.covers(slot),
            "drops values, and has no place for the slot after all"
        );
        debug_assert!(
            !may || self.floor <= limit,
            "drops a value that is still needed (A5)"
        );
        may
    }

    /// Raises the floor by one slot. The value of that slot is still in its place, for the caller to take.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn release_next(&mut self) -> Option<&mut Option<T>> {
        self.floor = self.floor.next()?;
        self.places.get_mut(Self::index(self.floor))
    }

    /// Drops all values up to `floor`. A floor below the current one changes nothing.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn raise(&mut self, floor: Slot) {
        // At most the size of the window, which fits in 32 bits many times over: beyond that every place has been
        // emptied once. A floor below the current one has no distance to it.
        let steps = u32::try_from(floor.distance(self.floor).min(Self::SIZE)).unwrap_or(0);
        for back in 0..steps {
            if let Some(place) = self
                .places
                .get_mut(Self::index(floor.back(u64::from(back))))
            {
                *place = None;
            }
        }
        self.floor = self.floor.max(floor);
        debug_assert!(
            self.occupied() == self.iter_from(Slot::ZERO).count(),
            "a value is left at the place of a slot outside of the window"
        );
    }

    /// Drops all values and resets the floor, in place.
    pub(crate) fn clear(&mut self) {
        self.floor = Slot::ZERO;
        for place in &mut self.places {
            *place = None;
        }
    }

    /// Returns the occupied slots from `from` on, in rising order.
    pub(crate) fn iter_from(&self, from: Slot) -> impl Iterator<Item = (Slot, &T)> {
        let mut next = Some(from.max(self.floor.next().unwrap_or(from)));
        core::iter::from_fn(move || {
            while let Some(slot) = next.filter(|slot| self.covers(*slot)) {
                next = slot.next();
                if let Some(value) = self.get(slot) {
                    return Some((slot, value));
                }
            }
            None
        })
    }

    /// Returns all values, in no particular order.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.places.iter_mut().flatten()
    }

    /// Removes and returns the value of a slot.
    pub(crate) fn take(&mut self, slot: Slot) -> Option<T> {
        if !self.covers(slot) {
            return None;
        }
        self.places.get_mut(Self::index(slot))?.take()
    }

    /// Drops the values that do not satisfy `fits`.
    pub(crate) fn retain(&mut self, fits: impl Fn(&T) -> bool) {
        for place in &mut self.places {
            place.take_if(|value| !fits(value));
        }
    }

    /// Returns the number of occupied slots.
    pub(crate) fn occupied(&self) -> usize {
        self.places.iter().flatten().count()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::vec::Vec;

    fn slot(number: u64) -> Slot {
        Slot::new(number)
    }

    #[test]
    fn a_slot_outside_of_the_window_has_no_place() {
        let mut window = Window::<u32, 4>::new(slot(10));
        assert!(!window.put(slot(10), 0) && !window.put(slot(15), 0));
        assert!(window.put(slot(11), 1) && window.put(slot(14), 4));
        assert_eq!(
            window.get(slot(15)),
            None,
            "the place of 11 is not that of 15"
        );
    }

    #[test]
    fn raising_the_floor_drops_only_values_below_it() {
        let mut window = Window::<u64, 4>::new(Slot::ZERO);
        for number in 1..=4 {
            window.put(slot(number), number);
        }
        window.raise(slot(2));
        let kept: Vec<u64> = window
            .iter_from(Slot::ZERO)
            .map(|(_, value)| *value)
            .collect();
        assert_eq!(kept, [3, 4]);
        window.raise(slot(1));
        assert_eq!(window.floor(), slot(2), "a floor never falls");
        window.raise(slot(1_000_000));
        assert_eq!(window.occupied(), 0);
        assert!(window.put(slot(1_000_001), 0));
    }

    #[test]
    fn a5_room_is_made_only_by_dropping_what_is_not_needed() {
        let mut window = Window::<u64, 4>::new(Slot::ZERO);
        window.put(slot(1), 1);
        window.put(slot(2), 2);
        assert!(
            window.admit(slot(6), slot(1)).is_none(),
            "slot 2 is still needed"
        );
        assert_eq!(window.get(slot(1)), Some(&1), "a refusal forgets nothing");
        assert_eq!(window.admit(slot(6), slot(2)), Some(&mut None));
        assert_eq!((window.get(slot(2)), window.floor()), (None, slot(2)));
        assert!(
            window.admit(slot(2), slot(9)).is_none(),
            "under the floor there is never room"
        );
    }

    /// An operation on a window, with slots counted from near its floor.
    #[derive(Clone, Debug)]
    enum Deed {
        Put(Slot, u8),
        Change(Slot, u8),
        Raise(Slot),
        Admit(Slot, Slot, u8),
        Release,
    }

    /// A slot near the windows that a few operations from `start` can produce.
    fn near(start: u64) -> impl Strategy<Value = Slot> {
        (0u64..40).prop_map(move |offset| slot(start.saturating_add(offset).saturating_sub(6)))
    }

    fn deed(start: u64) -> impl Strategy<Value = Deed> {
        prop_oneof![
            4 => (near(start), any::<u8>()).prop_map(|(slot, value)| Deed::Put(slot, value)),
            1 => (near(start), any::<u8>()).prop_map(|(slot, value)| Deed::Change(slot, value)),
            1 => near(start).prop_map(Deed::Raise),
            4 => (near(start), near(start), any::<u8>())
                .prop_map(|(slot, limit, value)| Deed::Admit(slot, limit, value)),
            2 => Just(Deed::Release),
        ]
    }

    fn start_and_deeds() -> impl Strategy<Value = (u64, Vec<Deed>)> {
        let start = prop_oneof![Just(0), 1u64..100, Just(u64::MAX - 20), Just(u64::MAX)];
        start.prop_flat_map(|start| {
            let deeds = proptest::collection::vec(deed(start), 0..40);
            (Just(start), deeds)
        })
    }

    proptest! {
        #![proptest_config(crate::properties::cases(400))]

        /// A window is a map of the slots above a floor, limited to its size.
        #[test]
        fn a_window_is_a_map_with_a_floor((start, deeds) in start_and_deeds()) {
            const SIZE: u64 = 4;
            let mut window = Window::<u8, 4>::new(slot(start));
            let (mut floor, mut map) = (start, BTreeMap::new());
            for deed in deeds {
                let covers = |floor: u64, slot: Slot| {
                    slot.number() > floor && slot.number() - floor <= SIZE
                };
                match deed {
                    Deed::Put(slot, value) => {
                        prop_assert_eq!(window.put(slot, value), covers(floor, slot));
                        if covers(floor, slot) {
                            map.insert(slot, value);
                        }
                    }
                    Deed::Change(slot, value) => {
                        let known = map.get_mut(&slot);
                        prop_assert_eq!(window.get_mut(slot).map(|place| *place), known.as_deref().copied());
                        if let (Some(place), Some(known)) = (window.get_mut(slot), known) {
                            (*place, *known) = (value, value);
                        }
                    }
                    Deed::Raise(to) => {
                        window.raise(to);
                        floor = floor.max(to.number());
                    }
                    Deed::Admit(slot, limit, value) => {
                        let raised = slot.number().saturating_sub(SIZE).max(floor);
                        let may = slot.number() > floor && (raised == floor || raised <= limit.number());
                        let place = window.admit(slot, limit);
                        prop_assert_eq!(place.is_some(), may);
                        if let Some(place) = place {
                            floor = raised;
                            prop_assert_eq!(*place, map.get(&slot).copied());
                            *place = Some(value);
                            map.insert(slot, value);
                        }
                    }
                    Deed::Release => {
                        let next = floor.checked_add(1).map(slot);
                        let place = window.release_next();
                        prop_assert_eq!(place.is_some(), next.is_some());
                        if let (Some(place), Some(next)) = (place, next) {
                            prop_assert_eq!(place.take(), map.get(&next).copied());
                            floor = next.number();
                        }
                    }
                }
                map.retain(|slot, _| slot.number() > floor);
                prop_assert_eq!(window.floor(), slot(floor));
                prop_assert_eq!(window.occupied(), map.len());
                for from in [Slot::ZERO, slot(floor), slot(floor.saturating_add(2))] {
                    let kept: Vec<_> = window.iter_from(from).map(|(slot, value)| (slot, *value)).collect();
                    let known: Vec<_> = map.range(from..).map(|(slot, value)| (*slot, *value)).collect();
                    prop_assert_eq!(kept, known);
                }
                for offset in 0..12 {
                    let near = slot(floor.saturating_add(offset).saturating_sub(3));
                    prop_assert_eq!(window.covers(near), covers(floor, near));
                    prop_assert_eq!(window.get(near), map.get(&near));
                }
            }
        }
    }

    #[test]
    fn the_end_of_the_numbers_is_no_special_case() {
        let last = slot(u64::MAX);
        let mut window = Window::<u64, 2>::new(slot(u64::MAX - 1));
        assert!(window.put(last, 7));
        assert_eq!(window.iter_from(Slot::ZERO).count(), 1);
    }
}
