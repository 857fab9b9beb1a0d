//! The encoding of each kind of message. Those of snapshots and of reads have files of their own.

mod parts;
mod reads;
mod snapshots;

use parts::{bool_of, proposals, put_proposals, put_verdict, verdict};

use super::Unencodable;
use crate::{
    Ballot, Entries, Entry, Message, MessageKind, Outcome, Proposal, Reader, RequestKey, Sink,
    StateMachine, Value, Writer,
};
pub(super) use parts::{ballot, key, outcome, put_ballot, put_key, put_outcome, put_slot, slot};

/// The bits of the first byte of messages with optional parts.
mod flag {
    /// Promise: this is the last page.
    pub(super) const LAST: u8 = 1;
    /// Promise or accepted: the promised ballot follows, as it differs from the ballot that is answered.
    pub(super) const REFUSED: u8 = 2;
}

/// The byte for no leader.
pub(super) const NOBODY: u8 = 255;

const _: () = assert!(
    crate::NODES_MAX <= 255,
    "the byte for no leader is no node's number"
);

/// Writes the body of a message. The fields are in the order of [`WIRE.md`](super), which is not always that of the
/// variants: what decides how long the rest is comes first.
///
/// # Errors
///
/// [`Unencodable`]: no node sends such a message. What was written until then is worthless.
pub(super) fn write<M: StateMachine, const PAGE: usize>(
    message: &Message<M, PAGE>,
    to: &mut Writer<'_>,
) -> Result<(), Unencodable> {
    match message {
        Message::Join { .. } | Message::Welcome { .. } => snapshots::write(message, to)?,
        Message::Probe { ballot } => put_ballot(to, *ballot)?,
        Message::ProbeReply {
            ballot,
            granted,
            highest,
        } => put_probe_reply(to, *ballot, *granted, *highest)?,
        Message::Prepare { ballot, from: slot }
        | Message::Decision {
            ballot,
            decided: slot,
        }
        | Message::HeartbeatReply {
            ballot,
            applied: slot,
        }
        | Message::Superseded {
            ballot,
            applied: slot,
        }
        | Message::Heartbeat {
            ballot,
            decided: slot,
            ..
        } => {
            // One arm for kinds that begin alike; only a heartbeat goes on, with its chain (rule N3).
            put_ballot(to, *ballot)?;
            put_slot(to, *slot);
            if let Message::Heartbeat { chain, .. } = message {
                to.put_u64(*chain);
            }
        }
        Message::Promise { .. } => write_promise(message, to)?,
        Message::Accept { .. } | Message::Accepted { .. } | Message::Decisions { .. } => {
            write_run(message, to)?;
        }
        Message::Propose { proposal, retry } => {
            to.put_u8(u8::from(*retry));
            proposal.encode(to);
        }
        Message::Confirm { .. }
        | Message::Confirmed { .. }
        | Message::ReadIndex { .. }
        | Message::ReadIndexReply { .. } => reads::write(message, to)?,
        Message::Learn { from } => put_slot(to, *from),
        Message::Request { proposal } => proposal.encode(to),
        Message::Response {
            key,
            fingerprint,
            outcome,
        } => put_response(to, *key, *fingerprint, outcome),
    }
    Ok(())
}

/// Writes an answer to a probe. Both ballots are whole: the second one is what a claimant has to exceed (rule S1).
fn put_probe_reply(
    to: &mut Writer<'_>,
    ballot: Ballot,
    granted: bool,
    highest: Ballot,
) -> Result<(), Unencodable> {
    put_ballot(to, ballot)?;
    to.put_u8(u8::from(granted));
    put_ballot(to, highest)
}

/// Writes an answer to a request.
fn put_response<O: Value>(
    to: &mut Writer<'_>,
    key: RequestKey,
    fingerprint: u32,
    outcome: &Outcome<O>,
) {
    put_key(to, key);
    to.put_u32(fingerprint);
    put_outcome(to, outcome);
}

/// Writes a page of a promise. Its entries end with the frame, so they need no number: a body is as long as the frame
/// says.
fn write_promise<M: StateMachine, const PAGE: usize>(
    message: &Message<M, PAGE>,
    to: &mut Writer<'_>,
) -> Result<(), Unencodable> {
    let Message::Promise {
        ballot,
        promised,
        from,
        low_water,
        last,
        entries,
    } = message
    else {
        return Err(Unencodable);
    };
    let refused = put_verdict(to, u8::from(*last), *ballot, *promised);
    put_slot(to, *from);
    put_slot(to, *low_water);
    for entry in entries {
        // An acceptor's votes are at most a window above its low-water mark, and a window has at most 4096 slots. The
        // distance takes six bytes less than the slot, for each entry.
        let ahead = u16::try_from(entry.slot.distance(*low_water)).map_err(|_| Unencodable)?;
        if ahead == 0 {
            return Err(Unencodable);
        }
        to.put(&ahead.to_le_bytes());
        put_ballot(to, entry.ballot)?;
        entry.proposal.encode(to);
    }
    refused
}

