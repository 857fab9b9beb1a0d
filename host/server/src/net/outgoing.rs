//! A connection that this node has dialled, over which it sends to another one.

use super::buffer::FrameBuffer;
use core::net::SocketAddr;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use std::io::{self, ErrorKind, Read};
use synod::{Duration, Instant};

/// The delay before a node is dialled again that could not be reached, at first.
const REDIAL_MIN: Duration = Duration::from_millis(20);
/// That delay at most. It doubles each time.
const REDIAL_MAX: Duration = Duration::from_millis(500);
/// A connection on which nothing could be sent for so long, although something waits, is given up. A new one does not
/// inherit the long pauses that the transport makes after losses.
const STUCK_AFTER: Duration = Duration::from_secs(1);
/// A connection that was open for so long is one that the other side wants. One that it closes at once, such as a node of
/// another cluster, is dialled as seldom as one that cannot be reached.
const LASTS: Duration = Duration::from_secs(1);

/// A node that is dialled.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) address: SocketAddr,
    token: Token,
    state: State,
    delay: Duration,
    buffer: FrameBuffer,
    /// When the connection last took something, or had nothing to take.
    progress: Instant,
    /// When the connection was opened, and whether the one before has lasted or there was none.
    opened: Instant,
    has_lasted: bool,
}

/// The connection, if there is one.
#[derive(Debug)]
enum State {
    /// It is dialled at this time.
    Waiting(Instant),
    /// It is being dialled, since that time.
    Dialling(TcpStream),
    /// Frames can be sent.
    Open(TcpStream),
}

impl Outgoing {
    pub(super) fn new(address: SocketAddr, token: Token) -> Self {
        Self {
            address,
            token,
            state: State::Waiting(Instant::ZERO),
            delay: REDIAL_MIN,
            buffer: FrameBuffer::default(),
            progress: Instant::ZERO,
            opened: Instant::ZERO,
            has_lasted: true,
        }
    }

    /// True if frames can be sent.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Returns how many frames were dropped because too many waited.
    pub(super) fn dropped(&self) -> u64 {
        self.buffer.dropped()
    }

    /// Returns when [`Outgoing::advance`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting(at) => Some(*at),
            State::Dialling(_) => Some(self.progress + STUCK_AFTER),
            State::Open(_) if self.buffer.waiting() > 0 => Some(self.progress + STUCK_AFTER),
            State::Open(_) => None,
        }
    }

    /// Dials if it is time, and gives up a connection that is stuck.
    pub(super) fn advance(&mut self, now: Instant, registry: &Registry) {
        if self.next_deadline().is_none_or(|at| at > now) {
            return;
        }
        match &self.state {
            State::Waiting(_) => self.dial(now, registry),
            State::Dialling(_) | State::Open(_) => self.close(now),
        }
    }

    fn dial(&mut self, now: Instant, registry: &Registry) {
        let interests = Interest::READABLE | Interest::WRITABLE;
        let dialled = TcpStream::connect(self.address).and_then(|mut stream| {
            registry.register(&mut stream, self.token, interests)?;
            Ok(stream)
        });
        self.progress = now;
        match dialled {
            Ok(stream) => self.state = State::Dialling(stream),
            Err(_) => self.close(now),
        }
    }

    /// Closes the connection. It is dialled again after a delay.
    fn close(&mut self, now: Instant) {
        if self.is_open() {
            self.has_lasted = now.since(self.opened) >= LASTS;
            if self.has_lasted {
                self.delay = REDIAL_MIN;
            }
        }
        self.buffer.clear();
        self.state = State::Waiting(now + self.delay);
        self.delay = (self.delay * 2).min(REDIAL_MAX);
    }

    /// The connection has an event. Returns true if it has just been opened, and the one before has not been closed at
    /// once.
    pub(super) fn on_event(&mut self, now: Instant, hello: &[u8]) -> bool {
        if let State::Dialling(stream) = &self.state {
            match is_connected(stream) {
                Ok(true) => {}
                Ok(false) => return false,
                Err(_) => {
                    self.close(now);
                    return false;
                }
            }
            // Without it, an answer could wait for the acknowledgement of the frame before. Where it cannot be set, frames
            // are slower.
            let _ = stream.set_nodelay(true);
            give_up_early(stream);
            let State::Dialling(stream) = core::mem::replace(&mut self.state, State::Waiting(now))
            else {
                return false;
            };
            self.state = State::Open(stream);
            self.opened = now;
            self.buffer.clear();
            self.buffer.push(hello);
            self.flush(now);
            return self.has_lasted;
        }
        if let State::Open(stream) = &mut self.state
            && !is_alive(stream)
        {
            self.close(now);
        } else {
            self.flush(now);
        }
        false
    }

    /// Adds a frame. Where there is no connection it is lost.
    pub(super) fn push(&mut self, now: Instant, frame: &[u8]) {
        if self.is_open() {
            if self.buffer.waiting() == 0 {
                self.progress = now;
            }
            self.buffer.push(frame);
        }
    }

    /// Sends what waits, as far as the connection takes it.
    pub(super) fn flush(&mut self, now: Instant) {
        let State::Open(stream) = &mut self.state else {
            return;
        };
        match self.buffer.send(stream) {
            Ok(0) => {}
            Ok(_) => self.progress = now,
            Err(_) => self.close(now),
        }
    }
}

