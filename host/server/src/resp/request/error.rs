//! What is wrong with a request.

use super::{ARGUMENT_MAX, ARGUMENTS_MAX, DROPPED_MAX, REQUEST_MAX};
use crate::reply::Reply;
use core::error::Error;
use core::fmt;

/// Why a connection cannot go on: where the next request begins is not known, or it would not be worth waiting for. The
/// words are those of Redis wherever it has the same error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// The header of a request is no number, or announces more than [`ARGUMENTS_MAX`] arguments.
    InvalidCount,
    /// The header of an argument is no number, or is negative, or announces more than Redis takes.
    InvalidLength,
    /// A byte other than `$` is where the header of an argument should be.
    ExpectedLength(u8),
    /// The header of a request does not end.
    CountTooLong,
    /// The header of an argument does not end.
    LengthTooLong,
    /// The line of an inline command is longer than [`REQUEST_MAX`].
    LineTooLong,
    /// A quote of an inline command is not closed, or is followed by something other than a blank.
    UnbalancedQuotes,
    /// A request is longer than [`DROPPED_MAX`].
    TooLong,
    /// The client speaks HTTP.
    Http,
}

impl ProtocolError {
    /// Returns the last reply on the connection.
    pub fn reply(self) -> Reply {
        Reply::Error(format!("ERR Protocol error: {self}"))
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidCount => f.write_str("invalid multibulk length"),
            Self::InvalidLength => f.write_str("invalid bulk length"),
            Self::ExpectedLength(byte) => {
                write!(f, "expected '$', got '{}'", char::from(*byte))
            }
            Self::CountTooLong => f.write_str("too big mbulk count string"),
            Self::LengthTooLong => f.write_str("too big bulk count string"),
            Self::LineTooLong => f.write_str("too big inline request"),
            Self::UnbalancedQuotes => f.write_str("unbalanced quotes in request"),
            Self::TooLong => write!(f, "request is longer than {DROPPED_MAX} bytes"),
            Self::Http => f.write_str("request of HTTP"),
        }
    }
}

impl Error for ProtocolError {}

/// The limit that a request exceeds which was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oversize {
    /// [`ARGUMENTS_MAX`].
    Arguments,
    /// [`ARGUMENT_MAX`].
    Argument,
    /// [`REQUEST_MAX`].
    Request,
}

impl Oversize {
    /// Returns the reply to the request.
    pub fn reply(self) -> Reply {
        Reply::Error(format!("ERR {self}"))
    }
}

impl fmt::Display for Oversize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arguments => write!(f, "request has more than {ARGUMENTS_MAX} arguments"),
            Self::Argument => write!(f, "argument is longer than {ARGUMENT_MAX} bytes"),
            Self::Request => write!(f, "request is longer than {REQUEST_MAX} bytes"),
        }
    }
}
