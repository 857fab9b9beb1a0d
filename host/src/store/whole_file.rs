//! Files of a directory besides its stores: one that locks it, and one that is replaced as a whole.
//!
//! Two processes with one directory would each overwrite what the other one has written. The operating system gives the
//! lock up when the process ends, however it ends.

use super::error::{Problem, StoreError};
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::Path;

/// Locks a directory against other processes, as long as the file of this name in it is open. The file stays when the lock
/// ends, since deleting it would let two processes lock two files of one name.
pub(super) fn lock(directory: &Path, name: &str) -> Result<File, StoreError> {
    let at = directory.join(name);
    let file = File::create(&at).map_err(|error| Problem::of(error).at(&at))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Problem::File(synod_store::Problem::InUse).at(directory))
        }
        Err(TryLockError::Error(error)) => Err(Problem::of(error).at(&at)),
    }
}

/// Writes or replaces a file atomically and durably. It has another name, in the same directory, until it is complete.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let write = || {
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&new, path)
    };
    write().inspect_err(|_| {
        // An incomplete file is useless, and is overwritten the next time if it cannot be removed.
        let _ = fs::remove_file(&new);
    })?;
    sync_directory(path.parent())
}

/// Makes the entries of a directory durable, on systems that can sync a directory. Without it, a
/// new name may be lost although the file is durable.
pub(super) fn sync_directory(path: Option<&Path>) -> io::Result<()> {
    match path {
        Some(path) if cfg!(unix) => {
            let here = path.as_os_str().is_empty();
            File::open(if here { Path::new(".") } else { path })?.sync_all()
        }
        _ => Ok(()),
    }
}
