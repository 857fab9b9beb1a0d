//! One step of a node: the time, the place for what it wants done, and the place for what happened; and the room that it
//! needs there.

use super::Node;
use crate::capacity::{Sentence, misfit, outbox_min};
use crate::outbox::OutboxView;
use crate::{
    AnyOutbox, Ballot, Event, Instant, Message, MessageKind, NodeId, NodeSet, Outgoing, Proposal,
    Queue, Reason, Record, Reply, Role, Slot, StateMachine, Tracer, Write,
};
use core::fmt;

/// When a node's latest step was. Time must not go back, which only builds with debug assertions look at: in others this
/// takes no memory.
#[derive(Clone)]
pub(super) struct LastStep {
    #[cfg(debug_assertions)]
    at: Option<Instant>,
}

impl LastStep {
    /// There was no step yet.
    pub(super) const NONE: Self = Self {
        #[cfg(debug_assertions)]
        at: None,
    };

    /// A step begins.
    pub(super) fn advance_to(&mut self, now: Instant) {
        #[cfg(debug_assertions)]
        {
            let at = self.at.replace(now).unwrap_or(now);
            debug_assert!(at <= now, "time went back, from {at} to {now}: see Ticks");
        }
        let _ = now;
    }
}

/// It is no part of what a node is.
impl fmt::Debug for LastStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("_")
    }
}

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// Compiles where the capacities are within their bounds; see [`Node`] for these.
    ///
    /// `const _: () = Member::FITS;` asks without building anything, and so does whoever names [`Node::OUTBOX_MIN`] or
    /// [`Ram::of`](crate::Ram::of) in a type or a constant: then `cargo check` says it, too.
    pub const FITS: () = if let Some(number_to_change) = misfit::<M>(WINDOW, CLIENTS, PAGE) {
        panic!("{}", number_to_change);
    };

    /// The least `ROOM` of an [`Outbox`](crate::Outbox): what one step may need. See [`outbox_min`] for the sum.
    pub const OUTBOX_MIN: usize = {
        let () = Self::FITS;
        outbox_min(WINDOW, CLIENTS, PAGE)
    };

    const TOO_SMALL: &'static str = const { &Sentence::too_small(Self::OUTBOX_MIN) }.as_str();

    /// Compiles where an outbox has the room that a step may need.
    const fn has_room(room: usize) {
        assert!(room >= Self::OUTBOX_MIN, "{}", Self::TOO_SMALL);
    }

    /// Begins a step. Whatever is handed to a node comes by here.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(super) fn step<'a, O: AnyOutbox<M, PAGE>, T: Tracer<M, PAGE>>(
        &mut self,
        now: Instant,
        outbox: &'a mut O,
        tracer: &'a mut T,
    ) -> Step<'a, M, PAGE, T> {
        const { Self::has_room(O::ROOM) };
        self.last_step.advance_to(now);
        Step::new(now, self.config.node, outbox, tracer)
    }
}

/// What a node's handlers share during one step.
#[derive(Debug)]
pub(super) struct Step<'a, M: StateMachine, const PAGE: usize, T> {
    pub(super) now: Instant,
    node: NodeId,
    pub(super) outbox: OutboxView<'a, M, PAGE>,
    /// How many messages were in the outbox when the step began.
    before: usize,
    tracer: &'a mut T,
}

impl<'a, M: StateMachine, const PAGE: usize, T: Tracer<M, PAGE>> Step<'a, M, PAGE, T> {
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn new(
        now: Instant,
        node: NodeId,
        outbox: &'a mut impl AnyOutbox<M, PAGE>,
        tracer: &'a mut T,
    ) -> Self {
        let outbox = outbox.view();
        Self {
            now,
            node,
            before: outbox.len(),
            outbox,
            tracer,
        }
    }

    /// Ends the step: what it has put in the outbox is traced as it stands there.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(super) fn finish(self) {
        for Outgoing { role, to, message } in self.outbox.since(self.before) {
            self.tracer.record(&Record {
                at: self.now,
                node: self.node,
                role: *role,
                event: Event::Sent { to: *to, message },
            });
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(super) fn trace(&mut self, role: Role, event: Event<'_, M, PAGE>) {
        self.tracer.record(&Record {
            at: self.now,
            node: self.node,
            role,
            event,
        });
    }

    /// Traces what the node says to itself, one of its roles to another: that is a call.
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(super) fn trace_local(
        &mut self,
        me: NodeId,
        (from, to): (Role, Role),
        message: impl FnOnce() -> Message<M, PAGE>,
    ) {
        let message = &message();
        let sent = Event::Sent {
            to: NodeSet::only(me),
            message,
        };
        self.trace(from, sent);
        self.trace(to, Event::Received { from: me, message });
    }

    pub(super) fn ignore(&mut self, role: Role, from: NodeId, kind: MessageKind, reason: Reason) {
        self.trace(role, Event::Ignored { from, kind, reason });
    }

    pub(super) fn full(&mut self, role: Role, queue: Queue) {
        self.trace(role, Event::Full { queue });
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn room(&self) -> usize {
        self.outbox.room()
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn write(&mut self, write: Write<M::Command>) {
        let result = self.outbox.write(write);
        self.note(result);
    }

    /// Forgets whatever was to be written.
    #[cold]
    #[inline(never)]
    pub(super) fn drop_writes(&mut self) {
        self.outbox.drop_writes();
    }

    /// Takes back the last message.
    #[cold]
    #[inline(never)]
    pub(super) fn drop_last_message(&mut self) {
        self.outbox.drop_last_message();
    }

    /// Sends to other nodes; to nobody where there are none.
    #[cfg_attr(target_pointer_width = "64", inline)]
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn send(&mut self, role: Role, to: NodeSet, message: Message<M, PAGE>) {
        if !to.is_empty() {
            let result = self.outbox.send(Outgoing { role, to, message });
            self.note(result);
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(super) fn accept(
        &mut self,
        to: NodeSet,
        ballot: Ballot,
        slot: Slot,
        decided: Slot,
        proposal: &Proposal<M::Command>,
    ) {
        if !to.is_empty() {
            let result = self.outbox.accept(to, ballot, slot, decided, proposal);
            self.note(result);
        }
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(super) fn accepted(
        &mut self,
        to: NodeSet,
        ballot: Ballot,
        promised: Ballot,
        run: (Slot, u32),
        low_water: Slot,
    ) {
        let result = self.outbox.accepted(to, ballot, promised, run, low_water);
        self.note(result);
    }

    pub(super) fn decision(&mut self, to: NodeSet, ballot: Ballot, decided: Slot) {
        if !to.is_empty() {
            let result = self.outbox.decision(to, ballot, decided);
            self.note(result);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_may_stand_still() {
        let mut last_step = LastStep::NONE;
        for micros in [7, 7, 8] {
            last_step.advance_to(Instant::from_micros(micros));
        }
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "time went back, from 0.0007 to 0.0006: see Ticks")]
    fn time_that_goes_back_is_said() {
        let mut last_step = LastStep::NONE;
        last_step.advance_to(Instant::from_micros(700));
        last_step.advance_to(Instant::from_micros(600));
    }
}
