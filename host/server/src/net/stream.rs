//! A connection in plain text or in TLS, which never waits.
//!
//! What is written to it in TLS is at most one record ahead of what the system has taken, so that a slow reader holds no
//! more memory than one record beside the buffers of its owner.

use crate::tls::Refusal;
use core::net::SocketAddr;
use mio::net::TcpStream;
use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

/// The most that is written at a time, in bytes: one record of TLS.
const RECORD: usize = 16 * 1024;
/// How a handshake of TLS begins: a record of that kind, and the version of all records.
const HANDSHAKE: [u8; 2] = [0x16, 0x03];

/// A connection.
#[derive(Debug)]
pub(crate) struct Stream {
    socket: TcpStream,
    tls: Option<Box<Tls>>,
    /// True until something has arrived on a connection that somebody else has dialled.
    is_fresh: bool,
    /// True unless the last read has taken everything that had arrived.
    has_more: bool,
}

#[derive(Debug)]
struct Tls {
    connection: Connection,
    /// The name that the other side must prove in the handshake.
    name: Option<ServerName<'static>>,
    /// True if the last read of the socket has emptied it.
    is_emptied: bool,
}

impl Stream {
    /// Wraps a connection that somebody else has dialled.
    ///
    /// # Errors
    ///
    /// The settings of TLS cannot be used.
    pub(crate) fn accepted(socket: TcpStream, tls: Option<&Arc<ServerConfig>>) -> io::Result<Self> {
        let tls = tls.map(|config| {
            let connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
            Ok::<_, io::Error>(Tls::new(connection.into(), None))
        });
        Ok(Self::new(socket, tls.transpose()?, true))
    }

    /// Wraps a connection that was dialled, whose other side must prove this name.
    ///
    /// # Errors
    ///
    /// The settings of TLS cannot be used.
    pub(crate) fn dialled(
        socket: TcpStream,
        tls: Option<(&Arc<ClientConfig>, ServerName<'static>)>,
    ) -> io::Result<Self> {
        let tls = tls.map(|(config, name)| {
            let connection = ClientConnection::new(Arc::clone(config), name.clone());
            let connection = connection.map_err(io::Error::other)?;
            Ok::<_, io::Error>(Tls::new(connection.into(), Some(name)))
        });
        Ok(Self::new(socket, tls.transpose()?, false))
    }

    fn new(socket: TcpStream, tls: Option<Tls>, is_fresh: bool) -> Self {
        Self {
            socket,
            tls: tls.map(Box::new),
            is_fresh,
            has_more: true,
        }
    }

    /// Returns the connection below.
    #[cfg(test)]
    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Returns the address of the other side.
    pub(crate) fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr()
    }

    /// True while both sides have not yet proved who they are.
    pub(crate) fn is_handshaking(&self) -> bool {
        let tls = self.tls.as_ref();
        tls.is_some_and(|tls| tls.connection.is_handshaking())
    }

    /// True if the system has taken everything that was written.
    pub(crate) fn is_flushed(&self) -> bool {
        let tls = self.tls.as_ref();
        tls.is_none_or(|tls| !tls.connection.wants_write())
    }

    /// True unless the last read has taken everything that had arrived, so that an event tells of what follows.
    pub(crate) fn has_more(&self) -> bool {
        self.has_more
    }

    /// Goes on with the handshake. Returns true once it is done.
    ///
    /// # Errors
    ///
    /// The connection is of no more use; [`Refusal::of_io`] says whether and why the other side is refused.
    pub(crate) fn handshake(&mut self) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else {
            return Ok(true);
        };
        while tls.connection.is_handshaking() {
            match tls.receive(&mut self.socket) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Returns why the other side is refused that says it is `name`. Without TLS everybody is believed.
    pub(crate) fn refusal_as(&self, name: &ServerName<'_>) -> Option<Refusal> {
        let tls = self.tls.as_ref()?;
        let Some([own, ..]) = tls.connection.peer_certificates() else {
            return Some(Refusal::NoCertificate);
        };
        let proved = ParsedCertificate::try_from(own)
            .and_then(|certificate| verify_server_name(&certificate, name));
        proved.err().map(|error| Refusal::of_error(&error, name))
    }

    /// Says something in plain text to somebody who does not speak TLS. Best effort.
    pub(crate) fn say_in_plain_text(&mut self, bytes: &[u8]) {
        let _ = self.socket.write(bytes);
    }

    fn read_plain(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.socket.read(bytes)?;
        self.has_more = count == bytes.len();
        if core::mem::take(&mut self.is_fresh)
            && bytes.starts_with(&HANDSHAKE)
            && count >= HANDSHAKE.len()
        {
            return Err(Refusal::Tls.into());
        }
        Ok(count)
    }
}

impl Tls {
    fn new(mut connection: Connection, name: Option<ServerName<'static>>) -> Self {
        connection.set_buffer_limit(Some(RECORD));
        Self {
            connection,
            name,
            is_emptied: false,
        }
    }

