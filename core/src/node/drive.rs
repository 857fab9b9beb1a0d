//! Deciding: accepts, votes, decisions, and applying what is decided.

use super::{Node, Step};
use crate::outbox::run_len;
use crate::roles::acceptor::Vouched;
use crate::roles::replica::Applied;
use crate::timer::Timer;
use crate::{
    Ballot, Entry, Event, Fault, Message, NodeId, NodeSet, Proposal, Reason, Role, Slot,
    StateMachine, Tracer, Write,
};

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// Applies what is chosen and gives waiting proposals their slots, until neither moves anything; then tells the others
    /// how far the log is decided.
    pub(super) fn pump<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        let Some(ballot) = self.leader.leading() else {
            return;
        };
        loop {
            if self.leader.chosen(self.leader.decided()).is_some() {
                if !self.apply_chosen(step) {
                    return;
                }
            } else if self.leader.can_start() {
                self.start_waiting(step, ballot);
            } else {
                break;
            }
        }
        if let Some(decided) = self.leader.announce() {
            step.decision(self.config.peers(), ballot, decided);
        }
    }

    /// Gives the replica the run of chosen slots that follows what is applied, and applies it. Whether the node goes on.
    fn apply_chosen<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) -> bool {
        let mut last = self.leader.decided();
        while let Some((slot, proposal)) = self.leader.chosen(last) {
            match self.replica.decide(slot, proposal) {
                Ok(_) => last = slot,
                Err(conflict) => {
                    self.halt(step, Fault::Conflict(conflict));
                    return false;
                }
            }
        }
        self.apply_ready(step);
        true
    }

    /// Gives the replica a decision; a decision that contradicts a known one halts the node (rule R1).
    pub(super) fn learn<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        slot: Slot,
        proposal: &Proposal<M::Command>,
    ) -> bool {
        match self.replica.decide(slot, proposal) {
            Ok(_) => true,
            Err(conflict) => {
                self.halt(step, Fault::Conflict(conflict));
                false
            }
        }
    }

    /// Applies every decision whose turn has come, and answers those who wait for one.
    pub(super) fn apply_ready<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        while let Some(Applied {
            slot,
            outcome,
            waiter,
        }) = self.replica.apply_next()
        {
            let mut overruled = false;
            if let Some(proposal) = self.replica.decision(slot) {
                let (outcome, chain) = (outcome.as_ref(), self.replica.chain());
                step.trace(
                    Role::Replica,
                    Event::Applied {
                        slot,
                        proposal,
                        outcome,
                        chain,
                    },
                );
                overruled = self.leader.is_overruled(slot, proposal);
            }
            if overruled {
                self.step_down(step);
            }
            self.learn_repeats = 0;
            self.leader.advance(slot);
            if let (Some((waiter, key)), Some(outcome)) = (waiter, outcome) {
                self.respond(step, waiter, key, outcome);
            }
        }
    }

    /// Starts a commander for each waiting proposal for which the window has a slot.
    fn start_waiting<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        ballot: Ballot,
    ) {
        while let Some((slot, proposal)) = self.leader.start_next() {
            self.drive(step, ballot, slot, &proposal);
        }
        if !self.timers.is_armed(Timer::Commander) {
            self.timers
                .arm_after(Timer::Commander, &step.now, &self.config.accept_retransmit);
        }
    }

    /// Asks everybody to accept one proposal. Consecutive slots share a page in the outbox.
    #[cfg_attr(target_pointer_width = "64", inline)]
    fn drive<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        ballot: Ballot,
        slot: Slot,
        proposal: &Proposal<M::Command>,
    ) {
        let (peers, decided) = (self.config.peers(), self.leader.decided());
        step.accept(peers, ballot, slot, decided, proposal);
        self.vote(step, ballot, slot, proposal);
    }

    /// Rule L1: what was adopted is driven at once, before any new command.
    pub(super) fn drive_adopted<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        let (Some(ballot), Some((mut slot, last))) = (self.leader.leading(), self.leader.driven())
        else {
            return;
        };
        while slot <= last {
            let Some(commander) = self.leader.commander(slot) else {
                break;
            };
            let proposal = commander.proposal;
            self.drive(step, ballot, slot, &proposal);
            let Some(next) = slot.next() else { break };
            slot = next;
        }
        self.timers
            .arm_after(Timer::Commander, &step.now, &self.config.accept_retransmit);
    }

    /// The leader's own acceptor votes by a call. The vote is written ahead of every message that rests on it, and so may
    /// be counted at once (rule C4).
    #[cfg_attr(target_pointer_width = "64", inline)]
    fn vote<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        ballot: Ballot,
        slot: Slot,
        proposal: &Proposal<M::Command>,
    ) {
        let me = self.config.node;
        match self
            .acceptor
            .on_accept(ballot, slot, proposal, self.replica.applied())
        {
            Vouched::Accepted => step.write(Write::Accepted(Entry {
                slot,
                ballot,
                proposal: *proposal,
            })),
            Vouched::Conflict(conflict) => return self.halt(step, Fault::Conflict(conflict)),
            Vouched::Repeated => {}
            Vouched::Refused | Vouched::Compacted | Vouched::NoRoom => return,
        }
        self.count_vote(step, ballot, slot, me);
    }

    /// Rules C1 and C2: one vote of one member for one slot under this very ballot.
    #[cfg_attr(target_pointer_width = "64", inline)]
    fn count_vote<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        ballot: Ballot,
        slot: Slot,
        from: NodeId,
    ) {
        if self.leader.on_accepted(from, slot, self.config.members)
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
        }
    }

    /// The commanders ask again, each those who have not accepted; the first slots first, and no more messages than a
    /// window has pages.
    pub(super) fn on_commander_timeout<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
    ) {
        let (Some(ballot), Some((mut slot, last))) = (self.leader.leading(), self.leader.driven())
        else {
            return;
        };
        if self.leader.in_flight() == 0 {
            return;
        }
        self.timers
            .arm_after(Timer::Commander, &step.now, &self.config.accept_retransmit);
        let (decided, members) = (self.leader.decided(), self.config.members);
        let full = step.outbox.len() + WINDOW.div_ceil(PAGE);
        while slot <= last && step.outbox.len() < full {
            if let Some((proposal, missing)) = self.leader.retransmit(slot, members) {
                step.accept(missing, ballot, slot, decided, &proposal);
            }
            let Some(next) = slot.next() else { break };
            slot = next;
        }
    }

    /// Rules A2 and C3: learns how far the log is decided, then accepts what it can of the run.
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
        if ballot >= self.seen {
            self.follow(step, ballot);
        }
        self.replica.on_claimed(ballot, *decided);
        self.apply_claimed(step);
        let mut slot = first;
        let mut count = 0;
        for proposal in proposals {
            match self
                .acceptor
                .on_accept(ballot, slot, proposal, self.replica.applied())
            {
                Vouched::Accepted => {
                    step.write(Write::Accepted(Entry {
                        slot,
                        ballot,
                        proposal: *proposal,
                    }));
                    count += 1;
                }
                Vouched::Repeated => count += 1,
                Vouched::Conflict(conflict) => {
                    self.halt(step, Fault::Conflict(conflict));
                    return Ok(());
                }
                Vouched::Refused | Vouched::Compacted | Vouched::NoRoom => break,
            }
            slot = slot.next().unwrap_or(slot);
        }
        let (promised, low_water) = (self.acceptor.promised(), self.acceptor.low_water());
        step.accepted(
            NodeSet::only(from),
            ballot,
            promised,
            (first, count),
            low_water,
        );
        if count > 0 {
            let votes = usize::try_from(slot.distance(low_water)).unwrap_or(0);
            self.votes_peak = self.votes_peak.max(votes.saturating_sub(1));
        }
        self.settle(step);
        if count == 0 && promised == ballot {
            Err(Reason::OutsideWindow)
        } else {
            Ok(())
        }
    }

    /// Rules C1 and S5: counts votes for this very reign; anything else about an old attempt is noise.
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
        if self.leader.leading() != Some(*ballot) {
            return Err(Reason::StaleReply);
        }
        if promised > ballot {
            return self.on_refused(step, *promised);
        }
        if promised < ballot || run_len(WINDOW) < u64::from(*count) {
            return Err(Reason::Malformed);
        }
        self.leader.on_answer(from);
        let mut slot = *first;
        for _ in 0..*count {
            self.count_vote(step, *ballot, slot, from);
            slot = slot.next().ok_or(Reason::Malformed)?;
        }
        self.pump(step);
        if *low_water > self.replica.applied() {
            // Rule T2: the acceptor has applied what this leader is still asking about.
            self.replica.on_decided(*low_water);
            self.watch_gap(step);
        }
        Ok(())
    }

    /// Rule C3: a prefix is decided.
    pub(super) fn on_decision<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        from: NodeId,
        ballot: Ballot,
        decided: Slot,
    ) -> Result<(), Reason> {
        self.check_claim(from, ballot)?;
        if ballot >= self.seen {
            self.follow(step, ballot);
        }
        self.replica.on_claimed(ballot, decided);
        self.settle(step);
        Ok(())
    }

    /// Rule C3: a vote is the decision if it was cast under the very ballot whose leader says that its slot is decided.
    pub(super) fn apply_claimed<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        while let Some((mut slot, last, ballot)) = self.replica.next_claimed() {
            let before = self.replica.applied();
            while slot <= last
                && let Some(vote) = self.acceptor.vote(slot)
                && vote.ballot == ballot
            {
                if let Err(conflict) = self.replica.decide(slot, &vote.proposal) {
                    return self.halt(step, Fault::Conflict(conflict));
                }
                let Some(next) = slot.next() else { break };
                slot = next;
            }
            self.apply_ready(step);
            if self.replica.applied() == before {
                return;
            }
        }
    }

    /// Brings everything that hangs on the applied prefix in line with it.
    pub(super) fn settle<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        if self.replica.is_behind() {
            self.apply_claimed(step);
        }
        if !self.leader.is_idle() {
            self.try_adopt(step);
            self.pump(step);
        }
        self.watch_gap(step);
    }
}
