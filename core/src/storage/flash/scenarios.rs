//! Tests of the storage contract on flashes of many shapes, with and without losses of power.
//!
//! The flash is simulated and loses power at each of its steps in turn. A step is the writing of a word or the erasing
//! of a page, and what it leaves is drawn from a seed: nothing, all, or any part of it. A trial does what a node does
//! on its storage, for which a few hundred steps suffice, and knows which records must be there at any time.
//!
//! Shapes differ in what could matter to the log: three pages and more, words of 1 to 32 bytes, reads of single bytes
//! or of whole words, records that fill a page or a small part of it.

extern crate std;

use super::{Flash, FlashError};
use crate::random::mix;
use crate::simulation::{FlashFault, SimulatedFlash};
use crate::storage::Storage;
use core::ops::Range;
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
use std::println;
use std::vec::Vec;

/// Returns the record with a number: the number, then as many bytes as follow from it, four at least.
pub(super) fn record(number: u32, longest: usize) -> Vec<u8> {
    let chance = mix(u64::from(number)).to_le_bytes();
    // From 8 bytes to the longest, so that records end at any place of a word.
    let length = 8 + usize::from(u16::from_le_bytes([chance[0], chance[1]])) % (longest - 7);
    let tail = chance.iter().cycle().take(length - 4);
    number.to_le_bytes().iter().chain(tail).copied().collect()
}

/// Returns the number of a record; `None` if it is garbled.
///
/// All bytes follow from the number, so that a record of another one, or with a changed bit, has none.
pub(super) fn number(bytes: &[u8], longest: usize) -> Option<u32> {
    let number = u32::from_le_bytes(*bytes.first_chunk()?);
    (bytes == record(number, longest)).then_some(number)
}

/// The contents of a storage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Content {
    /// The numbers of the records, without a gap.
    numbers: Range<u32>,
    /// The length of each valid record, with its number, and of each garbled one.
    bytes: Vec<(Option<u32>, usize)>,
}

/// Returns the contents, and asserts that the valid records are consecutive. Garbled ones may be between them: a record
/// whose bytes were torn stays in its place.
fn content<S: Storage>(storage: &mut S) -> Result<Content, S::Error> {
    let mut content = Content::default();
    storage.read(|bytes| {
        let number = number(bytes, S::RECORD_MAX);
        content.bytes.push((number, bytes.len() + S::OVERHEAD));
        // A garbled record takes room, and is none of the consecutive ones.
        let Some(number) = number else { return };
        let numbers = &mut content.numbers;
        if numbers.start == numbers.end {
            *numbers = number..number;
        }
        assert_eq!(numbers.end, number, "a record is missing or repeated");
        numbers.end += 1;
    })?;
    Ok(content)
}

/// Returns the numbers of the records, without a gap.
fn numbers<S: Storage>(storage: &mut S) -> Result<Range<u32>, S::Error> {
    content(storage).map(|content| content.numbers)
}

/// True if a record is older than the one with number `to`, or garbled.
///
/// A garbled record was never acknowledged, and may go with the old ones.
fn is_before(bytes: &[u8], longest: usize, to: u32) -> bool {
    number(bytes, longest).is_none_or(|number| number < to)
}

/// The actions of a node on its storage, and what it knows of the contents.
#[derive(Clone, Debug)]
struct Trial {
    /// The records that must be there.
    kept: Range<u32>,
    /// The length of every record.
    bytes: Vec<(Option<u32>, usize)>,
    /// The number of actions so far, from which the next one is drawn.
    step: u64,
    seed: u64,
    /// The number up to which the failed step would have appended: records up to here may be there, and none from here
    /// on.
    appending_to: u32,
    /// The number up to which the failed step would have dropped records: those from here on must be there.
    trimming_to: u32,
}

impl Trial {
    fn new(seed: u64) -> Self {
        Self {
            kept: 0..0,
            bytes: Vec::new(),
            step: 0,
            seed,
            appending_to: 0,
            trimming_to: 0,
        }
    }

    /// What a record takes of the capacity, as the contract of [`Storage`] counts it.
    fn cost<S: Storage>(number: u32) -> usize {
        record(number, S::RECORD_MAX).len() + S::OVERHEAD
    }

