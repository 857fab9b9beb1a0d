//! Phase 2, replication: accept requests, votes and decisions.

use super::{Node, Step};
use crate::mutant::Mutant;
use crate::outbox::run_len;
use crate::roles::acceptor::AcceptVerdict;
use crate::timer::Timer;
use crate::{
    Ballot, Entry, Event, Halt, Message, NodeId, NodeSet, Proposal, Proposals, Reason, Role, Slot,
    StateMachine, Tracer, Write,
};

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// Applies chosen slots and assigns slots to waiting proposals until nothing is left to do, then announces how far
    /// the log is decided.
    #[cfg_attr(
        target_pointer_width = "64",
        expect(
            clippy::inline_always,
            reason = "a look for work, which costs less than a call where there is none"
        ),
        inline(always)
    )]
    pub(super) fn make_progress<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        if self.leader.has_work() {
            self.make_progress_slow(step);
        }
    }

    /// Separate from `make_progress`, so that the check for work is inlined where votes are handled.
    ///
    /// Each round applies a slot, or assigns slots to proposals that wait, and applying frees slots for more of them.
    /// So the rounds are limited by the slots that are chosen and the proposals that wait, and rule N4 counts with a
    /// window and `CLIENTS` of them.
    #[cfg_attr(target_pointer_width = "64", inline(never))]
    fn make_progress_slow<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        let Some(ballot) = self.leader.leading() else {
            return;
        };
        loop {
            let mut decided = false;
            if let Some((slot, proposal)) = self.leader.next_chosen() {
                // A chosen slot is decided for the own replica without a message. It may know the decision already,
                // from another node that was ahead.
                match self.replica.decide(slot, proposal) {
                    Ok(new) => {
                        decided = new;
                        let own = self.acceptor.vote(slot);
                        debug_assert!(
                            self.mistake.is_any()
                                || !new
                                || own.is_some_and(|own| own.proposal.same_as(proposal)),
                            "storage takes the last vote of this node for the decision, as no decision was written"
                        );
                    }
                    Err(conflict) => return self.halt(step, Halt::Conflict(conflict)),
                }
            }
            if decided || self.replica.is_ready() {
                if !self.apply_next(step) {
                    return;
                }
            } else if self.leader.can_start() {
                self.start_waiting(step, ballot);
            } else {
                break;
            }
        }
        debug_assert!(
            self.mistake.is_any() || self.leader.next_chosen().is_none(),
            "a chosen slot that could be applied was left (R2)"
        );
        // Announced once for all slots of the step, and after they were applied: the followers learn of a slot when the
        // leader could answer for it.
        if let Some(decided) = self.leader.announce() {
            debug_assert!(
                self.mistake.is_any() || decided <= self.replica.applied(),
                "announced a slot that is not applied here"
            );
            step.decision(self.leader.audience(), ballot, decided);
        }
    }

    /// Starts a commander for each waiting proposal that the window has a slot for.
    fn start_waiting<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        ballot: Ballot,
    ) {
        while let Some((slot, proposal)) = self.leader.start_next() {
            self.send_accept(step, ballot, slot, &proposal);
        }
        debug_assert!(
            !self.leader.can_start(),
            "a proposal waits although the window has a slot for it (L3)"
        );
        self.expect_votes(step);
    }

    /// Starts a commander for a new proposal at once, if no other proposal waits and the window has a slot.
    pub(super) fn start<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        proposal: &Proposal<M::Command>,
    ) -> bool {
        let Some(slot) = self.leader.start(proposal) else {
            return false;
        };
        if let Some(ballot) = self.leader.leading() {
            self.send_accept(step, ballot, slot, proposal);
        }
        self.expect_votes(step);
        true
    }

    /// Arms the timer for repetitions, unless it runs already: a stream of new slots must not put off the repetition of
    /// an old one. Slots that are too recent are left out when it fires.
    fn expect_votes<T: Tracer<M, PAGE>>(&mut self, step: &Step<'_, M, PAGE, T>) {
        if !self.timers.is_armed(Timer::Commander) {
            self.timers
                .arm_after(Timer::Commander, &step.now, &self.config.accept_retransmit);
        }
    }

    /// Sends `Accept` for one proposal to all other members. Consecutive slots share a page in the outbox.
    ///
    /// The own vote comes afterwards in the code and leaves first: the driver makes writes durable before it sends any
    /// message of the same outbox (rules C4 and D1).
    fn send_accept<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        ballot: Ballot,
        slot: Slot,
        proposal: &Proposal<M::Command>,
    ) {
        let (audience, decided) = (self.leader.audience(), self.leader.decided());
        step.accept(audience, ballot, slot, decided, proposal);
        if self.replica.membership().is_ended_by(proposal) {
            self.leader.end_at(slot);
        }
        self.vote(step, ballot, slot, proposal);
    }

    /// Rule L1: sends `Accept` for the adopted proposals at once, before any new command.
    pub(super) fn propose_adopted<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        let (Some(ballot), Some((mut slot, last))) =
            (self.leader.leading(), self.leader.slots_in_flight())
        else {
            return;
        };
        while slot <= last {
            if self.makes(Mutant::HolesLeft) && self.leader.commander(slot).is_none() {
                slot = slot.next().unwrap_or(slot);
                continue;
            }
            let Some(commander) = self.leader.commander(slot) else {
                break;
            };
            let proposal = commander.proposal;
            self.send_accept(step, ballot, slot, &proposal);
            let Some(next) = slot.next() else { break };
            slot = next;
        }
        debug_assert!(
            self.mistake.is_any() || self.halt.is_some() || slot > last,
            "an adopted slot was not proposed (L1)"
        );
        self.timers
            .arm_after(Timer::Commander, &step.now, &self.config.accept_retransmit);
    }

    /// Has the leader's own acceptor vote, by a call. The vote is written before every message that depends on it
    /// leaves, so it may be counted at once (rule C4).
    fn vote<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        ballot: Ballot,
        slot: Slot,
        proposal: &Proposal<M::Command>,
    ) {
        let me = self.config.node;
        // A fenced node has resigned, so this is never reached without a vote to give.
        debug_assert!(
            self.mistake.is_any() || self.is_voting(),
            "a node that does not vote leads (D1, D2, V1)"
        );
        debug_assert!(
            self.mistake.is_any() || self.acceptor.promised() == ballot,
            "a leader's own acceptor has promised its ballot, and no other since (C4)"
        );
        if self.makes(Mutant::OwnVoteImplied) {
            return self.count_vote(step, ballot, slot, me);
        }
        match self
            .acceptor
            .on_accept(ballot, slot, proposal, self.replica.applied())
        {
            AcceptVerdict::Accepted => step.write(Write::Accepted(Entry {
                slot,
                ballot,
                proposal: *proposal,
            })),
            AcceptVerdict::Conflict(conflict) => return self.halt(step, Halt::Conflict(conflict)),
            // Counted once more, which changes nothing (rule C1).
            AcceptVerdict::Repeated => {}
            // Without a vote there is nothing to count. The slot may be decided by the others alone.
            AcceptVerdict::Refused | AcceptVerdict::Compacted | AcceptVerdict::NoRoom => return,
        }
        self.count_vote(step, ballot, slot, me);
    }

    /// Rules C1 and C2: counts the vote of one member for one slot under the current ballot.
    fn count_vote<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        ballot: Ballot,
        slot: Slot,
        from: NodeId,
    ) {
        if self.leader.on_accepted(from, slot, self.quorum_members())
            && let Some(commander) = self.leader.commander(slot)
        {
            let proposal = &commander.proposal;
            step.trace(
                Role::Commander,
                Event::Chosen {
                    slot,
                    ballot,
                    proposal,
                },
            );
            if from == self.config.node {
                self.decide_alone(step);
            }
        }
    }

    /// Timer `Commander`: repeats `Accept` to the members that have not accepted, lowest slots first, with at most as
    /// many messages as a window has pages.
    pub(super) fn on_commander_timeout<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
    ) {
        let (Some(ballot), Some((mut slot, last))) =
            (self.leader.leading(), self.leader.slots_in_flight())
        else {
            return;
        };
        if self.leader.in_flight() == 0 {
            return;
        }
        self.timers
            .arm_after(Timer::Commander, &step.now, &self.config.accept_retransmit);
        let (decided, members) = (self.leader.decided(), self.members());
        // Rule N4: scattered slots share no pages, so without this limit one firing could take a message for each slot
        // of the window. The others are repeated when it fires next.
        let full = step.outbox.len() + WINDOW.div_ceil(PAGE);
        while slot <= last && step.outbox.len() < full {
            if let Some((proposal, missing)) = self.leader.retransmit(slot, members) {
                // With a mutant the leader may lack its own vote. It must not send itself a message, which would look
                // like a second node with its number (rule N3).
                let missing = if self.makes(Mutant::OwnVoteImplied) {
                    missing.without(self.config.node)
                } else {
                    missing
                };
                step.accept(missing, ballot, slot, decided, &proposal);
            }
            let Some(next) = slot.next() else { break };
            slot = next;
        }
    }

    /// Rules A2 and C3: handles `Accept`. Learns how far the log is decided, then accepts as much of the run as it can.
    /// A node that does not vote keeps the run as well, as it will be told which part of it is decided, but does not
    /// answer (rules D1, D2 and V1).
    ///
    /// The order matters. Nothing is changed by a malformed message. What the message announces as decided is applied
    /// first, as that frees the places of the window that the run may need.
    pub(super) fn on_accept<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        from: NodeId,
        message: &Message<M, PAGE>,
    ) -> Result<(), Reason> {
        let Message::Accept {
            ballot,
            first,
            decided,
            proposals,
        } = message
        else {
            return Err(Reason::Malformed);
        };
        let (ballot, first) = (*ballot, *first);
        self.check_claim(from, ballot)?;
        let end = first.checked_add(run_len(proposals.len()));
        if proposals.is_empty() || first == Slot::ZERO || *decided >= first || end.is_none() {
            return Err(Reason::Malformed);
        }
        // Rule F1: an accept of an old leader is answered, with the higher promise, and is no sign of life.
        if ballot >= self.highest_seen {
            self.follow(step, ballot);
        }
        self.replica.on_decided_under(ballot, *decided);
        if self.replica.is_behind() {
            if !self.apply_ready(step) {
                return Ok(());
            }
            // Rule V7: what was applied may have ended the epoch of the ballot.
            if ballot.epoch() < self.epoch() {
                self.settle(step);
                return self.on_other_epoch(step, from, ballot, message);
            }
        }
        let Some(count) = self.accept_run(step, ballot, first, proposals) else {
            return Ok(());
        };
        let (promised, low_water) = (self.acceptor.promised(), self.acceptor.low_water());
        debug_assert!(
            self.mistake.is_any() || count == 0 || promised >= ballot,
            "accepted without a promise (A2)"
        );
        if self.is_voting() {
            let to = NodeSet::only(from);
            step.accepted(to, ballot, promised, (first, count), low_water);
        } else if !self.voting.is_allowed {
            step.drop_writes();
        }
        debug_assert!(
            self.mistake.is_any() || low_water <= self.replica.applied(),
            "has forgotten votes for slots that are not applied here (T1)"
        );
        if count > 0 {
            let end = first.checked_add(u64::from(count)).unwrap_or(first);
            // The run ends one slot before `end`, at most a window above the mark.
            let votes = usize::try_from(end.distance(low_water)).unwrap_or(0);
            self.votes_peak = self.votes_peak.max(votes.saturating_sub(1));
        }
        self.settle(step);
        // Of a refusal nothing is traced here: the answer says it.
        if count == 0 && promised == ballot {
            Err(Reason::OutsideWindow)
        } else {
            Ok(())
        }
    }

    /// Accepts consecutive slots as far as possible, and returns how many. `None` if a conflict has halted the node.
    ///
    /// It stops at the first slot that is not accepted, since an answer names one run. The accepts behind a gap are
    /// repeated like any that were lost.
    #[cfg_attr(
        target_pointer_width = "64",
        expect(
            clippy::inline_always,
            reason = "a part of `on_accept`, which is its only caller"
        ),
        inline(always)
    )]
    fn accept_run<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        ballot: Ballot,
        first: Slot,
        proposals: &Proposals<M, PAGE>,
    ) -> Option<u32> {
        let mut slot = first;
        let mut count = 0;
        for proposal in proposals {
            match self
                .acceptor
                .on_accept(ballot, slot, proposal, self.replica.applied())
            {
                AcceptVerdict::Accepted => {
                    step.write(Write::Accepted(Entry {
                        slot,
                        ballot,
                        proposal: *proposal,
                    }));
                    count += 1;
                }
                AcceptVerdict::Repeated => count += 1,
                AcceptVerdict::Conflict(conflict) => {
                    self.halt(step, Halt::Conflict(conflict));
                    if !self.voting.is_allowed {
                        step.drop_writes();
                    }
                    return None;
                }
                AcceptVerdict::Refused | AcceptVerdict::Compacted | AcceptVerdict::NoRoom => break,
            }
            slot = slot.next().unwrap_or(slot);
        }
        Some(count)
    }

    /// Rules C1 and S5: handles `Accepted`. Counts votes for the current ballot; an answer to an earlier ballot is
    /// stale.
    pub(super) fn on_accepted<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        from: NodeId,
        message: &Message<M, PAGE>,
    ) -> Result<(), Reason> {
        let Message::Accepted {
            ballot,
            promised,
            first,
            count,
            low_water,
        } = message
        else {
            return Err(Reason::Malformed);
        };
        let (ballot, promised) = &match self.leader.leading() {
            Some(present) if self.makes(Mutant::StaleVotesCounted) && promised == ballot => {
                (present, present)
            }
            // This mutant does not use the promise in an answer.
            _ if self.makes(Mutant::AcceptKeepsPromise) => (*ballot, *ballot.max(promised)),
            _ => (*ballot, *promised),
        };
        if self.leader.leading() != Some(*ballot) {
            return Err(Reason::StaleReply);
        }
        if promised > ballot {
            return self.on_refused(step, *promised);
        }
        // An acceptor that accepts also promises; one that has no room for the run, or has applied all of it, may have
        // promised less.
        if promised < ballot && *count > 0 {
            return Err(Reason::Malformed);
        }
        // Rule L6: an answer that accepts nothing for lack of room comes from a member that hears this leader all the
        // same.
        self.leader.on_answer(from);
        // A driver that gathers steps may have merged runs into one that is longer than the window; only the slots in
        // flight count.
        let end = first
            .checked_add(u64::from(*count))
            .ok_or(Reason::Malformed)?;
        let end = if self.makes(Mutant::RunCountedLonger) && *count > 0 {
            end.next().ok_or(Reason::Malformed)?
        } else {
            end
        };
        // The loop is limited by the slots in flight, whatever the message claims.
        if let Some((driven, last)) = self.leader.slots_in_flight() {
            let mut slot = driven.max(*first);
            while slot < end && slot <= last {
                self.count_vote(step, *ballot, slot, from);
                slot = slot.next().ok_or(Reason::Malformed)?;
            }
        }
        self.make_progress(step);
        if *low_water > self.replica.applied() {
            // Rule T2: the acceptor has applied slots that this leader is still driving.
            self.replica.on_decided(*low_water);
            self.watch_gap(step);
        }
        Ok(())
    }

    /// Rule C3: handles `Decision`: a prefix of the log is decided. It is as true under an old ballot, whose owner is
    /// however not followed any more (rule F1).
    pub(super) fn on_decision<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        from: NodeId,
        ballot: Ballot,
        decided: Slot,
    ) -> Result<(), Reason> {
        self.check_claim(from, ballot)?;
        if ballot >= self.highest_seen {
            self.follow(step, ballot);
        }
        self.replica.on_decided_under(ballot, decided);
        self.settle(step);
        Ok(())
    }
}
