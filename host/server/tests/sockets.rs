//! Real servers on loopback sockets and temporary files, one thread a node, and what clients and strangers see of them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests and their helpers may panic"
)]

#[path = "sockets/backup.rs"]
mod backup;
#[path = "sockets/bench.rs"]
mod bench;
#[path = "sockets/harness.rs"]
mod harness;
#[path = "sockets/metrics.rs"]
mod metrics;
#[path = "sockets/tls.rs"]
mod tls;

use harness::{Cluster, bulk, open_directory};
use std::io::{Read, Write};
use std::net::TcpStream;
use synod::NodeId;
use synod_server::resp::response::Response;
use synod_server::{Server, ServerError, Start, StartError};

fn ok() -> Response {
    Response::Status("OK".to_owned())
}

#[test]
fn a_client_of_any_node_sees_what_was_set_at_any_other() {
    let cluster = Cluster::start(3);
    assert_eq!(cluster.client(0).ask("SET valve:3 open"), ok());
    for node in 0..3 {
        assert_eq!(cluster.client(node).ask("GET valve:3"), bulk("open"));
    }
    let mut client = cluster.client(2);
    assert_eq!(client.ask("SET lock:pump me NX PX 60000"), ok());
    assert_eq!(client.ask("SET lock:pump you NX PX 60000"), Response::Nil);
    assert_eq!(client.ask("INCRBY count 5"), Response::Integer(5));
    assert_eq!(
        client.ask("DEL valve:3 lock:pump nothing"),
        Response::Integer(2)
    );
}

#[test]
fn commands_that_are_sent_together_are_answered_in_their_order() {
    let cluster = Cluster::start(3);
    let mut client = cluster.client(1);
    let lines = [
        "SET a 1", "GET a", "PING", "INCR a", "INCR a", "GET a", "HELLO 3", "GET none", "MULTI",
        "SET b x", "GET b", "EXEC", "NO SUCH", "ECHO end",
    ];
    client.send(&lines.map(|line| format!("{line}\r\n")).concat());
    let replies: Vec<_> = lines.iter().map(|_| client.next()).collect();
    let queued = || Response::Status("QUEUED".to_owned());
    let number = Response::Integer;
    assert_eq!(
        replies[..6],
        [
            ok(),
            bulk("1"),
            Response::Status("PONG".to_owned()),
            number(2),
            number(3),
            bulk("3")
        ]
    );
    assert!(matches!(&replies[6], Response::Map(entries) if !entries.is_empty()));
    let all = Response::Array(vec![ok(), bulk("x")]);
    assert_eq!(
        replies[7..12],
        [Response::Nil, ok(), queued(), queued(), all]
    );
    assert!(
        matches!(&replies[12], Response::Error(text) if text.starts_with("ERR unknown command 'NO'"))
    );
    assert_eq!(replies[13], bulk("end"));
}

#[test]
fn a_thousand_commands_at_once_are_each_applied_once() {
    let cluster = Cluster::start(3);
    let mut client = cluster.client(0);
    client.send(&"INCR count\r\n".repeat(1_000));
    for count in 1..=1_000 {
        assert_eq!(client.next(), Response::Integer(count));
    }
}

#[test]
fn much_is_sent_at_once_both_ways() {
    let cluster = Cluster::start(1);
    let mut client = cluster.client(0);
    let value = "x".repeat(256);
    assert_eq!(client.ask(&format!("SET big {value}")), ok());
    client.send(&"GET big\r\n".repeat(5_000));
    for _ in 0..5_000 {
        assert_eq!(client.next(), bulk(&value));
    }
}

#[test]
fn the_cluster_goes_on_without_its_leader_and_takes_it_back() {
    let mut cluster = Cluster::start(3);
    assert_eq!(cluster.client(0).ask("SET a 1"), ok());
    let leader = cluster.leader();
    cluster.stop(leader);
    let other = (leader + 1) % 3;
    assert_eq!(cluster.client(other).ask("SET a 2"), ok());
    cluster.restart(leader);
    assert_eq!(cluster.client(leader).ask("GET a"), bulk("2"));
}

#[test]
fn what_was_answered_is_there_after_a_restart_of_all() {
    let mut cluster = Cluster::start(3);
    assert_eq!(cluster.client(0).ask("SET a 1"), ok());
    for node in 0..3 {
        cluster.stop(node);
    }
    for node in 0..3 {
        cluster.restart(node);
    }
    assert_eq!(cluster.client(1).ask("GET a"), bulk("1"));
}

#[test]
fn a_request_in_a_session_is_applied_once_at_whichever_nodes_it_is_made() {
    let cluster = Cluster::start(3);
    let Response::Integer(session) = cluster.client(0).ask("SYNOD.SESSION 123456789") else {
        panic!("no session");
    };
    for node in 0..3 {
        let request = format!("SYNOD.REQUEST {session} 1 INCR count");
        assert_eq!(cluster.client(node).ask(&request), Response::Integer(1));
    }
}

#[test]
fn members_are_added_and_removed_and_a_number_is_used_once() {
    let cluster = Cluster::start(3);
    let mut client = cluster.client(0);
    let members = Response::Array((0..3).map(Response::Integer).collect());
    assert_eq!(client.ask("SYNOD.MEMBERS LIST"), members);
    // It does not run: a majority of the four does.
    // The leader may not have heard yet how far the others are.
    client.ask_until("SYNOD.MEMBERS ADD 3", &Response::Integer(1));
    client.ask_until("SYNOD.MEMBERS REMOVE 3", &Response::Integer(2));
    let refused = client.ask("SYNOD.MEMBERS ADD 3");
    assert!(
        matches!(&refused, Response::Error(text) if text.starts_with("ERR ")),
        "{refused:?}"
    );
    assert_eq!(client.ask("SYNOD.MEMBERS LIST"), members);
}

