//! A connection of a client to a node.

use crate::resp::{Reply, encode, parse};
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use crate::clock::Clock;

/// How long a node may take to accept a connection.
const CONNECT: Duration = Duration::from_millis(300);

/// A connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Connection {
    /// Connects to a node.
    ///
    /// # Errors
    ///
    /// The node does not accept the connection.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, CONNECT)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(Duration::from_secs(1)))?;
        let bytes = Vec::new();
        Ok(Self { stream, bytes })
    }

    /// Sends bytes.
    ///
    /// # Errors
    ///
    /// The connection is of no more use, and nobody knows how much was sent.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Waits for the next reply.
    ///
    /// # Errors
    ///
    /// The connection is of no more use, or `clock` has reached `until`.
    pub fn next(&mut self, clock: Clock, until: Duration) -> io::Result<Reply> {
        let mut piece = [0; 4096];
        loop {
            match parse(&self.bytes) {
                Ok(Some((reply, len))) => {
                    self.bytes.drain(..len);
                    return Ok(reply);
                }
                Ok(None) => {}
                Err(_) => return Err(ErrorKind::InvalidData.into()),
            }
            let left = until.saturating_sub(clock.elapsed());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            self.stream.set_read_timeout(Some(left))?;
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.bytes.extend(piece.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Sends one command to a node over a connection of its own, and returns the reply.
///
/// # Errors
///
/// There is no reply in time.
pub fn ask(
    address: SocketAddr,
    clock: Clock,
    patience: Duration,
    words: &[&str],
) -> io::Result<Reply> {
    let until = clock.elapsed() + patience;
    let mut connection = Connection::open(address)?;
    let mut bytes = Vec::new();
    encode(words, &mut bytes);
    connection.send(&bytes)?;
    connection.next(clock, until)
}

/// Returns what a node says about itself; `None` if it does not answer.
pub fn status(address: SocketAddr, clock: Clock) -> Option<BTreeMap<String, String>> {
    let patience = Duration::from_millis(500);
    let Ok(Reply::List(items)) = ask(address, clock, patience, &["SYNOD.STATUS"]) else {
        return None;
    };
    let mut texts = items.into_iter().map(|item| match item {
        Reply::Text(text) => text,
        _ => String::new(),
    });
    let mut map = BTreeMap::new();
    while let (Some(key), Some(value)) = (texts.next(), texts.next()) {
        map.insert(key, value);
    }
    Some(map)
}
