//! A keyspace without any structure, to compare with.

use super::*;
use crate::op::{ExpireOnly, Unit};
use std::collections::BTreeMap;

/// When a key expires, as in the keyspace.
#[derive(Clone, Copy, PartialEq)]
enum Until {
    Never,
    /// A time that has not begun, and how many ticks of the present leader were applied since it was set.
    Open(u64, u32),
    Elapsed(u64),
    Unix(u64),
}

#[derive(Default)]
pub(super) struct Model {
    keys: BTreeMap<Vec<u8>, (Vec<u8>, Until)>,
    ballot: u64,
    since: u64,
    /// True after the second tick of a leader.
    is_counting: bool,
    elapsed: u64,
    unix: u64,
}

impl Model {
    pub(super) fn keys(&self) -> Vec<Vec<u8>> {
        self.keys.keys().cloned().collect()
    }

    /// Applies an operation other than `SCAN`.
    pub(super) fn run(&mut self, op: &Op<'_>) -> Reply {
        let get = |key: &[u8]| self.keys.get(key).map(|(value, _)| value.clone());
        let nil_or = |value: Option<Vec<u8>>| value.map_or(Reply::Nil, Reply::Bulk);
        let count = |count: usize| Reply::Integer(i64::try_from(count).unwrap());
        match op {
            Op::Get(key) => nil_or(get(key)),
            Op::GetMany(keys) => Reply::Array(keys.iter().map(|key| nil_or(get(key))).collect()),
            Op::Exists(keys) => count(keys.iter().filter(|key| get(key).is_some()).count()),
            Op::Length(key) => count(get(key).map_or(0, |value| value.len())),
            Op::Type(key) => Reply::Status(if get(key).is_some() { "string" } else { "none" }),
            Op::TimeLeft { key, unit } => self.time_left(key, *unit),
            Op::Size => count(self.keys.len()),
            Op::Keys(pattern) => {
                let keys = self
                    .keys
                    .keys()
                    .filter(|key| glob::matches(pattern, key, &mut { STEPS_MAX }) == Some(true));
                Reply::Array(keys.map(|key| Reply::Bulk(key.clone())).collect())
            }
            Op::Scan { .. } => panic!("the model does not scan"),
            Op::Set {
                key,
                value,
                condition,
                expiry,
                answer,
            } => {
                let old = get(key);
                let holds = self.holds(key, *condition);
                if holds {
                    self.put(key, value, *expiry);
                }
                match answer {
                    SetAnswer::Status if holds => Reply::Status("OK"),
                    SetAnswer::Status => Reply::Nil,
                    SetAnswer::Old => nil_or(old),
                    SetAnswer::Count => Reply::Integer(i64::from(holds)),
                }
            }
            Op::SetMany(pairs) => {
                for (key, value) in pairs {
                    self.put(key, value, Expiry::Never);
                }
                Reply::Status("OK")
            }
            Op::Take(key) => nil_or(self.keys.remove(*key).map(|(value, _)| value)),
            Op::GetAndExpire { key, expiry } => {
                let old = get(key);
                if let Some(value) = &old {
                    self.put(key, value, *expiry);
                }
                nil_or(old)
            }
            Op::Delete(keys) => count(
                keys.iter()
                    .filter(|key| self.keys.remove(**key).is_some())
                    .count(),
            ),
            Op::DeleteIf { key, condition } => {
                let removed = self.holds(key, *condition) && self.keys.remove(*key).is_some();
                Reply::Integer(i64::from(removed))
            }
            Op::Add { key, by } => self.add(key, *by),
            Op::Append { key, value } => self.append(key, value),
            Op::Expire { key, expiry, only } => self.expire(key, *expiry, *only),
            Op::Persist(key) => self.persist(key),
            Op::Tick(tick) => self.tick(*tick),
        }
    }

    /// True if a condition holds for the value of a key, if there is one.
    fn holds(&self, key: &[u8], condition: Condition<'_>) -> bool {
        let value = self.keys.get(key).map(|(value, _)| value.as_slice());
        match condition {
            Condition::Always => true,
            Condition::Absent => value.is_none(),
            Condition::Present => value.is_some(),
            Condition::Equals(wanted) => value == Some(wanted),
        }
    }

    fn persist(&mut self, key: &[u8]) -> Reply {
        let Some((_, until)) = self.keys.get_mut(key) else {
            return Reply::Integer(0);
        };
        let was = core::mem::replace(until, Until::Never);
        Reply::Integer(i64::from(was != Until::Never))
    }

