//! One record as it is read: turns, starts and ends, and which of its votes nobody tells of.

use crate::record::{Expected, Fact, Started, parse};
use core::fmt;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};
use synod::simulation::NodeProgress;
use synod::{Epoch, NodeId, NodeSet, Slot};

/// Why a record cannot be read.
#[derive(Debug)]
pub enum ReadError {
    /// By the system.
    System(io::Error),
    /// A line is not what it should be.
    Line(u64, Expected),
    /// A line stands where none of its kind can.
    Order(u64, &'static str),
    /// Another node, or the same one in another cluster, starts in this record.
    Foreign(u64, NodeId),
    /// There is no line in it.
    Empty,
}

/// A record that cannot be read.
#[derive(Debug)]
pub struct SourceError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub error: ReadError,
}

impl SourceError {
    pub(super) fn open(path: &Path, error: io::Error) -> Self {
        Self {
            path: path.to_owned(),
            error: ReadError::System(error),
        }
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        match &self.error {
            ReadError::System(error) => write!(f, ": {error}"),
            ReadError::Line(line, expected) => write!(f, ":{line}: {expected}"),
            ReadError::Order(line, what) => write!(f, ":{line}: {what}"),
            ReadError::Foreign(line, node) => write!(
                f,
                ":{line}: {node} starts here in a record of another node: give each node a file of its own"
            ),
            ReadError::Empty => f.write_str(": no node has started in it: nothing was recorded"),
        }
    }
}

impl core::error::Error for SourceError {}

/// Facts that became durable together, with their lines.
#[derive(Debug)]
pub(super) enum Group {
    /// A start, and what the node has come back with.
    Start(Started, Vec<(u64, Fact)>, NodeProgress),
    /// A turn.
    Turn(Vec<(u64, Fact)>, NodeProgress),
    /// The node has stopped in good order.
    Stop,
    /// Facts are missing until the next start.
    Incomplete,
    /// The record ends without a stop.
    Cut,
}

/// Slots of which a node may have cast votes that nobody tells of.
#[derive(Clone, Copy, Debug)]
struct Gap {
    after: Slot,
    /// Open as long as the node does not start again.
    until: Option<Slot>,
}

/// A record.
#[derive(Debug)]
pub(super) struct Source<R> {
    pub(super) path: PathBuf,
    reader: R,
    pub(super) cluster: u32,
    pub(super) node: NodeId,
    pub(super) founders: NodeSet,
    /// The number of the last line that was read.
    pub(super) line: u64,
    /// A start that was read ahead.
    ahead: Option<(u64, Started)>,
    pub(super) has_ended: bool,
    /// The turn that waits to be concluded.
    pub(super) group: Option<(Vec<(u64, Fact)>, NodeProgress)>,
    /// True while the node runs, as far as was read.
    is_up: bool,
    pub(super) votes: bool,
    pub(super) applied: Slot,
    pub(super) epoch: Epoch,
    /// Where its votes were given up at the end of the last turn.
    low_water: Slot,
    gaps: Vec<Gap>,
    pub(super) starts: u64,
    pub(super) cut: u64,
    pub(super) incomplete: u64,
}

impl<R: BufRead> Source<R> {
    pub(super) fn new(path: PathBuf, reader: R) -> Result<Self, SourceError> {
        let mut source = Self {
            path,
            reader,
            cluster: 0,
            node: NodeId(0),
            founders: NodeSet::EMPTY,
            line: 0,
            ahead: None,
            has_ended: false,
            group: None,
            is_up: false,
            votes: true,
            applied: Slot::ZERO,
            epoch: Epoch::FIRST,
            low_water: Slot::ZERO,
            gaps: Vec::new(),
            starts: 0,
            cut: 0,
            incomplete: 0,
        };
        let first = source.next_fact()?;
        let started = match first {
            Some(Fact::Start(started)) => started,
            Some(_) => {
                let what = "expected the start of a node, found another fact";
                return Err(source.error(ReadError::Order(1, what)));
            }
            None => return Err(source.error(ReadError::Empty)),
        };
        (source.cluster, source.node) = (started.cluster, started.node);
        source.founders = started.founders;
        source.ahead = Some((1, started));
        Ok(source)
    }

