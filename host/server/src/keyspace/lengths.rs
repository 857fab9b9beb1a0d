//! The lengths of all encoded entries, to find the entry at any byte of a snapshot.
//!
//! This is a binary indexed tree (Fenwick, *A new data structure for cumulative frequency tables*, 1994): a change and a
//! search take as many steps as the number of places has bits.

use super::KEYS_MAX;

/// A length for each of [`KEYS_MAX`] places.
#[derive(Clone)]
pub(super) struct Lengths {
    /// The node with number n, at index n − 1, is the sum of as many places before place n as the lowest bit of n says.
    sums: Vec<u32>,
}

const _: () = assert!(
    KEYS_MAX.is_power_of_two(),
    "the last node is the sum of all places"
);

impl Lengths {
    /// The memory that the lengths take, in bytes.
    pub(super) const MEMORY: usize = KEYS_MAX * size_of::<u32>();

    pub(super) fn new() -> Self {
        let sums = vec![0; KEYS_MAX];
        Self { sums }
    }

    /// Replaces the length at a place.
    pub(super) fn replace(&mut self, place: u16, old: usize, new: usize) {
        // An old length that is larger makes a difference that wraps around, and so does the sum with it.
        let word = |len| u32::try_from(len).unwrap_or(u32::MAX);
        let difference = word(new).wrapping_sub(word(old));
        if difference == 0 {
            return;
        }
        let mut node = usize::from(place) + 1;
        while let Some(sum) = self.sums.get_mut(node - 1) {
            *sum = sum.wrapping_add(difference);
            node += 1 << node.trailing_zeros();
        }
    }

    /// Returns the sum of all lengths.
    pub(super) fn total(&self) -> usize {
        let sum = self.sums.last().copied().unwrap_or(0);
        usize::try_from(sum).unwrap_or(usize::MAX)
    }

    /// Returns the place that contains the byte with this number, and how many bytes of that place are before it.
    pub(super) fn find(&self, byte: usize) -> (usize, usize) {
        let (mut node, mut rest, mut step) = (0, byte, KEYS_MAX);
        while step > 0 {
            let sum = self.sums.get(node + step - 1);
            let sum = sum.and_then(|sum| usize::try_from(*sum).ok());
            if let Some(left) = sum.and_then(|sum| rest.checked_sub(sum)) {
                (node, rest) = (node + step, left);
            }
            step /= 2;
        }
        (node, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_found_in_its_place_also_after_lengths_have_changed() {
        let mut lengths = Lengths::new();
        let mut plain = vec![0; 300];
        for round in 0..3 {
            for (place, len) in (0_u16..).zip(&mut plain) {
                let new = usize::from(place) * 7 % 11 + round + 1;
                lengths.replace(place, *len, new);
                *len = new;
            }
            let bytes = plain.iter().enumerate();
            let bytes = bytes.flat_map(|(place, len)| (0..*len).map(move |byte| (place, byte)));
            assert_eq!(lengths.total(), plain.iter().sum::<usize>());
            for (number, byte) in bytes.enumerate() {
                assert_eq!(lengths.find(number), byte);
            }
        }
    }
}
