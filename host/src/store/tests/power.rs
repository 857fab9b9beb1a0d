//! Stores whose medium fails or loses power at any operation, and of which no synced record may be missing afterwards.

use super::power_loss::{Powered, Remains};
use super::*;
use crate::store::area::file_len;
use crate::store::superblock::{MARK_BYTES, MARKS_AT};
use std::io;
use std::sync::Mutex;

/// Fault of a medium from some operation on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WriteFault {
    /// Every operation that would change something fails.
    Fails,
    /// The same, but a write first does half of its work.
    Tears,
    /// One operation fails.
    FailsOnce,
}

/// A medium that fails at one of its operations.
#[derive(Debug)]
struct Failing {
    inner: Arc<Memory>,
    left: Mutex<u32>,
    fault: WriteFault,
}

impl Failing {
    /// True if this operation succeeds.
    fn works(&self) -> bool {
        let mut left = self.left.lock().unwrap();
        let works = *left > 0;
        *left = match (works, self.fault) {
            (true, _) => *left - 1,
            (false, WriteFault::FailsOnce) => u32::MAX,
            (false, _) => 0,
        };
        works
    }

    fn error() -> io::Error {
        io::ErrorKind::StorageFull.into()
    }
}

impl Medium for Failing {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if self.works() {
            return self.inner.write(offset, bytes);
        }
        if self.fault == WriteFault::Tears {
            self.inner.write(offset, &bytes[..bytes.len() / 2])?;
        }
        Err(Self::error())
    }

    fn sync(&self) -> io::Result<()> {
        if self.works() {
            return self.inner.sync();
        }
        Err(Self::error())
    }
}

/// Bounds on the records that the writer may rely on.
#[derive(Clone, Debug, Default)]
struct Told {
    /// Records before this one were synced.
    synced: u64,
    /// Records before this one were appended.
    appended: u64,
    /// Records before this one were declared stale.
    stale: u64,
}

/// Appends up to three records at a time, syncs them, and sometimes trims old ones.
fn work(storage: &mut FileStorage, told: &mut Told, syncs: u64) -> Result<(), StoreError> {
    for turn in 0..syncs {
        let end = told.appended + 1 + turn % 3;
        let from = told.appended;
        told.appended = end;
        append(storage, from..end)?;
        if turn % 7 == 5 {
            told.stale = end.saturating_sub(9);
            trim(storage, told.stale)?;
        }
        storage.sync()?;
        told.synced = end;
    }
    Ok(())
}

/// Opens the bytes left, which must be intact and contain all synced records.
fn keeps_what_was_synced(left: &[u8], told: &Told, what: &str) {
    let kept = inspection::inspect(&Memory::new(left.to_vec()), LABEL);
    let kept = kept.unwrap_or_else(|problem| panic!("{what}: {problem}"));
    assert!(kept.records >= told.synced, "{what}: {kept:?} of {told:?}");
    let medium = Arc::new(Memory::new(left.to_vec()));
    let mut storage = on(medium.clone()).unwrap_or_else(|problem| panic!("{what}: {problem}"));
    let found = numbers(&mut storage);
    let first = found.first().copied().unwrap_or(told.stale);
    let end = found.last().map_or(told.stale, |last| last + 1);
    assert!(found.into_iter().eq(first..end), "{what}");
    assert!(
        first <= told.stale && end >= told.synced,
        "{what}: {first}..{end} of {told:?}"
    );
    assert!(end <= told.appended, "{what}: {end} of {told:?}");
    // The records that were read may be acted on now, and must not be missing later.
    let settled = inspection::inspect(&*medium, LABEL).unwrap();
    assert_eq!(settled.mark.records, end, "{what}");
    assert_eq!(settled.records, end, "{what}");
    assert!(settled.is_marked_twice && settled.is_blank_behind, "{what}");
    // The store is fully usable again.
    append(&mut storage, end..end + 1).unwrap();
    storage.sync().unwrap();
    trim(&mut storage, end).unwrap();
    drop(storage);
    assert_eq!(numbers(&mut on(medium).unwrap()), [end], "{what}");
}

