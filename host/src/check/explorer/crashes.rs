//! A node loses power in the middle of a step, and comes back with what is durable.

use super::Explorer;
use crate::check::coverage::{Coverage, Situation};
use crate::check::initial_state;
use crate::check::invariant::Invariant;
use crate::check::world::World;
use crate::power_cut::PowerCutStorage;
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;
use synod::NodeId;
use synod::storage::Journal;

impl Explorer {
    /// Cuts the power of a node between two steps. Its journal is synced after every step, so that
    /// the storage is whole.
    pub(super) fn crash(&self, world: &mut World, at: NodeId) {
        let journal = world.stored(at).and_then(|stored| stored.journal.clone());
        let storage = journal.map(Journal::into_storage);
        self.come_back(world, at, storage, Situation::Restarted);
    }

    /// Restarts a node from its storage. What it knew is then compared with what it had written; a
    /// node that does not come back at all violates [`Invariant::Storage`].
    pub(super) fn come_back(
        &self,
        world: &mut World,
        at: NodeId,
        storage: Option<PowerCutStorage>,
        how: Situation,
    ) {
        world.used.crashes = world.used.crashes.saturating_add(1);
        // No storage is left once all losses of power are used up, and `may_crash` offers none
        // then.
        let (Some(storage), Some(before)) = (storage, world.node(at)) else {
            return;
        };
        let config = before.config();
        let stored =
            match catch_unwind(AssertUnwindSafe(|| initial_state::recover(config, storage))) {
                Ok(Ok(stored)) => stored,
                Ok(Err(what)) => return Self::breaks(world, Invariant::Storage, what),
                Err(_) => {
                    let what = format!("an assertion in {at} does not hold when it comes back");
                    return Self::breaks(world, Invariant::Assertion, what);
                }
            };
        #[cfg(feature = "mutants")]
        let stored = {
            let mut stored = stored;
            stored.node.mutate(self.mutant);
            stored
        };
        let mut coverage = Coverage::default();
        // Only a node that has come back counts, so that the situation is never reached by a
        // failure.
        coverage.add(how, 1);
        self.coverage.add(&coverage);
        let mut ledger = world.ledger.value.clone();
        let judged = ledger.restart(&stored.node, how == Situation::Torn);
        world.broken = judged.err().map(Arc::new);
        world.remember(ledger, &self.interners);
        world.put(stored, &self.interners);
        if world.used.crashes >= self.scope.crashes {
            world.drop_storage(&self.interners);
        }
    }
}
