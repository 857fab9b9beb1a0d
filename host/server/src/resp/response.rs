//! The parser of replies, in RESP2 and RESP3, for programs that ask: benchmarks and tests.
//!
//! A reply that has arrived in part is parsed from its beginning once there is more of it, so callers should read as much as
//! there is before each call. Depth and lengths are bounded.

#[cfg(test)]
mod tests;

use super::integer;
use core::error::Error;
use core::fmt;

/// The greatest depth of lists within lists.
pub const DEPTH_MAX: usize = 8;
/// The longest string, in bytes.
pub const STRING_MAX: usize = 64 * 1_024 * 1_024;
/// The greatest number of items of a list.
pub const ITEMS_MAX: usize = 1_024 * 1_024;
/// The longest line, in bytes.
const LINE_MAX: usize = 64 * 1_024;

/// A reply as a client reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// A short status, such as `OK`.
    Status(String),
    /// An error. The text begins with its code in upper case, such as `ERR`.
    Error(String),
    /// An integer.
    Integer(i64),
    /// A string of bytes. The format of a verbatim string is left out.
    Bulk(Vec<u8>),
    /// No value.
    Nil,
    /// True or false.
    Boolean(bool),
    /// A number that is no integer of 64 bits, as text.
    Number(String),
    /// An array or a set.
    Array(Vec<Self>),
    /// Pairs of a key and a value.
    Map(Vec<(Self, Self)>),
    /// A message that answers no request.
    Push(Vec<Self>),
}

/// Why bytes are no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseError {
    /// A reply begins with this byte, which no known kind of reply does.
    Mark(u8),
    /// A length or a value does not have the form of its kind.
    Form,
    /// A length is greater than [`STRING_MAX`] or [`ITEMS_MAX`], or a line is too long.
    Length,
    /// There are more lists within lists than [`DEPTH_MAX`].
    Depth,
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mark(mark) => write!(f, "no reply begins with the byte {mark:#04x}"),
            Self::Form => f.write_str("a length or a value is malformed"),
            Self::Length => f.write_str("a length is too great"),
            Self::Depth => f.write_str("lists are nested too deeply"),
        }
    }
}

impl Error for ResponseError {}

/// Parses the reply at the front of `buffer`. Returns it with its length, or `None` if it is not complete.
///
/// # Errors
///
/// [`ResponseError`]: where the next reply begins is not known.
pub fn parse(buffer: &[u8]) -> Result<Option<(Response, usize)>, ResponseError> {
    let mut input = Input { rest: buffer };
    match input.response(DEPTH_MAX) {
        Ok(response) => Ok(Some((response, buffer.len() - input.rest.len()))),
        Err(Stop::Incomplete) => Ok(None),
        Err(Stop::Error(error)) => Err(error),
    }
}

/// Why the parser stops before the end of a reply.
enum Stop {
    /// More bytes have to come.
    Incomplete,
    /// The bytes are no reply.
    Error(ResponseError),
}

impl From<ResponseError> for Stop {
    fn from(error: ResponseError) -> Self {
        Self::Error(error)
    }
}

/// What is not parsed yet.
struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    /// Parses a reply, in which lists may be nested to `depth`.
    fn response(&mut self, depth: usize) -> Result<Response, Stop> {
        let [mark, rest @ ..] = self.rest else {
            return Err(Stop::Incomplete);
        };
        self.rest = rest;
        let line = self.line()?;
        Ok(match mark {
            b'+' => Response::Status(text(line)),
            b'-' => Response::Error(text(line)),
            b':' => Response::Integer(integer(line).ok_or(ResponseError::Form)?),
            b',' | b'(' => Response::Number(text(line)),
            b'_' => Response::Nil,
            b'#' => Response::Boolean(match line {
                b"t" => true,
                b"f" => false,
                _ => return Err(ResponseError::Form.into()),
            }),
            b'$' => match length(line, STRING_MAX)? {
                Some(len) => Response::Bulk(self.string(len)?.to_vec()),
                None => Response::Nil,
            },
            b'!' => Response::Error(text(self.known_string(line)?)),
            b'=' => match self.known_string(line)? {
                [_, _, _, b':', string @ ..] => Response::Bulk(string.to_vec()),
                _ => return Err(ResponseError::Form.into()),
            },
            b'*' => match length(line, ITEMS_MAX)? {
                Some(len) => Response::Array(self.items(len, depth)?),
                None => Response::Nil,
            },
            b'~' => Response::Array(self.known_items(line, depth)?),
            b'>' => Response::Push(self.known_items(line, depth)?),
            b'%' => Response::Map(self.pairs(line, depth)?),
            other => return Err(ResponseError::Mark(*other).into()),
        })
    }

    /// Takes a line, without its end.
    fn line(&mut self) -> Result<&'a [u8], Stop> {
        let end = self
            .rest
            .windows(2)
            .take(LINE_MAX)
            .position(|pair| pair == b"\r\n");
        match end.and_then(|end| self.rest.split_at_checked(end)) {
            Some((line, rest)) => {
                self.rest = rest.get(2..).unwrap_or_default();
                Ok(line)
            }
            None if self.rest.len() > LINE_MAX => Err(ResponseError::Length.into()),
            None => Err(Stop::Incomplete),
        }
    }

    /// Takes a string of `len` bytes and the end of its line.
    fn string(&mut self, len: usize) -> Result<&'a [u8], Stop> {
        match self.rest.split_at_checked(len) {
            Some((string, [b'\r', b'\n', rest @ ..])) => {
                self.rest = rest;
                Ok(string)
            }
            Some((_, end)) if !b"\r\n".starts_with(end) => Err(ResponseError::Form.into()),
            _ => Err(Stop::Incomplete),
        }
    }

    /// Takes a string whose header is `line`, and which is there.
    fn known_string(&mut self, line: &[u8]) -> Result<&'a [u8], Stop> {
        let len = length(line, STRING_MAX)?.ok_or(ResponseError::Form)?;
        self.string(len)
    }

    /// Takes `len` replies. Room is taken for those that are there, not for those that are announced.
    fn items(&mut self, len: usize, depth: usize) -> Result<Vec<Response>, Stop> {
        let depth = depth.checked_sub(1).ok_or(ResponseError::Depth)?;
        (0..len).map(|_| self.response(depth)).collect()
    }

    /// Takes the items of a list whose header is `line`, and which is there.
    fn known_items(&mut self, line: &[u8], depth: usize) -> Result<Vec<Response>, Stop> {
        let len = length(line, ITEMS_MAX)?.ok_or(ResponseError::Form)?;
        self.items(len, depth)
    }

    /// Takes the pairs of a map whose header is `line`.
    fn pairs(&mut self, line: &[u8], depth: usize) -> Result<Vec<(Response, Response)>, Stop> {
        let len = length(line, ITEMS_MAX)?.ok_or(ResponseError::Form)?;
        let depth = depth.checked_sub(1).ok_or(ResponseError::Depth)?;
        (0..len)
            .map(|_| Ok((self.response(depth)?, self.response(depth)?)))
            .collect()
    }
}

/// Reads a length; `None` for −1, which stands for no value in RESP2.
fn length(line: &[u8], max: usize) -> Result<Option<usize>, ResponseError> {
    match integer(line) {
        Some(-1) => Ok(None),
        Some(len) => match usize::try_from(len) {
            Ok(len) if len <= max => Ok(Some(len)),
            Ok(_) => Err(ResponseError::Length),
            Err(_) => Err(ResponseError::Form),
        },
        None => Err(ResponseError::Form),
    }
}

/// Returns a line as text.
fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}