    fn append(&mut self, key: &[u8], more: &[u8]) -> Reply {
        let old = self.keys.get(key).map(|(value, _)| value.as_slice());
        let value = [old.unwrap_or_default(), more].concat();
        if value.len() > VALUE_MAX {
            return error("ERR string exceeds maximum allowed size (256 bytes)");
        }
        self.put(key, &value, Expiry::Keep);
        Reply::Integer(i64::try_from(value.len()).unwrap())
    }

    fn put(&mut self, key: &[u8], value: &[u8], expiry: Expiry) {
        let old = self
            .keys
            .remove(key)
            .map_or(Until::Never, |(_, until)| until);
        let until = match expiry {
            Expiry::Never => Until::Never,
            Expiry::Keep => old,
            Expiry::In(0) => return,
            Expiry::In(ms) => Until::Open(ms, 0),
            Expiry::At(unix) if unix <= self.unix => return,
            Expiry::At(unix) => Until::Unix(unix),
        };
        self.keys.insert(key.to_vec(), (value.to_vec(), until));
    }

    fn left(&self, until: Until) -> u64 {
        match until {
            Until::Never => u64::MAX,
            Until::Open(ms, _) => ms,
            Until::Elapsed(time) => time - self.elapsed,
            Until::Unix(time) => time - self.unix,
        }
    }

    fn time_left(&self, key: &[u8], unit: Unit) -> Reply {
        Reply::Integer(match self.keys.get(key) {
            None => -2,
            Some((_, Until::Never)) => -1,
            Some((_, until)) => {
                let ms = u128::from(self.left(*until));
                let left = match unit {
                    Unit::Milliseconds => ms,
                    // A saturated sum of 64 bits is as far from any real time.
                    Unit::Seconds => (ms + 500).min(u128::from(u64::MAX)) / 1000,
                };
                i64::try_from(left).unwrap_or(i64::MAX)
            }
        })
    }

    fn add(&mut self, key: &[u8], by: i64) -> Reply {
        let value = self.keys.get(key).map_or(&b"0"[..], |(value, _)| value);
        let number = core::str::from_utf8(value)
            .ok()
            .and_then(|text| text.parse::<i64>().ok());
        let number = number.filter(|number| number.to_string().as_bytes() == value);
        let Some(number) = number else {
            return error("ERR value is not an integer or out of range");
        };
        let Some(sum) = number.checked_add(by) else {
            return error("ERR increment or decrement would overflow");
        };
        self.put(key, sum.to_string().as_bytes(), Expiry::Keep);
        Reply::Integer(sum)
    }

    fn expire(&mut self, key: &[u8], expiry: Expiry, only: ExpireOnly) -> Reply {
        let Some((value, until)) = self.keys.get(key).cloned() else {
            return Reply::Integer(0);
        };
        let (is_expiring, old) = (until != Until::Never, self.left(until));
        let new = match expiry {
            Expiry::In(ms) => ms,
            Expiry::At(unix) => unix.saturating_sub(self.unix),
            other => panic!("{other:?}"),
        };
        let is_set = match only {
            ExpireOnly::Always => true,
            ExpireOnly::Never => !is_expiring,
            ExpireOnly::Expiring => is_expiring,
            ExpireOnly::Later => is_expiring && new > old,
            ExpireOnly::Earlier => !is_expiring || new < old,
        };
        if is_set {
            self.put(key, &value, expiry);
        }
        Reply::Integer(i64::from(is_set))
    }

    fn tick(&mut self, tick: Tick) -> Reply {
        self.unix = self.unix.max(tick.unix);
        let is_same = tick.ballot == self.ballot && tick.since > self.since;
        if is_same && self.is_counting {
            self.elapsed += tick.since - self.since;
        }
        if is_same || tick.ballot > self.ballot {
            (self.ballot, self.since, self.is_counting) = (tick.ballot, tick.since, is_same);
            for (_, until) in self.keys.values_mut() {
                if let Until::Open(ms, ticks) = until {
                    *until = match (is_same, *ticks) {
                        (true, 1) => Until::Elapsed(self.elapsed.saturating_add(*ms)),
                        _ => Until::Open(*ms, 1),
                    };
                }
            }
        }
        let before = self.keys.len();
        let (elapsed, unix) = (self.elapsed, self.unix);
        self.keys.retain(|_, (_, until)| match until {
            Until::Never | Until::Open(..) => true,
            Until::Elapsed(time) => *time > elapsed,
            Until::Unix(time) => *time > unix,
        });
        Reply::Integer(i64::try_from(before - self.keys.len()).unwrap())
    }
}
