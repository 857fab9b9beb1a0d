//! A client on the host that talks to boards over the serial bus: the client of the library, with a real clock.

use crate::Failure;
use crate::serial_bus::Port;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use example_firmware::member::{self, PAGE};
use example_firmware::serial_line::MTU;
use std::sync::Arc;
use std::time::Instant as Clock;
use synod::client::{Address, Answer, AnswerEnvelope, Applied, Client, Question, QuestionEnvelope};
use synod::wire::{Dropped, Frames};
use synod::{
    Change, ChangeError, Epoch, Instant, NodeId, NodeSet, NodeState, StateMachine, Status,
};

/// The time after which a silent board is replaced by another one: longer than an election takes.
const PATIENCE: synod::Duration = synod::Duration::from_millis(700);
/// The interval at which a wait checks for a request to stop.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// The time limit for a status, after which it is requested again.
const STATUS_TIMEOUT: Duration = Duration::from_millis(500);
const STATUS_TRIES: u32 = 4;

/// A client at an address of the bus, which blocks until it is answered.
#[derive(Debug)]
pub struct HostClient<M: StateMachine> {
    end: Port,
    address: Address,
    frames: Frames<M, PAGE, MTU>,
    client: Client<M>,
    began: Clock,
    stop: Arc<AtomicBool>,
}

impl<M: StateMachine> HostClient<M> {
    /// Creates a client of a cluster with `size` founding members that asks these boards.
    ///
    /// # Errors
    ///
    /// Returns an error if there are no boards.
    pub fn new(
        (end, size): (Port, u16),
        boards: NodeSet,
        address: Address,
        nonce: u64,
    ) -> Result<Self, Failure> {
        let cluster = member::Of::<M>::fingerprint_of(&member::config(NodeId(0), size));
        let client = Client::new(boards, PATIENCE, nonce)
            .map_err(|error| Failure::new(error.to_string()))?;
        Ok(Self {
            end,
            address,
            frames: Frames::new(cluster),
            client,
            began: clock(),
            stop: Arc::default(),
        })
    }

