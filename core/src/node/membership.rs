//! Membership changes: the proposal of one, the end of an epoch, and what a node does with messages of other epochs.

use super::{LeaderContact, Node, Step};
use crate::error::ReconfigureError;
use crate::mutant::Mutant;
use crate::random::{span_below, span_from};
use crate::timer::Timer;
use crate::{
    AnyOutbox, Ballot, Change, ChangeError, Duration, Epoch, Event, Instant, Message, NodeId,
    NodeSet, Outcome, Proposal, Reason, Reply, Role, Slot, StateMachine, Tracer, Write,
};

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// Requests a change of the members (rules V4 and V8). The reply has the key
    /// [`RequestKey::change`](crate::RequestKey::change)`(change.epoch)` and the outcome
    /// [`Outcome::Reconfigured`](crate::Outcome::Reconfigured), or
    /// [`Outcome::Unchanged`](crate::Outcome::Unchanged) with the reason.
    ///
    /// The change names the epoch that it ends, so of two operators that change the same members at the same time, one
    /// hears that the other was first. The new members may be any nodes that were never removed. A node that was no
    /// member first joins as a learner ([`Node::join`]) and catches up; a majority of the new members must have done so,
    /// or the leader refuses the change.
    ///
    /// ```
    /// use synod::machines::Kv;
    /// use synod::{Change, Config, Instant, Node, NodeId, NodeSet, Outbox, Outcome};
    ///
    /// type Small = Node<Kv<4>, 8, 2, 2>;
    /// let mut node = Small::found(Config::new(NodeId(0), 1), 6, Instant::ZERO)?;
    /// let mut outbox = Outbox::<_, 2, { Small::OUTBOX_MIN }>::new();
    /// let mut now = Instant::ZERO;
    /// while node.leading().is_none() {
    ///     now = node.next_deadline().unwrap();
    ///     node.handle_timeout(now, &mut outbox, &mut ());
    ///     outbox.clear();
    /// }
    /// // Node 1 does not run: with two members, of which a quorum is both, nothing would go on.
    /// let change = Change { epoch: node.epoch(), members: NodeSet::first(2) };
    /// let refused = node.reconfigure(now, change, &mut outbox, &mut ());
    /// assert!(refused.is_err(), "node 1 has not caught up");
    ///
    /// let same = Change { members: NodeSet::first(1), ..change };
    /// node.reconfigure(now, same, &mut outbox, &mut ())?;
    /// assert!(matches!(outbox.replies[0].outcome, Outcome::Reconfigured { epoch } if epoch == node.epoch()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ReconfigureError`]: nothing was requested.
    pub fn reconfigure<T: Tracer<M, PAGE>>(
        &mut self,
        now: Instant,
        change: Change,
        outbox: &mut impl AnyOutbox<M, PAGE>,
        tracer: &mut T,
    ) -> Result<(), ReconfigureError> {
        let proposal = Proposal::Reconfigure(change);
        // What was decided before is answered like any retry, and a node that is behind does not know the present epoch.
        if change.epoch == self.epoch() {
            self.membership().check(&change)?;
            if let Some(error) = self.refused_change(&proposal) {
                return Err(ReconfigureError::Change(error));
            }
        }
        self.ask(now, proposal, outbox, tracer)?;
        Ok(())
    }

    /// Rules V4 and V8: returns why this leader does not propose a change; `None` if it does, or does not lead, or if a
    /// change of this epoch is in flight already, or for any other proposal.
    pub(super) fn refused_change(&self, proposal: &Proposal<M::Command>) -> Option<ChangeError> {
        let Proposal::Reconfigure(change) = proposal else {
            return None;
        };
        if self.leader.leading().is_none()
            || self.membership().look_up(change).is_some()
            || proposal
                .key()
                .is_some_and(|key| self.leader.has_proposal(key))
        {
            return None;
        }
        let checked = self.membership().check(change);
        checked
            .and_then(|_| self.leader.check_caught_up(change.members))
            .err()
    }

    /// Answers a change that this leader does not propose. Returns true if it was one.
    pub(super) fn refuse_change<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        to: NodeId,
        proposal: &Proposal<M::Command>,
    ) -> bool {
        let (Some(error), Some(key)) = (self.refused_change(proposal), proposal.key()) else {
            return false;
        };
        let reply = Reply {
            key,
            fingerprint: proposal.fingerprint(),
            outcome: Outcome::Unchanged(error),
        };
        if to == self.config.node {
            // The pending request goes, and whoever waits for it is answered.
            let _ = self.on_response(step, reply);
        } else {
            self.respond(step, to, reply);
        }
        true
    }

    /// True if an epoch has begun in the applied state that this node has not entered yet.
    pub(super) fn is_in_new_epoch(&self) -> bool {
        self.highest_seen.epoch() < self.epoch()
    }

    /// Rules V1 to V9: enters the epoch of the applied state. Whatever belonged to the epoch before has ended: an
    /// election, a leadership, votes for later slots, and the leader that was followed.
    ///
    /// # Why the state is stored now
    ///
    /// A node must not vote in an epoch before it has applied the end of the one before (rule V6), and that must hold
    /// after a loss of power as well. If all members forgot the change and kept their promises in the new epoch, the old
    /// one could not go on, and nobody could tell the new one. The write makes the state durable before any vote of this
    /// epoch leaves.
    #[cold]
    #[inline(never)]
    pub(super) fn enter_epoch<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        let (epoch, members) = (self.epoch(), self.members());
        let end = self.replica.applied();
        step.trace(Role::Replica, Event::Reconfigured { epoch, members });
        if !self.makes(Mutant::EpochUnstored) {
            step.write(Write::Installed(end));
        }
        let led = self.leader.leading();
        let leader = self.leader_hint;
        if let Some(ballot) = led {
            // Rule V9: before anything else, the old members and the new ones are told.
            let everybody = self.leader.audience().union(members);
            step.decision(everybody.without(self.config.node), ballot, end);
        }
        if !self.makes(Mutant::LeadershipOutlivesEpoch) {
            self.resign(step);
        }
        self.begin_epoch();
        self.leader_hint = None;
        self.relay = None;
        (self.heartbeats_in_row, self.failures) = (0, 0);
        self.patience = Instant::ZERO;
        self.note_membership(step);
        self.await_leader_of_epoch(step, led.is_some(), leader);
        debug_assert!(!self.is_in_new_epoch(), "an epoch begins once (N1)");
    }

    /// Drops the promise and the votes of the epoch before, as the applied state belongs to another one. A node that
    /// halts does so as well, so that what it remembers fits together.
    pub(super) fn begin_epoch(&mut self) {
        let floor = Ballot::floor(self.epoch());
        self.acceptor.begin_epoch(floor);
        self.highest_seen = floor;
    }

    /// Starts the roles of a node that has become a member, and stops those of one that was removed.
    fn note_membership<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        let voted_before = self.is_voting();
        let stays = self.voting.is_member && self.makes(Mutant::RetiredVotes);
        self.voting.is_member = self.members().contains(self.config.node) || stays;
        let votes = self.is_voting();
        if voted_before != votes && self.is_active() {
            for role in [Role::Acceptor, Role::Leader] {
                step.trace(
                    role,
                    if votes {
                        Event::Started
                    } else {
                        Event::Stopped
                    },
                );
            }
        }
    }

    /// Rule V9: the leader that has ended the epoch claims the next one at once. The others give it the time to win, if
    /// it is a member; otherwise they look for a leader as after a long silence.
    fn await_leader_of_epoch<T: Tracer<M, PAGE>>(
        &mut self,
        step: &Step<'_, M, PAGE, T>,
        led: bool,
        leader: Option<NodeId>,
    ) {
        let timeout = self.config.election_timeout;
        let claimed = leader.is_some_and(|leader| self.members().contains(leader));
        let (contact, delay) = if !self.is_voting() {
            (LeaderContact::New, timeout)
        } else if led {
            (LeaderContact::Succeeding, Duration::ZERO)
        } else if claimed {
            (LeaderContact::Promised, span_from(&mut self.rng, timeout))
        } else {
            (LeaderContact::Missing, span_below(&mut self.rng, timeout))
        };
        self.contact = contact;
        self.timers.arm_after(Timer::Election, &step.now, &delay);
    }

    /// Handles a message with a ballot of another epoch. Nobody votes for it.
    ///
    /// - Of an earlier one (rule V7): its sender is told that the epoch has ended.
    /// - Of a later one (rule V6): the end of this epoch is decided, and has not been applied here. This node fetches
    ///   what it misses, from the sender of the message.
    #[cold]
    #[inline(never)]
    pub(super) fn on_other_epoch<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        from: NodeId,
        ballot: Ballot,
        message: &Message<M, PAGE>,
    ) -> Result<(), Reason> {
        if ballot.leader() != from {
            return Err(Reason::Malformed);
        }
        let applied = self.replica.applied();
        if ballot.epoch() < self.epoch() {
            let superseded = Message::Superseded { ballot, applied };
            step.send(Role::Replica, NodeSet::only(from), superseded);
            return Err(Reason::OldEpoch);
        }
        let told = match message {
            Message::Accept { decided, .. }
            | Message::Decision { decided, .. }
            | Message::Heartbeat { decided, .. } => *decided,
            _ => Slot::ZERO,
        };
        let end = applied.next().unwrap_or(applied);
        // The members of this epoch may all be gone, or as far behind. What a timer of the sender repeats comes once in a while;
        // without the vote of this node, there may be claims alone and never a leader.
        let is_repeated = matches!(
            message,
            Message::Heartbeat { .. } | Message::Probe { .. } | Message::Prepare { .. }
        );
        if self.repeats_in_vain() > 0 && is_repeated && !self.replica.is_fetching() {
            self.learn_from(step, from);
        }
        self.fetch_end_of_epoch(step, from, told.max(end));
        Err(Reason::LaterEpoch)
    }

    /// Rule V7: handles `Superseded`: the epoch in which this node has said something has ended.
    pub(super) fn on_superseded<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        from: NodeId,
        ballot: Ballot,
        applied: Slot,
    ) -> Result<(), Reason> {
        if ballot.epoch() != self.epoch() || ballot.leader() != self.config.node {
            return Err(Reason::StaleReply);
        }
        if applied <= self.replica.applied() {
            return Err(Reason::Known);
        }
        self.fetch_end_of_epoch(step, from, applied);
        Ok(())
    }

    /// Notes that the log is decided up to a slot that ends this epoch or lies behind its end, and asks for it, unless
    /// that was done lately.
    pub(super) fn fetch_end_of_epoch<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        from: NodeId,
        decided: Slot,
    ) {
        self.replica.on_decided(decided);
        if self.timers.is_armed(Timer::Learn) || self.replica.is_fetching() {
            self.watch_gap(step);
        } else {
            self.learn_from(step, from);
        }
    }

    /// Returns the present epoch, as far as this node has applied the log.
    pub fn epoch(&self) -> Epoch {
        self.membership().epoch
    }

    /// Returns the members of the present epoch, as far as this node has applied the log. Before it has joined, these are
    /// the founding members of its settings.
    pub fn members(&self) -> NodeSet {
        self.membership().members
    }

    /// Returns the nodes that were members and have been removed. Their numbers are never used again (rule V5).
    pub fn removed(&self) -> NodeSet {
        self.membership().removed()
    }

    /// Returns the other members.
    pub(super) fn peers(&self) -> NodeSet {
        self.members().without(self.config.node)
    }

    fn membership(&self) -> &crate::membership::Membership {
        self.replica.membership()
    }

    /// True if the node is a member of the present epoch, as far as it has applied the log.
    pub fn is_member(&self) -> bool {
        self.voting.is_member
    }

    /// True if the node was a member and has been removed. It votes no more, and goes on as a replica, from which others
    /// catch up, until [`Node::may_leave`].
    pub fn is_retired(&self) -> bool {
        self.removed().contains(self.config.node)
    }

    /// True if a retired node may be switched off: it hears a leader of a later epoch, so that a quorum of the later
    /// members has applied everything that this node had voted for (rule V5).
    ///
    /// A node that was cut off during a change asks the members that it knows of. If it was removed itself, and all of them
    /// are switched off, it hears of the change from nobody: switch it off as well.
    pub fn may_leave(&self) -> bool {
        self.is_retired() && self.leader_hint.is_some()
    }
}
