//! Backend of `redb`: the part of a store after the superblock.

use super::medium::Medium;
use super::superblock::SUPERBLOCK;
use redb::StorageBackend;
use std::io;
use std::sync::Arc;

/// A medium without its first page, and with a bound on the rest.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) medium: Arc<dyn Medium>,
    pub(super) len_max: u64,
}

impl Body {
    fn after_superblock(offset: u64) -> io::Result<u64> {
        offset
            .checked_add(SUPERBLOCK)
            .ok_or_else(|| io::ErrorKind::FileTooLarge.into())
    }
}

impl StorageBackend for Body {
    fn len(&self) -> io::Result<u64> {
        Ok(self.medium.len()?.saturating_sub(SUPERBLOCK))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.medium.read(Self::after_superblock(offset)?, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = Self::after_superblock(len)?;
        // A longer file would not be opened again.
        if len > self.len_max {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.medium.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.medium.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.medium.write(Self::after_superblock(offset)?, data)
    }
}
