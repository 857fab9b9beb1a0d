//! The pages of a flash, used in a circle: headers, marks and words.
//!
//! A page begins with a header and three marks:
//!
//! | part | bytes | written |
//! |---|---|---|
//! | header | 12, in whole words: the format, the page's number, CRC-32 of both | when the page has been erased |
//! | closed | a word | before the next page is erased |
//! | followed | a word | when the next page has its header |
//! | dropped | a word | when all of its records are dropped |
//!
//! A mark is set by clearing its word. A word that is not blank any more was written, perhaps in part.

use crate::checksum::crc32;
use core::num::NonZeroU32;
use embedded_storage::nor_flash::NorFlash;

/// The maximum length of a word in bytes.
/// The largest is that of flash with a checksum for every 256 bits.
const WORD_MAX: usize = 32;

/// "SYN", and the version of the format.
const FORMAT: u32 = u32::from_le_bytes([b'S', b'Y', b'N', 1]);

/// The bytes of a header that are used.
const HEADER: usize = 12;

/// The marks of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// No more records are appended to it, and the next page may be erased.
    Closed,
    /// The next page has begun.
    Followed,
    /// All of its records, and those of the pages before it, are dropped.
    Dropped,
}

/// A word as it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    /// Its first four bytes.
    pub(super) value: u32,
    /// True if all of its bits are set.
    pub(super) is_blank: bool,
}

/// Consecutive pages of a driver. Page number *n* is located at place *n* modulo their number.
#[derive(Clone, Debug)]
pub(super) struct Pages<F> {
    pub(super) driver: F,
    /// The address of the first page, in bytes.
    start: u32,
    count: NonZeroU32,
}

impl<F: NorFlash> Pages<F> {
    /// The length of a word in bytes: the largest of the driver's write size, its read size, and the header of a
    /// record.
    pub(super) const WORD: usize = {
        let mut word = 4;
        if F::WRITE_SIZE > word {
            word = F::WRITE_SIZE;
        }
        if F::READ_SIZE > word {
            word = F::READ_SIZE;
        }
        assert!(
            word <= WORD_MAX
                && word.is_multiple_of(F::WRITE_SIZE)
                && word.is_multiple_of(F::READ_SIZE),
            "Words of 1 to 32 bytes, in powers of two, can be used."
        );
        word
    };

    /// The length of a page in bytes.
    pub(super) const PAGE: usize = {
        assert!(
            F::ERASE_SIZE < 1 << 31,
            "Addresses are numbers of 32 bits, and a page is not all of them."
        );
        assert!(
            F::ERASE_SIZE.is_multiple_of(Self::WORD),
            "A page is a whole number of words."
        );
        F::ERASE_SIZE
    };

    /// The offset of the marks in a page, and so the length of its header.
    const MARKS: usize = {
        let marks = HEADER.next_multiple_of(Self::WORD);
        assert!(
            marks <= WORD_MAX,
            "A header is written from a buffer as long as the longest word."
        );
        marks
    };

    /// The offset of the records in a page.
    pub(super) const RECORDS: usize = Self::MARKS + 3 * Self::WORD;

    pub(super) const WORD_BYTES: u32 = short(Self::WORD);
    pub(super) const PAGE_BYTES: u32 = short(Self::PAGE);
    pub(super) const RECORDS_AT: u32 = short(Self::RECORDS);

    /// The format, and the length of the words.
    const MAGIC: u32 = FORMAT ^ Self::WORD_BYTES << 8;

    pub(super) const fn new(driver: F, start: u32, count: NonZeroU32) -> Self {
        Self {
            driver,
            start,
            count,
        }
    }

    pub(super) const fn count(&self) -> u32 {
        self.count.get()
    }

    /// Returns the number of the page at a place, if it has a valid header.
    pub(super) fn number_at(&mut self, place: u32) -> Result<Option<u32>, F::Error> {
        let mut bytes = [u8::MAX; WORD_MAX];
        let from = self.address(place, 0);
        let header = bytes.get_mut(..Self::MARKS).unwrap_or_default();
        self.driver.read(from, header)?;
        let mut reader = crate::Reader::new(&bytes);
        let (Some(magic), Some(page), Some(check)) = (reader.u32(), reader.u32(), reader.u32())
        else {
            return Ok(None);
        };
        // A header at the wrong place is one of a flash that was opened with other addresses.
        let is_header = magic == Self::MAGIC
            && check == header_check(magic, page)
            && page % self.count == place % self.count;
        Ok(is_header.then_some(page))
    }

    /// Returns the highest number of all pages.
    pub(super) fn newest(&mut self) -> Result<Option<u32>, F::Error> {
        let mut newest = None;
        for place in 0..self.count() {
            // A page without a header counts as none, be it blank or cut short.
            newest = newest.max(self.number_at(place)?);
        }
        Ok(newest)
    }

    /// Erases a page and writes its header, which makes it the newest one.
    pub(super) fn begin(&mut self, page: u32) -> Result<(), F::Error> {
        self.erase(page)?;
        let parts = [Self::MAGIC, page, header_check(Self::MAGIC, page)];
        let mut bytes = [u8::MAX; WORD_MAX];
        let parts = parts.into_iter().flat_map(u32::to_le_bytes);
        for (byte, part) in bytes.iter_mut().zip(parts) {
            *byte = part;
        }
        let header = bytes.get(..Self::MARKS).unwrap_or_default();
        // In one write, which a loss of power may cut at any word. Its checksum then does not match.
        self.driver.write(self.address(page, 0), header)
    }

