//! Memory-mapped registers of a device.
#![expect(unsafe_code, reason = "volatile access to memory-mapped registers")]

use core::ptr::{with_exposed_provenance, with_exposed_provenance_mut};

/// The registers of one device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registers(usize);

impl Registers {
    /// Returns the registers at an address.
    ///
    /// # Safety
    ///
    /// A device must be at the address, all of its registers must be readable and writable as words, and none of them
    /// may make it access the memory of the program.
    pub(super) const unsafe fn at(address: usize) -> Self {
        Self(address)
    }

    /// Reads the register at an offset in bytes.
    pub(super) fn read(self, offset: usize) -> u32 {
        let register = with_exposed_provenance::<u32>(self.0.wrapping_add(offset));
        // SAFETY: the caller of `at` has promised that a device is there.
        unsafe { register.read_volatile() }
    }

    /// Writes the register at an offset in bytes.
    pub(super) fn write(self, offset: usize, word: u32) {
        let register = with_exposed_provenance_mut::<u32>(self.0.wrapping_add(offset));
        // SAFETY: the caller of `at` has promised that a device is there.
        unsafe { register.write_volatile(word) }
    }
}
