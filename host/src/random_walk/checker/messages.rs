//! Checks of the messages that nodes send, against their writes.
//!
//! A message is checked when it leaves, which is after the writes under it are durable. Promises
//! are the exception: they are compared with what the node had written at the time of its step.

use super::Checker;
use crate::random_walk::Machine;
use crate::random_walk::check::{Check, Violation};
use synod::machines::KvCommand;
use synod::{Ballot, Entry, Message, NodeId, Slot};

/// Contents of a promise. A page reports votes from a slot on; `last` says that none is left.
struct Promise<'a> {
    /// The claim that it answers.
    ballot: Ballot,
    /// The promise of its sender: the same ballot, or a higher one in a refusal.
    promised: Ballot,
    /// First slot that the page is about.
    from: Slot,
    /// Last slot whose votes the sender has forgotten, as it has applied it.
    low_water: Slot,
    last: bool,
    /// The votes, in the order of slots.
    entries: &'a [Entry<KvCommand>],
}

impl Checker {
    /// Checks a message when it is sent. A promise is checked earlier, by `see_promise`.
    pub(in crate::random_walk) fn see_message<const PAGE: usize>(
        &mut self,
        node: u16,
        message: &Message<Machine, PAGE>,
    ) -> Result<(), Violation> {
        let checks = self.checks;
        match message {
            // Votes are compared with the durable ones: an answer must not leave before its vote is
            // durable.
            Message::Accepted {
                ballot,
                promised,
                first,
                count,
                low_water,
            } => {
                let written = self.memory(node).map(|memory| memory.promised);
                checks.ensure(Check::Memory, Some(*promised) <= written, || {
                    format!("NODE_{node} reports the promise {promised}, but wrote {written:?}")
                })?;
                self.see_low_water(node, *low_water)?;
                let slots = (0..u64::from(*count)).filter_map(|offset| first.checked_add(offset));
                for slot in slots {
                    let vote = self.ballots.get(&(slot, *ballot));
                    let voted = vote.is_some_and(|vote| vote.voters.contains(NodeId(node)));
                    checks.ensure(Check::Memory, voted, || {
                        format!("NODE_{node} reports that it accepted slot {slot} under {ballot}, but did not write it")
                    })?;
                }
                Ok(())
            }
            Message::Decision { ballot, decided }
            | Message::Heartbeat {
                ballot, decided, ..
            }
            | Message::Accept {
                ballot, decided, ..
            } => self.see_claim(node, *ballot, *decided),
            // A node passes on only what it has applied, which is in the log.
            Message::Decisions {
                first, proposals, ..
            } => {
                let mut slot = Some(*first);
                for proposal in proposals {
                    let decided = slot.and_then(|slot| self.ledger.decision(slot));
                    checks.ensure(Check::Agreement, decided == Some(proposal), || {
                        format!("NODE_{node} passes on {proposal:?} for {decided:?} in {slot:?}")
                    })?;
                    slot = slot.and_then(Slot::next);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Checks that a node has forgotten only votes of slots that it has applied (rule T1).
    fn see_low_water(&self, node: u16, low_water: Slot) -> Result<(), Violation> {
        let applied = self.applied(node);
        self.checks.ensure(Check::Memory, low_water <= applied, || {
            format!("NODE_{node} forgot up to slot {low_water}, and has applied up to {applied}")
        })
    }

    /// Checks that everything the leader of a ballot announces as decided is decided, and so is
    /// every vote under this ballot in it. Each slot is looked at once for each ballot, and votes
    /// that come later are compared when they are cast.
    fn see_claim(&mut self, node: u16, ballot: Ballot, decided: Slot) -> Result<(), Violation> {
        let checks = self.checks;
        checks.ensure(Check::Claim, decided <= self.applied(node), || {
            format!("NODE_{node} announces slot {decided} as decided, but has not applied it")
        })?;
        // Announcements rise under one ballot, so that only what is new is looked at.
        let told = self.claims.entry(ballot).or_default();
        while *told < decided
            && let Some(next) = told.next()
        {
            *told = next;
            if let Some(vote) = self.ballots.get(&(next, ballot)) {
                let right = self.ledger.decision(next) == Some(&vote.proposal);
                checks.ensure(Check::Claim, right, || {
                    format!("NODE_{node} announces {:?}, accepted under {ballot}, as decided in slot {next}", vote.proposal)
                })?;
            }
        }
        Ok(())
    }

    /// Checks a promise at the time of the step, when the writes of the node are those that the promise reports.
    pub(in crate::random_walk) fn see_promise<const PAGE: usize>(
        &self,
        node: u16,
        message: &Message<Machine, PAGE>,
    ) -> Result<(), Violation> {
        let Message::Promise {
            ballot,
            promised,
            from,
            low_water,
            last,
            entries,
        } = message
        else {
            return Ok(());
        };
        self.check_promise(
            node,
            &Promise {
                ballot: *ballot,
                promised: *promised,
                from: *from,
                low_water: *low_water,
                last: *last,
                entries,
            },
        )
    }

    /// Checks a page against the votes that its sender has handed out, whether durable or not: it
    /// leaves after them.
    fn check_promise(&self, node: u16, promise: &Promise<'_>) -> Result<(), Violation> {
        let checks = self.checks;
        let Some(memory) = self.memory(node) else {
            return Ok(());
        };
        let (said, written) = (promise.promised, memory.promised);
        checks.ensure(Check::Memory, said == written, || {
            format!("NODE_{node} reports the promise {said}, but wrote {written}")
        })?;
        self.see_low_water(node, promise.low_water)?;
        // A refusal reports no votes.
        if said != promise.ballot {
            return Ok(());
        }
        // What is forgotten as applied need not be reported (rule T2).
        let above = promise.low_water.next().unwrap_or(Slot::FIRST);
        let mut votes = memory.votes.range(promise.from.max(above)..);
        for entry in promise.entries {
            let vote = votes.next();
            let told = (entry.slot, entry.ballot, entry.proposal);
            let right =
                vote.is_some_and(|(slot, (under, proposal))| told == (*slot, *under, *proposal));
            checks.ensure(Check::Memory, right, || {
                format!("NODE_{node} reports the vote {entry:?}, but wrote {vote:?}")
            })?;
        }
        let rest = votes.next();
        checks.ensure(Check::Memory, promise.last == rest.is_none(), || {
            format!("NODE_{node} conceals the vote {rest:?}")
        })
    }
}
