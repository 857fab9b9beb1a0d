//! The quick part of `cargo budget`; `cargo budget --check` checks the rest.

use example_firmware::configurations::{Latest, controller, sensor};
use example_firmware::trio::{Shared, Stuck, Trio};
use std::fs;
use synod::{Reader, StateMachine, Writer};
use synod_boards::budget::{MEASURING, PROGRAMS, memory_table};
use synod_boards::elf::Elf;
use synod_boards::image::{Board, compiler, firmware, root};

fn image(board: Board, program: &str) -> Elf {
    let path = firmware(board, program).unwrap_or_else(|error| panic!("{error}"));
    Elf::read(&path).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
#[cfg_attr(
    no_qemu,
    ignore = "apt-get install qemu-system-arm, and rustup target add"
)]
fn no_program_for_a_board_can_panic_allocate_or_format() {
    for board in Board::ALL {
        for program in PROGRAMS.into_iter().chain(MEASURING) {
            let elf = image(board, program);
            assert_eq!(elf.forbidden(), [""; 0], "{program} for {}", board.name());
            assert!(elf.names.len() > 10, "names are there to be looked at");
        }
    }
}

#[test]
#[cfg_attr(
    no_qemu,
    ignore = "apt-get install qemu-system-arm, and rustup target add"
)]
fn the_node_of_a_microbit_leaves_half_of_its_ram_to_the_stack() {
    let elf = image(Board::Microbit, "node");
    let statics = elf.data + elf.bss;
    assert!((1..=8 << 10).contains(&statics), "{statics}");
    assert!(statics + (elf.stack.1 - elf.stack.0) <= 16 << 10);
}

#[test]
#[cfg_attr(
    no_qemu,
    ignore = "apt-get install qemu-system-arm, and rustup target add"
)]
fn the_chapter_on_costs_shows_the_memory_of_the_parts_of_a_node() {
    let chapter = fs::read_to_string(root().join("core/guide/costs.md")).unwrap();
    if !chapter.contains(&compiler().unwrap()) {
        // Another compiler may choose another layout.
        return;
    }
    let table = memory_table().unwrap_or_else(|error| panic!("{error}"));
    assert!(chapter.contains(&table.to_string()), "now it is\n{table}");
}

#[test]
fn three_nodes_decide_commands_in_every_configuration() {
    // Boards do the same with less memory.
    let mut sensors = Trio::<Shared<sensor::Machine, 16, 8>, 4, 2, 1>::idle();
    assert_eq!(sensors.begin(2).and_then(|()| sensors.decide(100)), Ok(()));
    let mut controllers = Trio::<Shared<controller::Machine, 22, 16>, 8, 4, 2>::idle();
    assert_eq!(
        controllers.begin(4).and_then(|()| controllers.decide(100)),
        Ok(())
    );
    // Room for one message in flight is too little.
    let mut cramped = Trio::<Shared<sensor::Machine, 16, 1>, 4, 2, 1>::idle();
    assert_eq!(cramped.begin(1), Err(Stuck));
}

#[test]
fn the_state_machine_of_sensors_keeps_the_last_reading() {
    let mut latest = Latest::default();
    assert_eq!((latest.apply(&17), latest.apply(&23)), (1, 2));
    let mut page = [0; Latest::PAGE_BYTES];
    let mut writer = Writer::new(&mut page);
    latest.write_page(0, &mut writer);
    assert!(!writer.overflowed());
    let mut other = Latest::default();
    assert_eq!(other.read_page(0, &mut Reader::new(&page)), Ok(()));
    assert_eq!(other, latest);
    assert_eq!(page[0], 23);
    assert!(other.read_page(0, &mut Reader::new(&page[..7])).is_err());
}
