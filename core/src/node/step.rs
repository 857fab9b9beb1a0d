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

    /// True if what is due after the last step may lie past the end of time, where no timer can be armed. Only a test
    /// gets there: it is 292,000 years away.
    pub(super) fn is_near_the_end(&self) -> bool {
        #[cfg(debug_assertions)]
        let at = self.at;
        #[cfg(not(debug_assertions))]
        let Self {} = self;
        #[cfg(not(debug_assertions))]
        let at = None::<Instant>;
        at.is_some_and(|at| at.as_micros() > u64::MAX / 2)
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

    /// The error of the compiler for an outbox that is too small.
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
    /// The time of the step, read once by the driver: all of a step happens at one moment.
    pub(super) now: Instant,
    /// The node whose step it is, for its trace.
    node: NodeId,
    /// What the step puts out is added to what earlier steps have put there.
    pub(super) outbox: OutboxView<'a, M, PAGE>,
    /// The number of messages in the outbox when the step began. The last of them may be merged with one of this step.
    before: usize,
    /// Receives what happens, as it happens.
    tracer: &'a mut T,
}

impl<'a, M: StateMachine, const PAGE: usize, T: Tracer<M, PAGE>> Step<'a, M, PAGE, T> {
    /// Begins a step with an outbox that may hold the output of earlier ones.
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

    /// Ends the step, and traces the messages that it has put in the outbox, in their final form. While the step goes
    /// on they may still be merged, and a page may still grow.
    pub(super) fn finish(self) {
        debug_assert!(
            self.before <= self.outbox.len(),
            "a step has removed messages of an earlier one"
        );
        for Outgoing { role, to, message } in self.outbox.since(self.before) {
            debug_assert!(!to.is_empty(), "a message without recipients");
            // Some mutants ask the wrong node, which may be this one.
            debug_assert!(
                cfg!(feature = "mutants") || !to.contains(self.node),
                "sends itself a message, which would look like one of its duplicate (N3)"
            );
            self.tracer.record(&Record {
                at: self.now,
                node: self.node,
                role: *role,
                event: Event::Sent { to: *to, message },
            });
        }
    }

    /// Returns how many messages the step has put in the outbox so far.
    pub(super) fn messages(&self) -> usize {
        self.outbox.len().saturating_sub(self.before)
    }

    /// Traces an event of one of the node's roles.
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

    /// Traces why a message is ignored. Nothing was changed by it.
    pub(super) fn ignore(&mut self, role: Role, from: NodeId, kind: MessageKind, reason: Reason) {
        self.trace(role, Event::Ignored { from, kind, reason });
    }

    /// Traces that an item did not fit into a queue; whoever it came from tries again.
    pub(super) fn full(&mut self, role: Role, queue: Queue) {
        self.trace(role, Event::Full { queue });
    }

    /// Returns the room that the outbox has for more. Looked at once, before a step changes anything (rule N4).
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn room(&self) -> usize {
        self.outbox.room()
    }

    /// Queues a write. It becomes durable before any message or reply of the same outbox leaves, whichever was queued
    /// first (rule D1).
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn write(&mut self, write: Write<M::Command>) {
        let result = self.outbox.write(write);
        self.note(result);
    }

    /// Drops all writes from the outbox, those of earlier steps as well: only a node that does not vote does this, and
    /// nobody relies on any of its writes.
    #[cold]
    pub(super) fn drop_writes(&mut self) {
        self.outbox.drop_writes();
    }

    /// Queues a message for other nodes; does nothing if `to` is empty.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn send(&mut self, role: Role, to: NodeSet, message: Message<M, PAGE>) {
        if !to.is_empty() {
            let result = self.outbox.send(Outgoing { role, to, message });
            self.note(result);
        }
    }

    /// Queues an accept for one slot; does nothing if `to` is empty, as in a cluster of one.
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

    /// Queues the answer to an accept: the first slot and the length of the run that was accepted.
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

    /// Queues an announcement of how far the log is decided; does nothing if `to` is empty.
    pub(super) fn decision(&mut self, to: NodeSet, ballot: Ballot, decided: Slot) {
        if !to.is_empty() {
            let result = self.outbox.decision(to, ballot, decided);
            self.note(result);
        }
    }

    /// Queues a reply to a client of this node.
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
