//! The bodies of messages of reads that take no slot of the log.

use super::parts::{ballot, put_ballot, put_slot, slot};
use crate::wire::Unencodable;
use crate::{Message, MessageKind, NodeId, Reader, Sink, StateMachine, Writer};

/// Writes the body of one of these messages.
pub(super) fn write<M: StateMachine, const PAGE: usize>(
    message: &Message<M, PAGE>,
    to: &mut Writer<'_>,
) -> Result<(), Unencodable> {
    match message {
        Message::Confirm { ballot, round } | Message::Confirmed { ballot, round } => {
            put_ballot(to, *ballot)?;
            to.put_u32(*round);
        }
        Message::ReadIndex { nonce, reader } => {
            to.put_u64(*nonce);
            to.put_u8(u8::try_from(reader.0).map_err(|_| Unencodable)?);
        }
        Message::ReadIndexReply { nonce, index } => {
            to.put_u64(*nonce);
            put_slot(to, *index);
        }
        _ => return Err(Unencodable),
    }
    Ok(())
}

/// Reads the body of one of these kinds.
pub(super) fn read<M: StateMachine, const PAGE: usize>(
    kind: MessageKind,
    from: &mut Reader<'_>,
) -> Option<Message<M, PAGE>> {
    Some(match kind {
        MessageKind::Confirm => Message::Confirm {
            ballot: ballot(from)?,
            round: from.u32()?,
        },
        MessageKind::Confirmed => Message::Confirmed {
            ballot: ballot(from)?,
            round: from.u32()?,
        },
        MessageKind::ReadIndex => Message::ReadIndex {
            nonce: from.u64()?,
            reader: NodeId(from.u8()?.into()),
        },
        MessageKind::ReadIndexReply => Message::ReadIndexReply {
            nonce: from.u64()?,
            index: slot(from)?,
        },
        _ => return None,
    })
}
