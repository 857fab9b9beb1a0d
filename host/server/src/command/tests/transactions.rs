//! `MULTI`, `EXEC` and `DISCARD`.

use super::*;

const QUEUED: Reply = Reply::Status("QUEUED");

/// A connection with its transaction.
#[derive(Default)]
struct Connection {
    transaction: Transaction,
}

impl Connection {
    /// Sends a line, and hands what is to be done about it to `look`.
    fn step<R>(&mut self, line: &str, look: impl FnOnce(Step<'_>) -> R) -> R {
        let words = words(line);
        let request: Vec<_> = words.iter().map(Vec::as_slice).collect();
        look(self.transaction.handle(&request, Access::Open))
    }

    /// Sends a line that is answered without an operation.
    fn reply(&mut self, line: &str) -> Reply {
        self.step(line, |step| match step {
            Step::Reply(reply) => reply,
            other => panic!("{line}: {other:?}"),
        })
    }

    /// Sends lines of which each is queued.
    fn queue(&mut self, lines: &[&str]) {
        for line in lines {
            assert_eq!(self.reply(line), QUEUED, "{line}");
        }
    }

    /// Sends `EXEC`, which is to execute something.
    fn exec(&mut self) -> Queued {
        self.step("exec", |step| match step {
            Step::Execute(queued) => queued,
            other => panic!("{other:?}"),
        })
    }
}

fn begun() -> Connection {
    let mut connection = Connection::default();
    assert_eq!(connection.reply("multi"), Reply::OK);
    connection
}

fn refused(text: &str) -> Reply {
    Reply::Error(text.to_owned())
}

fn aborted() -> Reply {
    refused("EXECABORT Transaction discarded because of previous errors.")
}

#[test]
fn commands_are_kept_until_exec() {
    let mut connection = begun();
    assert!(connection.transaction.is_open());
    connection.queue(&["set k v nx", "INCRBY n 2", "get k"]);
    let queued = connection.exec();
    assert!(!connection.transaction.is_open());
    assert!(matches!(
        queued.ops()[..],
        [
            Op::Set { key: b"k", .. },
            Op::Add { key: b"n", by: 2 },
            Op::Get(b"k")
        ]
    ));
    let results = [Reply::OK, Reply::Integer(2), Reply::Nil];
    assert_eq!(
        queued.reply(results.clone()),
        Reply::Array(results.to_vec())
    );
    connection.step("get k", |step| {
        assert_eq!(step, Step::Run(Op::Get(b"k").into()));
    });
}

#[test]
fn a_command_whose_reply_is_known_takes_its_place() {
    let mut connection = begun();
    connection.queue(&[
        "ping",
        "incr n",
        "set k v foo",
        "echo hi",
        "incrby n x",
        "select 0",
    ]);
    let queued = connection.exec();
    assert_eq!(queued.ops(), [Op::Add { key: b"n", by: 1 }]);
    assert_eq!(
        queued.reply([Reply::Integer(1)]),
        Reply::Array(vec![
            Reply::Status("PONG"),
            Reply::Integer(1),
            refused("ERR syntax error"),
            Reply::Bulk(b"hi".to_vec()),
            refused("ERR value is not an integer or out of range"),
            Reply::OK,
        ])
    );
}

#[test]
fn an_empty_transaction_has_an_empty_reply() {
    let queued = begun().exec();
    assert_eq!(queued.ops(), []);
    assert_eq!(queued.reply([]), Reply::Array(vec![]));
}

#[test]
fn a_refused_command_dooms_the_transaction() {
    let long = format!("get {}", "k".repeat(129));
    for line in [
        "foo",
        "get",
        "client foo",
        "auth secret",
        "info",
        "synod.status",
        &long,
    ] {
        let mut connection = begun();
        connection.queue(&["incr n"]);
        assert!(matches!(connection.reply(line), Reply::Error(_)), "{line}");
        connection.queue(&["incr n"]);
        assert_eq!(connection.reply("exec"), aborted(), "{line}");
        assert_eq!(connection.reply("exec"), refused("ERR EXEC without MULTI"));
    }
    let mut connection = begun();
    assert_eq!(
        connection.reply("info"),
        refused("ERR Command not allowed inside a transaction")
    );
    assert_eq!(connection.reply("discard"), Reply::OK);

    let mut connection = begun();
    connection.transaction.doom();
    assert_eq!(connection.reply("exec"), aborted());
}

#[test]
fn a_transaction_ends_once() {
    let mut connection = Connection::default();
    assert_eq!(connection.reply("exec"), refused("ERR EXEC without MULTI"));
    assert_eq!(
        connection.reply("discard"),
        refused("ERR DISCARD without MULTI")
    );
    connection.transaction.doom();

    let mut connection = begun();
    connection.queue(&["incr n"]);
    assert_eq!(
        connection.reply("multi"),
        refused("ERR MULTI calls can not be nested")
    );
    assert_eq!(connection.exec().ops().len(), 1);

    let mut connection = begun();
    connection.queue(&["incr n"]);
    assert_eq!(connection.reply("discard"), Reply::OK);
    assert_eq!(
        connection.reply("discard"),
        refused("ERR DISCARD without MULTI")
    );

    let mut connection = begun();
    let text =
        "EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command";
    assert_eq!(connection.reply("exec now"), refused(text));
    assert!(!connection.transaction.is_open());
}

#[test]
fn reset_and_quit_are_not_kept() {
    let mut connection = begun();
    connection.step("quit", |step| {
        assert_eq!(step, Step::Run(SessionCommand::Quit.into()));
    });
    connection.step("reset", |step| {
        assert_eq!(step, Step::Run(SessionCommand::Reset.into()));
    });
    assert!(!connection.transaction.is_open());
}

#[test]
fn a_transaction_has_a_greatest_length() {
    // A command takes 12 bytes, and each of its arguments two and its own.
    let set = format!("set k {}", "v".repeat(230));
    let rest = "x".repeat(TRANSACTION_MAX - 247 - 14);
    let too_long = refused("ERR transaction is longer than 432 bytes");
    let mut connection = begun();
    connection.queue(&[&set]);
    assert_eq!(connection.reply(&format!("echo {rest}x")), too_long);

    let mut connection = begun();
    connection.queue(&[&set, &format!("echo {rest}")]);
    assert_eq!(connection.reply("ping"), too_long);
    assert_eq!(connection.reply("exec"), aborted());

    let mut connection = begun();
    for _ in 0..TRANSACTION_MAX / 12 {
        connection.queue(&["ping"]);
    }
    assert_eq!(connection.reply("ping"), too_long);
    for _ in 0..1_000 {
        connection.queue(&["incr n"]);
    }
    assert_eq!(connection.reply("exec"), aborted());
}
