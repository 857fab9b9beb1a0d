//! The other nodes of a cluster: who is dialled, who has dialled, and the frames between them.

use super::hello::Hello;
use super::incoming::{Incoming, Progress};
use super::outgoing::Outgoing;
use crate::service::Link;
use core::net::SocketAddr;
use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use std::collections::BTreeMap;
use std::io;
use synod::{Instant, NodeId};

/// The token of the listener for nodes.
const LISTENER: usize = 0;
/// Tokens of connections to nodes begin here, in the order of their numbers.
const OUTGOING: usize = 64;
/// Tokens of connections from nodes begin here.
const INCOMING: usize = 128;
/// The most connections from nodes: several of each node while it dials again, and some of strangers.
const INCOMING_MAX: usize = 256;

/// What was heard from others, for the log of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A connection to a node was opened.
    Reached(NodeId, SocketAddr),
    /// A stranger has dialled: no node, or one of another cluster.
    Stranger(SocketAddr),
    /// Another process dials under this node's own number.
    SameNumber(SocketAddr),
    /// Two processes take turns to dial under one number.
    TwoProcesses(NodeId, SocketAddr),
}

/// The connections between this node and the others.
#[derive(Debug)]
pub struct Peers {
    listener: TcpListener,
    me: Hello,
    /// The encoded `me`.
    hello: Vec<u8>,
    outgoing: BTreeMap<NodeId, Outgoing>,
    incoming: BTreeMap<usize, Incoming>,
    /// The token of the next connection from a node.
    next: usize,
    /// True if connections wait that the system had no room for.
    must_accept: bool,
    /// The processes that have dialled.
    processes: BTreeMap<NodeId, Processes>,
    /// The present time, as of the last call that names it.
    now: Instant,
    /// Nodes with frames that wait to be sent.
    dirty: Vec<NodeId>,
    scratch: Vec<u8>,
    heard: Vec<Heard>,
    strangers: u64,
}

impl Peers {
    /// Tokens from here on are not used.
    pub const TOKENS_END: usize = INCOMING + (1 << 20);

    /// Listens for other nodes, and dials those with a known address.
    ///
    /// # Errors
    ///
    /// The address cannot be listened to.
    pub fn new(
        registry: &Registry,
        mut listener: TcpListener,
        me: Hello,
        others: impl IntoIterator<Item = (NodeId, SocketAddr)>,
    ) -> io::Result<Self> {
        registry.register(&mut listener, Token(LISTENER), Interest::READABLE)?;
        let mut peers = Self {
            listener,
            me,
            hello: me.encode(),
            outgoing: BTreeMap::new(),
            incoming: BTreeMap::new(),
            next: INCOMING,
            must_accept: false,
            processes: BTreeMap::new(),
            now: Instant::ZERO,
            dirty: Vec::new(),
            scratch: Vec::new(),
            heard: Vec::new(),
            strangers: 0,
        };
        for (node, address) in others {
            peers.learn(node, address);
        }
        Ok(peers)
    }

    /// Notes where a node is dialled.
    fn learn(&mut self, node: NodeId, address: SocketAddr) {
        let is_known = self
            .outgoing
            .get(&node)
            .is_some_and(|known| known.address == address);
        if node != self.me.node && !is_known {
            let token = Token(OUTGOING + usize::from(node.0));
            self.outgoing.insert(node, Outgoing::new(address, token));
        }
    }

    /// Returns the nodes to which there is a connection.
    pub fn reached(&self) -> impl Iterator<Item = NodeId> {
        let open = self.outgoing.iter().filter(|(_, peer)| peer.is_open());
        open.map(|(node, _)| *node)
    }

    /// Returns how many frames were dropped because too many waited.
    pub fn dropped(&self) -> u64 {
        self.outgoing.values().map(Outgoing::dropped).sum()
    }

    /// Returns how often strangers have dialled.
    pub fn strangers(&self) -> u64 {
        self.strangers
    }

    /// Returns what was heard since the last call.
    pub fn take_heard(&mut self) -> Vec<Heard> {
        core::mem::take(&mut self.heard)
    }

