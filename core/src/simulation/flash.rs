//! A simulated NOR flash, which keeps what a data sheet promises and nothing beyond it, and loses power on demand.
//!
//! Data sheets say little about what a loss of power leaves, and drivers that were tested on a good board rely on more.
//! This flash is as bad as it may be: a torn word has any of the bits that it should have, and a page whose erase was
//! cut may read as anything. It also refuses what real flash does silently: a second write to a word, and an address
//! between words.

use crate::random::{Purpose, below, stream};
use core::fmt;
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read,
    check_write,
};
use rand_core::Rng;

/// `PAGES` pages of `PAGE_BYTES` bytes that are erased as a whole and written in words of `WORD` bytes, and read in
/// pieces of `READ` bytes.
///
/// What is erased has all bits set; a write clears some of them, and a word is written once, as in flash that keeps a
/// checksum over each of its words. Whoever asks for more has made a mistake, and is told so. Each word that is written
/// and each page that is erased is a *step*; [`SimulatedFlash::cut_power_at`] names the one in whose middle the power
/// goes. The word is then written in part, and may be written once more only where nothing of it was. The page holds
/// whatever its seed gives: what it held, nothing, a part, zeros, garbage or any mixture, and none of its words may be
/// written until it is erased to the end. From then on every call fails until [`SimulatedFlash::restore_power`].
///
/// ```
/// use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
/// use synod::simulation::{FlashFault, SimulatedFlash};
///
/// let mut flash = SimulatedFlash::<2, 64, 4>::new(6);
/// flash.write(0, &[1, 2, 3, 4])?;
/// assert_eq!(flash.write(0, &[5, 2, 3, 4]), Err(FlashFault::SetsBits));
///
/// flash.cut_power_at(1); // the second step from now
/// assert_eq!(flash.write(8, &[0; 8]), Err(FlashFault::PowerIsOff));
/// flash.restore_power();
/// let mut bytes = [0; 8];
/// flash.read(8, &mut bytes)?;
/// assert_eq!(bytes[..4], [0; 4]);
/// # Ok::<(), FlashFault>(())
/// ```
#[derive(Clone, Debug)]
pub struct SimulatedFlash<
    const PAGES: usize,
    const PAGE_BYTES: usize,
    const WORD: usize = 4,
    const READ: usize = 1,
> {
    pages: [[u8; PAGE_BYTES]; PAGES],
    /// Which words must not be written until their page is erased; a page has fewer words than places here.
    written: [[bool; PAGE_BYTES]; PAGES],
    /// Those are counted, too, in which the power went: they wear a page as well.
    erases: [u32; PAGES],
    reads: u64,
    power: Power,
    /// Together with the number of a step it decides what a loss of power in that step leaves.
    seed: u64,
}

/// The steps that were taken, and the one that is the last.
#[derive(Clone, Debug, Default)]
struct Power {
    /// With the one in whose middle the power went.
    steps: u64,
    /// The number of the step in whose middle the power goes. It stays after that, and is never met again, as steps are
    /// counted upwards.
    cut_at: Option<u64>,
    is_off: bool,
}

impl Power {
    /// Takes a step; whether it is one that the power does not last for.
    fn step(&mut self) -> bool {
        debug_assert!(!self.is_off, "nothing is done without power");
        self.is_off = self.cut_at == Some(self.steps);
        self.steps = self.steps.saturating_add(1);
        self.is_off
    }
}

