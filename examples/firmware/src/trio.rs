//! Three nodes on one board with direct delivery, to measure the cost of one decided command without links, storage
//! or time.

use crate::configurations::Settable;
use core::marker::PhantomData;
use synod::{
    AnyOutbox, ClientId, Config, Envelope, Instant, Node, NodeId, Outbox, Outcome, RequestKey,
    RequestNumber,
};

const NODES: u16 = 3;

/// A failure: a node refused a valid request, there was no room, or no event is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stuck;

/// A client of the leader with the number of its last request.
#[derive(Clone, Copy, Debug)]
struct Client {
    id: ClientId,
    number: RequestNumber,
}

/// The state machine and the capacities of a trio. [`Shared`] is the only implementation.
pub trait Kind<const PAGE: usize> {
    /// The replicated state machine.
    type Machine: Settable;
    /// The outbox that the nodes share.
    type Outbox: AnyOutbox<Self::Machine, PAGE>;
    /// The messages in flight.
    type Queue: AsRef<[Option<Envelope<Self::Machine, PAGE>>]>
        + AsMut<[Option<Envelope<Self::Machine, PAGE>>]>;

    /// An empty outbox.
    const OUTBOX: Self::Outbox;
    /// An empty queue.
    const QUEUE: Self::Queue;
}

/// A machine, an outbox of `ROOM` places and a queue of `QUEUE` messages. All clients may make a request before the
/// outbox is emptied, and the last of them still needs the room of a step.
#[derive(Debug)]
pub struct Shared<M, const ROOM: usize, const QUEUE: usize>(PhantomData<M>);

impl<M: Settable, const PAGE: usize, const ROOM: usize, const QUEUE: usize> Kind<PAGE>
    for Shared<M, ROOM, QUEUE>
{
    type Machine = M;
    type Outbox = Outbox<M, PAGE, ROOM>;
    type Queue = [Option<Envelope<M, PAGE>>; QUEUE];

    const OUTBOX: Self::Outbox = Outbox::new();
    const QUEUE: Self::Queue = [const { None }; QUEUE];
}

/// Three nodes with a shared outbox, the messages in flight between them, and the clients of the leader. It is a
/// large value.
#[derive(Debug)]
pub struct Trio<K: Kind<P>, const W: usize, const C: usize, const P: usize> {
    now: Instant,
    nodes: [Option<Node<K::Machine, W, C, P>>; 3],
    outbox: K::Outbox,
    /// A ring buffer: the first message, and the number of messages.
    queue: K::Queue,
    first: usize,
    len: usize,
    leader: NodeId,
    clients: [Option<Client>; C],
    /// The number of clients that wait for an answer.
    outstanding: u32,
    /// The number of commands still to be requested.
    due: u32,
}

impl<K: Kind<P>, const W: usize, const C: usize, const P: usize> Trio<K, W, C, P> {
    /// Returns three empty places for nodes.
    pub const fn idle() -> Self {
        Self {
            now: Instant::ZERO,
            nodes: [const { None }; 3],
            outbox: K::OUTBOX,
            queue: K::QUEUE,
            first: 0,
            len: 0,
            leader: NodeId(0),
            clients: [const { None }; C],
            outstanding: 0,
            due: 0,
        }
    }

    /// Founds a cluster, advances time until one node leads, and opens `clients` sessions.
    ///
    /// # Errors
    ///
    /// Returns an error if no event is left, or a session is refused.
    pub fn begin(&mut self, clients: usize) -> Result<(), Stuck> {
        let places = (0..NODES).zip(&mut self.nodes);
        for (number, place) in places {
            let config = Config::new(NodeId(number), NODES);
            let node = match number {
                0 => Node::found(config, 6, self.now),
                _ => Node::join(config, 6, self.now),
            };
            *place = Some(node.map_err(|_| Stuck)?);
        }
        while !self.is_settled() {
            self.wake()?;
        }
        let mut nodes = self.nodes.iter().flatten();
        let leads = nodes.find(|node| node.leading().is_some());
        self.leader = leads.ok_or(Stuck)?.id();
        for nonce in 0_u64.. {
            if self.clients.iter().flatten().count() == clients {
                break;
            }
            let (now, leader) = (self.now, self.leader);
            let (node, outbox) = self.member(leader)?;
            let asked = node.register(now, nonce, outbox, &mut ());
            asked.map_err(|_| Stuck)?;
            self.flush(leader)?;
            self.settle()?;
        }
        Ok(())
    }

    /// Decides at least `commands` commands: each client sends its next request when it is answered, and the requests
    /// of all clients answered together are gathered before anything is sent. No client is left waiting.
    ///
    /// # Errors
    ///
    /// Returns an error if a command was refused, or not answered.
    pub fn decide(&mut self, commands: u32) -> Result<(), Stuck> {
        self.due = commands;
        let clients = self.clients.iter().flatten().count();
        for index in 0..clients {
            self.ask(index)?;
        }
        self.flush(self.leader)?;
        self.settle()?;
        if self.outstanding > 0 || self.due > 0 {
            return Err(Stuck);
        }
        Ok(())
    }

