//! The turn of a client: it registers, makes its next request, asks again, or withdraws what it waits for.

use super::{Client, Progress};
use crate::simulation::capacities::EventQueue;
use crate::simulation::event_loop::{Command, Simulation, Stamped};
use crate::simulation::observer::{Asked, Observer};
use crate::simulation::scheduler::SimEvent;
use crate::simulation::setting::Setting;
use crate::simulation::workload::Workload;
use crate::{
    AnyOutbox, Instant, Node, NodeId, Proposal, ReadError, RequestError, RequestKey, RequestNumber,
    StateMachine, Tracer,
};

impl<S: Setting<W, C, P>, const W: usize, const C: usize, const P: usize> Simulation<S, W, C, P> {
    /// Runs the turn of a client: it registers, makes a request, or repeats its request at another node.
    pub(in crate::simulation) fn run_client<
        T: Tracer<S::Machine, P>,
        O: Observer<S::Machine, W, C, P>,
    >(
        &mut self,
        index: u16,
        tracer: &mut T,
        observer: &mut O,
    ) {
        let node = self.client_node(index);
        self.begin_next(index);
        let Some(client) = self.clients.get_mut(usize::from(index)) else {
            return;
        };
        // It may have a turn left, as one that was to move to another node has two turns when it was answered in
        // between.
        if client.progress == Progress::Done {
            return;
        }
        client.read = crate::random::mix(client.read);
        client.seen = None;
        client.node = node;
        let question = client.question();
        observer.asked(&Asked {
            at: self.now,
            client: index,
            node,
            key: question.key(),
            command: question.command(),
        });
        let retry = self.now + self.retry;
        let asked = self.ask(node, question, tracer);
        self.after_step(node, tracer, observer);
        if Self::PLANS && asked.is_ok() {
            self.expect_answer(index);
        }
        // A node that has taken the request answers it, or loses power, which gives its clients a turn. Of any other
        // the client has to ask again on its own.
        if matches!(asked, Err(error) if !matches!(error, RequestError::Outstanding { .. })) {
            // There is room: a turn of this client has just been taken from it.
            // Later by a round trip, in which the node may have joined or made room.
            let _ = self.scheduler.push(retry, SimEvent::Client(index));
        }
    }

    /// Gives a client that is ready its next command, to apply or to read; where there is none, the client is done.
    fn begin_next(&mut self, index: u16) {
        let Some(client) = self.clients.get_mut(usize::from(index)) else {
            return;
        };
        if client.progress != Progress::Ready {
            return;
        }
        if client.command.is_none() {
            // Asked for once for each number, as a workload may draw what it gives.
            client.asked = client.asked.saturating_add(1);
            let workload = self.workload.as_mut();
            client.command = workload.and_then(|of| of.command(index, client.asked));
        }
        if client.command.is_none() {
            client.progress = Progress::Done;
            debug_assert!(self.busy_clients > 0, "a client is done twice");
            self.busy_clients -= 1;
            return;
        }
        client.number = RequestNumber(client.number.0.saturating_add(1));
        let workload = self.workload.as_ref();
        let command = client.command.as_ref();
        // Every other one, so that histories have reads of both kinds.
        let reads = Self::PLANS && self.reads && client.asked % 2 == 0;
        let is_read = reads
            && workload
                .zip(command)
                .is_some_and(|(workload, command)| workload.is_read(command));
        client.progress = if is_read {
            Progress::Reading
        } else {
            Progress::Waiting
        };
    }

    /// Asks a node, if it takes questions.
    fn ask<T: Tracer<S::Machine, P>>(
        &mut self,
        node: NodeId,
        question: Question<Command<S, W, C, P>>,
        tracer: &mut T,
    ) -> Result<(), RequestError> {
        let asks_joining = self.asks_joining;
        let local = self.local_time(node);
        match self.live_member(node) {
            Some((member, now, outbox)) if asks_joining || member.node.is_active() => {
                if Self::PLANS {
                    let mut tracer = Stamped {
                        at: now,
                        tracer: &mut *tracer,
                    };
                    question.ask(&mut member.node, local, outbox, &mut tracer)
                } else {
                    question.ask(&mut member.node, local, outbox, tracer)
                }
            }
            // It has not joined yet; or nobody is left.
            _ => Err(RequestError::Halted),
        }
    }

    /// Schedules the end of the patience of a client that has just asked, if it has an end. There is one such event for each
    /// client at most: one that comes too early is scheduled again.
    fn expect_answer(&mut self, index: u16) {
        let Some(client) = self.clients.get_mut(usize::from(index)) else {
            return;
        };
        // It gets more patient with each time, or it would never hear of what takes longer.
        let doubled = 1_u64 << client.tries.min(16);
        let Some(until) = self.patience.map(|patience| self.now + patience * doubled) else {
            return;
        };
        if client.impatient.replace(until).is_none() {
            let _ = self.scheduler.push(until, SimEvent::Impatient(index));
        }
    }

