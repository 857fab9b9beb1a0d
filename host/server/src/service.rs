//! The service: owns the node of a server and turns what arrives into frames, replies and durable records. It has no
//! sockets, no clock and no threads.
//!
//! A driver makes a [turn](Service::begin_turn) for everything that has arrived since the last one. What was gathered meanwhile
//! becomes durable with one sync, and the commands of all clients share a few batches, so that the cost of a sync and of a
//! slot is divided among them.

mod answer;
mod asked;
mod lanes;
mod leader_time;
mod proposing;
mod reads;
mod turn;
mod work;

#[cfg(test)]
mod tests;

pub use answer::{Answer, Failure};
pub use work::{Asked, Token, Work};

use crate::backup::Backup;
use crate::batch::BatchId;
use crate::capacity::{ASKED_MAX, Member, PAGE, PeerFrames, Room, WAITING_MAX};
use crate::keyspace::Keyspace;
use crate::metrics::JournalFacts;
use crate::record::{RecordFile, Recorder};
use crate::reply::Reply;
use asked::AskedList;
use lanes::Lanes;
use leader_time::LeaderTime;
use reads::Reads;
use std::collections::VecDeque;
use synod::simulation::StepBoundary;
use synod::storage::{Journal, Storage};
use synod::wire::{Dropped, Frame};
use synod::{Change, Duration, Envelope, Instant, NodeId, Outcome, RequestKey, Status};

/// The time from one backup to the next.
const BACKUPS_APART: Duration = Duration::from_secs(1);

/// The present time, read once a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The time since the process began. It never goes back.
    pub monotonic: Instant,
    /// The time of the wall clock, in milliseconds since 1970. It may jump.
    pub unix: u64,
}

/// Where frames to other nodes go.
pub trait Link {
    /// Takes a frame to another node. It may be lost.
    fn send(&mut self, to: NodeId, frame: &[u8]);
    /// Sends what was taken, before the service waits for the disk.
    fn flush(&mut self);
}

/// Settings of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a client waits for an answer before it is told that there is none.
    pub patience: Duration,
    /// True if reads are answered from the state of this node at once, however old it is.
    pub stale_reads: bool,
    /// The first of the numbers that distinguish the sessions, reads and batches of this start of the node from all others.
    /// Draw it at random.
    pub nonce: u64,
}

/// The owner of a node.
#[derive(Debug)]
pub struct Service<S> {
    node: Box<Member>,
    /// `None` once the storage has failed, and for a node that only learns.
    journal: Option<Journal<S>>,
    settings: Settings,
    outbox: Box<Room>,
    frames: PeerFrames,
    inbox: VecDeque<Envelope<Keyspace, PAGE>>,
    /// Work that waits for a place in a batch, the oldest first.
    writes: VecDeque<Work>,
    /// The number of operations in `writes` and in the reads that wait.
    waiting: usize,
    lanes: Lanes,
    reads: Reads,
    asked: AskedList,
    time: LeaderTime,
    /// Who waits for a change of the members, and the key of that change.
    change: Option<(RequestKey, Token, Instant)>,
    /// The change to ask for in the next turn, and who waits for it.
    next_change: Option<(Token, Change)>,
    /// Answers that rest on writes which are not durable yet.
    held: Vec<(Token, Answer)>,
    answers: VecDeque<(Token, Answer)>,
    /// How many replies of the outbox were looked at in this turn.
    seen: usize,
    /// True if the outbox had no room for another step at the end of the last turn.
    was_full: bool,
    /// The number of syncs, and of batches proposed. For metrics.
    counters: Counters,
    /// What the turns are recorded with.
    recorder: Option<Box<Recorder<RecordFile>>>,
    is_recorded: bool,
    /// The ends of the steps of this turn, if it is recorded.
    boundaries: Vec<StepBoundary>,
    /// No backup is taken before this time.
    next_backup: Instant,
}

/// What a service has done since it began. For metrics; it decides nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Turns that had something to make durable.
    pub syncs: u64,
    /// Batches proposed at this node.
    pub batches: u64,
    /// Operations in these batches.
    pub operations: u64,
    /// Reads answered without a slot.
    pub reads: u64,
    /// Work that nobody answered in time.
    pub timeouts: u64,
    /// Work refused because too much waited already.
    pub refused: u64,
}

