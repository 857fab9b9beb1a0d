//! What is asked of a cluster after all faults: that every member answers, that all that was acknowledged is there, and
//! that the members agree.

use crate::campaign::Outcome;
use crate::clock::Clock;
use crate::connection::{Connection, ask, status};
use crate::history::Record;
use crate::model::{KEYS, LOCKS, Operation};
use crate::nodes::Cluster;
use crate::resp::{Reply, encode};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::thread;

/// The pause between questions that are asked again.
const AGAIN: Duration = Duration::from_millis(50);
/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long all keys may take to be read at a node, and the members to agree.
const READ_WITHIN: Duration = Duration::from_mins(1);
/// The number of groups that are read at once.
const CHUNK: usize = 32;
/// The reader at a node is the client with this number, plus that of the node.
const READERS: u64 = 1_000;

/// True if a node answers a write.
pub(crate) fn answers(cluster: &Cluster, clock: Clock, node: u16) -> bool {
    let words = ["SET", "chaos:peace", &node.to_string()];
    ask(cluster.clients(node), clock, PATIENCE, &words).is_ok_and(|reply| reply == Reply::ok())
}

/// Looks at the members of a cluster without faults.
pub(crate) fn look(
    cluster: &Cluster,
    clock: Clock,
    answers_within: Duration,
    outcome: &mut Outcome,
) {
    let peace = Clock::start();
    let members = cluster.members();
    for node in &members {
        let mut answered = answers(cluster, clock, *node);
        while !answered && peace.elapsed() < answers_within {
            thread::sleep(AGAIN);
            answered = answers(cluster, clock, *node);
        }
        if !answered || peace.elapsed() > answers_within {
            outcome.alarms.push(format!(
                "NODE_{node} has not answered a write {answers_within:?} after all faults"
            ));
        }
    }
    outcome.recovery = peace.elapsed();
    let groups: BTreeSet<u32> = outcome.records.iter().map(|record| record.group).collect();
    let groups: Vec<u32> = groups.into_iter().filter(|group| *group != LOCKS).collect();
    for node in &members {
        let until = clock.elapsed() + READ_WITHIN;
        for chunk in groups.chunks(CHUNK) {
            let mut read = read(cluster, clock, *node, chunk);
            while read.is_err() && clock.elapsed() < until {
                thread::sleep(AGAIN);
                read = self::read(cluster, clock, *node, chunk);
            }
            match read {
                Ok(records) => outcome.records.extend(records),
                Err(error) => {
                    outcome.alarms.push(format!(
                        "NODE_{node} cannot be read after all faults: {error}"
                    ));
                    break;
                }
            }
        }
    }
    outcome
        .alarms
        .extend(disagreement(cluster, clock, &members));
}

/// Reads all keys of some groups at a node.
fn read(cluster: &Cluster, clock: Clock, node: u16, groups: &[u32]) -> io::Result<Vec<Record>> {
    let operation = Operation::GetAll((0..KEYS).collect());
    let mut bytes = Vec::new();
    for group in groups {
        for words in operation.commands(*group) {
            encode(&words, &mut bytes);
        }
    }
    let invoked = clock.micros();
    let mut connection = Connection::open(cluster.clients(node))?;
    connection.send(&bytes)?;
    let until = clock.elapsed() + PATIENCE;
    let record = |group: &u32| match connection.next(clock, until)? {
        Reply::Error(error) => Err(io::Error::other(error)),
        reply => Ok(Record {
            client: READERS + u64::from(node),
            group: *group,
            operation: operation.clone(),
            invoked,
            answered: Some((clock.micros(), reply)),
        }),
    };
    groups.iter().map(record).collect()
}

/// Compares the digests of the members' histories. Returns what differs, or that they never had applied the same.
fn disagreement(cluster: &Cluster, clock: Clock, members: &[u16]) -> Option<String> {
    let until = clock.elapsed() + READ_WITHIN;
    // What was applied, with the digest and the node that said so.
    let mut known: BTreeMap<String, (String, u16)> = BTreeMap::new();
    loop {
        let mut applied = BTreeSet::new();
        for node in members {
            let status = status(cluster.clients(*node), clock);
            let pair = status
                .and_then(|mut status| Some((status.remove("applied")?, status.remove("chain")?)));
            let Some((slots, chain)) = pair else {
                applied.insert(None);
                continue;
            };
            let (first, teller) = known
                .entry(slots.clone())
                .or_insert_with(|| (chain.clone(), *node));
            if *first != chain {
                return Some(format!(
                    "histories differ: after {slots} slots NODE_{teller} has {first}, and NODE_{node} has {chain}"
                ));
            }
            applied.insert(Some(slots));
        }
        if applied.len() == 1 && !applied.contains(&None) {
            return None;
        }
        if clock.elapsed() > until {
            return Some(format!(
                "the members have not applied the same {READ_WITHIN:?} after all faults: {applied:?}"
            ));
        }
        thread::sleep(AGAIN);
    }
}
