//! Message fates: drawn at random, drawn and recorded, or scripted.
//!
//! What is random in a run besides the fates of its messages follows from its seed. So a record of
//! the fates and the seed are the run, even if the distribution of faults changes. Shrinking then
//! changes single fates.
//!
//! A message is named by its link and its number on it, and not by its number in the run: what
//! happens on one link then leaves the names on all others as they are.

use std::collections::BTreeMap;
use synod::simulation::{Fate, FaultKind, Faults, InTransit, Nemesis, Plan};
use synod::{Duration, NodeId};

/// Identifies a message: the `nth` that one node sent to another in a run, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkMessage {
    /// Sender.
    pub from: NodeId,
    /// Recipient.
    pub to: NodeId,
    /// Number of messages on the same link before it.
    pub nth: u32,
}

/// Fate of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScriptedFate {
    /// Delay; `None` if the message was lost.
    pub delay: Option<Duration>,
    /// Delay of a second copy, if there was one.
    pub again: Option<Duration>,
}

/// Fates of all messages of a run: a default, and exceptions for single messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Delay of a message without an entry in `choices`.
    pub usual: Duration,
    /// Fates of single messages.
    pub choices: BTreeMap<LinkMessage, ScriptedFate>,
}

impl Script {
    /// Returns the fate of a message without an entry in `choices`.
    pub const fn usual(&self) -> ScriptedFate {
        ScriptedFate {
            delay: Some(self.usual),
            again: None,
        }
    }

    /// Returns the fate of a message in the form of the simulation.
    fn fate(&self, message: LinkMessage) -> Fate {
        let ScriptedFate { delay, again } =
            self.choices.get(&message).copied().unwrap_or(self.usual());
        // More than twice the usual delay counts as a delay spike, so that it appears in the log.
        // The record has no cause of a delay, so that the log names the likeliest.
        let late = delay.is_some_and(|delay| delay > self.usual * 2);
        let late = late.then_some(FaultKind::Spike);
        Fate { delay, again, late }
    }
}

/// Number of messages sent on each link so far. They name messages independently of each other: the
/// loss of one on a link leaves the names on all others as they are.
#[derive(Clone, Debug, Default)]
struct SentCounts(BTreeMap<(NodeId, NodeId), u32>);

impl SentCounts {
    /// Returns the name of the next message on a link.
    fn peek(&self, from: NodeId, to: NodeId) -> LinkMessage {
        let nth = self.0.get(&(from, to)).copied().unwrap_or(0);
        LinkMessage { from, to, nth }
    }

    /// Returns the name of the next message on a link, and counts it.
    fn next(&mut self, from: NodeId, to: NodeId) -> LinkMessage {
        let message = self.peek(from, to);
        self.0.insert((from, to), message.nth + 1);
        message
    }
}

/// Source of the message fates and planned faults of a case.
///
/// The default is a source without faults, which a simulation has before it is started.
#[derive(Clone, Debug)]
pub struct Fates {
    /// Where fates come from.
    source: Source,
    /// Names of the next messages. They are kept only if a script or a record needs them, since
    /// every message pays for them.
    counts: SentCounts,
    /// Record of the fates so far, if they are recorded.
    record: Option<Script>,
    /// Number of messages lost so far.
    lost: u64,
}

/// Source of fates, with what is planned besides. Both are boxed, as the fates are a field of every
/// simulation.
#[derive(Clone, Debug)]
enum Source {
    /// Random fates and planned faults.
    Drawn(Box<Faults>),
    /// Scripted fates, with planned faults.
    Scripted(Box<Plan>, Script),
}

impl Fates {
    /// Returns fates drawn from the seed of the faults.
    pub(super) fn drawn(faults: Faults) -> Self {
        Self::from(Source::Drawn(Box::new(faults)))
    }

    /// Returns the fates of a script, with the planned faults of the case.
    pub(super) fn scripted(script: Script, plan: Plan) -> Self {
        Self::from(Source::Scripted(Box::new(plan), script))
    }

    /// Records the fate of each message from now on. `usual` is the default delay of the record, unless a script has
    /// its own.
    pub(super) fn recorded(self, usual: Duration) -> Self {
        let choices = BTreeMap::new();
        let usual = match &self.source {
            Source::Scripted(_, script) => script.usual,
            Source::Drawn(_) => usual,
        };
        Self {
            record: Some(Script { usual, choices }),
            ..self
        }
    }

    /// Returns the number of messages lost, without those that a planned fault cut off.
    pub(super) const fn lost(&self) -> u64 {
        self.lost
    }

    /// Returns the recorded fates, if they are recorded.
    pub(super) const fn record(&self) -> Option<&Script> {
        self.record.as_ref()
    }
}

impl From<Source> for Fates {
    fn from(source: Source) -> Self {
        Self {
            source,
            counts: SentCounts::default(),
            record: None,
            lost: 0,
        }
    }
}

impl Default for Fates {
    fn default() -> Self {
        Self::drawn(Faults::default())
    }
}

impl Nemesis for Fates {
    const PLANS: bool = true;

    fn plan(&self) -> Option<&Plan> {
        match &self.source {
            Source::Drawn(faults) => faults.plan(),
            Source::Scripted(plan, _) => Some(plan),
        }
    }

    fn plan_mut(&mut self) -> Option<&mut Plan> {
        match &mut self.source {
            Source::Drawn(faults) => faults.plan_mut(),
            Source::Scripted(plan, _) => Some(plan),
        }
    }

    // The simulation calls this once for each message and recipient, in the order of sending,
    // unless a planned fault cuts the message off.
    fn fate(&mut self, passing: InTransit) -> Fate {
        let InTransit { from, to, .. } = passing;
        let fate = match &mut self.source {
            Source::Drawn(faults) => faults.fate(passing),
            Source::Scripted(_, script) => script.fate(self.counts.peek(from, to)),
        };
        // Counted here, where a loss by chance is told from one by a cut: a message that a cut has
        // stopped never comes here.
        self.lost += u64::from(fate.delay.is_none());
        if self.record.is_none() && matches!(self.source, Source::Drawn(_)) {
            return fate;
        }
        let message = self.counts.next(from, to);
        if let Some(record) = &mut self.record {
            let Fate { delay, again, .. } = fate;
            record
                .choices
                .insert(message, ScriptedFate { delay, again });
        }
        fate
    }
}