    /// Returns when [`Peers::advance`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadlines = self.outgoing.values();
        deadlines.filter_map(Outgoing::next_deadline).min()
    }

    /// Dials the nodes for which it is time, and accepts what the system had no room for before.
    pub fn advance(&mut self, now: Instant, registry: &Registry) {
        self.now = now;
        if self.must_accept {
            self.accept(registry);
        }
        for peer in self.outgoing.values_mut() {
            peer.advance(now, registry);
        }
    }

    /// Handles an event of a connection between nodes. Returns false if it is of another connection.
    pub fn on_event(&mut self, now: Instant, event: &Event, registry: &Registry) -> bool {
        self.now = now;
        let token = event.token().0;
        match token {
            LISTENER => self.accept(registry),
            OUTGOING..INCOMING => {
                let node = NodeId(u16::try_from(token - OUTGOING).unwrap_or(u16::MAX));
                if let Some(peer) = self.outgoing.get_mut(&node)
                    && peer.on_event(now, &self.hello)
                {
                    self.heard.push(Heard::Reached(node, peer.address));
                }
            }
            INCOMING..Self::TOKENS_END => {
                if let Some(incoming) = self.incoming.get_mut(&token) {
                    incoming.is_readable = true;
                }
            }
            _ => return false,
        }
        true
    }

    fn accept(&mut self, registry: &Registry) {
        loop {
            let accepted = self.listener.accept();
            self.must_accept = super::is_accepted_later(&accepted);
            match accepted {
                Ok((stream, _)) => self.welcome(stream, registry),
                Err(error) if super::is_transient(&error) => {}
                Err(_) => return,
            }
        }
    }

    fn welcome(&mut self, mut stream: TcpStream, registry: &Registry) {
        if self.incoming.len() >= INCOMING_MAX {
            // Nodes say at once who they are, and each has one connection. Whoever has not may be silent forever.
            let silent = |incoming: &Incoming| incoming.hello.is_none();
            let silent = self.incoming.iter().find(|(_, incoming)| silent(incoming));
            if let Some(token) = silent.map(|(token, _)| *token) {
                self.close(token, None);
            }
        }
        let token = self.free_token();
        if registry
            .register(&mut stream, Token(token), Interest::READABLE)
            .is_ok()
        {
            self.incoming.insert(token, Incoming::new(stream));
        }
    }

    /// Returns the token of a new connection from a node.
    fn free_token(&mut self) -> usize {
        loop {
            let token = self.next;
            self.next = INCOMING + (token + 1 - INCOMING) % (1 << 20);
            if !self.incoming.contains_key(&token) {
                return token;
            }
        }
    }

    /// Reads frames, as long as `take` returns true. Returns true if there is more to read.
    pub fn read(&mut self, mut take: impl FnMut(&[u8]) -> bool) -> bool {
        let mut has_more = false;
        let readable: Vec<_> = self
            .incoming
            .iter()
            .filter(|(_, incoming)| incoming.is_readable)
            .map(|(token, _)| *token)
            .collect();
        for token in readable {
            let mut goes_on = true;
            while goes_on && let Some(incoming) = self.incoming.get_mut(&token) {
                let was_known = incoming.hello.is_some();
                let me = self.me;
                let mut same_number = None;
                let greet = |hello: &Hello| {
                    let is_ours = hello.cluster == me.cluster;
                    same_number = (is_ours && hello.node == me.node).then_some(hello.address);
                    is_ours && hello.node != me.node
                };
                let progress = incoming.read(&mut self.scratch, greet, |frame| {
                    goes_on &= take(frame);
                });
                let greeted = incoming.hello.filter(|_| !was_known);
                match progress {
                    Progress::Dry => goes_on = false,
                    Progress::More => {}
                    Progress::Closed => {
                        self.close(token, same_number);
                        goes_on = false;
                    }
                }
                if let Some(hello) = greeted {
                    self.greeted(token, hello);
                }
            }
            let is_readable = self
                .incoming
                .get(&token)
                .is_some_and(|incoming| incoming.is_readable);
            has_more |= is_readable;
        }
        has_more
    }

    /// A node has said who it is. An earlier connection of it is closed: it has dialled again.
    fn greeted(&mut self, token: usize, hello: Hello) {
        self.learn(hello.node, hello.address);
        let is_earlier = |other: usize, incoming: &Incoming| {
            other != token && incoming.hello.is_some_and(|known| known.node == hello.node)
        };
        self.incoming
            .retain(|other, incoming| !is_earlier(*other, incoming));
        let processes = self.processes.entry(hello.node).or_default();
        if processes.take_turns(hello.process) {
            let heard = Heard::TwoProcesses(hello.node, hello.address);
            self.heard.push(heard);
        }
    }

    /// Closes a connection. Whoever has not said that it is another node of this cluster is a stranger, or has the number
    /// of this one.
    fn close(&mut self, token: usize, same_number: Option<SocketAddr>) {
        let closed = self.incoming.remove(&token);
        let Some(stranger) = closed.filter(|closed| closed.hello.is_none()) else {
            return;
        };
        self.strangers += 1;
        if let Some(address) = same_number {
            self.heard.push(Heard::SameNumber(address));
        } else if let Ok(from) = stranger.stream.peer_addr() {
            self.heard.push(Heard::Stranger(from));
        }
    }
}

