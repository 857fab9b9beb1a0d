//! Requests for metrics: HTTP with bounds, of which nothing but the first line is understood.
//!
//! Each connection gets one response and is closed. All of it happens on the thread of the server, which waits for none of
//! these connections.

use core::fmt::Write as _;
use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use std::io::{self, ErrorKind, Read, Write};
use synod::{Duration, Instant};

/// The token of the listener. Those of connections follow; the ones of other nodes begin behind them.
const LISTENER: usize = 1;
/// The most connections at a time. One more closes the oldest.
const CONNECTIONS_MAX: usize = 16;
/// The longest request, in bytes.
const REQUEST_MAX: usize = 4096;
/// How long a connection may take for all.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// How many requests there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrapeCounts {
    /// Those that were answered with what they asked for.
    pub served: u64,
    /// Those that were answered with an error, were too long, or never ended.
    pub refused: u64,
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// `/metrics`: all figures.
    Metrics,
    /// `/healthz`: whether the node can serve clients.
    Health,
}

/// All connections that ask for metrics.
#[derive(Debug, Default)]
pub struct Scrapes {
    /// `None` if metrics are not served.
    listener: Option<TcpListener>,
    connections: [Option<Connection>; CONNECTIONS_MAX],
    must_accept: bool,
    counts: ScrapeCounts,
}

/// One connection.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    since: Instant,
    request: Vec<u8>,
    /// The response; empty as long as the request is not complete.
    response: Vec<u8>,
    /// How many bytes of it were sent.
    sent: usize,
    is_ready: bool,
}

impl Scrapes {
    /// Listens, if there is a listener.
    ///
    /// # Errors
    ///
    /// The address cannot be listened to.
    pub fn new(registry: &Registry, mut listener: Option<TcpListener>) -> io::Result<Self> {
        if let Some(listener) = &mut listener {
            registry.register(listener, Token(LISTENER), Interest::READABLE)?;
        }
        Ok(Self {
            listener,
            ..Self::default()
        })
    }

    /// Returns how many requests there were.
    pub fn counts(&self) -> ScrapeCounts {
        self.counts
    }

    /// Handles an event. Returns false if it is of another connection.
    pub fn on_event(&mut self, event: &Event) -> bool {
        match event.token().0.checked_sub(LISTENER) {
            Some(0) => self.must_accept = true,
            Some(index) => match self.connections.get_mut(index - 1) {
                Some(Some(connection)) => connection.is_ready = true,
                Some(None) => {}
                None => return false,
            },
            None => return false,
        }
        true
    }

    /// Accepts, reads and answers what can be. `render` returns a page, and whether the answer is a good one.
    pub fn advance(
        &mut self,
        now: Instant,
        registry: &Registry,
        render: impl Fn(Page) -> (bool, String),
    ) {
        if self.must_accept {
            self.accept(now, registry);
        }
        for place in &mut self.connections {
            let Some(connection) = place else {
                continue;
            };
            let is_over = now.since(connection.since) >= WAIT_MAX;
            match connection.advance(&render, &mut self.counts) {
                Ok(false) if !is_over => {}
                Ok(true) => *place = None,
                Ok(false) | Err(_) => {
                    self.counts.refused += 1;
                    *place = None;
                }
            }
        }
    }

    fn accept(&mut self, now: Instant, registry: &Registry) {
        let Some(listener) = &self.listener else {
            return;
        };
        loop {
            let accepted = listener.accept();
            self.must_accept = super::is_accepted_later(&accepted);
            let mut stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) if super::is_transient(&error) => continue,
                Err(_) => return,
            };
            // A free place is older than all.
            let oldest = |(_, place): &(usize, &mut Option<Connection>)| {
                place.as_ref().map(|connection| connection.since)
            };
            let places = self.connections.iter_mut().enumerate();
            let Some((index, place)) = places.min_by_key(oldest) else {
                return;
            };
            if place.take().is_some() {
                self.counts.refused += 1;
            }
            let token = Token(LISTENER + 1 + index);
            let interests = Interest::READABLE | Interest::WRITABLE;
            if registry.register(&mut stream, token, interests).is_ok() {
                *place = Some(Connection {
                    stream,
                    since: now,
                    request: Vec::new(),
                    response: Vec::new(),
                    sent: 0,
                    is_ready: true,
                });
            }
        }
    }
}

