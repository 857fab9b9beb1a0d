//! Logs in normal use, on disks that fail, lose power and rot, and beneath the journals of a cluster.

mod cluster;
mod disk;
mod files;
mod power;
mod rot;

use crate::{FileLog, FileLogError, Medium, Problem};
use core::ops::Range;
use disk::SimulatedDisk;
use std::path::Path;
use synod::storage::Storage;

const CAPACITY: usize = 4096;
type Log = FileLog<SimulatedDisk>;

fn blank() -> SimulatedDisk {
    SimulatedDisk::new(Log::blank(CAPACITY, 0x5eed).unwrap())
}

fn open<M: Medium>(medium: M) -> Result<FileLog<M>, FileLogError> {
    FileLog::open_on(medium, Path::new("log"), CAPACITY)
}

/// Records from this number on are as long as a record can be.
const BIG: u64 = 1 << 32;

/// Returns a record that begins with its number, which also determines its length.
fn record(number: u64) -> Vec<u8> {
    let mut bytes = number.to_le_bytes().to_vec();
    if number >= BIG {
        bytes.resize(Log::RECORD_MAX, 0x5a);
        return bytes;
    }
    let more = usize::try_from(number * 37 % 150).unwrap();
    let first = bytes[0];
    bytes.extend((0..more).map(|at| u8::try_from(at).unwrap() ^ first));
    bytes
}

fn number(record: &[u8]) -> u64 {
    u64::from_le_bytes(*record.first_chunk().unwrap())
}

/// Returns the numbers of all records, each of which must be as it was appended.
fn numbers<M: Medium>(log: &mut FileLog<M>) -> Vec<u64> {
    let mut numbers = Vec::new();
    let read = log.read(|bytes| {
        assert_eq!(bytes, record(number(bytes)));
        numbers.push(number(bytes));
    });
    read.unwrap();
    numbers
}

/// Returns the bytes of some records, as the capacity counts them.
fn counted(numbers: impl IntoIterator<Item = u64>) -> usize {
    let each = |number| record(number).len() + Log::OVERHEAD;
    numbers.into_iter().map(each).sum()
}

fn append<M: Medium>(log: &mut FileLog<M>, numbers: Range<u64>) -> Result<(), FileLogError> {
    for number in numbers {
        log.append(&record(number))?;
    }
    Ok(())
}

/// Trims the records before a number.
fn trim<M: Medium>(log: &mut FileLog<M>, floor: u64) -> Result<(), FileLogError> {
    log.trim(|record| number(record) < floor)
}

#[test]
fn records_are_read_in_order_before_and_after_a_sync() {
    let mut log = open(blank()).unwrap();
    assert!(numbers(&mut log).is_empty());
    append(&mut log, 0..3).unwrap();
    assert_eq!(numbers(&mut log), [0, 1, 2]);
    log.sync().unwrap();
    append(&mut log, 3..5).unwrap();
    assert_eq!(numbers(&mut log), [0, 1, 2, 3, 4]);
    let mut log = open(log.into_medium()).unwrap();
    assert_eq!(numbers(&mut log), [0, 1, 2], "3 and 4 were not synced");
}

#[test]
fn all_records_since_the_last_sync_take_one_write_and_one_sync() {
    let mut log = open(blank()).unwrap();
    for end in [1, 2, 10, 40] {
        let (writes, syncs) = (log.medium().writes, log.medium().syncs);
        append(&mut log, end..end + 5).unwrap();
        log.sync().unwrap();
        log.sync().unwrap();
        let disk = log.medium();
        assert_eq!((disk.writes - writes, disk.syncs - syncs), (1, 1));
    }
    // A mark takes another, but only where something was synced or dropped since the last one.
    for _ in 0..3 {
        log.mark().unwrap();
    }
    let syncs = log.medium().syncs;
    log.mark().unwrap();
    assert_eq!(log.medium().syncs, syncs);
    trim(&mut log, 3).unwrap();
    log.mark().unwrap();
    assert_eq!(log.medium().syncs, syncs + 1);
}

