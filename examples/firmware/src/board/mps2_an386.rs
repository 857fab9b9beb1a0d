//! The mps2-an386: the first CMSDK timer as the clock, the second for deadlines, and the first CMSDK UART as the
//! serial line.

use super::registers::Registers;
use synod::Duration;

/// The ratio of microseconds to ticks: 25 MHz.
pub(super) const TICKS_TO_MICROS: (u64, u64) = (1, 25);
/// The maximum of the counter.
pub(super) const TICKS_MAX: u32 = u32::MAX;
/// The longest sleep: the counter must not overflow in it.
pub(super) const NAP_MAX: Duration = Duration::from_secs(60);

/// Register offsets of the UART.
mod uart {
    pub(super) const DATA: usize = 0x00;
    pub(super) const STATE: usize = 0x04;
    pub(super) const CONTROL: usize = 0x08;
    pub(super) const INTERRUPTS: usize = 0x0C;
    pub(super) const BAUD_DIVISOR: usize = 0x10;
    /// Bits of the state register.
    pub(super) const TX_FULL: u32 = 1 << 0;
    pub(super) const RX_FULL: u32 = 1 << 1;
}

/// Register offsets of a timer.
mod timer {
    pub(super) const CONTROL: usize = 0x0;
    pub(super) const VALUE: usize = 0x4;
    pub(super) const RELOAD: usize = 0x8;
    pub(super) const INTERRUPT: usize = 0xC;
    /// Bits of the control register.
    pub(super) const ENABLE: u32 = 1 << 0;
    pub(super) const INTERRUPTS: u32 = 1 << 3;
}

/// The interrupts that end a sleep: a received byte, and the second timer.
const INTERRUPTS: u32 = 1 << 0 | 1 << 9;

#[derive(Debug)]
pub(super) struct Device {
    uart: Registers,
    clock: Registers,
    alarm: Registers,
    core: Registers,
}

impl Device {
    #[expect(unsafe_code, reason = "the addresses of this chip")]
    pub(super) fn start() -> Self {
        // SAFETY: the address of the first UART.
        let uart = unsafe { Registers::at(0x4000_4000) };
        // SAFETY: the address of the first timer.
        let clock = unsafe { Registers::at(0x4000_0000) };
        // SAFETY: the address of the second timer.
        let alarm = unsafe { Registers::at(0x4000_1000) };
        // SAFETY: the system control space of a Cortex-M.
        let core = unsafe { Registers::at(0xE000_E000) };
        clock.write(timer::RELOAD, u32::MAX);
        clock.write(timer::VALUE, u32::MAX);
        clock.write(timer::CONTROL, timer::ENABLE);
        uart.write(uart::BAUD_DIVISOR, 16);
        // Enable the transmitter, the receiver, and an interrupt for each byte.
        uart.write(uart::CONTROL, 1 << 0 | 1 << 1 | 1 << 3);
        // QEMU checks a receiver that was full only when its main loop wakes next, which may take a second; this
        // wakes it.
        uart.read(uart::DATA);
        core.write(0x100, INTERRUPTS);
        Self {
            uart,
            clock,
            alarm,
            core,
        }
    }

    pub(super) fn counter(&self) -> u32 {
        // The timer counts down.
        !self.clock.read(timer::VALUE)
    }

    /// Makes an interrupt pending after some ticks.
    pub(super) fn alarm(&self, ticks: u32) {
        self.alarm.write(timer::CONTROL, 0);
        self.alarm.write(timer::RELOAD, ticks);
        self.alarm.write(timer::VALUE, ticks);
        self.alarm
            .write(timer::CONTROL, timer::ENABLE | timer::INTERRUPTS);
    }

    /// Clears pending interrupts.
    pub(super) fn acknowledge(&self) {
        self.alarm.write(timer::CONTROL, 0);
        self.alarm.write(timer::INTERRUPT, 1);
        self.uart.write(uart::INTERRUPTS, 1 << 1);
        self.core.write(0x280, INTERRUPTS);
    }

    pub(super) fn has_byte(&self) -> bool {
        self.uart.read(uart::STATE) & uart::RX_FULL != 0
    }

    pub(super) fn read(&self) -> Option<u8> {
        if !self.has_byte() {
            return None;
        }
        self.uart.read(uart::DATA).to_le_bytes().first().copied()
    }

    pub(super) fn write(&self, byte: u8) {
        while self.uart.read(uart::STATE) & uart::TX_FULL != 0 {}
        self.uart.write(uart::DATA, u32::from(byte));
    }
}
