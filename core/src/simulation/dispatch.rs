//! Carrying what a step wants done: writes, messages, replies.

use super::event_loop::Simulation;
use super::fault::FaultKind;
use super::nemesis::{Fate, InTransit, Nemesis};
use super::network_conditions::LinkEffect;
use super::observer::{NodeProgress, Observer, StepsTaken};
use super::plan::Plan;
use super::room::EventQueue;
use super::scheduler::SimEvent;
use super::setting::Setting;
use crate::{AnyOutbox, Event, Instant, NodeId, Queue, Record, Role, StateMachine, Tracer, Way};

impl<S: Setting<W, C, P>, const W: usize, const C: usize, const P: usize> Simulation<S, W, C, P> {
    /// Carries what a step wants done, in order: writes, messages, replies.
    pub(super) fn after_step<T: Tracer<S::Machine, P>, O: Observer<S::Machine, W, C, P>>(
        &mut self,
        node: NodeId,
        tracer: &mut T,
        observer: &mut O,
    ) {
        self.schedule_wake(node);
        if Self::LASTING {
            return self.keep(node, tracer, observer);
        }
        self.check(node);
        self.counts.writes += crate::outbox::run_len(self.outbox.writes().len());
        self.release(node, false, tracer, observer);
    }

    /// What a node holds leaves it, as what it wanted written is durable: what a sync has covered, or else all that was
    /// gathered.
    pub(super) fn release<T: Tracer<S::Machine, P>, O: Observer<S::Machine, W, C, P>>(
        &mut self,
        node: NodeId,
        covered: bool,
        tracer: &mut T,
        observer: &mut O,
    ) {
        if Self::LASTING {
            self.check_released(node, covered);
        }
        let Some(member) = self.members.get(usize::from(node.0)) else {
            return;
        };
        let (outbox, progress, boundaries) = if Self::LASTING {
            let index = usize::from(node.0);
            let Some(held) = self.held.get(index) else {
                return;
            };
            let batch = held.batch(covered);
            (&batch.outbox, batch.progress, batch.boundaries.as_slice())
        } else {
            (&self.outbox, NodeProgress::of(&member.node), &[][..])
        };
        let seen = observer.stepped(&StepsTaken {
            at: self.now,
            node: &member.node,
            progress,
            boundaries,
            writes: outbox.writes(),
            messages: outbox.messages(),
            replies: outbox.replies(),
        });
        // A message may be lost; a turn of a client, a wake or a fault would never come again. Room is kept for those.
        // What is torn may end twice: soon after, and when that was planned.
        let ahead = self.nemesis.plan().map_or(0, Plan::len) * 2;
        let syncs = if Self::LASTING { self.members.len() } else { 0 };
        let spare = self.clients.len() + self.members.len() + syncs + ahead;
        for outgoing in outbox.messages() {
            let message = &outgoing.message;
            tracer.on_way(Way::Leaves { from: node });
            for to in outgoing.to.iter() {
                let mut say = |event| record(tracer, self.now, node, event);
                let fate = self.nemesis.fate(InTransit {
                    at: self.now,
                    from: node,
                    to,
                    kind: message.kind(),
                });
                let mut fate = match self.nemesis.plan() {
                    Some(plan) => bend(fate, plan.conditions.effect(self.now, node, to)),
                    None => fate,
                };
                let Some(delay) = fate.delay else {
                    say(Event::Lost { to, message });
                    continue;
                };
                if Self::PLANS
                    && let Some(cause) = fate.late
                {
                    say(Event::Delayed {
                        to,
                        message,
                        by: delay,
                        cause,
                    });
                }
                if Self::PLANS && fate.again.is_some() {
                    say(Event::Duplicated { to, message });
                }
                let mut next = Some(delay);
                while let Some(delay) = next {
                    let envelope = member.node.envelope(to, outgoing);
                    let is_full = self.scheduler.queued() + spare >= Self::EVENTS;
                    let at = self.now + delay;
                    if is_full
                        || self
                            .scheduler
                            .push(at, SimEvent::Deliver(envelope))
                            .is_err()
                    {
                        let queue = Queue::Scheduler;
                        record(tracer, self.now, node, Event::Full { queue });
                        record(tracer, self.now, node, Event::Lost { to, message });
                    } else {
                        tracer.on_way(Way::Carried {
                            copy: self.scheduler.last(),
                        });
                    }
                    next = if Self::PLANS { fate.again.take() } else { None };
                }
            }
        }
        let replies = outbox.replies().len();
        for index in 0..replies {
            let outbox = self.outbox_of(node, covered);
            if let Some(reply) = outbox.and_then(|outbox| outbox.replies().get(index).copied()) {
                self.client_hears(reply.key, reply.outcome, observer);
            }
        }
        self.emptied(node, covered);
        // What an observer finds in a step says more than what comes of it.
        if let Err(violation) = seen {
            self.violation = Some(violation);
        }
    }
}

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

/// What a planned fault makes of a message's fate.
fn bend(mut fate: Fate, effect: LinkEffect) -> Fate {
    match effect {
        LinkEffect::None => fate,
        LinkEffect::Drop => Fate::default(),
        LinkEffect::Delay(wait) => {
            if fate.delay.is_some_and(|delay| delay < wait) {
                fate.late = Some(FaultKind::Clog);
            }
            fate.delay = fate.delay.map(|delay| delay.max(wait));
            fate.again = fate.again.map(|delay| delay.max(wait));
            fate
        }
    }
}
