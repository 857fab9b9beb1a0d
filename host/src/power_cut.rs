//! Storage in memory whose power can be cut between any two operations, for nodes that are explored.

use core::fmt;
use synod::storage::{JOURNAL_RECORD_MAX, Storage};

/// Records behind each other. Whatever is done costs one unit of power, where that is limited; the operation at which it
/// ends is done by half, and nothing after it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PowerCutStorage {
    /// Of each record its length, in two bytes, and its bytes.
    bytes: Vec<u8>,
    capacity: usize,
    /// How many operations are done before power fails; `None` where it does not.
    power: Option<u32>,
}

/// Why nothing more is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PowerCutError {
    /// Power has failed.
    PowerLost,
    /// There is no room for a record.
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
    /// Nothing yet, and room for so many bytes.
    pub(crate) const fn new(capacity: usize) -> Self {
        Self {
            bytes: Vec::new(),
            capacity,
            power: None,
        }
    }

    /// Lets power fail after so many operations.
    pub(crate) const fn cut_after(&mut self, operations: u32) {
        self.power = Some(operations);
    }

    /// What is there when power comes back.
    pub(crate) fn with_power(self) -> Self {
        Self {
            power: None,
            ..self
        }
    }

    /// Takes the power for one operation; says whether there was any.
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

/// The first record and all that is behind it.
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

    fn append(&mut self, record: &[u8]) -> Result<(), PowerCutError> {
        let taken = self.bytes.len() + record.len() + Self::OVERHEAD;
        if taken > self.capacity {
            return Err(PowerCutError::Full);
        }
        let whole = self.consume_power();
        // A record that is cut is there in part. Nothing comes after it, as a journal ends with its first error.
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
        while let Some((record, behind)) = split(rest) {
            if !is_stale(record) {
                break;
            }
            rest = behind;
        }
        self.bytes.drain(..self.bytes.len() - rest.len());
        Ok(())
    }
}
