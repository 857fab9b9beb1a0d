//! A simulated disk, which keeps the contract of `Storage` and nothing beyond it, and fails on demand.
//!
//! A disk keeps records in the order of their appending, and three places among them: what was dropped, what was
//! dropped for good, and what is durable. A loss of power cuts off what is behind the last one, at any byte, and may
//! bring back what lies between the first two. The contract of [`Storage`] allows all of that, so that a journal that
//! relies on more is found out.
//!
//! | bytes | what they are | after a loss of power |
//! |---|---|---|
//! | to `gone` | dropped, and synced since | not there |
//! | `gone` to `start` | dropped, and not synced | there from some record on |
//! | `start` to `synced` | durable | there |
//! | behind `synced` | appended, and not synced | there up to some byte |

use crate::random::{Purpose, below, stream};
use crate::storage::{JOURNAL_RECORD_MAX, Storage, begins_checkpoint};
use core::fmt;
use heapless::Vec;
use rand_xorshift::XorShiftRng;

const _: () = assert!(
    JOURNAL_RECORD_MAX < 1 << 16,
    "The length of a record is stored in two bytes."
);

/// How a [`Disk`] fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiskError {
    /// The power went in the middle of it. Everything fails until the power is back.
    Power,
    /// It could not be written.
    Failed,
    /// There is no room for it.
    Full,
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Power => "the power is off",
            Self::Failed => "the disk cannot be written",
            Self::Full => "the disk is full",
        })
    }
}

impl core::error::Error for DiskError {}

/// What fails while a disk cannot be written. After an error anything may have happened (the fourth clause of the contract of
/// [`Storage`]): these are a part, nothing, and everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Failing {
    /// What is appended is there in part, or not.
    Append,
    /// Syncs.
    Sync,
    /// Syncs say that they failed, and did not.
    Report,
}

/// Keeps records in `BYTES` bytes. What was not synced when power fails is lost from some byte on: the record in which
/// that lies is there in part, or garbled. What was dropped and not synced since may be there again.
///
/// Each record that is appended, each sync and each dropping of records is an *operation*; [`Disk::cut_power_in`] names the
/// one in whose middle the power goes.
///
/// ```
/// use synod::simulation::{Disk, DiskError};
/// use synod::storage::Storage;
///
/// let mut disk = Disk::<64>::new();
/// disk.append(b"first")?;
/// disk.sync()?;
/// disk.append(b"second")?;
/// disk.cut_power_in(0); // in the next operation
/// assert_eq!(disk.sync(), Err(DiskError::Power));
/// disk.lose_power(6);
/// let mut read = Vec::new();
/// disk.read(|record| read.push(record.to_vec()))?;
/// assert_eq!(read[0], b"first");
/// # Ok::<(), DiskError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Disk<const BYTES: usize> {
    /// Of each record its length and its bytes.
    bytes: Vec<u8, BYTES>,
    /// What is before it was dropped.
    start: usize,
    /// Up to here records were dropped for good: at the last sync this was `start`. Those between the two may be there
    /// again after a loss of power.
    gone: usize,
    /// What is before it is durable. It is always between two records, as an append is whole or fails.
    synced: usize,
    /// How large it is, of the `BYTES` that it can be.
    size: usize,
    /// There is room for so many bytes only; less than `size` while a fault has filled the disk.
    limit: usize,
    /// How it fails, until it is mended.
    failing: Option<Failing>,
    /// How many operations there were, with the one in whose middle the power went.
    operations: u64,
    /// The number of the operation in whose middle the power goes.
    cut_at: Option<u64>,
    /// Power goes so many operations after a checkpoint has begun.
    cut_in_checkpoint: Option<u64>,
    /// From a loss of power until [`Disk::lose_power`], which decides what is left.
    is_off: bool,
}

impl<const BYTES: usize> Default for Disk<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

/// The bytes that the first record takes, with the two of its length; `None` at the end. Unlike a real disk this one
/// need not doubt a length, as [`Disk::rot`] changes none.
fn first(bytes: &[u8]) -> Option<usize> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    let len = usize::from(u16::from_le_bytes(*len));
    (len <= rest.len()).then_some(len + 2)
}

