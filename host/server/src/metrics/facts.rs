//! What the figures of a server come from.

use super::Histogram;
use crate::net::{Clients, Peers, ScrapeCounts, Scrapes};
use crate::service::{Counters, Service};
use std::fs;
use synod::storage::Storage;
use synod::wire::Dropped;
use synod::{Marks, NodeId, NodeState, Slot};

/// The facts of one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) node: NodeId,
    pub(crate) state: NodeState,
    pub(crate) leader: Option<NodeId>,
    pub(crate) is_member: bool,
    pub(crate) is_durable: bool,
    pub(crate) epoch: u16,
    pub(crate) members: usize,
    /// The other nodes to which there is a connection, and those of them that are members.
    pub(crate) reached: (usize, usize),
    pub(crate) applied: Slot,
    pub(crate) marks: Marks,
    pub(crate) counters: Counters,
    pub(crate) dropped: Dropped,
    pub(crate) waiting: usize,
    pub(crate) journal: JournalFacts,
    /// The keys, those of them that expire, and their bytes.
    pub(crate) keys: (usize, usize, usize),
    pub(crate) expired: u64,
    pub(crate) strangers: u64,
    /// The connections of nodes that did not get through TLS.
    pub(crate) refused: u64,
    pub(crate) unsent: u64,
    /// The memory of the process in bytes; 0 where the system does not tell.
    pub(crate) memory: u64,
    pub(crate) outside: Outside,
}

/// The journal of a node; all zero for a node without one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct JournalFacts {
    pub(crate) used: usize,
    pub(crate) peak: usize,
    pub(crate) capacity: usize,
    pub(crate) checkpoints: u32,
}

/// What the server knows beside its service and its peers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outside {
    pub(crate) clients: usize,
    /// The connections that were accepted, and rejected.
    pub(crate) connections: (u64, u64),
    /// The connections of clients that did not get through TLS.
    pub(crate) refused: u64,
    pub(crate) scrapes: ScrapeCounts,
    /// The time of turns that made something durable.
    pub(crate) commits: Histogram,
    /// When the process began, in seconds since 1970.
    pub(crate) start: u64,
    /// The time of the wall clock, in seconds since 1970.
    pub(crate) unix: u64,
}

impl Outside {
    pub(crate) fn new(
        clients: &Clients,
        scrapes: &Scrapes,
        commits: Histogram,
        (start, unix): (u64, u64),
    ) -> Self {
        Self {
            clients: clients.len(),
            connections: clients.counts(),
            refused: clients.refused(),
            scrapes: scrapes.counts(),
            commits,
            start,
            unix,
        }
    }
}

impl Facts {
    /// Returns the facts of this moment.
    pub(crate) fn new<S: Storage>(service: &Service<S>, peers: &Peers, outside: Outside) -> Self {
        let node = service.node();
        let status = service.status();
        let machine = node.machine();
        let members = status.members;
        Self {
            node: node.id(),
            state: status.state,
            leader: status.leader,
            is_member: members.contains(node.id()),
            is_durable: service.is_durable(),
            epoch: status.epoch.0,
            members: members.iter().count(),
            reached: (
                peers.reached().count(),
                peers
                    .reached()
                    .filter(|node| members.contains(*node))
                    .count(),
            ),
            applied: status.applied,
            marks: node.marks(),
            counters: service.counters(),
            dropped: service.dropped(),
            waiting: service.waiting(),
            journal: service.journal_facts().unwrap_or_default(),
            keys: (machine.keys(), machine.expiring(), machine.bytes()),
            expired: machine.expired(),
            strangers: peers.strangers(),
            refused: peers.refused(),
            unsent: peers.dropped(),
            memory: resident_memory().unwrap_or(0),
            outside,
        }
    }
}

impl Facts {
    /// Returns whether the node serves clients, and what it is, as one line.
    pub(crate) fn health(&self) -> (bool, String) {
        let is_serving = self.leader.is_some()
            && self.is_durable
            && !matches!(self.state, NodeState::Joining | NodeState::Halted);
        (is_serving, format!("{}\n", self.state))
    }
}

/// Returns the memory of the process in bytes, where the system tells.
fn resident_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
