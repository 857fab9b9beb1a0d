//! The program, for a board.

use cortex_m_rt::entry;
use example_firmware::boot;
use example_firmware::member::{Machine, Room};

#[entry]
fn main() -> ! {
    // In a static, as it is the largest thing that there is: its size is in the image's table.
    static mut OUTBOX: Room<Machine> = Room::new();
    boot::run(OUTBOX)
}
