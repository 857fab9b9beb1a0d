//! The service: owns the node of a server and turns what arrives into frames, replies and durable records. It has no
//! sockets, no clock and no threads.
//!
//! A driver calls [`Service::turn`] once for everything that has arrived since the last turn. What was gathered meanwhile
//! becomes durable with one sync, and the commands of all clients share a few batches, so that the cost of a sync and of a
//! slot is divided among them.

mod answer;
mod asked;
mod lanes;
mod leader_time;
mod proposing;
mod reads;
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
use synod::simulation::{NodeProgress, StepBoundary, StepsTaken};
use synod::storage::{Journal, Storage};
use synod::wire::{Dropped, Frame};
use synod::{
    Change, Duration, Envelope, Instant, NodeId, Outcome, ReconfigureError, RequestKey, Status,
    Tracer,
};
use synod_store::{FileLog, Medium};

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

    /// Asks for a change of the members. Its answer comes like that of work.
    pub fn change_members<T: Tracer<Keyspace, PAGE>>(
        &mut self,
        now: Now,
        (token, change): (Token, Change),
        tracer: &mut T,
    ) {
        let asked = if self.change.is_some() {
            Err(Failure::Busy)
        } else {
            let asked = self
                .node
                .reconfigure(now.monotonic, change, &mut *self.outbox, tracer);
            asked.map_err(|error| match error {
                ReconfigureError::Change(error) => Failure::from(&error),
                _ => Failure::Busy,
            })
        };
        match asked {
            Ok(()) => {
                let until = now.monotonic + self.settings.patience;
                self.change = Some((RequestKey::change(change.epoch), token, until));
                self.look(now);
            }
            Err(failure) => self.fail(token, failure),
        }
    }

    /// Returns the next answer to a client.
    pub fn poll_answer(&mut self) -> Option<(Token, Answer)> {
        self.answers.pop_front()
    }

    /// Returns when [`Service::turn`] must be called at the latest, whatever arrives.
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
        self.waiting > 0 || self.change.is_some() || self.asked.len() > 0 || self.lanes.is_awaited()
    }

    /// True if a turn would do something at once: more has arrived than the last one could take.
    pub fn has_more(&self) -> bool {
        !self.inbox.is_empty() || !self.answers.is_empty() || self.was_full
    }

    /// Makes one turn: timers, messages, work, writes, and output, in the order that the contract of an outbox asks for.
    /// Answers are there once it returns.
    ///
    /// # Errors
    ///
    /// A text that says what has failed, if the storage has failed in this turn. The node goes on without a vote.
    pub fn turn<T: Tracer<Keyspace, PAGE>>(
        &mut self,
        now: Now,
        link: &mut impl Link,
        tracer: &mut T,
    ) -> Result<(), String> {
        let stored = match self.recorder.take() {
            None => self.make_turn(now, link, tracer),
            Some(mut recorder) => {
                let stored = self.make_turn(now, link, &mut (tracer, &mut *recorder));
                // Whatever is in the outbox by now is durable, or was dropped.
                recorder.stepped(&StepsTaken {
                    at: now.monotonic,
                    since: now.monotonic,
                    node: &self.node,
                    progress: NodeProgress::of(&self.node),
                    boundaries: &self.boundaries,
                    writes: &self.outbox.writes,
                    messages: &self.outbox.messages,
                    replies: &self.outbox.replies,
                });
                self.recorder = Some(recorder);
                self.boundaries.clear();
                stored
            }
        };
        self.outbox.clear();
        stored
    }

    fn make_turn<T: Tracer<Keyspace, PAGE>>(
        &mut self,
        now: Now,
        link: &mut impl Link,
        tracer: &mut T,
    ) -> Result<(), String> {
        let at = now.monotonic;
        self.node.handle_timeout(at, &mut *self.outbox, tracer);
        self.look(now);
        while self.outbox.room() >= Member::OUTBOX_MIN
            && let Some(envelope) = self.inbox.pop_front()
        {
            self.node
                .handle_message(at, &envelope, &mut *self.outbox, tracer);
            self.look(now);
        }
        self.time.observe(&self.node, now);
        self.propose(now, tracer);
        self.ask(now, tracer);
        self.read(now, tracer);
        self.give_up(now);
        send(&self.node, &self.frames, self.outbox.early(), link);
        let stored = self.store(now, tracer);
        send(&self.node, &self.frames, self.outbox.late(), link);
        link.flush();
        self.was_full = self.outbox.room() < Member::OUTBOX_MIN;
        self.seen = 0;
        self.answers.extend(self.held.drain(..));
        stored
    }

    /// Makes the writes of the outbox durable, after what may leave before that has left.
    fn store<T: Tracer<Keyspace, PAGE>>(&mut self, now: Now, tracer: &mut T) -> Result<(), String> {
        let Some(journal) = &mut self.journal else {
            return Ok(());
        };
        if self.outbox.writes.is_empty() && journal.is_synced() {
            return Ok(());
        }
        self.counters.syncs += 1;
        let written = journal.write(now.monotonic, &mut self.node, &self.outbox.writes);
        let Err(error) = written.and_then(|()| journal.sync()) else {
            return Ok(());
        };
        let replies = self.outbox.replies.len();
        self.node.fence(now.monotonic, &mut *self.outbox, tracer);
        self.journal = None;
        if self.outbox.replies.len() < replies {
            // A quorum of one: what was answered may be stored nowhere.
            for (_, answer) in &mut self.held {
                *answer = Answer::Failed(Failure::OutcomeUnknown);
            }
        }
        self.seen = self.seen.min(self.outbox.replies.len());
        self.look(now);
        Err(format!("{error:?}"))
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

    /// Answers those who have waited for too long, and everybody if the node has halted.
    fn give_up(&mut self, now: Now) {
        let has_halted = self.node.halted().is_some();
        let at = now.monotonic;
        let is_over = |until: Instant| has_halted || until <= at;
        let failure = |failure| if has_halted { Failure::Halted } else { failure };
        while let Some(work) = self.writes.pop_front_if(|work| is_over(work.until)) {
            self.waiting = self.waiting.saturating_sub(work.count());
            self.counters.timeouts += 1;
            self.fail(work.token, failure(Failure::NoLeader));
        }
        for work in self.reads.give_up(is_over) {
            self.waiting = self.waiting.saturating_sub(work.count());
            self.counters.timeouts += 1;
            self.fail(work.token, failure(Failure::NoLeader));
        }
        // Whether these will be applied is unknown, also when the node has halted.
        for token in self.lanes.iter_mut().flat_map(|lane| lane.give_up(is_over)) {
            self.counters.timeouts += 1;
            self.held
                .push((token, Answer::Failed(Failure::OutcomeUnknown)));
        }
        for (token, key) in self.asked.give_up(is_over) {
            self.counters.timeouts += 1;
            // It is not repeated any more. It may be applied all the same.
            let _ = self.node.withdraw(key);
            self.fail(token, Failure::OutcomeUnknown);
        }
        if let Some((key, token, until)) = self.change
            && is_over(until)
        {
            self.change = None;
            // It is not repeated any more, so that another change can be asked for. It may take effect all the same.
            let _ = self.node.withdraw(key);
            self.fail(token, Failure::OutcomeUnknown);
        }
    }

    fn fail(&mut self, token: Token, failure: Failure) {
        self.held.push((token, Answer::Failed(failure)));
    }
}

