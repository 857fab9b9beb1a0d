//! A simulated disk, which fails and loses power at any operation, and of which any bit may rot.
//!
//! A disk promises nothing about a write before the next sync: after a loss of power each of its sectors may hold the old
//! bytes or the new ones, in any combination. A sector in the midst of which power failed is old in one part and new in the
//! other.

use crate::Medium;
use rand_core::Rng;
use rand_xorshift::XorShiftRng;
use std::io;

/// What happens when no operations are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// No operation is done any more, and a write stops halfway.
    NoPower,
    /// One operation is refused. After a sync that is refused, the system takes all writes for durable, and the disk has
    /// half of each.
    Once,
}

#[derive(Clone, Debug)]
pub(super) struct SimulatedDisk {
    /// What a process reads.
    now: Vec<u8>,
    /// What survives a loss of power.
    durable: Vec<u8>,
    /// The writes since the last sync.
    since: Vec<(usize, Vec<u8>)>,
    /// The write during which power failed.
    under_way: Option<(usize, Vec<u8>)>,
    /// How many operations are left until the fault.
    left: Option<u32>,
    fault: Fault,
    /// How many writes, syncs, and of both together there were.
    pub(super) writes: u32,
    pub(super) syncs: u32,
    pub(super) operations: u32,
    /// How many bytes were written.
    pub(super) written: usize,
}

impl SimulatedDisk {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self {
            durable: bytes.clone(),
            now: bytes,
            since: Vec::new(),
            under_way: None,
            left: None,
            fault: Fault::NoPower,
            writes: 0,
            syncs: 0,
            operations: 0,
            written: 0,
        }
    }

    /// Brings a fault about after some more operations.
    pub(super) fn fail_after(&mut self, operations: u32, fault: Fault) {
        self.left = Some(operations);
        self.fault = fault;
    }

    /// Ends the fault without a loss of power, as if only the process had been killed.
    pub(super) fn repair(&mut self) {
        self.left = None;
        self.under_way = None;
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.now
    }

    /// Changes a byte, also on the disk.
    pub(super) fn rot(&mut self, at: usize, mask: u8) {
        self.now[at] ^= mask;
        self.durable[at] ^= mask;
    }

    /// Loses power, and has it again. What is left of the writes since the last sync is drawn for each sector.
    pub(super) fn lose_power(&mut self, sector: usize, rng: &mut XorShiftRng) {
        let mut since = core::mem::take(&mut self.since);
        since.extend(self.under_way.take());
        self.repair();
        // In some of the cases all sectors have the same fate, as most often in reality.
        let fate = rng.next_u32() % 8;
        for begin in (0..self.durable.len()).step_by(sector) {
            let end = (begin + sector).min(self.durable.len());
            let mut versions = vec![self.durable[begin..end].to_vec()];
            for (offset, bytes) in &since {
                let (from, to) = (begin.max(*offset), end.min(offset + bytes.len()));
                if from < to {
                    let mut version = versions.last().unwrap().clone();
                    version[from - begin..to - begin]
                        .copy_from_slice(&bytes[from - offset..to - offset]);
                    versions.push(version);
                }
            }
            let pick = |random: u32| usize::try_from(random).unwrap() % versions.len();
            let (one, other) = match fate {
                0 => (versions.len() - 1, versions.len() - 1),
                1 => (0, 0),
                _ => (pick(rng.next_u32()), pick(rng.next_u32())),
            };
            let cut = match rng.next_u32() % 4 {
                0 => usize::try_from(rng.next_u32()).unwrap() % (end - begin),
                _ => 0,
            };
            self.durable[begin..begin + cut].copy_from_slice(&versions[one][..cut]);
            self.durable[begin + cut..end].copy_from_slice(&versions[other][cut..]);
        }
        self.now.clone_from(&self.durable);
    }

    /// Counts down to the fault. Returns false when it strikes.
    fn works(&mut self) -> bool {
        self.operations += 1;
        match (self.left, self.fault) {
            (None, _) => true,
            (Some(0), Fault::NoPower) => false,
            (Some(0), Fault::Once) => {
                self.left = None;
                false
            }
            (Some(left), _) => {
                self.left = Some(left - 1);
                true
            }
        }
    }

    fn put(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        let place = self.now.get_mut(offset..offset + bytes.len());
        place
            .ok_or(io::ErrorKind::UnexpectedEof)?
            .copy_from_slice(bytes);
        self.since.push((offset, bytes.to_vec()));
        Ok(())
    }
}

fn fault() -> io::Error {
    io::Error::other("simulated fault")
}

impl Medium for SimulatedDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(u64::try_from(self.now.len()).unwrap())
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        let found = self.now.get(offset..offset + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.writes += 1;
        self.written += bytes.len();
        if self.works() {
            return self.put(offset, bytes);
        }
        self.put(offset, &bytes[..bytes.len() / 2])?;
        if self.fault == Fault::NoPower {
            let offset = usize::try_from(offset).unwrap();
            self.under_way = Some((offset, bytes.to_vec()));
        }
        Err(fault())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.syncs += 1;
        if self.works() {
            for (offset, bytes) in self.since.drain(..) {
                self.durable[offset..offset + bytes.len()].copy_from_slice(&bytes);
            }
            return Ok(());
        }
        if self.fault == Fault::Once {
            for (offset, bytes) in self.since.drain(..) {
                let half = bytes.len() / 2;
                self.durable[offset..offset + half].copy_from_slice(&bytes[..half]);
            }
        }
        Err(fault())
    }
}