    /// Appends records, or drops some of the oldest, if there is no room or at random.
    fn go<S: Storage>(&mut self, storage: &mut S) -> Result<(), S::Error> {
        self.step += 1;
        let chance = mix(self.seed ^ mix(self.step));
        let next = Self::cost::<S>(self.kept.end);
        let used = self.bytes.iter().map(|(_, bytes)| bytes).sum();
        let room = storage.capacity().saturating_sub(used);
        (self.appending_to, self.trimming_to) = (self.kept.end, self.kept.start);
        // One action in eight is a trim although there is room, so that logs of any length are cut.
        if next <= room && !chance.is_multiple_of(8) {
            self.appending_to += 1;
            storage.append(&record(self.kept.end, S::RECORD_MAX))?;
            // A no-op on flash. It stands here because a node relies on a record only after it.
            storage.sync()?;
            self.kept.end += 1;
            self.bytes.push((Some(self.kept.end - 1), next));
        } else if !self.bytes.is_empty() {
            // Possibly all records are garbled.
            let kept = self.kept.end - self.kept.start;
            let count = 1 + u32::try_from(chance >> 8 & 0xFFFF).unwrap() % kept.max(1);
            let count = count.min(kept);
            self.trimming_to += count;
            let to = self.trimming_to;
            storage.trim(|bytes| is_before(bytes, S::RECORD_MAX, to))?;
            // What the storage has dropped by now, as the trial keeps count of the room.
            let is_kept =
                |(number, _): &(Option<u32>, _)| number.is_some_and(|number| number >= to);
            let first = self.bytes.iter().position(is_kept);
            self.bytes.drain(..first.unwrap_or(self.bytes.len()));
            self.kept.start = to;
        }
        Ok(())
    }

    /// Takes over what a loss of power has left, if that is allowed.
    fn take_up<S: Storage>(&mut self, storage: &mut S) {
        let content = content(storage).expect("what is left can be read");
        let found = content.numbers;
        if found.is_empty() {
            assert!(
                self.trimming_to >= self.kept.end,
                "lost {:?}: {self:?}",
                self.kept
            );
            // Only a trim of everything may have left nothing.
            self.kept.start = self.kept.end;
        } else {
            assert!(
                found.start <= self.trimming_to.max(self.kept.start) && found.end >= self.kept.end,
                "found {found:?}: {self:?}"
            );
            // Nothing may be there that was never appended.
            assert!(found.end <= self.appending_to, "found {found:?}: {self:?}");
            self.kept = found;
        }
        self.bytes = content.bytes;
    }
}

/// The number of trials for each flash; takes some seconds.
///
/// A seed decides the actions and what each loss of power leaves; every step of a trial is cut for it.
const SEEDS: u64 = 1;

/// The number of actions that follow a loss of power.
///
/// Enough for the log to come around the smallest flash, so that whatever the cut has left is overwritten or found.
const AFTER: u64 = 24;

/// Lets a trial go on through a loss of power in a step of the flash, and through two more soon after; asserts that no
/// record is missing. Returns how often the power was lost.
fn outlive_cut<
    const PAGES: usize,
    const PAGE_BYTES: usize,
    const WORD: usize,
    const READ: usize,
    const RECORD: usize,
>(
    mut driver: SimulatedFlash<PAGES, PAGE_BYTES, WORD, READ>,
    mut trial: Trial,
    at: u64,
) -> u64 {
    let range = 0..u32::try_from(PAGES * PAGE_BYTES).unwrap();
    driver.cut_power_at(at);
    let end = trial.step + AFTER;
    // The contents are read in a copy, as reading corrects a few things; not all drivers read.
    let take_up = |trial: &mut Trial, flash: &mut Flash<&mut _, RECORD>| {
        let mut copy = SimulatedFlash::clone(flash.log.pages.driver);
        copy.restore_power();
        trial.take_up(&mut Flash::<_, RECORD>::open(copy, range.clone()).unwrap());
        // A third of the trials go on without reading, as a driver that has its state in memory does.
        if at.is_multiple_of(3) {
            Ok(())
        } else {
            flash.read(|_| ())
        }
    };
    // In half of the trials the node goes on without a restart after the first cut.
    let (mut struck, mut goes_on) = (0, at % 2);
    while trial.step < end {
        let opened = Flash::<_, RECORD>::open(&mut driver, range.clone());
        let lived = opened.and_then(|mut flash| {
            take_up(&mut trial, &mut flash)?;
            while trial.step < end {
                let Err(error) = trial.go(&mut flash) else {
                    continue;
                };
                // The node may continue without a restart if only its driver has failed.
                if !flash.log.pages.driver.is_off() || goes_on == 0 {
                    return Err(error);
                }
                goes_on -= 1;
                struck += 1;
                flash.log.pages.driver.restore_power();
                take_up(&mut trial, &mut flash)?;
            }
            Ok(())
        });
        let Err(error) = lived else { break };
        let expected = FlashError::Driver(FlashFault::PowerIsOff);
        assert_eq!(error, expected, "cut {at}, {trial:?}");
        driver.restore_power();
        struck += 1;
        if struck < 3 {
            // Soon after the restart, where what was torn is put right.
            driver.cut_power_at(mix(trial.seed ^ (at + struck)) % 8);
        }
    }
    driver.restore_power();
    assert!(struck > 0, "step {at} was never taken");
    let mut flash = Flash::<_, RECORD>::open(&mut driver, range.clone()).unwrap();
    trial.take_up(&mut flash);
    struck
}

