//! Journal scenarios: a small running cluster, whose storage is checked after every step.

extern crate std;

use super::*;
use crate::machines::{Bank, BankCommand, Key};
use crate::{
    Ballot, ClientId, Config, Durable, Duration, Envelope, Event, Instant, Node, NodeId, Outbox,
    Outcome, Record, RequestNumber, Slot, Tracer, Write,
};
use rand_core::{Rng, SeedableRng};
use rand_xorshift::XorShiftRng;
use std::collections::BTreeMap;
use std::string::String;
use std::vec::Vec;

const WINDOW: usize = 8;
const CLIENTS: usize = 2;
const PAGE: usize = 2;
type Small = Node<Bank<4>, WINDOW, CLIENTS, PAGE>;
type Remembered = Durable<Bank<4>, WINDOW, CLIENTS>;
type Disk = Memory<20_000>;

/// The chain digests of the applied prefixes, as the first node computed them.
#[derive(Default)]
struct Chains(BTreeMap<Slot, u64>);

impl Tracer<Bank<4>, PAGE> for Chains {
    fn record(&mut self, record: &Record<'_, Bank<4>, PAGE>) {
        if let Event::Applied { slot, chain, .. } = record.event {
            assert_eq!(*self.0.entry(slot).or_insert(chain), chain);
        }
    }
}

struct Member {
    node: Small,
    journal: Journal<Disk>,
    outbox: Outbox<Bank<4>, PAGE, 64>,
}

/// Three nodes that lose a fifth of their messages, and a client.
struct Cluster {
    members: Vec<Member>,
    wire: Vec<Envelope<Bank<4>, PAGE>>,
    rng: XorShiftRng,
    now: Instant,
    chains: Chains,
    client: Option<ClientId>,
    number: u32,
    answered: u32,
    cut_off: Option<usize>,
}

fn config(node: u16) -> Config {
    Config::new(NodeId(node), 3).with_round_trip(Duration::from_millis(20))
}

fn open(disk: &Disk, node: u16) -> Opened<Disk, Bank<4>, WINDOW, CLIENTS> {
    Journal::open(disk.clone(), config(node)).unwrap()
}

/// Returns what a node would remember if power failed now.
fn remembered(disk: &Disk, node: u16) -> Option<Remembered> {
    match open(disk, node) {
        Opened::Intact(intact) => intact.durable().cloned(),
        Opened::Empty(_) => panic!("NODE_{node}: empty"),
        Opened::Damaged(damaged) => panic!("NODE_{node}: {}", damaged.damage()),
    }
}

impl Cluster {
    fn new(seed: u64) -> Self {
        let member = |node| {
            let Opened::Empty(empty) = open(&Disk::new(), node) else {
                panic!("new storage is empty");
            };
            let (journal, node) = empty.provision(seed, Instant::ZERO).unwrap();
            let outbox = Outbox::new();
            Member {
                node,
                journal,
                outbox,
            }
        };
        Self {
            members: (0..3).map(member).collect(),
            wire: Vec::new(),
            rng: XorShiftRng::seed_from_u64(seed),
            now: Instant::ZERO,
            chains: Chains::default(),
            client: None,
            number: 1,
            answered: 0,
            cut_off: None,
        }
    }

    fn chance(&mut self, of: u32) -> u32 {
        self.rng.next_u32() % of
    }

