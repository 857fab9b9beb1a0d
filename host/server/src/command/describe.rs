//! `COMMAND`, `HELP` and `CONFIG GET`: what the server says about itself, from the table of commands.

use super::args::{Args, is};
use super::table::{Entry, GROUPS, Group, find};
use super::{Command, CommandError};
use crate::reply::Reply;

type Read<'a> = Result<Command<'a>, CommandError>;

/// Settings that clients ask for before they go to work. Every write is durable before its answer.
const SETTINGS: &[(&str, &str)] = &[
    ("appendonly", "yes"),
    ("databases", "1"),
    ("maxmemory", "0"),
    ("save", ""),
];

/// What a client wants to know about commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Description<'a> {
    /// `COMMAND`: what is known about every command.
    All,
    /// `COMMAND COUNT`: the number of commands.
    Count,
    /// `COMMAND DOCS [name …]`: a map of summaries, of all commands if none is named.
    Docs(Vec<&'a [u8]>),
    /// `COMMAND INFO [name …]`: what is known about commands, of all if none is named.
    Info(Vec<&'a [u8]>),
    /// `COMMAND LIST`: the names of all commands.
    List,
    /// `HELP`, as a subcommand of the command that is named.
    Help(&'a [u8]),
}

pub(super) fn docs<'a>(args: &Args<'_, 'a>) -> Command<'a> {
    Description::Docs(args.from(2).to_vec()).into()
}

pub(super) fn info<'a>(args: &Args<'_, 'a>) -> Command<'a> {
    Description::Info(args.from(2).to_vec()).into()
}

pub(super) fn list<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    match args.from(2) {
        [] => Ok(Description::List.into()),
        _ => Err(CommandError::Syntax),
    }
}

pub(super) fn help<'a>(args: &Args<'_, 'a>) -> Read<'a> {
    Ok(Description::Help(args.get(0)?).into())
}

impl Description<'_> {
    /// Returns the reply.
    pub fn reply(&self) -> Reply {
        let infos = |(_, entry)| entry_info(entry);
        match self {
            Self::All => Reply::Array(commands().map(infos).collect()),
            Self::Info(names) if names.is_empty() => Reply::Array(commands().map(infos).collect()),
            Self::Info(names) => {
                let info =
                    |name: &&[u8]| find(name).map_or(Reply::Nil, |(entry, _)| entry_info(entry));
                Reply::Array(names.iter().map(info).collect())
            }
            Self::Count => Reply::Integer(i64::try_from(commands().count()).unwrap_or(i64::MAX)),
            Self::List => Reply::Array(commands().map(|(_, entry)| text(entry.name)).collect()),
            Self::Docs(names) => {
                let wanted = |entry: &Entry| {
                    names.is_empty() || names.iter().any(|name| is(name, entry.name))
                };
                let docs = commands().filter(|(_, entry)| wanted(entry));
                Reply::Map(docs.map(entry_docs).collect())
            }
            Self::Help(name) => {
                let subcommands = find(name).map_or(&[][..], |(_, subcommands)| subcommands);
                let name = String::from_utf8_lossy(name).to_ascii_uppercase();
                let first = format!("{name} <subcommand> [<arg> ...]. Subcommands are:");
                let lines = subcommands.iter().flat_map(|entry| {
                    let (_, name) = entry.name.split_once('|').unwrap_or_default();
                    [
                        text(&name.to_ascii_uppercase()),
                        text(&format!("    {}.", entry.summary)),
                    ]
                });
                Reply::Array([text(&first)].into_iter().chain(lines).collect())
            }
        }
    }
}

/// Returns all commands, without subcommands, each with its group.
fn commands() -> impl Iterator<Item = (&'static Group, &'static Entry)> {
    GROUPS.iter().flat_map(|group| {
        let entries = group.entries.iter().filter(|entry| !entry.is_subcommand());
        entries.map(move |entry| (group, entry))
    })
}

/// Returns what is known about a command, in the order of Redis: its name, the number of its arguments, its flags, its first
/// key, its last key and the step between keys; then categories of access, tips, further places of keys and subcommands,
/// which are left empty.
fn entry_info(entry: &Entry) -> Reply {
    let flags = entry.flags.iter().map(|flag| Reply::Status(flag));
    let mut fields = vec![
        text(entry.name),
        Reply::Integer(entry.arity.into()),
        Reply::Array(flags.collect()),
    ];
    fields.extend(entry.keys.range().map(Reply::Integer));
    fields.extend([(); 4].map(|()| Reply::Array(Vec::new())));
    Reply::Array(fields)
}

/// Returns the name of a command, and a map of its summary and its group.
fn entry_docs((group, entry): (&Group, &Entry)) -> (Reply, Reply) {
    let docs = vec![
        (text("summary"), text(entry.summary)),
        (text("group"), text(group.name)),
    ];
    (text(entry.name), Reply::Map(docs))
}

/// Returns the reply of `CONFIG GET`: the settings that are named, or all for `*`.
pub(super) fn config(names: &[&[u8]]) -> Reply {
    let wanted = |name: &str| {
        names
            .iter()
            .any(|wanted| is(wanted, name) || is(wanted, "*"))
    };
    let settings = SETTINGS.iter().filter(|(name, _)| wanted(name));
    Reply::Map(
        settings
            .map(|(name, value)| (text(name), text(value)))
            .collect(),
    )
}

/// Returns text as a reply.
fn text(text: &str) -> Reply {
    Reply::Bulk(text.as_bytes().to_vec())
}
