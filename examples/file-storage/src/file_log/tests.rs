//! Files that are torn, rotten, locked or full.

use super::*;
use synod::machines::{Bank, BankCommand, Key};
use synod::storage::{Journal, Opened};
use synod::{Config, Instant, Node, NodeId, Outbox, Outcome, RequestNumber};

/// A file that is removed when the test is over.
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

/// The records of a file of such bytes, as they are found when it is opened.
fn found(bytes: &[u8]) -> Result<Vec<Vec<u8>>, FileError> {
    let (_, end) = survey(bytes)?;
    let (mut at, mut found) = (RECORDS_AT, Vec::new());
    while let Some(record) = record_at(bytes, at).filter(|_| at < end) {
        at += HEAD + record.len();
        found.push(record.to_vec());
    }
    Ok(found)
}

/// The bytes of a file with the records 10 to 39, synced three at a time, and of how many records.
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
fn d3_whatever_byte_of_what_was_synced_rots_nothing_is_lost_in_silence() {
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
    // What is not harmless is every byte of a record; of the marks one suffices.
    assert_eq!(
        refused,
        9 * (bytes.len() - RECORDS_AT),
        "{harmless} harmless"
    );
}

#[test]
fn d3_a_length_that_rots_into_another_one_takes_no_record_for_a_part_of_its_own() {
    let place = Place::new("length");
    let bytes = used(&place);
    let (first, second) = (record(10).len(), record(11).len());
    let mut changed = bytes.clone();
    // The first record would be all of the first two: only the complement, or the digest, shows that it is not.
    changed[RECORDS_AT] = u8::try_from(first + HEAD + second).unwrap();
    assert!(matches!(
        found(&changed),
        Err(FileError::Damaged { at: RECORDS_AT })
    ));
}

#[test]
fn what_is_cut_off_is_damage_where_it_was_synced() {
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
fn d1_what_was_not_synced_may_be_torn_or_garbled_at_any_byte() {
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
    // It is cut off once, and what is written then stands in its place.
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
fn power_may_fail_at_every_byte_of_a_mark() {
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
fn a_file_is_open_once_and_never_made_over_another_one() {
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
fn it_holds_as_much_as_it_says() {
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

/// A cluster of one that lives through a few steps, and dies.
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
fn d2_a_node_on_a_plain_file_is_the_same_after_each_start() {
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
fn d3_the_last_record_and_its_seal_do_not_rot_unnoticed() {
    let place = Place::new("seal");
    drop(FileLog::create(&place.0, CAPACITY).unwrap());
    live(&place, 1);
    let mut bytes = place.bytes();
    // The last byte of the seal, and one of what it seals: to a journal alone they look torn.
    let len = bytes.len();
    bytes[len - 1] ^= 1;
    bytes[len - 30] ^= 1;
    fs::write(&place.0, &bytes).unwrap();
    assert!(matches!(place.open(), Err(FileError::Damaged { .. })));
}
