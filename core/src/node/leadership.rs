//! Leadership: heartbeats, following a leader, back-off and stepping down.

use super::{LeaderContact, Node, Step};
use crate::mutant::Mutant;
use crate::random::span_from;
use crate::timer::Timer;
use crate::{
    Ballot, Duration, Event, Message, NodeId, NodeSet, Reason, Role, Slot, StateMachine, Tracer,
};

/// After so many consecutive heartbeats under one ballot the leader is stable, and back-off starts over (rule L5). One
/// alone proves little: two candidates that preempt each other in turn send one each.
pub(super) const STABLE_HEARTBEATS: u8 = 3;

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// Rules F1 and F2: follows the leader with this ballot. Only the owner of the highest ballot is followed; an
    /// election of this node under a lower ballot ends.
    #[cfg_attr(
        target_pointer_width = "64",
        expect(
            clippy::inline_always,
            reason = "a few stores for each message of a leader that is followed"
        ),
        inline(always)
    )]
    pub(super) fn follow<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        ballot: Ballot,
    ) {
        self.observe(step, ballot);
        debug_assert!(
            self.mistake.is_any() || self.highest_seen == ballot,
            "follows a leader below the highest ballot (F1)"
        );
        // A scout under a lower ballot has given way above; a probe gives way to whoever leads.
        if self.leader.is_probing() {
            self.leader.resign();
            self.timers.cancel(Timer::Scout);
        }
        debug_assert!(
            self.mistake.is_any() || self.leader.is_idle(),
            "follows another node while it runs for election or leads (L4)"
        );
        // Rule F2: each sign of life puts off the suspicion by a whole timeout.
        self.contact = LeaderContact::Following;
        self.relay = None;
        self.timers
            .arm_after(Timer::Election, &step.now, &self.config.election_timeout);
        if self.leader_hint != Some(ballot.leader()) {
            self.accept_leader(step, ballot.leader());
        }
    }

    /// Follows a different leader than before, and proposes the pending requests to it.
    #[cold]
    fn accept_leader<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        leader: NodeId,
    ) {
        debug_assert!(
            leader != self.config.node,
            "a node that leads hears of it from itself, not from a message (N3)"
        );
        self.leader_hint = Some(leader);
        self.heartbeats_in_row = 0;
        step.trace(Role::Leader, Event::Accepting { leader });
        self.propose_pending(step, true);
    }

    /// Records the highest ballot that was heard of, and ends an election or leadership under a lower one.
    pub(super) fn observe<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        ballot: Ballot,
    ) {
        self.highest_seen = self.highest_seen.max(ballot);
        if !self.leader.is_idle() {
            self.give_way(step, ballot);
        }
        debug_assert!(
            self.leader.is_probing() || self.leader.ballot().is_none_or(|mine| mine >= ballot),
            "goes on under a lower ballot than one that it has heard of (L4)"
        );
    }

    /// Ends an election or a leadership under a ballot lower than `ballot`. A probe goes on, as it has claimed nothing
    /// that could be lost, and looks for a higher ballot when it is granted. A function of its own, so that
    /// the many messages to a node that is idle do not pay for a call.
    #[inline(never)]
    fn give_way<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>, ballot: Ballot) {
        if let Some(mine) = self.leader.ballot()
            && mine < ballot
            && !self.leader.is_probing()
        {
            self.preempt(step, mine, ballot);
        }
    }

    /// Rule L4: ends the election or leadership because of a higher ballot, and backs off before the next claim.
    fn preempt<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        mine: Ballot,
        by: Ballot,
    ) {
        debug_assert!(mine < by, "only a higher ballot preempts (L4)");
        // The trace names what has ended: a claim that was never won, or a leadership.
        let role = if self.leader.scout().is_some() {
            Role::Scout
        } else {
            Role::Leader
        };
        step.trace(role, Event::Preempted { ballot: mine, by });
        self.resign(step);
        self.back_off(step);
    }

    /// Stops probing, scouting or leading. What comes next is up to the caller: a back-off, a claim that is merely
    /// delayed, or nothing if the node is fenced.
    pub(super) fn resign<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        if self.leader.scout().is_some() {
            step.trace(Role::Scout, Event::Stopped);
        }
        if self.leader.leading().is_some() {
            self.leader_hint = None;
            self.heartbeats_in_row = 0;
        }
        self.leader.resign();
        for timer in [
            Timer::Scout,
            Timer::Commander,
            Timer::Heartbeat,
            Timer::Quorum,
        ] {
            self.timers.cancel(timer);
        }
        debug_assert!(
            self.leader.is_idle(),
            "neither an election nor a leadership goes on"
        );
    }

    /// Rule L5: backs off after a rival has ended this node's election or leadership. The delay before the next claim
    /// is drawn from [T·2ᵏ, 2T·2ᵏ), where k counts the elections that ended like this. A probe is sent earlier, after a
    /// delay drawn from [2T, 4T): it leads to a claim only if a quorum grants it at its first try. So a long back-off
    /// from a time of contention does not outlast that contention.
    fn back_off<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        let doublings = self.failures.min(self.config.backoff_doublings_max);
        debug_assert!(
            doublings <= 16,
            "the settings allow for no more doublings than 16"
        );
        self.failures = self.failures.saturating_add(1);
        let timeout = self.config.election_timeout;
        let twice = |span: Duration| span.saturating_add(span);
        let span = (0..doublings).fold(timeout, |span, _| twice(span));
        let delay = span_from(&mut self.rng, span);
        self.patience = step.now + delay;
        let looks = span_from(&mut self.rng, twice(timeout));
        self.delay_claim(step, delay.min(looks));
    }

    /// Delays the next claim after an election that failed without a rival: no quorum answered, or others hear a
    /// leader. The delay does not grow, since that would help nobody and would outlast the outage.
    pub(super) fn retry_later<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        let delay = span_from(&mut self.rng, self.config.election_timeout);
        self.delay_claim(step, delay);
    }

    /// Waits for `delay` before this node probes again.
    fn delay_claim<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        delay: Duration,
    ) {
        debug_assert!(
            self.leader.is_idle(),
            "waits for its next claim while one is under way"
        );
        let delay = if self.makes(Mutant::ClaimsAtOnce) {
            Duration::ZERO
        } else {
            delay
        };
        // A node that has promised the ballot of another node meanwhile goes on giving that one the time to win.
        if self.contact != LeaderContact::Promised {
            self.contact = LeaderContact::Waiting;
        }
        step.trace(Role::Leader, Event::BackedOff { delay });
        self.timers.arm_after(Timer::Election, &step.now, &delay);
        self.watch_gap(step);
    }

    /// Timer `Heartbeat`: sends a heartbeat.
    pub(super) fn on_heartbeat_timeout<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
    ) {
        let Some(ballot) = self.leader.leading() else {
            return;
        };
        self.timers
            .arm_after(Timer::Heartbeat, &step.now, &self.config.heartbeat);
        // Questions that have waited for an adopted slot, and a round whose messages were lost.
        self.confirm(step);
        self.ask_for_confirmation(step);
        self.count_heartbeat();
        let decided = self.leader.decided();
        debug_assert_eq!(
            decided,
            self.replica.applied(),
            "the chain is the one at the end of the decided prefix"
        );
        step.send(
            Role::Leader,
            self.leader.audience(),
            Message::Heartbeat {
                ballot,
                decided,
                chain: self.replica.chain(),
            },
        );
    }

    /// Rule L5: counts a heartbeat, sent or received. Both show that somebody leads undisturbed.
    fn count_heartbeat(&mut self) {
        self.heartbeats_in_row = self.heartbeats_in_row.saturating_add(1);
        if self.heartbeats_in_row >= STABLE_HEARTBEATS {
            self.failures = 0;
        }
    }

    /// Rules L6, C3 and N3: handles `Heartbeat`. Answers it and learns how far the log is decided; or halts, if the
    /// leader's history differs from the one that was applied here.
    pub(super) fn on_heartbeat<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        from: NodeId,
        ballot: Ballot,
        (decided, chain): (Slot, u64),
    ) -> Result<(), Reason> {
        self.check_claim(from, ballot)?;
        if ballot < self.highest_seen && !self.makes(Mutant::OldLeaderFollowed) {
            return Err(Reason::OldBallot);
        }
        // Rule N3: compared before the leader is followed, and before anything of its log is applied here.
        self.replica.on_chain(decided, chain);
        if self.replica.has_diverged() {
            self.diverge(step);
            return Ok(());
        }
        self.follow(step, ballot);
        self.count_heartbeat();
        // Rule D1: the answers of a node that cannot vote would keep a leader in office that has no quorum of votes.
        // Those of a node that is no member are not counted, and tell how far it has caught up (rule V8).
        if self.voting.is_allowed {
            let applied = self.replica.applied();
            step.send(
                Role::Replica,
                NodeSet::only(from),
                Message::HeartbeatReply { ballot, applied },
            );
        }
        self.replica.on_decided_under(ballot, decided);
        self.settle(step);
        Ok(())
    }

    /// Rule L6: counts the answer to a heartbeat. Answers to accepts count as well, so that this one only matters where
    /// nothing is requested.
    pub(super) fn on_heartbeat_reply(
        &mut self,
        from: NodeId,
        ballot: Ballot,
        applied: Slot,
    ) -> Result<(), Reason> {
        if self.leader.leading() != Some(ballot) {
            return Err(Reason::StaleReply);
        }
        self.leader.on_answer(from);
        self.leader.on_applied(from, applied);
        Ok(())
    }

    /// Rule L6: steps down if no quorum has answered since the last check, so that this node does not keep others from
    /// being elected.
    pub(super) fn on_quorum_timeout<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
    ) {
        if self.leader.leading().is_none() {
            return;
        }
        // The span is the one after which followers suspect a leader, so a leader that is cut off steps down at about
        // the time at which the others begin to look for another one.
        if self.leader.count_quorum(self.members()) {
            self.timers
                .arm_after(Timer::Quorum, &step.now, &self.config.election_timeout);
            return;
        }
        self.step_down(step);
    }

    /// Ends the leadership for a reason other than a higher ballot. No rival has won, so the delay before the next
    /// claim does not grow (rule L5).
    pub(super) fn step_down<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        if let Some(ballot) = self.leader.leading() {
            step.trace(Role::Leader, Event::SteppedDown { ballot });
            self.resign(step);
            self.retry_later(step);
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use crate::machines::Kv;
    use crate::{Config, Instant, Outbox};
    use core::ops::Range;
    use std::vec::Vec;

    type Small = Node<Kv<4>, 8, 4, 2>;

    fn founder(seed: u64) -> Small {
        Small::found(Config::new(NodeId(0), 3), seed, Instant::ZERO).unwrap()
    }

    fn timeout() -> Duration {
        Config::new(NodeId(0), 3).election_timeout
    }

    /// Returns how long the only timer runs that the node arms in a step.
    fn arms(
        node: &mut Small,
        take: impl FnOnce(&mut Small, &mut Step<'_, Kv<4>, 2, ()>),
    ) -> Duration {
        let mut outbox = Outbox::<Kv<4>, 2, { Small::OUTBOX_MIN }>::new();
        node.timers.cancel_all();
        let mut tracer = ();
        let mut step = node.step(Instant::ZERO, &mut outbox, &mut tracer);
        take(node, &mut step);
        step.finish();
        node.timers.next().unwrap().since(Instant::ZERO)
    }

    /// Asserts that the spans of a hundred nodes are in the range, differ, and reach from its first quarter to its last.
    fn assert_drawn_from(range: Range<Duration>, draw: impl Fn(u64) -> Duration) {
        let mut spans: Vec<Duration> = (0..100).map(draw).collect();
        spans.sort_unstable();
        spans.dedup();
        assert!(spans.len() > 90, "{} of 100 differ", spans.len());
        let (first, last) = (*spans.first().unwrap(), *spans.last().unwrap());
        assert!(
            first >= range.start && last < range.end,
            "{first} to {last}"
        );
        let (start, end) = (range.start.as_micros(), range.end.as_micros());
        let quarter = (end - start) / 4;
        assert!(first.as_micros() < start + quarter, "from {first}");
        assert!(last.as_micros() >= end - quarter, "to {last}");
    }

    #[test]
    fn l5_back_offs_are_drawn_from_spans_that_double() {
        for failures in 0..8 {
            let doublings = failures.min(founder(0).config.backoff_doublings_max);
            let backs_off = |seed| {
                let mut node = founder(seed);
                node.failures = failures;
                let delay = arms(&mut node, Node::back_off);
                assert_eq!(node.failures, failures + 1);
                let patience = node.patience.since(Instant::ZERO);
                assert!(delay <= patience, "{delay} of {patience}");
                (patience, delay)
            };
            let span = (0..doublings).fold(timeout(), |span, _| span * 2);
            assert_drawn_from(span..span * 2, |seed| backs_off(seed).0);
            // A node looks after others before a long back-off is over.
            let looks = span.min(timeout() * 2);
            assert_drawn_from(looks..looks * 2, |seed| backs_off(seed).1);
        }
    }

    #[test]
    fn l5_all_that_precedes_a_claim_takes_each_node_another_time() {
        let timeout = timeout();
        // An attempt without a rival is repeated.
        let retries = |seed| arms(&mut founder(seed), Node::retry_later);
        assert_drawn_from(timeout..timeout * 2, retries);
        // A leader is missed.
        let suspects = |seed| {
            let mut node = founder(seed);
            node.contact = LeaderContact::Following;
            arms(&mut node, Node::on_election_timeout)
        };
        assert_drawn_from(Duration::ZERO..timeout, suspects);
        // Another node is given the time to win.
        let promises = |seed| {
            let rival = NodeId(1);
            arms(&mut founder(seed), |node, step| {
                let promised = node.on_prepare(step, rival, Ballot::new(1, rival), Slot::FIRST);
                assert_eq!(promised, Ok(()));
            })
        };
        assert_drawn_from(timeout..timeout * 2, promises);
        // A node has joined.
        let joins = |seed| {
            let config = Config::new(NodeId(1), 3);
            let mut node = Small::join(config, seed, Instant::ZERO).unwrap();
            arms(&mut node, Node::activate)
        };
        assert_drawn_from(timeout..timeout * 2, joins);
    }

    #[test]
    fn l5_heartbeats_of_several_leaders_do_not_add_up_to_a_stable_one() {
        let mut node = founder(0);
        node.failures = 3;
        let beat = |node: &mut Small, leader: u16| {
            arms(node, |node, step| {
                let (from, chain) = (NodeId(leader), node.replica.chain());
                let ballot = Ballot::new(u64::from(leader), from);
                let heard = node.on_heartbeat(step, from, ballot, (Slot::ZERO, chain));
                assert_eq!(heard, Ok(()));
            });
            node.failures
        };
        for leader in [1, 1, 2, 2] {
            assert_eq!(beat(&mut node, leader), 3);
        }
        assert_eq!(beat(&mut node, 2), 0, "the third of one leader");
    }

    #[test]
    fn s7_repetitions_come_after_their_span_and_up_to_half_of_it() {
        let span = Duration::from_millis(100);
        assert_drawn_from(span..span * 3 / 2, |seed| founder(seed).jittered(span));
    }
}
