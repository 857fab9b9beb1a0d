//! Lanes: the sessions under which a node proposes the batches of its clients. A session has one request at a time, so the
//! number of lanes is the number of batches in flight.

use super::{Answer, Failure, Token, Work};
use crate::batch::{Batch, BatchId};
use crate::capacity::LANES;
use crate::op::{Op, Tick};
use crate::reply::Reply;
use std::collections::VecDeque;
use synod::{
    ClientId, Duration, Instant, Outcome, Proposal, RequestError, RequestKey, RequestNumber,
};

/// The delay before a batch is proposed again for which there was no room.
const AGAIN: Duration = Duration::from_millis(5);

/// The lanes of a node.
#[derive(Debug)]
pub(super) struct Lanes([Lane; LANES]);

/// One lane.
#[derive(Debug)]
pub(super) struct Lane {
    /// The nonce of the registration, and the identity of the next batch. Each is used once.
    next: u64,
    /// The session; `None` until it is open.
    client: Option<ClientId>,
    /// The number of the last request in that session.
    number: RequestNumber,
    /// What is in flight, or must be asked again.
    batch: Batch,
    id: BatchId,
    /// Who waits for the batch, with the number of operations of each, in their order in the batch.
    members: Vec<(Token, u16, Instant)>,
    /// The number of operations of the node itself in front of those.
    own: usize,
    state: State,
}

/// What a lane does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing is in flight.
    Free,
    /// A registration or a batch is in flight.
    Asked,
    /// There was no room for it: it is asked again at this time.
    Again(Instant),
}

impl Lanes {
    /// Creates lanes without sessions. Identities of batches begin at `first`.
    pub(super) fn new(first: u64) -> Self {
        // Each lane has a part of the identities of its own.
        let lane = |index: usize| {
            let part = u64::try_from(index).unwrap_or(0) << 40;
            Lane::new(first.wrapping_add(part))
        };
        Self(core::array::from_fn(lane))
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Lane> {
        self.0.get_mut(index)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Lane> {
        self.0.iter_mut()
    }

    /// True if the progress of time is in flight.
    pub(super) fn is_ticking(&self) -> bool {
        let ticks = |lane: &Lane| lane.own > 0 && lane.state != State::Free;
        self.0.iter().any(ticks)
    }

    /// True if a lane has nothing in flight.
    pub(super) fn has_free(&self) -> bool {
        self.0.iter().any(|lane| lane.state == State::Free)
    }

    /// True if a client waits for a batch.
    pub(super) fn is_awaited(&self) -> bool {
        self.0.iter().any(|lane| !lane.members.is_empty())
    }

    /// Returns when somebody has waited for too long, or a lane asks again.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let deadlines = self.0.iter().flat_map(|lane| {
            let again = match lane.state {
                State::Again(at) => Some(at),
                State::Free | State::Asked => None,
            };
            let members = lane.members.iter().map(|(_, _, until)| *until);
            members.chain(again)
        });
        deadlines.min()
    }

    /// Takes the outcome of what a lane has asked, and adds the answers of its clients.
    pub(super) fn on_outcome<'a, O>(
        &mut self,
        now: Instant,
        (key, outcome): (RequestKey, Outcome<O>),
        replies: impl Fn(BatchId) -> Option<&'a [Reply]>,
        answers: &mut Vec<(Token, Answer)>,
    ) {
        if let Some(lane) = self.0.iter_mut().find(|lane| lane.key() == Some(key)) {
            lane.on_outcome(now, &outcome, replies, answers);
        }
    }
}

impl Lane {
    fn new(first: u64) -> Self {
        Self {
            next: first,
            client: None,
            number: RequestNumber(0),
            batch: Batch::new(BatchId(first)),
            id: BatchId(first),
            members: Vec::new(),
            own: 0,
            state: State::Free,
        }
    }

    /// Returns the key of what is in flight.
    fn key(&self) -> Option<RequestKey> {
        if self.state == State::Free {
            return None;
        }
        Some(match self.client {
            Some(client) => RequestKey {
                client,
                number: self.number,
            },
            None => RequestKey::registration(self.next),
        })
    }

    pub(super) fn is_registered(&self) -> bool {
        self.client.is_some()
    }

    /// True if the lane can ask: nothing is in flight, or there was no room for what it asked.
    pub(super) fn is_free(&self, now: Instant) -> bool {
        match self.state {
            State::Free => true,
            State::Asked => false,
            State::Again(at) => at <= now,
        }
    }

    /// True if what it has asked must be asked again.
    pub(super) fn must_ask_again(&self, now: Instant) -> bool {
        matches!(self.state, State::Again(at) if at <= now)
    }

