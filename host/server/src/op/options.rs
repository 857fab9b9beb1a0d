//! The options of operations as numbers, for their encoding.

use super::codec::{put_value, value, word};
use super::{Condition, ExpireOnly, Expiry, SetAnswer, Unit};
use synod::Sink;

impl Unit {
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Seconds => 0,
            Self::Milliseconds => 1,
        }
    }

    pub(super) fn of(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Seconds),
            1 => Some(Self::Milliseconds),
            _ => None,
        }
    }
}

impl SetAnswer {
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Status => 0,
            Self::Old => 1,
            Self::Count => 2,
        }
    }

    pub(super) fn of(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Status),
            1 => Some(Self::Old),
            2 => Some(Self::Count),
            _ => None,
        }
    }
}

impl ExpireOnly {
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Always => 0,
            Self::Never => 1,
            Self::Expiring => 2,
            Self::Later => 3,
            Self::Earlier => 4,
        }
    }

    pub(super) fn of(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Always),
            1 => Some(Self::Never),
            2 => Some(Self::Expiring),
            3 => Some(Self::Later),
            4 => Some(Self::Earlier),
            _ => None,
        }
    }
}

impl<'a> Condition<'a> {
    /// A number below 4.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Always => 0,
            Self::Absent => 1,
            Self::Present => 2,
            Self::Equals(_) => 3,
        }
    }

    /// Writes the value to compare with, if there is one.
    pub(super) fn put_value(self, sink: &mut impl Sink) {
        if let Self::Equals(value) = self {
            put_value(sink, value);
        }
    }

    /// Reads what belongs to a condition with this number.
    pub(super) fn read(number: u8, bytes: &mut &'a [u8]) -> Option<Self> {
        match number {
            0 => Some(Self::Always),
            1 => Some(Self::Absent),
            2 => Some(Self::Present),
            3 => Some(Self::Equals(value(bytes)?)),
            _ => None,
        }
    }
}

impl Expiry {
    /// A number below 4.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Never => 0,
            Self::Keep => 1,
            Self::In(_) => 2,
            Self::At(_) => 3,
        }
    }

    /// Writes the time, if there is one.
    pub(super) fn put_time(self, sink: &mut impl Sink) {
        match self {
            Self::Never | Self::Keep => {}
            Self::In(time) | Self::At(time) => sink.put_u64(time),
        }
    }

    /// Reads what belongs to an expiry with this number.
    pub(super) fn read(number: u8, bytes: &mut &[u8]) -> Option<Self> {
        match number {
            0 => Some(Self::Never),
            1 => Some(Self::Keep),
            2 => Some(Self::In(word(bytes)?)),
            3 => Some(Self::At(word(bytes)?)),
            _ => None,
        }
    }
}