    fn error(&self, error: ReadError) -> SourceError {
        SourceError {
            path: self.path.clone(),
            error,
        }
    }

    /// Reads a line. A last one without its end was cut when the process was killed, and tells nothing.
    fn next_fact(&mut self) -> Result<Option<Fact>, SourceError> {
        let mut text = String::new();
        let read = self.reader.read_line(&mut text);
        read.map_err(|error| self.error(ReadError::System(error)))?;
        let Some(text) = text.strip_suffix('\n') else {
            return Ok(None);
        };
        self.line += 1;
        let fact = parse(text);
        fact.map(Some)
            .map_err(|expected| self.error(ReadError::Line(self.line, expected)))
    }

    /// Reads up to the end of the next turn. What is read of a turn that does not end tells nothing.
    pub(super) fn next_group(&mut self) -> Result<Option<Group>, SourceError> {
        if self.has_ended {
            return Ok(None);
        }
        let mut facts = Vec::new();
        let mut start = self.ahead.take().map(|(_, started)| started);
        loop {
            let Some(fact) = self.next_fact()? else {
                self.has_ended = true;
                return Ok(self.is_up.then_some(Group::Cut));
            };
            let line = self.line;
            match fact {
                Fact::Start(started) => {
                    if (started.cluster, started.node) != (self.cluster, self.node) {
                        return Err(self.error(ReadError::Foreign(line, started.node)));
                    }
                    facts.clear();
                    if self.is_up {
                        self.ahead = Some((line, started));
                        return Ok(Some(Group::Cut));
                    }
                    start = Some(started);
                }
                Fact::At(progress) => {
                    return Ok(Some(match start {
                        Some(started) => Group::Start(started, facts, progress),
                        None if self.is_up => Group::Turn(facts, progress),
                        None => return Err(self.error(ReadError::Order(line, NOT_UP))),
                    }));
                }
                Fact::Stop => return Ok(Some(Group::Stop)),
                Fact::Incomplete(_) => return Ok(Some(Group::Incomplete)),
                fact => facts.push((line, fact)),
            }
        }
    }

    /// The node has started, and holds votes up to a window above what it has given up.
    pub(super) fn starts(&mut self, votes: bool, progress: &NodeProgress, window: u64) {
        self.is_up = true;
        self.starts += 1;
        self.votes = votes;
        let low_water = progress.low_water;
        for gap in self.gaps.iter_mut().filter(|gap| gap.until.is_none()) {
            // Its mark may have been a window further before it was killed.
            gap.until = low_water.checked_add(window.saturating_mul(2));
        }
        if self.starts == 1 {
            let until = Some(low_water);
            let after = Slot::ZERO;
            self.gaps.push(Gap { after, until });
        }
        self.goes_on(progress);
        self.applied = progress.applied;
    }

    pub(super) fn goes_on(&mut self, progress: &NodeProgress) {
        self.low_water = progress.low_water;
        self.epoch = progress.epoch;
    }

    /// The life of the node is over. Unless it has stopped in good order, votes may be missing.
    pub(super) fn ends(&mut self, in_order: bool) {
        self.is_up = false;
        if !in_order {
            let after = self.low_water;
            self.gaps.push(Gap { after, until: None });
        }
    }

    /// Whether the node may have cast a vote for a slot of which its record does not tell.
    pub(super) fn is_untold(&self, slot: Slot) -> bool {
        let covers = |gap: &Gap| slot > gap.after && gap.until.is_none_or(|until| slot <= until);
        self.gaps.iter().any(covers)
    }
}

const NOT_UP: &str = "a turn of a node that has not started since it stopped";
