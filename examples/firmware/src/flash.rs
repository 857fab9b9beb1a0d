//! An emulated NOR flash in a file of the host, which outlives the board's process like the flash of a real board.
//!
//! It is as strict as a real flash: an erase sets all bits of whole pages, and a write only clears bits in whole
//! words. Any other request is refused without an effect.

use crate::member::POWER_FAILED;
use crate::semihosting::exit;
use crate::semihosting::file::{File, FileError};
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

/// The number of pages.
const PAGES: usize = 32;
/// The size of a page, the unit of erasing, in bytes.
const PAGE: usize = 1 << 10;
/// The size of a word, the unit of writing, in bytes.
const WORD: usize = 4;

/// The flash.
#[derive(Debug)]
pub struct Flash {
    file: File,
    /// The number of words and pages that can be written and erased before the power fails.
    power: u32,
}

impl Flash {
    /// Opens the flash in a file, and fills missing bytes as erased.
    ///
    /// # Errors
    ///
    /// Returns [`FlashError::File`].
    pub fn open(name: &str) -> Result<Self, FlashError> {
        let file = File::open(name)?;
        let mut len = file.size()?;
        while len < Self::CAPACITY {
            // From a whole word on, because a file may end anywhere.
            let rest = ERASED.len() - len % ERASED.len();
            file.write(len, ERASED.get(..rest).unwrap_or_default())?;
            len += rest;
        }
        Ok(Self {
            file,
            power: u32::MAX,
        })
    }

    /// Makes the power fail after this many more words and pages, in the middle of the next one.
    #[must_use]
    pub fn with_power_for(self, power: u32) -> Self {
        Self { power, ..self }
    }

    const CAPACITY: usize = PAGES * PAGE;

    /// Returns true if the power lasts for one more word or page.
    fn spend(&mut self) -> bool {
        let left = self.power.checked_sub(1);
        self.power = left.unwrap_or(0);
        left.is_some()
    }
}

static ERASED: [u8; 32] = [0xFF; 32];

/// An error of the flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlashError {
    /// The file cannot be read or written.
    File,
    /// The range is not of whole words, or not of whole pages.
    NotAligned,
    /// The range exceeds the flash.
    OutOfBounds,
    /// A bit would have to be set, which needs an erase.
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

/// Returns the position in the file if the range is of whole units and within the flash.
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
