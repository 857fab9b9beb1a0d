//! The program, for a board.

use cortex_m_rt::entry;
use example_firmware::member::Room;
use example_firmware::relays::Relays;
use example_firmware::start;

#[entry]
fn main() -> ! {
    static mut OUTBOX: Room<Relays> = Room::new();
    start::run(OUTBOX)
}
