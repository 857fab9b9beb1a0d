//! What storage owes, on flashes of many shapes, with and without power.

extern crate std;

use super::{Flash, FlashError};
use crate::random::mix;
use crate::simulation::{FlashFault, SimulatedFlash};
use crate::storage::Storage;
use core::ops::Range;
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
use std::println;
use std::vec::Vec;

/// The record of a number: the number, and then as many bytes as it happens to say.
fn record(number: u32, longest: usize) -> Vec<u8> {
    let chance = mix(u64::from(number)).to_le_bytes();
    let length = 4 + usize::from(u16::from_le_bytes([chance[0], chance[1]])) % (longest - 3);
    let tail = chance.iter().cycle().take(length - 4);
    number.to_le_bytes().iter().chain(tail).copied().collect()
}

/// The numbers of the records that are there; they are whole, and none is missing between them.
fn numbers<S: Storage>(storage: &mut S) -> Result<Range<u32>, S::Error> {
    let mut found: Option<Range<u32>> = None;
    storage.read(|bytes| {
        let number = u32::from_le_bytes(*bytes.first_chunk().unwrap());
        assert_eq!(bytes, record(number, S::RECORD_MAX));
        let start = found.as_ref().map_or(number, |found| {
            assert_eq!(found.end, number, "a record is missing or repeated");
            found.start
        });
        found = Some(start..number + 1);
    })?;
    Ok(found.unwrap_or(0..0))
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(*bytes.first_chunk().unwrap())
}

/// What a node does with its storage, and what it knows of it.
#[derive(Clone, Debug)]
struct Story {
    /// The records that are there for certain.
    kept: Range<u32>,
    /// The bytes that they count for.
    bytes: usize,
    step: u64,
    seed: u64,
    /// Where the step that failed would have led: records up to here may be there, and from here on none may be missing.
    appending_to: u32,
    trimming_to: u32,
}

impl Story {
    fn new(seed: u64) -> Self {
        Self {
            kept: 0..0,
            bytes: 0,
            step: 0,
            seed,
            appending_to: 0,
            trimming_to: 0,
        }
    }

    fn cost<S: Storage>(number: u32) -> usize {
        record(number, S::RECORD_MAX).len() + S::OVERHEAD
    }

    /// Appends, or drops some of the oldest when there is no room or as chance has it.
    fn go<S: Storage>(&mut self, storage: &mut S) -> Result<(), S::Error> {
        self.step += 1;
        let chance = mix(self.seed ^ mix(self.step));
        let next = Self::cost::<S>(self.kept.end);
        let room = storage.capacity().saturating_sub(self.bytes);
        (self.appending_to, self.trimming_to) = (self.kept.end, self.kept.start);
        if next <= room && !chance.is_multiple_of(8) {
            self.appending_to += 1;
            storage.append(&record(self.kept.end, S::RECORD_MAX))?;
            storage.sync()?;
            self.kept.end += 1;
            self.bytes += next;
        } else if !self.kept.is_empty() {
            let count = 1 + u32::try_from(chance >> 8 & 0xFFFF).unwrap()
                % self.kept.end.abs_diff(self.kept.start);
            self.trimming_to += count;
            let to = self.trimming_to;
            storage.trim(|bytes| number(bytes) < to)?;
            self.bytes -= (self.kept.start..to).map(Self::cost::<S>).sum::<usize>();
            self.kept.start = to;
        }
        Ok(())
    }

    /// Takes what a loss of power has left, if it may.
    fn take_up<S: Storage>(&mut self, storage: &mut S) {
        let found = numbers(storage).expect("what is left can be read");
        if found.is_empty() {
            assert!(
                self.trimming_to >= self.kept.end,
                "lost {:?}: {self:?}",
                self.kept
            );
            self.kept.start = self.kept.end;
        } else {
            assert!(
                found.start <= self.trimming_to.max(self.kept.start) && found.end >= self.kept.end,
                "found {found:?}: {self:?}"
            );
            assert!(found.end <= self.appending_to, "found {found:?}: {self:?}");
            self.kept = found;
        }
        self.bytes = self.kept.clone().map(Self::cost::<S>).sum();
    }
}

/// So many stories a flash; enough for some seconds.
const SEEDS: u64 = 1;

/// So many actions follow a loss of power.
const AFTER: u64 = 24;

