//! Reads that take no slot: what a client sees in the state of a node is not older than what any client had been told
//! when the read was asked.

use super::Ledger;
use crate::random_walk::check::{Check, Violation};
use std::collections::BTreeMap;
use synod::machines::KvReply;
use synod::{Outcome, Reply, Slot};

/// First nonce of a read, far from slots and from the nonces of registrations.
const FIRST: u64 = 1 << 50;

/// A read that waits for its answer.
struct Read {
    node: u16,
    /// Highest slot that any client knew of when it was asked.
    least: Slot,
    /// Slot up to which the state includes the log that the driver has looked at for the answer, until the answer leaves.
    seen: Option<Slot>,
}

/// All reads.
#[derive(Default)]
pub(super) struct Reads {
    /// Reads that wait, by nonce.
    waiting: BTreeMap<u64, Read>,
    /// Number of reads that were asked.
    asked: u64,
}

impl Ledger {
    /// Records a read that a client asks at a node, and returns its nonce.
    pub(in crate::random_walk) fn ask_read(&mut self, node: u16) -> u64 {
        let nonce = FIRST + self.reads.asked;
        self.reads.asked += 1;
        let read = Read {
            node,
            least: self.known,
            seen: None,
        };
        self.reads.waiting.insert(nonce, read);
        nonce
    }

    /// Forgets a read that its node has refused.
    pub(in crate::random_walk) fn refuse_read(&mut self, nonce: u64) {
        self.reads.waiting.remove(&nonce);
    }

    /// Forgets the reads that wait at a node, which has lost its power.
    pub(in crate::random_walk) fn lose_reads(&mut self, node: u16) {
        self.reads.waiting.retain(|_, read| read.node != node);
    }

    /// Checks the state at which a driver looks for an answer, at the end of the step that has given the answer. A client
    /// hears of it when the answer leaves: see [`Ledger::see_read_reply`].
    pub(in crate::random_walk) fn see_readable(
        &mut self,
        node: u16,
        reply: &Reply<KvReply>,
        state: Slot,
    ) -> Result<(), Violation> {
        let Outcome::Readable { applied } = reply.outcome else {
            return Ok(());
        };
        let Some(read) = self.reads.waiting.get_mut(&reply.key.client.0) else {
            // Whoever has asked for nothing is told so when the answer leaves.
            return Ok(());
        };
        read.seen = Some(state);
        let least = read.least;
        self.checks.ensure(Check::Read, least <= applied && applied <= state, || {
            format!(
                "NODE_{node} lets a client read the state after slot {applied}, and is at slot {state}; slot {least} was known before"
            )
        })
    }

    /// Checks an answer to a read when it leaves its node.
    pub(super) fn see_read_reply(
        &mut self,
        node: u16,
        reply: &Reply<KvReply>,
    ) -> Result<(), Violation> {
        let read = self.reads.waiting.remove(&reply.key.client.0);
        let right = read.is_some_and(|read| {
            let seen = read.seen;
            self.known = self.known.max(seen.unwrap_or_default());
            read.node == node && (seen.is_some() || reply.outcome == Outcome::NotNow)
        });
        self.checks.ensure(Check::Answer, right, || {
            format!("NODE_{node} answers {reply:?} to a read that does not wait there")
        })
    }
}
