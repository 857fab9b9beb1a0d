//! The recorder of a run: it takes down facts as they happen.
//!
//! Records say what a node has seen of a message, and not which message it was. So the recorder follows each copy by what
//! the simulation tells of its [`Way`], as the log does, and here also to the recipient: a page draws an arrow for each.

use crate::fact::Fact;
use crate::state::{NodeState, Told, new_votes};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use synod::simulation::{Setting, Simulation};
use synod::{Event, NodeId, Record, StateMachine, Way};

/// The most records that are kept. A page of more would take a browser minutes to open.
const RECORDS_MAX: u64 = 400_000;

/// Takes down the facts of a run.
#[derive(Debug, Default)]
pub struct Recorder {
    /// The facts, a line of JSON each.
    lines: Vec<u8>,
    /// The number of records among them.
    records: u64,
    /// Whether there were more.
    is_cut: bool,
    nodes: BTreeMap<NodeId, Followed>,
    /// The copies of messages that are under way, by the number that the simulation gives them.
    copies: BTreeMap<u64, Copy>,
    /// The message that leaves its sender.
    leaving: Leaving,
    /// The copy that arrives, until the event is over.
    arriving: Option<Copy>,
    /// Whether a record says what became of it.
    is_noted: bool,
    /// Messages that left in the present event, with the time at which they were sent.
    left: Vec<(MessageId, u64)>,
    /// Messages that were queued and will never leave.
    unsent: Vec<MessageId>,
}

/// What is known of a node.
#[derive(Debug, Default)]
struct Followed {
    told: Told,
    /// The number of messages that it has sent.
    sent: u64,
    /// Messages that it has sent and that have not left it.
    waiting: VecDeque<Queued>,
    /// Whether there was a record of it since its votes were looked at.
    is_touched: bool,
}

/// A message: the nth of its sender.
type MessageId = (NodeId, u64);

/// A message that has not left its sender.
#[derive(Debug)]
struct Queued {
    id: MessageId,
    to: VecDeque<NodeId>,
    sent_at: u64,
}

/// A copy of a message under way.
#[derive(Clone, Copy, Debug)]
struct Copy {
    id: MessageId,
    to: NodeId,
}

/// A message that leaves its sender: its recipients are served in turn.
#[derive(Debug, Default)]
struct Leaving {
    id: Option<MessageId>,
    /// The recipients whose copy is neither under way nor lost.
    to: VecDeque<NodeId>,
    /// Whether the first of them gets two copies.
    is_twice: bool,
}

impl Leaving {
    /// Returns the recipient of the next copy.
    fn next(&mut self) -> Option<NodeId> {
        if core::mem::take(&mut self.is_twice) {
            return self.to.front().copied();
        }
        self.to.pop_front()
    }
}

/// A fact of the network that no record tells.
#[derive(Serialize)]
struct Passage {
    /// When.
    t: u64,
    /// `left` after it waited for a disk, `unsent` with the power, or `missed` as its recipient was down.
    e: &'static str,
    /// The recipient that missed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u16>,
    /// The message.
    id: String,
}

/// Returns the name of a message, as in the log.
fn name((from, nth): MessageId) -> String {
    format!("{}.{nth}", from.0)
}

impl Recorder {
    /// Returns a recorder that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes down a record. `line` is its line of the log.
    pub fn record<M: StateMachine, const PAGE: usize>(
        &mut self,
        record: &Record<'_, M, PAGE>,
        line: &str,
    ) {
        let id = self.message_of(record);
        self.nodes.entry(record.node).or_default().is_touched = true;
        self.records += 1;
        if self.records > RECORDS_MAX {
            self.is_cut = true;
            return;
        }
        self.push(&Fact::of(record, id.map(name), line));
    }

