//! The invariants of a node between two steps, which builds with debug assertions check after each input.

use super::{LeaderContact, Node};
use crate::timer::Timer;
use crate::{Ballot, Slot, StateMachine};

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// Checks the invariants that hold between steps, in builds with debug assertions.
    pub(super) fn invariants(&self) {
        // The interpreter looks for undefined behaviour, and would spend most of its time here.
        let checks = cfg!(debug_assertions) && !cfg!(miri);
        // A node with an active mutant skips these checks, so that the checkers outside have to catch it.
        if checks && self.halt.is_none() && !self.mistake.is_any() {
            self.acceptor.invariants(self.replica.applied());
            self.replica.invariants();
            self.leader.invariants(self.replica.applied());
            self.requesters.invariants();
            debug_assert!(
                self.highest_seen >= self.acceptor.promised(),
                "promised a ballot that it has not noted as seen (S1)"
            );
            debug_assert!(
                self.leader
                    .leading()
                    .is_none_or(|ballot| ballot >= self.acceptor.promised()),
                "leads under a lower ballot than its own acceptor has promised"
            );
            self.epoch_invariants();
            self.election_invariants();
            self.contact_invariants();
            if !self.last_step.is_near_the_end() {
                self.timer_invariants();
            }
            if !self.is_active() {
                self.invariants_before_joining();
            }
        }
    }

    /// Checks that everything belongs to the epoch of the applied state.
    fn epoch_invariants(&self) {
        debug_assert!(
            self.highest_seen.epoch() == self.epoch()
                && self.acceptor.promised().epoch() == self.epoch(),
            "has seen or promised a ballot of another epoch than its own (V1)"
        );
        debug_assert!(
            self.leader
                .ballot()
                .is_none_or(|ballot| ballot.epoch() == self.epoch()),
            "runs for election or leads in another epoch than its own (V1)"
        );
        debug_assert!(
            self.is_member == self.members().contains(self.config.node),
            "does not know whether it is a member"
        );
    }

    /// Checks what a node that has not joined must not have done (rules J1 and J2).
    fn invariants_before_joining(&self) {
        debug_assert!(
            self.acceptor.promised() == Ballot::NULL,
            "promised a ballot before it has joined (J2)"
        );
        debug_assert!(
            self.acceptor.votes().next().is_none(),
            "accepted a proposal before it has joined (J2)"
        );
        debug_assert!(
            self.replica.applied() == Slot::ZERO,
            "applied a slot before it has joined"
        );
        debug_assert!(
            self.replica.pending() == 0,
            "took a request for its replica before it has one"
        );
        debug_assert!(
            self.leader_hint.is_none(),
            "follows a leader before it has joined"
        );
    }

    /// Checks the invariants of elections and leadership that hold between steps. Where an election ends, several
    /// places have to forget it: the role, the timers, and the hint.
    fn election_invariants(&self) {
        let me = self.config.node;
        let is_armed = |timer| self.timers.is_armed(timer);
        debug_assert!(
            self.leader.is_idle() || self.is_voting(),
            "a node that does not vote runs for election (D1, D2, V1)"
        );
        debug_assert!(
            self.leader.is_idle() || self.is_active(),
            "a node that has not joined runs for election (J2)"
        );
        // A probe alone is not a claim: its ballot may be used by nobody, and is not noted.
        debug_assert!(
            self.leader.is_probing()
                || self
                    .leader
                    .ballot()
                    .is_none_or(|ballot| ballot <= self.highest_seen),
            "claims a ballot that it has not noted as seen (S1)"
        );
        debug_assert!(self.votes_peak <= WINDOW, "more votes than the window has");
        debug_assert!(
            self.leader.in_flight_peak() <= WINDOW,
            "more slots in flight than the window has"
        );
        if let Some(ballot) = self.leader.leading() {
            debug_assert!(
                ballot == self.highest_seen,
                "leads although it has heard of a higher ballot (L4)"
            );
            debug_assert!(
                self.leader_hint == Some(me),
                "a leader names another node as the leader"
            );
            debug_assert!(
                self.contact == LeaderContact::Following,
                "a leader follows itself, and so denies probes (L7)"
            );
        } else {
            debug_assert!(
                !is_armed(Timer::Heartbeat),
                "sends heartbeats for a leadership that has ended"
            );
            debug_assert!(
                !is_armed(Timer::Commander),
                "repeats accepts of a leadership that has ended (L4)"
            );
            debug_assert!(
                !is_armed(Timer::Quorum),
                "looks for the quorum of a leadership that has ended (L6)"
            );
        }
    }

    /// Checks what the node believes about leaders, between steps: the leader that it knows, how it has come to know
    /// it, and where it turns without one are three variables that must not contradict each other.
    fn contact_invariants(&self) {
        let me = self.config.node;
        debug_assert!(
            self.relay.is_none_or(|relay| relay.node != me),
            "a node is its own relay (L8)"
        );
        debug_assert!(
            self.relay.is_none() || self.leader_hint.is_none(),
            "has a relay although it hears a leader (L8)"
        );
        if let Some(leader) = self.leader_hint {
            debug_assert!(
                self.contact == LeaderContact::Following,
                "knows a leader that it does not follow"
            );
            debug_assert!(
                leader == self.highest_seen.leader(),
                "follows another node than the owner of the highest ballot (F1)"
            );
            debug_assert!(
                leader != me || self.leader.leading().is_some(),
                "takes itself for the leader, and does not lead"
            );
        } else {
            // A leader that was fenced follows nobody until it hears another one.
            debug_assert!(
                self.contact != LeaderContact::Following || !self.is_voting(),
                "follows a leader that it does not know"
            );
        }
    }

    /// Checks that whatever may be lost is repeated: the node has armed a timer for all that it waits for.
    fn timer_invariants(&self) {
        let is_armed = |timer| self.timers.is_armed(timer);
        let leads = self.leader.leading().is_some();
        debug_assert!(
            self.is_active() || is_armed(Timer::Join),
            "has not joined, and does not ask again (J1)"
        );
        debug_assert!(
            !self.replica.is_fetching() || is_armed(Timer::Join),
            "fetches a snapshot, and does not ask again for its next page (J3)"
        );
        debug_assert!(
            self.leader.is_idle() || leads || is_armed(Timer::Scout),
            "an election goes on, and nothing is repeated (S7)"
        );
        debug_assert!(
            !leads || is_armed(Timer::Heartbeat),
            "leads, and sends no more heartbeats"
        );
        debug_assert!(
            !leads || is_armed(Timer::Quorum),
            "leads, and does not look whether a quorum answers (L6)"
        );
        debug_assert!(
            self.leader.in_flight() == 0 || is_armed(Timer::Commander),
            "slots are in flight, and no accept is repeated"
        );
        debug_assert!(
            self.replica.pending() == 0 || is_armed(Timer::Propose),
            "requests are pending, and are not proposed again (R3)"
        );
        debug_assert!(
            (self.requesters.len() > 0) == is_armed(Timer::Request),
            "requests are repeated exactly as long as one is outstanding"
        );
        debug_assert!(
            !self.replica.is_behind() || is_armed(Timer::Learn),
            "misses a decision, and asks nobody (R2)"
        );
        // Rule N1: whoever has used up the rounds claims nothing, and waits for no turn.
        let claims_again = Ballot::succeeding(self.highest_seen, self.config.node).is_some()
            && self.replica.applied().next().is_some();
        debug_assert!(
            !self.is_active()
                || !self.is_voting()
                || !self.leader.is_idle()
                || !claims_again
                || is_armed(Timer::Election),
            "neither runs for election nor waits for its turn (L5)"
        );
    }
}
