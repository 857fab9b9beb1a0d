//! Founding, joining and catch-up: the exchange of decisions and snapshots, page by page.

use super::leader_contact::RELAY_REPEATS;
use super::{Node, Phase, Step};
use crate::mutant::Mutant;
use crate::roles::initializer::Initializer;
use crate::roles::replica::{Page, Replica, Wanted, WelcomeVerdict};
use crate::timer::Timer;
use crate::{
    Duration, Event, Message, NodeId, NodeSet, Proposals, Reason, Role, Slot, SnapshotId,
    StateMachine, Tracer, Write,
};

/// How often a page of a snapshot is requested again before its source is given up.
const PAGE_REPEATS: u8 = 8;

/// The most that the delay between two requests for the same decisions grows by, as a factor.
const LEARN_BACKOFF: u64 = 4;

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// How many `Decisions` messages answer one `Learn`: half a window, so that a node that is behind catches up faster
    /// than the log grows.
    const LEARN_BURST: usize = WINDOW.div_ceil(2 * PAGE);

    /// Handles `Join`: a node wants to join, or fetches a snapshot.
    pub(super) fn on_join<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        from: NodeId,
        message: &Message<M, PAGE>,
    ) -> Result<(), Reason> {
        let Message::Join {
            snapshot,
            page,
            count,
        } = message
        else {
            return Err(Reason::Malformed);
        };
        match &mut self.phase {
            Phase::Joining(_) => Err(Reason::WrongPhase),
            Phase::Active => {
                self.note_learner(from);
                let to = (Role::Replica, NodeSet::only(from));
                self.send_snapshot_pages(step, to, *snapshot, (*page, *count))
            }
            // Rule J1: a node that does not vote does not count towards the quorum.
            Phase::Founding(_) if *page > 0 || !self.config.members.contains(from) => {
                Err(Reason::NotVoting)
            }
            Phase::Founding(seed) => {
                seed.on_join(from);
                self.try_found(step);
                Ok(())
            }
        }
    }

    /// Rule J1: founds the cluster, once, when a quorum wants to join. Every node that has asked gets the initial
    /// state, and the seed joins the new cluster itself.
    fn try_found<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        let Phase::Founding(seed) = &self.phase else {
            return;
        };
        // A seed that fetches a snapshot has found an existing cluster.
        if !seed.can_found(self.config.members) || self.replica.is_fetching() {
            return;
        }
        let joining = seed.joining().without(self.config.node);
        // The spare state is free: no snapshot is fetched before the cluster has been founded.
        let _ = self.send_snapshot_pages(step, (Role::Seed, joining), None, (0, 1));
        step.trace(Role::Seed, Event::Stopped);
        step.trace(Role::Initializer, Event::Started);
        self.phase = Phase::Joining(Initializer::new());
        self.timers.cancel(Timer::Join);
        step.write(Write::Installed(Slot::ZERO));
        self.activate(step);
    }

    /// Sends a run of pages of a snapshot, and keeps the snapshot pinned for the next run (rules T4 and J3): as many as
    /// are requested, a run may have, and are left; or only the first page of the present snapshot, where the requested
    /// one is no longer pinned.
    fn send_snapshot_pages<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        (role, to): (Role, NodeSet),
        snapshot: Option<SnapshotId>,
        (mut page, count): (u32, u8),
    ) -> Result<(), Reason> {
        let run_max = Replica::<M, WINDOW, CLIENTS>::RUN_MAX;
        let mut missing = count.min(run_max);
        loop {
            let Page {
                id,
                index,
                pages,
                bytes,
            } = self
                .replica
                .snapshot_page(to, snapshot, page)
                .ok_or(Reason::Full)?;
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
            missing = missing.saturating_sub(1);
            let is_wanted = snapshot.is_some_and(|wanted| wanted.digest == id.digest);
            if missing == 0 || !is_wanted || page.saturating_add(1) >= pages {
                break;
            }
            page += 1;
        }
        self.timers
            .arm_after(Timer::Transfer, &step.now, &self.config.transfer_timeout);
        Ok(())
    }

    /// Timer `Join`: the seed checks whether it can found the cluster, then looks for another founder. An initializer,
    /// or a replica that fetches a snapshot, sends its request again.
    pub(super) fn on_join_timeout<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        if let Phase::Founding(seed) = &mut self.phase
            && seed.begin_waiting()
        {
            step.trace(Role::Seed, Event::Started);
            // Another founder is looked for once this node would have had ample time to found the cluster itself.
            self.timers
                .arm_after(Timer::Join, &step.now, &self.config.election_timeout);
            return self.try_found(step);
        }
        if let Some((source, wanted)) = self.replica.on_fetch_timeout(PAGE_REPEATS) {
            let Wanted { id, page, count } = wanted;
            return self.fetch(step, source, Some(id), (page, count));
        }
        let other = self.random_peer();
        if let Phase::Joining(initializer) = &mut self.phase {
            if initializer.is_new() {
                step.trace(Role::Initializer, Event::Started);
            }
            let target = initializer.next_target(self.config.founder, other);
            self.fetch(step, target, None, (u32::from(!self.voting.is_allowed), 1));
        } else if let (Phase::Founding(_), Some(other)) = (&self.phase, other) {
            self.fetch(step, other, None, (0, 1));
        }
    }

    /// Requests pages of a snapshot, and again if none of them arrives in time.
    fn fetch<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        source: NodeId,
        snapshot: Option<SnapshotId>,
        (page, count): (u32, u8),
    ) {
        self.expect_page(step);
        let role = match self.phase {
            Phase::Founding(_) => Role::Seed,
            Phase::Joining(_) => Role::Initializer,
            Phase::Active => Role::Replica,
        };
        // A former founder does not send a request to itself.
        let source = NodeSet::only(source).without(self.config.node);
        let join = Message::Join {
            snapshot,
            page,
            count,
        };
        step.send(role, source, join);
    }

    /// Arms the timer `Join` anew: nothing is requested again as long as pages arrive.
    fn expect_page<T: Tracer<M, PAGE>>(&mut self, step: &Step<'_, M, PAGE, T>) {
        let delay = self.jittered(self.config.join_retransmit);
        self.timers.arm_after(Timer::Join, &step.now, &delay);
    }

    /// Handles `Welcome`: a page of a snapshot.
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
            WelcomeVerdict::Fetch(page, count) => {
                self.fetch(step, from, Some(*snapshot), (page, count));
                Ok(())
            }
            WelcomeVerdict::Taken => {
                self.expect_page(step);
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

    /// Takes over the state of a snapshot that has been installed.
    fn installed<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>, joining: bool) {
        let (at, chain) = (self.replica.applied(), self.replica.chain());
        step.trace(Role::Replica, Event::Installed { at, chain });
        step.write(Write::Installed(at));
        if self.replica.has_diverged() {
            if self.is_in_new_epoch() {
                self.begin_epoch();
            }
            return self.diverge(step);
        }
        if joining {
            self.activate(step);
        }
        // Rule C3: before the end of an epoch is announced under the ballot of this leader (V9).
        if self.leader.is_overtaken(at) {
            self.step_down(step);
        }
        if self.is_in_new_epoch() {
            self.enter_epoch(step);
        }
        self.learn_repeats = 0;
        self.leader.advance(at);
        self.respond_to_overtaken(step);
        self.serve_reads(step);
        self.apply_ready(step);
        self.settle(step);
    }

    /// Arms the timer `Learn` while decisions are missing, or may be missing without this node being told (rule L8).
    /// They may already be on their way, so the first request is delayed. A node that has halted in this step does not
    /// ask any more.
    pub(super) fn watch_gap<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        if (self.replica.is_behind() || self.is_without_leader()) && self.halt.is_none() {
            self.expect_decisions(step);
        } else {
            self.timers.cancel(Timer::Learn);
            self.learn_until = self.replica.applied();
        }
    }

    #[cold]
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

    /// Returns the delay before the next request: a short one if some node is known to have more of the log.
    fn learn_retry_delay(&mut self) -> Duration {
        let span = match self.relay {
            Some(_) => self.config.heartbeat,
            None => self.config.propose_retransmit,
        };
        self.jittered(span)
    }

    /// Returns the delay before a request for decisions is repeated.
    #[inline(never)]
    fn learn_repeat_delay(&mut self) -> Duration {
        if !self.replica.is_behind() {
            return self.learn_retry_delay();
        }
        // Twice the usual delay: a request and its answer cross the network. It grows once each node was probably asked:
        // one that pauses answers all that it finds waiting, a whole burst to each.
        let times = self.repeats_in_vain().clamp(1, LEARN_BACKOFF);
        self.jittered(self.config.learn_delay * (2 * times))
    }

    /// Returns how often a request for decisions was repeated since each other member was probably asked.
    pub(super) fn repeats_in_vain(&self) -> u64 {
        let all_asked = 2 * u64::from(self.peers().len());
        u64::from(self.learn_repeats).saturating_sub(all_asked)
    }

    /// Timer `Learn`, rules R2 and L8: requests missing decisions from the leader, or from a node that is known to have
    /// more of the log, then from any node.
    pub(super) fn on_learn_timeout<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        if !self.replica.is_behind() && !self.is_without_leader() {
            return;
        }
        if self.makes(Mutant::GapsNeverAsked) {
            return;
        }
        let first_time = self.learn_repeats == 0;
        self.learn_repeats = self.learn_repeats.saturating_add(1);
        // If nothing is decided, a node that hears the leader has nothing to send; any other node was of no help
        // before.
        let helps = self.learn_repeats <= RELAY_REPEATS;
        self.relay = self.relay.filter(|relay| relay.hears || helps);
        let other = self.random_peer();
        let relay = self.relay.map(|relay| relay.node);
        let usual = self.leader_hint.or(relay).filter(|usual| {
            let again = first_time || !self.replica.is_behind();
            again && *usual != self.config.node
        });
        match usual.or(other) {
            Some(source) if !self.replica.is_fetching() => self.learn_from(step, source),
            _ => self.watch_gap(step),
        }
    }

    /// Sends `Learn` to a node, for the decisions that follow the applied prefix.
    pub(super) fn learn_from<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        source: NodeId,
    ) {
        let applied = self.replica.applied();
        let Some(from) = applied.next() else { return };
        let burst = crate::outbox::run_len(Self::LEARN_BURST * PAGE);
        debug_assert!(
            self.mistake.is_any() || source != self.config.node,
            "a node cannot learn from itself"
        );
        self.learn_until = applied.checked_add(burst).unwrap_or(applied);
        let delay = self.learn_repeat_delay();
        self.timers.arm_after(Timer::Learn, &step.now, &delay);
        step.send(
            Role::Replica,
            NodeSet::only(source),
            Message::Learn { from },
        );
    }

    /// Handles `Learn`: sends a few pages of decisions, or a snapshot if the decisions are no longer kept.
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
        self.note_learner(from);
        if first > applied {
            return Err(Reason::Known);
        }
        if self.replica.decision(first).is_none() {
            let to = (Role::Replica, NodeSet::only(from));
            return self.send_snapshot_pages(step, to, None, (0, 1));
        }
        let mut next = first;
        for _ in 0..Self::LEARN_BURST {
            let first = next;
            let mut proposals = Proposals::<M, PAGE>::new();
            while let Some(proposal) = self.replica.decision(next).filter(|_| !proposals.is_full())
            {
                // The loop has checked that the page has room.
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

    /// Rule V8: tells a learner that asks for what is decided from now on, if this node leads.
    fn note_learner(&mut self, from: NodeId) {
        if !self.members().contains(from) {
            self.leader.on_learner(from);
        }
    }

    /// Handles `Decisions`. A decision is final, whoever sends it and under whatever ballot.
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
        // The timer is armed while something is missing, unless the node has halted in this step.
        if self.timers.is_armed(Timer::Learn) && now >= self.learn_until {
            self.learn_from(step, from);
        }
        Ok(())
    }
}
