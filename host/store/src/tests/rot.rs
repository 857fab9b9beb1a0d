//! Bit rot: a log that lacks a record is never taken for a shorter one, except for the records of the last sync before a
//! mark.

use super::*;
use rand_core::{Rng, SeedableRng};
use rand_xorshift::XorShiftRng;

/// Returns logs that end in different ways, some of which have gone around the ring, with the number of records in their last
/// blocks.
fn logs() -> Vec<(Log, usize)> {
    let mut logs = Vec::new();
    for (syncs, batch) in [(1, 1), (2, 1), (3, 4), (9, 2), (40, 3), (43, 1), (47, 5)] {
        let mut log = open(blank()).unwrap();
        for turn in 0..syncs {
            append(&mut log, turn * batch..(turn + 1) * batch).unwrap();
            log.sync().unwrap();
            trim(&mut log, (turn * batch).saturating_sub(11)).unwrap();
        }
        logs.push((log, usize::try_from(batch).unwrap()));
    }
    logs
}

/// What rot has led to.
#[derive(Debug, Default)]
struct Outcomes {
    harmless: u32,
    refused: u32,
    /// The records of the last sync are missing.
    shorter: u32,
}

/// Opens what rot has left. It must be refused, or be as it was, or lack the last block.
fn judge(outcomes: &mut Outcomes, rotten: SimulatedDisk, whole: &[u64], batch: usize, what: &str) {
    match open(rotten) {
        Err(error) => {
            assert!(
                matches!(error.problem, Problem::Damaged { .. }),
                "{what}: {error}"
            );
            outcomes.refused += 1;
        }
        Ok(mut log) => {
            let found = numbers(&mut log);
            // Dropped records may be there again.
            let end = found.last().copied();
            if end == whole.last().copied() && found.ends_with(whole) {
                outcomes.harmless += 1;
            } else {
                let rest = &whole[..whole.len() - batch];
                assert!(found.ends_with(rest), "{what}: {found:?} of {whole:?}");
                outcomes.shorter += 1;
            }
        }
    }
}

/// Changes each byte of a log in turn, before and after a mark: by one bit, or by each of its bits.
fn change_everything(every_bit: bool) -> [Outcomes; 2] {
    let mut outcomes = [Outcomes::default(), Outcomes::default()];
    for (mut log, batch) in logs() {
        let whole = numbers(&mut log);
        for outcomes in &mut outcomes {
            let disk = log.medium().clone();
            let is_used =
                |at: &usize| *at >= 4 * 4096 || disk.bytes()[*at] != 0 || at.is_multiple_of(61);
            for at in (0..disk.bytes().len()).filter(is_used) {
                let bits = if every_bit { 0..8 } else { at % 8..at % 8 + 1 };
                for bit in bits {
                    let mut rotten = disk.clone();
                    rotten.rot(at, 1 << bit);
                    judge(
                        outcomes,
                        rotten,
                        &whole,
                        batch,
                        &format!("byte {at}, bit {bit}"),
                    );
                }
            }
            // The second time, there is a mark.
            log.mark().unwrap();
        }
    }
    outcomes
}

fn assert_noticed([before, after]: &[Outcomes; 2]) {
    println!("without a mark {before:?}, with a mark {after:?}");
    assert!(before.harmless > 0 && before.refused > 0 && before.shorter > 0);
    assert!(after.harmless > 0 && after.refused > 0);
    assert_eq!(after.shorter, 0);
}

#[test]
fn d3_a_changed_byte_is_noticed_or_harmless_unless_it_is_in_the_last_sync_before_a_mark() {
    assert_noticed(&change_everything(false));
}

#[test]
#[ignore = "takes a minute"]
fn d3_a_changed_bit_is_noticed_or_harmless_unless_it_is_in_the_last_sync_before_a_mark() {
    assert_noticed(&change_everything(true));
}

