//! The program on a board, with the arguments `CONFIGURATION CLIENTS COMMANDS` from the debugger. It logs the ticks
//! of the core's timer that the commands took.

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{Peripherals, SYST};
use cortex_m_rt::entry;
#[cfg(not(board = "microbit"))]
use example_firmware::configurations::controller;
#[cfg(board = "mps2-an386")]
use example_firmware::configurations::gateway;
use example_firmware::configurations::sensor;
use example_firmware::semihosting::{Arguments, exit};
use example_firmware::trio::{Kind, Shared, Trio};

/// The exit code if all commands were decided.
const DONE: u8 = 0;
/// The exit code if not all commands were decided.
const NOT_DONE: u8 = 1;
/// The exit code for invalid arguments, or a configuration that is too large for the board.
const USAGE: u8 = 2;
/// The exit code if the timer overflowed.
const TOO_LONG: u8 = 3;

/// The range of the timer, in ticks.
const TICKS_MAX: u32 = 0x00FF_FFFF;

type Sensors = Trio<
    Shared<sensor::Machine, { sensor::Member::OUTBOX_MIN + sensor::CLIENTS }, 8>,
    { sensor::WINDOW },
    { sensor::CLIENTS },
    { sensor::PAGE },
>;

#[cfg(not(board = "microbit"))]
type Controllers = Trio<
    Shared<controller::Machine, { controller::Member::OUTBOX_MIN + controller::CLIENTS }, 16>,
    { controller::WINDOW },
    { controller::CLIENTS },
    { controller::PAGE },
>;

#[cfg(board = "mps2-an386")]
type Gateways = Trio<
    Shared<gateway::Machine, { gateway::Member::OUTBOX_MIN + gateway::CLIENTS }, 64>,
    { gateway::WINDOW },
    { gateway::CLIENTS },
    { gateway::PAGE },
>;

#[entry]
fn main() -> ! {
    // The runtime hands out a reference to each once. They are too large for the stack.
    static mut SENSOR: Sensors = Sensors::idle();
    #[cfg(not(board = "microbit"))]
    static mut CONTROLLER: Controllers = Controllers::idle();
    #[cfg(board = "mps2-an386")]
    static mut GATEWAY: Gateways = Gateways::idle();

    let arguments = Arguments::<64>::get();
    let mut words = arguments.words();
    let configuration = words.next();
    let mut number = || words.next()?.parse().ok();
    let (Some(clients), Some(commands), Some(peripherals)) =
        (number(), number(), Peripherals::take())
    else {
        exit(USAGE)
    };
    let mut timer = peripherals.SYST;
    let code = match configuration {
        Some("sensor") => measure(SENSOR, clients, commands, &mut timer),
        #[cfg(not(board = "microbit"))]
        Some("controller") => measure(CONTROLLER, clients, commands, &mut timer),
        #[cfg(board = "mps2-an386")]
        Some("gateway") => measure(GATEWAY, clients, commands, &mut timer),
        _ => USAGE,
    };
    exit(code)
}

/// Has a cluster decide commands of some clients, and logs the ticks.
fn measure<K: Kind<P>, const W: usize, const C: usize, const P: usize>(
    trio: &mut Trio<K, W, C, P>,
    clients: u32,
    commands: u32,
    timer: &mut SYST,
) -> u8 {
    let clients = usize::try_from(clients).unwrap_or(usize::MAX);
    if clients == 0 || clients > C {
        return USAGE;
    }
    if trio.begin(clients).is_err() {
        return NOT_DONE;
    }
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(TICKS_MAX);
    timer.clear_current();
    timer.enable_counter();
    let decided = trio.decide(commands);
    let ticks = TICKS_MAX - SYST::get_current();
    if decided.is_err() {
        return NOT_DONE;
    }
    if timer.has_wrapped() {
        return TOO_LONG;
    }
    defmt::info!("ticks={=u32}", ticks);
    DONE
}
