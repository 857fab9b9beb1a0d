//! Dispatching the output of a step: writes, then messages, then replies.
//!
//! Here the output of a node becomes events. A message is given its fate when it leaves and not when it arrives, so
//! that a run is decided by the order of sending alone. Replies are handed to clients at once, as they are on the
//! node's own board.

use super::capacities::{Capacity, EventQueue, Events, Room};
use super::event_loop::Simulation;
use super::fault::FaultKind;
use super::nemesis::{Fate, InTransit, Nemesis};
use super::network_conditions::LinkEffect;
use super::observer::{NodeProgress, Observer, StepsTaken};
use super::plan::Plan;
use super::scheduler::SimEvent;
use super::setting::Setting;
use crate::{
    AnyOutbox, Duration, Event, Instant, MessageKind, Node, NodeId, Outgoing, Queue, Record, Role,
    StateMachine, Tracer, Way,
};

impl<S: Setting<W, C, P>, const W: usize, const C: usize, const P: usize> Simulation<S, W, C, P> {
    /// Handles the output of a step: writes, then messages, then replies.
    pub(super) fn after_step<T: Tracer<S::Machine, P>, O: Observer<S::Machine, W, C, P>>(
        &mut self,
        node: NodeId,
        tracer: &mut T,
        observer: &mut O,
    ) {
        // The wake comes before the messages and these before the turns of clients: of two events for one instant the
        // one happens first that was scheduled first. Another order would be another run.
        self.schedule_wake(node);
        // Before the node takes another step: what it applies by then may not be durable when the reply leaves.
        if Self::PLANS && self.reads {
            self.look_into(node);
        }
        if Self::DEFERRED {
            return self.persist(node, tracer, observer);
        }
        // A halt is noticed before the messages leave, which is all the same: nothing arrives before the run ends.
        self.check(node);
        self.counts.writes += crate::outbox::run_len(self.outbox.writes().len());
        self.dispatch(node, false, tracer, observer);
    }

    /// Dispatches output whose writes are durable: that which a sync has covered, or else all that was gathered.
    /// An observer sees all of it before any of it leaves. A violation does not keep it back: the run ends with the
    /// next event.
    pub(super) fn dispatch<T: Tracer<S::Machine, P>, O: Observer<S::Machine, W, C, P>>(
        &mut self,
        node: NodeId,
        covered: bool,
        tracer: &mut T,
        observer: &mut O,
    ) {
        if Self::DEFERRED {
            self.check_dispatched(node, covered);
        }
        let Some(member) = self.members.get(usize::from(node.0)) else {
            return;
        };
        let (outbox, progress, boundaries, left, since) = if Self::DEFERRED {
            let index = usize::from(node.0);
            let Some(pending) = self.pending.get(index) else {
                return;
            };
            let batch = pending.batch(covered);
            let boundaries = batch.boundaries.as_slice();
            let (outbox, progress) = (&batch.outbox, batch.progress);
            let left = (batch.early_left, batch.early_replies);
            (outbox, progress, boundaries, left, batch.began)
        } else {
            // Each step leaves alone, so that there is nothing between steps.
            let progress = NodeProgress::of(&member.node);
            (&self.outbox, progress, &[][..], (false, 0), self.now)
        };
        let (early_left, replied) = left;
        let seen = observer.stepped(&StepsTaken {
            at: self.now,
            since,
            node: &member.node,
            progress,
            boundaries,
            writes: outbox.writes(),
            messages: outbox.messages(),
            replies: outbox.replies(),
        });
        let spare = self.reserved();
        let mut sender = Sender::<S, W, C, P> {
            now: self.now,
            node: &member.node,
            nemesis: &mut self.nemesis,
            scheduler: &mut self.scheduler,
            spare,
        };
        for outgoing in outbox.messages() {
            if !(early_left && member.node.leaves_early(outbox, outgoing)) {
                sender.send(outgoing, 0, tracer);
            }
        }
        self.hand_out_replies(node, covered, replied, observer);
        self.clear_dispatched(node, covered);
        // A violation that an observer finds in a step is closer to the cause than one in its consequences.
        if let Err(violation) = seen {
            self.violation = Some(violation);
        }
    }

