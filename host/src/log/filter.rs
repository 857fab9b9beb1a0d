//! Filters of the log: by level, node, role and slot.
//!
//! Filters decide what is shown, and change nothing else: digests, identities of messages and
//! summaries are those of the whole run.

use core::ops::RangeInclusive;
use synod::{Event, Halt, Message, NodeSet, Outcome, Reason, Record, Role, Slot, StateMachine};

/// Level of a record. A log at one level shows records of that level and of those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Level {
    /// A node halted, or was fenced because its storage failed.
    Error,
    /// A leader was suspected or stepped down, a node crashed, or a queue was full.
    Warn,
    /// Roles, messages, losses, elections and decisions.
    #[default]
    Info,
    /// Received messages that were ignored, unless their content was known already. Messages ignored because the node
    /// has not joined yet are of level `Info`.
    Debug,
    /// Everything.
    Trace,
}

/// Returns the level of an event.
pub fn level<M: StateMachine, const PAGE: usize>(event: &Event<'_, M, PAGE>) -> Level {
    match event {
        Event::Halted { .. } | Event::Fenced => Level::Error,
        Event::Suspected { .. }
        | Event::SteppedDown { .. }
        | Event::Full { .. }
        | Event::Exhausted
        | Event::Killed
        | Event::Restarted
        | Event::Reconfigured { .. }
        | Event::FaultBegan { .. }
        | Event::FaultEnded { .. } => Level::Warn,
        Event::Ignored {
            reason: Reason::Known,
            ..
        } => Level::Trace,
        // A message for a role that the node has not started yet is shown beside the received one.
        Event::Ignored { reason, .. } if *reason != Reason::WrongPhase => Level::Debug,
        Event::Ignored { .. }
        | Event::Started
        | Event::Stopped
        | Event::Sent { .. }
        | Event::Received { .. }
        | Event::Lost { .. }
        | Event::Duplicated { .. }
        | Event::Delayed { .. }
        | Event::BackedOff { .. }
        | Event::Adopted { .. }
        | Event::Preempted { .. }
        | Event::Accepting { .. }
        | Event::Chosen { .. }
        | Event::Applied { .. }
        | Event::Installed { .. } => Level::Info,
    }
}

/// A filter by level, node, role and slot. An empty list admits all.
///
/// A record must be admitted by each of the lists. Slots admit only records that are about slots.
///
/// ```
/// use synod::machines::Opaque;
/// use synod::{Event, Instant, NodeId, NodeSet, Record, Role};
/// use synod_host::log::{Filter, Level};
///
/// fn suspects(node: u16) -> Record<'static, Opaque, 2> {
///     let event = Event::Suspected { leader: NodeId(0) };
///     Record { at: Instant::ZERO, node: NodeId(node), role: Role::Leader, event }
/// }
///
/// let only_3 = NodeSet::only(NodeId(3));
/// let filter = Filter { level: Level::Warn, nodes: only_3, ..Filter::default() };
/// assert!(filter.admits(&suspects(3)) && !filter.admits(&suspects(4)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Least important level that is shown.
    pub level: Level,
    /// Nodes that are shown.
    pub nodes: NodeSet,
    /// Roles that are shown.
    pub roles: Vec<Role>,
    /// Slots that are shown.
    pub slots: Vec<RangeInclusive<u64>>,
}

impl Filter {
    /// True if a record is shown.
    #[inline]
    pub fn admits<M: StateMachine, const PAGE: usize>(&self, record: &Record<'_, M, PAGE>) -> bool {
        self.admits_but_slots(record)
            && (self.slots.is_empty() || self.admits_slots_of(&record.event))
    }

    /// True if a record is shown, regardless of its slots.
    #[inline]
    pub(super) fn admits_but_slots<M: StateMachine, const PAGE: usize>(
        &self,
        record: &Record<'_, M, PAGE>,
    ) -> bool {
        level(&record.event) <= self.level
            && (self.nodes.is_empty() || self.nodes.contains(record.node))
            && (self.roles.is_empty() || self.roles.contains(&record.role))
    }

    /// True if one of the slots from `first` to `last` is shown.
    pub(super) fn admits_between(&self, first: Slot, last: Slot) -> bool {
        let asked = |range: &RangeInclusive<u64>| {
            // Two ranges overlap if each begins before the other one ends.
            *range.start() <= last.number() && first.number() <= *range.end()
        };
        self.slots.iter().any(asked)
    }

    /// True if an event is about one of the slots that are shown. Events that are about no slot in
    /// particular are not shown.
    fn admits_slots_of<M: StateMachine, const PAGE: usize>(
        &self,
        event: &Event<'_, M, PAGE>,
    ) -> bool {
        match event {
            Event::Sent { message, .. }
            | Event::Received { message, .. }
            | Event::Lost { message, .. }
            | Event::Duplicated { message, .. }
            | Event::Delayed { message, .. } => self.admits_slots_in(message),
            Event::Chosen { slot, .. } | Event::Applied { slot, .. } => self.admits_run(*slot, 1),
            Event::Installed { at, .. } => self.admits_run(*at, 1),
            Event::Halted {
                cause: Halt::Conflict(conflict),
            } => self.admits_run(conflict.slot, 1),
            Event::Halted {
                cause: Halt::Diverged(divergence),
            } => self.admits_run(divergence.slot, 1),
            _ => false,
        }
    }

    /// True if a message is about one of the slots that are shown: those whose values or votes it
    /// carries, not those that it only announces as decided.
    fn admits_slots_in<M: StateMachine, const PAGE: usize>(
        &self,
        message: &Message<M, PAGE>,
    ) -> bool {
        match message {
            Message::Accept {
                first, proposals, ..
            }
            | Message::Decisions {
                first, proposals, ..
            } => self.admits_run(*first, proposals.len()),
            Message::Accepted { first, count, .. } => {
                // An empty run refuses the slot that it begins with.
                let count = (*count).max(1);
                self.admits_run(*first, usize::try_from(count).unwrap_or(usize::MAX))
            }
            Message::Promise { entries, .. } => {
                entries.iter().any(|entry| self.admits_run(entry.slot, 1))
            }
            Message::Decision { decided, .. } => self.admits_run(*decided, 1),
            Message::Learn { from } => self.admits_run(*from, 1),
            Message::Response {
                outcome: Outcome::Applied { slot, .. },
                ..
            } => self.admits_run(*slot, 1),
            _ => false,
        }
    }

    /// True if a run of slots overlaps those that are shown.
    fn admits_run(&self, first: Slot, count: usize) -> bool {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let end = first.number().saturating_add(count);
        self.slots
            .iter()
            .any(|range| *range.start() < end && first.number() <= *range.end())
    }
}
