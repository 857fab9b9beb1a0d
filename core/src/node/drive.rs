//! Deciding: accepts, votes, decisions, and applying what is decided.

use super::pages::{AcceptPage, Pages};
use super::{Node, Step};
use crate::outbox::run_len;
use crate::roles::acceptor::Vouched;
use crate::timer::Timer;
use crate::{
    Ballot, Entry, Event, Fault, Message, NodeId, NodeSet, Proposal, Reason, Role, Slot,
    StateMachine, Tracer, Write,
};

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// Gives waiting proposals their slots and applies what is chosen, until neither moves anything; then tells the
    /// others how far the log is decided, unless an accept has told them.
    pub(super) fn pump<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        loop {
            let applied = self.apply_chosen(step);
            let started = self.start_waiting(step);
            if !applied && !started {
                break;
            }
        }
        if let (Some(ballot), Some(decided)) = (self.leader.leading(), self.leader.announce()) {
            let decision = Message::Decision { ballot, decided };
            self.send(step, Role::Commander, self.config.peers(), decision);
        }
    }

    /// Applies the chosen slots that follow what is applied.
    fn apply_chosen<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) -> bool {
        let mut moved = false;
        while let Some((slot, proposal)) = self.leader.next_chosen() {
            if !self.learn(step, slot, &proposal) {
                return false;
            }
            self.apply_ready(step);
            moved = true;
        }
        moved
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
        while let Some(applied) = self.replica.apply_next() {
            let (slot, chain) = (applied.slot, self.replica.chain());
            let (proposal, outcome) = (&applied.proposal, applied.outcome.as_ref());
            step.trace(
                Role::Replica,
                Event::Applied {
                    slot,
                    proposal,
                    outcome,
                    chain,
                },
            );
            self.learn_repeats = 0;
            self.leader.advance(slot);
            if let (Some(waiter), Some(key), Some(outcome)) =
                (applied.waiter, applied.proposal.key(), applied.outcome)
            {
                self.respond(step, waiter, key, outcome);
            }
        }
    }

    /// Starts a commander for each waiting proposal for which the window has a slot.
    fn start_waiting<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) -> bool {
        let Some(ballot) = self.leader.leading() else {
            return false;
        };
        let mut pages = Pages::new();
        let mut started = false;
        while let Some((slot, proposal)) = self.leader.start_next() {
            started = true;
            if let Some(page) = pages.add(slot, proposal, self.config.members) {
                self.send_accept(step, ballot, page);
            }
            self.vote(step, ballot, slot, &proposal);
        }
        if let Some(page) = pages.finish() {
            self.send_accept(step, ballot, page);
        }
        if started && !self.timers.is_armed(Timer::Commander) {
            self.timers
                .arm(Timer::Commander, step.now + self.config.accept_retransmit);
        }
        started
    }

    /// Rule L1: what was adopted is driven at once, before any new command.
    pub(super) fn drive_adopted<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        let (Some(ballot), Some((mut slot, last))) = (self.leader.leading(), self.leader.driven())
        else {
            return;
        };
        let mut pages = Pages::new();
        while slot <= last {
            let Some(proposal) = self
                .leader
                .commander(slot)
                .map(|commander| commander.proposal)
            else {
                break;
            };
            if let Some(page) = pages.add(slot, proposal, self.config.members) {
                self.send_accept(step, ballot, page);
            }
            self.vote(step, ballot, slot, &proposal);
            let Some(next) = slot.next() else { break };
            slot = next;
        }
        if let Some(page) = pages.finish() {
            self.send_accept(step, ballot, page);
        }
        self.timers
            .arm(Timer::Commander, step.now + self.config.accept_retransmit);
    }

    /// The leader's own acceptor votes by a call. The vote is written ahead of every message that rests on it, and so may
    /// be counted at once (rule C4).
    #[inline]
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
    #[inline]
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

    fn send_accept<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        ballot: Ballot,
        page: AcceptPage<M, PAGE>,
    ) {
        let decided = self.leader.decided();
        let peers = self.config.peers();
        if peers.minus(page.to).is_empty() {
            // Everybody is told with this.
            self.leader.announce();
        }
        let accept = Message::Accept {
            ballot,
            first: page.first,
            decided,
            proposals: page.proposals,
        };
        self.send(step, Role::Commander, page.to, accept);
    }

    /// The commanders ask again, each those who have not accepted; as many pages as a window has, the first slots first.
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
            .arm(Timer::Commander, step.now + self.config.accept_retransmit);
        let mut pages = Pages::new();
        let mut sent = 0;
        while slot <= last && sent < WINDOW.div_ceil(PAGE) {
            let page = match self.leader.retransmit(slot, self.config.members) {
                Some((proposal, missing)) => pages.add(slot, proposal, missing),
                None => pages.finish(),
            };
            if let Some(page) = page {
                self.send_accept(step, ballot, page);
                sent += 1;
            }
            let Some(next) = slot.next() else { break };
            slot = next;
        }
        if let Some(page) = pages.finish() {
            self.send_accept(step, ballot, page);
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
        let accepted = Message::Accepted {
            ballot,
            promised,
            first,
            count,
            low_water,
        };
        self.send(step, Role::Acceptor, NodeSet::only(from), accepted);
        self.marks.votes = self
            .marks
            .votes
            .max(usize::try_from(slot.distance(low_water)).unwrap_or(0));
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
        while let Some((slot, ballot)) = self.replica.next_claimed() {
            let vote = self
                .acceptor
                .vote(slot)
                .filter(|vote| vote.ballot == ballot);
            let Some(proposal) = vote.map(|vote| vote.proposal) else {
                return;
            };
            if !self.learn(step, slot, &proposal) {
                return;
            }
            let before = self.replica.applied();
            self.apply_ready(step);
            if self.replica.applied() == before {
                return;
            }
        }
    }

    /// Brings everything that hangs on the applied prefix in line with it.
    pub(super) fn settle<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        self.apply_claimed(step);
        if self.leader.scout().is_some() {
            self.try_adopt(step);
        } else if self.leader.leading().is_some() {
            self.pump(step);
        }
        self.watch_gap(step);
    }
}
