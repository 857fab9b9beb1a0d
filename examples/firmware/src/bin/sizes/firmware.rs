//! The table of sizes on a board.

use core::hint::black_box;
use cortex_m_rt::entry;
use example_firmware::configurations::{NAMES, PARTS, controller, gateway, sensor};
use example_firmware::semihosting::exit;
use synod::storage::{Journal, flash::Flash};
use synod::wire::len_max;
use synod::{Ram, StateMachine};

/// The size of each part in each configuration, in bytes, in the order of [`NAMES`] and [`PARTS`]. Tools find the
/// table in the image by this name.
static SIZES: [[usize; PARTS.len()]; NAMES.len()] = [
    of::<sensor::Machine, { sensor::WINDOW }, { sensor::CLIENTS }, { sensor::PAGE }>(),
    of::<controller::Machine, { controller::WINDOW }, { controller::CLIENTS }, { controller::PAGE }>(
    ),
    of::<gateway::Machine, { gateway::WINDOW }, { gateway::CLIENTS }, { gateway::PAGE }>(),
];

const fn of<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>()
-> [usize; PARTS.len()] {
    let ram = Ram::of::<M, WINDOW, CLIENTS, PAGE>();
    // The driver of the flash is not counted: on hardware it has no size.
    let journal = size_of::<Journal<Flash<()>>>();
    let frames = 2 * len_max::<M, PAGE>();
    [
        ram.acceptor,
        ram.replica,
        ram.state,
        ram.leader,
        ram.requesters,
        ram.reader,
        ram.rest,
        ram.outbox,
        journal,
        frames,
        ram.total() + journal + frames,
    ]
}

#[entry]
fn main() -> ! {
    black_box(&SIZES);
    exit(0)
}
