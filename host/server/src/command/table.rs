//! The table of commands: names, numbers of arguments, flags, places of keys, readers, and summaries.
//!
//! `COMMAND` shows the table to clients, in the terms of Redis.

use super::args::{Args, shown};
use super::{
    ClientCommand, ClusterCommand, Command, CommandError, Description, MembersCommand,
    SessionCommand, TransactionCommand,
};
use super::{client, cluster, connection, describe, generic, strings};
use crate::op::Op;

/// A command, or a subcommand under the name `command|subcommand`.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The name, in lower case.
    pub name: &'static str,
    /// The number of arguments, the name included; if negative, the least number.
    pub arity: i32,
    /// What Redis says about the command, in its words.
    pub flags: &'static [&'static str],
    /// Which arguments are keys.
    pub keys: Keys,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// Reads the arguments, whose number was checked.
    pub(super) read: Read,
}

/// A reader of the arguments of a command.
type Read = for<'r, 'a> fn(&Args<'r, 'a>) -> Result<Command<'a>, CommandError>;

/// Which arguments of a command are keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// None.
    No,
    /// The first.
    One,
    /// All.
    All,
    /// The first, the third and so on.
    Odd,
}

/// Commands of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// The name that Redis has for the kind.
    pub name: &'static str,
    /// The commands in the order of their names, each container followed by its subcommands.
    pub entries: &'static [Entry],
}

/// Builds the entries of a group. Each line has the name, the number of arguments, the flags, the keys, the reader and the
/// summary of a command.
macro_rules! entries {
    ($($name:literal $arity:literal [$($flag:ident)*] $keys:ident $read:expr, $summary:literal;)*) => {
        &[$(Entry {
            name: $name,
            arity: $arity,
            flags: &[$(stringify!($flag)),*],
            keys: Keys::$keys,
            summary: $summary,
            read: $read,
        }),*]
    };
}

