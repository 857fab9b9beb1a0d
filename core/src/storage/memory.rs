//! Storage in memory, for tests, and for boards whose memory outlives a restart.

use super::{RECORD_MAX, Storage};
use core::fmt;
use heapless::Vec;

/// Keeps records in `BYTES` bytes of memory: what is in it outlives the node, but not the loss of power.
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
/// # Ok::<(), synod::storage::Full>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory<const BYTES: usize> {
    /// Of each record its length and its bytes.
    bytes: Vec<u8, BYTES>,
}

/// There is no room for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no room for another record")
    }
}

impl core::error::Error for Full {}

impl<const BYTES: usize> Memory<BYTES> {
    /// Without records.
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }
}

/// The first record and all that is behind it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(u16::from_le_bytes(*len).into())
}

impl<const BYTES: usize> Storage for Memory<BYTES> {
    type Error = Full;

    const RECORD_MAX: usize = RECORD_MAX;
    const OVERHEAD: usize = 2;

    fn capacity(&self) -> usize {
        BYTES
    }

    fn read(&mut self, mut visit: impl FnMut(&[u8])) -> Result<(), Full> {
        let mut bytes = self.bytes.as_slice();
        while let Some((record, rest)) = split(bytes) {
            visit(record);
            bytes = rest;
        }
        Ok(())
    }

    fn append(&mut self, record: &[u8]) -> Result<(), Full> {
        let len = u16::try_from(record.len()).map_err(|_| Full)?;
        if self
            .bytes
            .len()
            .saturating_add(record.len())
            .saturating_add(2)
            > BYTES
        {
            return Err(Full);
        }
        self.bytes
            .extend_from_slice(&len.to_le_bytes())
            .map_err(|_| Full)?;
        self.bytes.extend_from_slice(record).map_err(|_| Full)
    }

    fn sync(&mut self) -> Result<(), Full> {
        Ok(())
    }

    fn trim(&mut self, mut is_stale: impl FnMut(&[u8]) -> bool) -> Result<(), Full> {
        let mut rest = self.bytes.as_slice();
        while let Some((record, behind)) = split(rest) {
            if !is_stale(record) {
                break;
            }
            rest = behind;
        }
        let kept = rest.len();
        let stale = self.bytes.len().saturating_sub(kept);
        self.bytes.rotate_left(stale);
        self.bytes.truncate(kept);
        Ok(())
    }
}
