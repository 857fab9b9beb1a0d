//! Ledger: the record of all requests, writes, messages, applications and answers, against which the invariants are
//! checked.
//!
//! It uses only the public view of a node, and shares no code with the nodes.
//!
//! Its contents are facts about the past that no later event can undo: a durable vote, a promise, a
//! claim, an applied slot, an answer. Each check compares a new fact with these, so that a
//! violation is found in the step that causes it, however late its consequences would show.
//!
//! A node is trusted in nothing. What it says, holds and applies is compared with what it wrote,
//! and what it wrote with what other nodes wrote.

use super::initial_state::ROOM;
use super::world::{Member, PAGE};
use super::{Broken, Invariant, Scope, Tape};
use crate::log::text;
use core::fmt;
use synod::{
    Ballot, ClientId, Entry, Epoch, NodeId, NodeSet, Outbox, Proposal, RequestNumber, Slot, Write,
};

/// A value of a slot, as clients request it. No-ops, which leaders propose, are values as well.
type Asked = Proposal<u32>;

/// Returns a violation of an invariant unless a condition holds.
///
/// It stands before the modules below, because a macro is known only after its definition.
macro_rules! must {
    ($condition:expr, $invariant:ident, $($what:tt)+) => {
        if !$condition {
            return Err(Broken { invariant: Invariant::$invariant, what: format!($($what)+) });
        }
    };
}

mod epochs;
mod facts;
mod messages;
mod reads;
mod state;
#[cfg(test)]
mod tests;

pub(super) use facts::Facts;
use reads::Reads;

/// Nodes that have accepted a value for a slot under a ballot.
///
/// With the invariant [`Invariant::OneValue`] the slot and the ballot determine the value. A vote
/// for another value is therefore not added, but reported.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Poll {
    slot: Slot,
    ballot: Ballot,
    proposal: Asked,
    /// Nodes whose vote was durable at some time. A vote is never taken back, even if its node
    /// overwrites it under a higher ballot: that a value was chosen is a fact about the past.
    voters: NodeSet,
}

/// A proposal displayed as in the log of a run.
struct Named<'a>(&'a Asked);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::new();
        text::write_proposal(&mut out, self.0);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}

/// A slot that some node has applied. The first node to apply it decides what the log is, and all
/// others are compared with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Decided {
    proposal: Asked,
    /// Digest of the log up to the slot; `None` if the node that applied it lost power in that step.
    chain: Option<u64>,
}

/// An epoch: its members, and the slot that ended the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Reign {
    /// The epoch governs the slots above this one.
    after: Slot,
    members: NodeSet,
}

/// A request that took effect: its client, number, command and slot.
///
/// A request may be decided in several slots, and has its effect in the first of them.
struct Effect {
    client: ClientId,
    number: RequestNumber,
    command: u32,
    slot: Slot,
}

/// Everything that must be known about the past. It is a part of the world: states whose ledgers differ are different.
///
/// Every step clones and compares it. It stays small, because the scope bounds slots, ballots and
/// requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ledger {
    /// Epochs that have begun, in order; a majority of the members of an epoch is a quorum of it. They follow from the log
    /// and the founding members.
    epochs: Vec<Reign>,
    /// End of the log in the initial state, and its digest there. No request is before it.
    base: (Slot, u64),
    /// Votes for every slot and ballot, sorted by both. Slots and ballots are bounded by the scope,
    /// so that a vector is enough.
    polls: Vec<Poll>,
    /// Applied slots after `base`, without gaps.
    log: Vec<Decided>,
    /// Highest ballot that each node has written, as a promise or with a vote, or the lower bound of the epoch that it has
    /// entered; by node.
    promised: Vec<Ballot>,
    /// Claimed ballots, each with the incarnation of its node. Sorted by ballot. A node that claims
    /// one ballot in two incarnations has forgotten the first claim, and could propose two values
    /// under it.
    claims: Vec<(Ballot, u8)>,
    /// Number of restarts of each node, by node.
    incarnations: Vec<u8>,
    /// Requests that clients have made, in the order in which they were made first.
    asked: Vec<Asked>,
    /// Answered requests whose clients wait for the answer before their next request.
    answered: Vec<Asked>,
    /// Reads that take no slot.
    reads: Reads,
}

