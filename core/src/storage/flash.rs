//! Storage in NOR flash: the flash of a microcontroller or a chip beside it.
//!
//! Four pages of a flash that is in use, page 7 the newest. A page's number only grows; it lies at its number modulo the
//! count of pages, so that page 8 will take the place of page 4.
//!
//! ```text
//!   place 0           place 1           place 2           place 3
//! +-----------------+-----------------+-----------------+-----------------+
//! | header: page 4  | header: page 5  | header: page 6  | header: page 7  |  12 bytes: format, number, CRC-32
//! | [x] closed      | [x] closed      | [x] closed      | [ ] closed      |  a word each: blank, or written
//! | [x] followed    | [x] followed    | [x] followed    | [ ] followed    |
//! | [x] dropped     | [ ] dropped     | [ ] dropped     | [ ] dropped     |
//! | (records, all   | length | !length| length | !length| length | !length|  a record: a word with its length,
//! |  dropped)       | bytes . . . . . | bytes . . . . . | bytes . . . . . |  then its bytes in whole words
//! |                 | length | !length| left of a length| length | !length|  power failed in a length word:
//! |                 | bytes . . . . . | TEAR            | bytes . . . . . |  the next record stands behind a TEAR
//! |                 | length | !length| length | !length| . . . . . . . . |  blank up to the end
//! |                 | bytes . . . . . | bytes . . . . . | . . . . . . . . |
//! |                 | (no room left)  | (no room left)  | . . . . . . . . |
//! +-----------------+-----------------+-----------------+-----------------+
//!                     first record                         next record
//! ```
//!
//! To append where page 7 has no room left takes these writes, in this order. Power may fail in each of them:
//!
//! | write | what a cut in it leaves | what the next start makes of it |
//! |---|---|---|
//! | page 7: *closed* | the mark, in part | closed: what is not blank was written, and nothing was appended since |
//! | page 8: erase | page 4, or anything | page 7 is the newest, and is closed: page 8 is erased once more before it is used |
//! | page 8: header | part of a header | its CRC-32 is wrong: as before |
//! | page 7: *followed* | the mark, in part | page 8 has a header and is the newest; the mark is written before its first record |
//! | page 8: length | some of its bits | no length, and nothing behind it: a `TEAR` goes behind it with the next record |
//! | page 8: bytes | the length, and some of the bytes | a record that its reader finds garbled, and not synced |
//!
//! *Followed* is there for the case that a header rots: then a page that was followed is the newest that can be found, and
//! the flash is damaged and not shorter. To drop records is to move the beginning in memory, and to mark each page as
//! *dropped* of which none are left; a cut before that brings back the records of one page, at most.

#[cfg(test)]
mod cluster;
mod log;
mod pages;
#[cfg(test)]
mod rot;
#[cfg(test)]
mod scenarios;

use super::Storage;
use core::fmt;
use core::fmt::Debug;
use core::num::NonZeroU32;
use core::ops::Range;
use embedded_storage::nor_flash::NorFlash;
use log::Log;
use pages::Pages;

/// The fewest pages: one that is being dropped, one that is being written, and one for what losses of power tear.
const PAGES_MIN: u32 = 3;

