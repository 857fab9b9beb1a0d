//! The layout of a log: two superblocks, two marks, and a ring of blocks.
//!
//! Each superblock and each mark has a page of its own, so that a write to one that power interrupts cannot garble another.
//! Both superblocks are the same; they are written when the file is created, and one that has rotted is written again
//! from the other. The marks are written in turn.

use crate::error::Problem;
use crate::medium::Medium;
use std::io;
use synod::{Digest, Reader, Sink};

/// The length of a page in bytes: the largest sector that disks have.
const PAGE: u64 = 4096;
pub(crate) const SUPERBLOCKS_AT: [u64; 2] = [0, PAGE];
pub(crate) const MARKS_AT: [u64; 2] = [2 * PAGE, 3 * PAGE];
/// The offset of the ring in the file.
pub(crate) const RING_AT: u64 = 4 * PAGE;

const MAGIC: [u8; 8] = *b"SYNODLOG";
/// The version of the format. Other versions are not read.
///
/// Stores in two areas, which had the same magic, were versions 1 and 2 of a format with 32 bits for the version. The owner in
/// the other 32 bits tells them from this one.
const VERSION: u64 = 1;
/// Magic, version, capacity, key and digest.
pub(crate) const SUPERBLOCK_BYTES: usize = 5 * 8;
/// Four numbers and a digest.
pub(crate) const MARK_BYTES: usize = 5 * 8;

/// What a file is, from its creation on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Superblock {
    /// The capacity in bytes of records.
    pub(crate) capacity: u64,
    pub(crate) key: Key,
}

/// A number drawn when the file is created, which every checksum in the file starts from.
///
/// Records hold what clients send, and the ring is searched for headers of blocks. Nobody who does not read the file can
/// make bytes that are taken for a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(pub(crate) u64);

impl Key {
    /// Returns the checksum of some numbers and some bytes.
    pub(crate) fn checksum<const N: usize>(self, words: [u64; N], bytes: &[u8]) -> u64 {
        checksum(self.0, words, bytes)
    }
}

fn checksum<const N: usize>(key: u64, words: [u64; N], bytes: &[u8]) -> u64 {
    let mut digest = Digest::new();
    digest.put_u64(key);
    for word in words {
        digest.put_u64(word);
    }
    digest.put(bytes);
    digest.value()
}

impl Superblock {
    pub(crate) fn encode(&self) -> [u8; SUPERBLOCK_BYTES] {
        let mut bytes = [0; SUPERBLOCK_BYTES];
        let words = [
            u64::from_le_bytes(MAGIC),
            VERSION,
            self.capacity,
            self.key.0,
        ];
        put(&mut bytes, words, checksum(0, words, &[]));
        bytes
    }

    /// Returns the superblock of a file, and whether both copies of it are intact.
    pub(crate) fn read(medium: &impl Medium) -> Result<(Self, bool), Problem> {
        let len = medium.len()?;
        if len < RING_AT {
            let mut magic = MAGIC;
            let (begin, _) = magic.split_at_mut(usize::try_from(len.min(8)).unwrap_or_default());
            medium.read_at(0, begin)?;
            // An empty file is also taken for a log that was cut off, as nothing else is written to such a path.
            let is_cut = MAGIC.starts_with(begin);
            return Err(if is_cut {
                Problem::other_length(len)
            } else {
                Problem::Foreign
            });
        }
        let mut copies = [Copy::Foreign; 2];
        for (copy, offset) in copies.iter_mut().zip(SUPERBLOCKS_AT) {
            let mut bytes = [0; SUPERBLOCK_BYTES];
            medium.read_at(offset, &mut bytes)?;
            *copy = Copy::decode(&bytes);
        }
        match copies {
            [Copy::Intact(one), Copy::Intact(other)] if one != other => Err(Problem::Damaged {
                at: 0,
                what: "the superblocks differ",
            }),
            [Copy::Intact(one), Copy::Intact(_)] => Ok((one, true)),
            [Copy::Intact(one), _] | [_, Copy::Intact(one)] => Ok((one, false)),
            [Copy::Version(one), Copy::Version(other)] if one == other => {
                Err(Problem::Version(one))
            }
            // Other formats have one superblock.
            [Copy::Version(one), Copy::Foreign] => Err(Problem::Version(one & 0xffff_ffff)),
            [Copy::Foreign, Copy::Foreign] => Err(Problem::Foreign),
            _ => Err(Problem::Damaged {
                at: 0,
                what: "both superblocks have changed",
            }),
        }
    }

    /// Returns the length of the ring: twice the capacity, as [`crate::FileLog`] explains, in whole pages.
    pub(crate) fn ring_len(&self) -> u64 {
        self.capacity.saturating_mul(2).next_multiple_of(PAGE)
    }

    /// Returns the length of the file. It never changes.
    pub(crate) fn file_len(&self) -> u64 {
        RING_AT.saturating_add(self.ring_len())
    }
}

/// One copy of the superblock.
#[derive(Clone, Copy)]
enum Copy {
    Intact(Superblock),
    /// Of another version, about which nothing more is known.
    Version(u64),
    /// Of this version, and with a wrong checksum.
    Changed,
    Foreign,
}

