//! The lm3s6965evb: time is the core's tick, as the timers cannot be read in QEMU; alarms are the first timer, which can ring;
//! the line is the first UART, a PL011.

use super::registers::Registers;
use synod::Duration;

/// How many microseconds so many ticks are: 12.5 MHz.
pub(super) const TICKS_TO_MICROS: (u64, u64) = (2, 25);
/// The counter goes around after this.
pub(super) const TICKS_MAX: u32 = 0xFF_FFFF;
/// The longest sleep: the counter must not go around in it.
pub(super) const NAP_MAX: Duration = Duration::from_secs(1);

/// Offsets of registers of the UART.
mod uart {
    pub(super) const DATA: usize = 0x00;
    pub(super) const FLAGS: usize = 0x18;
    pub(super) const LINE_CONTROL: usize = 0x2C;
    pub(super) const CONTROL: usize = 0x30;
    pub(super) const INTERRUPTS: usize = 0x38;
    pub(super) const INTERRUPTS_CLEAR: usize = 0x44;
    /// The bits of the flags.
    pub(super) const RX_EMPTY: u32 = 1 << 4;
    pub(super) const TX_FULL: u32 = 1 << 5;
    /// The interrupts: there are bytes, or have been for a while.
    pub(super) const RECEIVED: u32 = 1 << 4 | 1 << 6;
}

/// Offsets of registers of a timer.
mod timer {
    pub(super) const CONFIGURATION: usize = 0x00;
    pub(super) const MODE: usize = 0x04;
    pub(super) const CONTROL: usize = 0x0C;
    pub(super) const INTERRUPTS: usize = 0x18;
    pub(super) const INTERRUPTS_CLEAR: usize = 0x24;
    pub(super) const LOAD: usize = 0x28;
}

/// Offsets of registers of the core: its tick and its interrupts.
mod core_registers {
    pub(super) const TICK_CONTROL: usize = 0x010;
    pub(super) const TICK_RELOAD: usize = 0x014;
    pub(super) const TICK_VALUE: usize = 0x018;
    pub(super) const INTERRUPTS_ENABLE: usize = 0x100;
    pub(super) const INTERRUPTS_CLEAR: usize = 0x280;
}

/// The interrupts that end a sleep: of the UART and of the timer.
const INTERRUPTS: u32 = 1 << 5 | 1 << 19;

#[derive(Debug)]
pub(super) struct Device {
    uart: Registers,
    alarm: Registers,
    core: Registers,
}

impl Device {
    #[expect(unsafe_code, reason = "these are this chip's addresses")]
    pub(super) fn start() -> Self {
        // SAFETY: system control, which switches devices on.
        let system = unsafe { Registers::at(0x400F_E000) };
        // SAFETY: the first UART is there.
        let uart = unsafe { Registers::at(0x4000_C000) };
        // SAFETY: the first timer is there.
        let alarm = unsafe { Registers::at(0x4003_0000) };
        // SAFETY: the system control space of a Cortex-M.
        let core = unsafe { Registers::at(0xE000_E000) };
        // The clocks of the first UART and of the first timer.
        system.write(0x104, 1 << 0 | 1 << 16);
        core.write(core_registers::TICK_RELOAD, TICKS_MAX);
        core.write(core_registers::TICK_VALUE, 0);
        // It counts the clock of the core.
        core.write(core_registers::TICK_CONTROL, 1 << 0 | 1 << 2);
        alarm.write(timer::CONTROL, 0);
        // One timer of 32 bits that rings once.
        alarm.write(timer::CONFIGURATION, 0);
        alarm.write(timer::MODE, 1);
        alarm.write(timer::INTERRUPTS, 1);
        // Eight bits, with queues; then: on, sends, receives.
        uart.write(uart::LINE_CONTROL, 0b111 << 4);
        uart.write(uart::CONTROL, 1 << 0 | 1 << 8 | 1 << 9);
        uart.write(uart::INTERRUPTS, uart::RECEIVED);
        core.write(core_registers::INTERRUPTS_ENABLE, INTERRUPTS);
        Self { uart, alarm, core }
    }

    pub(super) fn counter(&self) -> u32 {
        // It counts down.
        !self.core.read(core_registers::TICK_VALUE) & TICKS_MAX
    }

    /// Has an interrupt pending in so many ticks.
    pub(super) fn alarm(&self, ticks: u32) {
        self.alarm.write(timer::CONTROL, 0);
        self.alarm.write(timer::LOAD, ticks);
        self.alarm.write(timer::CONTROL, 1);
    }

    /// Takes back what is pending.
    pub(super) fn acknowledge(&self) {
        self.alarm.write(timer::CONTROL, 0);
        self.alarm.write(timer::INTERRUPTS_CLEAR, 1);
        self.uart.write(uart::INTERRUPTS_CLEAR, uart::RECEIVED);
        self.core
            .write(core_registers::INTERRUPTS_CLEAR, INTERRUPTS);
    }

    pub(super) fn has_byte(&self) -> bool {
        self.uart.read(uart::FLAGS) & uart::RX_EMPTY == 0
    }

    pub(super) fn read(&self) -> Option<u8> {
        if !self.has_byte() {
            return None;
        }
        self.uart.read(uart::DATA).to_le_bytes().first().copied()
    }

    pub(super) fn write(&self, byte: u8) {
        while self.uart.read(uart::FLAGS) & uart::TX_FULL != 0 {}
        self.uart.write(uart::DATA, u32::from(byte));
    }
}
