//! Compares replies with those of a real `redis-server`, byte for byte.
//!
//! Each case is the stream of one connection. The same bytes are sent to Redis and handled here, and all that comes back
//! must be the same. They are requests whose replies follow from their text: mistakes, and some that need no data.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests and their helpers may panic"
)]

use proptest::collection::vec;
use proptest::prelude::*;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use synod_server::command::{Access, Command as Asked, Step, Transaction, read};
use synod_server::reply::Reply;
use synod_server::resp::request::{Parsed, Parser};
use synod_server::resp::{Protocol, encode};

/// A `redis-server` on a socket of its own, which ends with the test.
struct Redis {
    child: Child,
    folder: PathBuf,
}

impl Redis {
    /// Starts the server, and waits until it takes connections.
    fn start(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("synod-redis-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut child = Command::new("redis-server")
            .args([
                "--port",
                "0",
                "--save",
                "",
                "--databases",
                "1",
                "--unixsocket",
                "redis.sock",
            ])
            .current_dir(&folder)
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-server is installed");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = |line: &String| line.contains("ready to accept connections");
        assert!(
            lines.any(|line| ready(&line.unwrap())),
            "redis-server ended"
        );
        // The rest is read until the server ends, so that it never waits for a reader.
        std::thread::spawn(move || lines.count());
        Self { child, folder }
    }

    /// Sends a stream over a connection of its own, and returns all that comes back.
    fn replies(&self, stream: &[u8]) -> Vec<u8> {
        let mut connection = UnixStream::connect(self.folder.join("redis.sock")).unwrap();
        connection.write_all(stream).unwrap();
        // Redis may have closed the connection because of what it has read.
        let _ = connection.shutdown(Shutdown::Write);
        let mut replies = Vec::new();
        let _ = connection.read_to_end(&mut replies);
        replies
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Returns all that a connection is answered here.
fn replies(stream: &[u8], access: Access) -> Vec<u8> {
    let mut out = Vec::new();
    let mut parser = Parser::default();
    let mut transaction = Transaction::default();
    let mut rest = stream;
    loop {
        let (reply, after) = match parser.parse(rest) {
            Ok(Parsed::Incomplete { .. }) => return out,
            Ok(Parsed::Request { args, consumed }) => {
                let reply = match transaction.handle(&args, access) {
                    Step::Reply(reply) => reply,
                    Step::Run(Asked::Session(command)) => command.reply().unwrap(),
                    Step::Execute(queued) => queued.reply([]),
                    Step::Run(command) => panic!("the reply to {command:?} depends on data"),
                };
                (reply, &rest[consumed..])
            }
            Ok(Parsed::Oversized { limit, consumed }) => (limit.reply(), &rest[consumed..]),
            Err(error) => (error.reply(), &b""[..]),
        };
        encode(&reply, Protocol::Resp2, &mut out);
        rest = after;
    }
}

/// Compares the replies to each stream.
fn compare(redis: &Redis, streams: &[&str], access: Access) {
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut differences = Vec::new();
    for stream in streams {
        let theirs = redis.replies(stream.as_bytes());
        let ours = replies(stream.as_bytes(), access);
        if ours != theirs || ours.is_empty() {
            differences.push((stream, shown(&theirs), shown(&ours)));
        }
    }
    assert!(
        differences.is_empty(),
        "stream, Redis, here: {differences:#?}"
    );
}

/// Names that are unknown, and wrong numbers of arguments.
const NAMES: &[&str] = &[
    "foo",
    "foo a 'b c' \"\\r\\n\"",
    "\"foo\\r\\nbar\" a",
    "\"\"",
    "client foo",
    "client foo bar",
    "Config Foo",
    "command foo",
    "client|id",
    "get",
    "get a b",
    "set a",
    "mset a",
    "mset a b c",
    "ping a b",
    "client",
    "config",
    "config get",
    "client setname",
    "client setname a b",
    "client id now",
    "del",
    "expire k",
    "getex",
];

/// Mistakes in commands on keys.
const OPERATIONS: &[&str] = &[
    "set k v nx xx",
    "set k v ex",
    "set k v ex 1 px 1",
    "set k v keepttl ex 1",
    "set k v ex 1 keepttl",
    "set k v persist",
    "set k v foo",
    "set k v ex x",
    "set k v ex 1.5",
    "set k v ex +1",
    "set k v ex 0",
    "set k v px -1",
    "set k v ex 9223372036854775807",
    "set k v px 9223372036854775807",
    "set k v ex 0 foo",
    "setex k 0 v",
    "setex k x v",
    "psetex k -1 v",
    "getex k keepttl",
    "getex k persist ex 1",
    "getex k ex",
    "getex k ex x",
    "getex k px 0",
    "incrby n x",
    "decrby n 1.0",
    "decrby n -9223372036854775808",
    "expire k x",
    "expire k x foo",
    "expire k 1 nx xx",
    "expire k 1 gt nx",
    "expire k 1 gt lt",
    "expire k 1 nx gt lt",
    "expire k 9223372036854775807",
    "expireat k -9223372036854775808",
    "pexpire k 9223372036854775807",
    "scan x",
    "scan 18446744073709551616",
    "scan 0 count",
    "scan 0 count 0",
    "scan 0 count x",
    "scan 0 foo bar",
];

/// Commands about the connection and the server.
const SESSIONS: &[&str] = &[
    "quit",
    "select x",
    "select -1",
    "select 99",
    "select 2147483648",
    "select 0",
    "auth a b c",
    "hello x",
    "hello 1",
    "hello 4",
    "hello 3 foo",
    "hello 3 auth a",
    "hello 2 setname",
    "hello 2 setname 'a b'",
    "client setname 'a b'",
    "client no-evict maybe",
    "client no-evict on",
    "client list foo",
    "command list foo",
    "config get save",
    "config get nothing",
    "ping",
    "ping hello",
    "echo hello",
    "exec",
    "discard",
];

#[test]
#[ignore = "needs redis-server 7: apt-get install redis"]
fn mistakes_of_the_protocol_are_answered_as_by_redis() {
    let redis = Redis::start("protocol");
    let endless = "x".repeat(65_537);
    compare(
        &redis,
        &[
            "*\r\n",
            "*x\r\n",
            "*1.5\r\n",
            "*+1\r\n",
            "*01\r\n",
            "*2147483648\r\n",
            "*99999999999999999999\r\n",
            "*1\r\n$\r\n",
            "*1\r\n$x\r\n",
            "*1\r\n$-1\r\n",
            "*1\r\n$+4\r\n",
            "*1\r\n$536870913\r\n",
            "*1\r\n$99999999999999999999\r\n",
            "*1\r\nPING\r\n",
            "*1\r\n:1\r\n",
            "*1\r\n*1\r\n",
            "*1\r\n\r\n",
            "*2\r\n$4\r\nECHO\r\n+a\r\n",
            "*2\r\n$4\r\nECHO\r\n$1\r\nabcd\r\n",
            "*1\r\n$4\r\nPINGxy*1\r\n$4\r\nPING\r\n",
            "*0\r\n*-1\r\n\r\n \r\nPING\r\n*x\r\nPING\r\n",
            "*1\r\n$0\r\n\r\nPING\r\n",
            "echo \"a b\" \r\n",
            "echo 'it\\'s'\r\n",
            "echo \"\\x41\\n\\q\\xzz\"\n",
            "echo a\"b c\"\r\n",
            "echo \"a\r\n",
            "echo 'a\r\n",
            "echo \"a\"b\r\n",
            "echo 'a'b\r\n",
            "echo \"a\\\"\r\n",
            "\"\r\n",
            &endless,
        ],
        Access::Open,
    );
}

#[test]
#[ignore = "needs redis-server 7: apt-get install redis"]
fn mistakes_in_commands_are_answered_as_by_redis() {
    let redis = Redis::start("commands");
    assert_eq!(redis.replies(b"SET k v\r\n"), b"+OK\r\n");
    let long = "x".repeat(200);
    let long_lines = [
        long.clone(),
        format!("foo {long} a"),
        format!("foo a {long}"),
        format!("foo {} bc d", &long[..125]),
    ];
    let lines = long_lines.iter().map(String::as_str);
    let lines = lines.chain([NAMES, OPERATIONS, SESSIONS].concat());
    let streams: Vec<_> = lines.map(|line| format!("{line}\r\n")).collect();
    let streams: Vec<_> = streams.iter().map(String::as_str).collect();
    compare(&redis, &streams, Access::Open);
}

#[test]
#[ignore = "needs redis-server 7: apt-get install redis"]
fn transactions_are_answered_as_by_redis() {
    let redis = Redis::start("transactions");
    compare(
        &redis,
        &[
            "multi\nexec\n",
            "multi\nmulti\nexec\n",
            "multi\nget k\ndiscard\nexec\n",
            "multi\nget k\nfoo\nget k\nexec\nexec\n",
            "multi\nget\nexec\n",
            "multi\nclient foo\nexec\n",
            "multi now\nexec\n",
            "multi\nexec now\nexec\n",
            "multi\ndiscard now\nexec\n",
            "multi\nping\nset k v foo\nexpire k x\necho a\nselect 0\nexec\n",
            "multi\nget k\n*x\r\nexec\n",
        ],
        Access::Open,
    );
}

#[test]
#[ignore = "needs redis-server 7: apt-get install redis"]
fn a_locked_connection_is_answered_as_by_redis() {
    let redis = Redis::start("locked");
    assert_eq!(
        redis.replies(b"CONFIG SET requirepass secret\r\n"),
        b"+OK\r\n"
    );
    compare(
        &redis,
        &[
            "get k\n",
            "ping\n",
            "multi\nexec\n",
            "set k v foo\n",
            "client id\n",
            "foo\n",
            "get\n",
            "hello x\n",
            "hello 3 foo\n",
            "auth a b c\n",
        ],
        Access::Locked,
    );
}

/// Pieces of streams: lines, arrays and mistakes. No letters of them are the name of a command but those of `PING` and
/// `ECHO`.
fn piece() -> impl Strategy<Value = String> {
    let name = || prop::sample::select(vec!["ECHO", "ping", "xyz", ""]);
    let bulk = |arg: &str| format!("${}\r\n{arg}\r\n", arg.len());
    prop_oneof![
        (name(), r#"[ xyz\"'\\n0-9a-f\t]{0,12}\r?\n"#)
            .prop_map(|(name, rest)| format!("{name} {rest}")),
        (name(), vec("[ -~]{0,6}", 0..4)).prop_map(move |(name, args)| {
            let bulks: String = args.iter().map(|arg| bulk(arg)).collect();
            format!("*{}\r\n{}{bulks}", args.len() + 1, bulk(name))
        }),
        "[*$][0-9x-]{0,3}\r\n",
        "[xyz:+-]{0,3}\r\n",
    ]
}

#[test]
#[ignore = "needs redis-server 7: apt-get install redis"]
fn random_streams_are_answered_as_by_redis() {
    let redis = Redis::start("random");
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(5_000)
    };
    proptest!(config, |(pieces in vec(piece(), 1..8))| {
        // Redis waits for the end of a header that is malformed from its first byte.
        let stream = pieces.concat() + "\r\n";
        let theirs = redis.replies(stream.as_bytes());
        let ours = replies(stream.as_bytes(), Access::Open);
        prop_assert_eq!(String::from_utf8_lossy(&ours), String::from_utf8_lossy(&theirs));
    });
}

/// Commands with options, each with a word that is not always one.
fn options() -> impl Strategy<Value = String> {
    let command = prop::sample::select(vec![
        "set k v",
        "getex k",
        "expire k",
        "pexpire k",
        "expireat k",
        "pexpireat k",
        "incrby n",
        "decrby n",
        "setex k",
        "scan 0",
        "mset",
        "ping",
        "select",
        "hello 2",
        "client setname",
    ]);
    let word = prop::sample::select(vec![
        "nx",
        "XX",
        "gt",
        "lt",
        "get",
        "ex",
        "px",
        "exat",
        "pxat",
        "keepttl",
        "persist",
        "match",
        "count",
        "0",
        "1",
        "-1",
        "10",
        "010",
        "x",
        "9223372036854775",
        "9223372036854776",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "setname",
        "''",
    ]);
    (command, vec(word, 0..5))
        .prop_map(|(command, words)| format!("{command} {}\r\n", words.join(" ")))
}

#[test]
#[ignore = "needs redis-server 7: apt-get install redis"]
fn random_options_are_refused_where_redis_refuses_them() {
    let redis = Redis::start("options");
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(20_000)
    };
    proptest!(config, |(line in options())| {
        let theirs = redis.replies(format!("FLUSHALL\r\nSET k v\r\n{line}").as_bytes());
        let theirs = theirs.strip_prefix(b"+OK\r\n+OK\r\n").unwrap();
        let mut parser = Parser::default();
        let Ok(Parsed::Request { args, .. }) = parser.parse(line.as_bytes()) else {
            panic!("{line} is no request")
        };
        match read(&args, Access::Open) {
            Ok(_) => prop_assert!(!theirs.starts_with(b"-"), "{}", String::from_utf8_lossy(theirs)),
            Err(error) => {
                let ours = format!("-{error}\r\n");
                // What Redis has and the operations here do not.
                if !ours.contains("XX and LT") {
                    prop_assert_eq!(ours, String::from_utf8_lossy(theirs));
                }
            }
        }
    });
}

#[test]
fn replies_are_handled_here_as_on_a_connection() {
    let queued = Reply::Status("QUEUED");
    let replies = replies(b"multi\r\nget k\r\nexec\r\n*x\r\nping\r\n", Access::Open);
    let mut expected = b"+OK\r\n".to_vec();
    encode(&queued, Protocol::Resp2, &mut expected);
    expected.extend_from_slice(b"*1\r\n$-1\r\n-ERR Protocol error: invalid multibulk length\r\n");
    assert_eq!(replies, expected);
}
