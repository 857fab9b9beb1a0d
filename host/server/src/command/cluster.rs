//! Readers of the commands that Redis does not have: the cluster, its members, and the sessions of the protocol.
//!
//! A client that must know whether a request was applied although its connection broke opens a session with
//! `SYNOD.SESSION` and gives each request a number of it with `SYNOD.REQUEST`. A request that is repeated with the same
//! numbers, at any node, is applied once and gets the same answer.

use super::args::Args;
use super::{Command, CommandError, table};
use crate::op::Op;
use synod::{ClientId, NODES_MAX, NodeId, RequestNumber};

type Read<'a> = Result<Command<'a>, CommandError>;

/// What concerns the cluster or the sessions of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterCommand<'a> {
    /// `SYNOD.STATUS`: who leads, how far everybody is, and what is full.
    Status,
    /// `SYNOD.BACKUP`: the state of the cluster, as the bytes of a file.
    Backup,
    /// `SYNOD.MEMBERS`.
    Members(MembersCommand),
    /// `SYNOD.SESSION nonce`: opens a session, or finds the one of this nonce, and returns its number.
    OpenSession {
        /// A number that no other client uses, and this one for no other session.
        nonce: u64,
    },
    /// `SYNOD.REQUEST client number command …`: an operation that is applied once.
    Request {
        /// The number of the session.
        client: ClientId,
        /// The number of the request in its session, greater than all before.
        number: RequestNumber,
        /// The operation.
        op: Op<'a>,
    },
}

/// A question about the members of the cluster, or a change of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembersCommand {
    /// `SYNOD.MEMBERS LIST`.
    List,
    /// `SYNOD.MEMBERS ADD node`.
    Add(NodeId),
    /// `SYNOD.MEMBERS REMOVE node`.
    Remove(NodeId),
    /// `SYNOD.MEMBERS REPLACE old new`.
    Replace {
        /// The member that leaves.
        old: NodeId,
        /// The node that becomes one.
        new: NodeId,
    },
}

pub(super) fn members_add<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    Ok(MembersCommand::Add(node(args, 2)?).into())
}

pub(super) fn members_remove<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    Ok(MembersCommand::Remove(node(args, 2)?).into())
}

pub(super) fn members_replace<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    let (old, new) = (node(args, 2)?, node(args, 3)?);
    Ok(MembersCommand::Replace { old, new }.into())
}

/// Reads the number of a node.
fn node(args: &Args<'_, '_>, index: usize) -> Result<NodeId, CommandError> {
    u16::try_from(args.unsigned(index)?)
        .ok()
        .filter(|number| *number < NODES_MAX)
        .map(NodeId)
        .ok_or_else(|| {
            let last = NODES_MAX - 1;
            CommandError::other(format!("ERR a node is a number from 0 to {last}"))
        })
}

pub(super) fn session<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    let nonce = args.unsigned(1)?;
    Ok(ClusterCommand::OpenSession { nonce }.into())
}

pub(super) fn request<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    let client = Some(ClientId(args.unsigned(1)?))
        .filter(|client| *client != ClientId::OPERATOR)
        .ok_or(CommandError::NotAnInteger)?;
    let number = u32::try_from(args.unsigned(2)?)
        .ok()
        .map(RequestNumber)
        .filter(|number| ![RequestNumber::REGISTRATION, RequestNumber::READ].contains(number))
        .ok_or(CommandError::NotAnInteger)?;
    let command = args.from(3);
    let entry = table::lookup(command)?;
    // Looked up and not read: a request within a request within a request would nest without a bound.
    if !entry.is_operation() {
        let text = "ERR SYNOD.REQUEST takes a command on keys";
        return Err(CommandError::other(text));
    }
    match (entry.read)(&Args::new(entry.name, command))? {
        Command::Op(op) => Ok(ClusterCommand::Request { client, number, op }.into()),
        _ => Err(CommandError::Syntax),
    }
}
