//! Media of a log: bytes that can be read, written and synced, in a file or on a simulated disk.
//!
//! A log uses only these four operations, so that tests can cut the power between any two of them, and let each of them
//! fail.

use core::fmt::Debug;
use std::fs::File;
use std::io;
#[cfg(not(unix))]
use std::io::{Read, Seek, SeekFrom, Write};
#[cfg(unix)]
use std::os::unix::fs::FileExt;

/// A sequence of bytes of fixed length that outlives the process.
///
/// Before [`Medium::sync`] returns it is open which of the writes since the last sync are durable, even in part: a loss of
/// power may leave any of their sectors, in any order. Of a sector that is written in part, or written as it was, the
/// bytes that do not change must survive.
pub trait Medium: Debug {
    /// Returns the number of bytes.
    ///
    /// # Errors
    ///
    /// The length is unknown.
    fn len(&self) -> io::Result<u64>;

    /// Returns true if there are no bytes.
    ///
    /// # Errors
    ///
    /// The length is unknown.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `out` with the bytes from `offset` on, all of which must exist.
    ///
    /// # Errors
    ///
    /// Some of the bytes cannot be read.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;

    /// Writes `bytes` from `offset` on, within the length.
    ///
    /// # Errors
    ///
    /// The bytes may be written, in part or not at all.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Returns once all writes are durable.
    ///
    /// # Errors
    ///
    /// The writes since the last sync may be durable or not, and a later sync that succeeds does not tell.
    fn sync(&mut self) -> io::Result<()>;
}

impl<M: Medium> Medium for &mut M {
    fn len(&self) -> io::Result<u64> {
        (**self).len()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        (**self).read_at(offset, out)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        (**self).write_at(offset, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        (**self).sync()
    }
}

/// A file, which keeps its lock as long as it is open.
#[derive(Debug)]
pub struct Disk(File);

impl Disk {
    /// Returns the medium of a file, which must be locked and have its full length.
    pub(crate) fn new(file: File) -> Self {
        Self(file)
    }
}

impl Medium for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    #[cfg(unix)]
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    #[cfg(not(unix))]
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut file = &self.0;
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(out)
    }

    #[cfg(unix)]
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    #[cfg(not(unix))]
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.seek(SeekFrom::Start(offset))?;
        self.0.write_all(bytes)
    }

    /// Makes the contents durable. The length and the place of the file never change, so that `fdatasync` is enough.
    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}
