//! Read-only inspection of a store before it is opened.

use super::backend::Body;
use super::error::Problem;
use super::file::FileStorage;
use super::log::{Extent, Log};
use super::medium::{Medium, Memory};
use super::superblock::{LABEL_BYTES, Label, LabelError, MARK_BYTES, MARKS_AT, Mark, SUPERBLOCK};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;
use synod::NodeId;

/// Opens and locks a file for reading and writing.
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

/// Verifies a whole store: its label, its checksums, and that it has every synced record. Returns its newest mark.
pub(super) fn inspect(medium: &dyn Medium, label: Label) -> Result<Mark, Problem> {
    let len = medium.len().map_err(Problem::Io)?;
    label_of(medium, len)?.must_be(&label)?;
    let mark = mark_of(medium)?;
    let found = recover_copy(medium, len, label.capacity)?;
    if found.records < mark.records {
        return Err(Problem::Lost {
            found: found.records,
            synced: mark.records,
        });
    }
    Ok(mark)
}

fn label_of(medium: &dyn Medium, len: u64) -> Result<Label, Problem> {
    if len <= SUPERBLOCK {
        let cut = format!("it has {len} bytes, and the smallest has more than {SUPERBLOCK}");
        return Err(Problem::Damaged(cut));
    }
    let mut bytes = [0; LABEL_BYTES];
    medium.read(0, &mut bytes).map_err(Problem::Io)?;
    Label::decode(&bytes).map_err(|error| match error {
        LabelError::Magic => Problem::Foreign,
        LabelError::Digest => Problem::Damaged("its label has changed".to_owned()),
        LabelError::Version(version) => Problem::Version(version.into()),
    })
}

impl Label {
    fn must_be(&self, expected: &Self) -> Result<(), Problem> {
        let differs = |what, found: String, expected: String| {
            Err(Problem::Other {
                what,
                found,
                expected,
            })
        };
        if self.cluster != expected.cluster {
            let [found, expected] =
                [self, expected].map(|label| format!("{:#018x}", label.cluster));
            return differs("cluster", found, expected);
        }
        if self.node != expected.node {
            return differs("node", self.node.to_string(), expected.node.to_string());
        }
        if self.capacity != expected.capacity {
            let [found, expected] = [self, expected].map(|label| label.capacity.to_string());
            return differs("capacity", found, expected);
        }
        Ok(())
    }
}

fn mark_of(medium: &dyn Medium) -> Result<Mark, Problem> {
    let mut marks = [None; 2];
    for (mark, at) in marks.iter_mut().zip(MARKS_AT) {
        let mut bytes = [0; MARK_BYTES];
        medium.read(at, &mut bytes).map_err(Problem::Io)?;
        *mark = Mark::decode(&bytes);
    }
    let unreadable = || Problem::Damaged("neither of its marks can be read".to_owned());
    Mark::newer(marks).ok_or_else(unreadable)
}

/// Opens a copy of the database in memory, so that the recovery writes only to the copy, and returns the extent of its
/// log.
fn recover_copy(medium: &dyn Medium, len: u64, capacity: u32) -> Result<Extent, Problem> {
    let most = len_max(capacity);
    let bytes = usize::try_from(len).ok().filter(|_| len <= most);
    let bytes = bytes.ok_or_else(|| {
        Problem::Damaged(format!("it has {len} bytes, and the largest has {most}"))
    })?;
    let mut copy = vec![0; bytes];
    medium.read(0, &mut copy).map_err(Problem::Io)?;
    // In memory, every error is due to damage, including reads beyond the end.
    let damaged = |error: redb::Error| Problem::Damaged(error.to_string().replace('\n', " "));
    let body = Body {
        medium: Arc::new(Memory::new(copy)),
        len_max: most,
    };
    let log = Log::open(body).map_err(damaged)?;
    log.extent::<FileStorage>()
}

/// Returns the greatest length of the file of a store with a capacity in bytes. A database that has grown takes at
/// least half a megabyte; its pages may be half empty, some are still needed by the previous commit, and it grows by
/// doubling.
pub(super) fn len_max(capacity: u32) -> u64 {
    8 * u64::from(capacity) + (1 << 20)
}