/// Writes a message about consecutive slots: the first one, and a value for each.
fn write_run<M: StateMachine, const PAGE: usize>(
    message: &Message<M, PAGE>,
    to: &mut Writer<'_>,
) -> Result<(), Unencodable> {
    match message {
        Message::Accept {
            ballot,
            first,
            decided,
            proposals,
        } => {
            put_ballot(to, *ballot)?;
            put_slot(to, *first);
            put_slot(to, *decided);
            put_proposals::<M, PAGE>(to, proposals);
        }
        Message::Accepted {
            ballot,
            promised,
            first,
            count,
            low_water,
        } => {
            put_verdict(to, 0, *ballot, *promised)?;
            put_slot(to, *first);
            put_slot(to, *low_water);
            to.put_u32(*count);
        }
        Message::Decisions {
            first,
            applied,
            proposals,
        } => {
            put_slot(to, *first);
            put_slot(to, *applied);
            put_proposals::<M, PAGE>(to, proposals);
        }
        _ => return Err(Unencodable),
    }
    Ok(())
}

/// Reads the body of a kind of message; `None` if the bytes are no such body. The caller checks that none are left
/// over.
///
/// Nothing that it returns is trusted: every field is one that some node could send, and no more. The door of the node
/// and its handlers check what the fields say.
pub(super) fn read<M: StateMachine, const PAGE: usize>(
    kind: MessageKind,
    from: &mut Reader<'_>,
) -> Option<Message<M, PAGE>> {
    Some(match kind {
        MessageKind::Join | MessageKind::Welcome => snapshots::read(kind, from)?,
        MessageKind::Probe => Message::Probe {
            ballot: ballot(from)?,
        },
        MessageKind::ProbeReply => Message::ProbeReply {
            ballot: ballot(from)?,
            granted: bool_of(from)?,
            highest: ballot(from)?,
        },
        MessageKind::Prepare => Message::Prepare {
            ballot: ballot(from)?,
            from: slot(from)?,
        },
        MessageKind::Promise => read_promise(from)?,
        MessageKind::Accept | MessageKind::Accepted | MessageKind::Decisions => {
            read_run(kind, from)?
        }
        MessageKind::Decision => Message::Decision {
            ballot: ballot(from)?,
            decided: slot(from)?,
        },
        MessageKind::Heartbeat => Message::Heartbeat {
            ballot: ballot(from)?,
            decided: slot(from)?,
            chain: from.u64()?,
        },
        MessageKind::HeartbeatReply => Message::HeartbeatReply {
            ballot: ballot(from)?,
            applied: slot(from)?,
        },
        MessageKind::Superseded => Message::Superseded {
            ballot: ballot(from)?,
            applied: slot(from)?,
        },
        MessageKind::Confirm
        | MessageKind::Confirmed
        | MessageKind::ReadIndex
        | MessageKind::ReadIndexReply => reads::read(kind, from)?,
        MessageKind::Propose => Message::Propose {
            retry: bool_of(from)?,
            proposal: Proposal::decode(from)?,
        },
        MessageKind::Learn => Message::Learn { from: slot(from)? },
        MessageKind::Request => Message::Request {
            proposal: Proposal::decode(from)?,
        },
        MessageKind::Response => Message::Response {
            key: key(from)?,
            fingerprint: from.u32()?,
            outcome: outcome(from)?,
        },
    })
}

/// Reads a page of a promise, with entries up to the end of the frame. More than a page of them are refused.
fn read_promise<M: StateMachine, const PAGE: usize>(
    from: &mut Reader<'_>,
) -> Option<Message<M, PAGE>> {
    let (flags, ballot_asked, promised) = verdict(from, flag::LAST)?;
    let (first, low_water) = (slot(from)?, slot(from)?);
    let mut entries = Entries::<M, PAGE>::new();
    while !from.is_empty() {
        let ahead = u16::from_le_bytes(from.array()?);
        let entry = Entry {
            // A distance of zero would be a vote that the mark covers, which no acceptor reports (rule T2).
            slot: low_water
                .checked_add(u64::from(ahead))
                .filter(|_| ahead > 0)?,
            ballot: ballot(from)?,
            proposal: Proposal::decode(from)?,
        };
        entries.push(entry).ok()?;
    }
    Some(Message::Promise {
        ballot: ballot_asked,
        promised,
        from: first,
        low_water,
        last: flags & flag::LAST != 0,
        entries,
    })
}

/// Reads a message about consecutive slots.
fn read_run<M: StateMachine, const PAGE: usize>(
    kind: MessageKind,
    from: &mut Reader<'_>,
) -> Option<Message<M, PAGE>> {
    Some(match kind {
        MessageKind::Accept => Message::Accept {
            ballot: ballot(from)?,
            first: slot(from)?,
            decided: slot(from)?,
            proposals: proposals::<M, PAGE>(from)?,
        },
        MessageKind::Accepted => {
            let (_, ballot, promised) = verdict(from, 0)?;
            Message::Accepted {
                ballot,
                promised,
                first: slot(from)?,
                low_water: slot(from)?,
                count: from.u32()?,
            }
        }
        MessageKind::Decisions => Message::Decisions {
            first: slot(from)?,
            applied: slot(from)?,
            proposals: proposals::<M, PAGE>(from)?,
        },
        _ => return None,
    })
}
