//! A NOR flash that is a file of the host, so that it outlives the board's process: the file is what a board has soldered.
//!
//! It is as strict as a flash is. Erasing sets all bits of whole pages, writing only clears bits in whole words, and
//! whatever would need more is refused and does nothing.

use crate::member::POWER_FAILED;
use crate::semihosting::exit;
use crate::semihosting::file::{File, FileError};
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

/// How many pages it has.
const PAGES: usize = 32;
/// A page: what is erased at once.
const PAGE: usize = 1 << 10;
/// A word: what is written at once.
const WORD: usize = 4;

/// The flash.
#[derive(Debug)]
pub struct Flash {
    file: File,
    /// Words and pages that are still written and erased before the power fails.
    power: u32,
}

impl Flash {
    /// The flash in the file of a name. What of it is missing is erased.
    ///
    /// # Errors
    ///
    /// [`FlashError::File`].
    pub fn open(name: &str) -> Result<Self, FlashError> {
        let file = File::open(name)?;
        let mut len = file.size()?;
        while len < Self::CAPACITY {
            // From whole words on, as a file may be cut anywhere.
            let rest = ERASED.len() - len % ERASED.len();
            file.write(len, ERASED.get(..rest).unwrap_or_default())?;
            len += rest;
        }
        Ok(Self {
            file,
            power: u32::MAX,
        })
    }

    /// Lets the power fail after so many more words and pages are written and erased: in the middle of the next one.
    #[must_use]
    pub fn with_power_for(self, power: u32) -> Self {
        Self { power, ..self }
    }

    const CAPACITY: usize = PAGES * PAGE;

    /// Whether the power lasts for one more word or page.
    fn spend(&mut self) -> bool {
        let left = self.power.checked_sub(1);
        self.power = left.unwrap_or(0);
        left.is_some()
    }
}

static ERASED: [u8; 32] = [0xFF; 32];

/// What the flash does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlashError {
    /// The file cannot be read or written.
    File,
    /// The addresses are not whole words, or not whole pages.
    NotAligned,
    /// The flash ends before.
    OutOfBounds,
    /// A bit would have to be set, which only erasing does.
    NotErased,
}

impl From<FileError> for FlashError {
    fn from(_error: FileError) -> Self {
        Self::File
    }
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::NotAligned => NorFlashErrorKind::NotAligned,
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::File | Self::NotErased => NorFlashErrorKind::Other,
        }
    }
}

impl ErrorType for Flash {
    type Error = FlashError;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        let at = place(offset, bytes.len(), Self::READ_SIZE)?;
        Ok(self.file.read(at, bytes)?)
    }

    fn capacity(&self) -> usize {
        Self::CAPACITY
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        let len = usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX);
        let at = place(from, len, PAGE)?;
        for page in (at..at.saturating_add(len)).step_by(PAGE) {
            let lasts = self.spend();
            let end = page + if lasts { PAGE } else { PAGE / 2 };
            for at in (page..end).step_by(ERASED.len()) {
                self.file.write(at, &ERASED)?;
            }
            if !lasts {
                exit(POWER_FAILED);
            }
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        let at = place(offset, bytes.len(), WORD)?;
        for (at, word) in (at..).step_by(WORD).zip(bytes.chunks_exact(WORD)) {
            let mut present = [0; WORD];
            self.file.read(at, &mut present)?;
            if present.iter().zip(word).any(|(old, new)| old & new != *new) {
                return Err(FlashError::NotErased);
            }
            let lasts = self.spend();
            let written = if lasts { WORD } else { WORD / 2 };
            self.file
                .write(at, word.get(..written).unwrap_or_default())?;
            if !lasts {
                exit(POWER_FAILED);
            }
        }
        Ok(())
    }
}

/// A place in the file, if whole units are asked for and are there.
fn place(offset: u32, len: usize, unit: usize) -> Result<usize, FlashError> {
    let at = usize::try_from(offset).unwrap_or(usize::MAX);
    if !at.is_multiple_of(unit) || !len.is_multiple_of(unit) {
        return Err(FlashError::NotAligned);
    }
    match at.checked_add(len) {
        Some(end) if end <= Flash::CAPACITY => Ok(at),
        _ => Err(FlashError::OutOfBounds),
    }
}
