//! One step of a node: its time, its outbox and its tracer, and the check that the outbox has room for it.

use super::Node;
use crate::capacity::{Sentence, misfit, outbox_min};
use crate::outbox::OutboxView;
use crate::{
    AnyOutbox, Ballot, Event, Instant, Message, MessageKind, NodeId, NodeSet, Outgoing, Proposal,
    Queue, Reason, Record, Reply, Role, Slot, StateMachine, Tracer, Write,
};
use core::fmt;

/// The time of a node's last step, to assert that time does not go back. Takes no memory in builds without debug
/// assertions.
#[derive(Clone)]
pub(super) struct LastStep {
    #[cfg(debug_assertions)]
    at: Option<Instant>,
}

impl LastStep {
    /// No step yet.
    pub(super) const NONE: Self = Self {
        #[cfg(debug_assertions)]
        at: None,
    };

    /// Begins a step at `now`.
    pub(super) fn advance_to(&mut self, now: Instant) {
        #[cfg(debug_assertions)]
        {
            let at = self.at.replace(now).unwrap_or(now);
            debug_assert!(at <= now, "time went back, from {at} to {now}: see Ticks");
        }
        let _ = now;
    }
}

/// Not part of the state of a node.
impl fmt::Debug for LastStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("_")
    }
}

impl<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>
    Node<M, WINDOW, CLIENTS, PAGE>
{
    /// Compiles only if the capacities are within their bounds, which are listed at [`Node`].
    ///
    /// `const _: () = Member::FITS;` checks it without constructing a node. So does any type or constant that names
    /// [`Node::OUTBOX_MIN`] or [`Ram::of`](crate::Ram::of), and then `cargo check` reports it as well.
    pub const FITS: () = if let Some(number_to_change) = misfit::<M>(WINDOW, CLIENTS, PAGE) {
        panic!("{}", number_to_change);
    };

    /// The smallest `ROOM` of an [`Outbox`](crate::Outbox): the most that one step may put in it. See [`outbox_min`]
    /// for the formula.
    pub const OUTBOX_MIN: usize = {
        let () = Self::FITS;
        outbox_min(WINDOW, CLIENTS, PAGE)
    };

    const TOO_SMALL: &'static str = const { &Sentence::too_small(Self::OUTBOX_MIN) }.as_str();

    /// Compiles only if an outbox of `room` has the room that a step may need.
    const fn has_room(room: usize) {
        assert!(room >= Self::OUTBOX_MIN, "{}", Self::TOO_SMALL);
    }

    /// Begins a step. Every input of a node passes through here.
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

/// The context that the handlers of a node share during one step.
#[derive(Debug)]
pub(super) struct Step<'a, M: StateMachine, const PAGE: usize, T> {
    pub(super) now: Instant,
    node: NodeId,
    pub(super) outbox: OutboxView<'a, M, PAGE>,
    /// The number of messages in the outbox when the step began.
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

    /// Ends the step, and traces the messages that it has put in the outbox, in their final form.
    pub(super) fn finish(self) {
        debug_assert!(
            self.before <= self.outbox.len(),
            "a step has removed messages of an earlier one"
        );
        for Outgoing { role, to, message } in self.outbox.since(self.before) {
            self.tracer.record(&Record {
                at: self.now,
                node: self.node,
                role: *role,
                event: Event::Sent { to: *to, message },
            });
        }
    }

    pub(super) fn trace(&mut self, role: Role, event: Event<'_, M, PAGE>) {
        self.tracer.record(&Record {
            at: self.now,
            node: self.node,
            role,
            event,
        });
    }

    /// Traces a message from one role of the node to another, which is passed by a call.
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

    /// Drops all writes from the outbox.
    #[cold]
    #[inline(never)]
    pub(super) fn drop_writes(&mut self) {
        self.outbox.drop_writes();
    }

    /// Removes the last message from the outbox.
    #[cold]
    #[inline(never)]
    pub(super) fn drop_last_message(&mut self) {
        self.outbox.drop_last_message();
    }

    /// Queues a message for other nodes; does nothing if `to` is empty.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn send(&mut self, role: Role, to: NodeSet, message: Message<M, PAGE>) {
        if !to.is_empty() {
            let result = self.outbox.send(Outgoing { role, to, message });
            self.note(result);
        }
    }

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

    /// The outbox had room for a whole step before the step began (rule N4), so nothing is ever dropped here.
    fn note(&mut self, result: Result<(), Queue>) {
        debug_assert!(
            result.is_ok(),
            "a step needs more room than OUTBOX_MIN (N4)"
        );
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
    fn time_that_goes_back_fails_an_assertion() {
        let mut last_step = LastStep::NONE;
        last_step.advance_to(Instant::from_micros(700));
        last_step.advance_to(Instant::from_micros(600));
    }
}
