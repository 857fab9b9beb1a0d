//! Records: the binary format of a journal.
//!
//! A record consists of a CRC-32 (ISO-HDLC) of everything after it, a number, a kind, and the fields of that kind, all
//! little-endian. The numbers are consecutive and wrap around after 2³².

use crate::checksum::crc32;
use crate::{
    Ballot, Config, Entry, Proposal, Reader, Sink, Slot, SnapshotId, StateMachine, Value, Writer,
};

/// The maximum length of a record of any journal, in bytes. Storage whose [`RECORD_MAX`](super::Storage::RECORD_MAX) is
/// this has room for every record.
pub const JOURNAL_RECORD_MAX: usize = 512;

/// The version of the format. Other versions are not read.
/// It is a part of the identity, so that storage of another version is foreign and not damaged.
const VERSION: u8 = 3;

/// The length of a record without the fields of its kind, in bytes.
pub(super) const FRAME: usize = 4 + 4 + 1;

/// The identity of storage: the node that it belongs to. No other node, and no node of another build, can use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Identity {
    /// The version of the record format.
    pub version: u8,
    /// The fingerprint of the cluster, its members and its state machine, as in
    /// [`Node::fingerprint_of`](crate::Node::fingerprint_of) but without the capacities.
    pub fingerprint: u32,
    /// The number of the node.
    pub node: u16,
    /// The node's `WINDOW`.
    pub window: u16,
    /// The node's `CLIENTS`.
    pub clients: u16,
}

impl Identity {
    /// The length of an encoded identity: the version, the fingerprint, and three short numbers.
    pub(super) const LEN: usize = 1 + 4 + 2 + 2 + 2;

    pub(super) fn of<M: StateMachine, const WINDOW: usize, const CLIENTS: usize>(
        config: &Config,
    ) -> Self {
        Self {
            version: VERSION,
            // Without the capacities, as `PAGE` may change between two starts; the other two are compared on their own, so that
            // an error can name them (rule N2).
            fingerprint: config.fingerprint::<M>(&[]),
            node: config.node.0,
            window: u16::try_from(WINDOW).unwrap_or(u16::MAX),
            clients: u16::try_from(CLIENTS).unwrap_or(u16::MAX),
        }
    }

    fn encode(&self, sink: &mut impl Sink) {
        sink.put_u8(self.version);
        sink.put_u32(self.fingerprint);
        for short in [self.node, self.window, self.clients] {
            sink.put(&short.to_le_bytes());
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            version: reader.u8()?,
            fingerprint: reader.u32()?,
            node: u16::from_le_bytes(reader.array()?),
            window: u16::from_le_bytes(reader.array()?),
            clients: u16::from_le_bytes(reader.array()?),
        })
    }
}

/// The beginning of a checkpoint. Copies of the votes and decisions above its snapshot follow, then the pages of the
/// snapshot, interleaved with other records; then [`Record::End`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Begin {
    pub(super) identity: Identity,
    pub(super) incarnation: u32,
    /// As of the beginning. A later promise has a record of its own.
    pub(super) promised: Ballot,
    pub(super) snapshot: SnapshotId,
    /// How many pages the snapshot has.
    pub(super) pages: u32,
}

/// The contents of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record<'a, C> {
    /// All records before it were synced with it: if one is missing, it was not lost with the power.
    Seal,
    /// The identity of the node that the storage was given to.
    Identity(Identity),
    /// The node has started for the n-th time, and writes.
    Started(u32),
    // The next three are writes of the node.
    Promised(Ballot),
    /// It is a promise of its ballot as well (rule A2).
    Accepted(Entry<C>),
    /// What another node has told; what the node's own vote decides needs no record.
    Decided(Slot, Proposal<C>),
    Begin(Begin),
    /// The index and the bytes of a page of the checkpoint's snapshot.
    Page(u32, &'a [u8]),
    /// The checkpoint that began with the record of this number is complete.
    End(u32),
    /// A copy of a vote for a slot above the checkpoint's snapshot. It is ignored if the checkpoint has no end: votes
    /// for the slots before it may be missing from the earlier records.
    AcceptedAhead(Entry<C>),
    /// A copy of a decision above the checkpoint's snapshot; ignored likewise.
    DecidedAhead(Slot, Proposal<C>),
}

