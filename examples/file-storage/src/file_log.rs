//! Records in a plain file: storage that loses nothing in silence.
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 32 | a mark: magic, generation, the length of the file when it was synced, and a digest of these |
//! | 512 | 32 | the other mark |
//! | 1024 | | the records: of each its length, the complement of that, a digest of its bytes, and its bytes |
//!
//! Numbers are little-endian. A sync makes the records durable, and then writes down how long the file is, over the older
//! of the marks, and makes that durable as well. So there are two kinds of bytes. **Up to the mark** all were synced: what
//! cannot be read there is damage, be it a length or a single bit of a record. **Behind the mark** power may have failed
//! while they were written: what cannot be read there ends the log, and is cut off when the file is opened.
//!
//! Without the mark nobody could tell a last record that has rotted from one that was torn. Without the complement a
//! length that has rotted could take the record behind it for a part of its own. What this does not notice is an older
//! copy of the whole file in its place: nobody may put one there.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use synod::storage::{JOURNAL_RECORD_MAX, Storage};
use synod::{Digest, Reader, Sink, Writer};

const MAGIC: &[u8; 8] = b"SYNODREC";
const MARK: usize = 32;
/// A sector lies between the marks: who writes one of them cannot harm the other.
const MARKS_AT: [u64; 2] = [0, 512];
const RECORDS_AT: usize = 1024;
/// What stands before the bytes of a record.
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
    /// The records as they are in the file, so that nothing else has to be read after it was opened.
    records: Vec<u8>,
    mark: Mark,
    /// Whether a call has failed: what is in the file is known again only when it is opened anew.
    failed: bool,
}

/// What a file does not do.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileError {
    /// The system says so.
    Io(io::Error),
    /// It holds something else.
    Foreign,
    /// What was synced cannot be read from this byte on. A node that has voted must not start from it: it comes back as a
    /// learner, [`Node::learn`](synod::Node::learn).
    Damaged {
        /// The byte, counted from the beginning of the file.
        at: usize,
    },
    /// There is no room until some records are dropped.
    Full,
    /// The record is longer than a record may be.
    TooLong,
    /// A call failed before; the file has to be opened anew.
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
            Self::Foreign => f.write_str("the file holds something else than records"),
            Self::Damaged { at } => {
                write!(
                    f,
                    "the file is damaged: what was synced cannot be read from byte {at} on"
                )
            }
            Self::Full => f.write_str("the record was not appended: there is no room for it"),
            Self::TooLong => f.write_str("the record was not appended: it is too long"),
            Self::Failed => f.write_str("nothing was done, as a call has failed before"),
        }
    }
}

impl core::error::Error for FileError {}

/// How long the file was when it was synced.
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

    /// Where it goes: over the older of the two.
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

    /// `None` where it is none, or has changed.
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
    /// Makes a file without records where nothing is yet. It is there whole or not at all.
    ///
    /// # Errors
    ///
    /// [`FileError::Io`], also where there is a file of this name.
    pub fn create(path: &Path, capacity: usize) -> Result<Self, FileError> {
        if path.try_exists()? {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists).into());
        }
        replace(path, &image(Mark::FIRST, &[]))?;
        Self::open(path, capacity)
    }

    /// Opens a file, and locks it as long as it is open. What power has torn at its end is cut off; nothing else is changed.
    ///
    /// # Errors
    ///
    /// [`FileError::Damaged`], [`FileError::Foreign`], or what the system says.
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
        // What is read may be acted on, also what power kept from being marked.
        log.file.sync_all()?;
        log.note()?;
        Ok(log)
    }

    /// Notes how far the file is synced, now that it is.
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

    /// Does something that may fail, and nothing after that has failed once: what a failed sync has left in the file is not
    /// what another sync would make durable.
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

    /// Two calls of the system's `fdatasync`: the mark must not be durable before the records are.
    fn sync(&mut self) -> Result<(), FileError> {
        self.attempt(|log| {
            log.file.sync_data()?;
            log.note()
        })
    }

    /// Writes what is kept to a file beside this one, which then takes its place. A journal drops much, and seldom.
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

/// The mark of a file, and where its log ends: at or behind that.
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

/// The newer of the marks that can be read.
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

/// The record at a place; `None` where there is none, or not the one that was written.
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

/// A file with a mark and records.
fn image(mark: Mark, records: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; RECORDS_AT];
    // Both, so that none that is older and longer comes to light.
    for at in MARKS_AT {
        let start = usize::try_from(at).unwrap_or(usize::MAX);
        for (place, byte) in bytes.iter_mut().skip(start).zip(mark.encode()) {
            *place = byte;
        }
    }
    bytes.extend_from_slice(records);
    bytes
}

/// Puts a file in the place of another one, or of none: it is there whole and durable, or the other one is. It is locked.
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