#[test]
fn a_failed_operation_is_an_error_and_later_ones_are_refused() {
    for fault in [WriteFault::Fails, WriteFault::Tears, WriteFault::FailsOnce] {
        let mut failures = 0;
        for calls in 0.. {
            let what = format!("{fault:?} after {calls} calls");
            let inner = Arc::new(Memory::new(blank(LABEL).unwrap()));
            let medium = Arc::new(Failing {
                inner: inner.clone(),
                left: Mutex::new(calls),
                fault,
            });
            let mut told = Told::default();
            match on(medium) {
                Err(problem) => assert!(matches!(problem, Problem::Io(_)), "{what}: {problem}"),
                Ok(mut storage) => match work(&mut storage, &mut told, 12) {
                    Ok(()) => break,
                    Err(error) => {
                        assert!(matches!(error.problem, Problem::Io(_)), "{what}: {error}");
                        let after = [
                            storage.sync().unwrap_err(),
                            storage.append(b"more").unwrap_err(),
                            trim(&mut storage, 1).unwrap_err(),
                            storage.read(|_| ()).unwrap_err(),
                        ];
                        for error in after {
                            assert!(matches!(error.problem, Problem::Failed), "{what}: {error}");
                        }
                    }
                },
            }
            keeps_what_was_synced(&inner.bytes(), &told, &what);
            failures += 1;
        }
        assert!(failures > 50, "{fault:?}: {failures}");
    }
}

/// Cuts the power at every operation of a store that works on `start`, and returns the number of operations and the
/// states left.
fn cut_everywhere(start: &[u8], begun: u64, seeds: u64) -> (u32, Vec<(Vec<u8>, Told)>) {
    let mut left = Vec::new();
    for calls in 0.. {
        let medium = Arc::new(Powered::new(start, calls));
        let mut told = Told {
            synced: begun,
            appended: begun,
            stale: 0,
        };
        if let Ok(mut storage) = on(medium.clone())
            && work(&mut storage, &mut told, 20).is_ok()
        {
            return (calls, left);
        }
        let firsts = [true, false];
        let ones = firsts.map(|first| Remains::OnlyOne { first });
        let others = firsts.map(|first| Remains::AllButOne { first });
        let mixed = (0..seeds).map(|seed| Remains::Mixed(seed ^ u64::from(calls) << 40));
        let fixed = [Remains::Nothing, Remains::Everything, Remains::GarbledMark];
        for remains in fixed.into_iter().chain(ones).chain(others).chain(mixed) {
            let bytes = medium.after(remains);
            keeps_what_was_synced(&bytes, &told, &format!("call {calls}, {remains:?}"));
            left.push((bytes, told.clone()));
        }
    }
    (0, left)
}

#[test]
fn d1_a_loss_of_power_at_any_operation_loses_no_synced_record() {
    let (cuts, _) = cut_everywhere(&blank(LABEL).unwrap(), 0, 16);
    assert!(cuts > 80, "{cuts}");

    // The same in a store that was used before and not closed.
    let memory = Arc::new(Memory::new(blank(LABEL).unwrap()));
    let mut storage = on(memory.clone()).unwrap();
    append(&mut storage, 0..40).unwrap();
    storage.sync().unwrap();
    let (cuts, _) = cut_everywhere(&memory.bytes(), 40, 8);
    assert!(cuts > 80, "{cuts}");
}

#[test]
fn d1_a_second_loss_of_power_while_a_store_is_opened_loses_no_synced_record() {
    let (_, states) = cut_everywhere(&blank(LABEL).unwrap(), 0, 3);
    let mut cuts = 0;
    for (place, (bytes, told)) in (0..).zip(&states) {
        for calls in 0.. {
            let medium = Arc::new(Powered::new(bytes, calls));
            if on(medium.clone()).is_ok() {
                break;
            }
            for remains in [Remains::Nothing, Remains::Everything, Remains::Mixed(place)] {
                let what = format!("state {place}, call {calls}, {remains:?}");
                keeps_what_was_synced(&medium.after(remains), told, &what);
                cuts += 1;
            }
        }
    }
    assert!(cuts > 2000, "{cuts}");
}

