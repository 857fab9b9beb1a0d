//! Handlers of panics and hardware faults: each ends the program with an exit code of its own.
#![expect(unsafe_code, reason = "a fault handler cannot use the stack")]

use crate::semihosting::{APPLICATION_EXIT, exit};
use core::arch::naked_asm;
use core::panic::PanicInfo;
// Linked for its critical section, by which `defmt` and the logger mask interrupts.
use cortex_m as _;

/// The exit code of a panic, the same as of a Rust program elsewhere.
const PANICKED: u8 = 101;
/// The exit code of a fault: a stack overflow, or an invalid address.
const FAULTED: usize = 102;

#[panic_handler]
fn panic(_info: &PanicInfo<'_>) -> ! {
    exit(PANICKED)
}

/// The request of a fault to the debugger. It is in flash, because the RAM may have failed.
static FAULT: [usize; 2] = [APPLICATION_EXIT, FAULTED];

/// Ends the program without using the RAM: after an overflow the stack pointer is outside of it.
// SAFETY: the name is the runtime's, and no other symbol has it.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn HardFault() -> ! {
    naked_asm!(
        "ldr r1, ={fault}",
        "movs r0, #0x20",
        "bkpt 0xab",
        "b .",
        fault = sym FAULT,
    )
}
