//! The judgement of locks: a key with a time to live is there at least for that time.

use super::{Judgement, Violation};
use crate::history::Record;
use crate::model::{LOCKS, Operation};
use crate::resp::Reply;

/// What a lock may end too early, in microseconds: time is counted in milliseconds.
const TOLERANCE: u64 = 2_000;

/// Judges the locks. One that was perhaps taken proves nothing.
pub(super) fn judge(records: &[Record], judgement: &mut Judgement) {
    let taken: Vec<_> = records.iter().filter_map(taken).collect();
    judgement.locks += u64::try_from(taken.len()).unwrap_or(u64::MAX);
    for (index, first) in taken.iter().enumerate() {
        let others = taken.iter().skip(index + 1);
        let same = others.filter(|other| other.key == first.key);
        // Which of two that overlap was first, nobody knows.
        for second in same.filter(|second| !second.may_follow(first) && !first.may_follow(second)) {
            judgement.violations.push(Violation {
                group: LOCKS,
                blocked: second.record.clone(),
                records: vec![first.record.clone(), second.record.clone()],
            });
        }
    }
}

/// A lock that was taken.
struct Taken<'a> {
    record: &'a Record,
    key: usize,
    /// When it was answered, and how long it lives, in microseconds.
    answered: u64,
    lives: u64,
}

impl Taken<'_> {
    /// True if it can have been taken when another one had passed. That was taken after it was asked for, and this one
    /// before it was answered.
    fn may_follow(&self, other: &Self) -> bool {
        self.answered + TOLERANCE >= other.record.invoked + other.lives
    }
}

/// Returns the lock that an operation has taken, if that is known.
fn taken(record: &Record) -> Option<Taken<'_>> {
    let Operation::Lock(key, _, millis) = &record.operation else {
        return None;
    };
    let (answered, reply) = record.answered.as_ref()?;
    (*reply == Reply::ok()).then_some(Taken {
        record,
        key: *key,
        answered: *answered,
        lives: millis.saturating_mul(1_000),
    })
}