/// Cuts the power in every step of a trial, and in two steps soon after; continues the trial for a while, and checks
/// the contents. Returns the number of losses of power.
fn cut_everywhere<
    const PAGES: usize,
    const PAGE_BYTES: usize,
    const WORD: usize,
    const READ: usize,
    const RECORD: usize,
>(
    seeds: Range<u64>,
) -> u64 {
    let range = 0..u32::try_from(PAGES * PAGE_BYTES).unwrap();
    let mut cuts = 0;
    for seed in seeds {
        let mut driver = SimulatedFlash::<PAGES, PAGE_BYTES, WORD, READ>::new(seed);
        let mut trial = Trial::new(seed);
        while trial.step < 100 {
            let before = driver.steps();
            // The state before the action, from which it is repeated with a cut at each of its steps.
            let (driver_before, trial_before) = (driver.clone(), trial.clone());
            // The first action is preceded by preparing the flash.
            let mut flash = Flash::<_, RECORD>::open(&mut driver, range.clone()).unwrap();
            trial.go(&mut flash).unwrap();
            for at in 0..driver.steps() - before {
                let (driver, trial) = (driver_before.clone(), trial_before.clone());
                cuts += outlive_cut::<PAGES, PAGE_BYTES, WORD, READ, RECORD>(driver, trial, at);
            }
        }
    }
    cuts
}

#[test]
fn appended_records_survive_a_power_loss_at_every_word_and_erase() {
    let cuts = [
        // The smallest flash that a log can have, and words as on most boards.
        cut_everywhere::<3, 256, 4, 1, 64>(0..SEEDS),
        // Words of the driver that are shorter than the header of a record.
        cut_everywhere::<4, 256, 1, 1, 64>(0..SEEDS),
        cut_everywhere::<5, 256, 2, 2, 64>(0..SEEDS),
        cut_everywhere::<4, 512, 4, 4, 128>(0..SEEDS),
        // Words that are longer than the header of a record, and drivers that read only whole ones.
        cut_everywhere::<3, 256, 8, 8, 64>(0..SEEDS),
        cut_everywhere::<6, 256, 16, 1, 64>(0..SEEDS),
        // The longest words, of flash with a checksum for every 256 bits.
        cut_everywhere::<4, 512, 32, 32, 64>(0..SEEDS),
        cut_everywhere::<3, 512, 32, 1, 64>(0..SEEDS),
    ];
    println!(
        "log: cut at {} words in all, {cuts:?}",
        cuts.iter().sum::<u64>()
    );
    assert!(cuts.iter().all(|cuts| *cuts > 500));
}

/// Fills a flash to its capacity, whatever its history, and returns how much of the flash that is.
fn fill<
    const PAGES: usize,
    const PAGE_BYTES: usize,
    const WORD: usize,
    const READ: usize,
    const RECORD: usize,
