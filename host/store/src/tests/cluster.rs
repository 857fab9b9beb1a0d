//! A cluster whose nodes keep their journals in logs, with a loss of power at every operation of their disks.
//!
//! The unit is the whole stack as a server has it: nodes, journals, logs, and disks that lose power. Each step of the cluster
//! is repeated with a cut at every operation of its disk. The node then has to come back with all that others had heard
//! from it, and the cluster has to go on with it.

use super::disk::Fault;
use super::*;
use rand_core::{Rng, SeedableRng};
use rand_xorshift::XorShiftRng;
use std::collections::BTreeMap;
use synod::machines::{Bank, BankCommand, Key};
use synod::storage::{Journal, JournalError, OpenError, Opened};
use synod::{
    Ballot, ClientId, Config, Durable, Duration, Entry, Envelope, Event, Instant, Node, NodeId,
    Outbox, Outcome, Record, RequestNumber, Slot, Tracer,
};

const WINDOW: usize = 4;
const CLIENTS: usize = 2;
const PAGE: usize = 2;
type Machine = Bank<4>;
type Small = Node<Machine, WINDOW, CLIENTS, PAGE>;
const ROOM: usize = 12_288;

/// The chain digests of the applied prefixes, as the first node computed them.
///
/// Nodes of all branches of the test are compared with the same ones, as a branch begins with a copy.
#[derive(Clone, Default)]
struct Chains(BTreeMap<Slot, u64>);

impl Tracer<Machine, PAGE> for Chains {
    fn record(&mut self, record: &Record<'_, Machine, PAGE>) {
        if let Event::Applied { slot, chain, .. } = record.event {
            let first = *self.0.entry(slot).or_insert(chain);
            assert_eq!(first, chain, "{slot:?} was applied in two ways");
        }
    }
}

/// What other nodes rely on: what a node had made durable when it last sent a message.
#[derive(Clone, Default)]
struct Revealed {
    /// A promise that others count on must not fall.
    promised: Ballot,
    votes: Vec<Entry<BankCommand>>,
    low_water: Slot,
}

impl Revealed {
    fn of(node: &Small) -> Self {
        Self {
            promised: node.promised(),
            votes: node.votes().collect(),
            low_water: node.low_water(),
        }
    }

    /// A vote may be gone if its slot is applied, or if a later vote took its place: in either case nobody needs it
    /// (rules T1 and S4).
    fn is_kept(&self, durable: &Durable<Machine, WINDOW, CLIENTS>) -> bool {
        let kept = |vote: &Entry<_>| {
            vote.slot <= durable.applied()
                || durable
                    .votes()
                    .any(|now| now.slot == vote.slot && (now.ballot > vote.ballot || now == *vote))
        };
        durable.promised() >= self.promised
            && durable.applied() >= self.low_water
            && self.votes.iter().all(kept)
    }
}

#[derive(Clone)]
struct Member {
    node: Small,
    journal: Journal<Log>,
    outbox: Outbox<Machine, PAGE, 64>,
    /// `None` until the node has joined: before that nobody relies on it.
    revealed: Option<Revealed>,
}

/// Three nodes that lose some of their messages, and a client.
#[derive(Clone)]
struct Cluster {
    members: Vec<Member>,
    wire: Vec<Envelope<Machine, PAGE>>,
    rng: XorShiftRng,
    now: Instant,
    chains: Chains,
    client: Option<ClientId>,
    number: u32,
}

/// Time passes by five milliseconds in some of the steps, so that heartbeats and elections come up within hundreds of
/// them.
fn config(node: u16) -> Config {
    Config::new(NodeId(node), 3).with_round_trip(Duration::from_millis(20))
}

fn on_disk<M: Medium>(disk: M) -> Result<FileLog<M>, FileLogError> {
    FileLog::open_on(disk, Path::new("log"), ROOM)
}

/// Asserts that an error is due to the disk.
fn assert_fault(error: &JournalError<FileLogError>) {
    let JournalError::Storage(error) = error else {
        panic!("{error:?}");
    };
    assert!(
        matches!(error.problem, Problem::Io(_) | Problem::Failed),
        "{error}"
    );
}

/// Opens a disk as before a start of the node, and gives it to a new node if it is empty. Returns false if the disk fails
/// meanwhile.
fn prepare(disk: &mut SimulatedDisk, number: u16) -> bool {
    let log = match on_disk(disk) {
        Err(error) if matches!(error.problem, Problem::Io(_)) => return false,
        log => log.unwrap(),
    };
    let opened = Journal::open::<Machine, WINDOW, CLIENTS>(log, config(number));
    match opened {
        Ok(Opened::Empty(empty)) => {
            let provisioned = empty.provision::<Machine, WINDOW, CLIENTS, PAGE>(6, Instant::ZERO);
            provisioned.inspect_err(assert_fault).is_ok()
        }
        Ok(_) => true,
        Err(OpenError::Storage(error)) => panic!("{error}"),
        Err(error) => panic!("{error:?}"),
    }
}

