//! Checks of the messages and replies of nodes.

use super::Invariants;
use super::ballots::{Claim, Known};
use super::memory::{Memory, Told};
use crate::outbox::run_len;
use crate::simulation::event_loop::{Command, Output};
use crate::simulation::setting::Setting;
use crate::simulation::violation::{Rule, Violation};
use crate::{Ballot, Message, NodeId, NodeSet, Outgoing, Proposal, Reply, Role, Slot};

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
                memory.decides(node, *decided, seen)?;
                self.chained(node, *decided, *chain)
            }
            Message::Promise {
                ballot,
                promised,
                from,
                low_water,
                last,
                entries,
            } => {
                memory.gave_up(node, *low_water, seen)?;
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
                decided,
                proposals,
            } => {
                memory.claims(node, *ballot, seen)?;
                memory.decides(node, *decided, seen)?;
                self.proposed(node, *ballot, *first, proposals)
            }
            Message::Accepted {
                ballot,
                promised,
                first,
                count,
                low_water,
            } => {
                memory.says(node, *promised, seen)?;
                memory.gave_up(node, *low_water, seen)?;
                self.accepted(node, *ballot, *first, *count)
            }
            Message::Decisions {
                first,
                applied,
                proposals,
            } => {
                memory.decides(node, *applied, seen)?;
                self.decided(node, *first, proposals)
            }
            Message::Decision { decided, .. } => memory.decides(node, *decided, seen),
            Message::Welcome { .. } if outgoing.role == Role::Seed => {
                self.founds(node, outgoing.to)
            }
            _ => Ok(()),
        }
    }

    /// A message leaves before the writes of its step are durable: it rests on earlier ones alone (rule D1). So the node
    /// has written its promise of the ballot, and what is decided up to the mark was chosen by votes that are durable.
    pub(super) fn said_early(
        &mut self,
        node: NodeId,
        message: &Message<S::Machine, P>,
    ) -> Result<(), Violation> {
        let (ballot, decided) = match message {
            Message::Accept {
                ballot, decided, ..
            }
            | Message::Decision { ballot, decided }
            | Message::Heartbeat {
                ballot, decided, ..
            } => (*ballot, *decided),
            _ => {
                self.seen.check(Rule::UnwrittenPromise);
                let ballot = Ballot::NULL;
                return Err(Violation::UnwrittenPromise { node, ballot });
            }
        };
        let Some(memory) = self.memories.get_mut(usize::from(node.0)) else {
            self.seen.skip(Rule::UnwrittenPromise);
            return Ok(());
        };
        memory.claims(node, ballot, &mut self.seen)?;
        if decided > Slot::ZERO {
            self.seen.check(Rule::NotChosen);
            match self.ballots.chosen(decided) {
                Known::Is(_) => {}
                Known::Not if !self.lost => {
                    let slot = decided;
                    return Err(Violation::NotChosen { node, slot });
                }
                _ => self.seen.skip(Rule::NotChosen),
            }
        }
        match message {
            Message::Accept {
                first, proposals, ..
            } => self.proposed(node, ballot, *first, proposals),
            _ => Ok(()),
        }
    }

    /// A message leaves, in the order in which it was said: what it names its node has seen, and claims nothing under that.
    pub(super) fn names(
        &mut self,
        node: NodeId,
        message: &Message<S::Machine, P>,
    ) -> Result<(), Violation> {
        let Some(memory) = self.memories.get_mut(usize::from(node.0)) else {
            return Ok(());
        };
        match message {
            Message::Prepare { ballot, .. } => {
                return memory.prepares(node, *ballot, &mut self.seen);
            }
            Message::Promise { promised, .. } | Message::Accepted { promised, .. } => {
                memory.names(node, *promised);
            }
            Message::ProbeReply {
                highest: ballot, ..
            }
            | Message::HeartbeatReply { ballot } => memory.names(node, *ballot),
            Message::Join { page: 0, .. } => memory.joins(),
            _ => {}
        }
        Ok(())
    }

    /// A node that does not vote speaks: not as an acceptor, nor as one that leads or claims to (rules D1 and D2).
    pub(super) fn speaks(
        &mut self,
        node: NodeId,
        message: &Message<S::Machine, P>,
    ) -> Result<(), Violation> {
        self.seen.check(Rule::NotVoting);
        match message {
            Message::Probe { .. }
            | Message::ProbeReply { .. }
            | Message::Prepare { .. }
            | Message::Promise { .. }
            | Message::Accept { .. }
            | Message::Accepted { .. }
            | Message::Decision { .. }
            | Message::Heartbeat { .. }
            | Message::HeartbeatReply { .. } => Err(Violation::NotVoting { node }),
            Message::Join { .. }
            | Message::Welcome { .. }
            | Message::Propose { .. }
            | Message::Learn { .. }
            | Message::Decisions { .. }
            | Message::Request { .. }
            | Message::Response { .. } => Ok(()),
        }
    }

    /// A founder welcomes those with whom it founds: each of them has asked as one that votes (rule J1).
    fn founds(&mut self, node: NodeId, with: NodeSet) -> Result<(), Violation> {
        self.seen.check(Rule::NotVoting);
        let joined = |member: NodeId| {
            let memory = self.memories.get(usize::from(member.0));
            memory.is_none_or(Memory::has_joined)
        };
        if with.iter().all(joined) {
            Ok(())
        } else {
            Err(Violation::NotVoting { node })
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
