//! A fixed table of a few values that come and go.

/// Holds up to `CAPACITY` values. A value is looked for first where its number puts it, so that values of consecutive
/// numbers are found at once, and only then elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Table<T, const CAPACITY: usize> {
    places: [Option<T>; CAPACITY],
    len: usize,
}

impl<T, const CAPACITY: usize> Table<T, CAPACITY> {
    const CHECKED: () = assert!(CAPACITY >= 1, "CLIENTS must be at least 1");

    pub(crate) const fn new() -> Self {
        let () = Self::CHECKED;
        Self {
            places: [const { None }; CAPACITY],
            len: 0,
        }
    }

    fn home(number: u64) -> usize {
        usize::try_from(number & 0xffff_ffff).unwrap_or(0) % CAPACITY
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len == CAPACITY
    }

    /// Where the value of a number is that fits: its index.
    #[inline]
    pub(crate) fn find(&self, number: u64, fits: impl Fn(&T) -> bool) -> Option<usize> {
        if self.len == 0 {
            return None;
        }
        let home = Self::home(number);
        if self.at(home).is_some_and(&fits) {
            return Some(home);
        }
        self.places
            .iter()
            .position(|place| place.as_ref().is_some_and(&fits))
    }

    #[inline]
    pub(crate) fn at(&self, index: usize) -> Option<&T> {
        self.places.get(index)?.as_ref()
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, index: usize) -> Option<&mut T> {
        self.places.get_mut(index)?.as_mut()
    }

    /// Puts a value where its number puts it, or in the first free place; hands it back when there is none.
    pub(crate) fn insert(&mut self, number: u64, value: T) -> Result<(), T> {
        if self.is_full() {
            return Err(value);
        }
        let home = Self::home(number);
        let index = match self.places.get(home) {
            Some(None) => Some(home),
            _ => self.places.iter().position(Option::is_none),
        };
        match index.and_then(|index| self.places.get_mut(index)) {
            Some(place) => {
                *place = Some(value);
                self.len += 1;
                Ok(())
            }
            None => Err(value),
        }
    }

    pub(crate) fn remove(&mut self, index: usize) -> Option<T> {
        let value = self.places.get_mut(index)?.take();
        if value.is_some() {
            self.len -= 1;
        }
        value
    }

    /// The values in the order of their places.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().flatten()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.places.iter_mut().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_hands_the_value_back() {
        let mut table = Table::<u64, 2>::new();
        assert_eq!(table.insert(4, 4), Ok(()));
        assert_eq!(
            table.insert(6, 6),
            Ok(()),
            "the place of 6 is taken, another is free"
        );
        assert_eq!(table.insert(8, 8), Err(8));
        assert!(table.is_full());
        let index = table.find(6, |value| *value == 6).unwrap();
        assert_eq!(table.remove(index), Some(6));
        assert_eq!(table.remove(index), None);
        assert_eq!(table.len(), 1);
        assert_eq!(table.insert(8, 8), Ok(()));
    }
}
