//! The judge: holds the records of all nodes of a real run against the rules that simulated runs are held against.
//!
//! # Order without clocks
//!
//! Records have no common clock, and none is needed. The lines of one node are in their order. Of different nodes, one kind
//! of fact rests on another: a slot is applied because a quorum has voted for it. So a turn that applies a slot waits until
//! the votes that other records tell make a quorum, and each record goes on as far as that; which of two other facts comes
//! first changes nothing, as all other checks compare a node with its own past, or values that have to be equal. If every
//! record waits for another, one goes on, and its slots are proven when all records are further: votes hold for ever.
//!
//! # What is missing
//!
//! A record ends early when its process is killed, and votes that nobody tells of may have chosen something. Until the node
//! starts again, and for the slots that it did not hold votes of then, each of its votes may have been cast: a slot that
//! such votes can explain is counted as not checked. The same holds for nodes without a record, for slots before a record
//! begins, and after a line `incomplete`.

mod finding;
mod source;
mod told;
mod turn;

#[cfg(test)]
mod tests;

pub use finding::{Broken, Finding, Place};
pub use source::{ReadError, SourceError};

use crate::record::{PAGE_MAX, Recorded};
use core::fmt;
use source::{Group, Source};
use std::collections::BTreeSet;
use std::io::BufRead;
use std::path::PathBuf;
use synod::simulation::{Facts, Room, Seen, Size};
use synod::{Message, NodeId, NodeSet, Slot};
use told::Told;

/// What is kept of a run while it is judged.
#[derive(Debug)]
pub struct Court;

impl Room for Court {
    type Nodes = Size<64>;
    type Events = Size<1>;
    type Outbox = Size<1>;
    type Ledger = Size<1>;
    type Clients = Size<1>;
    type History = Size<4096>;
}

type Said = Message<Recorded, PAGE_MAX>;

/// Why records are not judged.
#[derive(Debug)]
#[non_exhaustive]
pub enum JudgeError {
    /// A file cannot be read, or is no record.
    Source(SourceError),
    /// Two records are of different clusters.
    Clusters(PathBuf, PathBuf),
    /// Two records are of one node.
    SameNode(NodeId, PathBuf, PathBuf),
}

impl fmt::Display for JudgeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(error) => error.fmt(f),
            Self::Clusters(one, other) => write!(
                f,
                "{} and {} are of different clusters, or of versions with other capacities: judge the records of one run at a time",
                one.display(),
                other.display()
            ),
            Self::SameNode(node, one, other) => write!(
                f,
                "{} and {} are both records of {node}: leave one out if it is a copy, or append the later one to the earlier one",
                one.display(),
                other.display()
            ),
        }
    }
}

impl core::error::Error for JudgeError {}

impl From<SourceError> for JudgeError {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

/// What was judged of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfNode {
    /// The node.
    pub node: NodeId,
    /// The file.
    pub path: PathBuf,
    /// How often it has started.
    pub starts: u64,
    /// Its lines.
    pub facts: u64,
    /// Lives that end without `stop`: killed, or still running.
    pub cut: u64,
    /// Lives of which facts were not recorded.
    pub incomplete: u64,
}

/// What was judged, and the first violation.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The nodes.
    pub nodes: Vec<OfNode>,
    /// The last slot that any node has applied.
    pub last: Slot,
    /// Slots that a quorum of recorded votes has chosen, as it was applied.
    pub decided: u64,
    /// Slots whose votes are not in the records, so that the nodes were only compared with each other.
    pub unproven: u64,
    /// Different ballots under which votes were cast.
    pub ballots: usize,
    /// Different epochs.
    pub epochs: usize,
    /// How often each rule was checked.
    pub seen: Seen,
    /// The first violation.
    pub finding: Option<Finding>,
}

impl Judgement {
    /// True if there is not enough to judge: one node alone, or nothing that is decided.
    pub fn is_vacuous(&self) -> bool {
        self.nodes.len() < 2 || self.decided == 0
    }

    /// True if facts were lost while they were recorded.
    pub fn is_incomplete(&self) -> bool {
        self.nodes.iter().any(|node| node.incomplete > 0)
    }
}

