//! Tests of the keyspace as a whole.

mod bounds;
mod commands;
mod expiry;
mod lifetimes;
mod model;
mod node;
mod random;
mod scan;
mod snapshot;

use super::*;
use crate::op::{Condition, Expiry, SetAnswer, Tick};

/// A keyspace to which operations are applied one by one.
#[derive(Default)]
struct Subject(Keyspace);

impl Subject {
    /// Applies one operation and returns its reply.
    fn run(&mut self, op: &Op<'_>) -> Reply {
        let mut batch = Batch::new(BatchId(1));
        batch.push(op).unwrap();
        let summary = self.0.apply(&batch);
        let [reply] = self.0.replies(BatchId(1)).unwrap() else {
            panic!("an operation has one reply");
        };
        if let Some(first) = summary.first_reply() {
            assert_eq!(first, *reply);
        }
        reply.clone()
    }

    /// `SET key value`, which has to succeed.
    fn set(&mut self, key: &[u8], value: &[u8]) {
        assert_eq!(self.run(&set(key, value)), Reply::OK);
    }

    /// `SET key value` with an expiry, which has to succeed.
    fn set_until(&mut self, key: &[u8], expiry: Expiry) {
        let op = with(
            &set(key, b"v"),
            Condition::Always,
            expiry,
            SetAnswer::Status,
        );
        assert_eq!(self.run(&op), Reply::OK);
    }

    /// `GET key`, outside of the log.
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        match self.0.evaluate(&Op::Get(key), 0) {
            Reply::Bulk(value) => Some(value),
            Reply::Nil => None,
            other => panic!("{other:?}"),
        }
    }

    /// A tick; returns how many keys it has removed.
    fn tick(&mut self, ballot: u64, since: u64, unix: u64) -> i64 {
        let tick = Tick {
            ballot,
            since,
            unix,
        };
        match self.run(&Op::Tick(tick)) {
            Reply::Integer(removed) => removed,
            other => panic!("{other:?}"),
        }
    }
}

fn set<'a>(key: &'a [u8], value: &'a [u8]) -> Op<'a> {
    Op::Set {
        key,
        value,
        condition: Condition::Always,
        expiry: Expiry::Never,
        answer: SetAnswer::Status,
    }
}

/// Changes the options of a `SET`.
fn with<'a>(set: &Op<'a>, condition: Condition<'a>, expiry: Expiry, answer: SetAnswer) -> Op<'a> {
    let Op::Set { key, value, .. } = set else {
        panic!("{set:?}");
    };
    Op::Set {
        key,
        value,
        condition,
        expiry,
        answer,
    }
}

fn bulk(value: &[u8]) -> Reply {
    Reply::Bulk(value.to_vec())
}

fn bulks(values: &[&[u8]]) -> Reply {
    Reply::Array(values.iter().map(|value| bulk(value)).collect())
}

/// Sorts a list, if the reply is one.
fn sorted(reply: Reply) -> Reply {
    let Reply::Array(mut replies) = reply else {
        return reply;
    };
    replies.sort_by_key(|reply| match reply {
        Reply::Bulk(key) => key.clone(),
        other => panic!("{other:?}"),
    });
    Reply::Array(replies)
}

fn error(text: &str) -> Reply {
    Reply::Error(text.to_owned())
}

/// Returns the pages of a keyspace.
fn pages(keyspace: &Keyspace) -> Vec<Vec<u8>> {
    let page = |number| {
        let mut buffer = [0; synod::SNAPSHOT_PAGE];
        let mut writer = Writer::new(&mut buffer);
        keyspace.write_page(number, &mut writer);
        assert!(!writer.overflowed());
        let len = writer.len();
        buffer[..len].to_vec()
    };
    (0..keyspace.snapshot_pages()).map(page).collect()
}

/// Reads pages into a new keyspace.
fn restored(pages: &[Vec<u8>]) -> Result<Keyspace, MalformedPage> {
    let mut keyspace = Keyspace::default();
    for (number, page) in (0..).zip(pages) {
        let mut reader = Reader::new(page);
        keyspace.read_page(number, &mut reader)?;
        assert!(reader.is_empty(), "a page that is taken is read to its end");
    }
    Ok(keyspace)
}
