//! Decisions from bytes.

use synod::machines::{Key, KvCommand};

/// Makes decisions from bytes; when they have run out, every decision is the first one.
///
/// Small decisions take one byte, so that changing a byte changes one decision and leaves the others as they were.
#[derive(Clone, Debug)]
pub struct Choices<'a> {
    rest: &'a [u8],
}

impl<'a> Choices<'a> {
    /// Decides by these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether the bytes have run out.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The bytes that are left.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Up to `len` bytes as they are.
    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// The next byte, or 0.
    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// The next 64 bits; what is missing is 0.
    pub fn word(&mut self) -> u64 {
        let mut word = [0; 8];
        for (place, byte) in word.iter_mut().zip(self.take(8)) {
            *place = *byte;
        }
        u64::from_le_bytes(word)
    }

    /// One of the numbers below `bound`, which is from 1 to 256.
    pub fn below(&mut self, bound: u16) -> u16 {
        u16::from(self.byte()) % bound
    }

    /// One of the places of something so long; at most 256 of them can be meant.
    pub fn index(&mut self, len: usize) -> usize {
        usize::from(self.byte()) % len
    }

    /// Yes, in `in_256` of the 256 values of the next byte; never where the bytes have run out.
    pub fn chance(&mut self, in_256: u8) -> bool {
        !self.is_empty() && self.byte() < in_256
    }

    /// A number near `middle`, or, rarely, any at all.
    pub fn near(&mut self, middle: u64) -> u64 {
        match self.byte() {
            0..=247 if middle == 0 => u64::from(self.byte() % 4),
            offset @ 0..=247 => middle
                .saturating_add(u64::from(offset % 16))
                .saturating_sub(6),
            248..=251 => self.word(),
            252 => 0,
            253 => u64::MAX,
            254 => middle.saturating_add(1 << 32),
            255 => middle / 2,
        }
    }

    /// A command that gets or sets one of a few keys.
    pub fn command(&mut self) -> KvCommand {
        let key = Key::numbered(u32::from(self.below(6)));
        match self.byte() {
            0..64 => KvCommand::Get(key),
            value => KvCommand::Set(key, i64::from(value)),
        }
    }
}
