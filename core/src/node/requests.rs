//! Clients: registrations, requests, proposals and answers.

use super::{Node, Step};
use crate::mutant::Mutant;
use crate::roles::leader::EnqueueVerdict;
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
    /// Opens a session for a client of this node (rule X2). The reply's key is
    /// [`RequestKey::registration`]`(nonce)` and its outcome [`Outcome::Registered`] with the identity that the client's
    /// requests carry from then on.
    ///
    /// The nonce tells a retry from another client: draw it at random. The node asks until it has an answer; the caller
    /// need not repeat.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: nothing was asked.
    pub fn register<T: Tracer<M, PAGE>>(
        &mut self,
        now: Instant,
        nonce: u64,
        outbox: &mut impl AnyOutbox<M, PAGE>,
        tracer: &mut T,
    ) -> Result<(), RequestError> {
        self.ask(now, Proposal::Register { nonce }, outbox, tracer)
    }

    /// Asks for a command to be applied, once, for a client of this node (rule X1). The reply comes through the outbox of
    /// this or a later step. A client asks one thing at a time, under numbers that rise from 1; it may ask at another
    /// node when this one has gone, under the same number.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: nothing was asked.
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

    /// Asks what a proposal asks: [`Node::register`] or [`Node::request`], as it came from a client over a link.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: nothing was asked. A no-op is asked for by nobody, and a request is numbered from 1.
    pub fn ask<T: Tracer<M, PAGE>>(
        &mut self,
        now: Instant,
        proposal: Proposal<M::Command>,
        outbox: &mut impl AnyOutbox<M, PAGE>,
        tracer: &mut T,
    ) -> Result<(), RequestError> {
        let registers = matches!(proposal, Proposal::Register { .. });
        let numbered = |key: &RequestKey| key.number != RequestNumber::REGISTRATION;
        let Some(key) = proposal.key().filter(|key| registers || numbered(key)) else {
            return Err(RequestError::NumberZero);
        };
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
        step.finish();
        self.invariants();
        Ok(())
    }

    /// Takes back a request that was made at this node, or a registration (rule X4): it is answered here no more, and its
    /// place is free for another.
    ///
    /// Nothing of it is taken out of the log. It may have been applied, and may yet be: by the leader that it was handed to,
    /// or because the client asked at another node, too. A client may ask for the same again under the same number; anything
    /// else it asks for under a later one, and once that is answered, what was withdrawn was applied before it or never will
    /// be.
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
        // A node that asked here for the same client asks again, unless the client withdraws it there, too.
        let _ = self.replica.on_answer(key, fingerprint);
        self.invariants();
        Ok(())
    }

    /// Whether a request that was made at this node has no answer yet.
    pub fn is_outstanding(&self, key: RequestKey) -> bool {
        self.requester_of(key).is_some()
    }

    /// Whether just this was asked at this node, and has no answer yet: not only something under the same key.
    pub(crate) fn is_requesting(&self, proposal: &Proposal<M::Command>) -> bool {
        let asked = proposal.key().and_then(|key| self.requester_of(key));
        asked.is_some_and(|(_, requester)| requester.proposal.same_as(proposal))
    }

    /// The requester of a request, and where it is.
    fn requester_of(&self, key: RequestKey) -> Option<(usize, &Requester<M::Command>)> {
        self.requester_of_client(key)
            .filter(|(_, requester)| requester.key == key)
    }

    /// What a client has outstanding here, under whatever number: it asks one thing at a time, beside registering.
    fn requester_of_client(&self, key: RequestKey) -> Option<(usize, &Requester<M::Command>)> {
        let registers = |key: RequestKey| key.number == RequestNumber::REGISTRATION;
        let index = self.requesters.find(key.client.0, |known| {
            known.key.client == key.client && registers(known.key) == registers(key)
        })?;
        Some((index, self.requesters.at(index)?))
    }

    /// A requester asks the replica of its own node, by a call; or, as long as that has not joined, somebody else's.
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
            // What keeps it from being taken is traced there, and the requester asks again.
            let _ = self.on_request(step, me, (proposal, fingerprint));
        } else if let Some(peer) = self.random_peer() {
            step.send(Role::Requester, NodeSet::only(peer), message());
        }
    }

    /// Requesters that have waited ask again.
    pub(super) fn on_request_timeout<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
    ) {
        let mut again = heapless::Vec::<(Proposal<M::Command>, u32), CLIENTS>::new();
        for requester in self.requesters.iter_mut() {
            if requester.on_retransmit() {
                // As many as there are requesters.
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

    /// A request arrives at the replica, with its fingerprint: it is answered from the session, or waits for its decision.
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
                let to = self.proposal_target();
                self.propose(step, to, proposal, false);
                self.make_progress(step);
                Ok(())
            }
        }
    }

    /// Hands a request to the leader: by a call if that is this node. Without one it goes to who may hear one (rule L8), or
    /// waits.
    fn propose<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        to: Option<NodeId>,
        proposal: &Proposal<M::Command>,
        retry: bool,
    ) {
        let me = self.config.node;
        let message = || Message::Propose {
            proposal: *proposal,
            retry,
        };
        match to {
            Some(leader) if leader == me => {
                step.trace_local(me, (Role::Replica, Role::Leader), message);
                self.enqueue(step, proposal, retry);
            }
            Some(leader) => step.send(Role::Replica, NodeSet::only(leader), message()),
            None => {}
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    fn enqueue<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        proposal: &Proposal<M::Command>,
        retry: bool,
    ) -> EnqueueVerdict {
        if !retry && self.start(step, proposal) {
            return EnqueueVerdict::Taken;
        }
        let enqueued = self.leader.enqueue(proposal, retry);
        if enqueued == EnqueueVerdict::Full {
            step.full(Role::Leader, Queue::Waiting);
        }
        enqueued
    }

    /// Rules R3 and L4: hands the pending requests to the leader: all of them to a new one, or else those that have waited.
    pub(super) fn propose_pending<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        all: bool,
    ) {
        if all || self.replica.pending() == 0 {
            self.bypass_leader = false;
        }
        if self.replica.pending() == 0 {
            return;
        }
        self.timers
            .arm_after(Timer::Propose, &step.now, &self.config.propose_retransmit);
        let to = if all {
            self.proposal_target()
        } else {
            self.retry_target()
        };
        for proposal in &self.replica.take_proposals(all) {
            self.propose(step, to, proposal, true);
        }
    }

    pub(super) fn on_propose_timeout<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
    ) {
        self.propose_pending(step, false);
        self.make_progress(step);
    }

    /// Rules L3 and L8: the leader takes a proposal, and a follower passes it on to its leader; who hears none leaves it to
    /// the replica to find one.
    pub(super) fn on_propose<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        from: NodeId,
        proposal: &Proposal<M::Command>,
        retry: bool,
    ) -> Result<(), Reason> {
        let key = proposal.key().ok_or(Reason::Malformed)?;
        let passed_on = self.forward_target(from);
        let leads = self.leader.leading().is_some();
        if !leads && passed_on.is_none() {
            return Err(Reason::NotLeading);
        }
        if retry {
            let fingerprint = proposal.fingerprint();
            if let Some(outcome) = self.replica.look_up(proposal, fingerprint) {
                // The replica that asks is behind: it gets the answer, instead of the log a second entry.
                let message = response(Reply {
                    key,
                    fingerprint,
                    outcome,
                });
                step.send(Role::Replica, NodeSet::only(from), message);
                return Err(Reason::Known);
            }
        }
        if let Some(next) = passed_on.filter(|_| !leads) {
            let proposal = *proposal;
            let message = Message::Propose { proposal, retry };
            step.send(Role::Replica, NodeSet::only(next), message);
            return Ok(());
        }
        let enqueued = self.enqueue(step, proposal, retry);
        self.make_progress(step);
        match enqueued {
            EnqueueVerdict::Taken => Ok(()),
            EnqueueVerdict::Known => Err(Reason::Known),
            EnqueueVerdict::Full => Err(Reason::Full),
        }
    }

    /// Answers whoever waits: a requester of this node by a call, another node by a message.
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
        // A requester that has its answer already is gone.
        let _ = self.answer(step, reply);
    }

    /// Rule R3: answers who waits here for what was applied, and who was overtaken by it.
    #[inline(never)]
    pub(super) fn respond_to_waiting<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        reply: Reply<M::Output>,
    ) {
        if let Some(waiter) = self.replica.on_answer(reply.key, reply.fingerprint) {
            self.respond(step, waiter, reply);
        }
        if self.replica.is_asked_by(reply.key.client) {
            self.respond_to_overtaken(step);
        }
    }

    /// Answers who waits here and was overtaken: by a snapshot, or by another command under the same number or a later
    /// one. Without this it would wait until its command has got a slot as well, or for ever.
    pub(super) fn respond_to_overtaken<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
    ) {
        while let Some((waiter, reply)) = self.replica.next_answered() {
            self.respond(step, waiter, reply);
        }
    }

    /// An answer arrives: for a requester of this node, or from the leader for a request that waits here for its decision.
    pub(super) fn on_response<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        reply: Reply<M::Output>,
    ) -> Result<(), Reason> {
        // A replica that is busy has answered nothing yet.
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

    /// Rule X1: a requester has the answer to what it asked, and ends. An answer to another command under its key is not
    /// its own.
    fn answer<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        reply: Reply<M::Output>,
    ) -> Result<(), Reason> {
        if reply.outcome == Outcome::Busy {
            // The requester asks again.
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
        step.reply(reply);
        Ok(())
    }
}

/// A reply as a message.
fn response<M: StateMachine, const PAGE: usize>(reply: Reply<M::Output>) -> Message<M, PAGE> {
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
