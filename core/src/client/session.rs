//! The client: one session, one request at a time, and as many retries as it takes.
//!
//! It has the contract of a node: whoever drives it hands in answers and the time, and takes out questions. It reads no
//! clock and sends nothing itself, so that it runs on any link, and its random numbers follow from the nonce.
//!
//! Exactly-once rests on two things. The session numbers its requests, so that the cluster knows a repetition. And the
//! client has one request at a time, so that an answer with a higher number can only mean that the session is used by
//! somebody else.

mod changes;

use super::{Answer, Question};
use crate::random::{Purpose, mix, span_below, stream};
use crate::{
    Change, ChangeError, ClientId, Duration, Epoch, Instant, NodeId, NodeSet, NodeState, Outcome,
    Proposal, RequestKey, RequestNumber, Slot, StateMachine,
};
use core::fmt;
use rand_xorshift::XorShiftRng;

/// How many times the delay before a retry doubles at most: once each time that all nodes were asked in vain.
const DOUBLINGS_MAX: u32 = 3;

/// A client of a cluster. It holds a session, and has one request at a time applied exactly once, even if messages are
/// lost, duplicated, delayed or reordered and nodes fail.
///
/// # How to drive it
///
/// [`Client::request`] makes a request, and [`Client::reconfigure`] that of an operator. After that, after each answer that arrives ([`Client::handle_answer`]), and
/// whenever time has passed ([`Client::handle_timeout`], at the latest at [`Client::next_deadline`]), send the question
/// from [`Client::poll_question`] and take the result from [`Client::poll_done`]. The session is opened with the first
/// request, and opened anew if it was evicted.
///
/// The client asks the leader, if a node has named it, and another node when that one is silent or busy. A node has
/// `patience` to answer, plus up to half of it at random. This time doubles when all nodes were asked in vain, up to
/// eight times.
///
/// Its memory is fixed. The [module](super) has an example.
#[derive(Clone, Debug)]
pub struct Client<M: StateMachine> {
    /// The nodes that may be asked.
    members: NodeSet,
    /// The time that a node has to answer, before it doubles.
    patience: Duration,
    /// Identifies the registration of the current session, or of the next one. Replaced with each new session.
    nonce: u64,
    /// Draws the jitter of retries, so that clients of one node do not all ask again at the same moment.
    rng: XorShiftRng,
    /// The session; `None` before it is open, and after a request of it has failed.
    session: Option<ClientId>,
    /// The number of the last request in the session.
    number: RequestNumber,
    /// What is currently requested.
    wanted: Option<Wanted<M::Command>>,
    /// The nodes that the current request may have reached.
    asked: NodeSet,
    /// The nodes that still have to be told of a withdrawal, and the withdrawn request.
    withdrawn: (NodeSet, RequestKey),
    /// The node that is asked.
    target: NodeId,
    /// The leader that a node has named, unless it was asked since and was silent.
    leader: Option<NodeId>,
    /// How many nodes were asked in vain.
    failures: u32,
    /// When the next node is asked; `None` if no request is outstanding.
    deadline: Option<Instant>,
    /// The question that was not taken yet. A later one replaces it, as if the first had been lost.
    question: Option<(NodeId, Question<M::Command>)>,
    /// The result that was not taken yet.
    done: Option<Done<M::Output>>,
    /// The result of a change of the members that was not taken yet.
    changed: Option<Result<Epoch, ChangeError>>,
}

/// A request of a client.
#[derive(Clone, Copy, Debug)]
enum Wanted<C> {
    /// A command, in the session.
    Command(C),
    /// A change of the members, which needs no session.
    Change(Change),
}

/// What a client must know to resume its session after a restart, for clients with durable memory. It must be durable,
/// with the number of a request, before that request leaves. A client that resumes with an older one makes a different
/// request under a number that was used before: the result is [`Undone::Stale`] or [`Undone::Reused`], or a late answer
/// to its earlier request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Session {
    /// The identity of the session.
    pub client: ClientId,
    /// The number of the last request that was made in it.
    pub number: RequestNumber,
}

/// The result of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Done<O> {
    /// The session and the number of the request.
    pub key: RequestKey,
    /// What the state machine answered, or why that is not known.
    pub result: Result<Applied<O>, Undone>,
}

