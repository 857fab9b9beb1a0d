//! The services of a debugger to the program that it holds, in the form that Arm calls semihosting: here the debugger is
//! QEMU. Words to start with, bytes to the standard output, and an exit code.
//!
//! There are crates for this. None of them reads the words without code that can panic.
#![expect(
    unsafe_code,
    reason = "what a debugger does is outside of the language"
)]

pub mod file;

use core::arch::asm;
use core::ptr::from_mut;

/// The operations that are used, by their numbers in the specification.
const SYS_OPEN: usize = 0x01;
const SYS_WRITE: usize = 0x05;
const SYS_GET_CMDLINE: usize = 0x15;
const SYS_EXIT_EXTENDED: usize = 0x20;

/// The reason of an exit: the program ended by itself.
pub(crate) const APPLICATION_EXIT: usize = 0x2_0026;

/// The mode of a stream that is written.
const WRITE: usize = 4;

/// Asks the debugger.
///
/// # Safety
///
/// The block must be what the operation expects, and pointers in it must point to as much as it says.
unsafe fn call<const N: usize>(operation: usize, block: &mut [usize; N]) -> usize {
    let answer;
    // SAFETY: the debugger reads and writes the block, and what it points to, and nothing else of the program.
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

/// A stream of bytes to the debugger's standard output.
#[derive(Clone, Copy, Debug)]
pub struct Output(usize);

impl Output {
    /// Opens it.
    pub fn open() -> Self {
        // A file of this name is the debugger's console.
        const CONSOLE: &[u8; 4] = b":tt\0";
        let mut block = [CONSOLE.as_ptr().addr(), WRITE, CONSOLE.len() - 1];
        // SAFETY: a name that ends with a zero, a mode, and the length of the name.
        Self(unsafe { call(SYS_OPEN, &mut block) })
    }

    /// Writes bytes. What the debugger does not take is lost.
    pub fn write(self, bytes: &[u8]) {
        let mut block = [self.0, bytes.as_ptr().expose_provenance(), bytes.len()];
        // SAFETY: a handle, and as many bytes as there are.
        unsafe { call(SYS_WRITE, &mut block) };
    }
}

/// The words that the program was started with, in a room of `N` bytes; the first is the program's name.
#[derive(Clone, Debug)]
pub struct Arguments<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Arguments<N> {
    /// Asks for them. More than there is room for is as good as none.
    pub fn get() -> Self {
        let mut bytes = [0; N];
        let mut block = [bytes.as_mut_ptr().expose_provenance(), N];
        // SAFETY: a room and its size. The answer is 0 where all of it was written, and then the second word is the
        // length without the zero at the end.
        let done = unsafe { call(SYS_GET_CMDLINE, &mut block) } == 0;
        let len = if done { block[1] } else { 0 };
        Self { bytes, len }
    }

    /// The words after the program's name.
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
