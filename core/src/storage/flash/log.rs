//! The log in flash: consecutive records in consecutive pages.
//!
//! A record is a word with its length and the complement of the length, followed by its bytes in whole words. The word
//! is written before the bytes. A word that a loss of power has torn has bits set in both halves that should be set in
//! only one, so it is not a valid length. Nothing follows it, and the next record begins two words further, after a
//! word that marks the tear. So a length that has rotted is distinguished from one that was torn.

use super::FlashError;
use super::pages::{Mark, Pages};
use embedded_storage::nor_flash::NorFlash;

/// The mark after a torn length. Some bits are set in both of its halves and some in none, so that no part of it is a
/// length, and no part of a length is this mark.
const TEAR: u32 = 0x7EA2_0C1D;
const _: () = assert!(
    TEAR & TEAR >> 16 & 0xFFFF != 0 && (TEAR | TEAR >> 16) & 0xFFFF != 0xFFFF,
    "It is told from what is left of a length, and a length from what is left of it."
);

/// A position in the log, and what was found on the way to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    pub(super) page: u32,
    /// The offset in the page, in bytes and always at a word; at the end of a page its length.
    at: u32,
    /// The bytes that were passed and belong to no record.
    torn: u32,
    /// The remains of a length, if one was torn right before this position.
    tear: Option<u32>,
}

impl Cursor {
    /// A position before which nothing was passed.
    const fn new(page: u32, at: u32) -> Self {
        Self {
            page,
            at,
            torn: 0,
            tear: None,
        }
    }
}

/// The position of a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) page: u32,
    /// The offset of its bytes, behind the word with their length.
    at: u32,
    /// The length in bytes, without those that fill its last word.
    length: usize,
}

/// The state of a log.
#[derive(Clone, Debug)]
pub(super) struct Log<F> {
    pub(super) pages: Pages<F>,
    /// The number of the newest page; `None` on new flash. Page 0 never has records: it exists so that each page with
    /// records has a predecessor that holds its marks.
    newest: Option<u32>,
    /// The offset of the next record in the newest page.
    tail: u32,
    /// True if there is a torn length right before `tail`.
    is_torn: bool,
    /// True if nothing more is appended to the newest page: the next record begins a page. New flash counts as closed.
    is_closed: bool,
    /// The page and the offset of the first record that was not dropped.
    first: (u32, u32),
    /// The bytes from there on that belong to no record.
    torn: u32,
    /// The maximum length of a record in bytes.
    longest: u32,
    /// True if this state has to be read from the flash: it was never read, or the driver has failed since.
    needs_survey: bool,
}

impl<F: NorFlash> Log<F> {
    /// Creates a log whose state has not been read yet.
    pub(super) const fn new(pages: Pages<F>, longest: u32) -> Self {
        Self {
            pages,
            // As if a page before the first one were full, so that the first record begins a page.
            newest: None,
            tail: Pages::<F>::PAGE_BYTES,
            is_torn: false,
            is_closed: true,
            first: (1, Pages::<F>::RECORDS_AT),
            torn: 0,
            longest,
            needs_survey: true,
        }
    }

    /// Returns the bytes that belong to no record, in the pages that were not dropped.
    pub(super) const fn torn(&self) -> u32 {
        self.torn
    }

    /// Reads the state from the flash if necessary. Writes nothing.
    pub(super) fn ensure_surveyed(&mut self) -> Result<(), FlashError<F::Error>> {
        if self.needs_survey {
            self.survey()?;
            debug_assert!(
                self.first.0 >= 1,
                "page 0 has no records: it is there for the marks of page 1"
            );
            debug_assert!(
                self.newest.is_some_and(|newest| newest > 0) || self.is_closed,
                "without a page of records the next one begins a page"
            );
            self.needs_survey = false;
        }
        Ok(())
    }

