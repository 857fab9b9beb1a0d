#![doc = include_str!("../WIRE.md")]

mod body;
mod frames;
mod len;
#[cfg(test)]
mod tests;

use crate::NodeId;
use core::fmt;
pub use frames::Frames;
pub use len::{LEN_MIN, OVERHEAD, len_max};

/// The version of the encoding. A frame of another one is dropped.
pub const VERSION: u8 = 2;

/// The address of whoever is no member of the cluster but asks one of its nodes: the from of a
/// [`Message::Request`](crate::Message::Request), the to of its [`Message::Response`](crate::Message::Response).
///
/// A node knows nobody of this address. Who drives it hands such a request to [`Node::ask`](crate::Node::ask), and sends
/// the [reply](crate::Reply) back to here.
pub const CLIENT: NodeId = NodeId(255);

/// Why a frame was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FrameError {
    /// It is not what was sent: too short, or its checksum is wrong.
    Damaged,
    /// It is whole, but of another version than [`VERSION`].
    Future,
    /// It is of another cluster, or of a cluster with other members.
    Foreign,
    /// It is whole, but says nothing that a node made with the same command, output, pages and `PAGE` would say.
    Malformed,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Damaged => "the frame was dropped: it is damaged",
            Self::Future => "the frame was dropped: it is of another version of the encoding",
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
    /// As [`FrameError::Future`].
    pub future: u32,
    /// As [`FrameError::Foreign`].
    pub foreign: u32,
    /// As [`FrameError::Malformed`].
    pub malformed: u32,
}

impl Dropped {
    /// All of them.
    pub fn total(&self) -> u32 {
        [self.future, self.foreign, self.malformed]
            .iter()
            .fold(self.damaged, |sum, count| sum.saturating_add(*count))
    }

    fn count(&mut self, error: FrameError) {
        let count = match error {
            FrameError::Damaged => &mut self.damaged,
            FrameError::Future => &mut self.future,
            FrameError::Foreign => &mut self.foreign,
            FrameError::Malformed => &mut self.malformed,
        };
        *count = count.saturating_add(1);
    }
}

/// A message that no node says has no encoding: it names a node beyond 255, a run that is longer than its kind can count, or
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
