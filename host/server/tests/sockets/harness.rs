//! Servers on threads, and a client that waits for its replies.

use super::tls;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use core::time::Duration as Wait;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use synod::{Duration, Instant, NodeId, Record, Tracer};
use synod_server::admin::Door;
use synod_server::capacity::PAGE;
use synod_server::cluster_file::{Addresses, ClusterFile, TlsPaths};
use synod_server::keyspace::Keyspace;
use synod_server::resp::response::{self, Response};
use synod_server::tls::authority::{Authority, usual_end};
use synod_server::tls::{Files, Trust};
use synod_server::{Notices, Options, STACK, Server, ServerError, Severity, Start};

/// Longer than a server ever keeps a client waiting: whoever waits for so long has found a mistake.
const PATIENCE: Wait = Wait::from_mins(1);

/// Tells the directories and the random numbers of the clusters of one process from each other.
static CLUSTERS: AtomicU64 = AtomicU64::new(1);

/// What the nodes of a cluster have said to their operator.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<String>>>);

impl Tracer<Keyspace, PAGE> for Said {
    fn record(&mut self, _record: &Record<'_, Keyspace, PAGE>) {}
}

impl Notices for Said {
    fn notice(&mut self, _at: Instant, node: NodeId, _severity: Severity, text: &dyn fmt::Display) {
        self.0.lock().unwrap().push(format!("{node} {text}"));
    }
}

struct Running {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// Listens on a free port below those that systems give to connections. One of these could be taken by any connection while
/// its node is down, and a connection to it could reach itself.
pub(crate) fn listen() -> TcpListener {
    static PORTS: AtomicU16 = AtomicU16::new(0);
    let process = u16::try_from(std::process::id() % 80).unwrap() * 100;
    let next = || 21_000 + (process + PORTS.fetch_add(1, Ordering::Relaxed)) % 10_000;
    core::iter::repeat_with(next)
        .take(1_000)
        .find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok())
        .expect("a port is free")
}

pub(crate) struct Cluster {
    directory: PathBuf,
    file: ClusterFile,
    metrics: Vec<SocketAddr>,
    change: fn(&mut Options),
    starts: u64,
    said: Said,
    has_tls: bool,
    running: BTreeMap<u16, Running>,
}

impl Cluster {
    pub(crate) fn start(nodes: u16) -> Self {
        Self::start_with(nodes, |_| {})
    }

    /// Starts a cluster whose options are changed.
    pub(crate) fn start_with(nodes: u16, change: fn(&mut Options)) -> Self {
        Self::start_any(nodes, false, change)
    }

    /// Starts a cluster whose connections are all in TLS.
    pub(crate) fn start_in_tls(nodes: u16, change: fn(&mut Options)) -> Self {
        Self::start_any(nodes, true, change)
    }

    fn start_any(nodes: u16, has_tls: bool, change: fn(&mut Options)) -> Self {
        let number = CLUSTERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("synod-sockets-{}-{number}", std::process::id());
        // All are kept until all are known, so that no port is given out twice.
        let listeners: Vec<_> = (0..nodes).map(|_| (listen(), listen())).collect();
        let for_metrics: Vec<_> = (0..nodes).map(|_| listen()).collect();
        let metrics = for_metrics.iter().map(|each| each.local_addr().unwrap());
        let metrics = metrics.collect();
        let addresses = listeners.iter().map(|(peers, clients)| Addresses {
            peers: peers.local_addr().unwrap(),
            clients: clients.local_addr().unwrap(),
        });
        let file = ClusterFile::new(number, addresses);
        drop((listeners, for_metrics));
        let mut cluster = Self {
            directory: std::env::temp_dir().join(name),
            file,
            metrics,
            change,
            starts: number << 8,
            said: Said::default(),
            has_tls,
            running: BTreeMap::new(),
        };
        if has_tls {
            cluster.make_certificates();
        }
        for node in 0..nodes {
            cluster.run(node, Start::New);
        }
        cluster
    }

    pub(crate) fn options(&self, node: u16) -> Options {
        let mut options = Options {
            cluster: self.file.clone(),
            node: NodeId(node),
            directory: self.directory.join(node.to_string()),
            start: Start::Existing,
            patience: Duration::from_secs(20),
            stale_reads: false,
            clients_max: 10_000,
            password: None,
            record: None,
            tls: self.has_tls.then(|| self.tls_files(node)),
            metrics: Some(self.metrics_address(node)),
            log_capacity: 4 << 20,
            random: (6, self.starts << 48),
        };
        (self.change)(&mut options);
        options
    }

    fn run(&mut self, node: u16, start: Start) {
        self.starts += 1;
        let mut options = self.options(node);
        options.start = start;
        let stop = Arc::new(AtomicBool::new(false));
        let stops = Arc::clone(&stop);
        let mut said = self.said.clone();
        let thread = thread::Builder::new().stack_size(STACK);
        let thread = thread.spawn(move || {
            let mut server = Server::bind(&options).expect("the node starts");
            server.run(&mut said, &stops).expect("the node runs");
        });
        let thread = thread.unwrap();
        self.running.insert(node, Running { stop, thread });
    }

    pub(crate) fn restart(&mut self, node: u16) {
        self.run(node, Start::Existing);
    }

    pub(crate) fn stop(&mut self, node: u16) {
        let running = self.running.remove(&node).expect("the node runs");
        running.stop.store(true, Ordering::Relaxed);
        running.thread.join().expect("the node has not failed");
    }

