//! Reads that take no slot: the read index (rules Q2 to Q5).
//!
//! A node that reads asks the leader up to where the log is decided, waits until it has applied the log up to there, and
//! looks into its own state. The leader answers when a quorum has told it, after the question came, that it still leads.

use super::requests::response;
use super::{Node, Step};
use crate::roles::leader::ReadIndex;
use crate::roles::reader::ReadVerdict;
use crate::timer::Timer;
use crate::{
    AnyOutbox, Ballot, Instant, Message, NODES_MAX, NodeId, NodeSet, Outcome, Queue, ReadError,
    Reason, Reply, RequestKey, Role, Slot, StateMachine, Tracer,
};

/// How often a question is repeated, or the index waited for, before the reads are given up.
const READ_REPEATS: u8 = 6;

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// Asks to read the state machine of this node, without a slot of the log (rules Q2 to Q5). The reply has the key
    /// [`RequestKey::read`]`(nonce)`. With the outcome [`Outcome::Readable`] the state machine of this node includes every
    /// command that was answered anywhere before the call: the driver looks into [`Node::machine`] at once, before it
    /// passes anything else to the node, and hands out what it saw when it hands out the replies of the step. With
    /// [`Outcome::NotNow`] nothing is known, because no leader confirmed the read in time.
    ///
    /// The nonce tells a late answer to an earlier question from one to this one, also after a restart of the node: draw it
    /// at random. Any node that has joined can read, also a learner. Up to `CLIENTS` reads wait at a node, and cost the
    /// cluster one question and one round of messages together.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: nothing was asked.
    ///
    /// # Examples
    ///
    /// ```
    /// use synod::machines::Kv;
    /// use synod::{Config, Instant, Node, NodeId, Outbox, Outcome, RequestKey};
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
    /// node.read(now, 1234, &mut outbox, &mut ())?;
    /// // In a cluster of one nobody else has to confirm it.
    /// assert_eq!(outbox.replies[0].key, RequestKey::read(1234));
    /// assert!(matches!(outbox.replies[0].outcome, Outcome::Readable { .. }));
    /// let state: &Kv<4> = node.machine();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read<T: Tracer<M, PAGE>>(
        &mut self,
        now: Instant,
        nonce: u64,
        outbox: &mut impl AnyOutbox<M, PAGE>,
        tracer: &mut T,
    ) -> Result<(), ReadError> {
        let mut step = self.step(now, outbox, tracer);
        if self.halt.is_some() {
            return Err(ReadError::Halted);
        }
        if step.room() < Self::OUTBOX_MIN {
            return Err(ReadError::OutboxFull);
        }
        match self.reader.push(nonce) {
            ReadVerdict::Waits => {}
            ReadVerdict::Known => return Err(ReadError::Outstanding),
            ReadVerdict::Full => {
                step.full(Role::Requester, Queue::Reads);
                return Err(ReadError::Full { capacity: CLIENTS });
            }
        }
        self.ask_index(&mut step);
        self.expect_index(&step);
        step.finish();
        self.invariants();
        Ok(())
    }

    /// True if a read waits at this node.
    pub fn is_reading(&self) -> bool {
        !self.reader.is_empty()
    }

    /// Rule Q4: asks for the index of all reads that wait, unless a question is under way.
    fn ask_index<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        if let Some(nonce) = self.reader.ask() {
            let to = self.proposal_target();
            self.send_question(step, to, nonce);
        }
    }

    /// Sends a question to the leader, which may be this node, or to one that may pass it on. Where nobody is known it is
    /// repeated later.
    fn send_question<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        to: Option<NodeId>,
        nonce: u64,
    ) {
        let reader = self.config.node;
        let message = || Message::ReadIndex { nonce, reader };
        if self.leader.leading().is_some() {
            step.trace_local(reader, (Role::Requester, Role::Leader), message);
            // Without room the question is repeated.
            let _ = self.on_read_index(step, reader, (nonce, reader));
        } else if let Some(other) = to.filter(|other| *other != reader) {
            step.send(Role::Requester, NodeSet::only(other), message());
        }
    }

    /// Arms the timer for repetitions as long as a read waits.
    fn expect_index<T: Tracer<M, PAGE>>(&mut self, step: &Step<'_, M, PAGE, T>) {
        if self.reader.is_empty() {
            self.timers.cancel(Timer::Read);
        } else if !self.timers.is_armed(Timer::Read) && self.halt.is_none() {
            self.timers
                .arm_after(Timer::Read, &step.now, &self.config.propose_retransmit);
        }
    }

    /// Timer `Read`: repeats the question, or gives up the reads that were asked about: nobody can say in time whether the
    /// state of this node is new enough.
    pub(super) fn on_read_timeout<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        if self.reader.is_given_up(READ_REPEATS) {
            while let Some(nonce) = self.reader.next_given_up() {
                self.reply_to_reader(step, nonce, Outcome::NotNow);
            }
        }
        if let Some(nonce) = self.reader.question() {
            // Like a request that has waited, every other time not to the leader (rule L8).
            let to = self.retry_target();
            self.send_question(step, to, nonce);
        } else {
            self.ask_index(step);
        }
        self.expect_index(step);
    }

    /// Handles `ReadIndex`: the question of a node, or of this one, up to where the log is decided. A node that does not lead
    /// passes it on, like a proposal (rule L8).
    pub(super) fn on_read_index<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        from: NodeId,
        (nonce, reader): (u64, NodeId),
    ) -> Result<(), Reason> {
        if reader.0 >= NODES_MAX || reader == self.config.node && from != reader {
            return Err(Reason::Malformed);
        }
        if self.leader.leading().is_none() {
            let next = self.forward_target(from).filter(|next| *next != reader);
            let next = next.ok_or(Reason::NotLeading)?;
            step.send(
                Role::Leader,
                NodeSet::only(next),
                Message::ReadIndex { nonce, reader },
            );
            return Ok(());
        }
        if !self.leader.ask_index(reader, nonce) {
            step.full(Role::Leader, Queue::Reads);
            return Err(Reason::Full);
        }
        if !self.members().contains(reader) {
            // From now on a learner is told what is decided, as it will have to apply that.
            self.leader.on_learner(reader);
        }
        self.confirm(step);
        Ok(())
    }

    /// Rules Q2 and Q3: begins a round if one is needed, and answers the questions of a round that a quorum has confirmed.
    /// Where this node alone is a quorum, that is at once.
    pub(super) fn confirm<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        loop {
            if self.leader.begin_round().is_some() {
                self.ask_for_confirmation(step);
            }
            let Some(ReadIndex { to, nonce, index }) =
                self.leader.next_index(self.quorum_members())
            else {
                return;
            };
            if to == self.config.node {
                self.take_index(step, nonce, index);
                // What came meanwhile is asked about next, and answered by another round.
                if let Some(nonce) = self.reader.ask() {
                    self.leader.ask_index(to, nonce);
                }
            } else {
                let reply = Message::ReadIndexReply { nonce, index };
                step.send(Role::Leader, NodeSet::only(to), reply);
            }
        }
    }

    /// Asks the members that have not confirmed the round under way.
    pub(super) fn ask_for_confirmation<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
    ) {
        let (Some(ballot), Some((round, others))) = (
            self.leader.leading(),
            self.leader.unconfirmed(self.members()),
        ) else {
            return;
        };
        let message = Message::Confirm { ballot, round };
        step.send(Role::Leader, others.without(self.config.node), message);
    }

    /// Rule Q2: handles `Confirm`. A node that has promised a higher ballot does not confirm: the leader of that one may
    /// have had something else decided.
    pub(super) fn on_confirm<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        from: NodeId,
        (ballot, round): (Ballot, u32),
    ) -> Result<(), Reason> {
        self.check_claim(from, ballot)?;
        if ballot < self.highest_seen {
            return Err(Reason::OldBallot);
        }
        self.follow(step, ballot);
        if !self.is_voting() {
            return Err(Reason::NotVoting);
        }
        let message = Message::Confirmed { ballot, round };
        step.send(Role::Replica, NodeSet::only(from), message);
        Ok(())
    }

    /// Rule Q2: handles `Confirmed`, which counts as a sign that a member hears this leader as well (rule L6).
    pub(super) fn on_confirmed<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        from: NodeId,
        (ballot, round): (Ballot, u32),
    ) -> Result<(), Reason> {
        if self.leader.leading() != Some(ballot) {
            return Err(Reason::StaleReply);
        }
        self.leader.on_answer(from);
        if !self.leader.on_confirmed(from, round) {
            return Err(Reason::StaleReply);
        }
        self.confirm(step);
        Ok(())
    }

    /// Handles `ReadIndexReply`, the answer to this node's question.
    pub(super) fn on_read_index_reply<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        (nonce, index): (u64, Slot),
    ) -> Result<(), Reason> {
        if self.reader.question() != Some(nonce) {
            return Err(Reason::StaleReply);
        }
        self.take_index(step, nonce, index);
        self.ask_index(step);
        self.expect_index(step);
        Ok(())
    }

    /// Takes the index of the reads that were asked about, and serves those for which the log is applied far enough.
    fn take_index<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        nonce: u64,
        index: Slot,
    ) {
        if self.reader.on_index(nonce, index) {
            // A follower may not have heard of these decisions, and asks for them if they do not come.
            self.replica.on_decided(index);
            self.watch_gap(step);
            self.serve_reads(step);
        }
    }

    /// Rule Q5: serves the reads whose index is applied. Called whenever a slot was applied, and does nothing most of the
    /// time.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(super) fn serve_reads<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        if self.reader.is_confirmed() {
            self.serve_confirmed(step);
        }
    }

    #[cold]
    #[inline(never)]
    fn serve_confirmed<T: Tracer<M, PAGE>>(&mut self, step: &mut Step<'_, M, PAGE, T>) {
        let applied = self.replica.applied();
        while let Some(nonce) = self.reader.next_served(applied) {
            self.reply_to_reader(step, nonce, Outcome::Readable { applied });
        }
        self.expect_index(step);
    }

    /// Replies to a client that reads, and traces it like the answer to a request.
    fn reply_to_reader<T: Tracer<M, PAGE>>(
        &self,
        step: &mut Step<'_, M, PAGE, T>,
        nonce: u64,
        outcome: Outcome<M::Output>,
    ) {
        let reply = Reply {
            key: RequestKey::read(nonce),
            fingerprint: 0,
            outcome,
        };
        step.trace_local(self.config.node, (Role::Replica, Role::Requester), || {
            response(reply)
        });
        step.reply(reply);
    }
}
