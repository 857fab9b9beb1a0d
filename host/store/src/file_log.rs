//! The log: records in blocks, one block a sync.

use crate::block::{self, Blocks, HEAD, Header, OVERHEAD, Records};
use crate::error::{FileLogError, Problem};
use crate::file;
use crate::layout::{Key, MARKS_AT, Mark, Oldest, RING_AT, Ring, SUPERBLOCKS_AT, Superblock};
use crate::medium::{Disk, Medium};
use crate::recovery::{self, Recovered, len_in_file, len_of};
use core::hash::BuildHasher;
use std::hash::RandomState;
use std::path::{Path, PathBuf};
use synod::storage::{JOURNAL_RECORD_MAX, Storage};

/// The smallest capacity, in bytes.
pub const CAPACITY_MIN: usize = 4096;
/// The largest capacity, in bytes. Places in the ring, in units of eight bytes, are then numbers of 32 bits.
pub const CAPACITY_MAX: usize = 1 << 31;

/// The records of a node in one file, with one `fdatasync` for all that was appended since the last sync.
///
/// A file has its full length from its creation on: the capacity twice, and four pages. A sync needs room for a block of at
/// most the capacity beside the records that are not dropped, and the block of the oldest of these also holds the dropped
/// ones before it. Each of the two takes less than the capacity, and so a sync never fails for want of room.
///
/// Appended records are kept in memory until the next sync. No record is kept after it: a trim reads what it drops, and
/// otherwise a log is read when a node starts.
///
/// ```
/// use synod::storage::Storage;
/// use synod_store::FileLog;
///
/// # let path = std::env::temp_dir().join(format!("synod-store-doc-{}", std::process::id()));
/// # let _ = std::fs::remove_file(&path);
/// let mut log = FileLog::create(&path, 1 << 16)?;
/// log.append(b"a vote")?;
/// log.sync()?;
/// log.append(b"a vote that nobody has heard of")?;
/// drop(log);
///
/// let mut log = FileLog::open(&path, 1 << 16)?;
/// let mut records = Vec::new();
/// log.read(|record| records.push(record.to_vec()))?;
/// assert_eq!(records, [b"a vote"]);
/// log.close()?;
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FileLog<M = Disk> {
    medium: M,
    path: PathBuf,
    superblock: Superblock,
    ring: Ring,
    /// The sequence number of the last block, 0 without one.
    last: u64,
    /// The offset behind it.
    end: u64,
    /// The first record that is not dropped.
    oldest: Oldest,
    /// The offset of its block.
    begin: u64,
    /// The offset of the block that was the oldest one in what was synced last. The room before it is free.
    released: u64,
    /// The newest mark.
    mark: Mark,
    /// The offset in the file at which the next mark is written.
    mark_at: u64,
    /// The bytes of records that are not dropped, with [`OVERHEAD`] each.
    used: usize,
    /// The records that were appended since the last sync, behind room for a header.
    block: Vec<u8>,
    /// True if records were dropped that were never synced. Without a block after them, only a mark tells that the records
    /// before them are dropped, too.
    has_dropped_appended: bool,
    /// True after an error. It is never cleared: only opening the file again shows what is there.
    failed: bool,
}

/// How much memory is kept for the next block.
const KEPT: usize = 1 << 16;

impl FileLog {
    /// Creates an empty log in a new file, and opens it. It is created whole or not at all: a loss of power may leave a file
    /// with `.new` appended to its name, which is overwritten the next time.
    ///
    /// # Errors
    ///
    /// The path exists, the capacity is out of bounds, or the file cannot be written, for example because the disk is full.
    pub fn create(path: &Path, capacity: usize) -> Result<Self, FileLogError> {
        // What the standard library draws for its hash tables comes from the system's source of random numbers.
        Self::create_with_key(path, capacity, RandomState::new().hash_one(path))
    }

    /// Creates an empty log as [`FileLog::create`] does, with a key by which its owner tells it from all other logs. The key
    /// must be drawn at random, or be a digest of what was, wherever a client chooses what is stored.
    ///
    /// # Errors
    ///
    /// As [`FileLog::create`].
    pub fn create_with_key(path: &Path, capacity: usize, key: u64) -> Result<Self, FileLogError> {
        let create = || {
            let (superblock, head) = blank(capacity, Key(key))?;
            let disk = Disk::new(file::create(path, &head, superblock.file_len())?);
            Self::on(disk, path, capacity, Some(Key(key)))
        };
        create().map_err(|problem| problem.at(path))
    }