#[test]
fn d3_a_torn_block_proves_that_the_one_before_it_was_synced() {
    let mut log = open(blank()).unwrap();
    for turn in 0..2 {
        append(&mut log, turn..turn + 1).unwrap();
        log.sync().unwrap();
    }
    let end = log.medium().bytes().iter().rposition(|byte| *byte != 0);
    append(&mut log, 2..20).unwrap();
    log.sync().unwrap();
    let mut disk = log.into_medium();
    // Power was lost during the third write, and has left its first sector.
    let torn = disk.bytes().iter().rposition(|byte| *byte != 0).unwrap();
    disk.rot(torn, 1);
    let mut log = open(disk.clone()).unwrap();
    assert_eq!(numbers(&mut log), [0, 1]);
    // Then the synced record before it decays.
    disk.rot(end.unwrap(), 1);
    let error = open(disk).unwrap_err();
    assert!(matches!(error.problem, Problem::Damaged { .. }), "{error}");
}

#[test]
fn d3_a_mark_outlasts_the_next_one_that_is_torn() {
    let mut log = open(blank()).unwrap();
    append(&mut log, 0..2).unwrap();
    log.sync().unwrap();
    let last = log.medium().bytes().iter().rposition(|byte| *byte != 0);
    // The last of several marks is torn.
    for floor in 0..3 {
        trim(&mut log, floor).unwrap();
        let before = log.medium().bytes().to_vec();
        log.mark().unwrap();
        let mut disk = log.medium().clone();
        let changed = |at: &usize| disk.bytes()[*at] != before[*at];
        let changed: Vec<_> = (0..before.len()).filter(changed).collect();
        disk.rot(changed[0], disk.bytes()[changed[0]] ^ before[changed[0]]);
        let found = numbers(&mut open(disk.clone()).unwrap());
        assert!(
            found.ends_with(if floor < 2 { &[1] } else { &[] }),
            "{found:?}"
        );
        disk.rot(last.unwrap(), 1);
        // Without any mark, the block seems to be torn.
        assert_eq!(open(disk).is_ok(), floor == 0);
    }
}

#[test]
fn d3_a_log_with_a_mark_is_never_taken_for_a_shorter_one_however_its_ring_has_changed() {
    let mut rng = XorShiftRng::seed_from_u64(6);
    let mut outcomes = Outcomes::default();
    for (mut log, _) in logs() {
        log.mark().unwrap();
        let whole = numbers(&mut log);
        let len = log.medium().bytes().len();
        let mut draw = |below: usize| usize::try_from(rng.next_u32()).unwrap() % below;
        for turn in 0..1000 {
            let mut rotten = log.medium().clone();
            for _ in 0..=draw(3) {
                let begin = 4 * 4096 + draw(len - 4 * 4096);
                let end = (begin + 1 + draw(300)).min(len);
                let source = 4 * 4096 + draw(len - 4 * 4096 - 300);
                for at in begin..end {
                    // Noise, zeros, or a copy of other bytes of the ring.
                    let bytes = rotten.bytes();
                    let new = match turn % 3 {
                        0 => u8::try_from(draw(256)).unwrap(),
                        1 => 0,
                        _ => bytes[source + (at - begin)],
                    };
                    let mask = bytes[at] ^ new;
                    rotten.rot(at, mask);
                }
            }
            judge(&mut outcomes, rotten, &whole, 0, &format!("turn {turn}"));
        }
    }
    println!("{outcomes:?}");
    assert!(outcomes.harmless > 0 && outcomes.refused > 0 && outcomes.shorter == 0);
}

/// Returns a log after each of many syncs, with a mark after each. The last ones have gone around the ring.
fn history() -> Vec<Log> {
    let mut log = open(blank()).unwrap();
    let mut states = vec![log.clone()];
    for turn in 0..50 {
        append(&mut log, 2 * turn..2 * (turn + 1)).unwrap();
        log.sync().unwrap();
        trim(&mut log, (2 * turn).saturating_sub(11)).unwrap();
        log.mark().unwrap();
        states.push(log.clone());
    }
    states
}

