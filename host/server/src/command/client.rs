//! Readers of the subcommands of `CLIENT`.

use super::args::{Args, is, shown};
use super::{Command, CommandError};

type Read<'a> = Result<Command<'a>, CommandError>;

/// What a client says or asks about its own connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCommand<'a> {
    /// `CLIENT SETNAME name`: names the connection; no name if it is empty.
    SetName(&'a [u8]),
    /// `CLIENT GETNAME`: the name of the connection, or nil.
    GetName,
    /// `CLIENT SETINFO LIB-NAME name`: says which library the client uses.
    SetLibraryName(&'a [u8]),
    /// `CLIENT SETINFO LIB-VER version`: says which version of its library the client uses.
    SetLibraryVersion(&'a [u8]),
    /// `CLIENT ID`: the number of the connection.
    Id,
    /// `CLIENT INFO`: a line about the connection.
    Info,
    /// `CLIENT LIST`: a line about each connection.
    List,
    /// `CLIENT NO-EVICT` and `CLIENT NO-TOUCH`, which have no effect, as nothing is evicted: `OK`.
    Ignored,
}

pub(super) fn setname<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    let name = args.get(2)?;
    if is_printable(name) {
        Ok(ClientCommand::SetName(name).into())
    } else {
        Err(not_printable("Client names"))
    }
}

pub(super) fn list<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    match args.from(2) {
        [] => Ok(ClientCommand::List.into()),
        _ => Err(CommandError::Syntax),
    }
}

pub(super) fn on_or_off<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    let word = args.get(2)?;
    if is(word, "on") || is(word, "off") {
        Ok(ClientCommand::Ignored.into())
    } else {
        Err(CommandError::Syntax)
    }
}

pub(super) fn setinfo<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    let (attribute, value) = (args.get(2)?, args.get(3)?);
    let command = if is(attribute, "lib-name") {
        ClientCommand::SetLibraryName(value)
    } else if is(attribute, "lib-ver") {
        ClientCommand::SetLibraryVersion(value)
    } else {
        let attribute = shown(attribute, usize::MAX);
        let text = format!("ERR Unrecognized option '{attribute}'");
        return Err(CommandError::other(text));
    };
    if is_printable(value) {
        Ok(command.into())
    } else {
        Err(not_printable(&shown(attribute, usize::MAX)))
    }
}

/// Returns whether a name fits in a line about a connection: it is of visible ASCII characters, or empty.
pub(super) fn is_printable(name: &[u8]) -> bool {
    name.iter().all(u8::is_ascii_graphic)
}

/// Returns the error of a name that does not fit.
pub(super) fn not_printable(what: &str) -> CommandError {
    CommandError::other(format!(
        "ERR {what} cannot contain spaces, newlines or special characters."
    ))
}
