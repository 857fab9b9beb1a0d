//! An append-only log of records in a plain file that detects damage.
//!
//! | at | bytes | contents |
//! |---|---|---|
//! | 0 | 32 | a mark: magic, generation, the length of the file when it was synced, and a digest of these |
//! | 512 | 32 | the other mark |
//! | 1024 | | the records: of each its length, the complement of that, a digest of its bytes, and its bytes |
//!
//! Numbers are little-endian. A sync makes the records durable, then writes the length of the file over the older
//! mark, and makes that durable as well. So there are two kinds of bytes. **Up to the mark** everything was synced:
//! what cannot be read is damage, be it a length or a single bit of a record. **Behind the mark** power may have
//! failed during the write: what cannot be read ends the log, and is cut off when the file is opened.
//!
//! The mark distinguishes a corrupted last record from a torn write. The complement prevents a corrupted length from
//! including the next record. An older copy of the whole file is not detected: the file must never be replaced by
//! one.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use synod::storage::{JOURNAL_RECORD_MAX, Storage};
use synod::{Digest, Reader, Sink, Writer};

const MAGIC: &[u8; 8] = b"SYNODREC";
const MARK: usize = 32;
/// The marks are a sector apart, so that a torn write of one cannot damage the other.
const MARKS_AT: [u64; 2] = [0, 512];
const RECORDS_AT: usize = 1024;
/// The length of a record header, in bytes.
const HEAD: usize = 2 + 2 + 8;

/// Records in a plain file.
///
/// ```
/// use example_file_storage::FileLog;
/// use synod::storage::Storage;
///
/// # let path = std::env::temp_dir().join(format!("synod-file-log-{}", std::process::id()));
/// let mut log = FileLog::create(&path, 1 << 16)?;
/// log.append(b"promised")?;
/// log.sync()?;
/// log.append(b"not synced")?;
/// drop(log);
///
/// let mut found = Vec::new();
/// FileLog::open(&path, 1 << 16)?.read(|record| found.push(record.to_vec()))?;
/// assert_eq!(found[0], b"promised");
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), example_file_storage::FileError>(())
/// ```
#[derive(Debug)]
pub struct FileLog {
    file: File,
    path: PathBuf,
    capacity: usize,
    /// The records as in the file, so that it is read only when it is opened.
    records: Vec<u8>,
    mark: Mark,
    /// True after a failed call: the contents of the file are then unknown until it is opened again.
    failed: bool,
}

/// An error of a file log.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileError {
    /// An error of the system.
    Io(io::Error),
    /// The file is not a file log.
    Foreign,
    /// A synced byte cannot be read. A node that has voted must not start from the file: it restarts as a learner,
    /// [`Node::learn`](synod::Node::learn).
    Damaged {
        /// The position of the first damaged byte, from the beginning of the file.
        at: usize,
    },
    /// There is no room until records are dropped.
    Full,
    /// The record is longer than the limit.
    TooLong,
    /// An earlier call failed; the file must be opened again.
    Failed,
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Foreign => f.write_str("the file is not a file log"),
            Self::Damaged { at } => {
                write!(
                    f,
                    "the file is damaged: synced data cannot be read from byte {at} on"
                )
            }
            Self::Full => f.write_str("the record was not appended: there is no room for it"),
            Self::TooLong => f.write_str("the record was not appended: it is too long"),
            Self::Failed => f.write_str("the file must be opened again: an earlier call failed"),
        }
    }
}

impl core::error::Error for FileError {}

/// A mark: the length of the file when it was synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    generation: u64,
    synced: usize,
}

impl Mark {
    const FIRST: Self = Self {
        generation: 0,
        synced: RECORDS_AT,
    };

    /// Returns the position of the mark, which is that of the older one.
    const fn at(self) -> u64 {
        let [even, odd] = MARKS_AT;
        if self.generation.is_multiple_of(2) {
            even
        } else {
            odd
        }
    }

