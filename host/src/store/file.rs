//! Record storage in a file: an implementation of `Storage` on `redb`.

use super::backend::Body;
use super::error::{Problem, StoreError};
use super::inspection;
use super::log::{Extent, Log};
use super::medium::{Disk, Medium, Memory};
use super::superblock::{CLIENTS, Label, Mark, SUPERBLOCK};
use core::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use synod::storage::{JOURNAL_RECORD_MAX, Storage};

/// Records of a node in a file.
///
/// Appends and trims are gathered in a transaction. A sync commits it, makes it durable, and writes the number of
/// records so far, which takes two calls of `fdatasync`. After an error of any of these nothing more is attempted,
/// because the effect of a failed sync is known only when the file is opened again.
///
///
/// ```
/// use synod::NodeId;
/// use synod::storage::Storage;
/// use synod_host::store::{FileStorage, Label};
///
/// # let path = std::env::temp_dir().join(format!("synod-doc-{}", std::process::id()));
/// # let _ = std::fs::remove_file(&path);
/// let label = Label { cluster: 6, node: NodeId(0), capacity: 1 << 16 };
/// let mut storage = FileStorage::create(&path, label)?;
/// storage.append(b"a vote")?;
/// storage.sync()?;
/// drop(storage);
///
/// let mut records = Vec::new();
/// FileStorage::open(&path, label)?.read(|record| records.push(record.to_vec()))?;
/// assert_eq!(records, [b"a vote"]);
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub struct FileStorage {
    log: Log,
    medium: Arc<dyn Medium>,
    path: PathBuf,
    capacity: u32,
    extent: Extent,
    mark: Mark,
    failed: bool,
    is_client_log: bool,
}

impl fmt::Debug for FileStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStorage")
            .field("path", &self.path)
            .field("extent", &self.extent)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl FileStorage {
    /// Creates an empty store and opens it. The creation is atomic: a loss of power may leave a file with `.new`
    /// appended to its name, which is overwritten the next time.
    ///
    /// # Errors
    ///
    /// [`Problem::Exists`], or the file cannot be written.
    pub fn create(path: &Path, label: Label) -> Result<Self, StoreError> {
        if fs::symlink_metadata(path).is_ok() {
            return Err(Problem::Exists.at(path));
        }
        let bytes = blank(label).map_err(|problem| problem.at(path))?;
        write_whole(path, &bytes).map_err(|error| Problem::of(error).at(path))?;
        Self::open(path, label)
    }

    /// Opens a store with the given label. It must be intact and contain everything that was synced. It is locked while
    /// it is open, and not changed before its contents were verified.
    ///
    /// # Errors
    ///
    /// The store is damaged or incomplete, or its label differs.
    pub fn open(path: &Path, label: Label) -> Result<Self, StoreError> {
        let open = || {
            let disk = Disk::new(inspection::open_locked(path, label.node)?);
            Self::on(Arc::new(disk), path, label)
        };
        open().map_err(|problem| problem.at(path))
    }

    /// Opens a store on any medium.
    pub(super) fn on(medium: Arc<dyn Medium>, path: &Path, label: Label) -> Result<Self, Problem> {
        let mark = inspection::inspect(&*medium, label)?;
        let body = Body {
            medium: medium.clone(),
            len_max: inspection::len_max(label.capacity),
        };
        let log = Log::open(body)?;
        let mut storage = Self {
            extent: log.extent::<Self>()?,
            log,
            medium,
            path: path.to_path_buf(),
            capacity: label.capacity,
            mark,
            failed: false,
            is_client_log: label.node == CLIENTS,
        };
        // The node may act on the records that it reads, also on those that a loss of power left unmarked.
        storage.mark().map_err(Problem::Io)?;
        Ok(storage)
    }

    /// Returns the path of the store.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the number of synced records so far.
    pub fn synced(&self) -> u64 {
        self.mark.records
    }

    fn refused(&self, problem: Problem) -> StoreError {
        // Problems with the client log have errors of their own.
        let problem = if self.is_client_log {
            Problem::ClientLog(Box::new(problem))
        } else {
            problem
        };
        problem.at(&self.path)
    }

    /// Performs an operation, unless an earlier one has failed.
    fn attempt<T>(
        &mut self,
        what: impl FnOnce(&mut Self) -> Result<T, Problem>,
    ) -> Result<T, StoreError> {
        if self.failed {
            return Err(self.refused(Problem::Failed));
        }
        what(self).map_err(|problem| {
            self.failed = true;
            self.refused(problem)
        })
    }

    /// Writes the number of records so far, after they were made durable.
    fn mark(&mut self) -> io::Result<()> {
        if self.extent.records == self.mark.records {
            return Ok(());
        }
        let mark = self.mark.next(self.extent.records);
        self.medium.write(mark.at(), &mark.encode())?;
        self.medium.sync()?;
        self.mark = mark;
        Ok(())
    }
}

impl Storage for FileStorage {
    type Error = StoreError;

    const RECORD_MAX: usize = JOURNAL_RECORD_MAX;

    /// The record's number, and the end of the record in its page.
    const OVERHEAD: usize = 16;

    fn capacity(&self) -> usize {
        usize::try_from(self.capacity).unwrap_or(usize::MAX)
    }

    fn read(&mut self, visit: impl FnMut(&[u8])) -> Result<(), StoreError> {
        self.attempt(|this| Ok(this.log.read(visit)?))
    }

    fn append(&mut self, record: &[u8]) -> Result<(), StoreError> {
        if record.len() > Self::RECORD_MAX {
            return Err(self.refused(Problem::TooLong(record.len())));
        }
        let bytes = self.extent.bytes + record.len() + Self::OVERHEAD;
        if bytes > self.capacity() {
            return Err(self.refused(Problem::Full(self.capacity)));
        }
        self.attempt(|this| {
            this.log.append(this.extent.records, record)?;
            this.extent = Extent {
                records: this.extent.records.saturating_add(1),
                bytes,
            };
            Ok(())
        })
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.attempt(|this| {
            if this.log.commit()? {
                this.mark().map_err(Problem::Io)?;
            }
            Ok(())
        })
    }

    fn trim(&mut self, is_stale: impl FnMut(&[u8]) -> bool) -> Result<(), StoreError> {
        self.attempt(|this| {
            let extent = &mut this.extent;
            let dropped = |len| extent.bytes = extent.bytes.saturating_sub(len + Self::OVERHEAD);
            Ok(this.log.trim(is_stale, dropped)?)
        })
    }
}

/// Returns the bytes of a store without records.
pub(super) fn blank(label: Label) -> Result<Vec<u8>, Problem> {
    let memory = Arc::new(Memory::default());
    let mark = Mark::default();
    let writes = [
        (0, label.encode().to_vec()),
        (mark.at(), mark.encode().to_vec()),
    ];
    let superblock = || {
        memory.set_len(SUPERBLOCK)?;
        writes
            .iter()
            .try_for_each(|(at, bytes)| memory.write(*at, bytes))
    };
    superblock().map_err(Problem::Io)?;
    Log::create(Body {
        medium: memory.clone(),
        len_max: inspection::len_max(label.capacity),
    })?;
    Ok(memory.bytes())
}

/// Writes a file atomically and durably.
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

/// Makes the entries of a directory durable, on systems that can sync a directory.
pub(super) fn sync_directory(path: Option<&Path>) -> io::Result<()> {
    match path {
        Some(path) if cfg!(unix) => {
            let here = path.as_os_str().is_empty();
            File::open(if here { Path::new(".") } else { path })?.sync_all()
        }
        _ => Ok(()),
    }
}
