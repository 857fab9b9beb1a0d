//! Probes: the suspicion of a leader, and the question to the others whether they miss it too (rule L7).

use super::{LeaderContact, Node, Step};
use crate::mutant::Mutant;
use crate::random::span_below;
use crate::timer::Timer;
use crate::{Ballot, Event, Message, NodeId, NodeSet, Reason, Role, StateMachine, Tracer};

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// Timer `Election`: the leader has been silent for too long; or, once that is known, it is this node's turn to
    /// claim a ballot.
    ///
    /// Silence has these two stages so that all nodes miss a leader after the same timeout, and only then draw when
    /// each would claim. Otherwise the first to claim meets nodes that do not miss the leader yet, and is denied.
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
        debug_assert!(
            self.mistake.is_any() || self.leader_hint.is_none(),
            "its turn to claim has come although it knows a leader"
        );
        let contact = core::mem::replace(&mut self.contact, LeaderContact::Missing);
        if !self.is_voting() {
            // A node that does not vote waits for another leader.
            return self.watch_gap(step);
        }
        if contact == LeaderContact::Succeeding {
            return self.claim(step);
        }
        let highest = self.highest_seen.max(self.acceptor.promised());
        // Rule N1: when the rounds are used up, this node claims no more ballots; it still promises and accepts.
        let Some(ballot) = Ballot::succeeding(highest, self.config.node) else {
            return self.claim_no_more(step);
        };
        // Nothing is written: a probe promises nothing, and uses up no round.
        self.leader.begin_probe(ballot);
        let delay = self.jittered(self.config.prepare_retransmit);
        self.timers.arm_after(Timer::Scout, &step.now, &delay);
        step.send(Role::Leader, self.peers(), Message::Probe { ballot });
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
        self.check_voting()?;
        self.check_claim(from, ballot)?;
        // Another probe is no reason to deny one, or two nodes that probe at once would deny each other for ever.
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

    /// Rule L7: handles the answer to a probe. A grant counts towards the quorum that starts a claim. A denial ends the
    /// probe when its timer fires next, and shows a node that can pass on requests (rule L8).
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
        // A claim that is not above all that others have seen would be refused. The probe itself goes on: its ballot
        // only identifies it, and the claim is made under a higher one.
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
        if self.leader.on_granted(from, self.quorum_members()) {
            self.claim(step);
        }
    }

    /// Claims a ballot above all that were seen.
    fn claim<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        // Not the ballot of the probe: answers may have told of a higher one since.
        let highest = self.highest_seen.max(self.acceptor.promised());
        let (Some(ballot), Some(first)) = (
            Ballot::succeeding(highest, self.config.node),
            self.replica.applied().next(),
        ) else {
            self.leader.resign();
            self.timers.cancel(Timer::Scout);
            return self.claim_no_more(step);
        };
        self.begin_scout(step, ballot, first);
    }

    /// Rule N1: the rounds of this epoch, or the slots, are used up. The node waits for a claim of another one, and as it
    /// has no turn of its own any more, it asks the others for what is decided (rule L8).
    #[cold]
    fn claim_no_more<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        step.trace(Role::Leader, Event::Exhausted);
        self.contact = LeaderContact::Waiting;
        self.watch_gap(step);
    }
}
