//! A turn: everything that has arrived goes through the node, and what that leads to leaves once it is durable.
//!
//! A turn has two halves. At the end of the first one, what rests on writes of earlier turns alone has been sent, and
//! answers of that kind are there: their driver passes them on before it waits for the disk in the second half (rule D1).

use super::{Answer, Failure, Link, Now, Service};
use crate::capacity::{FRAME_MAX, Member, PAGE, PeerFrames};
use crate::keyspace::Keyspace;
use crate::record::{RecordFile, Recorder};
use core::fmt;
use synod::simulation::{NodeProgress, StepsTaken};
use synod::{Instant, Outgoing, ReconfigureError, Record, RequestKey, Tracer};
use synod_store::{FileLog, Medium};

/// The log of an operator, and the record for a judge if there is one.
struct Both<'a, T>(&'a mut T, Option<&'a mut Recorder<RecordFile>>);

impl<T: Tracer<Keyspace, PAGE>> Tracer<Keyspace, PAGE> for Both<'_, T> {
    fn record(&mut self, record: &Record<'_, Keyspace, PAGE>) {
        self.0.record(record);
        if let Some(recorder) = &mut self.1 {
            recorder.record(record);
        }
    }
}

impl<M: Medium> Service<FileLog<M>> {
    /// Makes the first half of a turn: timers, messages and work, in the order that the contract of an outbox asks for. What
    /// does not rest on the writes is sent. Answers may be there once it returns.
    pub fn begin_turn<T: Tracer<Keyspace, PAGE>>(
        &mut self,
        now: Now,
        link: &mut impl Link,
        tracer: &mut T,
    ) {
        let mut recorder = self.recorder.take();
        self.step(now, &mut Both(tracer, recorder.as_deref_mut()));
        self.recorder = recorder;
        send(self, self.outbox.early(), link);
        link.flush();
        if self.outbox.early_replies().len() == self.outbox.replies.len() {
            self.answers.extend(self.held.drain(..));
        }
    }

    /// Makes the second half of a turn: writes, and what rests on them. All answers are there once it returns.
    ///
    /// # Errors
    ///
    /// A text that says what has failed, if the storage has failed. The node goes on without a vote.
    pub fn end_turn<T: Tracer<Keyspace, PAGE>>(
        &mut self,
        now: Now,
        link: &mut impl Link,
        tracer: &mut T,
    ) -> Result<(), String> {
        let mut recorder = self.recorder.take();
        let stored = self.store(now, &mut Both(tracer, recorder.as_deref_mut()));
        send(self, self.outbox.late(), link);
        link.flush();
        if let Some(recorder) = &mut recorder {
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
            self.boundaries.clear();
        }
        self.recorder = recorder;
        self.was_full = self.outbox.room() < Member::OUTBOX_MIN;
        self.seen = 0;
        self.outbox.clear();
        self.answers.extend(self.held.drain(..));
        stored
    }

    /// Hands timers, messages and work to the node, and gives up what has waited for too long.
    fn step(&mut self, now: Now, tracer: &mut impl Tracer<Keyspace, PAGE>) {
        let at = now.monotonic;
        self.reconfigure(now, tracer);
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
    }

    /// Asks for a change of the members.
    fn reconfigure(&mut self, now: Now, tracer: &mut impl Tracer<Keyspace, PAGE>) {
        let Some((token, change)) = self.next_change.take() else {
            return;
        };
        let at = now.monotonic;
        match self.node.reconfigure(at, change, &mut *self.outbox, tracer) {
            Ok(()) => {
                let until = at + self.settings.patience;
                self.change = Some((RequestKey::change(change.epoch), token, until));
                self.look(now);
            }
            Err(ReconfigureError::Change(error)) => self.fail(token, Failure::from(&error)),
            Err(_) => self.fail(token, Failure::Busy),
        }
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

    /// Makes the writes of the outbox durable.
    fn store(&mut self, now: Now, tracer: &mut impl Tracer<Keyspace, PAGE>) -> Result<(), String> {
        let Some(journal) = &mut self.journal else {
            return Ok(());
        };
        if self.outbox.writes.is_empty() && journal.is_synced() {
            return Ok(());
        }
        self.counters.syncs += 1;
        let written = journal.write(now.monotonic, &mut self.node, &self.outbox.writes);
        let stored = written.and_then(|()| journal.sync());
        stored.map_err(|error| self.fence(now, &error, tracer))
    }

    /// Takes the vote of a node whose storage has failed, and drops what rests on it. Returns what has failed.
    fn fence(
        &mut self,
        now: Now,
        error: &dyn fmt::Debug,
        tracer: &mut impl Tracer<Keyspace, PAGE>,
    ) -> String {
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
        format!("{error:?}")
    }

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

/// Encodes messages, once for each recipient.
fn send<'a, S>(
    service: &Service<S>,
    messages: impl Iterator<Item = &'a Outgoing<Keyspace, PAGE>>,
    link: &mut impl Link,
) {
    let (node, frames): (&Member, &PeerFrames) = (&service.node, &service.frames);
    let mut buffer = [0; FRAME_MAX];
    for outgoing in messages {
        for to in outgoing.to.iter() {
            let envelope = node.envelope(to, outgoing);
            if let Ok(len) = frames.encode(&envelope, &mut buffer)
                && let Some(frame) = buffer.get(..len)
            {
                link.send(to, frame);
            }
        }
    }
}