/// All commands. Those that are asked for most come first.
pub const GROUPS: &[Group] = &[
    Group {
        name: "string",
        entries: entries! {
            "append" 3 [write fast] One strings::append, "Appends to the value of a key";
            "decr" 2 [write fast] One strings::decr, "Subtracts one from an integer";
            "decrby" 3 [write fast] One strings::decrby, "Subtracts from an integer";
            "get" 2 [readonly fast] One strings::get, "Returns the value of a key";
            "getdel" 2 [write fast] One strings::getdel, "Returns the value of a key and removes it";
            "getex" -2 [write fast] One strings::getex, "Returns the value of a key and sets when it expires";
            "getset" 3 [write fast] One strings::getset, "Sets the value of a key and returns the one before";
            "incr" 2 [write fast] One strings::incr, "Adds one to an integer";
            "incrby" 3 [write fast] One strings::incrby, "Adds to an integer";
            "mget" -2 [readonly fast] All strings::mget, "Returns the values of keys";
            "mset" -3 [write] Odd strings::mset, "Sets the values of keys";
            "psetex" 4 [write] One strings::psetex, "Sets the value of a key that expires after milliseconds";
            "set" -3 [write] One strings::set, "Sets the value of a key";
            "setex" 4 [write] One strings::setex, "Sets the value of a key that expires after seconds";
            "setnx" 3 [write fast] One strings::setnx, "Sets the value of a key that does not exist";
            "strlen" 2 [readonly fast] One strings::strlen, "Returns the length of a value";
        },
    },
    Group {
        name: "generic",
        entries: entries! {
            "del" -2 [write] All generic::del, "Removes keys";
            "delex" -2 [write fast] One generic::delex, "Removes a key, or removes it if it has a value";
            "exists" -2 [readonly fast] All generic::exists, "Counts those of the keys that exist";
            "expire" -3 [write fast] One generic::expire, "Makes a key expire after seconds";
            "expireat" -3 [write fast] One generic::expireat, "Makes a key expire at a time in seconds";
            "keys" 2 [readonly] No generic::keys, "Returns all keys that match a pattern";
            "persist" 2 [write fast] One generic::persist, "Makes a key not expire";
            "pexpire" -3 [write fast] One generic::pexpire, "Makes a key expire after milliseconds";
            "pexpireat" -3 [write fast] One generic::pexpireat, "Makes a key expire at a time in milliseconds";
            "pttl" 2 [readonly fast] One generic::pttl, "Returns the milliseconds until a key expires";
            "scan" -2 [readonly] No generic::scan, "Returns some of the keys, and where to go on";
            "ttl" 2 [readonly fast] One generic::ttl, "Returns the seconds until a key expires";
            "type" 2 [readonly fast] One generic::type_of, "Returns the type of a value";
            "unlink" -2 [write fast] All generic::del, "Removes keys";
        },
    },
    Group {
        name: "transactions",
        entries: entries! {
            "discard" 1 [noscript loading stale fast] No |_| Ok(TransactionCommand::Discard.into()), "Drops the transaction";
            "exec" 1 [noscript loading stale] No |_| Ok(TransactionCommand::Exec.into()), "Executes the transaction";
            "multi" 1 [noscript loading stale fast] No |_| Ok(TransactionCommand::Multi.into()), "Begins a transaction";
        },
    },
    Group {
        name: "connection",
        entries: entries! {
            "auth" -2 [noscript loading stale fast no_auth] No connection::auth, "Authenticates the connection";
            "client" -2 [] No missing, "Says or asks something about connections";
            "client|getname" 2 [noscript loading stale] No |_| Ok(ClientCommand::GetName.into()), "Returns the name of the connection";
            "client|help" 2 [loading stale] No describe::help, "Lists the subcommands";
            "client|id" 2 [noscript loading stale] No |_| Ok(ClientCommand::Id.into()), "Returns the number of the connection";
            "client|info" 2 [noscript loading stale] No |_| Ok(ClientCommand::Info.into()), "Returns a line about the connection";
            "client|list" -2 [admin noscript loading stale] No client::list, "Returns a line about each connection";
            "client|no-evict" 3 [admin noscript loading stale] No client::on_or_off, "Has no effect";
            "client|no-touch" 3 [noscript loading stale] No client::on_or_off, "Has no effect";
            "client|setinfo" 4 [noscript loading stale] No client::setinfo, "Says which library the client uses";
            "client|setname" 3 [noscript loading stale] No client::setname, "Names the connection";
            "echo" 2 [loading stale fast] No connection::echo, "Returns a message";
            "hello" -1 [noscript loading stale fast no_auth] No connection::hello, "Chooses the version of the protocol";
            "ping" -1 [fast] No connection::ping, "Returns PONG or a message";
            "quit" -1 [noscript loading stale fast no_auth] No |_| Ok(SessionCommand::Quit.into()), "Ends the connection";
            "reset" 1 [noscript loading stale fast no_auth] No |_| Ok(SessionCommand::Reset.into()), "Makes the connection as it was at first";
            "select" 2 [loading stale fast] No connection::select, "Chooses the database 0";
        },
    },
    Group {
        name: "server",
        entries: entries! {
            "command" -1 [loading stale] No |_| Ok(Description::All.into()), "Describes all commands";
            "command|count" 2 [loading stale] No |_| Ok(Description::Count.into()), "Counts the commands";
            "command|docs" -2 [loading stale] No |args| Ok(describe::docs(args)), "Returns the summaries of commands";
            "command|help" 2 [loading stale] No describe::help, "Lists the subcommands";
            "command|info" -2 [loading stale] No |args| Ok(describe::info(args)), "Describes commands";
            "command|list" -2 [loading stale] No describe::list, "Lists the names of all commands";
            "config" -2 [] No missing, "Returns settings";
            "config|get" -3 [admin noscript loading stale] No |args| Ok(connection::config_get(args)), "Returns settings";
            "config|help" 2 [loading stale] No describe::help, "Lists the subcommands";
            "dbsize" 1 [readonly fast] No |_| Ok(Op::Size.into()), "Counts the keys";
            "info" -1 [loading stale] No |args| Ok(connection::info(args)), "Returns figures of the server";
            "time" 1 [loading stale fast] No |_| Ok(SessionCommand::Time.into()), "Returns the time of the server's clock";
        },
    },
    Group {
        name: "synod",
        entries: entries! {
            "synod.backup" 1 [admin] No |_| Ok(ClusterCommand::Backup.into()), "Returns the state of the cluster as the bytes of a file";
            "synod.members" -2 [] No missing, "Returns or changes the members of the cluster";
            "synod.members|add" 3 [admin] No cluster::members_add, "Adds a member";
            "synod.members|help" 2 [loading stale] No describe::help, "Lists the subcommands";
            "synod.members|list" 2 [loading stale] No |_| Ok(MembersCommand::List.into()), "Lists the members";
            "synod.members|remove" 3 [admin] No cluster::members_remove, "Removes a member";
            "synod.members|replace" 4 [admin] No cluster::members_replace, "Replaces a member by another node";
            "synod.request" -4 [write] No cluster::request, "Applies an operation once, however often it is asked for";
            "synod.session" 2 [write] No cluster::session, "Opens a session for such operations";
            "synod.status" 1 [loading stale] No |_| Ok(ClusterCommand::Status.into()), "Says who leads and how far everybody is";
        },
    },
];

