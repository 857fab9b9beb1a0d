//! Errors of storage and journals.

use super::Identity;
use crate::{ConfigError, Slot};
use core::fmt;

/// Why storage could not be opened. Nothing in it was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError<E> {
    /// The storage cannot be read.
    Storage(E),
    /// The storage belongs to another node, to a node with other capacities, or to another version of the format.
    Foreign {
        /// The identity of the node that opens the storage.
        expected: Identity,
        /// The identity in the storage.
        found: Identity,
    },
    /// The settings are invalid.
    Config(ConfigError),
}

/// Why something was not written. A write of the node may not be durable: no message or reply that depends on it may
/// leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JournalError<E> {
    /// The storage has failed.
    Storage(E),
    /// The storage is too small for a node with these capacities and this state.
    TooSmall {
        /// The capacity that is needed, in bytes.
        needed: usize,
        /// The capacity of the storage, in bytes.
        capacity: usize,
    },
    /// An earlier write has failed.
    Failed,
    /// The settings are invalid; nothing was built.
    Config(ConfigError),
}

/// The damage that was found in storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Damage {
    /// A synced record is missing, or has changed.
    Missing {
        /// The number of the first such record.
        number: u32,
    },
    /// There is no complete checkpoint.
    NoCheckpoint,
    /// The pages of the checkpoint do not match the digest of its snapshot.
    Snapshot,
    /// The decision for an applied slot is missing.
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

/// Writes the first difference between two identities.
fn foreign(f: &mut fmt::Formatter<'_>, expected: &Identity, found: &Identity) -> fmt::Result {
    // The version first, as all else may mean something else in another one.
    let (what, expected, found): (&str, u32, u32) = if found.version != expected.version {
        return write!(
            f,
            "the storage has records of version {}, and this program reads version {}: use the program that wrote it, or found a new cluster with new storage",
            found.version, expected.version
        );
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
