//! Clusters whose connections are all in TLS, and what becomes of those who do not get through it.

use super::harness::{Client, Cluster, bulk, open_directory};
use super::ok;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use synod::NodeId;
use synod_server::resp::response::Response;
use synod_server::tls::authority::{Authority, Pair, usual_end};

type Encrypted = StreamOwned<ClientConnection, TcpStream>;

/// Longer than a node ever keeps anybody waiting in a handshake.
const PATIENCE: Duration = Duration::from_mins(1);

/// Returns the settings of a client that trusts this authority.
pub(crate) fn trusting(ca: &Path) -> Arc<ClientConfig> {
    Arc::new(config(ca, &[&TLS13, &TLS12], None))
}

fn config(
    ca: &Path,
    versions: &[&'static SupportedProtocolVersion],
    pair: Option<&Pair>,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(ca).unwrap())
        .unwrap();
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    let Some(Pair { certificate, key }) = pair else {
        return builder.with_no_client_auth();
    };
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    builder
        .with_client_auth_cert(vec![certificate], key)
        .unwrap()
}

/// Begins TLS with a server on this machine.
pub(crate) fn wrap(config: Arc<ClientConfig>, stream: TcpStream) -> Encrypted {
    let name = ServerName::from(IpAddr::from([127, 0, 0, 1]));
    StreamOwned::new(ClientConnection::new(config, name).unwrap(), stream)
}

