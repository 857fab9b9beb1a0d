//! Commands that concern the connection, the server or the cluster.

use super::*;
use crate::resp::Protocol;
use synod::{ClientId, NodeId, RequestNumber};

fn reads<'a>(commands: Vec<(&str, impl Into<Command<'a>>)>) {
    for (line, expected) in commands {
        let expected = expected.into();
        with(line, |command| assert_eq!(command, Ok(expected), "{line}"));
    }
}

/// Returns the reply that follows from a line alone.
fn reply(line: &str) -> Reply {
    with(line, |command| match command {
        Ok(Command::Session(command)) => command.reply().unwrap(),
        other => panic!("{line}: {other:?}"),
    })
}

fn bulk(text: &str) -> Reply {
    Reply::Bulk(text.as_bytes().to_vec())
}

#[test]
fn commands_about_the_connection_are_read() {
    let credentials = Credentials {
        user: Some(b"me"),
        password: b"secret",
    };
    let (protocol, name) = (Some(Protocol::Resp3), Some(&b"here"[..]));
    reads(vec![
        ("ping", SessionCommand::Ping(None)),
        ("PING hi", SessionCommand::Ping(Some(b"hi"))),
        ("quit now", SessionCommand::Quit),
        ("reset", SessionCommand::Reset),
        ("select 0", SessionCommand::Select),
        ("time", SessionCommand::Time),
        ("info", SessionCommand::Info(vec![])),
        (
            "info server clients",
            SessionCommand::Info(vec![b"server", b"clients"]),
        ),
        (
            "config get save appendonly",
            SessionCommand::ConfigGet(vec![b"save", b"appendonly"]),
        ),
        (
            "auth secret",
            SessionCommand::Auth(Credentials {
                user: None,
                password: b"secret",
            }),
        ),
        ("auth me secret", SessionCommand::Auth(credentials)),
        ("hello", SessionCommand::Hello(Hello::default())),
        (
            "hello 3",
            SessionCommand::Hello(Hello {
                protocol,
                ..Hello::default()
            }),
        ),
        (
            "hello 3 setname here auth me secret",
            SessionCommand::Hello(Hello {
                protocol,
                credentials: Some(credentials),
                name,
            }),
        ),
    ]);
}

#[test]
fn what_a_client_says_of_its_connection_is_read() {
    reads(vec![
        ("client setname here", ClientCommand::SetName(b"here")),
        ("client SETNAME \"\"", ClientCommand::SetName(b"")),
        ("client getname", ClientCommand::GetName),
        (
            "client setinfo LIB-NAME redis-py",
            ClientCommand::SetLibraryName(b"redis-py"),
        ),
        (
            "client setinfo lib-ver 5.0",
            ClientCommand::SetLibraryVersion(b"5.0"),
        ),
        ("client id", ClientCommand::Id),
        ("client info", ClientCommand::Info),
        ("client list", ClientCommand::List),
        ("client no-evict ON", ClientCommand::Ignored),
        ("client no-touch off", ClientCommand::Ignored),
    ]);
}

#[test]
fn mistakes_about_the_connection_have_the_errors_of_redis() {
    let names = "cannot contain spaces, newlines or special characters.";
    for (line, text) in [
        ("select 1", "ERR DB index is out of range"),
        ("select -1", "ERR DB index is out of range"),
        ("select x", "ERR value is not an integer or out of range"),
        ("auth a b c", "ERR syntax error"),
        (
            "hello x",
            "ERR Protocol version is not an integer or out of range",
        ),
        ("hello 4", "NOPROTO unsupported protocol version"),
        ("hello 3 auth me", "ERR Syntax error in HELLO option 'auth'"),
        ("hello 3 foo", "ERR Syntax error in HELLO option 'foo'"),
        ("client no-touch maybe", "ERR syntax error"),
        ("client list type normal", "ERR syntax error"),
        (
            "client setinfo lib-size 3",
            "ERR Unrecognized option 'lib-size'",
        ),
        (
            "client setinfo lib-name \"a b\"",
            &format!("ERR lib-name {names}"),
        ),
        (
            "client setname \"a b\"",
            &format!("ERR Client names {names}"),
        ),
        (
            "hello 3 setname \"a\\n\"",
            &format!("ERR Client names {names}"),
        ),
    ] {
        assert_eq!(error(line), text, "{line}");
    }
}

