//! Benchmarks of servers on loopback sockets.

use crate::harness::{Cluster, bulk};
use core::net::SocketAddr;
use core::sync::atomic::AtomicBool;
use core::time::Duration;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use synod_server::bench::{BenchError, Length, Operation, Pace, Plan, Resp, Summary, Watch, run};
use synod_server::resp::response::Response;

fn plan(addresses: Vec<SocketAddr>, operation: Operation, requests: u64) -> Plan {
    Plan {
        addresses,
        clients: 6,
        depth: 2,
        pace: Pace::Closed,
        length: Length::Requests(requests),
        warm_up: Duration::ZERO,
        operation,
        keys: 3,
        value_bytes: 16,
        timeout: Duration::from_mins(1),
        trust: None,
    }
}

/// Returns the addresses of the nodes of a cluster, once they listen.
fn addresses(cluster: &Cluster, nodes: u16) -> Vec<SocketAddr> {
    let address = |node| {
        cluster.client(node).ask("PING");
        cluster.clients_address(node)
    };
    (0..nodes).map(address).collect()
}

fn measure(plan: &Plan) -> Result<Summary, BenchError> {
    let stop = AtomicBool::new(false);
    let watch = Watch {
        stop: &stop,
        progress: &|_| {},
    };
    run(plan, Resp::default, watch)
}

/// Returns how often the counters of a cluster were counted up.
fn counted(cluster: &Cluster) -> u64 {
    let mut client = cluster.client(0);
    let count = |key| match client.ask(&format!("GET bench:n:{key:012}")) {
        Response::Bulk(digits) => String::from_utf8(digits).unwrap().parse::<u64>().unwrap(),
        other => panic!("{other:?}"),
    };
    (0..3).map(count).sum()
}

#[test]
fn as_many_requests_are_made_as_were_asked_for() {
    let cluster = Cluster::start(1);
    let closed = plan(addresses(&cluster, 1), Operation::Incr, 200);
    let summary = measure(&closed).unwrap();
    assert_eq!((summary.done, summary.failed), (200, 0), "{summary:?}");
    let figures = summary.figures;
    assert!(figures.per_second > 0 && figures.p50_ns > 0, "{figures:?}");
    assert!(figures.p50_ns <= figures.p99_ns && figures.p99_ns <= figures.max_ns);

    let open = Plan {
        pace: Pace::Open { per_second: 1_000 },
        ..closed
    };
    let summary = measure(&open).unwrap();
    assert_eq!((summary.done, summary.failed), (200, 0), "{summary:?}");
    assert_eq!(counted(&cluster), 400);
}

#[test]
fn what_was_done_by_several_servers_is_there_and_nothing_else() {
    let cluster = Cluster::start(3);
    let incr = plan(addresses(&cluster, 3), Operation::Incr, 200);
    let summary = measure(&incr).unwrap();
    assert_eq!((summary.done, summary.failed), (200, 0), "{summary:?}");
    assert_eq!(counted(&cluster), 200);
}

#[test]
fn reads_find_what_was_filled_in() {
    let cluster = Cluster::start(1);
    let mix = plan(
        addresses(&cluster, 1),
        Operation::Mix { reads_ppm: 900_000 },
        100,
    );
    let unfilled = Plan {
        operation: Operation::Get,
        ..mix.clone()
    };
    assert_eq!(measure(&unfilled).unwrap().missing, 100);
    let filled = measure(&mix.fill().unwrap()).unwrap();
    assert_eq!((filled.done, filled.failed), (3, 0));
    let summary = measure(&mix).unwrap();
    assert_eq!((summary.done, summary.missing, summary.failed), (100, 0, 0));
    let value = cluster.client(0).ask("GET bench:v:000000000002");
    assert_eq!(value, bulk(&"x".repeat(16)));
}

#[test]
fn what_a_server_refuses_has_failed() {
    let cluster = Cluster::start(1);
    let mut long = plan(addresses(&cluster, 1), Operation::Set, 20);
    long.value_bytes = 257;
    let summary = measure(&long).unwrap();
    assert_eq!((summary.done, summary.failed), (0, 20));
    let reasons: Vec<_> = summary.failures.keys().collect();
    assert_eq!(reasons, ["ERR value is longer than 256 bytes"]);
}

#[test]
fn a_request_whose_connection_is_lost_has_failed_and_the_others_go_on() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let mut piece = [0; 1024];
        // The first connection is closed after three answers, two of them to requests.
        for answers in [3, 4] {
            let (mut stream, _) = listener.accept().unwrap();
            for _ in 0..answers {
                assert_ne!(stream.read(&mut piece).unwrap(), 0);
                stream.write_all(b"+OK\r\n").unwrap();
            }
            let _ = stream.read(&mut piece);
        }
    });
    let mut lonely = plan(vec![address], Operation::Set, 6);
    (lonely.clients, lonely.depth) = (1, 1);
    let summary = measure(&lonely).unwrap();
    server.join().unwrap();
    assert_eq!((summary.done, summary.failed), (5, 1), "{summary:?}");
}

#[test]
fn a_benchmark_does_not_begin_where_nobody_can_answer_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let one = |address| {
        let mut plan = plan(vec![address], Operation::Set, 1);
        plan.clients = 1;
        measure(&plan).unwrap_err()
    };
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
    });
    assert!(matches!(one(address), BenchError::Stranger(at, "RESP") if at == address));
    server.join().unwrap();
    // Its listener is gone.
    assert!(matches!(one(address), BenchError::Unreachable(at, _) if at == address));

    let closed = Cluster::start_with(1, |options| options.password = Some(b"secret".to_vec()));
    let refused = one(addresses(&closed, 1)[0]);
    assert!(
        matches!(&refused, BenchError::Refused(_, reason) if reason.starts_with("NOAUTH")),
        "{refused:?}"
    );
}
