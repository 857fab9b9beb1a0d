//! Spans: how far ahead a node sets its timers.
//!
//! A timer that is armed for too late looks like one whose message was lost, and one that is armed for too early like one
//! of a node that was unlucky. So whenever a step arms one anew, its span is held against the settings of the node, and
//! against what the node waits for.

use super::Invariants;
use crate::simulation::setting::Setting;
use crate::simulation::violation::{Rule, Violation};
use crate::timer::Timers;
use crate::{Config, Duration, Instant, Node, StateMachine, Timer};

/// The least and the most that a timer is armed for.
type Span = (Duration, Duration);

/// A span and up to half of it as jitter (rule S7).
fn jittered(span: Duration) -> Span {
    (span, span.saturating_add(span / 2))
}

/// The least and the most of two spans.
fn either(one: Span, other: Span) -> Span {
    (one.0.min(other.0), one.1.max(other.1))
}

/// For how long a node arms a timer, by its settings and what it waits for. The span of [`Timer::Election`] is up to
/// [`Node::turn_span`].
fn span_of(timer: Timer, config: &Config, turn: Span) -> Span {
    let exactly = |span: Duration| (span, span);
    match timer {
        // A founder that waits gives itself an election timeout before it asks others.
        Timer::Join => either(
            jittered(config.join_retransmit),
            exactly(config.election_timeout),
        ),
        Timer::Election => turn,
        Timer::Scout => jittered(config.prepare_retransmit),
        Timer::Commander => exactly(config.accept_retransmit),
        Timer::Heartbeat => exactly(config.heartbeat),
        Timer::Quorum => exactly(config.election_timeout),
        Timer::Propose | Timer::Read => exactly(config.propose_retransmit),
        Timer::Request => exactly(config.request_retransmit),
        // The first question comes after the delay, and those that bring nothing up to eight times as late; or, where
        // nothing is known to be missing, as often as a leader or a request would be heard of.
        Timer::Learn => either(
            (config.learn_delay, jittered(config.learn_delay * 8).1),
            either(
                jittered(config.heartbeat),
                jittered(config.propose_retransmit),
            ),
        ),
        Timer::Transfer => exactly(config.transfer_timeout),
    }
}

/// Whether the timers that a step has armed anew are armed for as long as they should be.
fn are_right<M: StateMachine, const W: usize, const C: usize, const P: usize>(
    node: &Node<M, W, C, P>,
    before: &Timers,
    now: Instant,
) -> bool {
    let after = node.timers();
    let (config, turn) = (node.config(), node.turn_span());
    Timer::ALL.into_iter().all(|timer| {
        let armed = after.deadline(timer);
        let Some(deadline) = armed.filter(|_| armed != before.deadline(timer)) else {
            return true;
        };
        let (least, most) = span_of(timer, config, turn);
        deadline >= now && (least..=most).contains(&deadline.since(now))
    })
}

/// Every how many steps the timers are looked at, which costs as much as the step of a node that has little to do. A span
/// that is wrong is wrong each time.
const SPANS_EVERY: u32 = 7;

impl<S: Setting<W, C, P>, const W: usize, const C: usize, const P: usize> Invariants<S, W, C, P> {
    /// The timers of a node are about to fire, or a message is about to be handled.
    pub(super) fn note_timers(&mut self, node: &Node<S::Machine, W, C, P>) {
        self.spans = self.spans.wrapping_add(1);
        // A node with a mutant has to be caught by what comes of it.
        let is_due = self.spans.is_multiple_of(SPANS_EVERY) && !node.mistake().is_any();
        self.timers = None;
        if is_due {
            self.note_timers_now(node);
        }
    }

    /// The timers of a node as they are before its next step.
    pub(super) fn note_timers_now(&mut self, node: &Node<S::Machine, W, C, P>) {
        self.timers = Some(node.timers().clone());
    }

    /// A step of a node is over, at this time of its own clock.
    pub(super) fn has_armed(
        &mut self,
        node: &Node<S::Machine, W, C, P>,
        now: Instant,
    ) -> Result<(), Violation> {
        let Some(before) = self.timers.take() else {
            return Ok(());
        };
        self.facts.seen.check(Rule::WrongSpan);
        if node.halted().is_some() || are_right(node, &before, now) {
            Ok(())
        } else {
            Err(Violation::WrongSpan { node: node.id() })
        }
    }
}
