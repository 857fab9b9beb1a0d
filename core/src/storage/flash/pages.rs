//! The pages that the queue is given: the driver's, without the word in front of each that says whether it is erased.
//!
//! The queue of `sequential-storage` sees whether a page is in use from its first and its last word alone. A page whose
//! erase was cut short can hold anything, and so it can pass for one that is empty, or for the one that is being written:
//! what is appended then is lost. And it writes the header of a record in several words, where the flash has small ones;
//! what a cut leaves of a header can join with the header behind it into one that hides records. So two things are kept
//! from it. A page is given to it only once its erase is known to have ended; and its words are at least as long as a
//! header, so that a header is torn within one word and the word behind it is read for itself.

use embedded_storage::nor_flash::{ErrorType, MultiwriteNorFlash};
use embedded_storage_async::nor_flash as waiting;

/// The longest words that the queue knows.
const WORD_MAX: usize = 32;

/// The bytes of an item's header in the queue: a checksum of its data in four, which is 0 where it was dropped; its
/// length in two, and a checksum of that in two.
const HEADER: usize = 8;
const _: () = assert!(
    check(0) != 0,
    "A word that is cleared is no header, and is skipped."
);

/// What stands in front of a page whose erase has ended. It is cleared before the next erase.
const MARK: u64 = 0x5379_6E6F_64A5_5AC3;

/// So many of the mark's bits may have changed on their own. A page that an erase left garbage in has come from a cleared
/// mark: that it passes for marked has a chance of one in 2⁵².
const ROT_MAX: u32 = 2;

/// What a page is worth before the queue has seen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worth {
    /// Its last erase has ended: it is the queue's.
    Marked,
    /// All bits are set, and there is no mark: as from the factory, or erased without its mark.
    Blank,
    /// Anything: an erase was cut short, or it is somebody else's.
    Unknown,
}

/// A run of pages of a driver, as the queue sees them.
#[derive(Clone, Debug)]
pub(super) struct Pages<F> {
    pub(super) driver: F,
    /// Where in the driver the first of them begins, in bytes.
    start: u32,
    count: u32,
}

impl<F: MultiwriteNorFlash> Pages<F> {
    /// The bytes of a word: of the longest of the driver's words and a header.
    pub(super) const WORD: usize = {
        let word = if F::WRITE_SIZE > F::READ_SIZE {
            F::WRITE_SIZE
        } else {
            F::READ_SIZE
        };
        let word = if word > HEADER { word } else { HEADER };
        assert!(
            word <= WORD_MAX
                && word.is_multiple_of(F::WRITE_SIZE)
                && word.is_multiple_of(F::READ_SIZE),
            "Words of 1 to 32 bytes, in powers of two, can be used."
        );
        assert!(
            F::ERASE_SIZE > 3 * word && F::ERASE_SIZE.is_multiple_of(word),
            "A page has its mark, two words of the queue, and records."
        );
        word
    };

    /// The bytes of a page as the queue sees it.
    pub(super) const PAGE: usize = F::ERASE_SIZE - Self::WORD;

