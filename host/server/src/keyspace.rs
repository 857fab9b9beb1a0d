//! The keyspace: keys with short values that can expire, as a replicated state machine.
//!
//! A command is a [`Batch`] of operations. All of them are applied at once, and their replies are kept for a while:
//! [`Keyspace::replies`]. Operations that only read can also be evaluated outside of the log: [`Keyspace::evaluate`].
//! Memory is bounded: see [`Keyspace::memory_max`].
//!
//! # Commands
//!
//! Replies are those of Redis 7, with `IFEQ` and `DELEX` as in Redis 8.4. All values are strings.
//!
//! | command | operation | reply |
//! |---|---|---|
//! | `GET`, `MGET` | [`Op::Get`], [`Op::GetMany`] | the value or nil; an array of these |
//! | `EXISTS`, `STRLEN`, `TYPE`, `DBSIZE` | [`Op::Exists`], [`Op::Length`], [`Op::Type`], [`Op::Size`] | a number; `string` or `none` |
//! | `TTL`, `PTTL` | [`Op::TimeLeft`] | the time that is left, −1 for ever, −2 without the key |
//! | `KEYS` | [`Op::Keys`] | all keys that match |
//! | `SCAN` | [`Op::Scan`] | a cursor and keys; every key that is there all the time is found, some twice |
//! | `SET`, `SETNX`, `GETSET` | [`Op::Set`] | `OK` or nil; the value before, with `GET`; 1 or 0 |
//! | `MSET` | [`Op::SetMany`] | `OK`; all pairs are set or none |
//! | `GETDEL`, `GETEX` | [`Op::Take`], [`Op::GetAndExpire`] | the value before, or nil |
//! | `DEL`, `UNLINK`, `DELEX` | [`Op::Delete`], [`Op::DeleteIf`] | how many keys were removed |
//! | `INCR`, `DECR`, `INCRBY`, `DECRBY` | [`Op::Add`] | the sum |
//! | `APPEND` | [`Op::Append`] | the new length |
//! | `EXPIRE`, `PEXPIRE`, `EXPIREAT`, `PEXPIREAT` | [`Op::Expire`] | 1 if the time was set, otherwise 0 |
//! | `PERSIST` | [`Op::Persist`] | 1 if the key expired, otherwise 0 |
//! | none | [`Op::Tick`] | how many keys have expired |
//!
//! # Bounds
//!
//! | what | at most | beyond |
//! |---|---|---|
//! | a key, a pattern | [`KEY_MAX`] bytes | no batch takes it |
//! | a value | [`VALUE_MAX`] bytes | no batch takes it; an error of `APPEND` |
//! | the operations of a transaction | [`Batch::MAX`] bytes, encoded | no batch takes it |
//! | keys | [`KEYS_MAX`] | the error `OOM`, and nothing is changed |
//! | bytes of all keys and values | [`BYTES_MAX`] | the same |
//! | steps of `KEYS` and `SCAN`, in a batch or alone | [`STEPS_MAX`] | an error |
//! | bytes that they reply in a batch | [`LISTED_BYTES_MAX`] | an error |
//! | batches whose replies are kept | [`REPLIES_KEPT`] in [`REPLIES_BYTES_MAX`] bytes | the oldest are forgotten |
//!
//! # Time
//!
//! The keyspace has no clock: time is what [ticks](crate::op::Tick) of leaders tell, and only a tick removes keys that
//! have expired. A key with a lifetime lives at least that long after its command was decided: its time begins with a tick
//! that is known to be later, and what passes between two leaders does not count. A key that expires at a time since
//! 1970 goes with the first tick that tells this time or a later one.
//!
//! All that a leader needs for this is a clock that does not run too fast. It sends a tick when [`Keyspace::next_tick`]
//! says so, and creates none before it has applied its last one.

mod deadlines;
mod entry;
mod glob;
mod index;
mod lengths;
mod pages;
mod read;
mod recent;
mod state;
mod summary;
mod table;
#[cfg(test)]
mod tests;
mod time;

pub use summary::Summary;
pub use time::{Lifetime, Time};