>() {
    let range = 0..u32::try_from(PAGES * PAGE_BYTES).unwrap();
    let overhead = Flash::<SimulatedFlash<PAGES, PAGE_BYTES, WORD, READ>, RECORD>::OVERHEAD;
    let mut capacity = 0;
    // Many lengths, then lengths that change, each from several positions on.
    for length in (0..=RECORD)
        .step_by(1 + PAGE_BYTES / 512)
        .chain(RECORD..RECORD + 8)
    {
        // On new flash, and after the log has moved on by some records or some pages.
        for before in [0, 1, 5, 18] {
            let mut driver = SimulatedFlash::<PAGES, PAGE_BYTES, WORD, READ>::new(6);
            let mut flash = Flash::<_, RECORD>::open(&mut driver, range.clone()).unwrap();
            let bytes = |number: usize| {
                let chance = record(u32::try_from(number + length).unwrap(), 1000).len();
                std::vec![7; if length > RECORD { chance % (RECORD + 1) } else { length }]
            };
            for number in 0..before {
                // The last of them stays.
                let mut seen = 0;
                let stale = |_: &[u8]| {
                    seen += 1;
                    seen < 2
                };
                flash.append(&bytes(number)).unwrap();
                if number > 0 {
                    flash.trim(stale).unwrap();
                }
            }
            capacity = flash.capacity();
            let mut room = capacity;
            if before > 0 {
                room = room.saturating_sub(bytes(before - 1).len() + overhead);
            }
            for number in before.. {
                let record = bytes(number);
                // As long as the promised capacity has room, no append may be refused.
                let Some(less) = room.checked_sub(record.len() + overhead) else {
                    break;
                };
                room = less;
                assert_eq!(flash.append(&record), Ok(()), "{length} bytes, {room} left");
            }
        }
    }
    println!(
        "{PAGES} pages of {PAGE_BYTES} bytes, words of {WORD}, records to {RECORD}: {capacity} bytes, {} %",
        100 * capacity / (PAGES * PAGE_BYTES)
    );
}

#[test]
fn the_promised_capacity_is_available() {
    fill::<3, 256, 4, 1, 64>();
    fill::<4, 256, 1, 1, 64>();
    fill::<7, 256, 16, 1, 64>();
    fill::<3, 512, 32, 32, 256>();
    fill::<5, 1024, 8, 8, 256>();
    fill::<8, 512, 2, 2, 128>();
    fill::<4, 2048, 8, 1, 256>();
    fill::<16, 4096, 4, 1, 256>();
    fill::<4, 128, 4, 1, 64>();
}

/// The flash of the tests that need no other shape.
type Driver = SimulatedFlash<4, 512, 4>;
const RANGE: Range<u32> = 0..2048;

#[test]
fn a_full_flash_is_reported_and_has_room_after_a_trim() {
    let mut driver = Driver::new(6);
    let mut flash = Flash::<_, 64>::open(&mut driver, RANGE).unwrap();
    let mut count = 0;
    while flash.append(&record(count, 64)).is_ok() {
        count += 1;
    }
    assert_eq!(flash.append(&record(count, 64)), Err(FlashError::Full));
    assert_eq!(numbers(&mut flash), Ok(0..count));
    // A record that is too long is refused before the room is looked at.
    assert_eq!(flash.append(&[0; 65]), Err(FlashError::TooLong));
    let half = count / 2;
    flash.trim(|bytes| is_before(bytes, 64, half)).unwrap();
    assert_eq!(flash.append(&record(count, 64)), Ok(()));
    assert_eq!(numbers(&mut flash), Ok(half..count + 1));
}

#[test]
fn a_node_that_loses_its_power_again_and_again_is_not_refused() {
    let mut driver = SimulatedFlash::<8, 512, 4>::new(6);
    let mut trial = Trial::new(6);
    let (mut least, mut most) = (usize::MAX, 0);
    // Each loss of power comes to whatever the ones before have left.
    for cut in 0..3_000 {
        driver.restore_power();
        let mut flash = Flash::<_, 64>::open(&mut driver, 0..4096).unwrap();
        trial.take_up(&mut flash);
        least = least.min(flash.capacity());
        most = most.max(flash.capacity());
        flash.log.pages.driver.cut_power_at(mix(cut) % 12);
        let error = loop {
            if let Err(error) = trial.go(&mut flash) {
                break error;
            }
        };
        assert_eq!(error, FlashError::Driver(FlashFault::PowerIsOff));
    }
    println!("a capacity between {least} and {most} in a flash that is always torn");
    assert!(least > most / 2);
}