    pub(crate) fn clients_address(&self, node: u16) -> SocketAddr {
        self.file.nodes[&NodeId(node)].clients
    }

    /// Returns how an operator reaches a node.
    pub(crate) fn door(&self, node: u16) -> Door {
        let trust = || Trust::load(&self.tls_files(node).ca, None).unwrap();
        Door {
            address: self.clients_address(node),
            trust: self.has_tls.then(trust),
            password: None,
        }
    }

    pub(crate) fn peers_address(&self, node: u16) -> SocketAddr {
        self.file.nodes[&NodeId(node)].peers
    }

    pub(crate) fn metrics_address(&self, node: u16) -> SocketAddr {
        self.metrics[usize::from(node)]
    }

    /// Waits until all nodes serve.
    pub(crate) fn wait_for_all(&self) {
        for node in self.running.keys() {
            self.client(*node).ask("PING");
        }
    }

    /// Connects to a node, once it listens.
    pub(crate) fn client(&self, node: u16) -> Client {
        let address = self.clients_address(node);
        let stream = loop {
            match TcpStream::connect(address) {
                Ok(stream) => break stream,
                Err(_) => assert!(
                    !self.running[&node].thread.is_finished(),
                    "the node has ended"
                ),
            }
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        if self.has_tls {
            let config = tls::trusting(&self.tls_files(node).ca);
            return Client::new(tls::wrap(config, stream));
        }
        Client::new(stream)
    }

    /// Waits until a node has said something to its operator that contains this.
    pub(crate) fn wait_until_said(&self, text: &str) {
        loop {
            if self.count_said(text) > 0 {
                return;
            }
            let ended = self.running.values().any(|node| node.thread.is_finished());
            assert!(!ended, "a node has ended");
            thread::yield_now();
        }
    }

    /// Returns how many lines for the operator contain this.
    pub(crate) fn count_said(&self, text: &str) -> usize {
        let said = self.said.0.lock().unwrap();
        said.iter().filter(|line| line.contains(text)).count()
    }

    pub(crate) fn number(&self) -> u64 {
        self.file.cluster
    }

    /// Returns the files of a node for TLS.
    pub(crate) fn tls_files(&self, node: u16) -> Files {
        let paths = TlsPaths::within("cluster-tls");
        paths.files(&self.directory.join("cluster.toml"), NodeId(node))
    }

    /// Makes the certificates of all nodes, and keeps the key of the authority beside them.
    fn make_certificates(&self) {
        let files = self.tls_files(0);
        fs::create_dir_all(files.ca.parent().unwrap()).unwrap();
        let (authority, pair) = Authority::create(self.number(), usual_end()).unwrap();
        fs::write(&files.ca, pair.certificate).unwrap();
        fs::write(files.ca.with_extension("key"), pair.key).unwrap();
        for node in self.file.nodes.keys() {
            let files = self.tls_files(node.0);
            let addresses = [IpAddr::from([127, 0, 0, 1])];
            let pair = authority.certify(*node, &addresses, &[]).unwrap();
            fs::write(&files.certificate, pair.certificate).unwrap();
            fs::write(&files.key, pair.key).unwrap();
        }
    }

    /// Returns the node that leads, as one of them says.
    pub(crate) fn leader(&self) -> u16 {
        let Response::Array(status) = self.client(0).ask("SYNOD.STATUS") else {
            panic!("no status");
        };
        let at = status
            .iter()
            .position(|word| *word == bulk("leader"))
            .unwrap();
        let Response::Bulk(name) = &status[at + 1] else {
            panic!("no leader");
        };
        let name = String::from_utf8_lossy(name);
        name.trim_start_matches("NODE_").parse().unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for running in self.running.values() {
            running.stop.store(true, Ordering::Relaxed);
        }
        for running in core::mem::take(&mut self.running).into_values() {
            let ended = running.thread.join();
            assert!(ended.is_ok() || thread::panicking(), "a node has failed");
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Opens the storage of a node as its server does, on a thread with room for it.
pub(crate) fn open_directory(options: Options) -> Result<(), ServerError> {
    let thread = thread::Builder::new().stack_size(STACK);
    let thread = thread.spawn(move || Server::bind(&options).map(|_| ()));
    thread.unwrap().join().unwrap()
}

/// What is said to a server, and what it says.
pub(crate) trait Talk: Read + Write + Send {}

impl<T: Read + Write + Send> Talk for T {}

pub(crate) struct Client {
    stream: Box<dyn Talk>,
    bytes: Vec<u8>,
}

impl Client {
    pub(crate) fn new(stream: impl Talk + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            bytes: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// Waits for the next reply.
    pub(crate) fn next(&mut self) -> Response {
        let mut piece = [0; 4096];
        loop {
            if let Some((response, len)) = response::parse(&self.bytes).unwrap() {
                self.bytes.drain(..len);
                return response;
            }
            let count = self.stream.read(&mut piece).unwrap();
            assert_ne!(count, 0, "the server has hung up");
            self.bytes.extend_from_slice(&piece[..count]);
        }
    }

    /// Asks again and again until the reply is this one.
    pub(crate) fn ask_until(&mut self, line: &str, expected: &Response) {
        while self.ask(line) != *expected {}
    }

    pub(crate) fn ask(&mut self, line: &str) -> Response {
        self.send(&format!("{line}\r\n"));
        self.next()
    }
}

pub(crate) fn bulk(text: &str) -> Response {
    Response::Bulk(text.as_bytes().to_vec())
}
