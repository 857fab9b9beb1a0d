//! Files of the host, through semihosting.

use super::call;

const SYS_OPEN: usize = 0x01;
const SYS_WRITE: usize = 0x05;
const SYS_READ: usize = 0x06;
const SYS_SEEK: usize = 0x0A;
const SYS_FLEN: usize = 0x0C;

/// The modes `r+b` and `w+b` of C's `fopen`.
const UPDATE: usize = 3;
const CREATE: usize = 7;

/// The longest file name, in bytes.
const NAME_MAX: usize = 240;

/// A file of the host, read and written in place.
#[derive(Debug)]
pub struct File(usize);

/// A request for a file failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileError;

impl File {
    /// Opens a file, and creates it if it does not exist.
    ///
    /// # Errors
    ///
    /// Returns an error if the name is too long, or the host refuses.
    pub fn open(name: &str) -> Result<Self, FileError> {
        let mut zeroed = [0; NAME_MAX + 1];
        if name.len() > NAME_MAX {
            return Err(FileError);
        }
        for (place, byte) in zeroed.iter_mut().zip(name.bytes()) {
            *place = byte;
        }
        for mode in [UPDATE, CREATE] {
            let mut block = [zeroed.as_ptr().expose_provenance(), mode, name.len()];
            // SAFETY: a zero-terminated name, a mode, and the length of the name.
            let handle = unsafe { call(SYS_OPEN, &mut block) };
            if handle != usize::MAX {
                return Ok(Self(handle));
            }
        }
        Err(FileError)
    }

    /// Returns the size in bytes.
    ///
    /// # Errors
    ///
    /// Returns an error if the host does not report it.
    pub fn size(&self) -> Result<usize, FileError> {
        let mut block = [self.0];
        // SAFETY: a handle.
        let len = unsafe { call(SYS_FLEN, &mut block) };
        if len == usize::MAX {
            return Err(FileError);
        }
        Ok(len)
    }

    /// Reads bytes at a position.
    ///
    /// # Errors
    ///
    /// Returns an error if not all of them can be read.
    pub fn read(&self, at: usize, bytes: &mut [u8]) -> Result<(), FileError> {
        self.seek(at)?;
        let mut block = [self.0, bytes.as_mut_ptr().expose_provenance(), bytes.len()];
        // SAFETY: a handle, and a valid buffer of this length.
        done(unsafe { call(SYS_READ, &mut block) })
    }

    /// Writes bytes at a position.
    ///
    /// # Errors
    ///
    /// Returns an error if some of them may not be written.
    pub fn write(&self, at: usize, bytes: &[u8]) -> Result<(), FileError> {
        self.seek(at)?;
        let mut block = [self.0, bytes.as_ptr().expose_provenance(), bytes.len()];
        // SAFETY: a handle, and a valid range of bytes.
        done(unsafe { call(SYS_WRITE, &mut block) })
    }

    fn seek(&self, at: usize) -> Result<(), FileError> {
        let mut block = [self.0, at];
        // SAFETY: a handle and a position.
        done(unsafe { call(SYS_SEEK, &mut block) })
    }
}

/// These operations return zero on complete success.
fn done(answer: usize) -> Result<(), FileError> {
    if answer == 0 { Ok(()) } else { Err(FileError) }
}