    /// Finds the ends of the log, whatever was known of them before.
    fn survey(&mut self) -> Result<(), FlashError<F::Error>> {
        self.first = (1, Pages::<F>::RECORDS_AT);
        self.torn = 0;
        self.tail = Pages::<F>::PAGE_BYTES;
        self.is_torn = false;
        self.is_closed = true;
        // From the headers alone: which of the pages have records in use follows from here.
        self.newest = self.pages.newest()?;
        let Some(newest) = self.newest else {
            return self.survey_blank();
        };
        if !self.pages.mark(newest, Mark::Followed)?.is_blank {
            // The page after it had begun, and is missing.
            return Err(FlashError::Damaged);
        }
        if newest == 0 {
            // Power failed before the first page with records had its header. It is closed, so the next append begins it.
            return Ok(());
        }
        self.is_closed = !self.pages.mark(newest, Mark::Closed)?.is_blank;
        let oldest = self.oldest(newest)?;
        self.first = (oldest, Pages::<F>::RECORDS_AT);
        let mut cursor = self.first();
        while self.next(&mut cursor)?.is_some() {}
        debug_assert!(
            oldest <= newest && cursor.page == newest,
            "the log ends in the newest page"
        );
        self.tail = cursor.at;
        self.is_torn = cursor.tear.is_some();
        self.torn = cursor.torn;
        Ok(())
    }

    /// Handles a flash without a valid page: it is new, or its very first page was cut short. That is page 0, at place 0, so all
    /// other places must be blank; what is in them otherwise is not ours to erase.
    fn survey_blank(&mut self) -> Result<(), FlashError<F::Error>> {
        for page in 1..self.pages.count() {
            if !self.pages.is_blank(page, 0)? {
                return Err(FlashError::Foreign);
            }
        }
        Ok(())
    }

    /// Returns the oldest page whose records were not dropped. All pages from there on are valid, or something has
    /// rotted: only the page after the newest one is ever erased, and only once the newest is closed.
    fn oldest(&mut self, newest: u32) -> Result<u32, FlashError<F::Error>> {
        // Once the newest page is closed, the one at the place behind it may have been erased in part.
        let others = self.pages.count().saturating_sub(1);
        let intact = others.saturating_sub(u32::from(self.is_closed));
        let mut oldest = newest;
        while oldest > newest.saturating_sub(intact) {
            let before = oldest.saturating_sub(1);
            let dropped = self.pages.mark(before, Mark::Dropped)?;
            // A few bits may have changed on their own; and a torn mark does not count, which brings back dropped records at
            // worst.
            if dropped.value.count_zeros() > u32::BITS / 2 {
                break;
            }
            if self.pages.number_at(before)? != Some(before) {
                return Err(FlashError::Damaged);
            }
            oldest = before;
        }
        // The very first page is only looked for.
        Ok(oldest.max(1))
    }

    /// Erases all pages, from the oldest to the newest: in between, the log lacks its oldest records, which is
    /// detected.
    pub(super) fn erase(&mut self) -> Result<(), F::Error> {
        let newest = self.pages.newest()?.unwrap_or(0);
        // The page behind the newest one is the oldest.
        for behind in 1..=self.pages.count() {
            self.pages.erase(newest.wrapping_add(behind))?;
        }
        Ok(())
    }

    /// Returns the position of the first record that was not dropped.
    pub(super) const fn first(&self) -> Cursor {
        Cursor::new(self.first.0, self.first.1)
    }

    /// Returns the next record from a position on, and moves the position past it, or to the end.
    pub(super) fn next(
        &mut self,
        cursor: &mut Cursor,
    ) -> Result<Option<Found>, FlashError<F::Error>> {
        while cursor.page <= self.newest.unwrap_or(0) {
            debug_assert!(
                cursor.at.is_multiple_of(Pages::<F>::WORD_BYTES)
                    && cursor.at <= Pages::<F>::PAGE_BYTES,
                "a position is at a word, or at the end of a page"
            );
            if cursor.at < Pages::<F>::PAGE_BYTES {
                let word = self.pages.word(cursor.page, cursor.at)?;
                if !word.is_blank {
                    if let Some(length) = length(word.value) {
                        return self.skip_record(cursor, length).map(Some);
                    }
                    self.skip_torn(cursor, word.value)?;
                    continue;
                }
            }
            if Some(cursor.page) == self.newest {
                break;
            }
            // The count goes on over all pages.
            let torn = cursor.torn;
            *cursor = Cursor::new(cursor.page.saturating_add(1), Pages::<F>::RECORDS_AT);
            cursor.torn = torn;
        }
        Ok(None)
    }

