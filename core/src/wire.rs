#![doc = include_str!("../guide/rustdoc-links.txt")]
#![doc = include_str!("../WIRE.md")]

mod body;
mod clients;
mod frames;
mod len;
#[cfg(test)]
mod tests;

use crate::{NODES_MAX, NodeId};
use core::fmt;
pub use frames::{Frame, Frames};
pub use len::{LEN_MIN, OVERHEAD, len_max};

/// The version of the encoding. A frame of another one is dropped.
pub const VERSION: u8 = 2;

/// Why a frame was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FrameError {
    /// It is not what was sent: too short, or its checksum is wrong.
    Damaged,
    /// It is whole, but of another version than [`VERSION`], be that an older or a newer one.
    Version,
    /// It is of another cluster, or of a cluster with other members.
    Foreign,
    /// It is whole, but says nothing that a node made with the same command, output, pages and `PAGE` would say.
    Malformed,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Damaged => "the frame was dropped: it is damaged",
            Self::Version => "the frame was dropped: it is of another version of the encoding",
            Self::Foreign => "the frame was dropped: it is of another cluster",
            Self::Malformed => {
                "the frame was dropped: no node of this make says that (are all made with the same capacities?)"
            }
        })
    }
}

impl core::error::Error for FrameError {}

/// How many frames were dropped, by reason. The counts stay at their largest value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Dropped {
    /// As [`FrameError::Damaged`].
    pub damaged: u32,
    /// As [`FrameError::Version`].
    pub version: u32,
    /// As [`FrameError::Foreign`].
    pub foreign: u32,
    /// As [`FrameError::Malformed`].
    pub malformed: u32,
}

impl Dropped {
    /// All of them.
    pub fn total(&self) -> u32 {
        [self.version, self.foreign, self.malformed]
            .iter()
            .fold(self.damaged, |sum, count| sum.saturating_add(*count))
    }

    fn count(&mut self, error: FrameError) {
        let count = match error {
            FrameError::Damaged => &mut self.damaged,
            FrameError::Version => &mut self.version,
            FrameError::Foreign => &mut self.foreign,
            FrameError::Malformed => &mut self.malformed,
        };
        *count = count.saturating_add(1);
    }
}

/// The byte of a node.
fn node_byte(node: NodeId) -> Option<u8> {
    u8::try_from(node.0).ok().filter(|_| node.0 < NODES_MAX)
}

/// The node of a byte; `None` where that is a client's.
fn node_of(byte: u8) -> Option<NodeId> {
    let node = NodeId(u16::from(byte));
    (node.0 < NODES_MAX).then_some(node)
}

/// A message that no node says has no encoding: it names a node beyond 63, a run that is longer than its kind can count, or
/// an entry far from the slots that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Unencodable;

impl fmt::Display for Unencodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the message was not encoded: no node says that")
    }
}

impl core::error::Error for Unencodable {}
