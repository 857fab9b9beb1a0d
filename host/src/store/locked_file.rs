//! Files that are opened with a lock, and written atomically.
//!
//! Two processes with one store would each overwrite what the other one has synced. So a file is
//! opened only together with its lock, which the operating system gives up when the process ends,
//! however it ends.
//!
//! A file appears at its path at once and whole, by a rename from a name with `.new` in the same
//! directory. It is durable before the rename, and its name after the sync of the directory.

use super::error::Problem;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use synod::NodeId;

/// Opens and locks a file for reading and writing. A missing file is the loss of a node's votes,
/// and never created here.
pub(super) fn open_locked(path: &Path, node: NodeId) -> Result<File, Problem> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(Problem::NotAFile),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Problem::Gone(node)),
        Err(error) => return Err(Problem::of(error)),
    }
    let file = OpenOptions::new().read(true).write(true).open(path);
    let file = file.map_err(Problem::of)?;
    locked(file)
}

/// Locks a file. The lock lasts as long as the file is open.
pub(super) fn locked(file: File) -> Result<File, Problem> {
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Problem::InUse),
        Err(TryLockError::Error(error)) => Err(Problem::of(error)),
    }
}

/// Creates a file atomically and durably, and locks it.
///
/// The file is locked before it appears at its path, so that no other process can open it in between, and it never
/// replaces a file of another process. A power loss may leave a file with `.new` appended to its name, which is
/// overwritten the next time.
pub(super) fn create_locked(path: &Path, bytes: &[u8]) -> Result<File, Problem> {
    must_be_free(path)?;
    let new = unfinished(path);
    let mut options = OpenOptions::new();
    // It is not truncated before it is locked, as another process may be writing it.
    let options = options.read(true).write(true).create(true).truncate(false);
    let mut file = locked(options.open(&new).map_err(Problem::of)?)?;
    // If another process held the lock until now, this may be its store, which meanwhile has its final name.
    must_be_free(path)?;
    let mut write = || {
        file.set_len(0)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    if let Err(error) = write() {
        // The room is given back. The file stays: whoever holds its lock may rely on its name.
        let _ = file.set_len(0);
        return Err(Problem::of(error));
    }
    fs::rename(&new, path).map_err(Problem::of)?;
    sync_directory(path.parent()).map_err(Problem::of)?;
    Ok(file)
}

/// Checks that nothing is at a path, not even a link that leads nowhere.
fn must_be_free(path: &Path) -> Result<(), Problem> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(Problem::Exists),
        Err(_) => Ok(()),
    }
}

/// Returns the name of a file until it is complete. It is in the same directory, since a file can
/// be renamed atomically only within one file system.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Writes or replaces a file atomically and durably.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = unfinished(path);
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
