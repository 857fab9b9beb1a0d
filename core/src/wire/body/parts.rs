//! The parts that bodies of messages share: ballots, slots, snapshots, verdicts, proposals, keys and outcomes.

use super::flag;
use crate::wire::Unencodable;
use crate::{
    Ballot, ChangeError, ClientId, Epoch, Outcome, Proposal, Proposals, Reader, RequestKey,
    RequestNumber, Sink, Slot, SnapshotId, StateMachine, Value, Writer,
};
use heapless::Vec;

/// The length of a ballot's epoch and round in bytes: see [`Ballot::bits`].
pub(in crate::wire) const ROUND: usize = 4 + 2;

/// Writes a ballot: the round in four bytes, the epoch in two and the node in one, where memory takes eight in all.
pub(in crate::wire) fn put_ballot(to: &mut Writer<'_>, ballot: Ballot) -> Result<(), Unencodable> {
    for byte in (ballot.bits() >> 16).to_le_bytes().iter().take(ROUND) {
        to.put_u8(*byte);
    }
    to.put_u8(u8::try_from(ballot.leader().0).map_err(|_| Unencodable)?);
    Ok(())
}

/// Reads a ballot. Its node may be no member; the receiver of the message checks whose ballot it is.
pub(in crate::wire) fn ballot(from: &mut Reader<'_>) -> Option<Ballot> {
    let mut round = [0; 8];
    for (place, byte) in round.iter_mut().zip(from.array::<ROUND>()?) {
        *place = byte;
    }
    let round = u64::from_le_bytes(round);
    Some(Ballot::from_bits(round << 16 | u64::from(from.u8()?)))
}

/// Writes a slot, in eight bytes: slots are never reused, so no shorter form would last (rule N1).
pub(in crate::wire) fn put_slot(to: &mut Writer<'_>, slot: Slot) {
    to.put_u64(slot.number());
}

pub(in crate::wire) fn slot(from: &mut Reader<'_>) -> Option<Slot> {
    from.u64().map(Slot::new)
}

pub(in crate::wire) fn put_snapshot(to: &mut Writer<'_>, snapshot: SnapshotId) {
    put_slot(to, snapshot.at);
    to.put_u64(snapshot.digest);
}

pub(in crate::wire) fn snapshot(from: &mut Reader<'_>) -> Option<SnapshotId> {
    Some(SnapshotId {
        at: slot(from)?,
        digest: from.u64()?,
    })
}

/// Writes the ballot that is answered; and the promised ballot, if it differs.
pub(in crate::wire) fn put_verdict(
    to: &mut Writer<'_>,
    flags: u8,
    ballot: Ballot,
    promised: Ballot,
) -> Result<(), Unencodable> {
    if promised == ballot {
        to.put_u8(flags);
        put_ballot(to, ballot)
    } else {
        to.put_u8(flags | flag::REFUSED);
        put_ballot(to, ballot)?;
        put_ballot(to, promised)
    }
}

/// Reads what [`put_verdict`] has written: the flags, the ballot that is answered, and the promised one. Flags other
/// than `allowed` and [`flag::REFUSED`] are refused.
pub(in crate::wire) fn verdict(from: &mut Reader<'_>, allowed: u8) -> Option<(u8, Ballot, Ballot)> {
    let flags = from.u8()?;
    let asked = ballot(from)?;
    let promised = if flags & flag::REFUSED == 0 {
        asked
    } else {
        // Every message has exactly one encoding.
        ballot(from).filter(|promised| *promised != asked)?
    };
    (flags & !(allowed | flag::REFUSED) == 0).then_some((flags, asked, promised))
}

/// Writes proposals up to the end of the frame, without their number.
pub(in crate::wire) fn put_proposals<M: StateMachine, const PAGE: usize>(
    to: &mut Writer<'_>,
    proposals: &Proposals<M, PAGE>,
) {
    for proposal in proposals {
        proposal.encode(to);
    }
}

/// Reads proposals up to the end of the frame. More than a page of them are refused.
pub(in crate::wire) fn proposals<M: StateMachine, const PAGE: usize>(
    from: &mut Reader<'_>,
) -> Option<Proposals<M, PAGE>> {
    let mut proposals = Proposals::<M, PAGE>::new();
    while !from.is_empty() {
        proposals.push(Proposal::decode(from)?).ok()?;
    }
    Some(proposals)
}

/// Reads a page of a snapshot: the rest of the frame, if a page of this state machine can be that long.
pub(in crate::wire) fn page_of<M: StateMachine>(
    from: &mut Reader<'_>,
) -> Option<Vec<u8, { crate::SNAPSHOT_PAGE }, u8>> {
    let bytes = from.rest();
    Vec::from_slice(bytes)
        .ok()
        .filter(|_| bytes.len() <= M::PAGE_BYTES)
}

/// Reads a flag. Bytes other than 0 and 1 are refused, so that every message has exactly one encoding.
pub(in crate::wire) fn bool_of(from: &mut Reader<'_>) -> Option<bool> {
    match from.u8()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// Writes the key of a request.
pub(in crate::wire) fn put_key(to: &mut Writer<'_>, key: RequestKey) {
    to.put_u64(key.client.0);
    to.put_u32(key.number.0);
}

pub(in crate::wire) fn key(from: &mut Reader<'_>) -> Option<RequestKey> {
    Some(RequestKey {
        client: ClientId(from.u64()?),
        number: RequestNumber(from.u32()?),
    })
}

/// Writes the outcome of a request, which is the last field of its message: an output is as long as it is.
pub(in crate::wire) fn put_outcome<O: Value>(to: &mut Writer<'_>, outcome: &Outcome<O>) {
    match outcome {
        Outcome::Applied { slot, output } => {
            to.put_u8(0);
            put_slot(to, *slot);
            output.encode(to);
        }
        Outcome::Registered { client } => {
            to.put_u8(1);
            to.put_u64(client.0);
        }
        Outcome::Stale => to.put_u8(2),
        Outcome::Evicted => to.put_u8(3),
        Outcome::Reused => to.put_u8(4),
        Outcome::Busy => to.put_u8(5),
        Outcome::Reconfigured { epoch } => {
            to.put_u8(6);
            to.put(&epoch.0.to_le_bytes());
        }
        Outcome::Unchanged(error) => {
            to.put_u8(7);
            error.encode(to);
        }
        Outcome::Readable { applied } => {
            to.put_u8(8);
            put_slot(to, *applied);
        }
        Outcome::NotNow => to.put_u8(9),
    }
}

pub(in crate::wire) fn outcome<O: Value>(from: &mut Reader<'_>) -> Option<Outcome<O>> {
    Some(match from.u8()? {
        0 => Outcome::Applied {
            slot: slot(from)?,
            output: O::decode(from)?,
        },
        1 => Outcome::Registered {
            client: ClientId(from.u64()?),
        },
        2 => Outcome::Stale,
        3 => Outcome::Evicted,
        4 => Outcome::Reused,
        5 => Outcome::Busy,
        6 => Outcome::Reconfigured {
            epoch: Epoch(u16::from_le_bytes(from.array()?)),
        },
        7 => Outcome::Unchanged(ChangeError::decode(from)?),
        8 => Outcome::Readable {
            applied: slot(from)?,
        },
        9 => Outcome::NotNow,
        _ => return None,
    })
}
