//! Storage: what of a node must outlive a loss of power, as records in a log.

use core::fmt::Debug;

/// Where the records of a node are kept: a log that grows at one end and is dropped at the other. A file, pages of
/// flash, a simulated disk.
///
/// A record is a handful of bytes, at most [`Storage::RECORD_MAX`], whose meaning storage does not know.
///
/// # What storage owes
///
/// 1. Records are read in the order in which they were appended.
/// 2. What was appended before a [`Storage::sync`] that returned `Ok` is there after any loss of power.
/// 3. What was appended since may be missing after a loss of power, from some record on to the end. The first one that is
///    missing may be there in part or garbled.
/// 4. A call that returns an error has perhaps done its work, and perhaps a part of it.
/// 5. It has room for [`Storage::capacity`] bytes of records that were not dropped, each counted with
///    [`Storage::OVERHEAD`].
///
/// It need not notice that bytes have changed on their own: records carry a checksum and a number.
pub trait Storage {
    /// What can go wrong with it. It is handed on as it is.
    type Error: Debug;

    /// The most bytes of one record, at least 64.
    const RECORD_MAX: usize;

    /// How many bytes a record takes besides its own.
    const OVERHEAD: usize;

    /// How many bytes of records it has room for; see the fifth clause.
    fn capacity(&self) -> usize;

    /// Reads every record, from the oldest to the newest.
    ///
    /// # Errors
    ///
    /// What cannot be read; `visit` may have seen some records by then.
    fn read(&mut self, visit: impl FnMut(&[u8])) -> Result<(), Self::Error>;

    /// Appends a record behind all others.
    ///
    /// # Errors
    ///
    /// The record may be there or not.
    fn append(&mut self, record: &[u8]) -> Result<(), Self::Error>;

    /// Returns once everything that was appended is durable.
    ///
    /// # Errors
    ///
    /// What was appended since the last one may be durable or not.
    fn sync(&mut self) -> Result<(), Self::Error>;

    /// Drops the oldest records, as long as `is_stale` says so of them. It is asked about every record from the oldest on,
    /// until it says no. What was dropped may be there again after a loss of power.
    ///
    /// # Errors
    ///
    /// Some of them may be dropped.
    fn trim(&mut self, is_stale: impl FnMut(&[u8]) -> bool) -> Result<(), Self::Error>;
}
