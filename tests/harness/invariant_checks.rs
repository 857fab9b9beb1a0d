//! Invariant checks of scripted clusters: safety properties that are checked after every step.

use crate::harness::cluster::{TestNode, TestOutbox};
use crate::harness::trace::{EventKind, TracedEvent};
use std::collections::{BTreeMap, BTreeSet};
use synod::machines::KvCommand;
use synod::{
    Ballot, ClientId, Epoch, Message, MessageKind, NodeId, Outcome, Proposal, RequestNumber, Slot,
    Write,
};

/// The first observation of each value, with which later ones are compared.
#[derive(Debug, Default)]
pub(crate) struct InvariantChecks {
    /// The chain digest of the log up to a slot, as first observed.
    chains: BTreeMap<Slot, u64>,
    /// The proposal chosen in a slot, under any ballot of the latest epoch in which one was. What was chosen in an earlier
    /// epoch is void (rule V3).
    chosen: BTreeMap<Slot, (Epoch, Proposal<KvCommand>)>,
    /// The proposal that was applied in a slot.
    applied: BTreeMap<Slot, Proposal<KvCommand>>,
    /// The slot in which a request took effect.
    effects: BTreeMap<(ClientId, RequestNumber), Slot>,
    promised: BTreeMap<u16, Ballot>,
    /// The highest promise that each node has written.
    promises_written: BTreeMap<u16, Ballot>,
    /// The votes that each node has written.
    votes_written: BTreeSet<(u16, Slot, Ballot)>,
}

impl InvariantChecks {
    /// Checks the output of a step: no message depends on a vote that is not written.
    pub(crate) fn check_outbox(&mut self, node: &TestNode, outbox: &TestOutbox) {
        if !node.is_voter() {
            Self::check_nonvoter(outbox);
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
                // A leader votes for the proposal that it sends.
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

    /// Checks that a node without a vote sends only the messages of a replica.
    fn check_nonvoter(outbox: &TestOutbox) {
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
                        | MessageKind::Superseded
                        | MessageKind::ReadIndex
                ),
                "D2: a node without a vote sends {outgoing:?}"
            );
        }
        for write in &outbox.writes {
            assert!(
                matches!(write, Write::Decided { .. } | Write::Installed(_)),
                "D2: a node without a vote writes {write:?}"
            );
        }
    }

    /// Checks a node's promise and its applied prefix after a step.
    pub(crate) fn check_node(&mut self, node: &TestNode) {
        self.check_chain(node.id().0, node.applied(), node.chain());
        // A node that has halted says and writes nothing any more.
        if node.is_voter() && node.halted().is_none() {
            self.check_promise(node);
        }
    }

    fn check_promise(&mut self, node: &TestNode) {
        let (epoch, promised) = (node.epoch(), node.promised());
        let node = node.id().0;
        let before = self.promised.insert(node, promised).unwrap_or_default();
        assert!(
            before <= promised,
            "NODE_{node} promised {before} and then {promised}"
        );
        // At the beginning of an epoch nothing is promised in it, and nothing of earlier ones counts.
        let written = self.promises_written.get(&node).copied();
        let floor = Ballot::of(epoch, 0, NodeId(0));
        assert_eq!(
            promised,
            written.unwrap_or_default().max(floor),
            "NODE_{node} has not written its promise"
        );
    }

    fn check_chain(&mut self, node: u16, slot: Slot, chain: u64) {
        let known = *self.chains.entry(slot).or_insert(chain);
        assert_eq!(
            known, chain,
            "NODE_{node} has applied another log than the other nodes up to slot {slot}"
        );
    }

    /// Checks an event that a node traced.
    pub(crate) fn check_event(&mut self, traced: &TracedEvent) {
        match traced.event {
            EventKind::Chosen {
                slot,
                ballot,
                proposal,
            } => self.check_chosen(traced.node, slot, (ballot.epoch(), proposal)),
            EventKind::Installed { at, chain } => self.check_chain(traced.node, at, chain),
            EventKind::Applied {
                slot,
                proposal,
                outcome,
                chain,
            } => {
                self.check_applied(traced.node, slot, proposal);
                self.check_chain(traced.node, slot, chain);
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

    /// Checks that one value is chosen for a slot in each epoch.
    fn check_chosen(&mut self, node: u16, slot: Slot, chosen: (Epoch, Proposal<KvCommand>)) {
        let known = self.chosen.entry(slot).or_insert(chosen);
        if known.0 < chosen.0 {
            *known = chosen;
        }
        assert!(
            known.0 > chosen.0 || known.1 == chosen.1,
            "NODE_{node} has another value in slot {slot}: {chosen:?}, and {known:?} before"
        );
    }

    /// Checks that each slot has one value, for ever.
    fn check_applied(&mut self, node: u16, slot: Slot, proposal: Proposal<KvCommand>) {
        let known = *self.applied.entry(slot).or_insert(proposal);
        assert_eq!(
            known, proposal,
            "NODE_{node} has another value in slot {slot}"
        );
    }
}
