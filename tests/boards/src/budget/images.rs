//! Sizes of images, and a check that nothing in them panics, allocates or formats.

use super::{Costs, MEASURING, PROGRAMS, core, firmware};
use crate::Failure;
use crate::elf::Elf;
use crate::image::{Board, Build};
use crate::table::{Table, grouped};
use std::path::Path;

/// The images of `example-bare`, with a description of each.
const BARE: [(&str, &str); 4] = [
    ("bare-node", "a node"),
    ("bare-flash", "a node with its journal in flash"),
    ("bare-simulation", "a node and its simulation"),
    ("bare-digest", "a node, its simulation, and the digest"),
];

/// The targets that the bare images are linked for.
const TARGETS: [&str; 4] = [
    "thumbv6m-none-eabi",
    "thumbv7m-none-eabi",
    "thumbv7em-none-eabihf",
    "riscv32imc-unknown-none-elf",
];

/// The build profiles, with the names of their optimization levels.
const PROFILES: [(&str, &str); 2] = [("firmware", "s"), ("firmware-z", "z")];

pub(super) fn measure(progress: &mut dyn FnMut(&str)) -> Result<Costs, Failure> {
    let mut costs = Costs::default();
    boards(&mut costs, progress)?;
    bare(&mut costs, progress)?;
    Ok(costs)
}

/// Measures flash and RAM of the programs for boards.
fn boards(costs: &mut Costs, progress: &mut dyn FnMut(&str)) -> Result<(), Failure> {
    let mut table = Table::new(&["program", "core", "text", "data", "bss"]);
    for program in PROGRAMS {
        for board in Board::ALL {
            progress(&format!("size of {program} on {}", core(board)));
            let elf = checked(&firmware(board, false)?.join(program))?;
            let sizes = [("text", elf.text), ("data", elf.data), ("bss", elf.bss)];
            for (kind, bytes) in sizes {
                costs.add(format!("{program}/{}/{kind}", core(board)), bytes);
            }
            let cells = sizes.map(|(_, bytes)| grouped(bytes));
            let mut row = vec![format!("`{program}`"), core(board).into()];
            row.extend(cells);
            table.rows.push(row);
        }
    }
    for program in MEASURING {
        for board in Board::ALL {
            checked(&firmware(board, false)?.join(program))?;
        }
    }
    let title = "The programs of `examples/firmware`, bytes:";
    costs.tables.push((title.into(), table));
    Ok(())
}

/// Measures the text of the bare images alone: they have next to no statics.
fn bare(costs: &mut Costs, progress: &mut dyn FnMut(&str)) -> Result<(), Failure> {
    let mut table = Table::new(&["text, with no logs", "opt", "M0", "M3", "M4F", "RISC-V"]);
    let mut rows: Vec<_> = BARE
        .iter()
        .flat_map(|(_, content)| PROFILES.map(|(_, level)| vec![(*content).into(), level.into()]))
        .collect();
    for target in TARGETS {
        let arch = target.split('-').next().unwrap_or(target);
        let mut folders = Vec::new();
        for (profile, level) in PROFILES {
            progress(&format!("bare images for {target}, opt-level {level}"));
            let package = "example-bare";
            let has_stack_sizes = false;
            let build = Build {
                package,
                target,
                profile,
                has_stack_sizes,
            };
            folders.push((build.run()?, level));
        }
        let images = BARE
            .iter()
            .flat_map(|(image, _)| folders.iter().map(move |folder| (image, folder)));
        for ((image, (folder, level)), row) in images.zip(&mut rows) {
            let text = checked(&folder.join(image))?.text;
            costs.add(format!("{image}/{arch}/{level}/text"), text);
            row.push(grouped(text));
        }
    }
    table.rows = rows;
    let title = "The images of `examples/bare`, with a panic handler and nothing else around a node, bytes:";
    costs.tables.push((title.into(), table));
    Ok(())
}

/// Reads an image and checks that it contains nothing forbidden.
fn checked(path: &Path) -> Result<Elf, Failure> {
    let elf = Elf::read(path)?;
    let forbidden = elf.forbidden();
    if forbidden.is_empty() {
        return Ok(elf);
    }
    let (path, names) = (path.display(), forbidden.join("\n  "));
    Err(Failure::new(format!(
        "{path} contains functions that can panic, allocate or format:\n  {names}\nto find their callers: llvm-objdump --disassemble --demangle {path}"
    )))
}