/// Builds a node from its disk; again, if the disk fails meanwhile.
fn start(
    mut disk: SimulatedDisk,
    number: u16,
    revealed: Option<Revealed>,
    now: Instant,
    rng: &mut XorShiftRng,
) -> Member {
    // Each try may be cut again. It ends, as a disk has one fault ahead at most.
    while !prepare(&mut disk, number) {
        disk.lose_power(512, rng);
    }
    disk.repair();
    let Ok(Opened::Intact(intact)) = Journal::open(on_disk(disk).unwrap(), config(number)) else {
        panic!("NODE_{number} is not intact");
    };
    match (&revealed, intact.durable()) {
        (Some(revealed), Some(durable)) => {
            assert!(revealed.is_kept(durable), "NODE_{number} has forgotten");
        }
        (Some(_), None) => panic!("NODE_{number} has forgotten everything"),
        (None, _) => {}
    }
    let (journal, node) = intact.start(6, now).unwrap();
    Member {
        node,
        journal,
        outbox: Outbox::new(),
        revealed,
    }
}

impl Cluster {
    fn new(seed: u64) -> Self {
        let mut rng = XorShiftRng::seed_from_u64(seed);
        let disk = || SimulatedDisk::new(Log::blank(ROOM, seed).unwrap());
        Self {
            members: (0..3)
                .map(|number| start(disk(), number, None, Instant::ZERO, &mut rng))
                .collect(),
            wire: Vec::new(),
            rng,
            now: Instant::ZERO,
            chains: Chains::default(),
            client: None,
            number: 1,
        }
    }

    fn chance(&mut self, of: u32) -> u32 {
        self.rng.next_u32() % of
    }

    fn disk(&mut self, index: usize) -> &mut SimulatedDisk {
        self.members[index].journal.storage_mut().medium_mut()
    }

    fn applied(&self) -> Slot {
        self.members
            .iter()
            .map(|member| member.node.applied())
            .max()
            .unwrap()
    }

    /// One event: a message arrives or is lost, time passes, or the client makes a request. Its writes become durable
    /// and its messages leave at once, or now and then only after another step. A node whose flash has lost power sends
    /// nothing and restarts. Returns the index of the node, and whether it restarted.
    fn step(&mut self) -> (usize, bool) {
        let mut index = usize::try_from(self.chance(3)).unwrap();
        let picked = self.chance(8);
        let is_lost = self.chance(8) == 0;
        // Output of several steps then leaves together, as from a driver that gathers.
        let waits = self.chance(4) == 0;
        let chains = &mut self.chains;
        if picked > 0 && !self.wire.is_empty() {
            let nth = usize::try_from(self.rng.next_u32()).unwrap() % self.wire.len();
            let envelope = self.wire.swap_remove(nth);
            index = usize::from(envelope.to.0);
            let Member { node, outbox, .. } = &mut self.members[index];
            if !is_lost {
                node.handle_message(self.now, &envelope, outbox, chains);
            }
        } else {
            self.now = self.now + Duration::from_millis(5);
            let Member { node, outbox, .. } = &mut self.members[index];
            node.handle_timeout(self.now, outbox, chains);
            let _ = match self.client {
                None => node.register(self.now, 77, outbox, chains),
                Some(client) => {
                    let command = BankCommand::Deposit(Key::numbered(self.number % 4), 1);
                    let number = RequestNumber(self.number);
                    node.request(self.now, client, number, command, outbox, chains)
                }
            };
        }
        if waits {
            return (index, false);
        }
        (index, !self.release(index))
    }

    /// Makes the steps of a node durable and sends its messages; or sends nothing, and restarts the node.
    fn release(&mut self, index: usize) -> bool {
        let Member {
            node,
            journal,
            outbox,
            revealed,
        } = &mut self.members[index];
        let written = journal.write(self.now, node, &outbox.writes);
        if let Err(error) = written.and_then(|()| journal.sync()) {
            assert_fault(&error);
            let number = u16::try_from(index).unwrap();
            let mut disk = journal.clone().into_storage().into_medium();
            // After a kill the system still has what was written.
            let (sector, second) = (self.rng.next_u32() % 3, self.rng.next_u32() % 8);
            match sector {
                0 => disk.repair(),
                1 => disk.lose_power(512, &mut self.rng),
                _ => disk.lose_power(4096, &mut self.rng),
            }
            // A second loss of power soon after the first: while the log is opened.
            if second < 5 {
                disk.fail_after(second, Fault::NoPower);
            }
            let revealed = revealed.take();
            self.members[index] = start(disk, number, revealed, self.now, &mut self.rng);
            return false;
        }
        // Nothing else may be due on a quiet node.
        if self.rng.next_u32().is_multiple_of(16) {
            let _ = journal.storage_mut().mark();
        }
        // From here on others may rely on everything that is durable now.
        if node.is_active() {
            *revealed = Some(Revealed::of(node));
        }
        for outgoing in &outbox.messages {
            for to in outgoing.to.iter() {
                self.wire.push(node.envelope(to, outgoing));
            }
        }
        for reply in &outbox.replies {
            match reply.outcome {
                Outcome::Registered { client } => self.client = Some(client),
                Outcome::Applied { .. } if reply.key.number.0 == self.number => self.number += 1,
                _ => {}
            }
        }
        outbox.clear();
        true
    }