impl<M: Medium> Service<FileLog<M>> {
    /// Makes what was stored last distinguishable from what power has interrupted. For when there is nothing else to do, and
    /// at the end. It costs a sync if anything was stored since the last call.
    ///
    /// # Errors
    ///
    /// A text that says what has failed. The next turn finds the same, and takes the vote of the node.
    pub fn mark(&mut self) -> Result<(), String> {
        match &mut self.journal {
            Some(journal) => {
                let marked = journal.storage_mut().mark();
                marked.map_err(|error| error.to_string())
            }
            None => Ok(()),
        }
    }
}

/// Evaluates work that reads, with the time since the last tick.
fn evaluate(node: &Member, work: &Work, now: Now, extra_ms: u64) -> Vec<Reply> {
    if work.is_backup() {
        return vec![Reply::Bulk(Backup::of(node, now.unix, extra_ms).encode())];
    }
    work.evaluate(|op| node.machine().evaluate(op, extra_ms))
}

/// Encodes messages, once for each recipient.
fn send<'a>(
    node: &Member,
    frames: &PeerFrames,
    messages: impl Iterator<Item = &'a synod::Outgoing<Keyspace, PAGE>>,
    link: &mut impl Link,
) {
    let mut buffer = [0; crate::capacity::FRAME_MAX];
    let mut any = false;
    for outgoing in messages {
        for to in outgoing.to.iter() {
            let envelope = node.envelope(to, outgoing);
            if let Ok(len) = frames.encode(&envelope, &mut buffer)
                && let Some(frame) = buffer.get(..len)
            {
                link.send(to, frame);
                any = true;
            }
        }
    }
    if any {
        link.flush();
    }
}