impl Copy {
    fn decode(bytes: &[u8; SUPERBLOCK_BYTES]) -> Self {
        let Some(([magic, version, capacity, key], digest)) = take(bytes) else {
            return Self::Foreign;
        };
        if magic != u64::from_le_bytes(MAGIC) {
            return Self::Foreign;
        }
        // The version first: in another one, everything else may mean something else.
        if version != VERSION {
            return Self::Version(version);
        }
        if digest != checksum(0, [magic, version, capacity, key], &[]) {
            return Self::Changed;
        }
        Self::Intact(Superblock {
            capacity,
            key: Key(key),
        })
    }
}

/// The first record that is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Oldest {
    /// The sequence number of its block; that of the next block if no record is needed.
    pub(crate) sequence: u64,
    /// How many records of that block are dropped.
    pub(crate) skip: u32,
    /// The place of that block in the ring, in bytes.
    pub(crate) place: u64,
}

/// What is known to be synced.
///
/// Marks only grow, so of two intact ones the larger counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    /// The sequence number of a block that was synced.
    pub(crate) synced: u64,
    /// What was needed then. The room before it may be in use again.
    pub(crate) oldest: Oldest,
}

impl Mark {
    /// The mark of a log to which nothing was written.
    pub(crate) const FIRST: Self = Self {
        synced: 0,
        oldest: Oldest {
            sequence: 1,
            skip: 0,
            place: 0,
        },
    };

    pub(crate) fn encode(&self, key: Key) -> [u8; MARK_BYTES] {
        let mut bytes = [0; MARK_BYTES];
        let words = [
            self.synced,
            self.oldest.sequence,
            u64::from(self.oldest.skip),
            self.oldest.place,
        ];
        put(&mut bytes, words, key.checksum(words, b"mark"));
        bytes
    }

    fn decode(bytes: &[u8; MARK_BYTES], key: Key) -> Option<Self> {
        let (words, digest) = take(bytes)?;
        let [synced, sequence, skip, place] = words;
        (digest == key.checksum(words, b"mark")).then_some(())?;
        let skip = u32::try_from(skip).ok()?;
        Some(Self {
            synced,
            oldest: Oldest {
                sequence,
                skip,
                place,
            },
        })
    }

    /// Returns the newest mark of a file, and the offset of the page for the next one: that of the other mark.
    ///
    /// One may have rotted, or been torn when power was lost.
    pub(crate) fn read(medium: &impl Medium, key: Key) -> Result<(Self, u64), Problem> {
        let [one, other] = MARKS_AT;
        let mut found = [None; 2];
        for (mark, offset) in found.iter_mut().zip(MARKS_AT) {
            let mut bytes = [0; MARK_BYTES];
            medium.read_at(offset, &mut bytes)?;
            *mark = Self::decode(&bytes, key);
        }
        match found {
            // An empty one is the smallest.
            [Some(first), second] if Some(first) >= second => Ok((first, other)),
            [_, Some(second)] => Ok((second, one)),
            [_, None] => Err(Problem::Damaged {
                at: one,
                what: "both marks have changed",
            }),
        }
    }

    /// Returns the offset of the other page for a mark.
    pub(crate) fn other_page(offset: u64) -> u64 {
        let [one, other] = MARKS_AT;
        if offset == one { other } else { one }
    }
}

/// Fills `bytes` with four numbers and a digest.
fn put(bytes: &mut [u8; 5 * 8], [one, two, three, four]: [u64; 4], digest: u64) {
    let words = [one, two, three, four, digest];
    for (place, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *place = word.to_le_bytes();
    }
}

fn take(bytes: &[u8; 5 * 8]) -> Option<([u64; 4], u64)> {
    let mut reader = Reader::new(bytes);
    let words = [reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?];
    Some((words, reader.u64()?))
}

/// The ring of a file. Offsets in it grow without bound; a place is an offset modulo the length of the ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring {
    pub(crate) len: u64,
}

impl Ring {
    /// Returns the place at an offset.
    pub(crate) fn place(self, offset: u64) -> u64 {
        offset.checked_rem(self.len).unwrap_or(0)
    }

    /// Returns the offset in the file, for errors.
    pub(crate) fn in_file(self, offset: u64) -> u64 {
        RING_AT.saturating_add(self.place(offset))
    }

    /// Returns how many of `len` bytes from an offset on lie before the end of the ring. The others are at its beginning.
    fn until_end(self, offset: u64, len: usize) -> usize {
        let left = self.len.saturating_sub(self.place(offset));
        usize::try_from(left).unwrap_or(usize::MAX).min(len)
    }

    pub(crate) fn read(self, medium: &impl Medium, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let (head, rest) = out.split_at_mut(self.until_end(offset, out.len()));
        medium.read_at(self.in_file(offset), head)?;
        if rest.is_empty() {
            return Ok(());
        }
        medium.read_at(RING_AT, rest)
    }

    pub(crate) fn write(
        self,
        medium: &mut impl Medium,
        offset: u64,
        bytes: &[u8],
    ) -> io::Result<()> {
        let (head, rest) = bytes.split_at(self.until_end(offset, bytes.len()));
        medium.write_at(self.in_file(offset), head)?;
        if rest.is_empty() {
            return Ok(());
        }
        medium.write_at(RING_AT, rest)
    }
}
