//! A source of decisions that reads bytes.

use synod::machines::{Key, KvCommand};

/// Decisions read from bytes; after their end, every decision is the first one.
///
/// Small decisions take one byte, so that changing a byte changes one decision and leaves the others as they were.
#[derive(Clone, Debug)]
pub struct Choices<'a> {
    rest: &'a [u8],
}

impl<'a> Choices<'a> {
    /// Returns the decisions of these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// True if no bytes are left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Returns the bytes that are left.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Takes up to `len` bytes as they are.
    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// Takes the next byte, or 0.
    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// Takes the next 64 bits; missing ones are 0.
    pub fn word(&mut self) -> u64 {
        let mut word = [0; 8];
        for (place, byte) in word.iter_mut().zip(self.take(8)) {
            *place = *byte;
        }
        u64::from_le_bytes(word)
    }

    /// Returns a number below `bound`, which is from 1 to 256.
    pub fn below(&mut self, bound: u16) -> u16 {
        u16::from(self.byte()) % bound
    }

    /// Returns an index below `len`, and below 256.
    pub fn index(&mut self, len: usize) -> usize {
        usize::from(self.byte()) % len
    }

    /// Returns true for `in_256` of the 256 values of the next byte, and false after the end of the bytes.
    pub fn chance(&mut self, in_256: u8) -> bool {
        !self.is_empty() && self.byte() < in_256
    }

    /// Returns a number near `middle`, or, rarely, any number.
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

    /// Returns a command that gets or sets one of a few keys.
    pub fn command(&mut self) -> KvCommand {
        let key = Key::numbered(u32::from(self.below(6)));
        match self.byte() {
            0..64 => KvCommand::Get(key),
            value => KvCommand::Set(key, i64::from(value)),
        }
    }
}