    /// True if every node has joined, one leads, and all have applied the same slots.
    fn is_settled(&self) -> bool {
        let applied = |node: &Node<_, _, _, _>| node.is_active().then(|| node.applied());
        let [Some(first), Some(second), Some(third)] = &self.nodes else {
            return false;
        };
        let all = applied(first);
        all.is_some()
            && applied(second) == all
            && applied(third) == all
            && [first, second, third]
                .iter()
                .any(|node| node.leading().is_some())
    }

    /// Advances time to the next deadline.
    fn wake(&mut self) -> Result<(), Stuck> {
        let nodes = self.nodes.iter().flatten();
        self.now = nodes.filter_map(Node::next_deadline).min().ok_or(Stuck)?;
        for number in 0..NODES {
            let now = self.now;
            let (node, outbox) = self.member(NodeId(number))?;
            node.handle_timeout(now, outbox, &mut ());
            self.flush(NodeId(number))?;
        }
        self.settle()
    }

    /// Delivers messages until none is in flight. Consecutive messages for one node are handled before its outbox is
    /// emptied.
    fn settle(&mut self) -> Result<(), Stuck> {
        while let Some(envelope) = self.pop() {
            let (now, to) = (self.now, envelope.to);
            let (node, outbox) = self.member(to)?;
            node.handle_message(now, &envelope, outbox, &mut ());
            if self.front() != Some(to) {
                self.flush(to)?;
            }
        }
        Ok(())
    }

    fn member(
        &mut self,
        id: NodeId,
    ) -> Result<(&mut Node<K::Machine, W, C, P>, &mut K::Outbox), Stuck> {
        let place = self.nodes.get_mut(usize::from(id.0));
        let node = place.and_then(Option::as_mut).ok_or(Stuck)?;
        Ok((node, &mut self.outbox))
    }

    /// Empties the outbox as a driver does: writes (here discarded), replies (here first, so that an answered client
    /// can send its next request), messages.
    fn flush(&mut self, from: NodeId) -> Result<(), Stuck> {
        let mut index = 0;
        while let Some(reply) = self.outbox.replies().get(index).copied() {
            index += 1;
            match reply.outcome {
                Outcome::Registered { client: id } => {
                    let place = self.clients.iter_mut().find(|place| place.is_none());
                    let number = RequestNumber(0);
                    *place.ok_or(Stuck)? = Some(Client { id, number });
                }
                Outcome::Applied { .. } => self.answered(reply.key)?,
                _ => return Err(Stuck),
            }
        }
        for number in 0..NODES {
            self.send(from, NodeId(number))?;
        }
        self.outbox.clear();
        Ok(())
    }

    /// Appends a message from one node to another to the messages in flight.
    fn send(&mut self, from: NodeId, to: NodeId) -> Result<(), Stuck> {
        let Some(Some(node)) = self.nodes.get(usize::from(from.0)) else {
            return Err(Stuck);
        };
        for outgoing in self.outbox.messages() {
            if outgoing.to.contains(to) {
                let queue = self.queue.as_mut();
                let index = (self.first + self.len) % queue.len();
                match queue.get_mut(index) {
                    Some(place @ None) => *place = Some(node.envelope(to, outgoing)),
                    _ => return Err(Stuck),
                }
                self.len += 1;
            }
        }
        Ok(())
    }

    fn pop(&mut self) -> Option<Envelope<K::Machine, P>> {
        let queue = self.queue.as_mut();
        let envelope = queue.get_mut(self.first)?.take()?;
        self.first = (self.first + 1) % queue.len();
        self.len -= 1;
        Some(envelope)
    }

    /// Returns the recipient of the next message.
    fn front(&self) -> Option<NodeId> {
        let place = self.queue.as_ref().get(self.first)?;
        place.as_ref().map(|envelope| envelope.to)
    }

    /// Takes the answer to a client, which sends its next request if more are due.
    fn answered(&mut self, key: RequestKey) -> Result<(), Stuck> {
        let [Some(first), ..] = self.clients.as_slice() else {
            return Err(Stuck);
        };
        // The clients registered one after the other, so their ids are consecutive slots.
        let index = usize::try_from(key.client.0.wrapping_sub(first.id.0)).map_err(|_| Stuck)?;
        match self.clients.get(index) {
            Some(Some(client)) if client.number == key.number => {}
            _ => return Err(Stuck),
        }
        self.outstanding = self.outstanding.saturating_sub(1);
        if self.due > 0 {
            self.ask(index)?;
        }
        Ok(())
    }

    fn ask(&mut self, index: usize) -> Result<(), Stuck> {
        let place = self.clients.get_mut(index).and_then(Option::as_mut);
        let client = place.ok_or(Stuck)?;
        client.number.0 = client.number.0.wrapping_add(1);
        let (id, number, now) = (client.id, client.number, self.now);
        self.outstanding = self.outstanding.saturating_add(1);
        self.due = self.due.saturating_sub(1);
        let command = K::Machine::set(u16::try_from(index).unwrap_or(0), number.0);
        let (node, outbox) = self.member(self.leader)?;
        let asked = node.request(now, id, number, command, outbox, &mut ());
        asked.map_err(|_| Stuck)
    }
}