    /// Fills the batch with work that waits, as far as it fits, unless the last batch must be asked again. Returns the
    /// number of operations taken.
    pub(super) fn fill(&mut self, writes: &mut VecDeque<Work>, tick: Option<Tick>) -> u64 {
        if self.state != State::Free {
            return 0;
        }
        self.id = BatchId(self.next);
        self.next = self.next.wrapping_add(1);
        self.number = RequestNumber(self.number.0.saturating_add(1));
        self.batch = Batch::new(self.id);
        self.members.clear();
        self.own = 0;
        if let Some(tick) = tick
            && self.batch.push(&Op::Tick(tick)).is_ok()
        {
            self.own = 1;
        }
        let mut taken = 0;
        while let Some(work) = writes.front() {
            if self.batch.extend(work.bytes()).is_err() {
                break;
            }
            let count = u16::try_from(work.count()).unwrap_or(u16::MAX);
            self.members.push((work.token, count, work.until));
            taken += u64::from(count);
            writes.pop_front();
        }
        taken
    }

    /// Returns what the lane asks: its batch, or a session.
    pub(super) fn proposal(&self) -> Proposal<Batch> {
        match self.client {
            Some(client) => Proposal::Request {
                client,
                number: self.number,
                command: self.batch,
            },
            None => Proposal::Register { nonce: self.next },
        }
    }

    /// Notes whether the node has taken what the lane has asked.
    pub(super) fn asked(&mut self, now: Instant, asked: Result<(), RequestError>) {
        self.state = match asked {
            Ok(()) => State::Asked,
            Err(RequestError::NumbersUsedUp | RequestError::NumberZero) => {
                self.client = None;
                State::Again(now)
            }
            Err(_) => State::Again(now + AGAIN),
        };
    }

    fn on_outcome<'a, O>(
        &mut self,
        now: Instant,
        outcome: &Outcome<O>,
        replies: impl Fn(BatchId) -> Option<&'a [Reply]>,
        answers: &mut Vec<(Token, Answer)>,
    ) {
        match outcome {
            Outcome::Registered { client } => {
                self.client = Some(*client);
                self.number = RequestNumber(0);
                self.next = self.next.wrapping_add(1);
                self.state = State::Free;
                if !self.members.is_empty() {
                    // The session before had no number left for this batch.
                    self.number = RequestNumber(1);
                    self.state = State::Again(now);
                }
                return;
            }
            Outcome::Busy => {
                self.state = State::Again(now + AGAIN);
                return;
            }
            Outcome::Applied { .. } => {}
            // The session has gone, with what it knew of the batch.
            _ => self.client = None,
        }
        self.state = State::Free;
        let applied = matches!(outcome, Outcome::Applied { .. });
        // A node that has installed a snapshot with the batch in it has never seen its replies.
        let replies = if applied { replies(self.id) } else { None };
        let mut replies = replies.map(|replies| replies.iter().skip(self.own).cloned());
        for (token, count, _) in self.members.drain(..) {
            let count = usize::from(count);
            let answer = match &mut replies {
                Some(replies) => Answer::Replies(replies.by_ref().take(count).collect()),
                None => Answer::Failed(Failure::OutcomeUnknown),
            };
            answers.push((token, answer));
        }
        self.own = 0;
    }

    /// Removes everybody who has waited for too long. The batch stays in flight.
    pub(super) fn give_up(&mut self, is_over: impl Fn(Instant) -> bool) -> Vec<Token> {
        if !self.members.iter().any(|(_, _, until)| is_over(*until)) {
            return Vec::new();
        }
        // All of a batch were taken at about the same time, and the replies of a part could not be told from the others'.
        self.members.drain(..).map(|(token, _, _)| token).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_for_which_the_session_has_no_number_goes_to_the_next_session() {
        let mut lane = Lane::new(7);
        let mut answers = Vec::new();
        let registered = |client| Outcome::<()>::Registered {
            client: ClientId(client),
        };
        lane.on_outcome(Instant::ZERO, &registered(1), |_| None, &mut answers);
        let mut work = Work::new(Token(1), false);
        work.push(&Op::Add { key: b"a", by: 1 });
        lane.fill(&mut VecDeque::from([work]), None);
        let refused = Err(RequestError::NumbersUsedUp);
        lane.asked(Instant::ZERO, refused);
        assert!(matches!(lane.proposal(), Proposal::Register { .. }));
        lane.asked(Instant::ZERO, Ok(()));
        lane.on_outcome(Instant::ZERO, &registered(2), |_| None, &mut answers);
        assert!(lane.must_ask_again(Instant::ZERO));
        lane.asked(Instant::ZERO, Ok(()));
        let key = RequestKey {
            client: ClientId(2),
            number: RequestNumber(1),
        };
        assert_eq!(lane.key(), Some(key));
        let applied = Outcome::Applied {
            slot: synod::Slot::new(9),
            output: (),
        };
        let reply = [Reply::Integer(1)];
        lane.on_outcome(Instant::ZERO, &applied, |_| Some(&reply), &mut answers);
        assert_eq!(answers, [(Token(1), Answer::Replies(reply.to_vec()))]);
    }
}
