//! Storage in NOR flash: the flash of a microcontroller or a chip beside it.

#[cfg(test)]
mod cluster;
mod pages;
#[cfg(test)]
mod queue_alone;
#[cfg(test)]
mod scenarios;

use super::Storage;
use core::fmt;
use core::fmt::Debug;
use core::ops::Range;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use embedded_storage::nor_flash::MultiwriteNorFlash;
use pages::{Pages, Worth};
use sequential_storage::Error;
use sequential_storage::cache::{Cache, Uncached};
use sequential_storage::queue::{QueueConfig, QueueStorage};

/// The fewest pages: one that is being dropped, one that is being written, and one for what losses of power tear.
const PAGES_MIN: u32 = 3;

type Queue<'a, F> = QueueStorage<&'a mut Pages<F>, Cache<Uncached, Uncached, Uncached>>;

/// Records in pages of a NOR flash, each at most `RECORD` bytes long. `F` is a driver that blocks.
///
/// The records are a queue of the crate `sequential-storage`, which uses the pages in a circle, so that all of them wear
/// evenly. It wants a flash that lets a word be written twice ([`MultiwriteNorFlash`]): the second time is for dropping
/// a record. One with a checksum over each of its words cannot be used.
///
/// # What it takes
///
/// With words of *w* bytes, which are the driver's and at least 8, a record takes a word and its own bytes in whole words,
/// so at most [`OVERHEAD`](Storage::OVERHEAD) = 2*w* − 1 bytes more than its own. A page of *p* bytes has *p* − 3*w* for records, and at its
/// end up to `RECORD` of them are left over when the next record does not fit. [`Storage::capacity`] counts all pages
/// so, but two. In one the oldest records may be dropped and the newest not. The other is for losses of power: each
/// can tear a record, which takes its room until all before it are dropped. As many are allowed for as fit into a page;
/// more take from the capacity until they are gone, so that who heeds it is never refused.
///
/// In memory it takes the driver and some 20 bytes, and while it reads or drops, `RECORD` bytes on the stack.
///
/// # What calls cost
///
/// | call | words written | pages erased |
/// |---|---|---|
/// | [`Flash::open`] | none, but where a loss of power has left something to be put right | one at most then; all of a new flash |
/// | [`append`](Storage::append) | the record's; three or four more where a page begins | one at most |
/// | [`sync`](Storage::sync) | none: what is written is durable | none |
/// | [`trim`](Storage::trim) | one for each record, two for each page | the pages that it has emptied, but the newest |
/// | [`read`](Storage::read) | two for each page that is erased | pages that have been emptied and not erased |
///
/// To open it is to read all records once, and their headers twice more.
/// Nothing of where records are is held in memory. So each call looks at the ends of the pages until it has found the one that
/// it wants, and at the header of each record that is in the way there.
///
/// # Loss of power
///
/// What was appended is durable when `append` returns. A record that was torn is skipped. A page that was being
/// erased is erased again when the flash is opened. Three things of the queue are worked around: it takes a page whose
/// erase was cut short for one that is empty, or for the one that is being written; it reads what is left of a torn
/// header together with the next one; and it reads nothing behind a torn header that passes for that of a longer record
/// than its caller has room for.
///
/// ```
/// use synod::simulation::SimulatedFlash;
/// use synod::storage::{Storage, flash::Flash};
///
/// let mut driver = SimulatedFlash::<4, 1024>::new(6);
/// let mut flash = Flash::<_, 64>::open(&mut driver, 0..4096)?;
/// flash.append(b"promised")?;
/// flash.append(b"accepted")?;
///
/// let mut flash = Flash::<_, 64>::open(&mut driver, 0..4096)?;
/// flash.trim(|record| record == b"promised")?;
/// flash.read(|record| assert_eq!(record, b"accepted"))?;
/// # Ok::<(), synod::storage::flash::FlashError<synod::simulation::FlashFault>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Flash<F, const RECORD: usize = 256> {
    pages: Pages<F>,
    /// Whether a record may be torn or a page erased in part: nobody has looked yet, or the driver has failed since.
    is_torn: bool,
    /// The bytes that torn records take, at most.
    torn: usize,
}

