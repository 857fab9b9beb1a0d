//! Media of a store: bytes that can be read, written and synced, in a file or in memory.
//!
//! A store sees only these four operations, so that tests can cut the power between any two of them,
//! and let each of them fail. Which writes are durable is open until [`Medium::sync`] returns: a
//! medium for tests keeps some of them and loses the others.

use core::fmt::Debug;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A sequence of bytes of fixed length that outlives the process.
///
/// Tests put media in its place that fail or lose power at any operation.
pub(super) trait Medium: Debug + Send + Sync {
    /// Returns the number of bytes.
    fn len(&self) -> io::Result<u64>;

    /// Fills `out` with the bytes from `offset` on, all of which must exist.
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;

    /// Writes `bytes` from `offset` on, within the length.
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Returns once all writes are durable.
    fn sync(&self) -> io::Result<()>;
}

/// A file, with its lock.
#[derive(Debug)]
pub(super) struct Disk(File);

impl Disk {
    /// Returns the medium of a file, which should be locked.
    pub(super) fn new(file: File) -> Self {
        Self(file)
    }

    /// Returns the file at an offset. Its position is shared, so that a store has one medium and
    /// uses it from one thread at a time.
    fn at(&self, offset: u64) -> io::Result<&File> {
        let mut file = &self.0;
        file.seek(SeekFrom::Start(offset))?;
        Ok(file)
    }
}

impl Medium for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        // Fewer bytes are an error: the caller has compared the length of the file before.
        self.at(offset)?.read_exact(out)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.at(offset)?.write_all(bytes)
    }

    // The length never changes, so that `fdatasync` is enough.
    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// Bytes in memory. Used to make the contents of a new file, and in tests.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Vec<u8>>);

impl Memory {
    /// Returns a medium with these contents, whose length is fixed from then on.
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(Mutex::new(bytes))
    }

    /// Returns a copy of the contents.
    pub(super) fn bytes(&self) -> Vec<u8> {
        lock(&self.0).clone()
    }
}

impl Medium for Memory {
    fn len(&self) -> io::Result<u64> {
        Ok(u64::try_from(lock(&self.0).len()).unwrap_or(u64::MAX))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let bytes = lock(&self.0);
        let found = bytes
            .get(place(offset)?..)
            .and_then(|rest| rest.get(..out.len()));
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write(&self, offset: u64, new: &[u8]) -> io::Result<()> {
        let mut bytes = lock(&self.0);
        let old = bytes
            .get_mut(place(offset)?..)
            .and_then(|rest| rest.get_mut(..new.len()));
        old.ok_or(io::ErrorKind::UnexpectedEof)?
            .copy_from_slice(new);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Converts an offset to an index.
fn place(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

/// A panic of another thread while it held the lock leaves nothing inconsistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
