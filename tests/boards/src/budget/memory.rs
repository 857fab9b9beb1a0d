//! Memory of the parts of a node on a 32-bit target, in the three configurations of `example-firmware`.

use super::{Costs, read};
use crate::Failure;
use crate::image::Board;
use crate::table::{Table, grouped};
use example_firmware::configurations::{NAMES, PARTS, controller, gateway, sensor};
use synod::wire::len_max;

/// The capacities of the configurations.
const KINDS: [[usize; 4]; 3] = [
    [
        sensor::WINDOW,
        sensor::CLIENTS,
        sensor::PAGE,
        len_max::<sensor::Machine, { sensor::PAGE }>(),
    ],
    [
        controller::WINDOW,
        controller::CLIENTS,
        controller::PAGE,
        len_max::<controller::Machine, { controller::PAGE }>(),
    ],
    [
        gateway::WINDOW,
        gateway::CLIENTS,
        gateway::PAGE,
        len_max::<gateway::Machine, { gateway::PAGE }>(),
    ],
];

pub(super) fn measure(progress: &mut dyn FnMut(&str)) -> Result<Costs, Failure> {
    progress("memory of the parts of a node");
    let sizes = sizes(Board::Microbit)?;
    for board in [Board::Lm3s6965evb, Board::Mps2An386] {
        if self::sizes(board)? != sizes {
            return Err(Failure::new(format!(
                "the size of a node on {} differs from other boards: give each board a table",
                board.name()
            )));
        }
    }
    let mut costs = Costs::default();
    for (name, sizes) in NAMES.into_iter().zip(&sizes) {
        for (part, bytes) in PARTS.into_iter().zip(sizes) {
            costs.add(format!("{name}/{part}"), u64::from(*bytes));
        }
    }
    for (name, kind) in NAMES.into_iter().zip(KINDS) {
        costs.add(format!("{name}/longest frame"), number(kind[3]));
    }
    let title = "A node, part by part, bytes on each of these targets (types of `examples/firmware/src/configurations.rs`; the last line is what a board gives for ever, besides a driver and the stack):";
    costs.tables.push((title.into(), join(&sizes)));
    Ok(costs)
}

/// Returns the table alone, which needs neither QEMU nor a disassembler.
///
/// # Errors
///
/// Returns an error if the image that contains the sizes cannot be built.
pub fn table() -> Result<Table, Failure> {
    Ok(join(&sizes(Board::Microbit)?))
}

/// Returns a row of sizes for each configuration.
fn sizes(board: Board) -> Result<Vec<Vec<u32>>, Failure> {
    let (_, elf) = read(board, "sizes")?;
    let words = elf.words("::SIZES")?;
    Ok(words.chunks(PARTS.len()).map(<[u32]>::to_vec).collect())
}

fn join(sizes: &[Vec<u32>]) -> Table {
    let mut heading = vec!["part"];
    heading.extend(NAMES);
    let mut table = Table::new(&heading);
    let kinds = ["window", "clients", "entries in a message", "longest frame"];
    for (index, kind) in kinds.into_iter().enumerate() {
        let mut row = vec![kind.into()];
        let numbers = KINDS.iter().filter_map(|kinds| kinds.get(index));
        row.extend(numbers.map(|kind| grouped(number(*kind))));
        table.rows.push(row);
    }
    for (index, part) in PARTS.into_iter().enumerate() {
        let mut row = vec![part.into()];
        let bytes = sizes.iter().filter_map(|sizes| sizes.get(index));
        row.extend(bytes.map(|bytes| grouped(u64::from(*bytes))));
        table.rows.push(row);
    }
    table
}

fn number(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
