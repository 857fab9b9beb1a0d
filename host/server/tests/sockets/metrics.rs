//! Metrics over HTTP, and what those who ask for something else are told.

use crate::harness::Cluster;
use crate::ok;
use core::net::SocketAddr;
use core::time::Duration;
use std::io::{Read, Write};
use std::net::TcpStream;

/// Sends a request and returns everything that comes back; what came before an error if there is one.
fn ask(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = connect(address);
    let _ = stream.write_all(request);
    let mut response = Vec::new();
    let _ = stream.read_to_end(&mut response);
    String::from_utf8(response).unwrap()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_mins(1)))
        .unwrap();
    stream
}

/// Returns a figure of a node.
fn figure(address: SocketAddr, name: &str) -> u64 {
    let response = ask(address, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    let mut lines = body.lines();
    let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap().parse().unwrap()
}

#[test]
fn metrics_tell_what_a_node_has_done() {
    let cluster = Cluster::start(3);
    assert_eq!(cluster.client(0).ask("SET a 1"), ok());
    cluster.wait_for_all();
    let leader = cluster.leader();
    for node in 0..3 {
        let address = cluster.metrics_address(node);
        assert_eq!(figure(address, "synod_members"), 3);
        assert_eq!(figure(address, "synod_is_member"), 1);
    }
    let leaders = (0..3).filter(|node| {
        let address = cluster.metrics_address(*node);
        figure(address, "synod_is_leader") == 1
    });
    assert!(leaders.eq([leader]));
    let address = cluster.metrics_address(0);
    assert!(figure(address, "synod_syncs_total") > 0);
    assert!(figure(address, "synod_commit_duration_seconds_count") > 0);
    assert!(figure(address, "synod_journal_bytes") > 0);
    let health = ask(address, b"GET /healthz HTTP/1.1\r\n\r\n");
    assert!(health.starts_with("HTTP/1.1 200 OK"), "{health}");
}

#[test]
fn hostile_requests_are_dropped_and_counted_and_others_are_served() {
    let cluster = Cluster::start(1);
    assert_eq!(cluster.client(0).ask("SET a 1"), ok());
    let address = cluster.metrics_address(0);
    // Silent ones take all places, and are closed for those who speak.
    let silent: Vec<_> = (0..40).map(|_| connect(address)).collect();
    for (request, status) in [
        (&b"GET /secrets HTTP/1.1\r\n\r\n"[..], "404"),
        (b"DELETE /metrics HTTP/1.1\r\n\r\n", "405"),
        (b"\xff\xfe\r\n\r\n", "400"),
        (b"*1\r\n$4\r\nPING\r\n\r\n", "400"),
    ] {
        let response = ask(address, request);
        let start = format!("HTTP/1.1 {status} ");
        assert!(response.starts_with(&start), "{response}");
    }
    let endless = vec![b'a'; 1 << 20];
    let response = ask(address, &endless);
    assert!(
        response.is_empty() || response.contains("431"),
        "{response}"
    );
    let name = "synod_scrapes_total{outcome=\"refused\"}";
    // Each of the four, the endless one, and the silent ones beyond the places.
    assert!(figure(address, name) >= 5 + 24);
    drop(silent);
    assert_eq!(cluster.client(0).ask("SET a 2"), ok());
}