impl<S: Storage> Service<S> {
    /// Creates the service of a node and its journal.
    pub fn new(node: Box<Member>, journal: Option<Journal<S>>, settings: Settings) -> Self {
        let frames = PeerFrames::new(node.fingerprint());
        let first = settings.nonce;
        Self {
            node,
            journal,
            settings,
            outbox: Box::default(),
            frames,
            inbox: VecDeque::new(),
            writes: VecDeque::new(),
            waiting: 0,
            lanes: Lanes::new(first),
            reads: Reads::new(first),
            asked: AskedList::default(),
            time: LeaderTime::default(),
            change: None,
            next_change: None,
            held: Vec::new(),
            answers: VecDeque::new(),
            seen: 0,
            was_full: false,
            counters: Counters::default(),
            recorder: None,
            is_recorded: false,
            boundaries: Vec::new(),
            next_backup: Instant::ZERO,
        }
    }

    /// Records the turns of the node from now on.
    pub fn record(&mut self, mut recorder: Recorder<RecordFile>) {
        recorder.started(&self.node, self.settings.nonce);
        self.recorder = Some(Box::new(recorder));
        self.is_recorded = true;
    }

    /// Returns what the turns are recorded with.
    pub fn recorder(&self) -> Option<&Recorder<RecordFile>> {
        self.recorder.as_deref()
    }

    /// Ends the record of a node that stops in good order.
    pub fn end_record(&mut self) {
        if let Some(mut recorder) = self.recorder.take() {
            recorder.stopped();
            self.is_recorded = false;
        }
    }

    /// Returns the node.
    pub fn node(&self) -> &Member {
        &self.node
    }

    /// Returns the status of the node.
    pub fn status(&self) -> Status {
        self.node.status()
    }

    /// Returns what the service has done.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Returns the frames that were dropped, for each reason.
    pub fn dropped(&self) -> Dropped {
        self.frames.dropped()
    }

    /// Returns how full the journal is; `None` for a node without one.
    pub(crate) fn journal_facts(&self) -> Option<JournalFacts> {
        let journal = self.journal.as_ref()?;
        Some(JournalFacts {
            used: journal.used(),
            peak: journal.peak(),
            capacity: journal.storage().capacity(),
            checkpoints: journal.checkpoints(),
        })
    }

    /// True while the node has storage that works. Otherwise it does not vote.
    pub fn is_durable(&self) -> bool {
        self.journal.is_some()
    }

    /// Takes a frame from another node. Returns false if it was dropped, which is counted.
    pub fn take_frame(&mut self, frame: &[u8]) -> bool {
        match self.frames.decode(frame) {
            Ok(Frame::Message(envelope)) => {
                self.inbox.push_back(envelope);
                true
            }
            // Clients speak another protocol, at another port.
            Ok(Frame::Question(_) | Frame::Answer) | Err(_) => false,
        }
    }

    /// True if more frames can be taken in this turn than the node handles in one.
    pub fn has_room_for_frames(&self) -> bool {
        self.inbox.len() < 1024
    }

    /// Takes work from a client. Its answer comes from [`Service::poll_answer`] after this turn or a later one.
    pub fn take_work(&mut self, now: Now, work: Work) {
        if self.node.halted().is_some() {
            self.fail(work.token, Failure::Halted);
        } else if self.waiting.saturating_add(work.count()) > WAITING_MAX
            || (work.is_backup() && self.refuses_backup(now))
        {
            self.counters.refused += 1;
            self.fail(work.token, Failure::Busy);
        } else {
            let until = now.monotonic + self.settings.patience;
            self.waiting = self.waiting.saturating_add(work.count());
            let work = work.until(until);
            if work.is_read() {
                self.reads.push(work);
            } else {
                self.writes.push_back(work);
            }
        }
    }

    /// True if a backup waits, or was asked for lately: each takes megabytes until its client has read it. Otherwise this
    /// one counts.
    fn refuses_backup(&mut self, now: Now) -> bool {
        let at = now.monotonic;
        let is_refused = self.reads.has_backup() || at < self.next_backup;
        if !is_refused {
            self.next_backup = at + BACKUPS_APART;
        }
        is_refused
    }

    /// Takes what a client asks for in a session of its own. Its answer comes like that of work.
    pub fn take_asked(&mut self, now: Now, token: Token, asked: &Asked) {
        if self.asked.len() >= ASKED_MAX {
            self.counters.refused += 1;
            return self.fail(token, Failure::Busy);
        }
        let until = now.monotonic + self.settings.patience;
        self.asked.push(token, asked, (now.monotonic, until));
    }