    /// Returns a flag that ends every wait when it is set, from any thread.
    pub fn stop(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Returns the counts of dropped frames.
    pub fn dropped(&self) -> Dropped {
        self.frames.dropped()
    }

    /// Has a command applied exactly once. It is withdrawn if it is not answered within `patience`.
    ///
    /// # Errors
    ///
    /// Returns an error if it is unknown whether the command was applied.
    pub fn ask(
        &mut self,
        command: M::Command,
        patience: Duration,
    ) -> Result<Applied<M::Output>, Failure> {
        let asked = self.client.request(self.now(), command);
        asked.map_err(|error| failed(&error))?;
        let done = self.wait("the command may have been applied", patience, |client| {
            client.poll_done()
        })?;
        done.result.map_err(|undone| failed(&undone))
    }

    /// Requests a change of the members, and returns the epoch that it has begun, or why it was refused.
    ///
    /// # Errors
    ///
    /// Returns an error if it is unknown whether the members were changed.
    pub fn reconfigure(
        &mut self,
        change: Change,
        patience: Duration,
    ) -> Result<Result<Epoch, ChangeError>, Failure> {
        let asked = self.client.reconfigure(self.now(), change);
        asked.map_err(|error| failed(&error))?;
        self.wait("the members may have been changed", patience, |client| {
            client.poll_changed()
        })
    }

    /// Puts a board in the place of a member, as soon as it has joined as a learner. Returns the change that was made.
    /// `source` is a board that knows the present members.
    ///
    /// # Errors
    ///
    /// Returns why the members were not changed, or that this is unknown.
    pub fn replace(
        &mut self,
        (lost, by): (NodeId, NodeId),
        source: NodeId,
        patience: Duration,
    ) -> Result<Change, Failure> {
        self.status_when(by, "joined", patience, |status| {
            status.state != NodeState::Joining
        })?;
        let began = clock();
        loop {
            let is_late = began.elapsed() >= patience || self.stop.load(Ordering::Relaxed);
            let status = self.status(source);
            let Status { epoch, members, .. } =
                status.ok_or_else(|| Failure::new(format!("{source} does not answer")))?;
            let next = members.without(lost).union(NodeSet::only(by));
            let change = Change {
                epoch,
                members: next,
            };
            if next == members {
                return Ok(change);
            }
            match self.reconfigure(change, patience)? {
                Ok(_) => return Ok(change),
                // The new members catch up, or the source has not heard yet of another change: look again.
                Err(ChangeError::Behind { .. } | ChangeError::Epoch { .. }) if !is_late => {
                    let _ = self.hear(POLL_INTERVAL);
                }
                Err(error) => return Err(failed(&error)),
            }
        }
    }

    /// Replaces the boards that are asked, after a change of the members.
    ///
    /// # Errors
    ///
    /// Returns an error if there are no boards.
    pub fn set_members(&mut self, boards: NodeSet) -> Result<(), Failure> {
        let set = self.client.set_members(boards);
        set.map_err(|error| failed(&error))
    }

    /// Drives the client until it is done. What was asked is withdrawn if it is not answered within `patience`.
    fn wait<R>(
        &mut self,
        unknown: &str,
        patience: Duration,
        mut poll: impl FnMut(&mut Client<M>) -> Option<R>,
    ) -> Result<R, Failure> {
        let began = clock();
        loop {
            self.say();
            if let Some(done) = poll(&mut self.client) {
                return Ok(done);
            }
            if began.elapsed() >= patience || self.stop.load(Ordering::Relaxed) {
                let _ = self.client.withdraw();
                self.say();
                return Err(Failure::new(format!(
                    "no answer within {} s; {unknown}, or may yet be",
                    began.elapsed().as_secs()
                )));
            }
            let now = self.now();
            let due = self.client.next_deadline().map(|at| at.since(now));
            let due = due.map_or(POLL_INTERVAL, |span| {
                Duration::from_micros(span.as_micros())
            });
            if let Some((from, answer)) = self.hear(due.min(POLL_INTERVAL)) {
                self.client.handle_answer(self.now(), from, &answer);
            }
            self.client.handle_timeout(self.now());
        }
    }

    /// Returns the status of a board, or `None` if it does not answer.
    pub fn status(&mut self, node: NodeId) -> Option<Status> {
        for _ in 0..STATUS_TRIES {
            let began = clock();
            self.put(node, Question::Status);
            while let Some(left) = STATUS_TIMEOUT.checked_sub(began.elapsed()) {
                let (from, answer) = self.hear(left)?;
                self.client.handle_answer(self.now(), from, &answer);
                match answer {
                    Answer::Status(status) if from == node => return Some(status),
                    _ => {}
                }
            }
        }
        None
    }

    /// Returns the status of a board as soon as it is as expected; `what` it has done then.
    ///
    /// # Errors
    ///
    /// Returns an error if it is not within `patience`.
    pub fn status_when(
        &mut self,
        node: NodeId,
        what: &str,
        patience: Duration,
        is_it: impl Fn(&Status) -> bool,
    ) -> Result<Status, Failure> {
        let began = clock();
        loop {
            if let Some(status) = self.status(node).filter(&is_it) {
                return Ok(status);
            }
            if began.elapsed() >= patience || self.stop.load(Ordering::Relaxed) {
                let seconds = began.elapsed().as_secs();
                return Err(Failure::new(format!(
                    "{node} has not {what} within {seconds} s"
                )));
            }
            let _ = self.hear(POLL_INTERVAL);
        }
    }

    /// Sends the next question of the client, if there is one.
    fn say(&mut self) {
        while let Some((to, question)) = self.client.poll_question() {
            self.put(to, question);
        }
    }

    fn put(&self, to: NodeId, question: Question<M::Command>) {
        let from = self.address;
        let asked = QuestionEnvelope { from, to, question };
        let mut buffer = [0; MTU];
        // Every question of a client fits into a frame.
        if let Ok(len) = self.frames.encode_question(&asked, &mut buffer) {
            self.end.send(buffer.get(..len).unwrap_or_default());
        }
    }

    /// Returns the next answer for this client.
    fn hear(&mut self, patience: Duration) -> Option<(NodeId, Answer<M::Output>)> {
        let frame = self.end.receive(patience)?;
        let answered = self.frames.decode_answer(&frame).ok()??;
        let AnswerEnvelope { from, to, answer } = answered;
        (to == self.address).then_some((from, answer))
    }

    fn now(&self) -> Instant {
        let micros = self.began.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

fn failed(error: &dyn core::fmt::Display) -> Failure {
    Failure::new(error.to_string())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a driver of a real link is where the clock is read"
)]
fn clock() -> Clock {
    Clock::now()
}
