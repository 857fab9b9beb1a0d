//! Questions of an operator to a running server, over its port for clients.

pub(crate) use connection::{Connection, encode};

mod connection;

use crate::resp::response::Response;
use crate::tls::{Refusal, Trust};
use connection::CONNECTING;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::thread;
use std::time::Instant;

/// The delay before a question is repeated.
const AGAIN: Duration = Duration::from_millis(100);

/// What the errors begin with that pass by themselves. Changes of the members can be repeated safely although the outcome
/// is unknown, as the number of a removed node is never used again.
const PASSING: [&str; 4] = ["TRYAGAIN ", "BUSY ", "CLUSTERDOWN ", "UNKNOWN "];

/// How a server is reached.
#[derive(Clone)]
pub struct Door {
    /// Its address for clients.
    pub address: SocketAddr,
    /// Whom to trust if it speaks TLS; `None` for plain text.
    pub trust: Option<Trust>,
    /// The password of its clients; `None` if there is none.
    pub password: Option<Vec<u8>>,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door")
            .field("address", &self.address)
            .field("trust", &self.trust)
            .finish_non_exhaustive()
    }
}

/// Why there is no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum AdminError {
    /// The server cannot be reached.
    Connection(io::Error),
    /// The server does not get through TLS, or does not speak it.
    Tls(Refusal),
    /// The server has closed the connection, or its answer is no RESP.
    NotRedis,
    /// The server has refused the question.
    Refused(String),
}

impl fmt::Display for AdminError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(error) => {
                write!(
                    f,
                    "{error}: name the address for clients of a running node with --connect"
                )
            }
            Self::Tls(Refusal::NoTls | Refusal::HungUp) => {
                f.write_str("what answers there does not speak TLS: leave out --tls-ca, or name another address")
            }
            Self::Tls(Refusal::OtherName(name)) => write!(
                f,
                "its certificate is not that of {name}: name one that it has with --tls-name"
            ),
            Self::Tls(Refusal::OtherAuthority) => f.write_str(
                "its certificate is not of this authority: name the ca.pem of its cluster with --tls-ca",
            ),
            Self::Tls(refusal) => refusal.fmt(f),
            Self::Refused(error) if error.starts_with("NOAUTH ") => {
                write!(f, "{error}: give the password with --password-file")
            }
            Self::Refused(error) if error.starts_with("ERR this port speaks TLS") => {
                f.write_str("it speaks TLS: name the ca.pem of its cluster with --tls-ca")
            }
            Self::NotRedis => f.write_str("what answers there is no server of this kind"),
            Self::Refused(error) => f.write_str(error),
        }
    }
}

impl core::error::Error for AdminError {}

/// Asks for a change of the members, and asks again for as long as what refuses it may pass, up to a time. Each reason that
/// differs from the last one is told to `waiting`.
///
/// # Errors
///
/// [`AdminError`]: what was wrong, or still is at the end of that time.
#[expect(
    clippy::disallowed_methods,
    reason = "whoever waits for others is bounded by the clock"
)]
pub fn change(
    (door, wait): (&Door, Duration),
    words: &[&str],
    mut waiting: impl FnMut(&str),
) -> Result<String, AdminError> {
    let end = Instant::now() + wait;
    let mut last = String::new();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match ask((door, left.max(CONNECTING)), words) {
            Err(AdminError::Refused(why))
                if PASSING.iter().any(|code| why.starts_with(code)) && left > AGAIN =>
            {
                if why != last {
                    waiting(&why);
                    last = why;
                }
                thread::sleep(AGAIN);
            }
            answer => return answer,
        }
    }
}

/// Sends one command, waits for the answer for up to a time, and returns it as lines of text.
///
/// # Errors
///
/// [`AdminError`]: what was wrong.
pub fn ask((door, wait): (&Door, Duration), words: &[&str]) -> Result<String, AdminError> {
    let answer = Connection::open(door, wait)?.ask(words)?;
    let mut text = String::new();
    lines(&answer, &mut text);
    Ok(text)
}

/// Appends an answer, one line for each of its parts.
fn lines(response: &Response, text: &mut String) {
    use core::fmt::Write;
    // A string takes everything.
    let _ = match response {
        Response::Map(entries) => {
            for (key, value) in entries {
                let (key, value) = (word(key), word(value));
                let _ = writeln!(text, "{key:<10} {value}");
            }
            return;
        }
        Response::Array(items) => {
            for item in items {
                lines(item, text);
            }
            return;
        }
        one => writeln!(text, "{}", word(one)),
    };
}

/// Returns a part of an answer as a word.
fn word(response: &Response) -> String {
    match response {
        Response::Status(text) | Response::Error(text) | Response::Number(text) => text.clone(),
        Response::Integer(number) => number.to_string(),
        Response::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Response::Boolean(flag) => flag.to_string(),
        Response::Nil | Response::Array(_) | Response::Map(_) | Response::Push(_) => String::new(),
    }
}
