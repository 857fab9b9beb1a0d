//! What can go wrong with storage, as values.

use super::Identity;
use crate::{ConfigError, Slot};
use core::fmt;

/// Why storage could not be opened. Nothing was changed in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError<E> {
    /// It cannot be read.
    Storage(E),
    /// It is another node's, or one's with other capacities, or of another version.
    Foreign {
        /// Who asks for it.
        expected: Identity,
        /// Whose it is.
        found: Identity,
    },
    /// The settings are not sound.
    Config(ConfigError),
}

/// Why something was not written. What a node wanted to be durable may not be: nothing that rests on it may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JournalError<E> {
    /// The storage failed.
    Storage(E),
    /// The storage is too small for a node of these capacities and this state.
    TooSmall {
        /// How many bytes it would need.
        needed: usize,
        /// How many it has.
        capacity: usize,
    },
    /// Something could not be written before.
    Failed,
    /// The settings are not sound; nothing was built.
    Config(ConfigError),
}

/// What is wrong with storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Damage {
    /// A record that was synced is missing, or is not what it was.
    Missing {
        /// The number of the first one.
        number: u32,
    },
    /// There is no whole checkpoint.
    NoCheckpoint,
    /// The pages of the checkpoint are not those of its snapshot.
    Snapshot,
    /// It is not known what was decided in a slot that was applied.
    Hole {
        /// The slot.
        slot: Slot,
    },
}

impl<E: fmt::Display> fmt::Display for OpenError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage(error) => write!(f, "the storage cannot be read: {error}"),
            Self::Foreign { expected, found } => foreign(f, expected, found),
            Self::Config(error) => error.fmt(f),
        }
    }
}

/// Says the first thing in which two identities differ.
fn foreign(f: &mut fmt::Formatter<'_>, expected: &Identity, found: &Identity) -> fmt::Result {
    let (what, expected, found) = if found.version != expected.version {
        let versions = (u32::from(expected.version), u32::from(found.version));
        ("version", versions.0, versions.1)
    } else if found.fingerprint != expected.fingerprint {
        return write!(
            f,
            "the storage belongs to another cluster, other members or another state machine: its fingerprint is {:08x} instead of {:08x}",
            found.fingerprint, expected.fingerprint
        );
    } else if found.node != expected.node {
        ("node", expected.node.into(), found.node.into())
    } else if found.window != expected.window {
        ("WINDOW", expected.window.into(), found.window.into())
    } else {
        ("CLIENTS", expected.clients.into(), found.clients.into())
    };
    write!(
        f,
        "the storage was made for another node: its {what} is {found} instead of {expected}"
    )
}

impl<E: fmt::Display> fmt::Display for JournalError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage(error) => write!(f, "the storage failed: {error}"),
            Self::TooSmall { needed, capacity } => write!(
                f,
                "the storage is too small: it has room for {capacity} bytes of records, and needs {needed}"
            ),
            Self::Failed => f.write_str("the storage failed before; nothing more is written"),
            Self::Config(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { number } => {
                write!(f, "record {number} is missing or is not what was written")
            }
            Self::NoCheckpoint => f.write_str("there is no whole checkpoint"),
            Self::Snapshot => f.write_str("the checkpoint is not what was written"),
            Self::Hole { slot } => write!(f, "what was decided in slot {slot} is missing"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for OpenError<E> {}
impl<E: fmt::Debug + fmt::Display> core::error::Error for JournalError<E> {}
impl core::error::Error for Damage {}