    /// One event: a message arrives or is lost, time passes, or the client makes a request. All messages to a node that
    /// is cut off are lost.
    fn step(&mut self) -> usize {
        let index = usize::try_from(self.chance(3)).unwrap();
        let picked = self.chance(8);
        let lost = self.chance(5) == 0;
        if picked > 0 && !self.wire.is_empty() {
            let len = u32::try_from(self.wire.len()).unwrap();
            let nth = usize::try_from(self.chance(len)).unwrap();
            let envelope = self.wire.swap_remove(nth);
            let to = usize::from(envelope.to.0);
            if !lost && self.cut_off != Some(to) {
                let Member { node, outbox, .. } = &mut self.members[to];
                node.handle_message(self.now, &envelope, outbox, &mut self.chains);
            }
            return to;
        }
        let passed = self.chance(9);
        self.now = self.now + Duration::from_millis(u64::from(passed));
        let Member { node, outbox, .. } = &mut self.members[index];
        if picked == 0 || self.wire.is_empty() {
            node.handle_timeout(self.now, outbox, &mut self.chains);
        }
        let _ = match self.client {
            None => node.register(self.now, 77, outbox, &mut self.chains),
            Some(client) => {
                let command = BankCommand::Deposit(Key::numbered(self.number % 4), 1);
                let number = RequestNumber(self.number);
                node.request(self.now, client, number, command, outbox, &mut self.chains)
            }
        };
        index
    }

    /// Makes the steps of a node durable, and sends its messages.
    fn release(&mut self, index: usize) {
        let Member {
            node,
            journal,
            outbox,
        } = &mut self.members[index];
        journal.write(self.now, node, &outbox.writes).unwrap();
        journal.sync().unwrap();
        for outgoing in &outbox.messages {
            for to in outgoing.to.iter() {
                self.wire.push(node.envelope(to, outgoing));
            }
        }
        for reply in &outbox.replies {
            match reply.outcome {
                Outcome::Registered { client } => self.client = Some(client),
                Outcome::Applied { .. } if reply.key.number.0 == self.number => {
                    self.number += 1;
                    self.answered += 1;
                }
                _ => {}
            }
        }
        outbox.clear();
    }

    /// Power fails at a node, and it restarts.
    fn restart(&mut self, index: usize) {
        let number = u16::try_from(index).unwrap();
        let disk = self.members[index].journal.storage().clone();
        let Opened::Intact(intact) = open(&disk, number) else {
            panic!("NODE_{number} is not intact");
        };
        let (journal, node) = intact.start(1, self.now).unwrap();
        self.members[index] = Member {
            node,
            journal,
            outbox: Outbox::new(),
        };
    }

    /// Asserts that the storage remembers everything that the node has revealed.
    fn check(&self, index: usize) {
        let Member { node, journal, .. } = &self.members[index];
        let number = u16::try_from(index).unwrap();
        let Some(durable) = remembered(journal.storage(), number) else {
            assert!(!node.is_active(), "NODE_{number} has joined");
            return;
        };
        assert_eq!(durable.promised(), node.promised());
        let applied = durable.applied();
        assert!(node.low_water() <= applied && applied <= node.applied());
        if applied > Slot::ZERO {
            assert_eq!(self.chains.0.get(&applied), Some(&durable.chain()));
        }
        let above = |entry: &crate::Entry<_>| entry.slot > applied;
        let known: Vec<_> = durable.votes().filter(above).collect();
        assert_eq!(known, node.votes().filter(above).collect::<Vec<_>>());
    }
}

#[test]
#[cfg_attr(
    miri,
    ignore = "a cluster that lives for so long takes an interpreter hours"
)]
fn d1_storage_contains_what_a_node_has_revealed_after_every_step() {
    for seed in 0..2 {
        let mut cluster = Cluster::new(seed);
        let mut checkpoints = 0;
        for step in 0..9_000 {
            let index = cluster.step();
            // Now and then several steps are gathered and synced once.
            if cluster.chance(3) > 0 {
                continue;
            }
            cluster.release(index);
            cluster.check(index);
            if step % 1_000 == 999 {
                checkpoints += cluster.members[index].journal.checkpoints();
                cluster.restart(index);
                cluster.check(index);
            }
        }
        assert!(cluster.answered > 100, "{} answered", cluster.answered);
        assert!(checkpoints > 3, "{checkpoints} checkpoints");
        for member in &cluster.members {
            assert!(member.journal.peak() <= member.journal.storage().capacity());
        }
    }
}

