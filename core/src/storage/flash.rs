//! Storage in NOR flash, internal or external to a microcontroller.
//!
//! The figure shows four pages of a flash in use, of which page 7 is the newest. Page numbers only grow; a page is
//! located at its number modulo the number of pages, so page 8 will replace page 4.
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
//! An append for which page 7 has no room left takes the following writes, in this order. Power may fail during each of
//! them:
//!
//! | write | result of a power loss during it | recovery at the next start |
//! |---|---|---|
//! | page 7: *closed* | a partial mark | closed: the mark is not blank, and nothing was appended since |
//! | page 8: erase | page 4, or any bytes | page 7 is the newest, and closed: page 8 is erased again before it is used |
//! | page 8: header | a partial header | its CRC-32 does not match: as above |
//! | page 7: *followed* | a partial mark | page 8 has a header and is the newest; the mark is completed before its first record |
//! | page 8: length | some of its bits | not a valid length, and nothing after it: a `TEAR` is written after it with the next record |
//! | page 8: bytes | the length, and some of the bytes | a record that its reader finds garbled, and which was not synced |
//!
//! The mark *followed* covers a header that rots: a page with this mark cannot be the newest, so if it is the newest
//! that is found, the flash is reported as damaged and not taken for a shorter log. To drop records, the start of the
//! log is moved in memory, and each page that has no records left is marked as *dropped*. A loss of power before that
//! brings back the records of one page at most.

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

/// The minimum number of pages: one whose records are being dropped, one that is being written, and one for records
/// that losses of power have torn.
const PAGES_MIN: u32 = 3;

/// Storage for records of at most `RECORD` bytes in the pages of a NOR flash. `F` is a blocking driver.
///
/// The records form a log that uses the pages in a circle, so that all of them wear evenly. A page is always erased
/// right before it is used, and no word is written twice between two erases, so flash with ECC (a checksum for each
/// word) can be used. Before its first use, a flash must be erased or contain such a log; [`Flash::format`] prepares
/// any other.
///
/// # Capacity
///
/// With words of *w* bytes, a property of the driver and at least 4, a record takes one word plus its own bytes in
/// whole words: at most [`OVERHEAD`](Storage::OVERHEAD) = 2*w* − 1 bytes more than its length. A page of *p* bytes
/// begins with a header of 12 bytes in whole words and three more words; at its end up to `RECORD` bytes remain unused
/// if the next record does not fit. With words of 4 bytes, *p* − 24 − `RECORD` bytes of each page are counted.
/// [`Storage::capacity`] counts all pages but two: the oldest page may contain both dropped and needed records, and is
/// only erased as a whole; and each loss of power can tear a record. The remains of a torn record are read as a record,
/// and count as one, or take two words. The reserve is enough for as many of those as fit into a page. More of them
/// reduce the capacity until they are dropped, so an append within the capacity never fails.
///
/// In memory it takes the driver and 40 bytes, and `RECORD` bytes of stack during reads and trims.
///
/// # Cost of each call
///
/// | call | words written | pages erased |
/// |---|---|---|
/// | [`Flash::open`] | none | none |
/// | [`append`](Storage::append) | the record's; a header and two marks if a page begins; one after a torn record | one if a page begins; two on new flash |
/// | [`sync`](Storage::sync) | none: writes are durable at once | none |
/// | [`trim`](Storage::trim) | one for each page without records left | none |
/// | [`read`](Storage::read) | none | none |
///
/// To open a flash, the start of each page and the header of each record are read. The ends of the log are held in
/// memory, so an append reads no more than a word or two, and only if a page begins.
///
/// # Loss of power
///
/// A record is durable when `append` returns. Of a torn record nothing is read, or as many bytes as it had. Dropped
/// records reappear from the last page on that still has needed ones. A page that was being erased contains any bytes;
/// the page before it tells so, and it is erased again before it is used.
///
/// The driver must guarantee that the effect of [`write`](NorFlash::write) or [`erase`](NorFlash::erase) is durable
/// when the call returns; that a word whose write was cut short can be read, with any value; and that it can be written
/// if it reads as erased.
///
/// # Bit rot
///
/// Changed bits in a record are detected by its reader, see [`Storage`]. If they hide a record or a page that was not
/// dropped, the flash returns [`FlashError::Damaged`] and not fewer records; but a change that marks the newest page as
/// full can hide the oldest records, which is detected by their numbers. The flash does not mark how far was synced: if
/// the last record and its seal are both garbled, they are taken for torn, see [`Storage`].
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
    /// The number of bytes that a page provides for records, whatever their lengths.
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

    /// Opens the addresses `range` of a driver. Nothing is written: new flash is prepared with the first record.
    ///
    /// # Errors
    ///
    /// [`FlashError::Range`], [`FlashError::Foreign`] or [`FlashError::Damaged`].
    pub fn open(driver: F, range: Range<u32>) -> Result<Self, FlashError<F::Error>> {
        let mut flash = Self::unseen(driver, &range)?;
        flash.log.ensure_surveyed()?;
        Ok(flash)
    }

    /// Erases the addresses `range` of a driver, whatever they contain, and opens them.
    ///
    /// If power fails meanwhile, the remains of an earlier log are rejected, or lack no more than the oldest page,
    /// whose records are missed unless they were dropped.
    ///
    /// # Errors
    ///
    /// [`FlashError::Range`]; the flash was not changed. [`FlashError::Driver`]; it may be erased in part.
    pub fn format(driver: F, range: Range<u32>) -> Result<Self, FlashError<F::Error>> {
        let mut flash = Self::unseen(driver, &range)?;
        flash.log.erase()?;
        flash.log.ensure_surveyed()?;
        Ok(flash)
    }

    /// Returns the driver.
    pub fn into_driver(self) -> F {
        self.log.pages.driver
    }

    /// Takes a driver without reading anything, if its addresses can hold a log.
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
        // One page is not counted for records that are dropped in part, and one more for torn ones, or as much as they take.
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

    /// A NOR flash is durable as soon as it is written, so there is nothing to wait for.
    fn sync(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    fn trim(&mut self, mut is_stale: impl FnMut(&[u8]) -> bool) -> Result<(), Self::Error> {
        self.log.ensure_surveyed()?;
        let mut buffer = [0; RECORD];
        let mut cursor = self.log.first();
        let kept = loop {
            match self.log.next(&mut cursor)? {
                // The walk ends at the first record that is needed, or at the end of the log.
                Some(found) if is_stale(self.log.read(found, &mut buffer)?) => {}
                kept => break kept,
            }
        };
        self.log.drop_before(kept, cursor)
    }
}

/// Errors of storage in flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FlashError<E> {
    /// The driver has failed with this error.
    Driver(E),
    /// The record was not appended: there is no room until some are dropped.
    Full,
    /// The record was not appended: it is longer than `RECORD`.
    TooLong,
    /// The flash was not opened: the addresses are not at least three whole pages within the capacity of the driver.
    Range,
    /// The flash was not opened: it contains something other than a log. If that is not needed, [`Flash::format`]
    /// erases it.
    Foreign,
    /// The records cannot be read: bits have changed on their own, or the flash was opened with a smaller `RECORD`.
    /// Durable records may be lost, so a node that has voted returns as a learner: [`Node::learn`](crate::Node::learn).
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