#[test]
fn d3_a_lost_or_misdirected_write_of_a_sector_or_a_page_is_noticed_or_harmless() {
    let states = history();
    let mut last = states.last().unwrap().clone();
    let whole = numbers(&mut last);
    let disk = last.medium();
    let mut outcomes = Outcomes::default();
    for size in [512, 4096] {
        for at in (0..disk.bytes().len()).step_by(size) {
            let mut replace = |new: &[u8], what: String| {
                let mut rotten = disk.clone();
                for (at, byte) in (at..).zip(new) {
                    let mask = rotten.bytes()[at] ^ byte;
                    rotten.rot(at, mask);
                }
                judge(&mut outcomes, rotten, &whole, 0, &format!("{at}: {what}"));
            };
            replace(&vec![0; size], "zeros".to_owned());
            replace(&vec![0xff; size], "ones".to_owned());
            for (turn, state) in states.iter().enumerate() {
                let older = &state.medium().bytes()[at..at + size];
                replace(older, format!("as after sync {turn}"));
            }
            for from in (0..disk.bytes().len()).step_by(size) {
                replace(&disk.bytes()[from..from + size], format!("that of {from}"));
            }
        }
    }
    println!("{outcomes:?}");
    assert!(outcomes.harmless > 1000 && outcomes.refused > 100 && outcomes.shorter == 0);
}

#[test]
fn d3_a_file_that_was_cut_off_anywhere_is_refused_also_when_zeros_have_taken_the_place() {
    let states = history();
    let mut log = states.last().unwrap().clone();
    let whole = numbers(&mut log);
    let bytes = log.medium().bytes();
    let mut outcomes = Outcomes::default();
    for len in 0..bytes.len() {
        let cut = SimulatedDisk::new(bytes[..len].to_vec());
        assert!(open(cut).is_err(), "{len} bytes");
        let mut zeroed = bytes.to_vec();
        zeroed[len..].fill(0);
        // Without a superblock it is no log any more.
        if len > 40 {
            let zeroed = SimulatedDisk::new(zeroed);
            judge(&mut outcomes, zeroed, &whole, 0, &format!("from {len}"));
        }
    }
    println!("{outcomes:?}");
    assert!(outcomes.refused > 1000 && outcomes.shorter == 0);
}

#[test]
fn d3_rot_is_noticed_while_the_log_is_open_and_nothing_is_written_after_it() {
    let mut log = open(blank()).unwrap();
    append(&mut log, 0..20).unwrap();
    log.sync().unwrap();
    append(&mut log, 20..21).unwrap();
    let disk = log.medium_mut();
    let last = disk.bytes().iter().rposition(|byte| *byte != 0).unwrap();
    disk.rot(last, 1);
    let error = trim(&mut log, 21).unwrap_err();
    assert!(matches!(error.problem, Problem::Damaged { .. }), "{error}");
    for error in [log.append(b"more"), log.sync(), log.mark()] {
        let error = error.unwrap_err();
        assert!(matches!(error.problem, Problem::Failed), "{error}");
    }
}

#[test]
fn records_that_look_like_blocks_are_not_taken_for_blocks() {
    let mut log = open(blank()).unwrap();
    append(&mut log, 0..2).unwrap();
    log.sync().unwrap();
    let mut held = vec![record(0), record(1)];
    let ring = &log.medium().bytes()[4 * 4096..];
    let block = ring[..100].to_vec();
    // Copies at each place within a unit, in blocks of their own and together.
    for filler in 0..16 {
        let copy = [&vec![0; filler % 8], &block[..]].concat();
        log.append(&copy).unwrap();
        held.push(copy);
        if filler < 8 {
            log.sync().unwrap();
        }
    }
    log.sync().unwrap();
    let mut found = Vec::new();
    let mut log = open(log.into_medium()).unwrap();
    log.read(|record| found.push(record.to_vec())).unwrap();
    assert_eq!(found, held);

    // The block with the last eight is torn. What is left of it is not searched in vain.
    let last = log.medium().bytes().len() - 1;
    let torn = log.medium().bytes().iter().rposition(|byte| *byte != 0);
    let mut disk = log.into_medium();
    disk.rot(torn.unwrap().min(last), 1);
    let error = open(disk).unwrap_err();
    assert!(matches!(error.problem, Problem::Damaged { .. }), "{error}");
}
