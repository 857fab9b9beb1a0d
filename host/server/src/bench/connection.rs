//! A connection of a benchmark: dialled, opened in its protocol, and then asked.

use super::dialect::{Answer, Dialect};
use super::workload::Request;
use crate::net::Stream;
use crate::tls::{Refusal, Trust};
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};

/// The pause before an address is dialled again.
const REDIAL: Duration = Duration::from_millis(100);
/// The most that is read at a time, in bytes. Once there is so much, what has arrived is looked at first.
pub(super) const PIECE: usize = 64 * 1_024;

/// Why a connection is of no more use.
#[derive(Debug)]
pub(super) enum Broken {
    /// The system says so.
    System(io::Error),
    /// The server has closed it.
    HungUp,
    /// The server has said something that is not of the protocol.
    Garbled,
    /// The server has refused how the connection begins, or has said something that nobody asked for.
    Refused(String),
    /// The server does not get through TLS.
    Tls(Refusal),
    /// Nothing was answered for so long.
    Silent(Duration),
}

impl Broken {
    fn from_io(error: io::Error) -> Self {
        match Refusal::of_io(&error) {
            Some(refusal) => Self::Tls(refusal),
            None => Self::System(error),
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(error) => error.fmt(f),
            Self::HungUp => f.write_str("the server has hung up"),
            Self::Garbled => f.write_str("the server has not kept to the protocol"),
            Self::Refused(text) => f.write_str(text),
            Self::Tls(refusal) => refusal.fmt(f),
            Self::Silent(time) => write!(f, "no answer within {time:?}"),
        }
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection<D> {
    token: Token,
    dialect: D,
    state: State,
    input: Vec<u8>,
    output: Vec<u8>,
    /// How many bytes of the output were sent.
    sent: usize,
    /// The times from which the latencies of the requests under way count, in the order of the requests.
    under_way: VecDeque<Duration>,
    /// When it was last answered, or began to wait.
    progress: Duration,
    /// True if it is listed among the connections that can take a request.
    pub(super) is_listed: bool,
}

#[derive(Debug)]
enum State {
    /// It is dialled at this time.
    Closed(Duration),
    /// It is being dialled.
    Dialling(TcpStream),
    /// The server proves who it is.
    Handshaking(Stream),
    /// So many answers are missing until it is ready.
    Opening(Stream, usize),
    /// Requests can be made.
    Ready(Stream),
}

impl State {
    fn stream(&mut self) -> Option<&mut Stream> {
        match self {
            Self::Opening(stream, _) | Self::Ready(stream) => Some(stream),
            Self::Closed(_) | Self::Dialling(_) | Self::Handshaking(_) => None,
        }
    }
}

impl<D: Dialect> Connection<D> {
    /// Returns a connection that is dialled at once, and may have `depth` requests under way.
    pub(super) fn new(token: Token, dialect: D, depth: usize) -> Self {
        Self {
            token,
            dialect,
            state: State::Closed(Duration::ZERO),
            input: Vec::new(),
            output: Vec::new(),
            sent: 0,
            under_way: VecDeque::with_capacity(depth),
            progress: Duration::ZERO,
            is_listed: false,
        }
    }

    /// True if requests can be made.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready(_))
    }

    /// Returns the number of requests under way.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// True if it is to be dialled.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        matches!(self.state, State::Closed(again) if again <= now)
    }

    /// True if it has waited for too long.
    pub(super) fn is_overdue(&self, now: Duration, timeout: Duration) -> bool {
        let waits = match self.state {
            State::Closed(_) => false,
            State::Dialling(_) | State::Handshaking(_) | State::Opening(..) => true,
            State::Ready(_) => !self.under_way.is_empty(),
        };
        waits && now.saturating_sub(self.progress) > timeout
    }

    /// Dials a server.
    pub(super) fn dial(
        &mut self,
        now: Duration,
        address: SocketAddr,
        registry: &Registry,
    ) -> Result<(), Broken> {
        let mut stream = TcpStream::connect(address).map_err(Broken::System)?;
        let interests = Interest::READABLE | Interest::WRITABLE;
        registry
            .register(&mut stream, self.token, interests)
            .map_err(Broken::System)?;
        self.state = State::Dialling(stream);
        self.progress = now;
        Ok(())
    }

    /// Closes the connection; `dialect` is for the next one. Returns how many of the requests under way counted from
    /// `measured` on or later.
    pub(super) fn close(&mut self, now: Duration, dialect: D, measured: Duration) -> u64 {
        let lost = self.under_way.iter().filter(|from| **from >= measured);
        let lost = u64::try_from(lost.count()).unwrap_or(u64::MAX);
        self.state = State::Closed(now + REDIAL);
        self.dialect = dialect;
        self.input.clear();
        self.output.clear();
        self.under_way.clear();
        self.sent = 0;
        lost
    }