/// Returns a cluster that has run for a while, between two steps.
fn under_way(steps: usize) -> Cluster {
    let mut cluster = Cluster::new(7);
    for _ in 0..steps {
        let index = cluster.step();
        cluster.release(index);
    }
    cluster
}

/// Returns the records of a disk.
fn records(disk: &Disk) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    disk.clone()
        .read(|record| records.push(record.to_vec()))
        .unwrap();
    records
}

fn disk_of(records: &[Vec<u8>]) -> Disk {
    let mut disk = Disk::new();
    for record in records {
        disk.append(record).unwrap();
    }
    disk
}

fn same(durable: &Remembered, other: &Remembered) -> bool {
    durable.promised() == other.promised()
        && durable.applied() == other.applied()
        && durable.votes().eq(other.votes())
}

#[test]
#[cfg_attr(
    miri,
    ignore = "a cluster that lives for so long takes an interpreter hours"
)]
fn d3_a_changed_byte_anywhere_is_noticed_or_harmless() {
    let cluster = under_way(1_500);
    let disk = cluster.members[1].journal.storage();
    let expected = remembered(disk, 1).unwrap();
    let whole = records(disk);
    let last = whole.len() - 1;
    let (mut damaged, mut harmless) = (0, 0);
    for (nth, record) in whole.iter().enumerate() {
        for byte in (nth % 3..record.len()).step_by(3) {
            let mut changed = whole.clone();
            changed[nth][byte] ^= 1 << (byte % 8);
            match open(&disk_of(&changed), 1) {
                Opened::Damaged(_) => damaged += 1,
                Opened::Intact(intact) => {
                    assert_eq!(nth, last, "only the last seal says nothing of its own");
                    assert!(same(intact.durable().unwrap(), &expected));
                    harmless += 1;
                }
                Opened::Empty(_) => panic!("record {nth}, byte {byte}: it looks empty"),
            }
        }
    }
    assert!(damaged > 1_000 && harmless > 0, "{damaged}, {harmless}");
}

/// A fault that rule D3 cannot detect, as documented: only storage that marks how far it was synced can.
#[test]
#[cfg_attr(
    miri,
    ignore = "a cluster that lives for so long takes an interpreter hours"
)]
fn d3_the_last_record_garbled_with_its_seal_is_taken_for_torn_and_either_alone_is_not() {
    let cluster = under_way(1_500);
    let disk = cluster.members[1].journal.storage();
    let expected = remembered(disk, 1).unwrap();
    let whole = records(disk);
    let garbled = |which: &[usize]| {
        let mut changed = whole.clone();
        for back in which {
            let nth = changed.len() - 1 - back;
            changed[nth][4] ^= 1;
        }
        open(&disk_of(&changed), 1)
    };
    // The seal has no contents of its own.
    assert!(
        matches!(garbled(&[0]), Opened::Intact(intact) if same(intact.durable().unwrap(), &expected))
    );
    assert!(matches!(garbled(&[1]), Opened::Damaged(_)));
    assert!(matches!(garbled(&[0, 2]), Opened::Damaged(_)));
    assert!(
        matches!(garbled(&[0, 1]), Opened::Intact(intact) if !same(intact.durable().unwrap(), &expected))
    );
}

#[test]
#[cfg_attr(
    miri,
    ignore = "a cluster that lives for so long takes an interpreter hours"
)]
fn d3_a_missing_record_is_noticed_or_harmless() {
    let cluster = under_way(3_000);
    let disk = cluster.members[1].journal.storage();
    let whole = records(disk);
    for nth in (0..whole.len() - 1).rev().take(150) {
        let mut missing = whole.clone();
        missing.remove(nth);
        assert!(
            matches!(open(&disk_of(&missing), 1), Opened::Damaged(_)),
            "record {nth}"
        );
    }
}