    /// Reads once from the socket, and answers what belongs to the handshake.
    fn receive(&mut self, socket: &mut TcpStream) -> io::Result<()> {
        self.send_what_fits(socket)?;
        let mut counted = Counted {
            socket,
            is_emptied: false,
        };
        let count = self.connection.read_tls(&mut counted)?;
        self.is_emptied = counted.is_emptied;
        if count == 0 && self.connection.is_handshaking() {
            return Err(Refusal::HungUp.into());
        }
        let processed = self.connection.process_new_packets();
        let refusal = processed.err().map(|error| match &self.name {
            Some(name) => Refusal::of_error(&error, name),
            None => Refusal::of_any(&error),
        });
        match refusal {
            None => self.send_what_fits(socket),
            Some(refusal) => {
                // An alert, which only those understand who speak TLS. They may be gone.
                if refusal != Refusal::NoTls {
                    let _ = self.send(socket);
                }
                Err(refusal.into())
            }
        }
    }

    /// Sends what waits, as far as the socket takes it.
    fn send_what_fits(&mut self, socket: &mut TcpStream) -> io::Result<()> {
        match self.send(socket) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            sent => sent,
        }
    }

    /// Sends everything that waits.
    fn send(&mut self, socket: &mut TcpStream) -> io::Result<()> {
        while self.connection.wants_write() {
            match self.connection.write_tls(socket) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads what has arrived. Returns also whether there may be more.
    fn read(&mut self, socket: &mut TcpStream, bytes: &mut [u8]) -> io::Result<(usize, bool)> {
        let mut has_received = false;
        loop {
            match self.connection.reader().read(bytes) {
                Ok(count) => return Ok((count, count == bytes.len() || !self.is_emptied)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // Whoever does not say goodbye has closed the connection all the same: frames and commands say their lengths.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok((0, false)),
                Err(error) => return Err(error),
            }
            if has_received && self.is_emptied {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.receive(socket)?;
            has_received = true;
        }
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return self.read_plain(bytes);
        };
        let (count, has_more) = tls.read(&mut self.socket, bytes)?;
        self.has_more = has_more;
        Ok(count)
    }
}

impl Write for Stream {
    /// Takes at most one record, and only once the system has all before it.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return self.socket.write(bytes);
        };
        if tls.connection.is_handshaking() {
            return Err(ErrorKind::WouldBlock.into());
        }
        tls.send(&mut self.socket)?;
        let record = bytes.get(..RECORD).unwrap_or(bytes);
        let count = tls.connection.writer().write(record)?;
        tls.send_what_fits(&mut self.socket)?;
        Ok(count)
    }

    /// Hands everything to the system; an error of the kind [`ErrorKind::WouldBlock`] if it does not take it yet.
    fn flush(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            return Ok(());
        };
        tls.send(&mut self.socket)
    }
}

impl Drop for Stream {
    /// Says goodbye, so that the other side can tell the end from a cut.
    fn drop(&mut self) {
        if let Some(tls) = &mut self.tls
            && !tls.connection.is_handshaking()
        {
            tls.connection.send_close_notify();
            let _ = tls.send(&mut self.socket);
        }
    }
}

/// A socket that notes whether a read has emptied it.
struct Counted<'a> {
    socket: &'a mut TcpStream,
    is_emptied: bool,
}

impl Read for Counted<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.socket.read(bytes)?;
        self.is_emptied = count < bytes.len();
        Ok(count)
    }
}