    /// Erases a page, of which nothing may be needed.
    pub(super) fn erase(&mut self, page: u32) -> Result<(), F::Error> {
        let from = self.address(page, 0);
        let to = from.saturating_add(Self::PAGE_BYTES);
        self.driver.erase(from, to)
    }

    /// Returns the word of a mark.
    pub(super) fn mark(&mut self, page: u32, mark: Mark) -> Result<Word, F::Error> {
        self.word(page, Self::mark_at(mark))
    }

    /// Sets a mark, unless it is set, perhaps in part.
    pub(super) fn set(&mut self, page: u32, mark: Mark) -> Result<(), F::Error> {
        if !self.mark(page, mark)?.is_blank {
            return Ok(());
        }
        self.write_word(page, Self::mark_at(mark), [0; WORD_MAX])
    }

    const fn mark_at(mark: Mark) -> u32 {
        let nth = match mark {
            Mark::Closed => 0,
            Mark::Followed => 1,
            Mark::Dropped => 2,
        };
        short(Self::MARKS) + nth * Self::WORD_BYTES
    }

    pub(super) fn word(&mut self, page: u32, at: u32) -> Result<Word, F::Error> {
        let mut bytes = [u8::MAX; WORD_MAX];
        let word = bytes.get_mut(..Self::WORD).unwrap_or_default();
        self.driver.read(self.address(page, at), word)?;
        Ok(Word {
            value: crate::Reader::new(&bytes).u32().unwrap_or(u32::MAX),
            is_blank: bytes.iter().all(|byte| *byte == u8::MAX),
        })
    }

    /// True if all bits are set from an offset in a page to its end.
    pub(super) fn is_blank(&mut self, page: u32, mut at: u32) -> Result<bool, F::Error> {
        while at < Self::PAGE_BYTES {
            if !self.word(page, at)?.is_blank {
                return Ok(false);
            }
            at = at.saturating_add(Self::WORD_BYTES);
        }
        Ok(true)
    }

    /// Writes a word with a value in its first four bytes.
    pub(super) fn write_value(&mut self, page: u32, at: u32, value: u32) -> Result<(), F::Error> {
        let mut bytes = [u8::MAX; WORD_MAX];
        for (byte, of_value) in bytes.iter_mut().zip(value.to_le_bytes()) {
            *byte = of_value;
        }
        self.write_word(page, at, bytes)
    }

    /// Writes bytes in whole words.
    pub(super) fn write(&mut self, page: u32, at: u32, bytes: &[u8]) -> Result<(), F::Error> {
        let (whole, rest) = bytes
            .split_at_checked(bytes.len() / Self::WORD * Self::WORD)
            .unwrap_or_default();
        debug_assert!(
            usize::try_from(at).is_ok_and(|at| at + bytes.len() <= Self::PAGE),
            "bytes are written within a page"
        );
        if !whole.is_empty() {
            self.driver.write(self.address(page, at), whole)?;
        }
        if rest.is_empty() {
            return Ok(());
        }
        // The bytes that fill the last word are as they were erased, and belong to no record.
        let mut last = [u8::MAX; WORD_MAX];
        for (byte, of_rest) in last.iter_mut().zip(rest) {
            *byte = *of_rest;
        }
        let at = at.saturating_add(u32::try_from(whole.len()).unwrap_or(u32::MAX));
        self.write_word(page, at, last)
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn write_word(&mut self, page: u32, at: u32, bytes: [u8; WORD_MAX]) -> Result<(), F::Error> {
        debug_assert!(
            at.is_multiple_of(Self::WORD_BYTES) && at < Self::PAGE_BYTES,
            "a word is written within a page, and as a whole"
        );
        let word = bytes.get(..Self::WORD).unwrap_or_default();
        self.driver.write(self.address(page, at), word)
    }

    /// Reads a whole number of words.
    pub(super) fn read(&mut self, page: u32, at: u32, bytes: &mut [u8]) -> Result<(), F::Error> {
        debug_assert!(
            bytes.len().is_multiple_of(Self::WORD),
            "a driver reads no part of a word"
        );
        debug_assert!(
            usize::try_from(at).is_ok_and(|at| at + bytes.len() <= Self::PAGE),
            "a record is read beyond its page, and so in part from another one"
        );
        self.driver.read(self.address(page, at), bytes)
    }

    /// Returns the address of an offset in a page.
    /// A place and a page number are both taken, as a place is its own remainder.
    fn address(&self, page: u32, at: u32) -> u32 {
        debug_assert!(
            at <= Self::PAGE_BYTES,
            "an offset beyond its page is that of another one"
        );
        (page % self.count)
            .saturating_mul(Self::PAGE_BYTES)
            .saturating_add(at)
            .saturating_add(self.start)
    }
}

/// Returns the checksum of a header. A header that power has cut short does not match it, so that its page is erased again.
fn header_check(magic: u32, page: u32) -> u32 {
    crc32(&(u64::from(page) << 32 | u64::from(magic)).to_le_bytes())
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "usize to u32 in a constant, of what is asserted to be less than a page may have"
)]
const fn short(bytes: usize) -> u32 {
    bytes as u32
}