#[test]
fn syncs_of_records_are_counted_for_as_long_as_the_log_exists() {
    let mut log = open(blank()).unwrap();
    for turn in 0..200 {
        assert_eq!(log.syncs(), turn);
        append(&mut log, 2 * turn..2 * (turn + 1)).unwrap();
        log.sync().unwrap();
        log.sync().unwrap();
        trim(&mut log, (2 * turn).saturating_sub(7)).unwrap();
        if turn % 3 == 0 {
            log.mark().unwrap();
            log = open(log.into_medium()).unwrap();
        }
    }
}

#[test]
fn trimming_stops_at_the_first_record_that_is_not_stale_also_within_a_block() {
    let mut log = open(blank()).unwrap();
    append(&mut log, 0..3).unwrap();
    log.sync().unwrap();
    append(&mut log, 3..6).unwrap();
    let mut asked = Vec::new();
    let is_stale = |record: &[u8]| {
        asked.push(number(record));
        number(record) != 2
    };
    log.trim(is_stale).unwrap();
    assert_eq!(asked, [0, 1, 2]);
    assert_eq!(numbers(&mut log), [2, 3, 4, 5]);
    log.sync().unwrap();
    let mut log = open(log.into_medium()).unwrap();
    assert_eq!(numbers(&mut log), [2, 3, 4, 5], "a later block tells");

    // Records that were not synced are dropped, too, and later ones follow.
    append(&mut log, 6..8).unwrap();
    trim(&mut log, 7).unwrap();
    assert_eq!(numbers(&mut log), [7]);
    trim(&mut log, 8).unwrap();
    append(&mut log, 8..9).unwrap();
    log.sync().unwrap();
    let mut log = open(log.into_medium()).unwrap();
    assert_eq!(numbers(&mut log), [8]);
    trim(&mut log, 9).unwrap();
    log.mark().unwrap();
    let mut log = open(log.into_medium()).unwrap();
    assert!(numbers(&mut log).is_empty(), "a mark tells");
    append(&mut log, 9..10).unwrap();
    log.sync().unwrap();
    assert_eq!(numbers(&mut open(log.into_medium()).unwrap()), [9]);
}

#[test]
fn a_log_has_room_for_exactly_its_capacity_however_it_is_used() {
    for len in [0, 1, 6, 7, 100, Log::RECORD_MAX] {
        for batch in [1, 2, 7, 1000] {
            for dropped in [1, 2, 1000] {
                let mut log = open(blank()).unwrap();
                let each = len + Log::OVERHEAD;
                let mut held = 0;
                for turn in 0..400 {
                    if (held + 1) * each > CAPACITY {
                        let full = log.append(&vec![7; len]).unwrap_err();
                        assert!(matches!(full.problem, Problem::Full(CAPACITY)), "{full}");
                        let mut left = dropped;
                        let is_stale = |_: &[u8]| {
                            left -= 1;
                            left >= 0
                        };
                        log.trim(is_stale).unwrap();
                        held = held.saturating_sub(usize::try_from(dropped).unwrap());
                    }
                    log.append(&vec![7; len]).unwrap();
                    held += 1;
                    if turn % batch == 0 {
                        log.sync().unwrap();
                    }
                }
                log.sync().unwrap();
                let mut log = open(log.into_medium()).unwrap();
                let mut count = 0;
                log.read(|_| count += 1).unwrap();
                assert_eq!(count, held, "{len} bytes, {batch} a sync");
            }
        }
    }
    let long = open(blank()).unwrap().append(&[0; Log::RECORD_MAX + 1]);
    let long = long.unwrap_err();
    assert!(matches!(long.problem, Problem::TooLong(513)), "{long}");
}

#[test]
fn a_full_log_is_replaced_at_once_though_no_block_tells_yet_of_what_is_dropped() {
    let mut log = open(blank()).unwrap();
    let (mut end, mut marks) = (BIG, 0);
    for turn in 0..100 {
        while append(&mut log, end..end + 1).is_ok() {
            end += 1;
        }
        let syncs = log.medium().syncs;
        log.sync().unwrap();
        marks += log.medium().syncs - syncs - 1;
        let mut again = open(log.clone().into_medium()).unwrap();
        assert!(
            numbers(&mut again).into_iter().eq(end - 7..end),
            "turn {turn}"
        );
        // The last record keeps its whole block.
        log.trim(|record| number(record) + 1 < end).unwrap();
    }
    assert!(
        marks > 50,
        "in {marks} turns the room was released by a mark"
    );
}
