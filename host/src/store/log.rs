//! A log of numbered records in a `redb` database. It knows no files, marks or labels.

use super::backend::Body;
use super::error::Problem;
use redb::{Database, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction};
use synod::storage::Storage;

/// The records by their numbers, which are consecutive.
const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");
/// The number of the oldest record that was not dropped.
const FLOOR: TableDefinition<'_, (), u64> = TableDefinition::new("floor");

/// How much memory is for pages that were read or not yet written.
const CACHE_BYTES: usize = 1 << 20;

/// A log in a database, and the transaction that gathers what was done since the last commit.
pub(super) struct Log {
    open: Option<WriteTransaction>,
    database: Database,
}

/// What a log holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// How many records there have been, those that were dropped included.
    pub(super) records: u64,
    /// How many bytes there are now, as `Storage::capacity` counts them.
    pub(super) bytes: usize,
}

impl Log {
    /// A log without records, on a medium without bytes behind its first page.
    pub(super) fn create(body: Body) -> Result<(), redb::Error> {
        let database = Database::builder().create_with_backend(body)?;
        let transaction = database.begin_write()?;
        transaction.open_table(RECORDS)?;
        transaction.open_table(FLOOR)?.insert((), 0)?;
        transaction.commit()?;
        database.close()?;
        Ok(())
    }

    /// Opens a log after every checksum in it was compared, as one that was never closed is repaired. Writes.
    pub(super) fn open(body: Body) -> Result<Self, redb::Error> {
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .set_check_integrity_on_open(true)
            .create_with_backend(body)?;
        let open = None;
        Ok(Self { open, database })
    }

    /// What it holds, after a look at every record.
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

    /// Drops the oldest records, as long as they are stale; `dropped` is told how long each was.
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

    /// Makes durable what was done since the last commit. Says whether there was something.
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
