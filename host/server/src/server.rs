//! The server of a node: the loop that joins its service with sockets, the disk and the clock.

use crate::capacity::Member;
use crate::capacity::PAGE;
use crate::cluster_file::{Addresses, ClusterFile};
use crate::keyspace::Keyspace;
use crate::metrics::{Facts, Histogram, Outside, exposition};
use crate::net::{Clients, Heard, Hello, Limits, Page, Peers, Scrapes};
use crate::record::{RecordError, RecordFile, Recorder};
use crate::service::{Now, Service, Settings};
use crate::start::{Start, StartError, Started, start};
use crate::tls::{Files, Identity, TlsError};
use crate::view::{Taken, View};
use core::fmt;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration as Wait;
use mio::net::TcpListener;
use mio::{Events, Poll};
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use synod::{Duration, Instant, NodeId, NodeState, Tracer};
use synod_store::FileLog;

/// The most events that are taken from the system at a time.
const EVENTS: usize = 1024;
/// The stack that a server needs, in bytes. Debug builds move large values by it.
pub const STACK: usize = 64 << 20;
/// The longest wait for events, after which the server looks whether it is to stop.
const WAIT_MAX: Duration = Duration::from_millis(200);
/// How often the server looks for clients that do not read.
const SWEEP: Duration = Duration::from_secs(10);
/// The log is marked when nothing was stored for so long.
const QUIET: Duration = Duration::from_secs(1);
/// The log of strangers names so many, and counts the others.
const STRANGERS_NAMED: u64 = 20;

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The cluster.
    pub cluster: ClusterFile,
    /// The number of the node.
    pub node: NodeId,
    /// The directory of its storage.
    pub directory: PathBuf,
    /// Whether the storage exists.
    pub start: Start,
    /// How long a client waits for an answer.
    pub patience: Duration,
    /// True if reads are answered from the state of this node, however old it is.
    pub stale_reads: bool,
    /// The most clients at a time.
    pub clients_max: usize,
    /// The password of clients; `None` if there is none.
    pub password: Option<Vec<u8>>,
    /// The file that the turns of the node are recorded in, for a [judge](crate::judge); `None` for no record.
    pub record: Option<PathBuf>,
    /// The files for TLS; `None` for plain text on all connections.
    pub tls: Option<Files>,
    /// Where metrics are served; `None` if they are not.
    pub metrics: Option<SocketAddr>,
    /// The size of the log, in bytes: [`LOG_CAPACITY`](crate::capacity::LOG_CAPACITY), unless the node holds little.
    pub log_capacity: usize,
    /// Random numbers: the seed of the node's jitter, and the nonce of this process.
    pub random: (u64, u64),
}

/// Why a server has not started.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerError {
    /// The node has no addresses in the file of the cluster.
    NotInFile(NodeId),
    /// The storage was not used.
    Start(StartError),
    /// A file for TLS was not used.
    Tls(TlsError),
    /// An address cannot be listened to.
    Listen(SocketAddr, io::Error),
    /// The node cannot be recorded.
    Record(RecordError),
    /// The system has refused what every server needs.
    System(io::Error),
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInFile(node) => write!(
                f,
                "the file of the cluster has no addresses of {node}: add a [[node]] with id = {}, or name another --id",
                node.0
            ),
            Self::Start(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
            Self::Listen(address, error) if error.kind() == ErrorKind::AddrInUse => write!(
                f,
                "{address} is in use: another process listens there, perhaps this node itself; stop it, or change the address in \
                 the file of the cluster"
            ),
            Self::Listen(address, error) => write!(f, "{address} cannot be listened to: {error}"),
            Self::Record(error) => error.fmt(f),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ServerError {}

/// How much a notice matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The node does not serve as it should until somebody does something.
    Error,
    /// Somebody should look into it.
    Warn,
    /// What the node is and does.
    Info,
}

/// What a server says, beside the records of its node.
pub trait Notices: Tracer<Keyspace, PAGE> {
    /// Takes one line for the operator.
    fn notice(&mut self, at: Instant, node: NodeId, severity: Severity, text: &dyn fmt::Display);

    /// Called once a turn, so that lines are written soon.
    fn flush(&mut self) {}
}

