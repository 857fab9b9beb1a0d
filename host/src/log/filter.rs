//! Which records are worth a line.

use core::ops::RangeInclusive;
use synod::{Event, Halt, Message, NodeSet, Outcome, Reason, Record, Role, Slot, StateMachine};

/// How much a record matters: a log at one level shows it and everything that matters more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Level {
    /// A node halted because of what it saw, or votes no more because its storage failed.
    Error,
    /// A leader was missed or gave up, a node was killed, something did not fit.
    Warn,
    /// Everything that one needs to follow the protocol: roles, messages, losses, elections, decisions.
    #[default]
    Info,
    /// What was received and not acted on, unless it was merely known already; what a node ignores because it has not joined
    /// yet is shown before that.
    Debug,
    /// Everything.
    Trace,
}

/// The level of a kind of fact.
pub fn level<M: StateMachine, const PAGE: usize>(event: &Event<'_, M, PAGE>) -> Level {
    match event {
        Event::Halted { .. } | Event::Fenced => Level::Error,
        Event::Suspected { .. }
        | Event::SteppedDown { .. }
        | Event::Full { .. }
        | Event::Exhausted
        | Event::Killed
        | Event::Restarted
        | Event::FaultBegan { .. }
        | Event::FaultEnded { .. } => Level::Warn,
        Event::Ignored {
            reason: Reason::Known,
            ..
        } => Level::Trace,
        // What is for a role that the node has not taken yet shows beside what was received.
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

/// Admits the records of a level that pass each of three sieves; an empty sieve lets everything through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The least level that is shown.
    pub level: Level,
    /// Only records of these nodes.
    pub nodes: NodeSet,
    /// Only records of these roles.
    pub roles: Vec<Role>,
    /// Only records that are about one of these slots.
    pub slots: Vec<RangeInclusive<u64>>,
}

impl Filter {
    /// Whether a record is worth a line.
    #[inline]
    pub fn admits<M: StateMachine, const PAGE: usize>(&self, record: &Record<'_, M, PAGE>) -> bool {
        self.admits_but_slots(record)
            && (self.slots.is_empty() || self.admits_slots_of(&record.event))
    }

    /// Whether a record is worth a line, whichever slots it is about.
    #[inline]
    pub(super) fn admits_but_slots<M: StateMachine, const PAGE: usize>(
        &self,
        record: &Record<'_, M, PAGE>,
    ) -> bool {
        level(&record.event) <= self.level
            && (self.nodes.is_empty() || self.nodes.contains(record.node))
            && (self.roles.is_empty() || self.roles.contains(&record.role))
    }

    /// Whether one of some consecutive slots is asked for.
    pub(super) fn admits_between(&self, first: Slot, last: Slot) -> bool {
        let asked = |range: &RangeInclusive<u64>| {
            *range.start() <= last.number() && first.number() <= *range.end()
        };
        self.slots.iter().any(asked)
    }

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
                // An empty run is a refusal of the slot that it begins with.
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

    /// Whether a run of slots touches one of those that are asked for.
    fn admits_run(&self, first: Slot, count: usize) -> bool {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let end = first.number().saturating_add(count);
        self.slots
            .iter()
            .any(|range| *range.start() < end && first.number() <= *range.end())
    }
}
