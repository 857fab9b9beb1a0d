//! What a service asks of its node in a turn: batches, requests of clients with sessions of their own, and reads.

use super::{Now, Service, evaluate};
use crate::capacity::{LANES, Member, PAGE};
use crate::keyspace::Keyspace;
use synod::storage::Storage;
use synod::{RequestKey, Tracer};

impl<S: Storage> Service<S> {
    /// Proposes what waits, in as many batches as there are free lanes.
    pub(super) fn propose<T: Tracer<Keyspace, PAGE>>(&mut self, now: Now, tracer: &mut T) {
        // A node that has not joined passes requests to others, and hears their outcome without the replies, which are kept by
        // who has applied the batch.
        if !self.node.is_active() {
            return;
        }
        let at = now.monotonic;
        for index in 0..LANES {
            if self.outbox.room() < Member::OUTBOX_MIN {
                return;
            }
            let tick = self
                .time
                .due(&self.node, now)
                .filter(|_| !self.lanes.is_ticking());
            let Some(lane) = self.lanes.get_mut(index) else {
                return;
            };
            if (self.writes.is_empty() && tick.is_none() && !lane.must_ask_again(at))
                || !lane.is_free(at)
            {
                continue;
            }
            if lane.is_registered() {
                let was = self.writes.len();
                let operations = lane.fill(&mut self.writes, tick);
                if was > self.writes.len() {
                    self.counters.batches += 1;
                    self.counters.operations += operations;
                    self.waiting = self
                        .waiting
                        .saturating_sub(usize::try_from(operations).unwrap_or(usize::MAX));
                }
            }
            let asked = self
                .node
                .ask(at, lane.proposal(), &mut *self.outbox, tracer);
            lane.asked(at, asked);
            self.look(now);
        }
    }

    /// Makes the requests of clients with sessions of their own.
    pub(super) fn ask<T: Tracer<Keyspace, PAGE>>(&mut self, now: Now, tracer: &mut T) {
        let at = now.monotonic;
        while self.outbox.room() >= Member::OUTBOX_MIN
            && let Some((index, proposal)) = self.asked.next(at)
        {
            let asked = self.node.ask(at, proposal, &mut *self.outbox, tracer);
            self.held.extend(self.asked.asked(index, at, asked));
            self.look(now);
        }
    }

    /// Asks to read, if reads wait and no question is under way.
    pub(super) fn read<T: Tracer<Keyspace, PAGE>>(&mut self, now: Now, tracer: &mut T) {
        if self.settings.stale_reads {
            let extra = self.time.since_last_tick(now);
            let node = &self.node;
            let answers = self
                .reads
                .answer_all(|work| evaluate(node, work, now, extra));
            for (token, answer) in answers {
                self.waiting = self.waiting.saturating_sub(answer.count());
                self.held.push((token, answer));
            }
        }
        if let Some(nonce) = self.reads.next_question(now.monotonic) {
            let asked = self
                .node
                .read(now.monotonic, nonce, &mut *self.outbox, tracer);
            if asked.is_err() {
                self.reads.not_now(RequestKey::read(nonce), now.monotonic);
            }
            self.look(now);
        }
    }
}