use crate::batch::{Batch, BatchId};
use crate::op::{KEY_MAX, Op, VALUE_MAX};
use crate::reply::Reply;
use core::fmt;
use core::hash::{Hash, Hasher};
use read::Allowance;
use recent::Recent;
use state::State;
use synod::{MalformedPage, Reader, StateMachine, Writer};
use table::Table;

/// The maximum number of keys; a power of two.
pub const KEYS_MAX: usize = 16_384;

/// The maximum number of bytes that all keys and values have together.
pub const BYTES_MAX: usize = 4 << 20;

/// The maximum number of steps that `KEYS` and `SCAN` take in one batch, or one of them outside of the log: some tens of
/// milliseconds. A step compares a byte with a part of a pattern, and 16 are for each key. All keys with a prefix
/// take fewer, whatever they are.
pub const STEPS_MAX: usize = 4 << 20;

/// The maximum number of bytes that `KEYS` and `SCAN` reply in one batch, with 32 for each key.
pub const LISTED_BYTES_MAX: usize = 64 << 10;

/// The number of batches whose replies are kept.
pub const REPLIES_KEPT: usize = 512;

/// The maximum number of bytes that the replies that are kept take in memory. Those of any 16 batches fit.
pub const REPLIES_BYTES_MAX: usize = 4 << 20;

/// A replicated keyspace. The module [`keyspace`](self) describes it.
///
/// ```
/// use synod::StateMachine;
/// use synod_server::batch::{Batch, BatchId};
/// use synod_server::keyspace::Keyspace;
/// use synod_server::op::Op;
/// use synod_server::reply::Reply;
///
/// let mut batch = Batch::new(BatchId(7));
/// batch.push(&Op::Add { key: b"visits", by: 2 })?;
/// batch.push(&Op::Append { key: b"visits", value: b"0" })?;
///
/// let mut keyspace = Keyspace::default();
/// let summary = keyspace.apply(&batch);
/// assert_eq!(keyspace.replies(BatchId(7)), Some(&[Reply::Integer(2), Reply::Integer(2)][..]));
/// assert_eq!(summary.first_reply(), Some(Reply::Integer(2)));
/// assert_eq!(keyspace.evaluate(&Op::Get(b"visits"), 0), Reply::Bulk(b"20".to_vec()));
/// # Ok::<(), synod_server::batch::BatchFull>(())
/// ```
pub struct Keyspace {
    state: State,
    /// No part of the state: it is neither compared nor copied.
    recent: Recent,
}

/// When a leader has to send the next tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextTick {
    /// At once: keys were set whose time has not begun, or the time of this leadership is not counting yet.
    Now,
    /// At the earlier of these times, when a key expires. At least one is there.
    At {
        /// In elapsed time, in milliseconds: as much later than the last tick was created as this is later than
        /// [`Time::elapsed`].
        elapsed: Option<u64>,
        /// In milliseconds since 1970.
        unix: Option<u64>,
    },
}

impl Keyspace {
    /// Returns the replies to the operations of the last batch with this number; `None` if it was not applied here
    /// lately.
    pub fn replies(&self, id: BatchId) -> Option<&[Reply]> {
        self.recent.replies(id)
    }

    /// Returns the reply to an operation that does not [write](Op::is_write).
    ///
    /// `extra_ms` is the time since the last tick was applied, by the clock of this node. It matters to the time that is
    /// left, and to nothing else: a key is there until a tick has removed it.
    pub fn evaluate(&self, op: &Op<'_>, extra_ms: u64) -> Reply {
        debug_assert!(!op.is_write(), "what writes goes through the log");
        self.state.read(op, extra_ms, &mut { Allowance::ALONE })
    }

    /// Returns all keys with their values and lifetimes, `extra_ms` after the last tick was applied.
    pub fn contents(&self, extra_ms: u64) -> impl Iterator<Item = (&[u8], &[u8], Lifetime)> {
        let time = self.time();
        let entries = self.state.table.entries().iter();
        entries.map(move |entry| {
            let lifetime = time.lifetime(entry.deadline(), extra_ms);
            (entry.key(), entry.value(), lifetime)
        })
    }

