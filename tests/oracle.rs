//! The rules that no run may break, whatever its script does, checked after every step.

use crate::log::{Fact, What};
use std::collections::BTreeMap;
use synod::machines::KvCommand;
use synod::{Ballot, ClientId, Outcome, Proposal, RequestNumber, Slot};

/// Remembers what was seen first, and compares.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    /// The digest of everything applied up to a slot, from whoever got there first.
    chains: BTreeMap<Slot, u64>,
    /// What was chosen for a slot, under whatever ballot.
    chosen: BTreeMap<Slot, Proposal<KvCommand>>,
    /// In which slot a request took effect.
    effects: BTreeMap<(ClientId, RequestNumber), Slot>,
    promised: BTreeMap<u16, Ballot>,
}

impl Oracle {
    /// A node's promise and prefix after a step.
    pub(crate) fn see_node(&mut self, node: u16, promised: Ballot, applied: Slot, chain: u64) {
        let before = self.promised.insert(node, promised).unwrap_or_default();
        assert!(
            before <= promised,
            "NODE_{node} promised {before} and then {promised}"
        );
        self.see_chain(node, applied, chain);
    }

    fn see_chain(&mut self, node: u16, slot: Slot, chain: u64) {
        let known = *self.chains.entry(slot).or_insert(chain);
        assert_eq!(
            known, chain,
            "NODE_{node} has applied something else than the others up to slot {slot}"
        );
    }

    /// Something that a node traced.
    pub(crate) fn see_fact(&mut self, fact: &Fact) {
        match fact.what {
            What::Chosen { slot, proposal, .. } => self.see_value(fact.node, slot, proposal),
            What::Installed { at, chain } => self.see_chain(fact.node, at, chain),
            What::Applied {
                slot,
                proposal,
                outcome,
                chain,
            } => {
                self.see_value(fact.node, slot, proposal);
                self.see_chain(fact.node, slot, chain);
                if let (Some(key), Some(Outcome::Applied { slot: effect, .. })) =
                    (proposal.key(), outcome)
                {
                    let known = *self
                        .effects
                        .entry((key.client, key.number))
                        .or_insert(effect);
                    assert_eq!(known, effect, "{key:?} took effect twice");
                }
            }
            _ => {}
        }
    }

    /// One value a slot, for ever.
    fn see_value(&mut self, node: u16, slot: Slot, proposal: Proposal<KvCommand>) {
        let known = *self.chosen.entry(slot).or_insert(proposal);
        assert_eq!(
            known, proposal,
            "NODE_{node} has another value in slot {slot}"
        );
    }
}
