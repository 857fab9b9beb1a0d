//! What is asked for: operations on random keys.

use super::plan::{Operation, Plan};
use rand_core::{Rng, SeedableRng};
use rand_xorshift::XorShiftRng;
use std::io::Write;

/// The seed of the keys. It is always the same, so that all servers are asked for the same.
const SEED: u64 = 6;

/// A request, independent of the protocol that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// A value is set.
    Set {
        /// The number of the key.
        key: u64,
        /// The value.
        value: &'a [u8],
    },
    /// A value is read.
    Get {
        /// The number of the key.
        key: u64,
    },
    /// A counter is counted up.
    Incr {
        /// The number of the key.
        key: u64,
    },
}

/// The requests of a benchmark, in their order.
#[derive(Debug)]
pub struct Workload {
    operation: Operation,
    keys: u64,
    value: Vec<u8>,
    random: XorShiftRng,
    /// The next key where keys are not random.
    next: u64,
}

impl Workload {
    /// Returns the requests of a plan.
    pub fn new(plan: &Plan) -> Self {
        Self {
            operation: plan.operation,
            keys: plan.keys.max(1),
            value: vec![b'x'; plan.value_bytes],
            random: XorShiftRng::seed_from_u64(SEED),
            next: 0,
        }
    }

    /// Draws the next request.
    pub fn draw(&mut self) -> Request<'_> {
        let key = match self.operation {
            Operation::Fill => {
                let key = self.next % self.keys;
                self.next += 1;
                key
            }
            _ => self.below(self.keys),
        };
        let reads = match self.operation {
            Operation::Incr => return Request::Incr { key },
            Operation::Set | Operation::Fill => false,
            Operation::Get => true,
            Operation::Mix { reads_ppm } => self.below(1_000_000) < u64::from(reads_ppm),
        };
        if reads {
            Request::Get { key }
        } else {
            let value = &self.value;
            Request::Set { key, value }
        }
    }

    /// Draws a number below a bound.
    fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.random.next_u64()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(0)
    }
}

/// Appends the text of a key. All keys have 20 bytes.
pub(super) fn push_key_text(prefix: [u8; 8], key: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&prefix);
    // A vector takes everything.
    let _ = write!(out, "{:012}", key % 1_000_000_000_000);
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Length, Pace};
    use super::*;
    use core::time::Duration;
    use std::collections::BTreeSet;

    fn workload(operation: Operation) -> Workload {
        Workload::new(&Plan {
            addresses: Vec::new(),
            clients: 1,
            depth: 1,
            pace: Pace::Closed,
            length: Length::Requests(1),
            warm_up: Duration::ZERO,
            operation,
            keys: 100,
            value_bytes: 3,
            timeout: Duration::ZERO,
            trust: None,
        })
    }

    #[test]
    fn a_mix_has_about_its_share_of_reads_and_reaches_all_keys() {
        let mut workload = workload(Operation::Mix { reads_ppm: 900_000 });
        let (mut reads, mut keys) = (0, BTreeSet::new());
        for _ in 0..10_000 {
            let key = match workload.draw() {
                Request::Get { key } => {
                    reads += 1;
                    key
                }
                Request::Set { key, value } => {
                    assert_eq!(value, b"xxx");
                    key
                }
                Request::Incr { .. } => panic!("nothing is counted"),
            };
            keys.insert(key);
        }
        assert!((8_800..9_200).contains(&reads), "{reads}");
        assert!(keys.into_iter().eq(0..100));
    }

    #[test]
    fn a_fill_sets_each_key_once() {
        let mut workload = workload(Operation::Fill);
        let keys = core::iter::from_fn(|| match workload.draw() {
            Request::Set { key, .. } => Some(key),
            _ => None,
        });
        assert!(keys.take(100).eq(0..100));
    }
}
