//! Decay of stored bytes: a store returns what was synced, or an error, and opening does not change it.

use super::*;
use crate::store::area::{Area, area_len, file_len};
use crate::store::superblock::{LABEL_BYTES, MARK_BYTES, MARKS_AT, SUPERBLOCK};

/// State in which a store was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// After a sync.
    Synced,
    /// After a trim.
    Trimmed,
    /// Killed after unsynced records were written.
    Killed,
}

const ENDS: [End; 3] = [End::Synced, End::Trimmed, End::Killed];

/// A small store, so that every bit of it can be tried.
const SMALL: Label = Label {
    capacity: 8000,
    ..LABEL
};

/// Returns the bytes of a store with the records 20 to 59, synced two at a time, after each sync.
fn history(end: End) -> Vec<Vec<u8>> {
    let memory = Arc::new(Memory::new(blank(SMALL).unwrap()));
    let mut storage = small(memory.clone()).unwrap();
    let mut states = vec![memory.bytes()];
    let trim_at = if end == End::Trimmed { 58 } else { 40 };
    for first in (0..60).step_by(2) {
        append(&mut storage, first..first + 2).unwrap();
        storage.sync().unwrap();
        if first == 20 {
            trim(&mut storage, 10).unwrap();
        }
        if first == trim_at {
            trim(&mut storage, 20).unwrap();
        }
        states.push(memory.bytes());
    }
    if end == End::Killed {
        let mut log = Vec::new();
        log::append(&mut log, 60, &record(60));
        let at = behind(&memory.bytes());
        memory.write(u64::try_from(at).unwrap(), &log).unwrap();
        states.push(memory.bytes());
    }
    states
}

fn used(end: End) -> Vec<u8> {
    history(end).pop().unwrap()
}

fn small(medium: Arc<dyn Medium>) -> Result<FileStorage, Problem> {
    FileStorage::on(medium, Path::new("store"), SMALL)
}

/// Returns the offset of the end of the log in a store.
fn behind(bytes: &[u8]) -> usize {
    let found = inspection::inspect(&Memory::new(bytes.to_vec()), SMALL).unwrap();
    usize::try_from(found.mark.area.at(SMALL.capacity)).unwrap() + found.len
}

