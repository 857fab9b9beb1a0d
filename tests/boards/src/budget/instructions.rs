//! Instructions of one decided command, of three nodes on one board without links.

use super::{Costs, core, read};
use crate::Failure;
use crate::image::Board;
use crate::log_decoder::Dictionary;
use crate::qemu;
use crate::table::{Table, grouped};
use example_firmware::configurations::{controller, gateway, sensor};

/// The configurations, the numbers of concurrent clients, and the boards with room for three such nodes.
const RUNS: [(&str, usize, &[Board]); 6] = [
    ("sensor", 1, &Board::ALL),
    ("sensor", sensor::CLIENTS, &Board::ALL),
    ("controller", 1, &[Board::Lm3s6965evb, Board::Mps2An386]),
    (
        "controller",
        controller::CLIENTS,
        &[Board::Lm3s6965evb, Board::Mps2An386],
    ),
    ("gateway", 1, &[Board::Mps2An386]),
    ("gateway", gateway::CLIENTS, &[Board::Mps2An386]),
];

/// The two run lengths whose difference is counted, in commands.
const LENGTHS: [u64; 2] = [320, 800];

pub(super) fn measure(progress: &mut dyn FnMut(&str)) -> Result<Costs, Failure> {
    let mut costs = Costs::default();
    let mut table = Table::new(&["configuration", "asked at once", "M0", "M3", "M4F"]);
    for (configuration, clients, boards) in RUNS {
        let mut row = vec![configuration.into(), clients.to_string()];
        for board in Board::ALL {
            if !boards.contains(&board) {
                row.push(String::new());
                continue;
            }
            progress(&format!(
                "instructions with {clients} concurrent clients, {configuration} on {}",
                core(board)
            ));
            let instructions = instructions(board, configuration, clients)?;
            let name = format!("{configuration}/{clients} at once/{}", core(board));
            costs.add(format!("{name}/instructions"), instructions);
            row.push(grouped(instructions));
        }
        table.rows.push(row);
    }
    let title = "Instructions of one decided command: of all three nodes of a cluster together, on one board, without links and storage:";
    costs.tables.push((title.into(), table));
    Ok(costs)
}

fn instructions(board: Board, configuration: &str, clients: usize) -> Result<u64, Failure> {
    let [short, long] = LENGTHS;
    let first = counted(board, configuration, clients, short)?;
    let second = counted(board, configuration, clients, long)?;
    Ok(second.saturating_sub(first) / (long - short))
}

/// Returns how QEMU counts on a board: an instruction takes 2 to the power of the first number of nanoseconds, and a
/// tick of the timer takes the second number of picoseconds.
const fn clock(board: Board) -> (u32, u64) {
    match board {
        Board::Microbit => (6, 62_500),
        // A tick must not be longer than an instruction.
        Board::Lm3s6965evb => (7, 80_000),
        Board::Mps2An386 => (6, 40_000),
    }
}

/// Returns the number of instructions that the program takes to decide `commands` commands.
fn counted(board: Board, name: &str, clients: usize, commands: u64) -> Result<u64, Failure> {
    let (image, _) = read(board, "decide")?;
    let words = [name, &clients.to_string(), &commands.to_string()];
    let (shift, tick) = clock(board);
    let mut command = qemu::command(board, &image, &words);
    command.args(["-icount", &format!("shift={shift},sleep=off")]);
    let finished = qemu::finish(command)?;
    if finished.code != 0 {
        return Err(Failure::new(format!(
            "decide {} ended with {} on {}",
            words.join(" "),
            finished.code,
            board.name()
        )));
    }
    let lines = Dictionary::of(&image)?.decode(&finished.log)?;
    let ticks = lines.iter().find_map(|line| {
        let ticks = line.text.strip_prefix("ticks=")?;
        ticks.parse::<u64>().ok()
    });
    let ticks = ticks.ok_or_else(|| Failure::new("decide does not report its ticks"))?;
    Ok(ticks * tick / (1000 << shift))
}
