//! The arguments of a command, as its reader sees them.

use super::CommandError;
use crate::op::{KEY_MAX, VALUE_MAX};
use crate::resp::{integer, unsigned};

/// A request whose command was found. Arguments count from 1, as the name of the command is 0; the name of a subcommand is
/// an argument.
#[derive(Clone, Copy)]
pub(super) struct Args<'r, 'a> {
    name: &'static str,
    request: &'r [&'a [u8]],
}

impl<'r, 'a> Args<'r, 'a> {
    /// Creates the view of a request for the command of this name.
    pub(super) fn new(name: &'static str, request: &'r [&'a [u8]]) -> Self {
        Self { name, request }
    }

    /// Returns the name of the command, as errors show it.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the error of a wrong number of arguments.
    pub(super) fn arity(&self) -> CommandError {
        CommandError::Arity(self.name)
    }

    /// Returns an argument.
    pub(super) fn get(&self, index: usize) -> Result<&'a [u8], CommandError> {
        self.request.get(index).copied().ok_or(self.arity())
    }

    /// Returns the arguments from `first` on.
    pub(super) fn from(&self, first: usize) -> &'r [&'a [u8]] {
        self.request.get(first..).unwrap_or_default()
    }

    /// Returns a key.
    pub(super) fn key(&self, index: usize) -> Result<&'a [u8], CommandError> {
        key(self.get(index)?)
    }

    /// Returns the keys from `first` on.
    pub(super) fn keys(&self, first: usize) -> Result<Vec<&'a [u8]>, CommandError> {
        self.from(first).iter().map(|bytes| key(bytes)).collect()
    }

    /// Returns a value.
    pub(super) fn value(&self, index: usize) -> Result<&'a [u8], CommandError> {
        value(self.get(index)?)
    }

    /// Returns an integer.
    pub(super) fn integer(&self, index: usize) -> Result<i64, CommandError> {
        integer(self.get(index)?).ok_or(CommandError::NotAnInteger)
    }

    /// Returns an integer that is not negative.
    pub(super) fn unsigned(&self, index: usize) -> Result<u64, CommandError> {
        unsigned(self.get(index)?).ok_or(CommandError::NotAnInteger)
    }
}

/// Checks the length of a key.
pub(super) fn key(bytes: &[u8]) -> Result<&[u8], CommandError> {
    at_most(bytes, "key", KEY_MAX)
}

/// Checks the length of a value.
pub(super) fn value(bytes: &[u8]) -> Result<&[u8], CommandError> {
    at_most(bytes, "value", VALUE_MAX)
}

/// Checks the length of a pattern, which needs not be longer than the keys that it is to match.
pub(super) fn pattern(bytes: &[u8]) -> Result<&[u8], CommandError> {
    at_most(bytes, "pattern", KEY_MAX)
}

/// Checks a length.
fn at_most<'a>(bytes: &'a [u8], what: &'static str, max: usize) -> Result<&'a [u8], CommandError> {
    if bytes.len() <= max {
        Ok(bytes)
    } else {
        Err(CommandError::TooLong { what, max })
    }
}

/// Returns whether an argument is this word, in any case.
pub(super) fn is(arg: &[u8], word: &str) -> bool {
    arg.eq_ignore_ascii_case(word.as_bytes())
}

/// Returns at most `max` bytes as text for an error. A zero byte ends the text, as in Redis.
pub(super) fn shown(bytes: &[u8], max: usize) -> String {
    let end = bytes.iter().position(|byte| *byte == 0);
    let len = end.unwrap_or(bytes.len()).min(max);
    String::from_utf8_lossy(bytes.get(..len).unwrap_or_default()).into_owned()
}
