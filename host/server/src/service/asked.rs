//! Requests that clients make in sessions of their own.

use super::{Answer, Asked, Failure, Token};
use crate::batch::Batch;
use crate::keyspace::Summary;
use crate::reply::Reply;
use synod::{Duration, Instant, Outcome, Proposal, RequestError, RequestKey};

/// The delay before a request is made again for which there was no room.
const AGAIN: Duration = Duration::from_millis(5);

/// The requests of clients with sessions of their own.
#[derive(Debug, Default)]
pub(super) struct AskedList(Vec<Waiting>);

/// A request that is not answered yet.
#[derive(Debug)]
struct Waiting {
    token: Token,
    proposal: Proposal<Batch>,
    until: Instant,
    /// When it is made, or made again; `None` while it is in flight.
    at: Option<Instant>,
}

impl AskedList {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn push(&mut self, token: Token, asked: &Asked, (now, until): (Instant, Instant)) {
        self.0.push(Waiting {
            token,
            proposal: asked.proposal(),
            until,
            at: Some(now),
        });
    }

    /// Returns a request that is to be made now, with its index.
    pub(super) fn next(&self, now: Instant) -> Option<(usize, Proposal<Batch>)> {
        let is_due = |waiting: &Waiting| waiting.at.is_some_and(|at| at <= now);
        let index = self.0.iter().position(is_due)?;
        Some((index, self.0.get(index)?.proposal))
    }

    /// Notes whether the node has taken a request. Returns the answer if it never will.
    pub(super) fn asked(
        &mut self,
        index: usize,
        now: Instant,
        asked: Result<(), RequestError>,
    ) -> Option<(Token, Answer)> {
        let waiting = self.0.get_mut(index)?;
        match asked {
            Ok(()) => waiting.at = None,
            Err(RequestError::Full { .. } | RequestError::OutboxFull) => {
                waiting.at = Some(now + AGAIN);
            }
            Err(error) => {
                let token = waiting.token;
                self.0.swap_remove(index);
                return Some((token, Answer::Failed(Failure::Refused(error.to_string()))));
            }
        }
        None
    }

    /// Takes an outcome. Returns the answer of whoever waits for it.
    pub(super) fn on_outcome(
        &mut self,
        now: Instant,
        (key, outcome): (RequestKey, &Outcome<Summary>),
    ) -> Option<(Token, Answer)> {
        let is_it = |waiting: &Waiting| waiting.at.is_none() && waiting.proposal.key() == Some(key);
        let index = self.0.iter().position(is_it)?;
        let refused = |text: &str| Answer::Failed(Failure::Refused(text.to_owned()));
        let answer = match outcome {
            Outcome::Busy => {
                self.0.get_mut(index)?.at = Some(now + AGAIN);
                return None;
            }
            Outcome::Registered { client } => Answer::Opened(*client),
            Outcome::Applied { output, .. } => {
                let reply = output.first_reply().unwrap_or_else(|| {
                    Reply::Error(
                        "ERR the command was applied, and its reply is too long to be kept"
                            .to_owned(),
                    )
                });
                Answer::Replies(vec![reply])
            }
            Outcome::Stale => refused("a later request of this session was applied already"),
            Outcome::Reused => refused("this number was used for another command of the session"),
            Outcome::Evicted => refused(
                "the session is gone, and whether the request was applied in it is unknown: open another session",
            ),
            _ => Answer::Failed(Failure::OutcomeUnknown),
        };
        Some((self.0.swap_remove(index).token, answer))
    }

    /// Removes those that have waited for too long.
    pub(super) fn give_up(
        &mut self,
        is_over: impl Fn(Instant) -> bool,
    ) -> Vec<(Token, RequestKey)> {
        let over = self.0.extract_if(.., |waiting| is_over(waiting.until));
        over.filter_map(|waiting| Some((waiting.token, waiting.proposal.key()?)))
            .collect()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let deadlines = self.0.iter();
        let deadlines = deadlines.flat_map(|waiting| [Some(waiting.until), waiting.at]);
        deadlines.flatten().min()
    }
}
