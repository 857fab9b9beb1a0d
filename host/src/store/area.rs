//! Areas of a store: the two parts of its file that hold the log in turn.
//!
//! A log lives in one area at a time. A trim copies what stays to the other one, and only then says
//! so in the marks, so that the old log is whole until the new one is durable. A store therefore
//! takes twice its capacity from the beginning.

use super::superblock::{PAGE, SUPERBLOCK};

/// One of the two areas after the superblock.
///
/// Each has room for all records that the capacity allows, so that a log can be copied from one to the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Area {
    /// The one in which a new store begins.
    #[default]
    First,
    /// The one to which the first trim copies the log.
    Second,
}

impl Area {
    /// Returns the number by which a mark names the area.
    pub(super) fn number(self) -> u64 {
        match self {
            Self::First => 0,
            Self::Second => 1,
        }
    }

    /// Returns the area with a number; `None` for any other number, which makes a mark unreadable.
    pub(super) fn numbered(number: u64) -> Option<Self> {
        [Self::First, Self::Second]
            .into_iter()
            .find(|area| area.number() == number)
    }

    /// Returns the area that does not hold the log, and may therefore be overwritten.
    pub(super) fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    /// Returns the offset of the area in a store with a capacity in bytes.
    pub(super) fn at(self, capacity: u32) -> u64 {
        SUPERBLOCK + self.number() * area_len(capacity)
    }
}

/// Returns the length of an area in bytes: the capacity in whole pages, so that no two areas share a sector.
///
/// A torn write in one area then cannot reach the other.
pub(super) fn area_len(capacity: u32) -> u64 {
    u64::from(capacity).next_multiple_of(PAGE)
}

/// Returns the length of the file of a store with a capacity in bytes. It never changes.
pub(super) fn file_len(capacity: u32) -> u64 {
    SUPERBLOCK + 2 * area_len(capacity)
}
