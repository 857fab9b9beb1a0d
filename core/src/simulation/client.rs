//! Simulated clients: each opens a session, makes one request after another, and moves to another node when its own is down.
//!
//! A client is what an application beside a node would be: it asks its own node, waits, and asks the next node only
//! when its own is down. It makes no retries on its own account, since a requester in the node does that; it asks again
//! where a node has not taken its request.
//!
//! What a client does between two events is decided on its [turn](turn), an event of its own. An answer, the loss of its
//! node, or a refusal each give it one, and a turn too many does no harm.

mod turn;

use super::capacities::EventQueue;
use super::event_loop::{Output, Simulation};
use super::observer::{Answered, Observer, WasRead};
use super::scheduler::SimEvent;
use super::setting::Setting;
use super::violation::Violation;
use super::workload::Workload;
use crate::{
    AnyOutbox, ClientId, Instant, NodeId, Outcome, RequestKey, RequestNumber, Slot, StateMachine,
};

/// The progress of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The client has no session yet and registers.
    Registering,
    /// The client has a session and no outstanding request.
    Ready,
    /// The client waits for the answer to its request.
    Waiting,
    /// The client waits until it may look into the state of its node.
    Reading,
    /// The client has all of its answers.
    Done,
}

/// The state of a client at the end of an earlier run, from which it resumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientResume {
    /// Which client, from 0.
    pub client: u16,
    /// Its session.
    pub session: ClientId,
    /// The number in that session of the last request that was answered, or that of a registration.
    pub number: RequestNumber,
    /// How many of its requests were answered.
    pub answered: u32,
}

/// A client.
#[derive(Clone, Debug)]
pub(super) struct Client<C, O> {
    /// Where it asked last. It stays there until that node is down.
    pub(super) node: NodeId,
    /// Names its registration, as long as it has no session. It changes with each session that is given up.
    pub(super) nonce: u64,
    pub(super) progress: Progress,
    /// Its session: the slot in which it was opened, or 0 before the first one, as no slot is 0.
    pub(super) id: ClientId,
    /// The number of its present request in its session.
    pub(super) number: RequestNumber,
    /// How many things it has asked for in all, whatever the session.
    pub(super) asked: u32,
    /// When it loses its patience: the time of the event that is scheduled for that, or a later one; `None` if none is
    /// scheduled.
    impatient: Option<Instant>,
    /// How many times it has withdrawn a request.
    withdrawn: u32,
    /// How many times it has withdrawn what it asks for at present.
    tries: u32,
    /// What it asks for at present, kept for asking again elsewhere.
    pub(super) command: Option<C>,
    /// Names its present read; another one each time that it asks, as no nonce is used twice.
    read: u64,
    /// What it has seen in the state of its node, until the reply leaves the node.
    seen: Option<O>,
}

impl<C: Copy, O> Client<C, O> {
    pub(super) const fn new(node: NodeId, nonce: u64) -> Self {
        Self {
            node,
            nonce,
            progress: Progress::Registering,
            id: ClientId(0),
            number: RequestNumber::REGISTRATION,
            asked: 0,
            impatient: None,
            withdrawn: 0,
            tries: 0,
            command: None,
            read: nonce,
            seen: None,
        }
    }

    /// Whether the client waits for the answer with this key.
    pub(super) fn awaits(&self, key: RequestKey) -> bool {
        match self.progress {
            Progress::Registering => key == RequestKey::registration(self.nonce),
            Progress::Waiting => {
                key == RequestKey {
                    client: self.id,
                    number: self.number,
                }
            }
            Progress::Reading => key == RequestKey::read(self.read),
            Progress::Ready | Progress::Done => false,
        }
    }
}

impl<S: Setting<W, C, P>, const W: usize, const C: usize, const P: usize> Simulation<S, W, C, P> {
    /// Resumes a client from an earlier run, on nodes that have the state of that run. Call it after the start and before the
    /// first step. The state of a client that does not exist is ignored.
    pub fn resume(&mut self, past: ClientResume) {
        // It stays among the busy clients: whether it has anything left to ask is the workload's to say, on its next
        // turn.
        let Some(client) = self.clients.get_mut(usize::from(past.client)) else {
            return;
        };
        // It has a turn at the beginning, like any other client, and asks there for what comes next.
        client.id = past.session;
        client.number = past.number;
        client.asked = past.answered;
        client.progress = Progress::Ready;
        // As if they had been answered in this run, so that a report covers what the clients have had in all.
        self.counts.answered += u64::from(past.answered);
        self.counts.right += u64::from(past.answered);
        if let Some(workload) = &mut self.workload {
            workload.skip(past.client, past.answered);
        }
    }

    /// The client that waits for an answer with a key. There is one at most, as sessions are slots and nonces differ:
    /// see [`Simulation::add_clients`] for how surely they do.
    fn client_index(&self, key: RequestKey) -> Option<u16> {
        let index = self.clients.iter().position(|client| client.awaits(key))?;
        u16::try_from(index).ok()
    }

