//! The microbit, an nRF51822: TIMER0 for the clock and deadlines, and the UART as the serial line.

use super::registers::Registers;
use synod::Duration;

/// The ratio of microseconds to ticks.
pub(super) const TICKS_TO_MICROS: (u64, u64) = (1, 1);
/// The maximum of the counter.
pub(super) const TICKS_MAX: u32 = u32::MAX;
/// The longest sleep: the counter must not overflow in it.
pub(super) const NAP_MAX: Duration = Duration::from_secs(1 << 10);

/// Register offsets of the UART.
mod uart {
    pub(super) const START_RX: usize = 0x000;
    pub(super) const START_TX: usize = 0x008;
    pub(super) const RX_READY: usize = 0x108;
    pub(super) const TX_READY: usize = 0x11C;
    pub(super) const INTERRUPTS_SET: usize = 0x304;
    pub(super) const ENABLE: usize = 0x500;
    pub(super) const RX: usize = 0x518;
    pub(super) const TX: usize = 0x51C;
}

/// Register offsets of a timer.
mod timer {
    pub(super) const START: usize = 0x000;
    pub(super) const CAPTURE_0: usize = 0x040;
    pub(super) const COMPARED_1: usize = 0x144;
    pub(super) const INTERRUPTS_SET: usize = 0x304;
    pub(super) const BITS: usize = 0x508;
    pub(super) const PRESCALER: usize = 0x510;
    pub(super) const COUNT_0: usize = 0x540;
    pub(super) const COUNT_1: usize = 0x544;
}

/// The interrupts that end a sleep: of the UART and of the timer.
const INTERRUPTS: u32 = 1 << 2 | 1 << 8;

#[derive(Debug)]
pub(super) struct Device {
    uart: Registers,
    timer: Registers,
    core: Registers,
}

impl Device {
    #[expect(unsafe_code, reason = "the addresses of this chip")]
    pub(super) fn start() -> Self {
        // SAFETY: the address of the UART, which does not use DMA.
        let uart = unsafe { Registers::at(0x4000_2000) };
        // SAFETY: the address of TIMER0.
        let timer = unsafe { Registers::at(0x4000_8000) };
        // SAFETY: the system control space of a Cortex-M.
        let core = unsafe { Registers::at(0xE000_E000) };
        let device = Self { uart, timer, core };
        // 16 MHz divided by 2 to the power of 4: a tick is a microsecond. 3 selects 32 bits.
        timer.write(timer::PRESCALER, 4);
        timer.write(timer::BITS, 3);
        timer.write(timer::INTERRUPTS_SET, 1 << 17);
        timer.write(timer::START, 1);
        uart.write(uart::ENABLE, 4);
        uart.write(uart::INTERRUPTS_SET, 1 << 2);
        uart.write(uart::START_TX, 1);
        uart.write(uart::START_RX, 1);
        // QEMU checks a receiver that was full only when its main loop wakes next, which may take a second; starting
        // a timer wakes it. QEMU has a SysTick here; the chip has none, and ignores this.
        core.write(0x014, 0xFF_FFFF);
        core.write(0x010, 5);
        device.core.write(0x100, INTERRUPTS);
        device
    }

    pub(super) fn counter(&self) -> u32 {
        self.timer.write(timer::CAPTURE_0, 1);
        self.timer.read(timer::COUNT_0)
    }

    /// Makes an interrupt pending after some ticks.
    pub(super) fn alarm(&self, ticks: u32) {
        let at = self.counter().wrapping_add(ticks);
        self.timer.write(timer::COUNT_1, at);
    }

    /// Clears pending interrupts.
    pub(super) fn acknowledge(&self) {
        self.timer.write(timer::COMPARED_1, 0);
        self.core.write(0x280, INTERRUPTS);
    }

    pub(super) fn has_byte(&self) -> bool {
        self.uart.read(uart::RX_READY) != 0
    }

    pub(super) fn read(&self) -> Option<u8> {
        if !self.has_byte() {
            return None;
        }
        // Cleared first: a read sets it again if there is another byte.
        self.uart.write(uart::RX_READY, 0);
        self.uart.read(uart::RX).to_le_bytes().first().copied()
    }

    pub(super) fn write(&self, byte: u8) {
        self.uart.write(uart::TX_READY, 0);
        self.uart.write(uart::TX, u32::from(byte));
        while self.uart.read(uart::TX_READY) == 0 {}
    }
}
