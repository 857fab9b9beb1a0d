//! The driver: the whole loop that connects a node to its board.

use crate::board::Board;
use crate::event_log::Log;
use crate::serial_line::{self, Line, MTU};
use synod::client::{AnswerEnvelope, Service};
use synod::storage::{Journal, Storage};
use synod::wire::{Frame, Frames};
use synod::{Envelope, Node, Outbox, Outgoing, StateMachine};

/// Runs a node for ever, with a vote and its durable state in a journal, or as a learner without one.
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
    let (mut frames, mut service) = (Frames::new(node.fingerprint()), Service::new());
    let (mut line, mut log) = (Line::default(), Log::default());
    loop {
        board.wait(node.next_deadline());
        let now = board.now();

        // The order is that of the contract of [`Outbox`]. It has room for one step, so a frame is taken only when
        // the timeout has left it empty.
        node.handle_timeout(now, outbox, &mut log);
        let mut answer = None;
        if outbox.is_empty()
            && let Some(frame) = line.receive(|| board.read())
        {
            match frames.decode(frame) {
                Ok(Frame::Message(envelope)) => {
                    node.handle_message(now, &envelope, outbox, &mut log);
                }
                Ok(Frame::Question(asked)) => {
                    log.asked(&asked);
                    answer = service.handle(now, node, &asked, outbox, &mut log);
                }
                // The answer of another node to a client.
                Ok(Frame::Answer) => {}
                Err(_) => log.dropped(&frames.dropped()),
            }
        }

        // Accepts, decisions and heartbeats leave before the writes are made durable, unless this node is a quorum alone.
        // All else depends on these writes; if they cannot be made durable, the node is fenced.
        for outgoing in outbox.early() {
            send_message(board, &frames, node, outgoing);
        }
        if let Some(open) = &mut journal
            && open
                .write(now, node, &outbox.writes)
                .and_then(|()| open.sync())
                .is_err()
        {
            node.fence(now, outbox, &mut log);
            journal = None;
        }
        for outgoing in outbox.late() {
            send_message(board, &frames, node, outgoing);
        }
        for reply in &outbox.replies {
            log.answered(reply);
            if let Some(answered) = service.answer(node, reply) {
                send(board, &frames, &Said::AnswerEnvelope(&answered));
            }
        }
        if let Some(answered) = &answer {
            send(board, &frames, &Said::AnswerEnvelope(answered));
        }
        outbox.clear();
        log.standing(node);
    }
}

/// Sends a message to each of its recipients.
#[inline(never)]
fn send_message<M: StateMachine, const W: usize, const C: usize, const P: usize>(
    board: &mut Board,
    frames: &Frames<M, P, MTU>,
    node: &Node<M, W, C, P>,
    outgoing: &Outgoing<M, P>,
) {
    for to in outgoing.to.iter() {
        let envelope = node.envelope(to, outgoing);
        send(board, frames, &Said::Message(&envelope));
    }
}

/// A message to another node, or an answer to a client.
enum Said<'a, M: StateMachine, const P: usize> {
    Message(&'a Envelope<M, P>),
    AnswerEnvelope(&'a AnswerEnvelope<M::Output>),
}

/// Sends a message or an answer. Every output of a node fits into a frame.
#[inline(never)]
fn send<M: StateMachine, const P: usize>(
    board: &mut Board,
    frames: &Frames<M, P, MTU>,
    said: &Said<'_, M, P>,
) {
    let mut buffer = [0; MTU];
    let encoded = match said {
        Said::Message(envelope) => frames.encode(envelope, &mut buffer),
        Said::AnswerEnvelope(answered) => frames.encode_answer(answered, &mut buffer),
    };
    if let Ok(len) = encoded {
        let frame = buffer.get(..len).unwrap_or_default();
        serial_line::send(frame, |bytes| board.write(bytes));
    }
}
