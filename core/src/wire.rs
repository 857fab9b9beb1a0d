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

/// The version of the encoding. Frames of other versions are dropped.
pub const VERSION: u8 = 3;

/// Why a frame was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FrameError {
    /// The frame was damaged: it is too short, or its checksum is wrong.
    Damaged,
    /// The frame is undamaged, but of another version than [`VERSION`], older or newer.
    Version,
    /// The frame belongs to another cluster, or to a cluster with other members.
    Foreign,
    /// The frame is undamaged, but encodes nothing that a node with the same commands, outputs, pages and `PAGE` could
    /// send.
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

/// The number of dropped frames for each reason. Counters saturate at their maximum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Dropped {
    /// Frames with [`FrameError::Damaged`].
    pub damaged: u32,
    /// Frames with [`FrameError::Version`].
    pub version: u32,
    /// Frames with [`FrameError::Foreign`].
    pub foreign: u32,
    /// Frames with [`FrameError::Malformed`].
    pub malformed: u32,
}

impl Dropped {
    /// Returns the number of all dropped frames.
    pub fn total(&self) -> u32 {
        [self.version, self.foreign, self.malformed]
            .iter()
            .fold(self.damaged, |sum, count| sum.saturating_add(*count))
    }

    /// Counts a dropped frame. Noise on a link must not make a counter wrap around to a number that looks healthy.
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

/// Returns the address byte of a node; `None` for a number that no node can have, as that byte is a client's.
fn node_byte(node: NodeId) -> Option<u8> {
    u8::try_from(node.0).ok().filter(|_| node.0 < NODES_MAX)
}

/// Returns the node of an address byte; `None` if it is the address of a client.
fn node_of(byte: u8) -> Option<NodeId> {
    let node = NodeId(u16::from(byte));
    (node.0 < NODES_MAX).then_some(node)
}

/// A message that has no encoding, because no node sends it: it names a node above 63, a run that is longer than its
/// field can count, or an entry far from the slots of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Unencodable;

impl fmt::Display for Unencodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the message was not encoded: no node says that")
    }
}

impl core::error::Error for Unencodable {}