/// Cuts the power in every step of a story, and at two steps soon after; lets the story go on for a while, and looks
/// whether all is there. The number of losses of power.
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
        let mut story = Story::new(seed);
        while story.step < 100 {
            let before = driver.steps();
            let (driver_before, story_before) = (driver.clone(), story.clone());
            // The first of all actions is preceded by making the flash ready.
            let mut flash = Flash::<_, RECORD>::open(&mut driver, range.clone()).unwrap();
            story.go(&mut flash).unwrap();
            for at in 0..driver.steps() - before {
                let (mut driver, mut story) = (driver_before.clone(), story_before.clone());
                driver.cut_power_at(at);
                let end = story.step + AFTER;
                // What is left is seen in a copy. To read puts a few things right; not all do.
                let take_up = |story: &mut Story, flash: &mut Flash<&mut _, RECORD>| {
                    let mut copy = SimulatedFlash::clone(flash.pages.driver);
                    copy.restore_power();
                    story.take_up(&mut Flash::<_, RECORD>::open(copy, range.clone()).unwrap());
                    if at % 3 > 0 {
                        flash.read(|_| ())
                    } else {
                        Ok(())
                    }
                };
                let (mut struck, mut goes_on) = (0, at % 2);
                while story.step < end {
                    let opened = Flash::<_, RECORD>::open(&mut driver, range.clone());
                    let lived = opened.and_then(|mut flash| {
                        take_up(&mut story, &mut flash)?;
                        while story.step < end {
                            let Err(error) = story.go(&mut flash) else {
                                continue;
                            };
                            // The node may go on without being started anew, if only its driver has failed.
                            if !flash.pages.driver.is_off() || goes_on == 0 {
                                return Err(error);
                            }
                            goes_on -= 1;
                            struck += 1;
                            flash.pages.driver.restore_power();
                            take_up(&mut story, &mut flash)?;
                        }
                        Ok(())
                    });
                    let Err(error) = lived else { break };
                    let expected = FlashError::Driver(FlashFault::PowerIsOff);
                    assert_eq!(error, expected, "cut {at}, seed {seed}, {story:?}");
                    driver.restore_power();
                    struck += 1;
                    if struck < 3 {
                        driver.cut_power_at(mix(seed ^ (at + struck)) % 8);
                    }
                }
                driver.restore_power();
                assert!(struck > 0, "step {at} was never taken");
                cuts += struck;
                let mut flash = Flash::<_, RECORD>::open(&mut driver, range.clone()).unwrap();
                story.take_up(&mut flash);
            }
        }
    }
    cuts
}

#[test]
fn what_is_appended_outlives_a_cut_at_every_word_and_erase() {
    let cuts = [
        cut_everywhere::<3, 256, 4, 1, 64>(0..SEEDS),
        cut_everywhere::<4, 256, 1, 1, 64>(0..SEEDS),
        cut_everywhere::<5, 256, 2, 2, 64>(0..SEEDS),
        cut_everywhere::<4, 512, 4, 4, 128>(0..SEEDS),
        cut_everywhere::<3, 256, 8, 8, 64>(0..SEEDS),
        cut_everywhere::<6, 256, 16, 1, 64>(0..SEEDS),
        cut_everywhere::<4, 512, 32, 32, 64>(0..SEEDS),
        cut_everywhere::<3, 512, 32, 1, 64>(0..SEEDS),
    ];
    println!("cut points: {} in all, {cuts:?}", cuts.iter().sum::<u64>());
    assert!(cuts.iter().all(|cuts| *cuts > 500));
}

