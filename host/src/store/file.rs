//! Record storage in a file: an implementation of `Storage`.
//!
//! The state in memory is that of the file after the last sync, and the records since then. No
//! record is kept in memory after its sync: a node reads its log once, when it starts.

use super::area::{area_len, file_len};
use super::error::{Problem, StoreError};
use super::inspection::{self, Found};
use super::locked_file::{create_locked, open_locked};
use super::log::{self, HEAD_BYTES, Records};
use super::medium::{Disk, Medium, Memory};
use super::superblock::{CLIENTS, Label, Mark};
use core::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use synod::storage::{JOURNAL_RECORD_MAX, Storage};

/// Records of a node in a file.
///
/// Appended records are kept in memory until the next sync, which writes them behind the log, makes them durable, and
/// then writes a mark with the number of records so far, which takes two calls of `fdatasync`. A trim copies the
/// records that stay, including those not yet synced, to the other area of the file, and takes three calls. After an
/// error of any of these nothing more is attempted, because the effect of a failed sync is known only when the file is
/// opened again.
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
    /// The file, or bytes in memory in tests.
    medium: Arc<dyn Medium>,
    /// Path of the file, for errors.
    path: PathBuf,
    /// Capacity in bytes of records with what precedes each.
    capacity: u32,
    /// The newest mark. The other one names the same area.
    mark: Mark,
    /// Length of the log in its area, in bytes.
    len: usize,
    /// Records that were appended since the last sync, as in a log.
    unsynced: Vec<u8>,
    /// Number of records so far, including trimmed and unsynced ones.
    records: u64,
    /// Whether an operation has failed. It is never cleared: only opening the file again shows what
    /// is there.
    failed: bool,
    /// Whether it is the log of the clients, whose loss has another remedy than that of a node's
    /// store.
    is_client_log: bool,
}

impl fmt::Debug for FileStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStorage")
            .field("path", &self.path)
            .field("mark", &self.mark)
            .field("records", &self.records)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl FileStorage {
    /// Creates an empty store and opens it. The creation is atomic: a loss of power may leave a file with `.new`
    /// appended to its name, which is overwritten the next time. The file has its full length from then on, so that it
    /// does not run out of disk space later.
    ///
    /// # Errors
    ///
    /// [`Problem::Exists`], or the file cannot be written.
    pub fn create(path: &Path, label: Label) -> Result<Self, StoreError> {
        Self::on_file(path, label, || create_locked(path, &blank(label)?))
    }

    /// Opens a store with the given label. It must be intact and contain everything that was synced. It is locked while
    /// it is open, and not changed before its contents were verified.
    ///
    /// # Errors
    ///
    /// The store is damaged or incomplete, or its label differs.
    pub fn open(path: &Path, label: Label) -> Result<Self, StoreError> {
        Self::on_file(path, label, || open_locked(path, label.node))
    }

    /// Opens the store in a file that `file` creates or opens.
    fn on_file(
        path: &Path,
        label: Label,
        file: impl FnOnce() -> Result<File, Problem>,
    ) -> Result<Self, StoreError> {
        let open = || Self::on(Arc::new(Disk::new(file()?)), path, label);
        open().map_err(|problem| problem.at(path))
    }

    /// Opens a store on any medium.
    pub(super) fn on(medium: Arc<dyn Medium>, path: &Path, label: Label) -> Result<Self, Problem> {
        // Nothing is written before the whole file was verified.
        let found = inspection::inspect(&*medium, label)?;
        let mut storage = Self {
            medium,
            path: path.to_path_buf(),
            capacity: label.capacity,
            mark: found.mark,
            len: found.len,
            unsynced: Vec::new(),
            records: found.records,
            failed: false,
            is_client_log: label.node == CLIENTS,
        };
        storage.settle(found).map_err(Problem::Io)?;
        Ok(storage)
    }

    /// Makes a store that was just opened what it is after a sync: its records are durable and marked, both marks name
    /// its area, and zeros follow the log.
    fn settle(&mut self, found: Found) -> io::Result<()> {
        if !found.is_blank_behind {
            // Remains of a torn write. Later records in front of them must not make them readable.
            self.write_behind(&vec![0; self.area_len().saturating_sub(self.len)])?;
        }
        // The node may act on the records that it reads, also on those that a killed process wrote and did not sync.
        self.medium.sync()?;
        if found.records != found.mark.records || !found.is_marked_twice {
            self.mark()?;
        }
        Ok(())
    }

    /// Returns the path of the store.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the number of synced records so far.
    pub fn synced(&self) -> u64 {
        self.mark.records
    }

    /// Returns the error of this store with a problem.
    fn refused(&self, problem: Problem) -> StoreError {
        // Problems with the client log have errors of their own.
        let problem = if self.is_client_log {
            Problem::ClientLog(Box::new(problem))
        } else {
            problem
        };
        problem.at(&self.path)
    }

    /// Performs an operation, unless an earlier one has failed. Room and length of a record are
    /// checked before, because a record that does not fit does no harm to the others.
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

    /// Returns the length of an area, which has been read as a whole.
    fn area_len(&self) -> usize {
        usize::try_from(area_len(self.capacity)).unwrap_or(usize::MAX)
    }

    /// Writes bytes behind the log.
    fn write_behind(&self, bytes: &[u8]) -> io::Result<()> {
        let len = u64::try_from(self.len).unwrap_or(u64::MAX);
        let at = self.mark.area.at(self.capacity).saturating_add(len);
        self.medium.write(at, bytes)
    }

    /// Writes the number of records so far, after they were made durable. The mark that it
    /// overwrites is the older one, so that the newer one stays if power fails now.
    fn mark(&mut self) -> io::Result<()> {
        // Its generation decides its place, which is that of the mark before the last.
        let mark = self.mark.next(self.records);
        self.medium.write(mark.at(), &mark.encode())?;
        self.medium.sync()?;
        self.mark = mark;
        Ok(())
    }

    /// Returns the log with the unsynced records. It is read from the medium each time: a store is
    /// read when it is opened and when it is trimmed.
    fn log(&self) -> Result<Vec<u8>, Problem> {
        let mut log = vec![0; self.len];
        let read = self.medium.read(self.mark.area.at(self.capacity), &mut log);
        read.map_err(Problem::Io)?;
        log.extend_from_slice(&self.unsynced);
        Ok(log)
    }

    /// Returns a reader of a log of this store, whose first record follows the trimmed ones.
    fn records_of<'a>(&self, log: &'a [u8]) -> Records<'a> {
        Records {
            number: self.mark.trimmed,
            rest: log,
        }
    }

    /// Calls `visit` for each record in a log, all of which must be readable: each was appended, or read
    /// when the store was opened, so that one that cannot be read has decayed since.
    fn visit(&self, mut records: Records<'_>, visit: impl FnMut(&[u8])) -> Result<(), Problem> {
        // Each record is handed out although a later one may be unreadable. The caller throws all
        // of them away with the error.
        records.by_ref().for_each(visit);
        if records.number == self.records {
            return Ok(());
        }
        Err(Problem::Lost {
            found: records.number,
            synced: self.mark.records,
        })
    }

    /// Moves the log to the other area, without the records before `kept`. Until the first mark is durable, the log is
    /// the one in the area that is left.
    fn move_on(&mut self, kept: &Records<'_>) -> Result<(), Problem> {
        self.visit(kept.clone(), |_| ())?;
        debug_assert!(
            kept.rest.len() <= self.area_len(),
            "an area has room for the whole capacity"
        );
        let mut bytes = kept.rest.to_vec();
        // Zeros to the end of the area, which may have an older log.
        bytes.resize(self.area_len(), 0);
        let mut write = || {
            self.len = 0;
            self.mark.area = self.mark.area.other();
            self.mark.trimmed = kept.number;
            self.write_behind(&bytes)?;
            self.medium.sync()?;
            self.len = kept.rest.len();
            self.unsynced.clear();
            self.mark()?;
            // Both marks name the area before anything depends on it, so that either may be lost.
            self.mark()
        };
        write().map_err(Problem::Io)
    }
}

