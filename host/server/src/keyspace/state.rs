//! The replicated state, and the operations that change it.

use super::entry::{Deadline, Entry};
use super::read::Allowance;
use super::table::{Absent, Table};
use super::time::{Progress, Time};
use crate::op::{Condition, ExpireOnly, Expiry, Op, SetAnswer, Tick, VALUE_MAX};
use crate::reply::Reply;
use crate::resp::integer;
use std::collections::BTreeMap;

/// Everything that follows from the log.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) table: Table,
    pub(super) time: Time,
    /// How many keys have expired.
    pub(super) expired: u64,
    /// The beginning of an entry whose other bytes are in the next page of a snapshot. Empty once all pages were read.
    pub(super) partial: Vec<u8>,
}

/// The key or its value has no room. Nothing was changed.
struct Full;

impl From<Full> for Reply {
    fn from(_: Full) -> Self {
        Self::Error("OOM command not allowed when used memory > 'maxmemory'.".to_owned())
    }
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            table: Table::new(),
            time: Time::default(),
            expired: 0,
            partial: Vec::new(),
        }
    }

    /// Applies an operation and returns the reply.
    pub(super) fn apply(&mut self, op: &Op<'_>, allowance: &mut Allowance) -> Reply {
        match op {
            Op::Set {
                key,
                value,
                condition,
                expiry,
                answer,
            } => self.set((key, value), *condition, *expiry, *answer),
            Op::SetMany(pairs) => self.set_many(pairs),
            Op::Take(key) => self.take(key),
            Op::GetAndExpire { key, expiry } => self.get_and_expire(key, *expiry),
            Op::Delete(keys) => {
                let removed = keys.iter().filter(|key| self.remove(key));
                Reply::count(removed.count())
            }
            Op::DeleteIf { key, condition } => {
                let holds = condition.holds(self.value(key));
                Reply::from(holds && self.remove(key))
            }
            Op::Add { key, by } => self.add(key, *by),
            Op::Append { key, value } => self.append(key, value),
            Op::Expire { key, expiry, only } => Reply::from(self.expire(key, *expiry, *only)),
            Op::Persist(key) => Reply::from(self.persist(key)),
            Op::Tick(tick) => self.tick(*tick),
            Op::Get(_)
            | Op::GetMany(_)
            | Op::Exists(_)
            | Op::Length(_)
            | Op::Type(_)
            | Op::TimeLeft { .. }
            | Op::Size
            | Op::Keys(_)
            | Op::Scan { .. } => self.read(op, 0, allowance),
        }
    }

    /// Returns the value of a key.
    pub(super) fn value(&self, key: &[u8]) -> Option<&[u8]> {
        self.table.get(key).map(Entry::value)
    }

    /// `SET`, `SETNX` and `GETSET`.
    fn set(
        &mut self,
        (key, value): (&[u8], &[u8]),
        condition: Condition<'_>,
        expiry: Expiry,
        answer: SetAnswer,
    ) -> Reply {
        let place = self.table.find(key);
        let old = place.ok().and_then(|place| self.table.entry(place));
        let old = old.map(Entry::value);
        let holds = condition.holds(old);
        let reply = match answer {
            SetAnswer::Status if holds => Reply::OK,
            SetAnswer::Status => Reply::Nil,
            SetAnswer::Old => Reply::bulk_or_nil(old),
            SetAnswer::Count => Reply::from(holds),
        };
        if holds && let Err(full) = self.put_at(place, (key, value), expiry) {
            return full.into();
        }
        reply
    }

    /// Sets a key. If it expires at once, it is removed instead.
    fn put(&mut self, key: &[u8], value: &[u8], expiry: Expiry) -> Result<(), Full> {
        self.put_at(self.table.find(key), (key, value), expiry)
    }

    /// The same for a key whose place is known.
    fn put_at(
        &mut self,
        place: Result<u16, Absent>,
        (key, value): (&[u8], &[u8]),
        expiry: Expiry,
    ) -> Result<(), Full> {
        let old = place.ok().and_then(|place| self.table.entry(place));
        let old = old.map_or(Deadline::Never, Entry::deadline);
        let deadline = self.time.deadline(expiry, old);
        let is_done = match (place, deadline) {
            (Ok(place), Some(deadline)) => self.table.replace(place, value, deadline),
            (Err(absent), Some(deadline)) => {
                let entry = Entry::new(key, value, deadline);
                entry.is_some_and(|entry| self.table.insert(absent, &entry))
            }
            (Ok(place), None) => self.table.remove(place),
            (Err(_), None) => true,
        };
        if is_done { Ok(()) } else { Err(Full) }
    }

    /// `MSET`: all of the pairs, or none if they have no room together.
    fn set_many(&mut self, pairs: &[(&[u8], &[u8])]) -> Reply {
        // The last value of a key counts. In the order of keys, which is the same on all nodes.
        let pairs: BTreeMap<_, _> = pairs.iter().copied().collect();
        let (mut keys, mut bytes, mut freed) = (0, 0, 0);
        for (key, value) in &pairs {
            bytes += value.len();
            if let Some(old) = self.value(key) {
                freed += old.len();
            } else {
                keys += 1;
                bytes += key.len();
            }
        }
        if !self.table.has_room(keys, bytes, freed) {
            return Full.into();
        }
        // Values that become shorter make room for the others.
        let (grow, shrink): (Vec<_>, Vec<_>) = pairs
            .into_iter()
            .partition(|(key, value)| self.value(key).is_none_or(|old| value.len() > old.len()));
        for (key, value) in shrink.into_iter().chain(grow) {
            if let Err(full) = self.put(key, value, Expiry::Never) {
                debug_assert!(false, "all pairs fit together");
                return full.into();
            }
        }
        Reply::OK
    }

    /// `GETDEL`.
    fn take(&mut self, key: &[u8]) -> Reply {
        let reply = Reply::bulk_or_nil(self.value(key));
        self.remove(key);
        reply
    }

    /// `GETEX`.
    fn get_and_expire(&mut self, key: &[u8], expiry: Expiry) -> Reply {
        let reply = Reply::bulk_or_nil(self.value(key));
        if let Ok(place) = self.table.find(key) {
            self.expire_place(place, expiry);
        }
        reply
    }

    /// Removes a key; returns whether it was there.
    fn remove(&mut self, key: &[u8]) -> bool {
        let place = self.table.find(key);
        place.is_ok_and(|place| self.table.remove(place))
    }

    /// `INCR`, `DECR`, `INCRBY` and `DECRBY`.
    fn add(&mut self, key: &[u8], by: i64) -> Reply {
        let Some(value) = self.value(key).map_or(Some(0), integer) else {
            return Reply::not_an_integer();
        };
        let Some(sum) = value.checked_add(by) else {
            return Reply::Error("ERR increment or decrement would overflow".to_owned());
        };
        match self.put(key, sum.to_string().as_bytes(), Expiry::Keep) {
            Ok(()) => Reply::Integer(sum),
            Err(full) => full.into(),
        }
    }

    /// `APPEND`.
    fn append(&mut self, key: &[u8], more: &[u8]) -> Reply {
        let value = [self.value(key).unwrap_or_default(), more].concat();
        if value.len() > VALUE_MAX {
            let text = format!("ERR string exceeds maximum allowed size ({VALUE_MAX} bytes)");
            return Reply::Error(text);
        }
        match self.put(key, &value, Expiry::Keep) {
            Ok(()) => Reply::count(value.len()),
            Err(full) => full.into(),
        }
    }

    /// `EXPIRE` and its like; returns whether the time was set.
    fn expire(&mut self, key: &[u8], expiry: Expiry, only: ExpireOnly) -> bool {
        let Ok(place) = self.table.find(key) else {
            return false;
        };
        let Some(old) = self.table.entry(place).map(Entry::deadline) else {
            return false;
        };
        let new = self.time.deadline(expiry, old);
        let left = |deadline| self.time.left(deadline, 0).unwrap_or(u64::MAX);
        // A time that is over is earlier than that of any key which is there.
        let (new_left, old_left) = (new.map_or(0, left), left(old));
        let is_expiring = old != Deadline::Never;
        let is_set = match only {
            ExpireOnly::Always => true,
            ExpireOnly::Never => !is_expiring,
            ExpireOnly::Expiring => is_expiring,
            ExpireOnly::Later => is_expiring && new_left > old_left,
            ExpireOnly::Earlier => !is_expiring || new_left < old_left,
        };
        if is_set {
            self.expire_place(place, expiry);
        }
        is_set
    }

    /// Sets when the key at a place expires. If it is at once, the key is removed.
    fn expire_place(&mut self, place: u16, expiry: Expiry) {
        let Some(old) = self.table.entry(place).map(Entry::deadline) else {
            return;
        };
        match self.time.deadline(expiry, old) {
            Some(deadline) => self.table.set_deadline(place, deadline),
            None => {
                self.table.remove(place);
            }
        }
    }

    /// `PERSIST`; returns whether the key expired.
    fn persist(&mut self, key: &[u8]) -> bool {
        let Ok(place) = self.table.find(key) else {
            return false;
        };
        let entry = self.table.entry(place);
        let is_expiring = entry.is_some_and(|entry| entry.deadline() != Deadline::Never);
        if is_expiring {
            self.table.set_deadline(place, Deadline::Never);
        }
        is_expiring
    }

    /// Lets time pass, and removes the keys that have expired; replies how many.
    ///
    /// A leader creates a tick only when it has applied the one before it. So it is later than everything that was
    /// applied before the last tick of the same leader, and the deadlines of keys that have waited since are known: they
    /// live for their whole time after this tick. A key that came later has to wait, as the tick may have been created
    /// before the key was set.
    fn tick(&mut self, tick: Tick) -> Reply {
        let progress = self.time.advance(tick);
        if progress == Progress::Advanced {
            for place in self.table.deadlines().waiting_places() {
                self.set_known(place);
            }
        }
        if progress != Progress::None {
            for place in self.table.deadlines().new_places() {
                let entry = self.table.entry(place);
                if let Some(Deadline::New(ms)) = entry.map(Entry::deadline) {
                    self.table.set_deadline(place, Deadline::Waiting(ms));
                }
            }
        }
        let mut removed = 0;
        let Time { elapsed, unix, .. } = self.time;
        while let Some(place) = self.table.deadlines().first_due(elapsed, unix)
            && self.table.remove(place)
        {
            removed += 1;
        }
        self.expired = self.expired.saturating_add(removed);
        Reply::Integer(i64::try_from(removed).unwrap_or(i64::MAX))
    }

    /// Makes a deadline that is waiting one in elapsed time.
    fn set_known(&mut self, place: u16) {
        let entry = self.table.entry(place);
        if let Some(Deadline::Waiting(ms)) = entry.map(Entry::deadline) {
            let time = self.time.elapsed.saturating_add(ms);
            self.table.set_deadline(place, Deadline::Elapsed(time));
        }
    }
}
