//! Backups over the port for clients: takes one, and writes one into the keys of a new cluster.
//!
//! A restore is a client that sets keys. So every node gets them by decisions, as always, and no two nodes can begin with
//! different contents.

use super::{Backup, BackupError, Entry};
use crate::admin::{AdminError, Connection, Door, encode};
use crate::keyspace::Lifetime;
use crate::resp::response::Response;
use core::fmt;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Instant;

/// How many keys are set before the answers are waited for.
const AT_ONCE: usize = 256;
/// The delay before a question is repeated.
const AGAIN: Duration = Duration::from_millis(100);
/// How long a question is repeated that is refused for a reason that passes by itself.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a backup was not taken, or not restored.
#[derive(Debug)]
#[non_exhaustive]
pub enum RestoreError {
    /// The server did not answer, or has refused.
    Admin(AdminError),
    /// What it has answered is no backup.
    Answer(BackupError),
    /// The cluster has the number of the one that was backed up.
    SameCluster(u64),
    /// The cluster has keys already that are not those of the backup.
    NotEmpty(usize),
    /// What the cluster holds afterwards differs from the backup in so many keys.
    Differs(usize),
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin(error) => error.fmt(f),
            Self::Answer(error) => write!(
                f,
                "the node has answered something else than a backup: {error}"
            ),
            Self::SameCluster(cluster) => write!(
                f,
                "the cluster has the number {cluster:016x} of the one that was backed up, and old nodes could meet new ones: restore \
                 into a cluster with a file of its own (synod init)"
            ),
            Self::NotEmpty(keys) => write!(
                f,
                "the cluster has {keys} keys that are not those of the backup, and nothing was changed: restore into a new cluster"
            ),
            Self::Differs(keys) => write!(
                f,
                "{keys} keys differ from the backup: somebody else writes to the cluster; stop it, and restore into a new cluster"
            ),
        }
    }
}

impl core::error::Error for RestoreError {}

impl From<AdminError> for RestoreError {
    fn from(error: AdminError) -> Self {
        Self::Admin(error)
    }
}

/// Asks for a backup: its bytes, and what they mean.
///
/// # Errors
///
/// [`RestoreError`]: what was wrong.
pub fn take(door: &Door) -> Result<(Vec<u8>, Backup), RestoreError> {
    backup(&mut Connection::open(door, PATIENCE)?)
}

/// Sets the keys of a backup in an empty cluster of another number, and compares what it then holds. A restore that was
/// interrupted can be repeated: keys that are there with their values stay. Returns the number of keys that were set, and of
/// those that have expired since.
///
/// # Errors
///
/// [`RestoreError`]: what was wrong.
pub fn restore(door: &Door, from: &Backup) -> Result<(usize, usize), RestoreError> {
    let mut connection = Connection::open(door, PATIENCE)?;
    let (_, present) = backup(&mut connection)?;
    if present.cluster == from.cluster {
        return Err(RestoreError::SameCluster(from.cluster));
    }
    let (others, _) = compare(from, &present);
    if others > 0 {
        return Err(RestoreError::NotEmpty(others));
    }
    for entries in from.entries.chunks(AT_ONCE) {
        let commands: Vec<_> = entries.iter().flat_map(set).collect();
        connection.send(&commands)?;
        for _ in entries {
            // Nil: it is there already.
            if let Response::Error(error) = connection.answer()? {
                return Err(AdminError::Refused(error).into());
            }
        }
    }
    let (_, present) = backup(&mut connection)?;
    match compare(from, &present) {
        (0, missing) if missing.iter().all(|entry| may_be_over(entry)) => {
            Ok((from.entries.len() - missing.len(), missing.len()))
        }
        (others, missing) => {
            let lost = missing.iter().filter(|entry| !may_be_over(entry)).count();
            Err(RestoreError::Differs(others + lost))
        }
    }
}

/// Returns the command that sets a key unless it is there.
fn set(entry: &Entry) -> Vec<u8> {
    let time = |name: &'static str, ms: u64| vec![name.to_owned(), ms.to_string()];
    let expiry = match entry.lifetime {
        Lifetime::Forever => Vec::new(),
        Lifetime::Left(ms) => time("PX", ms),
        Lifetime::Until(unix) => time("PXAT", unix),
    };
    let mut words: Vec<&[u8]> = vec![b"SET", &entry.key, &entry.value, b"NX"];
    words.extend(expiry.iter().map(String::as_bytes));
    encode(&words)
}

/// True if a key may have expired since the backup.
fn may_be_over(entry: &Entry) -> bool {
    entry.lifetime != Lifetime::Forever
}

/// Returns how many keys of a cluster are not those of a backup, and which keys of the backup it does not have.
fn compare<'a>(from: &'a Backup, present: &Backup) -> (usize, Vec<&'a Entry>) {
    let wanted: BTreeMap<_, _> = from
        .entries
        .iter()
        .map(|entry| (&entry.key, entry))
        .collect();
    let is_same = |entry: &Entry| {
        wanted.get(&entry.key).is_some_and(|wanted| {
            wanted.value == entry.value && may_be_over(wanted) == may_be_over(entry)
        })
    };
    let others = present.entries.iter().filter(|entry| !is_same(entry));
    let there: BTreeSet<_> = present.entries.iter().map(|entry| &entry.key).collect();
    let missing = from.entries.iter();
    let missing = missing.filter(|entry| !there.contains(&entry.key));
    (others.count(), missing.collect())
}

/// Asks for a backup, again as long as what refuses it passes by itself.
#[expect(
    clippy::disallowed_methods,
    reason = "whoever waits for others is bounded by the clock"
)]
fn backup(connection: &mut Connection) -> Result<(Vec<u8>, Backup), RestoreError> {
    let end = Instant::now() + PATIENCE;
    loop {
        match connection.ask(&["SYNOD.BACKUP"]) {
            Err(AdminError::Refused(why)) if why.starts_with("BUSY ") && Instant::now() < end => {
                thread::sleep(AGAIN);
            }
            Ok(Response::Bulk(bytes)) => {
                let backup = Backup::decode(&bytes).map_err(RestoreError::Answer)?;
                return Ok((bytes, backup));
            }
            Ok(_) => return Err(RestoreError::Answer(BackupError::Foreign)),
            Err(error) => return Err(error.into()),
        }
    }
}
