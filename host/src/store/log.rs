//! A log of numbered records as bytes.
//!
//! A record is stored as its length, the complement of the length, a digest of its number and its bytes, and its bytes:
//!
//! | at | bytes | contents |
//! |---|---|---|
//! | 0 | 2 | length of the record in bytes |
//! | 2 | 2 | complement of the length |
//! | 4 | 8 | digest of the number and the record |
//! | 12 | | the record |
//!
//! Integers are little-endian. The number is not stored: records are consecutive, and the first one's number is in the
//! mark. As the number is part of the digest, no record is taken for another one, such as a copy of an earlier sector.
//! The complement keeps zeros from being a record.

use synod::{Digest, Reader, Sink};

/// Length of what precedes a record, in bytes.
pub(super) const HEAD_BYTES: usize = 2 + 2 + 8;

/// Appends a record of at most `u16::MAX` bytes to a log.
pub(super) fn append(log: &mut Vec<u8>, number: u64, record: &[u8]) {
    debug_assert!(
        u16::try_from(record.len()).is_ok(),
        "storage refuses longer records"
    );
    let len = u16::try_from(record.len()).unwrap_or(u16::MAX);
    log.extend_from_slice(&len.to_le_bytes());
    log.extend_from_slice(&(!len).to_le_bytes());
    log.extend_from_slice(&digest(number, record).to_le_bytes());
    log.extend_from_slice(record);
}

/// Reader of a log. It ends at the first bytes that are not the record of the expected number.
///
/// So a record that cannot be read ends the log for it, whatever is behind. Whether records are
/// missing is for the caller to find out by their number.
#[derive(Clone, Debug)]
pub(super) struct Records<'a> {
    /// Number of the next record.
    pub(super) number: u64,
    /// Bytes from the next record on.
    pub(super) rest: &'a [u8],
}

impl<'a> Records<'a> {
    /// Returns the next record without moving on. `None` at the end of the readable part: zeros,
    /// remains of a torn write, or decay.
    pub(super) fn peek(&self) -> Option<&'a [u8]> {
        let mut reader = Reader::new(self.rest);
        let len = u16::from_le_bytes(reader.array()?);
        let complement = u16::from_le_bytes(reader.array()?);
        let expected = reader.u64()?;
        // A garbled length may reach beyond the end, which is no record either.
        let record = self.rest.get(HEAD_BYTES..)?.get(..len.into())?;
        (complement == !len && expected == digest(self.number, record)).then_some(record)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let record = self.peek()?;
        self.rest = self.rest.get(HEAD_BYTES + record.len()..)?;
        self.number = self.number.wrapping_add(1);
        Some(record)
    }
}

/// Returns the digest that is stored with a record. Its number is in it, so that a record is only
/// readable in its own place.
fn digest(number: u64, record: &[u8]) -> u64 {
    let mut digest = Digest::new();
    digest.put_u64(number);
    digest.put(record);
    digest.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(number: u64, rest: &[u8]) -> Vec<&[u8]> {
        Records { number, rest }.collect()
    }

    #[test]
    fn a_log_with_a_changed_bit_ends_before_it() {
        let mut log = Vec::new();
        let records: [&[u8]; 4] = [b"", b"one", b"two hundred and one", &[0; 40]];
        let mut ends = Vec::new();
        for (number, record) in (7..).zip(records) {
            append(&mut log, number, record);
            ends.push(log.len());
        }
        assert_eq!(read(7, &log), records);
        for bit in 0..8 * log.len() {
            let mut changed = log.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let intact = ends.iter().filter(|end| **end <= bit / 8).count();
            assert_eq!(read(7, &changed), &records[..intact], "bit {bit}");
        }
        for len in 0..log.len() {
            let intact = ends.iter().filter(|end| **end <= len).count();
            assert_eq!(read(7, &log[..len]), &records[..intact], "{len} bytes");
        }
    }

    #[test]
    fn a_record_of_another_number_and_zeros_are_not_the_next_record() {
        let mut log = Vec::new();
        append(&mut log, 7, b"seven");
        append(&mut log, 7, b"seven");
        assert_eq!(read(7, &log), [b"seven"]);
        assert!(read(6, &log).is_empty());
        assert!(read(0, &[0; 100]).is_empty());
    }
}