impl<C: Value> Record<'_, C> {
    /// The maximum length of a record with such commands, in bytes.
    pub(super) const LEN_MAX: usize = {
        // A page with its index, a vote or decision with its slot and ballot, and the beginning of a checkpoint; all others are
        // shorter than these.
        let mut most = 4 + crate::SNAPSHOT_PAGE;
        let accepted = 8 + 8 + Proposal::<C>::ENCODED_MAX;
        if accepted > most {
            most = accepted;
        }
        let begin = Identity::LEN + 4 + 8 + 16 + 4;
        if begin > most {
            most = begin;
        }
        FRAME + most
    };

    /// Writes the record into a buffer; `None` if it does not fit.
    pub(super) fn encode<'b>(&self, number: u32, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        // The bytes that give the kind are a part of the format, and must not change within a version.
        let (checksum, rest) = buffer.split_first_chunk_mut::<4>()?;
        let mut writer = Writer::new(rest);
        writer.put_u32(number);
        match self {
            Self::Seal => writer.put_u8(0),
            Self::Identity(identity) => {
                writer.put_u8(1);
                identity.encode(&mut writer);
            }
            Self::Started(incarnation) => {
                writer.put_u8(2);
                writer.put_u32(*incarnation);
            }
            Self::Promised(ballot) => {
                writer.put_u8(3);
                writer.put_u64(ballot.bits());
            }
            Self::Accepted(entry) => put_entry(4, entry, &mut writer),
            Self::Decided(slot, proposal) => put_decision(5, *slot, proposal, &mut writer),
            Self::Begin(begin) => {
                writer.put_u8(6);
                begin.encode(&mut writer);
            }
            Self::Page(index, bytes) => {
                writer.put_u8(7);
                writer.put_u32(*index);
                writer.put(bytes);
            }
            Self::End(begin) => {
                writer.put_u8(8);
                writer.put_u32(*begin);
            }
            Self::AcceptedAhead(entry) => put_entry(9, entry, &mut writer),
            Self::DecidedAhead(slot, proposal) => put_decision(10, *slot, proposal, &mut writer),
        }
        if writer.overflowed() {
            return None;
        }
        let len = writer.len();
        debug_assert!(4 + len <= Self::LEN_MAX, "longer than the longest record");
        *checksum = crc32(rest.get(..len)?).to_le_bytes();
        buffer.get(..4 + len)
    }
}

impl<'a, C: Value> Record<'a, C> {
    /// Reads a record; `None` if the bytes are not a valid record.
    pub(super) fn decode(bytes: &'a [u8]) -> Option<(u32, Self)> {
        let mut reader = Reader::new(verified(bytes)?);
        let number = reader.u32()?;
        let record = match reader.u8()? {
            0 => Self::Seal,
            1 => Self::Identity(Identity::decode(&mut reader)?),
            2 => Self::Started(reader.u32()?),
            3 => Self::Promised(Ballot::from_bits(reader.u64()?)),
            4 => Self::Accepted(entry(&mut reader)?),
            5 => Self::Decided(Slot::new(reader.u64()?), Proposal::decode(&mut reader)?),
            6 => Self::Begin(Begin::decode(&mut reader)?),
            7 => {
                // A page has no length of its own: it is the rest of the record.
                let index = reader.u32()?;
                return Some((number, Self::Page(index, reader.rest())));
            }
            8 => Self::End(reader.u32()?),
            9 => Self::AcceptedAhead(entry(&mut reader)?),
            10 => Self::DecidedAhead(Slot::new(reader.u64()?), Proposal::decode(&mut reader)?),
            _ => return None,
        };
        // Bytes that are left over are those of another format whose checksum happens to be right.
        reader.is_empty().then_some((number, record))
    }
}

/// Writes a vote, under the kind of its record.
fn put_entry<C: Value>(kind: u8, entry: &Entry<C>, sink: &mut impl Sink) {
    sink.put_u8(kind);
    sink.put_u64(entry.slot.number());
    sink.put_u64(entry.ballot.bits());
    entry.proposal.encode(sink);
}

fn put_decision<C: Value>(kind: u8, slot: Slot, proposal: &Proposal<C>, sink: &mut impl Sink) {
    sink.put_u8(kind);
    sink.put_u64(slot.number());
    proposal.encode(sink);
}

fn entry<C: Value>(reader: &mut Reader<'_>) -> Option<Entry<C>> {
    Some(Entry {
        slot: Slot::new(reader.u64()?),
        ballot: Ballot::from_bits(reader.u64()?),
        proposal: Proposal::decode(reader)?,
    })
}

/// Returns the bytes that the checksum covers, if it matches.
fn verified(bytes: &[u8]) -> Option<&[u8]> {
    let (checksum, rest) = bytes.split_first_chunk::<4>()?;
    (crc32(rest).to_le_bytes() == *checksum).then_some(rest)
}

/// Returns the number of a record, if the checksum matches.
pub(super) fn number_of(bytes: &[u8]) -> Option<u32> {
    Reader::new(verified(bytes)?).u32()
}

/// True if the record is the beginning of a checkpoint. A simulated disk asks, so that power can fail in the middle of one. The
/// commands of the node do not matter, as such a record has none.
pub(crate) fn begins_checkpoint(bytes: &[u8]) -> bool {
    matches!(Record::<()>::decode(bytes), Some((_, Record::Begin(_))))
}

impl Begin {
    fn encode(&self, sink: &mut impl Sink) {
        self.identity.encode(sink);
        sink.put_u32(self.incarnation);
        sink.put_u64(self.promised.bits());
        sink.put_u64(self.snapshot.at.number());
        sink.put_u64(self.snapshot.digest);
        sink.put_u32(self.pages);
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            identity: Identity::decode(reader)?,
            incarnation: reader.u32()?,
            promised: Ballot::from_bits(reader.u64()?),
            snapshot: SnapshotId {
                at: Slot::new(reader.u64()?),
                digest: reader.u64()?,
            },
            pages: reader.u32()?,
        })
    }
}