/// Records in pages of a NOR flash, each at most `RECORD` bytes long. `F` is a driver that blocks.
///
/// The records are a log that goes around the pages in a circle, so that all of them wear evenly. A page is always erased
/// right before it is used, and no word is written twice in between: so flash with a checksum over each of its words can be
/// used as well. What a flash holds before is of no account, as long as it is erased or a log; [`Flash::format`] makes it so.
///
/// # What it takes
///
/// With words of *w* bytes, which are the driver's and at least 4, a record takes a word and its own bytes in whole words,
/// so at most [`OVERHEAD`](Storage::OVERHEAD) = 2*w* − 1 bytes more than its own. A page of *p* bytes begins with 12 bytes
/// in whole words and three words, and at its end up to `RECORD` bytes are left over when the next record does not fit:
/// with words of 4 bytes, *p* − 24 − `RECORD` are counted. [`Storage::capacity`] counts all pages so, but two. In one
/// the oldest records may be dropped and the newest not, and it is erased only as a whole. The other is for losses of
/// power: each can tear a record. What is left of it is read as a record, which counts as such, or takes two words. As many
/// of those are allowed for as fit into a page; more take from the capacity until they are dropped, so that who heeds it is
/// never refused.
///
/// In memory it takes the driver and 40 bytes, and while it reads or drops, `RECORD` bytes on the stack.
///
/// # What calls cost
///
/// | call | words written | pages erased |
/// |---|---|---|
/// | [`Flash::open`] | none | none |
/// | [`append`](Storage::append) | the record's; a header and two where a page begins; one behind a torn record | one where a page begins; two on new flash |
/// | [`sync`](Storage::sync) | none: what is written is durable | none |
/// | [`trim`](Storage::trim) | one for each page that is emptied | none |
/// | [`read`](Storage::read) | none | none |
///
/// To open it is to read the beginnings of all pages and the headers of all records. Where the ends of the log are is held
/// in memory, so that an append reads nothing but a word or two where a page begins.
///
/// # Loss of power
///
/// What was appended is durable when `append` returns. Of a record that was torn nothing is read, or as many bytes as it
/// had. What was dropped is there again from the last page on that was not emptied. A page that was being erased holds
/// anything; the page before it says so, and it is erased again before it is used.
///
/// Of a driver it asks that what [`write`](NorFlash::write) or [`erase`](NorFlash::erase) has done is durable when it returns;
/// that a word whose write was cut short can be read, as whatever; and that it can be written if it is read as erased.
///
/// # Bits that change on their own
///
/// In a record they are for its reader to notice, as [`Storage`] says. Where they hide a record or a page that was not
/// dropped, the flash answers [`FlashError::Damaged`] instead of fewer records; but one that marks the newest page as full
/// can hide the oldest records, whose numbers are missed then. It has no mark of how far was synced: the last record of
/// all, garbled together with its seal, passes for torn, as [`Storage`] says.
///
/// ```
/// use synod::simulation::SimulatedFlash;
/// use synod::storage::{Storage, flash::Flash};
///
/// let mut driver = SimulatedFlash::<4, 1024>::new(6);
/// let mut flash = Flash::<_, 64>::open(&mut driver, 0..4096)?;
/// flash.append(b"promised")?;
/// flash.append(b"accepted")?;
/// flash.trim(|record| record == b"promised")?;
/// flash.read(|record| assert_eq!(record, b"accepted"))?;
///
/// let mut flash = Flash::<_, 64>::open(&mut driver, 0..4096)?;
/// let mut last = Vec::new();
/// flash.read(|record| last = record.to_vec())?;
/// assert_eq!(last, b"accepted");
/// # Ok::<(), synod::storage::flash::FlashError<synod::simulation::FlashFault>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Flash<F, const RECORD: usize = 256> {
    log: Log<F>,
}

impl<F: NorFlash, const RECORD: usize> Flash<F, RECORD> {
    /// What a page has for records, whatever their lengths are.
    const PAGE_ROOM: usize = {
        assert!(
            RECORD >= 64 && RECORD < 1 << 16 && RECORD.is_multiple_of(Pages::<F>::WORD),
            "RECORD is 64 at least, and whole words: the driver's, of 4 bytes at least."
        );
        assert!(
            Pages::<F>::PAGE > Pages::<F>::RECORDS + RECORD,
            "A record fits into a page, with some room to spare."
        );
        Pages::<F>::PAGE - Pages::<F>::RECORDS - RECORD
    };

