//! The connections of clients: bytes in and out, with bounds. What they mean is the matter of a [`Session`].

use super::refused::Refused;
use super::stream::Stream;
use crate::service::{Answer, Token};
use crate::session::{Session, Surroundings};
use crate::tls::Refusal;
use core::net::SocketAddr;
use mio::event::Event;
use mio::net::TcpListener;
use mio::{Interest, Registry, Token as Number};
use rustls::ServerConfig;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use synod::{Duration, Instant};

/// How much is read at a time, in bytes.
const PIECE: usize = 16 * 1024;
/// Replies that wait for a client to read them, in bytes. Beyond that its commands wait, also for the next turn: in one turn
/// a client is not answered much more than that, and others have theirs.
const REPLIES_MAX: usize = 16 * 1024;
/// A client that has not read anything for so long, although there are replies for it, is disconnected.
const UNREAD_MAX: Duration = Duration::from_secs(60);
/// A client that has not finished its handshake of TLS for so long is disconnected.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How many handshakes go on in one turn. Each takes the processor for a part of a millisecond, and nodes must be heard.
const HANDSHAKES_A_TURN: usize = 32;
/// What is said to a client that does not speak TLS where it must.
const NEEDS_TLS: &[u8] = b"-ERR this port speaks TLS: connect with it and with ca.pem, as in redis-cli --tls --cacert ca.pem\r\n";

/// Limits of what clients may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most connections at a time.
    pub clients: usize,
}

/// All connections of clients.
#[derive(Debug)]
pub struct Clients {
    listener: TcpListener,
    limits: Limits,
    tls: Option<Arc<ServerConfig>>,
    connections: BTreeMap<u64, Connection>,
    /// The number of the next connection. None is used twice, so that a late answer finds nobody.
    next: u64,
    /// Connections with something to do.
    active: BTreeSet<u64>,
    /// True if connections wait that the system had no room for.
    must_accept: bool,
    scratch: Vec<u8>,
    accepted: u64,
    rejected: u64,
    /// Connections that are in a handshake, the oldest first.
    handshaking: BTreeSet<u64>,
    refused: Refused,
}

/// One connection.
#[derive(Debug)]
struct Connection {
    stream: Stream,
    session: Session,
    input: Vec<u8>,
    output: Vec<u8>,
    /// How many bytes of the output were sent.
    sent: usize,
    is_readable: bool,
    /// True once an event has said that the client says no more. No other one follows.
    is_ending: bool,
    /// When the client last read something, or there was nothing to read.
    progress: Instant,
    /// True once the client has closed its side.
    is_half_closed: bool,
}

impl Clients {
    /// Tokens of clients begin here; the listener has the first one.
    pub const TOKENS: usize = super::Peers::TOKENS_END;

    /// Listens for clients, which must speak TLS if there is something for it.
    ///
    /// # Errors
    ///
    /// The address cannot be listened to.
    pub fn new(
        registry: &Registry,
        mut listener: TcpListener,
        limits: Limits,
        tls: Option<Arc<ServerConfig>>,
    ) -> io::Result<Self> {
        registry.register(&mut listener, Number(Self::TOKENS), Interest::READABLE)?;
        Ok(Self {
            listener,
            limits,
            tls,
            connections: BTreeMap::new(),
            next: 1,
            active: BTreeSet::new(),
            must_accept: false,
            scratch: vec![0; PIECE],
            accepted: 0,
            rejected: 0,
            handshaking: BTreeSet::new(),
            refused: Refused::default(),
        })
    }

    /// Returns the number of connections.
    pub fn len(&self) -> usize {
        self.connections.len()
    }

    /// True if no client is connected.
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// Returns how many connections were accepted, and how many were rejected because there were too many.
    pub fn counts(&self) -> (u64, u64) {
        (self.accepted, self.rejected)
    }

    /// Returns how many connections were refused because of TLS.
    pub fn refused(&self) -> u64 {
        self.refused.count()
    }

    /// Returns who was refused since the last call, and why. Nobody is named twice for one reason.
    pub fn take_refused(&mut self) -> Vec<(SocketAddr, Refusal)> {
        self.refused.take()
    }

