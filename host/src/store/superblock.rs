//! Superblock of a store, its first three pages: the label, and the two marks, which say what was synced.
//!
//! | at | bytes | contents |
//! |---|---|---|
//! | 0 | 40 | magic, version, cluster, node, capacity, and a digest of these |
//! | 4096 | 40 | a mark: generation, area, number of trimmed records, number of records so far, and a digest of these |
//! | 8192 | 40 | the other mark |
//!
//! Numbers are little-endian. A new mark replaces the older one, in a page of its own, so that a torn write leaves the
//! newer one intact.

use super::area::Area;
use synod::{Digest, NodeId, Reader, Sink, Writer};

/// Size of a page, in bytes: at least that of a sector of any disk.
pub(super) const PAGE: u64 = 4096;
/// Size of the superblock, in bytes.
pub(super) const SUPERBLOCK: u64 = 3 * PAGE;
/// Size of the label, in bytes.
pub(super) const LABEL_BYTES: usize = 40;
/// Size of a mark, in bytes.
pub(super) const MARK_BYTES: usize = 40;
/// Offsets of the two marks.
pub(super) const MARKS_AT: [u64; 2] = [PAGE, 2 * PAGE];

/// First bytes of every store. A file without them is not called damaged, but foreign.
const MAGIC: &[u8; 8] = b"SYNODLOG";
/// Version of the format. Files of version 1 were databases of `redb`. The version is checked after
/// the digest, so that a garbled one is damage.
const VERSION: u32 = 2;

/// Node number that stands for the clients in the label of the client log. No cluster has a node of
/// this number.
pub(super) const CLIENTS: NodeId = NodeId(u16::MAX);

/// Label of a store: its owner and capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Label {
    /// Number of the cluster, as in `Config::cluster`.
    pub cluster: u64,
    /// The node.
    pub node: NodeId,
    /// Capacity in bytes of records; see `Storage::capacity`.
    pub capacity: u32,
}

/// Reason why forty bytes are not a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LabelError {
    /// The magic number is missing.
    Magic,
    /// The digest does not match.
    Digest,
    /// The version is another one.
    Version(u32),
}

impl Label {
    /// Returns the label as bytes. It is written once, when the store is created.
    pub(super) fn encode(&self) -> [u8; LABEL_BYTES] {
        let mut bytes = [0; LABEL_BYTES];
        let mut writer = Writer::new(&mut bytes);
        writer.put(MAGIC);
        writer.put_u32(VERSION);
        writer.put_u64(self.cluster);
        writer.put_u32(u32::from(self.node.0));
        writer.put_u64(u64::from(self.capacity));
        let digest = self.digest(VERSION);
        writer.put_u64(digest);
        bytes
    }

    /// Returns the label in some bytes, which are those of any file.
    pub(super) fn decode(bytes: &[u8; LABEL_BYTES]) -> Result<Self, LabelError> {
        let mut reader = Reader::new(bytes);
        if reader.array() != Some(*MAGIC) {
            return Err(LabelError::Magic);
        }
        // The digest covers the version and is compared first, so that only a whole label is called
        // one of another version.
        let mut fields = || {
            let version = reader.u32()?;
            let label = Self {
                cluster: reader.u64()?,
                node: NodeId(u16::try_from(reader.u32()?).ok()?),
                capacity: u32::try_from(reader.u64()?).ok()?,
            };
            (label.digest(version) == reader.u64()?).then_some((version, label))
        };
        match fields() {
            Some((VERSION, label)) => Ok(label),
            Some((version, _)) => Err(LabelError::Version(version)),
            None => Err(LabelError::Digest),
        }
    }

    /// Returns the digest of the label in some version.
    fn digest(&self, version: u32) -> u64 {
        let node = u64::from(self.node.0);
        digest([
            u64::from(version),
            self.cluster,
            node,
            u64::from(self.capacity),
        ])
    }
}

/// The extent of a log at its last sync or trim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// Number of marks before it. It tells which of the two is newer, and where the next one goes.
    generation: u64,
    /// The area that holds the log.
    pub(super) area: Area,
    /// Number of trimmed records, which is also the number of the first record in the area.
    pub(super) trimmed: u64,
    /// Number of records so far, including trimmed ones.
    pub(super) records: u64,
}

impl Mark {
    /// Returns the mark that follows, of the same area with a number of records so far.
    pub(super) fn next(self, records: u64) -> Self {
        Self {
            generation: self.generation.wrapping_add(1),
            records,
            ..self
        }
    }

    /// Returns the offset of the mark, which is that of the mark before the last.
    pub(super) fn at(self) -> u64 {
        let [even, odd] = MARKS_AT;
        if self.generation.is_multiple_of(2) {
            even
        } else {
            odd
        }
    }

    /// Returns the mark as bytes.
    pub(super) fn encode(self) -> [u8; MARK_BYTES] {
        let mut bytes = [0; MARK_BYTES];
        let mut writer = Writer::new(&mut bytes);
        for word in self.words() {
            writer.put_u64(word);
        }
        writer.put_u64(digest(self.words()));
        bytes
    }

    /// Returns the mark in some bytes; `None` if they are torn or have changed.
    pub(super) fn decode(bytes: &[u8; MARK_BYTES]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let mark = Self {
            generation: reader.u64()?,
            area: Area::numbered(reader.u64()?)?,
            trimmed: reader.u64()?,
            records: reader.u64()?,
        };
        (digest(mark.words()) == reader.u64()?).then_some(mark)
    }

    /// Returns the newer of the readable marks.
    ///
    /// Generations do not come around: 2⁶⁴ syncs are more than any disk endures.
    pub(super) fn newer(marks: [Option<Self>; 2]) -> Option<Self> {
        let marks = marks.into_iter().flatten();
        marks.max_by_key(|mark| mark.generation)
    }

    /// Returns the words of the mark, which its digest covers.
    fn words(self) -> [u64; 4] {
        let area = self.area.number();
        [self.generation, area, self.trimmed, self.records]
    }
}

/// Returns the digest of some words.
fn digest<const N: usize>(words: [u64; N]) -> u64 {
    let mut digest = Digest::new();
    for word in words {
        digest.put_u64(word);
    }
    digest.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_with_a_changed_bit_is_refused() {
        let label = Label {
            cluster: 0x0123_4567_89ab_cdef,
            node: NodeId(5),
            capacity: 1 << 20,
        };
        let bytes = label.encode();
        assert_eq!(Label::decode(&bytes), Ok(label));
        for bit in 0..8 * LABEL_BYTES {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(Label::decode(&changed).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_mark_with_a_changed_bit_is_ignored_in_favour_of_the_other() {
        let older = Mark {
            area: Area::Second,
            trimmed: 5,
            ..Mark::default().next(7)
        };
        let newer = older.next(9);
        assert_ne!(
            older.at(),
            newer.at(),
            "one outlasts the writing of the other"
        );
        let bytes = newer.encode();
        assert_eq!(Mark::decode(&bytes), Some(newer));
        for bit in 0..8 * MARK_BYTES {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Mark::decode(&changed), None, "bit {bit}");
        }
        assert_eq!(Mark::decode(&[0; MARK_BYTES]), None);
        assert_eq!(Mark::newer([Some(older), Some(newer)]), Some(newer));
        assert_eq!(Mark::newer([Some(older), None]), Some(older));
        assert_eq!(Mark::newer([None, None]), None);
    }
}
