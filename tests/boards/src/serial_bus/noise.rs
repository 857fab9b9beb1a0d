//! What a bad line makes of frames.

use example_firmware::serial_line;
use rand_core::{Rng, SeedableRng};
use rand_xorshift::XorShiftRng;

/// One frame of so many is struck.
const ONE_OF: u32 = 12;

/// A seeded source of trouble.
#[derive(Debug)]
pub(super) struct Noise {
    rng: XorShiftRng,
    foreign: Vec<Vec<u8>>,
    struck: u32,
}

impl Noise {
    pub(super) fn new(seed: u64, foreign: Vec<Vec<u8>>) -> Self {
        Self {
            rng: XorShiftRng::seed_from_u64(seed),
            foreign,
            struck: 0,
        }
    }

    pub(super) fn struck(&self) -> u32 {
        self.struck
    }

    /// Strikes a frame, as it is on the line, or leaves it.
    pub(super) fn garble(&mut self, bytes: &mut Vec<u8>) {
        if self.below(ONE_OF) != 0 {
            return;
        }
        self.struck = self.struck.saturating_add(1);
        let at = self.place(bytes.len());
        match self.below(5) {
            // Cut: the next frame hangs on to what is left, or not.
            0 => bytes.truncate(at),
            1 => {
                bytes.truncate(at);
                bytes.push(0);
            }
            // A byte is another one, and may be a zero.
            2 => {
                let byte = self.byte();
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            // Bytes out of nothing.
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
