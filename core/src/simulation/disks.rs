//! Simulated disks for the nodes of a simulation, each with the journal of its node.
//!
//! Cuts of power at random moments rarely hit those that hurt. So besides them there are traps, which wait for a
//! certain moment on every disk: the middle of a checkpoint, the time after a checkpoint over a gap, or the time when a
//! lost vote must not be taken for the decision. The first node to come there loses its power, and the others are
//! spared.

mod place;

use place::{Kept, Place, Trap};

use super::disk::{Disk, DiskError};
use super::fault::Fault;
use super::node_storage::{Deferred, Failed, NodeStart, Refused, Stores};
use super::report::Mark;
use super::scenario::Scenario;
use super::violation::Violation;
use crate::mutant::Mistake;
use crate::random::{Purpose, mix, stream};
use crate::storage::{Journal, JournalError, Opened, Storage, begins_checkpoint};
use crate::{Config, Duration, Instant, Node, NodeId, Slot, StateMachine, Write};
use heapless::Vec;
use rand_core::Rng;

/// A simulated disk of `BYTES` bytes for each of `NODES` nodes. Every node goes on after a loss of power from what its
/// [`Journal`] finds there, and from nothing else.
///
/// A node whose disk turns out to be damaged comes back as one that does not vote ([`Node::learn`]).
#[derive(Debug)]
pub struct Disks<const NODES: usize, const BYTES: usize> {
    /// One for each node of the largest run so far; those beyond the nodes of this run are not used.
    places: Vec<Place<BYTES>, NODES>,
    /// How large each of them is.
    size: usize,
    /// The first violation that no fault accounts for: see [`Stores::broken`].
    broken: Option<Violation>,
    /// Without the checkpoints of journals that are open, which count their own until they are closed.
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
    /// Votes of nodes that lost to what was decided, as another node told them.
    pub overruled: u64,
    /// Losses of power in the middle of a checkpoint.
    pub cut_checkpoints: u64,
    /// Losses of power after a checkpoint that was written over a gap in the decisions.
    pub cut_over_gaps: u64,
    /// Losses of power of nodes whose vote had lost to what was decided, as far on that what they start from rests on that
    /// decision.
    pub cut_overruled: u64,
}

impl<const NODES: usize, const BYTES: usize> Default for Disks<NODES, BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const NODES: usize, const BYTES: usize> Disks<NODES, BYTES> {
    /// New disks.
    pub fn new() -> Self {
        Self::sized(BYTES)
    }

