//! Observed stack depth: the runtime fills the stack with a pattern before the program starts, and overwritten words
//! were used.
#![expect(unsafe_code, reason = "reads memory below the stack pointer")]

use cortex_m_rt::STACK_PAINT_VALUE;

unsafe extern "C" {
    static _stack_start: u32;
    static _stack_end: u32;
}

/// Returns the bytes of stack used since the start.
pub fn used() -> u32 {
    let (end, start) = ((&raw const _stack_end), (&raw const _stack_start));
    let size = start.addr().saturating_sub(end.addr());
    let mut untouched = 0;
    while untouched < size {
        // SAFETY: the linker places the stack between these symbols, in whole words, and only the part above is
        // written meanwhile.
        let word = unsafe { end.byte_add(untouched).read_volatile() };
        if word != STACK_PAINT_VALUE {
            break;
        }
        untouched += size_of::<u32>();
    }
    u32::try_from(size - untouched).unwrap_or(u32::MAX)
}
