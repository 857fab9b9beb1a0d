//! The invariants of a node between two steps, which builds with debug assertions check after each input, and checkers
//! whenever they want to.

use super::leadership::STABLE_HEARTBEATS;
use super::{LeaderContact, Node};
use crate::invariant::ensure;
use crate::timer::Timer;
use crate::{Ballot, Slot, StateMachine};

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// Asserts the invariants that hold between steps, in builds with debug assertions.
    pub(super) fn invariants(&self) {
        // The interpreter looks for undefined behaviour, and would spend most of its time here.
        if cfg!(debug_assertions) && !cfg!(miri) {
            let broken = self.check_own_invariants().err();
            debug_assert!(broken.is_none(), "{}", broken.unwrap_or_default());
        }
    }

    /// Checks the invariants of the whole node, which hold between any two steps. Builds with debug assertions do so
    /// after each step; a program that tests a cluster may do so in any build, as the checkers of the
    /// [simulation](crate::simulation) do. It changes nothing, and takes about as long as the node is large.
    ///
    /// A node that has halted is not checked, and neither is one with an active mutant (feature `mutants`).
    ///
    /// # Errors
    ///
    /// A sentence about the first invariant that is broken: the node has a bug, and should be stopped.
    pub fn check_invariants(&self) -> Result<(), &'static str> {
        self.check_own_invariants()?;
        if self.halt.is_some() || self.mistake.is_any() {
            return Ok(());
        }
        ensure(
            !self
                .leader
                .could_lead(self.replica.applied(), self.members()),
            "has its quorum and the log up to its low-water mark, and does not lead (S6)",
        )?;
        self.replica.check_requests()?;
        self.check_request_invariants()
    }

    /// Checks the invariants that hold whatever other nodes say, even if they lie about the log.
    fn check_own_invariants(&self) -> Result<(), &'static str> {
        // A node with an active mutant skips these checks, so that the checkers outside have to catch it.
        if self.halt.is_some() || self.mistake.is_any() {
            return Ok(());
        }
        self.acceptor.check_invariants(self.replica.applied())?;
        self.replica.check_invariants()?;
        self.leader
            .check_invariants(self.replica.applied(), self.members())?;
        self.requesters.check_invariants()?;
        self.reader.check_invariants(self.replica.applied())?;
        ensure(
            self.highest_seen >= self.acceptor.promised(),
            "promised a ballot that it has not noted as seen (S1)",
        )?;
        ensure(
            self.leader
                .leading()
                .is_none_or(|ballot| ballot >= self.acceptor.promised()),
            "leads under a lower ballot than its own acceptor has promised",
        )?;
        self.check_epoch_invariants()?;
        self.check_vote_invariants()?;
        self.check_election_invariants()?;
        self.check_contact_invariants()?;
        if !self.last_step.is_near_the_end() {
            self.check_timer_invariants()?;
            self.check_turn_invariants()?;
        }
        if self.is_active() {
            Ok(())
        } else {
            self.check_invariants_before_joining()
        }
    }

    /// Checks that everything belongs to the epoch of the applied state.
    fn check_epoch_invariants(&self) -> Result<(), &'static str> {
        ensure(
            self.highest_seen.epoch() == self.epoch()
                && self.acceptor.promised().epoch() == self.epoch(),
            "has seen or promised a ballot of another epoch than its own (V1)",
        )?;
        ensure(
            self.leader
                .ballot()
                .is_none_or(|ballot| ballot.epoch() == self.epoch()),
            "runs for election or leads in another epoch than its own (V1)",
        )?;
        ensure(
            self.voting.is_member == self.members().contains(self.config.node),
            "does not know whether it is a member",
        )?;
        Ok(())
    }

    /// Checks that a claim, and each vote that a leader counts as its own, is one of its acceptor.
    fn check_vote_invariants(&self) -> Result<(), &'static str> {
        let Some(ballot) = self.leader.ballot().filter(|_| !self.leader.is_probing()) else {
            return Ok(());
        };
        ensure(
            self.acceptor.promised() == ballot,
            "claims or leads under a ballot that its own acceptor has not promised (S1, C4)",
        )?;
        let is_cast = |slot| {
            let vote = self.acceptor.vote(slot);
            let commander = self.leader.commander(slot);
            commander.is_none_or(|commander| {
                !commander.has_vote_of(self.config.node)
                    || vote.is_some_and(|vote| {
                        vote.ballot == ballot && vote.proposal.same_as(&commander.proposal)
                    })
            })
        };
        let (mut slot, last) = self
            .leader
            .slots_in_flight()
            .unwrap_or((Slot::FIRST, Slot::ZERO));
        while slot <= last {
            ensure(
                is_cast(slot),
                "counts a vote of its own that its acceptor has not cast (C4)",
            )?;
            slot = slot.next().unwrap_or(slot);
        }
        Ok(())
    }

    /// Checks the requests of this node's own clients.
    fn check_request_invariants(&self) -> Result<(), &'static str> {
        ensure(
            self.requesters
                .iter()
                .all(|(_, requester)| requester.proposal.key() == Some(requester.key)),
            "a request has the key of its proposal",
        )?;
        let is_asked = |key, fingerprint| {
            self.requester_of(key)
                .is_some_and(|(_, requester)| requester.fingerprint == fingerprint)
        };
        ensure(
            !self.replica.waits_in_vain(self.config.node, is_asked),
            "goes on with a request that was answered or withdrawn here (X4)",
        )
    }

    /// Checks what a node that has not joined must not have done (rules J1 and J2).
    fn check_invariants_before_joining(&self) -> Result<(), &'static str> {
        ensure(
            self.acceptor.promised() == Ballot::NULL,
            "promised a ballot before it has joined (J2)",
        )?;
        ensure(
            self.acceptor.votes().next().is_none(),
            "accepted a proposal before it has joined (J2)",
        )?;
        ensure(
            self.replica.applied() == Slot::ZERO,
            "applied a slot before it has joined",
        )?;
        ensure(
            self.replica.pending() == 0,
            "took a request for its replica before it has one",
        )?;
        ensure(
            self.leader_hint.is_none(),
            "follows a leader before it has joined",
        )?;
        Ok(())
    }

    /// Checks the invariants of elections and leadership that hold between steps. Where an election ends, several
    /// places have to forget it: the role, the timers, and the hint.
    fn check_election_invariants(&self) -> Result<(), &'static str> {
        let me = self.config.node;
        let is_armed = |timer| self.timers.is_armed(timer);
        ensure(
            self.leader.is_idle() || self.is_voting(),
            "a node that does not vote runs for election (D1, D2, V1)",
        )?;
        ensure(
            self.leader.is_idle() || self.is_active(),
            "a node that has not joined runs for election (J2)",
        )?;
        // A probe alone is not a claim: its ballot may be used by nobody, and is not noted.
        ensure(
            self.leader.is_probing()
                || self
                    .leader
                    .ballot()
                    .is_none_or(|ballot| ballot <= self.highest_seen),
            "claims a ballot that it has not noted as seen (S1)",
        )?;
        ensure(self.votes_peak <= WINDOW, "more votes than the window has")?;
        ensure(
            self.leader.in_flight_peak() <= WINDOW,
            "more slots in flight than the window has",
        )?;
        if let Some(ballot) = self.leader.leading() {
            ensure(
                ballot == self.highest_seen,
                "leads although it has heard of a higher ballot (L4)",
            )?;
            ensure(
                self.leader_hint == Some(me),
                "a leader names another node as the leader",
            )?;
            ensure(
                self.contact == LeaderContact::Following,
                "a leader follows itself, and so denies probes (L7)",
            )?;
        } else {
            ensure(
                !is_armed(Timer::Heartbeat),
                "sends heartbeats for a leadership that has ended",
            )?;
            ensure(
                !is_armed(Timer::Commander),
                "repeats accepts of a leadership that has ended (L4)",
            )?;
            ensure(
                !is_armed(Timer::Quorum),
                "looks for the quorum of a leadership that has ended (L6)",
            )?;
        }
        Ok(())
    }

    /// Checks what the node believes about leaders, between steps: the leader that it knows, how it has come to know
    /// it, and where it turns without one are three variables that must not contradict each other.
    fn check_contact_invariants(&self) -> Result<(), &'static str> {
        let me = self.config.node;
        ensure(
            self.relay.is_none_or(|relay| relay.node != me),
            "a node is its own relay (L8)",
        )?;
        ensure(
            self.relay.is_none() || self.leader_hint.is_none(),
            "has a relay although it hears a leader (L8)",
        )?;
        ensure(
            self.relay.is_none() || self.leader.is_idle() || self.leader.is_probing(),
            "has a relay although it claims a ballot (L8)",
        )?;
        ensure(
            self.relay
                .is_none_or(|relay| !relay.hears || self.contact.grants()),
            "has a relay that hears a leader, and denies probes itself (L8)",
        )?;
        ensure(
            self.contact != LeaderContact::Succeeding || self.leader.is_idle(),
            "is about to succeed itself, and has begun already (V9)",
        )?;
        if let Some(leader) = self.leader_hint {
            ensure(
                self.heartbeats_in_row < STABLE_HEARTBEATS || self.failures == 0,
                "a stable leader is heard, and the back-off has not begun anew (L5)",
            )?;
            ensure(
                self.contact == LeaderContact::Following,
                "knows a leader that it does not follow",
            )?;
            ensure(
                leader == self.highest_seen.leader(),
                "follows another node than the owner of the highest ballot (F1)",
            )?;
            ensure(
                leader != me || self.leader.leading().is_some(),
                "takes itself for the leader, and does not lead",
            )?;
        } else {
            // A leader that was fenced follows nobody until it hears another one.
            ensure(
                self.contact != LeaderContact::Following || !self.is_voting(),
                "follows a leader that it does not know",
            )?;
        }
        Ok(())
    }

    /// Checks that whatever may be lost is repeated: the node has armed a timer for all that others owe it.
    fn check_timer_invariants(&self) -> Result<(), &'static str> {
        let is_armed = |timer| self.timers.is_armed(timer);
        let leads = self.leader.leading().is_some();
        ensure(
            self.is_active() || is_armed(Timer::Join),
            "has not joined, and does not ask again (J1)",
        )?;
        ensure(
            !self.replica.is_fetching() || is_armed(Timer::Join),
            "fetches a snapshot, and does not ask again for its next page (J3)",
        )?;
        ensure(
            self.leader.is_idle() || leads || is_armed(Timer::Scout),
            "an election goes on, and nothing is repeated (S7)",
        )?;
        ensure(
            !leads || is_armed(Timer::Heartbeat),
            "leads, and sends no more heartbeats",
        )?;
        ensure(
            !leads || is_armed(Timer::Quorum),
            "leads, and does not look whether a quorum answers (L6)",
        )?;
        ensure(
            self.leader.in_flight() == 0 || is_armed(Timer::Commander),
            "slots are in flight, and no accept is repeated",
        )?;
        ensure(
            self.replica.pending() == 0 || is_armed(Timer::Propose),
            "requests are pending, and are not proposed again (R3)",
        )?;
        ensure(
            (self.requesters.len() > 0) == is_armed(Timer::Request),
            "requests are repeated exactly as long as one is outstanding",
        )?;
        ensure(
            self.reader.is_empty() != is_armed(Timer::Read),
            "a question is repeated exactly as long as a read waits (Q5)",
        )?;
        ensure(
            !self.replica.is_pinned() || is_armed(Timer::Transfer),
            "keeps a snapshot that nobody fetches for ever (J3)",
        )?;
        ensure(
            !self.is_without_leader()
                || !self.leader.is_idle()
                || is_armed(Timer::Learn)
                || self.replica.applied().next().is_none(),
            "hears no leader, and asks nobody what is decided (L8)",
        )?;
        ensure(
            !self.replica.is_behind() || is_armed(Timer::Learn),
            "misses a decision, and asks nobody (R2)",
        )
    }

    /// Checks that a node which neither leads nor runs for election has its turn to come, and no other one has.
    fn check_turn_invariants(&self) -> Result<(), &'static str> {
        let is_armed = |timer| self.timers.is_armed(timer);
        let leads = self.leader.leading().is_some();
        ensure(
            !leads || !is_armed(Timer::Election),
            "leads, and waits for its turn to claim (L5)",
        )?;
        ensure(
            self.contact != LeaderContact::Following
                || !self.is_active()
                || leads
                || is_armed(Timer::Election),
            "follows a leader, and would not notice that it is silent (F2)",
        )?;
        // Rule N1: whoever has used up the rounds claims nothing, and waits for no turn.
        let claims_again = Ballot::succeeding(self.highest_seen, self.config.node).is_some()
            && self.replica.applied().next().is_some();
        ensure(
            !self.is_active()
                || !self.is_voting()
                || !self.leader.is_idle()
                || !claims_again
                || is_armed(Timer::Election),
            "neither runs for election nor waits for its turn (L5)",
        )?;
        ensure(
            !claims_again || !is_armed(Timer::Scout) || (!self.leader.is_idle() && !leads),
            "repeats the messages of an election that is over (S7)",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machines::Kv;
    use crate::{Config, Instant, NodeId};

    type Small = Node<Kv<4>, 8, 4, 2>;

    #[test]
    fn the_first_invariant_that_is_broken_is_named() {
        let mut node = Small::join(Config::new(NodeId(1), 3), 6, Instant::ZERO).unwrap();
        assert_eq!(node.check_invariants(), Ok(()));
        node.timers.cancel(Timer::Join);
        let broken = Err("has not joined, and does not ask again (J1)");
        assert_eq!(node.check_invariants(), broken);
    }
}
