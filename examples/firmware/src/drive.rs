//! The loop that joins a node to its board. This is all of it.

use crate::board::Board;
use crate::line::{self, Line, MTU};
use crate::log::Log;
use synod::storage::{Journal, Storage};
use synod::wire::{CLIENT, Frames};
use synod::{Envelope, Instant, Message, Node, Outbox, Outcome, Reply, RequestError, StateMachine};

/// Lets a node run for ever: with what it must not forget in a journal, or as one that only learns without.
pub fn drive<
    M: StateMachine,
    S: Storage,
    const W: usize,
    const C: usize,
    const P: usize,
    const ROOM: usize,
>(
    board: &mut Board,
    node: &mut Node<M, W, C, P>,
    mut journal: Option<&mut Journal<S>>,
    outbox: &mut Outbox<M, P, ROOM>,
) -> ! {
    let mut frames = Frames::new(node.fingerprint());
    let mut line = Line::default();
    let mut log = Log;
    loop {
        board.wait(node.next_deadline());
        let now = board.now();

        // The order is that of the contract at `Outbox`. There is room for one step: so a frame is taken only when what was
        // due has left the outbox empty.
        node.handle_timeout(now, outbox, &mut log);
        if outbox.is_empty()
            && let Some(frame) = line.receive(|| board.read())
        {
            match frames.decode(frame) {
                Ok(envelope) => take(now, node, &envelope, outbox, &mut log),
                Err(_) => log.dropped(&frames.dropped()),
            }
        }

        // What a node says rests on what it wrote. So that is durable first; where it cannot be, nothing is said.
        if let Some(open) = &mut journal
            && open
                .write(now, node, &outbox.writes)
                .and_then(|()| open.sync())
                .is_err()
        {
            node.fence(now, outbox, &mut log);
            journal = None;
        }

        for outgoing in &outbox.messages {
            for to in outgoing.to.iter() {
                send(board, &frames, &node.envelope(to, outgoing));
            }
        }
        for reply in &outbox.replies {
            send(board, &frames, &answer(node, reply));
        }
        outbox.clear();
    }
}

/// Hands over what arrived: a client's request, or what another node says.
fn take<M: StateMachine, const W: usize, const C: usize, const P: usize, const ROOM: usize>(
    now: Instant,
    node: &mut Node<M, W, C, P>,
    envelope: &Envelope<M, P>,
    outbox: &mut Outbox<M, P, ROOM>,
    log: &mut Log,
) {
    match envelope.message {
        Message::Request { proposal } if (envelope.from, envelope.to) == (CLIENT, node.id()) => {
            let asked = node.ask(now, proposal, outbox, log);
            // Whatever else it was, the client hears of it later, or asks again.
            if let (Err(RequestError::Full { .. }), Some(key)) = (asked, proposal.key()) {
                let _ = outbox.replies.push(Reply {
                    key,
                    outcome: Outcome::Busy,
                });
            }
        }
        _ => node.handle_message(now, envelope, outbox, log),
    }
}

/// The message that brings a client its answer.
fn answer<M: StateMachine, const W: usize, const C: usize, const P: usize>(
    node: &Node<M, W, C, P>,
    reply: &Reply<M::Output>,
) -> Envelope<M, P> {
    Envelope {
        cluster: node.fingerprint(),
        from: node.id(),
        to: CLIENT,
        message: Message::Response {
            key: reply.key,
            outcome: reply.outcome,
        },
    }
}

/// Puts a message on the line. What no node says has no frame.
#[inline(never)]
fn send<M: StateMachine, const P: usize>(
    board: &mut Board,
    frames: &Frames<M, P, MTU>,
    envelope: &Envelope<M, P>,
) {
    let mut buffer = [0; MTU];
    if let Ok(len) = frames.encode(envelope, &mut buffer) {
        let frame = buffer.get(..len).unwrap_or_default();
        line::send(frame, |bytes| board.write(bytes));
    }
}