fn dial(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Returns what a process says first that claims to be this node.
fn hello(node: u8) -> Vec<u8> {
    let rest = [
        &b"SYNOD\x01\0\0\0\0\0\0\0\0\0\0\0\0"[..],
        &[node],
        b"127.0.0.1:1",
    ]
    .concat();
    let len = u16::try_from(rest.len()).unwrap();
    [&len.to_le_bytes()[..], &rest].concat()
}

/// Dials the port for nodes with this certificate, claims to be a node, and waits until the other side hangs up.
fn claim(cluster: &Cluster, node: u8, pair: Option<&Pair>) {
    let config = config(&cluster.tls_files(0).ca, &[&TLS13], pair);
    let mut stream = wrap(Arc::new(config), dial(cluster.peers_address(0)));
    // It may be hung up on while it still sends.
    let _ = stream.write_all(&hello(node));
    let _ = stream.read_to_end(&mut Vec::new());
}

/// Returns the number that `INFO` has for this.
fn counted(client: &mut Client, name: &str) -> u64 {
    let Response::Bulk(info) = client.ask("INFO") else {
        panic!("no info");
    };
    let info = String::from_utf8(info).unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim_start_matches(':').parse().unwrap()
}

#[test]
fn a_cluster_in_tls_serves_and_goes_on_without_its_leader_and_after_a_restart_of_all() {
    let mut cluster = Cluster::start_in_tls(3, |_| {});
    assert_eq!(cluster.client(0).ask("SET a 1"), ok());
    for node in 0..3 {
        assert_eq!(cluster.client(node).ask("GET a"), bulk("1"));
    }
    let leader = cluster.leader();
    cluster.stop(leader);
    let other = (leader + 1) % 3;
    assert_eq!(cluster.client(other).ask("SET a 2"), ok());
    cluster.restart(leader);
    assert_eq!(cluster.client(leader).ask("GET a"), bulk("2"));
    for node in 0..3 {
        cluster.stop(node);
    }
    for node in 0..3 {
        cluster.restart(node);
    }
    assert_eq!(cluster.client(1).ask("GET a"), bulk("2"));
    assert_eq!(cluster.count_said("hung up on"), 0);
}

#[test]
fn much_is_sent_at_once_both_ways_in_both_versions_of_tls() {
    let encrypted = Cluster::start_in_tls(1, |_| {});
    let old = config(&encrypted.tls_files(0).ca, &[&TLS12], None);
    encrypted.client(0).ask("PING");
    let old = wrap(Arc::new(old), dial(encrypted.clients_address(0)));
    let value = "x".repeat(256);
    for mut client in [encrypted.client(0), Client::new(old)] {
        assert_eq!(client.ask(&format!("SET big {value}")), ok());
        client.send(&"GET big\r\n".repeat(5_000));
        for _ in 0..5_000 {
            assert_eq!(client.next(), bulk(&value));
        }
    }
}

#[test]
fn whoever_is_no_node_is_refused_on_their_port_and_the_reason_is_said_once() {
    let cluster = Cluster::start_in_tls(3, |_| {});
    assert_eq!(cluster.client(0).ask("SET a 1"), ok());
    let key = fs::read_to_string(cluster.tls_files(0).ca.with_extension("key")).unwrap();
    let (ours, number) = (&key, cluster.number());
    let ends = usual_end();
    let authority = |until| Authority::with_key(number, ours, until).unwrap();
    let certify = |authority: &Authority, node| authority.certify(NodeId(node), &[], &[]).unwrap();
    let (stranger, _) = Authority::create(number, ends).unwrap();
    let other_cluster = Authority::with_key(number + (1 << 32), ours, ends).unwrap();
    let no_node = certify(&other_cluster, 1);
    for (pair, said) in [
        (None, "it has shown no certificate"),
        (
            Some(certify(&stranger, 1)),
            "its certificate is not of the authority",
        ),
        (
            Some(certify(&authority(Duration::from_secs(1)), 1)),
            "its certificate has expired",
        ),
        (
            Some(certify(&authority(ends), 2)),
            "its certificate is not that of node-1.",
        ),
        (Some(no_node), "its certificate is not that of node-1."),
    ] {
        for _ in 0..2 {
            claim(&cluster, 1, pair.as_ref());
        }
        cluster.wait_until_said(said);
        assert_eq!(cluster.count_said(said), 1, "{said}");
    }
    for garbage in [&hello(1)[..], b"GET / HTTP/1.1\r\n\r\n", &[0xff; 4096]] {
        let mut plain = dial(cluster.peers_address(0));
        let _ = plain.write_all(garbage);
        let _ = plain.read_to_end(&mut Vec::new());
    }
    cluster.wait_until_said("it does not speak TLS");
    let mut client = cluster.client(0);
    assert_eq!(client.ask("INCR a"), Response::Integer(2));
    assert!(counted(&mut client, "tls_refused_nodes") >= 13);
    assert!(counted(&mut client, "strangers") >= 13);
}

#[test]
fn a_client_in_plain_text_is_told_to_speak_tls_and_garbage_is_hung_up_on() {
    let cluster = Cluster::start_in_tls(1, |_| {});
    assert_eq!(
        cluster.client(0).ask("PING"),
        Response::Status("PONG".to_owned())
    );
    let mut plain = Client::new(dial(cluster.clients_address(0)));
    let told = plain.ask("PING");
    assert!(
        matches!(&told, Response::Error(text) if text.starts_with("ERR this port speaks TLS")),
        "{told:?}"
    );
    let mut garbage = dial(cluster.clients_address(0));
    let _ = garbage.write_all(&[&[0x16, 0x03, 0x01, 0x40, 0x00][..], &[0; 0x4000]].concat());
    let _ = garbage.read_to_end(&mut Vec::new());
    cluster.wait_until_said("hung up on client");
    assert_eq!(counted(&mut cluster.client(0), "tls_refused_clients"), 2);
}

#[test]
fn whoever_speaks_tls_to_a_node_without_it_is_hung_up_on_and_the_reason_is_said() {
    let cluster = Cluster::start(1);
    let directory = Cluster::start_in_tls(1, |_| {});
    let mut client = cluster.client(0);
    assert_eq!(client.ask("SET a 1"), ok());
    for address in [cluster.clients_address(0), cluster.peers_address(0)] {
        let config = trusting(&directory.tls_files(0).ca);
        let mut stream = wrap(config, dial(address));
        assert!(stream.write_all(b"PING\r\n").is_err());
    }
    cluster.wait_until_said("hung up on client");
    assert!(cluster.count_said("it speaks TLS, and this node does not") >= 1);
    assert_eq!(client.ask("GET a"), bulk("1"));
}

#[test]
fn handshakes_that_nobody_goes_on_with_keep_neither_clients_nor_nodes_out() {
    let mut cluster = Cluster::start_in_tls(3, |options| options.clients_max = 20);
    let mut good = cluster.client(0);
    assert_eq!(good.ask("SET a 1"), ok());
    let silent: Vec<_> = (0..100).map(|_| dial(cluster.clients_address(0))).collect();
    assert_eq!(good.ask("INCR a"), Response::Integer(2));
    assert_eq!(cluster.client(0).ask("INCR a"), Response::Integer(3));
    assert!(counted(&mut good, "tls_refused_clients") >= 80);

    cluster.stop(1);
    cluster.stop(2);
    // More than a node lets in, and some that begin a handshake.
    let mut strangers: Vec<_> = (0..400).map(|_| dial(cluster.peers_address(0))).collect();
    for stranger in strangers.iter_mut().step_by(2) {
        let _ = stranger.write_all(&[0x16, 0x03, 0x01, 0x02]);
    }
    cluster.restart(1);
    cluster.restart(2);
    assert_eq!(good.ask("INCR a"), Response::Integer(4));
    drop((silent, strangers));
}

#[test]
fn a_node_does_not_start_with_files_that_the_others_would_refuse() {
    let cluster = Cluster::start_in_tls(3, |_| {});
    let error_with = |change: &dyn Fn(&mut synod_server::tls::Files)| {
        let mut options = cluster.options(0);
        let mut files = cluster.tls_files(0);
        change(&mut files);
        options.tls = Some(files);
        // Not where the one that runs listens.
        options.cluster = {
            let mut file = options.cluster.clone();
            let addresses = file.nodes.get_mut(&NodeId(0)).unwrap();
            addresses.peers.set_port(0);
            addresses.clients.set_port(0);
            file
        };
        open_directory(options).unwrap_err().to_string()
    };
    let other = cluster.tls_files(1);
    let both = error_with(&|files| {
        files.certificate.clone_from(&other.certificate);
        files.key.clone_from(&other.key);
    });
    assert!(
        both.contains("its certificate is not that of node-0."),
        "{both}"
    );
    let key = error_with(&|files| files.key.clone_from(&other.key));
    assert!(key.contains("node-1.key: is not the key of"), "{key}");
    let missing = error_with(&|files| files.key.set_extension("none").then_some(()).unwrap());
    assert!(missing.contains("node-0.none"), "{missing}");
    let swapped = error_with(&|files| files.ca.clone_from(&files.key.clone()));
    assert!(swapped.contains("holds nothing in PEM"), "{swapped}");
}
