//! Checks of a node as a whole: what it says of itself between two steps, what it says to others in frames, and whether
//! its own invariants hold.

use super::Invariants;
use crate::simulation::setting::Setting;
use crate::simulation::violation::{Rule, Violation};
use crate::wire::{Frame, Frames};
use crate::{Envelope, Node, Outgoing, StateMachine};

/// Every how many messages one is written as a frame and read again, which costs more than all other checks of it. A
/// prime number, so that no regular exchange of messages keeps one kind out of step with it.
const FRAME_EVERY: u32 = 127;

/// Every how many steps a node is asked for what it believes. What an election has left behind stays for a while.
const BELIEFS_EVERY: u32 = 5;

/// Every how many steps a node is asked whether its own invariants hold, which takes as long as a step or two. What is
/// wrong between two steps mostly stays so, and is found later or at the end by [`Invariants::ended`].
const STATES_EVERY: u32 = 17;

/// The longest frame that is written: far longer than any of the state machines that are simulated needs.
const FRAME_MAX: usize = 4096;

impl<S: Setting<W, C, P>, const W: usize, const C: usize, const P: usize> Invariants<S, W, C, P> {
    /// Now and then a node is asked what it believes between two steps. It leads exactly if it takes itself for the
    /// leader; whoever it takes for the leader owns the highest ballot that it has seen (rule F1); it leads under that
    /// ballot (rule L4), and has promised no higher one. Where an election ends, each of these is forgotten in another
    /// place.
    pub(super) fn beliefs(&mut self, node: &Node<S::Machine, W, C, P>) -> Result<(), Violation> {
        if !self.steps.is_multiple_of(BELIEFS_EVERY) {
            return Ok(());
        }
        self.facts.seen.check(Rule::Contradiction);
        let (id, status, leading) = (node.id(), node.status(), node.leading());
        let leads_itself = leading.is_some() == (status.leader == Some(id));
        let owns_highest = status
            .leader
            .is_none_or(|leader| leader == status.highest.leader());
        let is_highest = leading.is_none_or(|ballot| ballot == status.highest);
        if leads_itself && owns_highest && is_highest && node.promised() <= status.highest {
            Ok(())
        } else {
            Err(Violation::Contradiction { node: id })
        }
    }

    /// Now and then a node is asked whether its own invariants hold between two steps.
    pub(super) fn whole(&mut self, node: &Node<S::Machine, W, C, P>) -> Result<(), Violation> {
        if self.steps.is_multiple_of(STATES_EVERY) {
            self.is_whole(node)
        } else {
            Ok(())
        }
    }

    /// The invariants of a node hold, whatever it has done.
    pub(super) fn is_whole(&mut self, node: &Node<S::Machine, W, C, P>) -> Result<(), Violation> {
        self.facts.seen.check(Rule::BrokenState);
        node.check_invariants()
            .map_err(|broken| Violation::BrokenState {
                node: node.id(),
                broken,
            })
    }

    /// Now and then a message that leaves is written as a frame: it is read from it as it was written.
    pub(super) fn framed(
        &mut self,
        node: &Node<S::Machine, W, C, P>,
        outgoing: &Outgoing<S::Machine, P>,
    ) -> Result<(), Violation> {
        self.messages = self.messages.wrapping_add(1);
        if !self.messages.is_multiple_of(FRAME_EVERY) {
            return Ok(());
        }
        self.facts.seen.check(Rule::Garbled);
        let (id, to) = (node.id(), outgoing.to.iter().next());
        if is_read_as_written(&node.envelope(to.unwrap_or(id), outgoing)) {
            Ok(())
        } else {
            Err(Violation::Garbled { node: id })
        }
    }
}

/// Whether a message has a frame, and is read from it as it was written.
#[inline(never)] // Rare, and its buffer is large.
fn is_read_as_written<M: StateMachine, const PAGE: usize>(envelope: &Envelope<M, PAGE>) -> bool {
    let mut frames = Frames::<M, PAGE, FRAME_MAX>::new(envelope.cluster);
    let mut buffer = [0; FRAME_MAX];
    let written = frames.encode(envelope, &mut buffer);
    let frame = written.ok().and_then(|len| buffer.get(..len));
    let read = frame.and_then(|frame| frames.decode(frame).ok());
    matches!(read, Some(Frame::Message(read)) if read == *envelope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machines::Kv;
    use crate::{Ballot, Message, NodeId, Slot};

    fn is_framed(from: u16, message: Message<Kv<4>, 2>) -> bool {
        is_read_as_written(&Envelope {
            cluster: 6,
            from: NodeId(from),
            to: NodeId(1),
            message,
        })
    }

    #[test]
    fn a_message_that_no_frame_gives_back_is_noticed() {
        let heartbeat = |from| Message::Heartbeat {
            ballot: Ballot::new(1, NodeId(from)),
            decided: Slot::FIRST,
            chain: 9,
        };
        assert!(is_framed(0, heartbeat(0)));
        assert!(!is_framed(64, heartbeat(0)), "no node has this number");
        // A request for a run of no pages is written as one for a page.
        let join = |count| Message::Join {
            snapshot: Some(crate::SnapshotId {
                at: Slot::FIRST,
                digest: 7,
            }),
            page: 3,
            count,
        };
        assert!(is_framed(0, join(1)) && !is_framed(0, join(0)));
    }
}
