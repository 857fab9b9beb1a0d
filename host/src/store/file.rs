//! The records of a node in a file.

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

/// The records of a node in a file.
///
/// What is appended and trimmed gathers in a transaction; a sync commits it, makes it durable, and writes down how many
/// records there have been, which takes two calls of the system's `fdatasync`. After an error of any of these nothing is
/// tried any more: what a failed sync has left is known only when the file is opened again.
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
    is_notes: bool,
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
    /// Makes an empty store where nothing is yet, and opens it. It is there whole or not at all: a loss of power may
    /// leave a file of the same name with `.new` behind it, which is overwritten the next time.
    ///
    /// # Errors
    ///
    /// [`Problem::Exists`], or why it could not be written.
    pub fn create(path: &Path, label: Label) -> Result<Self, StoreError> {
        if fs::symlink_metadata(path).is_ok() {
            return Err(Problem::Exists.at(path));
        }
        let bytes = blank(label).map_err(|problem| problem.at(path))?;
        write_whole(path, &bytes).map_err(|error| Problem::of(error).at(path))?;
        Self::open(path, label)
    }

    /// Opens a store, which must be whole, as it was when it was last synced or newer, and have this label. It is locked
    /// as long as it is open, and not changed before everything in it was found to be in order.
    ///
    /// # Errors
    ///
    /// What is wrong with it, or is not as the label says.
    pub fn open(path: &Path, label: Label) -> Result<Self, StoreError> {
        let open = || {
            let disk = Disk::new(inspection::open_locked(path, label.node)?);
            Self::on(Arc::new(disk), path, label)
        };
        open().map_err(|problem| problem.at(path))
    }

    /// A store on any medium.
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
            is_notes: label.node == CLIENTS,
        };
        // What is read may be acted on, also where the power went before it was marked.
        storage.mark().map_err(Problem::Io)?;
        Ok(storage)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many records there have been in it, as far as they are synced.
    pub fn synced(&self) -> u64 {
        self.mark.records
    }

    fn refused(&self, problem: Problem) -> StoreError {
        // What is wrong with the notes of the clients is said in other words.
        let problem = if self.is_notes {
            Problem::Notes(Box::new(problem))
        } else {
            problem
        };
        problem.at(&self.path)
    }

    /// Does something that may fail, and nothing after that has failed once.
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

    /// Writes down how many records there have been, now that they are durable.
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

    /// A number and where the record ends in its page.
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

/// The bytes of a store without records.
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

/// Writes a file so that it is there whole and durable, or not at all.
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
        // What is half written is of no use; and where it stays, it is overwritten the next time.
        let _ = fs::remove_file(&new);
    })?;
    sync_directory(path.parent())
}

/// Makes the names in a directory durable, where a directory is something that can be synced.
pub(super) fn sync_directory(path: Option<&Path>) -> io::Result<()> {
    match path {
        Some(path) if cfg!(unix) => {
            let here = path.as_os_str().is_empty();
            File::open(if here { Path::new(".") } else { path })?.sync_all()
        }
        _ => Ok(()),
    }
}
