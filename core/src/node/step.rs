//! One step of a node: the time, the place for what it wants done, and the place for what happened.

use crate::outbox::OutboxView;
use crate::{
    Event, Instant, Message, MessageKind, NodeId, NodeSet, Outbox, Queue, Reason, Record, Reply,
    Role, StateMachine, Tracer, Write,
};

/// What a node's handlers share during one step.
#[derive(Debug)]
pub(super) struct Step<'a, M: StateMachine, const PAGE: usize, T> {
    pub(super) now: Instant,
    node: NodeId,
    outbox: OutboxView<'a, M, PAGE>,
    tracer: &'a mut T,
}

impl<'a, M: StateMachine, const PAGE: usize, T: Tracer<M, PAGE>> Step<'a, M, PAGE, T> {
    pub(super) fn new<const ROOM: usize>(
        now: Instant,
        node: NodeId,
        outbox: &'a mut Outbox<M, PAGE, ROOM>,
        tracer: &'a mut T,
    ) -> Self {
        Self {
            now,
            node,
            outbox: outbox.view(),
            tracer,
        }
    }

    #[inline]
    pub(super) fn trace(&mut self, role: Role, event: Event<'_, M, PAGE>) {
        self.tracer.record(&Record {
            at: self.now,
            node: self.node,
            role,
            event,
        });
    }

    pub(super) fn ignore(&mut self, role: Role, from: NodeId, kind: MessageKind, reason: Reason) {
        self.trace(role, Event::Ignored { from, kind, reason });
    }

    pub(super) fn full(&mut self, role: Role, queue: Queue) {
        self.trace(role, Event::Full { queue });
    }

    pub(super) fn room(&self) -> usize {
        self.outbox.room()
    }

    pub(super) fn write(&mut self, write: Write<M::Command>) {
        let result = self.outbox.write(write);
        self.note(result);
    }

    pub(super) fn send(&mut self, to: NodeSet, message: Message<M, PAGE>) {
        let result = self.outbox.send(to, message);
        self.note(result);
    }

    pub(super) fn reply(&mut self, reply: Reply<M::Output>) {
        let result = self.outbox.reply(reply);
        self.note(result);
    }

    /// The room of a whole step was there before it began (rule N4), so that nothing is ever left out.
    fn note(&mut self, result: Result<(), Queue>) {
        debug_assert!(result.is_ok(), "a step said more than OUTBOX_MIN");
        if let Err(queue) = result {
            self.full(Role::Node, queue);
        }
    }
}
