//! The lm3s6965evb: `SysTick` as the clock, because QEMU cannot read the timers; the first timer for deadlines; the
//! first UART, a PL011, as the serial line.

use super::registers::Registers;
use synod::Duration;

/// The ratio of microseconds to ticks: 12.5 MHz.
pub(super) const TICKS_TO_MICROS: (u64, u64) = (2, 25);
/// The maximum of the counter.
pub(super) const TICKS_MAX: u32 = 0xFF_FFFF;
/// The longest sleep: the counter must not overflow in it.
pub(super) const NAP_MAX: Duration = Duration::from_secs(1);

/// Register offsets of the UART.
mod uart {
    pub(super) const DATA: usize = 0x00;
    pub(super) const FLAGS: usize = 0x18;
    pub(super) const LINE_CONTROL: usize = 0x2C;
    pub(super) const CONTROL: usize = 0x30;
    pub(super) const INTERRUPTS: usize = 0x38;
    pub(super) const INTERRUPTS_CLEAR: usize = 0x44;
    /// Bits of the flag register.
    pub(super) const RX_EMPTY: u32 = 1 << 4;
    pub(super) const TX_FULL: u32 = 1 << 5;
    /// The interrupts on received bytes, at once or after a delay.
    pub(super) const RECEIVED: u32 = 1 << 4 | 1 << 6;
}

/// Register offsets of a timer.
mod timer {
    pub(super) const CONFIGURATION: usize = 0x00;
    pub(super) const MODE: usize = 0x04;
    pub(super) const CONTROL: usize = 0x0C;
    pub(super) const INTERRUPTS: usize = 0x18;
    pub(super) const INTERRUPTS_CLEAR: usize = 0x24;
    pub(super) const LOAD: usize = 0x28;
}

/// Register offsets of the core: `SysTick` and interrupts.
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
    #[expect(unsafe_code, reason = "the addresses of this chip")]
    pub(super) fn start() -> Self {
        // SAFETY: the address of system control, which enables devices.
        let system = unsafe { Registers::at(0x400F_E000) };
        // SAFETY: the address of the first UART.
        let uart = unsafe { Registers::at(0x4000_C000) };
        // SAFETY: the address of the first timer.
        let alarm = unsafe { Registers::at(0x4003_0000) };
        // SAFETY: the system control space of a Cortex-M.
        let core = unsafe { Registers::at(0xE000_E000) };
        // The clocks of the first UART and of the first timer.
        system.write(0x104, 1 << 0 | 1 << 16);
        core.write(core_registers::TICK_RELOAD, TICKS_MAX);
        core.write(core_registers::TICK_VALUE, 0);
        // SysTick counts the clock of the core.
        core.write(core_registers::TICK_CONTROL, 1 << 0 | 1 << 2);
        alarm.write(timer::CONTROL, 0);
        // One 32-bit timer in one-shot mode.
        alarm.write(timer::CONFIGURATION, 0);
        alarm.write(timer::MODE, 1);
        alarm.write(timer::INTERRUPTS, 1);
        // Eight bits with FIFOs; then enable the UART, its transmitter and its receiver.
        uart.write(uart::LINE_CONTROL, 0b111 << 4);
        uart.write(uart::CONTROL, 1 << 0 | 1 << 8 | 1 << 9);
        uart.write(uart::INTERRUPTS, uart::RECEIVED);
        core.write(core_registers::INTERRUPTS_ENABLE, INTERRUPTS);
        Self { uart, alarm, core }
    }

    pub(super) fn counter(&self) -> u32 {
        // SysTick counts down.
        !self.core.read(core_registers::TICK_VALUE) & TICKS_MAX
    }

    /// Makes an interrupt pending after some ticks.
    pub(super) fn alarm(&self, ticks: u32) {
        self.alarm.write(timer::CONTROL, 0);
        self.alarm.write(timer::LOAD, ticks);
        self.alarm.write(timer::CONTROL, 1);
    }

    /// Clears pending interrupts.
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
