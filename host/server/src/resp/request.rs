//! The parser of requests: arrays of bulk strings, and inline commands, which are lines of words.
//!
//! The grammar of requests is flat, a header and strings with their lengths before them, and what a client claims has to be
//! bounded at its header, before the bytes that it announces are kept. A general codec of RESP parses nested values of any
//! kind and bounds them once they are there. So requests are parsed here.
//!
//! [`Parser`] keeps its place between calls: what was parsed is not parsed again when more bytes have come, and only a header
//! of a few bytes is. The work for a request is linear in its bytes, also when they come one at a time.
//!
//! A request within the limits is handed out whole. One that exceeds them by a little is dropped as it comes, and the
//! connection can go on ([`Parsed::Oversized`]). Anything else is a [`ProtocolError`].

mod error;
mod inline;
#[cfg(test)]
mod tests;

pub use error::{Oversize, ProtocolError};

use super::integer;
use core::mem;
use core::ops::Range;

/// The greatest number of arguments of a request, the name of its command included.
pub const ARGUMENTS_MAX: usize = 1_024;
/// The longest argument, in bytes.
pub const ARGUMENT_MAX: usize = 1_024;
/// The longest request, in bytes with its headers, and the longest line of an inline command.
pub const REQUEST_MAX: usize = 64 * 1_024;
/// The longest request that is dropped as it comes, in bytes. A longer one ends the connection.
pub const DROPPED_MAX: usize = 1_024 * 1_024;
/// The longest string that Redis takes, in bytes. A length above it is refused with the same words as there.
const BULK_MAX: usize = 512 * 1_024 * 1_024;
/// What a parser keeps room for between requests: arguments, and bytes of an inline command.
const KEPT_MAX: (usize, usize) = (32, 1_024);
/// The longest header without the end of its line: a mark, a sign and nineteen digits fit well.
const HEADER_MAX: usize = 32;

/// What the parser found in a buffer. In every case, the first `consumed` bytes of the buffer are not needed any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// No complete request: more bytes have to come.
    Incomplete {
        /// The bytes to remove from the front of the buffer.
        consumed: usize,
    },
    /// A request.
    Request {
        /// The name of the command and its arguments: at least one.
        args: Vec<&'a [u8]>,
        /// The bytes to remove from the front of the buffer, once the request was handled.
        consumed: usize,
    },
    /// The end of a request that was too large, and was dropped. It is to be answered with an error.
    Oversized {
        /// The limit that it exceeded first.
        limit: Oversize,
        /// The bytes to remove from the front of the buffer.
        consumed: usize,
    },
}

/// The parser of the requests of one connection. It keeps its place in a request that has arrived in part.
#[derive(Debug, Default)]
pub struct Parser {
    state: State,
    /// The place in the buffer up to which everything is parsed.
    position: usize,
    /// The bytes of the request so far, and of the argument whose length was read last.
    total: usize,
    /// The arguments so far: ranges of the buffer, or of `words` for an inline command.
    arguments: Vec<Range<usize>>,
    /// The words of an inline command, without quotes and escapes.
    words: Vec<u8>,
    /// The limit that the request exceeds, after which it is dropped as it comes.
    oversize: Option<Oversize>,
}

/// What comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// A request.
    #[default]
    Start,
    /// The line of an inline command, in which no end was found in the first `searched` bytes.
    Line { searched: usize },
    /// The length of an argument, of which so many are missing; none at the end of a request.
    Length { missing: usize },
    /// The bytes of an argument and the end of its line, `len` in all, after which so many arguments are missing.
    Argument { missing: usize, len: usize },
}

/// What a step of the parser comes to.
enum Step {
    /// The state has changed.
    Next,
    /// More bytes have to come.
    More,
    /// The request ends here. Its arguments are in the buffer.
    End,
    /// The inline command ends here. Its arguments are in `words`.
    EndOfLine,
}

impl Parser {
    /// Looks for one request in `buffer`. What the call says to be consumed must be removed from the front of the buffer
    /// before the next call, and more bytes may only be appended. The buffer never has to hold more than
    /// [`REQUEST_MAX`] bytes and a header for the parser to go on.
    ///
    /// # Errors
    ///
    /// [`ProtocolError`]: the connection must be closed after the reply of the error. The parser is not used again.
    pub fn parse<'a>(&'a mut self, buffer: &'a [u8]) -> Result<Parsed<'a>, ProtocolError> {
        loop {
            let in_words = match self.step(buffer)? {
                Step::Next => continue,
                Step::More => {
                    return Ok(Parsed::Incomplete {
                        consumed: self.release(),
                    });
                }
                Step::End => false,
                Step::EndOfLine => true,
            };
            self.state = State::Start;
            self.total = 0;
            if let Some(limit) = self.oversize.take() {
                self.arguments.clear();
                return Ok(Parsed::Oversized {
                    limit,
                    consumed: mem::take(&mut self.position),
                });
            }
            // An empty line or an empty array: there is nothing to reply to.
            if self.arguments.is_empty() {
                continue;
            }
            return self.request(buffer, in_words);
        }
    }

