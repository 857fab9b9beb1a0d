//! The program on a board.

use cortex_m_rt::entry;
use example_firmware::boot;
use example_firmware::member::Room;
use example_firmware::relays::Relays;

#[entry]
fn main() -> ! {
    static mut OUTBOX: Room<Relays> = Room::new();
    boot::run(OUTBOX)
}