/// A request was applied, exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Applied<O> {
    /// The slot in which it was applied.
    pub slot: Slot,
    /// The output of the state machine.
    pub output: O,
}

/// Why the result of a request is not known. The next request is made in a new session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Undone {
    /// The session was evicted to make room for others. The request may have been applied before that, and will not be
    /// applied any more. A command that may safely be applied twice can be requested again.
    Evicted,
    /// A later request of the session was applied: another client uses the session (see [choosing a nonce](super)), or
    /// it was resumed with an earlier number. The request may have been applied, and will not be applied any more.
    Stale,
    /// The session had another command under this number, for the same reasons. This one was not applied.
    Reused,
}

/// What is known of a withdrawn request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Withdrawn {
    /// It never left: it is not applied.
    NeverAsked,
    /// It may have been applied, and may still be; that is settled once the next request is answered (rule X4).
    MayBeApplied(RequestKey),
}

/// Why a client did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ClientError {
    /// There is no node to ask.
    NoMembers,
    /// The patience is zero: the client would ask without pause.
    NoPatience,
    /// A client has one request at a time: wait for its result, or withdraw it.
    Outstanding,
    /// The result of the last request was not taken: see [`Client::poll_done`].
    NotTaken,
    /// There is no request to withdraw.
    NothingOutstanding,
}