    /// Opens the log in a file that exists, and locks it. It is not changed before all of it was verified.
    ///
    /// # Errors
    ///
    /// The file is missing, in use, damaged, or not such a log.
    pub fn open(path: &Path, capacity: usize) -> Result<Self, FileLogError> {
        let open = || Self::on(Disk::new(file::open(path)?), path, capacity, None);
        open().map_err(|problem| problem.at(path))
    }

    /// Opens the log in a file as [`FileLog::open`] does, if it has this key.
    ///
    /// # Errors
    ///
    /// As [`FileLog::open`], or [`Problem::OtherKey`].
    pub fn open_with_key(path: &Path, capacity: usize, key: u64) -> Result<Self, FileLogError> {
        let open = || Self::on(Disk::new(file::open(path)?), path, capacity, Some(Key(key)));
        open().map_err(|problem| problem.at(path))
    }
}

/// Returns the beginning of a file with an empty log, up to the ring of zeros.
fn blank(capacity: usize, key: Key) -> Result<(Superblock, Vec<u8>), Problem> {
    if !(CAPACITY_MIN..=CAPACITY_MAX).contains(&capacity) {
        return Err(Problem::InvalidCapacity(capacity));
    }
    let superblock = Superblock {
        capacity: len_in_file(capacity),
        key,
    };
    let mut head = vec![0; usize::try_from(RING_AT).unwrap_or_default()];
    let mut put = |offset: u64, bytes: &[u8]| {
        let places = head
            .iter_mut()
            .skip(usize::try_from(offset).unwrap_or(usize::MAX));
        places.zip(bytes).for_each(|(to, from)| *to = *from);
    };
    for offset in SUPERBLOCKS_AT {
        put(offset, &superblock.encode());
    }
    for offset in MARKS_AT {
        put(offset, &Mark::FIRST.encode(key));
    }
    Ok((superblock, head))
}

impl<M: Medium> FileLog<M> {
    /// Returns the bytes of an empty log, to create one on a medium other than a file. The key must be drawn at random
    /// wherever a client chooses what is stored.
    ///
    /// # Errors
    ///
    /// The capacity is out of bounds.
    pub fn blank(capacity: usize, key: u64) -> Result<Vec<u8>, Problem> {
        let (superblock, mut bytes) = blank(capacity, Key(key))?;
        bytes.resize(
            usize::try_from(superblock.file_len()).unwrap_or(usize::MAX),
            0,
        );
        Ok(bytes)
    }

    /// Opens the log on a medium, which nothing else must use. `path` is its name in errors.
    ///
    /// # Errors
    ///
    /// The log is damaged, or there is no such log.
    pub fn open_on(medium: M, path: &Path, capacity: usize) -> Result<Self, FileLogError> {
        Self::on(medium, path, capacity, None).map_err(|problem| problem.at(path))
    }

    fn on(medium: M, path: &Path, capacity: usize, key: Option<Key>) -> Result<Self, Problem> {
        let (superblock, is_twice) = Superblock::read(&medium)?;
        if key.is_some_and(|key| key != superblock.key) {
            return Err(Problem::OtherKey(superblock.key.0));
        }
        if superblock.capacity != len_in_file(capacity) {
            return Err(Problem::OtherCapacity {
                found: superblock.capacity,
                expected: capacity,
            });
        }
        let len = medium.len()?;
        if len != superblock.file_len() {
            return Err(Problem::other_length(len.min(superblock.file_len())));
        }
        let (mark, mark_at) = Mark::read(&medium, superblock.key)?;
        let recovered = recovery::recover(&medium, superblock, mark)?;
        let mut log = Self {
            medium,
            path: path.to_path_buf(),
            superblock,
            ring: Ring {
                len: superblock.ring_len(),
            },
            last: recovered.last,
            end: recovered.end,
            oldest: recovered.oldest,
            begin: recovered.begin,
            released: recovered.begin,
            mark,
            mark_at,
            used: recovered.used,
            block: vec![0; HEAD],
            has_dropped_appended: false,
            failed: false,
        };
        log.settle(&recovered, is_twice)?;
        Ok(log)
    }

