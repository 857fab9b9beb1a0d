//! A cluster of services in one thread: memory for disks, queues for sockets, and a clock that the test moves.

use super::*;
use crate::capacity::{CLIENTS, WINDOW};
use crate::cluster_file::{Addresses, ClusterFile};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use synod::Config;
use synod::storage::Opened;
use synod_store::{FileLog, Medium};

/// How long a frame takes, and the step of the clock, in milliseconds.
const STEP: u64 = 5;
/// The size of a disk. It holds few small records.
const CAPACITY: usize = 8 << 20;

/// A disk that outlives its node.
#[derive(Clone, Debug)]
pub(super) struct Ram(Arc<Mutex<(Vec<u8>, bool)>>);

impl Medium for Ram {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().0.len().try_into().unwrap())
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        out.copy_from_slice(&self.0.lock().unwrap().0[offset..offset + out.len()]);
        Ok(())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        let (disk, fails) = &mut *self.0.lock().unwrap();
        if *fails {
            return Err(io::Error::other("the disk has failed"));
        }
        disk[offset..offset + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Frames that a service has sent.
#[derive(Default)]
struct Sent(Vec<(usize, Vec<u8>)>);

impl Link for Sent {
    fn send(&mut self, to: NodeId, frame: &[u8]) {
        self.0.push((usize::from(to.0), frame.to_vec()));
    }

    fn flush(&mut self) {}
}

pub(super) struct Cluster {
    file: ClusterFile,
    services: BTreeMap<usize, Service<FileLog<Ram>>>,
    disks: BTreeMap<usize, Ram>,
    frames: Vec<(usize, Vec<u8>)>,
    now: u64,
    /// The wall clock of all nodes, in milliseconds.
    pub(super) unix: u64,
    tokens: u64,
    answers: BTreeMap<Token, Answer>,
    /// How many answers were there before a service waited for its disk.
    pub(super) early: usize,
}

pub(super) fn set<'a>(key: &'a [u8], value: &'a [u8]) -> Op<'a> {
    Op::Set {
        key,
        value,
        condition: Condition::Always,
        expiry: Expiry::Never,
        answer: SetAnswer::Status,
    }
}

pub(super) fn get(key: &[u8]) -> Op<'_> {
    Op::Get(key)
}

pub(super) fn add(key: &[u8], by: i64) -> Op<'_> {
    Op::Add { key, by }
}

pub(super) fn bulk(bytes: &[u8]) -> Reply {
    Reply::Bulk(bytes.to_vec())
}

impl Cluster {
    /// Starts a cluster, and waits until each of its nodes follows a leader.
    pub(super) fn started(nodes: u16) -> Self {
        let mut cluster = Self::begun(nodes);
        cluster.run(3_000);
        cluster
    }

    /// Starts a cluster of which no node has joined yet.
    pub(super) fn begun(nodes: u16) -> Self {
        let address = Addresses {
            peers: ([127, 0, 0, 1], 1).into(),
            clients: ([127, 0, 0, 1], 2).into(),
        };
        let file = ClusterFile::new(6, (0..nodes).map(|_| address));
        let mut cluster = Self {
            file,
            services: BTreeMap::new(),
            disks: BTreeMap::new(),
            frames: Vec::new(),
            now: 1_000,
            unix: 1_700_000_000_000,
            tokens: 0,
            answers: BTreeMap::new(),
            early: 0,
        };
        for node in 0..nodes.into() {
            cluster.add(node);
        }
        cluster
    }

    /// Starts a node with an empty disk.
    pub(super) fn add(&mut self, node: usize) {
        let disk = FileLog::<Ram>::blank(CAPACITY, 6).unwrap();
        let disk = Ram(Arc::new(Mutex::new((disk, false))));
        self.disks.insert(node, disk);
        self.start(node);
    }

    /// Starts a node from its disk.
    pub(super) fn start(&mut self, node: usize) {
        let disk = self.disks[&node].clone();
        let config = self.file.config(NodeId(node.try_into().unwrap()));
        let now = Instant::from_micros(self.now * 1_000);
        self.tokens += 1;
        let settings = Settings {
            patience: Duration::from_secs(5),
            stale_reads: false,
            // No two starts have the same.
            nonce: self.tokens << 48,
        };
        // A new node is moved by the stack, and those of tests are small.
        let starts = std::thread::Builder::new().stack_size(crate::STACK);
        let starts = starts.spawn(move || open(disk, config, (now, settings)));
        let service = starts.unwrap().join().unwrap();
        self.services.insert(node, service);
    }

    /// Stops a node. Its disk stays.
    pub(super) fn stop(&mut self, node: usize) {
        self.services.remove(&node);
    }

    pub(super) fn fail_disk(&self, node: usize) {
        self.disks[&node].0.lock().unwrap().1 = true;
    }

    pub(super) fn service(&self, node: usize) -> &Service<FileLog<Ram>> {
        &self.services[&node]
    }

