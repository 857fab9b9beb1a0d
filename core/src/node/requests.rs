//! Client requests: registrations, commands, withdrawals and replies.

use super::{Node, Step};
use crate::mutant::Mutant;
use crate::roles::replica::RequestVerdict;
use crate::roles::requester::Requester;
use crate::timer::Timer;
use crate::{
    AnyOutbox, ClientId, Instant, Message, NodeId, NodeSet, Outcome, Proposal, Queue, Reason,
    Reply, RequestError, RequestKey, RequestNumber, Role, StateMachine, Tracer, WithdrawError,
};

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// Opens a session for a client of this node (rule X2). The reply has the key [`RequestKey::registration`]`(nonce)`
    /// and the outcome [`Outcome::Registered`] with the identity that the client's requests carry from then on.
    ///
    /// The nonce distinguishes a retry from another client: draw it at random. The node repeats the request until there
    /// is a reply; the caller need not.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: nothing was requested.
    pub fn register<T: Tracer<M, PAGE>>(
        &mut self,
        now: Instant,
        nonce: u64,
        outbox: &mut impl AnyOutbox<M, PAGE>,
        tracer: &mut T,
    ) -> Result<(), RequestError> {
        self.ask(now, Proposal::Register { nonce }, outbox, tracer)
    }

    /// Requests that a command be applied, exactly once, for a client of this node (rule X1). The reply is placed in
    /// the outbox of this step or of a later one. A client has one request at a time, numbered upwards from 1. If this
    /// node fails, the client may repeat the request at another node under the same number.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: nothing was requested.
    pub fn request<T: Tracer<M, PAGE>>(
        &mut self,
        now: Instant,
        client: ClientId,
        number: RequestNumber,
        command: M::Command,
        outbox: &mut impl AnyOutbox<M, PAGE>,
        tracer: &mut T,
    ) -> Result<(), RequestError> {
        let proposal = Proposal::Request {
            client,
            number,
            command,
        };
        self.ask(now, proposal, outbox, tracer)
    }

    /// Makes a request that arrived as a proposal from a client over a link: as [`Node::register`] or
    /// [`Node::request`].
    ///
    /// # Errors
    ///
    /// [`RequestError`]: nothing was requested. A no-op cannot be requested, and requests are numbered from 1.
    pub fn ask<T: Tracer<M, PAGE>>(
        &mut self,
        now: Instant,
        proposal: Proposal<M::Command>,
        outbox: &mut impl AnyOutbox<M, PAGE>,
        tracer: &mut T,
    ) -> Result<(), RequestError> {
        // A registration has the number 0 in its key, so a request under that number would be taken for one.
        let registers = matches!(proposal, Proposal::Register { .. });
        let numbered = |key: &RequestKey| key.number != RequestNumber::REGISTRATION;
        let Some(key) = proposal.key().filter(|key| registers || numbered(key)) else {
            return Err(RequestError::NumberZero);
        };
        if key.number == RequestNumber::READ {
            return Err(RequestError::NumbersUsedUp);
        }
        let mut step = self.step(now, outbox, tracer);
        if self.halt.is_some() {
            return Err(RequestError::Halted);
        }
        if step.room() < Self::OUTBOX_MIN {
            return Err(RequestError::OutboxFull);
        }
        if let Some((_, requester)) = self.requester_of_client(key) {
            let number = requester.key.number;
            return Err(RequestError::Outstanding { number });
        }
        // Kept before it is passed on: the answer may come in this very step, and finds its requester.
        let requester = Requester::new(proposal, key);
        let fingerprint = requester.fingerprint;
        if !self.requesters.insert(requester) {
            step.full(Role::Requester, Queue::Requesters);
            return Err(RequestError::Full { capacity: CLIENTS });
        }
        if !self.timers.is_armed(Timer::Request) {
            self.timers
                .arm_after(Timer::Request, &now, &self.config.request_retransmit);
        }
        self.ask_replica(&mut step, &proposal, fingerprint);
        debug_assert!(
            self.mistake.is_any() || step.messages() <= Self::OUTBOX_MIN,
            "says more in one step than there has to be room for (N4)"
        );
        step.finish();
        self.invariants();
        Ok(())
    }

    /// Withdraws a request or a registration that was made at this node (rule X4): it is no longer answered here, and
    /// its place is free for another.
    ///
    /// The log is not changed. The request may have been applied, and may still be: by the leader that has received the
    /// proposal, or because the client made it at another node as well. The client may make the same request again
    /// under the same number. Any other request takes a later number, and once that one is answered, the withdrawn one
    /// was either applied before it or never will be.
    ///
    /// # Errors
    ///
    /// [`WithdrawError`]: nothing was withdrawn.
    pub fn withdraw(&mut self, key: RequestKey) -> Result<(), WithdrawError> {
        let (index, requester) = self
            .requester_of(key)
            .ok_or(WithdrawError::NotOutstanding)?;
        let fingerprint = requester.fingerprint;
        self.requesters.remove(index);
        if self.requesters.len() == 0 {
            self.timers.cancel(Timer::Request);
        }
        debug_assert!(
            !self.is_outstanding(key),
            "a client had two requests at a time"
        );
        // A node that waits for this client here repeats its request, unless the client withdraws it there as well.
        let _ = self.replica.on_answer(key, fingerprint);
        self.invariants();
        Ok(())
    }

    /// True if a request that was made at this node has not been answered yet.
    pub fn is_outstanding(&self, key: RequestKey) -> bool {
        self.requester_of(key).is_some()
    }

    /// True if exactly this proposal was made at this node and has not been answered yet; another command under the
    /// same key does not count.
    pub(crate) fn is_requesting(&self, proposal: &Proposal<M::Command>) -> bool {
        let asked = proposal.key().and_then(|key| self.requester_of(key));
        asked.is_some_and(|(_, requester)| requester.proposal.same_as(proposal))
    }

    /// Returns the requester of a request, with its index.
    pub(super) fn requester_of(&self, key: RequestKey) -> Option<(usize, &Requester<M::Command>)> {
        self.requester_of_client(key)
            .filter(|(_, requester)| requester.key == key)
    }

    /// Returns the requester of a client, whatever its request number: a client has one request at a time, beside a
    /// registration.
    fn requester_of_client(&self, key: RequestKey) -> Option<(usize, &Requester<M::Command>)> {
        let registers = |key: RequestKey| key.number == RequestNumber::REGISTRATION;
        let index = self.requesters.find(key.client.0, |known| {
            known.key.client == key.client && registers(known.key) == registers(key)
        })?;
        Some((index, self.requesters.at(index)?))
    }

    /// Passes a request to the replica of this node, by a call; or to another node as long as this one has not joined.
    fn ask_replica<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        proposal: &Proposal<M::Command>,
        fingerprint: u32,
    ) {
        let me = self.config.node;
        let message = || Message::Request {
            proposal: *proposal,
        };
        if self.is_active() {
            step.trace_local(me, (Role::Requester, Role::Replica), message);
            // A rejection is traced by the replica, and the requester repeats the request.
            let _ = self.on_request(step, me, (proposal, fingerprint));
        } else if let Some(peer) = self.random_peer() {
            step.send(Role::Requester, NodeSet::only(peer), message());
        }
    }

    /// Timer `Request`: requesters that have waited repeat their requests.
    ///
    /// They are listed first, as an answer may come at once and remove its requester from the table.
    pub(super) fn on_request_timeout<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
    ) {
        let mut again = heapless::Vec::<(Proposal<M::Command>, u32), CLIENTS>::new();
        for requester in self.requesters.iter_mut() {
            if requester.on_retransmit() {
                // The list has room for all requesters.
                let _ = again.push((requester.proposal, requester.fingerprint));
            }
        }
        for (proposal, fingerprint) in &again {
            self.ask_replica(step, proposal, *fingerprint);
        }
        if self.requesters.len() > 0 {
            self.timers
                .arm_after(Timer::Request, &step.now, &self.config.request_retransmit);
        }
    }

    /// Handles `Request`, with its fingerprint: answers it from the session, or makes it pending. It comes from a
    /// requester of this node, by a call, or from a node that has not joined yet.
    pub(super) fn on_request<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        from: NodeId,
        (proposal, fingerprint): (&Proposal<M::Command>, u32),
    ) -> Result<(), Reason> {
        let key = proposal.key().ok_or(Reason::Malformed)?;
        let reply_with = |outcome| Reply {
            key,
            fingerprint,
            outcome,
        };
        if self.makes(Mutant::StaleRead)
            && self.leader.leading().is_some()
            && let Some(outcome) = self.replica.read(proposal)
        {
            self.respond(step, from, reply_with(outcome));
            return Ok(());
        }
        match self.replica.on_request(proposal, fingerprint, from) {
            RequestVerdict::Answered(outcome) => {
                self.respond(step, from, reply_with(outcome));
                Ok(())
            }
            RequestVerdict::Known => Err(Reason::Known),
            RequestVerdict::Full => {
                step.full(Role::Replica, Queue::Pending);
                self.respond(step, from, reply_with(Outcome::Busy));
                Ok(())
            }
            RequestVerdict::Pending => {
                if !self.timers.is_armed(Timer::Propose) {
                    self.timers.arm_after(
                        Timer::Propose,
                        &step.now,
                        &self.config.propose_retransmit,
                    );
                }
                // Where no leader is known it waits, and is proposed to the next one.
                let to = self.proposal_target();
                self.propose(step, to, proposal, false);
                self.make_progress(step);
                Ok(())
            }
        }
    }

    /// Sends a reply to the node that waits for it: to a requester of this node by a call, to another node by a
    /// message.
    pub(super) fn respond<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        waiter: NodeId,
        reply: Reply<M::Output>,
    ) {
        let me = self.config.node;
        if waiter != me {
            return step.send(Role::Replica, NodeSet::only(waiter), response(reply));
        }
        step.trace_local(me, (Role::Replica, Role::Requester), || response(reply));
        // The requester may be gone, because it has its answer already.
        let _ = self.answer(step, reply);
    }

    /// Rule R3: answers the request that was just applied. Returns true if others are pending that it may have overtaken:
    /// the caller answers those, as one call inside of the other would make the deepest stack deeper.
    pub(super) fn respond_to_waiting<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        reply: Reply<M::Output>,
    ) -> bool {
        if let Some(waiter) = self.replica.on_answer(reply.key, reply.fingerprint) {
            self.respond(step, waiter, reply);
        }
        self.replica.is_asked_by(reply.key.client)
    }

    /// Answers pending requests that were overtaken: by a snapshot, or by another command under the same number or a
    /// later one. Otherwise they would wait until their own commands have got a slot as well, or forever.
    pub(super) fn respond_to_overtaken<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
    ) {
        // Ends because each round takes a request away from those that are pending.
        while let Some((waiter, reply)) = self.replica.next_answered() {
            self.respond(step, waiter, reply);
        }
    }

    /// Handles `Response`: for a requester of this node; or, from the leader, for a request that is pending here.
    pub(super) fn on_response<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        reply: Reply<M::Output>,
    ) -> Result<(), Reason> {
        // No node answers a request of another one with what is said of reads.
        if matches!(reply.outcome, Outcome::Readable { .. } | Outcome::NotNow) {
            return Err(Reason::Malformed);
        }
        // A busy replica has not answered the request yet. A request that is pending here goes on.
        let waiter = if reply.outcome == Outcome::Busy {
            None
        } else {
            self.replica.on_answer(reply.key, reply.fingerprint)
        };
        if let Some(waiter) = waiter.filter(|waiter| *waiter != self.config.node) {
            step.send(Role::Replica, NodeSet::only(waiter), response(reply));
            return Ok(());
        }
        self.answer(step, reply)
    }

    /// Rule X1: passes the reply to its requester, which then ends. A reply to another command under the same key is
    /// ignored.
    fn answer<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        reply: Reply<M::Output>,
    ) -> Result<(), Reason> {
        if reply.outcome == Outcome::Busy {
            // The requester repeats the request.
            return Ok(());
        }
        let (index, _) = self
            .requester_of(reply.key)
            .filter(|(_, requester)| requester.fingerprint == reply.fingerprint)
            .ok_or(Reason::UnknownRequest)?;
        self.requesters.remove(index);
        if self.requesters.len() == 0 {
            self.timers.cancel(Timer::Request);
        }
        debug_assert!(
            !self.is_outstanding(reply.key),
            "a client had two requests at a time"
        );
        step.reply(reply);
        Ok(())
    }
}

/// Converts a reply to a message.
pub(super) fn response<M: StateMachine, const PAGE: usize>(
    reply: Reply<M::Output>,
) -> Message<M, PAGE> {
    let Reply {
        key,
        fingerprint,
        outcome,
    } = reply;
    Message::Response {
        key,
        fingerprint,
        outcome,
    }
}