/// Fills a flash to its capacity whatever it has been through, and says how much of the flash that is.
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
    // Many lengths, and then lengths that change, each from several places on.
    for length in (0..=RECORD)
        .step_by(1 + PAGE_BYTES / 512)
        .chain(RECORD..RECORD + 8)
    {
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
fn there_is_room_for_what_is_said() {
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

type Driver = SimulatedFlash<4, 512, 4>;
const RANGE: Range<u32> = 0..2048;

#[test]
fn a_full_flash_says_so_and_goes_on_when_some_is_dropped() {
    let mut driver = Driver::new(6);
    let mut flash = Flash::<_, 64>::open(&mut driver, RANGE).unwrap();
    let mut count = 0;
    while flash.append(&record(count, 64)).is_ok() {
        count += 1;
    }
    assert_eq!(flash.append(&record(count, 64)), Err(FlashError::Full));
    assert_eq!(numbers(&mut flash), Ok(0..count));
    assert_eq!(flash.append(&[0; 65]), Err(FlashError::TooLong));
    let half = count / 2;
    flash.trim(|bytes| number(bytes) < half).unwrap();
    assert_eq!(flash.append(&record(count, 64)), Ok(()));
    assert_eq!(numbers(&mut flash), Ok(half..count + 1));
}

#[test]
fn a_node_that_loses_its_power_again_and_again_is_not_refused() {
    let mut driver = SimulatedFlash::<8, 512, 4>::new(6);
    let mut story = Story::new(6);
    let (mut least, mut most) = (usize::MAX, 0);
    for cut in 0..3_000 {
        driver.restore_power();
        let mut flash = Flash::<_, 64>::open(&mut driver, 0..4096).unwrap();
        story.take_up(&mut flash);
        least = least.min(flash.capacity());
        most = most.max(flash.capacity());
        flash.pages.driver.cut_power_at(mix(cut) % 12);
        let error = loop {
            if let Err(error) = story.go(&mut flash) {
                break error;
            }
        };
        assert_eq!(error, FlashError::Driver(FlashFault::PowerIsOff));
    }
    println!("a capacity between {least} and {most} in a flash that is always torn");
    assert!(least < most);
}

#[test]
fn all_pages_wear_alike() {
    let mut driver = SimulatedFlash::<8, 512, 4>::new(6);
    let mut flash = Flash::<_, 64>::open(&mut driver, 0..4096).unwrap();
    for number_ in 0..30_000 {
        flash.append(&record(number_, 64)).unwrap();
        if number_ % 10 == 0 {
            flash.trim(|bytes| number(bytes) < number_).unwrap();
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
fn what_somebody_else_has_written_is_refused_and_left_alone() {
    let mut driver = Driver::new(6);
    for at in [512, 1536] {
        NorFlash::write(&mut driver, at, b"precious").unwrap();
    }
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
        // What was formatted in part is refused, or is as good as new.
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
fn only_whole_pages_of_the_driver_are_taken() {
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
    for number_ in 0..100 {
        flash.append(&record(number_, 64)).unwrap();
        flash.trim(|bytes| number(bytes) < number_).unwrap();
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
fn a_torn_header_that_passes_for_a_longer_record_hides_nothing() {
    // What a loss of power in the middle of a header leaves is in some cases all of a longer one's.
    let mut passed = 0;
    for seed in 0..20 {
        let mut driver = Driver::new(seed);
        let mut flash = Flash::<_, 128>::open(&mut driver, RANGE).unwrap();
        flash.append(&[1; 8]).unwrap();
        let header = |driver: &mut Driver| {
            let mut bytes = [0; 8];
            driver.read(32, &mut bytes).unwrap();
            bytes
        };
        let mut whole = driver.clone();
        let mut flash = Flash::<_, 128>::open(&mut whole, RANGE).unwrap();
        flash.append(&[7; 128]).unwrap();
        let mut flash = Flash::<_, 128>::open(&mut driver, RANGE).unwrap();
        flash.pages.driver.cut_power_at(1);
        assert!(flash.append(&[7; 128]).is_err());
        driver.restore_power();
        passed += u32::from(header(&mut driver) == header(&mut whole));
        for count in 2..4 {
            let mut flash = Flash::<_, 64>::open(&mut driver, RANGE).unwrap();
            flash.append(&[2; 8]).unwrap();
            let mut found = Vec::new();
            flash.read(|record| found.push(record.to_vec())).unwrap();
            assert_eq!(found.len(), count);
        }
    }
    assert!(passed > 0);
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
fn what_calls_cost() {
    type Driver = SimulatedFlash<16, 4096, 4>;
    type Store<'a> = Flash<&'a mut Driver, 256>;
    let mut driver = Driver::new(6);
    let mut flash = Store::open(&mut driver, 0..65536).unwrap();
    let mut tell = |what: &str, times: u64, work: &mut dyn FnMut(&mut Store)| {
        let figures = |flash: &Store| {
            let driver = &flash.pages.driver;
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