/// The processes that have dialled under the number of one node.
#[derive(Debug, Default)]
struct Processes {
    /// The last one, and the one before.
    present: Option<u64>,
    before: Option<u64>,
    /// True if it was noticed that these two take turns.
    is_noticed: bool,
}

impl Processes {
    /// Notes that a process has dialled. Returns true, once, if two take turns: one that had been replaced is back. After
    /// a restart there is a new one, and the old one never comes back.
    fn take_turns(&mut self, process: u64) -> bool {
        if self.present == Some(process) {
            return false;
        }
        let is_back = self.before == Some(process);
        self.before = self.present.replace(process);
        let was_noticed = core::mem::replace(&mut self.is_noticed, is_back);
        is_back && !was_noticed
    }
}

impl Link for Peers {
    fn send(&mut self, to: NodeId, frame: &[u8]) {
        if let Some(peer) = self.outgoing.get_mut(&to) {
            peer.push(self.now, frame);
            if self.dirty.last() != Some(&to) {
                self.dirty.push(to);
            }
        }
    }

    fn flush(&mut self) {
        for node in self.dirty.drain(..) {
            if let Some(peer) = self.outgoing.get_mut(&node) {
                peer.flush(self.now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll};
    use std::io::Write;

    #[test]
    fn a_restart_is_no_second_process_and_two_that_take_turns_are_told_once() {
        let mut processes = Processes::default();
        let restarts = [1, 1, 2, 2, 3].map(|process| processes.take_turns(process));
        assert_eq!(restarts, [false; 5]);
        let turns = [4, 3, 4, 3].map(|process| processes.take_turns(process));
        assert_eq!(turns, [false, true, false, false]);
        assert!(!processes.take_turns(5));
        assert!(processes.take_turns(3));
    }

    /// Returns what node 0 hears when a process says this as its first words.
    fn heard_of(first: &Hello) -> Vec<Heard> {
        let mut poll = Poll::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let mut peers = Peers::new(poll.registry(), listener, hello(0, 1), []).unwrap();
        let mut dialled = std::net::TcpStream::connect(address).unwrap();
        let bytes = first.encode();
        let len = u16::try_from(bytes.len()).unwrap().to_le_bytes();
        dialled.write_all(&[&len[..], &bytes].concat()).unwrap();
        drop(dialled);
        let mut events = Events::with_capacity(4);
        loop {
            poll.poll(&mut events, None).unwrap();
            for event in &events {
                peers.on_event(Instant::ZERO, event, poll.registry());
            }
            while peers.read(|_| true) {}
            let heard = peers.take_heard();
            if !heard.is_empty() {
                return heard;
            }
        }
    }

    fn hello(node: u16, process: u64) -> Hello {
        Hello {
            cluster: 7,
            process,
            node: NodeId(node),
            address: "127.0.0.1:1".parse().unwrap(),
        }
    }

    #[test]
    fn a_process_under_the_number_of_this_node_is_told_from_a_stranger() {
        let same = heard_of(&hello(0, 2));
        assert!(matches!(same[..], [Heard::SameNumber(_)]), "{same:?}");
        let stranger = heard_of(&Hello {
            cluster: 8,
            ..hello(1, 2)
        });
        assert!(matches!(stranger[..], [Heard::Stranger(_)]), "{stranger:?}");
    }
}
