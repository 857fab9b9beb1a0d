//! Elections: phase 1 (scout, prepare and promise), from a claim to the lead.

use super::{LeaderContact, Node, Phase, Step};
use crate::mutant::Mutant;
use crate::random::span_from;
use crate::roles::acceptor::PrepareVerdict;
use crate::roles::leader::Adoption;
use crate::roles::scout::{PromiseVerdict, Scout};
use crate::timer::Timer;
use crate::{
    Ballot, Entries, Event, Message, NodeId, NodeSet, Reason, Role, Slot, StateMachine, Tracer,
    Write,
};

/// How often a probe or a prepare is repeated before the election is given up. After that a quorum is unlikely to be
/// up, and the node waits for its next turn; any answer that makes progress starts the count of a prepare anew (rule
/// S7).
const CLAIM_REPEATS: u8 = 5;

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// Completes the join: the node takes its permanent roles. Called once, when the cluster was founded here or when a
    /// snapshot was installed.
    pub(super) fn activate<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        debug_assert!(!self.is_active(), "a node joins once (J2)");
        let role = match self.phase {
            Phase::Founding(_) => Role::Seed,
            _ => Role::Initializer,
        };
        step.trace(role, Event::Stopped);
        self.phase = Phase::Active;
        for role in [Role::Acceptor, Role::Replica, Role::Leader] {
            if self.is_voting() || role == Role::Replica {
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

    /// Rule S1: starts a scout for a ballot above all that were seen. The node's own promise, which is the durable
    /// record that the round is used, is written before the prepare leaves.
    pub(super) fn begin_scout<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        ballot: Ballot,
        first: Slot,
    ) {
        debug_assert!(
            ballot > self.highest_seen.max(self.acceptor.promised()),
            "claims a ballot that is not above all that were seen (S1)"
        );
        // A node that claims turns to nobody else with its requests, which it will propose itself if it wins (rule L8).
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
        // The prepare to the own acceptor is a call, of which the trace shows that it was received.
        step.send(Role::Scout, self.peers(), prepare.clone());
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
        debug_assert!(
            self.mistake.is_any() || self.acceptor.promised() == ballot,
            "claims a ballot that its own acceptor has not promised (S1)"
        );
        if self.take_own_promise() {
            // Rule D1: others hear of this leader only when the promise that has elected it is durable.
            self.decide_alone(step);
            self.try_adopt(step);
        }
    }

    /// Takes the promise of this node's own acceptor page by page, like that of any other one. Returns true if it is a quorum
    /// alone. Not a part of [`Node::claim`], whose frame would keep the room of a page below everything that follows from a
    /// quorum.
    #[inline(never)]
    fn take_own_promise(&mut self) -> bool {
        let (me, members) = (self.config.node, self.quorum_members());
        // Each round moves the cursor past the votes of a page. Those are at most a window above what is applied, so the
        // cursor's 16 bits are enough for them.
        loop {
            let Some(scout) = self.leader.scout_mut() else {
                return false;
            };
            let from = scout.cursor(me);
            let (entries, last) = self.acceptor.page::<PAGE>(from);
            let low_water = self.acceptor.low_water();
            match scout.on_promise(me, from, low_water, &entries, last, members) {
                PromiseVerdict::More(_) => {}
                PromiseVerdict::Counted | PromiseVerdict::Repeated => return false,
                PromiseVerdict::Quorum => return true,
            }
        }
    }

    /// Rule D1: notes that a promise or a vote of this node alone is a quorum. What follows from it is told to others only
    /// when it is durable.
    pub(super) fn decide_alone<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        self.voting.is_alone = true;
        step.outbox.wait_for_writes();
    }

    /// Returns the members over which quorums are counted: those of the present epoch (rule V1).
    pub(super) fn quorum_members(&self) -> NodeSet {
        if self.makes(Mutant::FoundersCounted) {
            self.config.members
        } else {
            self.members()
        }
    }

    /// Rules D1 and D2: checks that this node votes, as the answer to a probe or a claim is a vote. An accept is handled by
    /// every node all the same: a node that does not vote learns from it, and drops the answer.
    pub(super) fn check_voting(&self) -> Result<(), Reason> {
        if self.is_voting() {
            Ok(())
        } else {
            Err(Reason::NotVoting)
        }
    }

    /// Checks that apply to every message that claims a ballot: its owner is the sender, and the round is plausible.
    /// The first keeps a ballot to one node (rule A1), the second leaves rounds for later claims (rule N1).
    pub(super) fn check_claim(&self, from: NodeId, ballot: Ballot) -> Result<(), Reason> {
        if ballot.leader() != from {
            return Err(Reason::Malformed);
        }
        let is_foreign = ballot.epoch() != self.highest_seen.epoch();
        let is_let_in = is_foreign && self.makes(Mutant::VotesInAnyEpoch);
        if !ballot.is_plausible(self.highest_seen) && !is_let_in {
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
        self.check_voting()?;
        self.check_claim(from, ballot)?;
        let prepared = self.acceptor.on_prepare(ballot);
        // Written and noted only if the promise is new. The page is the same each time it is asked for, as long as no
        // higher ballot is promised (rule A6).
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
            // The relay that heard a leader belongs to the time before this claim. One that only has decisions still
            // has them.
            self.relay = self.relay.filter(|relay| !relay.hears);
        }
        // A refusal is the same message with the higher ballot and no entries: whoever asks reads the ballot first.
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
    ///
    /// The checks are in the order in which an answer becomes useless: it answers another ballot (stale), it refuses
    /// this one, or no acceptor could send it.
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
        let members = self.quorum_members();
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
        // Votes under this ballot or a higher one cannot be in a promise of it (rule A6), and those at or below the
        // low-water mark are forgotten (rule T2). A page without entries that is not the last would never get further.
        let frozen = entries
            .iter()
            .all(|entry| entry.ballot < *ballot && entry.slot > *low_water);
        if promised < ballot || !frozen || (entries.is_empty() && !last) {
            return Err(Reason::Malformed);
        }
        let promised = scout.on_promise(from, *first, *low_water, entries, *last, members);
        // It answers a prepare that left when everything before was durable.
        self.voting.is_alone = false;
        match promised {
            // Asked at once and of this acceptor alone; if the question or its answer is lost, the timer repeats it.
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
        // Whatever an acceptor has forgotten, its node has applied: it is decided, and can be fetched from there.
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
        // An acceptor that has begun a later epoch promises nothing in this one (rule V7).
        if promised.epoch() > self.epoch() {
            let applied = self.replica.applied();
            self.replica.on_decided(applied.next().unwrap_or(applied));
            self.watch_gap(step);
            return Err(Reason::LaterEpoch);
        }
        // Rule N1: a forged refusal must not raise what this node has seen to the end of the rounds.
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
            .filter(|scout| scout.is_complete(self.quorum_members()))
        else {
            return;
        };
        let (ballot, (mut low_water, owner)) = (scout.ballot(), scout.low_water());
        if self.makes(Mutant::LowWaterIgnored) {
            low_water = Slot::ZERO;
        }
        // Rule S6: to propose below the mark could decide a slot a second time. The scout stays complete, and each slot
        // that is applied, and each firing of its timer, leads here again.
        if self.replica.applied() < low_water {
            self.replica.on_decided(low_water);
            // Asked of the acceptor that has reported the mark, as it has the state up to there. While an earlier
            // request is still being answered there is no need for another one.
            if self.learn_until <= self.replica.applied() {
                self.learn_from(step, owner);
            }
            return;
        }
        let applied = self.replica.applied();
        let Some(Adoption {
            reproposed,
            noops,
            next_slot,
        }) = self.leader.adopt(applied, self.replica.membership())
        else {
            return;
        };
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
        debug_assert!(
            self.mistake.is_any() || self.highest_seen == ballot,
            "takes the lead under another ballot than the highest that it has seen (F1)"
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
        // The heartbeat comes first, so that followers hear of the leader even if the accepts are lost. Then what was
        // adopted (rule L1), and only then what waits here: it goes into the slots after that.
        self.on_heartbeat_timeout(step);
        self.propose_adopted(step);
        self.leader.reuse_slots();
        self.propose_pending(step, true);
        self.make_progress(step);
    }

    /// Timer `Scout`: repeats the probe or the prepare to nodes that have not answered, or gives up.
    pub(super) fn on_scout_timeout<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        let members = self.members();
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
            // Nobody has denied the probe, so the node that denied an earlier one may no longer hear a leader.
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
        // If the quorum is complete and only a part of the log is missing, it may have arrived meanwhile.
        self.try_adopt(step);
    }
}
