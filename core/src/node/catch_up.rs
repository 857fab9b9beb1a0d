//! Founding, joining, and catching up: by pages of decisions, or of a snapshot past those.

use super::leader_contact::RELAY_REPEATS;
use super::{Node, Phase, Step};
use crate::mutant::Mutant;
use crate::roles::initializer::Initializer;
use crate::roles::replica::{Page, WelcomeVerdict};
use crate::timer::Timer;
use crate::{
    Duration, Event, Message, NodeId, NodeSet, Proposals, Reason, Role, Slot, SnapshotId,
    StateMachine, Tracer, Write,
};

/// How often a page of a snapshot is asked for again before its source is given up.
const PAGE_REPEATS: u8 = 8;

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// How many messages of decisions answer one question: half a window of them, so that who is behind catches up faster
    /// than the log grows.
    const LEARN_BURST: usize = WINDOW.div_ceil(2 * PAGE);

    /// Somebody wants to join, or fetches a snapshot.
    pub(super) fn on_join<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        from: NodeId,
        snapshot: Option<SnapshotId>,
        page: u32,
    ) -> Result<(), Reason> {
        match &mut self.phase {
            Phase::Joining(_) => Err(Reason::WrongPhase),
            Phase::Active => {
                self.send_snapshot_page(step, Role::Replica, NodeSet::only(from), snapshot, page)
            }
            // Rule J1: who does not vote is none of the quorum.
            Phase::Founding(_) if page > 0 => Err(Reason::NotVoting),
            Phase::Founding(seed) => {
                seed.on_join(from);
                self.try_found(step);
                Ok(())
            }
        }
    }

    /// Rule J1: with a quorum the seed founds the cluster, once: everybody who asked gets the state of the beginning, and
    /// the seed joins what it has founded.
    fn try_found<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        let Phase::Founding(seed) = &self.phase else {
            return;
        };
        // Who fetches a snapshot has found a cluster that is founded.
        if !seed.can_found(self.config.members) || self.replica.fetching().is_some() {
            return;
        }
        let joining = seed.joining().without(self.config.node);
        // The spare room for a snapshot is free: nobody has fetched one before the cluster began.
        let _ = self.send_snapshot_page(step, Role::Seed, joining, None, 0);
        step.trace(Role::Seed, Event::Stopped);
        step.trace(Role::Initializer, Event::Started);
        self.phase = Phase::Joining(Initializer::new());
        self.timers.cancel(Timer::Join);
        step.write(Write::Installed(Slot::ZERO));
        self.activate(step);
    }

    /// Sends a page of a snapshot, and keeps the snapshot for the next one (rules T4 and J3).
    fn send_snapshot_page<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        role: Role,
        to: NodeSet,
        snapshot: Option<SnapshotId>,
        page: u32,
    ) -> Result<(), Reason> {
        let Page {
            id,
            index,
            pages,
            bytes,
        } = self
            .replica
            .snapshot_page(to, snapshot, page)
            .ok_or(Reason::Full)?;
        self.timers
            .arm_after(Timer::Transfer, &step.now, &self.config.transfer_timeout);
        step.send(
            role,
            to,
            Message::Welcome {
                snapshot: id,
                page: index,
                pages,
                bytes,
            },
        );
        Ok(())
    }

    /// The seed looks whether it can found, and then whether somebody else has; an initializer or a fetching replica asks
    /// again.
    pub(super) fn on_join_timeout<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        if let Phase::Founding(seed) = &mut self.phase
            && seed.begin_waiting()
        {
            step.trace(Role::Seed, Event::Started);
            // Another founder is looked for when this one might have founded long ago.
            self.timers
                .arm_after(Timer::Join, &step.now, &self.config.election_timeout);
            return self.try_found(step);
        }
        let fetching = self.replica.fetching();
        let goes_on = self.replica.on_fetch_timeout(PAGE_REPEATS);
        if let Some((source, id, page)) = fetching.filter(|_| goes_on) {
            return self.fetch(step, source, Some(id), page);
        }
        let other = self.random_peer();
        if let Phase::Joining(initializer) = &mut self.phase {
            if initializer.is_new() {
                step.trace(Role::Initializer, Event::Started);
            }
            let target = initializer.next_target(self.config.founder, other);
            self.fetch(step, target, None, u32::from(!self.voter));
        } else if let (Phase::Founding(_), Some(other)) = (&self.phase, other) {
            self.fetch(step, other, None, 0);
        }
    }

    /// Asks for a page of a snapshot.
    fn fetch<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        source: NodeId,
        snapshot: Option<SnapshotId>,
        page: u32,
    ) {
        let delay = self.jittered(self.config.join_retransmit);
        self.timers.arm_after(Timer::Join, &step.now, &delay);
        let role = match self.phase {
            Phase::Founding(_) => Role::Seed,
            Phase::Joining(_) => Role::Initializer,
            Phase::Active => Role::Replica,
        };
        // The founder of old asks itself nothing.
        let source = NodeSet::only(source).without(self.config.node);
        step.send(role, source, Message::Join { snapshot, page });
    }

    /// A page of a snapshot arrives.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn on_welcome<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        from: NodeId,
        message: &Message<M, PAGE>,
    ) -> Result<(), Reason> {
        let Message::Welcome {
            snapshot,
            page,
            pages,
            bytes,
        } = message
        else {
            return Err(Reason::Malformed);
        };
        let joining = !self.is_active();
        let page = Page {
            id: *snapshot,
            index: *page,
            pages: *pages,
            bytes: bytes.clone(),
        };
        match self.replica.on_welcome(from, &page, joining) {
            WelcomeVerdict::Next(id, page) => {
                self.fetch(step, from, Some(id), page);
                Ok(())
            }
            WelcomeVerdict::Installed => {
                self.timers.cancel(Timer::Join);
                self.note_decision_source(from);
                self.installed(step, joining);
                Ok(())
            }
            WelcomeVerdict::Ignored => Err(Reason::Known),
            WelcomeVerdict::Malformed => Err(Reason::Malformed),
        }
    }

    /// The state is that of the snapshot now.
    fn installed<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>, joining: bool) {
        let (at, chain) = (self.replica.applied(), self.replica.chain());
        step.trace(Role::Replica, Event::Installed { at, chain });
        step.write(Write::Installed(at));
        if self.replica.has_diverged() {
            return self.diverge(step);
        }
        if joining {
            self.activate(step);
        }
        self.learn_repeats = 0;
        if self.leader.is_overtaken(at) {
            self.step_down(step);
        }
        self.leader.advance(at);
        self.respond_to_overtaken(step);
        self.apply_ready(step);
        self.settle(step);
    }

    /// Arms the timer for missing decisions while there are some, or while there may be some that nobody tells of (rule
    /// L8). They may be on their way: the first question waits. A node that has halted in this step asks nothing more.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(super) fn watch_gap<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        if (self.replica.is_behind() || self.is_without_leader()) && self.halt.is_none() {
            self.expect_decisions(step);
        } else {
            self.timers.cancel(Timer::Learn);
            self.learn_until = self.replica.applied();
        }
    }

    #[cold]
    #[inline(never)]
    fn expect_decisions<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        if !self.timers.is_armed(Timer::Learn) {
            let delay = if self.replica.is_behind() {
                self.config.learn_delay
            } else {
                self.learn_retry_delay()
            };
            self.timers.arm_after(Timer::Learn, &step.now, &delay);
        }
    }

    /// How long before a node asks whoever it is that knows more; or anybody, if nobody is known to.
    fn learn_retry_delay(&mut self) -> Duration {
        let span = match self.relay {
            Some(_) => self.config.heartbeat,
            None => self.config.propose_retransmit,
        };
        self.jittered(span)
    }

    /// Rules R2 and L8: decisions are still missing, or there may be some that nobody tells of. The leader is asked first, or
    /// who is known to know more; then anybody.
    pub(super) fn on_learn_timeout<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        if !self.replica.is_behind() && !self.is_without_leader() {
            return;
        }
        if self.makes(Mutant::GapsNeverAsked) {
            return;
        }
        let first_time = self.learn_repeats == 0;
        self.learn_repeats = self.learn_repeats.saturating_add(1);
        // Who hears a leader has nothing to tell where nothing is decided; anybody else was of no help then.
        let helps = self.learn_repeats <= RELAY_REPEATS;
        self.relay = self.relay.filter(|relay| relay.hears || helps);
        let other = self.random_peer();
        let relay = self.relay.map(|relay| relay.node);
        let usual = self.leader_hint.or(relay).filter(|usual| {
            let again = first_time || !self.replica.is_behind();
            again && *usual != self.config.node
        });
        match usual.or(other) {
            Some(source) if self.replica.fetching().is_none() => self.learn_from(step, source),
            _ => self.watch_gap(step),
        }
    }

    /// Asks somebody for the decisions that follow what is applied here.
    pub(super) fn learn_from<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        source: NodeId,
    ) {
        let applied = self.replica.applied();
        let Some(from) = applied.next() else { return };
        let burst = crate::outbox::run_len(Self::LEARN_BURST * PAGE);
        self.learn_until = applied.checked_add(burst).unwrap_or(applied);
        let delay = if self.replica.is_behind() {
            // Twice the usual wait: a question and its answer cross the network.
            self.jittered(self.config.learn_delay * 2)
        } else {
            self.learn_retry_delay()
        };
        self.timers.arm_after(Timer::Learn, &step.now, &delay);
        step.send(
            Role::Replica,
            NodeSet::only(source),
            Message::Learn { from },
        );
    }

    /// Somebody lacks decisions: a few pages of them, or of a snapshot where they are no longer kept.
    pub(super) fn on_learn<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        from: NodeId,
        first: Slot,
    ) -> Result<(), Reason> {
        let applied = self.replica.applied();
        if first == Slot::ZERO {
            return Err(Reason::Malformed);
        }
        if first > applied {
            return Err(Reason::Known);
        }
        if self.replica.decision(first).is_none() {
            return self.send_snapshot_page(step, Role::Replica, NodeSet::only(from), None, 0);
        }
        let mut next = first;
        for _ in 0..Self::LEARN_BURST {
            let first = next;
            let mut proposals = Proposals::<M, PAGE>::new();
            while let Some(proposal) = self.replica.decision(next).filter(|_| !proposals.is_full())
            {
                // The page was checked for room.
                let _ = proposals.push(*proposal);
                next = next.next().unwrap_or(next);
            }
            if proposals.is_empty() {
                break;
            }
            let decisions = Message::Decisions {
                first,
                applied,
                proposals,
            };
            step.send(Role::Replica, NodeSet::only(from), decisions);
        }
        Ok(())
    }

    /// Decisions arrive. They stand for themselves, whoever passes them on and under whatever ballot.
    pub(super) fn on_decisions<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        from: NodeId,
        first: Slot,
        applied: Slot,
        proposals: &Proposals<M, PAGE>,
    ) -> Result<(), Reason> {
        let end = first
            .checked_add(crate::outbox::run_len(proposals.len()))
            .ok_or(Reason::Malformed)?;
        if first == Slot::ZERO || proposals.is_empty() || end.back(1) > applied {
            return Err(Reason::Malformed);
        }
        let before = self.replica.applied();
        let mut slot = first;
        for proposal in proposals {
            if !self.learn_decision(step, slot, proposal) {
                return Ok(());
            }
            slot = slot.next().ok_or(Reason::Malformed)?;
        }
        self.replica.on_decided(applied);
        self.apply_ready(step);
        self.settle(step);
        let now = self.replica.applied();
        if now == before {
            return Err(Reason::Known);
        }
        self.note_decision_source(from);
        // The timer is armed where something is missing, unless the node has halted in this step.
        if self.timers.is_armed(Timer::Learn) && now >= self.learn_until {
            self.learn_from(step, from);
        }
        Ok(())
    }
}