impl Storage for FileStorage {
    type Error = StoreError;

    const RECORD_MAX: usize = JOURNAL_RECORD_MAX;

    const OVERHEAD: usize = HEAD_BYTES;

    fn capacity(&self) -> usize {
        usize::try_from(self.capacity).unwrap_or(usize::MAX)
    }

    fn read(&mut self, visit: impl FnMut(&[u8])) -> Result<(), StoreError> {
        self.attempt(|this| {
            let log = this.log()?;
            this.visit(this.records_of(&log), visit)
        })
    }

    fn append(&mut self, record: &[u8]) -> Result<(), StoreError> {
        if record.len() > Self::RECORD_MAX {
            return Err(self.refused(Problem::TooLong(record.len())));
        }
        // The whole log counts, with what is not synced, as a trim may copy all of it to the other
        // area.
        let len = self.len + self.unsynced.len() + Self::OVERHEAD + record.len();
        // A refusal, and no failure: the store stays usable, and a trim makes room.
        if len > self.capacity() {
            return Err(self.refused(Problem::Full(self.capacity)));
        }
        self.attempt(|this| {
            log::append(&mut this.unsynced, this.records, record);
            this.records = this.records.saturating_add(1);
            Ok(())
        })
    }

    /// Makes the records durable before the mark, which is why there are two calls of `fdatasync`.
    fn sync(&mut self) -> Result<(), StoreError> {
        self.attempt(|this| {
            if this.unsynced.is_empty() {
                return Ok(());
            }
            let mut write = || {
                debug_assert!(
                    this.len + this.unsynced.len() <= this.area_len(),
                    "append has checked the room"
                );
                this.write_behind(&this.unsynced)?;
                this.medium.sync()?;
                this.len += this.unsynced.len();
                this.unsynced.clear();
                this.mark()
            };
            write().map_err(Problem::Io)
        })
    }

    fn trim(&mut self, mut is_stale: impl FnMut(&[u8]) -> bool) -> Result<(), StoreError> {
        self.attempt(|this| {
            let log = this.log()?;
            let mut kept = this.records_of(&log);
            while kept.peek().is_some_and(&mut is_stale) {
                kept.next();
            }
            // Nothing is stale, and the log stays in its area.
            if kept.number == this.mark.trimmed {
                return Ok(());
            }
            this.move_on(&kept)
        })
    }
}

/// Returns the bytes of a store without records. It has both marks, so that either may be lost from
/// the beginning.
///
/// Both areas are zeros, which are not a record.
pub(super) fn blank(label: Label) -> Result<Vec<u8>, Problem> {
    let len = usize::try_from(file_len(label.capacity));
    let len = len.map_err(|_| Problem::Io(io::ErrorKind::FileTooLarge.into()))?;
    let memory = Memory::new(vec![0; len]);
    let first = Mark::default();
    let write = || {
        memory.write(0, &label.encode())?;
        for mark in [first, first.next(0)] {
            memory.write(mark.at(), &mark.encode())?;
        }
        Ok(memory.bytes())
    };
    write().map_err(Problem::Io)
}
