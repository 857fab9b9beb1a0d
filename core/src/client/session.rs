//! The client: one session, one request at a time, and as many tries as it takes.

use super::{Answer, Question};
use crate::random::{Purpose, mix, span_below, stream};
use crate::{
    ClientId, Duration, Instant, NodeId, NodeSet, NodeState, Outcome, Proposal, RequestKey,
    RequestNumber, Slot, StateMachine,
};
use core::fmt;
use rand_xorshift::XorShiftRng;

/// How many times the wait for an answer doubles at most, once for each time that all nodes were asked in vain.
const DOUBLINGS_MAX: u32 = 3;

/// A client of a cluster: it holds a session, and has one request at a time applied once, whatever is lost, doubled, late or
/// out of order, and whichever nodes are gone.
///
/// # How to drive it
///
/// [`Client::request`] says what is wanted. After that, after each answer that arrives ([`Client::handle_answer`]) and each
/// time that passes ([`Client::handle_timeout`], at the latest at [`Client::next_deadline`]), send what
/// [`Client::poll_question`] gives, and take what [`Client::poll_done`] gives. The session is opened on the way, and anew
/// where it was given up.
///
/// It asks the leader, as far as a node has told it who that is, and another node when one is silent or busy. A node is
/// given `patience`, and up to half as much again by chance; when all were asked in vain twice as much, up to eight times.
///
/// Its memory is fixed; there is an example at the [module](super).
#[derive(Clone, Debug)]
pub struct Client<M: StateMachine> {
    members: NodeSet,
    patience: Duration,
    nonce: u64,
    rng: XorShiftRng,
    session: Option<ClientId>,
    /// The number of the last request in the session.
    number: RequestNumber,
    /// What is asked for at present.
    command: Option<M::Command>,
    /// Which nodes it may have reached, under the present key.
    asked: NodeSet,
    /// Which nodes are still to be told what was withdrawn.
    withdrawn: (NodeSet, RequestKey),
    /// Who is asked.
    target: NodeId,
    leader: Option<NodeId>,
    /// How many nodes were asked in vain.
    failures: u32,
    deadline: Option<Instant>,
    question: Option<(NodeId, Question<M::Command>)>,
    done: Option<Done<M::Output>>,
}

/// What must be known to go on with a session: for a client that has flash. It is to be durable before a request leaves,
/// with the number of that request. A client that goes on with less asks for something else under a number that was used: it is
/// answered [`Undone::Stale`] or [`Undone::Reused`], or hears a late answer to what it asked in its earlier life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Session {
    /// Which session.
    pub client: ClientId,
    /// The number of the last request that was asked for in it.
    pub number: RequestNumber,
}

/// A request that came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Done<O> {
    /// Its session and its number there.
    pub key: RequestKey,
    /// What came of it.
    pub result: Result<Applied<O>, Undone>,
}

/// A request was applied, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Applied<O> {
    /// In which slot.
    pub slot: Slot,
    /// What the state machine answered.
    pub output: O,
}

/// Why it is not known what came of a request. The next one is asked for in a new session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Undone {
    /// The session was given up to make room for others. The request may have been applied before that; it will not be
    /// any more. A command that does no harm twice may be asked for again.
    Evicted,
    /// A later request of the session was applied: somebody else uses it (see [how to choose a nonce](super)), or it was
    /// resumed with an earlier number. The request may have been applied; it will not be any more.
    Stale,
    /// The session had another command under this number, for the same reasons. This one was not applied.
    Reused,
}

/// What is known of a request that was withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Withdrawn {
    /// It never left: it is not applied.
    NeverAsked,
    /// It may have been applied, and may yet be; when the next request is answered it is settled (rule X4).
    MayBeApplied(RequestKey),
}

/// Why a client did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ClientError {
    /// There is no node to ask.
    NoMembers,
    /// The patience is zero: it would ask without end.
    NoPatience,
    /// One request at a time: wait for its end, or withdraw it.
    Outstanding,
    /// The end of the last request was not taken: see [`Client::poll_done`].
    NotTaken,
    /// There is nothing to withdraw.
    NothingOutstanding,
}

