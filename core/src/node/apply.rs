//! Applying decided slots to the state machine, and updating everything that depends on the applied prefix.

use super::{Node, Step};
use crate::mutant::Mutant;
use crate::roles::replica::Applied;
use crate::{Event, Halt, Proposal, Reply, Role, Slot, StateMachine, Tracer, Write};

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// Gives the replica a decision that another node has sent. A decision that contradicts a known one halts the node
    /// (rule R1). Returns false if it has.
    ///
    /// It is written, unlike a decision that follows from this node's own vote: a restart would take that vote for the
    /// decision, which it need not be here (rule D2).
    pub(super) fn learn_decision<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        slot: Slot,
        proposal: &Proposal<M::Command>,
    ) -> bool {
        match self.replica.decide(slot, proposal) {
            Ok(new) => {
                if new && !self.makes(Mutant::DecisionUnwritten) {
                    let proposal = *proposal;
                    step.write(Write::Decided { slot, proposal });
                }
                true
            }
            Err(conflict) => {
                self.halt(step, Halt::Conflict(conflict));
                false
            }
        }
    }

    /// Applies the next slot if its decision is known, and answers the request. Returns false if the node has halted.
    #[cfg_attr(
        target_pointer_width = "64",
        expect(
            clippy::inline_always,
            reason = "the body of two loops; a call would cost more than a tenth of what it does"
        ),
        inline(always)
    )]
    pub(super) fn apply_next<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
    ) -> bool {
        let Some(Applied {
            slot,
            proposal,
            chain,
            outcome,
            fingerprint,
            diverged,
        }) = self.replica.apply_next()
        else {
            return true;
        };
        step.trace(
            Role::Replica,
            Event::Applied {
                slot,
                proposal,
                outcome: outcome.as_ref(),
                chain,
            },
        );
        let key = proposal.key();
        // The slot is traced and its answer is not given: who reads the trace sees what the histories differ in.
        if diverged {
            self.diverge(step);
            return false;
        }
        // Rule C3: before the leader counts the slot as decided, and would announce it under its own ballot.
        if self.leader.is_overruled(slot, proposal) {
            self.step_down(step);
        }
        self.learn_repeats = 0;
        self.leader.advance(slot);
        if self.replica.pending() > 0
            && let (Some(key), Some(outcome)) = (key, outcome)
        {
            let reply = Reply {
                key,
                fingerprint,
                outcome,
            };
            if self.respond_to_waiting(step, reply) {
                self.respond_to_overtaken(step);
            }
        }
        self.serve_reads(step);
        if self.is_in_new_epoch() {
            self.enter_epoch(step);
        }
        true
    }

    /// Rule N3: halts, because this node has applied a different history than its leader.
    #[cold]
    pub(super) fn diverge<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        let divergence = self.replica.divergence();
        self.halt(step, Halt::Diverged(divergence));
    }

    /// Applies all decisions that are due. Rule C3: the vote for a slot is the decision if it was cast under the ballot
    /// whose leader announced the slot as decided. Returns false if the node has halted.
    pub(super) fn apply_ready<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
    ) -> bool {
        // The step that has halted the node may still come here, with decisions of the same message.
        if self.halt.is_some() {
            return false;
        }
        loop {
            let mut decided = false;
            let claimed = self.replica.next_decided();
            let claimed = match claimed.map(|(slot, _)| (slot, self.acceptor.vote(slot))) {
                Some((slot, Some(vote))) if self.makes(Mutant::AnyVoteDecides) => {
                    Some((slot, vote.ballot))
                }
                _ => claimed,
            };
            // A vote under another ballot says nothing, even if its value should be the decided one: that value may
            // have lost. Without the right vote the decision is fetched.
            if let Some((slot, ballot)) = claimed
                && let Some(vote) = self.acceptor.vote(slot)
                && vote.ballot == ballot
            {
                match self.replica.decide(slot, &vote.proposal) {
                    Ok(new) => decided = new,
                    Err(conflict) => {
                        self.halt(step, Halt::Conflict(conflict));
                        return false;
                    }
                }
            }
            if !decided && !self.replica.is_ready() {
                return true;
            }
            if !self.apply_next(step) {
                return false;
            }
        }
    }

    /// Updates everything that depends on the applied prefix: applies what has become due, lets an election or a
    /// leadership go on, and asks for what is still missing. Every handler that may have learned a decision ends with
    /// it.
    pub(super) fn settle<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        if self.replica.is_behind() {
            self.apply_ready(step);
        }
        // A scout may have waited for this part of the log (rule S6), and a leader for room in its window (rule L3).
        if !self.leader.is_idle() {
            self.try_adopt(step);
            self.make_progress(step);
        }
        self.watch_gap(step);
    }
}