impl<const BYTES: usize> Disk<BYTES> {
    /// A disk without records.
    pub const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            gone: 0,
            synced: 0,
            size: BYTES,
            limit: BYTES,
            failing: None,
            operations: 0,
            cut_at: None,
            cut_in_checkpoint: None,
            is_off: false,
        }
    }

    /// Puts a new disk in its place.
    /// In its place, as a disk is too large to be moved.
    pub fn replace(&mut self) {
        self.bytes.clear();
        (self.start, self.gone, self.synced) = (0, 0, 0);
        self.mend();
        self.operations = 0;
        self.is_off = false;
    }

    /// Makes it so large and no larger, whatever is on it; at most `BYTES`.
    pub fn resize(&mut self, bytes: usize) {
        self.size = bytes.min(BYTES);
        self.limit = self.size;
    }

    /// Whether there is less room than there would be on a sound disk: see [`Disk::fill`].
    pub const fn is_filled(&self) -> bool {
        self.limit < self.size
    }

    /// Whether a checkpoint has begun since [`Disk::cut_power_in_checkpoint`], and the power has gone in it.
    pub(super) const fn is_cut_in_checkpoint(&self) -> bool {
        self.is_off && self.cut_in_checkpoint.is_none()
    }

    /// How many operations there were.
    pub const fn operations(&self) -> u64 {
        self.operations
    }

    /// Loses power in the middle of an operation: 0 is the next one.
    pub fn cut_power_in(&mut self, operations: u64) {
        self.cut_at = Some(self.operations.saturating_add(operations));
    }

    /// Loses power in the middle of the next checkpoint that a journal begins on it: so many operations after the first.
    pub fn cut_power_in_checkpoint(&mut self, operations: u64) {
        self.cut_in_checkpoint = Some(operations);
    }

    /// From now on it cannot be written: records are there in part, or syncs fail, or only say so, as a seed has it.
    pub fn fail(&mut self, seed: u64) {
        let mut rng = stream(seed, Purpose::Disk);
        self.failing = Some(match below(&mut rng, 3) {
            0 => Failing::Append,
            1 => Failing::Sync,
            _ => Failing::Report,
        });
    }

    /// From now on there is room for so many more bytes, and for no others, whatever is dropped.
    pub fn fill(&mut self, left: usize) {
        self.limit = self.used().saturating_add(left).min(self.size);
    }

    /// It can be written again, and has all of its room; no loss of power is ahead.
    pub fn mend(&mut self) {
        self.failing = None;
        self.limit = self.size;
        self.keep_power();
    }

    /// No loss of power is ahead any more.
    pub fn keep_power(&mut self) {
        (self.cut_at, self.cut_in_checkpoint) = (None, None);
    }

    /// Asserts how the parts of the disk lie to each other, after each operation and each fault.
    fn assert_extents(&self) {
        debug_assert!(
            self.gone <= self.start && self.start <= self.bytes.len(),
            "what is gone for good was dropped, and what was dropped was written"
        );
        debug_assert!(
            self.synced <= self.bytes.len(),
            "more is durable than there is"
        );
        debug_assert!(
            self.limit <= self.size && self.size <= BYTES,
            "a fault leaves more room than the disk has"
        );
    }

    /// Whether everything that was appended and dropped is durable.
    pub fn is_synced(&self) -> bool {
        self.synced == self.bytes.len() && self.gone == self.start
    }

    /// Power fails, and is back: what was not synced is lost from a byte on that the seed names. Says whether anything of
    /// it was.
    pub fn lose_power(&mut self, seed: u64) -> bool {
        // The order of the draws is a part of every recorded run: first those for each record that may come back, then
        // how much is kept, then whether the rest is garbled, and then its bytes.
        let mut rng = stream(seed, Purpose::Disk);
        (self.is_off, self.cut_at, self.cut_in_checkpoint) = (false, None, None);
        self.bring_back(&mut rng);
        let before = self.bytes.len();
        let loose = u32::try_from(before.saturating_sub(self.synced)).unwrap_or(u32::MAX);
        // One more than there are loose bytes, so that now and then all of them are kept.
        let kept = below(&mut rng, loose.saturating_add(1));
        let is_garbled = below(&mut rng, 2) == 0;
        let cut = self
            .synced
            .saturating_add(usize::try_from(kept).unwrap_or(0));
        // Each record that ends before the cut is whole; the one across it is torn.
        let mut whole = self.synced;
        let mut torn = None;
        while let Some(len) = self.bytes.get(whole..).and_then(first) {
            if whole + len > cut {
                torn = Some(len);
                break;
            }
            whole += len;
        }
        match torn {
            // So much of it that it can be told from nothing.
            Some(len) if cut > whole + 2 => {
                if is_garbled {
                    self.bytes.truncate(whole + len);
                    for byte in self.bytes.iter_mut().skip(cut) {
                        *byte = below(&mut rng, 256).to_le_bytes()[0];
                    }
                } else {
                    self.bytes.truncate(cut);
                    // The record is as long as what is left of it, so that the records before it can be read: the first
                    // one that is missing may remain in part (the third clause of the contract).
                    self.set_len(whole, cut - whole - 2);
                }
            }
            _ => self.bytes.truncate(whole),
        }
        debug_assert!(
            self.bytes.len() >= self.synced,
            "what was synced survives a loss of power"
        );
        self.synced = self.bytes.len();
        debug_assert!(
            self.is_synced() && !self.is_off,
            "what a loss of power has left does not get lost in the next one"
        );
        self.assert_extents();
        cut < before
    }

    /// Some of the last records that were dropped and not synced since are there again.
    /// Each comes back with three chances in four, from the first one on and without a gap, as a log drops them in
    /// order.
    fn bring_back(&mut self, rng: &mut XorShiftRng) {
        let mut at = self.gone;
        while at < self.start
            && let Some(len) = self.bytes.get(at..).and_then(first)
            && below(rng, 4) > 0
        {
            at += len;
        }
        debug_assert!(
            at <= self.start,
            "a record goes that was never dropped, as it begins in front of the end of one that was"
        );
        self.start = at;
        self.gone = at;
    }

    /// Writes the length of the record at a place.
    fn set_len(&mut self, at: usize, len: usize) {
        debug_assert!(
            at + 2 + len <= self.bytes.len(),
            "a record would be longer than what is left of it"
        );
        let len = u16::try_from(len).unwrap_or(u16::MAX).to_le_bytes();
        for (byte, new) in self.bytes.iter_mut().skip(at).zip(len) {
            *byte = new;
        }
    }

    /// A bit of some record is another one from now on; which one, the seed names: every third time it is in the first
    /// record, which is stale where a trim was lost with the power. Says whether there was any.
    pub fn rot(&mut self, seed: u64) -> bool {
        let mut rng = stream(seed, Purpose::Disk);
        let durable = u32::try_from(self.synced.saturating_sub(self.start)).unwrap_or(u32::MAX);
        let drawn = usize::try_from(below(&mut rng, durable)).unwrap_or(0);
        let drawn = if seed.is_multiple_of(3) { 0 } else { drawn };
        let rotten = self.start.saturating_add(drawn);
        let mut at = self.start;
        while let Some(len) = self.bytes.get(at..).and_then(first) {
            // Only bytes of the record itself rot. Storage whose own lengths rot has to notice that by itself (the sixth
            // clause of the contract), and this one would not.
            if rotten < at + len && len > 2 {
                let index = rotten.max(at + 2);
                if let Some(byte) = self.bytes.get_mut(index) {
                    *byte ^= 1_u8.rotate_left(below(&mut rng, 8));
                    return true;
                }
            }
            at += len;
        }
        false
    }

    /// The bytes of the records that are not dropped.
    pub(super) fn used(&self) -> usize {
        self.bytes.len().saturating_sub(self.start)
    }

    /// One more operation begins; whether power goes in the middle of it. Such an operation is carried out here to its
    /// end: how much of it is left, [`Disk::lose_power`] decides.
    fn operate(&mut self) -> Result<bool, DiskError> {
        if self.is_off {
            return Err(DiskError::Power);
        }
        debug_assert!(
            self.cut_at
                .is_none_or(|operation| operation >= self.operations),
            "power was to go in an operation that is over, and never will"
        );
        self.is_off = self.cut_at == Some(self.operations);
        self.operations = self.operations.saturating_add(1);
        Ok(self.is_off)
    }

    /// Gives the room of what was dropped to something else. From then on it cannot come back, even if the drop
    /// was not synced, which storage may do: what was dropped may come back, and need not.
    fn compact(&mut self) {
        let kept = self.used();
        self.bytes.copy_within(self.start.., 0);
        self.bytes.truncate(kept);
        self.synced = self.synced.saturating_sub(self.start);
        (self.start, self.gone) = (0, 0);
        self.assert_extents();
    }
}

