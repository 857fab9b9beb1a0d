//! What works against the cluster of a case: chance, chance that is written down, or a script.

use std::collections::BTreeMap;
use synod::simulation::{Fate, FaultKind, Faults, Nemesis, Passing, Plan};
use synod::{Duration, NodeId};

/// Which message: the `nth` that one node sent to another in a run, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkMessage {
    /// Its sender.
    pub from: NodeId,
    /// Its addressee.
    pub to: NodeId,
    /// How many were sent that way before it.
    pub nth: u32,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScriptedFate {
    /// How long it took; `None` when it was lost.
    pub delay: Option<Duration>,
    /// How long a second copy took, if there was one.
    pub again: Option<Duration>,
}

/// What became of the messages of a run: the usual, but for those that are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// How long a message takes that is not named.
    pub usual: Duration,
    /// What became of the others.
    pub choices: BTreeMap<LinkMessage, ScriptedFate>,
}

impl Script {
    /// What becomes of a message that is not named.
    pub const fn usual(&self) -> ScriptedFate {
        ScriptedFate {
            delay: Some(self.usual),
            again: None,
        }
    }

    fn fate(&self, message: LinkMessage) -> Fate {
        let ScriptedFate { delay, again } =
            self.choices.get(&message).copied().unwrap_or(self.usual());
        // What takes twice as long as usual is late for a reason.
        let late = delay.is_some_and(|delay| delay > self.usual * 2);
        let late = late.then_some(FaultKind::Spike);
        Fate { delay, again, late }
    }
}

/// How many messages each node has sent to each other.
#[derive(Clone, Debug, Default)]
struct SentCounts(BTreeMap<(NodeId, NodeId), u32>);

impl SentCounts {
    fn peek(&self, from: NodeId, to: NodeId) -> LinkMessage {
        let nth = self.0.get(&(from, to)).copied().unwrap_or(0);
        LinkMessage { from, to, nth }
    }

    fn next(&mut self, from: NodeId, to: NodeId) -> LinkMessage {
        let message = self.peek(from, to);
        self.0.insert((from, to), message.nth + 1);
        message
    }
}

/// What works against the cluster of a case.
#[derive(Clone, Debug)]
pub struct Fates {
    source: Source,
    counts: SentCounts,
    /// What became of each message, where that is to be written down.
    record: Option<Script>,
    lost: u64,
}

#[derive(Clone, Debug)]
enum Source {
    /// Chance.
    Drawn(Box<Faults>),
    /// What was written down; and what is planned besides.
    Scripted(Box<Plan>, Script),
}

impl Fates {
    pub(super) fn drawn(faults: Faults) -> Self {
        Self::from(Source::Drawn(Box::new(faults)))
    }

    pub(super) fn scripted(script: Script, plan: Plan) -> Self {
        Self::from(Source::Scripted(Box::new(plan), script))
    }

    /// Writes down what becomes of each message from now on; a script says how long one usually takes.
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

    /// How many messages were lost, those aside that a planned fault cut off.
    pub(super) const fn lost(&self) -> u64 {
        self.lost
    }

    /// What became of each message, where that was written down.
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

    fn fate(&mut self, passing: Passing) -> Fate {
        let Passing { from, to, .. } = passing;
        let fate = match &mut self.source {
            Source::Drawn(faults) => faults.fate(passing),
            Source::Scripted(_, script) => script.fate(self.counts.peek(from, to)),
        };
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
