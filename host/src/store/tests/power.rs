//! Media whose operations fail or that lose power: synced records survive.

use super::*;
use crate::store::inspection;
use std::io;
use std::sync::Mutex;
use synod::{Digest, Sink};

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

    fn set_len(&self, len: u64) -> io::Result<()> {
        if self.works() {
            return self.inner.set_len(len);
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
#[derive(Debug, Default)]
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
    let mark = inspection::inspect(&Memory::new(left.to_vec()), LABEL);
    let mark = mark.unwrap_or_else(|problem| panic!("{what}: {problem}"));
    assert!(mark.records >= told.synced, "{what}: {mark:?} of {told:?}");
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
    assert_eq!(
        inspection::inspect(&*medium, LABEL).unwrap().records,
        end,
        "{what}"
    );
    // The store is fully usable again.
    append(&mut storage, end..end + 1).unwrap();
    storage.sync().unwrap();
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
        assert!(failures > 30, "{fault:?}: {failures}");
    }
}

/// A change of a medium since the last sync.
#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

/// A medium that can lose power. It keeps the synced bytes and the changes since.
#[derive(Debug)]
struct Powered {
    now: Memory,
    durable: Memory,
    since: Mutex<Vec<Change>>,
    left: Mutex<u32>,
}

impl Powered {
    /// Counts down to the operation at which power is lost.
    fn has_power(&self) -> io::Result<()> {
        let mut left = self.left.lock().unwrap();
        *left = left.checked_sub(1).ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(())
    }

    fn change(&self, change: Change) -> io::Result<()> {
        apply(&self.now, &change)?;
        self.since.lock().unwrap().push(change);
        Ok(())
    }

    /// Returns the bytes found afterwards. Each unsynced sector of each write is present or not. The file system keeps
    /// changes of the length in order up to some point; writes beyond the final length are lost.
    fn after(&self, seed: u64) -> Vec<u8> {
        let since = self.since.lock().unwrap();
        let lengths = since
            .iter()
            .filter(|change| matches!(change, Change::SetLen(_)));
        let mut lengths_kept = draw(seed, 0) % (1 + u64::try_from(lengths.count()).unwrap());
        let mut end = self.durable.len().unwrap();
        for (place, change) in (1..).zip(since.iter()) {
            match change {
                Change::SetLen(len) if lengths_kept > 0 => {
                    lengths_kept -= 1;
                    end = *len;
                    apply(&self.durable, change).unwrap();
                }
                Change::SetLen(_) => {}
                Change::Write(offset, bytes) => {
                    let all = draw(seed, place) % 3;
                    for (sector, part) in (0..).zip(bytes.chunks(512)) {
                        let at = offset + sector * 512;
                        let there = match all {
                            0 => false,
                            1 => true,
                            _ => draw(seed, place << 20 | sector).is_multiple_of(2),
                        };
                        if there && at + u64::try_from(part.len()).unwrap() <= end {
                            self.durable.write(at, part).unwrap();
                        }
                    }
                }
            }
        }
        self.durable.bytes()
    }
}

fn draw(seed: u64, place: u64) -> u64 {
    let mut digest = Digest::new();
    digest.put_u64(seed);
    digest.put_u64(place);
    digest.put_u64(0);
    digest.value() >> 8
}

fn apply(memory: &Memory, change: &Change) -> io::Result<()> {
    match change {
        Change::Write(offset, bytes) => memory.write(*offset, bytes),
        Change::SetLen(len) => memory.set_len(*len),
    }
}

impl Medium for Powered {
    fn len(&self) -> io::Result<u64> {
        self.now.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.now.read(offset, out)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.has_power()?;
        self.change(Change::Write(offset, bytes.to_vec()))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.has_power()?;
        self.change(Change::SetLen(len))
    }

    fn sync(&self) -> io::Result<()> {
        self.has_power()?;
        for change in self.since.lock().unwrap().drain(..) {
            apply(&self.durable, &change)?;
        }
        Ok(())
    }
}

/// Cuts the power before every operation of a store that works on `start`, and returns the number of cuts.
fn cut_everywhere(start: &[u8], begun: u64, seeds: u64) -> u32 {
    for calls in 0.. {
        for seed in 0..seeds {
            let medium = Arc::new(Powered {
                now: Memory::new(start.to_vec()),
                durable: Memory::new(start.to_vec()),
                since: Mutex::default(),
                left: Mutex::new(calls),
            });
            let mut told = Told {
                synced: begun,
                appended: begun,
                stale: 0,
            };
            if let Ok(mut storage) = on(medium.clone())
                && work(&mut storage, &mut told, 10).is_ok()
            {
                return calls;
            }
            let left = medium.after(seed ^ u64::from(calls) << 32);
            keeps_what_was_synced(&left, &told, &format!("call {calls}, seed {seed}"));
        }
    }
    0
}

#[test]
fn d1_a_loss_of_power_at_any_operation_loses_no_synced_record() {
    let cuts = cut_everywhere(&blank(LABEL).unwrap(), 0, 4);
    assert!(cuts > 60, "{cuts}");

    // The same in a store that was used before and not closed.
    let memory = Arc::new(Memory::new(blank(LABEL).unwrap()));
    let mut storage = on(memory.clone()).unwrap();
    append(&mut storage, 0..40).unwrap();
    storage.sync().unwrap();
    let cuts = cut_everywhere(&memory.bytes(), 40, 2);
    assert!(cuts > 60, "{cuts}");
}

#[test]
fn the_file_of_a_store_does_not_grow_without_bound() {
    let memory = Arc::new(Memory::new(blank(LABEL).unwrap()));
    let mut storage = on(memory.clone()).unwrap();
    let mut longest = 0;
    for number in 0..100_000 {
        storage.append(&record(number)).unwrap();
        if number % 10 == 9 {
            trim(&mut storage, number.saturating_sub(300)).unwrap();
            storage.sync().unwrap();
            longest = longest.max(memory.len().unwrap());
        }
    }
    assert_eq!(numbers(&mut storage).len(), 301);
    assert!(longest <= 256 << 10, "{longest}");
}

#[test]
fn a_file_never_exceeds_its_greatest_length() {
    for len in [8, 100, 300, FileStorage::RECORD_MAX] {
        for batch in [1, 16, 10_000] {
            let memory = Arc::new(Memory::new(blank(LABEL).unwrap()));
            let mut storage = on(memory.clone()).unwrap();
            let fits = u64::try_from(storage.capacity() / (len + FileStorage::OVERHEAD)).unwrap();
            for number in 0..(4 * fits).min(300 * batch) {
                let mut record = number.to_le_bytes().to_vec();
                record.resize(len, 0x5a);
                // Half of the store is trimmed when it is full, or all of it in the transaction that filled it.
                if number % fits.div_ceil(2) == 0 {
                    trim(&mut storage, number.saturating_sub(fits / 2)).unwrap();
                }
                storage.append(&record).unwrap();
                if number % batch == 0 {
                    storage.sync().unwrap();
                }
            }
            storage.sync().unwrap();
            let (now, most) = (memory.len().unwrap(), inspection::len_max(LABEL.capacity));
            assert!(
                now <= most / 2,
                "{len} bytes, {batch} a sync: {now} of {most}"
            );
        }
    }
}
