//! One connection of an operator to a running server, in plain text or TLS.

use super::{AdminError, Door};
use crate::resp::response::{self, Response};
use crate::tls::Refusal;
use core::time::Duration;
use rustls::{ClientConnection, StreamOwned};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

/// How long the server may take to accept a connection.
pub(super) const CONNECTING: Duration = Duration::from_secs(10);

/// A connection, and what has arrived on it.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    bytes: Vec<u8>,
}

/// What is said to a server, and what it says.
trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

impl Connection {
    /// Connects, and gives the password if there is one. No answer is waited for longer than `wait`.
    pub(crate) fn open(door: &Door, wait: Duration) -> Result<Self, AdminError> {
        let mut connection = Self {
            stream: connect(door, wait).map_err(of_io)?,
            bytes: Vec::new(),
        };
        let mut hello: Vec<&[u8]> = vec![b"HELLO", b"3"];
        if let Some(password) = door.password.as_deref() {
            hello.extend([&b"AUTH"[..], b"default", password]);
        }
        connection.ask(&hello)?;
        Ok(connection)
    }

    /// Sends a command and returns its answer, which is no error.
    pub(crate) fn ask(&mut self, words: &[impl AsRef<[u8]>]) -> Result<Response, AdminError> {
        self.send(&encode(words))?;
        match self.answer()? {
            Response::Error(error) => Err(AdminError::Refused(error)),
            response => Ok(response),
        }
    }

    /// Sends encoded commands.
    pub(crate) fn send(&mut self, commands: &[u8]) -> Result<(), AdminError> {
        let sent = self.stream.write_all(commands);
        match sent.and_then(|()| self.stream.flush()) {
            Err(error) if Refusal::of_io(&error).is_some() => Err(of_io(error)),
            // Whoever does not listen may have said why.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Waits for the next answer.
    pub(crate) fn answer(&mut self) -> Result<Response, AdminError> {
        let mut piece = [0; 4096];
        loop {
            match response::parse(&self.bytes) {
                Ok(Some((response, len))) => {
                    self.bytes.drain(..len);
                    return Ok(response);
                }
                Ok(None) => {}
                Err(_) => return Err(AdminError::NotRedis),
            }
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(AdminError::NotRedis),
                Ok(count) => self
                    .bytes
                    .extend_from_slice(piece.get(..count).unwrap_or_default()),
                Err(error) => return Err(AdminError::Connection(error)),
            }
        }
    }
}

/// Encodes a command as an array of strings.
pub(crate) fn encode(words: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words.iter().map(AsRef::as_ref) {
        bytes.extend(format!("${}\r\n", word.len()).into_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn connect(door: &Door, wait: Duration) -> io::Result<Box<dyn Stream>> {
    let mut stream = TcpStream::connect_timeout(&door.address, CONNECTING)?;
    stream.set_read_timeout(Some(wait))?;
    let Some(trust) = &door.trust else {
        return Ok(Box::new(stream));
    };
    let name = trust.name(door.address);
    let connection = ClientConnection::new(Arc::clone(&trust.config), name.clone());
    let mut connection = connection.map_err(io::Error::other)?;
    while connection.is_handshaking() {
        match connection.complete_io(&mut stream) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return Err(Refusal::HungUp.into());
            }
            Err(error) => {
                let refusal = error.get_ref().and_then(|inner| inner.downcast_ref());
                let refusal = refusal.map(|inner| Refusal::of_error(inner, &name));
                return Err(refusal.map_or(error, io::Error::from));
            }
        }
    }
    Ok(Box::new(StreamOwned::new(connection, stream)))
}

/// Returns why a server cannot be asked.
fn of_io(error: io::Error) -> AdminError {
    match Refusal::of_io(&error) {
        Some(refusal) => AdminError::Tls(refusal),
        None => AdminError::Connection(error),
    }
}