    /// Continues until a node has caught up with the cluster, and the cluster is some slots further.
    fn recover(&mut self, index: usize) {
        let end = self.applied();
        // The cluster goes on, be it with the node or in spite of it.
        let farther = Slot::new(end.number() + 2);
        for _ in 0..6_000 {
            if self.members[index].node.applied() >= end && self.applied() >= farther {
                return;
            }
            self.step();
        }
        panic!(
            "NODE_{index} is at {:?}, and was at {end:?}",
            self.members[index].node.applied()
        );
    }
}

/// True if a node has gone around the ring of its log, after three checkpoints.
fn has_gone_around(member: &Member) -> bool {
    member.journal.checkpoints() >= 3 && member.journal.storage().medium().written > 4 * ROOM
}

/// Cuts the power at every operation of a cluster until all of its nodes have gone around. Returns the number of cuts.
fn cut_everywhere(seed: u64) -> u32 {
    let mut cluster = Cluster::new(seed);
    let (mut cuts, mut steps) = (0, 0);
    while !cluster.members.iter().all(has_gone_around) {
        let before = cluster.clone();
        let (index, _) = cluster.step();
        steps += 1;
        let operations = cluster.disk(index).operations - before.clone().disk(index).operations;
        for at in 0..operations {
            let mut other = before.clone();
            other.disk(index).fail_after(at, Fault::NoPower);
            // A fault of a mark is noticed with the next write.
            let (same, has_restarted) = other.step();
            assert_eq!(same, index, "step {steps}, operation {at}");
            cuts += 1;
            if has_restarted || at % 4 == 0 {
                other.recover(index);
            }
        }
    }
    let slots = cluster.applied().number();
    println!("seed {seed}: cut at {cuts} operations, in {steps} steps with {slots} slots");
    for member in &cluster.members {
        let capacity = member.journal.storage().capacity();
        println!("peak {} of {capacity}", member.journal.peak());
    }
    cuts
}

#[test]
fn nothing_revealed_is_forgotten_when_a_disk_loses_power() {
    assert!(cut_everywhere(6) > 500);
}

#[test]
#[ignore = "takes minutes"]
fn nothing_revealed_is_forgotten_when_disks_lose_power_in_many_clusters() {
    for seed in 7..40 {
        cut_everywhere(seed);
    }
}

#[test]
fn d3_a_bit_that_changes_in_the_log_of_a_node_is_noticed_or_harmless() {
    let mut cluster = Cluster::new(6);
    while !cluster.members.iter().all(has_gone_around) {
        cluster.step();
    }
    // Nothing of the node is pending, so that what it has revealed is what is durable.
    assert!(cluster.release(0));
    let member = &mut cluster.members[0];
    member.journal.storage_mut().mark().unwrap();
    let revealed = member.revealed.as_ref().unwrap();
    let whole = member.journal.clone().into_storage().into_medium();
    let (mut refused, mut harmless) = (0, 0);
    // One bit of every third byte, another one from byte to byte.
    for at in (0..whole.bytes().len()).step_by(3) {
        let mut disk = whole.clone();
        disk.rot(at, 1 << (at % 8));
        match on_disk(disk) {
            Err(error) => {
                assert!(error.is_lost(), "byte {at}: {error}");
                refused += 1;
            }
            Ok(log) => match Journal::open::<Machine, WINDOW, CLIENTS>(log, config(0)).unwrap() {
                Opened::Empty(_) => panic!("{at}: all is forgotten"),
                Opened::Damaged(damaged) => panic!("{at}: {}", damaged.damage()),
                Opened::Intact(intact) => {
                    assert!(revealed.is_kept(intact.durable().unwrap()), "{at}");
                    harmless += 1;
                }
            },
        }
    }
    println!("{refused} bits are refused, {harmless} are harmless");
    assert!(refused > 0 && harmless > 0);
}
