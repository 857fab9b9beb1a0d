//! The program on a board.

use cortex_m_rt::entry;
use example_firmware::boot;
use example_firmware::member::{Machine, Room};

#[entry]
fn main() -> ! {
    // In a static, as it is the largest object: its size shows in the table of the image.
    static mut OUTBOX: Room<Machine> = Room::new();
    boot::run(OUTBOX)
}