    /// Returns when the leader of this ballot has to send the next tick; `None` if no key expires.
    pub fn next_tick(&self, ballot: u64) -> Option<NextTick> {
        let deadlines = self.state.table.deadlines();
        let is_counting = self.time().is_counting && self.time().ballot == ballot;
        match deadlines.earliest() {
            _ if deadlines.is_any_open() => Some(NextTick::Now),
            (Some(_), _) if !is_counting => Some(NextTick::Now),
            (None, None) => None,
            (elapsed, unix) => Some(NextTick::At { elapsed, unix }),
        }
    }

    /// Returns the time that ticks have told.
    pub fn time(&self) -> Time {
        self.state.time
    }

    /// Returns the number of keys.
    pub fn keys(&self) -> usize {
        self.state.table.len()
    }

    /// Returns the number of keys that expire.
    pub fn expiring(&self) -> usize {
        self.state.table.deadlines().len()
    }

    /// Returns the number of keys that have expired since the cluster was founded.
    pub fn expired(&self) -> u64 {
        self.state.expired
    }

    /// Returns how many bytes all keys and values have, which is at most [`BYTES_MAX`].
    pub fn bytes(&self) -> usize {
        self.state.table.bytes()
    }

    /// Returns the most memory that a keyspace takes, in bytes. A node has up to three: its state, a snapshot of it, and
    /// one that it fetches. Only one of them keeps replies.
    pub const fn memory_max() -> usize {
        Table::MEMORY_MAX + REPLIES_BYTES_MAX
    }
}

impl StateMachine for Keyspace {
    type Command = Batch;
    type Output = Summary;

    /// Depends on every bound that a reply depends on. The first number is raised with every other change.
    const VERSION: u32 = version([
        1,
        KEYS_MAX,
        BYTES_MAX,
        KEY_MAX,
        VALUE_MAX,
        STEPS_MAX,
        LISTED_BYTES_MAX,
    ]);

    fn apply(&mut self, batch: &Batch) -> Summary {
        let mut allowance = Allowance::BATCH;
        let replies = batch.ops().map(|op| self.state.apply(&op, &mut allowance));
        let replies: Vec<Reply> = replies.collect();
        let summary = Summary::of(&replies);
        self.recent.push(batch.id(), replies);
        summary
    }

    fn snapshot_pages(&self) -> u32 {
        self.state.pages()
    }

    fn write_page(&self, page: u32, writer: &mut Writer<'_>) {
        self.state.write_page(page, writer);
    }

    fn read_page(&mut self, page: u32, reader: &mut Reader<'_>) -> Result<(), MalformedPage> {
        self.state.read_page(page, reader)
    }
}

/// Returns a number that stands for these numbers: their FNV-1a hash, word by word.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "conversions are no constants yet, and no bound has more than 32 bits"
)]
const fn version<const N: usize>(numbers: [usize; N]) -> u32 {
    let (mut version, mut rest) = (0x811c_9dc5_u32, numbers.as_slice());
    while let [number, more @ ..] = rest {
        version = (version ^ *number as u32).wrapping_mul(0x0100_0193);
        rest = more;
    }
    version
}

impl Default for Keyspace {
    fn default() -> Self {
        Self {
            state: State::new(),
            recent: Recent::default(),
        }
    }
}

impl Clone for Keyspace {
    fn clone(&self) -> Self {
        Self {
            state: self.state.clone(),
            recent: Recent::default(),
        }
    }
}

impl PartialEq for Keyspace {
    fn eq(&self, other: &Self) -> bool {
        self.state == other.state
    }
}

impl Eq for Keyspace {}

impl Hash for Keyspace {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.state.hash(state);
    }
}

/// Only how much there is: keys and values are nobody's business who reads a log.
impl fmt::Debug for Keyspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyspace")
            .field("keys", &self.keys())
            .field("bytes", &self.bytes())
            .field("expiring", &self.expiring())
            .field("expired", &self.expired())
            .field("time", &self.time())
            .finish_non_exhaustive()
    }
}
