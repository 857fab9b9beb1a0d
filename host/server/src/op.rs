//! Operations on the keyspace: what a command of a client means, after its names and options were read.
//!
//! An operation that may change the keyspace is stored in the log, as a part of a batch. One that only reads is evaluated at
//! the node that was asked, unless it is a part of a transaction.

mod codec;
mod options;
#[cfg(test)]
pub(crate) mod tests;

/// The longest key, in bytes.
pub const KEY_MAX: usize = 128;
/// The longest value, in bytes. A key and a value of these lengths fit in one batch together.
pub const VALUE_MAX: usize = 256;

/// An operation on the keyspace. Keys and values are bytes of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    /// `GET key`: the value, or nil.
    Get(&'a [u8]),
    /// `MGET key …`: an array of values or nil.
    GetMany(Vec<&'a [u8]>),
    /// `EXISTS key …`: how many of the keys exist, a key that is named twice counted twice.
    Exists(Vec<&'a [u8]>),
    /// `STRLEN key`: the length of the value, 0 without one.
    Length(&'a [u8]),
    /// `TYPE key`: the status `string` or `none`.
    Type(&'a [u8]),
    /// `TTL` and `PTTL`: the time that is left, −1 for a key that does not expire, −2 without one.
    TimeLeft {
        /// The key.
        key: &'a [u8],
        /// The unit of the reply.
        unit: Unit,
    },
    /// `DBSIZE`: the number of keys.
    Size,
    /// `KEYS pattern`: an array of all keys that match a glob.
    Keys(&'a [u8]),
    /// `SCAN cursor [MATCH pattern] [COUNT count]`: the next cursor and an array of keys.
    Scan {
        /// Where to go on: 0 at first, then the cursor of the reply before.
        cursor: u64,
        /// The glob that keys must match; `None` for all.
        pattern: Option<&'a [u8]>,
        /// About how many keys are looked at.
        count: u32,
    },
    /// `SET` with all its options, `SETNX` and `GETSET`.
    Set {
        /// The key.
        key: &'a [u8],
        /// The new value.
        value: &'a [u8],
        /// When it is set at all.
        condition: Condition<'a>,
        /// When the key expires.
        expiry: Expiry,
        /// What is replied.
        answer: SetAnswer,
    },
    /// `MSET key value …`: sets all of the pairs.
    SetMany(Vec<(&'a [u8], &'a [u8])>),
    /// `GETDEL key`: removes the key and returns its value.
    Take(&'a [u8]),
    /// `GETEX key …`: returns the value and sets when the key expires.
    GetAndExpire {
        /// The key.
        key: &'a [u8],
        /// When it expires.
        expiry: Expiry,
    },
    /// `DEL key …` and `UNLINK key …`: how many were removed.
    Delete(Vec<&'a [u8]>),
    /// `DELEX key [IFEQ value]`: removes the key if the condition holds; 1 if it was removed, otherwise 0.
    DeleteIf {
        /// The key.
        key: &'a [u8],
        /// When it is removed.
        condition: Condition<'a>,
    },
    /// `INCR`, `DECR`, `INCRBY` and `DECRBY`: the value as an integer, after the addition.
    Add {
        /// The key.
        key: &'a [u8],
        /// What is added; negative to subtract.
        by: i64,
    },
    /// `APPEND key value`: the length afterwards.
    Append {
        /// The key.
        key: &'a [u8],
        /// What is appended.
        value: &'a [u8],
    },
    /// `EXPIRE`, `PEXPIRE`, `EXPIREAT` and `PEXPIREAT`: 1 if the time was set, otherwise 0.
    Expire {
        /// The key.
        key: &'a [u8],
        /// When it expires: [`Expiry::In`] or [`Expiry::At`].
        expiry: Expiry,
        /// When the time is set at all.
        only: ExpireOnly,
    },
    /// `PERSIST key`: 1 if the key expired and does not any more, otherwise 0.
    Persist(&'a [u8]),
    /// The progress of time, from the leader. No client can send it.
    Tick(Tick),
}

/// The unit of a time that is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds, rounded to the nearest.
    Seconds,
    /// Milliseconds.
    Milliseconds,
}

/// A condition on the value of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition<'a> {
    /// It always holds.
    Always,
    /// `NX`: the key does not exist.
    Absent,
    /// `XX`: the key exists.
    Present,
    /// `IFEQ value`: the key has this value.
    Equals(&'a [u8]),
}

/// When a key expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Never.
    Never,
    /// As before (`KEEPTTL`).
    Keep,
    /// After this many milliseconds, of which it gets at least all. With none, it expires at once.
    In(u64),
    /// At this time, in milliseconds since 1970. If that is over, it expires at once.
    At(u64),
}

/// What a `SET` replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetAnswer {
    /// `OK`, or nil if the condition did not hold.
    Status,
    /// The value before, or nil (`GET` and `GETSET`).
    Old,
    /// 1 or 0 (`SETNX`).
    Count,
}

/// A condition on the time at which a key expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpireOnly {
    /// It always holds.
    Always,
    /// `NX`: the key does not expire.
    Never,
    /// `XX`: the key expires.
    Expiring,
    /// `GT`: the new time is later. A key that does not expire counts as infinitely late.
    Later,
    /// `LT`: the new time is earlier.
    Earlier,
}

/// What the leader says about time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// The ballot under which the leader leads, as a number.
    pub ballot: u64,
    /// The time since that leadership began, in milliseconds.
    pub since: u64,
    /// The time of the leader's clock, in milliseconds since 1970.
    pub unix: u64,
}

impl Op<'_> {
    /// True if the operation may change the keyspace, so that it must go through the log.
    pub fn is_write(&self) -> bool {
        match self {
            Self::Get(_)
            | Self::GetMany(_)
            | Self::Exists(_)
            | Self::Length(_)
            | Self::Type(_)
            | Self::TimeLeft { .. }
            | Self::Size
            | Self::Keys(_)
            | Self::Scan { .. } => false,
            Self::GetAndExpire { expiry, .. } => *expiry != Expiry::Keep,
            Self::Set { .. }
            | Self::SetMany(_)
            | Self::Take(_)
            | Self::Delete(_)
            | Self::DeleteIf { .. }
            | Self::Add { .. }
            | Self::Append { .. }
            | Self::Expire { .. }
            | Self::Persist(_)
            | Self::Tick(_) => true,
        }
    }

    /// True if the operation can be stored: no key, pattern or value is too long, no list is empty, and
    /// [`Op::Expire`] has a time.
    pub fn is_valid(&self) -> bool {
        let is_list = |keys: &[&[u8]]| !keys.is_empty() && keys.iter().all(|key| is_key(key));
        match self {
            Self::Size | Self::Tick(_) => true,
            Self::Get(key)
            | Self::Length(key)
            | Self::Type(key)
            | Self::TimeLeft { key, .. }
            | Self::Keys(key)
            | Self::Take(key)
            | Self::GetAndExpire { key, .. }
            | Self::Add { key, .. }
            | Self::Persist(key) => is_key(key),
            Self::GetMany(keys) | Self::Exists(keys) | Self::Delete(keys) => is_list(keys),
            Self::Scan { pattern, .. } => pattern.is_none_or(is_key),
            Self::Set {
                key,
                value,
                condition,
                ..
            } => is_key(key) && is_value(value) && condition.is_valid(),
            Self::SetMany(pairs) => {
                let is_pair = |(key, value): &(&[u8], &[u8])| is_key(key) && is_value(value);
                !pairs.is_empty() && pairs.iter().all(is_pair)
            }
            Self::DeleteIf { key, condition } => is_key(key) && condition.is_valid(),
            Self::Append { key, value } => is_key(key) && is_value(value),
            Self::Expire { key, expiry, .. } => is_key(key) && expiry.is_time(),
        }
    }
}

/// True if a key or a pattern is not too long.
fn is_key(key: &[u8]) -> bool {
    key.len() <= KEY_MAX
}

/// True if a value is not too long.
fn is_value(value: &[u8]) -> bool {
    value.len() <= VALUE_MAX
}

impl Condition<'_> {
    /// True if the value to compare with is not too long.
    fn is_valid(self) -> bool {
        match self {
            Self::Always | Self::Absent | Self::Present => true,
            Self::Equals(value) => is_value(value),
        }
    }

    /// True if the condition holds for a key with this value; `None` without one.
    pub fn holds(self, value: Option<&[u8]>) -> bool {
        match self {
            Self::Always => true,
            Self::Absent => value.is_none(),
            Self::Present => value.is_some(),
            Self::Equals(wanted) => value == Some(wanted),
        }
    }
}

impl Expiry {
    /// True if it is a time at which a key expires.
    fn is_time(self) -> bool {
        matches!(self, Self::In(_) | Self::At(_))
    }
}
