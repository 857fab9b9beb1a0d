//! The encoding of operations in the log.
//!
//! An operation is a byte for its kind, then its parts: a key or a pattern after its length in one byte, a value after its
//! length in two, a list after its number of items in two, numbers in little-endian order, and options in one byte
//! each. Every operation has one encoding, and all other bytes are refused.

use super::{Condition, ExpireOnly, Expiry, KEY_MAX, Op, SetAnswer, Tick, Unit, VALUE_MAX};
use synod::Sink;

/// The kinds of operations.
mod kind {
    pub(super) const GET: u8 = 0;
    pub(super) const GET_MANY: u8 = 1;
    pub(super) const EXISTS: u8 = 2;
    pub(super) const LENGTH: u8 = 3;
    pub(super) const TYPE: u8 = 4;
    pub(super) const TIME_LEFT: u8 = 5;
    pub(super) const SIZE: u8 = 6;
    pub(super) const KEYS: u8 = 7;
    pub(super) const SCAN: u8 = 8;
    pub(super) const SET: u8 = 9;
    pub(super) const SET_MANY: u8 = 10;
    pub(super) const TAKE: u8 = 11;
    pub(super) const GET_AND_EXPIRE: u8 = 12;
    pub(super) const DELETE: u8 = 13;
    pub(super) const DELETE_IF: u8 = 14;
    pub(super) const ADD: u8 = 15;
    pub(super) const APPEND: u8 = 16;
    pub(super) const EXPIRE: u8 = 17;
    pub(super) const PERSIST: u8 = 18;
    pub(super) const TICK: u8 = 19;
}

impl Op<'_> {
    /// Writes the operation. If it is not [valid](Op::is_valid), nothing can decode what is written.
    pub fn encode(&self, sink: &mut impl Sink) {
        match self {
            Self::Get(key) => put_kind_and_key(sink, kind::GET, key),
            Self::GetMany(keys) => put_kind_and_keys(sink, kind::GET_MANY, keys),
            Self::Exists(keys) => put_kind_and_keys(sink, kind::EXISTS, keys),
            Self::Length(key) => put_kind_and_key(sink, kind::LENGTH, key),
            Self::Type(key) => put_kind_and_key(sink, kind::TYPE, key),
            Self::TimeLeft { key, unit } => {
                put_kind_and_key(sink, kind::TIME_LEFT, key);
                sink.put_u8(unit.number());
            }
            Self::Size => sink.put_u8(kind::SIZE),
            Self::Keys(pattern) => put_kind_and_key(sink, kind::KEYS, pattern),
            Self::Scan {
                cursor,
                pattern,
                count,
            } => {
                sink.put_u8(kind::SCAN);
                sink.put_u64(*cursor);
                sink.put_u32(*count);
                put_pattern(sink, *pattern);
            }
            Self::Set {
                key,
                value,
                condition,
                expiry,
                answer,
            } => {
                put_kind_and_key(sink, kind::SET, key);
                put_value(sink, value);
                sink.put_u8(condition.number() | expiry.number() << 2 | answer.number() << 4);
                condition.put_value(sink);
                expiry.put_time(sink);
            }
            Self::SetMany(pairs) => put_pairs(sink, pairs),
            Self::Take(key) => put_kind_and_key(sink, kind::TAKE, key),
            Self::GetAndExpire { key, expiry } => {
                put_kind_and_key(sink, kind::GET_AND_EXPIRE, key);
                sink.put_u8(expiry.number());
                expiry.put_time(sink);
            }
            Self::Delete(keys) => put_kind_and_keys(sink, kind::DELETE, keys),
            Self::DeleteIf { key, condition } => {
                put_kind_and_key(sink, kind::DELETE_IF, key);
                sink.put_u8(condition.number());
                condition.put_value(sink);
            }
            Self::Add { key, by } => {
                put_kind_and_key(sink, kind::ADD, key);
                sink.put(&by.to_le_bytes());
            }
            Self::Append { key, value } => {
                put_kind_and_key(sink, kind::APPEND, key);
                put_value(sink, value);
            }
            Self::Expire { key, expiry, only } => {
                put_kind_and_key(sink, kind::EXPIRE, key);
                sink.put_u8(only.number() | expiry.number() << 4);
                expiry.put_time(sink);
            }
            Self::Persist(key) => put_kind_and_key(sink, kind::PERSIST, key),
            Self::Tick(tick) => put_tick(sink, *tick),
        }
    }

    /// Returns how many bytes [`Op::encode`] writes.
    pub fn encoded_len(&self) -> usize {
        /// Counts bytes.
        struct Count(usize);

        impl Sink for Count {
            fn put(&mut self, bytes: &[u8]) {
                self.0 += bytes.len();
            }
        }

        let mut count = Count(0);
        self.encode(&mut count);
        count.0
    }
}