#[test]
fn d1_records_that_were_read_after_a_kill_survive_a_loss_of_power() {
    let mut unsynced = 0;
    for calls in 1.. {
        let medium = Arc::new(Powered::new(&blank(LABEL).unwrap(), calls));
        let mut told = Told::default();
        let mut storage = on(medium.clone()).unwrap();
        if work(&mut storage, &mut told, 20).is_ok() {
            break;
        }
        let medium = Arc::new(medium.killed());
        let found = numbers(&mut on(medium.clone()).unwrap());
        let end = found.last().map_or(0, |last| last + 1);
        unsynced += u32::from(end > told.synced);
        told.synced = end;
        for remains in [Remains::Nothing, Remains::Everything, Remains::GarbledMark] {
            let what = format!("call {calls}, {remains:?}");
            keeps_what_was_synced(&medium.after(remains), &told, &what);
        }
    }
    assert!(unsynced > 20, "{unsynced}");
}

#[test]
fn after_each_sync_and_trim_zeros_follow_the_log_and_both_marks_name_it() {
    let memory = Arc::new(Memory::new(blank(LABEL).unwrap()));
    let mut storage = on(memory.clone()).unwrap();
    for end in 1..200 {
        append(&mut storage, end..end + 1).unwrap();
        // Some records are first synced, and some come to the other area with a trim.
        if end % 3 != 0 {
            storage.sync().unwrap();
        }
        if end % 5 == 0 {
            trim(&mut storage, end - 3).unwrap();
        }
        let found = inspection::inspect(&*memory, LABEL).unwrap();
        assert!(found.is_marked_twice && found.is_blank_behind, "{found:?}");
    }
}

#[test]
fn d1_any_part_of_a_torn_mark_loses_no_synced_record() {
    let memory = Arc::new(Memory::new(blank(LABEL).unwrap()));
    let mut storage = on(memory.clone()).unwrap();
    let mut told = Told::default();
    for end in 1..20 {
        let before = memory.bytes();
        work(&mut storage, &mut told, 1).unwrap();
        if end % 3 == 0 {
            told.stale = told.synced - 2;
            trim(&mut storage, told.stale).unwrap();
        }
        let after = memory.bytes();
        for at in MARKS_AT {
            let at = usize::try_from(at).unwrap();
            for cut in at..=at + MARK_BYTES {
                let mut head = after.clone();
                head[cut..at + MARK_BYTES].copy_from_slice(&before[cut..at + MARK_BYTES]);
                keeps_what_was_synced(&head, &told, &format!("turn {end}, new up to {cut}"));
                let mut tail = after.clone();
                tail[at..cut].copy_from_slice(&before[at..cut]);
                keeps_what_was_synced(&tail, &told, &format!("turn {end}, new from {cut}"));
            }
        }
    }
}

#[test]
fn the_file_of_a_store_never_changes_its_length() {
    for len in [8, 100, 300, FileStorage::RECORD_MAX] {
        for batch in [1, 16, 10_000] {
            let memory = Arc::new(Memory::new(blank(LABEL).unwrap()));
            let mut storage = on(memory.clone()).unwrap();
            let fits = u64::try_from(storage.capacity() / (len + FileStorage::OVERHEAD)).unwrap();
            for number in 0..(4 * fits).min(300 * batch) {
                let mut record = number.to_le_bytes().to_vec();
                record.resize(len, 0x5a);
                // Half of the store is trimmed when it is full, or all of it before the sync of what filled it.
                if number % fits.div_ceil(2) == 0 {
                    trim(&mut storage, number.saturating_sub(fits / 2)).unwrap();
                }
                storage.append(&record).unwrap();
                if number % batch == 0 {
                    storage.sync().unwrap();
                }
            }
            storage.sync().unwrap();
            let now = memory.len().unwrap();
            assert_eq!(now, file_len(LABEL.capacity), "{len} bytes, {batch} a sync");
        }
    }
}

#[test]
fn a_hundred_thousand_records_go_through_a_store() {
    let memory = Arc::new(Memory::new(blank(LABEL).unwrap()));
    let mut storage = on(memory.clone()).unwrap();
    for number in 0..100_000 {
        storage.append(&record(number)).unwrap();
        if number % 10 == 9 {
            trim(&mut storage, number.saturating_sub(300)).unwrap();
            storage.sync().unwrap();
        }
    }
    drop(storage);
    let mut storage = on(memory).unwrap();
    assert_eq!(storage.synced(), 100_000);
    assert!(numbers(&mut storage).into_iter().eq(99_699..100_000));
}
