//! The connections of clients: bytes in and out, with bounds. What they mean is the matter of a [`Session`].

use crate::service::{Answer, Token};
use crate::session::{Session, Surroundings};
use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token as Number};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, Read, Write};
use synod::{Duration, Instant};

/// How much is read at a time, in bytes.
const PIECE: usize = 16 * 1024;
/// Replies that wait for a client to read them, in bytes. Beyond that its commands wait.
const REPLIES_MAX: usize = 64 * 1024;
/// A client that has not read anything for so long, although there are replies for it, is disconnected.
const UNREAD_MAX: Duration = Duration::from_secs(60);

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
}

/// One connection.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
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

    /// Listens for clients.
    ///
    /// # Errors
    ///
    /// The address cannot be listened to.
    pub fn new(registry: &Registry, mut listener: TcpListener, limits: Limits) -> io::Result<Self> {
        registry.register(&mut listener, Number(Self::TOKENS), Interest::READABLE)?;
        Ok(Self {
            listener,
            limits,
            connections: BTreeMap::new(),
            next: 1,
            active: BTreeSet::new(),
            must_accept: false,
            scratch: vec![0; PIECE],
            accepted: 0,
            rejected: 0,
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
                // Best effort: whoever does not get it sees a closed connection.
                let _ = stream.write(b"-ERR max number of clients reached\r\n");
                continue;
            }
            // Without it, a reply could wait for the acknowledgement of the one before.
            let _ = stream.set_nodelay(true);
            let number = self.next;
            self.next += 1;
            let event = usize::try_from(number).unwrap_or(usize::MAX);
            let token = Number(Self::TOKENS.saturating_add(event));
            let interests = Interest::READABLE | Interest::WRITABLE;
            if registry.register(&mut stream, token, interests).is_ok() {
                self.accepted += 1;
                let connection = Connection::new(stream, Session::new(number), now);
                self.connections.insert(number, connection);
                self.active.insert(number);
            }
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
        for number in core::mem::take(&mut self.active) {
            let Some(connection) = self.connections.get_mut(&number) else {
                continue;
            };
            match connection.advance(now, &mut self.scratch, surroundings) {
                Progress::Waits => {}
                Progress::HasMore => {
                    again.insert(number);
                }
                Progress::Closed => {
                    self.connections.remove(&number);
                }
            }
        }
        self.active.append(&mut again);
    }

    /// True if a connection has more to do at once.
    pub fn has_more(&self) -> bool {
        !self.active.is_empty()
    }

    /// Disconnects clients that do not read what they are sent.
    pub fn drop_stuck(&mut self, now: Instant) {
        self.connections.retain(|_, connection| {
            connection.output.is_empty() || now.since(connection.progress) < UNREAD_MAX
        });
    }
}

/// What a connection has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// It waits for its client or for an answer.
    Waits,
    /// It has more to read.
    HasMore,
    /// It is over.
    Closed,
}

impl Connection {
    fn new(stream: TcpStream, session: Session, now: Instant) -> Self {
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
        if self.can_read() && self.read(scratch).is_err() {
            return Progress::Closed;
        }
        self.take(surroundings);
        let was_full = self.is_full();
        if self.write(now).is_err() {
            return Progress::Closed;
        }
        let is_done = self.output.is_empty() && !self.session.is_waiting();
        if is_done && (self.session.is_over() || self.is_half_closed) {
            return Progress::Closed;
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
                // A short read has emptied the socket; the next event says that there is more. What was said before the client
                // has closed its side has come with the same event as the end.
                self.is_readable = count == scratch.len() || self.is_ending;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.is_readable = false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn write(&mut self, now: Instant) -> io::Result<()> {
        if self.output.is_empty() {
            self.progress = now;
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

        fn info(&self) -> String {
            String::new()
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
        let mut clients = Clients::new(poll.registry(), listener, limits).unwrap();
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