#[test]
#[cfg_attr(
    miri,
    ignore = "a cluster that lives for so long takes an interpreter hours"
)]
fn d1_unsynced_records_may_be_torn_at_any_byte() {
    let mut cluster = under_way(3_000);
    let mut cuts = 0;
    for _ in 0..150 {
        let index = cluster.step();
        let member = &mut cluster.members[index];
        let number = u16::try_from(index).unwrap();
        let before = records(member.journal.storage());
        let synced = remembered(member.journal.storage(), number);
        let writes = member.outbox.writes.clone();
        member
            .journal
            .write(cluster.now, &mut member.node, &writes)
            .unwrap();
        let after = records(member.journal.storage());
        for torn in before.len()..after.len() {
            let mut disk = disk_of(&after[..torn]);
            for byte in 0..after[torn].len() {
                let mut disk = disk.clone();
                disk.append(&after[torn][..byte]).unwrap();
                let Opened::Intact(intact) = open(&disk, number) else {
                    panic!("NODE_{number}: torn at byte {byte} of record {torn}");
                };
                let Some(synced) = &synced else { continue };
                let durable = intact.durable().unwrap();
                assert!(durable.promised() >= synced.promised());
                assert!(durable.applied() >= synced.applied());
                cuts += 1;
                // The journal continues after the torn record, and the log is read again.
                if byte % 7 == 3 {
                    let (mut journal, mut node) = intact.start::<PAGE>(1, cluster.now).unwrap();
                    let ballot = Ballot::new(node.promised().round() + 1, NodeId(number));
                    let write = [Write::Promised(ballot)];
                    journal.write(cluster.now, &mut node, &write).unwrap();
                    journal.sync().unwrap();
                    let again = remembered(journal.storage(), number).unwrap();
                    assert_eq!(again.promised(), ballot);
                }
            }
            disk.append(&after[torn]).unwrap();
        }
        cluster.members[index].journal.sync().unwrap();
        let writes = &mut cluster.members[index].outbox.writes;
        writes.clear();
        cluster.release(index);
    }
    std::println!("power was cut at {cuts} bytes");
    assert!(cuts > 500, "{cuts}");
}

#[test]
#[cfg_attr(
    miri,
    ignore = "a cluster that lives for so long takes an interpreter hours"
)]
fn d1_an_installed_snapshot_and_later_records_may_be_torn() {
    let mut cluster = under_way(1_000);
    let (mut cuts, mut installed) = (0, 0);
    for round in 0..6 {
        // A node misses so much that only a snapshot helps, and takes in a lot before it writes again.
        cluster.cut_off = Some(round % 3);
        for _ in 0..1_500 {
            let index = cluster.step();
            cluster.release(index);
        }
        let behind = cluster.cut_off.take().unwrap();
        let number = u16::try_from(behind).unwrap();
        let mut seen = 0;
        for _ in 0..1_000 {
            let index = cluster.step();
            let member = &cluster.members[behind];
            let writes = &member.outbox.writes;
            let jumps = |write: &Write<_>| matches!(write, Write::Installed(_));
            if index != behind || !writes.iter().any(jumps) || writes.len() > 12 {
                cluster.release(index);
                continue;
            }
            if writes.len() == seen {
                continue;
            }
            seen = writes.len();
            installed += 1;
            let before = records(member.journal.storage());
            let promised = remembered(member.journal.storage(), number)
                .unwrap()
                .promised();
            let disk = member.journal.storage().clone();
            let Opened::Intact(intact) = open(&disk, number) else {
                panic!("NODE_{number} is not intact");
            };
            let (mut journal, _) = intact.start::<PAGE>(1, cluster.now).unwrap();
            let mut node = member.node.clone();
            journal.write(cluster.now, &mut node, writes).unwrap();
            let after = records(journal.storage());
            for torn in before.len()..after.len() {
                let disk = disk_of(&after[..torn]);
                let durable = remembered(&disk, number).unwrap();
                assert!(durable.promised() >= promised);
                cuts += 1;
            }
        }
        cluster.release(behind);
    }
    std::println!("power was cut at {cuts} records");
    assert!(installed >= 3 && cuts > 100, "{installed}, {cuts}");
}

