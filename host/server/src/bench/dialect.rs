//! The protocol that is spoken with a server, on one connection. Nothing here does input or output.

use super::workload::{Request, push_key_text};
use crate::resp::response::{self, Response};
use core::fmt;
use std::io::Write;

/// A protocol as one connection speaks it.
pub trait Dialect: fmt::Debug {
    /// The name of the protocol.
    const NAME: &'static str;

    /// Appends what a connection begins with. Returns how many answers to it come before the first one to a request.
    fn open(&mut self, out: &mut Vec<u8>) -> usize;

    /// Appends a request.
    fn ask(&mut self, request: Request<'_>, out: &mut Vec<u8>);

    /// Takes what is complete at the front of `input`; `None` if nothing is. What the protocol has to say to it at once is
    /// appended to `out`.
    ///
    /// # Errors
    ///
    /// [`Garbled`]: the input is not of this protocol.
    fn take(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Option<Taken>, Garbled>;
}

/// What was taken from the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its length, in bytes.
    pub len: usize,
    /// How many requests that are not answered were made before the one that it answers.
    pub turn: usize,
    /// The answer that it is; `None` if it answers no request.
    pub answer: Option<Answer>,
}

/// An answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was done.
    Done,
    /// It was done, and there was no value to read.
    Missing,
    /// It was refused, with this text.
    Refused(String),
}

/// The input is not of the protocol that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Garbled;

/// RESP, in version 2: Synod, Redis and its relatives.
#[derive(Clone, Debug, Default)]
pub struct Resp {
    password: Option<Vec<u8>>,
}

impl Resp {
    /// Returns a connection that begins with this password.
    pub fn new(password: Option<Vec<u8>>) -> Self {
        Self { password }
    }
}

impl Dialect for Resp {
    const NAME: &'static str = "RESP";

    fn open(&mut self, out: &mut Vec<u8>) -> usize {
        let mut answers = 1;
        if let Some(password) = &self.password {
            answers += 1;
            out.extend_from_slice(b"*2\r\n$4\r\nAUTH\r\n");
            push_bulk(password, out);
        }
        // Whoever answers it speaks the protocol.
        out.extend_from_slice(b"*1\r\n$4\r\nPING\r\n");
        answers
    }

    fn ask(&mut self, request: Request<'_>, out: &mut Vec<u8>) {
        match request {
            Request::Set { key, value } => {
                out.extend_from_slice(b"*3\r\n$3\r\nSET\r\n");
                push_key(*b"bench:v:", key, out);
                push_bulk(value, out);
            }
            Request::Get { key } => {
                out.extend_from_slice(b"*2\r\n$3\r\nGET\r\n");
                push_key(*b"bench:v:", key, out);
            }
            // Counters have keys of their own, as values are no numbers.
            Request::Incr { key } => {
                out.extend_from_slice(b"*2\r\n$4\r\nINCR\r\n");
                push_key(*b"bench:n:", key, out);
            }
        }
    }

    fn take(&mut self, input: &[u8], _out: &mut Vec<u8>) -> Result<Option<Taken>, Garbled> {
        let Some((response, len)) = response::parse(input).map_err(|_| Garbled)? else {
            return Ok(None);
        };
        let answer = match response {
            Response::Error(text) => Some(Answer::Refused(text)),
            Response::Nil => Some(Answer::Missing),
            Response::Push(_) => None,
            _ => Some(Answer::Done),
        };
        // Answers come in the order of the requests.
        let turn = 0;
        Ok(Some(Taken { len, turn, answer }))
    }
}

/// Appends a key.
fn push_key(prefix: [u8; 8], key: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"$20\r\n");
    push_key_text(prefix, key, out);
    out.extend_from_slice(b"\r\n");
}

/// Appends a string.
fn push_bulk(bytes: &[u8], out: &mut Vec<u8>) {
    // A vector takes everything.
    let _ = write!(out, "${}\r\n", bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_commands_of_redis() {
        let mut out = Vec::new();
        let mut resp = Resp::new(Some(b"secret".to_vec()));
        assert_eq!(resp.open(&mut out), 2);
        let value = b"open";
        resp.ask(Request::Set { key: 7, value }, &mut out);
        resp.ask(Request::Get { key: 7 }, &mut out);
        resp.ask(Request::Incr { key: 42 }, &mut out);
        let expected = "*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n*1\r\n$4\r\nPING\r\n\
             *3\r\n$3\r\nSET\r\n$20\r\nbench:v:000000000007\r\n$4\r\nopen\r\n\
             *2\r\n$3\r\nGET\r\n$20\r\nbench:v:000000000007\r\n\
             *2\r\n$4\r\nINCR\r\n$20\r\nbench:n:000000000042\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn replies_are_told_apart() {
        let take = |input: &[u8]| Resp::default().take(input, &mut Vec::new());
        let answer = |input: &[u8]| take(input).unwrap().unwrap().answer;
        assert_eq!(answer(b"+OK\r\n"), Some(Answer::Done));
        assert_eq!(answer(b"$4\r\nopen\r\n"), Some(Answer::Done));
        assert_eq!(answer(b"$-1\r\n"), Some(Answer::Missing));
        let refused = Answer::Refused("ERR no".to_owned());
        assert_eq!(answer(b"-ERR no\r\n"), Some(refused));
        assert_eq!(answer(b">1\r\n+x\r\n"), None);
        assert_eq!(take(b":12\r"), Ok(None));
        assert_eq!(take(b"HTTP/1.1 400\r\n"), Err(Garbled));
    }
}
