//! A backup: the keys of a cluster as of one slot, in a file, and back into another cluster.
//!
//! The reply to `SYNOD.BACKUP` is the file. Numbers are little-endian.
//!
//! | bytes | holds |
//! |---|---|
//! | 8 | `synod-bk` |
//! | 4 | the version of the format, 1 |
//! | 8 | the number of the cluster |
//! | 2 | the epoch |
//! | 8 | the last slot that was applied |
//! | 8 | the digest of everything up to it, `chain` |
//! | 8 | the time of the wall clock, in milliseconds since 1970 |
//! | 4 | the number of keys |
//! | 4 | the length of the entries, in bytes |
//! | … | the entries |
//! | 8 | the checksum of all that, CRC-64/XZ |
//!
//! An entry is a byte for its lifetime (0 for ever, 1 at least so long, 2 until a time since 1970), eight bytes with that time in
//! milliseconds, the lengths of the key and of the value in two bytes each, the key and the value.
//!
//! Sessions are not in it: what a client asked for in a session of the cluster that was backed up cannot be repeated in
//! another one.

pub mod client;
#[cfg(test)]
mod tests;

use crate::capacity::Member;
use crate::keyspace::{BYTES_MAX, KEYS_MAX, Lifetime};
use crate::op::{KEY_MAX, VALUE_MAX};
use core::fmt;
use crc::{CRC_64_XZ, Crc, Table};

const CHECKSUM: Crc<u64, Table<1>> = Crc::<u64, Table<1>>::new(&CRC_64_XZ);
const MAGIC: &[u8; 8] = b"synod-bk";
/// The version of the format.
pub const VERSION: u32 = 1;

/// No backup has more bytes.
pub const LEN_MAX: usize = 62 + BYTES_MAX + 13 * KEYS_MAX;

/// The keys of a cluster as of one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// The number of the cluster.
    pub cluster: u64,
    /// The epoch of its members.
    pub epoch: u16,
    /// The last slot that was applied.
    pub slot: u64,
    /// A digest of everything that was applied.
    pub chain: u64,
    /// The time of the wall clock of the node, in milliseconds since 1970.
    pub unix: u64,
    /// The keys.
    pub entries: Vec<Entry>,
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
    /// How long it lives from the time of the backup on.
    pub lifetime: Lifetime,
}

/// Why bytes are no backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupError {
    /// They begin in another way.
    Foreign,
    /// They have this version of the format.
    Version(u32),
    /// They are not what was written: their length or their checksum is another one.
    Damaged,
}

impl fmt::Display for BackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str(
                "this is no backup of a cluster: name a file that synod backup has written",
            ),
            Self::Version(version) => write!(
                f,
                "this is a backup of format {version}, which this program cannot read: use the version of the program that wrote it"
            ),
            Self::Damaged => {
                f.write_str("this backup is damaged or cut off: use another copy of it")
            }
        }
    }
}

impl core::error::Error for BackupError {}

impl Backup {
    /// Returns the backup of what a node has applied, `extra_ms` after the last tick was applied.
    pub(crate) fn of(node: &Member, unix: u64, extra_ms: u64) -> Self {
        let contents = node.machine().contents(extra_ms);
        Self {
            cluster: node.config().cluster,
            epoch: node.epoch().0,
            slot: node.applied().number(),
            chain: node.chain(),
            unix,
            entries: contents
                .map(|(key, value, lifetime)| Entry {
                    key: key.to_vec(),
                    value: value.to_vec(),
                    lifetime,
                })
                .collect(),
        }
    }

    /// Returns the bytes of the file.
    pub fn encode(&self) -> Vec<u8> {
        let mut entries = Vec::new();
        for entry in &self.entries {
            let (kind, time) = match entry.lifetime {
                Lifetime::Forever => (0, 0),
                Lifetime::Left(ms) => (1, ms),
                Lifetime::Until(unix) => (2, unix),
            };
            entries.push(kind);
            entries.extend_from_slice(&u64::to_le_bytes(time));
            // Both are bounded by the keyspace.
            for len in [entry.key.len(), entry.value.len()] {
                entries.extend_from_slice(&u16::try_from(len).unwrap_or(u16::MAX).to_le_bytes());
            }
            entries.extend_from_slice(&entry.key);
            entries.extend_from_slice(&entry.value);
        }
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes();
        let mut bytes = [
            &MAGIC[..],
            &VERSION.to_le_bytes(),
            &self.cluster.to_le_bytes(),
            &self.epoch.to_le_bytes(),
            &self.slot.to_le_bytes(),
            &self.chain.to_le_bytes(),
            &self.unix.to_le_bytes(),
            &number(self.entries.len()),
            &number(entries.len()),
            &entries,
        ]
        .concat();
        let checksum = CHECKSUM.checksum(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    ///
    /// [`BackupError`]: they are not the whole of a backup, byte for byte.
    pub fn decode(bytes: &[u8]) -> Result<Self, BackupError> {
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(BackupError::Foreign)?;
        let damaged = BackupError::Damaged;
        let version = take(&mut rest).map(u32::from_le_bytes).ok_or(damaged)?;
        let (all, checksum) = bytes.split_last_chunk().ok_or(damaged)?;
        if CHECKSUM.checksum(all) != u64::from_le_bytes(*checksum) {
            return Err(damaged);
        }
        if version != VERSION {
            return Err(BackupError::Version(version));
        }
        Self::read(rest).ok_or(damaged)
    }

    /// Reads what follows the version; `None` if it does not follow the format.
    fn read(mut rest: &[u8]) -> Option<Self> {
        let mut backup = Self {
            cluster: take(&mut rest).map(u64::from_le_bytes)?,
            epoch: take(&mut rest).map(u16::from_le_bytes)?,
            slot: take(&mut rest).map(u64::from_le_bytes)?,
            chain: take(&mut rest).map(u64::from_le_bytes)?,
            unix: take(&mut rest).map(u64::from_le_bytes)?,
            entries: Vec::new(),
        };
        let count = take(&mut rest).map(u32::from_le_bytes)?;
        let len = take(&mut rest).map(u32::from_le_bytes)?;
        let mut entries = rest.split_off(..usize::try_from(len).ok()?)?;
        while !entries.is_empty() {
            backup.entries.push(Entry::read(&mut entries)?);
        }
        let is_whole = rest.len() == size_of::<u64>()
            && backup.entries.len() <= KEYS_MAX
            && u32::try_from(backup.entries.len()) == Ok(count);
        is_whole.then_some(backup)
    }
}

impl Entry {
    /// Reads the entry at the start of `bytes`, which is then after it.
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let [kind] = take(bytes)?;
        let time = take(bytes).map(u64::from_le_bytes)?;
        let lifetime = match (kind, time) {
            (0, 0) => Lifetime::Forever,
            (1, ms) => Lifetime::Left(ms),
            (2, unix) => Lifetime::Until(unix),
            _ => return None,
        };
        let mut length = || take(bytes).map(|len| usize::from(u16::from_le_bytes(len)));
        let (key_len, value_len) = (length()?, length()?);
        if key_len > KEY_MAX || value_len > VALUE_MAX {
            return None;
        }
        Some(Self {
            key: bytes.split_off(..key_len)?.to_vec(),
            value: bytes.split_off(..value_len)?.to_vec(),
            lifetime,
        })
    }
}

/// Takes bytes from the front.
fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}