    /// Moves a position past a record.
    fn skip_record(&self, cursor: &mut Cursor, length: u16) -> Result<Found, FlashError<F::Error>> {
        // A length that cannot have been written has rotted in both halves at once, or was written with a larger `RECORD`.
        let at = cursor.at.saturating_add(Pages::<F>::WORD_BYTES);
        let end = at.saturating_add(u32::from(length).next_multiple_of(Pages::<F>::WORD_BYTES));
        if u32::from(length) > self.longest || end > Pages::<F>::PAGE_BYTES {
            return Err(FlashError::Damaged);
        }
        cursor.at = end;
        cursor.tear = None;
        Ok(Found {
            page: cursor.page,
            at,
            length: length.into(),
        })
    }

    /// Moves a position past a torn length and the mark after it.
    fn skip_torn(&mut self, cursor: &mut Cursor, left: u32) -> Result<(), FlashError<F::Error>> {
        // A torn word has bits set that should be clear, and none clear that should be set: a length and its complement have
        // every bit set in one of them.
        if (left | left >> 16) & 0xFFFF != 0xFFFF {
            return Err(FlashError::Damaged);
        }
        let start = cursor.at;
        // The mark is counted even if it has not been written yet.
        let mut due = Pages::<F>::WORD_BYTES;
        loop {
            cursor.at = cursor.at.saturating_add(Pages::<F>::WORD_BYTES);
            if self.pages.is_blank(cursor.page, cursor.at)? {
                cursor.tear = Some(start);
                break;
            }
            let value = self.pages.word(cursor.page, cursor.at)?.value;
            if value == TEAR {
                cursor.at = cursor.at.saturating_add(Pages::<F>::WORD_BYTES);
                due = 0;
                break;
            }
            // The mark may have been torn as well.
            if value & TEAR != TEAR {
                return Err(FlashError::Damaged);
            }
        }
        let passed = cursor.at.saturating_sub(start).saturating_add(due);
        cursor.torn = cursor.torn.saturating_add(passed);
        Ok(())
    }

