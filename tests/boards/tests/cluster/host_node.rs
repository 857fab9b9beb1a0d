//! A node on the host, of the same type as on the boards, with a real clock and a journal in memory.

use super::board_cluster::{BoardCluster, Log};
use core::time::Duration;
use example_firmware::member::{self, CLIENTS, Machine, Member, PAGE, Room, WINDOW};
use example_firmware::serial_line::MTU;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread::{self, JoinHandle};
use std::time::Instant as Clock;
use synod::storage::{Journal, Memory, Opened};
use synod::wire::{Frame, Frames};
use synod::{Event, Instant, NodeId, Record, Tracer};
use synod_boards::serial_bus::Port;

type Storage = Memory<32768>;

/// A node on the host, which may stop and restart.
pub(crate) struct HostNode {
    node: NodeId,
    size: u16,
    storage: Option<Storage>,
    running: Option<(Sender<()>, JoinHandle<Storage>)>,
}

impl HostNode {
    /// Returns the last founding member of a cluster of `size` nodes.
    pub(crate) fn new(size: u16) -> Self {
        Self::numbered(NodeId(size - 1), size)
    }

    /// Returns a learner of a cluster of `size` nodes.
    pub(crate) fn learner(size: u16) -> Self {
        Self::numbered(NodeId(size), size)
    }

    fn numbered(node: NodeId, size: u16) -> Self {
        Self {
            node,
            size,
            storage: Some(Storage::new()),
            running: None,
        }
    }

    pub(crate) fn start(&mut self, cluster: &mut BoardCluster) {
        let (node, size, storage) = (self.node, self.size, self.storage.take().unwrap());
        let log = cluster.log_of_host();
        let end = cluster.bus().end(u8::try_from(node.0).unwrap());
        let (sender, stop) = mpsc::channel();
        let run = move || run(node, size, storage, end, &stop, &log);
        self.running = Some((sender, thread::spawn(run)));
    }

    /// Stops the node between two steps. It has announced nothing that it had not synced.
    pub(crate) fn stop(&mut self) {
        let (sender, thread) = self.running.take().unwrap();
        drop(sender);
        self.storage = Some(thread.join().unwrap());
    }
}

struct Chains<'a>(&'a Log);

impl Tracer<Machine, PAGE> for Chains<'_> {
    fn record(&mut self, record: &Record<'_, Machine, PAGE>) {
        if let Event::Applied { slot, chain, .. } | Event::Installed { at: slot, chain } =
            record.event
        {
            self.0.say(format!(
                "applied: slot={} chain={chain:016x}",
                slot.number()
            ));
        }
    }
}

fn run(
    id: NodeId,
    size: u16,
    storage: Storage,
    mut end: Port,
    stop: &Receiver<()>,
    log: &Log,
) -> Storage {
    let began = clock();
    let now = || Instant::from_micros(u64::try_from(began.elapsed().as_micros()).unwrap());
    let config = member::config(id, size);
    let mut frames = Frames::<Machine, PAGE, MTU>::new(Member::fingerprint_of(&config));
    let opened = Journal::open::<Machine, WINDOW, CLIENTS>(storage, config).unwrap();
    let (mut journal, mut node): (_, Member) = match opened {
        Opened::Intact(intact) => intact.start(6, now()).unwrap(),
        Opened::Empty(empty) => empty.provision(6, now()).unwrap(),
        Opened::Damaged(damaged) => panic!("{:?}", damaged.damage()),
    };
    let (mut outbox, mut chains) = (Room::new(), Chains(log));
    while stop.try_recv() == Err(TryRecvError::Empty) {
        let wait = node.next_deadline().map(|at| at.since(now()).as_micros());
        let wait = Duration::from_micros(wait.unwrap_or(u64::MAX).min(50_000));
        let frame = end.receive(wait);
        node.handle_timeout(now(), &mut outbox, &mut chains);
        if let Some(Ok(Frame::Message(envelope))) = frame.map(|frame| frames.decode(&frame))
            && outbox.is_empty()
        {
            node.handle_message(now(), &envelope, &mut outbox, &mut chains);
        }
        journal.write(now(), &mut node, &outbox.writes).unwrap();
        journal.sync().unwrap();
        for outgoing in &outbox.messages {
            for to in outgoing.to.iter() {
                let mut buffer = [0; MTU];
                let envelope = node.envelope(to, outgoing);
                let len = frames.encode(&envelope, &mut buffer).unwrap();
                end.send(&buffer[..len]);
            }
        }
        outbox.clear();
    }
    assert!(node.is_voter() && node.halted().is_none());
    journal.into_storage()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a driver of a real link is where the clock is read"
)]
fn clock() -> Clock {
    Clock::now()
}
