//! Tests of files that are torn, corrupted, locked or full.

use super::*;
use synod::machines::{Bank, BankCommand, Key};
use synod::storage::{Journal, Opened};
use synod::{Config, Instant, Node, NodeId, Outbox, Outcome, RequestNumber};

/// A file that is removed after the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let name = format!("synod-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_file(&path);
        Self(path)
    }

    fn open(&self) -> Result<FileLog, FileError> {
        FileLog::open(&self.0, CAPACITY)
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(&self.0).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

const CAPACITY: usize = 20_000;

fn record(number: u8) -> Vec<u8> {
    vec![number; usize::from(number) % 7]
}

/// Returns the records of a file with these contents, as found when it is opened.
fn found(bytes: &[u8]) -> Result<Vec<Vec<u8>>, FileError> {
    let (_, end) = survey(bytes)?;
    let (mut at, mut found) = (RECORDS_AT, Vec::new());
    while let Some(record) = record_at(bytes, at).filter(|_| at < end) {
        at += HEAD + record.len();
        found.push(record.to_vec());
    }
    Ok(found)
}

/// Returns the contents of a file with the records 10 to 39, synced three at a time.
fn used(place: &Place) -> Vec<u8> {
    let mut log = FileLog::create(&place.0, CAPACITY).unwrap();
    for number in 0..40 {
        log.append(&record(number)).unwrap();
        if number % 3 == 0 {
            log.sync().unwrap();
        }
        if number == 20 {
            let mut left = 10;
            log.trim(|_| {
                left -= 1;
                left >= 0
            })
            .unwrap();
        }
    }
    log.sync().unwrap();
    place.bytes()
}

fn expected() -> Vec<Vec<u8>> {
    (10..40).map(record).collect()
}

#[test]
fn d3_corruption_of_any_synced_byte_is_detected_or_harmless() {
    let place = Place::new("rot");
    let bytes = used(&place);
    assert_eq!(found(&bytes).unwrap(), expected());
    let (mut harmless, mut refused) = (0, 0);
    for at in 0..bytes.len() {
        for change in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
            let mut changed = bytes.clone();
            changed[at] ^= change;
            match found(&changed) {
                Ok(found) => {
                    assert_eq!(found, expected(), "byte {at}: {change:#x}");
                    harmless += 1;
                }
                Err(FileError::Damaged { .. }) => refused += 1,
                Err(error) => panic!("byte {at}: {change:#x}: {error}"),
            }
        }
    }
    // Every byte of a record counts; one of the two marks suffices.
    assert_eq!(
        refused,
        9 * (bytes.len() - RECORDS_AT),
        "{harmless} harmless"
    );
}

#[test]
fn d3_a_corrupted_length_does_not_swallow_the_next_record() {
    let place = Place::new("length");
    let bytes = used(&place);
    let (first, second) = (record(10).len(), record(11).len());
    let mut changed = bytes.clone();
    // The first record would span both: only the complement, or the digest, shows that it does not.
    changed[RECORDS_AT] = u8::try_from(first + HEAD + second).unwrap();
    assert!(matches!(
        found(&changed),
        Err(FileError::Damaged { at: RECORDS_AT })
    ));
}

#[test]
fn a_missing_synced_end_is_damage() {
    let place = Place::new("cut");
    let bytes = used(&place);
    for len in 0..bytes.len() {
        assert!(
            found(&bytes[..len]).is_err(),
            "{len} bytes of {}",
            bytes.len()
        );
    }
    assert!(matches!(found(b"something else"), Err(FileError::Foreign)));
}

#[test]
fn d1_unsynced_bytes_may_be_torn_or_garbled_anywhere() {
    let place = Place::new("torn");
    let synced = used(&place);
    let mut log = place.open().unwrap();
    for number in 40..46 {
        log.append(&record(number)).unwrap();
    }
    drop(log);
    let bytes = place.bytes();
    let all: Vec<_> = (10..46).map(record).collect();
    assert_eq!(
        found(&bytes).unwrap(),
        all,
        "it was killed, and nothing was lost"
    );
    let is_prefix = |found: &[Vec<u8>]| found.len() >= 30 && all.starts_with(found);
    for len in synced.len()..bytes.len() {
        assert!(is_prefix(&found(&bytes[..len]).unwrap()), "torn at {len}");
        let mut garbled = bytes.clone();
        for byte in &mut garbled[len..] {
            *byte = byte.wrapping_mul(5).wrapping_add(0x5a);
        }
        assert!(
            is_prefix(&found(&garbled).unwrap()),
            "garbled from {len} on"
        );
    }
    // The torn end is cut off once, and the next record is written in its place.
    fs::write(&place.0, &bytes[..bytes.len() - 1]).unwrap();
    let mut log = place.open().unwrap();
    log.append(b"next").unwrap();
    log.sync().unwrap();
    let found = found(&place.bytes()).unwrap();
    assert_eq!(
        (found.len(), found.last().unwrap().as_slice()),
        (36, &b"next"[..])
    );
}

