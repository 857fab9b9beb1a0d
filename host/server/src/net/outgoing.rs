//! A connection that this node has dialled, over which it sends to another one.

use super::buffer::FrameBuffer;
use super::stream::Stream;
use crate::tls::Refusal;
use core::net::SocketAddr;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io::{self, ErrorKind, Read};
use std::sync::Arc;
use synod::{Duration, Instant};

/// The delay before a node is dialled again that could not be reached, at first.
const REDIAL_MIN: Duration = Duration::from_millis(20);
/// That delay at most. It doubles each time.
const REDIAL_MAX: Duration = Duration::from_millis(500);
/// A connection on which nothing could be sent for so long, although something waits, is given up. A new one does not
/// inherit the long pauses that the transport makes after losses.
const STUCK_AFTER: Duration = Duration::from_secs(1);
/// A handshake of TLS that is not finished after so long is given up. It waits for the processor of the other side.
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);
/// A connection that was open for so long is one that the other side wants. One that it closes at once, such as a node of
/// another cluster, is dialled as seldom as one that cannot be reached.
const LASTS: Duration = Duration::from_secs(1);

/// A node that is dialled.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) address: SocketAddr,
    token: Token,
    /// What the other side must prove; `None` without TLS.
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    state: State,
    delay: Duration,
    buffer: FrameBuffer,
    /// When the connection last took something, or had nothing to take.
    progress: Instant,
    /// When the connection was opened, and whether the one before has lasted or there was none.
    opened: Instant,
    has_lasted: bool,
    /// Why the last connection was given up, if it was for TLS, and whether that was told.
    refusal: Option<Refusal>,
    is_refusal_new: bool,
}

/// The connection, if there is one.
#[derive(Debug)]
enum State {
    /// It is dialled at this time.
    Waiting(Instant),
    /// It is being dialled, since that time.
    Dialling(TcpStream),
    /// Both sides prove who they are.
    Handshaking(Stream),
    /// Frames can be sent.
    Open(Stream),
}

impl Outgoing {
    pub(super) fn new(
        address: SocketAddr,
        token: Token,
        tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    ) -> Self {
        Self {
            address,
            token,
            tls,
            state: State::Waiting(Instant::ZERO),
            delay: REDIAL_MIN,
            buffer: FrameBuffer::default(),
            progress: Instant::ZERO,
            opened: Instant::ZERO,
            has_lasted: true,
            refusal: None,
            is_refusal_new: false,
        }
    }

    /// Returns why the node could not be spoken with, if that is another reason than the one before.
    pub(super) fn take_refusal(&mut self) -> Option<Refusal> {
        let is_new = core::mem::take(&mut self.is_refusal_new);
        self.refusal.clone().filter(|_| is_new)
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
            State::Handshaking(_) => Some(self.progress + HANDSHAKE_MAX),
            State::Open(stream) if self.buffer.waiting() > 0 || !stream.is_flushed() => {
                Some(self.progress + STUCK_AFTER)
            }
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
            State::Handshaking(_) => self.refuse(now, Some(Refusal::Silent)),
            State::Dialling(_) | State::Open(_) => self.close(now),
        }
    }

    /// Closes the connection, perhaps because of TLS.
    fn refuse(&mut self, now: Instant, refusal: Option<Refusal>) {
        if refusal.is_some() && refusal != self.refusal {
            self.refusal = refusal;
            self.is_refusal_new = true;
        }
        self.close(now);
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
        let result = match &mut self.state {
            State::Waiting(_) => Ok(false),
            State::Dialling(stream) => match is_connected(stream) {
                Ok(true) => self
                    .connected(now)
                    .and_then(|()| self.handshake(now, hello)),
                other => other,
            },
            State::Handshaking(_) => self.handshake(now, hello),
            State::Open(stream) => is_alive(stream).map(|()| {
                self.flush(now);
                false
            }),
        };
        result.unwrap_or_else(|error| {
            self.refuse(now, Refusal::of_io(&error));
            false
        })
    }

    /// The connection was dialled: it begins with a handshake, which without TLS is empty.
    fn connected(&mut self, now: Instant) -> io::Result<()> {
        let State::Dialling(stream) = core::mem::replace(&mut self.state, State::Waiting(now))
        else {
            return Ok(());
        };
        // Without it, an answer could wait for the acknowledgement of the frame before. Where it cannot be set, frames
        // are slower.
        let _ = stream.set_nodelay(true);
        give_up_early(&stream);
        let tls = self.tls.as_ref();
        let tls = tls.map(|(config, name)| (config, name.clone()));
        self.state = State::Handshaking(Stream::dialled(stream, tls)?);
        self.progress = now;
        Ok(())
    }

    /// Goes on with the handshake. Returns true as [`Outgoing::on_event`] does.
    fn handshake(&mut self, now: Instant, hello: &[u8]) -> io::Result<bool> {
        let State::Handshaking(stream) = &mut self.state else {
            return Ok(false);
        };
        if !stream.handshake()? {
            return Ok(false);
        }
        if let State::Handshaking(stream) = core::mem::replace(&mut self.state, State::Waiting(now))
        {
            self.state = State::Open(stream);
        }
        self.opened = now;
        self.progress = now;
        self.buffer.clear();
        self.buffer.push(hello);
        self.flush(now);
        Ok(self.has_lasted)
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
            Err(error) => self.refuse(now, Refusal::of_io(&error)),
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

/// Reads what the other side says, which is nothing. An error if it has closed the connection.
fn is_alive(stream: &mut Stream) -> io::Result<()> {
    let mut ignored = [0; 64];
    loop {
        match stream.read(&mut ignored) {
            Ok(0) => return Err(ErrorKind::ConnectionAborted.into()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
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
        let mut peer = Outgoing::new(listener.local_addr().unwrap(), Token(1), None);
        peer.advance(Instant::ZERO, poll.registry());
        while !peer.is_open() {
            poll.poll(&mut events, None).unwrap();
            peer.on_event(Instant::ZERO, b"hello");
        }
        let State::Open(stream) = &peer.state else {
            panic!("it was open");
        };
        let timeout = rustix::net::sockopt::tcp_user_timeout(stream.socket()).unwrap();
        assert_eq!(timeout, 1_000);
    }

    #[test]
    fn a_node_that_hangs_up_at_once_is_dialled_less_and_less_often() {
        let mut poll = Poll::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut events = Events::with_capacity(4);
        let mut peer = Outgoing::new(listener.local_addr().unwrap(), Token(1), None);
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
