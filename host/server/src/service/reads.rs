//! Reads that wait for a confirmation that the state of this node is new enough. All that wait share one question.

use super::{Answer, Token, Work};
use crate::reply::Reply;
use std::collections::VecDeque;
use synod::{Duration, Instant, RequestKey};

/// The delay before a question is asked again that nobody has answered.
const AGAIN: Duration = Duration::from_millis(10);

/// The reads of a node.
#[derive(Debug)]
pub(super) struct Reads {
    /// The nonce of the next question.
    next: u64,
    /// Those for whom no question was asked yet.
    waiting: VecDeque<Work>,
    /// Those that the question under way is about.
    asked: Vec<Work>,
    /// The nonce of that question.
    under_way: Option<u64>,
    /// No question is asked before this time.
    not_before: Instant,
}

impl Reads {
    pub(super) fn new(first: u64) -> Self {
        Self {
            next: first,
            waiting: VecDeque::new(),
            asked: Vec::new(),
            under_way: None,
            not_before: Instant::ZERO,
        }
    }

    /// True if a backup waits.
    pub(super) fn has_backup(&self) -> bool {
        self.waiting.iter().chain(&self.asked).any(Work::is_backup)
    }

    pub(super) fn push(&mut self, work: Work) {
        self.waiting.push_back(work);
    }

    /// Returns the nonce of a question to be asked, for all that wait; `None` if there is nothing to ask, or one is under
    /// way.
    pub(super) fn next_question(&mut self, now: Instant) -> Option<u64> {
        if self.under_way.is_some() || self.waiting.is_empty() || now < self.not_before {
            return None;
        }
        let nonce = self.next;
        self.next = self.next.wrapping_add(1);
        self.under_way = Some(nonce);
        self.asked.extend(self.waiting.drain(..));
        Some(nonce)
    }

    /// Answers all reads that the question with this key was about.
    pub(super) fn answer(
        &mut self,
        key: RequestKey,
        evaluate: impl Fn(&Work) -> Vec<Reply>,
    ) -> Vec<(Token, Answer)> {
        if self.under_way.map(RequestKey::read) != Some(key) {
            return Vec::new();
        }
        self.under_way = None;
        let answer = |work: Work| (work.token, Answer::Replies(evaluate(&work)));
        let answers = self.asked.drain(..).map(answer);
        answers.collect()
    }

    /// Answers all reads but backups from a state that may be old.
    pub(super) fn answer_all(
        &mut self,
        evaluate: impl Fn(&Work) -> Vec<Reply>,
    ) -> Vec<(Token, Answer)> {
        let (backups, reads) = self.waiting.drain(..).partition(Work::is_backup);
        self.waiting = backups;
        let reads: VecDeque<Work> = reads;
        let answer = |work: Work| (work.token, Answer::Replies(evaluate(&work)));
        let answers = reads.into_iter().map(answer);
        answers.collect()
    }

    /// Nobody has confirmed the question: its reads are asked about again.
    pub(super) fn not_now(&mut self, key: RequestKey, now: Instant) {
        if self.under_way.map(RequestKey::read) == Some(key) {
            self.under_way = None;
            self.not_before = now + AGAIN;
            for work in self.asked.drain(..).rev() {
                self.waiting.push_front(work);
            }
        }
    }

    /// Removes the reads that have waited for too long.
    pub(super) fn give_up(&mut self, is_over: impl Fn(Instant) -> bool) -> Vec<Work> {
        if !self.next_give_up().is_some_and(&is_over) {
            return Vec::new();
        }
        let mut over = Vec::new();
        self.waiting.retain(|work| keep(work, &is_over, &mut over));
        self.asked.retain(|work| keep(work, &is_over, &mut over));
        over
    }

    /// Returns when the first read has waited for too long.
    fn next_give_up(&self) -> Option<Instant> {
        // Each of the two is in the order of arrival.
        let oldest = [self.waiting.front(), self.asked.first()];
        oldest.into_iter().flatten().map(|work| work.until).min()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let asks = self.under_way.is_none() && !self.waiting.is_empty();
        let again = asks.then_some(self.not_before);
        [again, self.next_give_up()].into_iter().flatten().min()
    }
}

/// True if a read goes on waiting; otherwise it is added to those that are over.
fn keep(work: &Work, is_over: impl Fn(Instant) -> bool, over: &mut Vec<Work>) -> bool {
    let keeps = !is_over(work.until);
    if !keeps {
        over.push(work.clone());
    }
    keeps
}