    /// Handles an event of a client's connection, or of the listener.
    pub fn on_event(&mut self, now: Instant, event: &Event, registry: &Registry) {
        let Some(number) = event.token().0.checked_sub(Self::TOKENS) else {
            return;
        };
        if number == 0 {
            return self.accept(now, registry);
        }
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.is_readable = true;
            connection.is_ending |= event.is_read_closed();
            self.active.insert(number);
        }
    }

    /// Accepts what the system had no room for when it arrived. No event tells of it again.
    pub fn accept_late(&mut self, now: Instant, registry: &Registry) {
        if self.must_accept {
            self.accept(now, registry);
        }
    }

    fn accept(&mut self, now: Instant, registry: &Registry) {
        loop {
            let accepted = self.listener.accept();
            self.must_accept = super::is_accepted_later(&accepted);
            let mut stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) if super::is_transient(&error) => continue,
                Err(_) => return,
            };
            if self.connections.len() >= self.limits.clients {
                self.rejected += 1;
                if self.tls.is_none() {
                    // Best effort: whoever does not get it sees a closed connection.
                    let _ = stream.write(b"-ERR max number of clients reached\r\n");
                }
                continue;
            }
            self.keep_handshakes_few();
            // Without it, a reply could wait for the acknowledgement of the one before.
            let _ = stream.set_nodelay(true);
            let number = self.next;
            self.next += 1;
            let event = usize::try_from(number).unwrap_or(usize::MAX);
            let token = Number(Self::TOKENS.saturating_add(event));
            let interests = Interest::READABLE | Interest::WRITABLE;
            if registry.register(&mut stream, token, interests).is_ok()
                && let Ok(stream) = Stream::accepted(stream, self.tls.as_ref())
            {
                self.accepted += 1;
                if stream.is_handshaking() {
                    self.handshaking.insert(number);
                }
                let connection = Connection::new(stream, Session::new(number), now);
                self.connections.insert(number, connection);
                self.active.insert(number);
            }
        }
    }

    /// Makes room for a handshake. Whoever connects and says nothing takes at most half of the connections, and the oldest
    /// such one goes first.
    fn keep_handshakes_few(&mut self) {
        while self.handshaking.len() > self.limits.clients / 2
            && let Some(oldest) = self.handshaking.pop_first()
        {
            self.refuse(oldest, Refusal::Silent);
        }
    }

    /// Disconnects a client that does not get through TLS.
    fn refuse(&mut self, number: u64, refusal: Refusal) {
        let Some(mut connection) = self.connections.remove(&number) else {
            return;
        };
        if refusal == Refusal::NoTls {
            connection.stream.say_in_plain_text(NEEDS_TLS);
        }
        if let Ok(address) = connection.stream.peer_addr() {
            self.refused.add(address, refusal);
        }
    }

    /// Hands an answer to the client that waits for it, if it is still there.
    pub fn on_answer(&mut self, token: Token, answer: Answer) {
        if let Some(connection) = self.connections.get_mut(&token.0) {
            connection.session.on_answer(answer, &mut connection.output);
            self.active.insert(token.0);
        }
    }

    /// Reads, takes commands and writes replies, on all connections with something to do.
    pub fn advance(&mut self, now: Instant, surroundings: &mut impl Surroundings) {
        let mut again = BTreeSet::new();
        let mut handshakes = 0;
        for number in core::mem::take(&mut self.active) {
            let Some(connection) = self.connections.get_mut(&number) else {
                continue;
            };
            let is_handshaking = connection.stream.is_handshaking();
            if is_handshaking {
                handshakes += 1;
                if handshakes > HANDSHAKES_A_TURN {
                    again.insert(number);
                    continue;
                }
            }
            let progress = connection.advance(now, &mut self.scratch, surroundings);
            if is_handshaking && !connection.stream.is_handshaking() {
                self.handshaking.remove(&number);
            }
            match progress {
                Progress::Waits => {}
                Progress::HasMore => {
                    again.insert(number);
                }
                Progress::Closed(refusal) => {
                    self.handshaking.remove(&number);
                    match refusal {
                        Some(refusal) => self.refuse(number, refusal),
                        None => drop(self.connections.remove(&number)),
                    }
                }
            }
        }
        self.active.append(&mut again);
    }

    /// True if a connection has more to do at once.
    pub fn has_more(&self) -> bool {
        !self.active.is_empty()
    }

    /// Disconnects clients that do not read what they are sent, or do not finish their handshake.
    pub fn drop_stuck(&mut self, now: Instant) {
        while let Some(oldest) = self.handshaking.first().copied()
            && let Some(connection) = self.connections.get(&oldest)
            && now.since(connection.progress) >= HANDSHAKE_MAX
        {
            self.handshaking.remove(&oldest);
            self.refuse(oldest, Refusal::Silent);
        }
        self.connections.retain(|_, connection| {
            connection.output.is_empty() || now.since(connection.progress) < UNREAD_MAX
        });
    }
}

/// What a connection has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Progress {
    /// It waits for its client or for an answer.
    Waits,
    /// It has more to read.
    HasMore,
    /// It is over, perhaps because the client was refused.
    Closed(Option<Refusal>),
}

impl Connection {
    fn new(stream: Stream, session: Session, now: Instant) -> Self {
        Self {
            stream,
            session,
            input: Vec::new(),
            output: Vec::new(),
            sent: 0,
            is_readable: true,
            is_ending: false,
            progress: now,
            is_half_closed: false,
        }
    }