    /// Makes durable what was read, as a node acts on it.
    ///
    /// The last block may be in the memory of the system only: its process may have been killed before the sync, or the sync
    /// may have failed, after which the system takes the memory for written. So the block is written again, and the mark,
    /// for the same reason. What comes before the block was synced.
    fn settle(&mut self, recovered: &Recovered, is_twice: bool) -> Result<(), Problem> {
        if !is_twice {
            let bytes = self.superblock.encode();
            for offset in SUPERBLOCKS_AT {
                self.medium.write_at(offset, &bytes)?;
                self.medium.sync()?;
            }
        }
        if let Some((offset, block)) = &recovered.last_block {
            let mark = self.mark.encode(self.superblock.key);
            self.medium
                .write_at(Mark::other_page(self.mark_at), &mark)?;
            self.ring.write(&mut self.medium, *offset, block)?;
            self.medium.sync()?;
            // After a close the mark tells all of it, and what was written is what was there.
            if self.mark != self.next_mark() {
                self.write_mark()?;
            }
        }
        Ok(())
    }

    /// Returns the path of the log.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the key, which another log has only by chance.
    pub fn key(&self) -> u64 {
        self.superblock.key.0
    }

    /// Returns how many times records were synced since the log was created. It never falls, so that a log with fewer syncs
    /// than were counted before is an older copy.
    pub fn syncs(&self) -> u64 {
        self.last
    }

    /// Returns the medium.
    pub fn medium(&self) -> &M {
        &self.medium
    }

    #[cfg(test)]
    pub(crate) fn medium_mut(&mut self) -> &mut M {
        &mut self.medium
    }

    /// Returns the medium and drops the log, which is closed without a mark, as if the process had been killed.
    pub fn into_medium(self) -> M {
        self.medium
    }

    /// Records that the last sync has taken place, so that decay of what it wrote is noticed, too. It takes a sync of its
    /// own, unless nothing was synced or dropped since the last mark. To be called when there is nothing else to do.
    ///
    /// # Errors
    ///
    /// The system refused it. Nothing more is written until the log is opened again.
    pub fn mark(&mut self) -> Result<(), FileLogError> {
        self.attempt(|this| {
            if this.mark == this.next_mark() {
                return Ok(());
            }
            this.write_mark()
        })
    }

    /// Syncs, marks and closes the log.
    ///
    /// # Errors
    ///
    /// As [`Storage::sync`].
    pub fn close(mut self) -> Result<(), FileLogError> {
        self.sync()?;
        self.mark()
    }

    fn next_mark(&self) -> Mark {
        Mark {
            synced: self.last,
            oldest: self.oldest,
        }
    }

    /// Writes a mark over the older one, so that the newer one stays if power is lost meanwhile.
    fn write_mark(&mut self) -> Result<(), Problem> {
        let mark = self.next_mark();
        let bytes = mark.encode(self.superblock.key);
        self.medium.write_at(self.mark_at, &bytes)?;
        self.medium.sync()?;
        self.mark = mark;
        self.mark_at = Mark::other_page(self.mark_at);
        self.released = self.begin;
        Ok(())
    }

    /// Performs an operation, unless an earlier one has failed.
    fn attempt<T>(
        &mut self,
        what: impl FnOnce(&mut Self) -> Result<T, Problem>,
    ) -> Result<T, FileLogError> {
        if self.failed {
            return Err(Problem::Failed.at(&self.path));
        }
        what(self).map_err(|problem| {
            // A record that does not fit does no harm to the others.
            self.failed = !matches!(problem, Problem::TooLong(_) | Problem::Full(_));
            problem.at(&self.path)
        })
    }

    /// Writes the block of the appended records.
    fn write_block(&mut self) -> Result<(), Problem> {
        let len = block::block_len(self.block.len());
        let end = self.end.saturating_add(len_in_file(len));
        if end.saturating_sub(self.released) > self.ring.len {
            // The room that it needs was dropped by a trim of which only a later block would tell.
            self.write_mark()?;
        }
        debug_assert!(
            end.saturating_sub(self.released) <= self.ring.len,
            "the ring holds the capacity twice"
        );
        let sequence = self.last.saturating_add(1);
        let place = self.ring.place(self.end);
        let records = self.block.get(HEAD..).unwrap_or_default();
        let header = Header::new(sequence, self.oldest, records, self.superblock.key);
        let header = header.ok_or(Problem::Full(self.capacity()))?;
        let head = header.encode(self.superblock.key, place);
        self.block
            .iter_mut()
            .zip(head)
            .for_each(|(to, from)| *to = from);
        self.block.resize(len, 0);
        self.ring.write(&mut self.medium, self.end, &self.block)?;
        self.medium.sync()?;
        self.last = sequence;
        self.end = end;
        self.released = self.begin;
        self.block.truncate(HEAD);
        self.block.shrink_to(KEPT);
        Ok(())
    }

