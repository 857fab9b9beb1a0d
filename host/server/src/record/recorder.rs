//! The recorder of a node: takes what its turns have made durable, and hands lines to a sink.

use super::fact::{Words, put_message, recorded};
use super::file::Sink;
use std::collections::VecDeque;
use synod::simulation::{NodeProgress, StepBoundary, StepsTaken};
use synod::{
    Duration, Event, Halt, Instant, Message, Node, Outcome, Proposal, Record, Slot, StateMachine,
    Tracer, Value, Write,
};

/// Bytes that are gathered before they are handed over, unless nothing was for [`WAIT_MAX`].
const GATHERED: usize = 16 * 1024;
/// The longest that facts wait to be handed over, as long as the node takes turns.
const WAIT_MAX: Duration = Duration::from_millis(100);

/// Records the turns of one node.
///
/// It is a tracer, as what is applied is traced slot by slot; those facts wait until the turn that they belong to is
/// durable.
#[derive(Debug)]
pub struct Recorder<S> {
    sink: S,
    lines: Vec<u8>,
    /// Facts in `lines`.
    count: u64,
    /// When lines were handed over last.
    handed: Instant,
    /// What was applied in turns that are not durable yet.
    applied: VecDeque<Applied>,
    halted: Option<&'static str>,
    votes: bool,
}

#[derive(Debug)]
struct Applied {
    slot: Slot,
    proposal: Proposal<u64>,
    chain: u64,
    again: bool,
}

impl<S: Sink> Recorder<S> {
    /// Creates a recorder.
    pub fn new(sink: S) -> Self {
        Self {
            sink,
            lines: Vec::with_capacity(2 * GATHERED),
            count: 0,
            handed: Instant::ZERO,
            applied: VecDeque::new(),
            halted: None,
            votes: true,
        }
    }

    /// Returns where the lines go.
    pub fn sink(&self) -> &S {
        &self.sink
    }

    /// Records the start of a node, as it has come back from its storage, in a process with this nonce.
    pub fn started<M: StateMachine, const W: usize, const C: usize, const P: usize>(
        &mut self,
        node: &Node<M, W, C, P>,
        process: u64,
    ) {
        self.applied.clear();
        self.halted = None;
        self.votes = node.is_voter();
        let mut words = Words::new(&mut self.lines, "start");
        words.number(super::fact::VERSION);
        words.hex(node.fingerprint().into()).number(node.id().0);
        words.hex(process).hex(node.config().members.bits());
        words.number(u8::from(self.votes));
        words.end();
        for vote in node.votes() {
            let mut words = Words::new(&mut self.lines, "held");
            words.entry(&vote);
            words.end();
            self.count += 1;
        }
        self.put_progress(&NodeProgress::of(node), node.is_active());
        self.hand_over();
    }

    /// Records a turn that is durable. One in which nothing has happened leaves no line.
    pub fn stepped<M: StateMachine, const W: usize, const C: usize, const P: usize>(
        &mut self,
        taken: &StepsTaken<'_, M, W, C, P>,
    ) {
        let before = self.count;
        if self.votes && !taken.node.is_voter() {
            self.votes = false;
            self.put_word("fenced");
        }
        let end = StepBoundary {
            writes: taken.writes.len(),
            messages: taken.messages.len(),
        };
        // A promise tells what was accepted by then, so that it stands between the writes before it and those after.
        let mut from = StepBoundary::default();
        for to in taken.boundaries.iter().copied().chain([end]) {
            // Nothing is stored for a node that does not vote, and nobody relies on it.
            let writes = taken.writes.get(from.writes..to.writes);
            let writes = writes.filter(|_| self.votes);
            for write in writes.into_iter().flatten() {
                self.put_write(write);
            }
            let messages = taken.messages.get(from.messages..to.messages);
            for outgoing in messages.into_iter().flatten() {
                self.put_said(&outgoing.message);
            }
            from = to;
        }
        self.put_applied(taken.progress.applied);
        if let Some(cause) = self.halted.take() {
            let mut words = Words::new(&mut self.lines, "halted");
            words.word(cause);
            words.end();
            self.count += 1;
        }
        if self.count > before {
            self.put_progress(&taken.progress, taken.node.is_active());
        }
        if self.lines.len() >= GATHERED || taken.at.since(self.handed) >= WAIT_MAX {
            self.handed = taken.at;
            self.hand_over();
        }
    }

    /// Records that the node has stopped in good order.
    pub fn stopped(&mut self) {
        self.put_word("stop");
        self.hand_over();
    }

    fn hand_over(&mut self) {
        if !self.lines.is_empty() {
            self.sink.take(&mut self.lines, self.count);
            self.lines.clear();
            self.count = 0;
        }
    }

    fn put_word(&mut self, word: &str) {
        Words::new(&mut self.lines, word).end();
        self.count += 1;
    }

    fn put_write<C: Value>(&mut self, write: &Write<C>) {
        let mut words;
        match write {
            Write::Promised(ballot) => {
                words = Words::new(&mut self.lines, "promised");
                words.ballot(*ballot);
            }
            Write::Accepted(vote) => {
                words = Words::new(&mut self.lines, "voted");
                words.entry(vote);
            }
            // What is decided is told by what is applied.
            Write::Decided { .. } | Write::Installed(_) => return,
        }
        words.end();
        self.count += 1;
    }

    fn put_said<M: StateMachine, const P: usize>(&mut self, message: &Message<M, P>) {
        let before = self.lines.len();
        put_message(&mut self.lines, message);
        self.count += u64::from(self.lines.len() > before);
    }

    /// What was applied up to a slot is durable.
    fn put_applied(&mut self, up_to: Slot) {
        while let Some(applied) = self.applied.pop_front_if(|next| next.slot <= up_to) {
            let mut words = Words::new(&mut self.lines, "applied");
            words.slot(applied.slot).proposal(&applied.proposal);
            words.hex(applied.chain);
            if applied.again {
                words.word("again");
            }
            words.end();
            self.count += 1;
        }
    }

    fn put_progress(&mut self, progress: &NodeProgress, is_active: bool) {
        let mut words = Words::new(&mut self.lines, "at");
        words.ballot(progress.promised);
        words.slot(progress.low_water).slot(progress.applied);
        words.hex(progress.chain).number(progress.epoch.0);
        // Who has not joined knows of no members.
        words.hex(if is_active {
            progress.members.bits()
        } else {
            0
        });
        words.end();
        self.count += 1;
    }
}

impl<S: Sink, M: StateMachine, const P: usize> Tracer<M, P> for Recorder<S> {
    fn record(&mut self, record: &Record<'_, M, P>) {
        match record.event {
            Event::Applied {
                slot,
                proposal,
                outcome,
                chain,
            } => self.applied.push_back(Applied {
                slot,
                proposal: recorded(proposal),
                chain,
                again: !takes_effect(slot, outcome),
            }),
            Event::Halted { cause } => {
                self.halted = Some(match cause {
                    Halt::DuplicateIdentity => "duplicate-identity",
                    Halt::Conflict(_) => "conflict",
                    Halt::StorageFailed => "storage-failed",
                    Halt::Diverged(_) => "diverged",
                });
            }
            _ => {}
        }
    }
}

/// Whether a command takes effect in its slot.
fn takes_effect<O>(slot: Slot, outcome: Option<&Outcome<O>>) -> bool {
    match outcome {
        Some(Outcome::Applied { slot: of, .. }) => *of == slot,
        Some(Outcome::Registered { client }) => client.0 == slot.number(),
        Some(Outcome::Reconfigured { .. }) => true,
        _ => false,
    }
}