impl Connection {
    /// Goes on as far as possible. Returns true if the response was sent.
    fn advance(
        &mut self,
        render: impl Fn(Page) -> (bool, String),
        counts: &mut ScrapeCounts,
    ) -> io::Result<bool> {
        if !core::mem::take(&mut self.is_ready) {
            return Ok(false);
        }
        if self.response.is_empty() {
            if !self.read()? {
                return Ok(false);
            }
            let (is_served, response) = respond(&self.request, render);
            counts.served += u64::from(is_served);
            counts.refused += u64::from(!is_served);
            self.response = response;
        }
        self.write()
    }

    /// Reads what there is. Returns true once the request is complete, or too long to become so.
    fn read(&mut self) -> io::Result<bool> {
        let mut piece = [0; 1024];
        while !is_complete(&self.request) && self.request.len() < REQUEST_MAX {
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    let read = piece.get(..count).unwrap_or_default();
                    self.request.extend_from_slice(read);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn write(&mut self) -> io::Result<bool> {
        while let Some(rest) = self.response.get(self.sent..)
            && !rest.is_empty()
        {
            match self.stream.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// True if the end of the header has arrived.
fn is_complete(request: &[u8]) -> bool {
    request.windows(4).any(|end| end == b"\r\n\r\n")
}

/// Returns the response to a request, and whether it is what was asked for.
fn respond(request: &[u8], render: impl Fn(Page) -> (bool, String)) -> (bool, Vec<u8>) {
    let answered = page(request).map(render);
    let is_served = answered.is_ok();
    let (status, body) = match answered {
        Ok((true, body)) => ("200 OK", body),
        Ok((false, body)) => ("503 Service Unavailable", body),
        Err(status) => (status, format!("{status}\n")),
    };
    let mut response = String::new();
    // A string takes everything.
    let _ = write!(
        response,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    (is_served, response.into_bytes())
}

/// Returns the page that a request asks for, or the status of the refusal.
fn page(request: &[u8]) -> Result<Page, &'static str> {
    if !is_complete(request) {
        return Err("431 Request Header Fields Too Large");
    }
    let line = request.split(|byte| *byte == b'\r').next();
    let line = str::from_utf8(line.unwrap_or_default()).map_err(|_| "400 Bad Request")?;
    let words: Vec<_> = line.split(' ').collect();
    let [method, target, "HTTP/1.1" | "HTTP/1.0"] = words[..] else {
        return Err("400 Bad Request");
    };
    let (path, _) = target.split_once('?').unwrap_or((target, ""));
    match (method, path) {
        ("GET", "/metrics") => Ok(Page::Metrics),
        ("GET", "/healthz") => Ok(Page::Health),
        (_, "/metrics" | "/healthz") => Err("405 Method Not Allowed"),
        _ => Err("404 Not Found"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_answered_by_its_first_line_alone() {
        let header = "Host: here\r\nX: \u{fffd}\r\n\r\n";
        for (line, expected) in [
            ("GET /metrics HTTP/1.1", Ok(Page::Metrics)),
            ("GET /metrics?name=x HTTP/1.0", Ok(Page::Metrics)),
            ("GET /healthz HTTP/1.1", Ok(Page::Health)),
            ("POST /metrics HTTP/1.1", Err("405 Method Not Allowed")),
            ("GET /secrets HTTP/1.1", Err("404 Not Found")),
            ("GET /metrics", Err("400 Bad Request")),
            ("GET  /metrics HTTP/1.1", Err("400 Bad Request")),
            ("GET /metrics HTTP/2", Err("400 Bad Request")),
            ("", Err("400 Bad Request")),
        ] {
            let request = format!("{line}\r\n{header}");
            assert_eq!(page(request.as_bytes()), expected, "{line}");
        }
        assert_eq!(page(b"\xff\r\n\r\n"), Err("400 Bad Request"));
        assert_eq!(
            page(&[b'a'; REQUEST_MAX]),
            Err("431 Request Header Fields Too Large")
        );
    }

    #[test]
    fn a_response_says_how_long_it_is() {
        let render = |_| (true, "a 1\n".to_owned());
        let (is_served, response) = respond(b"GET /metrics HTTP/1.1\r\n\r\n", render);
        let response = String::from_utf8(response).unwrap();
        assert!(is_served);
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
        assert!(response.contains("\r\nContent-Length: 4\r\n"), "{response}");
        assert!(response.ends_with("\r\n\r\na 1\n"), "{response}");
    }
}