/// Returns a letter for a record: the beginning of a checkpoint, a page, its end, a seal, or anything else.
fn letter(record: &[u8]) -> char {
    use super::record::Record;
    match Record::<BankCommand>::decode(record) {
        Some((_, Record::Begin(_))) => 'b',
        Some((_, Record::Page(..))) => 'p',
        Some((_, Record::End(_))) => 'e',
        Some((_, Record::Seal)) => 's',
        _ => '.',
    }
}

fn letters(disk: &Disk) -> String {
    records(disk).iter().map(|record| letter(record)).collect()
}

/// Lets a node write promises until the storage satisfies a condition.
fn promise_until(member: &mut Member, is_so: impl Fn(&Journal<Disk>) -> bool) {
    let Member { node, journal, .. } = member;
    let mut round = node.promised().round();
    while !is_so(journal) {
        round += 1;
        let write = [Write::Promised(Ballot::new(round, NodeId(0)))];
        journal.write(Instant::ZERO, node, &write).unwrap();
        journal.sync().unwrap();
    }
}

#[test]
#[cfg_attr(
    miri,
    ignore = "a cluster that lives for so long takes an interpreter hours"
)]
fn t5_a_checkpoint_is_written_in_pages_between_other_records() {
    let mut cluster = under_way(1_000);
    let member = &mut cluster.members[1];
    let before = member.journal.checkpoints();
    promise_until(member, |journal| journal.checkpoints() > before);
    let letters = letters(member.journal.storage());
    assert!(
        letters.starts_with('b'),
        "what was before it is dropped: {letters}"
    );
    let pages = letters.matches('p').count();
    assert!(pages > 1, "{letters}");
    assert_eq!(
        letters.matches("s.p").count(),
        pages,
        "each with a promise: {letters}"
    );
}

#[test]
#[cfg_attr(
    miri,
    ignore = "a cluster that lives for so long takes an interpreter hours"
)]
fn t4_a_checkpoint_starts_over_when_its_snapshot_was_replaced() {
    let mut cluster = under_way(1_000);
    let member = &mut cluster.members[1];
    let before = member.journal.checkpoints();
    let begun = |journal: &Journal<Disk>| letters(journal.storage()).matches('b').count();
    promise_until(member, |journal| begun(journal) > 1);
    // No page seems to have been requested for a while, so the node takes the room back.
    let late = Instant::ZERO + Duration::from_secs(100_000);
    let Member { node, outbox, .. } = member;
    node.handle_timeout(late, outbox, &mut cluster.chains);
    promise_until(member, |journal| begun(journal) > 2);
    promise_until(member, |journal| journal.checkpoints() > before);
    let letters = letters(member.journal.storage());
    assert_eq!(
        letters.matches('b').count(),
        1,
        "both others are dropped: {letters}"
    );
    assert!(remembered(member.journal.storage(), 1).is_some());
}

#[test]
#[cfg_attr(
    miri,
    ignore = "a cluster that lives for so long takes an interpreter hours"
)]
fn d2_storage_of_another_node_or_cluster_is_refused() {
    let cluster = under_way(500);
    let disk = cluster.members[1].journal.storage();
    let elsewhere = Config {
        cluster: 9,
        ..config(1)
    };
    let other = Journal::open::<Bank<4>, WINDOW, CLIENTS>(disk.clone(), elsewhere);
    let message = std::format!("{}", other.unwrap_err());
    assert!(
        message.starts_with("the storage belongs to another cluster"),
        "{message}"
    );
    let other = Journal::open::<Bank<4>, WINDOW, CLIENTS>(disk.clone(), config(2));
    let message = std::format!("{}", other.unwrap_err());
    assert!(message.ends_with("its node is 1 instead of 2"), "{message}");
    let other = Journal::open::<Bank<4>, 16, CLIENTS>(disk.clone(), config(1));
    let message = std::format!("{}", other.unwrap_err());
    assert!(
        message.ends_with("its WINDOW is 8 instead of 16"),
        "{message}"
    );
}