/// Has the system give up a connection whose bytes nobody acknowledges, as on a link that loses everything. Heartbeats fit
/// in its buffer, so that nothing would seem stuck here, and it would go on at ever longer intervals when the link is back.
fn give_up_early(stream: &TcpStream) {
    // Elsewhere, a link that was cut for minutes is used again later than it could be.
    #[cfg(target_os = "linux")]
    {
        let timeout = u32::try_from(STUCK_AFTER.as_micros() / 1_000).unwrap_or(u32::MAX);
        let _ = rustix::net::sockopt::set_tcp_user_timeout(stream, timeout);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = stream;
}

/// True if a connection that is being dialled is open.
fn is_connected(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads what the other side says, which is nothing. False if it has closed the connection.
fn is_alive(stream: &mut TcpStream) -> bool {
    let mut ignored = [0; 64];
    loop {
        match stream.read(&mut ignored) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll};
    use std::net::TcpListener;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_connection_on_which_nothing_is_acknowledged_is_given_up_by_the_system() {
        let mut poll = Poll::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut events = Events::with_capacity(4);
        let mut peer = Outgoing::new(listener.local_addr().unwrap(), Token(1));
        peer.advance(Instant::ZERO, poll.registry());
        while !peer.is_open() {
            poll.poll(&mut events, None).unwrap();
            peer.on_event(Instant::ZERO, b"hello");
        }
        let State::Open(stream) = &peer.state else {
            panic!("it was open");
        };
        let timeout = rustix::net::sockopt::tcp_user_timeout(stream).unwrap();
        assert_eq!(timeout, 1_000);
    }

    #[test]
    fn a_node_that_hangs_up_at_once_is_dialled_less_and_less_often() {
        let mut poll = Poll::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut events = Events::with_capacity(4);
        let mut peer = Outgoing::new(listener.local_addr().unwrap(), Token(1));
        let mut reached = 0;
        let mut now = Instant::ZERO;
        for _ in 0..10 {
            now = now.max(peer.next_deadline().unwrap());
            peer.advance(now, poll.registry());
            while !peer.is_open() {
                poll.poll(&mut events, None).unwrap();
                reached += u32::from(peer.on_event(now, b"hello"));
            }
            drop(listener.accept().unwrap());
            while peer.is_open() {
                poll.poll(&mut events, None).unwrap();
                peer.on_event(now, b"hello");
            }
        }
        assert_eq!(reached, 1);
        assert!(now >= Instant::ZERO + Duration::from_secs(2), "{now:?}");
    }
}