impl<F: MultiwriteNorFlash, const RECORD: usize> Flash<F, RECORD> {
    /// What a page has for records, whatever their lengths are.
    const PAGE_ROOM: usize = {
        assert!(
            RECORD >= 64 && RECORD.is_multiple_of(Pages::<F>::WORD),
            "RECORD is 64 at least, and whole words: the driver's, of 8 bytes at least."
        );
        let page = Pages::<F>::PAGE - 2 * Pages::<F>::WORD;
        assert!(
            page > RECORD + Pages::<F>::WORD,
            "A record fits into a page, with some room to spare."
        );
        page - RECORD
    };

    /// Takes the addresses `range` of a driver for records. Blank pages are made ready first, which takes an erase each; so
    /// is a page whose erase was cut short.
    ///
    /// # Errors
    ///
    /// [`FlashError::Range`] and [`FlashError::Foreign`] leave the flash as it was.
    pub fn open(driver: F, range: Range<u32>) -> Result<Self, FlashError<F::Error>> {
        let mut flash = Self::unseen(driver, range)?;
        flash.mend()?;
        Ok(flash)
    }

    /// Erases the addresses `range` of a driver, whatever is there, and takes them for records.
    ///
    /// # Errors
    ///
    /// [`FlashError::Range`] leaves the flash as it was.
    pub fn format(driver: F, range: Range<u32>) -> Result<Self, FlashError<F::Error>> {
        let mut flash = Self::unseen(driver, range)?;
        for page in 0..flash.pages.count() {
            flash.pages.renew(page).map_err(FlashError::Driver)?;
        }
        Ok(flash)
    }

    /// Gives the driver back.
    pub fn into_driver(self) -> F {
        self.pages.driver
    }

    fn unseen(driver: F, range: Range<u32>) -> Result<Self, FlashError<F::Error>> {
        let page = Pages::<F>::DRIVER_PAGE_BYTES;
        let count = range.end.saturating_sub(range.start) / page;
        let end = usize::try_from(range.end).unwrap_or(usize::MAX);
        if !range.start.is_multiple_of(page)
            || !range.end.is_multiple_of(page)
            || count < PAGES_MIN
            || end > driver.capacity()
        {
            return Err(FlashError::Range);
        }
        Ok(Self {
            pages: Pages::new(driver, range.start, count),
            is_torn: true,
            torn: 0,
        })
    }

    /// Puts right what a loss of power or a failure of the driver has left.
    fn mend(&mut self) -> Result<(), FlashError<F::Error>> {
        let mut unknown = 0_u32;
        for page in 0..self.pages.count() {
            if self.pages.worth(page).map_err(FlashError::Driver)? == Worth::Unknown {
                unknown = unknown.saturating_add(1);
            }
        }
        // Pages are erased one after the other, so only one erase can have been cut short.
        if unknown > 1 {
            return Err(FlashError::Foreign);
        }
        for page in 0..self.pages.count() {
            if self.pages.worth(page).map_err(FlashError::Driver)? != Worth::Marked {
                self.pages.renew(page).map_err(FlashError::Driver)?;
            }
        }
        self.scrub()?;
        self.is_torn = false;
        self.count_torn()
    }

    /// Has what would stop the queue removed. How many bytes are taken.
    fn scrub(&mut self) -> Result<usize, FlashError<F::Error>> {
        let longest = u16::try_from(RECORD).unwrap_or(u16::MAX);
        let mut taken = 0_u32;
        for page in 0..self.pages.count() {
            let on_page = self.pages.scrub(page, longest);
            taken = taken.saturating_add(on_page.map_err(FlashError::Driver)?);
        }
        Ok(usize::try_from(taken).unwrap_or(usize::MAX))
    }

