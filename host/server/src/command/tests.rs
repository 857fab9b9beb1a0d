mod operations;
mod sessions;
mod transactions;

use super::table::{GROUPS, Keys, find};
use super::*;
use crate::reply::Reply;
use crate::resp::request::{Parsed, Parser};
use proptest::collection::vec;
use proptest::prelude::*;

/// Splits a line into words, as an inline command.
fn words(line: &str) -> Vec<Vec<u8>> {
    let line = format!("{line}\n");
    match Parser::default().parse(line.as_bytes()).unwrap() {
        Parsed::Request { args, .. } => args.iter().map(|arg| arg.to_vec()).collect(),
        other => panic!("{other:?}"),
    }
}

/// Reads the command of a line, and hands it to `look`.
fn with<R>(line: &str, look: impl FnOnce(Result<Command<'_>, CommandError>) -> R) -> R {
    let words = words(line);
    let request: Vec<_> = words.iter().map(Vec::as_slice).collect();
    look(read(&request, Access::Open))
}

/// Returns the error that a line gets.
fn error(line: &str) -> String {
    with(line, |command| match command {
        Err(error) => error.to_string(),
        Ok(command) => panic!("{line}: {command:?}"),
    })
}

#[test]
fn the_table_is_in_order_and_complete() {
    for group in GROUPS {
        assert!(
            group.entries.is_sorted_by_key(|entry| entry.name),
            "{}",
            group.name
        );
        for entry in group.entries {
            let (container, subcommand) = entry.name.split_once('|').unwrap_or((entry.name, ""));
            let upper = container.to_ascii_uppercase();
            let (found, subcommands) = find(upper.as_bytes()).unwrap();
            assert_eq!(found.name, container);
            if !subcommand.is_empty() {
                assert!(subcommands.iter().any(|found| found.name == entry.name));
            }
            assert_eq!(entry.name, entry.name.to_ascii_lowercase());
            assert_ne!(entry.arity, 0);
            assert!(!entry.summary.ends_with('.'));
            assert!(
                entry.keys == Keys::No || entry.arity.abs() > 1,
                "{}",
                entry.name
            );
        }
    }
    let mut names: Vec<_> = GROUPS.iter().flat_map(|group| group.entries).collect();
    names.sort_by_key(|entry| entry.name);
    names.dedup_by_key(|entry| entry.name);
    assert_eq!(
        names.len(),
        GROUPS
            .iter()
            .map(|group| group.entries.len())
            .sum::<usize>()
    );
}

#[test]
fn an_unknown_command_is_named_with_its_first_arguments() {
    let long = "x".repeat(200);
    let (x126, x128) = (&long[..126], &long[..128]);
    for (line, text) in [
        ("foo", "command 'foo', with args beginning with: "),
        (
            "foo a b",
            "command 'foo', with args beginning with: 'a' 'b' ",
        ),
        (
            "Foo \"a b\"",
            "command 'Foo', with args beginning with: 'a b' ",
        ),
        (
            "client|id",
            "command 'client|id', with args beginning with: ",
        ),
        ("\"\"", "command '', with args beginning with: "),
        ("set\\x00", "command 'set\\x00', with args beginning with: "),
        ("client foo", "subcommand 'foo'. Try CLIENT HELP."),
        ("Config set a b", "subcommand 'set'. Try CONFIG HELP."),
        (
            "synod.members drop 1",
            "subcommand 'drop'. Try SYNOD.MEMBERS HELP.",
        ),
        (
            &long,
            &format!("command '{x128}', with args beginning with: "),
        ),
        (
            &format!("foo {long} a"),
            &format!("command 'foo', with args beginning with: '{x128}' "),
        ),
        (
            &format!("foo a {long}"),
            &format!(
                "command 'foo', with args beginning with: 'a' '{}' ",
                &long[..124]
            ),
        ),
        (
            &format!("foo {x126} ab c"),
            &format!("command 'foo', with args beginning with: '{x126}' "),
        ),
    ] {
        assert_eq!(error(line), format!("ERR unknown {text}"), "{line}");
    }
    assert_eq!(
        read(&[], Access::Open).unwrap_err().to_string(),
        "ERR unknown command '', with args beginning with: "
    );
}

#[test]
fn the_number_of_arguments_is_checked() {
    for (line, name) in [
        ("get", "get"),
        ("GET a b", "get"),
        ("set a", "set"),
        ("mset a", "mset"),
        ("mset a b c", "mset"),
        ("ping a b", "ping"),
        ("client", "client"),
        ("config", "config"),
        ("client setname", "client|setname"),
        ("client id now", "client|id"),
        ("config get", "config|get"),
        ("delex a ifeq", "delex"),
        ("delex a ifeq b c", "delex"),
        ("synod.members", "synod.members"),
        ("synod.members add", "synod.members|add"),
        ("synod.request 1 2", "synod.request"),
        ("synod.request 1 2 get", "get"),
    ] {
        let text = format!("ERR wrong number of arguments for '{name}' command");
        assert_eq!(error(line), text, "{line}");
    }
}

#[test]
fn a_locked_connection_may_authenticate_itself_and_leave() {
    for (line, may) in [
        ("auth secret", true),
        ("hello 3 auth default secret", true),
        ("quit", true),
        ("reset", true),
        ("get a", false),
        ("ping", false),
        ("multi", false),
        ("client id", false),
        ("synod.status", false),
        ("set a b nonsense", false),
    ] {
        let words = words(line);
        let request: Vec<_> = words.iter().map(Vec::as_slice).collect();
        let refused = Err(CommandError::NotAuthenticated);
        assert_eq!(read(&request, Access::Locked) != refused, may, "{line}");
    }
}

/// Words that mean something to some command.
const WORDS: &[&str] = &[
    "NX",
    "XX",
    "GET",
    "EX",
    "PX",
    "EXAT",
    "PXAT",
    "KEEPTTL",
    "PERSIST",
    "IFEQ",
    "GT",
    "LT",
    "MATCH",
    "COUNT",
    "TYPE",
    "string",
    "AUTH",
    "SETNAME",
    "LIST",
    "SET",
    "INCR",
    "synod.request",
    "0",
    "1",
    "2",
    "3",
    "10",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551615",
];

fn arg() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => prop::sample::select(WORDS).prop_map(|word| word.as_bytes().to_vec()),
        2 => vec(any::<u8>(), 0..6),
        1 => vec(any::<u8>(), 120..300),
    ]
}

proptest! {
    #[test]
    fn arguments_of_any_kind_are_read_or_refused(
        entry in prop::sample::select(GROUPS.iter().flat_map(|group| group.entries).collect::<Vec<_>>()),
        args in vec(arg(), 0..8),
    ) {
        let name = entry.name.split('|').map(str::as_bytes);
        let request: Vec<_> = name.chain(args.iter().map(Vec::as_slice)).collect();
        let command = read(&request, Access::Open);
        if let Err(error) = &command {
            let text = error.to_string();
            prop_assert!(text.split(' ').next().is_some_and(|code| code.chars().all(|c| c.is_ascii_uppercase())));
        }

        let mut transaction = Transaction::default();
        prop_assert_eq!(transaction.handle(&[b"multi"], Access::Open), Step::Reply(Reply::OK));
        transaction.handle(&request, Access::Open);
        if let Step::Execute(queued) = transaction.handle(&[b"exec"], Access::Open) {
            let ops = queued.ops();
            let expected = match command {
                Ok(Command::Op(op)) => vec![op],
                _ => vec![],
            };
            prop_assert_eq!(ops, expected);
        }
    }
}
