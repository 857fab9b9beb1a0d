//! Files that are opened with a lock, and created whole or not at all.
//!
//! Two processes with one log would each overwrite what the other one has synced. So a file is opened only together with
//! its lock, which the operating system gives up when the process ends, however it ends.
//!
//! A file appears at its path at once and whole, by a rename from a name with `.new` in the same directory. It is durable
//! before the rename, and its name after the sync of the directory.

use crate::error::Problem;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Opens and locks a file. A missing file is the loss of a node's votes, and never created here.
pub(crate) fn open(path: &Path) -> Result<File, Problem> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(Problem::NotAFile),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Problem::Missing),
        Err(error) => return Err(error.into()),
    }
    locked(OpenOptions::new().read(true).write(true).open(path)?)
}

/// Locks a file. The lock lasts as long as the file is open.
fn locked(file: File) -> Result<File, Problem> {
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Problem::InUse),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Creates a file of `len` bytes, `head` and zeros behind it, and locks it. Only this user may read and write it.
///
/// It is locked before it appears at its path, so that no other process opens it in between, and it never replaces the
/// file of another process.
pub(crate) fn create(path: &Path, head: &[u8], len: u64) -> Result<File, Problem> {
    must_be_free(path)?;
    let new = unfinished(path);
    // It is not truncated before it is locked, as another process may be writing it.
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, MODE);
    let file = options.open(&new).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Problem::NoDirectory,
        _ => error.into(),
    })?;
    let mut file = locked(file)?;
    // If another process held the lock until just before, this may be its log, which has its final name by then.
    must_be_free(path)?;
    if let Err(error) = fill(&mut file, head, len) {
        // The room is given back. The file stays: whoever waits for its lock may rely on its name.
        let _ = file.set_len(0);
        return Err(match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Problem::DiskFull { needed: len, error },
            _ => error.into(),
        });
    }
    fs::rename(&new, path)?;
    sync_directory(path)?;
    Ok(file)
}

#[cfg(unix)]
const MODE: u32 = 0o600;

/// Writes every byte of a new file. One that merely has its length may still meet a full disk later.
fn fill(file: &mut File, head: &[u8], len: u64) -> io::Result<()> {
    // A file that an interrupted creation has left may have another mode.
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(MODE))?;
    file.set_len(0)?;
    file.write_all(head)?;
    let zeros = [0; 1 << 12];
    let mut left = len.saturating_sub(u64::try_from(head.len()).unwrap_or(u64::MAX));
    while left > 0 {
        let some = usize::try_from(left).unwrap_or(usize::MAX).min(zeros.len());
        file.write_all(zeros.get(..some).unwrap_or(&zeros))?;
        left = left.saturating_sub(u64::try_from(some).unwrap_or(u64::MAX));
    }
    file.sync_all()
}

/// Checks that nothing is at a path, not even a link that leads nowhere.
fn must_be_free(path: &Path) -> Result<(), Problem> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(Problem::Exists),
        Err(_) => Ok(()),
    }
}

/// Returns the name of a file until it is complete: in the same directory, since a file is renamed atomically only within
/// one file system.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Makes a new name durable, on systems that can sync a directory.
fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if cfg!(unix) => {
            let here = parent.as_os_str().is_empty();
            File::open(if here { Path::new(".") } else { parent })?.sync_all()
        }
        _ => Ok(()),
    }
}
