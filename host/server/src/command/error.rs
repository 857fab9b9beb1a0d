//! Errors of commands.

use crate::reply::Reply;
use core::error::Error;
use core::fmt;
use std::borrow::Cow;

/// Why a command is not executed. [`Display`](fmt::Display) gives the text of the reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// There is no command or subcommand of this name. The text says which.
    Unknown(String),
    /// The command takes another number of arguments.
    Arity(&'static str),
    /// The client has to authenticate itself first.
    NotAuthenticated,
    /// The command cannot be a part of a transaction.
    InTransaction,
    /// Something is longer than the keyspace or a batch can hold.
    TooLong {
        /// What is too long.
        what: &'static str,
        /// The greatest length, in bytes.
        max: usize,
    },
    /// An option is unknown, misplaced, or contradicts another one.
    Syntax,
    /// A number is expected.
    NotAnInteger,
    /// A time to expire at is not positive or too far away. The command is named.
    ExpireTime(&'static str),
    /// Any other error; the text of the reply.
    Other(Cow<'static, str>),
}

impl CommandError {
    /// Creates an error of a text that begins with its code.
    pub(super) fn other(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Other(text.into())
    }

    /// Returns whether the command is refused before it is looked at closely, which dooms a transaction. Any other error is
    /// the reply of this command alone, and the rest of the transaction is executed, as in Redis.
    pub fn dooms_transaction(&self) -> bool {
        match self {
            Self::Unknown(_)
            | Self::Arity(_)
            | Self::NotAuthenticated
            | Self::InTransaction
            | Self::TooLong { .. } => true,
            Self::Syntax | Self::NotAnInteger | Self::ExpireTime(_) | Self::Other(_) => false,
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(text) => write!(f, "ERR unknown {text}"),
            Self::Arity(name) => write!(f, "ERR wrong number of arguments for '{name}' command"),
            Self::NotAuthenticated => f.write_str("NOAUTH Authentication required."),
            Self::InTransaction => f.write_str("ERR Command not allowed inside a transaction"),
            Self::TooLong { what, max } => write!(f, "ERR {what} is longer than {max} bytes"),
            Self::Syntax => f.write_str("ERR syntax error"),
            Self::NotAnInteger => f.write_str("ERR value is not an integer or out of range"),
            Self::ExpireTime(name) => write!(f, "ERR invalid expire time in '{name}' command"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl Error for CommandError {}

impl From<CommandError> for Reply {
    fn from(error: CommandError) -> Self {
        Self::Error(error.to_string())
    }
}
