//! Storage in memory, for tests and for boards whose memory survives a restart.
//!
//! It is also the shortest implementation of [`Storage`], for whoever writes one: records behind each other, each with
//! its length and the complement of that, so that a length that has rotted is noticed.

use super::{JOURNAL_RECORD_MAX, Storage};
use core::fmt;
use heapless::Vec;

/// Storage of `BYTES` bytes of memory. It survives the node, but not a loss of power.
///
/// ```
/// use synod::storage::{Memory, Storage};
/// let mut memory = Memory::<64>::new();
/// memory.append(b"first")?;
/// memory.append(b"second")?;
/// memory.trim(|record| record == b"first")?;
/// let mut last = Vec::new();
/// memory.read(|record| last.push(record.to_vec()))?;
/// assert_eq!(last, [b"second"]);
/// # Ok::<(), synod::storage::MemoryError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory<const BYTES: usize> {
    /// For each record its length, the complement of the length, and its bytes.
    bytes: Vec<u8, BYTES>,
}

/// Errors of storage in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum MemoryError {
    /// The record was not appended: there is no room until some are dropped.
    Full,
    /// The record was not appended: it is longer than a record may be.
    TooLong,
    /// The records cannot be read: a length has changed on its own. Synced records may be lost, so a node that has
    /// voted returns as a learner: [`Node::learn`](crate::Node::learn).
    Damaged,
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the record was not appended: there is no room for it",
            Self::TooLong => "the record was not appended: it is too long",
            Self::Damaged => "the records cannot be read: the memory is damaged",
        })
    }
}

impl core::error::Error for MemoryError {}

impl<const BYTES: usize> Memory<BYTES> {
    /// Creates storage without records.
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }
}

/// Takes the first of the remaining records; `None` at the end. A length that has rotted must not pass for another
/// length, nor for the end.
fn take<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, MemoryError> {
    if rest.is_empty() {
        return Ok(None);
    }
    let first = || {
        let (len, behind) = rest.split_first_chunk::<2>()?;
        let (complement, behind) = behind.split_first_chunk::<2>()?;
        let len = u16::from_le_bytes(*len);
        (len == !u16::from_le_bytes(*complement)).then_some(())?;
        behind.split_at_checked(len.into())
    };
    let (record, behind) = first().ok_or(MemoryError::Damaged)?;
    *rest = behind;
    Ok(Some(record))
}

impl<const BYTES: usize> Storage for Memory<BYTES> {
    type Error = MemoryError;

    const RECORD_MAX: usize = JOURNAL_RECORD_MAX;
    const OVERHEAD: usize = 4;

    fn capacity(&self) -> usize {
        BYTES
    }

    fn read(&mut self, mut visit: impl FnMut(&[u8])) -> Result<(), MemoryError> {
        let mut bytes = self.bytes.as_slice();
        while let Some(record) = take(&mut bytes)? {
            visit(record);
        }
        Ok(())
    }

    fn append(&mut self, record: &[u8]) -> Result<(), MemoryError> {
        let len = u16::try_from(record.len()).map_err(|_| MemoryError::TooLong)?;
        if record.len() > Self::RECORD_MAX {
            return Err(MemoryError::TooLong);
        }
        let taken = record.len().saturating_add(Self::OVERHEAD);
        if self.bytes.len().saturating_add(taken) > BYTES {
            return Err(MemoryError::Full);
        }
        // There is room for all three parts, so that no record is there in part.
        for part in [&len.to_le_bytes(), &(!len).to_le_bytes(), record] {
            self.bytes
                .extend_from_slice(part)
                .map_err(|_| MemoryError::Full)?;
        }
        Ok(())
    }

    /// Memory that survives a restart has everything that was appended to it.
    fn sync(&mut self) -> Result<(), MemoryError> {
        Ok(())
    }

    fn trim(&mut self, mut is_stale: impl FnMut(&[u8]) -> bool) -> Result<(), MemoryError> {
        // The bytes that remain behind the last stale record are those that are kept.
        let mut rest = self.bytes.as_slice();
        let mut kept = rest.len();
        while let Some(record) = take(&mut rest)?
            && is_stale(record)
        {
            kept = rest.len();
        }
        // Records move to the front, so that there is one piece of room at the end. A trim is rare.
        let stale = self.bytes.len().saturating_sub(kept);
        self.bytes.rotate_left(stale);
        self.bytes.truncate(kept);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    fn records<const BYTES: usize>(memory: &Memory<BYTES>) -> Result<Vec<Vec<u8>>, MemoryError> {
        let mut records = Vec::new();
        memory
            .clone()
            .read(|record| records.push(record.to_vec()))?;
        Ok(records)
    }

    #[test]
    fn d3_a_length_that_has_rotted_is_damage_and_not_the_end_of_the_log() {
        let mut memory = Memory::<128>::new();
        for record in ["promised", "", "accepted", "sealed"] {
            memory.append(record.as_bytes()).unwrap();
        }
        let whole = records(&memory).unwrap();
        let (mut garbled, mut refused) = (0, 0);
        for place in 0..memory.bytes.len() {
            for change in 1..=u8::MAX {
                let mut changed = memory.clone();
                changed.bytes[place] ^= change;
                match records(&changed) {
                    Ok(found) => {
                        let len =
                            |records: &[Vec<u8>]| records.iter().map(Vec::len).collect::<Vec<_>>();
                        assert_eq!(len(&found), len(&whole), "byte {place}: {change:#x}");
                        garbled += 1;
                    }
                    Err(error) => {
                        assert_eq!(error, MemoryError::Damaged);
                        assert_eq!(changed.trim(|_| true), Err(MemoryError::Damaged));
                        refused += 1;
                    }
                }
            }
        }
        assert_eq!((garbled, refused), (22 * 255, 4 * 4 * 255));
    }

    #[test]
    fn a_record_that_is_too_long_or_has_no_room_is_not_appended() {
        let mut memory = Memory::<1024>::new();
        let long = [7; JOURNAL_RECORD_MAX + 1];
        assert_eq!(memory.append(&long), Err(MemoryError::TooLong));
        memory.append(&long[1..]).unwrap();
        assert_eq!(memory.append(&long[1..]), Err(MemoryError::Full));
        assert_eq!(records(&memory).unwrap().len(), 1);
    }
}
