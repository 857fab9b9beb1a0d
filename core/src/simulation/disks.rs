//! A disk for each node of a simulation, with the journal of the node on it.

use super::disk::{Disk, DiskError};
use super::fault::Fault;
use super::held::Room;
use super::report::Mark;
use super::scenario::Scenario;
use super::stores::{Birth, Failed, Refused, Stores};
use crate::random::{Purpose, mix, span_below, stream};
use crate::storage::{Journal, JournalError, Opened};
use crate::{Config, Duration, Instant, Node, NodeId, StateMachine, Write};
use heapless::Vec;
use rand_core::Rng;
use rand_xorshift::XorShiftRng;

/// A simulated disk of `BYTES` bytes for each of `NODES` nodes. Every node goes on after a loss of power from what its
/// [`Journal`] finds there, and from nothing else.
///
/// A node whose disk turns out to be damaged comes back as one that does not vote ([`Node::learn`]).
#[derive(Debug)]
pub struct Disks<const NODES: usize, const BYTES: usize> {
    places: Vec<Place<BYTES>, NODES>,
    figures: DiskFigures,
}

/// What happened on the disks of a run, and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DiskFigures {
    /// Losses of power after which something was missing that had been written.
    pub torn: u64,
    /// Nodes that were told that something could not be written.
    pub failed: u64,
    /// Those of them for which there was no room.
    pub full: u64,
    /// Starts of nodes that may not vote, as something was missing that had been synced.
    pub damaged: u64,
    /// Snapshots that were written, after which the log before them was dropped.
    pub checkpoints: u64,
    /// Syncs that took time.
    pub slow: u64,
}

#[derive(Debug)]
struct Place<const BYTES: usize> {
    disk: Kept<BYTES>,
    /// How long a sync takes, give or take half as much.
    slow: Duration,
    /// The most bytes that were in use.
    peak: usize,
    /// Whether the node has ever been given it.
    is_used: bool,
    rng: XorShiftRng,
}

/// A disk, and who has it.
#[derive(Debug)]
enum Kept<const BYTES: usize> {
    /// Nobody; the node is down, or does not vote.
    Closed(Disk<BYTES>),
    Open(Journal<Disk<BYTES>>),
}

impl<const BYTES: usize> Kept<BYTES> {
    fn disk(&self) -> &Disk<BYTES> {
        match self {
            Self::Closed(disk) => disk,
            Self::Open(journal) => journal.storage(),
        }
    }

    fn disk_mut(&mut self) -> &mut Disk<BYTES> {
        match self {
            Self::Closed(disk) => disk,
            Self::Open(journal) => journal.storage_mut(),
        }
    }
}

impl<const BYTES: usize> Place<BYTES> {
    fn new() -> Self {
        Self {
            disk: Kept::Closed(Disk::new()),
            slow: Duration::ZERO,
            peak: 0,
            is_used: false,
            rng: stream(0, Purpose::Disk),
        }
    }

    /// Takes the disk from whoever has it.
    fn close(&mut self, figures: &mut DiskFigures) -> Disk<BYTES> {
        match core::mem::replace(&mut self.disk, Kept::Closed(Disk::new())) {
            Kept::Closed(disk) => disk,
            Kept::Open(journal) => {
                self.peak = self.peak.max(journal.peak());
                figures.checkpoints += u64::from(journal.checkpoints());
                journal.into_storage()
            }
        }
    }

    fn peak(&self) -> usize {
        match &self.disk {
            Kept::Open(journal) => self.peak.max(journal.peak()),
            Kept::Closed(_) => self.peak,
        }
    }

    /// How long the next sync takes.
    fn latency(&mut self) -> Duration {
        if self.slow == Duration::ZERO {
            return self.slow;
        }
        let jitter = span_below(&mut self.rng, self.slow);
        let one = Duration::from_micros(1);
        (self.slow / 2).saturating_add(jitter).max(one)
    }
}

impl<const NODES: usize, const BYTES: usize> Default for Disks<NODES, BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const NODES: usize, const BYTES: usize> Disks<NODES, BYTES> {
    /// New disks.
    pub fn new() -> Self {
        Self {
            places: Vec::new(),
            figures: DiskFigures::default(),
        }
    }

    /// What happened on them in this run.
    pub fn figures(&self) -> DiskFigures {
        let mut figures = self.figures;
        for place in &self.places {
            if let Kept::Open(journal) = &place.disk {
                figures.checkpoints += u64::from(journal.checkpoints());
            }
        }
        figures
    }

    /// The disk of a node.
    pub fn disk(&self, node: NodeId) -> Option<&Disk<BYTES>> {
        let place = self.places.get(usize::from(node.0))?;
        Some(place.disk.disk())
    }

    /// The disk of a node, to do something about it.
    pub fn disk_mut(&mut self, node: NodeId) -> Option<&mut Disk<BYTES>> {
        let place = self.places.get_mut(usize::from(node.0))?;
        Some(place.disk.disk_mut())
    }

    /// Counts an error, and says what it means for the node.
    fn failed(&mut self, error: &JournalError<DiskError>) -> Failed {
        if matches!(error, JournalError::Storage(DiskError::Power)) {
            return Failed::Power;
        }
        self.figures.failed += 1;
        let is_full = matches!(error, JournalError::Storage(DiskError::Full));
        self.figures.full += u64::from(is_full);
        Failed::Storage
    }
}

impl<
    M: StateMachine,
    const WINDOW: usize,
    const CLIENTS: usize,
    const PAGE: usize,
    const NODES: usize,
    const BYTES: usize,
