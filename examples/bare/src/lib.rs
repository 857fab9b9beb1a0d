//! What the two programs share: where a bare target enters, and what it does in a panic.
//!
//! The programs exist to be linked, not to be run: their images show what of the core ends up in firmware, how large it
//! is, and that neither an allocator nor anything else that they do not bring themselves is missing.
#![cfg_attr(target_os = "none", no_std)]

/// Makes a function the program: the entry of a bare target, or `main` elsewhere, where it does nothing.
#[macro_export]
macro_rules! entry {
    ($program:path) => {
        #[cfg(target_os = "none")]
        #[expect(
            unsafe_code,
            reason = "the linker looks for the entry under a name of its own choosing"
        )]
        // SAFETY: nothing else in the image has this name.
        #[unsafe(no_mangle)]
        extern "C" fn _start() -> ! {
            $program();
            loop {}
        }

        #[cfg(not(target_os = "none"))]
        fn main() {
            // Named, so that the host compiles it too.
            let _ = $program;
        }
    };
}

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
