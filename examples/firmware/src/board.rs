//! The board: a clock, a serial line, and a sleep that ends with the next byte or at a deadline.
//!
//! No interrupt is ever served. Interrupts stay masked and only end the sleep, so that there is one thread of control
//! and nothing is shared. Each board has a module for its devices. Pins, baud rates and clocks are left as QEMU has
//! them at reset; on hardware they must be set here, and the receiver needs a buffer filled by an interrupt or DMA,
//! because a wire does not wait as QEMU's sender does.

mod registers;

#[cfg(board = "lm3s6965evb")]
#[path = "board/lm3s6965evb.rs"]
mod device;
#[cfg(board = "microbit")]
#[path = "board/microbit.rs"]
mod device;
#[cfg(board = "mps2-an386")]
#[path = "board/mps2_an386.rs"]
mod device;

use cortex_m::asm::wfi;
use device::{Device, NAP_MAX, TICKS_MAX, TICKS_TO_MICROS};
use synod::{Instant, Ticks};

/// The board that the program runs on.
#[derive(Debug)]
pub struct Board {
    device: Device,
    ticks: Ticks<TICKS_MAX>,
}

impl Board {
    /// Takes the board, and starts its clock and its serial line; `None` if it was taken before.
    pub fn take() -> Option<Self> {
        cortex_m::Peripherals::take()?;
        cortex_m::interrupt::disable();
        let device = Device::start();
        let ticks = Ticks::new(device.counter());
        Some(Self { device, ticks })
    }

    /// Returns the time since the start. It must be called, by [`Board::wait`] or otherwise, before the counter
    /// overflows: otherwise the clock falls behind, but it never goes back.
    pub fn now(&mut self) -> Instant {
        let passed = self.ticks.widen(self.device.counter());
        let (micros, ticks) = TICKS_TO_MICROS;
        Instant::from_micros(passed.saturating_mul(micros) / ticks)
    }

    /// Sleeps until a byte has arrived or a deadline is reached.
    pub fn wait(&mut self, deadline: Option<Instant>) {
        let deadline = deadline.unwrap_or(Instant::FAR_FUTURE);
        loop {
            // First, so that a later event stays pending and ends the sleep below at once.
            self.device.acknowledge();
            let now = self.now();
            if self.device.has_byte() || now >= deadline {
                return;
            }
            let until = deadline.min(now + NAP_MAX);
            let (micros, ticks) = TICKS_TO_MICROS;
            let nap = (until.since(now).as_micros().saturating_mul(ticks) / micros).max(1);
            self.device.alarm(u32::try_from(nap).unwrap_or(u32::MAX));
            if self.now() < until {
                wfi();
            }
        }
    }

    /// Returns the next byte from the serial line, if there is one.
    pub fn read(&mut self) -> Option<u8> {
        self.device.read()
    }

    /// Sends bytes, and returns when the line has taken them.
    pub fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.device.write(*byte);
        }
    }
}