/// A server that listens, and has not begun to run.
#[derive(Debug)]
pub struct Server {
    poll: Poll,
    clock: Clock,
    service: Service<FileLog>,
    peers: Peers,
    clients: Clients,
    scrapes: Scrapes,
    /// The time of turns that made something durable.
    commits: Histogram,
    node: NodeId,
    addresses: Addresses,
    has_tls: bool,
    is_new: bool,
    random: u64,
    password: Option<Vec<u8>>,
    swept: Instant,
    /// The number of syncs so far, and when the log is marked if there is no other.
    stored: (u64, Option<Instant>),
    /// What was last said about the node.
    said: (NodeState, Option<NodeId>),
    /// True once it was said that facts are not recorded.
    said_incomplete: bool,
}

/// The clocks of the system. This is the only place where they are read.
#[derive(Clone, Copy, Debug)]
struct Clock {
    /// The start of the process.
    start: std::time::Instant,
    /// The time of that, in microseconds since 1970.
    base: u64,
}

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "a server is where the clock is read"
    )]
    fn start() -> Self {
        Self {
            start: std::time::Instant::now(),
            base: unix_micros(),
        }
    }

    /// Returns the present time. The monotonic one begins at that of the wall clock, so that the logs of several machines
    /// can be read together.
    fn now(self) -> Now {
        let since = micros(self.start.elapsed());
        Now {
            monotonic: Instant::from_micros(self.base.saturating_add(since)),
            unix: unix_micros() / 1_000,
        }
    }
}

fn micros(wait: Wait) -> u64 {
    u64::try_from(wait.as_micros()).unwrap_or(u64::MAX)
}

/// Returns the time since 1970; zero where the clock is set to earlier.
#[expect(
    clippy::disallowed_methods,
    reason = "a server is where the clock is read"
)]
fn unix_micros() -> u64 {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH);
    micros(unix.unwrap_or_default())
}

impl Server {
    /// Opens the storage and listens.
    ///
    /// # Errors
    ///
    /// [`ServerError`]: nothing runs.
    pub fn bind(options: &Options) -> Result<Self, ServerError> {
        let addresses = options.cluster.nodes.get(&options.node);
        let addresses = *addresses.ok_or(ServerError::NotInFile(options.node))?;
        let listen = |address| {
            TcpListener::bind(address).map_err(|error| ServerError::Listen(address, error))
        };
        // Before the storage is opened, or created: most mistakes show here, and in the record.
        let for_peers = listen(addresses.peers)?;
        let for_clients = listen(addresses.clients)?;
        let number = options.cluster.cluster;
        let tls = options.tls.as_ref();
        let tls = tls.map(|files| Identity::load(files, number, options.node));
        let tls = tls.transpose().map_err(ServerError::Tls)?;
        let for_metrics = options.metrics.map(listen).transpose()?;
        let config = options.cluster.config(options.node);
        let clock = Clock::start();
        let now = clock.now().monotonic;
        let (seed, nonce) = options.random;
        let recorder = match &options.record {
            Some(path) => {
                let file = RecordFile::open(path, Member::fingerprint_of(&config), options.node);
                Some(Recorder::new(file.map_err(ServerError::Record)?))
            }
            None => None,
        };
        let Started {
            node,
            journal,
            is_new,
        } = start(options, &config, (seed, now)).map_err(ServerError::Start)?;
        let poll = Poll::new().map_err(ServerError::System)?;
        let hello = Hello {
            cluster: node.fingerprint(),
            process: nonce,
            node: options.node,
            address: addresses.peers,
        };
        let others = options.cluster.nodes.iter();
        let others = others.map(|(node, addresses)| (*node, addresses.peers));
        let for_tls = tls.as_ref().map(|tls| Arc::clone(&tls.clients));
        let has_tls = tls.is_some();
        let peers = Peers::new(poll.registry(), for_peers, hello, others, tls)
            .map_err(ServerError::System)?;
        let limits = Limits {
            clients: options.clients_max,
        };
        let clients = Clients::new(poll.registry(), for_clients, limits, for_tls)
            .map_err(ServerError::System)?;
        let scrapes = Scrapes::new(poll.registry(), for_metrics).map_err(ServerError::System)?;
        let settings = Settings {
            patience: options.patience,
            stale_reads: options.stale_reads,
            nonce,
        };
        let mut service = Service::new(node, Some(journal), settings);
        if let Some(recorder) = recorder {
            service.record(recorder);
        }
        Ok(Self {
            poll,
            clock,
            service,
            peers,
            clients,
            scrapes,
            commits: Histogram::default(),
            node: options.node,
            addresses,
            has_tls,
            is_new,
            random: nonce,
            password: options.password.clone(),
            swept: now,
            stored: (0, None),
            said: (NodeState::Joining, None),
            said_incomplete: false,
        })
    }

