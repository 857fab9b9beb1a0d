//! The rules that no run may break, whatever its script does, checked after every step.

use crate::harness::cluster::{TestNode, TestOutbox};
use crate::harness::trace::{Fact, What};
use std::collections::{BTreeMap, BTreeSet};
use synod::machines::KvCommand;
use synod::{
    Ballot, ClientId, Message, MessageKind, Outcome, Proposal, RequestNumber, Slot, Write,
};

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
    /// The highest promise that each node has written.
    promises_written: BTreeMap<u16, Ballot>,
    /// The votes that each node has written.
    votes_written: BTreeSet<(u16, Slot, Ballot)>,
}

impl Oracle {
    /// What a node wants done after a step: nothing rests on a vote that is not written.
    pub(crate) fn see_outbox(&mut self, node: &TestNode, outbox: &TestOutbox) {
        if !node.is_voter() {
            Self::see_silence(outbox);
        }
        let node = node.id().0;
        for write in &outbox.writes {
            let ballot = match write {
                Write::Promised(ballot) => *ballot,
                Write::Accepted(entry) => {
                    self.votes_written.insert((node, entry.slot, entry.ballot));
                    entry.ballot
                }
                Write::Decided { .. } | Write::Installed(_) => continue,
            };
            let written = self.promises_written.entry(node).or_default();
            *written = ballot.max(*written);
        }
        for outgoing in &outbox.messages {
            let (ballot, first, count) = match &outgoing.message {
                Message::Accepted {
                    ballot,
                    first,
                    count,
                    ..
                } => (*ballot, *first, u64::from(*count)),
                // Whoever asks has voted itself.
                Message::Accept {
                    ballot,
                    first,
                    proposals,
                    ..
                } => (*ballot, *first, u64::try_from(proposals.len()).unwrap()),
                _ => continue,
            };
            for number in first.number()..first.number() + count {
                let vote = (node, Slot::new(number), ballot);
                assert!(self.votes_written.contains(&vote), "not written: {vote:?}");
            }
        }
    }

    /// A node that does not vote speaks as a replica only.
    fn see_silence(outbox: &TestOutbox) {
        for outgoing in &outbox.messages {
            assert!(
                matches!(
                    outgoing.message.kind(),
                    MessageKind::Join
                        | MessageKind::Welcome
                        | MessageKind::Propose
                        | MessageKind::Learn
                        | MessageKind::Decisions
                        | MessageKind::Request
                        | MessageKind::Response
                ),
                "D2: it does not vote, and says {outgoing:?}"
            );
        }
        for write in &outbox.writes {
            assert!(
                matches!(write, Write::Decided { .. } | Write::Installed(_)),
                "D2: it does not vote, and writes {write:?}"
            );
        }
    }

    /// A node's promise and prefix after a step.
    pub(crate) fn see_node(&mut self, node: &TestNode) {
        self.see_chain(node.id().0, node.applied(), node.chain());
        if node.is_voter() {
            self.see_promise(node.id().0, node.promised());
        }
    }

    fn see_promise(&mut self, node: u16, promised: Ballot) {
        let before = self.promised.insert(node, promised).unwrap_or_default();
        assert!(
            before <= promised,
            "NODE_{node} promised {before} and then {promised}"
        );
        let written = self.promises_written.get(&node).copied();
        assert_eq!(
            promised,
            written.unwrap_or_default(),
            "NODE_{node} has not written its promise"
        );
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