    #[expect(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        reason = "usize to u32 in a constant; at most 65535"
    )]
    const LONGEST: u32 = {
        let _ = Self::PAGE_ROOM;
        RECORD as u32
    };

    /// Takes the addresses `range` of a driver for records. Nothing is written: new flash is made ready with the first
    /// record.
    ///
    /// # Errors
    ///
    /// [`FlashError::Range`], [`FlashError::Foreign`] and [`FlashError::Damaged`].
    pub fn open(driver: F, range: Range<u32>) -> Result<Self, FlashError<F::Error>> {
        let mut flash = Self::unseen(driver, &range)?;
        flash.log.ensure_surveyed()?;
        Ok(flash)
    }

    /// Erases the addresses `range` of a driver, whatever is there, and takes them for records.
    ///
    /// Where the power fails meanwhile, what is left of a log is refused, or lacks no more than the oldest page, whose records
    /// are missed if they were not dropped.
    ///
    /// # Errors
    ///
    /// [`FlashError::Range`] leaves the flash as it was.
    pub fn format(driver: F, range: Range<u32>) -> Result<Self, FlashError<F::Error>> {
        let mut flash = Self::unseen(driver, &range)?;
        flash.log.erase()?;
        flash.log.ensure_surveyed()?;
        Ok(flash)
    }

    /// Gives the driver back.
    pub fn into_driver(self) -> F {
        self.log.pages.driver
    }

    fn unseen(driver: F, range: &Range<u32>) -> Result<Self, FlashError<F::Error>> {
        let page = Pages::<F>::PAGE_BYTES;
        let count = range.end.saturating_sub(range.start) / page;
        let end = usize::try_from(range.end).unwrap_or(usize::MAX);
        let is_whole = range.start.is_multiple_of(page) && range.end.is_multiple_of(page);
        match NonZeroU32::new(count) {
            Some(count) if is_whole && count.get() >= PAGES_MIN && end <= driver.capacity() => {
                let pages = Pages::new(driver, range.start, count);
                Ok(Self {
                    log: Log::new(pages, Self::LONGEST),
                })
            }
            _ => Err(FlashError::Range),
        }
    }
}

impl<F: NorFlash, const RECORD: usize> Storage for Flash<F, RECORD> {
    type Error = FlashError<F::Error>;

    const RECORD_MAX: usize = RECORD;
    const OVERHEAD: usize = 2 * Pages::<F>::WORD - 1;

    fn capacity(&self) -> usize {
        let pages = usize::try_from(self.log.pages.count()).unwrap_or(0);
        let torn = usize::try_from(self.log.torn()).unwrap_or(usize::MAX);
        let room = pages.saturating_sub(1).saturating_mul(Self::PAGE_ROOM);
        room.saturating_sub(torn.max(Self::PAGE_ROOM))
    }

    fn read(&mut self, mut visit: impl FnMut(&[u8])) -> Result<(), Self::Error> {
        self.log.ensure_surveyed()?;
        let mut buffer = [0; RECORD];
        let mut cursor = self.log.first();
        while let Some(found) = self.log.next(&mut cursor)? {
            visit(self.log.read(found, &mut buffer)?);
        }
        Ok(())
    }

    fn append(&mut self, record: &[u8]) -> Result<(), Self::Error> {
        self.log.append(record)
    }

    /// What a NOR flash has written is durable, so there is nothing to wait for.
    fn sync(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    fn trim(&mut self, mut is_stale: impl FnMut(&[u8]) -> bool) -> Result<(), Self::Error> {
        self.log.ensure_surveyed()?;
        let mut buffer = [0; RECORD];
        let mut cursor = self.log.first();
        let kept = loop {
            match self.log.next(&mut cursor)? {
                Some(found) if is_stale(self.log.read(found, &mut buffer)?) => {}
                kept => break kept,
            }
        };
        self.log.drop_before(kept, cursor)
    }
}

/// What flash storage does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FlashError<E> {
    /// The driver failed, and says why.
    Driver(E),
    /// The record was not appended: there is no room until some are dropped.
    Full,
    /// The record was not appended: it is longer than a record may be.
    TooLong,
    /// The flash was not opened: the addresses are not whole pages, at least three of them, of what the driver has.
    Range,
    /// The flash was not opened: there is no log in it, and something else. If that is not needed, [`Flash::format`] takes
    /// its pages.
    Foreign,
    /// The records cannot be read: bits have changed on their own, or the flash was opened with a smaller `RECORD`. What
    /// was durable may be gone, so a node that has voted comes back as a learner: [`Node::learn`](crate::Node::learn).
    Damaged,
}

impl<E> From<E> for FlashError<E> {
    fn from(error: E) -> Self {
        Self::Driver(error)
    }
}

impl<E: Debug> fmt::Display for FlashError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Driver(error) => write!(f, "the flash failed: {error:?}"),
            Self::Full => f.write_str("the record was not appended: the flash is full"),
            Self::TooLong => f.write_str("the record was not appended: it is too long"),
            Self::Range => f.write_str(
                "the flash was not opened: its addresses are not three whole pages or more",
            ),
            Self::Foreign => f.write_str("the flash was not opened: it holds something else"),
            Self::Damaged => f.write_str("the records cannot be read: the flash is damaged"),
        }
    }
}

impl<E: Debug> core::error::Error for FlashError<E> {}