    /// Counts what is taken by no record.
    fn count_torn(&mut self) -> Result<(), FlashError<F::Error>> {
        let word = Pages::<F>::WORD;
        let mut whole = 0_usize;
        self.read(|record| {
            let bytes = record.len().next_multiple_of(word);
            whole = whole.saturating_add(word).saturating_add(bytes);
        })?;
        self.torn = self.scrub()?.saturating_sub(whole);
        Ok(())
    }

    /// Does something with the queue, once the flash is in order.
    fn with_queue(
        &mut self,
        work: impl AsyncFnOnce(&mut Queue<'_, F>) -> Result<(), Error<F::Error>>,
    ) -> Result<(), FlashError<F::Error>> {
        if self.is_torn {
            self.mend()?;
        }
        let config = QueueConfig::try_new(0..self.pages.bytes()).map_err(|_| FlashError::Range)?;
        let mut queue = Queue::new(&mut self.pages, config, Cache::new_uncached());
        let done = at_once(work(&mut queue));
        self.is_torn = matches!(done, Err(FlashError::Driver(_)));
        done
    }
}

impl<F: MultiwriteNorFlash, const RECORD: usize> Storage for Flash<F, RECORD> {
    type Error = FlashError<F::Error>;

    const RECORD_MAX: usize = RECORD;
    const OVERHEAD: usize = 2 * Pages::<F>::WORD - 1;

    fn capacity(&self) -> usize {
        let pages = usize::try_from(self.pages.count()).unwrap_or(0);
        let room = pages.saturating_sub(1).saturating_mul(Self::PAGE_ROOM);
        room.saturating_sub(self.torn.max(Self::PAGE_ROOM))
    }

    fn read(&mut self, mut visit: impl FnMut(&[u8])) -> Result<(), Self::Error> {
        self.with_queue(async |queue| {
            let mut buffer = [0; RECORD];
            let mut records = queue.iter().await?;
            while let Some(record) = records.next(&mut buffer).await? {
                visit(&record);
            }
            Ok(())
        })
    }

    fn append(&mut self, record: &[u8]) -> Result<(), Self::Error> {
        if record.len() > RECORD {
            return Err(FlashError::TooLong);
        }
        self.with_queue(async |queue| queue.push(record, false).await)
    }

    /// What a NOR flash has written is durable, so there is nothing to wait for.
    fn sync(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    fn trim(&mut self, mut is_stale: impl FnMut(&[u8]) -> bool) -> Result<(), Self::Error> {
        self.with_queue(async |queue| {
            let mut buffer = [0; RECORD];
            let mut records = queue.iter().await?;
            while let Some(record) = records.next(&mut buffer).await? {
                if !is_stale(&record) {
                    break;
                }
                record.pop().await?;
            }
            Ok(())
        })?;
        if self.torn > 0 {
            self.count_torn()?;
        }
        Ok(())
    }
}

/// Does work that never waits.
fn at_once<T, E>(work: impl Future<Output = Result<T, Error<E>>>) -> Result<T, FlashError<E>> {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done.map_err(FlashError::of_queue),
        Poll::Pending => Err(FlashError::Unfinished),
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
    /// The flash was not opened: more than one page holds neither records nor nothing. If what they hold is not needed,
    /// [`Flash::format`] takes them.
    Foreign,
    /// The records cannot be read on: bits have changed on their own, or the flash was opened with a smaller `RECORD`.
    Damaged,
    /// The work was left undone: something waited that should not.
    Unfinished,
}

impl<E> FlashError<E> {
    /// What an error of the queue means here.
    fn of_queue(error: Error<E>) -> Self {
        match error {
            Error::Storage { value } => Self::Driver(value),
            Error::FullStorage => Self::Full,
            Error::ItemTooBig => Self::TooLong,
            _ => Self::Damaged,
        }
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
            Self::Foreign => {
                f.write_str("the flash was not opened: it holds something else, or is damaged")
            }
            Self::Damaged => f.write_str("the records cannot be read on: the flash is damaged"),
            Self::Unfinished => f.write_str("the work was left undone: something waited"),
        }
    }
}

impl<E: Debug> core::error::Error for FlashError<E> {}
