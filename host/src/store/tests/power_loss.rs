//! Simulated loss of power: a medium of which only the synced bytes and parts of later writes are left.
//!
//! A disk promises nothing about a write before the next sync. It may be there or not, and of a long one any of its
//! sectors may. What a sector holds after power failed in the midst of its write is either old or new, byte by byte; a
//! worse disk may garble the whole page, which a store must survive for its marks.

use crate::store::medium::{Medium, Memory};
use crate::store::superblock::{PAGE, SUPERBLOCK};
use std::io;
use std::sync::Mutex;
use synod::{Digest, Sink};

/// Size of a sector in bytes: the smallest that disks have, so that most writes are torn.
const SECTOR: usize = 512;

/// A medium that can lose power. It keeps the synced bytes and the writes since.
#[derive(Debug)]
pub(super) struct Powered {
    /// What a running process reads.
    now: Memory,
    /// What was synced.
    durable: Memory,
    /// Writes since the last sync, with their offsets.
    since: Mutex<Vec<(u64, Vec<u8>)>>,
    /// Number of operations before power is lost.
    left: Mutex<u32>,
}

/// What a loss of power leaves of the writes since the last sync.
#[derive(Clone, Copy, Debug)]
pub(super) enum Remains {
    Nothing,
    Everything,
    /// The first or the last sector of each write.
    OnlyOne {
        first: bool,
    },
    /// All but the first or the last sector of each write.
    AllButOne {
        first: bool,
    },
    /// Nothing of the records, and of a mark other bytes in its whole page.
    GarbledMark,
    /// For each sector, from a seed: the old one, the new one, or the beginning of one and the end of the other.
    Mixed(u64),
}

impl Powered {
    /// Returns a medium with durable contents, which loses power at the operation after `calls` others.
    pub(super) fn new(bytes: &[u8], calls: u32) -> Self {
        Self {
            now: Memory::new(bytes.to_vec()),
            durable: Memory::new(bytes.to_vec()),
            since: Mutex::default(),
            left: Mutex::new(calls),
        }
    }

    /// Returns the medium after the process was killed: what it wrote is there, and not durable until the next sync.
    pub(super) fn killed(&self) -> Self {
        let now = self.now.bytes();
        let mut since = self.since.lock().unwrap().clone();
        // The write during which it was killed has not happened.
        since.retain(|(offset, bytes)| {
            let begin = usize::try_from(*offset).unwrap();
            now[begin..begin + bytes.len()] == **bytes
        });
        Self {
            now: Memory::new(now),
            durable: Memory::new(self.durable.bytes()),
            since: Mutex::new(since),
            left: Mutex::new(u32::MAX),
        }
    }

    /// Counts down to the operation at which power is lost.
    fn has_power(&self) -> io::Result<()> {
        let mut left = self.left.lock().unwrap();
        *left = left.checked_sub(1).ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(())
    }

    /// Returns the bytes found afterwards.
    pub(super) fn after(&self, remains: Remains) -> Vec<u8> {
        let mut bytes = self.durable.bytes();
        for (write, (offset, new)) in (0..).zip(&*self.since.lock().unwrap()) {
            let begin = usize::try_from(*offset).unwrap();
            let end = begin + new.len();
            if matches!(remains, Remains::GarbledMark) && *offset < SUPERBLOCK {
                let page = usize::try_from(PAGE).unwrap();
                bytes[begin / page * page..][..page].fill(0xa5);
            }
            let sectors = begin / SECTOR..end.div_ceil(SECTOR);
            for sector in sectors.clone() {
                let whole = (sector * SECTOR).max(begin)..((sector + 1) * SECTOR).min(end);
                let is_first = sector == sectors.start;
                let is_last = sector + 1 == sectors.end;
                let is_chosen = |first: bool| if first { is_first } else { is_last };
                let part = match remains {
                    Remains::Everything => whole,
                    Remains::OnlyOne { first } if is_chosen(first) => whole,
                    Remains::AllButOne { first } if !is_chosen(first) => whole,
                    Remains::Mixed(seed) => mixed(seed ^ write << 32, sector, whole),
                    _ => continue,
                };
                bytes[part.clone()].copy_from_slice(&new[part.start - begin..part.end - begin]);
            }
        }
        bytes
    }
}

/// Draws which bytes of a sector are new.
fn mixed(seed: u64, sector: usize, whole: core::ops::Range<usize>) -> core::ops::Range<usize> {
    let chance = draw(seed, u64::try_from(sector).unwrap());
    let cut = whole.start + usize::try_from(chance >> 8).unwrap() % (whole.len() + 1);
    match chance % 6 {
        0 | 1 => whole,
        2 | 3 => whole.start..whole.start,
        4 => whole.start..cut,
        _ => cut..whole.end,
    }
}

/// Draws a number for a sector, the same each time.
fn draw(seed: u64, place: u64) -> u64 {
    let mut digest = Digest::new();
    digest.put_u64(seed);
    digest.put_u64(place);
    digest.put_u64(0);
    digest.value() >> 8
}

impl Medium for Powered {
    fn len(&self) -> io::Result<u64> {
        self.now.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.now.read(offset, out)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        // A write may be interrupted, too.
        self.since.lock().unwrap().push((offset, bytes.to_vec()));
        self.has_power()?;
        self.now.write(offset, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.has_power()?;
        for (offset, bytes) in self.since.lock().unwrap().drain(..) {
            self.durable.write(offset, &bytes)?;
        }
        Ok(())
    }
}
