//! What works against the cluster of a case: chance, chance that is written down, or a script.

use std::collections::BTreeMap;
use synod::simulation::{Fate, FaultKind, Faults, Nemesis, Passing, Plan};
use synod::{Duration, NodeId};

/// Which message: the `nth` that one node sent to another in a run, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Passage {
    /// Its sender.
    pub from: NodeId,
    /// Its addressee.
    pub to: NodeId,
    /// How many were sent that way before it.
    pub nth: u32,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Choice {
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
    pub choices: BTreeMap<Passage, Choice>,
}

/// How many messages each node has sent to each other.
#[derive(Clone, Debug, Default)]
struct Counts(BTreeMap<(NodeId, NodeId), u32>);

impl Counts {
    fn next(&mut self, from: NodeId, to: NodeId) -> Passage {
        let count = self.0.entry((from, to)).or_default();
        let nth = *count;
        *count += 1;
        Passage { from, to, nth }
    }
}

/// What works against the cluster of a case.
#[derive(Clone, Debug)]
pub struct Nature {
    source: Source,
    counts: Counts,
    lost: u64,
}

#[derive(Clone, Debug)]
enum Source {
    /// Chance.
    Drawn(Box<Faults>),
    /// Chance, written down.
    Recorded(Box<Faults>, Script),
    /// What was written down; and what is planned besides.
    Scripted(Box<Plan>, Script),
}

impl Nature {
    pub(super) fn drawn(faults: Box<Faults>) -> Self {
        Self::from(Source::Drawn(faults))
    }

    pub(super) fn recorded(faults: Box<Faults>, usual: Duration) -> Self {
        let choices = BTreeMap::new();
        Self::from(Source::Recorded(faults, Script { usual, choices }))
    }

    pub(super) fn scripted(script: Script, plan: Plan) -> Self {
        Self::from(Source::Scripted(Box::new(plan), script))
    }

    /// How many messages were lost, those aside that a planned fault cut off.
    pub(super) const fn lost(&self) -> u64 {
        self.lost
    }

    /// What became of the messages, where that is written down.
    pub(super) fn script(&self) -> Option<&Script> {
        match &self.source {
            Source::Drawn(_) => None,
            Source::Recorded(_, script) | Source::Scripted(_, script) => Some(script),
        }
    }
}

impl From<Source> for Nature {
    fn from(source: Source) -> Self {
        Self {
            source,
            counts: Counts::default(),
            lost: 0,
        }
    }
}

impl Default for Nature {
    fn default() -> Self {
        Self::drawn(Box::default())
    }
}

impl Nemesis for Nature {
    const PLANS: bool = true;

    fn plan(&self) -> Option<&Plan> {
        match &self.source {
            Source::Drawn(faults) | Source::Recorded(faults, _) => faults.plan(),
            Source::Scripted(plan, _) => Some(plan),
        }
    }

    fn plan_mut(&mut self) -> Option<&mut Plan> {
        match &mut self.source {
            Source::Drawn(faults) | Source::Recorded(faults, _) => faults.plan_mut(),
            Source::Scripted(plan, _) => Some(plan),
        }
    }

    fn fate(&mut self, passing: Passing) -> Fate {
        let fate = self.source.fate(&mut self.counts, passing);
        self.lost += u64::from(fate.delay.is_none());
        fate
    }
}

impl Source {
    fn fate(&mut self, counts: &mut Counts, passing: Passing) -> Fate {
        match self {
            Self::Drawn(faults) => faults.fate(passing),
            Self::Recorded(faults, script) => {
                let fate = faults.fate(passing);
                let passage = counts.next(passing.from, passing.to);
                let Fate { delay, again, .. } = fate;
                script.choices.insert(passage, Choice { delay, again });
                fate
            }
            Self::Scripted(_, script) => {
                let passage = counts.next(passing.from, passing.to);
                let usual = Choice {
                    delay: Some(script.usual),
                    again: None,
                };
                let Choice { delay, again } = *script.choices.get(&passage).unwrap_or(&usual);
                // What takes twice as long as usual is late for a reason.
                let late = delay.is_some_and(|delay| delay > script.usual * 2);
                let late = late.then_some(FaultKind::Spike);
                Fate { delay, again, late }
            }
        }
    }
}