    /// Drops stale records of blocks. Returns false at the first record that is not stale.
    fn trim_blocks(&mut self, is_stale: &mut impl FnMut(&[u8]) -> bool) -> Result<bool, Problem> {
        let mut blocks = Blocks::new(&self.medium, self.ring, self.superblock.key);
        while self.oldest.sequence <= self.last {
            let sequence = self.oldest.sequence;
            let (header, records) = recovery::block(&mut blocks, self.ring, self.begin, sequence)?;
            let skip = usize::try_from(self.oldest.skip).unwrap_or(usize::MAX);
            for record in records.skip(skip) {
                if !is_stale(record) {
                    return Ok(false);
                }
                self.oldest.skip = self.oldest.skip.saturating_add(1);
                self.used = self
                    .used
                    .saturating_sub(record.len().saturating_add(OVERHEAD));
            }
            self.begin = self.begin.saturating_add(len_of(&header));
            self.oldest = Oldest {
                sequence: sequence.saturating_add(1),
                skip: 0,
                place: self.ring.place(self.begin),
            };
        }
        Ok(true)
    }

    /// Drops stale records that were never synced.
    fn trim_appended(&mut self, is_stale: &mut impl FnMut(&[u8]) -> bool) {
        let mut records = self.appended();
        let (mut kept, mut used) = (records.rest.len(), self.used);
        while let Some(record) = records.next()
            && is_stale(record)
        {
            kept = records.rest.len();
            used = used.saturating_sub(record.len().saturating_add(OVERHEAD));
        }
        self.used = used;
        let behind = self.block.len().saturating_sub(kept);
        self.has_dropped_appended |= behind > HEAD;
        self.block.drain(HEAD..behind);
    }

    fn appended(&self) -> Records<'_> {
        Records {
            rest: self.block.get(HEAD..).unwrap_or_default(),
        }
    }
}

impl<M: Medium> Storage for FileLog<M> {
    type Error = FileLogError;

    const RECORD_MAX: usize = JOURNAL_RECORD_MAX;

    const OVERHEAD: usize = OVERHEAD;

    fn capacity(&self) -> usize {
        usize::try_from(self.superblock.capacity).unwrap_or(usize::MAX)
    }

    fn read(&mut self, mut visit: impl FnMut(&[u8])) -> Result<(), FileLogError> {
        self.attempt(|this| {
            let mut blocks = Blocks::new(&this.medium, this.ring, this.superblock.key);
            let mut offset = this.begin;
            let mut skip = usize::try_from(this.oldest.skip).unwrap_or(usize::MAX);
            for sequence in this.oldest.sequence..=this.last {
                let (header, records) = recovery::block(&mut blocks, this.ring, offset, sequence)?;
                records.skip(skip).for_each(&mut visit);
                skip = 0;
                offset = offset.saturating_add(len_of(&header));
            }
            this.appended().for_each(visit);
            Ok(())
        })
    }

    fn append(&mut self, record: &[u8]) -> Result<(), FileLogError> {
        self.attempt(|this| {
            if record.len() > Self::RECORD_MAX {
                return Err(Problem::TooLong(record.len()));
            }
            let used = this
                .used
                .saturating_add(record.len())
                .saturating_add(OVERHEAD);
            if used > this.capacity() {
                return Err(Problem::Full(this.capacity()));
            }
            block::append(&mut this.block, record);
            this.used = used;
            Ok(())
        })
    }

    fn sync(&mut self) -> Result<(), FileLogError> {
        self.attempt(|this| {
            match (this.block.len() > HEAD, this.has_dropped_appended) {
                (true, _) => this.write_block()?,
                (false, true) => this.write_mark()?,
                (false, false) => {}
            }
            this.has_dropped_appended = false;
            Ok(())
        })
    }

    fn trim(&mut self, mut is_stale: impl FnMut(&[u8]) -> bool) -> Result<(), FileLogError> {
        self.attempt(|this| {
            if this.trim_blocks(&mut is_stale)? {
                this.trim_appended(&mut is_stale);
            }
            Ok(())
        })
    }
}

/// Every record fits in every log.
const _: () = assert!(JOURNAL_RECORD_MAX + OVERHEAD <= CAPACITY_MIN);
