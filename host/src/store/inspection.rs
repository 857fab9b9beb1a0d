//! Read-only inspection of a store before it is opened.

use super::area::{Area, area_len, file_len};
use super::error::Problem;
use super::log::Records;
use super::medium::Medium;
use super::superblock::{LABEL_BYTES, Label, LabelError, MARK_BYTES, MARKS_AT, Mark};
use std::io;

/// The log found in an intact store. Nothing was changed to find it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// The newest mark.
    pub(super) mark: Mark,
    /// True if the other mark is readable and names the same area.
    pub(super) is_marked_twice: bool,
    /// Number of records so far, including trimmed ones. At least that of the mark.
    pub(super) records: u64,
    /// Length of the log in its area, in bytes.
    pub(super) len: usize,
    /// True if there are only zeros behind the log.
    pub(super) is_blank_behind: bool,
}

/// Verifies a whole store: its label, its length, its records, and that every synced record is there.
///
/// The order matters for the errors: a file of another owner is not called damaged, and a damaged
/// one is not called incomplete.
pub(super) fn inspect(medium: &dyn Medium, label: Label) -> Result<Found, Problem> {
    // The label first: the expected length follows from the capacity in it.
    let len = medium.len().map_err(Problem::Io)?;
    label_of(medium, len)?.must_be(&label)?;
    let expected = file_len(label.capacity);
    if len != expected {
        let changed = format!("it has {len} bytes, and {expected} when it was created");
        return Err(Problem::Damaged(changed));
    }
    let marks = marks_of(medium)?;
    let unreadable = || Problem::Damaged("neither of its marks can be read".to_owned());
    // One mark may be torn by a loss of power, and never both.
    let mark = Mark::newer(marks).ok_or_else(unreadable)?;
    let bytes = bytes_of(medium, mark.area, label.capacity)?;
    let mut log = Records {
        number: mark.trimmed,
        rest: &bytes,
    };
    // Reading ends at the first bytes that are no record, whatever the reason.
    log.by_ref().for_each(drop);
    // More is right: such records were written, and maybe acted on, by a process that was killed
    // before its mark.
    if log.number < mark.records {
        return Err(Problem::Lost {
            found: log.number,
            synced: mark.records,
        });
    }
    let in_area = |other: Option<Mark>| other.is_some_and(|other| other.area == mark.area);
    debug_assert!(log.rest.len() <= bytes.len(), "a reader only moves on");
    Ok(Found {
        mark,
        is_marked_twice: marks.into_iter().all(in_area),
        records: log.number,
        len: bytes.len() - log.rest.len(),
        is_blank_behind: log.rest.iter().all(|byte| *byte == 0),
    })
}

/// Reads the label. A file that is too short for one is damaged, as a store has its full length
/// from its creation on.
fn label_of(medium: &dyn Medium, len: u64) -> Result<Label, Problem> {
    let mut bytes = [0; LABEL_BYTES];
    if usize::try_from(len).is_ok_and(|len| len < bytes.len()) {
        let cut = format!("it has {len} bytes, which is less than its label");
        return Err(Problem::Damaged(cut));
    }
    medium.read(0, &mut bytes).map_err(Problem::Io)?;
    Label::decode(&bytes).map_err(|error| match error {
        LabelError::Magic => Problem::Foreign,
        LabelError::Digest => Problem::Damaged("its label has changed".to_owned()),
        LabelError::Version(version) => Problem::Version(version.into()),
    })
}

impl Label {
    /// Compares the label with the expected one. The first property that differs is reported, from
    /// the most general one on.
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

/// Reads both marks; `None` for one that is not readable.
fn marks_of(medium: &dyn Medium) -> Result<[Option<Mark>; 2], Problem> {
    let mut marks = [None; 2];
    for (mark, at) in marks.iter_mut().zip(MARKS_AT) {
        let mut bytes = [0; MARK_BYTES];
        medium.read(at, &mut bytes).map_err(Problem::Io)?;
        *mark = Mark::decode(&bytes);
    }
    Ok(marks)
}

/// Reads an area as a whole: areas are small, and every byte of them is verified.
fn bytes_of(medium: &dyn Medium, area: Area, capacity: u32) -> Result<Vec<u8>, Problem> {
    let len = usize::try_from(area_len(capacity));
    let len = len.map_err(|_| Problem::Io(io::ErrorKind::FileTooLarge.into()))?;
    let mut bytes = vec![0; len];
    let read = medium.read(area.at(capacity), &mut bytes);
    read.map_err(Problem::Io)?;
    Ok(bytes)
}