impl<const PAGES: usize, const PAGE_BYTES: usize, const WORD: usize, const READ: usize>
    SimulatedFlash<PAGES, PAGE_BYTES, WORD, READ>
{
    /// A flash as it comes from the factory: erased. What a loss of power leaves depends on the seed and on the step that it
    /// comes in.
    pub fn new(seed: u64) -> Self {
        const {
            assert!(
                WORD > 0 && READ > 0 && PAGE_BYTES.is_multiple_of(WORD),
                "A page is a whole number of words."
            );
        }
        Self {
            pages: [[u8::MAX; PAGE_BYTES]; PAGES],
            written: [[false; PAGE_BYTES]; PAGES],
            erases: [0; PAGES],
            reads: 0,
            power: Power::default(),
            seed,
        }
    }

    /// Loses power in the middle of a step: 0 is the next one.
    pub fn cut_power_at(&mut self, step: u64) {
        self.power.cut_at = Some(self.power.steps.saturating_add(step));
    }

    /// Gives power again, or takes back a loss that has not come yet.
    pub fn restore_power(&mut self) {
        self.power.cut_at = None;
        self.power.is_off = false;
    }

    /// Whether the power is lost.
    pub const fn is_off(&self) -> bool {
        self.power.is_off
    }

    /// Changes bits that nobody has written, as they may change on their own in years. There is nothing where the flash has
    /// no such address.
    pub fn flip(&mut self, address: u32, bits: u8) {
        let cells = self.pages.as_flattened_mut();
        if let Some(cell) = cells.get_mut(place(address)) {
            *cell ^= bits;
        }
    }

    /// How many words were written and pages erased.
    pub const fn steps(&self) -> u64 {
        self.power.steps
    }

    /// How often it was read.
    pub const fn reads(&self) -> u64 {
        self.reads
    }

    /// How often each page was erased: its wear.
    pub const fn erases(&self) -> &[u32; PAGES] {
        &self.erases
    }

    /// Puts a word's bits where they can be put. Whether that is allowed is checked before the step is counted, so that
    /// a mistake of the caller takes none.
    fn write_word(&mut self, offset: usize, word: &[u8]) -> Result<(), FlashFault> {
        debug_assert!(
            offset.is_multiple_of(WORD),
            "alignment was checked before, for all words of a write"
        );
        let (page, within) = (offset / PAGE_BYTES, offset % PAGE_BYTES);
        let cells = self
            .pages
            .get_mut(page)
            .and_then(|page| page.get_mut(within..within.saturating_add(WORD)))
            .ok_or(FlashFault::OutOfBounds)?;
        if cells.iter().zip(word).any(|(cell, new)| new & !cell != 0) {
            return Err(FlashFault::SetsBits);
        }
        let written = self
            .written
            .get_mut(page)
            .and_then(|page| page.get_mut(within / WORD))
            .ok_or(FlashFault::OutOfBounds)?;
        if *written {
            return Err(FlashFault::WrittenBefore);
        }
        if !self.power.step() {
            *written = true;
            for (cell, new) in cells.iter_mut().zip(word) {
                *cell &= new;
            }
            return Ok(());
        }
        // Nothing of it, all of it, or any bits that were to be cleared.
        let mut rng = stream(self.seed ^ self.power.steps, Purpose::Flash);
        // Half of the time any bits, as these are the hardest to tell from a record.
        let kind = below(&mut rng, 4);
        for (cell, new) in cells.iter_mut().zip(word) {
            *cell &= match kind {
                0 => u8::MAX,
                1 => *new,
                _ => *new | byte(&mut rng),
            };
        }
        debug_assert!(
            self.power.is_off,
            "only a loss of power writes a word in part"
        );
        // A word that reads as erased may be written: flash with checksums over its words has none for such a word.
        *written = cells.iter().any(|cell| *cell != u8::MAX);
        Err(FlashFault::PowerIsOff)
    }

    /// Erases a page, or leaves it in any state if the power goes.
    fn erase_page(&mut self, index: usize) -> Result<(), FlashFault> {
        debug_assert!(index < PAGES, "the bounds were checked");
        let is_cut = self.power.step();
        let page = self.pages.get_mut(index).ok_or(FlashFault::OutOfBounds)?;
        if let Some(erases) = self.erases.get_mut(index) {
            *erases = erases.saturating_add(1);
        }
        if let Some(written) = self.written.get_mut(index) {
            // After a cut erase every word counts as written, whatever it reads as, until an erase has come to its end.
            written.fill(is_cut);
        }
        if !is_cut {
            page.fill(u8::MAX);
            return Ok(());
        }
        // What is left of the page is "undefined" (embedded-storage), so everything that can be thought of: as it was,
        // erased, erased up to or from somewhere, some bits set, all cleared (chips do that first), garbage, and any of
        // these from word to word.
        let mut rng = stream(self.seed ^ self.power.steps, Purpose::Flash);
        let of_page = below(&mut rng, 8);
        let mut kind = of_page;
        let bytes = u32::try_from(PAGE_BYTES).unwrap_or(u32::MAX);
        let border = usize::try_from(below(&mut rng, bytes)).unwrap_or(0);
        for (place, cell) in page.iter_mut().enumerate() {
            let chance = byte(&mut rng);
            // The draw is made for the first byte of each word, so that all of a word is of one kind.
            if of_page == 7 && place.is_multiple_of(WORD) {
                kind = below(&mut rng, 7);
            }
            *cell = match kind {
                1 => u8::MAX,
                2 if place < border => u8::MAX,
                3 if place >= border => u8::MAX,
                0 | 2 | 3 => *cell,
                4 => *cell | chance,
                5 => 0,
                _ => chance,
            };
        }
        Err(FlashFault::PowerIsOff)
    }

    const fn powered(&self) -> Result<(), FlashFault> {
        if self.power.is_off {
            return Err(FlashFault::PowerIsOff);
        }
        Ok(())
    }
}

