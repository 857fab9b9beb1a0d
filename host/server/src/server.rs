//! The server of a node: the loop that joins its service with sockets, the disk and the clock.

mod clock;
mod notices;
mod options;

pub use notices::{Notices, Severity};
pub use options::{Options, ServerError};

use crate::capacity::Member;
use crate::cluster_file::Addresses;
use crate::metrics::{Facts, Histogram, Outside, exposition};
use crate::net::{Clients, Hello, Limits, Page, Peers, Scrapes};
use crate::record::{RecordFile, Recorder};
use crate::service::{Now, Service, Settings};
use crate::start::{Started, start};
use crate::tls::Identity;
use crate::view::{Taken, View};
use clock::Clock;
use core::cell::OnceCell;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration as Wait;
use mio::net::TcpListener;
use mio::{Events, Poll};
use std::io::{self, ErrorKind};
use std::sync::Arc;
use synod::{Config, Duration, Instant, NodeId, NodeState};
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

/// Reads what a node proves who it is with, if its cluster speaks TLS.
fn identity(options: &Options) -> Result<Option<Identity>, ServerError> {
    let (files, number) = (options.tls.as_ref(), options.cluster.cluster);
    let identity = files.map(|files| Identity::load(files, number, options.node));
    identity.transpose().map_err(ServerError::Tls)
}

/// Opens the record of a node, if there is to be one.
fn recorder(
    options: &Options,
    config: &Config,
) -> Result<Option<Recorder<RecordFile>>, ServerError> {
    let Some(path) = &options.record else {
        return Ok(None);
    };
    let file = RecordFile::open(path, Member::fingerprint_of(config), options.node);
    Ok(Some(Recorder::new(file.map_err(ServerError::Record)?)))
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
        let tls = identity(options)?;
        let for_metrics = options.metrics.map(listen).transpose()?;
        let config = options.cluster.config(options.node);
        let clock = Clock::start();
        let now = clock.now().monotonic;
        let (seed, nonce) = options.random;
        let recorder = recorder(options, &config)?;
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
        self.serve(now);
        self.service.begin_turn(now, &mut self.peers, notices);
        // Before the wait for the disk, as these answers do not rest on it. What the clients have sent behind is taken.
        has_more |= self.answer(now);
        self.commit(now, notices);
        has_more |= self.answer(now);
        self.mark_if_quiet(now, notices);
        if at.since(self.swept) >= SWEEP {
            self.swept = at;
            self.clients.drop_stuck(at);
        }
        self.answer_scrapes(now);
        self.say_heard(now, notices);
        self.say_incomplete(now, notices);
        self.say_state(now, notices);
        has_more || self.service.has_more() || self.clients.has_more()
    }

    /// Hands answers to clients, and takes what these have sent behind. Returns true if there were any.
    fn answer(&mut self, now: Now) -> bool {
        let mut answered = false;
        while let Some((token, answer)) = self.service.poll_answer() {
            self.clients.on_answer(token, answer);
            answered = true;
        }
        if answered {
            self.serve(now);
        }
        answered
    }

    /// Makes the second half of a turn of the node, and notes how long it took if it made something durable.
    fn commit(&mut self, now: Now, notices: &mut impl Notices) {
        let syncs = self.service.counters().syncs;
        let begin = self.clock.now().monotonic;
        let stored = self.service.end_turn(now, &mut self.peers, notices);
        if self.service.counters().syncs != syncs {
            self.commits
                .observe(self.clock.now().monotonic.since(begin));
        }
        if let Err(error) = stored {
            let text = format!(
                "the storage has failed ({error}): this node does not vote any more, and only learns. Restart it when the disk works"
            );
            self.say_as(Severity::Error, now, notices, &text);
        }
    }

    /// Marks the end of the log when nothing has been stored for a while.
    fn mark_if_quiet(&mut self, now: Now, notices: &mut impl Notices) {
        let at = now.monotonic;
        let syncs = self.service.counters().syncs;
        if self.stored.0 != syncs {
            self.stored = (syncs, Some(at + QUIET));
        } else if self.stored.1.is_some_and(|quiet| quiet <= at) {
            self.stored.1 = None;
            self.mark(now, notices);
        }
    }

    /// Marks the end of the log, so that damage to it is noticed.
    fn mark(&mut self, now: Now, notices: &mut impl Notices) {
        if let Err(error) = self.service.mark() {
            let text = format!("the storage has failed ({error})");
            self.say_as(Severity::Error, now, notices, &text);
        }
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
    fn serve(&mut self, now: Now) {
        let mut view = View {
            service: &self.service,
            peers: &self.peers,
            outside: self.outside(now),
            now,
            process: self.random,
            port: self.addresses.clients.port(),
            password: self.password.as_deref(),
            taken: Taken::default(),
            info: OnceCell::new(),
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
        for (token, change) in changes {
            self.service.change_members(token, change);
        }
    }
}
