//! A client of a campaign: sends operations, and records when it did and what it was told.

use crate::clock::Clock;
use crate::connection::Connection;
use crate::history::{Counts, Record};
use crate::model::Operation;
use crate::nodes::Cluster;
use crate::plan::{Client as ClientPlan, Plan};
use crate::resp::{Reply, encode};
use crate::workload::Workload;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

/// The codes of errors that assure that nothing was changed.
const NOTHING_CHANGED: [&str; 3] = ["CLUSTERDOWN", "BUSY", "EXECABORT"];

/// What a client has seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// Its operations.
    pub records: Vec<Record>,
    /// What else it heard.
    pub counts: Counts,
}

/// Runs a client until `stop` is set.
pub fn run(
    (number, own): (u64, &ClientPlan),
    plan: &Plan,
    cluster: &Cluster,
    clock: Clock,
    stop: &AtomicBool,
) -> Seen {
    let mut client = Client {
        number,
        workload: Workload::new(plan, (number, own.reads)),
        patience: Duration::from_millis(own.patience_ms),
        cluster,
        clock,
        connection: None,
        seen: Seen::default(),
    };
    while !stop.load(Ordering::Relaxed) {
        let count = client.workload.random().between(1, own.pipeline);
        if !client.batch(count) {
            clock.sleep(Duration::from_millis(10), stop);
        }
        let rest = client.workload.random().between(0, own.rest_ms);
        clock.sleep(Duration::from_millis(rest), stop);
    }
    client.seen
}

struct Client<'a> {
    number: u64,
    workload: Workload<'a>,
    patience: Duration,
    cluster: &'a Cluster,
    clock: Clock,
    connection: Option<Connection>,
    seen: Seen,
}

/// How an operation has ended.
enum End {
    Acknowledged(Reply),
    Refused(String),
    /// The node has halted, which no node may.
    Halted(String),
    Unknown,
}

impl Client<'_> {
    /// Sends some operations at once, and waits for their replies. Returns false if no node can be reached.
    fn batch(&mut self, count: u64) -> bool {
        // Now and then another node is asked though this one answers.
        if self.workload.random().happens(2) {
            self.connection = None;
        }
        let Some(mut connection) = self.connection.take().or_else(|| self.connect()) else {
            return false;
        };
        let now = u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(0);
        let mut bytes = Vec::new();
        let mut sent = Vec::new();
        for _ in 0..count {
            let (group, operation) = self.workload.draw(now);
            let commands = operation.commands(group);
            for words in &commands {
                encode(words, &mut bytes);
            }
            sent.push((group, operation, commands.len()));
        }
        let invoked = self.clock.micros();
        let until = self.clock.elapsed() + self.patience;
        let mut is_open = connection.send(&bytes).is_ok();
        for (group, operation, replies) in sent {
            let end = if is_open {
                self.end(&mut connection, until, replies)
            } else {
                None
            };
            // After a connection has failed, nothing is known of all that was sent behind.
            is_open = end.is_some();
            self.take(group, operation, invoked, end.unwrap_or(End::Unknown));
        }
        self.connection = is_open.then_some(connection);
        true
    }

    /// Connects to any node that runs.
    fn connect(&mut self) -> Option<Connection> {
        let nodes = self.cluster.asked();
        let node = *self.workload.random().pick(&nodes)?;
        Connection::open(self.cluster.clients(node)).ok()
    }

    /// Waits for the replies to an operation, of which the last one is that to all. Returns `None` if the connection fails.
    fn end(&self, connection: &mut Connection, until: Duration, replies: usize) -> Option<End> {
        let mut last = Reply::Nil;
        for _ in 0..replies {
            last = connection.next(self.clock, until).ok()?;
        }
        let Reply::Error(error) = &last else {
            return Some(End::Acknowledged(last));
        };
        let code = error.split(' ').next().unwrap_or_default();
        Some(match code {
            _ if NOTHING_CHANGED.contains(&code) => End::Refused(code.to_owned()),
            "UNKNOWN" => End::Unknown,
            "HALTED" => End::Halted(error.clone()),
            _ => End::Acknowledged(last),
        })
    }

    /// Records an operation.
    fn take(&mut self, group: u32, operation: Operation, invoked: u64, end: End) {
        let counts = &mut self.seen.counts;
        let answered = match end {
            End::Acknowledged(reply) => {
                counts.acknowledged += 1;
                self.workload.note(group, &operation, &reply);
                Some((self.clock.micros(), reply))
            }
            End::Unknown => {
                counts.unknown += 1;
                None
            }
            End::Refused(code) => {
                *counts.refused.entry(code).or_default() += 1;
                return;
            }
            // Whether a halted node has passed the operation on is not said.
            End::Halted(alarm) => {
                counts.alarms.push(alarm);
                None
            }
        };
        self.seen.records.push(Record {
            client: self.number,
            group,
            operation,
            invoked,
            answered,
        });
    }
}