/// Eight bits of chance, from one draw.
fn byte(rng: &mut impl Rng) -> u8 {
    rng.next_u32().to_le_bytes()[1]
}

/// An address of the traits as a place here; the checks before have seen that it is within the flash.
fn place(offset: u32) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

impl<const PAGES: usize, const PAGE_BYTES: usize, const WORD: usize, const READ: usize> ErrorType
    for SimulatedFlash<PAGES, PAGE_BYTES, WORD, READ>
{
    type Error = FlashFault;
}

impl<const PAGES: usize, const PAGE_BYTES: usize, const WORD: usize, const READ: usize> ReadNorFlash
    for SimulatedFlash<PAGES, PAGE_BYTES, WORD, READ>
{
    const READ_SIZE: usize = READ;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashFault> {
        self.powered()?;
        check_read(self, offset, bytes.len())?;
        debug_assert!(
            place(offset) + bytes.len() <= PAGES * PAGE_BYTES,
            "the bounds were checked"
        );
        self.reads = self.reads.saturating_add(1);
        let cells = self.pages.as_flattened().iter().skip(place(offset));
        for (byte, cell) in bytes.iter_mut().zip(cells) {
            *byte = *cell;
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        PAGES.saturating_mul(PAGE_BYTES)
    }
}

impl<const PAGES: usize, const PAGE_BYTES: usize, const WORD: usize, const READ: usize> NorFlash
    for SimulatedFlash<PAGES, PAGE_BYTES, WORD, READ>
{
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE_BYTES;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashFault> {
        self.powered()?;
        check_erase(self, from, to)?;
        for page in place(from) / PAGE_BYTES..place(to) / PAGE_BYTES {
            self.erase_page(page)?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashFault> {
        self.powered()?;
        check_write(self, offset, bytes.len())?;
        let places = (place(offset)..).step_by(WORD);
        for (word, place) in bytes.chunks_exact(WORD).zip(places) {
            self.write_word(place, word)?;
        }
        Ok(())
    }
}

/// What a simulated flash does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FlashFault {
    /// The power was lost: the step under way is done in part, and none after it.
    PowerIsOff,
    /// Nothing was done: an address or a length is not a whole number of words or pages.
    NotAligned,
    /// Nothing was done: it has no such address.
    OutOfBounds,
    /// The word was not written: that would have set bits, which only an erase does.
    SetsBits,
    /// The word was not written: it has been since its page was erased, or that erase was cut short.
    WrittenBefore,
}

impl From<NorFlashErrorKind> for FlashFault {
    fn from(kind: NorFlashErrorKind) -> Self {
        match kind {
            NorFlashErrorKind::NotAligned => Self::NotAligned,
            _ => Self::OutOfBounds,
        }
    }
}

impl NorFlashError for FlashFault {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::NotAligned => NorFlashErrorKind::NotAligned,
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::PowerIsOff | Self::SetsBits | Self::WrittenBefore => NorFlashErrorKind::Other,
        }
    }
}

impl fmt::Display for FlashFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PowerIsOff => "the flash has no power",
            Self::NotAligned => "nothing was done: not a whole number of words or pages",
            Self::OutOfBounds => "nothing was done: no such address",
            Self::SetsBits => "the word was not written: only an erase sets bits",
            Self::WrittenBefore => "the word was not written: its page has to be erased before",
        })
    }
}

impl core::error::Error for FlashFault {}