    /// Reads a record into a buffer that has room for the longest one.
    pub(super) fn read<'b>(
        &mut self,
        found: Found,
        buffer: &'b mut [u8],
    ) -> Result<&'b [u8], FlashError<F::Error>> {
        let words = found.length.next_multiple_of(Pages::<F>::WORD);
        let Some(bytes) = buffer.get_mut(..words) else {
            return Err(FlashError::Damaged);
        };
        self.pages.read(found.page, found.at, bytes)?;
        Ok(buffer.get(..found.length).unwrap_or_default())
    }

    /// Appends a record.
    pub(super) fn append(&mut self, record: &[u8]) -> Result<(), FlashError<F::Error>> {
        let length = u16::try_from(record.len()).map_err(|_| FlashError::TooLong)?;
        if u32::from(length) > self.longest {
            return Err(FlashError::TooLong);
        }
        self.ensure_surveyed()?;
        let bytes = u32::from(length).next_multiple_of(Pages::<F>::WORD_BYTES);
        // The word with the length, and before it the mark of a tear.
        let words = 1 + u32::from(self.is_torn);
        let needed = bytes.saturating_add(words * Pages::<F>::WORD_BYTES);
        let begins = self.is_closed || needed > Pages::<F>::PAGE_BYTES.saturating_sub(self.tail);
        if begins && self.is_full() {
            return Err(FlashError::Full);
        }
        // Until the record is complete: if the driver fails in between, only the flash knows how much was written.
        self.needs_survey = true;
        self.write(record, length, begins)?;
        debug_assert!(
            self.tail <= Pages::<F>::PAGE_BYTES,
            "a record reaches beyond its page"
        );
        debug_assert!(
            self.first.0 <= self.newest.unwrap_or(0),
            "the first record is behind the newest page"
        );
        self.needs_survey = false;
        Ok(())
    }

    /// True if the page after the newest one has records that were not dropped.
    fn is_full(&self) -> bool {
        let newest = self.newest.unwrap_or(0);
        newest == u32::MAX || newest.saturating_sub(self.first.0) >= self.pages.count() - 1
    }

    /// Writes a record at the end of the log, and what must be written before it.
    fn write(&mut self, record: &[u8], length: u16, begins: bool) -> Result<(), F::Error> {
        if begins {
            self.begin_page()?;
        }
        debug_assert!(
            !self.is_closed && self.newest.is_some(),
            "a record is appended to a page that is closed, behind which a page may be erased"
        );
        let page = self.newest.unwrap_or(0);
        if self.tail == Pages::<F>::RECORDS_AT {
            // Power may have failed right before, and the loss of a record that is written now must be detected.
            self.pages.set(page.saturating_sub(1), Mark::Followed)?;
        }
        if self.is_torn {
            self.pages.write_value(page, self.tail, TEAR)?;
            self.tail = self.tail.saturating_add(Pages::<F>::WORD_BYTES);
            self.is_torn = false;
        }
        let header = u32::from(length) | u32::from(!length) << 16;
        self.pages.write_value(page, self.tail, header)?;
        // The bytes come after the length: a record whose bytes are torn still tells where the next one begins.
        let at = self.tail.saturating_add(Pages::<F>::WORD_BYTES);
        self.pages.write(page, at, record)?;
        self.tail = at.saturating_add(u32::from(length).next_multiple_of(Pages::<F>::WORD_BYTES));
        Ok(())
    }

    /// Closes the newest page, and begins the next one.
    fn begin_page(&mut self) -> Result<(), F::Error> {
        let newest = if let Some(newest) = self.newest {
            self.pages.set(newest, Mark::Closed)?;
            newest
        } else {
            self.pages.begin(0)?;
            0
        };
        let page = newest.saturating_add(1);
        debug_assert!(
            page.saturating_sub(self.first.0) < self.pages.count(),
            "would erase a page with records that are needed"
        );
        self.pages.begin(page)?;
        self.newest = Some(page);
        self.tail = Pages::<F>::RECORDS_AT;
        self.is_torn = false;
        self.is_closed = false;
        Ok(())
    }

    /// Drops all records before a position: that of a record, or the end.
    pub(super) fn drop_before(
        &mut self,
        found: Option<Found>,
        cursor: Cursor,
    ) -> Result<(), FlashError<F::Error>> {
        let word = Pages::<F>::WORD_BYTES;
        let (page, at, torn) = match (found, cursor.tear) {
            (Some(found), _) => (found.page, found.at.saturating_sub(word), 0),
            // The mark after it is still to come.
            (None, Some(tear)) => (
                cursor.page,
                tear,
                cursor.at.saturating_sub(tear).saturating_add(word),
            ),
            (None, None) => (cursor.page, cursor.at, 0),
        };
        debug_assert!(
            (page, at) >= self.first,
            "the start of the log never moves back"
        );
        debug_assert!(
            page <= self.newest.unwrap_or(0).max(1),
            "records are dropped that were never written"
        );
        self.needs_survey = true;
        // From the oldest page on, so that the pages that are marked never have one before them that is not.
        for emptied in self.first.0..page {
            self.pages.set(emptied, Mark::Dropped)?;
        }
        self.needs_survey = false;
        self.first = (page, at);
        self.torn = self.torn.saturating_sub(cursor.torn).saturating_add(torn);
        Ok(())
    }
}

#[cfg(test)]
impl<F: NorFlash> Log<F> {
    /// Writes a torn length, as a loss of power does; returns false if there was no room for it.
    pub(super) fn tear(&mut self) -> bool {
        let page = self.newest.unwrap_or(0);
        let words = 1 + u32::from(self.is_torn);
        if self.is_closed || self.tail + words * Pages::<F>::WORD_BYTES > Pages::<F>::PAGE_BYTES {
            return false;
        }
        let torn = [TEAR, 0xFFFF_FFEF];
        for value in torn.into_iter().skip(usize::from(!self.is_torn)) {
            assert!(self.pages.write_value(page, self.tail, value).is_ok());
            self.tail += Pages::<F>::WORD_BYTES;
        }
        self.needs_survey = true;
        true
    }
}

/// Returns the length in a word; `None` if it is not valid.
fn length(word: u32) -> Option<u16> {
    let [low, high, not_low, not_high] = word.to_le_bytes();
    let length = u16::from_le_bytes([low, high]);
    (length == !u16::from_le_bytes([not_low, not_high])).then_some(length)
}
