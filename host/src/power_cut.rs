//! Storage in memory whose power can be cut between any two operations, for model checking and random walks.
//!
//! It is the simplest storage that keeps the contract of [`Storage`], and has as little state as
//! possible, because every state of a world contains it. The disks of the simulation are richer:
//! they garble, rot, fill up and bring trimmed records back.

use core::fmt;
use synod::storage::{JOURNAL_RECORD_MAX, Storage};

/// A sequence of records in memory. If power is limited, each operation consumes one unit; the first one without power
/// is done in half, and the later ones not at all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PowerCutStorage {
    /// Records, each as its length in two bytes followed by its bytes. Equal contents are equal
    /// states of a world, so that there is nothing else in it.
    bytes: Vec<u8>,
    /// Greatest number of bytes, with the lengths of the records.
    capacity: usize,
    /// Number of operations before power is lost; `None` if it is not.
    power: Option<u32>,
}

/// Reason why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PowerCutError {
    /// Power was lost.
    PowerLost,
    /// There is no room for the record.
    Full,
}

impl fmt::Display for PowerCutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PowerLost => "power has failed",
            Self::Full => "there is no room for another record",
        })
    }
}

impl core::error::Error for PowerCutError {}

impl PowerCutStorage {
    /// Returns empty storage with a capacity in bytes.
    pub(crate) const fn new(capacity: usize) -> Self {
        Self {
            bytes: Vec::new(),
            capacity,
            power: None,
        }
    }

    /// Cuts the power after a number of further operations. Appending a record, a sync and a trim
    /// are one operation each.
    ///
    /// 0 cuts the next one. It is counted in operations and not in bytes, so that a model checker
    /// can try all of them.
    pub(crate) const fn cut_after(&mut self, operations: u32) {
        self.power = Some(operations);
    }

    /// Returns the storage with power restored.
    pub(crate) fn with_power(self) -> Self {
        Self {
            power: None,
            ..self
        }
    }

    /// Consumes the power for one operation, and returns false if there was none.
    const fn consume_power(&mut self) -> bool {
        match &mut self.power {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }
}

/// Splits off the first record. `None` at the end.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(u16::from_le_bytes(*len).into())
}

impl Storage for PowerCutStorage {
    type Error = PowerCutError;

    const RECORD_MAX: usize = JOURNAL_RECORD_MAX;
    const OVERHEAD: usize = 2;

    fn capacity(&self) -> usize {
        self.capacity
    }

    fn read(&mut self, mut visit: impl FnMut(&[u8])) -> Result<(), PowerCutError> {
        let mut bytes = self.bytes.as_slice();
        while let Some((record, rest)) = split(bytes) {
            visit(record);
            bytes = rest;
        }
        Ok(())
    }

    // Everything is durable at once. Only a cut loses something, and then the journal's own seals
    // must tell what.
    fn append(&mut self, record: &[u8]) -> Result<(), PowerCutError> {
        let taken = self.bytes.len() + record.len() + Self::OVERHEAD;
        if taken > self.capacity {
            return Err(PowerCutError::Full);
        }
        let whole = self.consume_power();
        // A torn record is present in part. Nothing follows it, because a journal ends at its first error.
        let there = if whole {
            record
        } else {
            record.get(..record.len() / 2).unwrap_or_default()
        };
        let len = u16::try_from(there.len()).map_err(|_| PowerCutError::Full)?;
        self.bytes.extend_from_slice(&len.to_le_bytes());
        self.bytes.extend_from_slice(there);
        if whole {
            Ok(())
        } else {
            Err(PowerCutError::PowerLost)
        }
    }

    fn sync(&mut self) -> Result<(), PowerCutError> {
        if self.consume_power() {
            Ok(())
        } else {
            Err(PowerCutError::PowerLost)
        }
    }

    fn trim(&mut self, mut is_stale: impl FnMut(&[u8]) -> bool) -> Result<(), PowerCutError> {
        if !self.consume_power() {
            return Err(PowerCutError::PowerLost);
        }
        let mut rest = self.bytes.as_slice();
        // Only records at the beginning are trimmed, as a log is.
        while let Some((record, behind)) = split(rest) {
            if !is_stale(record) {
                break;
            }
            rest = behind;
        }
        debug_assert!(rest.len() <= self.bytes.len(), "it is their end");
        self.bytes.drain(..self.bytes.len() - rest.len());
        Ok(())
    }
}
