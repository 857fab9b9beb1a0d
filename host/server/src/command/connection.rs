//! Readers of the commands that concern the connection or the server.

use super::args::{Args, is, shown};
use super::client::{is_printable, not_printable};
use super::{ClientCommand, Command, CommandError, Description, describe};
use crate::reply::Reply;
use crate::resp::{Protocol, integer};
use core::fmt;

type Read<'a> = Result<Command<'a>, CommandError>;

/// What concerns the connection or the server, and no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionCommand<'a> {
    /// `PING [message]`: `PONG`, or the message.
    Ping(Option<&'a [u8]>),
    /// `ECHO message`: the message.
    Echo(&'a [u8]),
    /// `QUIT`: `OK`, and the end of the connection.
    Quit,
    /// `RESET`: the connection as it was at its beginning, and the status `RESET`.
    Reset,
    /// `HELLO`.
    Hello(Hello<'a>),
    /// `AUTH`.
    Auth(Credentials<'a>),
    /// `SELECT 0`: `OK`. There is no other database.
    Select,
    /// `CLIENT`.
    Client(ClientCommand<'a>),
    /// `COMMAND`.
    Describe(Description<'a>),
    /// `INFO [section …]`. No section means all.
    Info(Vec<&'a [u8]>),
    /// `CONFIG GET name …`.
    ConfigGet(Vec<&'a [u8]>),
    /// `TIME`: an array of the seconds since 1970 and the microseconds of the second.
    Time,
}

impl SessionCommand<'_> {
    /// Returns the reply, if it follows from the command alone.
    pub fn reply(&self) -> Option<Reply> {
        match self {
            Self::Ping(None) => Some(Reply::Status("PONG")),
            Self::Ping(Some(message)) | Self::Echo(message) => Some(Reply::Bulk(message.to_vec())),
            Self::Select | Self::Quit | Self::Client(ClientCommand::Ignored) => Some(Reply::OK),
            Self::Reset => Some(Reply::Status("RESET")),
            Self::Describe(description) => Some(description.reply()),
            Self::ConfigGet(names) => Some(describe::config(names)),
            Self::Hello(_) | Self::Auth(_) | Self::Client(_) | Self::Info(_) | Self::Time => None,
        }
    }
}

/// `HELLO [2|3 [AUTH user password] [SETNAME name]]`: a map about the server, once all that was asked for is done. A client
/// that is not authenticated then gets an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hello<'a> {
    /// The version to speak from now on; `None` to stay.
    pub protocol: Option<Protocol>,
    /// Who the client is.
    pub credentials: Option<Credentials<'a>>,
    /// The new name of the connection; empty for none.
    pub name: Option<&'a [u8]>,
}

/// A user and a password. The password is not shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// The user; `None` for the user `default`, when `AUTH` has one argument.
    pub user: Option<&'a [u8]>,
    /// The password.
    pub password: &'a [u8],
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

pub(super) fn ping<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    match args.from(1) {
        [] => Ok(SessionCommand::Ping(None).into()),
        [message] => Ok(SessionCommand::Ping(Some(message)).into()),
        _ => Err(args.arity()),
    }
}

pub(super) fn echo<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    Ok(SessionCommand::Echo(args.get(1)?).into())
}

pub(super) fn info<'a>(args: &Args<'_, 'a>) -> Command<'a> {
    SessionCommand::Info(args.from(1).to_vec()).into()
}

pub(super) fn config_get<'a>(args: &Args<'_, 'a>) -> Command<'a> {
    SessionCommand::ConfigGet(args.from(2).to_vec()).into()
}

pub(super) fn select<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    match args.integer(1)? {
        0 => Ok(SessionCommand::Select.into()),
        index if i32::try_from(index).is_ok() => {
            Err(CommandError::other("ERR DB index is out of range"))
        }
        _ => Err(CommandError::other(format!(
            "ERR value is out of range, value must between {} and {}",
            i32::MIN,
            i32::MAX
        ))),
    }
}

pub(super) fn auth<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    let (user, password) = match args.from(1) {
        [password] => (None, *password),
        [user, password] => (Some(*user), *password),
        _ => return Err(CommandError::Syntax),
    };
    Ok(SessionCommand::Auth(Credentials { user, password }).into())
}

pub(super) fn hello<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    let mut hello = Hello::default();
    if let Some(version) = args.from(1).first() {
        hello.protocol = Some(protocol(version)?);
    }
    let mut rest = args.from(2);
    loop {
        rest = match rest {
            [] => break,
            [option, user, password, after @ ..] if is(option, "auth") => {
                let user = Some(*user);
                hello.credentials = Some(Credentials { user, password });
                after
            }
            [option, name, after @ ..] if is(option, "setname") => {
                if !is_printable(name) {
                    return Err(not_printable("Client names"));
                }
                hello.name = Some(name);
                after
            }
            [option, ..] => {
                let option = shown(option, usize::MAX);
                let text = format!("ERR Syntax error in HELLO option '{option}'");
                return Err(CommandError::other(text));
            }
        };
    }
    Ok(SessionCommand::Hello(hello).into())
}

/// Reads the version of the protocol.
fn protocol(version: &[u8]) -> Result<Protocol, CommandError> {
    match integer(version) {
        Some(2) => Ok(Protocol::Resp2),
        Some(3) => Ok(Protocol::Resp3),
        Some(_) => Err(CommandError::other("NOPROTO unsupported protocol version")),
        None => Err(CommandError::other(
            "ERR Protocol version is not an integer or out of range",
        )),
    }
}