    /// Hands out the request whose arguments are complete.
    fn request<'a>(
        &'a mut self,
        buffer: &'a [u8],
        in_words: bool,
    ) -> Result<Parsed<'a>, ProtocolError> {
        let bytes = if in_words { &self.words } else { buffer };
        let args: Vec<_> = self
            .arguments
            .drain(..)
            .map(|range| bytes.get(range).unwrap_or_default())
            .collect();
        // The first line or a header of a request of HTTP: a browser was talked into sending commands.
        let is_http = |name: &&[u8]| {
            name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
        };
        if args.first().is_some_and(is_http) {
            return Err(ProtocolError::Http);
        }
        let consumed = mem::take(&mut self.position);
        Ok(Parsed::Request { args, consumed })
    }

    /// Returns how many bytes at the front of the buffer no argument is in. Between requests, gives back most of the room
    /// that a large one took, as connections are many and mostly idle.
    fn release(&mut self) -> usize {
        if self.state == State::Start {
            let (arguments, words) = KEPT_MAX;
            self.arguments.shrink_to(arguments);
            self.words.clear();
            self.words.shrink_to(words);
        }
        if self.arguments.is_empty() {
            mem::take(&mut self.position)
        } else {
            0
        }
    }

    /// Parses the next part of a request.
    fn step(&mut self, buffer: &[u8]) -> Result<Step, ProtocolError> {
        let rest = buffer.get(self.position..).unwrap_or_default();
        match self.state {
            State::Start => match rest {
                [] => Ok(Step::More),
                [b'*', ..] => self.count(rest),
                _ => {
                    self.state = State::Line { searched: 0 };
                    Ok(Step::Next)
                }
            },
            State::Line { searched } => self.line(rest, searched),
            State::Length { missing: 0 } => Ok(Step::End),
            State::Length { missing } => self.length(rest, missing),
            State::Argument { missing, len } => Ok(self.argument(rest, missing, len)),
        }
    }

    /// Parses the header of a request, `*3`: the number of its arguments.
    fn count(&mut self, rest: &[u8]) -> Result<Step, ProtocolError> {
        let Some(header) = header(rest, ProtocolError::CountTooLong)? else {
            return Ok(Step::More);
        };
        let count = number(header).ok_or(ProtocolError::InvalidCount)?;
        // Redis takes a negative number for an empty request.
        let missing = usize::try_from(count).unwrap_or(0);
        if missing > ARGUMENTS_MAX {
            return Err(ProtocolError::InvalidCount);
        }
        self.advance(header.len() + 2);
        self.state = State::Length { missing };
        Ok(Step::Next)
    }

    /// Parses the header of an argument, `$5`: its length.
    fn length(&mut self, rest: &[u8], missing: usize) -> Result<Step, ProtocolError> {
        match rest {
            [] => return Ok(Step::More),
            [b'$', ..] => {}
            [other, ..] => return Err(ProtocolError::ExpectedLength(*other)),
        }
        let Some(header) = header(rest, ProtocolError::LengthTooLong)? else {
            return Ok(Step::More);
        };
        let len = number(header)
            .and_then(|len| usize::try_from(len).ok())
            .filter(|len| *len <= BULK_MAX)
            .ok_or(ProtocolError::InvalidLength)?;
        self.advance(header.len() + 2);
        self.total += len + 2;
        if self.total > DROPPED_MAX {
            return Err(ProtocolError::TooLong);
        }
        if len > ARGUMENT_MAX {
            self.drop_rest(Oversize::Argument);
        } else if self.total > REQUEST_MAX {
            self.drop_rest(Oversize::Request);
        }
        self.state = State::Argument {
            missing: missing - 1,
            len: len + 2,
        };
        Ok(Step::Next)
    }

    /// Takes an argument, or as much as there is of one that is dropped. The two bytes after it are not looked at, as in
    /// Redis.
    fn argument(&mut self, rest: &[u8], missing: usize, len: usize) -> Step {
        if rest.len() >= len {
            if self.oversize.is_none() {
                self.arguments.push(self.position..self.position + len - 2);
            }
            self.position += len;
            self.state = State::Length { missing };
            return Step::Next;
        }
        if self.oversize.is_some() {
            self.position += rest.len();
            self.state = State::Argument {
                missing,
                len: len - rest.len(),
            };
        }
        Step::More
    }

    /// Parses the line of an inline command.
    fn line(&mut self, rest: &[u8], searched: usize) -> Result<Step, ProtocolError> {
        let new = rest.get(searched..).unwrap_or_default();
        let end = new.iter().position(|byte| *byte == b'\n');
        let len = searched + end.unwrap_or(new.len());
        if len > REQUEST_MAX {
            return Err(ProtocolError::LineTooLong);
        }
        if end.is_none() {
            self.state = State::Line { searched: len };
            return Ok(Step::More);
        }
        let line = rest.get(..len).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.words.clear();
        inline::split(line, &mut self.words, &mut self.arguments)?;
        self.position += len + 1;
        if self.arguments.len() > ARGUMENTS_MAX {
            self.drop_rest(Oversize::Arguments);
        } else if self.arguments.iter().any(|word| word.len() > ARGUMENT_MAX) {
            self.drop_rest(Oversize::Argument);
        }
        Ok(Step::EndOfLine)
    }

    /// Passes a header.
    fn advance(&mut self, len: usize) {
        self.position += len;
        self.total += len;
    }

    /// Drops the request, what is there and what will come of it.
    fn drop_rest(&mut self, limit: Oversize) {
        self.oversize.get_or_insert(limit);
        self.arguments.clear();
    }
}

/// Returns the header at the front of `rest` without the end of its line, if the line is complete. What follows the
/// carriage return is not looked at, as in Redis.
fn header(rest: &[u8], too_long: ProtocolError) -> Result<Option<&[u8]>, ProtocolError> {
    let end = rest.iter().take(HEADER_MAX).position(|byte| *byte == b'\r');
    match end {
        Some(end) if rest.len() >= end + 2 => Ok(rest.get(..end)),
        None if rest.len() >= HEADER_MAX => Err(too_long),
        _ => Ok(None),
    }
}

/// Returns the number after the mark of a header.
fn number(header: &[u8]) -> Option<i64> {
    integer(header.get(1..)?)
}
