//! Commands of clients: their names, their arguments, and what they mean.
//!
//! [`read`] looks a request up in the [`table`] and reads its arguments. What it returns is an operation on the keyspace, or
//! something that concerns the connection, its transaction or the cluster. [`Transaction`] is the state of `MULTI` on a
//! connection.
//!
//! Errors have the words of Redis 7, byte for byte, wherever Redis has the command. Those of keys and values that are too
//! long name the limit.

mod args;
mod client;
mod cluster;
mod connection;
mod describe;
mod error;
mod generic;
mod strings;
pub mod table;
mod time;
mod transaction;

#[cfg(test)]
mod tests;

pub use client::ClientCommand;
pub use cluster::{ClusterCommand, MembersCommand};
pub use connection::{Credentials, Hello, SessionCommand};
pub use describe::Description;
pub use error::CommandError;
pub use transaction::{Queued, Step, TRANSACTION_MAX, Transaction, TransactionCommand};

use crate::op::Op;
use args::Args;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// An operation on the keyspace.
    Op(Op<'a>),
    /// Something that concerns the connection or the server.
    Session(SessionCommand<'a>),
    /// `MULTI`, `EXEC` or `DISCARD`. [`Transaction`] handles them.
    Transaction(TransactionCommand),
    /// Something that concerns the cluster or the sessions of the protocol.
    Cluster(ClusterCommand<'a>),
}

impl<'a> From<Op<'a>> for Command<'a> {
    fn from(op: Op<'a>) -> Self {
        Self::Op(op)
    }
}

impl<'a> From<SessionCommand<'a>> for Command<'a> {
    fn from(command: SessionCommand<'a>) -> Self {
        Self::Session(command)
    }
}

impl<'a> From<ClientCommand<'a>> for Command<'a> {
    fn from(command: ClientCommand<'a>) -> Self {
        Self::Session(SessionCommand::Client(command))
    }
}

impl<'a> From<Description<'a>> for Command<'a> {
    fn from(description: Description<'a>) -> Self {
        Self::Session(SessionCommand::Describe(description))
    }
}

impl From<TransactionCommand> for Command<'_> {
    fn from(command: TransactionCommand) -> Self {
        Self::Transaction(command)
    }
}

impl<'a> From<ClusterCommand<'a>> for Command<'a> {
    fn from(command: ClusterCommand<'a>) -> Self {
        Self::Cluster(command)
    }
}

impl From<MembersCommand> for Command<'_> {
    fn from(command: MembersCommand) -> Self {
        Self::Cluster(ClusterCommand::Members(command))
    }
}

/// What a connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everything.
    Open,
    /// Nothing but to authenticate itself, as the server has a password.
    Locked,
}

/// Reads a request: the name of a command, and its arguments.
///
/// # Errors
///
/// [`CommandError`]: the reply to the request.
pub fn read<'a>(request: &[&'a [u8]], access: Access) -> Result<Command<'a>, CommandError> {
    let entry = table::lookup(request)?;
    if access == Access::Locked && !entry.flags.contains(&"no_auth") {
        return Err(CommandError::NotAuthenticated);
    }
    (entry.read)(&Args::new(entry.name, request))
}
