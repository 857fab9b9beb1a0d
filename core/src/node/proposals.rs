//! Proposals: what a replica hands to the leader, and what the leader or a follower does with it.

use super::requests::response;
use super::{Node, Step};
use crate::roles::leader::EnqueueVerdict;
use crate::timer::Timer;
use crate::{Message, NodeId, NodeSet, Proposal, Queue, Reason, Reply, Role, StateMachine, Tracer};

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// Proposes a request to the leader; by a call if that is this node. Without a leader it goes to a relay (rule L8),
    /// or waits.
    pub(super) fn propose<T: Tracer<M, PAGE>>(
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
                if !self.refuse_change(step, me, proposal) {
                    self.enqueue(step, proposal, retry);
                }
            }
            Some(leader) => step.send(Role::Replica, NodeSet::only(leader), message()),
            None => {}
        }
    }

    /// Gives a proposal to the leader on this node: it gets a slot at once, or waits for one (rule L3). A retry is
    /// looked up first, so that it does not get a second slot while the first one is in flight.
    fn enqueue<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        proposal: &Proposal<M::Command>,
        retry: bool,
    ) -> EnqueueVerdict {
        debug_assert!(
            self.mistake.is_any() || self.leader.leading().is_some(),
            "only a leader takes proposals (L4)"
        );
        if !retry && self.start(step, proposal) {
            return EnqueueVerdict::Taken;
        }
        let enqueued = self.leader.enqueue(proposal, retry);
        if enqueued == EnqueueVerdict::Full {
            step.full(Role::Leader, Queue::Waiting);
        }
        enqueued
    }

    /// Rules R3 and L4: proposes pending requests to the leader: all of them if the leader is new, otherwise those that
    /// have waited.
    pub(super) fn propose_pending<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        all: bool,
    ) {
        // A new leader is tried before any other way (rule L8).
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

    /// Timer `Propose`: proposes again what has waited. If this node leads, that may be all that it takes to fill a
    /// slot.
    pub(super) fn on_propose_timeout<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
    ) {
        self.propose_pending(step, false);
        self.make_progress(step);
    }

    /// Rules L3 and L8: handles `Propose`. The leader takes the proposal, and a follower forwards it to its leader. A
    /// node that hears no leader drops it, and the replica that sent it finds another way.
    pub(super) fn on_propose<T: Tracer<M, PAGE>>(
        &mut self,
        step: &mut Step<'_, M, PAGE, T>,
        from: NodeId,
        proposal: &Proposal<M::Command>,
        retry: bool,
    ) -> Result<(), Reason> {
        // A no-op has no key: leaders put it into holes themselves (rule L1).
        let key = proposal.key().ok_or(Reason::Malformed)?;
        let passed_on = self.forward_target(from);
        let leads = self.leader.leading().is_some();
        if !leads && passed_on.is_none() {
            return Err(Reason::NotLeading);
        }
        // Only for a retry: a request that is proposed for the first time was looked up by the replica that sends it.
        if retry {
            let fingerprint = proposal.fingerprint();
            if let Some(outcome) = self.replica.look_up(proposal, fingerprint) {
                // The replica that asks is behind: it gets the answer, and the log no second entry.
                let message = response(Reply {
                    key,
                    fingerprint,
                    outcome,
                });
                step.send(Role::Replica, NodeSet::only(from), message);
                return Err(Reason::Known);
            }
        }
        // Passed on as it came, whether it is a retry included: the leader decides what to do with it.
        if let Some(next) = passed_on.filter(|_| !leads) {
            let proposal = *proposal;
            let message = Message::Propose { proposal, retry };
            step.send(Role::Replica, NodeSet::only(next), message);
            return Ok(());
        }
        if self.refuse_change(step, from, proposal) {
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
}
