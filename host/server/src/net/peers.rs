//! The other nodes of a cluster: who is dialled, who has dialled, and the frames between them.

use super::hello::Hello;
use super::incoming::{Incoming, Progress};
use super::outgoing::Outgoing;
use super::refused::Refused;
use super::stream::Stream;
use crate::service::Link;
use crate::tls::{Identity, Refusal};
use core::net::SocketAddr;
use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use synod::{Duration, Instant, NodeId};

/// The token of the listener for nodes.
const LISTENER: usize = 0;
/// Tokens of connections to nodes begin here, in the order of their numbers.
const OUTGOING: usize = 64;
/// Tokens of connections from nodes begin here.
const INCOMING: usize = 128;
/// The most connections from nodes: several of each node while it dials again, and some of strangers.
const INCOMING_MAX: usize = 256;
/// Whoever has not said who they are for so long is no node.
const SILENT_MAX: Duration = Duration::from_secs(10);
/// How many handshakes go on in one turn. Each takes the processor for a part of a millisecond.
const HANDSHAKES_A_TURN: usize = 16;

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
    /// Whoever has dialled from there does not get through TLS.
    Refused(SocketAddr, Refusal),
    /// A node that was dialled there does not get through TLS.
    RefusedNode(NodeId, SocketAddr, Refusal),
}

/// The connections between this node and the others.
#[derive(Debug)]
pub struct Peers {
    listener: TcpListener,
    me: Hello,
    tls: Option<Identity>,
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
    refused: Refused,
}

impl Peers {
    /// Tokens from here on are not used.
    pub const TOKENS_END: usize = INCOMING + (1 << 20);

    /// Listens for other nodes, and dials those with a known address; in TLS if there is something for it.
    ///
    /// # Errors
    ///
    /// The address cannot be listened to.
    pub fn new(
        registry: &Registry,
        mut listener: TcpListener,
        me: Hello,
        others: impl IntoIterator<Item = (NodeId, SocketAddr)>,
        tls: Option<Identity>,
    ) -> io::Result<Self> {
        registry.register(&mut listener, Token(LISTENER), Interest::READABLE)?;
        let mut peers = Self {
            listener,
            me,
            tls,
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
            refused: Refused::default(),
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
            let tls = self.tls.as_ref();
            let tls = tls.map(|tls| (Arc::clone(&tls.dials), tls.name_of(node)));
            self.outgoing
                .insert(node, Outgoing::new(address, token, tls));
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

    /// Returns how many connections that others have dialled were refused because of TLS.
    pub fn refused(&self) -> u64 {
        self.refused.count()
    }

    /// Returns what was heard since the last call.
    pub fn take_heard(&mut self) -> Vec<Heard> {
        let refused = self.refused.take().into_iter();
        let refused = refused.map(|(from, refusal)| Heard::Refused(from, refusal));
        self.heard.extend(refused);
        core::mem::take(&mut self.heard)
    }

    /// Returns when [`Peers::advance`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadlines = self.outgoing.values().filter_map(Outgoing::next_deadline);
        let silent = self.incoming.values();
        let silent = silent.filter(|incoming| incoming.hello.is_none());
        deadlines
            .chain(silent.map(|incoming| incoming.since + SILENT_MAX))
            .min()
    }

    /// Dials the nodes for which it is time, and accepts what the system had no room for before.
    pub fn advance(&mut self, now: Instant, registry: &Registry) {
        self.now = now;
        if self.must_accept {
            self.accept(registry);
        }
        for (node, peer) in &mut self.outgoing {
            peer.advance(now, registry);
            let refusal = peer.take_refusal();
            let told = refusal.map(|refusal| Heard::RefusedNode(*node, peer.address, refusal));
            self.heard.extend(told);
        }
        let is_late = |incoming: &Incoming| {
            incoming.hello.is_none() && now.since(incoming.since) >= SILENT_MAX
        };
        let late = self
            .incoming
            .iter()
            .filter(|(_, incoming)| is_late(incoming));
        for token in late.map(|(token, _)| *token).collect::<Vec<_>>() {
            self.close(token, None, None);
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
                self.close(token, None, None);
            }
        }
        let token = self.free_token();
        // What a handshake has to say may have to wait until it can be written.
        let interests = match self.tls {
            Some(_) => Interest::READABLE | Interest::WRITABLE,
            None => Interest::READABLE,
        };
        let tls = self.tls.as_ref().map(|tls| &tls.nodes);
        if registry
            .register(&mut stream, Token(token), interests)
            .is_ok()
            && let Ok(stream) = Stream::accepted(stream, tls)
        {
            self.incoming.insert(token, Incoming::new(stream, self.now));
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
        let mut handshakes = 0;
        for token in readable {
            let handshaking = self.incoming.get(&token);
            let handshaking = handshaking.filter(|incoming| incoming.stream.is_handshaking());
            handshakes += usize::from(handshaking.is_some());
            if handshaking.is_none() || handshakes <= HANDSHAKES_A_TURN {
                self.read_one(token, &mut take);
            }
            let is_readable = self
                .incoming
                .get(&token)
                .is_some_and(|incoming| incoming.is_readable);
            has_more |= is_readable;
        }
        has_more
    }

    /// Reads frames from a connection, as long as `take` returns true.
    fn read_one(&mut self, token: usize, mut take: impl FnMut(&[u8]) -> bool) {
        let mut goes_on = true;
        while goes_on && let Some(incoming) = self.incoming.get_mut(&token) {
            let was_known = incoming.hello.is_some();
            let (me, tls) = (self.me, self.tls.as_ref());
            let mut same_number = None;
            let greet = |stream: &Stream, hello: &Hello| {
                let refusal = tls.and_then(|tls| stream.refusal_as(&tls.name_of(hello.node)));
                if refusal.is_some() {
                    return Err(refusal);
                }
                if hello.cluster != me.cluster {
                    return Err(None);
                }
                if hello.node == me.node {
                    same_number = Some(hello.address);
                    return Err(None);
                }
                Ok(())
            };
            let progress = incoming.read(&mut self.scratch, greet, |frame| {
                goes_on &= take(frame);
            });
            let greeted = incoming.hello.filter(|_| !was_known);
            match progress {
                Progress::Dry => goes_on = false,
                Progress::More => {}
                Progress::Closed(refusal) => {
                    self.close(token, same_number, refusal);
                    goes_on = false;
                }
            }
            if let Some(hello) = greeted {
                self.greeted(token, hello);
            }
        }
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
    fn close(&mut self, token: usize, same_number: Option<SocketAddr>, refusal: Option<Refusal>) {
        let closed = self.incoming.remove(&token);
        let Some(stranger) = closed.filter(|closed| closed.hello.is_none()) else {
            return;
        };
        self.strangers += 1;
        let is_silent = stranger.stream.is_handshaking().then_some(Refusal::Silent);
        match (same_number, stranger.stream.peer_addr()) {
            (Some(address), _) => self.heard.push(Heard::SameNumber(address)),
            (None, Ok(from)) => match refusal.or(is_silent) {
                Some(refusal) => self.refused.add(from, refusal),
                None => self.heard.push(Heard::Stranger(from)),
            },
            (None, Err(_)) => {}
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
        let mut peers = Peers::new(poll.registry(), listener, hello(0, 1), [], None).unwrap();
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
