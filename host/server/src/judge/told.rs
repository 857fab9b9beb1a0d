//! What nodes tell of the decided log: the first of them for each slot, with which the others are compared.

use std::collections::BTreeMap;
use synod::{Proposal, Slot};

/// How many of the latest slots are compared.
const SLOTS: usize = 65_536;
/// How many commands are remembered that took effect, in each of two sets.
const COMMANDS: usize = 1 << 19;

/// What stands in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decided {
    /// `None` of a slot that is only known from its end: by a snapshot.
    pub(super) proposal: Option<Proposal<u64>>,
    pub(super) chain: u64,
}

/// What was told first.
#[derive(Debug, Default)]
pub(super) struct Told {
    slots: BTreeMap<Slot, Decided>,
    last: Slot,
    /// The slots in which commands took effect, the recent ones and those before them.
    recent: BTreeMap<u64, Slot>,
    older: BTreeMap<u64, Slot>,
}

impl Told {
    /// The last slot of which anybody has told.
    pub(super) fn last(&self) -> Slot {
        self.last
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Decided> {
        self.slots.get(&slot)
    }

    /// Whether a slot is older than all that is kept.
    pub(super) fn is_old(&self, slot: Slot) -> bool {
        self.slots.len() >= SLOTS && self.slots.keys().next().is_some_and(|first| slot < *first)
    }

    pub(super) fn put(&mut self, slot: Slot, decided: Decided) {
        self.last = self.last.max(slot);
        self.slots.insert(slot, decided);
        if self.slots.len() > SLOTS {
            self.slots.pop_first();
        }
    }

    /// A command takes effect in a slot. Returns the slot in which it did before.
    pub(super) fn takes_effect(&mut self, fingerprint: u64, slot: Slot) -> Option<Slot> {
        let known = self.recent.get(&fingerprint);
        if let Some(earlier) = known.or_else(|| self.older.get(&fingerprint)) {
            return (*earlier != slot).then_some(*earlier);
        }
        if self.recent.len() >= COMMANDS {
            self.older = core::mem::take(&mut self.recent);
        }
        self.recent.insert(fingerprint, slot);
        None
    }
}
