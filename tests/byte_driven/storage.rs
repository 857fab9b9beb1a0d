//! Storage with arbitrary contents: opening it never panics, and a node built from it keeps its invariants.

use super::choices::Choices;
use crc::{CRC_32_ISO_HDLC, Crc};
use std::sync::OnceLock;
use synod::machines::{Key, Kv, KvCommand};
use synod::storage::{Journal, Memory, Opened, Storage};
use synod::{Config, Instant, Node, NodeId, Outbox, Outcome, RequestNumber};

const WINDOW: usize = 4;
const CLIENTS: usize = 2;
const PAGE: usize = 2;
type Small = Node<Kv<4>, WINDOW, CLIENTS, PAGE>;
type Disk = Memory<12_000>;

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// The outcome of opening some storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StorageVerdict {
    /// Refused, because it belongs to another node.
    Refused,
    /// Empty.
    Empty,
    /// Damaged, and detected as such.
    Damaged,
    /// Intact: the node restarted from it.
    Intact,
    /// Provisioned as new.
    Anew,
}

fn config() -> Config {
    Config::new(NodeId(0), 1)
}

fn open(disk: Disk) -> Option<Opened<Disk, Kv<4>, WINDOW, CLIENTS>> {
    Journal::open(disk, config()).ok()
}

fn records(disk: &mut Disk) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    let read = disk.read(|record| records.push(record.to_vec()));
    assert_eq!(read, Ok(()), "memory can be read");
    records
}

/// Drives a cluster of one until it has decided `commands` commands.
fn go_on(node: &mut Small, journal: &mut Journal<Disk>, commands: u32) {
    let mut outbox = Outbox::<Kv<4>, PAGE, { Small::OUTBOX_MIN }>::new();
    let (mut now, mut client, mut next) = (Instant::ZERO, None, 1);
    for _ in 0..60 {
        if node.leading().is_none() {
            now = node.next_deadline().unwrap_or(now);
            node.handle_timeout(now, &mut outbox, &mut ());
        } else if let Some(client) = client {
            let command = KvCommand::Set(Key::numbered(next % 4), i64::from(next));
            let number = RequestNumber(next);
            let _ = node.request(now, client, number, command, &mut outbox, &mut ());
        } else {
            let _ = node.register(now, 77, &mut outbox, &mut ());
        }
        if journal.write(now, node, &outbox.writes).is_err() || journal.sync().is_err() {
            return;
        }
        for reply in &outbox.replies {
            match reply.outcome {
                Outcome::Registered { client: id } => client = Some(id),
                Outcome::Applied { .. } => next += 1,
                _ => {}
            }
        }
        outbox.clear();
        if next > commands {
            return;
        }
    }
}

/// Returns the records of a node that has run for a while.
fn recorded_run() -> Vec<Vec<u8>> {
    let Some(Opened::Empty(empty)) = open(Disk::new()) else {
        return Vec::new();
    };
    let Ok((mut journal, mut node)) = empty.provision(6, Instant::ZERO) else {
        return Vec::new();
    };
    go_on(&mut node, &mut journal, 40);
    records(journal.storage_mut())
}

/// Corrects the checksum of a record, so that its contents are looked at.
fn fix_checksum(record: &mut [u8]) {
    if let Some((checksum, rest)) = record.split_first_chunk_mut::<4>() {
        *checksum = CRC.checksum(rest).to_le_bytes();
    }
}

/// Corrupts the records.
fn corrupt(records: &mut Vec<Vec<u8>>, choices: &mut Choices<'_>) {
    if records.is_empty() {
        return;
    }
    let len = records.len();
    let at = choices.index(len);
    match choices.below(8) {
        0 => {
            records.remove(at);
        }
        1 => records.truncate(at),
        2 => {
            records.drain(..at);
        }
        3 => {
            let copy = records[choices.index(len)].clone();
            records.insert(at, copy);
        }
        4 => records.swap(at, choices.index(len)),
        5 => {
            let cut = choices.index(records[at].len() + 1);
            records[at].truncate(cut);
            fix_checksum(&mut records[at]);
        }
        6 => {
            // A record that follows the one before it, with arbitrary contents.
            let mut record = vec![0; 4];
            record.extend_from_slice(records[at].get(4..8).unwrap_or_default());
            let len = choices.index(60);
            record.extend_from_slice(choices.take(len));
            fix_checksum(&mut record);
            records[at] = record;
        }
        _ => {
            let record = &mut records[at];
            if !record.is_empty() {
                let byte = choices.index(record.len());
                record[byte] ^= choices.byte();
                if choices.below(4) > 0 {
                    fix_checksum(record);
                }
            }
        }
    }
}

/// Corrupts the storage of a node, opens it, and lets the node run.
///
/// # Panics
///
/// Panics if the node built from it breaks an invariant.
pub fn live(bytes: &[u8]) -> StorageVerdict {
    static LIVED: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let mut choices = Choices::new(bytes);
    let mut records = LIVED.get_or_init(recorded_run).clone();
    for _ in 0..choices.below(6) {
        corrupt(&mut records, &mut choices);
    }
    let mut disk = Disk::new();
    for record in &records {
        if disk.append(record).is_err() {
            break;
        }
    }
    let (mut journal, mut node, end) = match open(disk) {
        None => return StorageVerdict::Refused,
        Some(Opened::Empty(_)) => return StorageVerdict::Empty,
        Some(Opened::Damaged(_)) => return StorageVerdict::Damaged,
        Some(Opened::Intact(intact)) => {
            let end = match intact.durable() {
                Some(_) => StorageVerdict::Intact,
                None => StorageVerdict::Anew,
            };
            let Ok((journal, node)) = intact.start::<PAGE>(6, Instant::ZERO) else {
                return StorageVerdict::Refused;
            };
            (journal, node, end)
        }
    };
    let (promised, applied) = (node.promised(), node.applied());
    go_on(&mut node, &mut journal, 20);
    assert!(node.promised() >= promised && node.applied() >= applied);
    let incarnation = journal.incarnation();
    let again = open(journal.into_storage());
    assert!(
        matches!(again, Some(Opened::Intact(_))),
        "what it went on with is {again:?}"
    );
    if let Some(Opened::Intact(intact)) = again {
        if let Some(durable) = intact.durable() {
            assert!(durable.promised() >= promised && durable.applied() >= applied);
        }
        if let Ok((journal, _)) = intact.start::<PAGE>(6, Instant::ZERO) {
            assert!(journal.incarnation() >= incarnation);
        }
    }
    end
}

/// Does the same, for a fuzzer.
pub fn run(bytes: &[u8]) {
    live(bytes);
}
