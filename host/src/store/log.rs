//! A log of numbered records in a `redb` database, without files, marks and labels.

use super::backend::Body;
use super::error::Problem;
use redb::{Database, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction};
use synod::storage::Storage;

/// Records by their consecutive numbers.
const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");
/// Number of the oldest record that was not trimmed.
const FLOOR: TableDefinition<'_, (), u64> = TableDefinition::new("floor");

/// Size of the page cache, in bytes.
const CACHE_BYTES: usize = 1 << 20;

/// A log in a database, with the transaction since the last commit.
pub(super) struct Log {
    open: Option<WriteTransaction>,
    database: Database,
}

/// Extent of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// Number of records so far, including trimmed ones.
    pub(super) records: u64,
    /// Number of bytes in the log, as counted by `Storage::capacity`.
    pub(super) bytes: usize,
}

impl Log {
    /// Creates an empty log on a medium with nothing after its first page.
    pub(super) fn create(body: Body) -> Result<(), redb::Error> {
        let database = Database::builder().create_with_backend(body)?;
        let transaction = database.begin_write()?;
        transaction.open_table(RECORDS)?;
        transaction.open_table(FLOOR)?.insert((), 0)?;
        transaction.commit()?;
        database.close()?;
        Ok(())
    }

    /// Opens a log after verifying every checksum. May write, to repair a log that was not closed.
    pub(super) fn open(body: Body) -> Result<Self, redb::Error> {
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .set_check_integrity_on_open(true)
            .create_with_backend(body)?;
        let open = None;
        Ok(Self { open, database })
    }

    /// Returns the extent after reading every record.
    pub(super) fn extent<S: Storage>(&self) -> Result<Extent, Problem> {
        let count = || {
            let transaction = self.database.begin_read()?;
            let floor = transaction.open_table(FLOOR)?.get(())?;
            let mut extent = floor.map(|floor| Extent {
                records: floor.value(),
                bytes: 0,
            });
            for entry in transaction.open_table(RECORDS)?.iter()? {
                let (number, record) = entry?;
                extent = extent
                    .filter(|extent| extent.records == number.value())
                    .map(|extent| Extent {
                        records: extent.records.saturating_add(1),
                        bytes: extent.bytes + record.value().len() + S::OVERHEAD,
                    });
            }
            Ok::<_, redb::Error>(extent)
        };
        count()?.ok_or_else(|| Problem::Damaged("its records are not consecutive".to_owned()))
    }

    pub(super) fn read(&mut self, mut visit: impl FnMut(&[u8])) -> Result<(), redb::Error> {
        for entry in self.transaction()?.open_table(RECORDS)?.iter()? {
            visit(entry?.1.value());
        }
        Ok(())
    }

    pub(super) fn append(&mut self, number: u64, record: &[u8]) -> Result<(), redb::Error> {
        let mut records = self.transaction()?.open_table(RECORDS)?;
        records.insert(number, record)?;
        Ok(())
    }

    /// Removes the oldest records as long as they are stale, and calls `dropped` with the length of each.
    pub(super) fn trim(
        &mut self,
        mut is_stale: impl FnMut(&[u8]) -> bool,
        mut dropped: impl FnMut(usize),
    ) -> Result<(), redb::Error> {
        let transaction = self.transaction()?;
        let mut records = transaction.open_table(RECORDS)?;
        let mut floor = None;
        let mut oldest_if_stale = |records: &Table<'_, u64, &[u8]>| {
            let oldest = records.first()?;
            let stale = oldest.filter(|(_, record)| is_stale(record.value()));
            let stale = stale.map(|(number, record)| (number.value(), record.value().len()));
            Ok::<_, redb::Error>(stale)
        };
        while let Some((number, len)) = oldest_if_stale(&records)? {
            records.remove(number)?;
            dropped(len);
            floor = number.checked_add(1);
        }
        if let Some(floor) = floor {
            transaction.open_table(FLOOR)?.insert((), floor)?;
        }
        Ok(())
    }

    /// Makes the transaction durable. Returns false if there was none.
    pub(super) fn commit(&mut self) -> Result<bool, redb::Error> {
        let Some(transaction) = self.open.take() else {
            return Ok(false);
        };
        transaction.commit()?;
        Ok(true)
    }

    fn transaction(&mut self) -> Result<&WriteTransaction, redb::Error> {
        let transaction = match self.open.take() {
            Some(transaction) => transaction,
            None => self.database.begin_write()?,
        };
        Ok(self.open.insert(transaction))
    }
}