impl<M: StateMachine> Client<M> {
    /// A client that may ask these nodes, and opens a session under a nonce as soon as it has something to ask. `patience`
    /// is how long a node may take for an answer: longer than an election takes, else a client only asks more often.
    ///
    /// How to choose the nonce is said at the [module](super). It also decides the client's jitter.
    ///
    /// # Errors
    ///
    /// [`ClientError::NoMembers`], [`ClientError::NoPatience`]: there is no client.
    pub fn new(members: NodeSet, patience: Duration, nonce: u64) -> Result<Self, ClientError> {
        let mut all = members.iter();
        let first = all.next().ok_or(ClientError::NoMembers)?;
        if patience == Duration::ZERO {
            return Err(ClientError::NoPatience);
        }
        Ok(Self {
            members,
            patience,
            nonce,
            rng: stream(nonce, Purpose::Client),
            session: None,
            number: RequestNumber::REGISTRATION,
            command: None,
            asked: NodeSet::EMPTY,
            withdrawn: (NodeSet::EMPTY, RequestKey::registration(nonce)),
            target: first,
            leader: None,
            failures: 0,
            deadline: None,
            question: None,
            done: None,
        })
    }

    /// Goes on with a session of an earlier life, with the number after the one that is named. Call it before anything is
    /// asked.
    pub fn resume(&mut self, session: Session) {
        self.session = Some(session.client);
        self.number = session.number;
    }

    /// The session, if one is open.
    pub fn session(&self) -> Option<Session> {
        let number = self.number;
        self.session.map(|client| Session { client, number })
    }

    /// Who leads, as far as a node has said.
    pub fn leader(&self) -> Option<NodeId> {
        self.leader
    }

    /// Whether a request is on its way.
    pub fn is_outstanding(&self) -> bool {
        self.command.is_some()
    }

    /// Has a command applied, once. Its end comes by [`Client::poll_done`].
    ///
    /// # Errors
    ///
    /// [`ClientError::Outstanding`], [`ClientError::NotTaken`]: nothing was asked.
    pub fn request(&mut self, now: Instant, command: M::Command) -> Result<(), ClientError> {
        if self.command.is_some() {
            return Err(ClientError::Outstanding);
        }
        if self.done.is_some() {
            return Err(ClientError::NotTaken);
        }
        match self.number.0.checked_add(1) {
            Some(next) if self.session.is_some() => self.number = RequestNumber(next),
            // Without a session; or all of its numbers are used.
            _ => self.open_new_session(now),
        }
        self.command = Some(command);
        self.asked = NodeSet::EMPTY;
        self.failures = 0;
        self.target = self.leader.unwrap_or(self.target);
        self.ask(now);
        Ok(())
    }

    /// Stops waiting for the request that is outstanding (rule X4). The nodes that were asked are told by
    /// [`Client::poll_question`], once each; nothing of it comes by [`Client::poll_done`].
    ///
    /// # Errors
    ///
    /// [`ClientError::NothingOutstanding`].
    pub fn withdraw(&mut self) -> Result<Withdrawn, ClientError> {
        self.command.take().ok_or(ClientError::NothingOutstanding)?;
        let key = self.key();
        self.deadline = None;
        self.question = None;
        self.withdrawn = (self.asked, key);
        if self.session.is_none() || self.asked.is_empty() {
            return Ok(Withdrawn::NeverAsked);
        }
        Ok(Withdrawn::MayBeApplied(key))
    }

    /// Takes an answer of a node. What answers nothing that is asked at present is passed over: it is late, or came twice, or
    /// is another client's.
    pub fn handle_answer(&mut self, now: Instant, from: NodeId, answer: &Answer<M::Output>) {
        match *answer {
            Answer::Status(status) => {
                self.note(status.leader);
                let halted = status.state == NodeState::Halted && from == self.target;
                // Where all have halted, it waits as if nobody answered.
                if halted && self.is_outstanding() && self.rounds() == 0 {
                    self.try_next_node(now);
                }
            }
            Answer::Outcome {
                key,
                fingerprint,
                outcome,
                leader,
            } if self.is_outstanding()
                && key == self.key()
                && fingerprint == self.proposal().map_or(0, |asked| asked.fingerprint()) =>
            {
                self.note(leader);
                self.on_outcome(now, from, outcome);
            }
            Answer::Outcome { .. } => {}
        }
    }

