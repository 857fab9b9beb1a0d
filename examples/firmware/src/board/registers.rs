//! The registers of a device, as words in memory.
#![expect(
    unsafe_code,
    reason = "what is behind an address is outside of the language"
)]

use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};

/// The registers of one device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registers(usize);

impl Registers {
    /// Of the device at an address.
    ///
    /// # Safety
    ///
    /// A device is there. All of its registers may be read and written, as words, and none of them makes it touch the
    /// memory of the program.
    pub(super) const unsafe fn at(address: usize) -> Self {
        Self(address)
    }

    /// The register so many bytes after the first.
    pub(super) fn read(self, offset: usize) -> u32 {
        let register = with_exposed_provenance::<u32>(self.0.wrapping_add(offset));
        // SAFETY: who made this knows that a device is there.
        unsafe { register.read_volatile() }
    }

    /// Writes the register so many bytes after the first.
    pub(super) fn write(self, offset: usize, word: u32) {
        let register = with_exposed_provenance_mut::<u32>(self.0.wrapping_add(offset));
        // SAFETY: who made this knows that a device is there.
        unsafe { register.write_volatile(word) }
    }
}
