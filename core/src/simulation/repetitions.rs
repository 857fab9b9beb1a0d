//! Repetitions: what nodes say again sooner than the timers for it allow.

use super::observer::StepsTaken;
use crate::{
    Ballot, Duration, Instant, Message, NODES_MAX, NodeId, NodeSet, Outgoing, Slot, SnapshotId,
    StateMachine,
};

#[expect(clippy::as_conversions, reason = "u16 to usize, in a const")]
const NODES: usize = NODES_MAX as usize;

/// How many slots are remembered, those that were proposed last.
const SLOTS: usize = 64;

/// What was said last of what may be said again, and when.
#[derive(Clone, Debug)]
pub(super) struct Repetitions {
    /// The last question of each node for pages of a snapshot.
    joins: [Question<(Option<SnapshotId>, u32)>; NODES],
    /// The last question of each node for decisions, and whom it has asked: several may offer their help at once.
    learns: [Question<(Slot, NodeSet)>; NODES],
    /// By the number of the slot modulo [`SLOTS`].
    accepts: [Accepts; SLOTS],
}

/// A question, and when it was asked the last two times. To ask twice at once is right where something shows that the
/// answer is lost, such as a later page, or where another node is asked. Nothing leads to a third time but a timer.
#[derive(Clone, Copy, Debug)]
struct Question<Q> {
    question: Q,
    /// The time before the last one, and the last one; [`Instant::FAR_FUTURE`] for never.
    asked: [Instant; 2],
}

/// The accept for a slot, and when it was sent last.
#[derive(Clone, Copy, Debug)]
struct Accepts {
    slot: Slot,
    ballot: Ballot,
    sent: Instant,
}

impl<Q: Copy + PartialEq> Question<Q> {
    const fn none(question: Q) -> Self {
        Self {
            question,
            asked: [Instant::FAR_FUTURE; 2],
        }
    }

    /// The question is asked, at `since` or later; returns whether it is the third time within half of a span.
    fn ask(&mut self, question: Q, (since, at): (Instant, Instant), span: Duration) -> bool {
        if self.question != question {
            *self = Self::none(question);
        }
        let [before, last] = self.asked;
        self.asked = [last, since];
        before < Instant::FAR_FUTURE && at.since(before) < span / 2
    }
}

impl Repetitions {
    /// Nothing was said yet.
    pub(super) const fn new() -> Self {
        Self {
            joins: [Question::none((None, 0)); NODES],
            learns: [Question::none((Slot::ZERO, NodeSet::EMPTY)); NODES],
            accepts: [Accepts {
                slot: Slot::ZERO,
                ballot: Ballot::NULL,
                sent: Instant::FAR_FUTURE,
            }; SLOTS],
        }
    }

    /// A node has started again, and does not know what it has asked.
    pub(super) fn forget(&mut self, node: NodeId) {
        let index = usize::from(node.0);
        if let (Some(join), Some(learn)) = (self.joins.get_mut(index), self.learns.get_mut(index)) {
            *join = Question::none((None, 0));
            *learn = Question::none((Slot::ZERO, NodeSet::EMPTY));
        }
    }

    /// A message of a node leaves; returns how often it says something again too soon. A step is taken at some time between
    /// the two that are known of it, so what is counted was repeated too soon in any case.
    pub(super) fn say<
        M: StateMachine,
        const WINDOW: usize,
        const CLIENTS: usize,
        const PAGE: usize,
    >(
        &mut self,
        taken: &StepsTaken<'_, M, WINDOW, CLIENTS, PAGE>,
        outgoing: &Outgoing<M, PAGE>,
    ) -> u64 {
        let (index, when) = (usize::from(taken.node.id().0), (taken.since, taken.at));
        let config = taken.node.config();
        match &outgoing.message {
            Message::Join { snapshot, page, .. } => {
                let join = self.joins.get_mut(index);
                let (asked, span) = ((*snapshot, *page), config.join_retransmit);
                join.map_or(0, |join| u64::from(join.ask(asked, when, span)))
            }
            Message::Learn { from } => {
                let learn = self.learns.get_mut(index);
                learn.map_or(0, |learn| {
                    let asked = (*from, outgoing.to);
                    u64::from(learn.ask(asked, when, config.learn_delay))
                })
            }
            Message::Accept {
                ballot,
                first,
                proposals,
                ..
            } => {
                let slots = (0..crate::outbox::run_len(proposals.len()))
                    .filter_map(|offset| first.checked_add(offset));
                let accepts =
                    slots.map(|slot| self.accept(slot, *ballot, when, config.accept_retransmit));
                accepts.sum()
            }
            _ => 0,
        }
    }

    /// An accept for a slot is sent; returns 1 if it was sent before within half of a span.
    fn accept(
        &mut self,
        slot: Slot,
        ballot: Ballot,
        (since, at): (Instant, Instant),
        span: Duration,
    ) -> u64 {
        let slots = crate::outbox::run_len(SLOTS);
        let index = usize::try_from(slot.number() % slots).unwrap_or(0);
        let Some(known) = self.accepts.get_mut(index) else {
            return 0;
        };
        let is_again = known.slot == slot && known.ballot == ballot;
        let is_hasty = is_again && at.since(known.sent) < span / 2;
        *known = Accepts {
            slot,
            ballot,
            sent: since,
        };
        u64::from(is_hasty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> (Instant, Instant) {
        let at = Instant::ZERO + Duration::from_millis(millis);
        (at, at)
    }

    const SPAN: Duration = Duration::from_millis(100);

    #[test]
    fn a_question_that_is_asked_a_third_time_without_a_timer_is_counted() {
        let mut question = Question::none(0);
        let mut asks = |question_asked, millis| question.ask(question_asked, at(millis), SPAN);
        assert!(!asks(1, 0) && !asks(1, 1), "twice");
        assert!(asks(1, 49), "three times within half of the span");
        assert!(!asks(2, 49) && !asks(2, 49), "another question");
        assert!(!asks(2, 150) && !asks(2, 150), "by a timer");
        assert!(asks(2, 151));
    }

    #[test]
    fn an_accept_that_is_repeated_before_its_timer_is_counted() {
        let mut repetitions = Repetitions::new();
        let ballot = |round| Ballot::new(round, NodeId(1));
        let mut accepts = |slot, round, millis| {
            repetitions.accept(Slot::new(slot), ballot(round), at(millis), SPAN)
        };
        assert_eq!(accepts(1, 1, 0) + accepts(2, 1, 10), 0);
        assert_eq!(accepts(1, 1, 100) + accepts(2, 1, 110), 0);
        assert_eq!(accepts(1, 2, 110), 0, "by another leader");
        assert_eq!(accepts(2, 1, 140), 1, "too soon");
        assert_eq!(accepts(65, 2, 140), 0, "another slot in the same place");
    }

    #[test]
    fn a_step_that_may_have_been_taken_early_enough_is_not_counted() {
        let mut repetitions = Repetitions::new();
        let slot = Slot::new(1);
        let (early, late) = (at(0).0, at(90).0);
        assert_eq!(
            repetitions.accept(slot, Ballot::NULL, (early, late), SPAN),
            0
        );
        assert_eq!(repetitions.accept(slot, Ballot::NULL, at(100), SPAN), 0);
    }
}