#[test]
fn power_may_fail_at_any_byte_of_a_mark() {
    let place = Place::new("mark");
    let before = used(&place);
    let mut log = place.open().unwrap();
    log.append(b"next").unwrap();
    log.sync().unwrap();
    let after = place.bytes();
    let at = usize::try_from(log.mark.at()).unwrap();
    for cut in 0..=MARK {
        let mut torn = after.clone();
        torn[at + cut..at + MARK].copy_from_slice(&before[at + cut..at + MARK]);
        // The record was synced before.
        assert_eq!(found(&torn).unwrap().len(), 31, "after {cut} bytes");
    }
}

#[test]
fn a_file_is_opened_once_and_never_overwrites_another() {
    let place = Place::new("once");
    let log = FileLog::create(&place.0, CAPACITY).unwrap();
    assert!(matches!(place.open(), Err(FileError::Io(_))));
    assert!(matches!(
        FileLog::create(&place.0, CAPACITY),
        Err(FileError::Io(_))
    ));
    drop(log);
    assert!(place.open().is_ok());
}

#[test]
fn a_file_holds_its_capacity() {
    let place = Place::new("full");
    let mut log = FileLog::create(&place.0, CAPACITY).unwrap();
    let bytes = [7; JOURNAL_RECORD_MAX + 1];
    assert!(matches!(log.append(&bytes), Err(FileError::TooLong)));
    let each = JOURNAL_RECORD_MAX + FileLog::OVERHEAD;
    for _ in 0..log.capacity() / each {
        log.append(&bytes[1..]).unwrap();
    }
    assert!(matches!(log.append(&bytes[1..]), Err(FileError::Full)));
    log.sync().unwrap();
    log.trim(|_| true).unwrap();
    log.append(&bytes[1..]).unwrap();
}

type Member = Node<Bank<4>, 8, 2, 2>;

/// Runs a cluster of one for a few steps, and drops it.
fn live(place: &Place, nonce: u64) -> Member {
    let config = Config::new(NodeId(0), 1);
    let opened = Journal::open::<Bank<4>, 8, 2>(place.open().unwrap(), config).unwrap();
    let (mut journal, mut node): (_, Member) = match opened {
        Opened::Intact(intact) => intact.start(6, Instant::ZERO).unwrap(),
        Opened::Empty(empty) => empty.provision(6, Instant::ZERO).unwrap(),
        Opened::Damaged(damaged) => panic!("{:?}", damaged.damage()),
    };
    let mut outbox = Outbox::<_, 2, { Member::OUTBOX_MIN }>::new();
    let mut client = None;
    let (mut now, mut number) = (Instant::ZERO, 0);
    while number < 40 {
        if node.leading().is_none() {
            now = node.next_deadline().unwrap();
            node.handle_timeout(now, &mut outbox, &mut ());
        } else if let Some(client) = client {
            number += 1;
            let deposit = BankCommand::Deposit(Key::new("A").unwrap(), 1);
            let number = RequestNumber(number);
            node.request(now, client, number, deposit, &mut outbox, &mut ())
                .unwrap();
        } else {
            node.register(now, nonce, &mut outbox, &mut ()).unwrap();
        }
        journal.write(now, &mut node, &outbox.writes).unwrap();
        journal.sync().unwrap();
        for reply in &outbox.replies {
            if let Outcome::Registered { client: opened } = reply.outcome {
                client = Some(opened);
            }
        }
        outbox.clear();
    }
    node
}

#[test]
fn d2_a_node_on_a_plain_file_keeps_its_state_over_restarts() {
    let place = Place::new("node");
    drop(FileLog::create(&place.0, CAPACITY).unwrap());
    let mut slots = 0;
    for nonce in 1..12 {
        let node = live(&place, nonce);
        assert!(
            node.applied().number() >= slots + 41,
            "{} slots",
            node.applied()
        );
        slots = node.applied().number();
        assert!(place.bytes().len() <= RECORDS_AT + CAPACITY);
    }
}

#[test]
fn d3_corruption_of_the_last_record_or_its_seal_is_detected() {
    let place = Place::new("seal");
    drop(FileLog::create(&place.0, CAPACITY).unwrap());
    live(&place, 1);
    let mut bytes = place.bytes();
    // The last byte of the seal, and one before the seal: to a journal alone they look torn.
    let len = bytes.len();
    bytes[len - 1] ^= 1;
    bytes[len - 30] ^= 1;
    fs::write(&place.0, &bytes).unwrap();
    assert!(matches!(place.open(), Err(FileError::Damaged { .. })));
}
