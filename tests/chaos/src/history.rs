//! What the clients of a campaign asked for and were told.

use crate::model::Operation;
use crate::resp::Reply;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// An operation of a client. Those that were refused with the assurance that nothing was changed are not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// The client.
    pub client: u64,
    /// The group of the keys.
    pub group: u32,
    /// The operation.
    pub operation: Operation,
    /// When it was sent, in microseconds.
    pub invoked: u64,
    /// When the reply arrived, and the reply; `None` if nobody knows whether it was executed, or ever will be.
    pub answered: Option<(u64, Reply)>,
}

/// What was heard of operations beside their replies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Operations that were acknowledged.
    pub acknowledged: u64,
    /// Operations whose outcome is unknown.
    pub unknown: u64,
    /// Operations that were refused, by the code of the error.
    pub refused: BTreeMap<String, u64>,
    /// Replies that no node may give.
    pub alarms: Vec<String>,
}

impl Counts {
    /// Adds the counts of another client.
    pub fn add(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.unknown += other.unknown;
        for (code, count) in other.refused {
            *self.refused.entry(code).or_default() += count;
        }
        self.alarms.extend(other.alarms);
    }

    /// Returns the number of refused operations.
    pub fn refusals(&self) -> u64 {
        self.refused.values().sum()
    }
}

/// Writes records, one JSON object a line.
///
/// # Errors
///
/// Errors of the output.
pub fn write<'a>(
    mut out: impl Write,
    records: impl IntoIterator<Item = &'a Record>,
) -> io::Result<()> {
    for record in records {
        serde_json::to_writer(&mut out, record)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}