    fn advance(
        &mut self,
        now: Instant,
        scratch: &mut [u8],
        surroundings: &mut impl Surroundings,
    ) -> Progress {
        // What is there already is taken first, so that no more is read than a client may leave waiting.
        self.take(surroundings);
        if self.is_readable
            && self.can_read()
            && let Err(error) = self.read(scratch)
        {
            return Progress::Closed(Refusal::of_io(&error));
        }
        self.take(surroundings);
        let was_full = self.is_full();
        if let Err(error) = self.write(now) {
            return Progress::Closed(Refusal::of_io(&error));
        }
        let is_done = self.output.is_empty() && !self.session.is_waiting();
        if is_done && (self.session.is_over() || self.is_half_closed) {
            return Progress::Closed(None);
        }
        // Commands that have waited for room have no event of their own.
        let has_room = was_full && !self.is_full();
        if has_room || self.is_readable && self.can_read() {
            Progress::HasMore
        } else {
            Progress::Waits
        }
    }

    /// True if more may be read: the client has not left too much to be done already.
    fn can_read(&self) -> bool {
        !self.session.is_over()
            && !self.is_half_closed
            && self.input.len() < Session::INPUT_MAX
            && !self.is_full()
    }

    /// True if so many replies wait for the client that its commands wait as well.
    fn is_full(&self) -> bool {
        self.output.len() - self.sent >= REPLIES_MAX
    }

    fn take(&mut self, surroundings: &mut impl Surroundings) {
        if !self.is_full() {
            let (input, output) = (&self.input, &mut self.output);
            let taken = self.session.advance(input, output, surroundings);
            self.input.drain(..taken);
            release(&mut self.input);
        }
    }

    fn read(&mut self, scratch: &mut [u8]) -> io::Result<()> {
        match self.stream.read(scratch) {
            Ok(0) => {
                self.is_half_closed = true;
                self.is_readable = false;
            }
            Ok(count) => {
                let read = scratch.get(..count).unwrap_or_default();
                self.input.extend_from_slice(read);
                // What was said before the client has closed its side has come with the same event as the end.
                self.is_readable = self.stream.has_more() || self.is_ending;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_readable = false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn write(&mut self, now: Instant) -> io::Result<()> {
        if self.output.is_empty() {
            if !self.stream.is_handshaking() {
                self.progress = now;
            }
            return Ok(());
        }
        while let Some(rest) = self.output.get(self.sent..)
            && !rest.is_empty()
        {
            match self.stream.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.sent += count;
                    self.progress = now;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        match self.stream.flush() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            flushed => flushed?,
        }
        self.output.clear();
        self.sent = 0;
        release(&mut self.output);
        Ok(())
    }
}

/// Gives back the memory of an empty buffer that was large once: most of many clients are idle.
fn release(buffer: &mut Vec<u8>) {
    if buffer.is_empty() && buffer.capacity() > 4 * 1024 {
        *buffer = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::MembersCommand;
    use crate::reply::Reply;
    use crate::service::{Asked, Work};
    use mio::{Events, Poll};
    use std::net::{Shutdown, TcpStream as Client};

    /// A server that has nothing to say.
    struct Nothing;

    impl Surroundings for Nothing {
        fn unix(&self) -> u64 {
            0
        }

        fn password(&self) -> Option<&[u8]> {
            None
        }

        fn info(&self) -> &'static str {
            ""
        }

        fn status(&self) -> Reply {
            Reply::Nil
        }

        fn members(&self) -> Reply {
            Reply::Nil
        }

        fn take_work(&mut self, _: Work) {}

        fn take_asked(&mut self, _: Token, _: Asked) {}

        fn change_members(&mut self, _: Token, _: MembersCommand) {}
    }

    /// Waits for an event and handles what has come.
    fn turn(poll: &mut Poll, clients: &mut Clients) {
        let mut events = Events::with_capacity(16);
        if !clients.has_more() {
            poll.poll(&mut events, None).unwrap();
        }
        for event in &events {
            clients.on_event(Instant::ZERO, event, poll.registry());
        }
        clients.advance(Instant::ZERO, &mut Nothing);
    }

    #[test]
    fn a_client_that_closes_right_after_its_last_words_does_not_stay() {
        let mut poll = Poll::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let limits = Limits { clients: 10 };
        let mut clients = Clients::new(poll.registry(), listener, limits, None).unwrap();
        let mut client = Client::connect(address).unwrap();
        client.write_all(b"PING\r\n").unwrap();
        let mut pong = [0; 7];
        client.set_nonblocking(true).unwrap();
        while client.read_exact(&mut pong).is_err() {
            turn(&mut poll, &mut clients);
        }
        assert_eq!(&pong, b"+PONG\r\n");
        while clients.has_more() {
            turn(&mut poll, &mut clients);
        }
        // Both arrive before the server looks, which is one event.
        client.write_all(b"*1\r\n").unwrap();
        client.shutdown(Shutdown::Both).unwrap();
        turn(&mut poll, &mut clients);
        while clients.has_more() {
            turn(&mut poll, &mut clients);
        }
        assert!(clients.is_empty());
    }
}
