//! The loop that joins a node to its board. This is all of it.

use crate::board::Board;
use crate::line::{self, Line, MTU};
use crate::log::Log;
use synod::client::{AnswerEnvelope, Service};
use synod::storage::{Journal, Storage};
use synod::wire::{Frame, Frames};
use synod::{Envelope, Node, Outbox, StateMachine};

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
    let mut service = Service::new();
    let mut line = Line::default();
    let mut log = Log;
    loop {
        board.wait(node.next_deadline());
        let now = board.now();

        // The order is that of the contract at `Outbox`. There is room for one step: so a frame is taken only when what was
        // due has left the outbox empty.
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
                    answer = service.handle(now, node, &asked, outbox, &mut log);
                }
                // What another node answers a client.
                Ok(Frame::Answer) => {}
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
                let envelope = node.envelope(to, outgoing);
                send(board, &frames, &Said::Message(&envelope));
            }
        }
        for reply in &outbox.replies {
            if let Some(answered) = service.answer(node, reply) {
                send(board, &frames, &Said::AnswerEnvelope(&answered));
            }
        }
        if let Some(answered) = &answer {
            send(board, &frames, &Said::AnswerEnvelope(answered));
        }
        outbox.clear();
    }
}

/// What a node says, to another one or to a client.
enum Said<'a, M: StateMachine, const P: usize> {
    Message(&'a Envelope<M, P>),
    AnswerEnvelope(&'a AnswerEnvelope<M::Output>),
}

/// Puts a message or an answer on the line. What no node says has no frame.
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
        line::send(frame, |bytes| board.write(bytes));
    }
}
