//! The operations that only read.

use super::entry::{Deadline, Entry};
use super::state::State;
use super::{LISTED_BYTES_MAX, STEPS_MAX, glob};
use crate::op::{Op, Unit};
use crate::reply::Reply;

/// What `KEYS` and `SCAN` may still do, so that they hold up neither the log nor a node, and no batch leaves replies of any
/// length. Other operations need no limit: those that fit in a batch have short replies.
#[derive(Clone, Copy)]
pub(super) struct Allowance {
    /// How many steps they may take.
    steps: usize,
    /// How many bytes they may reply.
    bytes: usize,
}

/// The steps of looking at a key, besides those of its pattern.
const STEPS_PER_KEY: usize = 16;

/// The bytes of replying a key, besides its own. It is about what a reply takes in memory, and the same on all targets.
const BYTES_PER_KEY: usize = 32;

impl Allowance {
    /// That of a batch.
    pub(super) const BATCH: Self = Self {
        steps: STEPS_MAX,
        bytes: LISTED_BYTES_MAX,
    };

    /// That of an operation outside of the log.
    pub(super) const ALONE: Self = Self {
        steps: STEPS_MAX,
        bytes: usize::MAX,
    };

    /// Returns the keys of entries that match a pattern; or an error if the allowance does not suffice.
    fn list<'a>(
        &mut self,
        entries: impl Iterator<Item = &'a Entry>,
        pattern: Option<&[u8]>,
    ) -> Result<Reply, Reply> {
        let mut keys = Vec::new();
        for entry in entries {
            let key = entry.key();
            let is_listed = self.matches(pattern, key).ok_or_else(|| {
                Reply::Error("ERR the pattern takes too many steps for so many keys".to_owned())
            })?;
            if is_listed {
                let bytes = self.bytes.checked_sub(BYTES_PER_KEY + key.len());
                self.bytes = bytes.ok_or_else(|| {
                    let text = "ERR KEYS and SCAN reply too many keys for a transaction";
                    Reply::Error(text.to_owned())
                })?;
                keys.push(Reply::Bulk(key.to_vec()));
            }
        }
        Ok(Reply::Array(keys))
    }

    /// True if a key matches a pattern; `None` if too few steps are left.
    fn matches(&mut self, pattern: Option<&[u8]>, key: &[u8]) -> Option<bool> {
        self.steps = self.steps.checked_sub(STEPS_PER_KEY)?;
        pattern.map_or(Some(true), |pattern| {
            glob::matches(pattern, key, &mut self.steps)
        })
    }
}

impl State {
    /// Returns the reply to an operation that only reads, `extra_ms` after the last tick.
    pub(super) fn read(&self, op: &Op<'_>, extra_ms: u64, allowance: &mut Allowance) -> Reply {
        match op {
            Op::Get(key) | Op::GetAndExpire { key, .. } => Reply::bulk_or_nil(self.value(key)),
            Op::GetMany(keys) => {
                let values = keys.iter().map(|key| Reply::bulk_or_nil(self.value(key)));
                Reply::Array(values.collect())
            }
            Op::Exists(keys) => {
                let there = keys.iter().filter(|key| self.table.get(key).is_some());
                Reply::count(there.count())
            }
            Op::Length(key) => Reply::count(self.value(key).unwrap_or_default().len()),
            Op::Type(key) => Reply::Status(match self.table.get(key) {
                Some(_) => "string",
                None => "none",
            }),
            Op::TimeLeft { key, unit } => {
                let deadline = self.table.get(key).map(Entry::deadline);
                Reply::Integer(self.time_left(deadline, *unit, extra_ms))
            }
            Op::Size => Reply::count(self.table.len()),
            Op::Keys(pattern) => {
                let keys = allowance.list(self.table.entries().iter(), Some(pattern));
                keys.unwrap_or_else(|error| error)
            }
            Op::Scan {
                cursor,
                pattern,
                count,
            } => self.scan((*cursor, *count), *pattern, allowance),
            _ => {
                let text = "ERR the command changes keys, and was not executed outside of the log";
                Reply::Error(text.to_owned())
            }
        }
    }

    /// `TTL` and `PTTL`.
    fn time_left(&self, deadline: Option<Deadline>, unit: Unit, extra_ms: u64) -> i64 {
        let Some(deadline) = deadline else {
            return -2;
        };
        let Some(ms) = self.time.left(deadline, extra_ms) else {
            return -1;
        };
        let left = match unit {
            Unit::Seconds => ms.saturating_add(500) / 1000,
            Unit::Milliseconds => ms,
        };
        i64::try_from(left).unwrap_or(i64::MAX)
    }

    /// `SCAN`.
    ///
    /// It begins at the last place, and the cursor is the number of places that are left. A key that is removed makes
    /// only the last entry move, and only to a lower place: to one that is left if it was left, and possibly to one
    /// that is left if it was not. So every key that is there all the time is found, some twice. Keys that come later
    /// take places that the scan has passed.
    fn scan(
        &self,
        (cursor, count): (u64, u32),
        pattern: Option<&[u8]>,
        allowance: &mut Allowance,
    ) -> Reply {
        let entries = self.table.entries();
        let end = match cursor {
            0 => entries.len(),
            _ => usize::try_from(cursor).map_or(entries.len(), |cursor| cursor.min(entries.len())),
        };
        let count = usize::try_from(count).unwrap_or(usize::MAX).max(1);
        let next = end.saturating_sub(count);
        let part = entries.get(next..end).unwrap_or_default();
        let pattern = pattern.filter(|pattern| *pattern != b"*");
        match allowance.list(part.iter().rev(), pattern) {
            Ok(keys) => Reply::Array(vec![Reply::Bulk(next.to_string().into_bytes()), keys]),
            Err(error) => error,
        }
    }
}

impl Reply {
    /// A value, or nil without one.
    pub(super) fn bulk_or_nil(value: Option<&[u8]>) -> Self {
        value.map_or(Self::Nil, |value| Self::Bulk(value.to_vec()))
    }

    /// A number of things.
    pub(super) fn count(count: usize) -> Self {
        Self::Integer(i64::try_from(count).unwrap_or(i64::MAX))
    }
}

/// 1 or 0.
impl From<bool> for Reply {
    fn from(is_done: bool) -> Self {
        Self::Integer(i64::from(is_done))
    }
}
