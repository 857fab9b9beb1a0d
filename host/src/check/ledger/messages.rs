//! Checks of the messages that nodes send to each other and to clients, against their writes.
//!
//! A message is a claim about its sender's past, and is checked when it is sent. So a lie is found
//! even if the message never arrives. What it leads to at its recipient is checked there, as what
//! the recipient writes.

use super::{Ledger, Poll};
use crate::check::world::{Member, PAGE};
use crate::check::{Broken, Invariant, Scope, Tape};
use synod::{
    Ballot, ChangeError, ClientId, Entry, Message, NodeId, Outcome, Proposal, Reply, Slot,
};

impl Ledger {
    /// Checks a message when it is sent, which is after the writes of its step, unless these lost their power. Kinds that
    /// claim nothing about writes pass.
    pub(in crate::check) fn see_message(
        &mut self,
        node: &Member,
        message: &Message<Tape, PAGE>,
    ) -> Result<(), Broken> {
        self.see_member(node, message)?;
        match message {
            Message::Prepare { ballot, .. } => self.see_claim(node.id(), *ballot),
            Message::Promise {
                ballot,
                promised,
                from,
                low_water,
                last,
                entries,
            } => {
                // A refusal names the higher promise, which must be written like any other.
                let id = node.id();
                // Neither more nor less: a promise that is not written is lost with the power, and
                // a lower one is an old one.
                let written = self.promised(id).map_or(*promised, |promised| *promised);
                must!(
                    written == *promised,
                    Memory,
                    "{id} reports the promise {promised}, but has written {written}"
                );
                // With another ballot this is a refusal, which reports no votes.
                if promised == ballot {
                    self.see_page(
                        node,
                        (*from).max(low_water.next().unwrap_or(*low_water)),
                        *last,
                        entries,
                    )?;
                }
                Ok(())
            }
            Message::Accepted {
                ballot,
                first,
                count,
                ..
            } => {
                // One message may answer for several slots in a row.
                let mut slot = *first;
                for _ in 0..*count {
                    let mut polls = self.polls.iter();
                    let voted = polls.any(|poll| {
                        (poll.slot, poll.ballot) == (slot, *ballot)
                            && poll.voters.contains(node.id())
                    });
                    must!(
                        voted,
                        Memory,
                        "{} reports that it has accepted slot {slot} under {ballot}, but has not",
                        node.id()
                    );
                    slot = slot.next().unwrap_or(slot);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Checks that a node speaks under a ballot of an epoch that it has entered, and in which it is a member. A learner and a
    /// retired node answer heartbeats, and pass on what is decided.
    fn see_member(&self, node: &Member, message: &Message<Tape, PAGE>) -> Result<(), Broken> {
        let (id, present) = (node.id(), node.epoch());
        let kind = message.kind().name();
        if let Message::Superseded { ballot, applied } = message {
            must!(
                ballot.epoch() < present && *applied <= node.applied(),
                Membership,
                "{id} says that {ballot} is superseded up to slot {applied}, and is in epoch {present} at slot {}",
                node.applied()
            );
        }
        let Some(ballot) = message.ballot_of_member() else {
            return Ok(());
        };
        let epoch = ballot.epoch();
        must!(
            epoch <= present,
            Membership,
            "{id} sends {kind} under {ballot}, and is in epoch {present}"
        );
        must!(
            self.members_of(epoch).contains(id),
            Membership,
            "{id} sends {kind} under {ballot}, and is no member of that epoch"
        );
        Ok(())
    }

    /// Checks that a node which had entered an epoch before a step says nothing in it under a ballot of an earlier one. In the
    /// step in which it enters the epoch, it may have spoken before.
    pub(super) fn see_not_ended(
        before: &Member,
        message: &Message<Tape, PAGE>,
    ) -> Result<(), Broken> {
        let (id, epoch) = (before.id(), before.epoch());
        if let Some(ballot) = message.ballot_of_member() {
            must!(
                ballot.epoch() >= epoch,
                Membership,
                "{id} sends {} under {ballot}, and has been in epoch {epoch} before",
                message.kind().name()
            );
        }
        Ok(())
    }

    /// Checks a claim of a ballot. It may be repeated, as messages are lost, but only by the
    /// incarnation that made it, and a node never claims below one of its own claims.
    pub(super) fn see_claim(&mut self, node: NodeId, ballot: Ballot) -> Result<(), Broken> {
        let incarnation = self
            .incarnations
            .get(usize::from(node.0))
            .copied()
            .unwrap_or(0);
        let mut claims = self.claims.iter();
        // A ballot names its node, so that no other node can have claimed it.
        if let Some((_, by)) = claims.find(|(claimed, _)| *claimed == ballot) {
            must!(
                *by == incarnation,
                Promise,
                "{node} claims {ballot} again after a loss of power"
            );
            return Ok(());
        }
        let mut own = self.claims.iter().map(|(claimed, _)| *claimed);
        if let Some(higher) = own.find(|claimed| claimed.leader() == node && *claimed > ballot) {
            must!(false, Promise, "{node} claims {ballot} after {higher}");
        }
        debug_assert!(
            self.claims.is_sorted_by(|one, next| one.0 < next.0),
            "a ballot is claimed once"
        );
        let index = self
            .claims
            .partition_point(|(claimed, _)| *claimed < ballot);
        self.claims.insert(index, (ballot, incarnation));
        Ok(())
    }

    /// Checks a page of a promise: it must contain every vote ever written from a slot on, the last one of each slot. A node
    /// that has entered an epoch has dropped the votes that the end of an earlier one has made void.
    ///
    /// Only the last page shows that votes were left out behind its end; an earlier one may stop
    /// anywhere.
    pub(super) fn see_page(
        &self,
        node: &Member,
        from: Slot,
        last: bool,
        entries: &[Entry<u32>],
    ) -> Result<(), Broken> {
        let id = node.id();
        let mut written: Vec<&Poll> = Vec::new();
        for poll in self
            .polls
            .iter()
            .filter(|poll| poll.slot >= from && poll.voters.contains(id))
            .filter(|poll| !self.is_void_in(node.epoch(), poll))
        {
            // Votes are in the order of slots and ballots, and the last one of a slot counts.
            written.retain(|other| other.slot != poll.slot);
            written.push(poll);
        }
        let mut written = written.into_iter();
        for entry in entries {
            let same = written.next().is_some_and(|poll| {
                (poll.slot, poll.ballot, poll.proposal)
                    == (entry.slot, entry.ballot, entry.proposal)
            });
            must!(
                same,
                Memory,
                "{id} reports {entry:?}, which is not what it has accepted"
            );
        }
        if let Some(poll) = written.next().filter(|_| last) {
            must!(
                false,
                Memory,
                "{id} does not report that it has accepted slot {} under {}",
                poll.slot,
                poll.ballot
            );
        }
        Ok(())
    }

    /// Checks an answer to a client: the output of a request is the number of requests that took
    /// effect up to it, and a request is stale only if its client had a later one.
    pub(super) fn see_reply(&self, node: NodeId, reply: &Reply<u32>) -> Result<(), Broken> {
        let key = reply.key;
        if key.client == ClientId::OPERATOR {
            return self.see_change_reply(node, reply);
        }
        // Counted from 1, because the machine answers with the number of commands that it has
        // applied.
        let mut effects = (1..).zip(self.effects());
        let right = match reply.outcome {
            Outcome::Applied { slot, output } => effects.any(|(count, effect)| {
                (effect.client, effect.number, effect.slot, count)
                    == (key.client, key.number, slot, output)
            }),
            Outcome::Stale => {
                effects.any(|(_, effect)| effect.client == key.client && effect.number > key.number)
            }
            _ => false,
        };
        must!(
            right,
            Once,
            "{node} answers {:?} to request {} of {}, which differs from the log",
            reply.outcome,
            key.number.0,
            key.client
        );
        Ok(())
    }

    /// Checks an answer to an operator: a change that is said to have taken effect did so, and one that is said to be too
    /// late did not. That a leader refuses a change for any other reason rests on what it has heard.
    fn see_change_reply(&self, node: NodeId, reply: &Reply<u32>) -> Result<(), Broken> {
        let key = reply.key;
        let mut asked = self.asked.iter();
        let asked = asked
            .find(|asked| asked.key() == Some(key) && asked.fingerprint() == reply.fingerprint);
        let Some(Proposal::Reconfigure(change)) = asked else {
            must!(
                false,
                Once,
                "{node} answers an operator who has asked for nothing"
            );
            return Ok(());
        };
        let effect = change.epoch.next().filter(|next| {
            let members = self.members_of(*next);
            !members.is_empty() && members == change.members
        });
        let right = match reply.outcome {
            Outcome::Reconfigured { epoch } => effect == Some(epoch),
            Outcome::Unchanged(ChangeError::Epoch { .. }) => effect.is_none(),
            Outcome::Unchanged(_) => true,
            _ => false,
        };
        must!(
            right,
            Once,
            "{node} answers {:?} to an operator, which differs from the log",
            reply.outcome
        );
        Ok(())
    }

    /// Records that a client has an answer, so that it may make its next request.
    pub(super) fn note_answer(&mut self, reply: &Reply<u32>, scope: &Scope) {
        if let Outcome::Applied { output, .. } = reply.outcome {
            self.note_told(output, scope);
        }
        let asked = self
            .asked
            .iter()
            .find(|asked| asked.key() == Some(reply.key));
        // Only an answer that a client waits for is recorded; others would distinguish states without a difference.
        if let Some(asked) = asked.copied().filter(|asked| scope.awaits(asked))
            && !self.answered.contains(&asked)
        {
            self.answered.push(asked);
        }
    }
}
