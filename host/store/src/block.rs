//! Blocks: the records of one sync, behind a header.
//!
//! | at | bytes | contents |
//! |---|---|---|
//! | 0 | 4 | magic: a part of the key |
//! | 4 | 4 | checksum of the place of the block and the rest of the header |
//! | 8 | 8 | sequence number |
//! | 16 | 4 | length of the records |
//! | 20 | 4 | how many blocks before this one are still needed |
//! | 24 | 4 | the place of the first of these, in units of eight bytes |
//! | 28 | 4 | how many records of that block are dropped |
//! | 32 | 8 | checksum of the sequence number and the records |
//! | 40 | | the records, each behind two bytes with its length |
//!
//! Integers are little-endian. Blocks begin at multiples of eight bytes.

use crate::layout::{Key, Oldest, Ring};
use crate::medium::Medium;
use std::io;
use synod::Reader;

/// The length of a header.
pub(crate) const HEAD: usize = 40;
/// Blocks begin at multiples of this.
pub(crate) const ALIGN: usize = 8;
/// The length of what precedes a record.
pub(crate) const RECORD_HEAD: usize = 2;
/// The most that a record takes besides its own bytes: that of a block with this record only.
pub(crate) const OVERHEAD: usize = HEAD + RECORD_HEAD + ALIGN - 1;
/// The unit of places in headers, which is that of [`ALIGN`].
const UNIT: u64 = 8;

/// The header of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) sequence: u64,
    /// The length of the records.
    len: u32,
    back: u32,
    units: u32,
    skip: u32,
    payload: u64,
}

impl Header {
    /// Returns the header of a block with these records, or `None` for one that is too large.
    pub(crate) fn new(sequence: u64, oldest: Oldest, records: &[u8], key: Key) -> Option<Self> {
        Some(Self {
            sequence,
            len: u32::try_from(records.len()).ok()?,
            back: u32::try_from(sequence.checked_sub(oldest.sequence)?).ok()?,
            units: u32::try_from(oldest.place / UNIT).ok()?,
            skip: oldest.skip,
            payload: key.checksum([sequence], records),
        })
    }

    /// Returns the first record that was needed when the block was written.
    pub(crate) fn oldest(&self) -> Oldest {
        Oldest {
            sequence: self.sequence.saturating_sub(self.back.into()),
            skip: self.skip,
            place: u64::from(self.units).saturating_mul(UNIT),
        }
    }

    /// Returns the length of the whole block.
    pub(crate) fn block_len(&self) -> usize {
        let len = usize::try_from(self.len).unwrap_or(usize::MAX);
        block_len(HEAD.saturating_add(len))
    }

    fn magic(key: Key) -> [u8; 4] {
        let [a, b, c, d] = low(key.checksum([0], b"block"));
        // Zeros are never a header.
        [a | 1, b, c, d]
    }

    fn checksum(&self, key: Key, place: u64) -> [u8; 4] {
        let words = [
            place,
            self.sequence,
            self.len.into(),
            self.back.into(),
            self.units.into(),
            self.skip.into(),
            self.payload,
        ];
        low(key.checksum(words, &[]))
    }

    pub(crate) fn encode(&self, key: Key, place: u64) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        let parts: [&[u8]; 8] = [
            &Self::magic(key),
            &self.checksum(key, place),
            &self.sequence.to_le_bytes(),
            &self.len.to_le_bytes(),
            &self.back.to_le_bytes(),
            &self.units.to_le_bytes(),
            &self.skip.to_le_bytes(),
            &self.payload.to_le_bytes(),
        ];
        for (to, from) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        bytes
    }

    /// Returns the header at a place, if there is one behind the magic.
    fn decode(bytes: &[u8], key: Key, place: u64) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let _magic: [u8; 4] = reader.array()?;
        let checksum: [u8; 4] = reader.array()?;
        let header = Self {
            sequence: reader.u64()?,
            len: reader.u32()?,
            back: reader.u32()?,
            units: reader.u32()?,
            skip: reader.u32()?,
            payload: reader.u64()?,
        };
        (checksum == header.checksum(key, place)).then_some(header)
    }
}

/// Returns the length of a block with some bytes, header included: so many in whole units.
pub(crate) fn block_len(bytes: usize) -> usize {
    bytes.checked_next_multiple_of(ALIGN).unwrap_or(usize::MAX)
}

/// Returns the low half of a checksum.
fn low(checksum: u64) -> [u8; 4] {
    let [a, b, c, d, ..] = checksum.to_le_bytes();
    [a, b, c, d]
}

