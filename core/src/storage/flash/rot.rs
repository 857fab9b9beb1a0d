//! Tests of bit rot: a log that lacks a record is never taken for a shorter one.
//!
//! Each bit of a flash is flipped in turn. The log may be refused, or may show a garbled record in its place, or may
//! lack its oldest records; the journal above detects the latter two. What it must never do is to end early and look
//! whole.

extern crate std;

use super::scenarios::{number, record};
use super::{Flash, FlashError};
use crate::simulation::{FlashFault, SimulatedFlash};
use crate::storage::Storage;
use core::ops::Range;
use std::println;
use std::vec::Vec;

const PAGE: u32 = 256;
type Driver = SimulatedFlash<4, 256>;
type Store = Flash<Driver, 64>;
const RANGE: Range<u32> = 0..4 * PAGE;

/// Returns the numbers of the records, in order; `None` for each that is garbled.
///
/// On a copy, so that one driver serves for all flips.
fn found(driver: &Driver) -> Result<Vec<Option<u32>>, FlashError<FlashFault>> {
    let mut found = Vec::new();
    let mut flash = Store::open(driver.clone(), RANGE)?;
    flash.read(|bytes| found.push(number(bytes, 64)))?;
    Ok(found)
}

/// Returns a flash to which `count` records were appended, of which `kept` remain, or as many as there is room for.
fn with_records(count: u32, kept: u32) -> Driver {
    let mut flash = Store::open(Driver::new(6), RANGE).unwrap();
    for next in 0..count {
        let is_stale =
            |bytes: &[u8], kept| number(bytes, 64).is_some_and(|number| number + kept <= next);
        flash.trim(|bytes| is_stale(bytes, kept)).unwrap();
        while flash.append(&record(next, 64)) == Err(FlashError::Full) {
            let mut left = 1;
            flash.trim(|_| core::mem::take(&mut left) > 0).unwrap();
        }
    }
    flash.into_driver()
}

/// Returns the address of the n-th newest page.
///
/// By the numbers in the headers, as places are used in a circle.
fn page_of(driver: &Driver, nth_newest: u32) -> u32 {
    let mut flash = Store::open(driver.clone(), RANGE).unwrap();
    let pages = (0..4).filter_map(|place| flash.log.pages.number_at(place).unwrap());
    let newest = pages.max().unwrap();
    (newest - nth_newest) % 4 * PAGE
}

#[test]
fn d3_a_changed_bit_in_flash_is_detected_or_harmless() {
    let (mut refused, mut garbled, mut shorter, mut harmless) = (0, 0, 0, 0);
    // Logs of one page, of several, and of all pages after the oldest were used again.
    for count in [1, 2, 6, 7, 11, 30, 31, 33, 37, 40, 44] {
        for kept in [1, 8, 100] {
            let mut driver = with_records(count, kept);
            let whole = found(&driver).unwrap();
            assert_eq!(whole.last(), Some(&Some(count - 1)));
            for address in RANGE {
                for bit in 0..8 {
                    driver.flip(address, 1 << bit);
                    match found(&driver) {
                        Ok(found) => {
                            // Oldest records may be missing, which their numbers tell, but not all records.
                            assert!(!found.is_empty() && whole.len() >= found.len());
                            let same = whole.iter().rev().zip(found.iter().rev());
                            let changed = same.filter(|(whole, found)| whole != found);
                            let changed: Vec<_> = changed.map(|(_, found)| *found).collect();
                            match changed[..] {
                                [] if found.len() == whole.len() => harmless += 1,
                                [] => shorter += 1,
                                [None] => garbled += 1,
                                _ => panic!("{count} records, {address}: {found:?}"),
                            }
                        }
                        Err(error) => {
                            assert_eq!(error, FlashError::Damaged, "{count} records, {address}");
                            refused += 1;
                        }
                    }
                    driver.flip(address, 1 << bit);
                }
            }
        }
    }
    println!(
        "{refused} refused, {garbled} garbled, {shorter} lack the oldest, {harmless} harmless"
    );
    assert!(refused > 0 && garbled > 0 && shorter > 0);
}

#[test]
fn d3_a_page_that_lost_its_header_is_missed() {
    let driver = with_records(40, 11);
    assert!(found(&driver).is_ok());
    for (nth_newest, expected) in [
        (0, Some(FlashError::Damaged)),
        (1, Some(FlashError::Damaged)),
        (2, Some(FlashError::Damaged)),
        // All of its records are dropped.
        (3, None),
    ] {
        // The format, the number and the checksum of the header.
        for byte in 0..12 {
            let mut driver = driver.clone();
            driver.flip(page_of(&driver, nth_newest) + byte, 0x55);
            assert_eq!(found(&driver).err(), expected, "{nth_newest}, {byte}");
        }
    }
}

#[test]
fn d3_the_only_page_with_records_is_missed() {
    let mut driver = with_records(1, 1);
    driver.flip(PAGE, 1);
    assert_eq!(found(&driver), Err(FlashError::Damaged));
    // Without its two headers the flash is one that never was ours.
    driver.flip(0, 1);
    assert_eq!(found(&driver), Err(FlashError::Foreign));
}
