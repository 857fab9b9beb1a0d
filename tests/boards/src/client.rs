//! A client on the host, on a line of boards: the client of the library, with a real clock.

use crate::Failure;
use crate::hub::End;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use example_firmware::line::MTU;
use example_firmware::member::{self, PAGE};
use std::sync::Arc;
use std::time::Instant as Clock;
use synod::client::{Address, Answer, AnswerEnvelope, Applied, Client, Question, QuestionEnvelope};
use synod::wire::{Dropped, Frames};
use synod::{Instant, NodeId, NodeSet, StateMachine, Status};

/// How long a board may be silent before another one is asked: longer than an election takes.
const PATIENCE: synod::Duration = synod::Duration::from_millis(700);
/// How often it looks whether it was told to stop.
const LOOK: Duration = Duration::from_millis(200);
/// How long a board may take to say how it is, before it is asked once more.
const STATUS: Duration = Duration::from_millis(500);
const STATUS_TRIES: u32 = 4;

/// A client at an address of a hub, which asks and waits.
#[derive(Debug)]
pub struct Outside<M: StateMachine> {
    end: End,
    address: Address,
    frames: Frames<M, PAGE, MTU>,
    client: Client<M>,
    began: Clock,
    stop: Arc<AtomicBool>,
}

impl<M: StateMachine> Outside<M> {
    /// A client of a cluster of so many nodes, of which it asks the first `boards`.
    ///
    /// # Errors
    ///
    /// There are no boards.
    pub fn new(
        (end, size): (End, u16),
        boards: u16,
        address: Address,
        nonce: u64,
    ) -> Result<Self, Failure> {
        let cluster = member::Of::<M>::fingerprint_of(&member::config(NodeId(0), size));
        let client = Client::new(NodeSet::first(boards), PATIENCE, nonce)
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

    /// What ends its waiting: from any thread, for ever.
    pub fn stop(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// What did not reach it whole.
    pub fn dropped(&self) -> Dropped {
        self.frames.dropped()
    }

    /// Has a command applied, once. What is not answered in so long is withdrawn.
    ///
    /// # Errors
    ///
    /// It is not known whether it was applied.
    pub fn ask(
        &mut self,
        command: M::Command,
        patience: Duration,
    ) -> Result<Applied<M::Output>, Failure> {
        let failed = |error: &dyn core::fmt::Display| Failure::new(error.to_string());
        let asked = self.client.request(self.now(), command);
        asked.map_err(|error| failed(&error))?;
        let began = clock();
        loop {
            self.say();
            if let Some(done) = self.client.poll_done() {
                return done.result.map_err(|undone| failed(&undone));
            }
            if began.elapsed() >= patience || self.stop.load(Ordering::Relaxed) {
                let _ = self.client.withdraw();
                self.say();
                return Err(Failure::new(format!(
                    "no answer within {} s, and it is not known whether the command was applied, or will be",
                    began.elapsed().as_secs()
                )));
            }
            let now = self.now();
            let due = self.client.next_deadline().map(|at| at.since(now));
            let due = due.map_or(LOOK, |span| Duration::from_micros(span.as_micros()));
            if let Some((from, answer)) = self.hear(due.min(LOOK)) {
                self.client.handle_answer(self.now(), from, &answer);
            }
            self.client.handle_timeout(self.now());
        }
    }

    /// How a board is; `None` where it does not say.
    pub fn status(&mut self, node: NodeId) -> Option<Status> {
        for _ in 0..STATUS_TRIES {
            let began = clock();
            self.put(node, Question::Status);
            while let Some(left) = STATUS.checked_sub(began.elapsed()) {
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

    /// Sends what the client has to say.
    fn say(&mut self) {
        while let Some((to, question)) = self.client.poll_question() {
            self.put(to, question);
        }
    }

    fn put(&self, to: NodeId, question: Question<M::Command>) {
        let from = self.address;
        let asked = QuestionEnvelope { from, to, question };
        let mut buffer = [0; MTU];
        // There is a frame for whatever a client asks of a member.
        if let Ok(len) = self.frames.encode_question(&asked, &mut buffer) {
            self.end.send(buffer.get(..len).unwrap_or_default());
        }
    }

    /// The next answer for this client.
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

#[expect(
    clippy::disallowed_methods,
    reason = "a driver of a real link is where the clock is read"
)]
fn clock() -> Clock {
    Clock::now()
}
