//! Arm semihosting, the services of a debugger (here QEMU) to a program: arguments, standard output, files and an
//! exit code.
//!
//! The existing crates read the arguments with code that can panic.
#![expect(unsafe_code, reason = "calls of a debugger")]

pub mod file;

use core::arch::asm;
use core::ptr::from_mut;

/// The operations used, by their numbers in the specification.
const SYS_OPEN: usize = 0x01;
const SYS_WRITE: usize = 0x05;
const SYS_GET_CMDLINE: usize = 0x15;
const SYS_EXIT_EXTENDED: usize = 0x20;

/// The exit reason of a program that ended by itself.
pub(crate) const APPLICATION_EXIT: usize = 0x2_0026;

/// The mode of a stream for writing.
const WRITE: usize = 4;

/// Calls the debugger.
///
/// # Safety
///
/// The block must be what the operation expects, and every pointer in it must be valid for the length that it gives.
unsafe fn call<const N: usize>(operation: usize, block: &mut [usize; N]) -> usize {
    let answer;
    // SAFETY: the debugger accesses only the block and the memory that it points to.
    unsafe {
        asm!(
            "bkpt 0xab",
            inlateout("r0") operation => answer,
            in("r1") from_mut(block),
            options(nostack, preserves_flags),
        );
    }
    answer
}

/// A stream to the debugger's standard output.
#[derive(Clone, Copy, Debug)]
pub struct Output(usize);

impl Output {
    /// Opens the stream.
    pub fn open() -> Self {
        // The special file name of the debugger's console.
        const CONSOLE: &[u8; 4] = b":tt\0";
        let mut block = [CONSOLE.as_ptr().addr(), WRITE, CONSOLE.len() - 1];
        // SAFETY: a zero-terminated name, a mode, and the length of the name.
        Self(unsafe { call(SYS_OPEN, &mut block) })
    }

    /// Writes bytes. Bytes that the debugger does not take are lost.
    pub fn write(self, bytes: &[u8]) {
        let mut block = [self.0, bytes.as_ptr().expose_provenance(), bytes.len()];
        // SAFETY: a handle, and a valid range of bytes.
        unsafe { call(SYS_WRITE, &mut block) };
    }
}

/// The arguments of the program in a buffer of `N` bytes; the first is its name.
#[derive(Clone, Debug)]
pub struct Arguments<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Arguments<N> {
    /// Reads the arguments. They are empty if they do not fit.
    pub fn get() -> Self {
        let mut bytes = [0; N];
        let mut block = [bytes.as_mut_ptr().expose_provenance(), N];
        // SAFETY: a buffer and its size. The result is 0 on success, and then the second word is the length without
        // the terminating zero.
        let done = unsafe { call(SYS_GET_CMDLINE, &mut block) } == 0;
        let len = if done { block[1] } else { 0 };
        Self { bytes, len }
    }

    /// Returns the arguments after the program's name.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        let line = self.bytes.get(..self.len).unwrap_or(&[]);
        let words = line
            .split(|byte| *byte == b' ')
            .filter(|word| !word.is_empty());
        words
            .skip(1)
            .map(|word| core::str::from_utf8(word).unwrap_or("?"))
    }
}

/// Ends the program, and the debugger with this exit code.
pub fn exit(code: u8) -> ! {
    let mut block = [APPLICATION_EXIT, usize::from(code)];
    loop {
        // SAFETY: a reason and a code.
        unsafe { call(SYS_EXIT_EXTENDED, &mut block) };
    }
}