/// Cuts the power at the same step of each append, again and again.
fn cut_at_the_same_place<const WORD: usize, const RECORD: usize>(place: u64) {
    let mut driver = SimulatedFlash::<8, 512, WORD>::new(place);
    let capacity = |driver: &mut SimulatedFlash<8, 512, WORD>| {
        let mut flash = Flash::<_, RECORD>::open(driver, 0..4096).unwrap();
        (flash.capacity(), numbers(&mut flash).unwrap())
    };
    let mut flash = Flash::<_, RECORD>::open(&mut driver, 0..4096).unwrap();
    flash.append(&record(0, RECORD)).unwrap();
    // With one record, as each later measurement has at least one.
    let new = capacity(&mut driver).0;
    let mut next = 1;
    for _ in 0..300 {
        let mut flash = Flash::<_, RECORD>::open(&mut driver, 0..4096).unwrap();
        let bytes = content(&mut flash).unwrap().bytes;
        let used: usize = bytes.iter().map(|(_, bytes)| bytes).sum();
        let cost = record(next, RECORD).len()
            + Flash::<&mut SimulatedFlash<8, 512, WORD>, RECORD>::OVERHEAD;
        // A node heeds the capacity, which torn lengths reduce.
        if used + cost > flash.capacity() {
            flash.trim(|bytes| is_before(bytes, RECORD, next)).unwrap();
        }
        flash.log.pages.driver.cut_power_at(place);
        let appended = flash.append(&record(next, RECORD));
        driver.restore_power();
        if let Err(error) = appended {
            assert_eq!(error, FlashError::Driver(FlashFault::PowerIsOff));
        }
        let numbers = capacity(&mut driver).1;
        assert!(numbers.end == next + 1 || numbers.end == next || numbers.start == numbers.end);
        next = next.max(numbers.end);
    }
    // Two rounds later nothing of it is left.
    let mut flash = Flash::<_, RECORD>::open(&mut driver, 0..4096).unwrap();
    let is_old = |bytes: &[u8], next| is_before(bytes, RECORD, next);
    for number in next..next + 200 {
        flash
            .trim(|bytes| is_old(bytes, number.saturating_sub(1)))
            .unwrap();
        flash.append(&record(number, RECORD)).unwrap();
    }
    assert_eq!(capacity(&mut driver).0, new, "place {place}");
}

#[test]
fn three_hundred_cuts_at_the_same_place_take_nothing_for_ever() {
    for place in 0..20 {
        cut_at_the_same_place::<4, 64>(place);
        cut_at_the_same_place::<8, 64>(place);
        cut_at_the_same_place::<16, 64>(place);
    }
}

#[test]
fn many_torn_lengths_reduce_the_capacity() {
    type Driver = SimulatedFlash<8, 512, 4>;
    fn open(driver: &mut Driver) -> Flash<&mut Driver, 64> {
        Flash::open(driver, 0..4096).unwrap()
    }
    let mut driver = Driver::new(6);
    let mut flash = open(&mut driver);
    flash.append(&record(0, 64)).unwrap();
    let (new, mut least) = (flash.capacity(), usize::MAX);
    let (mut next, mut torn) = (1, 0);
    loop {
        let mut flash = open(&mut driver);
        let bytes = content(&mut flash).unwrap().bytes;
        let used: usize = bytes.iter().map(|(_, bytes)| bytes).sum();
        least = least.min(flash.capacity());
        if used + 64 + Flash::<&mut Driver, 64>::OVERHEAD > flash.capacity() {
            break;
        }
        if torn % 50 < 49 && flash.log.tear() {
            torn += 1;
        } else {
            assert_eq!(
                flash.append(&record(next, 64)),
                Ok(()),
                "who heeds it is refused"
            );
            next += 1;
            torn += 1;
        }
    }
    println!("{torn} torn lengths leave {least} of {new} bytes");
    assert!(torn > 300 && least < new / 2);
    let mut flash = open(&mut driver);
    flash.trim(|bytes| is_before(bytes, 64, next)).unwrap();
    assert_eq!(flash.capacity(), new);
    assert_eq!(flash.append(&record(next, 64)), Ok(()));
    assert_eq!(numbers(&mut open(&mut driver)).unwrap().end, next + 1);
}

