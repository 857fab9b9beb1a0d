//! The outbox as a step sees it: queues without their capacity in the type, and the merging of messages that wait.

use super::{Outgoing, Reply, Write, run_len};
use crate::{Ballot, Message, NodeSet, Proposal, Queue, Role, Slot, StateMachine};
use heapless::Vec;
use heapless::vec::VecView;

/// An outbox without its capacity in the type, so that the code of a node is compiled once.
#[derive(Debug)]
pub struct OutboxView<'a, M: StateMachine, const PAGE: usize> {
    // The queues of the outbox, all of the same capacity.
    pub(super) writes: &'a mut VecView<Write<M::Command>>,
    pub(super) messages: &'a mut VecView<Outgoing<M, PAGE>>,
    pub(super) replies: &'a mut VecView<Reply<M::Output>>,
    /// Set if a vote among the writes is a quorum alone.
    pub(super) waits: &'a mut bool,
}

impl<M: StateMachine, const PAGE: usize> OutboxView<'_, M, PAGE> {
    /// Returns the room of the fullest of the three queues.
    pub(crate) fn room(&self) -> usize {
        let room = self.writes.capacity();
        debug_assert!(
            room == self.messages.capacity(),
            "all three queues have the same capacity"
        );
        debug_assert!(
            room == self.replies.capacity(),
            "all three queues have the same capacity"
        );
        let longest = self.writes.len().max(self.messages.len());
        room - longest.max(self.replies.len())
    }

    /// Queues a write.
    pub(crate) fn write(&mut self, write: Write<M::Command>) -> Result<(), Queue> {
        self.writes.push(write).map_err(|_| Queue::Outbox)
    }

    /// Notes that a vote among the writes is a quorum alone, so that no message may leave before them (rule D1).
    pub(crate) fn wait_for_writes(&mut self) {
        *self.waits = true;
    }

    /// Removes the writes.
    pub(crate) fn drop_writes(&mut self) {
        self.writes.clear();
    }

    /// Queues a reply.
    pub(crate) fn reply(&mut self, reply: Reply<M::Output>) -> Result<(), Queue> {
        self.replies.push(reply).map_err(|_| Queue::Outbox)
    }

    /// Queues a message.
    pub(crate) fn send(&mut self, outgoing: Outgoing<M, PAGE>) -> Result<(), Queue> {
        if cfg!(not(target_pointer_width = "32")) {
            return self.messages.push(outgoing).map_err(|_| Queue::Outbox);
        }
        // To move a message costs a copy on small targets; to build it in place does not.
        let Outgoing { role, to, message } = outgoing;
        *self.place(role, to).ok_or(Queue::Outbox)? = message;
        Ok(())
    }

    /// Adds a message with a small placeholder, and returns a reference to it.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn place(&mut self, role: Role, to: NodeSet) -> Option<&mut Message<M, PAGE>> {
        let message = Message::Learn { from: Slot::ZERO };
        self.messages.push(Outgoing { role, to, message }).ok()?;
        self.messages.last_mut().map(|last| &mut last.message)
    }

    /// Returns the number of queued messages.
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Returns the messages from an index on.
    pub(crate) fn since(&self, index: usize) -> &[Outgoing<M, PAGE>] {
        self.messages.get(index..).unwrap_or_default()
    }

    /// Returns the last message, if it has the same recipients.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn last(&mut self, to: NodeSet) -> Option<&mut Message<M, PAGE>> {
        let last = self.messages.last_mut()?;
        (last.to == to).then_some(&mut last.message)
    }

    /// Queues an accept for one proposal, in the page that waits already if the slot follows it there.
    ///
    /// Only the last message is looked at. Steps of a leader alternate between accepts and decisions for the same
    /// recipients, which is what is merged; a search would find little more.
    pub(crate) fn accept(
        &mut self,
        to: NodeSet,
        ballot: Ballot,
        slot: Slot,
        decided: Slot,
        proposal: &Proposal<M::Command>,
    ) -> Result<(), Queue> {
        debug_assert!(decided < slot, "announces as decided what it asks for (C3)");
        match self.last(to) {
            Some(Message::Accept {
                ballot: known,
                first,
                decided: told,
                proposals,
            }) if *known == ballot
                && !proposals.is_full()
                && first.checked_add(run_len(proposals.len())) == Some(slot) =>
            {
                // An accept never announces as decided what it asks for.
                *told = (*told).max(decided.min(first.back(1)));
                return proposals.push(*proposal).map_err(|_| Queue::Outbox);
            }
            // The accept that replaces it announces as much. Where it announces less, both are sent.
            Some(Message::Decision {
                ballot: known,
                decided: told,
            }) if *known == ballot && *told <= decided => {
                self.messages.pop();
            }
            _ => {}
        }
        let message = Message::Accept {
            ballot,
            first: slot,
            decided,
            proposals: Vec::new(),
        };
        self.send(Outgoing {
            role: Role::Commander,
            to,
            message,
        })?;
        // Filled in its place: a page of proposals is large, and would be copied into the queue on small targets.
        match self.messages.last_mut().map(|last| &mut last.message) {
            Some(Message::Accept { proposals, .. }) => {
                proposals.push(*proposal).map_err(|_| Queue::Outbox)
            }
            _ => Err(Queue::Outbox),
        }
    }

    /// Queues an answer to an accept, merged with the answer that waits already if the slots are consecutive.
    ///
    /// A refusal, or an answer that there is no room, has a run of no slots and stands alone: merged with others it
    /// would be lost. The sum of two runs does not overflow, since each slot of a run is in the window, or was written
    /// in the same outbox.
    pub(crate) fn accepted(
        &mut self,
        to: NodeSet,
        ballot: Ballot,
        promised: Ballot,
        run: (Slot, u32),
        low_water: Slot,
    ) -> Result<(), Queue> {
        let (first, count) = run;
        if let Some(Message::Accepted {
            ballot: known,
            promised: told,
            first: start,
            count: so_far,
            low_water: mark,
        }) = self.last(to)
            && (*known, *told) == (ballot, promised)
            && count > 0
            && *so_far > 0
            && start.checked_add(u64::from(*so_far)) == Some(first)
        {
            *so_far += count;
            *mark = low_water;
            return Ok(());
        }
        let message = Message::Accepted {
            ballot,
            promised,
            first,
            count,
            low_water,
        };
        self.send(Outgoing {
            role: Role::Acceptor,
            to,
            message,
        })
    }

    /// Announces how far the log is decided, in the last message if that can carry it.
    pub(crate) fn decision(
        &mut self,
        to: NodeSet,
        ballot: Ballot,
        decided: Slot,
    ) -> Result<(), Queue> {
        match self.last(to) {
            Some(Message::Decision {
                ballot: known,
                decided: told,
            }) if *known == ballot => {
                *told = (*told).max(decided);
                Ok(())
            }
            Some(Message::Accept {
                ballot: known,
                first,
                decided: told,
                ..
            }) if *known == ballot && decided < *first => {
                *told = (*told).max(decided);
                debug_assert!(*told < *first, "announces as decided what it asks for (C3)");
                Ok(())
            }
            _ => {
                let message = Message::Decision { ballot, decided };
                self.send(Outgoing {
                    role: Role::Commander,
                    to,
                    message,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::Outbox;
    use crate::machines::Opaque;
    use crate::{MessageKind, NodeId};
    use proptest::prelude::*;
    use std::vec;

    type Said = Message<Opaque, 3>;
    type Full = Outbox<Opaque, 3, 16>;

    /// One output of a step.
    #[derive(Clone, Debug)]
    enum Deed {
        Accept(Slot, Slot),
        Accepted((Slot, u32), Slot),
        Decision(Slot),
        Learn,
    }

    fn to_and_ballot() -> impl Strategy<Value = (NodeSet, Ballot)> {
        let to = (1u16..3).prop_map(|node| NodeSet::only(NodeId(node)));
        let ballot = (1u64..3).prop_map(|round| Ballot::new(round, NodeId(0)));
        (to, ballot)
    }

    fn deed() -> impl Strategy<Value = Deed> {
        prop_oneof![
            6 => (1u64..7, 0u64..7).prop_map(|(slot, decided)| {
                Deed::Accept(Slot::new(slot), Slot::new(decided.min(slot - 1)))
            }),
            4 => (1u64..7, 0u32..3, 0u64..7).prop_map(|(first, count, low_water)| {
                Deed::Accepted((Slot::new(first), count), Slot::new(low_water))
            }),
            3 => (0u64..7).prop_map(|decided| Deed::Decision(Slot::new(decided))),
            1 => Just(Deed::Learn),
        ]
    }

    /// Returns the content of messages, one slot at a time, without announcements of decisions.
    fn singles(said: &[Outgoing<Opaque, 3>]) -> vec::Vec<(NodeSet, Said)> {
        let mut singles = vec![];
        for Outgoing { to, message, .. } in said {
            let mut say = |message| singles.push((*to, message));
            match message {
                Message::Accept {
                    ballot,
                    first,
                    proposals,
                    ..
                } => {
                    for (offset, proposal) in (0..).zip(proposals) {
                        say(accept(
                            *ballot,
                            Slot::new(first.number() + offset),
                            *proposal,
                        ));
                    }
                }
                Message::Accepted {
                    ballot,
                    promised,
                    first,
                    count: 0,
                    ..
                } => say(accepted(*ballot, *promised, *first, 0)),
                Message::Accepted {
                    ballot,
                    promised,
                    first,
                    count,
                    ..
                } => {
                    for offset in 0..u64::from(*count) {
                        let slot = Slot::new(first.number() + offset);
                        say(accepted(*ballot, *promised, slot, 1));
                    }
                }
                Message::Decision { .. } => {}
                other => say(other.clone()),
            }
        }
        singles
    }

    fn accept(ballot: Ballot, first: Slot, proposal: Proposal<[u8; 16]>) -> Said {
        Message::Accept {
            ballot,
            first,
            decided: Slot::ZERO,
            proposals: [proposal].into_iter().collect(),
        }
    }

    fn accepted(ballot: Ballot, promised: Ballot, first: Slot, count: u32) -> Said {
        Message::Accepted {
            ballot,
            promised,
            first,
            count,
            low_water: Slot::ZERO,
        }
    }

    /// Returns the slot up to which the messages for a node announce decisions under a ballot.
    fn told(said: &[Outgoing<Opaque, 3>], node: NodeSet, under: Ballot) -> Slot {
        let told = |outgoing: &Outgoing<Opaque, 3>| match outgoing.message {
            Message::Accept {
                ballot, decided, ..
            }
            | Message::Decision { ballot, decided }
                if ballot == under && outgoing.to == node =>
            {
                Some(decided)
            }
            _ => None,
        };
        said.iter().filter_map(told).max().unwrap_or(Slot::ZERO)
    }

    /// Returns a summary of the outbox: for each message its kind, first slot, length, and decided slot.
    fn sketch(outbox: &Full) -> vec::Vec<(MessageKind, u64, usize, u64)> {
        let of = |outgoing: &Outgoing<Opaque, 3>| match &outgoing.message {
            Message::Accept {
                first,
                decided,
                proposals,
                ..
            } => (first.number(), proposals.len(), decided.number()),
            Message::Accepted {
                first,
                count,
                low_water,
                ..
            } => {
                let count = usize::try_from(*count).unwrap();
                (first.number(), count, low_water.number())
            }
            Message::Decision { decided, .. } => (0, 0, decided.number()),
            _ => (0, 0, 0),
        };
        let messages = outbox.messages.iter();
        messages
            .map(|outgoing| {
                let (first, len, decided) = of(outgoing);
                (outgoing.message.kind(), first, len, decided)
            })
            .collect()
    }

    #[test]
    fn consecutive_slots_are_merged_with_a_waiting_message() {
        let (to, ballot) = (NodeSet::only(NodeId(1)), Ballot::new(1, NodeId(0)));
        let slot = Slot::new;
        let mut outbox = Full::new();
        let mut view = outbox.view();
        view.decision(to, ballot, slot(1)).unwrap();
        view.decision(to, ballot, slot(2)).unwrap();
        assert_eq!(sketch(&outbox), [(MessageKind::Decision, 0, 0, 2)]);
        let mut view = outbox.view();
        for number in 4..=7 {
            let decided = slot(number - 2);
            let noop = Proposal::Noop;
            view.accept(to, ballot, slot(number), decided, &noop)
                .unwrap();
        }
        view.decision(to, ballot, slot(6)).unwrap();
        let accepts = [
            (MessageKind::Accept, 4, 3, 3),
            (MessageKind::Accept, 7, 1, 6),
        ];
        assert_eq!(sketch(&outbox), accepts, "full pages, and no decisions");
        outbox.clear();
        let mut view = outbox.view();
        for (first, count) in [(4, 2), (6, 1), (7, 0), (7, 1)] {
            let run = (slot(first), count);
            view.accepted(to, ballot, ballot, run, slot(first)).unwrap();
        }
        let answers = [
            (MessageKind::Accepted, 4, 3, 6),
            (MessageKind::Accepted, 7, 0, 7),
            (MessageKind::Accepted, 7, 1, 7),
        ];
        assert_eq!(
            sketch(&outbox),
            answers,
            "that there is no room stands alone"
        );
    }

    proptest! {
        #![proptest_config(crate::properties::cases(600))]

        /// Merged messages have the same content as the single ones: in the same order, for the same nodes. They
        /// announce no more decisions than were known, and no fewer than were to be announced.
        #[test]
        fn what_is_merged_says_the_same(
            deeds in proptest::collection::vec((to_and_ballot(), deed()), 0..40)
        ) {
            let mut outbox = Full::new();
            let mut expected = vec![];
            for (number, ((to, ballot), deed)) in (0..).zip(deeds) {
                let before = told(&outbox.messages, to, ballot);
                let (room, len) = (outbox.view().room(), outbox.view().len());
                prop_assert_eq!(len, outbox.messages.len());
                prop_assert_eq!(room, 16 - outbox.messages.len());
                let mut view = outbox.view();
                let (result, known, least, says) = match deed {
                    Deed::Accept(slot, decided) => {
                        let proposal = Proposal::Register { nonce: number };
                        let result = view.accept(to, ballot, slot, decided, &proposal);
                        (result, decided, Slot::ZERO, vec![accept(ballot, slot, proposal)])
                    }
                    Deed::Accepted((first, count), low_water) => {
                        let result = view.accepted(to, ballot, ballot, (first, count), low_water);
                        let slot = |offset| Slot::new(first.number() + u64::from(offset));
                        let says = match count {
                            0 => vec![accepted(ballot, ballot, first, 0)],
                            _ => (0..count).map(|offset| accepted(ballot, ballot, slot(offset), 1)).collect(),
                        };
                        if result.is_ok() {
                            let last = outbox.messages.last().map(|last| last.message.clone());
                            let mark = match last {
                                Some(Message::Accepted { low_water, .. }) => Some(low_water),
                                _ => None,
                            };
                            prop_assert_eq!(mark, Some(low_water), "the newest mark");
                        }
                        (result, Slot::ZERO, Slot::ZERO, says)
                    }
                    Deed::Decision(decided) => {
                        (view.decision(to, ballot, decided), decided, decided, vec![])
                    }
                    Deed::Learn => {
                        let message = Message::Learn { from: Slot::FIRST };
                        let role = Role::Replica;
                        let result = view.send(Outgoing { role, to, message: message.clone() });
                        (result, Slot::ZERO, Slot::ZERO, vec![message])
                    }
                };
                if result.is_err() {
                    prop_assert_eq!(room, 0, "it was full");
                    break;
                }
                expected.extend(says.into_iter().map(|message| (to, message)));
                prop_assert_eq!(singles(&outbox.messages), &expected[..]);
                let after = told(&outbox.messages, to, ballot);
                prop_assert!(after <= before.max(known), "nobody knew that much");
                prop_assert!(after >= before.max(least), "what was told is gone");
                for outgoing in &outbox.messages {
                    if let Message::Accept { first, decided, .. } = &outgoing.message {
                        prop_assert!(decided < first, "it asks for what it says is decided");
                    }
                }
            }
            let most = outbox.messages.len();
            prop_assert_eq!(outbox.peak(), most);
            outbox.clear();
            prop_assert_eq!((outbox.peak(), outbox.is_empty()), (most, true));
            outbox.reset();
            prop_assert_eq!(outbox.peak(), 0);
        }
    }
}
