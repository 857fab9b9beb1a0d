//! Checks of epochs: who may say what under a ballot of which epoch, and what may be accepted there.

use super::Checker;
use crate::random_walk::Machine;
use crate::random_walk::check::{Check, Violation};
use synod::machines::KvCommand;
use synod::{Entry, Epoch, Message, Node, Slot, Write};

impl Checker {
    /// Checks the epoch of a write: a node promises and accepts nothing in an epoch that it has not entered.
    pub(super) fn see_epoch(
        &self,
        (node, epoch): (u16, Epoch),
        write: &Write<KvCommand>,
    ) -> Result<(), Violation> {
        let ballot = match write {
            Write::Promised(ballot) => *ballot,
            Write::Accepted(entry) => entry.ballot,
            Write::Decided { .. } | Write::Installed(_) => return Ok(()),
        };
        let entered = ballot.epoch() <= epoch;
        self.checks.ensure(Check::Membership, entered, || {
            format!("NODE_{node} writes {ballot}, and is in epoch {epoch}")
        })
    }

    /// Checks the slot of a durable vote: it is above the end of the epoch before that of the ballot, and the leader has
    /// given no slot to anything above a change that ends the epoch.
    pub(super) fn see_place(
        &mut self,
        node: u16,
        entry: &Entry<KvCommand>,
    ) -> Result<(), Violation> {
        let Entry {
            slot,
            ballot,
            proposal,
        } = entry;
        let (checks, epochs) = (self.checks, &self.ledger.epochs);
        let began = epochs.began(ballot.epoch());
        let is_above = began.is_none_or(|after| after < *slot);
        checks.ensure(Check::Membership, is_above, || {
            format!(
                "NODE_{node} accepts slot {slot} under {ballot}, and an earlier epoch has decided it"
            )
        })?;
        let (last, end) = self.ends.entry(*ballot).or_insert((Slot::ZERO, None));
        *last = (*last).max(*slot);
        if epochs.ends(ballot.epoch(), proposal) {
            *end = Some(end.map_or(*slot, |end| end.min(*slot)));
        }
        let is_last = end.is_none_or(|end| *last <= end);
        checks.ensure(Check::Membership, is_last, || {
            format!(
                "the leader of {ballot} proposes a change in slot {end:?}, which ends the epoch, and another value in slot {last}"
            )
        })
    }

    /// Checks a message at the time of the step that says it, which began in the epoch `before`. A node speaks under a
    /// ballot of the epoch that it is in, and as a member of it. In the step in which it enters an epoch, it may have spoken
    /// before. A learner and a retired node answer heartbeats, and pass on what is decided.
    pub(in crate::random_walk) fn see_spoken<
        const WINDOW: usize,
        const CLIENTS: usize,
        const PAGE: usize,
    >(
        &self,
        node: &Node<Machine, WINDOW, CLIENTS, PAGE>,
        before: Epoch,
        message: &Message<Machine, PAGE>,
    ) -> Result<(), Violation> {
        let (checks, number, present) = (self.checks, node.id().0, node.epoch());
        if let Message::Superseded { ballot, applied } = message {
            let is_over = ballot.epoch() < present && *applied <= node.applied();
            checks.ensure(Check::Membership, is_over, || {
                format!(
                    "NODE_{number} says that {ballot} is superseded up to slot {applied}, and is in epoch {present} at slot {}",
                    node.applied()
                )
            })?;
        }
        let Some(ballot) = message.ballot_of_member() else {
            return Ok(());
        };
        let (epoch, kind) = (ballot.epoch(), message.kind().name());
        let is_present = before <= epoch && epoch <= present;
        checks.ensure(Check::Membership, is_present, || {
            format!(
                "NODE_{number} sends {kind} under {ballot}, and is in epoch {present} from epoch {before} on"
            )
        })?;
        let is_member = self.ledger.epochs.members(epoch).contains(node.id());
        checks.ensure(Check::Membership, is_member, || {
            format!("NODE_{number} sends {kind} under {ballot}, and is no member of that epoch")
        })
    }
}