#[test]
fn power_may_fail_again_and_again_while_a_page_is_begun() {
    type Small = SimulatedFlash<3, 256>;
    fn store(driver: &mut Small) -> Flash<&mut Small, 64> {
        Flash::open(driver, 0..768).unwrap()
    }
    /// Continues with a cut at every step, up to a depth.
    fn cut(driver: &Small, kept: &Range<u32>, depth: u32, cuts: &mut u32) {
        for at in 0.. {
            let mut driver = driver.clone();
            driver.cut_power_at(at);
            let next = record(kept.end, 64);
            let is_done = store(&mut driver).append(&next).is_ok();
            driver.restore_power();
            let found = numbers(&mut store(&mut driver)).unwrap();
            let end = found.end;
            assert!(found.start <= kept.start && (end == kept.end || end == kept.end + 1));
            if is_done {
                assert_eq!(end, kept.end + 1);
                return;
            }
            *cuts += 1;
            if depth > 0 {
                cut(&driver, &(kept.start..end), depth - 1, cuts);
            }
        }
    }
    let mut cuts = 0;
    for seed in 0..3 {
        let mut driver = Small::new(seed);
        // On new flash, and until all pages were used twice.
        let mut next = 0;
        while driver.erases() != &[2; 3] {
            let before = driver.clone();
            let mut flash = store(&mut driver);
            flash.append(&record(next, 64)).unwrap();
            flash.trim(|bytes| is_before(bytes, 64, next)).unwrap();
            // This append has begun a page: an erase, a header and two marks, which are cut at every step, and again in
            // what follows.
            if driver.erases() != before.erases() {
                cut(&before, &(next.saturating_sub(1)..next), 2, &mut cuts);
            }
            next += 1;
        }
    }
    println!("pages: cut at {cuts} words while a page is begun, three deep");
    assert!(cuts > 10_000);
}

#[test]
fn all_pages_wear_alike() {
    let mut driver = SimulatedFlash::<8, 512, 4>::new(6);
    let mut flash = Flash::<_, 64>::open(&mut driver, 0..4096).unwrap();
    for number in 0..30_000 {
        flash.append(&record(number, 64)).unwrap();
        if number % 10 == 0 {
            flash.trim(|bytes| is_before(bytes, 64, number)).unwrap();
        }
    }
    let (least, most) = (
        driver.erases().iter().min().unwrap(),
        driver.erases().iter().max().unwrap(),
    );
    println!("30000 records: between {least} and {most} erases of a page");
    assert!(*least > 100 && most - least <= 2);
}

#[test]
fn foreign_contents_are_rejected_and_not_changed() {
    let mut driver = Driver::new(6);
    for at in [512, 1536] {
        NorFlash::write(&mut driver, at, b"precious").unwrap();
    }
    // Opening must not take a single one.
    let steps = driver.steps();
    let opened = Flash::<_, 64>::open(&mut driver, RANGE);
    assert_eq!(opened.map(|_| ()), Err(FlashError::Foreign));
    assert_eq!(driver.steps(), steps);
    for cut in 0.. {
        driver.cut_power_at(cut);
        let formatted = Flash::<_, 64>::format(&mut driver, RANGE);
        let is_done = formatted.is_ok();
        driver.restore_power();
        if is_done {
            break;
        }
        // A flash that was formatted in part is rejected, or is as good as new.
        match Flash::<_, 64>::open(&mut driver, RANGE) {
            Ok(mut flash) => assert_eq!(numbers(&mut flash), Ok(0..0)),
            Err(error) => assert_eq!(error, FlashError::Foreign),
        }
    }
    let mut flash = Flash::<_, 64>::open(&mut driver, RANGE).unwrap();
    flash.append(&record(0, 64)).unwrap();
    assert_eq!(numbers(&mut flash), Ok(0..1));
}

#[test]
fn a_partly_formatted_log_is_complete_or_rejected() {
    for count in 1..100 {
        let mut driver = Driver::new(6);
        let mut flash = Flash::<_, 64>::open(&mut driver, RANGE).unwrap();
        for next in 0..count {
            flash.append(&record(next, 64)).unwrap();
            flash.trim(|bytes| is_before(bytes, 64, next)).unwrap();
        }
        for cut in 0..4 {
            let mut driver = driver.clone();
            driver.cut_power_at(cut);
            assert!(Flash::<_, 64>::format(&mut driver, RANGE).is_err());
            driver.restore_power();
            match Flash::<_, 64>::open(&mut driver, RANGE) {
                Ok(mut flash) => {
                    let found = numbers(&mut flash).unwrap();
                    assert!(found == (0..0) || found.end == count, "{found:?}");
                }
                Err(error) => {
                    assert!(matches!(error, FlashError::Damaged | FlashError::Foreign));
                }
            }
        }
    }
}

