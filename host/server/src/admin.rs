//! Questions of an operator to a running server, over its port for clients.

use crate::resp::response::{self, Response};
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

/// How long the server may take to accept a connection.
const CONNECTING: Duration = Duration::from_secs(10);

/// The delay before a question is repeated.
const AGAIN: Duration = Duration::from_millis(100);

/// What the errors begin with that pass by themselves. Changes of the members can be repeated safely although the outcome
/// is unknown, as the number of a removed node is never used again.
const PASSING: [&str; 4] = ["TRYAGAIN ", "BUSY ", "CLUSTERDOWN ", "UNKNOWN "];

/// Why there is no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum AdminError {
    /// The server cannot be reached.
    Connection(io::Error),
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
    (address, wait): (SocketAddr, Duration),
    words: &[&str],
    mut waiting: impl FnMut(&str),
) -> Result<String, AdminError> {
    let end = Instant::now() + wait;
    let mut last = String::new();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match ask((address, left.max(CONNECTING)), words) {
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
pub fn ask((address, wait): (SocketAddr, Duration), words: &[&str]) -> Result<String, AdminError> {
    let mut stream =
        TcpStream::connect_timeout(&address, CONNECTING).map_err(AdminError::Connection)?;
    let mut request = command(&["HELLO", "3"]);
    request.extend(command(words));
    let asked = stream
        .set_read_timeout(Some(wait))
        .and_then(|()| stream.write_all(&request));
    asked.map_err(AdminError::Connection)?;
    let mut answers = Answers {
        stream,
        bytes: Vec::new(),
    };
    let refused = |response| match response {
        Response::Error(error) => Err(AdminError::Refused(error)),
        response => Ok(response),
    };
    refused(answers.next()?)?;
    let mut text = String::new();
    lines(&refused(answers.next()?)?, &mut text);
    Ok(text)
}

/// Encodes a command as an array of strings.
fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
    }
    bytes
}

/// The answers of a server.
struct Answers {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Answers {
    fn next(&mut self) -> Result<Response, AdminError> {
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