/// Appends a record, of at most `u16::MAX` bytes, to the records of a block.
pub(crate) fn append(records: &mut Vec<u8>, record: &[u8]) {
    debug_assert!(
        u16::try_from(record.len()).is_ok(),
        "longer ones are refused"
    );
    let len = u16::try_from(record.len()).unwrap_or(u16::MAX);
    records.extend_from_slice(&len.to_le_bytes());
    records.extend_from_slice(record);
}

/// The records of a block.
#[derive(Clone, Debug)]
pub(crate) struct Records<'a> {
    /// The bytes of the records that were not returned yet.
    pub(crate) rest: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.rest.split_first_chunk::<RECORD_HEAD>()?;
        let (record, rest) = rest.split_at_checked(u16::from_le_bytes(*len).into())?;
        self.rest = rest;
        Some(record)
    }
}

/// What is at an offset of the ring.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// An intact block.
    Block(Header, Records<'a>),
    /// The header of a block whose records have changed, or are not all there.
    Header(Header),
    Nothing,
}

/// Reads blocks of a ring, many bytes at a time.
#[derive(Debug)]
pub(crate) struct Blocks<'a, M> {
    medium: &'a M,
    ring: Ring,
    key: Key,
    magic: [u8; 4],
    /// The offset of the first of `bytes`.
    start: u64,
    bytes: Vec<u8>,
}

/// How many bytes are read at least.
const CHUNK: usize = 1 << 16;

impl<'a, M: Medium> Blocks<'a, M> {
    pub(crate) fn new(medium: &'a M, ring: Ring, key: Key) -> Self {
        Self {
            medium,
            ring,
            key,
            magic: Header::magic(key),
            start: 0,
            bytes: Vec::new(),
        }
    }

    /// Returns what is at an offset.
    pub(crate) fn at(&mut self, offset: u64) -> io::Result<Found<'_>> {
        let (key, magic, place) = (self.key, self.magic, self.ring.place(offset));
        let bytes = self.bytes(offset, HEAD)?;
        if !bytes.starts_with(&magic) {
            return Ok(Found::Nothing);
        }
        let Some(header) = Header::decode(bytes, key, place) else {
            return Ok(Found::Nothing);
        };
        let len = header.block_len();
        if u64::try_from(len).unwrap_or(u64::MAX) > self.ring.len {
            return Ok(Found::Header(header));
        }
        let bytes = self.bytes(offset, len)?;
        let end = HEAD.saturating_add(usize::try_from(header.len).unwrap_or(usize::MAX));
        let rest = bytes.get(HEAD..end).unwrap_or_default();
        Ok(if header.payload == key.checksum([header.sequence], rest) {
            Found::Block(header, Records { rest })
        } else {
            Found::Header(header)
        })
    }

    /// Returns some bytes from an offset on, at most as many as the ring has.
    fn bytes(&mut self, offset: u64, len: usize) -> io::Result<&[u8]> {
        let within = |this: &Self| {
            let skipped = usize::try_from(offset.checked_sub(this.start)?).ok()?;
            let range = skipped..skipped.checked_add(len)?;
            this.bytes.get(range.clone()).map(|_| range)
        };
        let range = if let Some(range) = within(self) {
            range
        } else {
            let ring = usize::try_from(self.ring.len).unwrap_or(usize::MAX);
            self.bytes.clear();
            self.bytes.resize(len.max(CHUNK).min(ring), 0);
            self.start = offset;
            self.ring.read(self.medium, offset, &mut self.bytes)?;
            0..len
        };
        Ok(self.bytes.get(range).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_with_its_key_and_at_its_place_only() {
        let key = Key(6);
        let oldest = Oldest {
            sequence: 7,
            skip: 3,
            place: 4000,
        };
        let header = Header::new(9, oldest, b"records", key).unwrap();
        assert_eq!(header.oldest(), oldest);
        assert_eq!(header.block_len(), 48);
        let bytes = header.encode(key, 4096);
        assert_eq!(Header::decode(&bytes, key, 4096), Some(header));
        assert_eq!(Header::decode(&bytes, key, 4104), None);
        assert_eq!(Header::decode(&bytes, Key(5), 4096), None);
        assert_ne!(Header::magic(key), Header::magic(Key(5)));
        for bit in 32..8 * HEAD {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&changed, key, 4096), None, "bit {bit}");
        }
    }
}
