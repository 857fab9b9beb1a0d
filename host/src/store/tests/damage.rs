//! Decay of stored bytes: a store returns what was synced, or an error, and opening does not change it.

use super::*;
use crate::store::superblock::SUPERBLOCK;

/// State in which a store was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Closed properly.
    Closed,
    /// Killed, with unsynced writes.
    Killed,
}

/// Returns the bytes of a store with the records 20 to 59, synced two at a time.
fn used(end: End) -> Vec<u8> {
    let memory = Arc::new(Memory::new(blank(LABEL).unwrap()));
    let mut storage = on(memory.clone()).unwrap();
    for first in (0..60).step_by(2) {
        append(&mut storage, first..first + 2).unwrap();
        if first == 20 {
            trim(&mut storage, 20).unwrap();
        }
        storage.sync().unwrap();
    }
    append(&mut storage, 60..61).unwrap();
    let killed = memory.bytes();
    drop(storage);
    match end {
        End::Closed => memory.bytes(),
        End::Killed => killed,
    }
}

/// Opens changed bytes and returns whether they were accepted. The log must then be complete; otherwise the error must
/// be one line.
fn is_taken(bytes: &[u8], what: &str) -> bool {
    let medium = Arc::new(Memory::new(bytes.to_vec()));
    match on(medium.clone()) {
        Ok(mut storage) => {
            let found = numbers(&mut storage);
            let first = *found.first().expect(what);
            assert!(first <= 20, "{what}: begins with {first}");
            assert!(found.into_iter().eq(first..60), "{what}: not all are there");
            true
        }
        Err(problem) => {
            let line = problem.to_string();
            assert!(!line.is_empty() && !line.contains('\n'), "{what}: {line}");
            assert_eq!(medium.bytes(), bytes, "{what}: changed, and it says {line}");
            false
        }
    }
}

/// Flips bits at some places of a store, and returns how many were tried and how many accepted.
fn flip(end: End, places: impl Fn(usize) -> bool) -> (usize, usize) {
    let bytes = used(end);
    let (mut tried, mut taken) = (0, 0);
    for place in (0..bytes.len()).filter(|place| places(*place)) {
        let mut changed = bytes.clone();
        changed[place] ^= 1 << (place * 5 % 8);
        tried += 1;
        taken += usize::from(is_taken(&changed, &format!("{end:?}, byte {place}")));
    }
    (tried, taken)
}

/// True for the significant bytes of both headers, and for a sample of the others.
fn sample(place: usize) -> bool {
    let header = usize::try_from(SUPERBLOCK).unwrap();
    let in_label = place < 64 || (1024..1056).contains(&place) || (2048..2080).contains(&place);
    in_label || (header..header + 336).contains(&place) || place.is_multiple_of(61)
}

#[test]
fn d3_a_changed_bit_loses_no_synced_record_undetected() {
    for end in [End::Closed, End::Killed] {
        assert!(is_taken(&used(end), "unchanged"));
        let (tried, taken) = flip(end, sample);
        assert!(
            taken > 0 && tried - taken > 100,
            "{end:?}: {tried} tried, {taken} taken"
        );
    }
}

#[test]
#[ignore = "it tries every byte, which takes a minute"]
fn d3_a_changed_bit_in_any_byte_loses_no_synced_record_undetected() {
    for end in [End::Closed, End::Killed] {
        let (tried, taken) = flip(end, |_| true);
        println!("{end:?}: {tried} bytes tried, {taken} of the changes did no harm");
    }
}

#[test]
fn d3_a_decayed_commit_does_not_fall_back_to_the_previous_one() {
    // `redb` would repair this to a log without its last two records. Only the mark reveals that they are missing.
    let bytes = used(End::Killed);
    let older = (0..bytes.len()).step_by(7).any(|place| {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        let lost = Problem::Lost {
            found: 58,
            synced: 60,
        };
        opened(&changed).is_err_and(|problem| problem.to_string() == lost.to_string())
    });
    assert!(older, "no changed byte makes redb fall back");
}

#[test]
fn a_truncated_store_is_detected() {
    for end in [End::Closed, End::Killed] {
        let bytes = used(end);
        let pages = (0..bytes.len()).step_by(4096);
        let odd = [1, 39, 40, 1024, 4095, 4097, 4416, 8191, 8193];
        for len in pages.chain(odd).chain([bytes.len() - 1]) {
            let what = format!("{end:?}, {len} of {} bytes", bytes.len());
            assert!(!is_taken(&bytes[..len], &what), "{what}");
        }
    }
}

#[test]
fn bytes_appended_to_a_store_do_no_harm() {
    for end in [End::Closed, End::Killed] {
        for more in [1, 512, 4096, 4 * 4096] {
            let mut bytes = used(end);
            bytes.resize(bytes.len() + more, 0x5a);
            is_taken(&bytes, &format!("{end:?}, {more} more bytes"));
        }
    }
}

#[test]
fn swapped_or_blank_pages_are_detected_or_do_no_harm() {
    for end in [End::Closed, End::Killed] {
        let bytes = used(end);
        for page in 0..bytes.len() / 4096 {
            let mut blank = bytes.clone();
            blank[page * 4096..][..4096].fill(0);
            is_taken(&blank, &format!("{end:?}, page {page} blank"));
            let mut twice = bytes.clone();
            twice.copy_within(
                (page * 4096)..(page + 1) * 4096,
                bytes.len() / 2 / 4096 * 4096,
            );
            is_taken(&twice, &format!("{end:?}, page {page} twice"));
        }
    }
}

#[test]
fn bytes_that_are_not_a_store_are_reported_as_such() {
    let problem = opened(&vec![0x42; 20_000]).unwrap_err();
    assert!(matches!(problem, Problem::Foreign), "{problem}");
    let problem = opened(&[]).unwrap_err();
    let expected = "this store is damaged (it has 0 bytes, ";
    assert!(problem.to_string().starts_with(expected), "{problem}");
}