impl Ledger {
    /// Returns the ledger of the initial state.
    pub(super) fn new<'a>(nodes: impl Iterator<Item = &'a Member>) -> Self {
        let nodes: Vec<&Member> = nodes.collect();
        let base = nodes.first();
        let founding = Reign {
            after: Slot::ZERO,
            members: base.map_or(NodeSet::EMPTY, |node| node.config().members),
        };
        let mut ledger = Self {
            epochs: vec![founding],
            base: base.map_or((Slot::ZERO, 0), |node| (node.applied(), node.chain())),
            polls: Vec::new(),
            log: Vec::new(),
            promised: nodes.iter().map(|node| node.promised()).collect(),
            claims: Vec::new(),
            incarnations: nodes.iter().map(|_| 0).collect(),
            asked: Vec::new(),
            answered: Vec::new(),
            reads: Reads::default(),
        };
        for node in nodes {
            for entry in node.votes() {
                ledger.poll(node.id(), &entry);
            }
        }
        ledger
    }

    /// Records a request of a client.
    pub(super) fn ask(&mut self, proposal: Asked) {
        if !self.asked.contains(&proposal) {
            self.asked.push(proposal);
        }
    }

    /// True if a client has the answer that it waits for. Other answers are not recorded: see
    /// `note_answer`.
    pub(super) fn is_answered(&self, proposal: &Asked) -> bool {
        self.answered.contains(proposal)
    }

    /// True if a request was decided and applied by some node.
    pub(super) fn is_decided(&self, proposal: &Asked) -> bool {
        self.log.iter().any(|decided| decided.proposal == *proposal)
    }

    /// Returns the number of slots applied since the initial state.
    pub(super) fn applied(&self) -> u64 {
        u64::try_from(self.log.len()).unwrap_or(u64::MAX)
    }

    /// Returns the last slot for which a value was accepted. The scope bounds it, not the applied
    /// slots, as votes for a slot come first.
    pub(super) fn last_slot(&self) -> Slot {
        let slots = self.polls.iter().map(|poll| poll.slot);
        // Of a ledger without polls it is the end of the initial log.
        slots.max().unwrap_or(Slot::ZERO).max(self.base.0)
    }

    /// Checks a node after a restart: it must have all votes that it had written for slots that it has not applied. If
    /// power failed during a step, it may also have some of the writes of that step.
    pub(super) fn restart(&mut self, after: &Member, torn: bool) -> Result<(), Broken> {
        let node = after.id();
        self.lose_reads(node);
        // From here on every claim of the node must be a new one.
        if let Some(count) = self.incarnations.get_mut(usize::from(node.0)) {
            *count = count.saturating_add(1);
        }
        // What became durable before the cut is not known to the explorer, and is read off the
        // node. Lower ballots come first, because a vote under a lower one would violate the
        // promise of a higher one.
        if torn {
            let mut votes: Vec<_> = after.votes().collect();
            votes.retain(|vote| !self.has_voted(node, vote));
            votes.sort_by_key(|vote| vote.ballot);
            for vote in votes {
                self.see_accepted(node, &vote)?;
            }
            self.see_applied_unseen(after.applied());
            self.see_entered(after);
            let promised = self.promised(node).map(|promised| *promised);
            if promised.is_some_and(|promised| promised < after.promised()) {
                self.see_promised(node, after.promised())?;
            }
        }
        // Otherwise all members could forget the change and keep what they have promised after it.
        let written = self
            .promised(node)
            .map_or(Epoch::FIRST, |promised| promised.epoch());
        must!(
            after.epoch() >= written,
            Membership,
            "{node} comes back in epoch {}, and had entered epoch {written}",
            after.epoch()
        );
        let from = after.low_water().next().unwrap_or(Slot::FIRST);
        let held: Vec<_> = after.votes().collect();
        // All votes that it holds, as if it reported them in one page: the same comparison as that
        // of a promise.
        self.see_page(after, from, true, &held)?;
        self.see_state(after)
    }

    /// True if a vote was durable at some time.
    fn has_voted(&self, node: NodeId, vote: &Entry<u32>) -> bool {
        let mut polls = self.polls.iter();
        polls.any(|poll| {
            (poll.slot, poll.ballot, poll.proposal) == (vote.slot, vote.ballot, vote.proposal)
                && poll.voters.contains(node)
        })
    }

    /// Checks a step of a node.
    ///
    /// The order matters. Writes come first, because what a leader takes for chosen may rest on its
    /// own vote of the same step; messages and answers come last, because they report what was
    /// written and applied.
    pub(super) fn see(
        &mut self,
        before: &Member,
        after: &Member,
        outbox: &Outbox<Tape, PAGE, ROOM>,
        facts: &Facts,
        scope: &Scope,
    ) -> Result<(), Broken> {
        let node = after.id();
        for write in &outbox.writes {
            match write {
                Write::Promised(ballot) => {
                    Self::see_epoch(after, *ballot)?;
                    self.see_promised(node, *ballot)?;
                }
                Write::Accepted(entry) => {
                    Self::see_epoch(after, entry.ballot)?;
                    self.see_accepted(node, entry)?;
                }
                Write::Decided { .. } | Write::Installed(_) => {}
            }
        }
        for (slot, ballot, proposal) in &facts.chosen {
            let poll = self
                .polls
                .iter()
                .find(|poll| (poll.slot, poll.ballot) == (*slot, *ballot));
            let chosen =
                poll.is_some_and(|poll| poll.proposal == *proposal && self.is_quorum(poll));
            must!(
                chosen,
                Decision,
                "{node} announces slot {slot} as chosen under {ballot}, but no quorum has accepted it"
            );
        }
        for (slot, proposal, chain) in &facts.applied {
            self.see_applied(node, *slot, proposal, *chain)?;
        }
        self.see_entered(after);
        // After the applied slots, as the state of the machine is compared with the log up to them.
        self.see_node(before, after)?;
        for outgoing in &outbox.messages {
            Self::see_not_ended(before, &outgoing.message)?;
            self.see_message(after, &outgoing.message)?;
        }
        for reply in &outbox.replies {
            if reply.key.number == RequestNumber::READ {
                self.see_read(after, reply, scope)?;
            } else {
                self.see_reply(node, reply)?;
                self.note_answer(reply, scope);
            }
        }
        Ok(())
    }

    /// Appends a slot to the log. The epoch ends if it is a change that takes effect.
    fn decide(&mut self, slot: Slot, proposal: Asked, chain: Option<u64>) {
        let epoch = self.epoch_of(slot);
        if let Proposal::Reconfigure(change) = proposal
            && self.ends(epoch, &proposal)
        {
            self.epochs.push(Reign {
                after: slot,
                members: change.members,
            });
        }
        self.log.push(Decided { proposal, chain });
    }

    /// Returns the highest ballot that a node has written; `None` if there is no such node.
    fn promised(&mut self, node: NodeId) -> Option<&mut Ballot> {
        self.promised.get_mut(usize::from(node.0))
    }

    /// Checks a written promise. An equal one would be a write without need, which the acceptor is
    /// not to make.
    fn see_promised(&mut self, node: NodeId, ballot: Ballot) -> Result<(), Broken> {
        let Some(promised) = self.promised(node) else {
            return Ok(());
        };
        must!(
            *promised < ballot,
            Promise,
            "{node} promises {ballot} after {promised}"
        );
        *promised = ballot;
        Ok(())
    }

    /// Checks a written vote: against the promise of its node, the requests of clients, and all
    /// other votes for the slot.
    fn see_accepted(&mut self, node: NodeId, entry: &Entry<u32>) -> Result<(), Broken> {
        let Entry {
            slot,
            ballot,
            proposal,
        } = *entry;
        if let Some(promised) = self.promised(node) {
            must!(
                *promised <= ballot,
                Promise,
                "{node} accepts under {ballot} after it has promised {promised}"
            );
            *promised = ballot;
        }
        let asked = proposal == Proposal::Noop || self.asked.contains(&proposal);
        must!(
            asked,
            Validity,
            "{node} accepts {}, which no client requested",
            Named(&proposal)
        );
        let known = self.poll(node, entry);
        must!(
            known == proposal,
            OneValue,
            "slot {slot} under {ballot}: {node} accepts {}, and another has accepted {}",
            Named(&proposal),
            Named(&known)
        );
        self.see_place(node, entry)?;
        // Every pair of ballots is compared anew, as this vote may complete a quorum under the
        // lower ballot after others have voted under the higher one.
        for chosen in self
            .polls
            .iter()
            .filter(|poll| poll.slot == slot && self.is_quorum(poll))
        {
            for later in self
                .polls
                .iter()
                .filter(|poll| poll.slot == slot && poll.ballot > chosen.ballot)
                .filter(|poll| poll.ballot.epoch() == chosen.ballot.epoch())
            {
                let same = later.proposal == chosen.proposal;
                let (was, is) = (Named(&chosen.proposal), Named(&later.proposal));
                must!(
                    same || !self.is_quorum(later),
                    Agreement,
                    "slot {slot}: {was} is chosen under {}, and {is} under {}",
                    chosen.ballot,
                    later.ballot
                );
                must!(
                    same,
                    Succession,
                    "slot {slot}: {was} is chosen under {}, and {is} is accepted under {}",
                    chosen.ballot,
                    later.ballot
                );
            }
        }
        Ok(())
    }

    /// Checks the slot of a vote against the epochs: the slot is above the end of the epoch before that of the ballot, and
    /// the leader has given no slot to anything above a change that ends the epoch.
    fn see_place(&self, node: NodeId, entry: &Entry<u32>) -> Result<(), Broken> {
        let Entry { slot, ballot, .. } = *entry;
        let epoch = ballot.epoch();
        let reign = self.epochs.get(usize::from(epoch.0));
        must!(
            reign.is_none_or(|reign| reign.after < slot),
            Membership,
            "{node} accepts slot {slot} under {ballot}, and an earlier epoch has decided it"
        );
        let mut polls = self.polls.iter().filter(|poll| poll.ballot == ballot);
        let end = polls.find(|poll| self.ends(epoch, &poll.proposal));
        let last = self.polls.iter().filter(|poll| poll.ballot == ballot);
        let last = last.map(|poll| poll.slot).max();
        if let (Some(end), Some(last)) = (end.map(|poll| poll.slot), last) {
            must!(
                last <= end,
                Membership,
                "the leader of {ballot} proposes a change in slot {end}, which ends the epoch, and another value in slot {last}"
            );
        }
        Ok(())
    }

    /// Records a vote, and returns the value of the first vote for this slot under this ballot.
    fn poll(&mut self, node: NodeId, entry: &Entry<u32>) -> Asked {
        let Entry {
            slot,
            ballot,
            proposal,
        } = *entry;
        debug_assert!(
            self.polls
                .is_sorted_by(|one, next| (one.slot, one.ballot) < (next.slot, next.ballot)),
            "one poll for each slot and ballot, in order"
        );
        let key = |poll: &Poll| (poll.slot, poll.ballot);
        // The first poll of a slot and ballot fixes the value, and later ones are compared with it.
        let index = self
            .polls
            .partition_point(|poll| key(poll) < (slot, ballot));
        match self.polls.get_mut(index) {
            Some(poll) if key(poll) == (slot, ballot) => {
                // A vote for another value is not counted, so that the violation does not give rise
                // to others.
                if poll.proposal == proposal {
                    poll.voters.insert(node);
                }
                poll.proposal
            }
            _ => {
                let voters = NodeSet::only(node);
                self.polls.insert(
                    index,
                    Poll {
                        slot,
                        ballot,
                        proposal,
                        voters,
                    },
                );
                proposal
            }
        }
    }
}
