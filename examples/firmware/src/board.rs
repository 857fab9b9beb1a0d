//! A board: a clock, a serial line, and sleep until one of them has something to say.
//!
//! No interrupt is ever served. They stay masked, and only end the sleep: so there is one thread of control and nothing
//! to share. What differs from board to board is in a module of each. Pins, baud rates and clocks are left as QEMU has
//! them at reset; on silicon they are set here, and there the line wants a buffer that an interrupt or DMA fills, as
//! QEMU's sender waits and a wire does not.

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
    /// Takes the board, and starts its clock and its line; `None` where it was taken before.
    pub fn take() -> Option<Self> {
        cortex_m::Peripherals::take()?;
        cortex_m::interrupt::disable();
        let device = Device::start();
        let ticks = Ticks::new(device.counter());
        Some(Self { device, ticks })
    }

    /// The time since the start. To be asked, by [`Board::wait`] or otherwise, before the counter has gone around: else
    /// the clock is late by that, and never goes back.
    pub fn now(&mut self) -> Instant {
        let passed = self.ticks.widen(self.device.counter());
        let (micros, ticks) = TICKS_TO_MICROS;
        Instant::from_micros(passed.saturating_mul(micros) / ticks)
    }

    /// Sleeps until a byte has arrived or a deadline has come, whichever is first.
    pub fn wait(&mut self, deadline: Option<Instant>) {
        let deadline = deadline.unwrap_or(Instant::FAR_FUTURE);
        loop {
            // First: what comes after this is pending, so that the sleep below ends at once.
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

    /// The next byte from the line, if there is one.
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
