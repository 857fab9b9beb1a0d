//! The file of a record, and the thread that writes it.

use super::fact::{Fact, Started};
use super::parse::parse;
use core::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use synod::NodeId;

/// Where the lines of a record go.
pub trait Sink {
    /// Takes whole lines with so many facts. They may be taken out of the vector.
    fn take(&mut self, lines: &mut Vec<u8>, facts: u64);
}

/// Lines in memory, for tests.
impl Sink for Vec<u8> {
    fn take(&mut self, lines: &mut Vec<u8>, _facts: u64) {
        self.append(lines);
    }
}

/// Pieces of lines that wait for the disk at most. A piece is what a recorder hands over: some 16 KiB under load.
const WAITING_MAX: usize = 256;
/// Bytes that the last line takes at most, where a disk is full.
const LAST_LINE: u64 = 32;

/// Why a node does not record.
#[derive(Debug)]
#[non_exhaustive]
pub enum RecordError {
    /// The file cannot be opened, read or written.
    File(PathBuf, io::Error),
    /// The file is something else.
    NotARecord(PathBuf, String),
    /// The file is the record of another node, or of another cluster.
    Foreign(PathBuf, NodeId),
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::NotARecord(path, what) => write!(
                f,
                "{}: it exists and is no record ({what}); name a file that does not exist, or the record of this node",
                path.display()
            ),
            Self::Foreign(path, node) => write!(
                f,
                "{}: it is a record of {node} in its cluster, and each node has a file of its own; name another",
                path.display()
            ),
        }
    }
}

impl core::error::Error for RecordError {}

/// A record as a file, which a thread of its own writes.
///
/// The node never waits for it. When too much waits for the disk, or the disk is full, nothing more is recorded until the
/// node starts again, and the last line says how many facts are missing.
#[derive(Debug)]
pub struct RecordFile {
    /// `None` once facts were lost.
    lines: Option<SyncSender<Vec<u8>>>,
    writer: Option<JoinHandle<Written>>,
    lost: u64,
}

/// How writing has ended.
#[derive(Debug)]
struct Written {
    file: File,
    error: Option<io::Error>,
}

impl RecordFile {
    /// Opens a record to append to it, or creates it for the eyes of its owner. A line that was cut when an earlier
    /// process was killed is removed.
    ///
    /// # Errors
    ///
    /// [`RecordError`]: nothing was written.
    pub fn open(path: &Path, cluster: u32, node: NodeId) -> Result<Self, RecordError> {
        let of = |error| RecordError::File(path.to_owned(), error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(of)?;
        let mut first = Vec::new();
        let mut reader = BufReader::new(Read::by_ref(&mut file)).take(1_024);
        reader.read_until(b'\n', &mut first).map_err(of)?;
        if first.ends_with(b"\n") {
            let text = String::from_utf8_lossy(&first);
            match parse(text.trim_end_matches('\n')) {
                Ok(Fact::Start(Started {
                    cluster: its,
                    node: of,
                    ..
                })) if its == cluster && of == node => {}
                Ok(Fact::Start(started)) => {
                    return Err(RecordError::Foreign(path.to_owned(), started.node));
                }
                Ok(_) => {
                    let what = "its first line is not the start of a node".to_owned();
                    return Err(RecordError::NotARecord(path.to_owned(), what));
                }
                Err(error) => {
                    let what = format!("line 1: {error}");
                    return Err(RecordError::NotARecord(path.to_owned(), what));
                }
            }
        } else if !first.is_empty() && !b"start ".starts_with(first.get(..6).unwrap_or(&first)) {
            let what = "its first line does not end".to_owned();
            return Err(RecordError::NotARecord(path.to_owned(), what));
        }
        let end = end_of_lines(&mut file).map_err(of)?;
        file.set_len(end).map_err(of)?;
        file.seek(SeekFrom::Start(end)).map_err(of)?;
        let (lines, taken) = sync_channel(WAITING_MAX);
        let writer = thread::Builder::new().name("record".to_owned());
        let writer = writer.spawn(move || write_all(file, &taken)).map_err(of)?;
        Ok(Self {
            lines: Some(lines),
            writer: Some(writer),
            lost: 0,
        })
    }

    /// Returns how many facts were not recorded.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Writes what waits, and ends the record of this process.
    fn close(&mut self) -> io::Result<()> {
        drop(self.lines.take());
        let Some(Ok(written)) = self.writer.take().map(JoinHandle::join) else {
            return Ok(());
        };
        let Written { mut file, error } = written;
        if self.lost > 0 || error.is_some() {
            end_incomplete(&mut file, self.lost.max(1))?;
        }
        Ok(())
    }
}

impl Sink for RecordFile {
    fn take(&mut self, lines: &mut Vec<u8>, facts: u64) {
        let Some(open) = &self.lines else {
            self.lost += facts;
            return;
        };
        let piece = core::mem::take(lines);
        lines.reserve(piece.capacity());
        match open.try_send(piece) {
            Ok(()) => {}
            // A record with a hole would tell half of a turn.
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.lost += facts;
                self.lines = None;
            }
        }
    }
}