impl<M: StateMachine> Client<M> {
    /// Creates a client that may ask `members`, and opens a session under `nonce` with its first request. `patience` is
    /// the time that a node has to answer. It should be longer than an election takes; otherwise the client only asks
    /// more often.
    ///
    /// The [module](super) says how to choose the nonce, which also seeds the client's jitter.
    ///
    /// # Errors
    ///
    /// [`ClientError::NoMembers`] or [`ClientError::NoPatience`]: no client was created.
    pub fn new(members: NodeSet, patience: Duration, nonce: u64) -> Result<Self, ClientError> {
        let mut all = members.iter();
        // Clients begin with the same node, and learn from its first answer who leads.
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
            wanted: None,
            asked: NodeSet::EMPTY,
            withdrawn: (NodeSet::EMPTY, RequestKey::registration(nonce)),
            target: first,
            leader: None,
            failures: 0,
            deadline: None,
            question: None,
            done: None,
            changed: None,
        })
    }

    /// Resumes a session of an earlier run, with the number after the one in `session`. Call it before the first
    /// request.
    pub fn resume(&mut self, session: Session) {
        self.session = Some(session.client);
        self.number = session.number;
    }

    /// Returns the session, if one is open.
    pub fn session(&self) -> Option<Session> {
        let number = self.number;
        self.session.map(|client| Session { client, number })
    }

    /// Returns the leader that a node has named.
    pub fn leader(&self) -> Option<NodeId> {
        self.leader
    }

    /// True if a request is outstanding.
    pub fn is_outstanding(&self) -> bool {
        self.wanted.is_some()
    }

    /// Requests that a command be applied, exactly once. [`Client::poll_done`] returns the result.
    ///
    /// # Errors
    ///
    /// [`ClientError::Outstanding`] or [`ClientError::NotTaken`]: nothing was requested.
    pub fn request(&mut self, now: Instant, command: M::Command) -> Result<(), ClientError> {
        self.check_idle()?;
        let next = self.number.0.checked_add(1);
        match next.filter(|next| *next < RequestNumber::READ.0) {
            Some(next) if self.session.is_some() => self.number = RequestNumber(next),
            // There is no session, or all of its numbers are used.
            _ => self.open_new_session(now),
        }
        self.begin(now, Wanted::Command(command));
        Ok(())
    }

    /// Refuses another request while there is one, or while its result was not taken.
    fn check_idle(&self) -> Result<(), ClientError> {
        if self.is_outstanding() {
            return Err(ClientError::Outstanding);
        }
        if self.done.is_some() || self.changed.is_some() {
            return Err(ClientError::NotTaken);
        }
        Ok(())
    }

    /// Begins a request: asks the leader if it is known.
    fn begin(&mut self, now: Instant, wanted: Wanted<M::Command>) {
        self.wanted = Some(wanted);
        self.asked = NodeSet::EMPTY;
        self.failures = 0;
        self.target = self.leader.unwrap_or(self.target);
        self.ask(now);
        self.invariants();
    }

    /// Stops waiting for the outstanding request (rule X4). [`Client::poll_question`] returns the withdrawal once for
    /// each node that was asked; [`Client::poll_done`] returns nothing for this request.
    ///
    /// # Errors
    ///
    /// [`ClientError::NothingOutstanding`]: nothing was withdrawn.
    pub fn withdraw(&mut self) -> Result<Withdrawn, ClientError> {
        let key = self.key();
        let wanted = self.wanted.take().ok_or(ClientError::NothingOutstanding)?;
        self.deadline = None;
        self.question = None;
        self.withdrawn = (self.asked, key);
        self.invariants();
        // A registration may still open a session, but applies no command.
        let registers = matches!(wanted, Wanted::Command(_)) && self.session.is_none();
        if registers || self.asked.is_empty() {
            return Ok(Withdrawn::NeverAsked);
        }
        Ok(Withdrawn::MayBeApplied(key))
    }

    /// Handles an answer from a node. An answer that does not belong to the outstanding request is ignored: it is late,
    /// a duplicate, or for another client.
    pub fn handle_answer(&mut self, now: Instant, from: NodeId, answer: &Answer<M::Output>) {
        match *answer {
            Answer::Status(status) => {
                self.note(status.leader);
                // Another node that has halted does not matter to the one that is asked.
                let halted = status.state == NodeState::Halted && from == self.target;
                // If all nodes have halted, the client waits as if none had answered.
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
                // A client that has lost its memory may use a number again: the answer to its earlier command is not
                // one to this (rule X1).
                && fingerprint == self.proposal().map_or(0, |asked| asked.fingerprint()) =>
            {
                self.note(leader);
                match self.wanted {
                    Some(Wanted::Change(_)) => self.on_change_outcome(now, from, outcome),
                    _ => self.on_outcome(now, from, outcome),
                }
            }
            Answer::Outcome { .. } => {}
        }
        self.invariants();
    }

    /// Handles the passage of time. A call before the deadline does nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.try_next_node(now);
        }
        self.invariants();
    }

    /// Checks the invariants that hold between calls.
    fn invariants(&self) {
        debug_assert!(
            self.deadline.is_some() == self.is_outstanding(),
            "asks again exactly as long as a request is outstanding"
        );
        debug_assert!(
            self.question.is_none() || self.is_outstanding(),
            "asks for what it does not wait for any more"
        );
        debug_assert!(
            (self.done.is_none() && self.changed.is_none()) || !self.is_outstanding(),
            "a request was made before the last result was taken"
        );
        debug_assert!(
            self.leader
                .is_none_or(|leader| self.members.contains(leader)),
            "follows a leader that it may not ask"
        );
        debug_assert!(
            !matches!(self.wanted, Some(Wanted::Command(_)))
                || self.session.is_some() == (self.number != RequestNumber::REGISTRATION),
            "requests are numbered from 1, and only a registration has no session"
        );
    }

    /// Returns the time at which [`Client::handle_timeout`] is to be called, or `None` if the client waits for nothing.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Returns the next question to send, and the node to send it to.
    pub fn poll_question(&mut self) -> Option<(NodeId, Question<M::Command>)> {
        // A request is more urgent than the withdrawal of the one before, which it withdraws as well where it arrives.
        let Some((to, question)) = self.question.take() else {
            let (nodes, key) = &mut self.withdrawn;
            let to = nodes.iter().next()?;
            *nodes = nodes.without(to);
            return Some((to, Question::Withdraw { key: *key }));
        };
        self.asked.insert(to);
        Some((to, question))
    }

    /// Returns the result of the request, once.
    pub fn poll_done(&mut self) -> Option<Done<M::Output>> {
        self.done.take()
    }

    /// Returns the key of the current request, or of the last one.
    fn key(&self) -> RequestKey {
        match (self.wanted, self.session) {
            (Some(Wanted::Change(change)), _) => RequestKey::change(change.epoch),
            (_, Some(client)) => RequestKey {
                client,
                number: self.number,
            },
            (_, None) => RequestKey::registration(self.nonce),
        }
    }

    /// Handles the outcome of what is outstanding: the registration, or the request in the session.
    fn on_outcome(&mut self, now: Instant, from: NodeId, outcome: Outcome<M::Output>) {
        match (outcome, self.session) {
            // The node lives, so it is given its time once more, and then another one is asked.
            (Outcome::Busy, _) if from == self.target => self.on_busy(now),
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
            // A node that was asked before is busy. Or an answer that no node gives: a registration that was applied, a
            // request that opened a session, changed the members or was a read.
            (
                Outcome::Busy
                | Outcome::Registered { .. }
                | Outcome::Reconfigured { .. }
                | Outcome::Unchanged(_)
                | Outcome::Readable { .. }
                | Outcome::NotNow,
                _,
            )
            | (_, None) => {}
        }
    }

    /// Gives a node that is busy its time once more.
    fn on_busy(&mut self, now: Instant) {
        self.question = None;
        self.deadline = Some(now + self.wait());
    }

    /// Ends the request with a result. After a failure the session is of no use: what it has answered is not known.
    fn end(&mut self, result: Result<Applied<M::Output>, Undone>) {
        debug_assert!(self.is_outstanding(), "a request has one result");
        let key = self.key();
        self.done = Some(Done { key, result });
        self.forget();
        if result.is_err() {
            self.session = None;
        }
    }

    /// Forgets the request, which has a result.
    fn forget(&mut self) {
        self.wanted = None;
        self.question = None;
        self.deadline = None;
    }

    /// Opens the next session under another nonce, so that late answers to the old one do not match. Two clients with
    /// the same nonce get different sessions here, unless they arrive at the same microsecond of their clocks.
    fn open_new_session(&mut self, now: Instant) {
        if self.number != RequestNumber::REGISTRATION {
            self.nonce = mix(self.nonce ^ mix(now.as_micros()));
            self.session = None;
            self.number = RequestNumber::REGISTRATION;
        }
        debug_assert!(
            self.session.is_none() && self.number == RequestNumber::REGISTRATION,
            "a registration would be asked for as a request of the session before"
        );
    }

    /// Notes the leader that a node has named. A node that knows of none takes nothing back.
    fn note(&mut self, leader: Option<NodeId>) {
        let known = leader.filter(|leader| self.members.contains(*leader));
        self.leader = known.or(self.leader);
    }

    /// Returns the current request as a proposal.
    fn proposal(&self) -> Option<Proposal<M::Command>> {
        Some(match (self.wanted?, self.session) {
            (Wanted::Change(change), _) => Proposal::Reconfigure(change),
            (Wanted::Command(command), Some(client)) => Proposal::Request {
                client,
                number: self.number,
                command,
            },
            (Wanted::Command(_), None) => Proposal::Register { nonce: self.nonce },
        })
    }

    /// Asks the target, and waits for its answer.
    fn ask(&mut self, now: Instant) {
        let Some(proposal) = self.proposal() else {
            return;
        };
        self.question = Some((self.target, Question::Request { proposal }));
        self.deadline = Some(now + self.wait());
    }

    /// Asks the next node: the leader, unless that one was silent just now.
    fn try_next_node(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.leader = self.leader.filter(|leader| *leader != self.target);
        // In rising order and around, so that all nodes are asked before one is asked again; except for a leader that
        // was named meanwhile.
        let mut behind = self.members.iter().filter(|member| *member > self.target);
        let next = behind.next().or_else(|| self.members.iter().next());
        self.target = self.leader.or(next).unwrap_or(self.target);
        debug_assert!(
            self.members.contains(self.target),
            "asks a node that it may not ask"
        );
        self.ask(now);
    }

    /// Returns how many times all nodes were asked in vain.
    fn rounds(&self) -> u32 {
        self.failures.checked_div(self.members.len()).unwrap_or(0)
    }

    /// Returns the delay before the next node is asked.
    fn wait(&mut self) -> Duration {
        // At most eight times the patience, and twelve times with the jitter.
        let span = self.patience * (1 << self.rounds().min(DOUBLINGS_MAX));
        let wait = span.saturating_add(span_below(&mut self.rng, span / 2));
        debug_assert!(
            self.patience <= wait && wait <= self.patience * 12,
            "a node has less time than it was promised, or more than a retry may take"
        );
        wait
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
