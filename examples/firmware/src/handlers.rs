//! What happens when nothing else can: an exit code, that no program has for anything else.
#![expect(
    unsafe_code,
    reason = "a fault leaves neither a stack nor a language to go on with"
)]

use crate::semihosting::{APPLICATION_EXIT, exit};
use core::arch::naked_asm;
use core::panic::PanicInfo;
// The link needs it: `defmt` and the logger mask interrupts through it.
use cortex_m as _;

/// The exit code of a panic, as that of a Rust program elsewhere.
const PANICKED: u8 = 101;
/// The exit code of a fault: the stack is used up, or an address is wrong.
const FAULTED: usize = 102;

#[panic_handler]
fn panic(_info: &PanicInfo<'_>) -> ! {
    exit(PANICKED)
}

/// What a fault asks the debugger for. It is in flash: the RAM may be what failed.
static FAULT: [usize; 2] = [APPLICATION_EXIT, FAULTED];

/// Ends the program without touching the RAM, for after an overflow the stack pointer is outside of it.
// SAFETY: the name is the runtime's, and nothing else has it.
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
