//! What the three programs share: a simulation, where a bare target enters, and what it does in a panic.
//!
//! The programs exist to be linked, not to be run: their images show what of the core ends up in firmware, how large it
//! is, and that neither an allocator nor anything else that they do not bring themselves is missing.
#![cfg_attr(target_os = "none", no_std)]

use core::hint::black_box;
use synod::Tracer;
use synod::machines::Kv;
use synod::simulation::{Calm, KvScript, Scenario, Simulation};

type Machine = Kv<16>;
type Cluster = Simulation<Calm<Machine, KvScript, 3, 128>, 16, 16, 2>;

/// Runs a simulated cluster to its end.
pub fn simulate(tracer: &mut impl Tracer<Machine, 2>) {
    let scenario = Scenario::of(black_box(6), 3);
    let mut cluster = Cluster::idle();
    if cluster.start(&scenario, KvScript::new(11)).is_ok() {
        black_box(cluster.run(tracer));
        black_box(cluster.report());
    }
}

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