    /// Runs until `stop` is set, which is looked at several times a second.
    ///
    /// # Errors
    ///
    /// The system has refused what every server needs.
    pub fn run(&mut self, notices: &mut impl Notices, stop: &AtomicBool) -> io::Result<()> {
        let now = self.clock.now();
        let storage = if self.is_new { "new" } else { "existing" };
        let Addresses { peers, clients } = self.addresses;
        let tls = if self.has_tls { ", both in TLS" } else { "" };
        self.say(
            now,
            notices,
            &format_args!("listening for clients on {clients} and for nodes on {peers}{tls}, with {storage} storage"),
        );
        let mut events = Events::with_capacity(EVENTS);
        let mut has_more = false;
        while !stop.load(Ordering::Relaxed) {
            let now = self.clock.now();
            let wait = if has_more { Wait::ZERO } else { self.wait(now) };
            match self.poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            let now = self.clock.now();
            for event in &events {
                let registry = self.poll.registry();
                if !self.scrapes.on_event(event)
                    && !self.peers.on_event(now.monotonic, event, registry)
                {
                    self.clients.on_event(now.monotonic, event, registry);
                }
            }
            has_more = self.turn(now, notices);
            notices.flush();
        }
        let now = self.clock.now();
        self.mark(now, notices);
        self.service.end_record();
        self.say(now, notices, &"stopped");
        notices.flush();
        Ok(())
    }

    /// Returns how long to wait for events.
    fn wait(&self, now: Now) -> Wait {
        let deadlines = [
            self.service.next_deadline(now),
            self.peers.next_deadline(),
            (!self.clients.is_empty()).then(|| self.swept + SWEEP),
            self.stored.1,
        ];
        let next = deadlines.into_iter().flatten().min();
        let wait = next.map_or(WAIT_MAX, |next| next.since(now.monotonic).min(WAIT_MAX));
        Wait::from_micros(wait.as_micros())
    }

    /// Makes one turn. Returns true if there is more to do at once.
    fn turn(&mut self, now: Now, notices: &mut impl Notices) -> bool {
        let at = now.monotonic;
        self.peers.advance(at, self.poll.registry());
        self.clients.accept_late(at, self.poll.registry());
        let service = &mut self.service;
        let mut has_more = self.peers.read(|frame| {
            service.take_frame(frame);
            service.has_room_for_frames()
        });
        self.serve(now, notices);
        let stored = self.commit(now, notices);
        if let Err(error) = stored {
            let text = format!(
                "the storage has failed ({error}): this node does not vote any more, and only learns. Restart it when the disk works"
            );
            self.say_as(Severity::Error, now, notices, &text);
        }
        let mut answered = false;
        while let Some((token, answer)) = self.service.poll_answer() {
            self.clients.on_answer(token, answer);
            answered = true;
        }
        if answered {
            // Replies leave in the same turn, and what the clients have sent behind is taken.
            self.serve(now, notices);
        }
        let syncs = self.service.counters().syncs;
        if self.stored.0 != syncs {
            self.stored = (syncs, Some(at + QUIET));
        } else if self.stored.1.is_some_and(|quiet| quiet <= at) {
            self.stored.1 = None;
            self.mark(now, notices);
        }
        if at.since(self.swept) >= SWEEP {
            self.swept = at;
            self.clients.drop_stuck(at);
        }
        self.answer_scrapes(now);
        self.say_heard(now, notices);
        self.say_incomplete(now, notices);
        self.say_state(now, notices);
        has_more |= answered || self.service.has_more() || self.clients.has_more();
        has_more
    }

    /// Marks the end of the log, so that damage to it is noticed.
    fn mark(&mut self, now: Now, notices: &mut impl Notices) {
        if let Err(error) = self.service.mark() {
            let text = format!("the storage has failed ({error})");
            self.say_as(Severity::Error, now, notices, &text);
        }
    }

    /// Makes a turn of the service, and notes how long it took if it made something durable.
    fn commit(&mut self, now: Now, notices: &mut impl Notices) -> Result<(), String> {
        let syncs = self.service.counters().syncs;
        let begin = self.clock.now().monotonic;
        let stored = self.service.turn(now, &mut self.peers, notices);
        if self.service.counters().syncs != syncs {
            self.commits
                .observe(self.clock.now().monotonic.since(begin));
        }
        stored
    }

