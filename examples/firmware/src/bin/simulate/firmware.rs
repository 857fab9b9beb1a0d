//! The program, for a board.

use cortex_m_rt::entry;
use example_firmware::semihosting::{Arguments, exit};

#[entry]
fn main() -> ! {
    let arguments = Arguments::<64>::get();
    for word in arguments.words() {
        defmt::info!("{=str}", word);
    }
    exit(0)
}