#[test]
fn nobody_is_served_without_the_password() {
    let cluster = Cluster::start_with(1, |options| options.password = Some(b"secret".to_vec()));
    let mut client = cluster.client(0);
    let refused = |reply: Response, code: &str| matches!(reply, Response::Error(text) if text.starts_with(code));
    assert!(refused(client.ask("GET a"), "NOAUTH"));
    assert!(refused(client.ask("AUTH secres"), "WRONGPASS"));
    assert!(refused(client.ask("HELLO 3"), "NOAUTH"));
    assert_eq!(client.ask("AUTH secret"), ok());
    assert_eq!(client.ask("SET a 1"), ok());
}

#[test]
fn good_clients_are_served_beside_strangers_of_all_kinds() {
    let cluster = Cluster::start(3);
    let (clients, peers) = (cluster.clients_address(0), cluster.peers_address(0));
    cluster.client(0).ask("PING");
    let idle: Vec<_> = (0..300)
        .map(|_| TcpStream::connect(clients).unwrap())
        .collect();
    let mut strangers = Vec::new();
    for address in [clients, peers] {
        for bytes in [
            &b"*1000000000\r\n"[..],
            b"*1\r\n$536870913\r\n",
            b"*2\r\n$3\r\nGET\r\n$9999",
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            &[0xff; 4096],
            &vec![0; 70_000],
        ] {
            let mut stranger = TcpStream::connect(address).unwrap();
            // It may be hung up on while it still sends.
            let _ = stranger.write_all(bytes);
            strangers.push(stranger);
        }
    }
    // This one asks for much, and reads nothing.
    let mut slow = cluster.client(0);
    slow.send(&format!("SET big {}\r\n", "x".repeat(256)));
    slow.send(&"GET big\r\n".repeat(5_000));
    // These ask for what costs most, and read nothing either.
    let costly: Vec<_> = (0..30)
        .map(|_| {
            let mut costly = cluster.client(0);
            costly.send(&"INFO\r\n".repeat(2_000));
            costly
        })
        .collect();
    let mut client = cluster.client(0);
    for count in 1..=50 {
        assert_eq!(client.ask("INCR count"), Response::Integer(count));
    }
    assert_eq!(cluster.client(1).ask("GET count"), bulk("50"));
    drop((idle, strangers, slow, costly));
}

#[test]
fn strangers_that_say_nothing_do_not_keep_nodes_out() {
    let mut cluster = Cluster::start(3);
    assert_eq!(cluster.client(0).ask("SET a 1"), ok());
    cluster.stop(1);
    cluster.stop(2);
    let peers = cluster.peers_address(0);
    // More than a node lets in.
    let silent: Vec<_> = (0..400)
        .map(|_| TcpStream::connect(peers).unwrap())
        .collect();
    // It has accepted them when it has answered this, which came later.
    cluster.client(0).ask("PING");
    cluster.restart(1);
    assert_eq!(cluster.client(1).ask("SET a 2"), ok());
    drop(silent);
}

#[test]
fn an_argument_that_is_too_long_is_refused_and_the_connection_goes_on() {
    let cluster = Cluster::start(1);
    let mut client = cluster.client(0);
    let long = "x".repeat(257);
    let refused = client.ask(&format!("SET a {long}"));
    assert_eq!(
        refused,
        Response::Error("ERR value is longer than 256 bytes".to_owned())
    );
    let pairs = (0..8).map(|key| format!(" {key} {}", "x".repeat(64)));
    let refused = client.ask(&format!("MSET{}", pairs.collect::<String>()));
    assert!(
        matches!(&refused, Response::Error(text) if text.contains("longer than")),
        "{refused:?}"
    );
    assert_eq!(client.ask("DBSIZE"), Response::Integer(0));
}

#[test]
fn more_clients_than_there_may_be_are_told_so() {
    let cluster = Cluster::start_with(1, |options| options.clients_max = 2);
    let mut kept = [cluster.client(0), cluster.client(0)];
    for client in &mut kept {
        assert_eq!(client.ask("PING"), Response::Status("PONG".to_owned()));
    }
    let mut text = String::new();
    let mut third = TcpStream::connect(cluster.clients_address(0)).unwrap();
    third.read_to_string(&mut text).unwrap();
    assert_eq!(text, "-ERR max number of clients reached\r\n");
}

#[test]
fn a_node_is_not_started_where_it_would_break_the_cluster() {
    let mut cluster = Cluster::start(3);
    cluster.client(0).ask("SET a 1");
    let running = cluster.options(1);
    assert!(matches!(
        Server::bind(&running),
        Err(ServerError::Listen(..))
    ));

    cluster.stop(1);
    let refused = |change: &dyn Fn(&mut synod_server::Options)| {
        let mut options = cluster.options(1);
        change(&mut options);
        match open_directory(options) {
            Err(ServerError::Start(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let lost = refused(&|options| options.directory = options.directory.join("lost"));
    assert!(matches!(lost, StartError::Missing(_)));
    assert!(lost.to_string().contains("must not vote again"), "{lost}");
    assert!(matches!(
        refused(&|options| options.start = Start::New),
        StartError::Exists(_)
    ));
    let other = refused(&|options| options.cluster.cluster += 1);
    assert!(matches!(other, StartError::Foreign(..)), "{other}");
    let renamed = cluster.options(0).directory;
    let in_use = refused(&|options| options.directory.clone_from(&renamed));
    assert!(matches!(in_use, StartError::Log(..)), "{in_use}");
    let unknown = {
        let mut options = cluster.options(1);
        options.node = NodeId(9);
        Server::bind(&options)
    };
    assert!(matches!(unknown, Err(ServerError::NotInFile(NodeId(9)))));
}
