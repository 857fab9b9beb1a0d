//! What a node costs on each target: flash, RAM, stack and instructions, with a limit for each figure.

mod images;
mod instructions;
mod limits;
mod memory;
mod stack_painting;
mod stacks;

pub use limits::{Limits, SHARE};
pub use memory::table as memory_table;

use crate::Failure;
use crate::elf::Elf;
use crate::image::{Board, Build};
use crate::table::Table;
use core::fmt;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The programs of `example-firmware` that are for more than measuring.
pub const PROGRAMS: [&str; 3] = ["node", "relays", "simulate"];
/// Those that are not.
pub const MEASURING: [&str; 2] = ["decide", "sizes"];

/// A group of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// Bytes of flash and RAM of each image.
    Images,
    /// Bytes of stack of each image for a board.
    Stacks,
    /// Bytes of the parts of a node.
    Memory,
    /// Instructions of a decided command.
    Work,
}

impl Group {
    /// All of them, as they are printed.
    pub const ALL: [Self; 4] = [Self::Images, Self::Stacks, Self::Memory, Self::Work];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Stacks => "stacks",
            Self::Memory => "memory",
            Self::Work => "work",
        }
    }

    /// The group of a name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|group| group.name() == name)
    }

    /// Measures it. What is under way is said to `progress`.
    ///
    /// # Errors
    ///
    /// Something cannot be built or run, or is not as it must be.
    pub fn measure(self, progress: &mut dyn FnMut(&str)) -> Result<Costs, Failure> {
        match self {
            Self::Images => images::measure(progress),
            Self::Stacks => stacks::measure(progress),
            Self::Memory => memory::measure(progress),
            Self::Work => instructions::measure(progress),
        }
    }
}

/// Figures of a group, and the tables that people read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Costs {
    /// Each table with the sentence above it.
    pub tables: Vec<(String, Table)>,
    /// The same for what is not the same every time.
    pub observed: Vec<(String, Table)>,
    /// The figures, by their names.
    pub figures: BTreeMap<String, u64>,
}

impl Costs {
    fn add(&mut self, name: String, value: u64) {
        self.figures.insert(name, value);
    }
}

impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tables
            .iter()
            .chain(&self.observed)
            .try_for_each(|(title, table)| write!(f, "{title}\n\n{table}\n"))
    }
}

/// What a board's core is called here: shorter than its target.
const fn core(board: Board) -> &'static str {
    match board {
        Board::Microbit => "M0",
        Board::Lm3s6965evb => "M3",
        Board::Mps2An386 => "M4F",
    }
}

/// Builds the programs for a board, and answers where they are.
fn firmware(board: Board, has_stack_sizes: bool) -> Result<PathBuf, Failure> {
    let (package, target) = ("example-firmware", board.target());
    Build {
        package,
        target,
        profile: "firmware",
        has_stack_sizes,
    }
    .run()
}

/// Reads a program for a board that was built.
fn read(board: Board, program: &str) -> Result<(PathBuf, Elf), Failure> {
    let path = firmware(board, false)?.join(program);
    let elf = Elf::read(&path)?;
    Ok((path, elf))
}