impl Drop for RecordFile {
    fn drop(&mut self) {
        // Without its last line the record ends early, which the judge notices as well.
        let _ = self.close();
    }
}

/// Writes pieces until there are no more, or one cannot be written.
fn write_all(mut file: File, pieces: &Receiver<Vec<u8>>) -> Written {
    for piece in pieces {
        if let Err(error) = file.write_all(&piece) {
            let error = Some(error);
            return Written { file, error };
        }
    }
    Written { file, error: None }
}

/// Returns where the last whole line of a file ends.
fn end_of_lines(file: &mut File) -> io::Result<u64> {
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut block = [0; 4_096];
    while end > 0 {
        let len = end.min(4_096);
        let start = end - len;
        file.seek(SeekFrom::Start(start))?;
        let bytes = usize::try_from(len)
            .ok()
            .and_then(|len| block.get_mut(..len));
        let Some(bytes) = bytes else { break };
        file.read_exact(bytes)?;
        if let Some(last) = bytes.iter().rposition(|byte| *byte == b'\n') {
            let last = u64::try_from(last).unwrap_or(0);
            return Ok(start + last + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Ends a record that misses facts. On a full disk the line takes the place of the last ones, as there is no other.
fn end_incomplete(file: &mut File, lost: u64) -> io::Result<()> {
    let line = format!("incomplete {lost}\n");
    let end = end_of_lines(file)?;
    file.set_len(end)?;
    file.seek(SeekFrom::Start(end))?;
    if file.write_all(line.as_bytes()).is_ok() {
        return Ok(());
    }
    make_room(file)?;
    file.write_all(line.as_bytes())
}

/// Removes as many of the last lines as the line takes that ends a record, and stands where they began.
fn make_room(file: &mut File) -> io::Result<()> {
    let mut end = end_of_lines(file)?;
    let room = end.saturating_sub(LAST_LINE);
    while end > room {
        file.set_len(end - 1)?;
        end = end_of_lines(file)?;
    }
    file.set_len(end)?;
    file.seek(SeekFrom::Start(end))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const START: &str = "start 1 1f 0 6 7 1\n";

    fn path(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("synod-record-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join(name);
        let _ = fs::remove_file(&path);
        path
    }

    fn open(path: &Path) -> Result<RecordFile, RecordError> {
        RecordFile::open(path, 0x1f, NodeId(0))
    }

    #[test]
    fn a_record_is_appended_to_behind_its_last_whole_line() {
        let path = path("appended");
        fs::write(&path, format!("{START}promised 0.1.")).unwrap();
        let mut file = open(&path).unwrap();
        file.take(&mut b"stop\n".to_vec(), 1);
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{START}stop\n"));
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_can_read_a_record() {
        use std::os::unix::fs::PermissionsExt;
        let path = path("private");
        drop(open(&path).unwrap());
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_of_somebody_else_is_left_as_it_is() {
        let path = path("foreign");
        for (text, reason) in [
            ("start 1 1f 2 6 7 1\n", "a record of NODE_2"),
            ("start 1 2f 0 6 7 1\n", "a record of NODE_0"),
            ("stop\n", "is no record"),
            ("my diary\n", "is no record"),
            ("my diary", "is no record"),
        ] {
            fs::write(&path, text).unwrap();
            let error = open(&path).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn what_is_not_recorded_is_counted_in_the_last_line() {
        let path = path("incomplete");
        let mut file = open(&path).unwrap();
        file.take(&mut START.as_bytes().to_vec(), 1);
        // As if too much had waited.
        file.lines = None;
        file.take(&mut b"promised 0.1.0\nstop\n".to_vec(), 2);
        assert_eq!(file.lost(), 2);
        drop(file);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{START}incomplete 2\n"));
    }

    /// A file that cannot grow any more, as on a full disk.
    #[cfg(target_os = "linux")]
    #[test]
    fn on_a_full_disk_the_last_line_takes_the_place_of_others() {
        let path = path("full");
        let lines = format!("{START}promised 0.1.0\nvoted 6 0.1.0 c1f\nat 0.1.0 0 0 0 0 7\n");
        fs::write(&path, &lines).unwrap();
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        make_room(&mut file).unwrap();
        file.write_all(b"incomplete 3\n").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.len() < lines.len());
        assert_eq!(text, format!("{START}promised 0.1.0\nincomplete 3\n"));
    }
}