    /// Forgets when it was last answered, as the clock begins anew.
    pub(super) fn begin(&mut self) {
        self.progress = Duration::ZERO;
    }

    /// Adds a request whose latency counts from `from`. It leaves with the next [`flush`](Self::flush).
    pub(super) fn ask(&mut self, now: Duration, from: Duration, request: Request<'_>) {
        if self.under_way.is_empty() {
            self.progress = now;
        }
        self.under_way.push_back(from);
        self.dialect.ask(request, &mut self.output);
    }

    /// Sends what waits, as far as the connection takes it.
    pub(super) fn flush(&mut self) -> Result<(), Broken> {
        let Some(stream) = self.state.stream() else {
            return Ok(());
        };
        while let Some(rest) = self.output.get(self.sent..)
            && !rest.is_empty()
        {
            match stream.write(rest) {
                Ok(0) => return Err(Broken::HungUp),
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Broken::from_io(error)),
            }
        }
        match stream.flush() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            flushed => flushed.map_err(Broken::from_io)?,
        }
        self.output.clear();
        self.sent = 0;
        Ok(())
    }

    /// The connection has an event: sends and reads. Returns true if there may be more to read.
    ///
    /// Whatever is returned, answers that have arrived can be taken.
    pub(super) fn on_event(
        &mut self,
        scratch: &mut [u8],
        trust: Option<&Trust>,
    ) -> Result<bool, Broken> {
        if let State::Dialling(stream) = &self.state {
            if !is_connected(stream).map_err(Broken::System)? {
                return Ok(false);
            }
            // Without it, a request could wait for the acknowledgement of the one before.
            let _ = stream.set_nodelay(true);
            let state = core::mem::replace(&mut self.state, State::Closed(Duration::ZERO));
            if let State::Dialling(stream) = state {
                let address = stream.peer_addr().map_err(Broken::System)?;
                let tls = trust.map(|trust| (&trust.config, trust.name(address)));
                let stream = Stream::dialled(stream, tls).map_err(Broken::System)?;
                self.state = State::Handshaking(stream);
            }
        }
        if let State::Handshaking(stream) = &mut self.state {
            if !stream.handshake().map_err(Broken::from_io)? {
                return Ok(false);
            }
            let state = core::mem::replace(&mut self.state, State::Closed(Duration::ZERO));
            if let State::Handshaking(stream) = state {
                let answers = self.dialect.open(&mut self.output);
                self.state = State::Opening(stream, answers);
            }
        }
        let flushed = self.flush();
        let has_more = self.read(scratch)?;
        flushed.map(|()| has_more)
    }

    fn read(&mut self, scratch: &mut [u8]) -> Result<bool, Broken> {
        let Some(stream) = self.state.stream() else {
            return Ok(false);
        };
        loop {
            match stream.read(scratch) {
                Ok(0) => return Err(Broken::HungUp),
                Ok(count) => {
                    let read = scratch.get(..count).unwrap_or_default();
                    self.input.extend_from_slice(read);
                    // If it has taken all, the next event says that there is more.
                    return Ok(stream.has_more());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Broken::from_io(error)),
            }
        }
    }

    /// Takes all answers that have arrived, and hands those to requests to `take`, with the time from which their latency
    /// counts. What the protocol has to say to them is sent.
    pub(super) fn take_answers(
        &mut self,
        now: Duration,
        mut take: impl FnMut(Duration, Answer),
    ) -> Result<(), Broken> {
        let mut consumed = 0;
        let result = loop {
            let rest = self.input.get(consumed..).unwrap_or_default();
            let taken = match self.dialect.take(rest, &mut self.output) {
                Ok(Some(taken)) => taken,
                Ok(None) => break Ok(()),
                Err(_) => break Err(Broken::Garbled),
            };
            consumed += taken.len;
            let Some(answer) = taken.answer else {
                continue;
            };
            self.progress = now;
            match self.under_way.remove(taken.turn) {
                Some(from) => take(from, answer),
                None => match self.on_opened(answer) {
                    Ok(()) => {}
                    Err(broken) => break Err(broken),
                },
            }
        };
        self.input.drain(..consumed);
        result.and_then(|()| self.flush())
    }

    /// Counts an answer to how the connection began.
    fn on_opened(&mut self, answer: Answer) -> Result<(), Broken> {
        if let Answer::Refused(text) = answer {
            return Err(Broken::Refused(text));
        }
        match core::mem::replace(&mut self.state, State::Closed(Duration::ZERO)) {
            State::Opening(stream, 0 | 1) => self.state = State::Ready(stream),
            State::Opening(stream, answers) => self.state = State::Opening(stream, answers - 1),
            // An answer to nothing.
            State::Ready(_) | State::Dialling(_) | State::Handshaking(_) | State::Closed(_) => {
                return Err(Broken::Garbled);
            }
        }
        Ok(())
    }
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