> Stores<M, WINDOW, CLIENTS, PAGE> for Disks<NODES, BYTES>
{
    const LASTING: bool = true;

    type Room = Room<M, PAGE, NODES>;

    fn begin(&mut self, scenario: &Scenario) {
        let nodes = usize::from(scenario.nodes);
        // What no run has needed yet is not touched: it is large.
        while self.places.len() < nodes && self.places.push(Place::new()).is_ok() {}
        for (number, place) in (0..).zip(&mut self.places) {
            if let Kept::Open(_) = &place.disk {
                place.close(&mut self.figures);
            }
            place.disk.disk_mut().replace();
            place.slow = Duration::ZERO;
            place.peak = 0;
            place.is_used = false;
            place.rng = stream(scenario.run_seed ^ mix(number), Purpose::Disk);
        }
        self.figures = DiskFigures::default();
    }

    fn start(
        &mut self,
        birth: Birth,
        _before: Option<&Node<M, WINDOW, CLIENTS, PAGE>>,
    ) -> Result<Node<M, WINDOW, CLIENTS, PAGE>, Refused> {
        let Birth {
            now,
            config,
            run_seed,
            incarnation,
        } = birth;
        let place = self.places.get_mut(usize::from(config.node.0));
        let place = place.ok_or(Refused)?;
        let disk = place.close(&mut self.figures);
        let is_first = !core::mem::replace(&mut place.is_used, true);
        let opened = Journal::open::<M, WINDOW, CLIENTS>(disk, config.clone());
        let started = match opened.map_err(|_| Refused)? {
            Opened::Intact(intact) => intact.start(run_seed, now),
            // New disks are given to nodes that are new, and to no others.
            Opened::Empty(empty) if is_first => empty.provision(run_seed, now),
            Opened::Empty(empty) => {
                place.disk = Kept::Closed(empty.into_storage());
                return self.learner(config, run_seed ^ mix(incarnation.into()), now);
            }
            Opened::Damaged(damaged) => {
                place.disk = Kept::Closed(damaged.into_storage());
                return self.learner(config, run_seed ^ mix(incarnation.into()), now);
            }
        };
        let (journal, node) = started.map_err(|_| Refused)?;
        place.disk = Kept::Open(journal);
        Ok(node)
    }

    fn write(
        &mut self,
        now: Instant,
        node: &mut Node<M, WINDOW, CLIENTS, PAGE>,
        writes: &[Write<M::Command>],
    ) -> Result<Duration, Failed> {
        if writes.is_empty() {
            return Ok(Duration::ZERO);
        }
        let place = self.places.get_mut(usize::from(node.id().0));
        let place = place.ok_or(Failed::Storage)?;
        let Kept::Open(journal) = &mut place.disk else {
            return Err(Failed::Storage);
        };
        let written = journal.write(now, node, writes);
        let is_at_once = place.slow == Duration::ZERO;
        let written = written.and_then(|()| if is_at_once { journal.sync() } else { Ok(()) });
        if let Err(error) = written {
            return Err(self.failed(&error));
        }
        let latency = place.latency();
        self.figures.slow += u64::from(!is_at_once);
        Ok(latency)
    }

    fn synced(&mut self, node: NodeId) -> Result<(), Failed> {
        let place = self.places.get_mut(usize::from(node.0));
        let Some(Kept::Open(journal)) = place.map(|place| &mut place.disk) else {
            return Err(Failed::Storage);
        };
        let synced = journal.sync();
        synced.map_err(|error| self.failed(&error))
    }

    fn crash(&mut self, node: NodeId) {
        if let Some(place) = self.places.get_mut(usize::from(node.0)) {
            let mut disk = place.close(&mut self.figures);
            let lost = disk.lose_power(place.rng.next_u64());
            self.figures.torn += u64::from(lost);
            place.disk = Kept::Closed(disk);
        }
    }

    fn strain(&mut self, node: NodeId, fault: &Fault, begins: bool) {
        let Some(place) = self.places.get_mut(usize::from(node.0)) else {
            return;
        };
        let seed = place.rng.next_u64();
        let slight = usize::from(seed.to_le_bytes()[0]);
        let disk = place.disk.disk_mut();
        match fault {
            Fault::SlowDisk { sync, .. } if begins => place.slow = *sync,
            Fault::SlowDisk { .. } => place.slow = Duration::ZERO,
            Fault::Torn(_) if begins => disk.cut_power_in(seed % TORN_WITHIN),
            Fault::FailedWrite(_) if begins => disk.fail(seed),
            Fault::FullDisk(_) if begins => disk.fill(slight),
            Fault::Rot(_) if begins => {
                disk.rot(seed);
            }
            Fault::Torn(_) | Fault::FailedWrite(_) | Fault::FullDisk(_) => disk.mend(),
            _ => {}
        }
    }

    fn mark(&self) -> Option<Mark> {
        Some(Mark {
            name: "storage",
            peak: self.places.iter().map(Place::peak).max().unwrap_or(0),
            capacity: BYTES,
        })
    }
}

/// Power goes in one of so many operations after a fault of that kind has begun.
const TORN_WITHIN: u64 = 4;

impl<const NODES: usize, const BYTES: usize> Disks<NODES, BYTES> {
    /// A node that has lost what it must not forget.
    fn learner<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>(
        &mut self,
        config: Config,
        run_seed: u64,
        now: Instant,
    ) -> Result<Node<M, WINDOW, CLIENTS, PAGE>, Refused> {
        self.figures.damaged += 1;
        Node::learn(config, run_seed, now).map_err(|_| Refused)
    }
}
