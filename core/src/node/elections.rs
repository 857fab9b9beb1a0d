//! Elections: failure detection, the probe, and phase 1 (scout, prepare and promise).

use super::{LeaderContact, Node, Phase, Step};
use crate::mutant::Mutant;
use crate::random::{span_below, span_from};
use crate::roles::acceptor::PrepareVerdict;
use crate::roles::scout::{PromiseVerdict, Scout};
use crate::timer::Timer;
use crate::{
    Ballot, Entries, Event, Message, NodeId, NodeSet, Reason, Role, Slot, StateMachine, Tracer,
    Write,
};

/// How often a probe or a prepare is repeated before the election is given up.
const CLAIM_REPEATS: u8 = 5;
impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// Completes the join: the node takes its permanent roles.
    pub(super) fn activate<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        let role = match self.phase {
            Phase::Founding(_) => Role::Seed,
            _ => Role::Initializer,
        };
        step.trace(role, Event::Stopped);
        self.phase = Phase::Active;
        for role in [Role::Acceptor, Role::Replica, Role::Leader] {
            if self.voter || role == Role::Replica {
                step.trace(role, Event::Started);
            }
        }
        // A founder need not wait for a leader that cannot exist yet.
        let delay =
            if self.config.node == self.config.founder && self.replica.applied() == Slot::ZERO {
                self.config.learn_delay
            } else {
                let timeout = self.config.election_timeout;
                span_from(&mut self.rng, timeout)
            };
        self.timers.arm_after(Timer::Election, &step.now, &delay);
    }

    /// Timer `Election`: the leader has been silent for too long; or, once that is known, it is this node's turn to
    /// claim a ballot.
    pub(super) fn on_election_timeout<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
    ) {
        if !self.leader.is_idle() {
            return;
        }
        let timeout = self.config.election_timeout;
        if self.contact == LeaderContact::Following {
            self.contact = LeaderContact::Missing;
            self.heartbeats_in_row = 0;
            let leader = self.leader_hint.take().unwrap_or(self.config.node);
            step.trace(Role::Leader, Event::Suspected { leader });
            let delay = span_below(&mut self.rng, timeout);
            self.timers.arm_after(Timer::Election, &step.now, &delay);
            return self.watch_gap(step);
        }
        self.contact = LeaderContact::Missing;
        if !self.voter {
            // A node that does not vote waits for another leader.
            return self.watch_gap(step);
        }
        let highest = self.highest_seen.max(self.acceptor.promised());
        // Rule N1: when the rounds are used up, this node claims no more ballots; it still promises and accepts.
        let Some(ballot) = Ballot::succeeding(highest, self.config.node) else {
            step.trace(Role::Leader, Event::Exhausted);
            return;
        };
        self.leader.begin_probe(ballot);
        let delay = self.jittered(self.config.prepare_retransmit);
        self.timers.arm_after(Timer::Scout, &step.now, &delay);
        step.send(Role::Leader, self.config.peers(), Message::Probe { ballot });
        self.granted(step, self.config.node);
    }

    /// Rule L7: answers whether this node would promise the ballot, without changing anything. A node that hears its
    /// leader would not.
    pub(super) fn on_probe<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        from: NodeId,
        ballot: Ballot,
    ) -> Result<(), Reason> {
        self.check_claim(from, ballot)?;
        let claims = !self.leader.is_idle() && !self.leader.is_probing();
        let granted = self.contact.grants() && !claims;
        let reply = Message::ProbeReply {
            ballot,
            granted,
            highest: self.highest_seen,
        };
        step.send(Role::Leader, NodeSet::only(from), reply);
        if granted {
            Ok(())
        } else {
            Err(Reason::LeaderAlive)
        }
    }

    pub(super) fn on_probe_reply<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        from: NodeId,
        ballot: Ballot,
        granted: bool,
        highest: Ballot,
    ) -> Result<(), Reason> {
        if !self.leader.is_probing() || self.leader.ballot() != Some(ballot) {
            return Err(Reason::StaleReply);
        }
        if highest > self.highest_seen {
            if !highest.is_plausible(self.highest_seen) {
                return Err(Reason::ImplausibleBallot);
            }
            self.highest_seen = highest;
        }
        // Rule L7: a node that has not seen as high a ballot may have a leader, but not one that this node could
        // follow.
        let counts = granted || highest < self.highest_seen;
        if counts || self.makes(Mutant::DeniedProbeCounted) {
            self.granted(step, from);
        } else {
            self.leader.on_denied();
            // A node that would deny a probe itself by now waits for the other claim and uses no relay. Neither does a
            // node that has led under that ballot, as others may still follow it.
            if self.contact.grants() && self.highest_seen.leader() != self.config.node {
                self.on_relay(step, from);
            }
        }
        Ok(())
    }

    /// Counts a granted probe; a quorum of them starts the scout.
    fn granted<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>, from: NodeId) {
        if !self.leader.on_granted(from, self.config.members) {
            return;
        }
        let highest = self.highest_seen.max(self.acceptor.promised());
        let (Some(ballot), Some(first)) = (
            Ballot::succeeding(highest, self.config.node),
            self.replica.applied().next(),
        ) else {
            self.leader.resign();
            step.trace(Role::Leader, Event::Exhausted);
            return;
        };
        self.begin_scout(step, ballot, first);
    }

    /// Rule S1: starts a scout for a ballot above all that were seen. The node's own promise, which is the durable
    /// record that the round is used, is written before the prepare leaves.
    fn begin_scout<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        ballot: Ballot,
        first: Slot,
    ) {
        debug_assert!(
            ballot > self.highest_seen.max(self.acceptor.promised()),
            "claims a ballot that is not above all that were seen (S1)"
        );
        self.relay = None;
        self.leader.begin_scout(ballot, first);
        step.trace(Role::Scout, Event::Started);
        self.highest_seen = ballot;
        let prepare = Message::Prepare {
            ballot,
            from: first,
        };
        let me = self.config.node;
        let delay = self.jittered(self.config.prepare_retransmit);
        self.timers.arm_after(Timer::Scout, &step.now, &delay);
        step.send(Role::Scout, self.config.peers(), prepare.clone());
        step.trace(
            Role::Acceptor,
            Event::Received {
                from: me,
                message: &prepare,
            },
        );
        if self.acceptor.on_prepare(ballot) == PrepareVerdict::Promised {
            step.write(Write::Promised(ballot));
        }
        loop {
            let Some(scout) = self.leader.scout_mut() else {
                return;
            };
            let from = scout.cursor(me);
            let (entries, last) = self.acceptor.page::<PAGE>(from);
            let low_water = self.acceptor.low_water();
            match scout.on_promise(me, from, low_water, &entries, last, self.config.members) {
                PromiseVerdict::More(_) => {}
                PromiseVerdict::Counted | PromiseVerdict::Repeated => return,
                PromiseVerdict::Quorum => return self.try_adopt(step),
            }
        }
    }

    /// Checks that apply to every message that claims a ballot: its owner is the sender, and the round is plausible.
    pub(super) fn check_claim(&self, from: NodeId, ballot: Ballot) -> Result<(), Reason> {
        if ballot.leader() != from {
            return Err(Reason::Malformed);
        }
        if !ballot.is_plausible(self.highest_seen) {
            return Err(Reason::ImplausibleBallot);
        }
        Ok(())
    }

    /// Rules A1, A6 and T2: handles `Prepare` with a promise or a refusal, and a page of accepted entries.
    pub(super) fn on_prepare<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        from: NodeId,
        ballot: Ballot,
        first: Slot,
    ) -> Result<(), Reason> {
        self.check_claim(from, ballot)?;
        let prepared = self.acceptor.on_prepare(ballot);
        let (entries, last) = match prepared {
            PrepareVerdict::Refused => (Entries::<M, PAGE>::new(), true),
            PrepareVerdict::Promised | PrepareVerdict::Repeated => self.acceptor.page(first),
        };
        if prepared == PrepareVerdict::Promised {
            step.write(Write::Promised(ballot));
            self.observe(step, ballot);
        }
        if prepared != PrepareVerdict::Refused {
            // A candidate that still requests pages gets the time to win before this node claims a ballot itself.
            let timeout = self.config.election_timeout;
            let delay = span_from(&mut self.rng, timeout);
            self.timers.postpone(Timer::Election, step.now + delay);
            self.contact = LeaderContact::Promised;
            self.leader_hint = None;
            self.relay = self.relay.filter(|relay| !relay.hears);
        }
        let promised = self.acceptor.promised();
        debug_assert!(
            promised >= ballot,
            "an answer to a prepare promises its ballot or a higher one (A1)"
        );
        let low_water = if self.makes(Mutant::LowWaterUntold) {
            Slot::ZERO
        } else {
            self.acceptor.low_water()
        };
        let promise = Message::Promise {
            ballot,
            promised,
            from: first,
            low_water,
            last,
            entries,
        };
        step.send(Role::Acceptor, NodeSet::only(from), promise);
        Ok(())
    }

    /// Rules S2 to S6: handles `Promise`. Merges the page, then requests the next one, or takes the lead once a quorum
    /// is complete.
    pub(super) fn on_promise<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        from: NodeId,
        message: &Message<M, PAGE>,
    ) -> Result<(), Reason> {
        let Message::Promise {
            ballot,
            promised,
            from: first,
            low_water,
            last,
            entries,
        } = message
        else {
            return Err(Reason::Malformed);
        };
        let members = self.config.members;
        let (ballot, promised) = &match self.leader.scout().map(Scout::ballot) {
            Some(present) if self.makes(Mutant::StaleAdopted) && promised == ballot => {
                (present, present)
            }
            _ => (*ballot, *promised),
        };
        let Some(scout) = self
            .leader
            .scout_mut()
            .filter(|scout| scout.ballot() == *ballot)
        else {
            return Err(Reason::StaleReply);
        };
        if promised > ballot {
            return self.on_refused(step, *promised);
        }
        let frozen = entries
            .iter()
            .all(|entry| entry.ballot < *ballot && entry.slot > *low_water);
        if promised < ballot || !frozen || (entries.is_empty() && !last) {
            return Err(Reason::Malformed);
        }
        match scout.on_promise(from, *first, *low_water, entries, *last, members) {
            PromiseVerdict::More(next) => {
                let prepare = Message::Prepare {
                    ballot: *ballot,
                    from: next,
                };
                step.send(Role::Scout, NodeSet::only(from), prepare);
            }
            PromiseVerdict::Counted => {}
            PromiseVerdict::Repeated => return Err(Reason::Known),
            PromiseVerdict::Quorum => self.try_adopt(step),
        }
        self.replica.on_decided(*low_water);
        self.watch_gap(step);
        Ok(())
    }

    /// Rule S5: handles a refusal of the current ballot by an acceptor that has promised a higher one.
    pub(super) fn on_refused<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        promised: Ballot,
    ) -> Result<(), Reason> {
        if !promised.is_plausible(self.highest_seen) {
            return Err(Reason::ImplausibleBallot);
        }
        self.observe(step, promised);
        Ok(())
    }

    /// Rules S6 and L1: takes the lead once the scout has its quorum and everything up to its low-water mark is applied
    /// here. Until then the missing part is fetched.
    pub(super) fn try_adopt<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        let Some(scout) = self
            .leader
            .scout()
            .filter(|scout| scout.is_complete(self.config.members))
        else {
            return;
        };
        let (ballot, (low_water, owner)) = (scout.ballot(), scout.low_water());
        let low_water = if self.makes(Mutant::LowWaterIgnored) {
            Slot::ZERO
        } else {
            low_water
        };
        if self.replica.applied() < low_water {
            self.replica.on_decided(low_water);
            if self.learn_until <= self.replica.applied() {
                self.learn_from(step, owner);
            }
            return;
        }
        let Some(adoption) = self.leader.adopt(self.replica.applied()) else {
            return;
        };
        let crate::roles::leader::Adoption {
            reproposed,
            noops,
            next_slot,
        } = adoption;
        step.trace(Role::Scout, Event::Stopped);
        step.trace(
            Role::Leader,
            Event::Adopted {
                ballot,
                reproposed,
                noops,
                next_slot,
            },
        );
        self.timers.cancel(Timer::Scout);
        self.timers.cancel(Timer::Election);
        self.timers
            .arm_after(Timer::Quorum, &step.now, &self.config.election_timeout);
        self.heartbeats_in_row = 0;
        self.contact = LeaderContact::Following;
        if self.leader_hint != Some(self.config.node) {
            self.leader_hint = Some(self.config.node);
            step.trace(
                Role::Leader,
                Event::Accepting {
                    leader: self.config.node,
                },
            );
        }
        self.on_heartbeat_timeout(step);
        self.propose_adopted(step);
        self.leader.reuse_slots();
        self.propose_pending(step, true);
        self.make_progress(step);
    }

    /// Timer `Scout`: repeats the probe or the prepare to nodes that have not answered, or gives up.
    pub(super) fn on_scout_timeout<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        let members = self.config.members;
        let Some(ballot) = self
            .leader
            .ballot()
            .filter(|_| self.leader.leading().is_none())
        else {
            return;
        };
        // Rule L5: until `patience` has passed, a quorum must grant a probe at its first try.
        let patient = step.now < self.patience;
        let repeats = if patient { 0 } else { CLAIM_REPEATS };
        let missing = match self.leader.scout_mut() {
            Some(scout) => scout.on_retransmit(members, CLAIM_REPEATS),
            None => self.leader.on_probe_retransmit(members, repeats),
        };
        let Some(missing) = missing.map(|missing| missing.without(self.config.node)) else {
            if !self.leader.is_denied() {
                self.relay = self.relay.filter(|relay| !relay.hears);
            }
            self.resign(step);
            if self.makes(Mutant::ClaimDropped) {
                return;
            }
            self.retry_later(step);
            return;
        };
        let delay = self.jittered(self.config.prepare_retransmit);
        self.timers.arm_after(Timer::Scout, &step.now, &delay);
        if self.leader.is_probing() {
            return step.send(Role::Leader, missing, Message::Probe { ballot });
        }
        let mut rest = missing;
        // Acceptors that wait for the same page are asked with one message. Pages that do not fit in this step are
        // requested in the next.
        for _ in 0..WINDOW.div_ceil(PAGE) {
            let abreast = self
                .leader
                .scout()
                .and_then(|scout| scout.at_same_cursor(rest));
            let Some((acceptors, from)) = abreast else {
                break;
            };
            rest = rest.minus(acceptors);
            step.send(Role::Scout, acceptors, Message::Prepare { ballot, from });
        }
        self.try_adopt(step);
    }
}