    /// Hands the replies of a node from one on to their clients.
    fn hand_out_replies<O: Observer<S::Machine, W, C, P>>(
        &mut self,
        node: NodeId,
        covered: bool,
        from: usize,
        observer: &mut O,
    ) {
        let replies = |this: &Self| {
            let outbox = this.outbox_of(node, covered);
            outbox.map_or(0, |outbox| outbox.replies().len())
        };
        let count = replies(self);
        // By index, as a client changes the simulation that the outbox is a part of.
        for index in from..count {
            let outbox = self.outbox_of(node, covered);
            if let Some(reply) = outbox.and_then(|outbox| outbox.replies().get(index).copied()) {
                self.handle_reply(reply.key, reply.outcome, observer);
            }
        }
        debug_assert!(
            replies(self) == count,
            "a client that is answered takes its next turn later"
        );
    }

    /// Sends the messages and hands out the replies of a node that need not wait for the sync that has just begun. All writes
    /// of earlier syncs are durable by then, as only one is under way at a time.
    pub(super) fn dispatch_early<T: Tracer<S::Machine, P>, O: Observer<S::Machine, W, C, P>>(
        &mut self,
        node: NodeId,
        tracer: &mut T,
        observer: &mut O,
    ) {
        let (index, spare) = (usize::from(node.0), self.reserved());
        let (Some(member), Some(pending)) = (self.members.get(index), self.pending.get_mut(index))
        else {
            return;
        };
        let batch = pending.batch_mut(true);
        batch.early_left = true;
        let mut sender = Sender::<S, W, C, P> {
            now: self.now,
            node: &member.node,
            nemesis: &mut self.nemesis,
            scheduler: &mut self.scheduler,
            spare,
        };
        let (mut overtaken, mut early) = (0, 0);
        for outgoing in batch.outbox.messages() {
            if member.node.leaves_early(&batch.outbox, outgoing) {
                if let Err(violation) = observer.left_early(&member.node, outgoing) {
                    self.violation = Some(violation);
                }
                sender.send(outgoing, overtaken, tracer);
                early += 1;
            } else {
                overtaken += 1;
            }
        }
        let Some(pending) = self.pending_of_mut(node) else {
            return;
        };
        pending.early += early;
        let batch = pending.batch_mut(true);
        if !batch.outbox.waits() {
            batch.early_replies = batch.outbox.replies().len();
            self.hand_out_replies(node, true, 0, observer);
        }
    }

    /// Places in the scheduler that no message may take. A message may be lost, but a turn of a client, a wake or a fault
    /// that is lost never happens. A torn write may end twice: soon after it, and when its fault was planned to end.
    /// A node may have stale wakes besides the one that is counted here; the [room](Room::Events) of a simulation has
    /// to allow for some.
    #[inline]
    fn reserved(&self) -> usize {
        let faults = self.nemesis.plan().map_or(0, Plan::len) * 2;
        let syncs = if Self::DEFERRED {
            self.members.len()
        } else {
            0
        };
        // A client may lose its patience besides.
        let events = if Self::PLANS && self.patience.is_some() {
            2
        } else {
            1
        };
        self.clients.len() * events + self.members.len() + syncs + faults
    }
}

/// Sends the messages of one node over the simulated network. It borrows the parts of the simulation that it needs, as
/// the outbox that it reads is another part.
struct Sender<'a, S: Setting<W, C, P>, const W: usize, const C: usize, const P: usize> {
    now: Instant,
    /// The sender.
    node: &'a Node<S::Machine, W, C, P>,
    nemesis: &'a mut S::Nemesis,
    scheduler: &'a mut Events<S::Room, S::Machine, P>,
    /// Places in the scheduler that no message may take.
    spare: usize,
}