#[test]
fn some_replies_follow_from_the_command_alone() {
    for (line, expected) in [
        ("ping", Reply::Status("PONG")),
        ("ping hi", bulk("hi")),
        ("echo hi", bulk("hi")),
        ("select 0", Reply::OK),
        ("client no-evict on", Reply::OK),
        (
            "config get SAVE",
            Reply::Map(vec![(bulk("save"), bulk(""))]),
        ),
        (
            "config get appendonly",
            Reply::Map(vec![(bulk("appendonly"), bulk("yes"))]),
        ),
        ("config get nothing", Reply::Map(vec![])),
    ] {
        assert_eq!(reply(line), expected, "{line}");
    }
}

#[test]
fn command_describes_the_table() {
    let get = Reply::Array(vec![
        bulk("get"),
        Reply::Integer(2),
        Reply::Array(vec![Reply::Status("readonly"), Reply::Status("fast")]),
        Reply::Integer(1),
        Reply::Integer(1),
        Reply::Integer(1),
        Reply::Array(vec![]),
        Reply::Array(vec![]),
        Reply::Array(vec![]),
        Reply::Array(vec![]),
    ]);
    assert_eq!(
        reply("command info GET nothing"),
        Reply::Array(vec![get.clone(), Reply::Nil])
    );
    let Reply::Array(all) = reply("command") else {
        panic!("no array")
    };
    assert!(all.contains(&get));
    let Reply::Array(list) = reply("command list") else {
        panic!("no array")
    };
    assert_eq!(list.len(), all.len());
    assert!(list.contains(&bulk("synod.status")) && !list.contains(&bulk("client|id")));
    assert_eq!(
        reply("command count"),
        Reply::Integer(i64::try_from(all.len()).unwrap())
    );

    let docs = vec![
        (bulk("summary"), bulk("Returns the value of a key")),
        (bulk("group"), bulk("string")),
    ];
    assert_eq!(
        reply("command docs GET nothing"),
        Reply::Map(vec![(bulk("get"), Reply::Map(docs))])
    );

    let help = [
        "CONFIG <subcommand> [<arg> ...]. Subcommands are:",
        "GET",
        "    Returns settings.",
        "HELP",
        "    Lists the subcommands.",
    ];
    assert_eq!(reply("config help"), Reply::Array(help.map(bulk).to_vec()));
}

#[test]
fn commands_about_the_cluster_are_read() {
    let (old, new) = (NodeId(2), NodeId(63));
    reads(vec![
        ("synod.members list", MembersCommand::List),
        ("synod.members ADD 3", MembersCommand::Add(NodeId(3))),
        ("synod.members remove 0", MembersCommand::Remove(NodeId(0))),
        (
            "synod.members replace 2 63",
            MembersCommand::Replace { old, new },
        ),
    ]);
    let (client, number) = (ClientId(u64::MAX - 1), RequestNumber(7));
    let op = Op::Add { key: b"k", by: 1 };
    reads(vec![
        ("Synod.Status", ClusterCommand::Status),
        (
            "synod.session 18446744073709551615",
            ClusterCommand::OpenSession { nonce: u64::MAX },
        ),
        (
            "synod.request 18446744073709551614 7 incr k",
            ClusterCommand::Request { client, number, op },
        ),
    ]);
    let integer = "ERR value is not an integer or out of range";
    let keys = "ERR SYNOD.REQUEST takes a command on keys";
    for (line, text) in [
        (
            "synod.members add 64",
            "ERR a node is a number from 0 to 63",
        ),
        ("synod.members add x", integer),
        ("synod.session -1", integer),
        ("synod.request 18446744073709551615 1 get k", integer),
        ("synod.request 1 0 get k", integer),
        ("synod.request 1 4294967295 get k", integer),
        (
            "synod.request 1 1 get",
            "ERR wrong number of arguments for 'get' command",
        ),
        ("synod.request 1 1 incrby k x", integer),
        ("synod.request 1 1 ping", keys),
        ("synod.request 1 1 synod.request 1 1 get k", keys),
        ("synod.request 1 1 multi", keys),
    ] {
        assert_eq!(error(line), text, "{line}");
    }
}

#[test]
fn a_password_is_not_shown() {
    let lines = [
        "auth secret",
        "auth me secret",
        "hello 3 auth me secret",
        "hello 3 auth me secret setname a",
    ];
    for line in lines {
        with(line, |command| {
            let shown = format!("{:?}", command.unwrap());
            assert!(
                !shown.contains("secret") && !shown.contains("115, 101"),
                "{shown}"
            );
        });
    }
    let errors = [
        "auth me secret 1",
        "hello 4 auth me secret",
        "hello 3 auth me secret foo",
        "hello 3 auth me secret setname",
    ];
    for line in errors {
        assert!(!error(line).contains("secret"));
    }
}
