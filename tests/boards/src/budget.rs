//! The costs of a node on each target: flash, RAM, stack and instructions, with a limit for each figure.

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

/// The programs of `example-firmware` that do more than measure.
pub const PROGRAMS: [&str; 3] = ["node", "relays", "simulate"];
/// The programs of `example-firmware` that only measure.
pub const MEASURING: [&str; 2] = ["decide", "sizes"];

/// A group of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// Flash and RAM of each image, in bytes.
    Images,
    /// The stack of each image for a board, in bytes.
    Stacks,
    /// The parts of a node, in bytes.
    Memory,
    /// Instructions of a decided command.
    Work,
}

impl Group {
    /// All groups, in the order in which they are printed.
    pub const ALL: [Self; 4] = [Self::Images, Self::Stacks, Self::Memory, Self::Work];

    /// Returns its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Stacks => "stacks",
            Self::Memory => "memory",
            Self::Work => "work",
        }
    }

    /// Returns the group with a name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|group| group.name() == name)
    }

    /// Measures the group, and reports each step to `progress`.
    ///
    /// # Errors
    ///
    /// Returns an error if something cannot be built or run, or fails a check.
    pub fn measure(self, progress: &mut dyn FnMut(&str)) -> Result<Costs, Failure> {
        match self {
            Self::Images => images::measure(progress),
            Self::Stacks => stacks::measure(progress),
            Self::Memory => memory::measure(progress),
            Self::Work => instructions::measure(progress),
        }
    }
}

/// The figures of a group, with tables for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Costs {
    /// The tables, each with its title.
    pub tables: Vec<(String, Table)>,
    /// Tables of figures that vary from run to run.
    pub observed: Vec<(String, Table)>,
    /// The figures by name.
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

/// Returns a short name for the core of a board.
const fn core(board: Board) -> &'static str {
    match board {
        Board::Microbit => "M0",
        Board::Lm3s6965evb => "M3",
        Board::Mps2An386 => "M4F",
    }
}

/// Builds the programs for a board, and returns their folder.
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

/// Reads the image of a program for a board.
fn read(board: Board, program: &str) -> Result<(PathBuf, Elf), Failure> {
    let path = firmware(board, false)?.join(program);
    let elf = Elf::read(&path)?;
    Ok((path, elf))
}