    fn encode(self) -> [u8; MARK] {
        let mut bytes = [0; MARK];
        let mut writer = Writer::new(&mut bytes);
        writer.put(MAGIC);
        writer.put_u64(self.generation);
        writer.put_u64(u64::try_from(self.synced).unwrap_or(u64::MAX));
        writer.put_u64(self.digest());
        bytes
    }

    /// Decodes a mark; `None` if the bytes are not one or have changed.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        (reader.array() == Some(*MAGIC)).then_some(())?;
        let mark = Self {
            generation: reader.u64()?,
            synced: usize::try_from(reader.u64()?).ok()?,
        };
        (reader.u64()? == mark.digest()).then_some(mark)
    }

    fn digest(self) -> u64 {
        let mut digest = Digest::new();
        digest.put_u64(self.generation);
        digest.put_u64(u64::try_from(self.synced).unwrap_or(u64::MAX));
        digest.value()
    }
}

impl FileLog {
    /// Creates a file without records, completely or not at all.
    ///
    /// # Errors
    ///
    /// Returns [`FileError::Io`], also if the file exists.
    pub fn create(path: &Path, capacity: usize) -> Result<Self, FileError> {
        if path.try_exists()? {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists).into());
        }
        replace(path, &image(Mark::FIRST, &[]))?;
        Self::open(path, capacity)
    }

    /// Opens a file, and locks it while it is open. A torn end is cut off; nothing else is changed.
    ///
    /// # Errors
    ///
    /// Returns [`FileError::Damaged`], [`FileError::Foreign`], or an error of the system.
    pub fn open(path: &Path, capacity: usize) -> Result<Self, FileError> {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        file.try_lock().map_err(io::Error::from)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (mark, end) = survey(&bytes)?;
        let torn = end < bytes.len();
        let records = bytes.get(RECORDS_AT..end).unwrap_or_default().to_vec();
        let mut log = Self {
            file,
            path: path.to_path_buf(),
            capacity,
            records,
            mark,
            failed: false,
        };
        if torn {
            log.file.set_len(u64::try_from(end).unwrap_or(u64::MAX))?;
        }
        // The records that are read may be acted on, including those that a power loss kept from being marked.
        log.file.sync_all()?;
        log.note()?;
        Ok(log)
    }

    /// Writes the mark after a sync of the file.
    fn note(&mut self) -> Result<(), FileError> {
        let synced = RECORDS_AT + self.records.len();
        if synced == self.mark.synced {
            return Ok(());
        }
        let mark = Mark {
            generation: self.mark.generation.wrapping_add(1),
            synced,
        };
        self.file.seek(SeekFrom::Start(mark.at()))?;
        self.file.write_all(&mark.encode())?;
        self.file.sync_data()?;
        self.mark = mark;
        Ok(())
    }

    /// Makes a call that may fail, unless an earlier one has failed: after a failed sync, another sync does not make
    /// the file durable.
    fn attempt(
        &mut self,
        what: impl FnOnce(&mut Self) -> Result<(), FileError>,
    ) -> Result<(), FileError> {
        if self.failed {
            return Err(FileError::Failed);
        }
        let done = what(self);
        self.failed = done.is_err();
        done
    }
}

impl Storage for FileLog {
    type Error = FileError;

    const RECORD_MAX: usize = JOURNAL_RECORD_MAX;
    const OVERHEAD: usize = HEAD;

    fn capacity(&self) -> usize {
        self.capacity
    }

    fn read(&mut self, mut visit: impl FnMut(&[u8])) -> Result<(), FileError> {
        if self.failed {
            return Err(FileError::Failed);
        }
        let mut at = 0;
        while let Some(record) = record_at(&self.records, at) {
            visit(record);
            at += HEAD + record.len();
        }
        Ok(())
    }

