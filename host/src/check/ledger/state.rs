//! Checks of what a node holds after a step: its log, its state, and the answers that its sessions keep.

use super::{Asked, Decided, Effect, Ledger, Named};
use crate::check::world::Member;
use crate::check::{Broken, Invariant, Tape};
use synod::{ClientId, NodeId, Proposal, RequestNumber, Slot, StateMachine};

impl Ledger {
    /// Checks an applied slot. Slots are applied in order, and a value only after a quorum has
    /// voted for it under one ballot.
    pub(super) fn see_applied(
        &mut self,
        node: NodeId,
        slot: Slot,
        proposal: &Asked,
        chain: u64,
    ) -> Result<(), Broken> {
        let mut polls = self.polls.iter();
        let chosen = polls.any(|poll| {
            poll.slot == slot && poll.proposal == *proposal && self.is_decided_by(poll)
        });
        must!(
            chosen,
            Decision,
            "{node} applies {} in slot {slot}, and no quorum has accepted it",
            Named(proposal)
        );
        let next = self.end();
        must!(
            slot <= next,
            Decision,
            "{node} applies slot {slot} before slot {next}"
        );
        // A slot below was applied by another node before, and is compared only.
        if slot == next {
            self.decide(slot, *proposal, Some(chain));
        }
        if let Some(decided) = self.decided_mut(slot) {
            let known = decided.proposal;
            // Filled in by the first node whose trace survives, if the one that applied the slot
            // first lost its power.
            decided.chain.get_or_insert(chain);
            must!(
                known == *proposal,
                Decision,
                "{node} applies {} in slot {slot}, where another has applied {}",
                Named(proposal),
                Named(&known)
            );
        }
        Ok(())
    }

    /// Returns the first slot that no node has applied.
    pub(super) fn end(&self) -> Slot {
        let applied = self.applied();
        Slot::new(
            self.base
                .0
                .number()
                .saturating_add(applied)
                .saturating_add(1),
        )
    }

    /// Returns the index of a slot in the log.
    pub(super) fn place(&self, slot: Slot) -> Option<usize> {
        let above = slot.number().checked_sub(self.base.0.number())?;
        usize::try_from(above.checked_sub(1)?).ok()
    }

    /// Returns an applied slot; `None` for those of the initial state, and for those that no node
    /// has applied.
    pub(super) fn decided_mut(&mut self, slot: Slot) -> Option<&mut Decided> {
        let place = self.place(slot)?;
        self.log.get_mut(place)
    }

    /// Records the slots that a node applied in a step in which its power failed: those that a
    /// quorum had accepted by then. The trace of that step is lost with the node, but its effects
    /// are durable.
    pub(super) fn see_applied_unseen(&mut self, applied: Slot) {
        // A node may have applied several slots in the step, up to a gap.
        while self.end() <= applied {
            let next = self.end();
            let mut polls = self.polls.iter();
            let chosen = polls.find(|poll| poll.slot == next && self.is_decided_by(poll));
            let Some(proposal) = chosen.map(|poll| poll.proposal) else {
                return;
            };
            self.decide(next, proposal, None);
        }
    }

    /// Checks the public view of a node after a step. A restart may undo applied slots, so that
    /// only two states without one between them are compared with each other.
    pub(super) fn see_node(&mut self, before: &Member, after: &Member) -> Result<(), Broken> {
        let (node, was, now) = (after.id(), before.applied(), after.applied());
        must!(
            was <= now,
            Decision,
            "{node} had applied slot {was}, and now slot {now}"
        );
        self.see_state(after)
    }

    /// Checks the public view of a node. It holds what it has written, no more and no less, and its
    /// machine is in the state that the log gives.
    pub(super) fn see_state(&mut self, after: &Member) -> Result<(), Broken> {
        let node = after.id();
        if let Some(halt) = after.halted() {
            must!(false, Halt, "{node} halts: {halt:?}");
        }
        let now = after.promised();
        // Two invariants, since one says that a promise was lost, and the other one that it was
        // never written.
        let was = self.promised(node).map_or(now, |promised| *promised);
        must!(
            was <= now,
            Promise,
            "{node} had promised {was}, and now {now}"
        );
        must!(
            was == now,
            Memory,
            "{node} holds the promise of {now}, and has written that of {was}"
        );
        for vote in after.votes() {
            must!(
                self.has_voted(node, &vote),
                Memory,
                "{node} holds a vote for slot {} under {} that it has not written",
                vote.slot,
                vote.ballot
            );
        }
        let now = after.applied();
        let epoch = self.epoch_after(now);
        must!(
            (after.epoch(), after.members()) == (epoch, self.members_of(epoch)),
            State,
            "{node} has applied slot {now}, and is in epoch {} of {}, not in epoch {epoch} of {}",
            after.epoch(),
            after.members(),
            self.members_of(epoch)
        );
        let low_water = after.low_water();
        must!(
            low_water <= now,
            Memory,
            "{node} has forgotten slot {low_water}, and applied slot {now}"
        );
        // A node that lost power in a step may be the first at this slot whose digest is seen.
        let same = if now == self.base.0 {
            self.base.1 == after.chain()
        } else {
            let decided = self.decided_mut(now);
            decided
                .is_some_and(|decided| *decided.chain.get_or_insert(after.chain()) == after.chain())
        };
        must!(
            same,
            State,
            "{node} has applied slot {now}, and something else than others"
        );
        // Clients made no request before the initial state, so that the machine starts empty.
        let mut tape = Tape::default();
        for effect in self.effects().filter(|effect| effect.slot <= now) {
            tape.apply(&effect.command);
        }
        must!(
            *after.machine() == tape,
            Once,
            "{node} has at slot {now} {:?}, and should have {tape:?}",
            after.machine()
        );
        Ok(())
    }

    /// Returns the requests that take effect: the first of each client and number. A number that is
    /// not above the last one of its client is a repetition, and has no effect.
    pub(super) fn effects(&self) -> impl Iterator<Item = Effect> {
        let slots = (1..).map(|above| Slot::new(self.base.0.number().saturating_add(above)));
        let mut done: Vec<(ClientId, RequestNumber)> = Vec::new();
        slots.zip(&self.log).filter_map(move |(slot, decided)| {
            let Proposal::Request {
                client,
                number,
                command,
            } = decided.proposal
            else {
                return None;
            };
            if done
                .iter()
                .any(|(other, last)| *other == client && *last >= number)
            {
                return None;
            }
            done.push((client, number));
            Some(Effect {
                client,
                number,
                command,
                slot,
            })
        })
    }
}