impl<const BYTES: usize> Storage for Disk<BYTES> {
    type Error = DiskError;

    const RECORD_MAX: usize = JOURNAL_RECORD_MAX;
    const OVERHEAD: usize = 2;

    fn capacity(&self) -> usize {
        self.size
    }

    fn read(&mut self, mut visit: impl FnMut(&[u8])) -> Result<(), DiskError> {
        if self.is_off {
            return Err(DiskError::Power);
        }
        let mut rest = self.bytes.get(self.start..).unwrap_or_default();
        while let Some((record, behind)) = first(rest).and_then(|len| rest.split_at_checked(len)) {
            visit(record.get(2..).unwrap_or_default());
            rest = behind;
        }
        Ok(())
    }

    fn append(&mut self, record: &[u8]) -> Result<(), DiskError> {
        // Before the operation is counted: of 0 operations, this very record is the one that is cut.
        if let Some(after) = self.cut_in_checkpoint
            && begins_checkpoint(record)
        {
            self.cut_in_checkpoint = None;
            self.cut_power_in(after);
        }
        let is_cut = self.operate()?;
        let fails = self.failing == Some(Failing::Append);
        let len = if fails {
            record.len() / 2
        } else {
            record.len()
        };
        let record = record.get(..len).unwrap_or_default();
        let prefix = u16::try_from(len).map_err(|_| DiskError::Full)?;
        let taken = len.saturating_add(2);
        if self.used().saturating_add(taken) > self.limit {
            return Err(DiskError::Full);
        }
        // The dropped records in front take room of the array, and none of the capacity.
        if self.bytes.len().saturating_add(taken) > BYTES {
            self.compact();
        }
        debug_assert!(
            self.bytes.len().saturating_add(taken) <= BYTES,
            "there is room up to the limit, once what was dropped has left it"
        );
        self.bytes
            .extend_from_slice(&prefix.to_le_bytes())
            .and_then(|()| self.bytes.extend_from_slice(record))
            .map_err(|_| DiskError::Full)?;
        match (is_cut, fails) {
            (true, _) => Err(DiskError::Power),
            (false, true) => Err(DiskError::Failed),
            (false, false) => Ok(()),
        }
    }

