//! An example of Synod on bare metal, without operating system, allocator or runtime: `cargo build -p example-bare
//! --profile firmware --target thumbv6m-none-eabi`.
//!
//! The programs are linked, not run: their images show which parts of the core end up in firmware, how large they
//! are, and that nothing is missing, such as an allocator. This library holds what they share: the entry, the panic
//! handler and a simulation.
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

/// Makes a function the entry of a bare-metal image. Elsewhere the image has an empty `main`.
#[macro_export]
macro_rules! entry {
    ($program:path) => {
        #[cfg(target_os = "none")]
        #[expect(unsafe_code, reason = "the linker expects the entry under this name")]
        // SAFETY: no other symbol of the image has this name.
        #[unsafe(no_mangle)]
        extern "C" fn _start() -> ! {
            $program();
            loop {}
        }

        #[cfg(not(target_os = "none"))]
        fn main() {
            // A reference, so that the host compiles the function too.
            let _ = $program;
        }
    };
}

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