#[test]
#[cfg_attr(
    miri,
    ignore = "a cluster that lives for so long takes an interpreter hours"
)]
fn d2_a_checkpoint_that_is_gone_is_damage_and_not_a_new_node() {
    let cluster = under_way(3_000);
    let whole = records(cluster.members[1].journal.storage());
    let tail = disk_of(&whole[whole.len() - 3..]);
    let Opened::Damaged(damaged) = open(&tail, 1) else {
        panic!("it is not damaged");
    };
    assert_eq!(damaged.damage(), Damage::NoCheckpoint);
}

/// Of empty storage at most the first record is torn. With more records that cannot be read, the node may have voted.
#[test]
fn d2_storage_in_which_nothing_can_be_read_is_damaged() {
    let whole = records(under_way(100).members[0].journal.storage());
    assert!(whole.len() > 2, "{} records", whole.len());
    let garbled: Vec<Vec<u8>> = whole
        .iter()
        .map(|record| record.iter().map(|byte| byte ^ 0x55).collect())
        .collect();
    for records in 2..=garbled.len() {
        let opened = open(&disk_of(&garbled[..records]), 0);
        let is_damaged = matches!(opened, Opened::Damaged(_));
        assert!(is_damaged, "{records} records: {opened:?}");
    }
    assert!(matches!(open(&disk_of(&garbled[..1]), 0), Opened::Empty(_)));
}

#[test]
fn d2_power_may_fail_while_a_node_is_given_its_storage() {
    let cluster = Cluster::new(3);
    let whole = records(cluster.members[0].journal.storage());
    assert_eq!(whole.len(), 2, "whose it is, and a seal");
    let (mut empty, mut anew) = (0, 0);
    for torn in 0..whole.len() {
        for byte in 0..whole[torn].len() {
            let mut disk = disk_of(&whole[..torn]);
            disk.append(&whole[torn][..byte]).unwrap();
            let (journal, node): (Journal<Disk>, Small) = match open(&disk, 0) {
                Opened::Empty(storage) => {
                    empty += 1;
                    storage.provision(3, Instant::ZERO).unwrap()
                }
                Opened::Intact(intact) => {
                    anew += 1;
                    assert!(intact.durable().is_none());
                    intact.start(3, Instant::ZERO).unwrap()
                }
                Opened::Damaged(damaged) => panic!("{torn}, {byte}: {}", damaged.damage()),
            };
            assert!(!node.is_active());
            assert!(remembered(journal.storage(), 0).is_none());
        }
    }
    assert!(empty > 10 && anew > 5, "{empty}, {anew}");
}

#[test]
fn a_node_that_had_not_joined_begins_anew() {
    let mut cluster = Cluster::new(3);
    assert!(remembered(cluster.members[0].journal.storage(), 0).is_none());
    cluster.restart(0);
    assert_eq!(
        cluster.members[0].journal.incarnation(),
        1,
        "it has written nothing"
    );
    assert!(!cluster.members[0].node.is_active());
}

#[test]
fn storage_that_is_too_small_is_an_error_and_then_stays_one() {
    let Ok(Opened::Empty(empty)) =
        Journal::open::<Bank<4>, WINDOW, CLIENTS>(Memory::<600>::new(), config(0))
    else {
        panic!("new storage is empty");
    };
    let (mut journal, mut node) = empty
        .provision::<Bank<4>, WINDOW, CLIENTS, PAGE>(1, Instant::ZERO)
        .unwrap();
    let write = [Write::Installed(Slot::ZERO)];
    let error = journal.write(Instant::ZERO, &mut node, &write);
    assert!(matches!(
        error,
        Err(JournalError::TooSmall { capacity: 600, .. })
    ));
    assert_eq!(journal.sync(), Err(JournalError::Failed));
    assert_eq!(
        journal.write(Instant::ZERO, &mut node, &write),
        Err(JournalError::Failed)
    );
}