    /// Tells the client that time has passed; to call it early is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.try_next_node(now);
        }
    }

    /// When [`Client::handle_timeout`] is to be called, at the earliest; `None` when nothing is awaited.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// What is to be sent, and to which node.
    pub fn poll_question(&mut self) -> Option<(NodeId, Question<M::Command>)> {
        let Some((to, question)) = self.question.take() else {
            let (nodes, key) = &mut self.withdrawn;
            let to = nodes.iter().next()?;
            *nodes = nodes.without(to);
            return Some((to, Question::Withdraw { key: *key }));
        };
        self.asked.insert(to);
        Some((to, question))
    }

    /// What came of the request.
    pub fn poll_done(&mut self) -> Option<Done<M::Output>> {
        self.done.take()
    }

    /// What is asked for at present, or was last.
    fn key(&self) -> RequestKey {
        match self.session {
            Some(client) => RequestKey {
                client,
                number: self.number,
            },
            None => RequestKey::registration(self.nonce),
        }
    }

    fn on_outcome(&mut self, now: Instant, from: NodeId, outcome: Outcome<M::Output>) {
        match (outcome, self.session) {
            (Outcome::Busy, _) if from == self.target => {
                self.question = None;
                self.deadline = Some(now + self.wait());
            }
            (Outcome::Registered { client }, None) => {
                self.session = Some(client);
                self.number = RequestNumber(1);
                self.asked = NodeSet::EMPTY;
                self.failures = 0;
                self.target = self.leader.unwrap_or(from);
                self.ask(now);
            }
            (Outcome::Applied { slot, output }, Some(_)) => self.end(Ok(Applied { slot, output })),
            (Outcome::Evicted, Some(_)) => self.end(Err(Undone::Evicted)),
            (Outcome::Stale, Some(_)) => self.end(Err(Undone::Stale)),
            (Outcome::Reused, Some(_)) => self.end(Err(Undone::Reused)),
            // That a node which was asked before is busy. Or what none says: a registration that was applied, or a request
            // that opened a session.
            (Outcome::Busy, _) | (_, None) | (Outcome::Registered { .. }, Some(_)) => {}
        }
    }

    fn end(&mut self, result: Result<Applied<M::Output>, Undone>) {
        let key = self.key();
        self.done = Some(Done { key, result });
        self.command = None;
        self.question = None;
        self.deadline = None;
        if result.is_err() {
            self.session = None;
        }
    }

    /// The next session is opened under another nonce, so that late answers to the old one are none to the new one. Two clients
    /// that had the same nonce part here, unless they come here at the same microsecond of their clocks.
    fn open_new_session(&mut self, now: Instant) {
        if self.number != RequestNumber::REGISTRATION {
            self.nonce = mix(self.nonce ^ mix(now.as_micros()));
            self.session = None;
            self.number = RequestNumber::REGISTRATION;
        }
    }

    fn note(&mut self, leader: Option<NodeId>) {
        let known = leader.filter(|leader| self.members.contains(*leader));
        self.leader = known.or(self.leader);
    }

    /// What is asked for at present.
    fn proposal(&self) -> Option<Proposal<M::Command>> {
        let command = self.command?;
        Some(match self.session {
            Some(client) => Proposal::Request {
                client,
                number: self.number,
                command,
            },
            None => Proposal::Register { nonce: self.nonce },
        })
    }

    fn ask(&mut self, now: Instant) {
        let Some(proposal) = self.proposal() else {
            return;
        };
        self.question = Some((self.target, Question::Request { proposal }));
        self.deadline = Some(now + self.wait());
    }

    /// Asks the next node: the leader, unless that was silent just now.
    fn try_next_node(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.leader = self.leader.filter(|leader| *leader != self.target);
        let mut behind = self.members.iter().filter(|member| *member > self.target);
        let next = behind.next().or_else(|| self.members.iter().next());
        self.target = self.leader.or(next).unwrap_or(self.target);
        self.ask(now);
    }

    /// How many times all nodes were asked in vain.
    fn rounds(&self) -> u32 {
        self.failures.checked_div(self.members.len()).unwrap_or(0)
    }

    /// How long to wait before the next node is asked.
    fn wait(&mut self) -> Duration {
        let span = self.patience * (1 << self.rounds().min(DOUBLINGS_MAX));
        span.saturating_add(span_below(&mut self.rng, span / 2))
    }
}

impl fmt::Display for Undone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Evicted => {
                "it is not known whether the request was applied: its session was given up to make room for others"
            }
            Self::Stale => {
                "it is not known whether the request was applied: a later one of its session was"
            }
            Self::Reused => {
                "the request was not applied: its session had another command under its number"
            }
        })
    }
}

impl core::error::Error for Undone {}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoMembers => "there is no client: it would have no node to ask",
            Self::NoPatience => "there is no client: its patience must be longer than zero",
            Self::Outstanding => "nothing was asked: another request is outstanding",
            Self::NotTaken => "nothing was asked: the end of the last request was not taken",
            Self::NothingOutstanding => "nothing was withdrawn: no request is outstanding",
        })
    }
}

impl core::error::Error for ClientError {}