    #[expect(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        reason = "usize to u32 in a constant; at most 32"
    )]
    const WORD_BYTES: u32 = Self::WORD as u32;

    #[expect(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        reason = "usize to u32 in a constant; asserted"
    )]
    const PAGE_BYTES: u32 = {
        assert!(
            F::ERASE_SIZE < 1 << 31,
            "Addresses are numbers of 32 bits, and a page is not all of them."
        );
        Self::PAGE as u32
    };

    /// The bytes of a page as the driver sees it.
    pub(super) const DRIVER_PAGE_BYTES: u32 = Self::PAGE_BYTES + Self::WORD_BYTES;

    pub(super) const fn new(driver: F, start: u32, count: u32) -> Self {
        Self {
            driver,
            start,
            count,
        }
    }

    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    /// How many bytes the queue is given.
    pub(super) const fn bytes(&self) -> u32 {
        self.count.saturating_mul(Self::PAGE_BYTES)
    }

    pub(super) fn worth(&mut self, page: u32) -> Result<Worth, F::Error> {
        let start = self.start_of(page);
        let (mark, is_erased) = self.word(start)?;
        if (mark ^ MARK).count_ones() <= ROT_MAX {
            return Ok(Worth::Marked);
        }
        if !is_erased {
            return Ok(Worth::Unknown);
        }
        let mut at = Self::WORD_BYTES;
        while at < Self::DRIVER_PAGE_BYTES {
            if !self.word(start.saturating_add(at))?.1 {
                return Ok(Worth::Unknown);
            }
            at = at.saturating_add(Self::WORD_BYTES);
        }
        Ok(Worth::Blank)
    }

    /// Erases a page and marks it. A page that bears a mark is robbed of it first: should the power go, what the erase has
    /// left bears none.
    pub(super) fn renew(&mut self, page: u32) -> Result<(), F::Error> {
        let start = self.start_of(page);
        let end = start.saturating_add(Self::DRIVER_PAGE_BYTES);
        if (self.word(start)?.0 ^ MARK).count_ones() <= ROT_MAX {
            let (cleared, _) = [0; WORD_MAX].split_at(Self::WORD);
            self.driver.write(start, cleared)?;
        }
        self.driver.erase(start, end)?;
        let mut mark = [u8::MAX; WORD_MAX];
        for (byte, of_mark) in mark.iter_mut().zip(MARK.to_le_bytes()) {
            *byte = of_mark;
        }
        self.driver.write(start, mark.split_at(Self::WORD).0)
    }

    /// Clears the header of an item that is longer than any record and has no data: it was torn, and its length passes for
    /// another by chance. The queue would end there for whoever has no room for so much.
    ///
    /// Gives back how many bytes on the page are taken by what was not dropped: by items, and by what is left of some.
    pub(super) fn scrub(&mut self, page: u32, longest: u16) -> Result<u32, F::Error> {
        let start = self.start_of(page);
        let mut taken = 0_u32;
        // Behind the mark and the queue's own first word, and before its last one.
        let mut at = 2 * Self::WORD_BYTES;
        while at < Self::PAGE_BYTES {
            let address = start.saturating_add(at);
            let (header, is_erased) = self.word(address)?;
            if is_erased {
                break;
            }
            at = at.saturating_add(Self::WORD_BYTES);
            let [data @ .., low, high, check_low, check_high] = header.to_le_bytes();
            let length = u16::from_le_bytes([low, high]);
            let mut item = Self::WORD_BYTES;
            if check(length) == u16::from_le_bytes([check_low, check_high]) {
                if length <= longest {
                    let bytes = u32::from(length).next_multiple_of(Self::WORD_BYTES);
                    at = at.saturating_add(bytes);
                    item = item.saturating_add(bytes);
                } else if self.word(start.saturating_add(at))?.1 {
                    let (cleared, _) = [0; WORD_MAX].split_at(Self::WORD);
                    self.write_word(address, cleared)?;
                }
            }
            if data != [0; 4] {
                taken = taken.saturating_add(item);
            }
        }
        Ok(taken)
    }

    /// Writes a word as far as it differs from what is there. The queue writes a header's length again where it drops a
    /// record, and the whole last word of a page where that was torn; some flash bears no third time.
    fn write_word(&mut self, at: u32, word: &[u8]) -> Result<(), F::Error> {
        let mut there = [u8::MAX; WORD_MAX];
        self.driver.read(at, there.split_at_mut(Self::WORD).0)?;
        let is_new = |(new, old): (&u8, &u8)| old & !new != 0;
        let mut pairs = word.iter().zip(&there);
        let Some(first) = pairs.clone().position(is_new) else {
            return Ok(());
        };
        let last = pairs.rposition(is_new).unwrap_or(first);
        let first = first / F::WRITE_SIZE * F::WRITE_SIZE;
        let end = last.saturating_add(1).next_multiple_of(F::WRITE_SIZE);
        let changed = word.get(first..end).unwrap_or(word);
        let skipped = u32::try_from(first).unwrap_or(0);
        self.driver.write(at.saturating_add(skipped), changed)
    }

    /// The first eight bytes of a word, and whether all of it is erased.
    fn word(&mut self, at: u32) -> Result<(u64, bool), F::Error> {
        let mut bytes = [u8::MAX; WORD_MAX];
        self.driver.read(at, bytes.split_at_mut(Self::WORD).0)?;
        let first = bytes
            .first_chunk()
            .map_or(0, |first| u64::from_le_bytes(*first));
        Ok((first, bytes.iter().all(|byte| *byte == u8::MAX)))
    }

    /// Where a page begins in the driver, with its mark.
    const fn start_of(&self, page: u32) -> u32 {
        self.start
            .saturating_add(page.saturating_mul(Self::DRIVER_PAGE_BYTES))
    }

    /// Where in the driver an address of the queue is.
    const fn address(&self, at: u32) -> u32 {
        self.start_of(at / Self::PAGE_BYTES)
            .saturating_add(Self::WORD_BYTES)
            .saturating_add(at % Self::PAGE_BYTES)
    }
}

/// The queue's checksum of a length: CRC-16F/4.2 of Koopman's list, turned around, and never all ones.
const fn check(length: u16) -> u16 {
    let mut crc = u16::MAX ^ length;
    let mut bit = 0;
    while bit < u16::BITS {
        crc = if crc & 1 == 1 {
            crc >> 1 ^ 0x1A2E
        } else {
            crc >> 1
        };
        bit += 1;
    }
    match !crc {
        u16::MAX => 0xFFFE,
        crc => crc,
    }
}

impl<F: ErrorType> ErrorType for Pages<F> {
    type Error = F::Error;
}

// The queue never reads or writes across the border of two pages. None of this ever waits.
impl<F: MultiwriteNorFlash> waiting::ReadNorFlash for Pages<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), F::Error> {
        self.driver.read(self.address(offset), bytes)
    }

    fn capacity(&self) -> usize {
        usize::try_from(self.bytes()).unwrap_or(usize::MAX)
    }
}

impl<F: MultiwriteNorFlash> waiting::NorFlash for Pages<F> {
    const WRITE_SIZE: usize = Self::WORD;
    const ERASE_SIZE: usize = Self::PAGE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), F::Error> {
        for page in from / Self::PAGE_BYTES..to / Self::PAGE_BYTES {
            self.renew(page)?;
        }
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), F::Error> {
        let at = self.address(offset);
        if bytes.len() == Self::WORD {
            return self.write_word(at, bytes);
        }
        self.driver.write(at, bytes)
    }
}

impl<F: MultiwriteNorFlash> waiting::MultiwriteNorFlash for Pages<F> {}
