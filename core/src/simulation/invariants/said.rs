//! Checks of the messages and replies of nodes.

use super::Invariants;
use super::ballots::{Claim, Known};
use super::memory::Told;
use crate::outbox::run_len;
use crate::simulation::event_loop::{Command, Output};
use crate::simulation::setting::Setting;
use crate::simulation::violation::{Rule, Violation};
use crate::{Ballot, Message, NodeId, Outgoing, Proposal, Reply, Slot};

impl<S: Setting<W, C, P>, const W: usize, const C: usize, const P: usize> Invariants<S, W, C, P> {
    /// A message leaves: whatever it says of the past is so.
    pub(super) fn said(
        &mut self,
        node: NodeId,
        outgoing: &Outgoing<S::Machine, P>,
    ) -> Result<(), Violation> {
        let Some(memory) = self.memories.get_mut(usize::from(node.0)) else {
            self.seen.skip(Rule::UnwrittenPromise);
            return Ok(());
        };
        let seen = &mut self.seen;
        match &outgoing.message {
            Message::Prepare { ballot, .. } => memory.claims(node, *ballot, seen),
            Message::Heartbeat {
                ballot,
                decided,
                chain,
            } => {
                memory.claims(node, *ballot, seen)?;
                self.chained(node, *decided, *chain)
            }
            Message::Promise {
                ballot,
                promised,
                from,
                last,
                entries,
                ..
            } => {
                let told = Told {
                    ballot: *ballot,
                    promised: *promised,
                    from: *from,
                    last: *last,
                    entries,
                };
                memory.tells(node, told, &self.ballots, seen)
            }
            Message::Accept {
                ballot,
                first,
                proposals,
                ..
            } => {
                memory.claims(node, *ballot, seen)?;
                self.proposed(node, *ballot, *first, proposals)
            }
            Message::Accepted {
                ballot,
                promised,
                first,
                count,
                ..
            } => {
                memory.says(node, *promised, seen)?;
                self.accepted(node, *ballot, *first, *count)
            }
            Message::Decisions {
                first, proposals, ..
            } => self.decided(node, *first, proposals),
            _ => Ok(()),
        }
    }

    fn proposed(
        &mut self,
        node: NodeId,
        ballot: Ballot,
        first: Slot,
        proposals: &[Proposal<Command<S, W, C, P>>],
    ) -> Result<(), Violation> {
        for (offset, proposal) in (0..).zip(proposals) {
            let Some(slot) = first.checked_add(offset) else {
                break;
            };
            let claim = Claim {
                node,
                slot,
                ballot,
                proposal,
            };
            if self.ballots.propose(claim, &mut self.seen)? {
                self.asked_for(claim)?;
            }
        }
        Ok(())
    }

    /// A leader tells the digest of the log up to where it says that it is decided, and not up to elsewhere.
    fn chained(&mut self, node: NodeId, decided: Slot, chain: u64) -> Result<(), Violation> {
        self.seen.check(Rule::Disagreement);
        match self.log.chain(decided) {
            Known::Is(right) if right != chain && !self.lost => Err(Violation::Disagreement {
                node,
                slot: decided,
            }),
            Known::Is(_) => Ok(()),
            _ => {
                self.seen.skip(Rule::Disagreement);
                Ok(())
            }
        }
    }

    fn accepted(
        &mut self,
        node: NodeId,
        ballot: Ballot,
        first: Slot,
        count: u32,
    ) -> Result<(), Violation> {
        // No node has more votes than its window.
        let count = u64::from(count).min(run_len(W));
        for slot in (0..count).filter_map(|offset| first.checked_add(offset)) {
            self.seen.check(Rule::UnwrittenVote);
            match self.ballots.tried(slot, ballot) {
                Known::Is((_, voters)) if voters.contains(node) => {}
                Known::Forgotten => self.seen.skip(Rule::UnwrittenVote),
                _ => return Err(Violation::UnwrittenVote { node, slot, ballot }),
            }
        }
        Ok(())
    }

    fn decided(
        &mut self,
        node: NodeId,
        first: Slot,
        proposals: &[Proposal<Command<S, W, C, P>>],
    ) -> Result<(), Violation> {
        for (offset, proposal) in (0..).zip(proposals) {
            let Some(slot) = first.checked_add(offset) else {
                break;
            };
            self.seen.check(Rule::NotChosen);
            match self.log.decision(slot) {
                Known::Is(chosen) if chosen == proposal => {}
                Known::Forgotten => self.seen.skip(Rule::NotChosen),
                Known::Not if self.lost => self.seen.skip(Rule::NotChosen),
                _ => return Err(Violation::NotChosen { node, slot }),
            }
        }
        Ok(())
    }

    /// A request is answered as the log answers it.
    pub(super) fn replied(
        &mut self,
        node: NodeId,
        reply: &Reply<Output<S, W, C, P>>,
    ) -> Result<(), Violation> {
        self.seen.check(Rule::WrongReply);
        match self.log.gives(reply) {
            Known::Is(()) => Ok(()),
            Known::Not if !self.lost => {
                let number = reply.key.number;
                Err(Violation::WrongReply { node, number })
            }
            _ => {
                self.seen.skip(Rule::WrongReply);
                Ok(())
            }
        }
    }
}