    /// Returns the number of operations that wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// True if reads are answered from the state of this node, however old it is.
    pub fn reads_are_stale(&self) -> bool {
        self.settings.stale_reads
    }

    /// Takes a change of the members, which the next turn asks for. Its answer comes like that of work.
    pub fn change_members(&mut self, token: Token, change: Change) {
        if self.change.is_some() || self.next_change.is_some() {
            self.fail(token, Failure::Busy);
        } else {
            self.next_change = Some((token, change));
        }
    }

    /// Returns the next answer to a client.
    pub fn poll_answer(&mut self) -> Option<(Token, Answer)> {
        self.answers.pop_front()
    }

    /// Returns when a turn must be made at the latest, whatever arrives.
    pub fn next_deadline(&self, now: Now) -> Option<Instant> {
        if self.node.halted().is_some() {
            return self.is_owed().then_some(now.monotonic);
        }
        // A tick that is due waits for a lane, or is in flight: what it waits for arrives, or has a deadline of its own.
        let next_tick = (self.lanes.has_free() && !self.lanes.is_ticking())
            .then(|| self.time.next_deadline(&self.node, now))
            .flatten();
        let work = self.writes.front().map(|work| work.until);
        let change = self.change.map(|(_, _, until)| until);
        [
            self.node.next_deadline(),
            next_tick,
            work,
            change,
            self.lanes.next_deadline(),
            self.reads.next_deadline(),
            self.asked.next_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// True if somebody waits for an answer that comes from a turn.
    fn is_owed(&self) -> bool {
        self.waiting > 0
            || self.change.is_some()
            || self.next_change.is_some()
            || self.asked.len() > 0
            || self.lanes.is_awaited()
    }

    /// True if a turn would do something at once: more has arrived than the last one could take.
    pub fn has_more(&self) -> bool {
        !self.inbox.is_empty() || !self.answers.is_empty() || self.was_full
    }

    /// Looks at the replies that the last step has added. A read is answered here, as the state goes on with the next step.
    fn look(&mut self, now: Now) {
        if self.is_recorded {
            self.boundaries.push(StepBoundary {
                writes: self.outbox.writes.len(),
                messages: self.outbox.messages.len(),
            });
        }
        while let Some(reply) = self.outbox.replies.get(self.seen).copied() {
            self.seen += 1;
            let machine = self.node.machine();
            match reply.outcome {
                Outcome::Readable { .. } => {
                    let extra = self.time.since_last_tick(now);
                    let node = &self.node;
                    let evaluate = |work: &Work| evaluate(node, work, now, extra);
                    let answers = self.reads.answer(reply.key, evaluate);
                    for (token, answer) in answers {
                        self.counters.reads += 1;
                        self.waiting = self.waiting.saturating_sub(answer.count());
                        self.held.push((token, answer));
                    }
                }
                Outcome::NotNow => self.reads.not_now(reply.key, now.monotonic),
                Outcome::Reconfigured { .. } | Outcome::Unchanged(_) => {
                    if let Some((key, token, _)) = self.change
                        && key == reply.key
                    {
                        self.change = None;
                        self.held.push((token, Answer::of_change(&reply.outcome)));
                    }
                }
                outcome => {
                    let asked = self.asked.on_outcome(now.monotonic, (reply.key, &outcome));
                    if let Some(answer) = asked {
                        self.held.push(answer);
                        continue;
                    }
                    let replies = |id: BatchId| machine.replies(id);
                    self.lanes.on_outcome(
                        now.monotonic,
                        (reply.key, outcome),
                        replies,
                        &mut self.held,
                    );
                }
            }
        }
        self.time.note_ticks(&self.node, now);
    }

    fn fail(&mut self, token: Token, failure: Failure) {
        self.held.push((token, Answer::Failed(failure)));
    }
}

/// Evaluates work that reads, with the time since the last tick.
fn evaluate(node: &Member, work: &Work, now: Now, extra_ms: u64) -> Vec<Reply> {
    if work.is_backup() {
        return vec![Reply::Bulk(Backup::of(node, now.unix, extra_ms).encode())];
    }
    work.evaluate(|op| node.machine().evaluate(op, extra_ms))
}