/// The longest name, in bytes.
const NAME_MAX: usize = 24;

/// The reader of a container, which has subcommands and cannot be called without one.
fn missing<'a>(args: &Args<'_, 'a>) -> Result<Command<'a>, CommandError> {
    Err(args.arity())
}

impl Entry {
    /// Returns whether this is a subcommand.
    pub fn is_subcommand(&self) -> bool {
        self.name.contains('|')
    }

    /// Returns whether the command is an operation on the keyspace.
    pub(super) fn is_operation(&self) -> bool {
        self.keys != Keys::No || self.flags.contains(&"readonly")
    }
}

impl Keys {
    /// Returns the first key, the last one and the step between keys, as Redis counts them.
    pub fn range(self) -> [i64; 3] {
        match self {
            Self::No => [0, 0, 0],
            Self::One => [1, 1, 1],
            Self::All => [1, -1, 1],
            Self::Odd => [1, -1, 2],
        }
    }
}

/// Finds a command and returns it with its subcommands.
pub fn find(name: &[u8]) -> Option<(&'static Entry, &'static [Entry])> {
    let mut lower = [0; NAME_MAX];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    if lower.contains(&b'|') {
        return None;
    }
    let (entry, after) = GROUPS.iter().find_map(|group| {
        let by_name = |entry: &Entry| entry.name.as_bytes().cmp(lower);
        let index = group.entries.binary_search_by(by_name).ok()?;
        group.entries.get(index..)?.split_first()
    })?;
    let end = after.iter().position(|entry| !entry.is_subcommand());
    Some((entry, after.get(..end.unwrap_or(after.len()))?))
}

/// Finds the command or the subcommand of a request, and checks the number of arguments.
pub(super) fn lookup(request: &[&[u8]]) -> Result<&'static Entry, CommandError> {
    let [name, args @ ..] = request else {
        return Err(unknown(b"", &[]));
    };
    let (entry, subcommands) = find(name).ok_or_else(|| unknown(name, args))?;
    let entry = match args.first() {
        Some(subcommand) if !subcommands.is_empty() => subcommands
            .iter()
            .find(|entry| {
                let (_, name) = entry.name.split_once('|').unwrap_or_default();
                subcommand.eq_ignore_ascii_case(name.as_bytes())
            })
            .ok_or_else(|| unknown_subcommand(name, subcommand))?,
        _ => entry,
    };
    let len = i32::try_from(request.len()).unwrap_or(i32::MAX);
    if len == entry.arity || (entry.arity < 0 && len >= -entry.arity) {
        Ok(entry)
    } else {
        Err(CommandError::Arity(entry.name))
    }
}

/// The greatest length of what an error shows of a request, in bytes.
const SHOWN_MAX: usize = 128;

/// Returns the error of an unknown command, with the first of its arguments.
fn unknown(name: &[u8], args: &[&[u8]]) -> CommandError {
    let mut text = format!(
        "command '{}', with args beginning with: ",
        shown(name, SHOWN_MAX)
    );
    let mut len = 0;
    for arg in args {
        if len >= SHOWN_MAX {
            break;
        }
        let arg = shown(arg, SHOWN_MAX - len);
        len += arg.len() + 3;
        text.extend(["'", &arg, "' "]);
    }
    CommandError::Unknown(text)
}

/// Returns the error of an unknown subcommand.
fn unknown_subcommand(name: &[u8], subcommand: &[u8]) -> CommandError {
    let name = shown(name, SHOWN_MAX).to_ascii_uppercase();
    let subcommand = shown(subcommand, SHOWN_MAX);
    CommandError::Unknown(format!("subcommand '{subcommand}'. Try {name} HELP."))
}