    /// A client has lost its patience: it withdraws what it waits for, and asks again. In turn it makes the same request
    /// again at the same node, and at the next one, and another request under a later number (rule X4). The other one is the
    /// same command, and so only made for one that changes nothing, as nobody knows whether the withdrawn one is applied.
    pub(in crate::simulation) fn withdraw<
        T: Tracer<S::Machine, P>,
        O: Observer<S::Machine, W, C, P>,
    >(
        &mut self,
        index: u16,
        tracer: &mut T,
        observer: &mut O,
    ) {
        let now = self.now;
        let Some(client) = self.clients.get_mut(usize::from(index)) else {
            return;
        };
        let waits = matches!(client.progress, Progress::Registering | Progress::Waiting);
        let until = client.impatient.filter(|_| waits);
        if let Some(until) = until.filter(|until| *until > now) {
            let _ = self.scheduler.push(until, SimEvent::Impatient(index));
            return;
        }
        client.impatient = None;
        let Some(member) = self.members.get_mut(usize::from(client.node.0)) else {
            return;
        };
        // A node that is down has forgotten the request, and its clients have a turn soon. One that has answered has
        // nothing to withdraw, and the answer is on its way.
        if until.is_none() || !member.live || member.node.withdraw(client.question().key()).is_err()
        {
            return;
        }
        self.counts.withdrawn += 1;
        client.withdrawn = client.withdrawn.wrapping_add(1);
        client.tries = client.tries.saturating_add(1);
        let is_read = client
            .command
            .as_ref()
            .zip(self.workload.as_ref())
            .is_some_and(|(command, workload)| workload.is_read(command));
        match client.withdrawn % 3 {
            1 => {
                let next = usize::from(client.node.0) + 1;
                let next = next.checked_rem(self.members.len()).unwrap_or(0);
                client.node = NodeId(u16::try_from(next).unwrap_or(0));
            }
            2 if is_read && client.progress == Progress::Waiting => {
                client.number = RequestNumber(client.number.0.saturating_add(1));
            }
            _ => {}
        }
        self.run_client(index, tracer, observer);
    }

    /// The node at which a client asks: its own, or the next one that is up.
    /// Where none is up, its own: the turn then fails and comes again, since a node may come back.
    fn client_node(&self, index: u16) -> NodeId {
        let home = self
            .clients
            .get(usize::from(index))
            .map_or(0, |client| usize::from(client.node.0));
        let count = self.members.len();
        let next = (0..count).map(|step| (home + step) % count.max(1));
        let lives = |number: &usize| self.members.get(*number).is_some_and(|member| member.live);
        let number = next.into_iter().find(lives).unwrap_or(home);
        NodeId(u16::try_from(number).unwrap_or(0))
    }
}

impl<C: Copy, O> Client<C, O> {
    /// The question that the client asks next.
    /// Called on its turn, after that has made a client that is ready wait for something; one that is done has no turn.
    fn question(&self) -> Question<C> {
        let key = RequestKey {
            client: self.id,
            number: self.number,
        };
        debug_assert!(
            matches!(
                self.progress,
                Progress::Registering | Progress::Waiting | Progress::Reading
            ),
            "a client asks only for what it waits for"
        );
        debug_assert!(
            self.progress == Progress::Registering || self.command.is_some(),
            "a client keeps its command until it is answered"
        );
        match (self.progress, self.command) {
            (Progress::Waiting, Some(command)) => Question::Command(key, command),
            (Progress::Reading, Some(command)) => Question::Read(key, command, self.read),
            _ => Question::Session(self.nonce),
        }
    }
}

/// What a client asks of a node.
#[derive(Clone, Copy, Debug)]
enum Question<C> {
    /// To open a session.
    Session(u64),
    /// To apply a command.
    Command(RequestKey, C),
    /// To read what a command would answer, under a nonce.
    Read(RequestKey, C, u64),
}

impl<C: Copy> Question<C> {
    const fn key(&self) -> RequestKey {
        match self {
            Self::Session(nonce) => RequestKey::registration(*nonce),
            Self::Command(key, _) | Self::Read(key, ..) => *key,
        }
    }

    const fn command(&self) -> Option<&C> {
        match self {
            Self::Session(_) => None,
            Self::Command(_, command) | Self::Read(_, command, _) => Some(command),
        }
    }

    fn ask<
        M: StateMachine<Command = C>,
        T: Tracer<M, PAGE>,
        const WINDOW: usize,
        const CLIENTS: usize,
        const PAGE: usize,
    >(
        self,
        node: &mut Node<M, WINDOW, CLIENTS, PAGE>,
        now: Instant,
        outbox: &mut impl AnyOutbox<M, PAGE>,
        tracer: &mut T,
    ) -> Result<(), RequestError> {
        let proposal = match self {
            Self::Read(_, _, nonce) => {
                return node
                    .read(now, nonce, outbox, tracer)
                    .map_err(|error| match error {
                        ReadError::Full { capacity } => RequestError::Full { capacity },
                        ReadError::OutboxFull => RequestError::OutboxFull,
                        // A nonce that was drawn twice is as rare as it looks, and the client draws another one.
                        _ => RequestError::Halted,
                    });
            }
            Self::Session(nonce) => Proposal::Register { nonce },
            Self::Command(RequestKey { client, number }, command) => Proposal::Request {
                client,
                number,
                command,
            },
        };
        node.ask(now, proposal, outbox, tracer)
    }
}