    /// Hands a reply to the client that waits for it, which checks it and schedules its next turn.
    pub(super) fn handle_reply<O: Observer<S::Machine, W, C, P>>(
        &mut self,
        key: RequestKey,
        outcome: Outcome<Output<S, W, C, P>>,
        observer: &mut O,
    ) {
        // An answer that nobody waits for is a late one: the request was repeated at another node, whose answer came
        // first.
        let Some(index) = self.client_index(key) else {
            return;
        };
        if key.number == RequestNumber::READ {
            return self.end_read(index, observer);
        }
        // The observer is told before the client forgets what it has waited for.
        let seen = observer.answered(&Answered {
            at: self.now,
            client: index,
            key,
            outcome: &outcome,
        });
        self.take_outcome(index, key.number, outcome);
        // What an observer finds says more than that the answer is wrong.
        if let Err(violation) = seen {
            self.violation = Some(violation);
        }
        debug_assert!(
            self.counts.right <= self.counts.answered,
            "an answer is right that nobody was given"
        );
        // There is room: messages leave some for a turn of every client.
        let _ = self
            .scheduler
            .push(self.now + self.think, SimEvent::Client(index));
    }

    /// What a node has said of a read leaves it: the client takes what it has seen, or asks again where it could not look.
    fn end_read<O: Observer<S::Machine, W, C, P>>(&mut self, index: u16, observer: &mut O) {
        let Some(client) = self.clients.get_mut(usize::from(index)) else {
            return;
        };
        if let Some(output) = client.seen.take() {
            let key = RequestKey {
                client: client.id,
                number: client.number,
            };
            observer.was_read(&WasRead {
                at: self.now,
                client: index,
                key,
                output: &output,
            });
            self.counts.read += 1;
            // No slot gave the answer; nobody looks at the one of an answer to a client.
            let slot = Slot::ZERO;
            self.take_outcome(index, key.number, Outcome::Applied { slot, output });
        } else {
            self.counts.not_now += 1;
        }
        let _ = self.scheduler.push(
            self.now + self.think.max(self.retry),
            SimEvent::Client(index),
        );
    }

    /// Lets the clients look into the state of a node that has just said in a step that they may.
    pub(super) fn look_into(&mut self, node: NodeId) {
        // By index, as a client is a part of the simulation as well as the outbox.
        let replies = self
            .outbox_of(node, false)
            .map_or(0, |outbox| outbox.replies().len());
        for place in 0..replies {
            let outbox = self.outbox_of(node, false);
            let Some(reply) = outbox.and_then(|outbox| outbox.replies().get(place).copied()) else {
                return;
            };
            if !matches!(reply.outcome, Outcome::Readable { .. }) {
                continue;
            }
            let reader = self.client_index(reply.key);
            let (Some(client), Some(member)) = (
                reader.and_then(|index| self.clients.get_mut(usize::from(index))),
                self.members.get(usize::from(node.0)),
            ) else {
                continue;
            };
            // A command that changes nothing is applied to a copy: nothing more is asked of a state machine.
            if client.seen.is_none()
                && let Some(command) = &client.command
            {
                client.seen = Some(member.node.machine().clone().apply(command));
            }
        }
    }

    /// Moves a client on by what it was answered: a right answer makes it ready for its next request.
    fn take_outcome(
        &mut self,
        index: u16,
        number: RequestNumber,
        outcome: Outcome<Output<S, W, C, P>>,
    ) {
        let Some(client) = self.clients.get_mut(usize::from(index)) else {
            return;
        };
        client.tries = 0;
        match outcome {
            Outcome::Registered { client: id } => {
                client.id = id;
                client.number = RequestNumber::REGISTRATION;
                client.progress = Progress::Ready;
            }
            Outcome::Applied { output, .. } => {
                self.counts.answered += 1;
                client.progress = Progress::Ready;
                client.command = None;
                // The workload counts over all sessions of a client, where the number in the key begins anew with each
                // session.
                let right = self
                    .workload
                    .as_mut()
                    .is_some_and(|workload| workload.check(index, client.asked, &output));
                if right {
                    self.counts.right += 1;
                } else {
                    self.violation = Some(Violation::WrongAnswer {
                        client: index,
                        number,
                    });
                }
            }
            // A client whose session was given up begins a new one, and asks again there. Its nonce is another, since a
            // late answer to the first registration would otherwise give it the lost session again (rule X2).
            Outcome::Evicted => {
                client.nonce = crate::random::mix(client.nonce);
                client.progress = Progress::Registering;
            }
            // A client waits for one thing at a time, and numbers what it asks for without a gap. So nothing later was
            // applied in its session, nor another command under this number (rule X1); and that there is no room its
            // requester keeps to itself.
            Outcome::Stale
            | Outcome::Reused
            | Outcome::Busy
            | Outcome::Reconfigured { .. }
            | Outcome::Unchanged(_)
            | Outcome::Readable { .. }
            | Outcome::NotNow => {
                self.violation = Some(Violation::WrongAnswer {
                    client: index,
                    number,
                });
            }
        }
    }
}