    /// New disks of so many bytes, at most `BYTES`: how small a disk can be, [`Journal::checkpoint_max`] says.
    pub fn sized(bytes: usize) -> Self {
        Self {
            places: Vec::new(),
            size: bytes.min(BYTES),
            broken: None,
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
    /// Power is no error of the disk, and takes the node down. A disk that says that it is full although no fault has
    /// filled it is a mistake of the journal, which has to live with what [`Journal::checkpoint_max`] asks for (rule
    /// T5).
    fn failed(&mut self, node: NodeId, error: &JournalError<DiskError>) -> Failed {
        if matches!(error, JournalError::Storage(DiskError::Power)) {
            return Failed::Power;
        }
        self.figures.failed += 1;
        let is_full = matches!(
            error,
            JournalError::Storage(DiskError::Full) | JournalError::TooSmall { .. }
        );
        self.figures.full += u64::from(is_full);
        if is_full && !self.disk(node).is_some_and(Disk::is_filled) {
            self.broken.get_or_insert(Violation::StorageFull { node });
        }
        debug_assert!(
            self.figures.full <= self.figures.failed,
            "a full disk is one that cannot be written"
        );
        Failed::Storage
    }

    /// Whichever node comes to it first loses power where a trap says. It takes the place of a trap that is there: what is cut
    /// in a checkpoint would go unrecognised under another trap, and take the power of one node after the other.
    fn arm(&mut self, trap: Trap, seed: u64) {
        for place in &mut self.places {
            if place.trap.replace(trap) == Some(Trap::Checkpoint) {
                place.disk.disk_mut().keep_power();
            }
            if trap == Trap::Checkpoint {
                let disk = place.disk.disk_mut();
                // The lowest bits of the seed have chosen the trap: see `inject_fault`.
                disk.cut_power_in_checkpoint(seed / 8 % CHECKPOINT_WITHIN);
            }
        }
    }

    /// The power of all nodes but one stays on.
    /// Called when a trap is sprung, for the sake of the majority, and with no node when the fault is over.
    fn disarm(&mut self, but: NodeId) {
        for (number, place) in (0..).zip(&mut self.places) {
            place.trap = None;
            if NodeId(number) != but {
                place.disk.disk_mut().keep_power();
            }
        }
    }

    /// What was synced is not there, or cannot be used. That is as it should be on a disk that has rotted, and a
    /// violation on any other (rule D3).
    fn lost(&mut self, node: NodeId) {
        let place = self.places.get(usize::from(node.0));
        if place.is_some_and(|place| !place.is_rotten) {
            self.broken.get_or_insert(Violation::StorageLost { node });
        }
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
    type Durability = Deferred;

    fn begin(&mut self, scenario: &Scenario) {
        let nodes = usize::from(scenario.nodes);
        // What no run has needed yet is not touched: it is large.
        while self.places.len() < nodes && self.places.push(Place::new()).is_ok() {}
        debug_assert!(
            self.places.len() >= nodes,
            "a scenario is refused that has more nodes than there is room for"
        );
        for (number, place) in (0..).zip(&mut self.places) {
            // What it has counted belongs to the run before, whose figures are dropped below.
            if let Kept::Open(_) = &place.disk {
                place.close(&mut self.figures);
            }
            place.disk.disk_mut().replace();
            place.disk.disk_mut().resize(self.size);
            (place.is_rotten, place.trap) = (false, None);
            place.slow = Duration::ZERO;
            place.peak = 0;
            place.is_used = false;
            place.rng = stream(scenario.run_seed ^ mix(number), Purpose::Disk);
        }
        self.broken = None;
        self.figures = DiskFigures::default();
    }

    fn broken(&self) -> Option<Violation> {
        self.broken
    }

    fn start(
        &mut self,
        start: NodeStart,
        before: Option<&Node<M, WINDOW, CLIENTS, PAGE>>,
    ) -> Result<Node<M, WINDOW, CLIENTS, PAGE>, Refused> {
        let NodeStart {
            now,
            config,
            run_seed,
            incarnation,
        } = start;
        let place = self.places.get_mut(usize::from(config.node.0));
        let place = place.ok_or(Refused)?;
        let disk = place.close(&mut self.figures);
        let is_first = !core::mem::replace(&mut place.is_used, true);
        let node = config.node;
        // All that is taken from the node as it was: everything else has to be on its disk.
        let mistake = before.map_or(Mistake::NONE, Node::mistake);
        let opened = Journal::open_with::<M, WINDOW, CLIENTS>(disk, config.clone(), mistake);
        let opened = opened.map_err(|_| {
            self.lost(node);
            Refused
        })?;
        // A node that has had the disk has written its identity at least, so it cannot find the disk empty.
        if !is_first && !matches!(opened, Opened::Intact(_)) {
            self.lost(node);
        }
        let Some(place) = self.places.get_mut(usize::from(node.0)) else {
            return Err(Refused);
        };
        let started = match opened {
            Opened::Intact(intact) => intact.start(run_seed, now),
            // New disks are given to nodes that are new, and to no others.
            Opened::Empty(empty) if is_first => empty.provision(run_seed, now),
            // All was lost: a node that voted must not begin anew under its name (rule D2).
            Opened::Empty(empty) => {
                place.disk = Kept::Closed(empty.into_storage());
                // A journal counts starts; without one the jitter of each start has to differ by other means.
                return self.learner(config, run_seed ^ mix(incarnation.into()), now);
            }
            Opened::Damaged(damaged) => {
                let disk = damaged.into_storage();
                let is_needless = begins_intact::<M, WINDOW, CLIENTS, BYTES>(&disk, &config);
                place.disk = Kept::Closed(disk);
                if is_needless {
                    self.broken.get_or_insert(Violation::StorageLost { node });
                }
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
        let place = self.places.get_mut(usize::from(node.id().0));
        let place = place.ok_or(Failed::Storage)?;
        let Kept::Open(journal) = &mut place.disk else {
            return if writes.is_empty() {
                Ok(Duration::ZERO)
            } else {
                Err(Failed::Storage)
            };
        };
        // A step without writes waits for nothing, as no sync of the node is under way; except after a start, for what the
        // node has read and nobody has synced.
        if writes.is_empty() && journal.is_synced() {
            return Ok(Duration::ZERO);
        }
        let written = journal.write(now, node, writes);
        // Both count the bytes of records alike (the fifth clause of the contract of storage).
        if written.is_ok() && journal.peak() < journal.storage().used() {
            let node = node.id();
            self.broken
                .get_or_insert(Violation::StorageMiscounted { node });
            return Err(Failed::Storage);
        }
        let has_written = written.is_ok() && !writes.is_empty();
        if has_written && stores_what_it_does_not_keep(journal, node) {
            let broken = "stores a snapshot that it does not keep for itself (J3)";
            let node = node.id();
            self.broken
                .get_or_insert(Violation::BrokenState { node, broken });
            return Err(Failed::Storage);
        }
        // After the write, but of the votes as they are in the node, which the write does not change.
        let overruled = overruled(node, writes);
        self.figures.overruled += u64::from(overruled.is_some());
        match place.check_trap(node, writes, overruled) {
            Some(Trap::Gap { .. }) => {
                self.figures.cut_over_gaps += 1;
                self.disarm(node.id());
            }
            Some(Trap::Overruled(_)) => {
                self.figures.cut_overruled += 1;
                debug_assert!(
                    self.figures.cut_overruled <= self.figures.overruled,
                    "power goes over a vote that has not lost"
                );
                self.disarm(node.id());
            }
            Some(Trap::Checkpoint) | None => {}
        }
        let place = self.places.get_mut(usize::from(node.id().0));
        let place = place.ok_or(Failed::Storage)?;
        let Kept::Open(journal) = &mut place.disk else {
            return Err(Failed::Storage);
        };
        // A disk without latency is synced here and now. Any other is synced when the time is up, by
        // [`Stores::synced`], and power may fail in between.
        let is_at_once = place.slow == Duration::ZERO;
        let written = written.and_then(|()| if is_at_once { journal.sync() } else { Ok(()) });
        if let Err(error) = written {
            return Err(self.failed(node.id(), &error));
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
        synced.map_err(|error| self.failed(node, &error))
    }

    fn crash(&mut self, node: NodeId) {
        if let Some(place) = self.places.get_mut(usize::from(node.0)) {
            let mut disk = place.close(&mut self.figures);
            // Asked before the disk is told that the power is back.
            let is_in_checkpoint =
                place.trap.take() == Some(Trap::Checkpoint) && disk.is_cut_in_checkpoint();
            let lost = disk.lose_power(place.rng.next_u64());
            self.figures.torn += u64::from(lost);
            place.disk = Kept::Closed(disk);
            if is_in_checkpoint {
                self.figures.cut_checkpoints += 1;
                self.disarm(node);
            }
        }
    }

    fn inject_fault(&mut self, node: NodeId, fault: &Fault, begins: bool) {
        if matches!(fault, Fault::Torn(_)) && !begins {
            // No node has that number.
            self.disarm(NodeId(u16::MAX));
        }
        let Some(place) = self.places.get_mut(usize::from(node.0)) else {
            return;
        };
        // One draw for each begin and end, whichever fault it is.
        // Drawn in any case: the end of a fault takes one as well, so that what follows does not hang on what the fault
        // was.
        let seed = place.rng.next_u64();
        let slight = usize::from(seed.to_le_bytes()[0]);
        let disk = place.disk.disk_mut();
        match fault {
            Fault::SlowDisk { sync, .. } if begins => place.slow = *sync,
            // A sync that is under way takes its time all the same.
            Fault::SlowDisk { .. } => place.slow = Duration::ZERO,
            // A quarter each in a checkpoint and over a gap, three eighths after an overruled vote, and an eighth at
            // once: cuts at random moments almost never hit those that hurt.
            Fault::Torn(_) if begins => match slight % 8 {
                0..2 => self.arm(Trap::Checkpoint, seed),
                2 | 3 => self.arm(
                    Trap::Gap {
                        since: None,
                        seen: u32::MAX,
                    },
                    seed,
                ),
                4..7 => self.arm(Trap::Overruled(None), seed),
                _ => disk.cut_power_in(seed % TORN_WITHIN),
            },
            Fault::FailedWrite(_) if begins => disk.fail(seed),
            // Up to 255 bytes are left: none, a record, or a few.
            Fault::FullDisk(_) if begins => disk.fill(slight),
            // Once: of two records that rot one after the other, the last one and its seal would look torn (rule D3).
            Fault::Rot(_) if begins && !place.is_rotten => place.is_rotten = disk.rot(seed),
            // Any of them ends all of them: two at once on one disk are over with the first.
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

/// Whether the records from some checkpoint on are intact. Then those before it are not needed, and whatever has become of
/// them, a node goes on from its storage (rule D3).
#[inline(never)] // Rare, and the disk is large.
fn begins_intact<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const BYTES: usize>(
    disk: &Disk<BYTES>,
    config: &Config,
) -> bool {
    let mut rest = disk.clone();
    loop {
        // All of the records are dropped up to the next one that begins a checkpoint.
        let mut is_first = true;
        let trimmed = rest.trim(|record| {
            let is_first = core::mem::replace(&mut is_first, false);
            is_first || !begins_checkpoint(record)
        });
        if trimmed.is_err() || rest.used() == 0 {
            return false;
        }
        let opened = Journal::open::<M, WINDOW, CLIENTS>(rest.clone(), config.clone());
        if matches!(opened, Ok(Opened::Intact(_))) {
            return true;
        }
    }
}

/// True if a journal stores a snapshot that its node does not keep until the last page is written, whatever others fetch
/// (rule J3). A node with a mutant is not judged by how it does something.
fn stores_what_it_does_not_keep<
    M: StateMachine,
    const WINDOW: usize,
    const CLIENTS: usize,
    const PAGE: usize,
    const BYTES: usize,
>(
    journal: &Journal<Disk<BYTES>>,
    node: &Node<M, WINDOW, CLIENTS, PAGE>,
) -> bool {
    journal.is_checkpointing() && !node.keeps_for_storage() && !node.mistake().is_any()
}

/// A slot for which a node is told another decision than it has voted for.
/// Such a vote stays on the disk, and a replay that took it for the decision would apply what was not chosen.
fn overruled<M: StateMachine, const WINDOW: usize, const CLIENTS: usize, const PAGE: usize>(
    node: &Node<M, WINDOW, CLIENTS, PAGE>,
    writes: &[Write<M::Command>],
) -> Option<Slot> {
    writes.iter().find_map(|write| match write {
        Write::Decided { slot, proposal } => {
            let vote = node.votes().find(|vote| vote.slot == *slot)?;
            (vote.proposal != *proposal).then_some(*slot)
        }
        _ => None,
    })
}

/// Power goes in one of so many operations after a fault of that kind has begun, or what it waits for is there. A write of one
/// record takes three: the record, the seal and the sync.
const TORN_WITHIN: u64 = 4;
/// Or in one of so many of a checkpoint: a small one is over by then.
const CHECKPOINT_WITHIN: u64 = 12;
/// The operations that make durable what a step has written.
const SEAL_AND_SYNC: u64 = 2;

impl<const NODES: usize, const BYTES: usize> Disks<NODES, BYTES> {
    /// A node that has lost what it must not forget.
    /// It has a disk and leaves it alone: nobody relies on what it would write, and an operator may want to look at it.
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
