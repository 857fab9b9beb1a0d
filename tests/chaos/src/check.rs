//! The judgement of a history: each group of keys must have one order of its operations that explains all replies, and
//! no lock may be taken before the time of the one before it has passed.

mod locks;
#[cfg(test)]
mod tests;

use crate::history::Record;
use crate::model::{LOCKS, State};
use std::collections::BTreeMap;
use synod_host::linearizability::search::{Entry, Found, linearize};

/// The greatest number of steps of the search in one group. An order that exists is found in about as many as there are
/// operations.
const STEPS_MAX: u64 = 2_000_000;
/// The greatest number of operations of a group that is judged, as the search takes memory for each.
const GROUP_MAX: usize = 20_000;
/// The greatest number of reads that are left out on trial when a violation is made smaller.
const TRIALS_MAX: usize = 400;

/// What a judgement has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Operations that an order explains.
    pub explained: u64,
    /// Operations of groups that were too large, or have too many orders.
    pub unchecked: u64,
    /// Locks that were taken in time.
    pub locks: u64,
    /// Groups without an order, and locks that were taken too early.
    pub violations: Vec<Violation>,
}

/// Operations that nothing explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The group.
    pub group: u32,
    /// The operation whose reply no order passes.
    pub blocked: Record,
    /// A part of the history that is enough: the shortest beginning of it, and of that only the reads that matter.
    pub records: Vec<Record>,
}

/// Judges a history.
pub fn judge(records: &[Record]) -> Judgement {
    let mut groups: BTreeMap<u32, Vec<Record>> = BTreeMap::new();
    for record in records {
        groups.entry(record.group).or_default().push(record.clone());
    }
    let mut judgement = Judgement::default();
    if let Some(locks) = groups.remove(&LOCKS) {
        locks::judge(&locks, &mut judgement);
    }
    for (group, records) in groups {
        let count = u64::try_from(records.len()).unwrap_or(u64::MAX);
        match search(&records) {
            Found::Order => judgement.explained += count,
            Found::Unknown => judgement.unchecked += count,
            Found::None(_) => {
                let records = reduced(records);
                if let Some(blocked) = blocked(&records) {
                    judgement.violations.push(Violation {
                        group,
                        blocked: blocked.clone(),
                        records,
                    });
                }
            }
        }
    }
    judgement
}

/// Searches for an order of the operations of one group.
fn search(records: &[Record]) -> Found {
    if records.len() > GROUP_MAX {
        return Found::Unknown;
    }
    let mut entries = Vec::new();
    for (index, record) in records.iter().enumerate() {
        // Of what happens in the same microsecond, invocations come first: then the operations overlap.
        entries.push((record.invoked, 0, Entry::Asked(index)));
        if let Some((at, _)) = &record.answered {
            entries.push((*at, 1, Entry::Answered(index)));
        }
    }
    entries.sort_by_key(|(at, kind, _)| (*at, *kind));
    let entries: Vec<_> = entries.into_iter().map(|(.., entry)| entry).collect();
    linearize(&entries, STEPS_MAX, |state: &State, index| {
        let record = records.get(index)?;
        let mut after = state.clone();
        let reply = record.operation.execute(&mut after);
        let fits = match &record.answered {
            Some((_, heard)) => heard.agrees(&reply),
            None => true,
        };
        fits.then_some(after)
    })
}

fn blocked(records: &[Record]) -> Option<&Record> {
    match search(records) {
        Found::None(index) => records.get(index),
        Found::Order | Found::Unknown => None,
    }
}

/// Returns a smaller part of a history without an order that has none either.
fn reduced(records: Vec<Record>) -> Vec<Record> {
    let mut ends: Vec<u64> = records
        .iter()
        .filter_map(|record| Some(record.answered.as_ref()?.0))
        .collect();
    ends.sort_unstable();
    // A beginning of a history that can be explained can be explained.
    let shortest = ends.partition_point(|end| blocked(&beginning(&records, *end)).is_none());
    let mut kept = match ends.get(shortest) {
        Some(end) => beginning(&records, *end),
        None => records,
    };
    // Reads leave no trace, so without one the rest is a history of its own. The last are left out first.
    let reads: Vec<usize> = (0..kept.len())
        .rev()
        .filter(|index| kept.get(*index).is_some_and(|one| one.operation.is_read()))
        .take(TRIALS_MAX)
        .collect();
    for index in reads {
        let record = kept.remove(index);
        if blocked(&kept).is_none() {
            kept.insert(index, record);
        }
    }
    kept
}

/// Returns what was known of a history at a time.
fn beginning(records: &[Record], end: u64) -> Vec<Record> {
    let known = |record: &Record| Record {
        answered: record.answered.clone().filter(|(at, _)| *at <= end),
        ..record.clone()
    };
    let begun = records.iter().filter(|record| record.invoked <= end);
    begun.map(known).collect()
}
