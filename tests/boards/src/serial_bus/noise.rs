//! Line noise: faults of frames on a serial line.

use example_firmware::serial_line;
use rand_core::{Rng, SeedableRng};
use rand_xorshift::XorShiftRng;

/// One frame in this many is garbled.
const ONE_OF: u32 = 12;

/// A seeded generator of noise.
#[derive(Debug)]
pub(super) struct Noise {
    rng: XorShiftRng,
    foreign: Vec<Vec<u8>>,
    garbled: u32,
}

impl Noise {
    pub(super) fn new(seed: u64, foreign: Vec<Vec<u8>>) -> Self {
        Self {
            rng: XorShiftRng::seed_from_u64(seed),
            foreign,
            garbled: 0,
        }
    }

    pub(super) fn garbled(&self) -> u32 {
        self.garbled
    }

    /// Garbles a stuffed frame, or leaves it alone.
    pub(super) fn garble(&mut self, bytes: &mut Vec<u8>) {
        if self.below(ONE_OF) != 0 {
            return;
        }
        self.garbled = self.garbled.saturating_add(1);
        let at = self.place(bytes.len());
        match self.below(5) {
            // Truncated: the rest may run into the next frame.
            0 => bytes.truncate(at),
            1 => {
                bytes.truncate(at);
                bytes.push(0);
            }
            // A changed byte, which may become a delimiter.
            2 => {
                let byte = self.byte();
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            // Inserted bytes.
            3 => {
                let count = self.below(64);
                let noise: Vec<u8> = (0..count).map(|_| self.byte()).collect();
                bytes.splice(at..at, noise);
            }
            // A frame of another cluster.
            _ => {
                let index = self.place(self.foreign.len());
                if let Some(frame) = self.foreign.get(index) {
                    let mut stuffed = Vec::new();
                    serial_line::send(frame, |bytes| stuffed.extend_from_slice(bytes));
                    bytes.splice(0..0, stuffed);
                }
            }
        }
    }

    fn below(&mut self, end: u32) -> u32 {
        self.rng.next_u32() % end.max(1)
    }

    fn place(&mut self, len: usize) -> usize {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        usize::try_from(self.below(len)).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap_or(0)
    }
}