impl<'a> Op<'a> {
    /// Reads the operation at the start of `bytes`, which is then after it; `None` if there is none.
    pub fn decode(bytes: &mut &'a [u8]) -> Option<Self> {
        Some(match byte(bytes)? {
            kind::GET => Self::Get(key(bytes)?),
            kind::GET_MANY => Self::GetMany(list(bytes, key)?),
            kind::EXISTS => Self::Exists(list(bytes, key)?),
            kind::LENGTH => Self::Length(key(bytes)?),
            kind::TYPE => Self::Type(key(bytes)?),
            kind::TIME_LEFT => Self::TimeLeft {
                key: key(bytes)?,
                unit: Unit::of(byte(bytes)?)?,
            },
            kind::SIZE => Self::Size,
            kind::KEYS => Self::Keys(key(bytes)?),
            kind::SCAN => Self::Scan {
                cursor: word(bytes)?,
                count: array(bytes).map(u32::from_le_bytes)?,
                pattern: match byte(bytes)? {
                    0 => None,
                    1 => Some(key(bytes)?),
                    _ => return None,
                },
            },
            kind::SET => {
                let (key, value, options) = (key(bytes)?, value(bytes)?, byte(bytes)?);
                let answer = SetAnswer::of(options >> 4)?;
                Self::Set {
                    key,
                    value,
                    condition: Condition::read(options & 3, bytes)?,
                    expiry: Expiry::read(options >> 2 & 3, bytes)?,
                    answer,
                }
            }
            kind::SET_MANY => Self::SetMany(list(bytes, pair)?),
            kind::TAKE => Self::Take(key(bytes)?),
            kind::GET_AND_EXPIRE => Self::GetAndExpire {
                key: key(bytes)?,
                expiry: Expiry::read(byte(bytes)?, bytes)?,
            },
            kind::DELETE => Self::Delete(list(bytes, key)?),
            kind::DELETE_IF => Self::DeleteIf {
                key: key(bytes)?,
                condition: Condition::read(byte(bytes)?, bytes)?,
            },
            kind::ADD => Self::Add {
                key: key(bytes)?,
                by: array(bytes).map(i64::from_le_bytes)?,
            },
            kind::APPEND => Self::Append {
                key: key(bytes)?,
                value: value(bytes)?,
            },
            kind::EXPIRE => {
                let (key, options) = (key(bytes)?, byte(bytes)?);
                let only = ExpireOnly::of(options & 15)?;
                let expiry = Expiry::read(options >> 4, bytes)?;
                if !expiry.is_time() {
                    return None;
                }
                Self::Expire { key, expiry, only }
            }
            kind::PERSIST => Self::Persist(key(bytes)?),
            kind::TICK => Self::Tick(Tick {
                ballot: word(bytes)?,
                since: word(bytes)?,
                unix: word(bytes)?,
            }),
            _ => return None,
        })
    }
}

/// Writes a key or a pattern. A length that does not fit becomes one that is refused.
fn put_key(sink: &mut impl Sink, key: &[u8]) {
    sink.put_u8(u8::try_from(key.len()).unwrap_or(u8::MAX));
    sink.put(key);
}

/// Writes a value. A length that does not fit becomes one that is refused.
pub(super) fn put_value(sink: &mut impl Sink, value: &[u8]) {
    put_count(sink, value.len());
    sink.put(value);
}

/// Writes a number of bytes or items.
fn put_count(sink: &mut impl Sink, count: usize) {
    let count = u16::try_from(count).unwrap_or(u16::MAX);
    sink.put(&count.to_le_bytes());
}

fn put_pattern(sink: &mut impl Sink, pattern: Option<&[u8]>) {
    sink.put_u8(u8::from(pattern.is_some()));
    if let Some(pattern) = pattern {
        put_key(sink, pattern);
    }
}

fn put_pairs(sink: &mut impl Sink, pairs: &[(&[u8], &[u8])]) {
    sink.put_u8(kind::SET_MANY);
    put_count(sink, pairs.len());
    for (key, value) in pairs {
        put_key(sink, key);
        put_value(sink, value);
    }
}

fn put_tick(sink: &mut impl Sink, tick: Tick) {
    sink.put_u8(kind::TICK);
    sink.put_u64(tick.ballot);
    sink.put_u64(tick.since);
    sink.put_u64(tick.unix);
}

fn put_kind_and_key(sink: &mut impl Sink, kind: u8, key: &[u8]) {
    sink.put_u8(kind);
    put_key(sink, key);
}

fn put_kind_and_keys(sink: &mut impl Sink, kind: u8, keys: &[&[u8]]) {
    sink.put_u8(kind);
    put_count(sink, keys.len());
    for key in keys {
        put_key(sink, key);
    }
}

/// Reads the next `N` bytes.
fn array<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

fn byte(bytes: &mut &[u8]) -> Option<u8> {
    array(bytes).map(|[byte]| byte)
}

pub(super) fn word(bytes: &mut &[u8]) -> Option<u64> {
    array(bytes).map(u64::from_le_bytes)
}

fn count(bytes: &mut &[u8]) -> Option<usize> {
    array(bytes).map(|count| usize::from(u16::from_le_bytes(count)))
}

fn key<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::from(byte(bytes)?);
    if len > KEY_MAX {
        return None;
    }
    bytes.split_off(..len)
}

pub(super) fn value<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = count(bytes)?;
    if len > VALUE_MAX {
        return None;
    }
    bytes.split_off(..len)
}

fn pair<'a>(bytes: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    Some((key(bytes)?, value(bytes)?))
}

/// Reads a list that is not empty. It takes memory for items that are there, whatever number of them is claimed.
fn list<'a, T>(bytes: &mut &'a [u8], item: impl Fn(&mut &'a [u8]) -> Option<T>) -> Option<Vec<T>> {
    let count = count(bytes)?;
    // An item has at least one byte.
    if count == 0 || count > bytes.len() {
        return None;
    }
    (0..count).map(|_| item(bytes)).collect()
}