/// Judges the records of a run, read from `open`, which is called again for the facts of a violation. `W` is the window of
/// the nodes. Needs a large stack: see [`STACK`](crate::STACK).
///
/// # Errors
///
/// [`JudgeError`]: nothing was judged.
pub fn judge<R: BufRead, const W: usize>(
    paths: &[PathBuf],
    open: impl Fn(&PathBuf) -> std::io::Result<R>,
) -> Result<Judgement, JudgeError> {
    let mut sources = Vec::new();
    for path in paths {
        let reader = open(path).map_err(|error| SourceError::open(path, error))?;
        sources.push(Source::new(path.clone(), reader)?);
    }
    if let Some((one, other)) = pairs(&sources).find(|(one, other)| one.cluster != other.cluster) {
        return Err(JudgeError::Clusters(one.path.clone(), other.path.clone()));
    }
    if let Some((one, other)) = pairs(&sources).find(|(one, other)| one.node == other.node) {
        let (a, b) = (one.path.clone(), other.path.clone());
        return Err(JudgeError::SameNode(one.node, a, b));
    }
    let mut trial = Trial::<R, W>::new(sources);
    let broken = trial.run()?;
    let mut judgement = trial.judgement();
    if let Some((broken, place)) = broken {
        judgement.finding = Some(finding::explain(broken, place, paths, open)?);
    }
    Ok(judgement)
}

fn pairs<T>(items: &[T]) -> impl Iterator<Item = (&T, &T)> {
    let (first, rest) = (items.first(), items.get(1..).unwrap_or_default());
    let with_first = rest.iter().filter_map(move |item| Some((first?, item)));
    let others = (1..rest.len()).flat_map(move |index| {
        let one = rest.get(index - 1).into_iter();
        one.flat_map(move |one| rest.iter().skip(index).map(move |other| (one, other)))
    });
    with_first.chain(others)
}

/// Records in the middle of being judged.
struct Trial<R, const W: usize> {
    sources: Vec<Source<R>>,
    facts: Box<Facts<Recorded, Court, W>>,
    told: Told,
    /// Slots that were applied before their votes were told.
    owed: Vec<turn::Owed>,
    /// The nodes that have a record.
    recorded: NodeSet,
    ballots: BTreeSet<u64>,
    epochs: BTreeSet<u16>,
    decided: u64,
    unproven: u64,
}

/// A broken rule, the index of the record and the line that breaks it.
type Broke = (Broken, (usize, u64));

impl<R: BufRead, const W: usize> Trial<R, W> {
    fn new(sources: Vec<Source<R>>) -> Self {
        Self {
            recorded: sources.iter().map(|source| source.node).collect(),
            sources,
            facts: Box::default(),
            told: Told::default(),
            owed: Vec::new(),
            ballots: BTreeSet::new(),
            epochs: BTreeSet::new(),
            decided: 0,
            unproven: 0,
        }
    }

    /// Judges turn by turn. Of the records that need not wait, the one that is furthest behind goes on, so that what is
    /// compared is near to each other.
    fn run(&mut self) -> Result<Option<Broke>, SourceError> {
        loop {
            for index in 0..self.sources.len() {
                if let Err(broke) = self.fill(index)? {
                    return Ok(Some(broke));
                }
            }
            let mut open: Vec<usize> = Vec::new();
            for (index, source) in self.sources.iter().enumerate() {
                if source.group.is_some() {
                    open.push(index);
                }
            }
            open.sort_by_key(|index| self.sources.get(*index).map(|source| source.applied));
            let behind = open.first().and_then(|index| self.sources.get(*index));
            let lowest = behind.map(|source| source.applied);
            if let Err(broke) = self.settle(lowest) {
                return Ok(Some(broke));
            }
            let ready = |excused| {
                let mut open = open.iter().copied();
                open.find(|index| self.is_ready(*index, excused))
            };
            // If none of them can go on, the first does: its slots are proven later, or not at all.
            let next = ready(false)
                .or_else(|| ready(true))
                .or(open.first().copied());
            let Some(index) = next else { return Ok(None) };
            if let Err(broke) = self.conclude(index) {
                return Ok(Some(broke));
            }
        }
    }

    /// Reads the next turn of a record, unless one waits, and counts its votes: they hold whenever it is concluded.
    fn fill(&mut self, index: usize) -> Result<Result<(), Broke>, SourceError> {
        while let Some(source) = self.sources.get_mut(index)
            && source.group.is_none()
            && !source.has_ended
        {
            let Some(group) = source.next_group()? else {
                break;
            };
            if let Err(broke) = self.begin(index, group) {
                return Ok(Err(broke));
            }
        }
        Ok(Ok(()))
    }

    fn judgement(&self) -> Judgement {
        let of_node = |source: &Source<R>| OfNode {
            node: source.node,
            path: source.path.clone(),
            starts: source.starts,
            facts: source.line,
            cut: source.cut,
            incomplete: source.incomplete,
        };
        Judgement {
            nodes: self.sources.iter().map(of_node).collect(),
            last: self.told.last(),
            decided: self.decided,
            unproven: self.unproven,
            ballots: self.ballots.len(),
            epochs: self.epochs.len(),
            seen: *self.facts.seen(),
            finding: None,
        }
    }
}
