//! Checks of reads that take no slot: what a client reads in the state of a node is not older than what any client was told
//! before that read was asked.
//!
//! A state is as old as the number of requests that have taken effect in it, as the log is the same everywhere.

use super::Ledger;
use crate::check::world::Member;
use crate::check::{Broken, Invariant, Scope};
use synod::{NodeId, Outcome, Reply};

/// A read that waits at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Read {
    node: NodeId,
    /// Number of requests that have taken effect in the state, at least.
    least: u32,
}

/// The reads that clients have asked, and what clients were told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Reads {
    /// Reads in the order in which they were asked; `None` for one that was answered or refused, or lost with the power of
    /// its node.
    asked: Vec<Option<Read>>,
    /// Greatest number of requests that have taken effect in a state that some client was told of. It is 0 once no read can
    /// follow, as it would distinguish states without a difference.
    told: u32,
}

impl Ledger {
    /// Records a read that a client asks at a node, and returns its nonce.
    pub(in crate::check) fn ask_read(&mut self, node: NodeId, scope: &Scope) -> u64 {
        let least = self.reads.told;
        self.reads.asked.push(Some(Read { node, least }));
        if !self.may_read(scope) {
            self.reads.told = 0;
        }
        u64::try_from(self.reads.asked.len()).unwrap_or(u64::MAX)
    }

    /// Records that a node has refused the last read.
    pub(in crate::check) fn refuse_read(&mut self) {
        if let Some(last) = self.reads.asked.last_mut() {
            *last = None;
        }
    }

    /// True if clients may ask further reads.
    pub(in crate::check) fn may_read(&self, scope: &Scope) -> bool {
        self.reads.asked.len() < usize::from(scope.reads)
    }

    /// Forgets the reads that wait at a node, which has lost its power.
    pub(super) fn lose_reads(&mut self, node: NodeId) {
        for read in &mut self.reads.asked {
            *read = read.filter(|read| read.node != node);
        }
    }

    /// Checks an answer to a read against what clients had been told when it was asked.
    pub(super) fn see_read(
        &mut self,
        after: &Member,
        reply: &Reply<u32>,
        scope: &Scope,
    ) -> Result<(), Broken> {
        let node = after.id();
        let place = usize::try_from(reply.key.client.0.saturating_sub(1)).unwrap_or(usize::MAX);
        let read = self.reads.asked.get_mut(place).and_then(Option::take);
        let Some(read) = read.filter(|read| read.node == node) else {
            must!(
                false,
                Once,
                "{node} answers a read that does not wait there"
            );
            return Ok(());
        };
        match reply.outcome {
            Outcome::Readable { .. } => {
                let seen = after.machine().count();
                must!(
                    seen >= read.least,
                    Read,
                    "{node} lets a client read a state after {seen} requests, and one after {} was known before",
                    read.least
                );
                self.note_told(seen, scope);
            }
            outcome => must!(
                outcome == Outcome::NotNow,
                Once,
                "{node} answers {outcome:?} to a read"
            ),
        }
        Ok(())
    }

    /// Records that a client was told of a state after so many requests.
    pub(super) fn note_told(&mut self, requests: u32, scope: &Scope) {
        if self.may_read(scope) {
            self.reads.told = self.reads.told.max(requests);
        }
    }
}