    fn sync(&mut self) -> Result<(), DiskError> {
        if self.operate()? {
            return Err(DiskError::Power);
        }
        if self.failing != Some(Failing::Sync) {
            self.synced = self.bytes.len();
            self.gone = self.start;
        }
        self.assert_extents();
        match self.failing {
            Some(Failing::Sync | Failing::Report) => Err(DiskError::Failed),
            Some(Failing::Append) | None => Ok(()),
        }
    }

    fn trim(&mut self, mut is_stale: impl FnMut(&[u8]) -> bool) -> Result<(), DiskError> {
        // A cut drops all of it here, of which a loss of power brings back what it likes.
        let is_cut = self.operate()?;
        while let Some(len) = self.bytes.get(self.start..).and_then(first)
            && let Some(record) = self.bytes.get(self.start + 2..self.start + len)
            && is_stale(record)
        {
            self.start += len;
        }
        self.assert_extents();
        if is_cut {
            return Err(DiskError::Power);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    type Small = Disk<256>;

    fn read(disk: &mut Small) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        disk.read(|record| records.push(record.to_vec())).unwrap();
        records
    }

    /// A disk with two records that are synced and two that are not.
    fn half_synced() -> Small {
        let mut disk = Small::new();
        for (record, is_last) in [
            ("first", false),
            ("second", true),
            ("third", false),
            ("fourth", false),
        ] {
            disk.append(record.as_bytes()).unwrap();
            if is_last {
                disk.sync().unwrap();
            }
        }
        disk
    }

    #[test]
    fn what_was_synced_is_there_and_the_rest_is_lost_from_any_byte_on() {
        let mut ends = BTreeSet::new();
        for seed in 0..500 {
            let mut disk = half_synced();
            let lost = disk.lose_power(seed);
            let records = read(&mut disk);
            assert_eq!(records[..2], [b"first".to_vec(), b"second".to_vec()]);
            let third = records.get(2).is_none_or(|third| third.len() <= 5);
            assert!(third && records.len() <= 4 && disk.is_synced());
            let is_whole = records.len() == 4 && records[3] == b"fourth";
            assert_eq!(lost, !is_whole, "{records:?}");
            let newest = records[records.len() - 1].clone();
            let is_garbled = ![&b"first"[..], b"second", b"third", b"fourth"]
                .iter()
                .any(|whole| whole.starts_with(&newest));
            ends.insert((records.len(), newest.len(), is_garbled));
        }
        // Nothing of it; the third in part, garbled, and whole; and so the fourth.
        for end in [
            (2, 6, false),
            (3, 1, false),
            (3, 5, true),
            (3, 5, false),
            (4, 3, false),
            (4, 6, true),
            (4, 6, false),
        ] {
            assert!(ends.contains(&end), "{end:?} of {ends:?}");
        }
    }

    #[test]
    fn what_was_dropped_may_be_there_again_until_the_next_sync() {
        let mut lens = BTreeSet::new();
        for seed in 0..100 {
            let mut disk = half_synced();
            disk.sync().unwrap();
            disk.trim(|record| record != b"fourth").unwrap();
            assert_eq!(read(&mut disk), [b"fourth".to_vec()]);
            let mut synced = disk.clone();
            disk.lose_power(seed);
            let records = read(&mut disk);
            assert_eq!(records.last().unwrap(), b"fourth");
            lens.insert(records.len());
            synced.sync().unwrap();
            synced.lose_power(seed);
            assert_eq!(read(&mut synced).len(), 1);
        }
        assert_eq!(lens, (1..=4).collect());
    }

    #[test]
    fn power_goes_in_the_operation_that_is_named_and_everything_fails_until_it_is_back() {
        let mut disk = Small::new();
        disk.cut_power_in(2);
        disk.append(b"first").unwrap();
        disk.sync().unwrap();
        assert_eq!(disk.append(b"second"), Err(DiskError::Power));
        assert_eq!(disk.sync(), Err(DiskError::Power));
        assert_eq!(disk.read(|_| ()), Err(DiskError::Power));
        disk.lose_power(6);
        assert_eq!(read(&mut disk)[0], b"first");
        assert_eq!((disk.append(b"third"), disk.operations()), (Ok(()), 4));
    }

    #[test]
    fn a_disk_that_is_full_or_fails_says_so_until_it_is_mended() {
        let mut disk = half_synced();
        disk.fill(8);
        assert_eq!(disk.append(b"five"), Ok(()));
        assert_eq!(disk.append(b"six"), Err(DiskError::Full));
        disk.mend();
        let ways: BTreeSet<_> = (0..50)
            .map(|seed| {
                let mut disk = disk.clone();
                disk.fail(seed);
                let appended = disk.append(b"seven");
                let synced = disk.sync();
                let is_durable = disk.is_synced();
                disk.mend();
                assert_eq!((disk.append(b"eight"), disk.sync()), (Ok(()), Ok(())));
                (appended.is_ok(), synced.is_ok(), is_durable)
            })
            .collect();
        let all = [
            (false, true, true),
            (true, false, false),
            (true, false, true),
        ];
        assert_eq!(ways, BTreeSet::from(all));
    }

    #[test]
    fn rot_changes_one_bit_of_what_was_synced() {
        for seed in 0..100 {
            let mut disk = half_synced();
            let before = read(&mut disk);
            assert!(disk.rot(seed));
            let after = read(&mut disk);
            assert_eq!(before[2..], after[2..]);
            let bits = |(one, other): (&Vec<u8>, &Vec<u8>)| -> u32 {
                one.iter()
                    .zip(other)
                    .map(|(one, other)| (one ^ other).count_ones())
                    .sum()
            };
            assert_eq!(before.iter().zip(&after).map(bits).sum::<u32>(), 1);
        }
        assert!(!Small::new().rot(6), "there is nothing to rot");
    }

    #[test]
    fn the_room_of_what_was_dropped_is_used_again() {
        let mut disk = Small::new();
        for number in 0..1_000_u32 {
            disk.append(&number.to_le_bytes()).unwrap();
            disk.sync().unwrap();
            disk.trim(|record| record != number.to_le_bytes()).unwrap();
        }
        assert_eq!(read(&mut disk), [999_u32.to_le_bytes().to_vec()]);
    }
}
