//! The invariants of a node between two steps, which builds with debug assertions check after each input.

use super::{LeaderContact, Node};
use crate::StateMachine;
use crate::timer::Timer;

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// Checks the invariants that hold between steps, in builds with debug assertions.
    pub(super) fn invariants(&self) {
        // A node with an active mutant skips these checks, so that the checkers outside have to catch it.
        if cfg!(debug_assertions) && self.halt.is_none() && !self.mistake.is_any() {
            self.acceptor.invariants(self.replica.applied());
            self.replica.invariants();
            self.leader.invariants(self.replica.applied());
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
            self.election_invariants();
        }
    }

    /// Checks the invariants of elections and leadership that hold between steps.
    fn election_invariants(&self) {
        let me = self.config.node;
        let is_armed = |timer| self.timers.is_armed(timer);
        debug_assert!(
            self.leader.is_idle() || self.is_active() && self.voter,
            "a node that does not vote runs for election (D1, D2)"
        );
        debug_assert!(
            self.leader.is_probing()
                || self
                    .leader
                    .ballot()
                    .is_none_or(|ballot| ballot <= self.highest_seen),
            "claims a ballot that it has not noted as seen (S1)"
        );
        debug_assert!(
            self.relay.is_none_or(|relay| relay.node != me),
            "a node is its own relay (L8)"
        );
        debug_assert!(self.votes_peak <= WINDOW, "more votes than the window has");
        if self.leader.leading().is_some() {
            debug_assert!(
                self.leader_hint == Some(me) && self.contact == LeaderContact::Following,
                "a leader follows itself"
            );
        } else {
            debug_assert!(
                !is_armed(Timer::Heartbeat) && !is_armed(Timer::Commander),
                "timers of a leadership that has ended"
            );
        }
    }
}