    fn append(&mut self, record: &[u8]) -> Result<(), FileError> {
        let len = u16::try_from(record.len()).map_err(|_| FileError::TooLong)?;
        if record.len() > Self::RECORD_MAX {
            return Err(FileError::TooLong);
        }
        if self.records.len() + HEAD + record.len() > self.capacity {
            return Err(FileError::Full);
        }
        self.attempt(|log| {
            let start = log.records.len();
            log.records.extend_from_slice(&len.to_le_bytes());
            log.records.extend_from_slice(&(!len).to_le_bytes());
            log.records.extend_from_slice(&digest(record).to_le_bytes());
            log.records.extend_from_slice(record);
            let at = u64::try_from(RECORDS_AT + start).unwrap_or(u64::MAX);
            log.file.seek(SeekFrom::Start(at))?;
            log.file
                .write_all(log.records.get(start..).unwrap_or_default())?;
            Ok(())
        })
    }

    /// Two `fdatasync` calls: the mark must not be durable before the records are.
    fn sync(&mut self) -> Result<(), FileError> {
        self.attempt(|log| {
            log.file.sync_data()?;
            log.note()
        })
    }

    /// Writes the records to be kept to a new file, which then replaces this one. A journal drops many records, and
    /// seldom.
    fn trim(&mut self, mut is_stale: impl FnMut(&[u8]) -> bool) -> Result<(), FileError> {
        let mut kept = 0;
        while let Some(record) = record_at(&self.records, kept).filter(|record| is_stale(record)) {
            kept += HEAD + record.len();
        }
        if kept == 0 {
            return Ok(());
        }
        self.attempt(|log| {
            log.records.drain(..kept);
            let mark = Mark {
                generation: log.mark.generation,
                synced: RECORDS_AT + log.records.len(),
            };
            log.file = replace(&log.path, &image(mark, &log.records))?;
            log.mark = mark;
            Ok(())
        })
    }
}

/// Returns the mark of a file and the end of its log, which is at or behind the mark.
fn survey(bytes: &[u8]) -> Result<(Mark, usize), FileError> {
    let mark = mark_of(bytes)?;
    let mut at = RECORDS_AT;
    while let Some(record) = record_at(bytes, at) {
        at += HEAD + record.len();
    }
    if at < mark.synced || bytes.len() < RECORDS_AT {
        return Err(FileError::Damaged { at });
    }
    Ok((mark, at))
}

/// Returns the newer of the valid marks.
fn mark_of(bytes: &[u8]) -> Result<Mark, FileError> {
    let marks = MARKS_AT.map(|at| {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        bytes
            .get(at..at.saturating_add(MARK))
            .and_then(Mark::decode)
    });
    let newest = marks.iter().flatten().max_by_key(|mark| mark.generation);
    if let Some(mark) = newest {
        return Ok(*mark);
    }
    if bytes.starts_with(MAGIC) {
        return Err(FileError::Damaged { at: 0 });
    }
    Err(FileError::Foreign)
}

/// Returns the record at a position; `None` if there is none, or it is damaged.
fn record_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let mut head = Reader::new(bytes.get(at..at.checked_add(HEAD)?)?);
    let len = u16::from_le_bytes(head.array()?);
    let complement = u16::from_le_bytes(head.array()?);
    let start = at.checked_add(HEAD)?;
    let record = bytes.get(start..start.checked_add(len.into())?)?;
    (complement == !len && head.u64()? == digest(record)).then_some(record)
}

fn digest(record: &[u8]) -> u64 {
    let mut digest = Digest::new();
    digest.put(record);
    digest.value()
}

/// Returns the contents of a file with a mark and records.
fn image(mark: Mark, records: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; RECORDS_AT];
    // Both marks, so that no older mark with a greater length can reappear.
    for at in MARKS_AT {
        let start = usize::try_from(at).unwrap_or(usize::MAX);
        for (place, byte) in bytes.iter_mut().skip(start).zip(mark.encode()) {
            *place = byte;
        }
    }
    bytes.extend_from_slice(records);
    bytes
}

/// Replaces a file, or creates it, and locks it. After a crash either the new file is there, complete and durable, or
/// the old one.
fn replace(path: &Path, bytes: &[u8]) -> Result<File, FileError> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&new)?;
    file.try_lock().map_err(io::Error::from)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    if cfg!(unix) {
        // The name is durable when the directory is.
        let directory = path.parent().filter(|path| !path.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests;