impl<S: Setting<W, C, P>, const W: usize, const C: usize, const P: usize> Sender<'_, S, W, C, P> {
    /// Sends a message to each of its recipients, in the order of their numbers. Each copy has a fate of its own.
    /// `overtaken` is the number of older messages of the node that have not left.
    #[expect(
        clippy::inline_always,
        reason = "called in two places; a call of its own would cost more than it does"
    )]
    #[inline(always)]
    fn send<T: Tracer<S::Machine, P>>(
        &mut self,
        outgoing: &Outgoing<S::Machine, P>,
        overtaken: usize,
        tracer: &mut T,
    ) {
        let message = &outgoing.message;
        let from = self.node.id();
        debug_assert!(
            !outgoing.to.contains(from),
            "a node handles what it sends to itself within its step"
        );
        tracer.on_way(Way::Leaves { from, overtaken });
        for to in outgoing.to.iter() {
            let mut fate = self.fate(to, message.kind());
            let Some(delay) = fate.delay else {
                record(tracer, self.now, from, Event::Lost { to, message });
                continue;
            };
            if S::Nemesis::PLANS
                && let Some(cause) = fate.late
            {
                let by = delay;
                let event = Event::Delayed {
                    to,
                    message,
                    by,
                    cause,
                };
                record(tracer, self.now, from, event);
            }
            if S::Nemesis::PLANS && fate.again.is_some() {
                record(tracer, self.now, from, Event::Duplicated { to, message });
            }
            // Both copies are scheduled by the same call, which is inlined and large.
            let mut next = Some(delay);
            while let Some(delay) = next {
                self.schedule(to, outgoing, delay, tracer);
                next = if S::Nemesis::PLANS {
                    fate.again.take()
                } else {
                    None
                };
            }
        }
    }

    /// Decides the fate of a message: what the nemesis makes of it, and then the faults that are active.
    #[inline]
    fn fate(&mut self, to: NodeId, kind: MessageKind) -> Fate {
        let from = self.node.id();
        // The nemesis is asked even where a planned fault loses the message anyway. So a fault that is taken out of the
        // plan moves no draw, and the rest of the run stays as it was as far as it can.
        let fate = self.nemesis.fate(InTransit {
            at: self.now,
            from,
            to,
            kind,
        });
        match self.nemesis.plan() {
            Some(plan) => apply_effect(fate, plan.conditions.effect(self.now, from, to)),
            None => fate,
        }
    }

    /// Schedules the delivery of one copy of a message. Where the scheduler has no room for it, the copy is lost.
    #[expect(
        clippy::inline_always,
        reason = "called in one place; a call of its own would cost more than it does"
    )]
    #[inline(always)]
    fn schedule<T: Tracer<S::Machine, P>>(
        &mut self,
        to: NodeId,
        outgoing: &Outgoing<S::Machine, P>,
        delay: Duration,
        tracer: &mut T,
    ) {
        let envelope = self.node.envelope(to, outgoing);
        // Messages are the only events that may be lost, so they are what has to leave room for the others.
        let is_full = self.scheduler.queued() + self.spare >= <S::Room as Room>::Events::MAX;
        let at = self.now + delay;
        let event = SimEvent::Deliver(envelope);
        if is_full || self.scheduler.push(at, event).is_err() {
            let (from, queue, message) = (self.node.id(), Queue::Scheduler, &outgoing.message);
            record(tracer, self.now, from, Event::Full { queue });
            record(tracer, self.now, from, Event::Lost { to, message });
        } else {
            // A copy goes by the number of its event, by which a recording of messages finds it again.
            let copy = self.scheduler.last();
            tracer.on_way(Way::Carried { copy });
        }
    }
}

/// Records an event of the network, which is traced under the node that has sent the message.
fn record<M: StateMachine, T: Tracer<M, PAGE>, const PAGE: usize>(
    tracer: &mut T,
    at: Instant,
    node: NodeId,
    event: Event<'_, M, PAGE>,
) {
    let role = Role::Network;
    tracer.record(&Record {
        at,
        node,
        role,
        event,
    });
}

/// Applies the effect of network faults to the fate of a message.
fn apply_effect(mut fate: Fate, effect: LinkEffect) -> Fate {
    match effect {
        LinkEffect::None => fate,
        LinkEffect::Drop => Fate::default(),
        LinkEffect::Delay(wait) => {
            if fate.delay.is_some_and(|delay| delay < wait) {
                fate.late = Some(FaultKind::Clog);
            }
            fate.delay = fate.delay.map(|delay| delay.max(wait));
            fate.again = fate.again.map(|delay| delay.max(wait));
            debug_assert!(
                fate.delay.is_none_or(|delay| delay >= wait),
                "a message leaves a clogged link before it is free"
            );
            fate
        }
    }
}