#[test]
fn only_whole_pages_of_the_driver_are_accepted() {
    for range in [0..1024, 0..2047, 4..2048, 512..4096, 2048..2048] {
        let mut driver = Driver::new(6);
        let opened = Flash::<_, 64>::open(&mut driver, range.clone());
        assert_eq!(opened.map(|_| ()), Err(FlashError::Range), "{range:?}");
        let formatted = Flash::<_, 64>::format(&mut driver, range.clone());
        assert_eq!(formatted.map(|_| ()), Err(FlashError::Range), "{range:?}");
    }
}

#[test]
fn nothing_outside_of_its_addresses_is_touched() {
    let mut driver = SimulatedFlash::<5, 256>::new(6);
    for at in [0, 1024 + 248] {
        NorFlash::write(&mut driver, at, b"precious").unwrap();
    }
    let mut flash = Flash::<_, 64>::open(&mut driver, 256..1024).unwrap();
    for number in 0..100 {
        flash.append(&record(number, 64)).unwrap();
        flash.trim(|bytes| is_before(bytes, 64, number)).unwrap();
    }
    let mut driver = flash.into_driver().clone();
    assert_eq!((driver.erases()[0], driver.erases()[4]), (0, 0));
    for at in [0, 1024 + 248] {
        let mut bytes = [0; 8];
        driver.read(at, &mut bytes).unwrap();
        assert_eq!(&bytes, b"precious");
    }
}

#[test]
fn a_record_that_is_longer_than_may_be_is_an_error_and_stays() {
    let mut driver = Driver::new(6);
    let mut flash = Flash::<_, 128>::open(&mut driver, RANGE).unwrap();
    flash.append(&[1; 8]).unwrap();
    flash.append(&[7; 128]).unwrap();
    let opened = Flash::<_, 64>::open(&mut driver, RANGE);
    assert_eq!(opened.map(|_| ()), Err(FlashError::Damaged));
    let mut flash = Flash::<_, 128>::open(&mut driver, RANGE).unwrap();
    let mut count = 0;
    flash.read(|_| count += 1).unwrap();
    assert_eq!(count, 2);
}

#[test]
fn it_takes_forty_bytes_besides_its_driver() {
    assert_eq!(size_of::<Flash<[u64; 3]>>(), 24 + 40);
}

#[test]
fn each_call_has_its_documented_cost() {
    type Driver = SimulatedFlash<16, 4096, 4>;
    type Store<'a> = Flash<&'a mut Driver, 256>;
    let mut driver = Driver::new(6);
    let mut flash = Store::open(&mut driver, 0..65536).unwrap();
    let mut tell = |what: &str, times: u64, work: &mut dyn FnMut(&mut Store)| {
        let figures = |flash: &Store| {
            let driver = &flash.log.pages.driver;
            let erases: u32 = driver.erases().iter().sum();
            (driver.reads(), driver.steps(), u64::from(erases))
        };
        let before = figures(&flash);
        work(&mut flash);
        let after = figures(&flash);
        println!(
            "{what}: {} reads, {} words of 4 bytes, {} erases",
            (after.0 - before.0) / times,
            (after.1 - before.1) / times,
            (after.2 - before.2) / times
        );
    };
    tell("append of 64 bytes, on average", 600, &mut |flash| {
        for _ in 0..600 {
            flash.append(&[7; 64]).unwrap();
        }
    });
    tell("read of 600 records", 1, &mut |flash| {
        flash.read(|_| ()).unwrap();
    });
    tell("trim of 500 records, each", 500, &mut |flash| {
        let mut left = 501;
        let is_stale = |_: &[u8]| {
            left -= 1;
            left > 0
        };
        flash.trim(is_stale).unwrap();
    });
    tell("sync", 1, &mut |flash| flash.sync().unwrap());
    let before = (driver.reads(), driver.steps());
    Store::open(&mut driver, 0..65536).unwrap();
    println!("open: {} reads", driver.reads() - before.0);
    assert_eq!(driver.steps(), before.1, "nothing had to be put right");
}