    /// Follows the messages of a record, and returns the one that it is about.
    fn message_of<M: StateMachine, const PAGE: usize>(
        &mut self,
        record: &Record<'_, M, PAGE>,
    ) -> Option<MessageId> {
        let node = record.node;
        let known = self.nodes.entry(node).or_default();
        match &record.event {
            // A message of a node to itself never leaves it.
            Event::Sent { to, .. } if !to.contains(node) => {
                let id = (node, known.sent);
                known.sent += 1;
                known.waiting.push_back(Queued {
                    id,
                    to: to.iter().collect(),
                    sent_at: record.at.as_micros(),
                });
                Some(id)
            }
            Event::Received { from, .. } | Event::Ignored { from, .. } => {
                let is_it = |copy: &Copy| copy.id.0 == *from && copy.to == node;
                let copy = self.arriving.filter(is_it)?;
                self.is_noted = true;
                Some(copy.id)
            }
            Event::Lost { .. } => {
                self.leaving.next();
                self.leaving.id
            }
            Event::Duplicated { .. } => {
                self.leaving.is_twice = true;
                self.leaving.id
            }
            Event::Delayed { .. } => self.leaving.id,
            Event::Killed | Event::Restarted | Event::Fenced | Event::Halted { .. } => {
                let lost = known.waiting.drain(..).map(|queued| queued.id);
                self.unsent.extend(lost);
                None
            }
            _ => None,
        }
    }

    /// Takes down the way of a message.
    pub fn on_way(&mut self, way: Way) {
        match way {
            Way::Leaves { from, overtaken } => {
                let known = self.nodes.entry(from).or_default();
                self.leaving = Leaving::default();
                if let Some(queued) = known.waiting.remove(overtaken) {
                    self.left.push((queued.id, queued.sent_at));
                    self.leaving.id = Some(queued.id);
                    self.leaving.to = queued.to;
                }
            }
            Way::Carried { copy } => {
                if let (Some(id), Some(to)) = (self.leaving.id, self.leaving.next()) {
                    self.copies.insert(copy, Copy { id, to });
                }
            }
            Way::PutOff { copy, next } => {
                if let Some(known) = self.copies.remove(&copy) {
                    self.copies.insert(next, known);
                }
            }
            Way::Arrives { copy } => {
                self.arriving = self.copies.remove(&copy);
                self.is_noted = false;
            }
        }
    }

    /// Looks at all nodes after an event of the simulation, and takes down what has changed in them.
    pub fn look<S, const W: usize, const C: usize, const P: usize>(
        &mut self,
        simulation: &Simulation<S, W, C, P>,
    ) where
        S: Setting<W, C, P>,
    {
        let t = simulation.now().as_micros();
        self.passages(t);
        if self.is_cut {
            return;
        }
        for node in simulation.nodes() {
            let known = self.nodes.entry(node.id()).or_default();
            let state = NodeState::of(simulation, node);
            // Votes change only where there is a record, and to compare them takes long.
            let is_touched = core::mem::take(&mut known.is_touched);
            let votes = is_touched.then(|| new_votes(node, known.told.votes()));
            if let Some(change) = known.told.change((t, node.id().0), state, votes) {
                self.push(&change);
            }
        }
    }

    /// Takes down what became of messages in the present event without a record.
    fn passages(&mut self, t: u64) {
        let left = core::mem::take(&mut self.left);
        let unsent = core::mem::take(&mut self.unsent);
        let missed = self.arriving.take().filter(|_| !self.is_noted);
        if self.is_cut {
            return;
        }
        // What leaves at once needs no fact of its own.
        let left = left.into_iter().filter(|(_, sent_at)| *sent_at < t);
        let passages = left
            .map(|(id, _)| ("left", None, id))
            .chain(unsent.into_iter().map(|id| ("unsent", None, id)))
            .chain(missed.map(|copy| ("missed", Some(copy.to.0), copy.id)));
        for (e, n, id) in passages {
            let id = name(id);
            self.push(&Passage { t, e, n, id });
        }
    }

    /// Appends a fact as a line.
    fn push(&mut self, fact: &impl Serialize) {
        // A vector takes everything, and facts have no keys but words.
        if serde_json::to_writer(&mut self.lines, fact).is_ok() {
            self.lines.push(b'\n');
        }
    }

    /// Returns the number of records that were seen.
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// True if there were more records than a page takes.
    pub const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Returns the facts, a line of JSON each.
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }
}
