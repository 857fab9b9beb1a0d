//! The bodies of messages by which a node joins or catches up with the snapshot of another one.

use super::parts::{page_of, put_snapshot, snapshot};
use crate::wire::Unencodable;
use crate::{Message, MessageKind, Reader, Sink, SnapshotId, StateMachine, Writer};

/// Writes the body of one of these messages.
pub(super) fn write<M: StateMachine, const PAGE: usize>(
    message: &Message<M, PAGE>,
    to: &mut Writer<'_>,
) -> Result<(), Unencodable> {
    match message {
        Message::Join {
            snapshot,
            page,
            count,
        } => put_join(to, *snapshot, (*page, *count)),
        Message::Welcome {
            snapshot,
            page,
            pages,
            bytes,
        } => {
            put_snapshot(to, *snapshot);
            to.put_u32(*page);
            to.put_u32(*pages);
            to.put(bytes);
        }
        _ => return Err(Unencodable),
    }
    Ok(())
}

/// Writes a request for a snapshot: the first page of any, or a run of pages of a certain one.
fn put_join(to: &mut Writer<'_>, snapshot: Option<SnapshotId>, (page, count): (u32, u8)) {
    // The count is at least 1, so that a 0 tells that no snapshot is named.
    to.put_u8(snapshot.map_or(0, |_| count.max(1)));
    to.put_u32(page);
    if let Some(snapshot) = snapshot {
        put_snapshot(to, snapshot);
    }
}

/// Reads the body of one of these kinds.
pub(super) fn read<M: StateMachine, const PAGE: usize>(
    kind: MessageKind,
    from: &mut Reader<'_>,
) -> Option<Message<M, PAGE>> {
    Some(match kind {
        MessageKind::Join => read_join(from)?,
        MessageKind::Welcome => Message::Welcome {
            snapshot: snapshot(from)?,
            page: from.u32()?,
            pages: from.u32()?,
            bytes: page_of::<M>(from)?,
        },
        _ => return None,
    })
}

fn read_join<M: StateMachine, const PAGE: usize>(
    from: &mut Reader<'_>,
) -> Option<Message<M, PAGE>> {
    let count = from.u8()?;
    let page = from.u32()?;
    let snapshot = if count > 0 {
        Some(snapshot(from)?)
    } else {
        None
    };
    Some(Message::Join {
        snapshot,
        page,
        count: count.max(1),
    })
}