/// Opens changed bytes and returns whether they were accepted. The log must then be complete; otherwise the error must
/// be one line.
fn is_taken(bytes: &[u8], what: &str) -> bool {
    let medium = Arc::new(Memory::new(bytes.to_vec()));
    match small(medium.clone()) {
        Ok(mut storage) => {
            let found = numbers(&mut storage);
            // A record that was written, but not synced, may be there.
            let end = 60 + u64::from(found.last() == Some(&60));
            assert!(found.into_iter().eq(20..end), "{what}: not exactly the log");
            append(&mut storage, end..end + 1).expect(what);
            storage.sync().expect(what);
            drop(storage);
            let mut again = small(medium).expect(what);
            let found = numbers(&mut again);
            assert!(
                found.into_iter().eq(20..=end),
                "{what}: not when used again"
            );
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

/// Changes all bytes at some places in several ways, and returns how many changes were tried and how many accepted.
fn spoil(end: End, places: impl Iterator<Item = usize>, ways: &[u8]) -> (usize, usize) {
    let bytes = used(end);
    let (mut tried, mut taken) = (0, 0);
    for place in places {
        for way in ways {
            let mut changed = bytes.clone();
            changed[place] ^= way;
            tried += 1;
            let what = format!("{end:?}, byte {place} by {way:#04x}");
            taken += usize::from(is_taken(&changed, &what));
        }
    }
    (tried, taken)
}

const EVERY_BIT: [u8; 8] = [1, 2, 4, 8, 16, 32, 64, 128];

/// Returns the places of the label and of the synced log.
fn synced_places(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let end = behind(bytes);
    let len = usize::try_from(area_len(SMALL.capacity)).unwrap();
    let header = usize::try_from(SUPERBLOCK).unwrap();
    let begin = header + (end - header) / len * len;
    (0..LABEL_BYTES).chain(begin..end)
}

#[test]
fn d3_a_changed_bit_in_the_label_or_the_log_is_an_error() {
    for end in [End::Synced, End::Trimmed] {
        let places: Vec<_> = synced_places(&used(end)).collect();
        assert!(places.len() > 3000, "{end:?}: {}", places.len());
        let (tried, taken) = spoil(end, places.into_iter(), &EVERY_BIT);
        assert!(tried > 24_000 && taken == 0, "{end:?}: {taken} of {tried}");
    }
}

#[test]
fn d3_a_changed_bit_in_a_mark_loses_no_record() {
    for end in ENDS {
        for at in MARKS_AT {
            let at = usize::try_from(at).unwrap();
            let (tried, taken) = spoil(end, at..at + MARK_BYTES, &EVERY_BIT);
            assert_eq!((tried, taken), (320, 320), "{end:?}");
        }
    }
}

#[test]
fn d3_a_changed_byte_anywhere_loses_no_record_undetected() {
    for end in [End::Trimmed, End::Killed] {
        assert!(is_taken(&used(end), "unchanged"));
        let len = used(end).len();
        let (tried, taken) = spoil(end, 0..len, &[0x10]);
        assert!(
            taken > 0 && tried - taken > 3000,
            "{end:?}: {tried} tried, {taken} taken"
        );
    }
}

#[test]
fn d3_a_decayed_last_record_is_not_taken_for_a_torn_one() {
    let bytes = used(End::Synced);
    let mut changed = bytes.clone();
    changed[behind(&bytes) - 1] ^= 1;
    let problem = small(Arc::new(Memory::new(changed))).unwrap_err();
    assert!(
        matches!(
            problem,
            Problem::Lost {
                found: 59,
                synced: 60
            }
        ),
        "{problem}"
    );
}

#[test]
fn d3_a_lost_or_misdirected_write_of_a_sector_loses_no_record_undetected() {
    for end in ENDS {
        let states = history(end);
        let bytes = states.last().unwrap();
        let (mut tried, mut taken) = (0, 0);
        for at in (0..bytes.len()).step_by(512) {
            let mut replace = |sector: &[u8], what: &str| {
                if bytes[at..at + 512] != *sector {
                    let mut changed = bytes.clone();
                    changed[at..at + 512].copy_from_slice(sector);
                    tried += 1;
                    taken += usize::from(is_taken(&changed, &format!("{end:?}, {at}: {what}")));
                }
            };
            replace(&[0; 512], "zeros");
            replace(&[0xff; 512], "ones");
            for (number, state) in states.iter().enumerate() {
                replace(&state[at..at + 512], &format!("as after sync {number}"));
            }
            for from in (0..bytes.len()).step_by(512) {
                replace(&bytes[from..from + 512], &format!("that of {from}"));
            }
        }
        assert!(
            taken > 100 && tried - taken > 100,
            "{end:?}: {taken} of {tried}"
        );
    }
}

#[test]
fn d3_an_older_state_of_an_area_is_not_taken_for_the_log() {
    for end in ENDS {
        let states = history(end);
        let bytes = states.last().unwrap();
        let len = usize::try_from(area_len(SMALL.capacity)).unwrap();
        let mut refused = 0;
        for (number, state) in states.iter().enumerate() {
            for area in [Area::First, Area::Second] {
                let at = usize::try_from(area.at(SMALL.capacity)).unwrap();
                let mut changed = bytes.clone();
                changed[at..at + len].copy_from_slice(&state[at..at + len]);
                let what = format!("{end:?}, {area:?} as after sync {number}");
                refused += usize::from(!is_taken(&changed, &what));
            }
        }
        assert!(refused > 20, "{end:?}: {refused}");
    }
}

#[test]
fn a_truncated_store_is_detected_at_every_length() {
    for end in ENDS {
        let bytes = used(end);
        for len in 0..bytes.len() {
            let what = format!("{end:?}, {len} of {} bytes", bytes.len());
            assert!(!is_taken(&bytes[..len], &what), "{what}");
        }
    }
}

#[test]
fn d3_a_store_with_zeros_from_any_byte_on_loses_no_record_undetected() {
    for end in ENDS {
        let bytes = used(end);
        let mut taken = 0;
        // Every byte of the log, and a sample of the others.
        let log: Vec<_> = synced_places(&bytes).collect();
        for len in (0..bytes.len()).filter(|len| log.contains(len) || len.is_multiple_of(61)) {
            let mut cut = bytes.clone();
            cut[len..].fill(0);
            let is_taken = is_taken(&cut, &format!("{end:?}, zeros from {len}"));
            taken += usize::from(is_taken);
            // The last byte of the log may be a zero itself.
            assert!(
                !is_taken || len >= *log.last().unwrap() || end == End::Killed,
                "{end:?}, {len}"
            );
        }
        assert!(taken > 100, "{end:?}: {taken}");
    }
}

#[test]
fn bytes_appended_to_a_store_are_detected() {
    for end in ENDS {
        for more in [1, 512, 4096, 4 * 4096] {
            let mut bytes = used(end);
            bytes.resize(bytes.len() + more, 0x5a);
            let what = format!("{end:?}, {more} more bytes");
            assert!(!is_taken(&bytes, &what), "{what}");
        }
    }
}

#[test]
fn swapped_or_blank_pages_are_detected_or_do_no_harm() {
    for end in ENDS {
        let bytes = used(end);
        let pages = bytes.len() / 4096;
        for page in 0..pages {
            let mut blank = bytes.clone();
            blank[page * 4096..][..4096].fill(0);
            is_taken(&blank, &format!("{end:?}, page {page} blank"));
            for place in 0..pages {
                let mut twice = bytes.clone();
                twice.copy_within((page * 4096)..(page + 1) * 4096, place * 4096);
                is_taken(&twice, &format!("{end:?}, page {page} also at {place}"));
            }
        }
    }
}

#[test]
fn remains_of_a_torn_write_do_not_become_records_later() {
    let memory = Arc::new(Memory::new(blank(SMALL).unwrap()));
    let mut storage = small(memory.clone()).unwrap();
    append(&mut storage, 0..3).unwrap();
    storage.sync().unwrap();
    drop(storage);
    // Two records were being written; only the second one reached the disk, and the first one is written again.
    let mut log = Vec::new();
    log::append(&mut log, 3, &record(3));
    let first = log.len();
    log::append(&mut log, 4, &record(4));
    let at = u64::try_from(behind(&memory.bytes()) + first).unwrap();
    memory.write(at, &log[first..]).unwrap();
    let mut storage = small(memory.clone()).unwrap();
    assert_eq!(numbers(&mut storage), [0, 1, 2]);
    append(&mut storage, 3..4).unwrap();
    storage.sync().unwrap();
    drop(storage);
    assert_eq!(numbers(&mut small(memory).unwrap()), [0, 1, 2, 3]);
}

#[test]
fn a_store_of_the_first_format_is_refused_and_unchanged() {
    // The label of this node in a store of the first format.
    let label = [
        0x53, 0x59, 0x4e, 0x4f, 0x44, 0x4c, 0x4f, 0x47, 0x01, 0x00, 0x00, 0x00, 0x06, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x07, 0x80, 0xa6, 0x55, 0xa2, 0x49, 0x27, 0x69,
    ];
    let mut bytes = vec![0; usize::try_from(file_len(LABEL.capacity)).unwrap()];
    for len in [8192, bytes.len(), 50_000] {
        bytes.resize(len, 0x5a);
        bytes[..label.len()].copy_from_slice(&label);
        let memory = Arc::new(Memory::new(bytes.clone()));
        let problem = on(memory.clone()).unwrap_err();
        assert_eq!(
            problem.to_string(),
            "this has format 1, which this program cannot read: use the version of the program that wrote it, or begin with a new directory"
        );
        assert_eq!(memory.bytes(), bytes);
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