    pub(super) fn leader(&self) -> usize {
        let leads = |service: &Service<_>| service.node().leading().is_some();
        let leader = self.services.iter().find(|(_, service)| leads(service));
        *leader.expect("a node leads").0
    }

    fn now(&self) -> Now {
        Now {
            monotonic: Instant::from_micros(self.now * 1_000),
            unix: self.unix,
        }
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds.div_ceil(STEP) {
            self.step();
        }
    }

    fn step(&mut self) {
        self.now += STEP;
        self.unix += STEP;
        let now = self.now();
        for (to, frame) in core::mem::take(&mut self.frames) {
            if let Some(service) = self.services.get_mut(&to) {
                assert!(service.take_frame(&frame));
            }
        }
        let mut sent = Sent::default();
        for service in self.services.values_mut() {
            let mut turns = 0;
            loop {
                service.begin_turn(now, &mut sent, &mut ());
                while let Some((token, answer)) = service.poll_answer() {
                    self.answers.insert(token, answer);
                    self.early += 1;
                }
                let stored = service.end_turn(now, &mut sent, &mut ());
                assert!(stored.is_ok() || !service.is_durable());
                while let Some((token, answer)) = service.poll_answer() {
                    self.answers.insert(token, answer);
                }
                let is_due = |at| at <= now.monotonic;
                if !service.has_more() && !service.next_deadline(now).is_some_and(is_due) {
                    break;
                }
                turns += 1;
                assert!(turns < 16, "a server would spin");
            }
        }
        self.frames = sent.0;
    }

    fn token(&mut self) -> Token {
        self.tokens += 1;
        Token(self.tokens)
    }

    /// Asks for one operation, without waiting for the answer.
    pub(super) fn ask(&mut self, node: usize, op: &Op<'_>, is_read: bool) {
        let mut work = Work::new(self.token(), is_read);
        work.push(op);
        let now = self.now();
        self.services.get_mut(&node).unwrap().take_work(now, work);
    }

    /// Leaves no room for a step in the outbox of a node, until its next turn is over.
    pub(super) fn fill_outbox(&mut self, node: usize) {
        let outbox = &mut self.services.get_mut(&node).unwrap().outbox;
        // It answers no question that was asked.
        let reply = synod::Reply {
            key: RequestKey::read(0),
            fingerprint: 0,
            outcome: Outcome::NotNow,
        };
        while outbox.room() >= Member::OUTBOX_MIN {
            outbox.replies.push(reply).unwrap();
        }
    }

    /// True if an answer has come that nobody has waited for.
    pub(super) fn is_answered(&self) -> bool {
        !self.answers.is_empty()
    }

    /// Waits for answers, and returns them in the order of the questions.
    pub(super) fn answers(&mut self, count: usize) -> Vec<Answer> {
        for _ in 0..4_000 {
            if self.answers.len() >= count {
                break;
            }
            self.step();
        }
        let answers: Vec<_> = core::mem::take(&mut self.answers).into_values().collect();
        assert_eq!(answers.len(), count);
        answers
    }

    fn one(&mut self) -> Vec<Reply> {
        match self.answers(1).remove(0) {
            Answer::Replies(replies) => replies,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn write(&mut self, node: usize, op: &Op<'_>) -> Vec<Reply> {
        self.ask(node, op, false);
        self.one()
    }

    pub(super) fn read(&mut self, node: usize, op: &Op<'_>) -> Vec<Reply> {
        self.ask(node, op, true);
        self.one()
    }

    /// Makes a request in a session of its own, without waiting for the answer.
    pub(super) fn take_asked(&mut self, node: usize, asked: &Asked) {
        let (now, token) = (self.now(), self.token());
        let service = self.services.get_mut(&node).unwrap();
        service.take_asked(now, token, asked);
    }

    pub(super) fn asked(&mut self, node: usize, asked: &Asked) -> Answer {
        self.take_asked(node, asked);
        self.answers(1).remove(0)
    }

    pub(super) fn change(&mut self, node: usize, change: Change) -> Answer {
        let token = self.token();
        let service = self.services.get_mut(&node).unwrap();
        service.change_members(token, change);
        self.answers(1).remove(0)
    }
}

fn open(disk: Ram, config: Config, (now, settings): (Instant, Settings)) -> Service<FileLog<Ram>> {
    let log = FileLog::open_on(disk, Path::new("disk"), CAPACITY).unwrap();
    let opened = Journal::open::<Keyspace, WINDOW, CLIENTS>(log, config).unwrap();
    let (journal, node) = match opened {
        Opened::Intact(intact) => intact.start(6, now).unwrap(),
        Opened::Empty(empty) => empty.provision(6, now).unwrap(),
        Opened::Damaged(damaged) => panic!("{:?}", damaged.damage()),
    };
    Service::new(Box::new(node), Some(journal), settings)
}
