//! Stores in normal use, on failing media, and after losses of power.

mod damage;
mod files;
mod journal;
mod power;
mod power_loss;

use super::file::blank;
use super::medium::{Medium, Memory};
use super::{FileStorage, Label, Problem, StoreError};
use super::{inspection, log};
use std::path::Path;
use std::sync::Arc;
use synod::NodeId;
use synod::storage::Storage;

const LABEL: Label = Label {
    cluster: 6,
    node: NodeId(3),
    capacity: 1 << 16,
};

/// Returns a record that begins with its number, which also determines its length.
fn record(number: u64) -> Vec<u8> {
    let mut bytes = number.to_le_bytes().to_vec();
    let more = usize::try_from(number * 37 % 150).unwrap();
    let first = bytes[0];
    bytes.extend((0..more).map(|at| u8::try_from(at).unwrap() ^ first));
    bytes
}

fn number(record: &[u8]) -> u64 {
    u64::from_le_bytes(*record.first_chunk().unwrap())
}

fn on(medium: Arc<dyn Medium>) -> Result<FileStorage, Problem> {
    FileStorage::on(medium, Path::new("store"), LABEL)
}

/// Opens bytes as a store.
fn opened(bytes: &[u8]) -> Result<FileStorage, Problem> {
    on(Arc::new(Memory::new(bytes.to_vec())))
}

/// Returns the numbers of all records, each of which must be as it was appended.
fn numbers(storage: &mut FileStorage) -> Vec<u64> {
    let mut numbers = Vec::new();
    let read = storage.read(|bytes| {
        assert_eq!(bytes, record(number(bytes)));
        numbers.push(number(bytes));
    });
    read.unwrap();
    numbers
}

fn append(storage: &mut FileStorage, numbers: core::ops::Range<u64>) -> Result<(), StoreError> {
    for number in numbers {
        storage.append(&record(number))?;
    }
    Ok(())
}

/// Trims the records before a number.
fn trim(storage: &mut FileStorage, floor: u64) -> Result<(), StoreError> {
    storage.trim(|record| number(record) < floor)
}

#[test]
fn records_are_read_in_order_before_and_after_a_sync() {
    let memory = Arc::new(Memory::new(blank(LABEL).unwrap()));
    let mut storage = on(memory.clone()).unwrap();
    assert!(numbers(&mut storage).is_empty());
    append(&mut storage, 0..3).unwrap();
    assert_eq!(numbers(&mut storage), [0, 1, 2]);
    storage.sync().unwrap();
    append(&mut storage, 3..5).unwrap();
    assert_eq!(numbers(&mut storage), [0, 1, 2, 3, 4]);
    drop(storage);
    let mut storage = on(memory).unwrap();
    assert_eq!(numbers(&mut storage), [0, 1, 2], "3 and 4 were not synced");
}

#[test]
fn trimming_stops_at_the_first_record_that_is_not_stale() {
    let memory = Arc::new(Memory::new(blank(LABEL).unwrap()));
    let mut storage = on(memory.clone()).unwrap();
    append(&mut storage, 0..6).unwrap();
    storage.sync().unwrap();
    let mut asked = Vec::new();
    let is_stale = |record: &[u8]| {
        asked.push(number(record));
        number(record) != 2
    };
    storage.trim(is_stale).unwrap();
    assert_eq!(asked, [0, 1, 2]);
    assert_eq!(numbers(&mut storage), [2, 3, 4, 5]);
    drop(storage);
    let mut storage = on(memory.clone()).unwrap();
    let again = numbers(&mut storage);
    assert!(again.ends_with(&[2, 3, 4, 5]), "{again:?}");

    // All records are read, including those not synced, and later ones follow them.
    append(&mut storage, 6..8).unwrap();
    trim(&mut storage, 8).unwrap();
    storage.sync().unwrap();
    drop(storage);
    let mut storage = on(memory.clone()).unwrap();
    assert!(numbers(&mut storage).is_empty());
    append(&mut storage, 8..9).unwrap();
    storage.sync().unwrap();
    drop(storage);
    assert_eq!(numbers(&mut on(memory).unwrap()), [8]);
}

#[test]
fn a_store_has_room_for_exactly_its_capacity() {
    let mut storage = opened(&blank(LABEL).unwrap()).unwrap();
    let each = FileStorage::RECORD_MAX + FileStorage::OVERHEAD;
    let fits = storage.capacity() / each;
    let largest = |number: usize| {
        let mut bytes = vec![0xa5; FileStorage::RECORD_MAX];
        bytes[..8].copy_from_slice(&u64::try_from(number).unwrap().to_le_bytes());
        bytes
    };
    for number in 0..fits {
        storage.append(&largest(number)).unwrap();
    }
    let full = storage.append(&largest(fits)).unwrap_err();
    assert!(matches!(full.problem, Problem::Full(65536)), "{full}");
    let long = storage.append(&[0; FileStorage::RECORD_MAX + 1]);
    let long = long.unwrap_err();
    assert!(matches!(long.problem, Problem::TooLong(513)), "{long}");

    storage.sync().unwrap();
    trim(&mut storage, 1).unwrap();
    storage.append(&largest(fits)).unwrap();
    storage.sync().unwrap();
}
