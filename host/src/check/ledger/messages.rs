//! Checks of the messages that nodes send to each other and to clients, against their writes.
//!
//! A message is a claim about its sender's past, and is checked when it is sent. So a lie is found
//! even if the message never arrives. What it leads to at its recipient is checked there, as what
//! the recipient writes.

use super::{Ledger, Poll};
use crate::check::world::{Member, PAGE};
use crate::check::{Broken, Invariant, Scope, Tape};
use synod::{Ballot, Entry, Message, NodeId, Outcome, Reply, Slot};

impl Ledger {
    /// Checks a message when it is sent, which is after the writes of its step, unless these lost their power. Kinds that
    /// claim nothing about writes pass.
    pub(in crate::check) fn see_message(
        &mut self,
        node: &Member,
        message: &Message<Tape, PAGE>,
    ) -> Result<(), Broken> {
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
                        id,
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

    /// Checks a page of a promise: it must contain every vote ever written from a slot on, the last one of each slot.
    ///
    /// Only the last page shows that votes were left out behind its end; an earlier one may stop
    /// anywhere.
    pub(super) fn see_page(
        &self,
        id: NodeId,
        from: Slot,
        last: bool,
        entries: &[Entry<u32>],
    ) -> Result<(), Broken> {
        let mut written: Vec<&Poll> = Vec::new();
        for poll in self
            .polls
            .iter()
            .filter(|poll| poll.slot >= from && poll.voters.contains(id))
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

    /// Records that a client has an answer, so that it may make its next request.
    pub(super) fn note_answer(&mut self, reply: &Reply<u32>, scope: &Scope) {
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
