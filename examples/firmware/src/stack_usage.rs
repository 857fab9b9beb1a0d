//! How deep the stack has been: the runtime paints it before the program starts, and what lost its paint was used.
#![expect(
    unsafe_code,
    reason = "what is below the stack pointer belongs to nobody"
)]

use cortex_m_rt::STACK_PAINT_VALUE;

unsafe extern "C" {
    static _stack_start: u32;
    static _stack_end: u32;
}

/// How many bytes of the stack have been used since the start.
pub fn used() -> u32 {
    let (end, start) = ((&raw const _stack_end), (&raw const _stack_start));
    let size = start.addr().saturating_sub(end.addr());
    let mut untouched = 0;
    while untouched < size {
        // SAFETY: the linker puts the stack between the two, in whole words, and here nothing writes to it meanwhile
        // but what is above.
        let word = unsafe { end.byte_add(untouched).read_volatile() };
        if word != STACK_PAINT_VALUE {
            break;
        }
        untouched += size_of::<u32>();
    }
    u32::try_from(size - untouched).unwrap_or(u32::MAX)
}