    /// Answers those who ask for metrics.
    fn answer_scrapes(&mut self, now: Now) {
        let outside = self.outside(now);
        let (service, peers) = (&self.service, &self.peers);
        let render = |page| {
            let facts = Facts::new(service, peers, outside);
            match page {
                Page::Metrics => (true, exposition(&facts)),
                Page::Health => facts.health(),
            }
        };
        self.scrapes
            .advance(now.monotonic, self.poll.registry(), render);
    }

    /// Returns what is known beside the service and the peers.
    fn outside(&self, now: Now) -> Outside {
        let times = (self.clock.base / 1_000_000, now.unix / 1_000);
        Outside::new(&self.clients, &self.scrapes, self.commits, times)
    }

    /// Reads and answers clients, and passes on what they ask for.
    fn serve(&mut self, now: Now, notices: &mut impl Notices) {
        let mut view = View {
            service: &self.service,
            peers: &self.peers,
            outside: self.outside(now),
            now,
            process: self.random,
            port: self.addresses.clients.port(),
            password: self.password.as_deref(),
            taken: Taken::default(),
        };
        self.clients.advance(now.monotonic, &mut view);
        let Taken {
            work,
            asked,
            changes,
        } = view.taken;
        for work in work {
            self.service.take_work(now, work);
        }
        for (token, asked) in asked {
            self.service.take_asked(now, token, &asked);
        }
        for change in changes {
            self.service.change_members(now, change, notices);
        }
    }

    fn say(&self, now: Now, notices: &mut impl Notices, text: &dyn fmt::Display) {
        self.say_as(Severity::Info, now, notices, text);
    }

    fn say_as(
        &self,
        severity: Severity,
        now: Now,
        notices: &mut impl Notices,
        text: &dyn fmt::Display,
    ) {
        notices.notice(now.monotonic, self.node, severity, text);
    }

    /// Says once that nothing more is recorded.
    fn say_incomplete(&mut self, now: Now, notices: &mut impl Notices) {
        let recorder = self.service.recorder();
        if !self.said_incomplete && recorder.is_some_and(|recorder| recorder.sink().lost() > 0) {
            self.said_incomplete = true;
            self.say_as(
                Severity::Warn,
                now,
                notices,
                &"the record is incomplete, as its disk is full or too slow: nothing more is recorded until this node starts again",
            );
        }
    }

    /// Says what the node is and whom it follows, when that has changed.
    fn say_state(&mut self, now: Now, notices: &mut impl Notices) {
        let status = self.service.status();
        let present = (status.state, status.leader);
        if self.said == present {
            return;
        }
        self.said = present;
        let follows = !matches!(status.state, NodeState::Leading | NodeState::Halted);
        match status.leader.filter(|_| follows) {
            Some(leader) => {
                let text = format_args!("{}, follows {leader}", status.state);
                self.say(now, notices, &text);
            }
            None if status.state == NodeState::Halted => {
                let text = "halted: it has seen proof that its history is not that of the others";
                self.say_as(Severity::Error, now, notices, &text);
            }
            None => self.say(now, notices, &status.state),
        }
    }

    fn say_heard(&mut self, now: Now, notices: &mut impl Notices) {
        for (from, refusal) in self.clients.take_refused() {
            self.say(
                now,
                notices,
                &format_args!("hung up on client {from}: {refusal}"),
            );
        }
        for heard in self.peers.take_heard() {
            match heard {
                Heard::Reached(node, address) => {
                    self.say(now, notices, &format_args!("reached {node} at {address}"));
                }
                Heard::Stranger(address) if self.peers.strangers() <= STRANGERS_NAMED => {
                    self.say_as(Severity::Warn, now, notices, &format_args!(
                        "hung up on {address}: it is no node of this cluster with these capacities"
                    ));
                }
                Heard::SameNumber(address) if self.peers.strangers() <= STRANGERS_NAMED => self.say_as(Severity::Warn, now, notices, &format_args!(
                    "{address} says that it is {} as well: stop one of the two, and never copy the directory of a node", self.node
                )),
                Heard::Stranger(_) | Heard::SameNumber(_) => {}
                Heard::Refused(from, refusal) => {
                    let text = format_args!("hung up on {from}: {refusal}");
                    self.say_as(Severity::Warn, now, notices, &text);
                }
                Heard::RefusedNode(node, address, refusal) => self.say_as(Severity::Warn, now, notices, &format_args!(
                    "{node} at {address} cannot be spoken with: {refusal}"
                )),
                Heard::TwoProcesses(node, address) => self.say_as(Severity::Warn, now, notices, &format_args!(
                    "two processes are {node}, one of them at {address}: stop one of the two, and never copy the directory of a node"
                )),
            }
        }
    }
}
